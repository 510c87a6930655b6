"""How fast the journal keeps calls and how fast the list answers: `python -m bench.journal [--calls N]`.

Starts its own PostgreSQL with full durability, writes N answered calls (three changes each) through the journal, then
asks for the pages people open. `--calls 1000000` fills the bulk by SQL from the calls the journal wrote, so that it
stays within minutes. Prints one number a line, with the versions they belong to.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import text

from bench.store import fresh_store
from call_records.store import RecordsStore
from call_records.types import CallFilter
from telephony.call_facts.facts import Direction, Disposition
from telephony.ports import CallChange
from tests.call_facts_builder import CLIENT, MONDAY, call, life

THROUGH_JOURNAL = 2_000  # calls; more would only repeat the measurement
BATCH = 100  # changes in one transaction, as the spool does it
ROUNDS = 15

FILL = text("""
    INSERT INTO calls (id, pbx, direction, disposition, state, started_at, caller_number, did, outside_number,
        outside_last10, outside_reversed, other_last10, parties, facts)
    SELECT gen_random_uuid(), pbx, direction,
        CASE WHEN n % 7 = 0 THEN 'missed' ELSE disposition END, state,
        started_at - n * interval '31 seconds', '+7' || d, did, '+7' || d, d, reverse('7' || d), '{}',
        ARRAY[(100 + n % 300)::text], facts
    FROM generate_series(1, CAST(:rows AS bigint)) n
    CROSS JOIN LATERAL (SELECT (9000000000 + (n * 7919) % 400000)::text AS d) AS numbers
    CROSS JOIN LATERAL (SELECT * FROM (SELECT * FROM calls LIMIT 1) AS one) AS pattern
""")


def number_of(place: int) -> str:
    """Four hundred thousand different callers."""
    return f"+79{place * 7919 % 400_000:09d}"


async def write(store: RecordsStore, count: int) -> float:
    """Seconds for so many calls of three changes each."""
    told: list[CallChange] = []
    for place in range(count):
        told += life(call(number_of(place), started_at=MONDAY + timedelta(seconds=place)))
    began = time.perf_counter()
    for first in range(0, len(told), BATCH):
        await store.journal.record(told[first : first + BATCH])
    return time.perf_counter() - began


async def fill(store: RecordsStore, rows: int) -> None:
    """The bulk, past the journal."""
    async with store.engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = '600s'"))
        await connection.execute(FILL, {"rows": rows})
    async with store.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("SET statement_timeout = '600s'"))
        await connection.execute(text("VACUUM ANALYZE calls"))
        await connection.execute(text("RESET statement_timeout"))


async def timed(ask: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Median and worst of some rounds, in milliseconds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), max(took)


async def questions(store: RecordsStore) -> None:
    """The pages people open."""
    far = MONDAY - timedelta(days=300)
    filters = {
        "newest calls": CallFilter(),
        "missed calls": CallFilter(disposition=Disposition.MISSED),
        "inbound answered of 101": CallFilter(
            direction=Direction.INBOUND, disposition=Disposition.ANSWERED, party="101"
        ),
        "an extension nobody has": CallFilter(party="999"),
        "a whole number": CallFilter(number="8 900 000-79-19"),
        "a number nobody has": CallFilter(number="+48221234567"),
        "last seven digits": CallFilter(number="0007919"),
        "last three digits": CallFilter(number="919"),
        "a day ten months ago": CallFilter(since=far, until=far + timedelta(days=1)),
    }
    for name, wanted in filters.items():
        found = len((await store.calls.page(wanted)).calls)
        median, worst = await timed(lambda wanted=wanted: store.calls.page(wanted))  # type: ignore[misc]
        print(f"{name:<28} {median:8.1f} ms median {worst:8.1f} ms worst  ({found} calls)")
    median, worst = await timed(lambda: store.calls.last_with(CLIENT, before=MONDAY))
    print(f"{'last conversation with':<28} {median:8.1f} ms median {worst:8.1f} ms worst")


async def measure(calls: int) -> None:
    """The whole measurement."""
    async with fresh_store() as store:
        through = min(calls, THROUGH_JOURNAL)
        seconds = await write(store, through)
        print(f"journal: {through / seconds:.0f} calls/s, {3 * through / seconds:.0f} changes/s, durable")
        if calls > through:
            await fill(store, calls - through)
        print(f"list over {calls} calls:")
        await questions(store)


def main() -> None:
    """Read the size and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000, help="rows in the journal (default 5000)")
    asyncio.run(measure(parser.parse_args().calls))


if __name__ == "__main__":
    main()
