"""Working hours: open or closed, the last close, and so many working minutes, as tables and as properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.errors import PeerMistake
from telephony.hours import (
    WorkingHours,
    add_working_minutes,
    checked,
    hours_as_json,
    hours_from_json,
    is_open,
    next_opening,
    since_last_close,
    stretch_at,
    stretches_from,
)

MOSCOW, BERLIN = ZoneInfo("Europe/Moscow"), ZoneInfo("Europe/Berlin")
WEEK = WorkingHours("Europe/Moscow")
"""Monday to Friday, 9 to 18."""
LUNCH = WorkingHours(
    "UTC", tuple(span for day in range(5) for span in ((day, time(9), time(13)), (day, time(14), time(18))))
)
NIGHT = WorkingHours("UTC", tuple((day, time(22), time(6)) for day in range(5)))
SPLIT_NIGHT = WorkingHours(
    "UTC", tuple(span for day in range(7) for span in ((day, time(0), time(6)), (day, time(22), time(0))))
)
ALWAYS = WorkingHours("UTC", tuple((day, time(0), time(0)) for day in range(7)))
NEVER = WorkingHours("UTC", ())


def at(text: str, zone: ZoneInfo | None = MOSCOW) -> datetime:
    """A moment by that zone's clock; 2026-11-23 is a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).astimezone(UTC)


def utc(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "moment", "open_"),
    [
        (WEEK, at("2026-11-23 08:59:59"), False),
        (WEEK, at("2026-11-23 09:00"), True),
        (WEEK, at("2026-11-23 17:59:59"), True),
        (WEEK, at("2026-11-23 18:00"), False),
        (WEEK, at("2026-11-22 12:00"), False),
        (LUNCH, utc("2026-11-23 13:30"), False),
        (NIGHT, utc("2026-11-24 02:00"), True),
        (NIGHT, utc("2026-11-28 05:59"), True),  # Friday's shift, on Saturday
        (NIGHT, utc("2026-11-29 02:00"), False),
        (SPLIT_NIGHT, utc("2026-11-29 02:00"), True),
        (ALWAYS, utc("2026-11-29 02:00"), True),
        (NEVER, utc("2026-11-23 12:00"), False),
    ],
)
def test_open_or_closed(hours: WorkingHours, moment: datetime, open_: bool) -> None:
    """The moment of opening is open, that of closing is closed; a night shift runs into the next day."""
    assert is_open(hours, moment) is open_


@pytest.mark.parametrize(
    ("moment", "since"),
    [
        (at("2026-11-23 09:00"), at("2026-11-20 18:00")),  # Monday morning: all since Friday's close
        (at("2026-11-23 08:30"), at("2026-11-20 18:00")),
        (at("2026-11-22 12:00"), at("2026-11-20 18:00")),
        (at("2026-11-23 17:00"), at("2026-11-20 18:00")),
        (at("2026-11-23 18:00"), at("2026-11-23 18:00")),
        (at("2026-11-24 09:00"), at("2026-11-23 18:00")),
    ],
)
def test_since_the_last_close(moment: datetime, since: datetime) -> None:
    """During a working day: the close before it; while closed: the close that began it."""
    assert since_last_close(WEEK, moment) == since


def test_lunch_is_no_close_of_business() -> None:
    """At half past two one still looks for what came since yesterday."""
    assert since_last_close(LUNCH, utc("2026-11-24 14:30")) == utc("2026-11-23 18:00")
    assert since_last_close(LUNCH, utc("2026-11-24 13:30")) == utc("2026-11-23 18:00")


def test_a_shift_over_midnight_is_one_however_it_is_written() -> None:
    """22 to 6 as one entry or as two: midnight is no close."""
    assert since_last_close(SPLIT_NIGHT, utc("2026-11-24 02:00")) == utc("2026-11-23 06:00")
    assert since_last_close(NIGHT, utc("2026-11-24 02:00")) == utc("2026-11-21 06:00")


def test_after_long_holidays() -> None:
    """Ten days closed: the first working morning shows all of them."""
    days = frozenset(date(2026, 12, 31) + timedelta(days=step) for step in range(11))
    hours = WorkingHours("Europe/Moscow", WEEK.days, days)
    assert since_last_close(hours, at("2027-01-11 09:30")) == at("2026-12-30 18:00")
    assert next_opening(hours, at("2026-12-30 19:00")) == at("2027-01-11 09:00")


def test_an_office_that_never_closes_or_never_opens() -> None:
    """Neither has a last close; the one that never opens has no deadline either."""
    assert since_last_close(ALWAYS, utc("2026-11-24 02:00")) is None
    assert since_last_close(NEVER, utc("2026-11-24 02:00")) is None
    assert next_opening(NEVER, utc("2026-11-24 02:00")) is None
    assert add_working_minutes(NEVER, utc("2026-11-24 02:00"), 60) is None
    assert add_working_minutes(ALWAYS, utc("2026-11-24 02:00"), 60) == utc("2026-11-24 03:00")


