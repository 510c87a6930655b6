"""The spool: the reader of the PBX never waits for the database, and nothing is lost while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from call_records.calls.journal import fold
from call_records.calls.spool import SpoolingJournal
from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from call_records.types import CallFilter
from telephony.errors import OurMistake, TryLater
from telephony.ports import CallChange
from tests.call_facts_builder import call, change, life


class FakeJournal:
    """A journal that is away for some requests, refuses some calls, and remembers what it took."""

    def __init__(self) -> None:
        self.took: list[CallChange] = []
        self.away = False
        self.refused: set[object] = set()
        self.asked = asyncio.Event()

    async def record(self, changes: Sequence[CallChange]) -> None:
        self.asked.set()
        if self.away:
            raise TryLater("The database does not answer.", remedy="Check that PostgreSQL runs.")
        if any(one.facts.id in self.refused for one in changes):
            raise OurMistake("No.")
        self.took += changes


@asynccontextmanager
async def running(spool: SpoolingJournal) -> AsyncIterator[SpoolingJournal]:
    writer = asyncio.create_task(spool.run())
    try:
        yield spool
    finally:
        writer.cancel()
        with suppress(asyncio.CancelledError):
            await writer
        spool.close()


async def test_changes_reach_the_journal_in_order(tmp_path: Path) -> None:
    """A quiet day: everything is handed over as it came, and the file is empty afterwards."""
    journal, told = FakeJournal(), [part for _ in range(80) for part in life(call())]
    async with running(SpoolingJournal(journal, tmp_path)) as spool:
        await spool.record(told)
        assert await spool.emptied(within_seconds=5)
        assert journal.took == told
        assert (spool.state().waiting, spool.state().problem) == (0, None)
    assert (tmp_path / "spool.jsonl").read_bytes() == b""


async def test_a_database_away_is_stated_and_caught_up(tmp_path: Path) -> None:
    """The database is away: the page says so with the remedy, how much waits and since when; then all is told."""
    journal, told, now = FakeJournal(), life(call()), [100.0]
    journal.away = True
    async with running(SpoolingJournal(journal, tmp_path, clock=lambda: now[0])) as spool:
        await spool.record(told)
        async with asyncio.timeout(5):
            await journal.asked.wait()
        now[0] = 130.0
        state = spool.state()
        assert state.problem == "The database does not answer. 3 changes wait."
        assert state.remedy == "Check that PostgreSQL runs."
        assert (state.waiting, state.oldest_seconds) == (3, 30.0)
        journal.away = False
        assert await spool.emptied(within_seconds=5)
    assert journal.took == told


async def test_a_killed_process_leaves_everything_to_the_next(tmp_path: Path) -> None:
    """Killed while the database was away and while writing a line: the next start tells all whole lines, in order."""
    told = life(call())
    killed = SpoolingJournal(FakeJournal(), tmp_path)
    await killed.record(told)
    killed.close()
    with (tmp_path / "spool.jsonl").open("a") as file:
        file.write('{"facts": {"id"')
    after = life(call("+48221234567"))
    second = SpoolingJournal(FakeJournal(), tmp_path)
    await second.record(after)
    second.close()
    journal = FakeJournal()
    async with running(SpoolingJournal(journal, tmp_path)) as spool:
        assert await spool.emptied(within_seconds=5)
        assert spool.state().unreadable_lines == 1
    assert journal.took == told + after


async def test_a_full_spool_folds_each_call_first(tmp_path: Path) -> None:
    """More changes than the bound: each call keeps its newest facts, all its events, channels and messages."""
    calls = [life(call()) for _ in range(20)]
    spool = SpoolingJournal(FakeJournal(), tmp_path, limit_changes=59)
    for told in calls:
        await spool.record(told)
    assert (spool.state().waiting, spool.state().folded, spool.state().lost_changes) == (20, 40, 0)
    spool.close()


async def test_folding_keeps_what_adds_up() -> None:
    """Three changes of a call as one."""
    ring, talk, end = life(call())
    one = fold(fold(ring, talk), end)
    assert one.facts == end.facts
    assert one.events == ring.events + talk.events + end.events
    assert one.trace == ring.trace + talk.trace + end.trace
    assert one.aliases == ring.aliases


async def test_beyond_folding_the_gap_is_stated(tmp_path: Path) -> None:
    """A week without a database: the oldest calls go, and the page can say how many and from when to when."""
    told = [change(call()) for _ in range(30)]
    spool = SpoolingJournal(FakeJournal(), tmp_path, limit_changes=20)
    for one in told:
        await spool.record([one])
    state = spool.state()
    assert state.waiting + state.lost_changes == 30
    assert state.waiting <= 20
    assert state.lost_from == min(one.facts.started_at for one in told)
    spool.close()


async def test_too_many_bytes_give_up_messages_before_calls(tmp_path: Path) -> None:
    """Long messages fill the memory: the oldest messages go, no call does."""
    long = [{"t": 1.0, "h": [["Event", "x" * 5_000]]}]
    told = [fold(change(call()), CallChange(call(), (), (), (), tuple(long))) for _ in range(10)]
    spool = SpoolingJournal(FakeJournal(), tmp_path, limit_bytes=60_000)
    for one in told:
        await spool.record([one])
    state = spool.state()
    assert state.lost_messages > 0
    assert (state.waiting, state.lost_changes) == (10, 0)
    assert state.waiting_bytes <= 60_000
    spool.close()


async def test_one_bad_change_never_stops_the_others(tmp_path: Path) -> None:
    """The journal refuses one change for good: it is put aside for a bug report, all others are kept."""
    journal, told = FakeJournal(), [change(call()) for _ in range(30)]
    journal.refused = {told[17].facts.id}
    async with running(SpoolingJournal(journal, tmp_path)) as spool:
        await spool.record(told)
        assert await spool.emptied(within_seconds=5)
        assert spool.state().rejected == 1
    assert journal.took == told[:17] + told[18:]
    assert str(told[17].facts.id) in (tmp_path / "rejected.jsonl").read_text()


async def test_a_full_disk_is_stated_and_memory_goes_on(tmp_path: Path) -> None:
    """The state directory's disk is full: said and counted, and the journal still gets everything."""
    full = tmp_path / "full"
    full.mkdir()
    journal, told = FakeJournal(), life(call())
    journal.away = True
    spool = SpoolingJournal(journal, full)
    (full / "spool.jsonl").symlink_to("/dev/full")
    await spool.record(told)
    state = spool.state()
    assert state.problem == "The spool file cannot be written: No space left on device."
    assert state.remedy is not None
    assert (state.waiting, state.unwritten) == (3, 3)
    journal.away = False
    async with running(spool):
        assert await spool.emptied(within_seconds=5)
    assert journal.took == told


