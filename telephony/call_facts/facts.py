"""Call facts, version 1: how a call, live or ended, is told to the page, the API, the CRM and `switchhook replay`.

One frozen value per call and moment. Adding fields is free; renaming one or changing a meaning is a new version.
The meaning of every field is documented in docs/reference/call-facts.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

VERSION = 1


class State(StrEnum):
    """Where the call is now."""

    RINGING = "ringing"
    QUEUED = "queued"
    TALKING = "talking"
    HELD = "held"
    PARKED = "parked"
    VOICEMAIL = "voicemail"
    ENDED = "ended"
    UNVERIFIED = "unverified"  # the link to the PBX is lost: last known state, not shown as current


class Direction(StrEnum):
    """Decided by who the parties are, never by the dialplan's context names."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class Disposition(StrEnum):
    """How the call came out. None while nobody can know yet."""

    ANSWERED = "answered"
    MISSED = "missed"
    ABANDONED = "abandoned"
    VOICEMAIL = "voicemail"
    BUSY = "busy"
    DECLINED = "declined"
    FAILED = "failed"
    NO_ANSWER = "no_answer"


class Service(StrEnum):
    """What of the PBX itself took a call in which nobody was called."""

    MAILBOX = "mailbox"  # somebody listened to the messages in a mailbox
    FEATURE_CODE = "feature_code"  # a code such as *78 was dialled: do not disturb, forwarding, the time


class Certainty(StrEnum):
    """How sure the facts are: seen live, closed from CEL/CDR/snapshot, or an end known only within limits."""

    OBSERVED = "observed"
    RECONSTRUCTED = "reconstructed"
    BOUNDED = "bounded"


class PartyKind(StrEnum):
    """Extension: one of our phones. Outside: reached through a trunk. Service: something the PBX itself plays."""

    EXTENSION = "extension"
    OUTSIDE = "outside"
    SERVICE = "service"


class LegRole(StrEnum):
    """Caller: who began the call. Callee: rung by it, by a transfer, a pickup or a park retrieve."""

    CALLER = "caller"
    CALLEE = "callee"


class LegState(StrEnum):
    """What this party's phone is doing now."""

    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    WAITING = "waiting"  # up, but with nobody: in a queue, an IVR, a parking lot, or still dialling
    ENDED = "ended"


class LegOutcome(StrEnum):
    """How a party's part came out."""

    ANSWERED = "answered"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    UNREACHABLE = "unreachable"


class TransferKind(StrEnum):
    """Blonde: attended, but completed before the target answered."""

    BLIND = "blind"
    ATTENDED = "attended"
    BLONDE = "blonde"


class TransferVia(StrEnum):
    """Who made the PBX do it: the handset's own key, a dialled code, our card, or another program."""

    SIP = "sip"
    FEATURE_CODE = "feature_code"
    CARD = "card"
    AMI = "ami"


class TransferResult(StrEnum):
    """Returned: the target did not take it and the transferer got the call back."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who called. `number` is E.164 for outside parties, the extension for ours, None when withheld."""

    number: str | None
    raw: str
    name: str | None
    anonymous: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's part in the call, as people see it (Local halves folded away)."""

    party: str
    kind: PartyKind
    role: LegRole
    name: str | None
    state: LegState
    rang_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    talk_seconds: float
    outcome: LegOutcome | None
    intervals: tuple[Interval, ...] = ()
    """What this party was doing from when to when, in order: the picture on the call page is drawn from it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """`doing` is ringing, talking, held, queued, parked or waiting; `until` is None while it lasts."""

    doing: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """One hand-over, recorded when it happens, even if the target never rings."""

    kind: TransferKind
    via: TransferVia | None
    by: str
    to: str | None
    """As dialled; None where nothing tells."""
    result: TransferResult | None
    at: datetime
    three_way: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """`by` put the other side on hold for `seconds` (so far, while it lasts)."""

    by: str
    seconds: float
    at: datetime


@dataclass(frozen=True, slots=True)
class QueueVisit:
    """`wait_seconds` from joining to being answered or leaving; `tried` rang at least once, in order."""

    name: str
    wait_seconds: float | None
    tried: tuple[str, ...]
    answered_by: str | None
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Parking:
    """A stay in a parking lot."""

    by: str | None
    slot: str
    seconds: float | None
    retrieved_by: str | None
    timed_out: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class RecordingPause:
    """Nothing was recorded from `at` to `until`: exact silence in the file. `until` is None while it lasts."""

    at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class TrackSpan:
    """A time in which the party of a track was in a conversation with the outside party; `until` None while it lasts."""

    at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recording that the PBX made: which file, on whose channel, when.

    What that channel's party said is the file's receiving side. So `kind` tells the sides apart: recorded on the
    channel of the outside party, their voice is what the channel received; on an extension's it is the other way round.
    """

    file: str
    uniqueid: str
    """Of the channel that was recorded."""
    party: str
    kind: PartyKind
    at: datetime
    """When the PBX was told to record. Nothing is written before the channel has audio."""
    until: datetime | None
    """When it was stopped, or the channel ended; None while it goes on."""
    pauses: tuple[RecordingPause, ...] = ()
    track: bool = False
    """The file holds only what this channel's party says; the call's recording is joined from all its tracks."""
    answered_at: datetime | None = None
    """Of a track: when its channel was answered, which is when its audio begins as a rule."""
    with_outside: tuple[TrackSpan, ...] = ()
    """Of a track that is not the outside party's own: when it was in a conversation with it. Consultations are left out."""


