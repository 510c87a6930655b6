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
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ami_bridge.blindness import LOOKED_FOR, ChannelComparison, ChannelList, blindness_sentence
from ami_bridge.quarantine import LinkSession, Quarantine, Quarantined, Verdict, judge
from ami_bridge.snapshot import Snapshot
from ami_bridge.stream import ClockSet, LinkDown, LinkUp, Observed, SnapshotBegin, SnapshotEnd, StreamItem
from ami_bridge.translate import moment_of
from ami_bridge.wire.connection import AmiConnection, PbxLink, Timings
from ami_bridge.wire.message import Message
from ami_bridge.wire.pbx_clock import AGREE_SECONDS, ClockGate, PbxClock, clock_sentence
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater
from telephony.ports import LinkState

QUEUE_ITEMS = 20_000  # 1.4 s of the most a PBX was measured to send (14,288 events/s); about 30 MB when full
IDLE_AFTER_SECONDS = 5.0  # an event older than this says nothing about the lag of now
DENIED_BY_PBX = "ends something that the PBX says lives on"
UNCONFIRMED = "ends something, and the PBX did not say whether it lives on"
GONE = "No such channel"  # Asterisk's answer to Status for a channel that has ended, on 16 and 22
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
    snapshots_asked_again: int = 0
    """Snapshots within a link, because something could not be believed or a clock was set."""
    classes_seen: Counter[str] = field(default_factory=Counter)
    """Events by their first privilege class (`call`, `agent`, ...)."""


class _ItemQueue(asyncio.Queue["StreamItem | None"]):
    """The queue between reader and consumer, which can be looked into."""

    _queue: deque[StreamItem | None]  # asyncio's own place for the items, meant for subclasses

    def __init__(self, maxsize: int) -> None:
        super().__init__(maxsize)
        self._emptied = asyncio.Event()

    def _get(self) -> StreamItem | None:
        item = self._queue.popleft()
        if not self._queue:
            self._emptied.set()
        return item

    async def wait_until_empty(self) -> None:
        """Until the consumer has taken everything."""
        while not self.empty():
            self._emptied.clear()
            await self._emptied.wait()

    def oldest_arrival(self) -> float | None:
        """When the message that waits longest arrived; None when none waits."""
        head = self._queue[0] if self._queue else None
        return head.message.arrived_at if isinstance(head, Observed) else None


class _QueueFull(TryLater):
    """Switchhook could not keep up with the PBX; the link is taken up again with a fresh snapshot."""


