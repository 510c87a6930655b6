"""What can be measured of a sound while it streams past: its waveform, who talked when, and whether it is in good health.

The waveform is the highest sample in each of `PEAKS` equal parts. Who talked is told by energy: every 20 ms of a side
leave one byte, its level, and at the end these bytes say where the noise of the line lies and what stands out of it.
So the memory is one byte a side for 20 ms (165 kB for 55 minutes) and the audio itself is seen once.

`audioop` does the arithmetic: 0.1 s of processor time for 55 minutes of two sides, where a loop over an `array` needs
two seconds and numpy would be a dependency of 60 MB for the same 0.1 s.
"""

from __future__ import annotations

import heapq
import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from call_records.recordings.types import PEAKS, Blanks, Peaks, Span
from telephony.recordings import HealthFault, Measures

with warnings.catch_warnings():
    # Gone from the standard library in 3.13, where audioop-lts brings the same module.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

__all__ = ["FRAMES_A_SECOND", "SAMPLE_BYTES", "SideMeter", "audioop", "blanks", "judge", "peak_byte"]

SAMPLE_BYTES = 2  # everything here is 16 bit, signed, of the machine's own byte order
FULL_SCALE = 32768
FRAMES_A_SECOND = 50  # 20 ms: shorter than any syllable, long enough for one period of the lowest voice

LEVEL_STEP_DB = 0.5
QUIETEST_DB = 20 * math.log10(1 / FULL_SCALE)  # -90.3 dBFS: one step of 16 bit
"""Levels are bytes: 0 is digital silence, then from here upwards in half decibels; full scale is 182."""
FAINTEST = 1  # a frame with any other sample than zero, however few

# Speech on a telephone line lies around -26 dBFS (ITU-T P.56 active level), a faint speaker at -40; a quiet line is below
# -65, a bad one at -50. What stands 9 dB out of the line's own noise is talk, but never below -50 (breathing, the other
# side's echo) and always above -38, so that a side which never pauses (music, a tone) is not taken for its own noise.
NOISE_PART = (
    0.1  # the quietest tenth of what is not digital silence is the line's noise: nobody talks without pauses
)
ABOVE_NOISE_DB = 9.0
TALK_FROM_DB = -50.0
TALK_AT_LATEST_DB = -38.0
CLICK_FRAMES = 2  # up to 40 ms alone is a click, no syllable
PAUSE_FRAMES = 12  # up to 240 ms between two syllables is breath and stops, not silence

HEARD_FRAMES = 15  # a side is heard when it talked 0.3 s in all: one "hello"
ONE_SIDED_SECONDS = 5.0  # a shorter call may well be one person's "wrong number"
CLIPPED_FROM = (
    32124  # the highest sample of G.711 µ-law (A-law has 32256): a frame that reaches it was cut off
)
CLIPPED_FRAMES = 50  # 1 s in all ...
CLIPPED_SHARE = 0.03  # ... and of the frames in which that side talked

# Sound that came over a line is never exact zeros for long (A-law's silence is 8 or -8): where it is, nothing came, or a
# µ-law phone was muted, or the recording was paused.
BLANK_FRAMES = (
    250  # 5 s: a phone that sends nothing while its owner listens does so in shorter pieces, mostly
)
BLANKS_MOST = 100  # of a side, the longest: more tell nothing new, and three hours of a bad line stay 10 kB


def _level_of(rms: int) -> int:
    if rms == 0:
        return 0
    return 1 + round((20 * math.log10(rms / FULL_SCALE) - QUIETEST_DB) / LEVEL_STEP_DB)


LEVELS = bytes(_level_of(rms) for rms in range(FULL_SCALE + 1))
"""The level of each root mean square: a look-up for every 20 ms."""


def _level_at(decibels: float) -> int:
    return 1 + round((decibels - QUIETEST_DB) / LEVEL_STEP_DB)


