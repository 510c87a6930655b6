"""Files as a PBX leaves them: finished, unfinished, without sound, and no sound at all."""

from __future__ import annotations

import struct
from pathlib import Path

RATE = 8000


def wav(seconds: float = 0.5, *, loudness: int = 1000, told: int | None = None) -> bytes:
    """A mono WAV of that length; `told` is what its header says of the sound's bytes, where it lies."""
    sound = struct.pack("<h", loudness) * int(seconds * RATE)
    length = len(sound) if told is None else told
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + length)
        + b"WAVE"
        + form
        + struct.pack("<4sI", b"data", length)
        + sound
    )


HEADER = wav(0)


def leave(directory: Path, name: str, content: bytes | None = None, *, sides: bool = False) -> Path:
    """A recording in the spool; with its two sides if so wished."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.wav"
    path.write_bytes(wav() if content is None else content)
    if sides:
        path.with_name(f"{name}-in.wav").write_bytes(wav(loudness=2000))
        path.with_name(f"{name}-out.wav").write_bytes(wav(loudness=3000))
    return path
