"""What a real Asterisk tells the AMI user of asterisk-config/plain: the old form of the filters, as it works today."""

from __future__ import annotations

import asyncio

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.ports import LOCALHOST
from tests.asterisk_fixtures import PhoneRoom
from tests.lab.test_phones import CUSTOMER, talking

pytestmark = pytest.mark.asterisk

HEARD = (
    b"Variable: SIPTRANSFER",
    b"Variable: BLINDTRANSFER",
    b"Event: HangupRequest",
    b"Event: BlindTransfer",
)
NOT_HEARD = (b"Variable: SIPDOMAIN", b"Variable: SIPCALLID", b"Event: RTCPSent", b"Event: DeviceStateChange")


async def test_it_hears_by_what_means_a_call_was_transferred(
    asterisk: PrivateAsterisk, phones: PhoneRoom
) -> None:
    """Anna uses her handset's transfer key: its variables come through, the dialplan's other variables do not."""
    reader, writer = await asyncio.open_connection(LOCALHOST, asterisk.ports.ami)
    login = f"Action: Login\r\nUsername: {asterisk.ami_user}\r\nSecret: {asterisk.ami_secret}\r\n\r\n"
    writer.write(login.encode())
    anna, boris = await phones.handsets("101", "102")
    carrier = await phones.carrier()
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    await inside.transfer("102")
    at_boris = await boris.incoming()
    await at_boris.answer()
    await inside.ended()
    await outside.hang_up()
    await at_boris.ended()
    heard = b""
    async with asyncio.timeout(10):
        while b"Event: Cdr" not in heard:
            heard += await reader.read(65_536)
    writer.close()
    assert [mark for mark in HEARD if mark not in heard] == []
    assert [mark for mark in NOT_HEARD if mark in heard] == []
