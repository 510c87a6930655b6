"""Watching one PBX for as long as Switchhook runs: connect, snapshot, stream, and again after every loss.

The observer always reads: a client that stops reading is closed by Asterisk without a word, after a few
megabytes of old events. Between reader and consumer is a bounded queue. When the consumer cannot keep up the
link is dropped on purpose and taken up again once the queue is empty, by the same path as any reconnect: a
fresh snapshot is worth more than stale events.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ami_bridge.connection import AmiConnection, PbxLink, Timings
from ami_bridge.message import Message
from ami_bridge.quarantine import LinkSession, Quarantine, Quarantined, Verdict, judge
from ami_bridge.snapshot import Snapshot
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd, StreamItem
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater
from telephony.ports import LinkState

QUEUE_ITEMS = 20_000  # 1.4 s of the most a PBX was measured to send (14,288 events/s); about 30 MB when full
IDLE_AFTER_SECONDS = 5.0  # an event older than this says nothing about the lag of now
DENIED_BY_PBX = "ends something that the PBX says lives on"
CONFIRMATIONS_CAP = 100  # suspicious hang-ups awaiting their Status; more at once is an attack: put aside

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class ObserverCounters:
    """What happened to one link since Switchhook started; for the metrics page and the doctor."""

    logins: int = 0
    losses: int = 0
    overflows: int = 0
    """Links dropped on purpose because the consumer was too slow."""
    observed: int = 0
    classes_seen: Counter[str] = field(default_factory=Counter)
    """Events by their first privilege class (`call`, `agent`, ...)."""


class _QueueFull(TryLater):
    """Switchhook could not keep up with the PBX; the link is taken up again with a fresh snapshot."""


@dataclass(slots=True)
class _Confirmation:
    message: Message
    verdict: Verdict
    refuted: bool = False


class Observer:
    """One PBX's stream. Run `run()` in a task and iterate over `items()` in another.

    `wanted` are the event names worth decoding, None for all; `only_with` what an event of a name must hold besides.
    """

    def __init__(
        self,
        link: PbxLink,
        *,
        wanted: frozenset[bytes] | None = None,
        only_with: Mapping[bytes, re.Pattern[bytes]] | None = None,
        queue_items: int = QUEUE_ITEMS,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.link = link
        self.counters = ObserverCounters()
        self.quarantine = Quarantine()
        self._wanted = wanted
        self._only_with = only_with
        self._queue: asyncio.Queue[StreamItem | None] = asyncio.Queue(queue_items)
        self._clock = clock
        self._jitter = jitter
        self._connected = False
        self._since = self._now()
        self._problem: str | None = "Not connected yet."
        self._stamp = 0.0
        self._stamp_read_at = 0.0
        self._last_error = ""

    async def run(self) -> None:
        """Watches until cancelled. Never gives up: what a person must change may be changed on the PBX
        meanwhile."""
        failures = 0
        try:
            while True:
                logins = self.counters.logins
                try:
                    await self._one_link()
                except SwitchhookError as error:
                    failures = 1 if self.counters.logins > logins else failures + 1
                    await self._tell_loss(error, was_up=self.counters.logins > logins)
                    await asyncio.sleep(self._backoff(error, failures))
        finally:
            self._connected = False
            self._end_stream()

    async def items(self) -> AsyncIterator[StreamItem]:
        """The stream, in wire order; ends when `run` ends. For one reader."""
        while (item := await self._queue.get()) is not None:
            yield item

    def link_state(self) -> LinkState:
        """How the link is now, for the page."""
        return LinkState(
            pbx=self.link.pbx_id,
            connected=self._connected,
            since=self._since,
            lag_seconds=self._lag_seconds(),
            problem=self._problem,
        )

    @property
    def quarantined(self) -> list[Quarantined]:
        """The blocks put aside last, oldest first."""
        return list(self.quarantine.blocks)

    async def _one_link(self) -> None:
        connection = await AmiConnection.open(
            self.link, wanted=self._wanted, only_with=self._only_with, clock=self._clock
        )
        try:
            await _Watch(self, connection).run()
        except _QueueFull:
            connection.abort()
            raise
        finally:
            await connection.close()

    def deliver(self, item: StreamItem) -> None:
        """Puts an item into the queue. Raises when it is full, which drops the link."""
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.counters.overflows += 1
            raise _QueueFull(
                remedy="If this repeats, look at the machine's load, and add the eventfilter lines of asterisk-config."
            ) from None

    def went_up(self, uptime_seconds: float | None) -> None:
        """The link is logged in."""
        self.counters.logins += 1
        self._connected = True
        self._since = self._now()
        self._problem = None
        self._last_error = ""
        log.info("pbx link up", pbx=self.link.pbx_id, address=self.link.address)
        self.deliver(LinkUp(self.link.pbx_id, self._since, uptime_seconds))

    def booted_late(self, uptime_seconds: float | None) -> None:
        """The PBX has come up only now: what it said so far was half of the truth, a snapshot begins anew."""
        self.deliver(LinkUp(self.link.pbx_id, self._now(), uptime_seconds))

    def snapshot_ended(self, complete: bool, refused: tuple[str, ...]) -> None:
        """The snapshot has passed; a refusal of what every observer needs is the administrator's to mend."""
        if "CoreStatus" in refused or "CoreShowChannels" in refused:
            self._problem = (
                f"The AMI user {self.link.username} may not ask for the state of calls. "
                "Add write = reporting to it in manager.conf and run 'manager reload'."
            )
        self.deliver(SnapshotEnd(self.link.pbx_id, self._now(), complete, refused))

    def observed(self, message: Message, suspicious: bool) -> None:
        """One believed message."""
        fields = message.fields
        privilege = fields.get("Privilege")
        if privilege is not None:
            self.counters.classes_seen[privilege.partition(",")[0]] += 1
            stamp = fields.get("Timestamp")
            if stamp is not None:
                self._read_stamp(stamp, message.arrived_at)
        self.counters.observed += 1
        self.deliver(Observed(self.link.pbx_id, message, suspicious))

    def _read_stamp(self, stamp: str, arrived_at: float) -> None:
        try:
            self._stamp = float(stamp)
        except ValueError:
            return
        self._stamp_read_at = arrived_at

    def _lag_seconds(self) -> float:
        if not self._connected or self._clock() - self._stamp_read_at > IDLE_AFTER_SECONDS:
            return 0.0
        return max(0.0, self._stamp_read_at - self._stamp)

    async def _tell_loss(self, error: SwitchhookError, *, was_up: bool) -> None:
        sentence = " ".join(filter(None, (str(error), error.remedy)))
        if self._connected or not self._problem or sentence != self._problem:
            self._since = self._now()
        self._connected = False
        self._problem = sentence
        if sentence != self._last_error:  # once per thing that happened, not once per attempt
            log.warning("pbx link down", pbx=self.link.pbx_id, problem=str(error), remedy=error.remedy)
            self._last_error = sentence
        if was_up:
            self.counters.losses += 1
            # Waits for the consumer on purpose: no new link before the old one's items are taken.
            await self._queue.put(LinkDown(self.link.pbx_id, self._now(), sentence))

    def _backoff(self, error: SwitchhookError, failures: int) -> float:
        """Seconds to wait: full jitter, so that several observers do not knock in step."""
        timings = self.link.timings
        if isinstance(error, NeedsPerson | PeerMistake):
            return self._jitter(timings.person_backoff_seconds / 2, timings.person_backoff_seconds)
        doubled = timings.backoff_first_seconds * 2.0 ** min(failures - 1, 16)
        return self._jitter(0.0, min(timings.backoff_cap_seconds, doubled))

    def _end_stream(self) -> None:
        while True:
            try:
                self._queue.put_nowait(None)
            except asyncio.QueueFull:
                self._queue.get_nowait()  # nobody reads any more: make room for the end
            else:
                return

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