@dataclass(slots=True)
class _Confirmation:
    message: Message
    verdict: Verdict
    until: float
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
        self.pbx_clock = PbxClock()
        self.comparison = ChannelComparison()
        self._queue = _ItemQueue(queue_items)
        self._clock = clock
        self._jitter = jitter
        self._connected = False
        self._since = self._now()
        self._problem: str | None = "Not connected yet."
        self._refusal: str | None = None
        self._warned: tuple[str, ...] = ()
        self._last_taken: Message | None = None
        self._taken_at = 0.0
        self._up_at: float | None = None
        self._last_error = ""

    async def run(self) -> None:
        """Watches until cancelled. Never gives up: what a person must change may be changed on the PBX
        meanwhile."""
        failures = 0
        try:
            while True:
                self._up_at = None
                try:
                    await self._one_link()
                except SwitchhookError as error:
                    failures = 1 if self._was_healthy() else failures + 1
                    await self._tell_loss(error, was_up=self._up_at is not None)
                    await asyncio.sleep(self._backoff(error, failures))
        finally:
            self._connected = False
            self._end_stream()

    async def items(self) -> AsyncIterator[StreamItem]:
        """The stream, in wire order; ends when `run` ends. For one reader."""
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Observed):
                self._last_taken = item.message
                self._taken_at = self._clock()
            yield item

    @property
    def queued(self) -> int:
        """Items read from the PBX that nobody has taken yet."""
        return self._queue.qsize()

    def link_state(self) -> LinkState:
        """How the link is now, for the page."""
        return LinkState(
            pbx=self.link.pbx_id,
            connected=self._connected,
            since=self._since,
            lag_seconds=self._lag_seconds(),
            problem=" ".join(self._warnings()) or None if self._connected else self._problem,
        )

    def clock_correction(self) -> float:
        """What is taken from the PBX's times to make them ours, in seconds."""
        return self.pbx_clock.correction_seconds

    def _warnings(self) -> tuple[str, ...]:
        """What is wrong although the link is up, each with its remedy."""
        blind = blindness_sentence(self.comparison, self.link.username)
        return tuple(filter(None, (self._refusal, blind, clock_sentence(self.pbx_clock.skew_seconds))))

    def look_for_warnings(self) -> None:
        """Log what is wrong although the link is up: once when it begins, and that it is over."""
        warnings = self._warnings()
        for sentence in warnings:
            if sentence.partition(":")[0] not in self._warned:
                log.warning("pbx_link_warning", pbx=self.link.pbx_id, problem=sentence)
        if self._warned and not warnings:
            log.info("pbx_link_well", pbx=self.link.pbx_id)
        self._warned = tuple(sentence.partition(":")[0] for sentence in warnings)

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
        self._up_at = asyncio.get_running_loop().time()
        self._refusal = None
        self.comparison.begin_link()
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
            self._refusal = (
                f"The AMI user {self.link.username} may not ask for the state of calls. "
                "Add write = reporting to it in manager.conf and run 'manager reload'."
            )
        self.deliver(SnapshotEnd(self.link.pbx_id, self._now(), complete, refused))

    def snapshot_begins(self) -> None:
        """What lives is asked for once more, in the middle of the link."""
        self.counters.snapshots_asked_again += 1
        self.deliver(SnapshotBegin(self.link.pbx_id, self._now()))

    def clock_was_set(self, seconds: float, *, ours: bool) -> None:
        """The PBX's clock, or ours, was set while we watched."""
        log.warning("clock_set", pbx=self.link.pbx_id, seconds=round(seconds, 3), ours=ours)
        self.deliver(ClockSet(self.link.pbx_id, self._now(), seconds))

    def observed(self, message: Message, suspicious: bool) -> None:
        """One believed message."""
        privilege = message.fields.get("Privilege")
        if privilege is not None:
            self.counters.classes_seen[privilege.partition(",")[0]] += 1
        self.counters.observed += 1
        self.deliver(Observed(self.link.pbx_id, message, suspicious))

    def _lag_seconds(self) -> float:
        """How late the news is when it leaves the queue, or how long the oldest of it has waited there."""
        if not self._connected:
            return 0.0
        now = self._clock()
        waiting_since = self._queue.oldest_arrival()
        waits = 0.0 if waiting_since is None else now - waiting_since
        taken = self._last_taken
        if taken is None or now - self._taken_at > IDLE_AFTER_SECONDS:
            return max(0.0, waits)
        if "Privilege" not in taken.fields or "Timestamp" not in taken.fields:
            return max(0.0, waits, self._taken_at - taken.arrived_at)
        return max(0.0, waits, self._taken_at - moment_of(taken))

    def _was_healthy(self) -> bool:
        """Whether the link that was lost had been well for a while."""
        lasted = 0.0 if self._up_at is None else asyncio.get_running_loop().time() - self._up_at
        return lasted >= self.link.timings.healthy_seconds

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
            # Waits for the consumer on purpose: no new link before the old one's loss has a place.
            await self._queue.put(LinkDown(self.link.pbx_id, self._now(), sentence))
        if isinstance(error, _QueueFull):
            await self._queue.wait_until_empty()  # a snapshot on top of a full queue would overflow at once

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

    def wall_seconds(self) -> float:
        """This machine's clock, Unix seconds."""
        return self._clock()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


