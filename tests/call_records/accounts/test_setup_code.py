"""Several web processes over one database: one code for the first administrator."""

from __future__ import annotations

import asyncio

import pytest

from call_records.accounts.setup_code import forget_setup_code, share_setup_code
from call_records.store import RecordsStore

pytestmark = pytest.mark.postgres


async def test_all_processes_have_the_same_code(records: RecordsStore) -> None:
    """Each proposes its own in the same moment; one of them holds for all, until there is an administrator."""
    engine = records.engine
    codes = await asyncio.gather(*(share_setup_code(engine, f"code-{each}") for each in range(5)))
    assert len({code for code, _ in codes}) == 1
    assert sum(ours for _, ours in codes) == 1
    await forget_setup_code(engine)
    assert await share_setup_code(engine, "another") == ("another", True)
