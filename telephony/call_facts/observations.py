"""What was observed of a call: channels, their stays in bridges, dial attempts. Mutable, owned by the tracker alone.

Times are Unix seconds as the PBX told them. Nothing here is a conclusion: `telephony.call_facts` folds these observations
into call facts, and folding the same observations again gives the same facts.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from telephony.call_facts.facts import Certainty, TransferKind, TransferVia
from telephony.endpoints import Kind
from telephony.events import CallEvent

REMEMBERED = 4_000  # times: those of some hundred live calls
SAME_MOMENT = 0.006  # s; two messages of one moment may arrive swapped (measured: up to 3.6 ms)


@lru_cache(maxsize=REMEMBERED)  # a call is told anew at each change, with the same times
def moment(at: float) -> datetime:
    """Unix seconds as an aware UTC time."""
    return datetime.fromtimestamp(at, UTC)


class Stay:
    """A channel's time in one bridge. `guessed`: nobody told us when it came in."""

    __slots__ = ("bridge", "entered_at", "guessed", "kind", "left_at")

    def __init__(self, bridge: str, kind: str, entered_at: float) -> None:
        self.bridge = bridge
        self.kind = kind
        self.entered_at = entered_at
        self.left_at: float | None = None
        self.guessed = False


class Dial:
    """One attempt to ring a channel. `source` is the uid that dials, None when the PBX originates."""

    __slots__ = ("began_at", "dial_string", "ended_at", "exten", "forward", "source", "status")

    def __init__(self, source: str | None, began_at: float, dial_string: str, exten: str) -> None:
        self.source = source
        self.began_at = began_at
        self.dial_string = dial_string
        self.exten = exten
        self.ended_at: float | None = None
        self.status = ""
        self.forward = ""


class HoldSpan:
    """A hold by the channel it is kept on. `machinery`: part of a feature-code transfer, not a hold of its own."""

    __slots__ = ("at", "machinery", "until")

    def __init__(self, at: float) -> None:
        self.at = at
        self.until: float | None = None
        self.machinery = False


class SeenRecording:
    """A recording the PBX began on a channel. `pauses` are [from, to or None]."""

    __slots__ = ("at", "file", "pauses", "until")

    def __init__(self, file: str, at: float) -> None:
        self.file = file
        self.at = at
        self.until: float | None = None
        self.pauses: list[list[float | None]] = []


class Channel:
    """One channel of the PBX and everything seen of it."""

    __slots__ = (
        "app",
        "app_at",
        "asked_at",
        "began_at",
        "begun",
        "call",
        "caller_name",
        "calling",
        "cause",
        "conferences",
        "consent",
        "context",
        "counts_from",
        "dial",
        "ended_at",
        "endpoint",
        "exten",
        "half",
        "holds",
        "kind",
        "last_at",
        "linked",
        "name",
        "number",
        "party",
        "presumed_ended",
        "rating",
        "recordings",
        "ringing_at",
        "rung",
        "stays",
        "uid",
        "up_at",
        "withheld",
    )

    def __init__(self, uid: str, linked: str, began_at: float, call: CallRecord) -> None:
        self.uid = uid
        self.linked = linked
        self.began_at = began_at
        self.last_at = began_at
        self.call = call
        self.name = ""
        self.endpoint = ""
        self.half = ""
        self.kind = Kind.MACHINERY
        self.party = ""
        self.number = ""
        self.caller_name = ""
        self.exten = ""
        self.context = ""
        """Where in the dialplan it came in."""
        self.app = ""
        """The service it is in, or was in last: a mailbox."""
        self.app_at = 0.0
        self.ringing_at: float | None = None
        self.up_at: float | None = None
        self.asked_at: float | None = None
        self.ended_at: float | None = None
        self.cause: int | None = None
        """Why it ended (Q.850); None where nobody told."""
        self.presumed_ended = False
        """It was missing from a snapshot: nobody told us of its end."""
        self.withheld = False
        """Its number is known to the PBX but must not be shown."""
        self.begun = False
        """Its first message was seen: what that says of the dialled number stands."""
        self.calling = False
        """It was seen to dial (state Ring): its party calls, whatever state it began in."""
        self.rung = False
        """Made by the PBX to ring somebody, first of its linked id: nobody has called yet."""
        self.dial: Dial | None = None
        self.stays: list[Stay] = []
        self.holds: list[HoldSpan] = []
        self.conferences: list[list[float | None]] = []
        self.recordings: tuple[SeenRecording, ...] = ()
        """They belong to the channel, so that they go with it when calls turn out to be one."""
        self.consent: tuple[float, str] | None = None
        self.rating: tuple[float, int] | None = None
        self.counts_from = 0.0
        """Conversations before this moment belong to a consultation and are not the client's talk."""

    @property
    def real(self) -> bool:
        """Whether a person or a line stands behind it, not a Local half."""
        return self.kind is Kind.EXTENSION or self.kind is Kind.TRUNK

    def stay(self) -> Stay | None:
        """Where it is now."""
        return self.stays[-1] if self.stays and self.stays[-1].left_at is None else None

    def open_hold(self) -> HoldSpan | None:
        """The hold it keeps somebody in now."""
        return self.holds[-1] if self.holds and self.holds[-1].until is None else None


