"""What the player shows of a call's recordings: strips on one time axis, who is heard when, what happened meanwhile.

The same strips stand under the picture of the call (the axis is the call's) and in the drawer of a list (the axis is
the recordings' own). Whatever cannot be played is told in a sentence instead. Values only; the template draws them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from call_records.recordings.types import Comment, Peaks, Recording
from telephony.call_facts.facts import CallFacts, Interval, Leg, LegRole, PartyKind, Recorded
from telephony.recordings import HealthFault, Layout, RecordingState
from web.languages.messages import _
from web.presenters.labels import FAULT_WORDS, SPAN_WORDS, Named, Names, duration
from web.presenters.waveform import Axis, Place, Waveform, axis_over, outline, silences, within

TALKING = "talking"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a recording, in percent of it: `kind` is held, paused or redacted."""

    kind: str
    place: Place
    label: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of a recording, `x` in percent of it: `kind` is transfer or comment."""

    kind: str
    x: float
    at_seconds: float
    label: str


@dataclass(frozen=True, slots=True)
class Voice:
    """Who of ours is in the conversation during a stretch; several in a conference."""

    place: Place
    since: float
    until: float
    who: str


@dataclass(frozen=True, slots=True)
class TalkShare:
    """How much of a recording one person talked, in whole percent."""

    who: Named
    percent: int


@dataclass(frozen=True, slots=True)
class Strip:
    """One recording that can be played."""

    id: UUID
    place: Place
    seconds: float
    outside: Named
    ours: tuple[Named, ...]
    wave: Waveform | None
    spans: tuple[Span, ...]
    moments: tuple[Moment, ...]
    voices: tuple[Voice, ...]
    silences: tuple[tuple[float, float], ...]
    warnings: tuple[str, ...]
    has_original: bool
    comments: tuple[Comment, ...]
    shares: tuple[TalkShare, ...] = ()

    def for_script(self) -> dict[str, Any]:
        """What `player.js` needs to know of it."""
        return {
            "id": str(self.id),
            "x": self.place.x,
            "width": self.place.width,
            "seconds": self.seconds,
            "silences": self.silences,
            "voices": [[voice.since, voice.until, voice.who] for voice in self.voices],
            "outside": self.outside.first,
            "original": self.has_original,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """A recording that cannot be played, in words. `icon` and `act` as everywhere: red only when somebody must act."""

    icon: str
    text: str
    act: bool = False
    at: datetime | None = None
    """When it was removed."""
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Player:
    """All recordings of a call."""

    strips: tuple[Strip, ...]
    told: tuple[Told, ...]

    @property
    def span_kinds(self) -> tuple[str, ...]:
        """What occurs in them, for the legend."""
        there = {span.kind for strip in self.strips for span in strip.spans}
        return tuple(kind for kind in SPAN_WORDS if kind in there)


@dataclass(frozen=True, slots=True)
class Material:
    """What is known of a call's recordings, as it was read."""

    recordings: Sequence[Recording]
    peaks: Mapping[UUID, Peaks]
    comments: Mapping[UUID, Sequence[Comment]]


def playable(recording: Recording) -> bool:
    """Whether there is sound to be played."""
    return recording.state is RecordingState.READY and bool(recording.duration_seconds)


def own_axis(recordings: Sequence[Recording], facts: CallFacts | None) -> Axis:
    """The axis that just holds the recordings; at least one of them can be played."""
    return axis_over([(_begin(r, facts), r.duration_seconds or 0.0) for r in recordings if playable(r)])


def show_player(material: Material, facts: CallFacts | None, names: Names, axis: Axis) -> Player:
    """Strips for what can be played, sentences for the rest. `facts` are already masked for whoever looks."""
    strips = tuple(_strip(r, material, facts, names, axis) for r in material.recordings if playable(r))
    told = tuple(tell_state(r, facts) for r in material.recordings if not playable(r))
    return Player(strips, tuple(dict.fromkeys(told)))


def _begin(recording: Recording, facts: CallFacts | None) -> datetime:
    """The first sample; a recording that does not know it is drawn from the answer on, where nearly all begin."""
    known = recording.started_at or (facts and (facts.answered_at or facts.started_at))
    if known:
        return known
    ready = recording.ready_at or recording.arrived_at or recording.expected_at
    if ready is None:
        raise ValueError(f"recording {recording.id} is ready and was never anything else")
    return ready - timedelta(seconds=recording.duration_seconds or 0.0)


