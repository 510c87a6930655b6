"""What the doctor finds of a PBX only by watching it for a while: its clock, and whether it tells us of its calls.

Both are what the running service watches for itself (`ami_bridge.wire.pbx_clock`, `ami_bridge.blindness`), asked once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ami_bridge.blindness import LOOKED_FOR, ChannelComparison, ChannelList, blindness_sentence
from ami_bridge.doctor.doctor import Finding, Level
from ami_bridge.wire.connection import AmiConnection, PbxLink
from ami_bridge.wire.message import Message
from ami_bridge.wire.pbx_clock import AGREE_SECONDS, clock_sentence
from telephony.errors import SwitchhookError

ANSWER_SECONDS = 5.0
LIST_SECONDS = 2.0  # between two lists of channels: a person waits for the result
SIGHT_SECONDS = 60.0  # where calls stand, one of them ends or another begins meanwhile in most offices
IDLE_SECONDS = 5.0  # where none stands, nothing is to be expected
NTP_REMEDY = "Let both machines take their time from the network (NTP): 'timedatectl set-ntp true'."


async def examine_clock(link: PbxLink, *, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Whether the PBX's clock agrees with ours. Raises nothing of its own."""
    try:
        connection = await AmiConnection.open(link, events=False, clock=clock)
    except SwitchhookError as error:
        return [Finding(Level.FAULT, str(error), error.remedy or "")]
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            skew = await _ask_skew(connection, clock)
    except TimeoutError:
        return [Finding(Level.WARN, "Asterisk did not tell its time.", "Run the doctor again.")]
    except SwitchhookError as error:
        return [Finding(Level.FAULT, str(error), error.remedy or "")]
    finally:
        await connection.close()
    if skew is None:
        return [Finding(Level.WARN, "This Asterisk does not tell its time.", "Compare both clocks by hand.")]
    if abs(skew) <= AGREE_SECONDS:
        return [Finding(Level.OK, "The clock of the phone system agrees with ours.")]
    return [Finding(Level.WARN, clock_sentence(skew) or "", NTP_REMEDY)]


async def _ask_skew(connection: AmiConnection, clock: Callable[[], float]) -> float | None:
    """The PBX's clock minus ours; None when it does not tell."""
    action_id = f"doctor-{connection.mark}-time"
    sent_at = clock()
    connection.send(("Action", "Ping"), ("ActionID", action_id))
    while True:
        for message in await connection.receive():
            if message.get("ActionID") == action_id:
                try:
                    return float(message.get("Timestamp")) - (sent_at + message.arrived_at) / 2
                except ValueError:
                    return None


async def examine_sight(
    link: PbxLink,
    *,
    seconds: float = SIGHT_SECONDS,
    idle_seconds: float = IDLE_SECONDS,
    list_seconds: float = LIST_SECONDS,
) -> list[Finding]:
    """Whether the PBX sends the events of its calls. Needs a call that begins or ends meanwhile. Raises nothing."""
    try:
        connection = await AmiConnection.open(link)
    except SwitchhookError as error:
        return [Finding(Level.FAULT, str(error), error.remedy or "")]
    look = _Look(connection)
    try:
        await look.watch(seconds, idle_seconds, list_seconds)
    except SwitchhookError as error:
        return [Finding(Level.FAULT, str(error), error.remedy or "")]
    finally:
        await connection.close()
    return [look.finding()]


class _Look:
    """One link that lists the channels again and again, and compares."""

    def __init__(self, connection: AmiConnection) -> None:
        self._connection = connection
        self._comparison = ChannelComparison()
        self._list: ChannelList | None = None
        self._lists = 0
        self._any_channel = False
        self._refused = False
        self._call_events = 0
        self._loop = asyncio.get_running_loop()

    async def watch(self, seconds: float, idle_seconds: float, list_seconds: float) -> None:
        """Until something is certain, or the time is over."""
        began = self._loop.time()
        next_list = began
        while not self._is_certain():
            now = self._loop.time()
            if now >= began + (seconds if self._any_channel else idle_seconds):
                return
            if now >= next_list:
                next_list = now + list_seconds
                self._ask()
            try:
                async with asyncio.timeout_at(min(next_list, now + list_seconds)):
                    messages = await self._connection.receive()
            except TimeoutError:
                continue
            for message in messages:
                self._hear(message)

    def finding(self) -> Finding:
        """What was seen."""
        sentence = blindness_sentence(self._comparison, self._connection.link.username)
        if sentence is not None:
            what, _, remedy = sentence.partition(" Add ")
            return Finding(Level.FAULT, what, f"Add {remedy}")
        if self._refused:
            return Finding(
                Level.FAULT,
                "The AMI user may not list the channels, so nobody can tell whether it sees all calls.",
                "Add write = reporting to the user in manager.conf and run 'manager reload'.",
            )
        if self._call_events:
            return Finding(Level.OK, "Calls are seen as they happen.")
        return Finding(
            Level.WARN,
            "No call began or ended meanwhile, so whether calls are seen could not be checked.",
            "Run the doctor again, and call one phone from another while it runs.",
        )

    def _is_certain(self) -> bool:
        return bool(self._comparison.missing) or self._refused

    def _ask(self) -> None:
        self._list = ChannelList()
        self._lists += 1
        for number, (action, *others) in enumerate(ChannelList.QUESTIONS):
            mark = f"list-{self._connection.mark}-{self._lists}-{number}"
            self._connection.send(action, ("ActionID", mark), *others)

    def _hear(self, message: Message) -> None:
        prefix = f"list-{self._connection.mark}-{self._lists}-"
        if message.get("ActionID").startswith(prefix):
            if self._list is not None and self._list.take(message):
                self._compare(self._list)
        elif message.kind in LOOKED_FOR and "Privilege" in message.fields:
            self._call_events += message.kind != "VarSet"
            self._comparison.note(message, self._loop.time())

    def _compare(self, listed: ChannelList) -> None:
        self._list = None
        self._refused = listed.refused
        channels = listed.channels()
        self._any_channel = self._any_channel or bool(channels)
        if self._lists == 1:
            for channel in channels:
                self._comparison.excuse(channel.uid, self._loop.time())
        self._comparison.compare(channels, self._loop.time())
