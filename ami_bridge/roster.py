"""Which phones a PBX has and what they are doing: its device states, with the right to read what is reported anyway.

`DeviceStateList` needs no more than the snapshot does (`reporting`), where `PJSIPShowEndpoints` wants `system`, which could
run programs on the PBX; it names every configured endpoint, registered or not (measured on 22.10 and 16.28). A FreePBX
keeps "do not disturb" as a state of its own, `Custom:DND101`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ami_bridge.actions import Action, ActionChannel
from telephony.numbers import Numbering
from telephony.presence import Phone, PhoneState

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

_DEVICE = re.compile(r"(?:PJSIP|SIP|IAX2|SCCP|DAHDI|Dongle)/([^/@]+)")
_DO_NOT_DISTURB = re.compile(r"Custom:DND(.+)")


async def read_roster(actions: ActionChannel, numbering: Numbering) -> tuple[Phone, ...]:
    """Every extension of the PBX with its state, by number. Raises what `ActionChannel.send` raises."""
    answer = await actions.send(Action("DeviceStateList"))
    return phones_in(answer.events[:MOST], numbering)


def phones_in(events: Iterable[Mapping[str, str]], numbering: Numbering) -> tuple[Phone, ...]:
    """The extensions among these devices. Trunks and what the PBX invented for itself are left out."""
    states: dict[str, PhoneState] = {}
    silent: set[str] = set()
    for event in events:
        device, said = str(event.get("Device", "")), str(event.get("State", ""))
        if (named := _DEVICE.fullmatch(device)) and numbering.is_extension(named[1]):
            states[named[1]] = STATES.get(said, PhoneState.UNKNOWN)
        elif (named := _DO_NOT_DISTURB.fullmatch(device)) and said in ("INUSE", "BUSY"):
            silent.add(named[1])
    return tuple(
        Phone(numbering.pbx, extension, _unless_silent(states[extension], extension in silent))
        for extension in sorted(states)
    )


def _unless_silent(state: PhoneState, silent: bool) -> PhoneState:
    return PhoneState.DO_NOT_DISTURB if silent and state is PhoneState.FREE else state