class _Watch:
    """One link from login to loss: who asks the snapshot, pings, and confirms suspicious hang-ups."""

    def __init__(self, observer: Observer, connection: AmiConnection) -> None:
        self._observer = observer
        self._connection = connection
        self._timings: Timings = connection.link.timings
        self._session = LinkSession(own_mark=connection.mark)
        self._gate = ClockGate(observer.pbx_clock, lambda: self._session.channels, live=True)
        self._snapshot = Snapshot(connection.mark)
        self._snapshot_told = False
        self._booted = False
        self._confirmations: dict[str, _Confirmation] = {}
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._snapshot_heard_at = self._heard_at
        self._pinged_at: float | None = None
        self._up_at = self._heard_at
        self._clock_due = self._heard_at
        self._clock_asked: dict[str, float] = {}
        self._steady = observer.wall_seconds() - self._heard_at
        self._held_since: float | None = None
        self._snapshots = 0
        self._snapshot_due: float | None = None
        self._snapshot_began_at = self._heard_at
        self._compare_due = self._heard_at + self._timings.compare_seconds
        self._list: ChannelList | None = None

    async def run(self) -> None:
        """Until the link is lost, by an error that says how."""
        self._ask_time()
        first = await self._first_messages()
        self._booted = any(message.kind == "FullyBooted" for message in first)
        self._observer.went_up(_uptime_of(first))
        self._ask_snapshot(first)
        while True:
            messages = await self._receive()
            if not self._booted and any(message.kind == "FullyBooted" for message in messages):
                self._begin_anew(messages)
            elif messages:
                self._take(messages)
            self._do_what_is_due()
            # A stream that never pauses would otherwise keep the consumer from its turn.
            await asyncio.sleep(0)

    async def _receive(self) -> list[Message]:
        """The next messages; none when a deadline came first, or our own clock was set."""
        try:
            async with asyncio.timeout_at(self._next_deadline()):
                messages = await self._connection.receive()
        except TimeoutError:
            self._look_at_our_clock()
            self._on_silence()
            return []
        self._heard_at = self._loop.time()
        self._pinged_at = None
        self._look_at_our_clock()
        return messages

    def _look_at_our_clock(self) -> None:
        """The machine's clock may be set while its steady clock goes on."""
        steady = self._observer.wall_seconds() - self._loop.time()
        seconds = steady - self._steady
        if abs(seconds) <= AGREE_SECONDS:
            return
        self._steady = steady
        self._session.clock_seconds = 0.0
        self._clock_asked.clear()
        self._gate.our_clock_was_set(seconds)

    def _do_what_is_due(self) -> None:
        """What is done beside reading: none of it waits for anything."""
        now = self._loop.time()
        if self._gate.wants_time or now >= self._clock_due:
            self._ask_time()
        if self._held_since is not None and now >= self._held_since + self._timings.hold_seconds:
            self._judge(self._gate.flush())
            self._want_snapshot()
        if self._gate.is_holding:
            self._held_since = self._held_since or now
        else:
            self._held_since = None
        for action_id, waiting in list(self._confirmations.items()):
            if now >= waiting.until:
                del self._confirmations[action_id]
                self._leave_to_snapshot(waiting.message)
        if self._snapshot_due is not None and now >= self._snapshot_due and self._snapshot_told:
            self._begin_snapshot()
        if now >= self._compare_due:
            self._ask_channels()

    def _ask_time(self) -> None:
        """The answer to a Ping bears the PBX's time."""
        self._gate.wants_time = False
        self._clock_due = self._loop.time() + self._timings.clock_seconds
        sent_at = self._observer.wall_seconds()
        self._clock_asked = {self._ask("Ping", "ping"): sent_at}

    def _hear_time(self, message: Message) -> None:
        sent_at = self._clock_asked.pop(message.fields["ActionID"], None)
        if sent_at is None:
            return
        try:
            stamp = float(message.get("Timestamp"))
        except ValueError:
            self._gate.learn_no_time()
            return
        if not 0.0 < stamp < 4e9:
            self._gate.learn_no_time()
            return
        self._session.clock_told = True
        self._judge(self._gate.learn_time(sent_at, message.arrived_at, stamp))
        self._observer.look_for_warnings()

    def _want_snapshot(self) -> None:
        """Something could not be believed, or may have been lost: what lives is asked for once more, soon."""
        if self._snapshot_due is None:
            self._snapshot_due = max(
                self._loop.time(), self._snapshot_began_at + self._timings.resnapshot_seconds
            )

    def _begin_snapshot(self) -> None:
        self._snapshot_due = None
        self._snapshots += 1
        self._snapshot = Snapshot(f"{self._connection.mark}-{self._snapshots}")
        self._snapshot_told = False
        self._snapshot_heard_at = self._snapshot_began_at = self._loop.time()
        self._observer.snapshot_begins()
        for question in self._snapshot.questions():
            self._connection.send(*question)

    def _ask_channels(self) -> None:
        self._compare_due = self._loop.time() + self._timings.compare_seconds
        self._list = ChannelList()
        for number, headers in enumerate(ChannelList.QUESTIONS):
            action, *others = headers
            self._connection.send(action, ("ActionID", f"list-{self._connection.mark}-{number}"), *others)

    def _hear_channels(self, message: Message) -> None:
        listed = self._list
        if listed is None or not listed.take(message):
            return
        self._list = None
        if listed.refused or self._gate.is_holding:
            return
        comparison = self._observer.comparison
        comparison.compare(listed.channels(), self._loop.time())
        if comparison.is_suspicious:
            self._compare_due = min(
                self._compare_due, self._loop.time() + self._timings.confirm_compare_seconds
            )
        if comparison.lost_channels:
            self._want_snapshot()
        self._observer.look_for_warnings()
        if comparison.is_blind and self._loop.time() - self._up_at >= self._timings.blind_seconds:
            sentence = blindness_sentence(comparison, self._connection.link.username)
            raise TryLater(sentence or "", remedy="The link is taken up anew.")

    def _ask_snapshot(self, messages: list[Message]) -> None:
        for question in self._snapshot.questions():
            self._connection.send(*question)
        self._take(messages)

    def _begin_anew(self, messages: list[Message]) -> None:
        """An Asterisk that is still booting lets us in, and refuses `Status` because the module is not there yet."""
        self._booted = True
        self._observer.comparison.begin_link()
        self._snapshot_began_at = self._loop.time()
        self._snapshot = Snapshot(f"{self._connection.mark}-booted")
        self._snapshot_told = False
        self._snapshot_heard_at = self._loop.time()
        self._observer.booted_late(_uptime_of(messages))
        self._ask_snapshot(messages)

    async def _first_messages(self) -> list[Message]:
        """What came with the login, waiting a moment for FullyBooted, which bears the uptime, and for the PBX's time."""
        messages: list[Message] = []
        try:
            async with asyncio.timeout(self._timings.booted_seconds):
                while self._clock_asked or not any(message.kind == "FullyBooted" for message in messages):
                    messages += await self._connection.receive()
                    for answer in [m for m in messages if m.fields.get("ActionID") in self._clock_asked]:
                        messages.remove(answer)
                        self._hear_time(answer)
        except TimeoutError:
            pass  # still booting, or the user has no read = system
        return messages

    def _next_deadline(self) -> float:
        if self._pinged_at is not None:
            deadline = self._pinged_at + self._timings.pong_within_seconds
        else:
            deadline = self._heard_at + self._timings.ping_after_seconds
        deadline = min(deadline, self._clock_due, self._compare_due)
        if self._held_since is not None:
            deadline = min(deadline, self._held_since + self._timings.hold_seconds)
        if self._snapshot_due is not None and self._snapshot_told:
            deadline = min(deadline, self._snapshot_due)
        if not self._snapshot_told:
            deadline = min(deadline, self._snapshot_heard_at + self._timings.snapshot_seconds)
        return min([deadline, *(waiting.until for waiting in self._confirmations.values())])

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
            self._ask_time()

    def _ask(self, action: str, purpose: str, *headers: tuple[str, str]) -> str:
        self._asked += 1
        action_id = f"{purpose}-{self._connection.mark}-{self._asked}"
        self._connection.send(("Action", action), ("ActionID", action_id), *headers)
        return action_id

    def _take(self, messages: list[Message]) -> None:
        for message in messages:
            if "ActionID" in message.fields and self._is_private(message):
                continue
            self._judge(self._gate.take(message))

    def _judge(self, messages: Iterable[Message]) -> None:
        observer = self._observer
        while self._gate.steps:
            step = self._gate.steps.popleft()
            observer.clock_was_set(step.seconds, ours=step.ours)
            self._want_snapshot()
        for message in messages:
            verdict = judge(message, self._session)
            if verdict.reason:
                observer.quarantine.keep(verdict)
                if not verdict.usable:
                    continue
            if verdict.confirm_channel:
                self._ask_confirmation(verdict)
                continue
            if message.kind in LOOKED_FOR:
                observer.comparison.note(verdict.message, self._heard_at)
            observer.observed(verdict.message, bool(verdict.reason))
            if not self._snapshot_told:
                self._hear_snapshot(message)

    def _is_private(self, message: Message) -> bool:
        """Whether this answers a ping, a comparison or a confirmation: ours alone, of no interest to the reader."""
        action_id = message.fields["ActionID"]
        purpose, _, rest = action_id.partition("-")
        if not rest.startswith(self._connection.mark) or purpose == "snap":
            return False
        if purpose == "ping":
            self._hear_time(message)
        elif purpose == "list":
            self._hear_channels(message)
        elif action_id in self._confirmations:
            self._hear_confirmation(action_id, message)
        return purpose in ("ping", "list", "confirm")

    def _hear_snapshot(self, message: Message) -> None:
        if f"snap-{self._connection.mark}-" not in message.fields.get("ActionID", ""):
            return
        self._snapshot_heard_at = self._loop.time()
        if message.kind == "CoreShowChannel":
            self._observer.comparison.excuse(message.get("Uniqueid"), self._heard_at)
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
            self._leave_to_snapshot(verdict.message)
            return
        try:
            action_id = self._ask("Status", "confirm", ("Channel", verdict.confirm_channel))
        except OurMistake:  # a channel's name that cannot be asked for is none that Asterisk gave
            self._deny(verdict.message)
            return
        until = self._loop.time() + self._timings.confirm_seconds
        self._confirmations[action_id] = _Confirmation(verdict.message, verdict, until)

    def _deny(self, message: Message, reason: str = DENIED_BY_PBX) -> None:
        self._observer.quarantine.counts[reason] += 1
        self._observer.quarantine.blocks.append(Quarantined(reason, message))

    def _leave_to_snapshot(self, message: Message) -> None:
        """Nobody confirmed it and nobody denied it: what lives on, a new snapshot tells."""
        self._deny(message, UNCONFIRMED)
        self._want_snapshot()

    def _hear_confirmation(self, action_id: str, message: Message) -> None:
        """No such channel, or an empty list: it is gone, the message was true. The channel itself: it was not.
        Any other refusal, such as a missing right, says nothing."""
        waiting = self._confirmations[action_id]
        if message.kind == "Status":
            waiting.refuted = waiting.refuted or _refutes(message, waiting.message)
        failed = message.kind == "Response" and message.get("Response") == "Error"
        if failed or message.kind == "StatusComplete":
            del self._confirmations[action_id]
            if failed and GONE.lower() not in message.get("Message").lower():
                self._leave_to_snapshot(waiting.message)
            else:
                self._settle(waiting)

    def _settle(self, waiting: _Confirmation) -> None:
        observer = self._observer
        if waiting.refuted:
            self._deny(waiting.message)
            return
        self._session.learn_channel(waiting.message)
        observer.comparison.note(waiting.message, self._heard_at)
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
