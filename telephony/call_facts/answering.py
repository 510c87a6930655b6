"""Who called, what they asked for, who took the call and how long it rang."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.parties import outside_number
from telephony.call_facts.scene import Part, Scene, first_rung_at, other_parts, own_channels, stopped_ringing
from telephony.endpoints import ROUTINE, Kind

FORWARD_MOMENT = 0.0005  # s; a forwarded call rings its new target at once (measured 1 ms)
FIRST_RING_WINDOW = 0.3  # s; phones of one group start to ring together (measured 5-20 ms apart)


def caller_of(scene: Scene) -> f.Caller:
    """Who called, as their channel showed it."""
    channel = scene.caller
    if channel.kind is Kind.EXTENSION:
        return f.Caller(
            number=channel.party, raw=channel.party, name=channel.caller_name or None, anonymous=False
        )
    withheld = channel.withheld or scene.numbering.is_withheld(channel.number)
    return f.Caller(
        number=None if withheld else outside_number(channel.number, channel, scene.numbering),
        raw="anonymous" if channel.withheld else channel.number,
        name=None if withheld else channel.caller_name or None,
        anonymous=withheld,
    )


def did_of(scene: Scene) -> str | None:
    """The number of ours that an outside caller dialled."""
    if scene.direction is not f.Direction.INBOUND or scene.caller.exten in ("", "s", "i", "t", "h"):
        return None
    return scene.numbering.outside(scene.caller.exten) or scene.caller.exten


def requested_of(scene: Scene) -> str | None:
    """What the caller asked for: what they dialled, or the one phone or queue that their call was sent to first."""
    ours = scene.caller.kind is Kind.EXTENSION
    if scene.call.requested:
        return scene.numbering.party(scene.call.requested, dialled_here=ours)
    if scene.direction is f.Direction.INBOUND:
        rung = _first_rung(scene)
        if len(rung) == 1:
            return named(rung[0])
        return (scene.call.queues[0].name or None) if scene.call.queues else None
    if scene.caller.exten not in ROUTINE:
        return scene.numbering.party(scene.caller.exten, dialled_here=ours)
    if scene.direction is f.Direction.OUTBOUND and scene.client.kind is f.PartyKind.OUTSIDE:
        return named(scene.client)
    dialled = [c.dial.exten for c in own_channels(scene) if c.dial and c.dial.source == scene.caller.uid]
    exten = next((exten for exten in dialled if exten not in ROUTINE), None)
    return scene.numbering.party(exten, dialled_here=ours) if exten else None


def _first_rung(scene: Scene) -> list[Part]:
    called = [(at, p) for p in scene.parts.values() if not p.caller and (at := first_rung_at(p))]
    rung = sorted(called, key=lambda one: (one[0], one[1].party))
    if not rung or (scene.call.queues and scene.call.queues[0].joined_at <= rung[0][0]):
        return []
    sent_on = [c.dial.ended_at for c in own_channels(scene) if c.dial and c.dial.forward and c.dial.ended_at]
    until = min([rung[0][0] + FIRST_RING_WINDOW, *(at - FORWARD_MOMENT for at in sent_on)])
    return [part for at, part in rung if at <= max(until, rung[0][0])]


def answered_by(scene: Scene) -> str | None:
    """Who was the first to talk with the client; of an outbound call the client themselves."""
    if scene.direction is f.Direction.OUTBOUND:
        return named(scene.client) if scene.conversed else None
    heard = [part for part in scene.parts.values() if part.heard and part is not scene.client]
    first = min(heard, key=lambda part: (part.heard[0][0], part.party), default=None)
    return named(first) if first is not None else None


def named(part: Part) -> str | None:
    """Who it is; None of a line of ours when nobody told for which number it was dialled."""
    unknown = part.kind is f.PartyKind.OUTSIDE and all(
        channel.endpoint == part.party and channel.dial is not None and not channel.dial.dial_string
        for channel in part.channels
    )
    return None if unknown else part.party


def service_answer(scene: Scene) -> float | None:
    """When a conference room took the call."""
    joined = [span[0] for c in own_channels(scene) for span in c.conferences if span[0] is not None]
    return min(joined) if joined else None


def final_party(scene: Scene) -> str | None:
    """Who was the last to talk with the client."""
    heard = [part for part in other_parts(scene) if part.heard]
    last = max(heard, key=lambda part: (part.heard[-1][1], part.heard[-1][0], part.party), default=None)
    return named(last) if last is not None else None


def ring_seconds(scene: Scene, answered_at: float | None) -> float | None:
    """From the first ring to the answer, else to the end of the last ringing; None when nobody was rung."""
    rung = [
        at for part in scene.parts.values() if not part.caller and (at := first_rung_at(part)) is not None
    ]
    if not rung:
        return None
    ends = [stopped_ringing(c, scene.now) for p in scene.parts.values() if not p.caller for c in p.channels]
    return max(0.0, (answered_at if answered_at is not None else max(ends)) - min(rung))