CONSENTS = ("announced", "given", "refused")
"""What a dialplan can tell of consent to recording: it was announced, the caller agreed by a key, or they did not."""
LOWEST_RATING, HIGHEST_RATING = 1, 5


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Everything one call is, at one moment."""

    id: UUID
    pbx: str
    direction: Direction
    state: State
    caller: Caller
    did: str | None
    requested: str | None
    disposition: Disposition | None
    answered_by: str | None
    final_party: str | None
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    ring_seconds: float | None
    wait_seconds: float | None
    talk_seconds: float
    hold_seconds: float
    ended_by: str | None
    hangup_cause: int | None
    legs: tuple[Leg, ...]
    transfers: tuple[Transfer, ...]
    holds: tuple[Hold, ...]
    queue: QueueVisit | None
    parked: tuple[Parking, ...]
    missed_by: tuple[str, ...]
    recordings: tuple[str, ...]
    certainty: Certainty
    consultation_of: UUID | None
    recorded: tuple[Recorded, ...] = ()
    """More of what `recordings` names."""
    consent: str | None = None
    """To recording: one of CONSENTS; None when the dialplan told nothing."""
    rating: int | None = None
    """What the caller thought of the call, 1 to 5; None when they pressed no key."""
    service: Service | None = None
    """Nobody was called: the PBX itself took the call."""

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.state is State.ENDED

    def leg_of(self, party: str) -> Leg | None:
        """The newest leg of that party, or None."""
        return next((leg for leg in reversed(self.legs) if leg.party == party), None)

    def as_json(self) -> dict[str, Any]:
        """The outside shape: plain JSON values; times as ISO 8601 UTC with milliseconds and `Z`."""
        return {"version": VERSION, **{name: _plain(getattr(self, name)) for name in _CALL_FIELDS}}


_CALL_FIELDS = tuple(CallFacts.__dataclass_fields__)


def iso(moment: datetime) -> str:
    """`2026-11-22T01:32:00.144Z`: aware UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(value: object) -> Any:  # JSON is untyped; it stops here
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, UUID | StrEnum):
        return str(value)
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


@dataclass(frozen=True, slots=True)
class Outside:
    """The outside parties of a call, as the list is searched by them."""

    number: str | None
    others: tuple[str, ...]


def outside_of(facts: CallFacts) -> Outside:
    """The caller of an inbound call, whom an outbound call was for; and everybody else reached outside."""
    legs = [leg.party for leg in facts.legs if leg.kind is PartyKind.OUTSIDE]
    first = next((leg.party for leg in facts.legs if _is_callee_outside(leg.kind, leg.role)), None)
    main: str | None = None
    if facts.direction is Direction.INBOUND:
        main = facts.caller.number or (None if facts.caller.anonymous else facts.caller.raw)
    elif facts.direction is Direction.OUTBOUND:
        main = first or facts.requested
    others = tuple(dict.fromkeys(party for party in legs if party != main))
    return Outside(main or None, others)


def _is_callee_outside(kind: PartyKind, role: LegRole) -> bool:
    return kind is PartyKind.OUTSIDE and role is LegRole.CALLEE


