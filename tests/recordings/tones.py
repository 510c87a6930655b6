"""Which tone is heard when on one side of a recording: the ear of every test that asks who can be heard.

Everybody in a played call speaks a tone of their own. A side is cut into tenths of a second; a tone is heard in one when it
has most of its power. A tenth of a second tells tones 10 Hz apart, and speech or music never has its power in one of them.

    ours = Side.of_wav(path)
    ours.heard(AGENT)                  [(0.0, 1.5), (7.2, 9.0)]
    ours.share(AGENT, 0.2, 1.4)        1.0
"""

from __future__ import annotations

import math
import sys
import wave
from array import array
from dataclasses import dataclass, field
from functools import cache
from operator import mul
from pathlib import Path
from typing import Self

WINDOW_SECONDS = 0.1
STEPS_PER_WINDOW = 2  # windows overlap by half, so that an edge is known to 0.05 s
TONE_SHARE = (
    0.6  # of the power; a tone alone has 0.99 in A-law and 0.9 in Opus at 21 kbit/s, speech hardly 0.3
)
QUIET = 50.0  # root mean square of 16-bit samples; the lab's tones have 5,700, comfort noise below 20

Span = tuple[float, float]


@dataclass(slots=True)
class Side:
    """One side's samples (16 bit) and what can be heard in them. Times are seconds from the audio's beginning."""

    samples: array[int]
    rate: int
    _shares: dict[float, list[float]] = field(default_factory=dict)

    @classmethod
    def of_wav(cls, path: Path) -> Self:
        """A mono WAV file of 16-bit samples. One that holds a header only has no samples."""
        with wave.open(str(path)) as sound:
            if sound.getnchannels() != 1 or sound.getsampwidth() != 2:
                raise ValueError(f"{path} is not mono with 16 bits")
            return cls.of_pcm(sound.readframes(sound.getnframes()), sound.getframerate())

    @classmethod
    def of_pcm(cls, pcm: bytes, rate: int, *, channel: int = 0, channels: int = 1) -> Self:
        """One channel of interleaved signed 16-bit little-endian samples."""
        samples = array("h")
        samples.frombytes(pcm[: len(pcm) - len(pcm) % 2])
        if sys.byteorder == "big":
            samples.byteswap()
        return cls(samples[channel::channels], rate)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def heard(self, hz: float) -> list[Span]:
        """When a tone is heard, as spans in order."""
        spans: list[Span] = []
        for index, share in enumerate(self._shares_of(hz)):
            if share < TONE_SHARE:
                continue
            since = index * self._step / self.rate
            until = since + WINDOW_SECONDS
            if spans and since <= spans[-1][1] + 1e-9:
                spans[-1] = (spans[-1][0], until)
            else:
                spans.append((since, until))
        return spans

    def share(self, hz: float, since: float, until: float) -> float:
        """Of the time between two moments, the share in which a tone is heard. 0 where there is no audio."""
        if until <= since:
            return 0.0
        return sum(max(0.0, min(b, until) - max(a, since)) for a, b in self.heard(hz)) / (until - since)

    def silent(self, since: float, until: float) -> bool:
        """Whether every sample between two moments is exactly zero, and there are any."""
        part = self.samples[round(since * self.rate) : round(until * self.rate)]
        return len(part) > 0 and not any(part)

    def zeros(self) -> list[Span]:
        """Spans of at least a tenth of a second in which every sample is exactly zero."""
        spans: list[Span] = []
        began: int | None = None
        for index, sample in enumerate([*self.samples, 1]):
            if sample == 0:
                began = index if began is None else began
            elif began is not None:
                if index - began >= WINDOW_SECONDS * self.rate:
                    spans.append((began / self.rate, index / self.rate))
                began = None
        return spans

    @property
    def _step(self) -> int:
        return round(WINDOW_SECONDS * self.rate) // STEPS_PER_WINDOW

    def _shares_of(self, hz: float) -> list[float]:
        if hz not in self._shares:
            length = round(WINDOW_SECONDS * self.rate)
            self._shares[hz] = [
                _share(self.samples[at : at + length], hz, self.rate)
                for at in range(0, len(self.samples) - length + 1, self._step)
            ]
        return self._shares[hz]


def _share(window: array[int], hz: float, rate: int) -> float:
    """The part of a window's power that one frequency has."""
    power = sum(map(mul, window, window))
    if power < len(window) * QUIET**2:
        return 0.0
    sines, cosines = _table(hz, rate, len(window))
    along, across = sum(map(mul, window, sines)), sum(map(mul, window, cosines))
    return float((along * along + across * across) * 2 / (power * len(window)))


@cache
def _table(hz: float, rate: int, length: int) -> tuple[array[float], array[float]]:
    turn = 2 * math.pi * hz / rate
    return (
        array("d", (math.sin(turn * n) for n in range(length))),
        array("d", (math.cos(turn * n) for n in range(length))),
    )
