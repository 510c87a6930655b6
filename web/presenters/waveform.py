"""The sound of a recording as a picture: the outside party above the middle line, ours below it.

Only geometry: peaks and moments in, paths and percentages out; the template draws them. The two sides share one
scale, so that a quiet voice looks quiet beside a loud one, and a recording of nothing but line noise stays flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from call_records.recordings.types import Peaks

HALF = 32  # units of the drawing on each side of the middle line
LEAST_SCALE = (
    48  # of 255: noise of an open line stays below a tenth of it, the quietest speech seen reached it
)
CURVE = 0.7  # below 1 lifts quiet speech: at 1 a normal voice beside one shout is a hairline
SILENT_LEVEL = 4  # of 255, -36 dBFS; comfort noise of phones lies at -60 to -50, breathing below -40
SILENCE_SECONDS = 2.0  # shorter pauses belong to how people talk
LEAST_WIDTH = 0.5  # % of the axis: a recording of a second in an hour's call can still be seen


@dataclass(frozen=True, slots=True)
class Waveform:
    """Two outlines in a box `parts` wide and 2 × HALF high. `ours` is None for a mono recording, whose outline is
    mirrored.
    """

    parts: int
    outside: str
    ours: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something lies, in percent of what it lies on."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Axis:
    """What 0 % and 100 % are: the beginning and the length of the picture a recording is drawn under."""

    begin: datetime
    seconds: float

    def place(self, begin: datetime, seconds: float) -> Place:
        """Where a span of time lies; what sticks out is cut off."""
        left = min(max((begin - self.begin).total_seconds() / self.seconds * 100, 0.0), 100 - LEAST_WIDTH)
        right = (begin - self.begin).total_seconds() / self.seconds * 100 + seconds / self.seconds * 100
        return Place(round(left, 3), round(min(max(right - left, LEAST_WIDTH), 100 - left), 3))


def axis_over(spans: Sequence[tuple[datetime, float]]) -> Axis:
    """The axis that just holds these spans (beginning, seconds); there is at least one."""
    begin = min(at for at, _ in spans)
    end = max((at - begin).total_seconds() + seconds for at, seconds in spans)
    return Axis(begin, max(end, 1.0))


def within(seconds: float, since: float, until: float) -> Place | None:
    """A span of a recording that lasts `seconds`, in percent of it; None when nothing of it is inside."""
    left, right = max(since, 0.0), min(until, seconds)
    if seconds <= 0 or right < left or since > seconds or until < 0:
        return None
    return Place(round(left / seconds * 100, 3), round((right - left) / seconds * 100, 3))


def outline(peaks: Peaks) -> Waveform:
    """The two halves of the picture."""
    loudest = max((*peaks.left, *(peaks.right or b""), LEAST_SCALE))
    if peaks.right is None:
        heights = _heights(peaks.left, loudest)
        mirrored = _path(heights, -1, close=False) + _back(heights)
        return Waveform(len(peaks.left), mirrored, None)
    return Waveform(
        max(len(peaks.left), len(peaks.right)),
        _path(_heights(peaks.left, loudest), -1),
        _path(_heights(peaks.right, loudest), 1),
    )


def _heights(side: bytes, loudest: int) -> list[int]:
    return [round((level / loudest) ** CURVE * HALF) for level in side]


def _path(heights: Sequence[int], direction: int, *, close: bool = True) -> str:
    """Steps of one unit, from the middle line outwards; relative commands, because most of them are two bytes."""
    steps, now, run = [f"M0 {HALF}"], 0, 0
    for height in heights:
        if height != now:
            steps.append((f"h{run}" if run else "") + f"v{(height - now) * direction}")
            now, run = height, 0
        run += 1
    steps.append(f"h{run}")
    return "".join(steps) + (f"V{HALF}z" if close else "")


def _back(heights: Sequence[int]) -> str:
    """The mirrored lower half of a mono outline, from the right end back to the left."""
    steps, now, run = [f"V{HALF}"], 0, 0
    for height in reversed(heights):
        if height != now:
            steps.append((f"h-{run}" if run else "") + f"v{height - now}")
            now, run = height, 0
        run += 1
    steps.append(f"h-{run}")
    return "".join(steps) + f"V{HALF}z"


def silences(peaks: Peaks, seconds: float) -> tuple[tuple[float, float], ...]:
    """Where nobody can be heard on either side for longer than SILENCE_SECONDS, in seconds.

    A part counts as silent only when its loudest sample is, so in a long recording, whose parts are seconds long,
    a silence is found a little shorter than it is, never longer.
    """
    count = len(peaks.left)
    if not count or seconds <= 0:
        return ()
    right = peaks.right or bytes(count)
    quiet = [max(pair) < SILENT_LEVEL for pair in zip(peaks.left, right, strict=False)]
    part = seconds / count
    spans = ((first * part, (last + 1) * part) for first, last in _runs(quiet))
    return tuple((round(a, 2), round(b, 2)) for a, b in spans if b - a > SILENCE_SECONDS)


def _runs(flags: Iterable[bool]) -> Iterable[tuple[int, int]]:
    """First and last index of each unbroken run of True."""
    first: int | None = None
    last = -1
    for last, flag in enumerate(flags):
        if flag and first is None:
            first = last
        if not flag and first is not None:
            yield first, last - 1
            first = None
    if first is not None:
        yield first, last
