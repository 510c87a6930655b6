"""The ports in memory, and a clock that tests turn."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from crm_sync.delivery import Delivery, DeliveryKey
from crm_sync.exchange import Credentials
from crm_sync.ports import LaneClaim, LeaseLost, Renewal
from telephony.errors import NeedsPerson
from tests.crm_sync.call_builder import START


class VirtualClock:
    """Whoever sleeps turns it on."""

    def __init__(self, moment: datetime = START) -> None:
        self.moment = moment

    def now(self) -> datetime:
        """The virtual moment."""
        return self.moment

    async def sleep(self, seconds: float) -> None:
        """At once."""
        self.moment += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def advance_to(self, moment: datetime) -> None:
        """Never back."""
        self.moment = max(self.moment, moment)


@dataclass
class MemoryLane:
    """One lane with its lease."""

    due_at: datetime | None
    deliveries: dict[DeliveryKey, Delivery] = field(default_factory=dict)
    lease_id: UUID | None = None
    leased_until: datetime | None = None
    is_added_to: bool = False


class MemoryDeliveryStore:
    """The outbox of one process."""

    def __init__(self) -> None:
        self.lanes: dict[tuple[str, UUID], MemoryLane] = {}
        self.is_cut_off = False
        """The process is dead: what it does not get to do is not done."""

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        for delivery in deliveries:
            name = (delivery.connection, delivery.operation.call.call_id)
            lane = self.lanes.setdefault(name, MemoryLane(delivery.due_at))
            if delivery.key not in lane.deliveries:
                lane.deliveries[delivery.key] = delivery
                lane.is_added_to = True
                lane.due_at = min(filter(None, (lane.due_at, delivery.due_at)))

    async def claim_lane(self, connection: str, now: datetime, leased_until: datetime) -> LaneClaim | None:
        """See the port."""
        free = [
            (lane.due_at, name[1], lane)
            for name, lane in self.lanes.items()
            if name[0] == connection
            and lane.due_at is not None
            and lane.due_at <= now
            and (lane.leased_until is None or lane.leased_until <= now)
        ]
        if not free:
            return None
        _, call_id, lane = min(free, key=lambda entry: (entry[0], entry[1]))
        lane.lease_id, lane.leased_until, lane.is_added_to = uuid4(), leased_until, False
        return LaneClaim(connection, call_id, lane.lease_id, tuple(lane.deliveries.values()))

    async def save_deliveries(self, claim: LaneClaim, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        lane = self.lanes[claim.connection, claim.call_id]
        if lane.lease_id != claim.lease_id:
            raise LeaseLost
        lane.deliveries |= {delivery.key: delivery for delivery in deliveries}

    async def release_lane(self, claim: LaneClaim, due_at: datetime | None) -> None:
        """See the port."""
        lane = self.lanes[claim.connection, claim.call_id]
        if lane.lease_id == claim.lease_id and not self.is_cut_off:
            lane.lease_id = lane.leased_until = None
            if not lane.is_added_to:
                lane.due_at = due_at

    def list_deliveries(self) -> list[Delivery]:
        """All, for what tests claim."""
        return [delivery for lane in self.lanes.values() for delivery in lane.deliveries.values()]

    def find_next_due(self) -> datetime | None:
        """When there is something to do again."""
        moments = [
            max(lane.due_at, lane.leased_until or lane.due_at)
            for lane in self.lanes.values()
            if lane.due_at is not None
        ]
        return min(moments, default=None)


class MemoryRenewal:
    """Of one connection, while its lock is held."""

    def __init__(self, store: MemoryCredentialStore, connection: str) -> None:
        self._store, self._connection = store, connection

    @property
    def credentials(self) -> Credentials:
        """See the port."""
        return self._store.stored[self._connection]

    async def save_credentials(self, credentials: Credentials) -> None:
        """See the port."""
        self._store.stored[self._connection] = credentials


class MemoryCredentialStore:
    """Readable in a test."""

    def __init__(self, **stored: Credentials) -> None:
        self.stored = dict(stored)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get_credentials(self, connection: str) -> Credentials:
        """See the port."""
        if connection not in self.stored:
            raise NeedsPerson("There are no credentials.", remedy="Connect the CRM.")
        return replace(self.stored[connection])

    def begin_renewal(self, connection: str) -> AbstractAsyncContextManager[Renewal]:
        """See the port."""
        return self._renewal(connection)

    @asynccontextmanager
    async def _renewal(self, connection: str) -> AsyncIterator[Renewal]:
        async with self._locks[connection]:
            yield MemoryRenewal(self, connection)


class MemoryNumberLocks:
    """Of one process."""

    def __init__(self) -> None:
        self._locks: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def _hold(self, name: tuple[str, str]) -> AsyncIterator[None]:
        async with self._locks[name]:
            yield

    def hold_number(self, connection: str, phone_tail: str) -> AbstractAsyncContextManager[None]:
        """See the port."""
        return self._hold((connection, phone_tail))
