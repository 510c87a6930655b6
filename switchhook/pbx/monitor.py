"""One PBX's straight line at work: observer → teller → board → journal, and what closes the gaps in it.

The board comes first: a card waits for no disk. The observer is started at once, even while the database is away: it
reads and holds what it reads (20 000 events), and the line begins when the journal can say what was open. What does not
fit is told from a snapshot and from CEL, as after any gap.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

import structlog

from ami_bridge.actions import Action, ActionChannel, ChannelGone
from ami_bridge.cel.backfill import (
    SETTLE_SECONDS,
    WINDOW_SECONDS,
    CelGroup,
    Sweep,
    tells_no_bridges,
)
from ami_bridge.cel.clock import CelInOurTime
from ami_bridge.cel.signals import CelRow
from ami_bridge.stream import LinkUp, Observed, SnapshotEnd, StreamItem
from call_records.calls.journal import OpenCall
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.store import RecordsStore
from switchhook.pbx.call_assembler import Teller, cel_lines, complete_from_log
from switchhook.pbx.endpoint_keeper import EndpointKeeper
from telephony.call_facts.facts import Certainty, State
from telephony.errors import NeedsPerson, SwitchhookError, TryLater
from telephony.events import CallEvent, EventKind
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange, LinkState

log = structlog.get_logger(__name__)

LINK_STATE_SECONDS = 1.0  # how often the page learns how far behind the PBX's news are
REST_SECONDS = 0.5  # how often ended calls are looked at for late words
STORE_PAUSE_SECONDS = 1.0  # between two tries to learn from the journal what was open
SWEEP_SECONDS = 600.0  # a call missed in spite of everything is in the journal ten minutes later
SWEEP_AFTER_GAP_SECONDS = 30.0  # when the last rows of the gap have certainly been written
CEL_SECONDS = (
    4.0  # for the rows of a gap: live calls must be back within 5 s, and the sweep comes later anyway
)
# The observer hands over what one read of the socket brought, forty messages at a call's beginning. Between them the
# event loop gets these turns, or the card would wait for the last one and its lines: the board's reader, the stream.
TURNS_FOR_CARDS = 2
CEL_REMEDY = "Let the user who runs Switchhook read it (the group asterisk), or correct cel_file; ask: switchhook doctor."
KNOWN_AT_ONCE = 5_000  # channels asked for in one query


class CelSource(Protocol):
    """Where the channel event log is read. Both raise OSError or SwitchhookError while it cannot be."""

    async def since(self, moment: float) -> Sequence[CelRow]:
        """All rows not older than that moment (Unix seconds), in time order."""

    async def unread(self, since: float) -> Sequence[CelRow]:
        """Rows that came since the last time; the first time those not older than `since`."""


class Feed(Protocol):
    """Where one PBX's news come from: an Observer, or in the demo recorded calls."""

    async def run(self) -> None:
        """Watch until cancelled."""

    def items(self) -> AsyncIterator[StreamItem]:
        """The stream, in the order of the wire."""

    def link_state(self) -> LinkState:
        """How the link is now."""


