"""Files as a PBX leaves them: finished, unfinished, without sound, and no sound at all."""

from __future__ import annotations

import math
import struct
from array import array
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av

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


CODECS = {"mp3": "libmp3lame", "ogg": "libopus", "mp4": "aac", "flac": "flac", "adts": "aac"}
"""Container, as FFmpeg calls it → what is in it."""


def converted(container: str, seconds: float = 1.0, rate: int = 16_000) -> bytes:
    """A tone in a file of another kind than WAV, as a program at the PBX makes it after the call."""
    file = BytesIO()
    with av.open(file, "w", format=container) as opened:
        stream: Any = opened.add_stream(CODECS[container], rate=rate, layout="mono")
        tone = (int(8_000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(int(seconds * rate)))
        frame = av.AudioFrame("s16", "mono", int(seconds * rate))
        frame.planes[0].update(array("h", tone).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate, stream.codec_context.frame_size
        )
        for piece in (*resampler.resample(frame), *resampler.resample(None), None):
            opened.mux(stream.encode(piece))
    return file.getvalue()
