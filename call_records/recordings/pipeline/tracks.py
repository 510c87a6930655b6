"""One recording out of everybody's own tracks: which track leads, what is waited for, and what of each file goes where.

Where the PBX records each channel on a track of its own (docs/how-to/record-calls.md), the outside party's track leads:
its recording is the call's, from its first sample to its last. Of the others' tracks only that is laid beside it which
they said while they were in a conversation with the outside party: neither consultations nor internal calls, nothing
while the leading track was paused or had been stopped. Their own rows become JOINED.

The clock of a track. Its file begins with the first audio of its channel and ends with the channel, and where nobody sent
audio either way (a handset that holds, keys that are pressed) that time is missing in the file (measured on 16.28 and
22.10). It can only be missing where its party was not in the conversation. So the stretch before the first such hole
counts from the file's beginning, the one after the last from its end; of several holes, holds take their time first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from call_records.recordings.catalogue.file_names import recording_of
from call_records.recordings.encoding.types import Sources, TrackPiece
from call_records.recordings.ingest.wav_header import sound_seconds
from call_records.recordings.pipeline.calls import told_of
from call_records.recordings.types import Recording, SourceFile, SourceRole, Span
from telephony.call_facts.conversations import total, union, without
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded
from telephony.recordings import RecordingState

SIBLING_PAUSE_SECONDS = (
    2.0  # until the others' files are looked for again; they come within a second of each other
)
LIVE_PAUSE_SECONDS = 15.0  # a call that goes on after this channel left it
SHORTEST_SECONDS = 0.02  # of a stretch: one packet
AXIS_SLACK_SECONDS = (
    0.15  # by which a file may differ from its channel's time without anything being left out of it
)

INTERNAL = "Nobody outside was in this conversation; it is not kept."
TOO_LATE = "It came after the recording of its call was made, and is not in it."
WAITS = "Waits for the other tracks of its call."

_GIVEN_UP = frozenset(
    {
        RecordingState.LOST,
        RecordingState.EMPTY,
        RecordingState.REFUSED,
        RecordingState.FAILED,
        RecordingState.JOINED,
    }
)
_ON_THE_WAY = frozenset({RecordingState.EXPECTED, RecordingState.ARRIVED})


class TrackStep(StrEnum):
    """What is to be done with a track that arrived."""

    ALONE = "alone"  # nothing is known of its call: as it came
    WAIT = "wait"
    LEAD = "lead"  # it becomes the call's recording
    FOLLOW = "follow"  # its sound is in the call's recording, or belongs to none
    LATE = "late"


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """The step, with its reason or what it needs."""

    step: TrackStep
    reason: str = ""
    pause_seconds: float = SIBLING_PAUSE_SECONDS
    followers: tuple[Recording, ...] = ()
    """Whose tracks are laid beside the leading one."""


def is_track(recording: Recording) -> bool:
    """Whether this is one party alone."""
    return any(file.role is SourceRole.TRACK for file in recording.files)


def plan_track(recording: Recording, call: CallFacts | None, rows: Iterable[Recording]) -> TrackPlan:
    """What is to be done with this track now. `rows` are all recordings of its call, tracks included."""
    told = told_of(call, recording)
    if call is None or told is None or not told.track:
        return TrackPlan(TrackStep.ALONE)
    if call.ended_at is None:
        return TrackPlan(TrackStep.WAIT, WAITS, LIVE_PAUSE_SECONDS)
    by_name = {row.name: row for row in rows}
    leading = _leading(call)
    if recording.name in {recording_of(one.file) for one in leading}:
        return _plan_lead(call, told, by_name)
    return _plan_follow(recording, told, [by_name.get(recording_of(one.file) or "") for one in leading])


def _leading(call: CallFacts) -> list[Recorded]:
    """The tracks of the outside party: of whoever outside was recorded first, and was not called in by somebody else."""
    own = [
        one for one in call.recorded if one.track and one.kind is PartyKind.OUTSIDE and not one.with_outside
    ]
    return [one for one in own if one.party == own[0].party]


def _plan_lead(call: CallFacts, told: Recorded, by_name: Mapping[str, Recording]) -> TrackPlan:
    others = [one for one in call.recorded if one.track and one.with_outside and one is not told]
    found = (by_name.get(recording_of(one.file) or "") for one in others)
    rows = [row for row in found if row is not None]
    if any(row.state is RecordingState.EXPECTED for row in rows):
        return TrackPlan(TrackStep.WAIT, WAITS)
    return TrackPlan(TrackStep.LEAD, followers=tuple(row for row in rows if is_track(row)))


def _plan_follow(recording: Recording, told: Recorded, leaders: Sequence[Recording | None]) -> TrackPlan:
    there = [row for row in leaders if row is not None]
    if not leaders or not told.with_outside:
        return TrackPlan(TrackStep.FOLLOW, INTERNAL)
    if all(row.state in _GIVEN_UP for row in there):
        return TrackPlan(TrackStep.LEAD)  # the outside party's is lost: what ours said is better than nothing
    if any(row.state in _ON_THE_WAY for row in there):
        return TrackPlan(TrackStep.WAIT, WAITS)
    taken = {file.path for row in there for file in row.files}
    if any(file.path in taken for file in recording.files) or all(
        row.state is RecordingState.REMOVED for row in there
    ):
        return TrackPlan(TrackStep.FOLLOW)
    return TrackPlan(TrackStep.LATE, TOO_LATE)


# -- what of each file goes where ---------------------------------------------------------------------------------------


def joined_files(recording: Recording, followers: Iterable[Recording]) -> tuple[SourceFile, ...]:
    """All that the joined recording is made of: whoever removes it removes them all."""
    return tuple(dict.fromkeys(file for row in (recording, *followers) for file in row.files))


def joined_sources(recording: Recording, followers: Iterable[Recording], call: CallFacts) -> Sources:
    """The leading track whole, and of the others what they said to the outside party, on the leading one's axis.

    Reads the files' headers. Raises OSError.
    """
    told = told_of(call, recording)
    path = _track_path(recording)
    if told is None or path is None:
        return Sources(mix=path)
    length = sound_seconds(path)
    lead = lay_out(told, call, length)
    if not lead:
        return Sources(mix=path)
    began, ended = lead[0][0], lead[-1][0] + lead[-1][2] - lead[-1][1]
    outside = told.kind is PartyKind.OUTSIDE
    pieces = [TrackPiece(path, told.party, outside, since, until, at - began) for at, since, until in lead]
    allowed = without([(began, ended)], _pauses(told, ended))
    for row in followers:
        pieces += _pieces_of(row, call, allowed, began)
    return Sources(outside_first=outside, began_at=began, tracks=tuple(pieces))


def _pieces_of(row: Recording, call: CallFacts, allowed: list[Span], began: float) -> list[TrackPiece]:
    told, path = told_of(call, row), _track_path(row)
    if told is None or path is None:
        return []
    # A number of somebody outside who was called in is not written into the measures, where nobody would mask it.
    party = told.party if told.kind is PartyKind.EXTENSION else ""
    found = []
    for at, since, until in lay_out(told, call, sound_seconds(path)):
        for first, last in _common(allowed, (at, at + until - since)):
            stretch = since + first - at, since + last - at
            found.append(TrackPiece(path, party, False, *stretch, first - began))
    return [piece for piece in found if piece.to_seconds - piece.from_seconds >= SHORTEST_SECONDS]


Placed = tuple[float, float, float]
"""A stretch of a file: where it begins on the clock, from and to in the file. Seconds."""


def lay_out(told: Recorded, call: CallFacts, length_seconds: float) -> list[Placed]:
    """Where the stretches of a track belong, in order.

    Of the outside party's own track everything; of another's what was said in a conversation with the outside party.
    """
    end = told.until.timestamp() if told.until is not None else _call_end(call)
    began = _began_at(told, end, length_seconds)
    missing = end - began - length_seconds
    if missing < AXIS_SLACK_SECONDS:
        missing = 0.0
        if not told.with_outside:
            return [(began, 0.0, length_seconds)]
    talks = _talks(told, call, (began, end))
    shifts = _shifts(talks, _holds_of(told, call, end), began, missing)
    placed = []
    for (since, until), shift in zip(talks, shifts, strict=True):
        first, last = max(0.0, since - began - shift), min(until - began - shift, length_seconds)
        if last - first >= SHORTEST_SECONDS:
            placed.append((since, first, last))
    return placed if told.with_outside else _with_rest(placed, began, length_seconds)


def _with_rest(placed: Sequence[Placed], began: float, length_seconds: float) -> list[Placed]:
    """What lies in the file before, between and after these stretches too, each from where the one before it ends."""
    found: list[Placed] = []
    at, read = began, 0.0
    for since, first, last in placed:
        if first - read >= SHORTEST_SECONDS:
            found.append((at, read, first))
        found.append((since, first, last))
        at, read = since + last - first, last
    if length_seconds - read >= SHORTEST_SECONDS:
        found.append((at, read, length_seconds))
    return found


def _began_at(told: Recorded, end: float, length_seconds: float) -> float:
    """The moment of the file's first sample: the answer, or earlier if the file is longer than that."""
    from_answer = max(told.at, told.answered_at).timestamp() if told.answered_at else end - length_seconds
    return max(told.at.timestamp(), min(from_answer, end - length_seconds))


