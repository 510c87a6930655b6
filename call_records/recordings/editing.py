"""Clips, redactions and MP3s of recordings that are kept: fetched from the shelf, changed in the worker, put back.

A redaction goes in an order that never shows more than before: first the original is put aside (if the policy keeps
it), then the new audio takes its place, then clips that were cut from that span are cut again, and only then the row
says that it is covered. Whatever fails in between, the same order given again finishes it; an order that was carried out
already changes nothing. Once begun it is finished even if whoever asked has gone away.

One recording is edited by one at a time, in whatever process: an advisory lock of the database sees to it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import String, cast, literal, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records import wire
from call_records.recordings import filing
from call_records.recordings.encode_shapes import Covered
from call_records.recordings.settings import AudioSettings
from call_records.recordings.shapes import Recording, RecordingCatalogue, Redaction, Retention, Shelf
from call_records.recordings.tables import audio_objects, recordings, share_links
from call_records.recordings.worker_process import AudioWorker
from call_records.troubles import plain_errors
from telephony.errors import NeedsPerson, PeerMistake
from telephony.facts import iso
from telephony.recordings import RecordingState

log = structlog.get_logger(__name__)

SHORTEST_SECONDS = 0.1  # of a span; less is a slip of the hand
LEFTOVER_SECONDS = 24 * 3600.0  # files in work that a killed process left; nothing here takes an hour


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip that was cut for a link."""

    link_id: UUID
    from_seconds: float
    to_seconds: float


