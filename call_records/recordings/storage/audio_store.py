"""The shelf: the audio of recordings, stored whole or not at all, and found by the recording's id.

A row in `audio_objects` says which object of the storage holds which audio, its length and its SHA-256. The row is
written only after the object was stored, read back from the storage and found to be the same; it is the row that
counts. An object is never changed. Replacing audio (a redaction) stores another object, turns the row over in one
transaction and deletes the old object; a crash in between leaves an object without a row, which `upkeep.sweep` takes
away.

Deleting goes the other way round, the object first: a crash leaves a row whose object is gone, and deleting again
finishes it. So there is never audio that nobody knows of for longer than a day.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import structlog
from sqlalchemy import Row, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.recordings.storage import encryption
from call_records.recordings.storage.backends import Missing, Place, Taken, place_of
from call_records.recordings.storage.encryption import KeyRing, Tampered
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.tables import audio_object_numbers, audio_objects, recordings
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater
from telephony.recordings import RecordingState

log = structlog.get_logger(__name__)

CURRENT = "current"
ORIGINAL = "original"
CLIP = "clip:"
KIND = re.compile(r"current|original|clip:[0-9a-f-]{36}")

PIECE_BYTES = 16 * encryption.CHUNK_BYTES  # 1 MiB, 6 minutes of speech: a slow line is in time
NAME_TRIES = 20  # a storage that is ahead of a restored database has the next few numbers taken


@dataclass(frozen=True, slots=True)
class StoredAudio:
    """One object, as its row tells it. `length` (bytes) and `sha256` are of the audio, before encryption."""

    key: str
    recording_id: UUID
    kind: str
    length: int
    sha256: bytes
    key_id: str | None
    wrapped_key: bytes | None

    @property
    def stored_bytes(self) -> int:
        """Bytes of the object in the storage."""
        return self.length if self.key_id is None else encryption.sealed_length(self.length)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """Audio that was stored under a new key and read back."""

    key: str
    length: int
    sha256: bytes
    key_id: str | None
    wrapped_key: bytes | None


class AudioShelf:
    """Audio over one database and one storage."""

    def __init__(self, engine: AsyncEngine, settings: AudioSettings, *, place: Place | None = None) -> None:
        self.engine = engine
        self._settings = settings
        self.keys = KeyRing(settings.keys)
        self.place = place or place_of(settings)

    async def size(self, recording_id: UUID, *, original: bool = False) -> int | None:
        """Bytes of the playable audio; None when there is none."""
        stored = await self._find(recording_id, ORIGINAL if original else CURRENT)
        return stored.length if stored else None

    async def read(self, recording_id: UUID, first: int, last: int, *, original: bool = False) -> bytes:
        """Bytes `first` to `last`, both included; the end is the end, whatever `last` says.

        Raises PeerMistake when there is no such audio or range, or when it is not what was stored; TryLater when the
        storage does not answer; NeedsPerson when its key is missing or the object is gone.
        """
        kind = ORIGINAL if original else CURRENT
        stored = await self._known(recording_id, kind)
        try:
            return await self._read(stored, first, last)
        except Missing:
            again = await self._known(recording_id, kind)
            if again.key == stored.key:
                raise
            return await self._read(again, first, last)  # it was replaced between looking and reading

    async def whole(self, recording_id: UUID, *, original: bool = False) -> AsyncIterator[bytes]:
        """The whole audio in pieces of a MiB; a difference to what was stored raises Tampered at the latest
        after the last piece, so that nobody takes it for whole."""
        async for piece in self.pieces(await self._known(recording_id, ORIGINAL if original else CURRENT)):
            yield piece

    async def pieces(self, stored: StoredAudio) -> AsyncIterator[bytes]:
        """The same, of an object that is known."""
        digest = hashlib.sha256()
        for first in range(0, stored.length, PIECE_BYTES):
            piece = await self._range(stored, first, min(first + PIECE_BYTES, stored.length) - 1)
            digest.update(piece)
            yield piece
        if digest.digest() != stored.sha256:
            raise Tampered

    async def read_clip(self, link_id: UUID) -> bytes | None:
        """The clip that was cut for a link; None when there is none."""
        with plain_errors():
            async with self.engine.connect() as connection:
                row = (
                    await connection.execute(
                        select(audio_objects).where(audio_objects.c.kind == f"{CLIP}{link_id}")
                    )
                ).one_or_none()
        if row is None:
            return None
        stored = stored_audio(row)
        return await self._read(stored, 0, stored.length - 1)

    async def keep(self, recording_id: UUID, audio: Path, *, kind: str = CURRENT) -> None:
        """Store, read back, compare the checksum; only then it counts. Replaces what was there of this kind.

        `kind` is `current`, `original` (what a redaction covered) or `clip:LINKID`. The file is only read. Raises
        TryLater when the storage does not take it: then nothing has changed and the same call can be repeated.
        """
        if not KIND.fullmatch(kind):
            raise OurMistake(f"There is no kind of audio called {kind}.")
        await asyncio.to_thread(_require_content, audio)
        fresh = await self._store(await self._day_of(recording_id), recording_id, audio)
        try:
            replaced = await self._turn_over(recording_id, kind, fresh)
        except BaseException:
            await self._discard(fresh.key)
            raise
        if replaced is not None:
            await self._discard(replaced)

    async def destroy(self, recording_id: UUID, *, only: str | None = None) -> None:
        """Delete every object of it (or only one kind) from the storage, then its row. Raises TryLater: what was
        deleted until then stays deleted, and the same call goes on with the rest."""
        for stored in await self.objects_of(recording_id):
            if only is None or stored.kind == only:
                await self.place.delete(stored.key)
                with plain_errors():
                    async with self.engine.begin() as connection:
                        await connection.execute(
                            delete(audio_objects).where(audio_objects.c.key == stored.key)
                        )

    async def objects_of(self, recording_id: UUID) -> Sequence[StoredAudio]:
        """Every object of the recording: current, original, clips."""
        wanted = select(audio_objects).where(audio_objects.c.recording_id == recording_id)
        with plain_errors():
            async with self.engine.connect() as connection:
                rows = await connection.execute(wanted.order_by(audio_objects.c.key))
                return [stored_audio(row) for row in rows]

    # storing

    async def _store(self, day: datetime, recording_id: UUID, audio: Path) -> _Fresh:
        for _ in range(NAME_TRIES):
            key = await self._new_key(day, recording_id)
            try:
                return await self._store_as(key, audio)
            except Taken:
                continue
        raise NeedsPerson(
            "The storage {name} is ahead of the database by more than {name_tries} recordings.",
            remedy="Do two installations share it? Give each its own directory or prefix.",
            values={"name": self.place.name, "name_tries": NAME_TRIES},
        )

    async def _store_as(self, key: str, audio: Path) -> _Fresh:
        if self.keys.newest is None:
            length, digest = await asyncio.to_thread(_measure, audio)
            fresh = _Fresh(key, length, digest, None, None)
            await self.place.put(key, audio)
        else:
            fresh = await self._store_sealed(key, audio)
        try:
            await self._compare(fresh)
        except BaseException:
            await self._discard(key)
            raise
        return fresh

    async def _store_sealed(self, key: str, audio: Path) -> _Fresh:
        secret = encryption.new_secret()
        key_id, wrapped = self.keys.wrap(secret, key)
        sealed, length, digest = await asyncio.to_thread(_seal, secret, audio, self._settings.work)
        try:
            await self.place.put(key, sealed)
        finally:
            sealed.unlink(missing_ok=True)
        return _Fresh(key, length, digest, key_id, wrapped)

    async def _compare(self, fresh: _Fresh) -> None:
        """Read it back whole, as a listener will."""
        nobody = UUID(int=0)
        stored = StoredAudio(
            fresh.key, nobody, CURRENT, fresh.length, fresh.sha256, fresh.key_id, fresh.wrapped_key
        )
        try:
            async for _ in self.pieces(stored):
                pass
        except (Tampered, Missing) as difference:
            raise TryLater(
                "The storage {name} did not give back what it was given.",
                remedy="Look at its disk and memory; the recording stays where it is and is stored again.",
                values={"name": self.place.name},
            ) from difference

    async def _day_of(self, recording_id: UUID) -> datetime:
        wanted = select(recordings.c.listed_at, recordings.c.state).where(recordings.c.id == recording_id)
        with plain_errors():
            async with self.engine.connect() as connection:
                row = (await connection.execute(wanted)).one_or_none()
        if row is None or row.state == RecordingState.REMOVED:
            _refuse_removed()
        at: datetime = row.listed_at
        return at.astimezone(UTC)

    async def _new_key(self, day: datetime, recording_id: UUID) -> str:
        with plain_errors():
            async with self.engine.connect() as connection:
                number = await connection.scalar(select(audio_object_numbers.next_value()))
        ending = "m4a" if self.keys.newest is None else "m4a.enc"
        return f"{day:%Y/%m/%d}/{recording_id}-{number}.{ending}"

    async def _turn_over(self, recording_id: UUID, kind: str, fresh: _Fresh) -> str | None:
        """From now on the row names the fresh object; returns the key of the object it named before."""
        same = (audio_objects.c.recording_id == recording_id) & (audio_objects.c.kind == kind)
        with plain_errors():
            async with self.engine.begin() as connection:
                state = await connection.scalar(
                    select(recordings.c.state).where(recordings.c.id == recording_id).with_for_update()
                )
                if state is None or state == RecordingState.REMOVED:
                    _refuse_removed()
                before: str | None = await connection.scalar(
                    delete(audio_objects).where(same).returning(audio_objects.c.key)
                )
                await connection.execute(insert(audio_objects).values(_row(recording_id, kind, fresh)))
        return before

    async def _discard(self, key: str) -> None:
        """Delete an object that no row names. When the storage is away the sweep will do it."""
        try:
            await self.place.delete(key)
        except SwitchhookError as trouble:
            log.warning("audio_object_left_behind", key=key, problem=str(trouble))

    # reading

    async def _find(self, recording_id: UUID, kind: str) -> StoredAudio | None:
        wanted = select(audio_objects).where(
            audio_objects.c.recording_id == recording_id, audio_objects.c.kind == kind
        )
        with plain_errors():
            async with self.engine.connect() as connection:
                row = (await connection.execute(wanted)).one_or_none()
        return stored_audio(row) if row else None

    async def _known(self, recording_id: UUID, kind: str) -> StoredAudio:
        stored = await self._find(recording_id, kind)
        if stored is None:
            raise PeerMistake("There is no audio of this recording.")
        return stored

    async def _read(self, stored: StoredAudio, first: int, last: int) -> bytes:
        end = min(last, stored.length - 1)
        if not 0 <= first <= end:
            raise PeerMistake(
                "The audio has {length} bytes; {first} to {last} is no part of it.",
                values={"length": stored.length, "first": first, "last": last},
            )
        pieces = [
            await self._range(stored, begin, min(begin + PIECE_BYTES - 1, end))
            for begin in range(first, end + 1, PIECE_BYTES)
        ]
        audio = b"".join(pieces)
        if len(audio) == stored.length and hashlib.sha256(audio).digest() != stored.sha256:
            raise Tampered
        return audio

    async def _range(self, stored: StoredAudio, first: int, last: int) -> bytes:
        """A range that lies inside the audio."""
        if stored.key_id is None or stored.wrapped_key is None:
            audio = await self.place.get(stored.key, first, last)
            if len(audio) != last - first + 1:
                raise Tampered
            return audio
        secret = self.keys.unwrap(stored.key_id, stored.wrapped_key, stored.key)
        where = encryption.slice_for(first, last, stored.length)
        sealed = await self.place.get(stored.key, where.first, where.last)
        if len(sealed) <= 4 * encryption.SEALED_CHUNK_BYTES:  # 0.1 ms; a thread would cost as much
            return encryption.open_slice(secret, sealed, first, last, stored.length)
        return await asyncio.to_thread(encryption.open_slice, secret, sealed, first, last, stored.length)


class NoShelf:
    """Where nobody said where audio is kept: every question has the same answer."""

    async def size(self, recording_id: UUID, *, original: bool = False) -> int | None:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()

    async def read(self, recording_id: UUID, first: int, last: int, *, original: bool = False) -> bytes:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()

    async def keep(self, recording_id: UUID, audio: Path, *, kind: str = CURRENT) -> None:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()

    async def read_clip(self, link_id: UUID) -> bytes | None:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()

    async def destroy(self, recording_id: UUID, *, only: str | None = None) -> None:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()

    async def whole(self, recording_id: UUID, *, original: bool = False) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Raises NeedsPerson."""
        _refuse_without_place()
        yield b""


