"""Presets and typed days, on the office's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from web.forms.date_ranges import ORDER_WRONG, Period, read_date_range

MOSCOW = ZoneInfo("Europe/Moscow")
BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)  # 01:30 of the 30th in Moscow


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ({"period": "today"}, date(2026, 11, 30), date(2026, 11, 30)),
        ({"period": "yesterday"}, date(2026, 11, 29), date(2026, 11, 29)),
        ({"period": "week"}, date(2026, 11, 24), date(2026, 11, 30)),
        ({"period": "month"}, date(2026, 11, 1), date(2026, 11, 30)),
        ({"period": "range", "from": "2026-11-03"}, date(2026, 11, 3), None),
        ({"to": "2026-11-03"}, None, date(2026, 11, 3)),
        ({"date": "2026-11-22"}, date(2026, 11, 22), date(2026, 11, 22)),
    ],
)
def test_days(asked: dict[str, str], first: date | None, last: date | None) -> None:
    """The office's day decides, not the server's; a bookmark with only a date goes on working."""
    found = read_date_range(asked, MOSCOW, NOW)
    assert (found.first, found.last, found.problem) == (first, last, None)
    if first is not None:
        assert found.since == datetime.combine(first, datetime.min.time(), MOSCOW)


def test_a_day_with_a_change_of_clocks_is_whole() -> None:
    """The last Sunday of October has 25 hours in Berlin."""
    found = read_date_range({"date": "2026-10-25"}, BERLIN, NOW)
    assert found.since is not None
    assert found.until is not None
    assert (found.until - found.since).total_seconds() == 25 * 3600


@pytest.mark.parametrize(
    "text", ["0002-11-29", "1999-12-31", "soon", "2026-13-01", "31.11.2026", "9999-12-31", "1" * 5000]
)
def test_what_is_no_date_is_said_and_left_out(text: str) -> None:
    """At its own field, which keeps what was typed; nothing is filtered by it."""
    found = read_date_range({"period": "range", "from": text, "to": "29.11.2026"}, MOSCOW, NOW, "RU")
    assert (found.since, found.until, found.wrong) == (None, None, {"from"})
    assert found.problem is not None
    assert text[:40] in found.problem
    assert found.typed["from"] == text


def test_both_wrong_days_are_said_in_the_format_of_the_office() -> None:
    """All at once; a remedy that both share is not said twice in other words."""
    found = read_date_range({"from": "x", "to": "31.31.2026"}, MOSCOW, NOW, "GB")
    assert found.wrong == {"from", "to"}
    assert found.problem == (
        "“x” is not a date. Write it like 31/12/2026. “31.31.2026” is not a date. Write it like 31/12/2026."
    )


def test_what_was_understood_is_shown_as_the_office_writes_it() -> None:
    """A bookmark from before has ISO dates; a day without its year is the last one."""
    found = read_date_range({"from": "2026-11-03", "to": "5.12"}, MOSCOW, NOW, "RU")
    assert found.problem == "The first day is after the last. Choose an earlier first day."
    found = read_date_range({"from": "2026-11-03", "to": "5.11"}, MOSCOW, NOW, "RU")
    assert (found.typed, found.problem) == ({"from": "03.11.2026", "to": "05.11.2026"}, None)


def test_the_wrong_order_is_said() -> None:
    """Else the list is empty and nobody knows why."""
    found = read_date_range({"from": "2026-11-05", "to": "2026-11-04"}, MOSCOW, NOW)
    assert (found.period, found.since, found.problem) == (Period.RANGE, None, ORDER_WRONG)


def test_nothing_asked_is_any_time() -> None:
    """Nor does a period that we do not have."""
    assert read_date_range({"period": "aeon"}, MOSCOW, NOW).period is None