class Bridge:
    """The line of one PBX. `run` is everything; the counters are for the metrics page."""

    def __init__(
        self,
        feed: Feed,
        numbering: Numbering,
        store: RecordsStore,
        board: LiveBoard,
        spool: SpoolingJournal,
        cel: CelSource | None = None,
        *,
        actions: ActionChannel | None = None,
        endpoints: EndpointKeeper | None = None,
        clock_correction: Callable[[], float] = lambda: 0.0,
        sweep_after_gap_seconds: float = SWEEP_AFTER_GAP_SECONDS,
    ) -> None:
        """`clock_correction`: what is taken from the PBX's times to make them ours, in seconds."""
        self.feed = feed
        self.teller = Teller(numbering)
        self._endpoints = endpoints
        if endpoints is not None:
            endpoints.follow(lambda: self.numbering)
        self._store = store
        self._board = board
        self._spool = spool
        self._cel = CelInOurTime(cel, clock_correction) if cel is not None else None
        self._actions = actions
        self._sweep = Sweep()
        self._log_tells_bridges = False
        self._untellable = 0
        self._sweep_now = asyncio.Event()
        self._is_watched = False
        """Whether a snapshot of this link is complete: from then on every call is seen from its beginning."""
        self._sweep_after_gap_seconds = sweep_after_gap_seconds
        self._unfinished: dict[object, OpenCall] = {}
        self.indigestible = 0
        """Messages that broke the teller: each is a fault of ours, logged with its trace."""
        self.swept = 0
        """Calls that the sweep told or corrected from CEL."""
        self.newest_cel_at: float | None = None
        """Time of the newest row that was read of CEL (Unix seconds); None before the first."""
        self.cel_problem: str | None = None
        """Why CEL could not be read last, in one sentence; None when all is well or there is none."""
        self.cel_failures = 0
        """Readings of CEL that failed; what they would have read is read the next time."""

    @property
    def pbx(self) -> str:
        """The PBX's short name."""
        return self.numbering.pbx

    @property
    def numbering(self) -> Numbering:
        """How the PBX numbers its phones and lines, as calls and its own lists have shown it."""
        return self.teller.tracker.numbering

    async def use_numbering(self, numbering: Numbering) -> None:
        """Tell by this one from now on, the calls of this moment too."""
        if numbering != self.numbering:
            self.teller.tracker.use_numbering(numbering)
            await self._keep(self.teller.rest(time.time() - 1.0))

    async def run(self, store_ready: asyncio.Event, *, tell_link_elsewhere: bool = False) -> None:
        """Observe until cancelled, or the feed ends. `store_ready` is set once the tables are those of this release."""
        async with AsyncExitStack() as parts, asyncio.TaskGroup() as tasks:
            if self._actions is not None:
                await parts.enter_async_context(self._actions)
            linking = tasks.create_task(
                self._tell_link(also_elsewhere=tell_link_elsewhere), name=f"link {self.pbx}"
            )
            watching = tasks.create_task(self.feed.run(), name=f"observer {self.pbx}")
            await store_ready.wait()
            await self._restore()
            others = [tasks.create_task(self._rest(), name=f"rest {self.pbx}")]
            if self._cel is not None:
                others.append(tasks.create_task(self._sweep_for_ever(self._cel), name=f"sweep {self.pbx}"))
            async for item in self.feed.items():
                await self._take(item)
            for task in (linking, watching, *others):  # recorded calls have an end
                task.cancel()

    # -- what people ask for ---------------------------------------------------------------------------------------

    def watches(self, call_id: UUID) -> bool:
        """Whether that call is live on this PBX."""
        return self.teller.tracker.recorded_channels(call_id) is not None

    async def pause(self, call_id: UUID) -> None:
        """Silence what is recorded of the call. That it is, the PBX tells; see RecordingControl."""
        await self._mute(call_id, "1")

    async def resume(self, call_id: UUID) -> None:
        """Record it again."""
        await self._mute(call_id, "0")

    async def _mute(self, call_id: UUID, state: str) -> None:
        channels = self.teller.tracker.recorded_channels(call_id)
        if channels is None:
            raise TryLater(
                "This call is over, or has become part of another.", remedy="Look at the live calls again."
            )
        if not channels:
            raise NeedsPerson(
                "Nothing of this call is being recorded.", remedy="There is nothing to pause or to resume."
            )
        if self._actions is None:
            raise NeedsPerson(
                f"{self.pbx} is only watched here.",
                remedy="Pause the recording at the telephone system itself.",
            )
        if not self.feed.link_state().connected:
            raise TryLater(
                f"The link to {self.pbx} is lost just now.", remedy="Try again when the page says it is back."
            )
        gone = 0
        for channel in channels:
            headers = (("Channel", channel), ("Direction", "both"), ("State", state))
            try:
                await self._actions.send(Action("MixMonitorMute", headers))
            except ChannelGone:
                gone += 1  # hung up or handed over meanwhile; its recording ended with it
        if gone == len(channels):
            raise TryLater("The call ended in this moment.", remedy="Nothing is left to do.")

    # -- beginning -------------------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        """Take up the calls that an earlier process left open; its spool must be in the journal first."""
        while not await self._spool.emptied(within_seconds=STORE_PAUSE_SECONDS):
            pass  # the spool says what is wrong
        complained = False
        while True:
            try:
                unfinished = await self._store.journal.unfinished(self.pbx)
                told_until = await self._store.journal.told_until(self.pbx)
                if self._endpoints is not None:
                    self.teller.tracker.use_numbering(await self._endpoints.read())
                break
            except SwitchhookError as trouble:
                if not complained:  # once, not every second of a long outage
                    log.warning(
                        "open_calls_unread", pbx=self.pbx, problem=str(trouble), remedy=trouble.remedy
                    )
                complained = True
                await asyncio.sleep(STORE_PAUSE_SECONDS)
        self._unfinished = {call.id: call for call in unfinished}
        for facts in self.teller.restore(unfinished, told_until):
            self._board.publish(facts)
        if unfinished:
            log.info("calls_taken_up", pbx=self.pbx, calls=len(unfinished))

    # -- the line --------------------------------------------------------------------------------------------------

    async def _take(self, item: StreamItem) -> None:
        try:
            changes = await self._resume(item) if isinstance(item, LinkUp) else self.teller.take(item)
        except Exception:  # what we cannot digest never stops the rest; the report needs its trace
            self.indigestible += 1
            log.exception("message_not_understood", pbx=self.pbx)
            return
        await self._keep(changes)
        if isinstance(item, LinkUp):
            self._is_watched = False
        if isinstance(item, SnapshotEnd) and item.complete:
            if not self._is_watched:
                log.info("calls_watched", pbx=self.pbx)
            self._is_watched = True
            await self._lay_to_rest()
            self._sweep_now.set()
        if not isinstance(item, Observed):
            self._board.publish(self.feed.link_state())

    async def _resume(self, item: LinkUp) -> list[CallChange]:
        rows: Sequence[CelRow] = ()
        told: set[str] = set()
        if self._cel is not None:
            try:
                async with asyncio.timeout(CEL_SECONDS):
                    rows = await self._cel.since(self.teller.context_from(item.at.timestamp()))
                    self._note_newest(rows)
                    told = await self._known({row.look.uid for row in rows})
            except (OSError, SwitchhookError, TimeoutError) as trouble:
                self._cel_trouble(trouble)  # the sweep tells them once it can
                rows = ()
        return self.teller.resume(item, rows, told)

    async def _known(self, uids: set[str]) -> set[str]:
        known: set[str] = set()
        wanted = sorted(uids)
        for first in range(0, len(wanted), KNOWN_AT_ONCE):
            known |= set(await self._store.journal.known(self.pbx, wanted[first : first + KNOWN_AT_ONCE]))
        return known

    async def _keep(self, changes: Sequence[CallChange]) -> None:
        for change in changes:
            if change.absorbed:
                self._board.forget(change.absorbed)
            self._board.publish(change.facts)
        if changes:
            for _ in range(TURNS_FOR_CARDS):
                await asyncio.sleep(0)
            await self._spool.record(changes)

    async def _lay_to_rest(self) -> None:
        """End calls that were open in the journal and that nothing can be told of any more: no ghosts on the page."""
        left, self._unfinished = self._unfinished, {}
        live = {call.id for call in self.teller.tracker.live()}
        gone = [
            call for call in left.values() if call.id not in live and not any(map(self._told, call.aliases))
        ]
        await self._keep([_ended(call) for call in gone])

    def _told(self, uid: str) -> bool:
        return self.teller.holds(uid)

    async def _rest(self) -> None:
        """Let ended calls be forgotten in quiet times."""
        while True:
            await asyncio.sleep(REST_SECONDS)
            await self._keep(self.teller.rest(time.time() - 1.0))

    async def _tell_link(self, *, also_elsewhere: bool) -> None:
        """Tell the board, and a web process elsewhere, how the link is."""
        told: object = None
        while True:
            state = self.feed.link_state()
            said: object = (state.connected, state.problem, round(state.lag_seconds))
            if said != told:
                self._board.publish(state)
                if also_elsewhere and not await self._told_elsewhere(state):
                    said = None  # the database is away; say it again
                told = said
            await asyncio.sleep(LINK_STATE_SECONDS)

    async def _told_elsewhere(self, state: LinkState) -> bool:
        try:
            await self._store.relay.tell_link(state)
        except SwitchhookError:
            return False
        return True

    # -- the sweep -------------------------------------------------------------------------------------------------

    async def _sweep_for_ever(self, cel: CelSource) -> None:
        """At the start, after each gap, and every ten minutes; again soon where rows were too new to be the last ones."""
        while True:
            try:
                async with asyncio.timeout(SETTLE_SECONDS if self._sweep.unsettled else SWEEP_SECONDS):
                    await self._sweep_now.wait()
                self._sweep_now.clear()
                await asyncio.sleep(self._sweep_after_gap_seconds)
            except TimeoutError:
                pass
            if not self.teller.sure:
                continue  # without a snapshot nobody knows what lives; the next one wakes us
            await self.sweep_or_say(cel)

    async def sweep_or_say(self, cel: CelSource) -> None:
        """Sweep once; trouble with the log is told and counted, and what was not read comes the next time."""
        try:
            await self.sweep_once(cel)
            self.cel_problem = None
        except (OSError, SwitchhookError) as trouble:
            self._cel_trouble(trouble)

    async def sweep_once(self, cel: CelSource) -> int:
        """Compare the last day's CEL with the journal; tell what is missing, complete what was seen in part.

        Returns how many calls. Raises OSError or SwitchhookError; what was read is then looked at the next time.
        """
        now = time.time()
        rows = await cel.unread(now - WINDOW_SECONDS)
        self._note_newest(rows)
        self._log_tells_bridges |= any(row.kind == "BRIDGE_ENTER" for row in rows)
        groups = self._sweep.settled(rows, now, self.teller.lives)
        try:
            changes = await self._missing(groups, now)
        except SwitchhookError:
            self._sweep.put_back(groups)
            raise
        await self._keep(changes)
        self.swept += len(changes)
        if changes:
            log.info("calls_told_from_cel", pbx=self.pbx, calls=len(changes))
        if self._untellable and not self._log_tells_bridges:
            raise NeedsPerson(
                "The channel event log has no rows of bridges, so that who talked with whom cannot be told from it "
                f"(calls left out: {self._untellable}).",
                remedy="Add BRIDGE_ENTER and BRIDGE_EXIT to `events` in cel.conf, as asterisk-config/plain does.",
            )
        return len(changes)

    async def _missing(self, groups: Sequence[CelGroup], now: float) -> list[CallChange]:
        uids = {uid for group in groups for uid in group.uids}
        known = await self._known(uids)
        changes: list[CallChange] = []
        refine: dict[UUID, CelGroup] = {}
        ids = await self._store.journal.known(self.pbx, known) if known else {}
        in_part = set(await self._store.journal.seen_in_part(self.pbx, set(ids.values()))) if ids else set()
        unended = set(await self._store.journal.unended(self.pbx, set(ids.values()))) if ids else set()
        for group in groups:
            of_group = {ids[uid] for uid in group.uids if uid in ids}
            is_unseen = not of_group and group.whole and not any(map(self._told, group.uids))
            if not self._log_tells_bridges and tells_no_bridges(group.rows):
                self._untellable += is_unseen  # an answered call would be told as missed
            elif is_unseen:
                changes += self._tell_from_cel(group, now)
            elif of_group & unended and group.last_at > now - WINDOW_SECONDS:
                self._sweep.put_back([group])  # its end waits in the spool; the next look finds it
            elif of_group & in_part:
                refine |= dict.fromkeys(of_group & in_part, group)
        for group in {id(group): group for group in refine.values()}.values():
            members = sorted((call_id for call_id, its in refine.items() if its is group), key=str)
            kept = await self._store.journal.kept(members)
            rows = [row for row in group.rows if ids.get(row.look.uid) in (None, *members)]
            changes += complete_from_log(kept, rows, self.numbering, at=now)
        return changes

    def _tell_from_cel(self, group: CelGroup, now: float) -> list[CallChange]:
        lines = [*cel_lines(group.rows), {"t": group.last_at, "mark": "gone"}]
        told = Teller(self.numbering).tell_again(lines)
        return [_with_trace_of(change, [*lines, {"t": now, "mark": "cel"}]) for change in told]

    def _cel_trouble(self, trouble: Exception) -> None:
        self.cel_failures += 1
        problem = str(trouble) or "The channel event log did not answer in time."
        remedy = getattr(trouble, "remedy", None) or CEL_REMEDY
        if problem != self.cel_problem:
            log.warning("cel_unreadable", pbx=self.pbx, problem=problem, remedy=remedy)
        self.cel_problem = problem

    def _note_newest(self, rows: Sequence[CelRow]) -> None:
        newest = max((row.at for row in rows), default=None)
        if newest is not None:
            self.newest_cel_at = max(newest, self.newest_cel_at or newest)


