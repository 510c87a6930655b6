"""One database for the tests of a module: each makes entries of its own and looks only at those."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest_asyncio
from sqlalchemy import insert

from call_records.db.tables import accounts, people
from call_records.store import RecordsStore, open_records
from tests.postgres_fixtures import TEMPLATE, own_database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(postgres_server: str) -> AsyncIterator[RecordsStore]:
    """The opened store of this module's tests."""
    async for url in own_database(postgres_server, TEMPLATE):
        async with open_records(url, migrate=False) as opened:
            yield opened


@dataclass(frozen=True)
class Somebody:
    """A person of ours with an account."""

    account: UUID
    person: UUID
    name: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def petrova(store: RecordsStore) -> Somebody:
    """Petrova, who has an account."""
    return await somebody(store, "Petrova")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sidorov(store: RecordsStore) -> Somebody:
    """Sidorov, who has an account."""
    return await somebody(store, "Sidorov")


async def somebody(store: RecordsStore, name: str) -> Somebody:
    """A person and their account."""
    one = Somebody(uuid4(), uuid4(), name)
    account = {
        "id": one.account, "person_id": one.person, "login": f"{name}-{one.account}", "name": name, "role": "manager",
        "extensions": [], "pop": "on_ring", "password_hash": "", "active": True, "created_at": datetime.now(UTC),
    }  # fmt: skip
    async with store.engine.begin() as connection:
        await connection.execute(insert(people).values(id=one.person, name=name))
        await connection.execute(insert(accounts).values(account))
    return one
