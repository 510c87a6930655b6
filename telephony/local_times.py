"""Times that an event log wrote in local time, corrected by what the calls themselves say.

A channel's Uniqueid holds the second in which it began, in Unix time, whatever the clock on the wall shows. So the row of
a beginning tells the zone: what the log shows, minus the id's second. Zones differ by quarters of an hour, the two
moments by less than seconds. When clocks change in the middle of a log, each row takes the zone that fits its place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from telephony.errors import NeedsPerson
from telephony.ids import uid_order

QUARTER_SECONDS = 900.0  # every zone in use differs from UTC by a multiple of it
MOST_SECONDS = 15 * 3600.0  # zones reach from -12 to +14 hours
LATE_SECONDS = 120.0  # a row may be written so much later than its channel began, on a PBX that is busy
OUT_OF_ORDER_SECONDS = 120.0  # rows of one log follow each other in time, but for a slow writer
HALF_HOUR_SECONDS = 1_800.0


@dataclass(frozen=True, slots=True)
class ShownTime:
    """One row's time without a zone."""

    seconds: float
    """As if it were UTC, in Unix seconds."""
    uid: str
    begins: bool
    """Whether the row is the beginning of its channel."""


def offset_of(shown: ShownTime) -> float | None:
    """The zone's distance from UTC in seconds, east positive, that a beginning shows; None when it shows none."""
    began_at = uid_order(shown.uid)[0]
    if not shown.begins or not began_at:
        return None
    difference = shown.seconds - began_at
    offset = round(difference / QUARTER_SECONDS) * QUARTER_SECONDS
    fits = abs(difference - offset) <= LATE_SECONDS and abs(offset) <= MOST_SECONDS
    return offset if fits else None


def offsets_in(rows: Iterable[ShownTime]) -> set[float]:
    """Every zone that these rows show: two when clocks were changed among them. Raises NeedsPerson when none fits."""
    beginnings = [row for row in rows if row.begins and uid_order(row.uid)[0]]
    found = {offset for row in beginnings if (offset := offset_of(row)) is not None}
    if beginnings and not found:
        raise NeedsPerson(
            "The times of the channel event log fit no time zone: they are not those at which its calls began.",
            remedy="Let Asterisk write them as seconds (dateformat = %s.%6q in cel.conf, or usegmtime = yes for a table).",
        )
    return found


def true_times(rows: Sequence[ShownTime], before: float | None = None) -> tuple[list[float], float | None]:
    """Unix seconds of each row, in the order of writing; and the zone of the last of them.

    `before`: the zone of the rows that were read before these; it serves where no call begins.
    Raises NeedsPerson when what is shown cannot be a local time.
    """
    offsets = sorted(offsets_in(rows))
    if not offsets:
        offset = before if before is not None else _guessed(rows)
        return [row.seconds - offset for row in rows], before
    if len(offsets) == 1:
        return [row.seconds - offsets[0] for row in rows], offsets[0]
    return _around_a_change(rows, offsets)


def _guessed(rows: Sequence[ShownTime]) -> float:
    """No beginning is among them: what came soonest after its channel's beginning decides, in half hours."""
    ages = [row.seconds - began_at for row in rows if (began_at := uid_order(row.uid)[0])]
    if not ages:
        return 0.0
    offset = (min(ages) + LATE_SECONDS) // HALF_HOUR_SECONDS * HALF_HOUR_SECONDS
    return offset if abs(offset) <= MOST_SECONDS else 0.0


def _around_a_change(rows: Sequence[ShownTime], offsets: list[float]) -> tuple[list[float], float]:
    beginnings = [
        (index, row.seconds - offset, offset)
        for index, row in enumerate(rows)
        if (offset := offset_of(row)) is not None
    ]
    places = [index for index, _, _ in beginnings]
    began_at = {rows[index].uid: at for index, at, _ in beginnings}
    offset_at = {index: offset for index, _, offset in beginnings}
    times: list[float] = []
    last_at, last_offset = beginnings[0][1], beginnings[0][2]
    for index, row in enumerate(rows):
        if index in offset_at:
            offset = offset_at[index]
        else:
            following = bisect_right(places, index)
            until = beginnings[following][1] if following < len(beginnings) else float("inf")
            since = began_at.get(row.uid, float("-inf"))
            offset = _fitting(row.seconds, offsets, since, last_at if times else None, until, last_offset)
        last_at, last_offset = row.seconds - offset, offset
        times.append(last_at)
    return times, last_offset


def _fitting(
    shown: float, offsets: Sequence[float], since: float, last_at: float | None, until: float, usual: float
) -> float:
    """The zone with which a row lies behind its channel's beginning, and between the rows beside it."""
    floor = max(since - 2.0, float("-inf") if last_at is None else last_at - OUT_OF_ORDER_SECONDS)
    fitting = [one for one in offsets if floor <= shown - one <= until + OUT_OF_ORDER_SECONDS]
    later = fitting or [one for one in offsets if shown - one >= since - 2.0]
    return max(later, default=usual)  # the earliest moment of those that fit: nothing lies between


def zone_named(offset: float) -> str:
    """`UTC+5:30` of 19800 seconds."""
    minutes = round(offset / 60)
    return f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02}"
