"""A trend as a picture drawn here: bars for the score, a small line for a question. The figures stand beside both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from telephony.reviews import Step, TrendPoint

SHOWN = 12  # steps: a quarter in weeks, a year in months
HEIGHT = 96  # px of a bar of 100 points
LINE_WIDTH, LINE_HEIGHT = 120, 24  # of a question's line, in its own units


@dataclass(frozen=True, slots=True)
class Bar:
    """One step: where it stands in percent of the width, how high in px; `point` is None where nothing was graded."""

    x: float
    width: float
    y: float
    height: float
    since: date
    point: TrendPoint | None


def steps_back(today: date, step: Step, count: int = SHOWN) -> list[date]:
    """The first days of the last steps, oldest first; the last one holds today."""
    first = today.replace(day=1) if step is Step.MONTH else today - timedelta(days=today.weekday())
    found = [first]
    while len(found) < count:
        before = found[-1] - timedelta(days=1)
        found.append(
            before.replace(day=1) if step is Step.MONTH else before - timedelta(days=before.weekday())
        )
    return found[::-1]


def bars(points: Sequence[TrendPoint], steps: Sequence[date]) -> list[Bar]:
    """A bar for each step."""
    by_step = {point.since: point for point in points}
    wide = 100 / len(steps)
    drawn = []
    for place, since in enumerate(steps):
        point = by_step.get(since)
        height = point.mean * HEIGHT / 100 if point else 0.0
        drawn.append(
            Bar(
                round(place * wide + wide * 0.15, 2),
                round(wide * 0.7, 2),
                round(HEIGHT - height, 1),
                round(height, 1),
                since,
                point,
            )
        )
    return drawn


@dataclass(frozen=True, slots=True)
class Line:
    """A question's trend as the points of a line, and where it ends."""

    points: str
    end_x: float
    end_y: float


def line(points: Sequence[TrendPoint], steps: Sequence[date]) -> Line | None:
    """None when there is nothing to draw."""
    places = {since: place for place, since in enumerate(steps)}
    drawn = [
        (
            round(4 + places[point.since] * (LINE_WIDTH - 8) / max(1, len(steps) - 1), 1),
            round(3 + (100 - point.mean) * (LINE_HEIGHT - 6) / 100, 1),
        )
        for point in points
        if point.since in places
    ]
    if not drawn:
        return None
    return Line(" ".join(f"{x},{y}" for x, y in drawn), *drawn[-1])


def change(points: Sequence[TrendPoint]) -> float | None:
    """The last step against the one graded before it, in points; None when there is only one."""
    return points[-1].mean - points[-2].mean if len(points) > 1 else None