def _strip(
    recording: Recording, material: Material, facts: CallFacts | None, names: Names, axis: Axis
) -> Strip:
    seconds = recording.duration_seconds or 0.0
    begin = _begin(recording, facts)
    peaks = material.peaks.get(recording.id)
    comments = tuple(material.comments.get(recording.id, ()))
    mono = recording.layout is Layout.MONO
    other = _other_side(facts, recording, begin, seconds) if facts else None
    voices = _voices(facts, other, names, begin, seconds) if facts and not mono else ()
    outside = names.leg(other, facts) if facts and other and not mono else Named(_("Everybody"), None)
    transfers = _transfers(facts, names, begin, seconds) if facts else ()
    return Strip(
        id=recording.id,
        place=axis.place(begin, seconds),
        seconds=round(seconds, 2),
        outside=outside,
        ours=_ours(facts, other, names, begin, seconds) if facts and not mono else (),
        wave=outline(peaks) if peaks else None,
        spans=tuple(_spans(recording, facts, begin, seconds)),
        moments=(*transfers, *(_comment(one, seconds) for one in comments)),
        voices=voices,
        silences=silences(peaks, seconds) if peaks else (),
        warnings=tuple(_warning(fault, recording, facts) for fault in recording.faults),
        has_original=recording.has_original,
        comments=comments,
        shares=_shares(recording, facts, other, names) if facts else (),
    )


# -- who is heard --


def _shares(recording: Recording, facts: CallFacts, other: Leg | None, names: Names) -> tuple[TalkShare, ...]:
    """The outside party's share of the talk and each of ours; where one file holds all of ours, nothing is shown."""
    measures = recording.measures
    if measures is None or not measures.people or other is None:
        return ()
    found = [(names.leg(other, facts), measures.outside_talk_share or 0.0)]
    for person in measures.people:
        leg = facts.leg_of(person.party) if person.party else None
        found.append(
            (names.leg(leg, facts) if leg else Named(_("Somebody outside"), None), person.talk_share)
        )
    return tuple(TalkShare(who, round(100 * share)) for who, share in found)


def _other_side(facts: CallFacts, recording: Recording, begin: datetime, seconds: float) -> Leg | None:
    """The party above the line: the outside party whose line was recorded; where that is not known, of several the
    one whose stay fits the recording best; in an internal call the one who called.
    """
    told = _made(facts, recording)
    outside = [leg for leg in facts.legs if leg.kind is PartyKind.OUTSIDE]
    if not outside:
        return next((leg for leg in facts.legs if leg.role is LegRole.CALLER), None)
    if told and told.kind is PartyKind.OUTSIDE and (leg := facts.leg_of(told.party)):
        return leg
    end = begin + timedelta(seconds=seconds)
    return max(outside, key=lambda leg: _fit(_stay(leg, facts), (begin, end)))


def _made(facts: CallFacts, recording: Recording) -> Recorded | None:
    """What the PBX told of this recording."""
    return next((r for r in facts.recorded if recording.channel and r.uniqueid == recording.channel), None)


def _stay(leg: Leg, facts: CallFacts) -> tuple[datetime, datetime]:
    talks = _talks(leg, facts)
    if talks:
        return talks[0]
    begin = leg.answered_at or leg.rang_at or facts.started_at
    return begin, leg.ended_at or facts.ended_at or begin


