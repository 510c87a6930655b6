"""Days and hours as people type them, in the format of their office."""

from __future__ import annotations

from datetime import date, time

import pytest

from telephony.errors import PeerMistake
from web.forms.date_fields import Toward, date_presets, date_style, describe_date, read_date, read_hour

TODAY = date(2026, 11, 30)  # a Monday


@pytest.mark.parametrize(
    ("region", "hint", "written"),
    [
        ("RU", "dd.mm.yyyy", "31.12.2026"),
        ("DE", "dd.mm.yyyy", "31.12.2026"),
        ("GB", "dd/mm/yyyy", "31/12/2026"),
        ("US", "mm/dd/yyyy", "12/31/2026"),
        ("NL", "dd-mm-yyyy", "31-12-2026"),
        ("SE", "yyyy-mm-dd", "2026-12-31"),
        (None, "yyyy-mm-dd", "2026-12-31"),
    ],
)
def test_an_office_writes_days_its_own_way(region: str | None, hint: str, written: str) -> None:
    """And reads what it writes, and what the others write where it cannot be misread."""
    style = date_style(region)
    assert (style.hint, style.write(date(2026, 12, 31))) == (hint, written)
    for text in (written, "2026-12-31", "31.12.2026"):
        assert read_date(text, region) == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("text", "region", "day"),
    [
        ("1/2/2026", "GB", date(2026, 2, 1)),
        ("1/2/2026", "US", date(2026, 1, 2)),
        ("3.2.26", "RU", date(2026, 2, 3)),
        ("3-2-2026", "NL", date(2026, 2, 3)),
        ("2026/2/3", "GB", date(2026, 2, 3)),
        (" 29.2.2028 ", "RU", date(2028, 2, 29)),
    ],
)
def test_what_is_typed_shorter_is_understood(text: str, region: str, day: date) -> None:
    """Without noughts, with two figures of the year, with blanks around it."""
    assert read_date(text, region) == day


@pytest.mark.parametrize(
    ("text", "toward", "day"),
    [
        ("30.11", Toward.PAST, TODAY),
        ("30.11.", Toward.AHEAD, TODAY),
        ("1.12", Toward.PAST, date(2025, 12, 1)),
        ("1.12", Toward.AHEAD, date(2026, 12, 1)),
        ("29.11", Toward.PAST, date(2026, 11, 29)),
        ("29.11", Toward.AHEAD, date(2027, 11, 29)),
        ("29.2", Toward.PAST, date(2024, 2, 29)),
        ("29.2", Toward.AHEAD, date(2028, 2, 29)),
        ("Tomorrow", Toward.AHEAD, date(2026, 12, 1)),
        ("yesterday", Toward.PAST, date(2026, 11, 29)),
    ],
)
def test_a_day_without_its_year_is_the_nearest(text: str, toward: Toward, day: date) -> None:
    """Calls are of the past, tasks of the days ahead."""
    assert read_date(text, "RU", today=TODAY, toward=toward) == day


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("31.11.2026", "RU"), ("12/31/2026", "GB"), ("31/12/2026", "US"), ("0002-11-29", "RU"), ("9999-12-31", "RU"),
        ("5.12", "RU"), ("today", "RU"), ("1.2-2026", "RU"), ("soon", "GB"), ("٣١.١٢.٢٠٢٦x", "SA"), ("9" * 5000, "RU"),
        ("31.13", "RU"), ("", "RU"), ("1.2.202", "RU"),
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused_with_an_example(text: str, region: str) -> None:
    """In the format of the office, never in another; nothing is guessed."""
    with pytest.raises(PeerMistake) as refused:
        read_date(text, region)
    assert refused.value.remedy == f"Write it like {date_style(region).example}."


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("14:30", time(14, 30)), ("14.30", time(14, 30)), ("1430", time(14, 30)), ("9", time(9)), ("930", time(9, 30)),
        ("2:30 pm", time(14, 30)), ("12 AM", time(0)), ("12pm", time(12)), ("09:30:00", time(9, 30)),
    ],
)  # fmt: skip
def test_hours_are_typed_freely(text: str, hour: time) -> None:
    """A browser's field for them would speak the browser's language."""
    assert read_hour(text) == hour


@pytest.mark.parametrize("text", ["25:00", "14:60", "13 pm", "0 am", "noon", "1:2:3:4", ":30", "9" * 400])
def test_what_is_no_hour_is_refused(text: str) -> None:
    """At its own field."""
    with pytest.raises(PeerMistake, match="not a time of day"):
        read_hour(text)


def test_days_that_people_mean_most_often_are_offered() -> None:
    """Written as they would be typed, so that what is chosen is what is read."""
    offered = date_presets(TODAY, "GB", Toward.AHEAD)
    assert [(one.value, one.word) for one in offered] == [
        ("30/11/2026", "Today"), ("01/12/2026", "Tomorrow"), ("07/12/2026", "Next Monday"), ("07/12/2026", "In a week"),
    ]  # fmt: skip
    assert [one.value for one in date_presets(TODAY, "RU", Toward.PAST)][:2] == ["30.11.2026", "29.11.2026"]


def test_a_day_is_read_back_with_its_weekday() -> None:
    """So that a slip is seen before it is sent."""
    assert describe_date(date(2026, 12, 31)) == "Thu 31 Dec 2026"
