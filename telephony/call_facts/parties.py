"""Who is who: whose channel began the call, what every channel's party is called, who is the client."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.observations import CallRecord, Channel, Dial
from telephony.call_facts.scene import Part
from telephony.endpoint_evidence import is_mac
from telephony.endpoints import ROUTINE, Kind, dialled_number
from telephony.ids import uid_order
from telephony.numbers.numbers import Numbering


def caller_channel(call: CallRecord, present: list[Channel]) -> Channel:
    """The channel of who called: the one the call is named after, else the first that nobody dialled."""
    if call.caller_uid is not None:
        for channel in present:
            if channel.uid == call.caller_uid:
                return channel
    real = [channel for channel in call.channels.values() if channel.real]
    for channel in real:
        if channel.uid == call.linked and (channel.dial is None or channel.dial.source is None):
            return channel
    undialled = [c for c in real if c.dial is None or c.dial.source is None]
    return min(undialled or real, key=lambda c: (c.began_at, uid_order(c.uid)))


def party_of(channel: Channel, call: CallRecord, numbering: Numbering, *, is_caller: bool) -> str:
    """What the channel's party is called: an extension, a number in E.164, or `anonymous`."""
    if channel.party:
        return channel.party
    raw = "" if channel.number in ROUTINE else channel.number
    reached = dialled_number(channel.dial.dial_string, channel.endpoint) if channel.dial is not None else ""
    if channel.dial is not None:
        raw = reached or raw or _dialled_for(channel.dial, call)
    asked_for = "" if is_caller or raw else call.requested or _asked_for(call)
    raw = raw or asked_for or ("" if is_caller else channel.endpoint)
    # A phone that dialled 0 wants the operator; a caller who shows 0 does not want to be known.
    if (numbering.is_withheld(raw) and (is_caller or not raw.isdigit())) or (channel.withheld and is_caller):
        return "anonymous"
    party = outside_number(raw, channel, numbering, dialled_here=bool(asked_for))
    if reached:  # what was dialled stays; a guess gives way to what is learned later
        channel.party = party
    return party


def outside_number(raw: str, channel: Channel, numbering: Numbering, *, dialled_here: bool = False) -> str:
    """What a line's number is called; a phone's own hardware address is not read as a number."""
    if raw == channel.endpoint and is_mac(raw):
        return raw
    return numbering.outside(raw, dialled_here=dialled_here) or raw


def _dialled_for(dial: Dial, call: CallRecord) -> str:
    """The number in the dialplan for which a line was dialled; not the number of ours that an outside caller dialled, nor
    the phone of ours for which the line was.
    """
    if dial.exten in ROUTINE:
        return ""
    called = {c.exten for c in call.channels.values() if c.kind is Kind.TRUNK and c.dial is None}
    ours = {c.party for c in call.channels.values() if c.kind is Kind.EXTENSION}
    return "" if dial.exten in called | ours else dial.exten


def _asked_for(call: CallRecord) -> str:
    """What the channel that began the call dialled: all that is known of a line we did not see being dialled."""
    first = call.channels.get(call.linked)
    return (
        first.exten
        if first is not None and first.kind is Kind.EXTENSION and first.exten not in ROUTINE
        else ""
    )


def direction_of(caller: Channel, parts: dict[str, Part], call: CallRecord) -> f.Direction:
    """Inbound when a trunk called; else outbound or internal by whom the caller had rung first."""
    if caller.kind is Kind.TRUNK:
        return f.Direction.INBOUND
    rung = sorted(
        (c for part in parts.values() for c in part.channels if c is not caller and c.dial is not None),
        key=lambda c: c.dial.began_at if c.dial else 0.0,
    )
    own = [c for c in rung if c.counts_from == 0.0 or c.kind is Kind.TRUNK] or rung
    if own:
        return f.Direction.OUTBOUND if own[0].kind is Kind.TRUNK else f.Direction.INTERNAL
    dialled = call.requested or caller.exten
    digits = dialled.lstrip("+")
    if digits.isdigit() and len(digits) >= 7:
        return f.Direction.OUTBOUND
    # Nobody was seen to be rung (the link came up later): with somebody behind a trunk in it, it is not internal.
    through_trunk = any(c.kind is Kind.TRUNK for part in parts.values() for c in part.channels)
    return f.Direction.OUTBOUND if through_trunk else f.Direction.INTERNAL


def client_of(direction: f.Direction, caller: Part, parts: dict[str, Part]) -> Part:
    """The party whose conversations are the call's: who called, but of an outbound call who was called."""
    if direction is not f.Direction.OUTBOUND:
        return caller
    outside = [part for part in parts.values() if part.kind is f.PartyKind.OUTSIDE]
    answered = [part for part in outside if any(c.up_at is not None for c in part.channels)]
    return (answered or outside or [caller])[0]