def _talks(told: Recorded, call: CallFacts, whole: Span) -> list[Span]:
    """When this party was in the conversation: the stretches of the clock in which nothing can be missing in its file."""
    if told.with_outside:
        spans = [_span(one.at, one.until, whole[1]) for one in told.with_outside]
        holes = [*_holds_of(told, call, whole[1]), *_pauses(told, whole[1])]
    else:
        legs = [leg for leg in call.legs if leg.party == told.party]
        talking = (one for leg in legs for one in leg.intervals if one.doing == "talking")
        spans, holes = [_span(one.since, one.until, whole[1]) for one in talking], []
    talks = without(union(spans), holes)
    return [found for span in talks for found in _common([whole], span)]


def _holds_of(told: Recorded, call: CallFacts, end: float) -> list[Span]:
    """While this party kept the other waiting, its handset sends nothing or speaks on another line."""
    return [
        _span(hold.at, hold.at + timedelta(seconds=hold.seconds), end)
        for hold in call.holds
        if hold.by == told.party
    ]


def _shifts(talks: Sequence[Span], holds: Sequence[Span], began: float, missing: float) -> list[float]:
    """For each stretch, how much of the time before it is missing in the file."""
    if not talks:
        return []
    holes = [(before[1], after[0]) for before, after in pairwise(talks)]
    first = [(began, talks[0][0])] if talks[0][0] - began > AXIS_SLACK_SECONDS else []
    all_holes = first + holes
    silent = [total(_overlaps(hole, holds)) for hole in all_holes]
    other = [hole[1] - hole[0] - held for hole, held in zip(all_holes, silent, strict=True)]
    by_hold = min(1.0, missing / sum(silent)) if sum(silent) else 0.0
    left = missing - by_hold * sum(silent)
    by_other = min(1.0, left / sum(other)) if sum(other) > 0 else 0.0
    lost = [by_hold * held + by_other * rest for held, rest in zip(silent, other, strict=True)]
    shift = lost.pop(0) if first else 0.0
    shifts = [shift]
    for one in lost:
        shift += one
        shifts.append(shift)
    return shifts


def _overlaps(hole: Span, spans: Iterable[Span]) -> list[Span]:
    return union(_common(list(spans), hole))


def _common(allowed: Sequence[Span], span: Span) -> list[Span]:
    both = ((max(since, span[0]), min(until, span[1])) for since, until in allowed)
    return [(since, until) for since, until in both if since < until]


def _pauses(told: Recorded, end: float) -> list[Span]:
    return [_span(pause.at, pause.until, end) for pause in told.pauses]


def _span(since: datetime, until: datetime | None, end: float) -> Span:
    return since.timestamp(), until.timestamp() if until is not None else end


def _call_end(call: CallFacts) -> float:
    return (call.ended_at or call.started_at).timestamp()


def _track_path(recording: Recording) -> Path | None:
    return next((file.path for file in recording.files if file.role is SourceRole.TRACK), None)