@pytest.mark.parametrize(
    ("hours", "start", "minutes", "due"),
    [
        (WEEK, at("2026-11-23 10:00"), 60, at("2026-11-23 11:00")),
        (WEEK, at("2026-11-20 17:30"), 60, at("2026-11-23 09:30")),  # Friday evening
        (WEEK, at("2026-11-21 12:00"), 60, at("2026-11-23 10:00")),
        (WEEK, at("2026-11-20 17:00"), 60, at("2026-11-20 18:00")),  # exactly at the close
        (WEEK, at("2026-11-23 10:00"), 0, at("2026-11-23 10:00")),
        (LUNCH, utc("2026-11-23 12:30"), 60, utc("2026-11-23 14:30")),
        (NIGHT, utc("2026-11-23 23:30"), 60, utc("2026-11-24 00:30")),
    ],
)
def test_working_minutes(hours: WorkingHours, start: datetime, minutes: int, due: datetime) -> None:
    """Nights, lunches and weekends do not count."""
    assert add_working_minutes(hours, start, minutes) == due


def test_clocks_that_change() -> None:
    """In Berlin on 29 March 2026 two o'clock is skipped, on 25 October three o'clock comes twice."""
    whole = WorkingHours("Europe/Berlin", tuple((day, time(0), time(0)) for day in range(7)))
    early = WorkingHours("Europe/Berlin", ((6, time(1), time(4)),))
    spring, autumn = at("2026-03-29 01:00", BERLIN), at("2026-10-25 01:00", BERLIN)
    assert add_working_minutes(whole, spring, 120) == spring + timedelta(hours=2)
    shift = stretch_at(early, spring)
    assert shift is not None
    assert shift.closes - shift.opens == timedelta(hours=2)
    shift = stretch_at(early, autumn)
    assert shift is not None
    assert shift.closes - shift.opens == timedelta(hours=4)


def test_what_cannot_be_is_refused_with_the_days() -> None:
    """Two times that overlap, also over midnight and over Sunday's end; a zone that is none."""
    for days in (
        ((0, time(9), time(13)), (0, time(12), time(18))),
        ((0, time(22), time(6)), (1, time(5), time(9))),
        ((6, time(22), time(6)), (0, time(5), time(9))),
    ):
        with pytest.raises(PeerMistake, match="overlap"):
            checked(WorkingHours("UTC", days))
    with pytest.raises(PeerMistake, match="zone"):
        checked(WorkingHours("Mars/Olympus"))
    assert checked(ALWAYS).days == ALWAYS.days
    assert checked(SPLIT_NIGHT).days == tuple(sorted(SPLIT_NIGHT.days))


def test_hours_are_kept_and_read() -> None:
    """What is written is read; what nobody set or nobody can read is the usual week by the office's clock."""
    hours = WorkingHours("Europe/Moscow", LUNCH.days, frozenset({date(2026, 12, 31)}))
    assert hours_from_json(hours_as_json(hours)) == hours
    for broken in (None, [], {"zone": "UTC"}, {"zone": "UTC", "days": [["x"]], "holidays": []}):
        assert hours_from_json(broken, zone="Europe/Berlin") == WorkingHours("Europe/Berlin")


clocks = st.builds(time, st.integers(0, 23), st.sampled_from((0, 30)))


@st.composite
def weeks(draw: st.DrawFn) -> WorkingHours:
    """Any hours without overlap: for each weekday at most one span that ends the same day."""
    days = []
    for day in range(7):
        opens, closes = sorted((draw(clocks), draw(clocks)))
        if opens < closes and draw(st.booleans()):
            days.append((day, opens, closes))
    holidays = draw(st.frozensets(st.dates(date(2026, 3, 1), date(2026, 4, 30)), max_size=4))
    zone = draw(st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")))
    return WorkingHours(zone, tuple(days), holidays)


SPRING = (datetime(2026, 3, 1), datetime(2026, 4, 30))  # noqa: DTZ001 - Hypothesis wants them so
moments = st.datetimes(*SPRING, timezones=st.just(UTC))


@given(weeks(), moments, st.integers(0, 3000), st.integers(0, 3000))
def test_minutes_add_up(hours: WorkingHours, start: datetime, one: int, two: int) -> None:
    """So many and then so many more are as many together; more minutes are never earlier; none before the start."""
    first, both = add_working_minutes(hours, start, one), add_working_minutes(hours, start, one + two)
    if first is None or both is None:
        assert both is None
        return
    assert start <= first <= both
    assert add_working_minutes(hours, first, two) == both


@given(weeks(), moments)
def test_the_last_close_is_a_close(hours: WorkingHours, moment: datetime) -> None:
    """It is past, the office was open right before it and not right after it, and it is open now or not since."""
    since = since_last_close(hours, moment)
    if since is None:
        return
    tick = timedelta(seconds=1)
    assert since <= moment
    assert is_open(hours, since - tick)
    assert not is_open(hours, since)


@given(weeks(), moments)
def test_stretches_are_apart_and_in_order(hours: WorkingHours, moment: datetime) -> None:
    """Each ends before the next begins, and being open means being in one of them."""
    ahead = [one for one, _ in zip(stretches_from(hours, moment), range(10), strict=False)]
    assert all(one.opens < one.closes for one in ahead)
    assert all(one.closes < two.opens for one, two in pairwise(ahead))
    assert is_open(hours, moment) == any(one.opens <= moment < one.closes for one in ahead)