class AudioEditor:
    """The editor over one database, one shelf and a worker of its own, started when there is something to do."""

    def __init__(
        self,
        engine: AsyncEngine,
        catalogue: RecordingCatalogue,
        shelf: Shelf,
        retention: Retention,
        settings: AudioSettings | None,
        *,
        worker: AudioWorker | None = None,
    ) -> None:
        self._engine = engine
        self._catalogue = catalogue
        self._shelf = shelf
        self._retention = retention
        self._settings = settings
        self._worker = worker or AudioWorker()
        self._begun: set[asyncio.Task[None]] = set()

    async def clip(self, recording_id: UUID, from_seconds: float, to_seconds: float, link_id: UUID) -> None:
        """Cut a clip and keep it for that link. Raises PeerMistake for a span that is none, TryLater."""
        recording = await self._playable(recording_id)
        since, until = _span(recording, from_seconds, to_seconds)
        async with self._alone(recording_id), self._fetched(recording_id) as source:
            await self._cut(source, recording_id, _Clip(link_id, since, until))

    async def redact(self, recording_id: UUID, from_seconds: float, to_seconds: float, *, by: str) -> None:
        """Put a beep over that span on both sides; the original is kept or destroyed by the policy.

        Raises PeerMistake for a span that is none, or when a legal hold forbids to destroy; TryLater.
        """
        await self._to_the_end(self._redact(recording_id, from_seconds, to_seconds, by))

    async def as_mp3(self, recording_id: UUID) -> bytes:
        """The whole of it, for what cannot play MP4. Raises PeerMistake when there is no audio, TryLater."""
        await self._playable(recording_id)
        async with self._fetched(recording_id) as source:
            target = source.with_name("whole.mp3")
            await self._worker.mp3(source, target)
            return await asyncio.to_thread(target.read_bytes)

    async def close(self) -> None:
        """Finish what was begun, as far as that is quick, and end the worker."""
        await self._worker.close()
        for task in list(self._begun):
            task.cancel()
        await asyncio.gather(*self._begun, return_exceptions=True)

    # redacting

    async def _redact(self, recording_id: UUID, from_seconds: float, to_seconds: float, by: str) -> None:
        async with self._alone(recording_id):
            recording = await self._playable(recording_id)
            since, until = _span(recording, from_seconds, to_seconds)
            destroys = (await self._retention.policy()).destroy_redacted_original
            if destroys and recording.hold is not None:
                raise PeerMistake(
                    f"This recording is on legal hold: {recording.hold.by}, {recording.hold.why}",
                    remedy="Nothing of it may be destroyed. Lift the hold first.",
                )
            if not _is_covered(recording.redactions, since, until):
                await self._cover(recording, since, until, by=by, keeps=not destroys)
            if destroys:
                await self._shelf.destroy(recording_id, only="original")

    async def _cover(self, recording: Recording, since: float, until: float, *, by: str, keeps: bool) -> None:
        async with self._fetched(recording.id) as source:
            target = source.with_name("covered.m4a")
            covered = await self._worker.redact(source, target, since, until)
            if keeps and not recording.has_original:
                await self._shelf.keep(recording.id, source, kind="original")
            await self._shelf.keep(recording.id, target)
            for clip in await self._clips_of(recording.id, covered):
                await self._cut(target, recording.id, clip)
            await self._tell(recording.id, covered, by)
        log.info(
            "recording_redacted",
            recording=str(recording.id),
            from_seconds=covered.from_seconds,
            to_seconds=covered.to_seconds,
            by=by,
        )

    async def _tell(self, recording_id: UUID, covered: Covered, by: str) -> None:
        """The row: one span more, and the waveform as it is now."""
        row = recordings.c
        told = {
            "from_seconds": round(covered.from_seconds, 3),
            "to_seconds": round(covered.to_seconds, 3),
            "by": wire.clean(by),
            "at": iso(datetime.now(UTC)),
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                wanted = select(row.peaks_left, row.peaks_right, row.redactions)
                standing = row.id == recording_id, row.state != RecordingState.REMOVED.value
                now = (await connection.execute(wanted.where(*standing).with_for_update())).one_or_none()
                if now is None:
                    raise PeerMistake("This recording was removed while it was being covered.")
                await connection.execute(
                    update(recordings)
                    .where(row.id == recording_id)
                    .values(
                        peaks_left=_patched(now.peaks_left, covered.first_part, covered.left),
                        peaks_right=_patched(now.peaks_right, covered.first_part, covered.right),
                        redactions=[*now.redactions, told],
                    )
                )
                await filing.notify(connection, [recording_id])

    # clips

    async def _cut(self, source: Path, recording_id: UUID, clip: _Clip) -> None:
        target = source.with_name(f"{clip.link_id}.m4a")
        await self._worker.clip(source, target, clip.from_seconds, clip.to_seconds)
        await self._shelf.keep(recording_id, target, kind=f"clip:{clip.link_id}")

    async def _clips_of(self, recording_id: UUID, covered: Covered) -> Sequence[_Clip]:
        """Clips of this recording in which something of that span can be heard."""
        link = share_links.c
        wanted = select(link.id, link.from_seconds, link.to_seconds).where(
            link.recording_id == recording_id,
            link.from_seconds < covered.to_seconds,
            link.to_seconds > covered.from_seconds,
            select(audio_objects.c.key)
            .where(audio_objects.c.kind == literal("clip:") + cast(link.id, String))
            .exists(),
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(wanted)).all()
        return [_Clip(row.id, row.from_seconds, row.to_seconds) for row in rows]

    # around it

    async def _playable(self, recording_id: UUID) -> Recording:
        recording = await self._catalogue.one(recording_id)
        if recording is None or recording.state is not RecordingState.READY:
            raise PeerMistake("This recording cannot be played, so it cannot be changed.")
        return recording

    @asynccontextmanager
    async def _alone(self, recording_id: UUID) -> AsyncIterator[None]:
        """Nobody else edits this recording meanwhile. Waits LOCK_SECONDS of the database at most, then TryLater."""
        key = {"key": recording_id.int >> 65}  # 63 bits of it: a clash only makes two wait for each other
        async with self._engine.connect() as connection:
            with plain_errors():
                free = await connection.execution_options(isolation_level="AUTOCOMMIT")
                await free.execute(_LOCK, key)
            try:
                yield
            finally:
                try:
                    await free.execute(_UNLOCK, key)
                except SQLAlchemyError:
                    await free.invalidate()  # a closed connection holds no lock

    @asynccontextmanager
    async def _fetched(self, recording_id: UUID) -> AsyncIterator[Path]:
        """What can be heard of it now, as a file in a directory that is gone afterwards."""
        if await self._shelf.size(recording_id) is None:
            raise PeerMistake("There is no audio of this recording.")
        directory = await asyncio.to_thread(self._room)
        try:
            source = directory / "source.m4a"
            with source.open("xb") as file:
                async for piece in self._shelf.whole(recording_id):
                    await asyncio.to_thread(file.write, piece)
            yield source
        finally:
            await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    def _room(self) -> Path:
        if self._settings is None:
            raise NeedsPerson("Nobody said where recordings are kept.")
        home = self._settings.work / "edits"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in home.iterdir():
            if time.time() - os.stat(left).st_mtime > LEFTOVER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=home))

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        await asyncio.shield(task)


_LOCK = text("SELECT pg_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")


def _span(recording: Recording, from_seconds: float, to_seconds: float) -> tuple[float, float]:
    """The span within the recording. Raises PeerMistake when there is nothing of it."""
    since = max(0.0, from_seconds)
    until = min(to_seconds, recording.duration_seconds or 0.0)
    if not from_seconds < to_seconds or until - since < SHORTEST_SECONDS:  # NaN is smaller than nothing
        raise PeerMistake("Between these two moments there is nothing of this recording.")
    return since, until


def _is_covered(redactions: Sequence[Redaction], since: float, until: float) -> bool:
    return any(one.from_seconds <= since and until <= one.to_seconds for one in redactions)


def _patched(peaks: bytes | None, at: int, fresh: bytes | None) -> bytes | None:
    if peaks is None or fresh is None:
        return peaks
    return peaks[:at] + fresh + peaks[at + len(fresh) :]
