"""The demo where no Asterisk can be had: recorded calls go through the same line, as if they happened now.

Each round plays every recorded call once, one after the other, with fresh ids and with times moved to now. Whoever
looks is told on every page that nobody is really on the phone.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, cycle
from pathlib import Path
from uuid import UUID

from ami_bridge.capture.capture import read_capture
from ami_bridge.interpreter import WANTED
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.stream import LinkUp, Observed, StreamItem
from ami_bridge.wire.message import Message, message_from_headers
from telephony.errors import NeedsPerson
from telephony.ports import LinkState

RECORDED = Path(__file__).parents[2] / "tests" / "captures" / "22"
SKIPPED = frozenset({"nasty_callerid", "ami_drop_reconnect"})  # attacks and a broken link are no office's day
BETWEEN_CALLS_SECONDS = 2.5
QUIET_MOST_SECONDS = 4.0  # a longer silence in a recording is shortened: somebody is watching
TAIL_SECONDS = 0.5  # after a recording's last word

_WANTED_NAMES = frozenset(name.decode() for name in WANTED)
# Names that Asterisk gives: uniqueids (perhaps behind a system's name), bridges, and the counting end of a channel.
_UNIQUEID = re.compile(r"(?<![\w.])(?:[A-Za-z][\w-]*-)?(1\d{9})\.(\d+)(?![\w.])")
_BRIDGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHANNEL_END = re.compile(r"(?<=-)[0-9a-f]{8}(?=$|;|[,&])")


class NoCaptures(NeedsPerson):
    """There are no recorded calls to play either."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One captured call: what the PBX said, in order."""

    name: str
    messages: tuple[Message, ...]


def recorded_calls(directory: Path = RECORDED) -> list[RecordedCall]:
    """Every recorded call in the directory. Raises NoCaptures where the demo was installed without them."""
    files = sorted(directory.glob("*/ami.jsonl*"))
    calls = [
        RecordedCall(file.parent.name, tuple(_events(file)))
        for file in files
        if file.parent.name not in SKIPPED
    ]
    if not calls:
        raise NoCaptures(
            "No Asterisk can be had here, and this installation has no recorded calls to play instead.",
            remedy="Install asterisk so that it is on PATH, or run the demo from a clone of the repository.",
        )
    return calls


def _events(file: Path) -> Iterator[Message]:
    session = LinkSession()
    for message in read_capture(file):
        verdict = judge(message, session)
        if verdict.usable and verdict.message.kind in _WANTED_NAMES:
            yield verdict.message


class RecordedPbx:
    """Stands where an observer stands: `items` are the recorded calls, told anew, until cancelled or all were played."""

    def __init__(
        self, pbx_id: str, recorded: Sequence[RecordedCall], *, calls: int | None = None, pace: float = 1.0
    ) -> None:
        """`calls`: how many to play (None: for ever). `pace` 0 plays without pauses."""
        self.pbx_id = pbx_id
        self._recorded = recorded
        self._calls = calls
        self._pace = pace
        self._began_at = datetime.now(UTC)

    def link_state(self) -> LinkState:
        """Always well: nothing is connected that could break."""
        return LinkState(pbx=self.pbx_id, connected=True, since=self._began_at, lag_seconds=0.0, problem=None)

    async def run(self) -> None:
        """Nothing to do besides: nothing is connected."""

    async def items(self) -> AsyncIterator[StreamItem]:
        """The stream of a PBX that has just been linked."""
        yield LinkUp(pbx=self.pbx_id, at=datetime.now(UTC), uptime_seconds=None)
        numbers = count() if self._calls is None else range(self._calls)
        for number, call in zip(numbers, cycle(self._recorded), strict=False):
            async for message in self._play(call, number):
                yield Observed(self.pbx_id, message)
            await asyncio.sleep(BETWEEN_CALLS_SECONDS * self._pace)

    async def _play(self, call: RecordedCall, number: int) -> AsyncIterator[Message]:
        previous = said_at(call.messages[0])
        moved = round(time.time() - previous)
        for message in call.messages:
            now = said_at(message)
            await asyncio.sleep(min(max(0.0, now - previous), QUIET_MOST_SECONDS) * self._pace)
            previous = max(previous, now)
            yield told_anew(message, at=time.time(), moved_seconds=moved, salt=f"{number} {call.name}")
        await asyncio.sleep(TAIL_SECONDS * self._pace)


def said_at(message: Message) -> float:
    """When the PBX said it: Unix seconds."""
    try:
        return float(message.get("Timestamp"))
    except ValueError:
        return message.arrived_at


def told_anew(message: Message, *, at: float, moved_seconds: int, salt: str) -> Message:
    """The same message said at another moment, about channels, bridges and calls that never were before.

    A uniqueid holds the second in which its channel was made; it moves by `moved_seconds`. `salt` is the round's own.
    """
    headers = [("Event", message.kind), *((n, v) for n, v in message.fields.items() if n != "Event")]
    headers += message.repeated
    renamed = [
        (name, f"{at:.6f}" if name == "Timestamp" else _renamed(value, moved_seconds, salt))
        for name, value in headers
    ]
    again = message_from_headers(renamed, at)
    if again is None:
        raise AssertionError("what was a message before is one still")
    return again


def _renamed(value: str, moved_seconds: int, salt: str) -> str:
    prefix = _digits(salt, "")[:6]
    value = _UNIQUEID.sub(lambda found: f"r{prefix}-{int(found[1]) + moved_seconds}.{found[2]}", value)
    value = _BRIDGE.sub(lambda found: str(UUID(hex=_digits(salt, found[0]))), value)
    return _CHANNEL_END.sub(lambda found: _digits(salt, found[0])[:8], value)


def _digits(salt: str, name: str) -> str:
    return hashlib.blake2b(f"{salt} {name}".encode(), digest_size=16).hexdigest()
