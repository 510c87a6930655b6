"""Files on their way into the encoder: one read from its beginning to its end, or stretches of several laid on one axis.

Where each channel has a track of its own, the call's recording is put together here: of every file only the stretches
that belong to the call are read, each is set to its place, and what overlaps (three people in one conversation) is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from call_records.recordings.encoding.measurement import SAMPLE_BYTES, SideMeter, audioop, talk_share
from call_records.recordings.encoding.sources import OPUS_RATES, Sound, open_sound
from call_records.recordings.encoding.types import TrackPiece
from telephony.recordings import PersonShare

BOTH = (0.5, 0.5)
"""Of a file with two channels: what is taken of each."""
BLOCK_SECONDS = 1.0  # of a file at a time, however much of it is skipped

PlacedTrack = tuple[TrackPiece, "TrackReader"]


def encoding_rate(rates: Iterable[int]) -> int:
    """The lowest rate of the encoder that loses nothing of these."""
    highest = max(rates)
    return next((rate for rate in OPUS_RATES if rate >= highest), OPUS_RATES[-1])


def open_pieces(pieces: Iterable[TrackPiece]) -> list[tuple[TrackPiece, Sound]]:
    """Every piece with its file open at the beginning. Raises as `open_sound`, and then leaves none open."""
    opened: list[tuple[TrackPiece, Sound]] = []
    try:
        for piece in pieces:
            opened.append((piece, open_sound(piece.path)))
    except BaseException:
        for _, sound in opened:
            sound.close()
        raise
    return opened


class TrackReader:
    """One file, or a stretch of it, as one channel at the rate it will be encoded with; nothing where there is no file."""

    def __init__(
        self,
        sound: Sound | None,
        rate: int,
        stretch: tuple[float, float] | None = None,
        *,
        take: tuple[float, float] = BOTH,
    ) -> None:
        """`stretch`: from and to, in seconds of the file; None is all of it."""
        self._sound = sound
        self._take = take
        self._state: Any = None
        self._ready = bytearray()
        self._read = 0
        self._skip = round(stretch[0] * rate) if stretch else 0
        self._left = round((stretch[1] - stretch[0]) * rate) if stretch else None
        self.rate = rate

    @property
    def samples(self) -> int:
        """How many will come, at this track's rate."""
        whole = self._sound.samples * self.rate // self._sound.rate if self._sound else 0
        return whole if self._left is None else self._left

    @property
    def truncated(self) -> bool:
        """Whether the file ended before its header said."""
        return self._sound is not None and self._sound.truncated

    @property
    def seconds_read(self) -> float:
        """How much came so far."""
        return self._read / self.rate

    def read(self, samples: int) -> bytes:
        """Exactly so many samples; fewer at the end, then nothing."""
        while self._skip and (skipped := len(self._next(min(self._skip, self.rate))) // SAMPLE_BYTES):
            self._skip -= skipped
        ready = self._next(samples if self._left is None else min(samples, self._left))
        taken = len(ready) // SAMPLE_BYTES
        self._read += taken
        if self._left is not None:
            self._left -= taken
        return ready

    def _next(self, samples: int) -> bytes:
        wanted = samples * SAMPLE_BYTES
        while len(self._ready) < wanted and self._sound is not None:
            block = self._sound.read(round(BLOCK_SECONDS * self._sound.rate))
            if not block:
                break
            self._ready += self._at_rate(self._mono(block, self._sound), self._sound)
        ready = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        return ready

    def _mono(self, block: bytes, sound: Sound) -> bytes:
        return block if sound.channels == 1 else audioop.tomono(block, SAMPLE_BYTES, *self._take)

    def _at_rate(self, block: bytes, sound: Sound) -> bytes:
        if sound.rate == self.rate:
            return block
        converted, self._state = audioop.ratecv(block, SAMPLE_BYTES, 1, sound.rate, self.rate, self._state)
        return converted

    def close(self) -> None:
        """Close the file."""
        if self._sound is not None:
            self._sound.close()


class Timeline:
    """One side of a joined recording: stretches of files at their places, silence between them."""

    def __init__(self, placed: Sequence[PlacedTrack], rate: int, end_seconds: float) -> None:
        self._placed = sorted(placed, key=lambda one: one[0].at_seconds)
        self._at = 0
        self.rate = rate
        self.samples = round(end_seconds * rate)
        self._meters = {piece.party: SideMeter(rate, self.samples) for piece, _ in self._placed}

    @property
    def truncated(self) -> bool:
        """Whether one of the files ended before its header said."""
        return any(reader.truncated for _, reader in self._placed)

    @property
    def seconds_read(self) -> float:
        """How much came so far."""
        return self._at / self.rate

    def read(self, samples: int) -> bytes:
        """Exactly so many samples; fewer at the end, then nothing."""
        count = min(samples, self.samples - self._at)
        mixed = bytes(count * SAMPLE_BYTES)
        for party, meter in self._meters.items():
            voice = self._voice_of(party, count)
            meter.feed(voice)
            mixed = audioop.add(mixed, voice, SAMPLE_BYTES)
        self._at += count
        return mixed

    def _voice_of(self, party: str, count: int) -> bytes:
        voice = bytes(count * SAMPLE_BYTES)
        for piece, reader in self._placed:
            before = round(piece.at_seconds * self.rate) + round(reader.seconds_read * self.rate) - self._at
            if piece.party != party or before >= count:
                continue
            sound = reader.read(count - max(0, before))
            placed = bytes(max(0, before) * SAMPLE_BYTES) + sound
            voice = audioop.add(voice, placed.ljust(len(voice), b"\0"), SAMPLE_BYTES)
        return voice

    def people(self) -> tuple[PersonShare, ...]:
        """How much each talked, in order of their first stretch; after everything was read."""
        return tuple(PersonShare(party, talk_share(meter)) for party, meter in self._meters.items())

    def close(self) -> None:
        """Close the files."""
        for _, reader in self._placed:
            reader.close()
