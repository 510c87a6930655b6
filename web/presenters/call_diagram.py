"""The call as one picture: a row per party, time to the right, a bar for everything a party was doing.

Only geometry here: the template draws it. The horizontal axis is in percent, so the picture fits any width;
rows are in pixels. Long silences are not compressed: a minute looks like a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from telephony.call_facts.facts import CallFacts, Interval, Leg, LegRole, PartyKind
from web.presenters.labels import DOING_WORDS, Named, Names, duration

ROW_HEIGHT = 32  # px: a finger can still hit it
LEAST_WIDTH = 0.6  # % of the picture: a one-second ring in an hour's call stays visible
STEPS = (
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    14400,
)  # s between marks of the time axis
MOST_MARKS = 7  # labels of `12:00` still apart at 390 px


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing a party was doing. `x` and `width` in percent."""

    doing: str
    x: float
    width: float
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """One party. `y` is the top of its row in pixels."""

    who: Named
    y: int
    bars: tuple[Bar, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A hand-over from one row to another at `x` percent."""

    x: float
    from_y: int
    to_y: int
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A label of the time axis, counted from the beginning of the call."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything the template needs to draw the call."""

    rows: tuple[Row, ...]
    arrows: tuple[Arrow, ...]
    marks: tuple[Mark, ...]
    height: int
    doings: tuple[str, ...]
    """What occurs in it, for the legend."""


def draw(facts: CallFacts, names: Names, now: datetime) -> Picture:
    """The picture of the call as it stands at `now` (only used while the call lasts)."""
    end = facts.ended_at or max(now, facts.started_at)
    span = span_seconds(facts, now)

    def at(moment: datetime) -> float:
        return round(min(max((moment - facts.started_at).total_seconds() / span, 0.0), 1.0) * 100, 2)

    parties: dict[str, list[Leg]] = {}
    for leg in facts.legs:
        if leg.kind is not PartyKind.SERVICE or leg.intervals:
            parties.setdefault(leg.party, []).append(leg)
    ordered = sorted(parties.items(), key=lambda item: _first_moment(item[1], facts))
    rows: list[Row] = []
    top_of: dict[str, int] = {}
    for index, (party, legs) in enumerate(ordered):
        y = index * ROW_HEIGHT
        top_of[party] = y
        intervals = [interval for leg in legs for interval in _doing(leg, end)]
        bars = []
        for interval in intervals:
            left, right = at(interval.since), at(interval.until or end)
            width = max(right - left, LEAST_WIDTH)
            seconds = ((interval.until or end) - interval.since).total_seconds()
            word = DOING_WORDS.get(interval.doing, interval.doing)
            bars.append(
                Bar(interval.doing, min(left, 100 - LEAST_WIDTH), width, f"{word} {duration(seconds)}")
            )
        talked = sum(leg.talk_seconds for leg in legs)
        summary = duration(talked) if talked else ""
        rows.append(Row(names.leg(legs[-1], facts), y, tuple(bars), summary))
    arrows = tuple(
        Arrow(at(t.at), top_of[t.by], top_of[t.to], str(names.party(t.to, facts)))
        for t in facts.transfers
        if t.by in top_of and t.to in top_of and t.by != t.to
    )
    doings = tuple(word for word in DOING_WORDS if any(bar.doing == word for row in rows for bar in row.bars))
    return Picture(tuple(rows), arrows, _marks(span), max(len(rows), 1) * ROW_HEIGHT, doings)


def span_seconds(facts: CallFacts, now: datetime) -> float:
    """How long the picture is: 100 % of its axis, which recordings are laid under."""
    end = facts.ended_at or max(now, facts.started_at)
    return max((end - facts.started_at).total_seconds(), 1.0)


def _first_moment(legs: list[Leg], facts: CallFacts) -> tuple[bool, datetime]:
    """The caller's row is on top, then everybody in the order in which they came in."""
    first = legs[0]
    began = first.rang_at or first.answered_at or (first.intervals[0].since if first.intervals else None)
    return (first.role is not LegRole.CALLER, began or facts.started_at)


def _doing(leg: Leg, end: datetime) -> list[Interval]:
    """The leg's own intervals, or the two that its moments tell when none were kept."""
    if leg.intervals:
        return list(leg.intervals)
    told: list[Interval] = []
    if leg.rang_at:
        told.append(Interval("ringing", leg.rang_at, leg.answered_at or leg.ended_at or end))
    if leg.answered_at:
        told.append(Interval("talking", leg.answered_at, leg.ended_at or end))
    return told


def _marks(span: float) -> tuple[Mark, ...]:
    step = next((step for step in STEPS if span / step <= MOST_MARKS), STEPS[-1])
    count = int(span // step)
    return tuple(Mark(round(i * step / span * 100, 2), duration(i * step)) for i in range(count + 1))