class SeenTransfer:
    """A hand-over as it happened."""

    __slots__ = (
        "at",
        "by",
        "by_uid",
        "inferred",
        "kind",
        "succeeded",
        "three_way",
        "to",
        "transferee",
        "via",
    )

    def __init__(
        self, kind: TransferKind, via: TransferVia | None, by: str, by_uid: str, to: str, at: float
    ) -> None:
        self.kind = kind
        self.via = via
        self.by = by
        self.by_uid = by_uid
        self.to = to
        self.at = at
        self.transferee = ""
        self.succeeded = True
        self.three_way = False
        self.inferred = False
        """Nothing told of it: it is concluded from who left whom."""


class SeenQueue:
    """A stay in a queue. `left_at` is when the queue let the caller go."""

    __slots__ = ("abandoned", "counts_from", "joined_at", "left_at", "name", "result", "uid")

    def __init__(self, name: str, uid: str, joined_at: float) -> None:
        self.name = name
        self.uid = uid
        self.joined_at = joined_at
        self.left_at: float | None = None
        self.counts_from = 0.0
        """Before this moment somebody who asked for the client waited there, not the client."""
        self.abandoned = False
        self.result = ""


class SeenParking:
    """A stay in a parking lot."""

    __slots__ = ("at", "how", "parker", "retriever", "slot", "uid", "until")

    def __init__(self, uid: str, at: float, parker: str, slot: str) -> None:
        self.uid = uid
        self.at = at
        self.parker = parker
        self.slot = slot
        self.until: float | None = None
        self.how = ""
        self.retriever = ""


class CallRecord:
    """Everything observed that belongs to one call."""

    __slots__ = (
        "absorbed",
        "announced",
        "blind_until",
        "caller_uid",
        "certainty",
        "channels",
        "consultation_of",
        "conversing",
        "ended_at",
        "events",
        "guests",
        "id",
        "linked",
        "linkeds",
        "live",
        "parkings",
        "queues",
        "requested",
        "revision",
        "rooms",
        "seen_in_part",
        "started_at",
        "talked_unseen",
        "transfers",
        "unconfirmed",
        "unverified",
    )

    def __init__(self, call_id: UUID, linked: str, started_at: float) -> None:
        self.id = call_id
        self.linked = linked
        self.linkeds: list[str] = []
        """Linked ids that lead to this call."""
        self.started_at = started_at
        self.ended_at: float | None = None
        self.channels: dict[str, Channel] = {}
        self.guests: dict[str, Channel] = {}
        """Channels of another call that take part: the colleague who asks, while a feature-code consultation lasts; whoever
        dialled into the conference room that this call was sent to. `telephony.call_facts.guests` says from when to when.
        """
        self.rooms: set[str] = set()
        """The conference rooms (bridges) that this call was sent to out of a conversation."""
        self.caller_uid: str | None = None
        self.requested: str | None = None
        self.consultation_of: UUID | None = None
        self.transfers: list[SeenTransfer] = []
        self.queues: list[SeenQueue] = []
        self.parkings: list[SeenParking] = []
        self.certainty = Certainty.OBSERVED
        self.unverified = False
        self.unconfirmed = False
        """A link was lost while it lived, and no snapshot has shown since what became of it."""
        self.blind_until = 0.0
        """When AMI could be heard again after the newest gap of which a snapshot showed the end."""
        self.talked_unseen = False
        """A link was lost in a conversation: nobody tells of a hold in the gap, nor of the end of one that lasted."""
        self.seen_in_part = False
        """AMI did not tell all of it: what only the event log tells belongs to it."""
        self.announced = False
        self.conversing = False
        self.live = 0
        """Own channels that have not ended."""
        self.events: list[CallEvent] = []
        self.absorbed: list[UUID] = []
        self.revision = 0

    @property
    def begun(self) -> bool:
        """Whether the first message of every channel was seen."""
        return all(channel.begun for channel in self.channels.values())

    @property
    def is_talking(self) -> bool:
        """Whether somebody of it is in a conversation, a hold included."""
        stays = (channel.stay() for channel in self.channels.values() if channel.real)
        return any(stay is not None and stay.kind == "basic" for stay in stays)

    def everyone(self) -> list[Channel]:
        """Own channels and guests."""
        return [*self.channels.values(), *self.guests.values()]
