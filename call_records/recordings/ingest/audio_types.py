"""Sound files that are no WAV: which are read, and whether one is whole, by a few of its bytes. Nothing is decoded.

A PBX that converts its recordings leaves MP3, M4A, Ogg, FLAC or AAC. An M4A says where it ends, an Ogg marks its last
page; the others end where they end, so only rest can tell that they are finished.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO

TAIL_BYTES = 66_000  # an Ogg page is at most 65 307 bytes
FRAME_SEARCH_BYTES = 4_096  # between a tag and the first frame some writers leave zeros
MOST_BOXES = 64  # of an M4A; a recording has four
_ID3_BYTES = 10
_LAST_PAGE = 0x04
_PAGE_BYTES = 27  # of an Ogg page's header, without its table


class Wholeness(StrEnum):
    """Whether all of a file is there."""

    WHOLE = "whole"
    PART = "part"
    UNKNOWN = "unknown"  # nothing in the file says where it ends
    DAMAGED = "damaged"  # it begins like one and goes on like nothing


def kind_of(beginning: bytes) -> str | None:
    """What this file is called, for those that are read; None for every other."""
    for start, name in _BEGINNINGS:
        if beginning.startswith(start):
            return name
    if beginning[4:8] == b"ftyp":
        return "M4A"
    if _is_aac_frame(beginning):
        return "AAC"
    return "MP3" if _is_mp3_frame(beginning) else None


def wholeness(kind: str, file: BinaryIO, size: int) -> Wholeness:
    """Whether all of it is there, as far as the file itself says."""
    check = _CHECKS.get(kind)
    return check(file, size) if check else Wholeness.UNKNOWN


def _mp3(file: BinaryIO, size: int) -> Wholeness:
    begins = _after_tag(file)
    if begins >= size:
        return Wholeness.PART
    file.seek(begins)
    sought = file.read(FRAME_SEARCH_BYTES)
    found = any(_is_mp3_frame(sought[at : at + 4]) for at in range(len(sought) - 3))
    return Wholeness.UNKNOWN if found else Wholeness.DAMAGED


def _after_tag(file: BinaryIO) -> int:
    """Where the sound begins: behind the tag of titles and pictures."""
    file.seek(0)
    header = file.read(_ID3_BYTES)
    if header[:3] != b"ID3" or len(header) < _ID3_BYTES:
        return 0
    length = sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(header[6:10]))
    return _ID3_BYTES + length


def _is_mp3_frame(header: bytes) -> bool:
    """Eleven bits set, a version, layer 2 or 3, and a bit rate and a sample rate that exist."""
    if len(header) < 3 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    return version != 1 and layer in (1, 2) and 0 < header[2] >> 4 < 15 and header[2] >> 2 & 3 != 3


def _is_aac_frame(header: bytes) -> bool:
    """Twelve bits set and layer 0, which no MP3 has; one of thirteen sample rates."""
    return len(header) >= 3 and header[0] == 0xFF and header[1] & 0xF6 == 0xF0 and header[2] >> 2 & 15 < 13


def _m4a(file: BinaryIO, size: int) -> Wholeness:
    """Boxes follow one another to the end, and the one that says where the sound lies is among them."""
    place, described = 0, False
    for _ in range(MOST_BOXES):
        if place == size:
            break
        file.seek(place)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:
            return Wholeness.PART
        described = described or header[4:8] == b"moov"
        place += length
    return Wholeness.WHOLE if described and place == size else Wholeness.PART


def _ogg(file: BinaryIO, size: int) -> Wholeness:
    file.seek(max(0, size - TAIL_BYTES))
    tail = file.read(TAIL_BYTES)
    page = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    ends = len(page) > _PAGE_BYTES and page[5] & _LAST_PAGE and len(page) == _page_length(page)
    return Wholeness.WHOLE if ends else Wholeness.PART


def _page_length(page: bytes) -> int:
    """The header, the table of lengths, and what it lists."""
    pieces = page[_PAGE_BYTES - 1]
    return _PAGE_BYTES + pieces + sum(page[_PAGE_BYTES : _PAGE_BYTES + pieces])


_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"ID3", "MP3"),
    (b"OggS", "Ogg"),
    (b"fLaC", "FLAC"),
    (b".snd", "AU"),
)
_CHECKS: dict[str, Callable[[BinaryIO, int], Wholeness]] = {"MP3": _mp3, "M4A": _m4a, "Ogg": _ogg}