@dataclass(slots=True)
class SideMeter:
    """One side's waveform and levels, fed in blocks of whole 20 ms frames (only the last block may end inside one)."""

    rate: int
    """Samples a second."""
    expected: int
    """Samples that will come; more or fewer than that only stretch the last part of the waveform."""
    levels: bytearray = field(default_factory=bytearray)
    loudest: int = 0
    clipped_frames: int = 0
    samples: int = 0
    _peaks: bytearray = field(default_factory=bytearray)
    _part: int = 0

    def feed(self, block: bytes) -> None:
        """Measure the next samples of this side."""
        self._measure_levels(block)
        self._measure_peaks(block)
        self.samples += len(block) // SAMPLE_BYTES

    def peaks(self) -> bytes:
        """The waveform, once everything was fed: always PEAKS values."""
        if len(self._peaks) < PEAKS and self._part:
            self._end_part()
        return bytes(self._peaks).ljust(PEAKS, b"\0")

    def _measure_levels(self, block: bytes) -> None:
        step = self.rate // FRAMES_A_SECOND * SAMPLE_BYTES
        view = memoryview(block)
        rms, levels, first = audioop.rms, self.levels, len(self.levels)
        for start in range(0, len(view), step):
            levels.append(LEVELS[rms(view[start : start + step], SAMPLE_BYTES)])
        if levels.find(0, first) >= 0:  # a root mean square below 1 reads as 0, and need not be nothing
            for number, start in enumerate(range(0, len(view), step), first):
                if not levels[number] and audioop.max(view[start : start + step], SAMPLE_BYTES):
                    levels[number] = FAINTEST
        highest = audioop.max(block, SAMPLE_BYTES)
        self.loudest = max(self.loudest, highest)
        if highest >= CLIPPED_FROM:  # rare: only then is it worth looking frame by frame
            frames = (view[start : start + step] for start in range(0, len(view), step))
            self.clipped_frames += sum(audioop.max(frame, SAMPLE_BYTES) >= CLIPPED_FROM for frame in frames)

    def _measure_peaks(self, block: bytes) -> None:
        view = memoryview(block)
        at = self.samples
        while len(view):
            edge = self._edge()
            part = view[: (edge - at) * SAMPLE_BYTES] if edge is not None else view
            self._part = max(self._part, audioop.max(part, SAMPLE_BYTES))
            at += len(part) // SAMPLE_BYTES
            view = view[len(part) :]
            while (edge := self._edge()) is not None and at >= edge:
                self._end_part()

    def _edge(self) -> int | None:
        """Where the part that is being measured ends; the last one has no end, it takes what is left."""
        done = len(self._peaks)
        return (done + 1) * self.expected // PEAKS if done < PEAKS - 1 else None

    def _end_part(self) -> None:
        self._peaks.append(_as_byte(self._part))
        self._part = 0


def peak_byte(sound: bytes) -> int:
    """The highest sample of one side, as the waveform shows it."""
    return _as_byte(audioop.max(sound, SAMPLE_BYTES))


