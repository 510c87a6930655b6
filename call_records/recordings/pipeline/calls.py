"""What a call tells of its recordings: who was on the recorded channel, when it began, how long there was talk, and whether
both sides of that talk were recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from call_records.recordings.catalogue.file_names import recording_of
from call_records.recordings.types import Processed, Recording, Span
from telephony.call_facts.conversations import total, union, without
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded
from telephony.recordings import HealthFault, audio_began_at

COVERED_SHARE = 0.98  # of the seconds talked must be in the audio ...
COVERED_SLACK_SECONDS = 1.0  # ... but for what starting to record takes
BLANK_SECONDS = 5.0  # of a side in talk, and more, are a part that is missing
EDGE_SECONDS = 0.5  # by which the ends of talk, holds and pauses may differ from those in the audio


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


_NEEDS_TALK = frozenset({HealthFault.SILENT, HealthFault.OUTSIDE_SILENT, HealthFault.OURS_SILENT})


_ONE_SIDED = frozenset({HealthFault.OUTSIDE_SILENT, HealthFault.OURS_SILENT})
SILENT_SECONDS = 2.0  # of talk without a pause, and less: nobody need have said a word in it
ONE_SIDED_SECONDS = (
    5.0  # as the sound itself is judged: a shorter talk may well be one person's "wrong number"
)


def audible_faults(
    call: CallFacts, recording: Recording, faults: Sequence[HealthFault], duration_seconds: float
) -> tuple[HealthFault, ...]:
    """The faults of the sound that are faults: where nobody answered, silence is what there was; so it is while the
    recording was paused on purpose, and in the second of a mailbox into which nobody spoke.

    A recording that begins with the call holds the ringing of our side (FreePBX plays it to the caller of a ring group),
    or a mailbox's announcement, and nothing from the other.
    """
    if _nobody_talked(call, recording):
        return tuple(fault for fault in faults if fault not in _NEEDS_TALK)
    talked = _recorded_talk(call, recording, duration_seconds)
    if talked < SILENT_SECONDS:
        return tuple(fault for fault in faults if fault not in _NEEDS_TALK)
    if talked < ONE_SIDED_SECONDS:
        return tuple(fault for fault in faults if fault not in _ONE_SIDED)
    return tuple(faults)


def _recorded_talk(call: CallFacts, recording: Recording, duration_seconds: float) -> float:
    """Seconds of sound that somebody may have spoken in: at most its length, and of its talk what was not paused."""
    told = told_of(call, recording)
    end = (told.until if told else None) or call.ended_at
    if told is None or end is None or not told.pauses:
        return duration_seconds
    talk = union(
        _span(max(one.since, told.at), min(one.until or end, end), end.timestamp())
        for leg in call.legs
        for one in leg.intervals
        if one.doing == "talking" and max(one.since, told.at) < min(one.until or end, end)
    )
    pauses = [_span(pause.at, pause.until, end.timestamp()) for pause in told.pauses]
    return min(duration_seconds, total(without(talk, pauses)))


def _nobody_talked(call: CallFacts, recording: Recording) -> bool:
    """Whether there was no conversation while it was recorded."""
    if call.answered_at is None:
        return True
    told = told_of(call, recording)
    if told is None or told.until is None or call.talk_seconds == 0:
        return False
    return _talk_between(call, told.at, told.until) == 0


def part_missing(call: CallFacts, recording: Recording, made: Processed) -> bool:
    """Whether nothing at all came from one side for more than 5 s in which the recorded party talked.

    Asterisk 22.10.1 can leave whoever talks after music out of every recording (docs/how-to/record-calls.md). False where
    the call does not name the recording: then neither its place in the call nor its pauses are known.
    """
    told = told_of(call, recording)
    if told is None:
        return False
    began = began_at(call, recording, made.duration_seconds).timestamp()
    end = began + made.duration_seconds
    # Where nobody sent audio, that time is missing in the file: what comes after it was that much later.
    left_out = max(0.0, told.until.timestamp() - end) if told.until is not None else 0.0
    talk = _two_sided_talk(call, told, end + left_out)
    return any(
        all(_longest_common(side, talk, shift) > BLANK_SECONDS for shift in (began, began + left_out))
        for side in _sides_with_sound(made)
    )


def _sides_with_sound(made: Processed) -> list[tuple[Span, ...]]:
    """The blanks of each side, but for a side that is silent altogether: that is a fault of its own."""
    if HealthFault.SILENT in made.faults:
        return []
    sides = {
        HealthFault.OUTSIDE_SILENT: made.blanks.outside,
        HealthFault.OURS_SILENT: made.blanks.ours,
    }
    return [spans for fault, spans in sides.items() if fault not in made.faults]


def _longest_common(blanks: tuple[Span, ...], talk: list[Span], shift: float) -> float:
    """Seconds of the longest stretch that is blank and talk at once, the audio beginning at `shift`."""
    common = (
        min(until + shift, talk_until) - max(since + shift, talk_since)
        for since, until in blanks
        for talk_since, talk_until in talk
    )
    return max(common, default=0.0)


def _two_sided_talk(call: CallFacts, told: Recorded, end: float) -> list[Span]:
    """When the recorded party surely talked with somebody and it was recorded: less holds, waits, pauses and edges."""
    of_party = [leg for leg in call.legs if leg.party == told.party]
    legs = of_party if any(leg.intervals for leg in of_party) else call.legs
    spans = union(
        _span(one.since, one.until, end) for leg in legs for one in leg.intervals if one.doing == "talking"
    )
    pieces = without(spans, _without_talk(call, told, end))
    return [(since + EDGE_SECONDS, until - EDGE_SECONDS) for since, until in pieces]


def _without_talk(call: CallFacts, told: Recorded, end: float) -> list[Span]:
    """Holds, parking, the queue's wait and the recording's pauses; what has no end lasts to the recording's."""
    stays: list[tuple[datetime, float | None]] = [(hold.at, hold.seconds) for hold in call.holds]
    stays += [(stay.at, stay.seconds) for stay in call.parked]
    if call.queue is not None:
        stays.append((call.queue.joined_at, call.queue.wait_seconds))
    holes = [
        _span(at, None if seconds is None else at + timedelta(seconds=seconds), end) for at, seconds in stays
    ]
    return holes + [_span(pause.at, pause.until, end) for pause in told.pauses]


def _span(since: datetime, until: datetime | None, end: float) -> Span:
    return since.timestamp(), until.timestamp() if until is not None else end
