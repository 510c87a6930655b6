"""The way of a recording through this service: taken in from the spool, made playable, kept, and removed by rule.

Three tasks over one database, each of which may be in trouble without the others noticing: the intake waits for the
storage no more than a call waits for the intake. They run in the process that observes the PBXes, because that is
where the spools can be read; pages in a process of their own need none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from call_records.db.listen import wake_on
from call_records.recordings.catalogue.filing import RECORDINGS_CHANNEL
from call_records.recordings.encoding.worker_process import AudioWorker
from call_records.recordings.ingest.intake import Intake, SpoolPlace
from call_records.recordings.pipeline.pipeline import LANES, Pipeline
from call_records.store import RecordsStore
from switchhook.settings.audio import audio_settings
from switchhook.settings.settings import Settings
from telephony.errors import SwitchhookError
from telephony.recordings import RecordingPolicy

log = structlog.get_logger(__name__)

POLICY_SECONDS = 60.0  # how soon a changed policy is heard of; it speaks of days


class RecordingLine:
    """Everything between a PBX's file and a player. `run` it once the database can be used."""

    def __init__(self, settings: Settings, store: RecordsStore) -> None:
        audio = audio_settings(settings)
        self._store = store
        self._policy = RecordingPolicy()
        self._worker = AudioWorker(processes=LANES)
        self.intake = Intake(
            store.catalogue,
            [SpoolPlace(pbx.id, pbx.recordings_dir) for pbx in settings.pbx if pbx.recordings_dir],
            audio,
            uploading=[pbx.id for pbx in settings.pbx if pbx.upload_token],
            policy=lambda: self._policy,
        )
        self.pipeline = Pipeline(
            store.catalogue,
            store.shelf,
            self._worker,
            store.calls,
            work=audio.work / "encoding",
            keep_until=store.keeper.keep_until_for,
            notices=lambda wake: wake_on(store.engine, RECORDINGS_CHANNEL, wake),
        )

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_policy(), name="recordings: policy")
                tasks.create_task(self.intake.run(), name="recordings: intake")
                tasks.create_task(self.pipeline.run(), name="recordings: pipeline")
                tasks.create_task(self._store.keeper.run(), name="recordings: retention")
        finally:
            await self._worker.close()

    def troubles(self) -> Sequence[str]:
        """What keeps recordings from being taken in or kept now, one sentence each."""
        return [self.intake.problem] if self.intake.problem else []

    async def _follow_policy(self) -> None:
        """The intake asks for the policy in the middle of its round; here it is kept at hand."""
        while True:
            try:
                self._policy = await self._store.retention.policy()
            except SwitchhookError as trouble:
                log.debug("policy_not_read", problem=str(trouble))
            await asyncio.sleep(POLICY_SECONDS)