def _as_byte(highest: int) -> int:
    return min(255, (highest * 255 + FULL_SCALE // 2) // FULL_SCALE)


def judge(sides: Sequence[SideMeter], *, truncated: bool) -> tuple[Peaks, Measures, tuple[HealthFault, ...]]:
    """The waveform, the measures and the faults of a sound that was fed whole: one side, or the outside's and ours."""
    talks = [_talk(side.levels) for side in sides]
    duration = max(side.samples / side.rate for side in sides)
    peaks = Peaks(sides[0].peaks(), sides[1].peaks() if len(sides) > 1 else None)
    return peaks, _measures(sides, talks), _faults(sides, talks, duration, truncated=truncated)


def talk_share(side: SideMeter) -> float:
    """Of a sound that was fed whole, the share in which this side talked."""
    return _talk(side.levels).count(1) / max(1, len(side.levels))


def blanks(sides: Sequence[SideMeter]) -> Blanks:
    """Where a side of a sound that was fed whole holds exact zeros for at least 5 s, to 20 ms; mono has no sides."""
    if len(sides) < 2:
        return Blanks()
    return Blanks(outside=_blanks(sides[0]), ours=_blanks(sides[1]))


_BLANK = re.compile(rb"\x00{%d,}" % BLANK_FRAMES)


def _blanks(side: SideMeter) -> tuple[Span, ...]:
    longest = heapq.nlargest(BLANKS_MOST, _BLANK.finditer(side.levels), key=lambda found: len(found[0]))
    end = side.samples / side.rate  # the last frame may be a part of one
    spans = ((one.start() / FRAMES_A_SECOND, min(end, one.end() / FRAMES_A_SECOND)) for one in longest)
    return tuple(sorted(spans))


def _talk(levels: bytearray) -> bytes:
    """1 for every frame in which this side talked, else 0."""
    threshold = _threshold(levels)
    loud = bytes(levels).translate(bytes(level >= threshold for level in range(256)))
    without_clicks = _CLICK.sub(lambda found: bytes(len(found[0])), loud)
    return _PAUSE.sub(lambda found: b"\1" * len(found[0]), without_clicks)


_CLICK = re.compile(rb"(?<!\x01)\x01{1,%d}(?!\x01)" % CLICK_FRAMES)
_PAUSE = re.compile(rb"(?<=\x01)\x00{1,%d}(?=\x01)" % PAUSE_FRAMES)


def _threshold(levels: bytearray) -> int:
    """The level from which on a frame is talk: so much above the noise of this line, within bounds."""
    sounding = len(levels) - levels.count(0)
    quieter, noise = 0, 0
    for level in range(1, 256):
        quieter += levels.count(level)
        noise = level
        if quieter >= NOISE_PART * sounding:
            break
    wanted = noise + round(ABOVE_NOISE_DB / LEVEL_STEP_DB)
    return min(max(wanted, _level_at(TALK_FROM_DB)), _level_at(TALK_AT_LATEST_DB))


def _measures(sides: Sequence[SideMeter], talks: Sequence[bytes]) -> Measures:
    frames = max(1, *map(len, talks)) if len(talks) > 1 else max(1, len(talks[0]))
    anybody = _either(talks)
    silent_frames, silent_at = _longest_silence(anybody)
    two = len(talks) > 1
    return Measures(
        outside_talk_share=talks[0].count(1) / frames if two else None,
        ours_talk_share=talks[1].count(1) / frames if two else None,
        overlap_share=_bits(talks[0], talks[1]) / frames if two else None,
        silence_share=anybody.count(0) / frames,
        longest_silence_seconds=silent_frames / FRAMES_A_SECOND,
        longest_silence_at_seconds=silent_at / FRAMES_A_SECOND,
        loudest=min(1.0, max(side.loudest for side in sides) / (FULL_SCALE - 1)),
    )


def _either(talks: Sequence[bytes]) -> bytes:
    if len(talks) == 1:
        return talks[0]
    length = max(map(len, talks))
    joined = _number(talks[0], length) | _number(talks[1], length)
    return joined.to_bytes(length, "little")


def _bits(one: bytes, other: bytes) -> int:
    """In how many frames both talk."""
    length = max(len(one), len(other))
    return (_number(one, length) & _number(other, length)).bit_count()


def _number(talk: bytes, length: int) -> int:
    return int.from_bytes(talk.ljust(length, b"\0"), "little")


def _longest_silence(anybody: bytes) -> tuple[int, int]:
    """Its frames, and the frame where it begins; nothing at 0 when somebody talks all the time."""
    longest, at = 0, 0
    for silence in re.finditer(rb"\x00+", anybody):
        if len(silence[0]) > longest:
            longest, at = len(silence[0]), silence.start()
    return longest, at


def _faults(
    sides: Sequence[SideMeter], talks: Sequence[bytes], duration: float, *, truncated: bool
) -> tuple[HealthFault, ...]:
    heard = [talk.count(1) >= HEARD_FRAMES for talk in talks]
    one_sided = len(sides) > 1 and duration >= ONE_SIDED_SECONDS and any(heard)
    found = {
        HealthFault.SILENT: not any(heard),
        HealthFault.OUTSIDE_SILENT: one_sided and not heard[0],
        HealthFault.OURS_SILENT: one_sided and not heard[-1],
        HealthFault.CLIPPED: any(map(_is_clipped, sides, talks)),
        HealthFault.TRUNCATED: truncated,
    }
    return tuple(fault for fault, is_so in found.items() if is_so)


def _is_clipped(side: SideMeter, talk: bytes) -> bool:
    return side.clipped_frames >= CLIPPED_FRAMES and side.clipped_frames >= CLIPPED_SHARE * talk.count(1)