def _refuse_without_place() -> NoReturn:
    raise NeedsPerson(
        "Nobody said where recordings are kept.", remedy="Set [recordings] directory in the configuration."
    )


def _refuse_removed() -> NoReturn:
    raise PeerMistake("There is no such recording, or it was removed; its audio is not stored.")


def stored_audio(row: Row[Any]) -> StoredAudio:
    """A row of `audio_objects`."""
    return StoredAudio(
        key=row.key,
        recording_id=row.recording_id,
        kind=row.kind,
        length=row.bytes,
        sha256=row.sha256,
        key_id=row.key_id,
        wrapped_key=row.wrapped_key,
    )


def _row(recording_id: UUID, kind: str, fresh: _Fresh) -> dict[str, Any]:
    return {
        "key": fresh.key,
        "recording_id": recording_id,
        "kind": kind,
        "bytes": fresh.length,
        "sha256": fresh.sha256,
        "key_id": fresh.key_id,
        "wrapped_key": fresh.wrapped_key,
    }


def _require_content(audio: Path) -> None:
    try:
        empty = audio.stat().st_size == 0
    except OSError as cause:
        raise _unreadable(audio, cause) from cause
    if empty:
        raise PeerMistake("The audio {name} is empty.", values={"name": audio.name})


def _measure(audio: Path) -> tuple[int, bytes]:
    try:
        with audio.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
            return file.tell(), digest.digest()
    except OSError as cause:
        raise _unreadable(audio, cause) from cause


def _seal(secret: bytes, audio: Path, work: Path) -> tuple[Path, int, bytes]:
    """Encrypt into a file for us alone in the directory of files in work."""
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix=".enc", dir=work)
        try:
            with os.fdopen(handle, "wb") as target, audio.open("rb") as source:
                length, digest = encryption.seal_file(secret, source, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as cause:
        raise _unreadable(audio, cause) from cause
    return Path(name), length, digest


def _unreadable(audio: Path, cause: OSError) -> TryLater:
    return TryLater(
        "The audio {name} cannot be prepared for the storage: {strerror}.",
        remedy="Look at the disk of the directory in [recordings].",
        values={"name": audio.name, "strerror": cause.strerror or cause},
    )
