"""The whole way of calls into one CRM: captured streams, journal, outbox, lanes in PostgreSQL, a strict fake CRM.

Time is virtual and every step is taken by the test, so that a process can be killed at any of them.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from call_records.store import RecordsStore
from crm_sync.adapters.base import ConnectionSettings
from crm_sync.codec import decode_delivery
from crm_sync.delivery import Delivery
from crm_sync.dispatcher import Dispatcher
from crm_sync.exchange import Request
from crm_sync.ports import LaneClaim
from switchhook.commands.replay import Replay
from switchhook.crm.connections import LiveConnection
from switchhook.crm.stores import StoredDeliveries
from switchhook.crm.sync import CrmSync
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmConnectionSettings, CrmSettings, WebSettings
from telephony.call_facts.facts import CallFacts
from telephony.ports import CallChange
from tests.crm_sync.faults import Fault, FaultyTransport, Killed
from tests.crm_sync.memory import VirtualClock
from tests.crm_sync.peers import PEERS
from tests.crm_sync.peers.base import FakePeer
from tests.telephony.captured import NUMBERING, captured

PUBLIC_URL = "https://calls.example.com"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class CollectingReplay(Replay):
    """Keeps the changes as the journal gets them."""

    def __init__(self) -> None:
        self.changes: list[CallChange] = []
        super().__init__(NUMBERING)

    def _collect(self) -> None:
        for change in self.tracker.drain():
            self.told[change.facts.id] = change.facts
            self.changes.append(
                CallChange(change.facts, change.events, tuple(change.aliases), tuple(change.absorbed))
            )


def replay_changes(scenario: str) -> list[CallChange]:
    """Everything that the journal is given while a captured call goes on, on Asterisk 22."""
    player = CollectingReplay()
    for link in captured(f"22/{scenario}").links:
        player.link(link)
    player.finish()
    return player.changes


class MortalDeliveries(StoredDeliveries):
    """A store whose process may be dead: then it gives no lane back."""

    is_cut_off = False

    async def release_lane(self, claim: LaneClaim, due_at: datetime | None) -> None:
        """See the port."""
        if not self.is_cut_off:
            await super().release_lane(claim, due_at)


class PeerTransport(FaultyTransport):
    """To the fake CRM."""

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class CrmLine:
    """One connection of one service."""

    records: RecordsStore
    peer: FakePeer
    clock: VirtualClock
    transport: PeerTransport
    state_dir: Path
    settings: Settings
    sync: CrmSync = field(init=False)
    store: MortalDeliveries = field(init=False)
    _process: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        """A new process over the same database."""
        self.sync = CrmSync(self.settings, self.records, self.state_dir, lambda _: self.transport, self.clock)
        await self._process.enter_async_context(self.sync.opened())
        self.store = MortalDeliveries(self.records.deliveries.lanes)
        self.transport.when_killed = self.cut_off
        self.connection.dispatcher = Dispatcher(self.connection.client, self.store, random.Random(7).random)

    async def stop(self) -> None:
        """The last process ends."""
        await self._process.aclose()

    def cut_off(self) -> None:
        """The process is dead."""
        self.store.is_cut_off = True

    @property
    def connection(self) -> LiveConnection:
        """The only one."""
        return self.sync.connections[0]

    async def record(self, *scenarios: str) -> list[CallFacts]:
        """Captured calls into the journal; those that a CRM is to know, in order of their end."""
        ended: dict[object, CallFacts] = {}
        for scenario in scenarios:
            for change in replay_changes(scenario):
                await self.records.journal.record([change])
                ended[change.facts.id] = change.facts
        await self.plan()
        return list(ended.values())

    async def plan(self) -> None:
        """All that is to be planned."""
        while await self.sync.plan_once():
            pass

    async def drain(self, *, until: datetime | None = None, steps: int = 4000) -> None:
        """Work until nothing is due any more (or that moment), whatever happens to the process meanwhile."""
        for _ in range(steps):
            try:
                if await self.connection.dispatcher.work_once():
                    continue
            except Killed:
                await self.start()
                continue
            next_at = await self._find_next_due()
            if next_at is None or (until is not None and next_at > until):
                self.clock.advance_to(until or self.clock.now())
                self.transport.finish_late()
                return
            breaker = self.connection.client.breakers.connection
            if not breaker.is_passable(self.clock.now()) and breaker.retry_at is not None:
                next_at = max(next_at, breaker.retry_at)
            self.clock.advance_to(max(next_at, self.clock.now() + timedelta(milliseconds=1)))
        raise AssertionError(f"never at rest: {await self.list_deliveries()}")

    async def list_deliveries(self) -> list[Delivery]:
        """As they are stored, by call and order."""
        wanted = "SELECT content FROM crm_deliveries ORDER BY call_id, sequence"
        async with self.records.engine.connect() as connection:
            return [decode_delivery(content) for content in await connection.scalars(text(wanted))]

    async def _find_next_due(self) -> datetime | None:
        wanted = "SELECT min(greatest(due_at, leased_until)) FROM crm_lanes WHERE due_at IS NOT NULL"
        async with self.records.engine.connect() as connection:
            found: datetime | None = await connection.scalar(text(wanted))
            return found


@asynccontextmanager
async def crm_line(
    records: RecordsStore,
    peer_name: str,
    directory: Path,
    next_fault: Callable[[Request], Fault] | None = None,
) -> AsyncIterator[CrmLine]:
    """A service with one connection, to that CRM."""
    clock = VirtualClock(datetime.now(UTC))
    peer = PEERS[peer_name](clock)
    transport = PeerTransport(peer, clock)
    if next_fault is not None:
        transport.next_fault = next_fault
    settings = Settings(
        web=WebSettings(public_url=PUBLIC_URL),
        crm=CrmSettings(connections=(configure(peer.settings, peer.credentials.access_token),)),
    )
    await records.deliveries.connections.enter_connection("crm", peer.settings.kind)
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE crm_connections SET connected_at = :at"), {"at": LONG_AGO})
    line = CrmLine(records, peer, clock, transport, directory, settings)
    await line.start()
    try:
        yield line
    finally:
        await line.stop()


def configure(connection: ConnectionSettings, secret: str) -> CrmConnectionSettings:
    """As a person writes it."""
    return CrmConnectionSettings(
        name=connection.name,
        adapter=connection.kind,  # type: ignore[arg-type]
        url=connection.base_url,
        secret=SecretStr(secret),
        options=dict(connection.options),
        users={"101": "1"},
        allow_private_network=True,
    )
