"""From arrival to player: every recording reaches exactly one end, whatever dies or fills up on the way."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from call_records.db.listen import wake_on
from call_records.recordings.catalogue.catalogue import Arrival
from call_records.recordings.catalogue.filing import RECORDINGS_CHANNEL
from call_records.recordings.encoding.types import Sources
from call_records.recordings.encoding.worker_process import AudioWorker, WorkerDied
from call_records.recordings.pipeline import pipeline as pipeline_module
from call_records.recordings.pipeline.pipeline import Encoder, Pipeline
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import Processed, Recording, SourceFile, SourceRole
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts, Hold, Interval, PartyKind, Recorded
from telephony.errors import NeedsPerson, OurMistake, TryLater
from telephony.recordings import HealthFault, Layout, RecordingState
from tests.call_facts_builder import MONDAY, answered, call, change, ended, leg
from tests.recordings.recording_builder import outcome
from tests.recordings.sounds import silence, tone, write_silent_wav, write_wav

pytestmark = pytest.mark.postgres

TEST_SECONDS = 30.0
UNIQUEID = "pbx-1795311120.5"


@pytest.fixture
def audio(tmp_path: Path) -> AudioSettings:
    return AudioSettings(tmp_path / "audio")


@pytest.fixture
def shelf(records: RecordsStore, audio: AudioSettings) -> AudioShelf:
    return AudioShelf(records.engine, audio)


@pytest.fixture
async def worker() -> AsyncIterator[AudioWorker]:
    made = AudioWorker()
    yield made
    await made.close()


class Told:
    """A worker that answers as it is told, one answer an order, the last one from then on."""

    def __init__(self, *answers: Processed | Exception) -> None:
        self._answers = list(answers)
        self.orders: list[Sources] = []

    async def encode(self, sources: Sources, target: Path) -> Processed:
        self.orders.append(sources)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return replace(answer, audio=_written(target))


def _written(target: Path) -> Path:
    target.write_bytes(b"sound " * 100)
    return target


class Away:
    """A shelf whose storage is away for the first few times."""

    def __init__(self, shelf: AudioShelf, times: int, trouble: Exception) -> None:
        self._shelf = shelf
        self.times = times
        self.trouble = trouble

    async def keep(self, recording_id: UUID, audio: Path, *, kind: str = "current") -> None:
        if self.times:
            self.times -= 1
            raise self.trouble
        await self._shelf.keep(recording_id, audio, kind=kind)


async def forever(recording: Recording, facts: CallFacts | None) -> datetime | None:
    """No retention rule."""
    return None


def made_pipeline(
    records: RecordsStore, shelf: object, worker: Encoder, audio: AudioSettings, **different: object
) -> Pipeline:
    given = {"work": audio.work / "encode", "keep_until": forever, "pauses": (0.0,), **different}
    return Pipeline(records.catalogue, shelf, worker, records.calls, **given)  # type: ignore[arg-type]


def source(path: Path, role: SourceRole) -> SourceFile:
    content = path.read_bytes()
    return SourceFile(
        path, role, len(content), hashlib.sha256(content).hexdigest(), MONDAY + timedelta(seconds=65)
    )


async def arrived(records: RecordsStore, *files: SourceFile, name: str = UNIQUEID) -> UUID:
    receipt = await records.catalogue.arrived(Arrival("hq", name, files))
    return receipt.recording_id


async def two_sides(records: RecordsStore, directory: Path, seconds: float = 6.0) -> UUID:
    """The files of an inbound call in which both talked all the time."""
    return await arrived(
        records,
        source(write_wav(directory / "a-in.wav", tone(400, seconds)), SourceRole.IN),
        source(write_wav(directory / "a-out.wav", tone(1100, seconds)), SourceRole.OUT),
    )


async def processed(pipeline: Pipeline, records: RecordsStore) -> None:
    """Claim what there is and carry it to its end."""
    async with asyncio.timeout(TEST_SECONDS):
        for recording in await records.catalogue.claim(10, 60):
            await pipeline.process(recording)


async def until(records: RecordsStore, recording_id: UUID, state: RecordingState) -> Recording:
    async with asyncio.timeout(TEST_SECONDS):
        while (recording := await the(records, recording_id)).state is not state:
            await asyncio.sleep(0.02)
    return recording


async def the(records: RecordsStore, recording_id: UUID) -> Recording:
    recording = await records.catalogue.one(recording_id)
    assert recording is not None
    return recording


async def test_arrived_files_become_playable(
    records: RecordsStore, shelf: AudioShelf, worker: AudioWorker, audio: AudioSettings, tmp_path: Path
) -> None:
    """The whole way with a real worker, storage and database, woken by the notice of the arrival."""
    pipeline = made_pipeline(
        records, shelf, worker, audio, notices=lambda wake: wake_on(records.engine, RECORDINGS_CHANNEL, wake)
    )
    running = asyncio.create_task(pipeline.run())
    recording_id = await two_sides(records, tmp_path)
    ready = await until(records, recording_id, RecordingState.READY)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (ready.layout, ready.duration_seconds, ready.faults) == (Layout.STEREO, 6.0, ())
    assert ready.started_at == MONDAY + timedelta(seconds=59)
    peaks = await records.catalogue.peaks(recording_id)
    assert peaks is not None
    assert len(peaks.left) == 1200
    size = await shelf.size(recording_id)
    assert size is not None
    assert (await shelf.read(recording_id, 0, size - 1))[4:8] == b"ftyp"
    assert list((audio.work / "encode").iterdir()) == []


async def test_killed_in_the_middle_and_done_again(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """The whole service is killed while it encodes. The claim runs out, the next one does it; one result, no remains."""
    recording_id = await two_sides(records, tmp_path)
    assert await records.catalogue.claim(1, 0.0)  # the one that was killed
    left = audio.work / "encode" / "left.m4a"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    worker = Told(outcome())
    running = asyncio.create_task(made_pipeline(records, shelf, worker, audio).run())
    await until(records, recording_id, RecordingState.READY)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(worker.orders) == 1
    assert len(await shelf.objects_of(recording_id)) == 1
    assert not left.exists()


@pytest.mark.parametrize(
    "trouble", [TryLater("The storage is away."), NeedsPerson("The storage refuses our key.")]
)
async def test_storage_away_costs_no_attempt(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path, trouble: Exception
) -> None:
    """The storage is away ten times as often as an attempt may fail: the recording waits, encoded once."""
    recording_id = await two_sides(records, tmp_path)
    worker = Told(outcome())
    away = Away(shelf, 30, trouble)
    await processed(made_pipeline(records, away, worker, audio), records)
    ready = await the(records, recording_id)
    assert (ready.state, ready.attempts, away.times) == (RecordingState.READY, 1, 0)
    assert len(worker.orders) == 1


async def test_full_disk_costs_no_attempt(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """There is no room to encode into, then somebody makes some."""
    recording_id = await two_sides(records, tmp_path)
    full = TryLater("There is no room for the finished audio.")
    await processed(made_pipeline(records, shelf, Told(*[full] * 10, outcome()), audio), records)
    ready = await the(records, recording_id)
    assert (ready.state, ready.attempts) == (RecordingState.READY, 1)


async def test_three_deaths_and_a_person_must_look(
    records: RecordsStore,
    shelf: AudioShelf,
    audio: AudioSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker dies over this file every time: after the third it is FAILED with the reason, and on the page."""
    monkeypatch.setattr(pipeline_module, "PAUSES_SECONDS", (0.0, 0.0))
    recording_id = await two_sides(records, tmp_path)
    pipeline = made_pipeline(records, shelf, Told(WorkerDied()), audio)
    for _ in range(2):
        await processed(pipeline, records)
        assert (await the(records, recording_id)).state is RecordingState.ARRIVED
    await processed(pipeline, records)
    failed = await the(records, recording_id)
    assert (failed.state, failed.attempts) == (RecordingState.FAILED, 3)
    assert failed.reason == "The audio worker died over this file."
    assert [one.recording.id for one in await records.catalogue.exceptions()] == [recording_id]


