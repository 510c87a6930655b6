"""Whether a file is finished sound: a WAV's header is read and held against its size. Nothing is decoded.

What other kinds of sound say of themselves is in `audio_types.py`.

Asterisk writes the sizes into the header when it closes the file. Until then, and for ever if it was killed, the
header says that there is no sound while the file grows.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from call_records.recordings.ingest.audio_types import Wholeness, kind_of, wholeness

HEADER_BYTES = 44  # RIFF, fmt and data without a sample: what an unanswered call leaves
MOST_CHUNKS = 64  # a recording has three; a file of thousands of chunks is made to waste time
BEGINNING_BYTES = 512
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither a symbolic link that was put in its place is followed, nor a named pipe waited for."""


class Look(StrEnum):
    """What a file looks like."""

    SOUND = "sound"  # header and size agree, and there is sound
    ENDLESS = "endless"  # sound of a kind that does not say how long it should be: MP3, AAC, FLAC
    HEADER_ONLY = "header_only"  # no sound at all, or not one byte
    UNFINISHED = "unfinished"  # the header says less or more than there is
    ALIEN = "alien"  # no sound that is read


@dataclass(frozen=True, slots=True)
class Examined:
    """What was seen of a file, and which state of it that was."""

    look: Look
    reason: str | None
    """A sentence for the page, for whatever is not SOUND."""
    size: int
    modified_ns: int


ALIENS: tuple[tuple[bytes, str], ...] = (
    (b"#!AMR", "AMR"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x7fELF", "a program"),
    (b"<", "a page or XML"),
)
"""How other kinds begin → what they are called on the page of exceptions."""


def open_for_reading(path: Path) -> BinaryIO:
    """The file itself, never what a link points to. Raises OSError; PermissionError for what is no plain file."""
    descriptor = os.open(path, OPEN_FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermissionError(f"{path.name} is not a plain file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def examine(path: Path) -> Examined:
    """Read the header. Raises OSError when the file cannot be read."""
    with open_for_reading(path) as file:
        status = os.fstat(file.fileno())
        look, reason = _look(file, status.st_size)
    return Examined(look, reason, status.st_size, status.st_mtime_ns)


def sound_seconds(path: Path) -> float:
    """How long the sound in a WAV is, by what is there of it; 0 for what is none. Raises OSError."""
    with open_for_reading(path) as file:
        size = os.fstat(file.fileno()).st_size
        beginning = file.read(HEADER_BYTES)
        sound = _find_sound(file, size) if beginning[:4] == b"RIFF" else None
    bytes_a_second = int.from_bytes(beginning[28:32], "little")
    if sound is None or not bytes_a_second or beginning[12:16] != b"fmt ":
        return 0.0
    begins, told = sound
    return min(told or size, size - begins) / bytes_a_second


def _look(file: BinaryIO, size: int) -> tuple[Look, str | None]:
    if size == 0:
        return Look.HEADER_ONLY, "The file is empty."
    beginning = file.read(BEGINNING_BYTES)
    if beginning[:4] != b"RIFF" or beginning[8:12] != b"WAVE":
        return _other_than_wav(file, size, beginning)
    sound = _find_sound(file, size)
    if sound is None:
        if size <= HEADER_BYTES:
            return Look.HEADER_ONLY, "The file holds no sound."
        return Look.ALIEN, "This WAV file has no sound in it, or is damaged at its beginning."
    return _held_against_size(file, size, *sound)


def _other_than_wav(file: BinaryIO, size: int, beginning: bytes) -> tuple[Look, str | None]:
    kind = kind_of(beginning)
    if kind is None:
        return Look.ALIEN, f"This is no sound file but {_kind_of(beginning)}."
    match wholeness(kind, file, size):
        case Wholeness.WHOLE:
            return Look.SOUND, None
        case Wholeness.UNKNOWN:
            return Look.ENDLESS, None
        case Wholeness.PART:
            return Look.UNFINISHED, f"The {kind} file was never closed."
        case Wholeness.DAMAGED:
            return Look.ALIEN, f"This begins as {kind}, but no sound follows."


def _kind_of(beginning: bytes) -> str:
    for start, name in ALIENS:
        if beginning.startswith(start):
            return name
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" or byte >= 128 for byte in beginning)
    return "text" if printable == len(beginning) else "something else"


def _find_sound(file: BinaryIO, size: int) -> tuple[int, int] | None:
    """Where the sound begins and how long the header says it is; None when there is no format or no sound."""
    place, formatted = 12, False
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        header = file.read(8)
        if len(header) < 8:
            return None
        length = int.from_bytes(header[4:], "little")
        if header[:4] == b"data":
            return (place + 8, length) if formatted else None
        formatted = formatted or header[:4] == b"fmt "
        place += 8 + length + length % 2
        if place >= size:
            return None
    return None


def _held_against_size(file: BinaryIO, size: int, begins: int, told: int) -> tuple[Look, str | None]:
    present = size - begins
    if present <= 0:
        return Look.HEADER_ONLY, "The file holds no sound."
    if told > present:
        return Look.UNFINISHED, f"The file ends {told - present} bytes before its header says."
    rest = present - told - told % 2
    if rest > 0 and not _is_chunk(file, begins + told + told % 2, rest):
        return Look.UNFINISHED, "The file is longer than its header says: it was never closed."
    return (Look.SOUND, None) if told else (Look.HEADER_ONLY, "The file holds no sound.")


def _is_chunk(file: BinaryIO, place: int, rest: int) -> bool:
    """Whether what follows the sound is a chunk of its own (a title, a comment) and not more sound."""
    file.seek(place)
    header = file.read(8)
    letters = all(32 <= byte < 127 for byte in header[:4])
    return len(header) == 8 and letters and 8 + int.from_bytes(header[4:], "little") <= rest + 1