class RecordingDesk:
    """`telephony.ports.RecordingControl` over all PBXes: asks the one on which the call is live."""

    def __init__(self, bridges: Mapping[str, Bridge]) -> None:
        self._bridges = bridges

    async def pause(self, call_id: UUID) -> None:
        """See RecordingControl."""
        await self._bridge_of(call_id).pause(call_id)

    async def resume(self, call_id: UUID) -> None:
        """See RecordingControl."""
        await self._bridge_of(call_id).resume(call_id)

    def _bridge_of(self, call_id: UUID) -> Bridge:
        for bridge in self._bridges.values():
            if bridge.watches(call_id):
                return bridge
        raise TryLater(
            "This call is over, or has become part of another.", remedy="Look at the live calls again."
        )


def _with_trace_of(change: CallChange, lines: Sequence[object]) -> CallChange:
    """The lines about this call's channels, and the marks."""
    mine = [
        line
        for line in lines
        if isinstance(line, dict) and ("cel" not in line or line["cel"].get("uniqueid") in change.aliases)
    ]
    return replace(change, trace=tuple(mine))


def _ended(call: OpenCall) -> CallChange:
    """An end for a call whose channels are gone and whose messages are lost: when is known only within limits."""
    facts = call.facts
    last = max([facts.started_at, *(at for at in (facts.answered_at,) if at is not None)])
    ended = replace(facts, state=State.ENDED, ended_at=last, certainty=Certainty.BOUNDED)
    event = CallEvent(EventKind.ENDED, facts.id, last)
    now = datetime.now(UTC).timestamp()
    return CallChange(ended, (event,), call.aliases, trace=({"t": now, "mark": "gone"},))
