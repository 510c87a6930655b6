"""AMI users of a real Asterisk that see half or nothing: each is found out by the link itself, and by the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ami_bridge.doctor.doctor import Level
from ami_bridge.doctor.sight import examine_clock, examine_sight
from ami_bridge.observer import Observer
from ami_bridge.stream import SnapshotEnd
from ami_bridge.wire.connection import FIELD_TIMINGS, PbxLink
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.ports import LOCALHOST
from tests.asterisk_fixtures import PhoneRoom
from tests.lab.test_phones import CUSTOMER, talking

pytestmark = pytest.mark.asterisk

OFTEN = replace(FIELD_TIMINGS, compare_seconds=2.0, confirm_compare_seconds=1.0)


def without_class(name: str) -> Callable[[str], str]:
    def change(line: str) -> str:
        key, equals, classes = line.partition("=")
        if key.strip() != "read":
            return line
        return f"{key}{equals} {','.join(c for c in classes.strip().split(',') if c != name)}"

    return change


def without_line(filtered: str) -> Callable[[str], str]:
    return lambda line: "" if line.strip() == f"eventfilter = {filtered}" else line


USERS: dict[str, tuple[Callable[[str], str], str]] = {
    "nocall": (without_class("call"), "Add call to the read line of the AMI user nocall"),
    "nodialplan": (without_class("dialplan"), "dialplan to its read line"),
    "nohangup": (without_line("Event: Hangup"), "'eventfilter = Event: Hangup'"),
    "nodialbegin": (without_line("Event: DialBegin"), "'eventfilter = Event: DialBegin'"),
    "nonewchannel": (without_line("Event: Newchannel"), "'eventfilter = Event: Newchannel'"),
    "nobridgeenter": (without_line("Event: BridgeEnter"), "'eventfilter = Event: BridgeEnter'"),
    "whole": (lambda line: line, ""),
}
"""Name of the user → what was done to the recommended one, and what has to be said of it."""


async def add_users(asterisk: PrivateAsterisk) -> None:
    file = Path(asterisk._etc) / "manager_switchhook.conf"
    own = file.read_text(encoding="utf-8")
    users = [
        "\n".join(map(change, own.replace(f"[{asterisk.ami_user}]", f"[{name}]").splitlines()))
        for name, (change, _) in USERS.items()
        if f"[{name}]" not in own
    ]
    if users:
        file.write_text("\n".join([own, *users]) + "\n", encoding="utf-8")
        await asterisk.cli("manager reload")


@asynccontextmanager
async def observing(asterisk: PrivateAsterisk, user: str) -> AsyncIterator[Observer]:
    link = PbxLink("pbx", LOCALHOST, asterisk.ports.ami, user, asterisk.ami_secret, timings=OFTEN)
    observer = Observer(link)
    ready = asyncio.Event()

    async def read() -> None:
        async for item in observer.items():
            if isinstance(item, SnapshotEnd):
                ready.set()

    tasks = [asyncio.create_task(observer.run()), asyncio.create_task(read())]
    try:
        async with asyncio.timeout(10):
            await ready.wait()
        yield observer
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def until_said(observer: Observer) -> str:
    async with asyncio.timeout(20):
        while (problem := observer.link_state().problem) is None:
            await asyncio.sleep(0.05)
    return problem


@pytest.mark.parametrize("user", [name for name in USERS if name != "whole"])
async def test_what_a_user_does_not_see_is_said(
    asterisk: PrivateAsterisk, phones: PhoneRoom, user: str
) -> None:
    """A customer talks to Anna and hangs up. The user that lacks something is told what, the whole one is well."""
    await add_users(asterisk)
    anna, carrier = await phones.handset("101"), await phones.carrier()
    async with observing(asterisk, user) as observer, observing(asterisk, "whole") as whole:
        outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
        ended = user == "nohangup"
        if ended:
            await outside.hang_up()
            await inside.ended()
        problem = await until_said(observer)
        if not ended:
            await outside.hang_up()
            await inside.ended()
        assert USERS[user][1] in problem
        assert observer.link_state().connected
        assert whole.link_state().problem is None
        assert whole.pbx_clock.is_known


async def test_the_doctor_sees_it_too(asterisk: PrivateAsterisk, phones: PhoneRoom) -> None:
    """A call begins while they look: blind to one user, well to the other; and without a call they say so."""
    await add_users(asterisk)
    anna, carrier = await phones.handset("101"), await phones.carrier()
    blind = PbxLink("pbx", LOCALHOST, asterisk.ports.ami, "nocall", asterisk.ami_secret)
    whole = PbxLink("pbx", LOCALHOST, asterisk.ports.ami, "whole", asterisk.ami_secret)
    looks = [
        asyncio.create_task(examine_sight(link, seconds=20, idle_seconds=6, list_seconds=1.0))
        for link in (blind, whole)
    ]
    await asyncio.sleep(1.0)  # both have logged in and listed nothing
    outside, inside = await talking(carrier, "74951000001", anna, caller=CUSTOMER)
    [found] = await looks[0]
    await outside.hang_up()
    await inside.ended()
    [well] = await looks[1]
    [nothing] = await examine_sight(whole, idle_seconds=1.0)
    [clock] = await examine_clock(whole)
    assert (found.level, well.level, nothing.level, clock.level) == (
        Level.FAULT,
        Level.OK,
        Level.WARN,
        Level.OK,
    )
    assert found.remedy.startswith("Add call to the read line")
