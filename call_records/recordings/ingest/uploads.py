"""Where remote PBXes bring their recordings: pieces are appended to a hidden part, and the whole gets its name at once.

A part belongs to a name and a checksum, so that an upload that broke off goes on where it stopped, and a file that
changed meanwhile begins anew. Only when every byte is here and the checksum is right does the file appear under its
name, durably, and only then is it acknowledged. What was acknowledged is never asked for again: the directory or the
catalogue remembers it by checksum. A name that is taken by other content is kept apart, in a folder of its own, and
the intake decides what it is.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import hmac
import os
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from call_records.recordings.catalogue.catalogue import MOST_NAMESAKES, Catalogue, Known
from call_records.recordings.catalogue.file_names import parts_of
from call_records.recordings.ingest.intake import NO_LONGER_NEEDED, sum_of
from telephony.errors import PeerMistake, TryLater

MOST_BYTES = 2 << 30  # 37 hours of two-byte samples at 8 kHz
RESERVE_BYTES = 256 << 20  # of the disk are left to the database that may share it
WRITE_BYTES = 256 << 10  # gathered before a write; a piece from the network has 64 kB
PIECE_SECONDS = 60.0  # without a byte; the script gives up before
AT_ONCE = 8  # transfers; the disk and the line are shared with calls
NAME = re.compile(r"[A-Za-z0-9+*#_(][A-Za-z0-9+*#_.=,@: ()-]{0,199}")
SUM = re.compile(r"[0-9a-f]{64}")
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BadName(PeerMistake):
    """This is not the name of a recording's file."""


class BadChecksum(PeerMistake):
    """What arrived is not what was announced."""


class TooLarge(PeerMistake):
    """A recording may not be so large."""


class NotNext(PeerMistake):
    """This is not the piece that comes next."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"The next byte that is wanted is {offset}.", remedy="Ask how much is here and go on from there."
        )
        self.offset = offset


class InUse(PeerMistake):
    """Another transfer of this file is running."""


class NoRoom(TryLater):
    """There is no room for more recordings."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is here of a file."""

    offset: int
    """Bytes; the next one that is wanted."""
    complete: bool
    """Whether all of it is here, its checksum compared."""
    stored: bool = False
    """Whether its audio is in the storage, verified: the PBX may forget it."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that is to come, as its sender describes it."""

    pbx: str
    name: str
    sha256: str
    total: int
    modified_at: float | None = None
    """Unix seconds, by the PBX's clock."""


