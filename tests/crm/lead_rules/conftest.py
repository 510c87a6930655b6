"""One database for the tests of a module, emptied before each: copying a template takes longer than most of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text

from call_records.store import RecordsStore, open_records
from tests.postgres_fixtures import TEMPLATE, own_database

EMPTIED = (
    "missed_acts", "missed_calls", "missed", "timeline", "call_rulings", "tasks", "deals", "number_lessons", "clients",
    "campaigns", "blocklist", "sessions", "accounts", "extensions", "people", "office", "lead_rules",
    "call_redirects", "call_aliases", "outbox", "calls",
)  # fmt: skip
"""In this order nothing is left that points to what is gone. The audit log cannot be emptied, and is not."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_database(postgres_server: str) -> AsyncIterator[str]:
    """The address of this module's database."""
    async for url in own_database(postgres_server, TEMPLATE):
        yield url


@pytest.fixture
async def database_url(module_database: str) -> str:
    """As a new office begins."""
    async with open_records(module_database, migrate=False) as store, store.engine.begin() as connection:
        for table in EMPTIED:
            await connection.execute(text(f"DELETE FROM {table}"))
        await connection.execute(FIRST_TABLE)
    return module_database


FIRST_TABLE = text("""
    INSERT INTO lead_rules (id, place, outcome, known, making, owner) VALUES
    (gen_random_uuid(), 0, 'inbound_answered', 'unknown', 'lead', 'answered_by'),
    (gen_random_uuid(), 1, 'missed', 'unknown', 'lead', 'first_rung'),
    (gen_random_uuid(), 2, 'abandoned', 'unknown', 'lead', 'nobody'),
    (gen_random_uuid(), 3, 'form', 'unknown', 'lead', 'nobody')
""")
"""As the migration makes it; a test compares the two."""


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[RecordsStore]:
    """The opened store of that office."""
    async with open_records(database_url, migrate=False) as store:
        yield store
