"""Presets and typed days, on the office's clock."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from web.date_ranges import NOT_UNDERSTOOD, ORDER_WRONG, Period, read_date_range

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
    "text", ["0002-11-29", "1999-12-31", "tomorrow", "2026-13-01", "9999-12-31", "1" * 5000]
)
def test_what_is_no_date_is_said_and_left_out(text: str) -> None:
    """A half-typed year reads as the year 2; nothing is filtered by it."""
    found = read_date_range({"period": "range", "from": text}, MOSCOW, NOW)
    assert (found.since, found.until, found.problem) == (None, None, NOT_UNDERSTOOD)


def test_the_wrong_order_is_said() -> None:
    """Else the list is empty and nobody knows why."""
    found = read_date_range({"from": "2026-11-05", "to": "2026-11-04"}, MOSCOW, NOW)
    assert (found.period, found.since, found.problem) == (Period.RANGE, None, ORDER_WRONG)


def test_nothing_asked_is_any_time() -> None:
    """Nor does a period that we do not have."""
    assert read_date_range({"period": "aeon"}, MOSCOW, NOW).period is None
