"""The stage a scenario is played on: one team's phones, its customers outside, and somebody else's AMI client.

A scenario waits for what its phones see and never sleeps to win a race; a pause is a person who talks or lets it ring.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from contextlib import AsyncExitStack
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Self

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phone_call import Call
from switchhook.lab.phone_media import Frames, tone
from switchhook.lab.phones import Carrier, Phone
from switchhook.lab.ports import LOCALHOST
from telephony.errors import PeerMistake, TryLater
from tests.scenarios.truth import Truth

TALK_SECONDS = 0.6  # long enough to be told apart from nothing, short enough for a hundred scenarios
ARRIVAL_SECONDS = 10.0  # a call crosses the PBX in milliseconds; a hundred at once on two cores need longer
ACTION_SECONDS = 10.0  # an AMI action is answered at once; as above
LISTEN_SECONDS = 0.02  # between two looks for audio, one packet's time
HELLO_FRAMES = (
    10  # 0.2 s; a phone says a word when it is in a call: Asterisk waits up to 0.5 s for the first audio
)
HELLO_HZ = 700.0


def hello() -> Frames:
    """A short word."""
    return islice(tone(HELLO_HZ), HELLO_FRAMES)


class Outside:
    """Everybody outside: one carrier, whose incoming calls are handed to whom they were dialled for."""

    def __init__(self, asterisk: PrivateAsterisk) -> None:
        self.carrier = Carrier(asterisk)
        self.carrier.voice = hello
        self._ringing: defaultdict[str, asyncio.Queue[Call]] = defaultdict(asyncio.Queue)

    async def run(self) -> None:
        """Hand out what comes in, until cancelled."""
        while True:
            with contextlib.suppress(TryLater):
                call = await self.carrier.incoming(3600)
                self._ringing[call.dialled].put_nowait(call)

    async def rings(self, number: str) -> Call:
        """The next call to this number."""
        async with asyncio.timeout(ARRIVAL_SECONDS):
            return await self._ringing[number].get()


class OtherClient:
    """Another program at the same PBX: a wallboard, a dialler. Speaks AMI of its own, one action a connection."""

    def __init__(self, asterisk: PrivateAsterisk) -> None:
        self._asterisk = asterisk

    async def ask(self, action: str, **headers: str) -> str:
        """Send one action; returns everything that was answered. Raises PeerMistake when it is refused."""
        asterisk = self._asterisk
        reader, writer = await asyncio.open_connection(LOCALHOST, asterisk.ports.ami)
        try:
            async with asyncio.timeout(ACTION_SECONDS):
                await reader.readline()
                login = {
                    "Username": asterisk.capture_user,
                    "Secret": asterisk.capture_secret,
                    "Events": "off",
                }
                writer.write(_action("Login", login) + _action(action, headers | {"ActionID": "asked"}))
                answer = await _until_answered(reader)
        finally:
            writer.close()
        if "Response: Error" in answer:
            raise PeerMistake(f"The PBX refused {action}: {answer}")
        return answer

    async def channel_of(self, endpoint: str) -> str:
        """The oldest channel of an endpoint, as other programs look it up."""
        listing = await self._asterisk.cli("core show channels concise")
        names = [line.partition("!")[0] for line in listing.splitlines()]
        found = sorted(name for name in names if name.startswith(f"PJSIP/{endpoint}-"))
        if not found:
            raise TryLater(f"There is no channel of {endpoint}.")
        return found[0]

    async def channel_with_number(self, number: str) -> str:
        """The carrier's channel of a customer."""
        listing = await self._asterisk.cli("core show channels concise")
        for line in listing.splitlines():
            if line.startswith("PJSIP/trunk-") and f"!{number}!" in line:
                return line.partition("!")[0]
        raise TryLater(f"There is no channel of {number}.")