async def test_one_death_is_forgiven(
    records: RecordsStore,
    shelf: AudioShelf,
    audio: AudioSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel killed the worker once: the second attempt makes it playable."""
    monkeypatch.setattr(pipeline_module, "PAUSES_SECONDS", (0.0, 0.0))
    recording_id = await two_sides(records, tmp_path)
    pipeline = made_pipeline(records, shelf, Told(WorkerDied(), outcome()), audio)
    await processed(pipeline, records)
    await processed(pipeline, records)
    assert (await the(records, recording_id)).state is RecordingState.READY


async def test_worker_is_killed_in_the_middle_of_a_recording(
    records: RecordsStore,
    shelf: AudioShelf,
    worker: AudioWorker,
    audio: AudioSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real worker, killed while it writes: the pipeline starts another, and there is one result and no remains."""
    monkeypatch.setattr(pipeline_module, "PAUSES_SECONDS", (0.0, 0.0))
    side = source(write_silent_wav(tmp_path / "a-in.wav", 60), SourceRole.IN)
    recording_id = await arrived(records, side, replace(side, role=SourceRole.OUT))
    running = asyncio.create_task(made_pipeline(records, shelf, worker, audio).run())
    target = audio.work / "encode" / f"{recording_id}.m4a"
    async with asyncio.timeout(TEST_SECONDS):
        while not _exists(target):
            await asyncio.sleep(0.002)
    process = worker._all[0]._running
    assert process is not None
    process.kill()
    ready = await until(records, recording_id, RecordingState.READY)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (ready.attempts, ready.duration_seconds) == (2, 60.0)
    assert len(await shelf.objects_of(recording_id)) == 1
    assert not _exists(target)


def _exists(file: Path) -> bool:
    return file.exists()


async def test_an_attempt_that_failed_is_not_repeated_at_once(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """Ten seconds must pass: a machine in trouble is not hammered."""
    await two_sides(records, tmp_path)
    await processed(made_pipeline(records, shelf, Told(OurMistake("?")), audio), records)
    assert await records.catalogue.claim(10, 60) == []


async def test_what_is_no_sound_is_refused(
    records: RecordsStore, shelf: AudioShelf, worker: AudioWorker, audio: AudioSettings, tmp_path: Path
) -> None:
    """Something else under a recording's name: told with its name, at once, and the others go on."""
    (tmp_path / "bad.wav").write_bytes(b"RIFFgarbage" * 100)
    bad = await arrived(records, source(tmp_path / "bad.wav", SourceRole.MIX), name="bad")
    none = await arrived(records, source(write_wav(tmp_path / "none.wav", b""), SourceRole.MIX), name="none")
    good = await two_sides(records, tmp_path)
    await processed(made_pipeline(records, shelf, worker, audio), records)
    refused = await the(records, bad)
    assert refused.state is RecordingState.REFUSED
    assert refused.reason is not None
    assert "bad.wav" in refused.reason
    assert (await the(records, none)).state is RecordingState.EMPTY
    assert (await the(records, good)).state is RecordingState.READY


async def test_bad_side_but_a_good_mix(
    records: RecordsStore, shelf: AudioShelf, worker: AudioWorker, audio: AudioSettings, tmp_path: Path
) -> None:
    """One of the two sides is damaged; the mixed file beside them still has everybody."""
    (tmp_path / "a-in.wav").write_bytes(b"damaged")
    recording_id = await arrived(
        records,
        source(tmp_path / "a-in.wav", SourceRole.IN),
        source(write_wav(tmp_path / "a-out.wav", tone(400, 1)), SourceRole.OUT),
        source(write_wav(tmp_path / "a.wav", tone(400, 1)), SourceRole.MIX),
    )
    await processed(made_pipeline(records, shelf, worker, audio), records)
    ready = await the(records, recording_id)
    assert (ready.state, ready.layout) == (RecordingState.READY, Layout.MONO)


async def test_removed_while_it_was_encoded(
    records: RecordsStore, audio: AudioSettings, shelf: AudioShelf, tmp_path: Path
) -> None:
    """Somebody deletes a recording that is just being encoded: the tombstone stands and no audio is kept."""
    from sqlalchemy import update

    from call_records.recordings.tables import recordings

    recording_id = await two_sides(records, tmp_path)
    (claimed,) = await records.catalogue.claim(1, 60)
    async with records.engine.begin() as connection:
        await connection.execute(
            update(recordings)
            .where(recordings.c.id == recording_id)
            .values(state=RecordingState.REMOVED.value)
        )
    pipeline = made_pipeline(records, shelf, Told(outcome()), audio)
    await pipeline.process(claimed)
    assert (await the(records, recording_id)).state is RecordingState.REMOVED
    assert await shelf.objects_of(recording_id) == []


async def test_a_long_recording_keeps_no_short_one_waiting(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """An hour is being encoded in one lane; the call that ends meanwhile is ready all the same."""
    stuck = asyncio.Event()

    class Slow(Told):
        async def encode(self, sources: Sources, target: Path) -> Processed:
            if sources.mix is not None:
                await stuck.wait()
            return await super().encode(sources, target)

    long = await arrived(
        records, source(write_wav(tmp_path / "l.wav", silence(1)), SourceRole.MIX), name="long"
    )
    running = asyncio.create_task(made_pipeline(records, shelf, Slow(outcome()), audio).run())
    short = await two_sides(records, tmp_path)
    await until(records, short, RecordingState.READY)
    assert (await the(records, long)).state is RecordingState.ARRIVED
    stuck.set()
    await until(records, long, RecordingState.READY)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def talked(facts: CallFacts, seconds: float, *, recorded: Recorded | None = None) -> CallFacts:
    """The call when it is over, its people having talked so long from the answer on."""
    at = facts.started_at + timedelta(seconds=5)
    talking = Interval("talking", at, at + timedelta(seconds=seconds))
    legs = (leg("101", answered_at=at, intervals=(talking,), talk_seconds=seconds),)
    over = ended(answered(facts), after_seconds=5 + seconds)
    return replace(over, legs=legs, talk_seconds=seconds, recorded=(recorded,) if recorded else ())


async def of_call(records: RecordsStore, facts: CallFacts) -> None:
    named = replace(facts, recordings=(f"/var/spool/asterisk/monitor/{UNIQUEID}.wav",))
    await records.journal.record([change(named, aliases=(UNIQUEID,))])


@pytest.mark.parametrize(("seconds", "is_short"), [(59.5, False), (57.0, True)])
async def test_shorter_than_the_talk(
    records: RecordsStore,
    shelf: AudioShelf,
    audio: AudioSettings,
    tmp_path: Path,
    seconds: float,
    is_short: bool,
) -> None:
    """A minute was talked. 59.5 s of audio are all of it; 57 s are not, and somebody is told."""
    await of_call(records, talked(call(), 60))
    recording_id = await two_sides(records, tmp_path)
    await processed(made_pipeline(records, shelf, Told(outcome(duration_seconds=seconds)), audio), records)
    ready = await the(records, recording_id)
    assert (HealthFault.SHORTER_THAN_TALK in ready.faults) is is_short


async def test_recorded_on_demand_is_not_too_short(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """Somebody pressed *5 after 40 of 60 s: twenty seconds of audio are all that was asked for."""
    facts = call()
    told = _told(facts, begins_after=45, kind=PartyKind.EXTENSION)
    await of_call(records, talked(facts, 60, recorded=told))
    recording_id = await two_sides(records, tmp_path)
    worker = Told(outcome(duration_seconds=20.0))
    await processed(made_pipeline(records, shelf, worker, audio), records)
    ready = await the(records, recording_id)
    assert ready.faults == ()
    assert ready.started_at == MONDAY + timedelta(seconds=45)
    assert worker.orders[0].outside_first is False


def _told(facts: CallFacts, *, begins_after: float, kind: PartyKind) -> Recorded:
    return Recorded(
        file=f"/var/spool/asterisk/monitor/{UNIQUEID}.wav",
        uniqueid=UNIQUEID,
        party="101",
        kind=kind,
        at=facts.started_at + timedelta(seconds=begins_after),
        until=facts.started_at + timedelta(seconds=65),
    )


@pytest.mark.parametrize(("held_from", "is_missing"), [(None, True), (15.0, False)])
async def test_part_of_our_side_is_missing(
    records: RecordsStore,
    shelf: AudioShelf,
    worker: AudioWorker,
    audio: AudioSettings,
    tmp_path: Path,
    held_from: float | None,
    is_missing: bool,
) -> None:
    """Both talked for 20 s, by the call; of our side there is nothing from the tenth second on. Unless they were on hold
    then (without music), somebody is told that it is missing. The whole way with a real worker."""
    facts = call()
    told = replace(
        _told(facts, begins_after=5, kind=PartyKind.OUTSIDE),
        party="101",
        until=MONDAY + timedelta(seconds=25),
    )
    holds = (Hold("101", 10.0, MONDAY + timedelta(seconds=held_from)),) if held_from is not None else ()
    await of_call(records, replace(talked(facts, 20, recorded=told), holds=holds))
    recording_id = await arrived(
        records,
        source(write_wav(tmp_path / "a-in.wav", tone(400, 20)), SourceRole.IN),
        source(write_wav(tmp_path / "a-out.wav", tone(1100, 10) + silence(10)), SourceRole.OUT),
    )
    await processed(made_pipeline(records, shelf, worker, audio), records)
    ready = await the(records, recording_id)
    assert ready.faults == ((HealthFault.PART_MISSING,) if is_missing else ())
    assert [one.recording.id for one in await records.catalogue.exceptions()] == [recording_id] * is_missing


async def test_retention_decides_with_what_is_known_by_now(
    records: RecordsStore, shelf: AudioShelf, audio: AudioSettings, tmp_path: Path
) -> None:
    """A rule for short calls needs the length, one by direction the call: both are known when it is asked."""
    asked: list[tuple[float | None, bool]] = []
    keep = datetime(2027, 1, 1, tzinfo=UTC)

    async def rule(recording: Recording, facts: CallFacts | None) -> datetime | None:
        asked.append((recording.duration_seconds, facts is not None))
        return keep

    await of_call(records, talked(call(), 60))
    recording_id = await two_sides(records, tmp_path)
    await processed(made_pipeline(records, shelf, Told(outcome()), audio, keep_until=rule), records)
    assert (await the(records, recording_id)).keep_until == keep
    assert asked == [(60.0, True)]


async def test_database_away_is_waited_for(
    records: RecordsStore,
    shelf: AudioShelf,
    audio: AudioSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database restarts at the very moment the result is told: it is told when it is back."""
    recording_id = await two_sides(records, tmp_path)
    catalogue = records.catalogue
    tell, failures = catalogue.processed, [TryLater("The database is restarting.")] * 5

    async def away(*given: object, **named: object) -> None:
        if failures:
            raise failures.pop()
        await tell(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(catalogue, "processed", away)
    await processed(made_pipeline(records, shelf, Told(outcome()), audio), records)
    assert (await the(records, recording_id)).state is RecordingState.READY
