"""Which phones a PBX has, from its device states."""

from __future__ import annotations

import asyncio

import pytest

from ami_bridge.actions import ActionChannel
from ami_bridge.roster import phones_in, read_roster
from ami_bridge.wire.connection import PbxLink
from switchhook.lab.asterisk import PrivateAsterisk
from telephony.numbers.numbers import Numbering
from telephony.presence import Phone, PhoneState, together
from tests.asterisk_fixtures import PhoneRoom

OFFICE = Numbering(pbx="hq", trunks="10[9]")


def device(name: str, state: str) -> dict[str, str]:
    return {"Event": "DeviceStateChange", "Device": name, "State": state}


def test_extensions_are_told_from_trunks_and_inventions() -> None:
    """Endpoints that number like extensions are phones; a trunk, a queue's own and a custom state are not."""
    told = phones_in(
        [
            device("PJSIP/102", "INUSE"),
            device("PJSIP/101", "NOT_INUSE"),
            device("SIP/555", "UNAVAILABLE"),
            device("PJSIP/trunk", "NOT_INUSE"),
            device("PJSIP/109", "NOT_INUSE"),
            device("Queue:service_pause_Local/106@queue-members/n", "NOT_INUSE"),
            device("Custom:DEVSTATE101", "INUSE"),
            device("PJSIP/103", "SOMETHING_NEW"),
            {"Event": "DeviceStateChange"},
        ],
        OFFICE,
    )
    assert told == (
        Phone("hq", "101", PhoneState.FREE),
        Phone("hq", "102", PhoneState.BUSY),
        Phone("hq", "103", PhoneState.UNKNOWN),
        Phone("hq", "555", PhoneState.UNREACHABLE),
    )


def test_do_not_disturb_of_a_freepbx() -> None:
    """A free phone that must not ring is not free; one in a conversation is busy first of all."""
    events = [
        device("PJSIP/101", "NOT_INUSE"),
        device("Custom:DND101", "BUSY"),
        device("PJSIP/102", "INUSE"),
        device("Custom:DND102", "INUSE"),
        device("PJSIP/103", "NOT_INUSE"),
        device("Custom:DND103", "NOT_INUSE"),
    ]
    assert [phone.state for phone in phones_in(events, OFFICE)] == [
        PhoneState.DO_NOT_DISTURB,
        PhoneState.BUSY,
        PhoneState.FREE,
    ]


@pytest.mark.parametrize(
    ("states", "all_of_them"),
    [
        ((), PhoneState.UNKNOWN),
        ((PhoneState.UNREACHABLE, PhoneState.FREE), PhoneState.FREE),
        ((PhoneState.FREE, PhoneState.BUSY), PhoneState.BUSY),
        ((PhoneState.UNREACHABLE, PhoneState.UNKNOWN), PhoneState.UNREACHABLE),
    ],
)
def test_several_handsets_of_one_person(states: tuple[PhoneState, ...], all_of_them: PhoneState) -> None:
    """Desk phone and mobile: they talk on one, or can be reached on one."""
    assert together(states) is all_of_them


async def test_a_real_pbx_names_all_its_phones(asterisk: PrivateAsterisk, phones: PhoneRoom) -> None:
    """The recommended user, with no right but to ask what is reported, learns of phones that never registered."""
    await phones.handset("101")
    link = PbxLink("hq", "127.0.0.1", asterisk.ports.ami, asterisk.ami_user, asterisk.ami_secret)
    async with asyncio.timeout(20), ActionChannel(link) as actions:
        told = await read_roster(actions, Numbering(pbx="hq"))
    states = {phone.extension: phone.state for phone in told.phones}
    assert set(states) >= {str(extension) for extension in range(101, 111)}
    assert states["101"] is PhoneState.FREE
    assert states["110"] is PhoneState.UNREACHABLE
