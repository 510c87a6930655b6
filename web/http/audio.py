"""Sound over HTTP: a browser asks for the bytes it needs, so that a click in the middle of an hour plays at once.

Ranges as RFC 9110 has them, one at a time; the sound is read from the shelf in pieces and never held whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from call_records.recordings.types import AUDIO_TYPE, Recording, Shelf

PIECE = 256 * 1024  # bytes; some 100 s of sound, 10 ms from a local disk, and 100 listeners hold 25 MB
PIECE_SECONDS = 15.0  # an S3 far away sends a piece within a second; a browser gives up on us after a minute
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
KEPT_NOWHERE = "private, no-store"  # what customers said is not left in the cache of a shared computer


class NoSuchPart(Exception):
    """The range lies outside of the sound."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


def asked_part(header: str | None, size: int) -> Part | None:
    """The part that a Range header asks for; None for the whole (no header, or one that need not be understood).

    Raises NoSuchPart when it lies outside.
    """
    found = _ONE_RANGE.fullmatch(header.strip().replace(" ", "")) if header else None
    if found is None:
        return None
    first, last = found.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or size == 0:
            raise NoSuchPart
        return Part(max(size - int(last), 0), size - 1)
    begin, end = int(first), min(int(last) if last else size - 1, size - 1)
    if last and int(last) < begin:
        return None  # not a range at all; RFC 9110 has it ignored
    if begin >= size:
        raise NoSuchPart
    return Part(begin, end)


def tag_of(recording: Recording, size: int, *, original: bool) -> str:
    """Changes whenever the sound does: it was covered in part, prepared anew, or is the original."""
    covered = tuple(one.id for one in recording.redactions)
    told = (recording.id, size, recording.ready_at, covered, original)
    return f'"{hashlib.sha256(repr(told).encode()).hexdigest()[:24]}"'


async def answer(
    request: Request, shelf: Shelf, recording: Recording, size: int, *, original: bool, disposition: str
) -> Response:
    """The sound, or the part of it that was asked for. Raises TryLater when the storage does not answer."""
    tag = tag_of(recording, size, original=original)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Cache-Control": KEPT_NOWHERE,
        "Content-Disposition": disposition,
    }
    same = request.headers.get("if-range", tag) == tag
    try:
        part = asked_part(request.headers.get("range") if same else None, size)
    except NoSuchPart:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    wanted = part or Part(0, size - 1)
    headers["Content-Length"] = str(wanted.length)
    if part:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=AUDIO_TYPE)
    pieces = _pieces(shelf, recording, wanted, original=original)
    # The first piece before the headers: a storage that is away is then still a sentence, not a broken sound.
    first = await anext(pieces, b"")
    return StreamingResponse(_after(first, pieces), status, headers, media_type=AUDIO_TYPE)


async def _pieces(shelf: Shelf, recording: Recording, part: Part, *, original: bool) -> AsyncIterator[bytes]:
    at = part.first
    while at <= part.last:
        async with asyncio.timeout(PIECE_SECONDS):
            piece = await shelf.read(recording.id, at, min(at + PIECE - 1, part.last), original=original)
        if not piece:
            return
        yield piece
        at += len(piece)


async def _after(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
