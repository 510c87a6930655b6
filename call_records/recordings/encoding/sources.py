"""Reading what a PBX wrote, whatever its header says: 16 bit samples in blocks, as many as the file really holds.

Asterisk writes the length into a WAV header when it closes the file. One that was killed, or whose disk was full, leaves
a header that promises more than there is, or a length of zero before a whole conversation. What is there is read, and
the recording is flagged. Plain WAV (16 bit, A-law, µ-law), which is nearly everything, is read without a decoder;
everything else (wav49, which is GSM in a WAV, or what another system recorded) goes through PyAV.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import av
from av.audio.resampler import AudioResampler

from call_records.recordings.encoding.measurement import SAMPLE_BYTES, audioop
from call_records.recordings.encoding.types import Unreadable

OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
"""What the encoder takes; anything else is converted to the next one."""
DECODED_RATE = 16000  # what a decoded file is read at: telephones give 8 or 16 kHz, and more would be empty
READABLE = "wav,w64,gsm,mp3,ogg,mov,mp4,m4a,flac,aac,au,aiff"
"""Formats FFmpeg may recognise. Play lists are none: they name other files and addresses, and a recording comes from
outside."""

_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE
_UNFINISHED = (0, 0xFFFFFFFF)  # lengths that stand in a header which was never completed
_RATES = range(4_000, 192_001)  # a header with another one is damaged; converting it would take minutes
_HEADER_BYTES = 64 * 1024  # before the audio; Asterisk writes 44, other recorders a few hundred


class Sound(Protocol):
    """An opened file. Samples come interleaved when it has two channels."""

    rate: int
    channels: int
    samples: int
    """Per channel: exact for a plain WAV, else what the file says of itself."""
    truncated: bool
    """Known to have ended early; for what is decoded only after the last block."""

    def read(self, samples: int) -> bytes:
        """Up to so many samples per channel; fewer only at the end, then nothing."""

    def close(self) -> None: ...


def open_sound(path: Path) -> Sound:
    """Open whatever a PBX may have written. Raises Unreadable for what is no sound, OSError for what is no file."""
    header = _wav_header(path)
    if header is not None and header.is_plain:
        return PlainWav(path, header)
    return DecodedSound(path, header)


@dataclass(frozen=True, slots=True)
class _WavHeader:
    form: int
    channels: int
    rate: int
    bytes_a_second: int
    bits: int
    data_at: int
    data_bytes: int
    """What is really there."""
    truncated: bool

    @property
    def is_plain(self) -> bool:
        bits = {_PCM: 16, _ALAW: 8, _ULAW: 8}.get(self.form)
        return bits == self.bits and self.channels in (1, 2) and self.rate in _RATES


def _wav_header(path: Path) -> _WavHeader | None:
    """What a WAV says of itself, set right by how long the file is; None when it is no WAV."""
    with path.open("rb") as file:
        start = file.read(_HEADER_BYTES)
        length = file.seek(0, 2)
    if start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        return None
    form: tuple[int, int, int, int, int] | None = None
    at = 12
    while at + 8 <= len(start):
        name, size = start[at : at + 4], struct.unpack_from("<I", start, at + 4)[0]
        if name == b"fmt " and at + 24 <= len(start):
            form = _form(start, at + 8, size)
        if name == b"data":
            return _with_data(form, at + 8, size, length) if form else None
        at += 8 + size + size % 2
    return None


def _form(start: bytes, at: int, size: int) -> tuple[int, int, int, int, int]:
    kind, channels, rate, bytes_a_second, _, bits = struct.unpack_from("<HHIIHH", start, at)
    if kind == _EXTENSIBLE and size >= 26 and at + 26 <= len(start):
        kind = struct.unpack_from("<H", start, at + 24)[0]
    return kind, channels, rate, bytes_a_second, bits


def _with_data(form: tuple[int, int, int, int, int], at: int, promised: int, length: int) -> _WavHeader:
    there = max(0, length - at)
    if promised > there or (promised in _UNFINISHED and there):
        return _WavHeader(*form, data_at=at, data_bytes=there, truncated=True)
    return _WavHeader(*form, data_at=at, data_bytes=promised, truncated=False)


class PlainWav:
    """A WAV of 16 bit samples, A-law or µ-law."""

    def __init__(self, path: Path, header: _WavHeader) -> None:
        self.rate = header.rate
        self.channels = header.channels
        self.truncated = header.truncated
        self._form = header.form
        self._sample = header.channels * (SAMPLE_BYTES if header.form == _PCM else 1)
        self._left = header.data_bytes // self._sample
        self.samples = self._left
        self._file: BinaryIO = path.open("rb")
        self._file.seek(header.data_at)

    def read(self, samples: int) -> bytes:
        """Up to so many samples per channel."""
        raw = self._file.read(min(samples, self._left) * self._sample)
        raw = raw[: len(raw) // self._sample * self._sample]
        self._left -= len(raw) // self._sample
        if self._form == _ALAW:
            return audioop.alaw2lin(raw, SAMPLE_BYTES)
        return audioop.ulaw2lin(raw, SAMPLE_BYTES) if self._form == _ULAW else raw

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class DecodedSound:
    """Anything PyAV can decode, as 16 bit samples at `DECODED_RATE`."""

    rate = DECODED_RATE

    def __init__(self, path: Path, header: _WavHeader | None = None) -> None:
        try:
            self._file = av.open(
                str(path), options={"format_whitelist": READABLE, "protocol_whitelist": "file"}
            )
        except (av.error.FFmpegError, ValueError) as cause:
            raise _refused(path, cause) from cause
        if not self._file.streams.audio or self._file.streams.audio[0].codec_context is None:
            self._file.close()
            raise Unreadable(f"There is no sound in {path.name} that can be decoded.", remedy=_LOOK)
        self._name = path.name
        stream = self._file.streams.audio[0]
        if stream.codec_context.sample_rate not in _RATES:
            self._file.close()
            raise Unreadable(f"{path.name} says it has {stream.codec_context.sample_rate} samples a second.")
        self.channels = 2 if stream.codec_context.channels == 2 else 1
        self.truncated = header is not None and header.truncated
        self.samples = round(self._seconds(header) * self.rate)
        layout = "stereo" if self.channels == 2 else "mono"
        self._resampler = AudioResampler("s16", layout, self.rate)
        self._pieces = self._decode()
        self._ready = bytearray()

    def _seconds(self, header: _WavHeader | None) -> float:
        if header is not None and header.bytes_a_second:
            return header.data_bytes / header.bytes_a_second
        return (self._file.duration or 0) / 1_000_000

    def _decode(self) -> Iterator[bytes]:
        something = False
        try:
            for frame in itertools.chain(
                self._file.decode(audio=0), [None]
            ):  # None: what the resampler still holds
                for piece in self._resampler.resample(frame):
                    something = True
                    yield bytes(piece.planes[0])[: piece.samples * self.channels * SAMPLE_BYTES]
        except (av.error.FFmpegError, ValueError) as cause:
            if not something:
                raise _refused(Path(self._name), cause) from cause
            self.truncated = True  # what was decoded until here is kept

    def read(self, samples: int) -> bytes:
        """Up to so many samples per channel."""
        wanted = samples * self.channels * SAMPLE_BYTES
        while len(self._ready) < wanted:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._ready += piece
        block = bytes(self._ready[:wanted])
        del self._ready[:wanted]
        return block

    def close(self) -> None:
        """Close the file."""
        self._file.close()


_LOOK = "Play the file at the PBX; if it cannot be played there either, its audio is lost."


def _refused(path: Path, cause: Exception) -> Exception:
    if isinstance(cause, FileNotFoundError | PermissionError):
        return cause
    return Unreadable(f"{path.name} is no sound file that can be read.", remedy=_LOOK)
