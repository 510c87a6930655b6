"""Clips, redactions and MP3s of recordings that are kept: fetched from the shelf, changed in the worker, put back.

A redaction goes in an order that never shows more than before: first the original is put aside (if the policy keeps
it), then the new audio takes its place, then clips that were cut from that span are cut again, and only then the row
says that it is covered. Whatever fails in between, the same order given again finishes it; an order that was carried out
already changes nothing. Once begun it is finished even if whoever asked has gone away.

Uncovering makes the audio anew from the original, with the spans that stay covered. What a policy destroyed does not come
back: a redaction says so of itself, because an original that was put aside later does not hold what went before.

One recording is edited by one at a time, in whatever process: an advisory lock of the database sees to it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import String, cast, literal, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.recordings.catalogue import filing
from call_records.recordings.catalogue.rows import redaction_id
from call_records.recordings.encoding.types import Covered
from call_records.recordings.encoding.worker_process import AudioWorker
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.tables import audio_objects, recordings, share_links
from call_records.recordings.types import Recording, RecordingCatalogue, Redaction, Retention, Shelf
from telephony.call_facts.facts import iso
from telephony.errors import NeedsPerson, PeerMistake
from telephony.recordings import RecordingState

log = structlog.get_logger(__name__)

SHORTEST_SECONDS = 0.1  # of a span; less is a slip of the hand
ROUNDING_SECONDS = 0.001  # of a span as the row keeps it
EDGE_SECONDS = (
    0.08  # by which a covered span may be longer than what was asked for: whole packets, and the one before
)
LEFTOVER_SECONDS = 24 * 3600.0  # files in work that a killed process left; nothing here takes an hour


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip that was cut for a link."""

    link_id: UUID
    from_seconds: float
    to_seconds: float


@dataclass(frozen=True, slots=True)
class _By:
    """Who covers."""

    name: str
    account: UUID | None


