"""What a call tells of its recordings: who was on the recorded channel, when it began, and how long there was talk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from call_records.recordings.naming import recording_of
from call_records.recordings.shapes import Recording
from telephony.conversations import total, union
from telephony.facts import CallFacts, PartyKind, Recorded
from telephony.recordings import audio_began_at

COVERED_SHARE = 0.98  # of the seconds talked must be in the audio ...
COVERED_SLACK_SECONDS = 1.0  # ... but for what starting to record takes


def told_of(call: CallFacts | None, recording: Recording) -> Recorded | None:
    """What the call's facts say of this recording; None when they do not name it."""
    name = recording.name.partition("~")[0]
    named = (told for told in (call.recorded if call else ()) if recording_of(told.file) == name)
    return next(named, None)


def outside_first(call: CallFacts | None, recording: Recording) -> bool | None:
    """Whether the receiving side is the outside party: as the call tells it, else as it was filed."""
    told = told_of(call, recording)
    return recording.outside_first if told is None else told.kind is PartyKind.OUTSIDE


def began_at(call: CallFacts | None, recording: Recording, duration_seconds: float) -> datetime:
    """When the first sample was heard."""
    written_until = max(file.modified_at for file in recording.files)
    told = told_of(call, recording)
    return audio_began_at(call, told.file if told else "", duration_seconds, written_until)


def falls_short(
    call: CallFacts, recording: Recording, duration_seconds: float, siblings: Sequence[Recording]
) -> bool:
    """Whether there was more talk while it was recorded than there is audio.

    Where the call does not say when it was recorded, all its recordings together must be as long as its talk.
    """
    if call.ended_at is None:
        return False
    told = told_of(call, recording)
    if told is not None:
        talked, audio = _talk_between(call, told.at, told.until or call.ended_at), duration_seconds
    else:
        others = (one.duration_seconds or 0.0 for one in siblings if one.id != recording.id)
        talked, audio = call.talk_seconds, duration_seconds + sum(others)
    return audio < COVERED_SHARE * talked - COVERED_SLACK_SECONDS


def _talk_between(call: CallFacts, since: datetime, until: datetime) -> float:
    """Seconds in which anybody of the call talked, within that time."""
    spans = (
        (max(one.since, since).timestamp(), min(one.until or until, until).timestamp())
        for leg in call.legs
        for one in leg.intervals
        if one.doing == "talking"
    )
    return total(union(span for span in spans if span[0] < span[1]))