def _fit(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> float:
    """What both cover, as a share of what either covers."""
    both = (min(one[1], other[1]) - max(one[0], other[0])).total_seconds()
    either = (max(one[1], other[1]) - min(one[0], other[0])).total_seconds()
    return both / either if either > 0 else 0.0


def _talks(leg: Leg, facts: CallFacts) -> list[tuple[datetime, datetime]]:
    """When this party was in a conversation."""
    told = [i for i in leg.intervals if i.doing == TALKING]
    if not leg.intervals and leg.answered_at:
        told = [Interval(TALKING, leg.answered_at, leg.ended_at)]
    fallback = leg.ended_at or facts.ended_at
    return [(i.since, i.until or fallback or i.since) for i in told]


def _voices(
    facts: CallFacts, other: Leg | None, names: Names, begin: datetime, seconds: float
) -> tuple[Voice, ...]:
    """Who else is in the conversation, stretch by stretch."""
    stays = [
        (names.leg(leg, facts).first, (a - begin).total_seconds(), (b - begin).total_seconds())
        for leg in facts.legs
        if leg is not other and leg.kind is not PartyKind.SERVICE
        for a, b in _talks(leg, facts)
    ]
    edges = sorted({0.0, seconds, *(min(max(t, 0.0), seconds) for _who, a, b in stays for t in (a, b))})
    voices: list[Voice] = []
    for since, until in pairwise(edges):
        middle = (since + until) / 2
        who = ", ".join(dict.fromkeys(name for name, a, b in stays if a <= middle < b))
        if not who:
            continue
        if voices and voices[-1].who == who and voices[-1].until == since:
            since = voices.pop().since
        voices.append(Voice(_whole(seconds, since, until), round(since, 2), round(until, 2), who))
    return tuple(voices)


def _whole(seconds: float, since: float, until: float) -> Place:
    return within(seconds, since, until) or Place(0.0, 0.0)


def _ours(
    facts: CallFacts, other: Leg | None, names: Names, begin: datetime, seconds: float
) -> tuple[Named, ...]:
    """Who is heard below the line, in the order in which they came in."""
    end = begin + timedelta(seconds=seconds)
    heard = [
        (a, leg)
        for leg in facts.legs
        if leg is not other and leg.kind is not PartyKind.SERVICE
        for a, b in _talks(leg, facts)
        if a < end and b > begin
    ]
    heard.sort(key=lambda pair: pair[0])
    return tuple(dict.fromkeys(names.leg(leg, facts) for _at, leg in heard))


# -- what happened meanwhile --


def _transfers(facts: CallFacts, names: Names, begin: datetime, seconds: float) -> tuple[Moment, ...]:
    moments = []
    for transfer in facts.transfers:
        at = (transfer.at - begin).total_seconds()
        place = within(seconds, at, at)
        if place:
            text = _("Transferred to {who}").format(who=names.party(transfer.to, facts).first)
            moments.append(Moment("transfer", place.x, round(at, 2), text))
    return tuple(moments)


def _comment(comment: Comment, seconds: float) -> Moment:
    at = min(max(comment.at_seconds, 0.0), seconds)
    label = f"{duration(at)} {comment.author}: {comment.text}"
    return Moment("comment", _whole(seconds, at, at).x, round(at, 2), label)


def _spans(recording: Recording, facts: CallFacts | None, begin: datetime, seconds: float) -> list[Span]:
    found: list[tuple[str, float, float, str]] = []
    for hold in facts.holds if facts else ():
        since = (hold.at - begin).total_seconds()
        found.append(
            ("held", since, since + hold.seconds, _("On hold {time}").format(time=duration(hold.seconds)))
        )
    made = _made(facts, recording) if facts else None
    for pause in made.pauses if made else ():
        since = (pause.at - begin).total_seconds()
        until = (pause.until - begin).total_seconds() if pause.until else seconds
        text = _("Recording was paused {time}").format(time=duration(until - since))
        found.append(("paused", since, until, text))
    for red in recording.redactions:
        text = _("Covered by {who}").format(who=red.by)
        found.append(("redacted", red.from_seconds, red.to_seconds, text))
    spans = []
    for kind, since, until, label in found:
        place = within(seconds, since, until)
        if place:
            spans.append(Span(kind, place, label))
    return spans


# -- while the call lasts --


@dataclass(frozen=True, slots=True)
class Taping:
    """A live call is being recorded; `paused_since` while it is paused on every line that is recorded."""

    paused_since: datetime | None


def taping(facts: CallFacts) -> Taping | None:
    """What the PBX told of recording this call just now; None when it is not recorded, or over."""
    going = [one for one in facts.recorded if one.until is None]
    if facts.ended or not going:
        return None
    pauses = [one.pauses[-1].at for one in going if one.pauses and one.pauses[-1].until is None]
    return Taping(min(pauses) if len(pauses) == len(going) else None)


# -- words --


def _warning(fault: HealthFault, recording: Recording, facts: CallFacts | None) -> str:
    if fault is HealthFault.SHORTER_THAN_TALK and facts and recording.duration_seconds:
        return _("{sound} of a conversation of {talk} was recorded").format(
            sound=duration(recording.duration_seconds), talk=duration(facts.talk_seconds)
        )
    return FAULT_WORDS[fault]


def _with_reason(said: str, recording: Recording) -> str:
    return f"{said} {recording.reason}" if recording.reason else said


def tell_state(recording: Recording, facts: CallFacts | None) -> Told:
    """Why there is nothing to play, and what will happen or who should do what."""
    match recording.state:
        case RecordingState.EXPECTED if facts and not facts.ended:
            return Told("record", _("This call is being recorded."))
        case RecordingState.EXPECTED:
            return Told("queue", _("The recording is on its way."))
        case RecordingState.ARRIVED:
            return Told("queue", _("The recording has arrived and will be ready in a moment."))
        case RecordingState.EMPTY:
            return Told("silent", _with_reason(_("Nothing was recorded."), recording))
        case RecordingState.REFUSED:
            return Told(
                "missed", _with_reason(_("The file that came cannot be read as sound."), recording), act=True
            )
        case RecordingState.FAILED:
            return Told(
                "missed", _with_reason(_("The recording could not be prepared."), recording), act=True
            )
        case RecordingState.LOST:
            return Told(
                "missed",
                _with_reason(_("The recording never came from the phone system."), recording),
                act=True,
            )
        case RecordingState.REMOVED if recording.removal:
            gone = recording.removal
            return Told("silent", _("Removed by {who}").format(who=gone.by), at=gone.at, why=gone.why)
        case RecordingState.REMOVED:
            return Told("silent", _("The recording was removed."))
        case RecordingState.JOINED:
            return Told("silent", _("This is one person’s track; the call’s own recording has it."))
        case RecordingState.READY:
            return Told("silent", _("The recording has no sound in it."))
