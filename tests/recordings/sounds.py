"""Sounds for tests: tones that tell who is who, silence, and the WAV files a PBX would make of them."""

from __future__ import annotations

import array
import math
import struct
import wave
from pathlib import Path

from call_records.recordings.encoding.measurement import audioop

RATE = 8000


def tone(hertz: int, seconds: float, *, level: float = 0.3, rate: int = RATE) -> bytes:
    """A tone that starts at zero; `level` is of full scale. A second holds whole periods, so one is made and repeated."""
    step = 2 * math.pi * hertz / rate
    second = array.array("h", (round(32767 * level * math.sin(step * n)) for n in range(rate))).tobytes()
    return (second * math.ceil(seconds))[: round(seconds * rate) * 2]


def silence(seconds: float, *, rate: int = RATE) -> bytes:
    """Exact zeros, as a paused recording has."""
    return bytes(round(seconds * rate) * 2)


def write_wav(path: Path, sound: bytes, *, rate: int = RATE, channels: int = 1) -> Path:
    """As Asterisk writes it: 44 bytes of header, 16 bit samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(sound)
    return path


def write_law_wav(path: Path, sound: bytes, form: int) -> Path:
    """A WAV of A-law (form 6) or µ-law (form 7)."""
    coded = audioop.lin2alaw(sound, 2) if form == 6 else audioop.lin2ulaw(sound, 2)
    head = struct.pack(
        "<4sI4s4sIHHIIHH", b"RIFF", 36 + len(coded), b"WAVE", b"fmt ", 16, form, 1, RATE, RATE, 1, 8
    )
    path.write_bytes(head + struct.pack("<4sI", b"data", len(coded)) + coded)
    return path


def write_silent_wav(path: Path, seconds: float) -> Path:
    """A long silence that takes no room on the disk."""
    write_wav(path, b"")
    samples = round(seconds * RATE)
    head = bytearray(path.read_bytes())
    struct.pack_into("<I", head, 4, 36 + samples * 2)
    struct.pack_into("<I", head, 40, samples * 2)
    path.write_bytes(head)
    with path.open("r+b") as file:
        file.truncate(44 + samples * 2)
    return path


def level_at(sound: bytes, hertz: float, *, rate: int) -> float:
    """The amplitude of one frequency in mono samples, 0 to 1 (a single bin of a Fourier transform)."""
    samples = array.array("h", sound)
    if not samples:
        return 0.0
    step = 2 * math.pi * hertz / rate
    real = sum(value * math.cos(step * n) for n, value in enumerate(samples))
    imaginary = sum(value * math.sin(step * n) for n, value in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples) / 32767


def loudness(sound: bytes) -> float:
    """Root mean square, 0 to 1."""
    return audioop.rms(sound, 2) / 32767 if sound else 0.0


def side_of(sound: bytes, side: int) -> bytes:
    """The left (0) or right (1) of interleaved samples."""
    return audioop.tomono(sound, 2, 1 - side, side)
