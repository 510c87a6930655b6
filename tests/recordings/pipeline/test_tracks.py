"""Everybody's own tracks become one recording of the call, from the files' arrival to the player."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from call_records.recordings.catalogue.catalogue import Arrival
from call_records.recordings.encoding.worker_process import AudioWorker
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import RecordingFilter, SourceRole
from call_records.store import RecordsStore
from telephony.recordings import Layout, RecordingState
from tests.call_facts_builder import CLIENT, MONDAY, change
from tests.recordings.pipeline.test_pipeline import (
    audio,
    made_pipeline,
    processed,
    shelf,
    source,
    the,
    worker,
)
from tests.recordings.pipeline.test_tracks_layout import of_call, track
from tests.recordings.sounds import tone, write_wav

pytestmark = pytest.mark.postgres
__all__ = ["audio", "shelf", "worker"]  # fixtures

SPOKEN = tone(1100, 20.0) + tone(300, 40.0, level=0.001)  # then a quiet line


async def test_the_tracks_of_a_call_become_its_recording(
    records: RecordsStore, shelf: AudioShelf, worker: AudioWorker, audio: AudioSettings, tmp_path: Path
) -> None:
    """A customer, a colleague who talked for a third of it, and a phone that only rang. The colleague's comes first."""
    theirs = write_wav(tmp_path / "1.1-track.wav", tone(400, 60.0))
    ours = write_wav(tmp_path / "1.2-track.wav", SPOKEN)
    told = (
        track("1.1", CLIENT, file=theirs),
        track("1.2", spans=((5.0, 65.0),), file=ours),
        track("1.3", "102", answered_at=None, file=tmp_path / "1.3-track.wav"),
    )
    facts = of_call(*told, talks=((5.0, 65.0),))
    await records.journal.record([change(facts, aliases=("1.1", "1.2", "1.3"))])
    assert [one.name for one in await records.catalogue.of_call(facts.id)] == ["1.1"]
    await records.catalogue.arrived(
        Arrival("hq", "1.3", (), RecordingState.JOINED, "Nothing was said on this track.")
    )
    pipeline = made_pipeline(records, shelf, worker, audio)
    second = await records.catalogue.arrived(Arrival("hq", "1.2", (source(ours, SourceRole.TRACK),)))
    await processed(pipeline, records)
    assert (
        await the(records, second.recording_id)
    ).state is RecordingState.ARRIVED  # waits for the customer's
    first = await records.catalogue.arrived(Arrival("hq", "1.1", (source(theirs, SourceRole.TRACK),)))
    await processed(pipeline, records)

    ready = await the(records, first.recording_id)
    assert (ready.state, ready.layout, ready.faults) == (RecordingState.READY, Layout.STEREO, ())
    assert ready.duration_seconds == pytest.approx(60.0, abs=0.1)
    assert ready.started_at == MONDAY + timedelta(seconds=5)
    assert {file.path for file in ready.files} == {theirs, ours}
    assert ready.measures is not None
    (person,) = ready.measures.people
    assert (person.party, person.talk_share) == ("101", pytest.approx(1 / 3, abs=0.02))

    await _let_it_be_due(records)
    await processed(pipeline, records)
    assert (await the(records, second.recording_id)).state is RecordingState.JOINED
    assert [one.name for one in await records.catalogue.of_call(facts.id)] == ["1.1"]
    page = await records.catalogue.page(RecordingFilter())
    assert [one.recording.name for one in page.listed] == ["1.1"]
    assert await records.catalogue.exceptions() == []


async def test_a_track_that_comes_too_late_is_told(
    records: RecordsStore, shelf: AudioShelf, worker: AudioWorker, audio: AudioSettings, tmp_path: Path
) -> None:
    """The customer's was made without it after it had been given up on: somebody should look."""
    theirs = write_wav(tmp_path / "1.1-track.wav", tone(400, 60.0))
    ours = write_wav(tmp_path / "1.2-track.wav", SPOKEN)
    facts = of_call(
        track("1.1", CLIENT, file=theirs), track("1.2", spans=((5.0, 65.0),), file=ours), talks=((5.0, 65.0),)
    )
    await records.journal.record(
        [change(replace(facts, recorded=facts.recorded[:1]), aliases=("1.1", "1.2"))]
    )
    await records.catalogue.arrived(Arrival("hq", "1.1", (source(theirs, SourceRole.TRACK),)))
    pipeline = made_pipeline(records, shelf, worker, audio)
    await processed(pipeline, records)
    await records.journal.record([change(facts, aliases=("1.1", "1.2"), at_seconds=70)])
    late = await records.catalogue.arrived(Arrival("hq", "1.2", (source(ours, SourceRole.TRACK),)))
    await processed(pipeline, records)
    assert (await the(records, late.recording_id)).state is RecordingState.FAILED
    assert late.recording_id in {one.recording.id for one in await records.catalogue.exceptions()}


async def _let_it_be_due(records: RecordsStore) -> None:
    """The pause between two looks has passed."""
    async with records.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE recordings SET due_at = now() WHERE state = 'arrived'")
