"""Working hours: since when the office was closed, and when so many working minutes from now are over.

Wall-clock times of the office's zone; every moment in and out is aware UTC. A day's hours may end after midnight: a close
that is not later than its opening belongs to the next day, so `22:00-06:00` is a night shift and `00:00-00:00` a whole day.
Everything is told by stretches, one from an opening to a closing; stretches that touch are one, and a short pause between
two (lunch) is no close of business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

from telephony.errors import PeerMistake

LOOK_DAYS = 400  # a year with all its holidays; an office that does not open within it does not open
LUNCH = timedelta(hours=3)  # the longest pause of a working day met in practice; no night is that short
RECENT = timedelta(days=14)  # the last close is within two weeks, unless they are holidays
_DAY = timedelta(days=1)
_DAYS = 7
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When the office answers. Weekdays are 0 (Monday) to 6; a day without an entry is closed."""

    zone: str = "UTC"
    """IANA name."""
    days: tuple[tuple[int, time, time], ...] = tuple((day, time(9), time(18)) for day in range(5))
    """(weekday, opens, closes); several entries a day are allowed, in order, without overlap."""
    holidays: frozenset[date] = frozenset()
    """No hours begin on these days; a night shift that began the day before is worked to its end."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Open from `opens` to `closes`."""

    opens: datetime
    closes: datetime


def is_open(hours: WorkingHours, at: datetime) -> bool:
    """Whether the office answers at that moment. The moment of opening is open, that of closing is not."""
    return stretch_at(hours, at) is not None


def stretch_at(hours: WorkingHours, at: datetime) -> Stretch | None:
    """The stretch this moment is in; None when the office is closed. One that never ends closes a year later."""
    return next((one for one in stretches_from(hours, at) if one.opens <= at), None)


def next_opening(hours: WorkingHours, at: datetime) -> datetime | None:
    """When a closed office opens again; None when it does not within a year."""
    return next((one.opens for one in stretches_from(hours, at) if one.opens > at), None)


def since_last_close(hours: WorkingHours, at: datetime) -> datetime | None:
    """Since when nobody was there: the closing before this working day, or that of the last one while it is closed.

    Monday 09:00, or any time on Monday, tells Friday's close; Monday after work tells Monday's. None when the office never
    closed within a year, or never opened.
    """
    for back in (RECENT, LOOK_DAYS * _DAY):
        working = _joined(_raw(hours, at - back, at + _DAY), LUNCH)
        closed = [one.closes for one in working if one.opens <= at and one.closes <= at]
        if closed:
            return closed[-1]
    return None


def add_working_minutes(hours: WorkingHours, start: datetime, minutes: int) -> datetime | None:
    """The moment by which that many minutes of working time have passed since `start`; `start` itself for none.

    None when the office does not work that long within a year.
    """
    left = timedelta(minutes=minutes)
    if left <= timedelta():
        return start
    for one in stretches_from(hours, start):
        begin = max(one.opens, start)
        if one.closes - begin >= left:
            return begin + left
        left -= one.closes - begin
    return None


def stretches_from(hours: WorkingHours, at: datetime) -> Iterator[Stretch]:
    """Every stretch that closes after this moment, in order, up to a year ahead."""
    begun = _joined(_raw(hours, at - RECENT, at + LOOK_DAYS * _DAY), timedelta())
    return (one for one in begun if one.closes > at)


def _joined(raw: Iterator[Stretch], pause: timedelta) -> Iterator[Stretch]:
    """Stretches that touch, or part for no longer than `pause`, as one."""
    current: Stretch | None = None
    for one in raw:
        if current is None:
            current = one
        elif one.opens - current.closes <= pause:
            current = Stretch(current.opens, max(current.closes, one.closes))
        else:
            yield current
            current = one
    if current is not None:
        yield current


def _raw(hours: WorkingHours, since: datetime, until: datetime) -> Iterator[Stretch]:
    """As they are written, day by day."""
    zone = ZoneInfo(hours.zone)
    day, last = since.astimezone(zone).date() - _DAY, until.astimezone(zone).date()
    while day <= last:
        if day not in hours.holidays:
            for weekday, opens, closes in hours.days:
                if weekday == day.weekday():
                    over = day + _DAY if closes <= opens else day
                    one = Stretch(_utc(day, opens, zone), _utc(over, closes, zone))
                    if one.opens < one.closes:  # a clock set forward may leave nothing of a short one
                        yield one
        day += _DAY


def _utc(day: date, wall: time, zone: tzinfo) -> datetime:
    """What the office's clock shows twice is the first of the two; what it skips is as long after the skip."""
    return datetime.combine(day, wall, zone).astimezone(UTC)


def checked(hours: WorkingHours) -> WorkingHours:
    """The hours in order. Raises PeerMistake when two of them overlap or the zone is unknown."""
    try:
        ZoneInfo(hours.zone)
    except (KeyError, ValueError, OSError) as cause:
        raise PeerMistake("This time zone is not known.", remedy="Write it like Europe/Berlin.") from cause
    ordered = sorted(hours.days)
    for (day, opens, closes), (next_day, next_opens, _) in pairwise([*ordered, *ordered[:1]]):
        if len(ordered) > 1 and _overlap(day, opens, closes, next_day, next_opens):
            raise PeerMistake(
                "Two working times of {weekdays} and {weekdays_2} overlap.",
                remedy="Let the one end before the other begins.",
                values={"weekdays": WEEKDAYS[day], "weekdays_2": WEEKDAYS[next_day]},
            )
    return WorkingHours(hours.zone, tuple(ordered), hours.holidays)


def _overlap(day: int, opens: time, closes: time, next_day: int, next_opens: time) -> bool:
    minutes = 24 * 60
    begin, end = _minute(day, opens), _minute(day, closes)
    length = (end - begin) % minutes or minutes
    ahead = (_minute(next_day, next_opens) - begin) % (_DAYS * minutes)
    return ahead < length


def _minute(day: int, wall: time) -> int:
    return day * 24 * 60 + wall.hour * 60 + wall.minute


def hours_as_json(hours: WorkingHours) -> dict[str, object]:
    """As the office keeps them."""
    return {
        "zone": hours.zone,
        "days": [[day, f"{opens:%H:%M}", f"{closes:%H:%M}"] for day, opens, closes in hours.days],
        "holidays": sorted(one.isoformat() for one in hours.holidays),
    }


def hours_from_json(told: object, *, zone: str = "UTC") -> WorkingHours:
    """The inverse; what is not set or cannot be read is Monday to Friday 9 to 18 in `zone`."""
    if not isinstance(told, dict):
        return WorkingHours(zone)
    try:
        return checked(
            WorkingHours(
                zone=str(told["zone"]),
                days=tuple(
                    (int(day), time.fromisoformat(opens), time.fromisoformat(closes))
                    for day, opens, closes in told["days"]
                ),
                holidays=frozenset(date.fromisoformat(one) for one in told["holidays"]),
            )
        )
    except (KeyError, TypeError, ValueError, PeerMistake):
        return WorkingHours(zone)
