"""The dialplan of asterisk-config/freepbx in a real Asterisk: no number that FreePBX would have taken is turned away.

FreePBX's own part of the dialplan is a stand-in, which takes what `from-pstn` with a route for any number takes, and has one
route that is written with a plus.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phones import Carrier
from switchhook.pbx.config import CONFIG_FILES

pytestmark = pytest.mark.asterisk

STAND_IN = """
[from-pstn]
exten = _X.,1,Goto(arrived,${EXTEN},1)
exten = _X,1,Goto(arrived,${EXTEN},1)
exten = _+4X.,1,Goto(arrived,${EXTEN},1)
exten = s,1,Goto(arrived,${EXTEN},1)
exten = _[a-z].,1,Goto(arrived,${EXTEN},1)
[arrived]
exten = _.,1,Set(GLOBAL(ARRIVED)=${EXTEN}/${SWITCHHOOK_RECORD})
 same = n,Answer()
 same = n,Wait(5)
 same = n,Hangup()
"""
TRUNK = """
[trunk](+type=endpoint)
context = switchhook-from-carrier
"""
NUMBERS = {
    # called: as FreePBX gets it, and whether it is recorded
    "74951000001": "74951000001/always",
    "4951000001": "4951000001/always",
    "1000001": "1000001/always",
    "123456": "123456/always",
    "493012345678": "493012345678/always",
    "390212345678": "390212345678/always",
    "861012345678901": "861012345678901/always",
    "+493012345678": "+493012345678/always",
    "+74951000001": "74951000001/always",
    "s": "s/",
    "trunkuser": "trunkuser/",
    "12": "12/",
    "8610123456789012": "8610123456789012/",
}


@pytest.fixture(scope="module")
def freepbx(asterisk_install: AsteriskInstall) -> Iterator[PrivateAsterisk]:
    """An Asterisk whose carrier comes in through our lines for FreePBX."""
    own = (CONFIG_FILES / "freepbx" / "extensions_custom.conf").read_text(encoding="utf-8")
    lines = own.partition("#tryinclude")[0]  # the office has what is included there
    asterisk = PrivateAsterisk(
        asterisk_install, additions={"extensions.conf": STAND_IN + lines, "pjsip.conf": TRUNK}
    )
    with asyncio.Runner() as runner:
        runner.run(asterisk.__aenter__())
        yield asterisk
        runner.run(asterisk.__aexit__(None, None, None))


@pytest.fixture
async def carrier(freepbx: PrivateAsterisk) -> AsyncIterator[Carrier]:
    async with Carrier(freepbx) as line:
        yield line


@pytest.mark.parametrize(("called", "arrived"), NUMBERS.items())
async def test_every_number_that_freepbx_takes_arrives(
    freepbx: PrivateAsterisk, carrier: Carrier, called: str, arrived: str
) -> None:
    """With its number as it came; recorded where the number has a known shape, and never turned away."""
    await freepbx.cli("dialplan set global ARRIVED nowhere")
    call = await carrier.dial(called, caller="+79161110005")
    await call.answered()
    shown = await freepbx.cli("dialplan show globals")
    assert f"ARRIVED={arrived}" in shown.replace(" ", "").split()
    await call.hang_up()


async def test_a_number_that_freepbx_refuses_is_refused_as_before(
    freepbx: PrivateAsterisk, carrier: Carrier
) -> None:
    """Nothing is taken that FreePBX has no route for."""
    call = await carrier.dial("#", caller="+79161110005")
    assert await call.ended() == 404
