"""What the rooms of this package know of the call: its parties, who of them is the client, and when they talked with whom.

Set once for every telling (`call`), then only read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from telephony.call_facts import facts as f
from telephony.call_facts.conversations import Together
from telephony.call_facts.observations import CallRecord, Channel, Stay
from telephony.numbers.numbers import Numbering

END_WINDOW = (
    1.0  # s; whoever hung up within this time of the end ended the call (Local chains take 0.1 s to collapse)
)
MOVE_WINDOW = 0.05  # s; from one bridge into the next (measured below 1 ms, 20 ms loaded)

Span = tuple[float, float]


@dataclass(slots=True)
class Part:
    """One party's channels and talk while the facts are being put together."""

    party: str
    kind: f.PartyKind
    caller: bool
    channels: list[Channel]
    talk: list[Span] = field(default_factory=list)
    heard: list[Span] = field(default_factory=list)
    """Conversation with the client, holds included."""


class Held(NamedTuple):
    """Somebody kept the other side waiting with music, from `since` to `until`."""

    by: str
    since: float
    until: float
    told: bool
    """Whether people would call it a hold; not while a number is keyed."""
    kept: Channel | None = None
    """Who waited while the other was in a consultation."""


@dataclass(slots=True)
class Scene:
    """Everything that a part of the telling needs to know of the call."""

    call: CallRecord
    numbering: Numbering
    now: float
    caller: Channel
    parts: dict[str, Part]
    part_of: dict[str, Part]
    client: Part
    direction: f.Direction
    together: list[Together]
    holds: list[Held]
    conversed: list[Span]
    """Times in which the client was in a conversation."""
    own: list[Channel]
    """Every channel that stands for a person or a line."""


def own_channels(scene: Scene) -> list[Channel]:
    """Every channel that stands for a person or a line."""
    return scene.own


def was_watched(scene: Scene) -> bool:
    """Whether AMI, or the event log in its place, told of the call from its beginning to its end."""
    call = scene.call
    blind = call.unconfirmed and call.certainty is not f.Certainty.RECONSTRUCTED
    return not blind and all(channel.begun for channel in scene.own)


def connects(scene: Scene, stay: Stay | None) -> bool:
    """Whether in that bridge people of this call hear each other."""
    return stay is not None and (stay.kind == "basic" or stay.bridge in scene.call.rooms)


def other_parts(scene: Scene) -> list[Part]:
    """Every party but the client."""
    return [part for part in scene.parts.values() if part is not scene.client]


def first_rung_at(part: Part) -> float | None:
    """When the party was first rung. The dial is the moment the phone is told; ringing confirms it a few ms later."""
    if part.caller:
        return None
    rung = [
        at
        for c in part.channels
        if (at := c.dial.began_at if c.dial is not None else c.ringing_at) is not None
    ]
    return min(rung) if rung else None


def stopped_ringing(channel: Channel, now: float) -> float:
    """When the channel was answered, given up or ended; `now` while it rings."""
    for end in (channel.up_at, channel.dial.ended_at if channel.dial else None, channel.ended_at):
        if end is not None:
            return end
    return now