class UploadDesk:
    """Takes uploads into `arrivals`/PBX. `tokens`: what each PBX must show; a PBX without one sends nothing."""

    def __init__(
        self,
        arrivals: Path,
        tokens: Mapping[str, str],
        catalogue: Catalogue,
        *,
        most_bytes: int = MOST_BYTES,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        self._arrivals = arrivals
        self._digests = {pbx: _digest(token) for pbx, token in tokens.items()}
        self._catalogue = catalogue
        self._most_bytes = most_bytes
        self._reserve_bytes = reserve_bytes
        self._room = asyncio.Semaphore(AT_ONCE)

    def admits(self, pbx: str, token: str) -> bool:
        """Whether this is that PBX's token; takes as long whether or not there is such a PBX."""
        known = self._digests.get(pbx, bytes(32))
        return hmac.compare_digest(known, _digest(token)) and pbx in self._digests

    async def held(self, file: Announced) -> Held:
        """How much of it is here. Raises BadName, BadChecksum for what is no checksum."""
        _check(file)
        known = await self._known_as(file)
        if known is not None:
            return known
        return await asyncio.to_thread(self._held_on_disk, file)

    async def receive(self, file: Announced, first: int, pieces: AsyncIterator[bytes]) -> Held:
        """Append from byte `first` on. Raises BadName, TooLarge, NotNext, InUse, NoRoom, BadChecksum, TryLater."""
        _check(file)
        if file.total > self._most_bytes:
            raise TooLarge(remedy=f"At most {self._most_bytes} bytes are taken.")
        present = await self.held(file)
        if present.complete:
            return present
        if self._room.locked():
            raise TryLater(
                "Too many recordings are arriving at once.", remedy="Nothing to do; it is tried again."
            )
        async with self._room:
            try:
                return await self._append(file, first, pieces)
            except TimeoutError as silence:
                raise TryLater(
                    "The sender fell silent.", remedy="Nothing to do; it is tried again."
                ) from silence
            except OSError as trouble:
                if trouble.errno in FULL:
                    raise NoRoom(remedy="Free space where recordings are kept.") from trouble
                raise TryLater(
                    "The upload cannot be written: {strerror}.",
                    remedy="Look at the arrivals directory.",
                    values={"strerror": trouble.strerror},
                ) from trouble

    async def _append(self, file: Announced, first: int, pieces: AsyncIterator[bytes]) -> Held:
        part = self._part(file)
        descriptor = await asyncio.to_thread(_open_part, part)
        try:
            offset = os.fstat(descriptor).st_size
            if first != offset:
                raise NotNext(offset)
            self._check_room(file.total - offset)
            offset = await _write_all(descriptor, offset, file.total, pieces)
            if offset < file.total:
                return Held(offset, complete=False)
            await self._finish(file, part, descriptor)
            return Held(file.total, complete=True)
        finally:
            os.close(descriptor)

    def _check_room(self, coming: int) -> None:
        if shutil.disk_usage(self._arrivals).free < coming + self._reserve_bytes:
            raise NoRoom(remedy="Free space where recordings are kept.")

    async def _finish(self, file: Announced, part: Path, descriptor: int) -> None:
        """Compare, make durable, give it its name."""
        found = await asyncio.to_thread(sum_of, part)
        if not hmac.compare_digest(found, file.sha256):
            await asyncio.to_thread(part.unlink)
            raise BadChecksum(remedy="Send it again from the beginning.")
        if file.modified_at is not None:
            os.utime(descriptor, (file.modified_at, file.modified_at))
        await asyncio.to_thread(_place, descriptor, part, self._target(file))

    def _target(self, file: Announced) -> Path:
        """Its name, or apart from what has that name already."""
        target = self._arrivals / file.pbx / file.name
        return target.parent / file.sha256[:12] / file.name if target.exists() else target

    def _part(self, file: Announced) -> Path:
        return self._arrivals / file.pbx / f".{file.name}.{file.sha256[:16]}.part"

    def _held_on_disk(self, file: Announced) -> Held:
        folder = self._arrivals / file.pbx
        for path in (folder / file.name, folder / file.sha256[:12] / file.name):
            with suppress(OSError):
                if path.lstat().st_size == file.total and sum_of(path) == file.sha256:
                    return Held(file.total, complete=True)
        with suppress(OSError):
            return Held(self._part(file).lstat().st_size, complete=False)
        return Held(0, complete=False)

    async def _known_as(self, file: Announced) -> Held | None:
        """It was taken in before; the upload itself may be gone by now."""
        parts = parts_of(file.name)
        if parts is None:
            raise BadName(remedy="Send sound files only, .wav as a rule.")
        names = [parts.recording, *(f"{parts.recording}~{place}" for place in range(2, MOST_NAMESAKES + 1))]
        known = await self._catalogue.known(file.pbx, names)
        for one in known.values():
            if any(each.sha256 == file.sha256 for each in one.files):
                return Held(file.total, complete=True, stored=_is_done(one))
        return None


def _is_done(known: Known) -> bool:
    return known.stored or known.state in NO_LONGER_NEEDED


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _check(file: Announced) -> None:
    if not NAME.fullmatch(file.name) or ".." in file.name or parts_of(file.name) is None:
        raise BadName(
            remedy="Send sound files only, .wav as a rule, by letters, digits, spaces and . _ - + = , @ * # : ( )."
        )
    if not SUM.fullmatch(file.sha256):
        raise BadChecksum("X-Checksum-SHA256 is not a checksum.", remedy="Send 64 hexadecimal digits.")


def _open_part(part: Path) -> int:
    """Ours alone while it is open, also against another process. Raises InUse, OSError."""
    part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(part, flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUse(remedy="Nothing to do; it is tried again.") from None
    return descriptor


async def _write_all(descriptor: int, offset: int, total: int, pieces: AsyncIterator[bytes]) -> int:
    """Until the sender stops or everything is here; what came is kept, also when they go away in the middle."""
    gathered = bytearray()
    try:
        while True:
            async with asyncio.timeout(PIECE_SECONDS):
                piece = await anext(pieces, None)
            if piece is None:
                break
            if offset + len(gathered) + len(piece) > total:
                raise TooLarge(
                    "More came than was announced.", remedy="Send the file again from the beginning."
                )
            gathered += piece
            if len(gathered) >= WRITE_BYTES:
                offset += await asyncio.to_thread(_write, descriptor, bytes(gathered))
                gathered.clear()
    finally:
        if gathered:
            offset += await asyncio.to_thread(_write, descriptor, bytes(gathered))
    return offset


def _write(descriptor: int, content: bytes) -> int:
    """All of it, or an OSError: a short write on a full disk is followed by one that says so."""
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:])
    return written


def _place(descriptor: int, part: Path, target: Path) -> None:
    os.fsync(descriptor)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.replace(part, target)
    for folder in {target.parent, part.parent}:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
