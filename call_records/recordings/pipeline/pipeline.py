"""From "the files are here" to "it can be played": claims what arrived, has it encoded, stores it, marks it ready.

A few lanes, each with one recording at a time, so that an hour's conversation does not keep a short call waiting. A lane
claims for a minute and renews while it works; killed in the middle, the claim runs out and the work is done once more,
and only audio that was stored, read back and found right is ever marked ready.

What cannot be done now (a full disk, a storage or a database that is away) waits in its lane for as long as it takes,
with growing pauses, and costs no attempt: nothing else could be done meanwhile either. What goes wrong with one recording
costs an attempt; after three it is left to a person, with the reason beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from call_records.recordings.encoding.types import Soundless, Sources, Unreadable
from call_records.recordings.pipeline.calls import (
    audible_faults,
    began_at,
    falls_short,
    outside_first,
    part_missing,
)
from call_records.recordings.pipeline.tracks import (
    TrackPlan,
    TrackStep,
    is_track,
    joined_files,
    joined_sources,
    plan_track,
)
from call_records.recordings.types import Processed, Recording, Shelf, SourceFile, SourceRole
from telephony.call_facts.facts import CallFacts
from telephony.errors import NeedsPerson, PeerMistake, SwitchhookError, TryLater
from telephony.recordings import HealthFault

log = structlog.get_logger(__name__)

LANES = 2  # a 55 minute call takes some 20 s of one core; a short one beside it must be ready within 10 s
CLAIM_SECONDS = 60.0  # how late the work of a killed process is taken up by the next
RENEW_SECONDS = 20.0  # two renewals may fail
POLL_SECONDS = 5.0  # for what nobody announced: a pause that is over, a claim that ran out
ATTEMPTS = (
    3  # a worker that died twice over a file may have met a machine in trouble; three times is the file
)
PAUSES_SECONDS = (10.0, 60.0)  # between these attempts
WAITS_SECONDS = (
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    60.0,
)  # the last repeats: a storage is noticed a minute after it is back

T = TypeVar("T")
KeepUntil = Callable[[Recording, CallFacts | None], Awaitable[datetime | None]]
"""When the retention rules remove this recording, its start and length known by now; None is never."""
Notices = Callable[[asyncio.Event], Coroutine[None, None, None]]
"""Sets the event whenever something may have arrived; runs until cancelled."""


class Arrivals(Protocol):
    """What the pipeline needs of the catalogue."""

    async def claim(self, limit: int, seconds: float) -> Sequence[Recording]:
        """Up to so many ARRIVED ones, for nobody else until `seconds` have passed; each claim is an attempt."""

    async def renew(self, recording_id: UUID, seconds: float) -> None: ...
    async def put_off(self, recording_id: UUID, reason: str, seconds: float, *, counted: bool) -> None: ...
    async def processed(
        self,
        recording_id: UUID,
        outcome: Processed,
        started_at: datetime | None,
        keep_until: datetime | None,
    ) -> None: ...
    async def empty(self, recording_id: UUID, reason: str) -> None: ...
    async def refused(self, recording_id: UUID, reason: str) -> None: ...
    async def failed(self, recording_id: UUID, reason: str) -> None: ...
    async def of_call(self, call_id: UUID) -> Sequence[Recording]: ...
    async def tracks_of(self, call_id: UUID) -> Sequence[Recording]:
        """As `of_call`, with the tracks that another is made of."""

    async def lead(self, recording_id: UUID, files: Sequence[SourceFile]) -> None:
        """It is made of all these files."""

    async def joined(self, recording_id: UUID, reason: str) -> None:
        """Its sound is in its call's recording, or belongs to none."""


class Encoder(Protocol):
    """What the pipeline needs of the audio worker."""

    async def encode(self, sources: Sources, target: Path) -> Processed: ...


class CallsOf(Protocol):
    """What the pipeline needs of the journal."""

    async def one(self, call_id: UUID) -> CallFacts | None: ...


