"""The music that waiting callers of the lab hear: a slow broken chord, made here, for Asterisk's core sounds bring none.

Linear samples (.wav): Debian's Asterisk 22 leaves our side out of recordings of both sides after companded music.
"""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

RATE = 8000  # Hz, as the lines
NOTE_SECONDS = 0.5
NOTES_HZ = (262, 330, 392, 523, 392, 330, 220, 262, 330, 440, 330, 262, 175, 220, 262, 349, 262, 220)
LOUDNESS = 6000  # of 32767; behind a voice, not above it


def write_hold_music(path: Path) -> None:
    """Write the tune as a WAV file of 16 bit."""
    samples = [sample for hz in NOTES_HZ for sample in _note(hz)]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def _note(hz: int) -> list[int]:
    """Struck and dying away, so that one note does not click into the next."""
    count = int(NOTE_SECONDS * RATE)
    return [
        int(LOUDNESS * (1 - n / count) * min(1.0, n / 80) * math.sin(2 * math.pi * hz * n / RATE))
        for n in range(count)
    ]
