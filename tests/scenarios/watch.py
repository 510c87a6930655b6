"""Two pairs of eyes on one PBX: Switchhook's own AMI user with the recommended filters, and one that is told everything.

Both lead through the same path as the live service: observer, interpreter, tracker.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from ami_bridge.interpreter import Interpreter
from ami_bridge.observer import Observer
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd
from ami_bridge.wire.connection import PbxLink
from ami_bridge.wire.message import Message
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.ports import LOCALHOST
from telephony.call_facts.facts import CallFacts
from telephony.events import EventKind
from telephony.numbers.numbers import Numbering
from telephony.state.tracker import Tracker

SILENCE_SECONDS = 15.0  # for the last hang-ups to arrive after the last phone is put away
LOOK_SECONDS = 0.1  # between two looks whether all calls have ended
LATER = 1000.0  # s; long after everything, so that what lingers is let go


class Watch:
    """What one AMI user is told, and what the tracker makes of it."""

    def __init__(self, asterisk: PrivateAsterisk, username: str, secret: str) -> None:
        self.tracker = Tracker(Numbering())
        self.told: dict[UUID, CallFacts] = {}
        self.ended_times: dict[UUID, int] = {}
        """How often the end of each call was said."""
        self.messages: list[Message] = []
        self.ready = asyncio.Event()
        self._interpreter = Interpreter()
        self._observer = Observer(PbxLink("pbx", LOCALHOST, asterisk.ports.ami, username, secret))

    @classmethod
    def recommended(cls, asterisk: PrivateAsterisk) -> Watch:
        """Switchhook's own user, as on a real PBX."""
        return cls(asterisk, asterisk.ami_user, asterisk.ami_secret)

    @classmethod
    def unfiltered(cls, asterisk: PrivateAsterisk) -> Watch:
        """A user that is told everything."""
        return cls(asterisk, asterisk.capture_user, asterisk.capture_secret)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._observer.run())
            both.create_task(self._take())

    async def _take(self) -> None:
        async for item in self._observer.items():
            match item:
                case Observed():
                    self.messages.append(item.message)
                    signals = self._interpreter.message(item.message)
                case LinkUp():
                    signals = self._interpreter.link_up(item.at.timestamp())
                case SnapshotEnd():
                    signals = self._interpreter.snapshot_done()
                    self.ready.set()
                case LinkDown():
                    signals = self._interpreter.link_down(item.at.timestamp())
            for signal in signals:
                self.tracker.feed(signal)
            self._collect()

    async def all_ended(self) -> None:
        """Wait until no call is live; then let go of what lingers."""
        async with asyncio.timeout(SILENCE_SECONDS):
            while self.tracker.live():
                await asyncio.sleep(LOOK_SECONDS)
        await asyncio.sleep(LOOK_SECONDS)
        self._collect()
        self.tracker.advance(self.tracker.now + LATER)

    def calls_of(self, team: str) -> list[CallFacts]:
        """The calls in which a team took part, in order of start."""
        return sorted(
            (facts for facts in self.told.values() if concerns(facts, team)),
            key=lambda facts: (facts.started_at, facts.id),
        )

    def _collect(self) -> None:
        for change in self.tracker.drain():
            for gone in change.absorbed:
                self.told.pop(gone, None)
            self.told[change.facts.id] = change.facts
            ends = sum(event.kind is EventKind.ENDED for event in change.events)
            self.ended_times[change.facts.id] = self.ended_times.get(change.facts.id, 0) + ends


def concerns(facts: CallFacts, team: str) -> bool:
    """Whether somebody of a team, its customers or its numbers took part."""
    numbers = {facts.caller.raw, facts.did or "", facts.requested or "", *(leg.party for leg in facts.legs)}
    return any(
        (number.startswith(team) and len(number) == 5)
        or number.startswith((f"+7916{team}", f"7916{team}", f"+7495{team}", f"7495{team}"))
        for number in numbers
    )