@pytest.mark.postgres
async def test_postgres_is_killed_in_the_middle(
    short_dir: Path, tmp_path: Path, postgres_server: str
) -> None:
    """kill -9 of PostgreSQL under sixty calls, started again seconds later: each call, event and message once."""
    server = EmbeddedPostgres(short_dir, durable=False)
    told = [part for _ in range(60) for part in life(call())]
    try:
        async with open_records(await server.start()) as records:
            async with running(SpoolingJournal(records.journal, tmp_path)) as spool:
                for place, one in enumerate(told):
                    await spool.record([one])
                    if place == 90:
                        await first_batch_taken(records)
                        await server.kill()
                await server.start()
                assert await spool.emptied(within_seconds=30)
            assert await counts(records) == {
                "calls": 60,
                "call_aliases": 60,
                "call_trace": 180,
                "outbox": 180,
            }
            page = await records.calls.page(CallFilter(), limit=100)
            assert all(facts.ended for facts in page.calls)
    finally:
        await server.stop()


async def first_batch_taken(records: RecordsStore) -> None:
    """Until the journal has begun: the kill then falls into the middle of the work."""
    async with asyncio.timeout(10):
        while not (await counts(records))["calls"]:
            continue


async def counts(records: RecordsStore) -> dict[str, Any]:
    async with records.engine.connect() as connection:
        return {
            table: await connection.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("calls", "call_aliases", "call_trace", "outbox")
        }
