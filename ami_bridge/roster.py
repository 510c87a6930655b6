"""Which phones a PBX has and what they are doing: its device states, with the right to read what is reported anyway.

`DeviceStateList` needs no more than the snapshot does (`reporting`), where `PJSIPShowEndpoints` wants `system`, which could
run programs on the PBX; it names every configured endpoint, registered or not (measured on 22.10 and 16.28). A FreePBX
keeps "do not disturb" as a state of its own, `Custom:DND101`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ami_bridge.actions import Action, ActionChannel
from ami_bridge.endpoint_listing import QUESTIONS, EndpointLists
from telephony.endpoint_directory import Endpoint, EndpointListing, read_device
from telephony.errors import NeedsPerson
from telephony.numbers.numbers import Numbering
from telephony.presence import Phone, PhoneState, together

MOST = 20_000  # devices; a PBX that names more has lost its mind, and the page could not show them

STATES: Mapping[str, PhoneState] = {
    "NOT_INUSE": PhoneState.FREE,
    "INUSE": PhoneState.BUSY,
    "BUSY": PhoneState.BUSY,
    "RINGING": PhoneState.RINGING,
    "RINGINUSE": PhoneState.BUSY,
    "ONHOLD": PhoneState.ON_HOLD,
    "UNAVAILABLE": PhoneState.UNREACHABLE,
    "INVALID": PhoneState.UNREACHABLE,
}
"""Asterisk's words (include/asterisk/devicestate.h) and ours; any other is unknown."""

_DO_NOT_DISTURB = re.compile(r"Custom:DND(.+)")


class Roster(NamedTuple):
    """What one reading of the device states came to."""

    phones: tuple[Phone, ...]
    """Every extension with its state, by number."""
    devices: tuple[Endpoint, ...]
    """Every endpoint, trunks included."""


async def read_roster(actions: ActionChannel, numbering: Numbering) -> Roster:
    """Who can be reached, and by which endpoints. Raises what `ActionChannel.send` raises."""
    answer = await actions.send(Action("DeviceStateList"))
    events = answer.events[:MOST]
    return Roster(phones_in(events, numbering), devices_in(events))


async def read_endpoint_lists(actions: ActionChannel) -> EndpointListing:
    """What the PBX lists of its endpoints now. A list that it has not, or refuses, is None; else raises as `send`."""
    lists = EndpointLists()
    listing = EndpointListing()
    for question in QUESTIONS:
        try:
            answer = await actions.send(Action(question))
        except NeedsPerson:
            continue  # a PBX without that module, or an AMI user without `reporting`, of which others complain
        for event in answer.events:
            lists.take(str(event.get("Event", "")), event)
        ended = lists.take(_END_OF[question], {})
        if ended is not None:
            listing = EndpointListing(
                listing.hints if ended.hints is None else ended.hints,
                listing.lines if ended.lines is None else ended.lines,
            )
    return listing


_END_OF: Mapping[str, str] = {
    "ExtensionStateList": "ExtensionStateListComplete",
    "PJSIPShowRegistrationsOutbound": "OutboundRegistrationDetailComplete",
}
"""The event that closes a list; `ActionChannel` keeps it to itself."""


def devices_in(events: Iterable[Mapping[str, str]]) -> tuple[Endpoint, ...]:
    """The endpoints among these devices, phones and trunks."""
    found = (read_device(str(event.get("Device", ""))) for event in events)
    return tuple(dict.fromkeys(one for one in found if one is not None))


def phones_in(events: Iterable[Mapping[str, str]], numbering: Numbering) -> tuple[Phone, ...]:
    """The extensions among these devices. Trunks and what the PBX invented for itself are left out.

    Of an extension with several devices the most telling state counts.
    """
    states: dict[str, list[PhoneState]] = {}
    silent: set[str] = set()
    for event in events:
        device, said = str(event.get("Device", "")), str(event.get("State", ""))
        endpoint = read_device(device)
        extension = numbering.extension_of(endpoint.name, endpoint.tech) if endpoint else None
        if extension is not None:
            states.setdefault(extension, []).append(STATES.get(said, PhoneState.UNKNOWN))
        elif (named := _DO_NOT_DISTURB.fullmatch(device)) and said in ("INUSE", "BUSY"):
            silent.add(named[1])
    return tuple(
        Phone(numbering.pbx, extension, _unless_silent(together(states[extension]), extension in silent))
        for extension in sorted(states)
    )


def _unless_silent(state: PhoneState, silent: bool) -> PhoneState:
    return PhoneState.DO_NOT_DISTURB if silent and state is PhoneState.FREE else state
