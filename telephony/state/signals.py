"""What a PBX tells us, in the words of telephony. `ami_bridge.translate` makes these; the tracker consumes them.

Named tuples rather than dataclasses: a busy PBX makes thousands a second, and they are immutable and cheap.
`at` is Unix seconds (UTC): the event's own time, not its arrival.
"""

from __future__ import annotations

from typing import NamedTuple

from telephony.endpoint_directory import EndpointListing


class Look(NamedTuple):
    """How a channel looked in one message. Empty strings where the PBX said nothing."""

    uid: str
    linked: str
    name: str
    state: str
    """`Down`, `Ring` (it dials), `Ringing` (it is rung), `Up`, or empty."""
    number: str
    caller_name: str
    exten: str
    withheld: bool = False
    """Whether its number must not be shown, although the PBX knows it (Privacy with a trusted identity)."""


class ChannelBegan(NamedTuple):
    at: float
    look: Look
    context: str = ""
    """Where in the dialplan it came in."""


class ChannelChanged(NamedTuple):
    """Its state, caller id or name changed, or it was merely seen."""

    at: float
    look: Look


class ChannelEnded(NamedTuple):
    at: float
    look: Look
    cause: int | None
    """Q.850 hang-up cause; None where the end is told without one."""


class HangupAsked(NamedTuple):
    """This channel's phone hung up (or refused): it, not the PBX, began the end."""

    at: float
    look: Look


class DialBegan(NamedTuple):
    """`source` is None when nobody's channel dials: the PBX itself originates."""

    at: float
    source: Look | None
    dest: Look
    dial_string: str


class DialEnded(NamedTuple):
    """`status` as Asterisk's DIALSTATUS; `forward` is where the phone sent the call (SIP 302), if it did."""

    at: float
    source: Look | None
    dest: Look
    status: str
    forward: str


class BridgeEntered(NamedTuple):
    """`kind` is basic (a conversation), holding (parking, queue music) or conference."""

    at: float
    look: Look
    bridge: str
    kind: str


class BridgeLeft(NamedTuple):
    """`kind` as in BridgeEntered: should the entry have been lost, this tells that there was one."""

    at: float
    look: Look
    bridge: str
    kind: str


class LocalPaired(NamedTuple):
    """Two halves of one Local channel: what enters the one comes out of the other."""

    at: float
    one: Look
    two: Look


class ReferSeen(NamedTuple):
    """The handset's own transfer key was used on this channel's call (or a transfer variable was set at all)."""

    at: float
    look: Look
    by_handset: bool


class BlindTransferred(NamedTuple):
    """`external` is False for a feature code, True for the handset's key and for AMI, None where it is not told."""

    at: float
    transferer: Look
    transferee: Look | None
    exten: str
    succeeded: bool
    external: bool | None


class AttendedTransferred(NamedTuple):
    """`dest` is bridge, app, threeway, link or fail; `app` the application that took over when dest is app."""

    at: float
    first: Look
    second: Look
    transferee: Look | None
    target: Look | None
    succeeded: bool
    dest: str
    app: str


class PickedUp(NamedTuple):
    """`look` took the call that was ringing at `target`."""

    at: float
    look: Look
    target: Look


class Parked(NamedTuple):
    at: float
    look: Look
    parker: str
    """Endpoint that parked, such as `PJSIP/101`; empty when unknown."""
    slot: str


class Unparked(NamedTuple):
    """`how` is retrieved, timed_out or gave_up."""

    at: float
    look: Look
    retriever: Look | None
    how: str


class Held(NamedTuple):
    at: float
    look: Look


class Resumed(NamedTuple):
    at: float
    look: Look


class QueueJoined(NamedTuple):
    at: float
    look: Look
    queue: str


class QueueLeft(NamedTuple):
    """`abandoned` when the queue says the caller gave up (it says so for a timeout too)."""

    at: float
    look: Look
    queue: str
    abandoned: bool


class QueueResult(NamedTuple):
    """What the queue told the dialplan: TIMEOUT, FULL, JOINEMPTY, LEAVEEMPTY, CONTINUE, ..."""

    at: float
    look: Look
    status: str


class RecordingStarted(NamedTuple):
    at: float
    look: Look
    file: str


class RecordingNamed(NamedTuple):
    """A record made later names a recording's file, with or without its folder: its beginning may not have been told."""

    at: float
    look: Look
    file: str


class RecordingStopped(NamedTuple):
    """Somebody or the dialplan stopped recording this channel; its own end stops it without a word."""

    at: float
    look: Look


class RecordingMuted(NamedTuple):
    """From here on nothing (`muted`), or again everything, of this channel gets into its recordings."""

    at: float
    look: Look
    muted: bool


class ConsentTold(NamedTuple):
    """`consent` as the dialplan tells it: one of `telephony.call_facts.facts.CONSENTS`."""

    at: float
    look: Look
    consent: str


class CallRated(NamedTuple):
    """What the caller thought of the call: 1 (bad) to 5 (good)."""

    at: float
    look: Look
    rating: int


class AppEntered(NamedTuple):
    """The channel is now served by the PBX itself, such as VoiceMail."""

    at: float
    look: Look
    app: str


class ConferenceJoined(NamedTuple):
    at: float
    look: Look
    room: str


class ConferenceLeft(NamedTuple):
    at: float
    look: Look
    room: str


class LinkLost(NamedTuple):
    """From `at` on nothing is known until a snapshot. Until then every channel that had not ended was alive."""

    at: float


class ClockSet(NamedTuple):
    """The PBX's clock was set: how long the calls of this moment last is known only within limits."""

    at: float


class SnapshotChannel(NamedTuple):
    """One channel as a snapshot shows it. `began_at` is known to about a second."""

    look: Look
    began_at: float
    bridge: str
    dialled: str
    answered_at: float | None
    recording: str
    app: str
    peer: str
    """Name of the channel it is bridged with, as the PBX says; empty when not."""


class EndpointsListed(NamedTuple):
    """Which endpoints the PBX says are whose phones, and which are trunks."""

    at: float
    listing: EndpointListing


class Snapshot(NamedTuple):
    """Everything that lives on the PBX. Asked for at `began_at`, complete at `at`."""

    at: float
    began_at: float
    channels: tuple[SnapshotChannel, ...]
    bridges: dict[str, str]
    """Bridge id → kind."""
    queued: tuple[tuple[str, str, float], ...]
    """(queue, channel name or uid, seconds waited so far)"""
    parked: tuple[tuple[str, str, str, float], ...]
    """(uid, slot, parker, seconds so far)"""
    pbx_started_at: float | None


class PbxStopped(NamedTuple):
    """The PBX said good-bye, or its start time changed. Every channel that had not ended was alive until `at`."""

    at: float
    began_before: float = float("inf")
    """Channels that began later belong to the PBX as it was started anew."""


Signal = (
    ChannelBegan
    | ChannelChanged
    | ChannelEnded
    | HangupAsked
    | DialBegan
    | DialEnded
    | BridgeEntered
    | BridgeLeft
    | LocalPaired
    | ReferSeen
    | BlindTransferred
    | AttendedTransferred
    | PickedUp
    | Parked
    | Unparked
    | Held
    | Resumed
    | QueueJoined
    | QueueLeft
    | QueueResult
    | RecordingStarted
    | RecordingNamed
    | RecordingStopped
    | RecordingMuted
    | ConsentTold
    | CallRated
    | AppEntered
    | ConferenceJoined
    | ConferenceLeft
    | LinkLost
    | ClockSet
    | Snapshot
    | EndpointsListed
    | PbxStopped
)