_ChangeOfSpans = Callable[[Sequence[dict[str, Any]]], list[dict[str, Any]]]


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

    async def redact(
        self,
        recording_id: UUID,
        from_seconds: float,
        to_seconds: float,
        *,
        by: str,
        by_account: UUID | None = None,
    ) -> None:
        """Put a beep over that span on both sides; the original is kept or destroyed by the policy.

        Raises PeerMistake for a span that is none, or when a legal hold forbids to destroy; TryLater.
        """
        await self._to_the_end(self._redact(recording_id, from_seconds, to_seconds, _By(by, by_account)))

    async def uncover(self, recording_id: UUID, redaction_id: UUID, *, by: str) -> None:
        """Put back what a redaction covered, in shared clips too. One that is not there any more changes nothing.

        Raises PeerMistake when what was said there was destroyed; TryLater.
        """
        await self._to_the_end(self._uncover(recording_id, redaction_id, by))

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

    async def _redact(self, recording_id: UUID, from_seconds: float, to_seconds: float, by: _By) -> None:
        async with self._alone(recording_id):
            recording = await self._playable(recording_id)
            since, until = _span(recording, from_seconds, to_seconds)
            destroys = (await self._retention.policy()).destroy_redacted_original
            if destroys and recording.hold is not None:
                raise PeerMistake(
                    "This recording is on legal hold: {by}, {why}",
                    remedy="Nothing of it may be destroyed. Lift the hold first.",
                    values={"by": recording.hold.by, "why": recording.hold.why},
                )
            if not _was_carried_out(recording.redactions, since, until):
                await self._cover(recording, since, until, by=by, keeps=not destroys)
            if destroys:
                await self._shelf.destroy(recording_id, only="original")

    async def _cover(self, recording: Recording, since: float, until: float, *, by: _By, keeps: bool) -> None:
        async with self._fetched(recording.id) as source:
            target = source.with_name("covered.m4a")
            covered = await self._worker.redact(source, target, since, until)
            if keeps and not recording.has_original:
                await self._shelf.keep(recording.id, source, kind="original")
            await self._shelf.keep(recording.id, target)
            for clip in await self._clips_of(recording.id, covered):
                await self._cut(target, recording.id, clip)
            await self._write_row(
                recording.id, covered, partial(_with_span, by=by, covered=covered, keeps=keeps)
            )
        log.info(
            "recording_redacted",
            recording=str(recording.id),
            from_seconds=covered.from_seconds,
            to_seconds=covered.to_seconds,
            by=by.name,
        )

    async def _write_row(self, recording_id: UUID, covered: Covered, change: _ChangeOfSpans) -> None:
        """The row: its spans changed, and the waveform as it is now."""
        row = recordings.c
        with plain_errors():
            async with self._engine.begin() as connection:
                wanted = select(row.peaks_left, row.peaks_right, row.redactions)
                standing = row.id == recording_id, row.state != RecordingState.REMOVED.value
                now = (await connection.execute(wanted.where(*standing).with_for_update())).one_or_none()
                if now is None:
                    raise PeerMistake("This recording was removed while it was being changed.")
                await connection.execute(
                    update(recordings)
                    .where(row.id == recording_id)
                    .values(
                        peaks_left=_patched(now.peaks_left, covered.first_part, covered.left),
                        peaks_right=_patched(now.peaks_right, covered.first_part, covered.right),
                        redactions=change(now.redactions),
                    )
                )
                await filing.notify(connection, [recording_id])

    # uncovering

    async def _uncover(self, recording_id: UUID, redaction_id: UUID, by: str) -> None:
        async with self._alone(recording_id):
            recording = await self._playable(recording_id)
            lifted = next((one for one in recording.redactions if one.id == redaction_id), None)
            if lifted is None:
                return  # somebody else was quicker
            if lifted.destroyed or not recording.has_original:
                raise PeerMistake("What was said there was destroyed when it was covered.")
            remaining = [one for one in recording.redactions if one.id != redaction_id]
            await self._lift(recording_id, lifted, remaining)
            if not remaining:  # what is played is the original again
                await self._shelf.destroy(recording_id, only="original")
        log.info(
            "recording_uncovered",
            recording=str(recording_id),
            from_seconds=lifted.from_seconds,
            to_seconds=lifted.to_seconds,
            by=by,
        )

    async def _lift(self, recording_id: UUID, lifted: Redaction, remaining: Sequence[Redaction]) -> None:
        async with self._fetched(recording_id, original=True) as original:
            target = original.with_name("uncovered.m4a")
            spans = [(one.from_seconds, one.to_seconds) for one in remaining]
            span = lifted.from_seconds, lifted.to_seconds
            uncovered = await self._worker.uncover(original, target, span, spans)
            await self._shelf.keep(recording_id, target)
            for clip in await self._clips_of(recording_id, uncovered):
                await self._cut(target, recording_id, clip)
            await self._write_row(recording_id, uncovered, partial(_without_span, recording_id, lifted.id))

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
    async def _fetched(self, recording_id: UUID, *, original: bool = False) -> AsyncIterator[Path]:
        """What can be heard of it now (or its original), as a file in a directory that is gone afterwards."""
        if await self._shelf.size(recording_id, original=original) is None:
            raise PeerMistake("There is no audio of this recording.")
        directory = await asyncio.to_thread(self._room)
        try:
            source = directory / "source.m4a"
            with source.open("xb") as file:
                async for piece in self._shelf.whole(recording_id, original=original):
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


def _was_carried_out(redactions: Sequence[Redaction], since: float, until: float) -> bool:
    """Whether this very order was. A part of a longer span is covered on its own: the longer one may be lifted."""
    return any(
        -ROUNDING_SECONDS <= since - one.from_seconds <= EDGE_SECONDS
        and -ROUNDING_SECONDS <= one.to_seconds - until <= EDGE_SECONDS
        for one in redactions
    )


def _with_span(
    kept: Sequence[dict[str, Any]], *, by: _By, covered: Covered, keeps: bool
) -> list[dict[str, Any]]:
    """One span more; where nothing is kept, of the others neither."""
    told = {
        "from_seconds": round(covered.from_seconds, 3),
        "to_seconds": round(covered.to_seconds, 3),
        "by": json_text.clean(by.name),
        "by_account": str(by.account) if by.account else None,
        "at": iso(datetime.now(UTC)),
    }
    if keeps:
        return [*kept, told]
    return [{**one, "destroyed": True} for one in (*kept, told)]


def _without_span(recording_id: UUID, lifted: UUID, kept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in kept if redaction_id(recording_id, one) != lifted]


def _patched(peaks: bytes | None, at: int, fresh: bytes | None) -> bytes | None:
    if peaks is None or fresh is None:
        return peaks
    return peaks[:at] + fresh + peaks[at + len(fresh) :]
