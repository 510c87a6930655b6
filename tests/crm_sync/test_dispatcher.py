"""The stores in memory keep the contracts, and the dispatcher works from them."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from crm_sync.ports import LaneClaim
from telephony.errors import TryLater
from tests.crm_sync.call_builder import CLIENT, make_call
from tests.crm_sync.conformance import call_key, make_bench
from tests.crm_sync.memory import MemoryCredentialStore, MemoryDeliveryStore, MemoryNumberLocks
from tests.crm_sync.store_contract import (
    STORED,
    CredentialStoreContract,
    DeliveryStoreContract,
    NumberLocksContract,
)


class TestMemoryDeliveryStore(DeliveryStoreContract):
    """As PostgreSQL."""

    @pytest.fixture
    def store(self) -> MemoryDeliveryStore:
        """Empty."""
        return MemoryDeliveryStore()


class TestMemoryCredentialStore(CredentialStoreContract):
    """As PostgreSQL."""

    @pytest.fixture
    def credentials(self) -> MemoryCredentialStore:
        """Of one connection."""
        return MemoryCredentialStore(crm=STORED)


class TestMemoryNumberLocks(NumberLocksContract):
    """As PostgreSQL."""

    @pytest.fixture
    def locks(self) -> MemoryNumberLocks:
        """Nobody holds anything."""
        return MemoryNumberLocks()


async def test_the_workers_run_until_they_are_cancelled() -> None:
    """Several lanes at once; a database that is away for a moment ends nothing."""
    bench = make_bench("odoo_14")
    bench.peer.add_contact(CLIENT)
    done, claim_lane, failures = asyncio.Event(), bench.store.claim_lane, [3]

    async def claim_when_up(connection: str, now: datetime, leased_until: datetime) -> LaneClaim | None:
        if failures[0]:
            failures[0] -= 1
            raise TryLater("The database is away.")
        claimed = await claim_lane(connection, now, leased_until)
        if claimed is None and not bench.list_unsent():
            done.set()
        return claimed

    bench.store.claim_lane = claim_when_up  # type: ignore[method-assign]
    calls = [make_call(number) for number in range(1, 21)]
    for call in calls:
        await bench.add_call(call)
    running = asyncio.create_task(bench.dispatcher.run())
    async with asyncio.timeout(60):
        await done.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sorted(key for key, _ in bench.peer.list_logged_calls()) == sorted(map(call_key, calls))
