"""What becomes of one track per channel: the files of a played call, joined and encoded as the service does, and heard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import av
from av.audio.resampler import AudioResampler

from call_records.recordings.catalogue.file_names import recording_of
from call_records.recordings.encoding.encoder import encode
from call_records.recordings.pipeline.tracks import TrackStep, joined_files, joined_sources, plan_track
from call_records.recordings.types import Recording, SourceFile, SourceRole
from telephony.call_facts.facts import CallFacts, Recorded
from telephony.recordings import PersonShare, RecordingState
from tests.recordings.tones import Side

RATE = 8000


@dataclass(frozen=True, slots=True)
class Joined:
    """One joined recording: the outside party's side, ours, and who of ours talked how much."""

    began_at: float
    """Unix seconds of its first sample."""
    outside: Side
    ours: Side
    people: tuple[PersonShare, ...]

    def share(self, side: Side, hz: float, since: datetime, until: datetime) -> float:
        """Of the time between two moments of the wall's clock, the share in which a tone is heard on a side."""
        return side.share(hz, since.timestamp() - self.began_at, until.timestamp() - self.began_at)


def row_of(told: Recorded, state: RecordingState = RecordingState.ARRIVED) -> Recording:
    """The catalogue's row of one track whose file is there."""
    path = Path(told.file)
    modified_at = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.exists() else told.at
    file = SourceFile(path, SourceRole.TRACK, 0, "", modified_at)
    return Recording(
        id=uuid4(), pbx="hq", name=recording_of(told.file) or "", call_id=None, channel=told.uniqueid, state=state,
        reason=None, files=(file,), outside_first=True, expected_at=None, arrived_at=None, ready_at=None,
        started_at=None, duration_seconds=None, layout=None, measures=None, faults=(), has_original=False,
        redactions=(), keep_until=None, hold=None, removal=None, attempts=0,
    )  # fmt: skip


def join(call: CallFacts, target: Path) -> list[Joined]:
    """Every joined recording of an ended call: one for each track that leads."""
    rows = [row_of(one) for one in call.recorded if one.track and Path(one.file).stat().st_size > 44]
    found = []
    for row in rows:
        plan = plan_track(row, call, rows)
        if plan.step is not TrackStep.LEAD:
            continue
        assert len(joined_files(row, plan.followers)) == 1 + len(plan.followers)
        sources = joined_sources(row, plan.followers, call)
        made = encode(sources, target)
        left, right = _sides(target)
        found.append(Joined(sources.began_at, left, right, made.measures.people))
    return found


def _sides(path: Path) -> tuple[Side, Side]:
    resampler = AudioResampler("s16", "stereo", RATE)
    with av.open(str(path)) as container:
        pcm = b"".join(
            bytes(piece.planes[0])[: piece.samples * 4]
            for frame in container.decode(audio=0)
            for piece in resampler.resample(frame)
        )
    return Side.of_pcm(pcm, RATE, channel=0, channels=2), Side.of_pcm(pcm, RATE, channel=1, channels=2)
