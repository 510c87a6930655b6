"""CRM sync in the service: plans ended calls, works through the lanes of every connection, says how each is.

Everything runs in one task group. A connection that meets a mistake of ours is started again after a pause and delays no
other; whatever is under way when the service stops is found as `sending` by the next start and looked for in the CRM.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import structlog

from call_records.calls.journal import OUTBOX_CHANNEL
from call_records.db.listen import wake_on
from call_records.deliveries.connections import ConnectionStatus
from call_records.deliveries.lanes import DeliveryRow
from call_records.deliveries.planning import CallToPlan, NotedCall, PlannedCall, RecordedCall
from call_records.deliveries.sealing import SecretBox, read_or_make_key
from call_records.store import RecordsStore
from crm_sync.breaker import BreakerState
from crm_sync.operations import OperationKind
from crm_sync.planner import plan_call, plan_note, plan_recording, wants_recording
from crm_sync.ports import Clock
from switchhook.crm.connections import (
    LiveConnection,
    MakeTransport,
    SystemClock,
    find_key_file,
    make_transport,
    open_connection,
)
from switchhook.crm.stores import build_row
from switchhook.settings.settings import Settings
from telephony.errors import NeedsPerson, SwitchhookError, TryLater

log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0  # a notice that was missed, and a recording that is ready, wait so long
STATUS_SECONDS = 5.0  # how soon the page knows that a CRM is away, and a worker that a person wants it tried
RESTART_SECONDS = 30.0  # after a mistake of ours
CLOSE_SECONDS = 1.5  # for renewals and sockets; the whole service stops within 5 s

T = TypeVar("T")

WORKING = "working"
UNREACHABLE = "unreachable"
NEEDS_ADMINISTRATOR = "needs_administrator"


@dataclass(frozen=True, slots=True)
class State:
    """How a connection is."""

    state: str
    reason: str
    since: datetime


@dataclass(slots=True)
class CrmSync:
    """All connections of one service."""

    settings: Settings
    store: RecordsStore
    state_dir: Path
    make_transport: MakeTransport = make_transport
    clock: Clock = field(default_factory=SystemClock)
    connections: tuple[LiveConnection, ...] = ()
    statuses: tuple[ConnectionStatus, ...] = ()
    """As they were read last; for the metrics."""
    problem: str | None = None
    """Why nothing is delivered at all, with the remedy; for the Connections page."""
    mistakes: int = 0
    """How often a part had to be started again; for the metrics."""
    _states: dict[str, State] = field(default_factory=dict)
    _retries: dict[str, datetime | None] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled. What only a person can change stops the deliveries and nothing else of the service."""
        try:
            await self._run_opened()
        except NeedsPerson as refused:
            self.problem = f"Calls are not delivered to CRMs. {refused.sentence}"
            log.error("crm_not_started", problem=str(refused), remedy=refused.remedy)
            await asyncio.Event().wait()

    async def _run_opened(self) -> None:
        async with self.opened(), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._guard(self._plan_forever, "planner"), name="crm planner")
            tasks.create_task(self._guard(self._report_forever, "status"), name="crm status")
            for connection in self.connections:
                work = self._guard(connection.dispatcher.run, connection.name)
                tasks.create_task(work, name=f"crm {connection.name}")

    async def plan_once(self) -> int:
        """Plan what is there now; returns how many calls were looked at. Raises TryLater."""
        planning = self.store.deliveries.planning
        noting = [
            connection.name
            for connection in self.connections
            if connection.rules.capabilities.can_execute(OperationKind.ADD_NOTE)
        ]
        return (
            await planning.plan_ended_calls(self._plan)
            + await planning.plan_recordings(self._plan_recording)
            + await planning.plan_notes(noting, self._plan_note)
        )

    async def read_staff(self) -> None:
        """Whose users the Staff page says the extensions are: its one id per person is of the one CRM that there is."""
        users = await self.store.deliveries.planning.list_staff_users()
        having = [one for one in self.connections if not one.rules.capabilities.is_write_only]
        if len(having) == 1:
            having[0].rules = replace(having[0].rules, staff_user_ids=MappingProxyType(users))

    async def report_once(self) -> None:
        """Save how each connection is where that changed, and try again what a person asked for."""
        await self.read_staff()
        table = self.store.deliveries.connections
        self.statuses = tuple(await table.list_connections())
        by_name = {status.name: status for status in self.statuses}
        for connection in self.connections:
            status = by_name.get(connection.name)
            if status is not None and status.retry_asked_at != self._retries.get(connection.name):
                self._retries[connection.name] = status.retry_asked_at
                connection.client.reset()
            state = read_state(connection, self.clock.now())
            before = self._states.get(connection.name)
            if before is None or (before.state, before.reason) != (state.state, state.reason):
                await table.save_state(connection.name, state.state, state.reason, state.since)
                self._states[connection.name] = state
                self._log_state(connection.name, before, state)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The configured connections, entered in the database, until the block is left."""
        box = SecretBox(read_or_make_key(find_key_file(self.state_dir)))
        opened: list[LiveConnection] = []
        try:
            for configured in self.settings.crm.connections:
                opening = partial(
                    open_connection,
                    configured,
                    self.settings,
                    self.store.deliveries,
                    box,
                    make_transport=self.make_transport,
                    clock=self.clock,
                )
                opened.append(await self._until_database(opening))
            self.connections = tuple(opened)
            statuses = await self._until_database(self.store.deliveries.connections.list_connections)
            await self._until_database(self.read_staff)
            self._retries = {status.name: status.retry_asked_at for status in statuses}
            yield
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await asyncio.gather(
                        *(connection.close() for connection in opened), return_exceptions=True
                    )

    async def _until_database(self, act: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await act()
            except TryLater as away:
                log.debug("crm_waits_for_database", problem=str(away))
            await asyncio.sleep(LOOK_SECONDS)

    async def _guard(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        """A mistake of ours in one part stops no other."""
        while True:
            try:
                await work()
            except SwitchhookError as trouble:
                log.warning("crm_part_waits", name=name, problem=str(trouble), remedy=trouble.remedy)
            except Exception as mistake:  # said loudly, and tried again: other CRMs go on
                self.mistakes += 1
                log.exception("crm_part_broken", name=name, problem=str(mistake))
            await asyncio.sleep(RESTART_SECONDS)

    async def _plan_forever(self) -> None:
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wake_on(self.store.engine, OUTBOX_CHANNEL, wake), name="crm notices")
            while True:
                wake.clear()
                try:
                    while await self.plan_once():
                        pass
                except TryLater as away:
                    log.debug("crm_planner_waits", problem=str(away))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await wake.wait()

    async def _report_forever(self) -> None:
        while True:
            try:
                await self.report_once()
            except TryLater as away:
                log.debug("crm_status_waits", problem=str(away))
            await asyncio.sleep(STATUS_SECONDS)

    def _plan(self, call: CallToPlan) -> PlannedCall:
        now = self.clock.now()
        wanted = [
            connection for connection in self.connections if connection.name not in call.delivered_elsewhere
        ]
        rows: list[DeliveryRow] = []
        awaiting: list[str] = []
        for connection in wanted:
            planned = plan_call(call.facts, connection.rules, now)
            rows += map(build_row, planned)
            if planned and wants_recording(call.facts, connection.rules):
                awaiting.append(connection.name)
        return PlannedCall(rows, awaiting)

    def _plan_recording(self, call: RecordedCall) -> Iterable[DeliveryRow]:
        connection = next((one for one in self.connections if one.name == call.connection), None)
        if connection is None:
            return ()
        return map(build_row, plan_recording(call.facts, connection.rules, self.clock.now()))

    def _plan_note(self, call: NotedCall) -> Iterable[DeliveryRow]:
        connection = next(one for one in self.connections if one.name == call.connection)
        return map(build_row, plan_note(call.facts, connection.rules, call.text, self.clock.now()))

    def _log_state(self, name: str, before: State | None, state: State) -> None:
        if state.state != WORKING:
            log.warning("crm_connection_troubled", name=name, state=state.state, reason=state.reason)
        elif before is not None:
            log.info("crm_connection_working", name=name)


def read_state(connection: LiveConnection, now: datetime) -> State:
    """How a connection is, by its breakers."""
    board = connection.client.breakers
    breaker = board.connection
    if breaker.state is not BreakerState.CLOSED:
        state = NEEDS_ADMINISTRATOR if breaker.needs_administrator else UNREACHABLE
        return State(state, breaker.reason, breaker.opened_at or now)
    refused = [method for method in board.methods.values() if method.state is not BreakerState.CLOSED]
    if refused:
        first = min(refused, key=lambda method: method.opened_at or now)
        state = NEEDS_ADMINISTRATOR if first.needs_administrator else UNREACHABLE
        return State(state, first.reason, first.opened_at or now)
    return State(WORKING, "", now)
