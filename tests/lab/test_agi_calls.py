"""The caller's name on the phones and his contact person first, in a real Asterisk; and a service that fails in every way.

101 shows Cyrillic, 102 Latin letters only, 103 no names at all. One Asterisk for all of it: each test leaves no call behind.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from ami_bridge.agi import FastAgiServer
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import Carrier, Phone, refuses
from switchhook.pbx_config import CONFIG_FILES
from telephony.facts import CallFacts
from telephony.ports import CallerAnswer, CallerQuestion
from tests.scenarios.watch import Watch

pytestmark = pytest.mark.asterisk

CUSTOMER = "+79161110005"
CARRIER_SAYS = "PETROV P"  # the name that comes with the call
WITHOUT, WITH, OWNER_FIRST, QUEUE = "74951002001", "74951002002", "74951002003", "74951002004"
PROMISED_SECONDS = 0.3  # what a failing service may cost a call
IVANOV = CallerAnswer("Иванов Пётр", "ООО «Ромашка»", ("103",))

DIALPLAN = f"""
[globals](+)
SWITCHHOOK_OWNER_SECONDS = 1
[from-trunk]
exten = {WITHOUT},1,Dial(PJSIP/101&PJSIP/102,8,tk)
 same = n,Hangup()
exten = {WITH},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Dial(PJSIP/101&PJSIP/102,8,tkb(switchhook-display^s^1))
 same = n,Hangup()
exten = {OWNER_FIRST},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Gosub(switchhook-owner,s,1(tk))
 same = n,Dial(PJSIP/101&PJSIP/102,8,tkb(switchhook-display^s^1))
 same = n,Hangup()
exten = {QUEUE},1,Gosub(switchhook-names,s,1(${{EXTEN}}))
 same = n,Queue(sales,tkb(switchhook-display^s^1),,,8)
 same = n,Hangup()
"""
PHONES = """
[102](+type=endpoint)
set_var = SWITCHHOOK_DISPLAY=latin
[103](+type=endpoint)
set_var = SWITCHHOOK_DISPLAY=none
"""


@pytest.fixture(scope="module")
def office(asterisk_install: AsteriskInstall) -> Iterator[PrivateAsterisk]:
    """An Asterisk with the lines of asterisk-config/plain that this is about."""
    names = (CONFIG_FILES / "plain" / "extensions_switchhook_names.conf").read_text(encoding="utf-8")
    additions = {"extensions.conf": DIALPLAN + names, "pjsip.conf": PHONES}
    asterisk = PrivateAsterisk(asterisk_install, additions=additions)
    with asyncio.Runner() as runner:
        runner.run(asterisk.__aenter__())
        yield asterisk
        runner.run(asterisk.__aexit__(None, None, None))


class Book:
    """A contact book of one contact that answers as it is told to."""

    def __init__(self, answer: CallerAnswer | None = IVANOV, *, after_seconds: float = 0.0) -> None:
        self.answer = answer
        self.after_seconds = after_seconds
        self.asked: list[CallerQuestion] = []

    async def ask(self, question: CallerQuestion) -> CallerAnswer | None:
        self.asked.append(question)
        await asyncio.sleep(self.after_seconds)
        return self.answer


@asynccontextmanager
async def serving(book: Book, path: Path | None = None) -> AsyncIterator[FastAgiServer]:
    server = FastAgiServer({"hq": book}, port=0, unix_socket=path)
    task = asyncio.create_task(server.run())
    await server.listening.wait()
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Desk:
    """Two handsets, a carrier, and the dialplan's line that says whom to ask."""

    def __init__(self, asterisk: PrivateAsterisk, tmp_path: Path, room: AsyncExitStack) -> None:
        self.asterisk, self.path, self._room = asterisk, tmp_path / "handsets.sock", room
        self.phones: dict[str, Phone] = {}
        script = (CONFIG_FILES / "switchhook-names").read_text(encoding="utf-8").partition("\n")[2]
        self.script = tmp_path / "switchhook-names"
        self.script.write_text(f"#!{sys.executable} -I\n{script}", encoding="utf-8")
        self.script.chmod(0o755)

    async def open(self, *extensions: str) -> None:
        for extension in extensions:
            phone = Phone.handset(extension, self.asterisk)
            self.phones[extension] = await self._room.enter_async_context(phone)
        self.carrier = await self._room.enter_async_context(Carrier(self.asterisk))

    async def ask_by_script(self, where: str = "") -> None:
        await self._ask(f"{self.script},{where or self.path},hq")

    async def ask_by_fastagi(self, port: int) -> None:
        await self._ask(f"agi://127.0.0.1:{port}/hq")

    async def _ask(self, how: str) -> None:
        await self.asterisk.cli(f"dialplan set global SWITCHHOOK_ASK {how}")
        await self.forget_the_rest()

    async def forget_the_rest(self) -> None:
        """Half a minute has passed since nobody answered."""
        await self.asterisk.cli("dialplan set global SWITCHHOOK_REST_UNTIL 0")

    async def call(self, did: str, *extensions: str, seconds: float = 4) -> tuple[float, dict[str, Call]]:
        """A customer calls: after how many seconds the first of these phones rang, and what each was told."""
        begun = time.perf_counter()
        self.outside = await self.carrier.dial(did, caller=CUSTOMER, name=CARRIER_SAYS)
        rung, first = {}, 0.0
        for extension in extensions:
            rung[extension] = await self.phones[extension].incoming(seconds)
            first = first or time.perf_counter() - begun
        return first, rung

    async def over(self, *calls: Call) -> None:
        """The customer gives up."""
        await self.outside.hang_up()
        for call in calls:
            await call.ended()

    async def shown(self, did: str, *extensions: str) -> dict[str, str]:
        """What each phone shows of a caller who then gives up; his number is right on every one."""
        _, rung = await self.call(did, *extensions)
        await self.over(*rung.values())
        assert {call.other_number for call in rung.values()} == {CUSTOMER}
        return {extension: call.other_name for extension, call in rung.items()}


@pytest.fixture
async def desk(office: PrivateAsterisk, tmp_path: Path) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as room:
        yield Desk(office, tmp_path, room)


Way = Callable[[Desk, FastAgiServer], Awaitable[None]]


async def by_script(desk: Desk, server: FastAgiServer) -> None:
    await desk.ask_by_script()


async def by_fastagi(desk: Desk, server: FastAgiServer) -> None:
    assert server.port
    await desk.ask_by_fastagi(server.port)


@pytest.mark.parametrize("way", [by_script, by_fastagi])
async def test_each_phone_of_a_ring_group_shows_the_name_in_its_own_letters(desk: Desk, way: Way) -> None:
    """Two phones ring at once: one has Cyrillic, the other Latin letters only. The caller's number is on both."""
    await desk.open("101", "102")
    async with serving(book := Book(), desk.path) as server:
        await way(desk, server)
        shown = await desk.shown(WITH, "101", "102")
    assert shown == {"101": "Иванов Пётр, ООО «Ромашка»", "102": "Ivanov Pyotr, OOO Romashka"}
    assert book.asked == [CallerQuestion("hq", CUSTOMER, WITH)]
    assert server.counts == {"answered": 1}