def _action(name: str, headers: dict[str, str]) -> bytes:
    lines = [f"Action: {name}", *(f"{key}: {value}" for key, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _until_answered(reader: asyncio.StreamReader) -> str:
    while True:
        block = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
        if "ActionID: asked" in block:
            return block


class Stage:
    """One scenario's people."""

    def __init__(
        self, asterisk: PrivateAsterisk, team: str, outside: Outside, phones: tuple[int, ...]
    ) -> None:
        self.team = team
        self.outside = outside
        self.other_client = OtherClient(asterisk)
        self._asterisk = asterisk
        self._wanted = phones
        self._phones: dict[int, Phone] = {}
        self._room = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for number in self._wanted:
            phone = Phone.handset(self.ext(number), self._asterisk)
            phone.voice = hello
            self._phones[number] = await self._room.enter_async_context(phone)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._room.__aexit__(kind, error, trace)

    # Who is who

    def ext(self, number: int) -> str:
        """The extension of a phone, or the team's own number for a group (90), a queue (91-93), a conference (95)."""
        return f"{self.team}{number:02}"

    def did(self, line: int) -> str:
        """The outside number that leads to a route of the team."""
        return f"7495{self.team}00{line:02}"

    def customer(self, number: int = 1) -> str:
        """A customer's number, as it is told."""
        return f"+7916{self.team}000{number}"

    def dialled(self, number: int) -> str:
        """A customer's number, as our people dial it."""
        return f"8916{self.team}000{number}"

    def phone(self, number: int) -> Phone:
        """A phone of the team; only those the scenario asked for are there."""
        return self._phones[number]

    @property
    def extensions(self) -> list[str]:
        """The phones that are there."""
        return [phone.number for phone in self._phones.values()]

    async def hang_up_all(self) -> None:
        """Put down every receiver that a scenario which went wrong left off the hook."""
        for phone in self._phones.values():
            for call in phone.calls:
                await call.hang_up()

    # What people do

    async def customer_dials(self, line: int, customer: int = 1) -> Call:
        """A customer dials one of the team's outside numbers."""
        return await self.outside.carrier.dial(self.did(line), caller=self.customer(customer))

    async def dials(self, number: int, target: str) -> Call:
        """One of ours dials."""
        return await self.phone(number).dial(target)

    async def rings(self, number: int) -> Call:
        """A phone of ours rings."""
        return await self.phone(number).incoming(ARRIVAL_SECONDS)

    async def rings_outside(self, number: int) -> Call:
        """A customer's phone rings."""
        return await self.outside.rings(self.customer(number))

    async def connect(self, caller: Call, callee: Call) -> None:
        """The callee lets it ring a moment and picks up; both are in the call."""
        await caller.until(
            lambda: caller.rang_at is not None or caller.answered_at is not None, ARRIVAL_SECONDS, "ringing"
        )
        await self.pause()
        await callee.answer()
        await caller.answered(ARRIVAL_SECONDS)

    async def reached(self, line: int = 1, phone: int = 1, customer: int = 1) -> tuple[Call, Call]:
        """A customer dials in and talks to a phone of ours: their end, ours."""
        outside = await self.customer_dials(line, customer)
        inside = await self.rings(phone)
        await self.connect(outside, inside)
        await self.talk()
        return outside, inside

    async def reaches_out(self, phone: int = 1, customer: int = 1) -> tuple[Call, Call]:
        """One of ours dials a customer and talks to them: our end, theirs."""
        inside = await self.dials(phone, self.dialled(customer))
        outside = await self.rings_outside(customer)
        await self.connect(inside, outside)
        await self.talk()
        return inside, outside

    async def talk(self) -> None:
        """People talk."""
        await asyncio.sleep(TALK_SECONDS)

    async def pause(self) -> None:
        """People let it ring, think, or look for the key."""
        await asyncio.sleep(TALK_SECONDS / 2)

    async def key(self, call: Call, code: str, number: str = "") -> None:
        """Press a feature code, wait for the PBX's voice, then key a number."""
        before = call.audio.received_packets
        await call.press(code)
        if not number:
            return
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while call.audio.received_packets == before:
                await asyncio.sleep(LISTEN_SECONDS)
        await call.press(number)

    async def room_holds(self, people: int) -> None:
        """Wait until that many are in the team's conference room."""
        async with asyncio.timeout(ARRIVAL_SECONDS):
            while True:
                listing = await self._asterisk.cli(f"confbridge list {self.ext(95)}")
                if listing.count("PJSIP/") == people:
                    return
                await asyncio.sleep(LISTEN_SECONDS)

    async def hangs_up(self, who: Call, *others: Call) -> None:
        """One hangs up; the others hear it."""
        await who.hang_up()
        for other in others:
            await other.ended(ARRIVAL_SECONDS)

    # What was true

    def inbound(self, outside: Call, first: Call | None, **told: object) -> Truth:
        """An inbound call; `first` is the end of who took it first, None when nobody did."""
        facts: dict[str, object] = {
            "direction": "inbound",
            "caller": self.customer(),
            "disposition": "answered" if first else "missed",
            "talk_seconds": seconds(first.answered_at, outside.ended_at) if first else 0.0,
            "ended_by": _inbound_end(outside),
        }
        if first:
            facts["answered_by"] = facts["final_party"] = first.phone.number
        return Truth(**(facts | told))  # type: ignore[arg-type]

    def outbound(self, inside: Call, outside: Call | None, customer: int = 1, **told: object) -> Truth:
        """An outbound call; `outside` is the end of who answered, None when nobody did."""
        facts: dict[str, object] = {
            "direction": "outbound",
            "caller": inside.phone.number,
            "requested": self.customer(customer),
            "disposition": "answered" if outside else "no_answer",
            "talk_seconds": seconds(outside.answered_at, outside.ended_at) if outside else 0.0,
        }
        if outside:
            facts["answered_by"] = self.customer(customer)
            facts["final_party"] = inside.phone.number
            facts["ended_by"] = "callee" if outside.ended_by_us else "caller"
        return Truth(**(facts | told))  # type: ignore[arg-type]

    def internal(self, dialling: Call, answering: Call | None, **told: object) -> Truth:
        """A call between colleagues."""
        facts: dict[str, object] = {
            "direction": "internal",
            "caller": dialling.phone.number,
            "disposition": "answered" if answering else "missed",
            "talk_seconds": seconds(answering.answered_at, dialling.ended_at) if answering else 0.0,
        }
        if answering:
            facts["answered_by"] = facts["final_party"] = answering.phone.number
            facts["ended_by"] = "caller" if dialling.ended_by_us else "callee"
        return Truth(**(facts | told))  # type: ignore[arg-type]


def _inbound_end(outside: Call) -> str | None:
    return "caller" if outside.ended_by_us else None


def seconds(since: datetime | None, until: datetime | None) -> float:
    """From one moment to another."""
    assert since is not None
    assert until is not None
    return (until - since).total_seconds()