def facts_from_json(told: dict[str, Any]) -> CallFacts:
    """The inverse of `CallFacts.as_json`: reads what this program wrote. Else raises KeyError or ValueError."""
    return CallFacts(
        id=UUID(told["id"]),
        pbx=told["pbx"],
        direction=Direction(told["direction"]),
        state=State(told["state"]),
        caller=Caller(
            number=told["caller"]["number"],
            raw=told["caller"]["raw"],
            name=told["caller"]["name"],
            anonymous=told["caller"]["anonymous"],
        ),
        did=told["did"],
        requested=told["requested"],
        disposition=Disposition(told["disposition"]) if told["disposition"] else None,
        answered_by=told["answered_by"],
        final_party=told["final_party"],
        started_at=_moment(told["started_at"]),
        answered_at=_maybe(told["answered_at"]),
        ended_at=_maybe(told["ended_at"]),
        ring_seconds=told["ring_seconds"],
        wait_seconds=told["wait_seconds"],
        talk_seconds=told["talk_seconds"],
        hold_seconds=told["hold_seconds"],
        ended_by=told["ended_by"],
        hangup_cause=told["hangup_cause"],
        legs=tuple(_leg(leg) for leg in told["legs"]),
        transfers=tuple(
            Transfer(
                kind=TransferKind(t["kind"]),
                via=TransferVia(t["via"]) if t["via"] else None,
                by=t["by"],
                to=t["to"],
                result=TransferResult(t["result"]) if t["result"] else None,
                at=_moment(t["at"]),
                three_way=t["three_way"],
            )
            for t in told["transfers"]
        ),
        holds=tuple(Hold(by=h["by"], seconds=h["seconds"], at=_moment(h["at"])) for h in told["holds"]),
        queue=_queue(told["queue"]) if told["queue"] else None,
        parked=tuple(
            Parking(
                by=p["by"],
                slot=p["slot"],
                seconds=p["seconds"],
                retrieved_by=p["retrieved_by"],
                timed_out=p["timed_out"],
                at=_moment(p["at"]),
            )
            for p in told["parked"]
        ),
        missed_by=tuple(told["missed_by"]),
        recordings=tuple(told["recordings"]),
        certainty=Certainty(told["certainty"]),
        consultation_of=UUID(told["consultation_of"]) if told["consultation_of"] else None,
        # Told since the releases that write them only:
        recorded=tuple(_recorded(one) for one in told.get("recorded") or ()),
        consent=told.get("consent"),
        rating=told.get("rating"),
        service=Service(told["service"]) if told.get("service") else None,
    )


def _leg(told: dict[str, Any]) -> Leg:
    return Leg(
        party=told["party"],
        kind=PartyKind(told["kind"]),
        role=LegRole(told["role"]),
        name=told["name"],
        state=LegState(told["state"]),
        rang_at=_maybe(told["rang_at"]),
        answered_at=_maybe(told["answered_at"]),
        ended_at=_maybe(told["ended_at"]),
        talk_seconds=told["talk_seconds"],
        outcome=LegOutcome(told["outcome"]) if told["outcome"] else None,
        intervals=tuple(
            Interval(doing=i["doing"], since=_moment(i["since"]), until=_maybe(i["until"]))
            for i in told["intervals"]
        ),
    )


def _recorded(told: dict[str, Any]) -> Recorded:
    return Recorded(
        file=told["file"],
        uniqueid=told["uniqueid"],
        party=told["party"],
        kind=PartyKind(told["kind"]),
        at=_moment(told["at"]),
        until=_maybe(told["until"]),
        pauses=tuple(RecordingPause(at=_moment(p["at"]), until=_maybe(p["until"])) for p in told["pauses"]),
        # Written since recordings have tracks:
        track=bool(told.get("track")),
        answered_at=_maybe(told.get("answered_at")),
        with_outside=tuple(
            TrackSpan(at=_moment(s["at"]), until=_maybe(s["until"])) for s in told.get("with_outside") or ()
        ),
    )


def _queue(told: dict[str, Any]) -> QueueVisit:
    return QueueVisit(
        name=told["name"],
        wait_seconds=told["wait_seconds"],
        tried=tuple(told["tried"]),
        answered_by=told["answered_by"],
        joined_at=_moment(told["joined_at"]),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