class _Watch:
    """One link from login to loss: who asks the snapshot, pings, and confirms suspicious hang-ups."""

    def __init__(self, observer: Observer, connection: AmiConnection) -> None:
        self._observer = observer
        self._connection = connection
        self._timings: Timings = connection.link.timings
        self._session = LinkSession(own_mark=connection.mark)
        self._snapshot = Snapshot(connection.mark)
        self._snapshot_told = False
        self._booted = False
        self._confirmations: dict[str, _Confirmation] = {}
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._snapshot_heard_at = self._heard_at
        self._pinged_at: float | None = None

    async def run(self) -> None:
        """Until the link is lost, by an error that says how."""
        first = await self._first_messages()
        self._booted = any(message.kind == "FullyBooted" for message in first)
        self._observer.went_up(_uptime_of(first))
        self._ask_snapshot(first)
        while True:
            try:
                async with asyncio.timeout_at(self._next_deadline()):
                    messages = await self._connection.receive()
            except TimeoutError:
                self._on_silence()
                continue
            self._heard_at = self._loop.time()
            self._pinged_at = None
            if not self._booted and any(message.kind == "FullyBooted" for message in messages):
                self._begin_anew(messages)
            else:
                self._take(messages)
            # A stream that never pauses would otherwise keep the consumer from its turn.
            await asyncio.sleep(0)

    def _ask_snapshot(self, messages: list[Message]) -> None:
        for question in self._snapshot.questions():
            self._connection.send(*question)
        self._take(messages)

    def _begin_anew(self, messages: list[Message]) -> None:
        """An Asterisk that is still booting lets us in, and refuses `Status` because the module is not there yet."""
        self._booted = True
        self._snapshot = Snapshot(f"{self._connection.mark}-booted")
        self._snapshot_told = False
        self._snapshot_heard_at = self._loop.time()
        self._observer.booted_late(_uptime_of(messages))
        self._ask_snapshot(messages)

    async def _first_messages(self) -> list[Message]:
        """What came with the login, waiting a moment for FullyBooted, which bears the uptime."""
        messages: list[Message] = []
        try:
            async with asyncio.timeout(self._timings.booted_seconds):
                while not any(message.kind == "FullyBooted" for message in messages):
                    messages += await self._connection.receive()
        except TimeoutError:
            pass  # still booting, or the user has no read = system
        return messages

    def _next_deadline(self) -> float:
        if self._pinged_at is not None:
            deadline = self._pinged_at + self._timings.pong_within_seconds
        else:
            deadline = self._heard_at + self._timings.ping_after_seconds
        if not self._snapshot_told:
            deadline = min(deadline, self._snapshot_heard_at + self._timings.snapshot_seconds)
        return deadline

    def _on_silence(self) -> None:
        now = self._loop.time()
        if not self._snapshot_told and now >= self._snapshot_heard_at + self._timings.snapshot_seconds:
            self._tell_snapshot(complete=False)
        if self._pinged_at is not None:
            if now >= self._pinged_at + self._timings.pong_within_seconds:
                raise TryLater(
                    f"Asterisk at {self._connection.link.address} has gone silent: a ping was not answered.",
                    remedy="Look at the network between Switchhook and the PBX; Switchhook reconnects by itself.",
                )
        elif now >= self._heard_at + self._timings.ping_after_seconds:
            self._pinged_at = now
            self._ask("Ping", "ping")

    def _ask(self, action: str, purpose: str, *headers: tuple[str, str]) -> str:
        self._asked += 1
        action_id = f"{purpose}-{self._connection.mark}-{self._asked}"
        self._connection.send(("Action", action), ("ActionID", action_id), *headers)
        return action_id

    def _take(self, messages: list[Message]) -> None:
        observer = self._observer
        for message in messages:
            verdict = judge(message, self._session)
            if verdict.reason:
                observer.quarantine.keep(verdict)
                if not verdict.usable:
                    continue
            if verdict.confirm_channel:
                self._ask_confirmation(verdict)
            elif "ActionID" not in message.fields or not self._is_private(message):
                observer.observed(verdict.message, bool(verdict.reason))
                if not self._snapshot_told:
                    self._hear_snapshot(message)

    def _is_private(self, message: Message) -> bool:
        """Whether this answers a ping or a confirmation: ours alone, of no interest to the reader."""
        action_id = message.fields["ActionID"]
        if action_id.startswith(f"ping-{self._connection.mark}"):
            return True
        if action_id in self._confirmations:
            self._hear_confirmation(action_id, message)
            return True
        return action_id.startswith(f"confirm-{self._connection.mark}")

    def _hear_snapshot(self, message: Message) -> None:
        if f"snap-{self._connection.mark}-" not in message.fields.get("ActionID", ""):
            return
        self._snapshot_heard_at = self._loop.time()
        question = self._snapshot.hear(message)
        if question is not None:
            self._connection.send(*question)
        if self._snapshot.done:
            self._tell_snapshot(complete=True)

    def _tell_snapshot(self, *, complete: bool) -> None:
        self._snapshot_told = True
        self._observer.snapshot_ended(complete, tuple(self._snapshot.refused))

    def _ask_confirmation(self, verdict: Verdict) -> None:
        if len(self._confirmations) >= CONFIRMATIONS_CAP:
            self._deny(verdict.message)
            return
        try:
            action_id = self._ask("Status", "confirm", ("Channel", verdict.confirm_channel))
        except OurMistake:  # a channel's name that cannot be asked for is none that Asterisk gave
            self._deny(verdict.message)
            return
        self._confirmations[action_id] = _Confirmation(verdict.message, verdict)

    def _deny(self, message: Message) -> None:
        self._observer.quarantine.counts[DENIED_BY_PBX] += 1
        self._observer.quarantine.blocks.append(Quarantined(DENIED_BY_PBX, message))

    def _hear_confirmation(self, action_id: str, message: Message) -> None:
        """`Error` or an empty list: the channel is gone, the message was true. The channel itself: it was
        not."""
        waiting = self._confirmations[action_id]
        if message.kind == "Status":
            waiting.refuted = waiting.refuted or _refutes(message, waiting.message)
        gone = message.kind == "Response" and message.get("Response") == "Error"
        if gone or message.kind == "StatusComplete":
            del self._confirmations[action_id]
            self._settle(waiting)

    def _settle(self, waiting: _Confirmation) -> None:
        observer = self._observer
        if waiting.refuted:
            self._deny(waiting.message)
            return
        self._session.learn_channel(waiting.message)
        observer.observed(waiting.message, bool(waiting.verdict.reason))


def _uptime_of(messages: list[Message]) -> float | None:
    for message in messages:
        if message.kind == "FullyBooted" and message.get("Uptime").isdecimal():
            return float(message.get("Uptime"))
    return None


def _refutes(status: Message, claim: Message) -> bool:
    if status.get("Uniqueid") != claim.get("Uniqueid"):
        return False
    return claim.kind == "Hangup" or status.get("BridgeID") == claim.get("BridgeUniqueid")