class Pipeline:
    """Everything between arrival and player. `work` is a directory of its own, emptied when it starts."""

    def __init__(
        self,
        catalogue: Arrivals,
        shelf: Shelf,
        worker: Encoder,
        calls: CallsOf,
        *,
        work: Path,
        keep_until: KeepUntil,
        notices: Notices | None = None,
        lanes: int = LANES,
        pauses: Sequence[float] = WAITS_SECONDS,
    ) -> None:
        self._catalogue = catalogue
        self._shelf = shelf
        self._worker = worker
        self._calls = calls
        self._work = work
        self._keep_until = keep_until
        self._notices = notices
        self._lanes = lanes
        self._pauses = pauses
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. Raises only what is a mistake of ours in this module."""
        await asyncio.to_thread(_empty, self._work)
        async with asyncio.TaskGroup() as tasks:
            if self._notices is not None:
                tasks.create_task(self._notices(self._wake), name="recording notices")
            for number in range(self._lanes):
                tasks.create_task(self._lane(), name=f"recording lane {number + 1}")

    async def _lane(self) -> None:
        while True:
            self._wake.clear()  # before looking: what comes from now on wakes us
            claimed = await self._claim()
            if claimed is None:
                await self._look_again()
            else:
                self._wake.set()  # there may be more, for the other lanes
                await self.process(claimed)

    async def _look_again(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _claim(self) -> Recording | None:
        claimed = await self._in_the_end(
            "claiming a recording", lambda: self._catalogue.claim(1, CLAIM_SECONDS)
        )
        return claimed[0] if claimed else None

    async def process(self, recording: Recording) -> None:
        """One claimed recording, to whatever end. Raises nothing but cancellation."""
        with structlog.contextvars.bound_contextvars(
            recording=str(recording.id), call=str(recording.call_id) if recording.call_id else None
        ):
            renewal = asyncio.create_task(self._renew(recording.id))
            try:
                await self._settle(recording)
            finally:
                renewal.cancel()
                (self._work / f"{recording.id}.m4a").unlink(missing_ok=True)

    async def _settle(self, recording: Recording) -> None:
        catalogue = self._catalogue
        try:
            if is_track(recording):
                made = await self._joined_track(recording)
                if made is None:
                    return
            else:
                made = await self._encoded(recording)
        except Soundless as none:
            reason = _sentence(none)
            await self._told(lambda: catalogue.empty(recording.id, reason))
        except Unreadable as refused:
            reason = _sentence(refused)
            log.warning("recording_refused", reason=reason)
            await self._told(lambda: catalogue.refused(recording.id, reason))
        except SwitchhookError as trouble:
            await self._attempt_failed(recording, _sentence(trouble))
        except Exception as mistake:  # one bad recording never stops the others
            log.exception("recording_mistake")
            await self._attempt_failed(recording, f"A mistake of ours: {type(mistake).__name__}.")
        else:
            await self._ready(recording, made)

    async def _encoded(self, recording: Recording) -> Processed:
        target = self._target(recording)
        sources, instead = sources_of(recording, await self._call_of(recording))
        try:
            return await self._in_the_end("encoding", lambda: self._worker.encode(sources, target))
        except Unreadable as trouble:
            if instead is None:
                raise
            log.warning("recording_side_unreadable", reason=str(trouble))
            return await self._in_the_end("encoding", lambda: self._worker.encode(instead, target))

    async def _joined_track(self, recording: Recording) -> Processed | None:
        """The call's recording out of its tracks, where this one leads; None when something else became of it."""
        call = await self._call_of(recording)
        rows: Sequence[Recording] = ()
        if call is not None:
            call_id = call.id
            rows = await self._in_the_end("reading recordings", lambda: self._catalogue.tracks_of(call_id))
        plan = plan_track(recording, call, rows)
        if call is None or plan.step is TrackStep.ALONE:
            alone = Sources(mix=recording.files[0].path)
            return await self._in_the_end(
                "encoding", lambda: self._worker.encode(alone, self._target(recording))
            )
        if plan.step is not TrackStep.LEAD:
            await self._told(lambda: self._settle_track(recording, plan))
            return None
        files = joined_files(recording, plan.followers)
        await self._told(lambda: self._catalogue.lead(recording.id, files))
        sources = await asyncio.to_thread(joined_sources, recording, plan.followers, call)
        return await self._in_the_end(
            "encoding", lambda: self._worker.encode(sources, self._target(recording))
        )

    async def _settle_track(self, recording: Recording, plan: TrackPlan) -> None:
        match plan.step:
            case TrackStep.WAIT:
                await self._catalogue.put_off(recording.id, plan.reason, plan.pause_seconds, counted=False)
            case TrackStep.LATE:
                await self._catalogue.failed(recording.id, plan.reason)
            case _:
                await self._catalogue.joined(recording.id, plan.reason)

    def _target(self, recording: Recording) -> Path:
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._work / f"{recording.id}.m4a"

    async def _ready(self, recording: Recording, made: Processed) -> None:
        call = await self._call_of(recording)
        if call is not None:
            made = replace(made, faults=await self._faults(recording, call, made))
        started_at = began_at(call, recording, made.duration_seconds)
        try:
            await self._stored(recording, made)
        except PeerMistake as gone:
            log.info("recording_gone", reason=str(gone))  # removed while it was encoded: the tombstone stands
            return
        known = replace(
            recording, started_at=started_at, duration_seconds=made.duration_seconds, layout=made.layout
        )
        keep_until = await self._in_the_end(
            "asking the retention rules", lambda: self._keep_until(known, call)
        )
        await self._told(lambda: self._catalogue.processed(recording.id, made, started_at, keep_until))
        log.info(
            "recording_ready",
            seconds=round(made.duration_seconds, 1),
            faults=[fault.value for fault in made.faults],
        )

    async def _stored(self, recording: Recording, made: Processed) -> None:
        await self._in_the_end("storing", lambda: self._shelf.keep(recording.id, made.audio), NeedsPerson)

    async def _call_of(self, recording: Recording) -> CallFacts | None:
        call_id = recording.call_id
        if call_id is None:
            return None
        return await self._in_the_end("reading the call", lambda: self._calls.one(call_id))

    async def _faults(
        self, recording: Recording, call: CallFacts, made: Processed
    ) -> tuple[HealthFault, ...]:
        """Those of the sound, and whether it is shorter than the talk or lacks a part of it."""
        siblings = await self._in_the_end("reading recordings", lambda: self._catalogue.of_call(call.id))
        of_the_call = {
            HealthFault.SHORTER_THAN_TALK: falls_short(call, recording, made.duration_seconds, siblings),
            HealthFault.PART_MISSING: part_missing(call, recording, made),
        }
        sound = audible_faults(call, recording, made.faults, made.duration_seconds)
        return (*sound, *(fault for fault, is_so in of_the_call.items() if is_so))

    async def _attempt_failed(self, recording: Recording, reason: str) -> None:
        log.warning("recording_attempt_failed", attempt=recording.attempts, reason=reason)
        if recording.attempts >= ATTEMPTS:
            await self._told(lambda: self._catalogue.failed(recording.id, reason))
            return
        pause = PAUSES_SECONDS[min(recording.attempts, len(PAUSES_SECONDS)) - 1]
        await self._told(lambda: self._catalogue.put_off(recording.id, reason, pause, counted=True))

    async def _told(self, tell: Callable[[], Awaitable[None]]) -> None:
        await self._in_the_end("telling the database", tell)

    async def _renew(self, recording_id: UUID) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await self._catalogue.renew(recording_id, CLAIM_SECONDS)
            except SwitchhookError as trouble:
                log.warning("recording_claim_not_renewed", problem=str(trouble))

    async def _in_the_end(
        self,
        doing: str,
        step: Callable[[], Awaitable[T]],
        also: type[SwitchhookError] = TryLater,
    ) -> T:
        """Repeat the step until whatever is away is back, and say so once on either side of it."""
        failures = 0
        while True:
            try:
                result = await step()
            except (TryLater, also) as trouble:
                if failures == 0:
                    log.warning("recordings_wait", doing=doing, problem=str(trouble), remedy=trouble.remedy)
                await asyncio.sleep(self._pauses[min(failures, len(self._pauses) - 1)])
                failures += 1
            else:
                if failures:
                    log.info("recordings_go_on", doing=doing, tries=failures + 1)
                return result


def sources_of(recording: Recording, call: CallFacts | None) -> tuple[Sources, Sources | None]:
    """What the encoder is given, and what else if that cannot be read: the two sides, then the mixed file.

    One side alone is taken only where there is nothing else. Of a WAV and what it was converted to, the WAV is taken.
    """
    worst_first = sorted(recording.files, key=lambda file: file.path.suffix.lower().startswith(".wav"))
    of = {file.role: file.path for file in worst_first}
    first = outside_first(call, recording)
    in_side, out_side, mix = (of.get(role) for role in (SourceRole.IN, SourceRole.OUT, SourceRole.MIX))
    sides = Sources(in_side=in_side, out_side=out_side, outside_first=first)
    mixed = Sources(mix=mix, outside_first=first) if mix is not None else None
    if mixed is not None and not (in_side and out_side):
        return mixed, None
    return sides, mixed


def _sentence(trouble: SwitchhookError) -> str:
    return " ".join(filter(None, (str(trouble), trouble.remedy)))


def _empty(work: Path) -> None:
    """What a killed predecessor left. Nobody else uses this directory."""
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in work.iterdir():
        if left.is_file():
            left.unlink(missing_ok=True)
