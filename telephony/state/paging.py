"""Phones that a program brings into a room: a page, an intercom to several devices, somebody fetched into a conference.

FreePBX pages so: a script originates one Local channel a phone, and each joins the caller's conference room when its phone
has answered by itself. Nobody calls on these channels, so until then they are no call of their own, and in the room they
belong to the call of the one who is there already.

- **Fetched** is a phone that was rung through a Local channel which nobody dialled                       (`is_fetched`).
- **It makes no call** before it has answered and its Local half has gone somewhere                (`is_worth_telling`).
- **In a room it joins the caller's call**, if exactly one call of its own is in the room     (`calls_meeting_in_room`).
  With two it cannot be known to whom it belongs: people who meet in a public room stay strangers.
"""

from __future__ import annotations

from collections.abc import Iterable

from telephony.call_facts.observations import CallRecord, Channel
from telephony.endpoints import Kind


def originated_half(channel: Channel) -> Channel | None:
    """The half that began the Local pair which rings this phone, when no channel dialled that pair; else None."""
    source = channel.dial.source if channel.dial is not None else None
    dialler = channel.call.channels.get(source) if source is not None else None
    if dialler is None or dialler.kind is not Kind.LOCAL:
        return None
    for half in channel.call.channels.values():
        if half.half == dialler.half and half.uid == half.linked:  # what somebody dials has their linked id
            return half if half.dial is None or half.dial.source is None else None
    return None


def is_fetched(channel: Channel) -> bool:
    """Whether a program rings this phone of ours, and nobody calls it."""
    return channel.kind is Kind.EXTENSION and originated_half(channel) is not None


def is_worth_telling(channel: Channel) -> bool:
    """Whether a fetched phone makes a call: it answered, and its Local half went somewhere, or it all is over."""
    half = originated_half(channel)
    went_on = half is None or bool(half.stays) or channel.ended_at is not None
    return channel.up_at is not None and went_on


def calls_meeting_in_room(members: Iterable[Channel]) -> list[CallRecord]:
    """The calls that are one because they meet in this room: the caller's first, then the fetched ones. Else empty."""
    callers: dict[CallRecord, None] = {}
    fetched: dict[CallRecord, None] = {}
    for member in members:
        people = [channel for channel in member.call.channels.values() if channel.real]
        if people:
            without_caller = member.kind is Kind.LOCAL and all(map(is_fetched, people))
            (fetched if without_caller else callers)[member.call] = None
    return [*callers, *fetched] if len(callers) == 1 and fetched else []
