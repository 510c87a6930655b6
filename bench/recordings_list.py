"""How fast recordings are listed and filtered: `python -m bench recordings_list [--rows N]`.

Starts its own PostgreSQL with full durability, makes N calls and N recordings by SQL (100 extensions, 400 000
customers, five years), and asks for the pages supervisors open: each filter for a page of 50, beside the server's own
time for it. The goal: 10 000 recordings listed and filtered in 50 ms of server time at 1 000 000 rows. So the last
line of each filter's kind lists as many as 10 000 rows at once, which no page does.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, text
from sqlalchemy.dialects import postgresql

from bench.store import FILL_SECONDS, fresh_store, vacuum
from call_records.recordings.catalogue.listing import FEW, exceptions_query, matches_query, page_query
from call_records.recordings.types import RecordingFilter
from call_records.store import RecordsStore
from telephony.call_facts.facts import Direction
from telephony.recordings import HealthFault, RecordingState
from tests.call_facts_builder import MONDAY, call, life

ROUNDS = 9
TARGET_MS = 50.0
AT_ONCE = 10_000

CALLS = text("""
    INSERT INTO calls (id, pbx, direction, disposition, state, started_at, caller_number, outside_number,
        outside_last10, outside_reversed, other_last10, parties, facts)
    SELECT gen_random_uuid(), pbx, CASE n % 10 WHEN 0 THEN 'internal' WHEN 1 THEN 'outbound' ELSE 'inbound' END,
        disposition, state, started_at - n * interval '157 seconds', '+7' || d, '+7' || d, d, reverse('7' || d), '{}',
        ARRAY[(100 + n % 100)::text], facts
    FROM generate_series(1, CAST(:rows AS bigint)) n
    CROSS JOIN LATERAL (SELECT (9000000000 + (n * 7919) % 400000)::text AS d) AS numbers
    CROSS JOIN LATERAL (SELECT * FROM (SELECT * FROM calls LIMIT 1) AS one) AS pattern
""")
RECORDINGS = text("""
    INSERT INTO recordings (id, pbx, name, call_id, channel, state, files, outside_first, listed_at, started_at,
        arrived_at, ready_at, duration_seconds, layout, measures, faults, direction, parties, outside_last10,
        outside_reversed, other_last10, keep_until)
    SELECT gen_random_uuid(), pbx, 'r' || n, CASE WHEN n % 5000 = 0 THEN NULL ELSE id END, 'u' || n,
        CASE WHEN n % 2000 = 0 THEN 'lost' WHEN n % 50 = 1 THEN 'empty' ELSE 'ready' END,
        '[{"path": "/spool/r.wav", "role": "mix", "bytes": 1000000, "sha256": "00",
           "modified_at": "2026-11-23T09:00:00+00:00"}]', true, started_at, started_at, started_at, started_at,
        (n * 7919) % 3600, 'stereo',
        '{"outside_talk_share": 0.4, "ours_talk_share": 0.5, "overlap_share": 0.02, "silence_share": 0.1,
          "longest_silence_seconds": 2.5, "longest_silence_at_seconds": 10.0, "loudest": 0.7}',
        CASE WHEN n % 100 = 0 THEN ARRAY['outside_silent'] ELSE '{}' END,
        direction, parties, outside_last10, outside_reversed, other_last10, now()
    FROM (SELECT row_number() OVER () AS n, * FROM calls) AS told
""")
TAGS = text("INSERT INTO call_tags SELECT id, 'vip' FROM calls WHERE outside_last10 LIKE '%00'")

YEAR = MONDAY - timedelta(days=365)
QUESTIONS = {
    "newest": RecordingFilter(),
    "one extension of 100 (10 000)": RecordingFilter(parties=frozenset({"137"})),
    "a team of ten (100 000)": RecordingFilter(parties=frozenset(str(one) for one in range(130, 140))),
    "an extension nobody has": RecordingFilter(parties=frozenset({"999"})),
    "outbound, one extension": RecordingFilter(direction=Direction.OUTBOUND, parties=frozenset({"101"})),
    "a whole number": RecordingFilter(number="8 900 000-79-19"),
    "a number nobody has": RecordingFilter(number="+48221234567"),
    "last four digits": RecordingFilter(number="7919"),
    "last three digits": RecordingFilter(number="919"),
    "a fault (10 000)": RecordingFilter(fault=HealthFault.OUTSIDE_SILENT),
    "a fault nobody has": RecordingFilter(fault=HealthFault.CLIPPED),
    "at least 59:24 (10 000)": RecordingFilter(at_least_seconds=3564),
    "a tag (10 000)": RecordingFilter(tag="vip"),
    "a tag, one extension": RecordingFilter(tag="vip", parties=frozenset({"101"})),
    "lost": RecordingFilter(states=frozenset({RecordingState.LOST})),
    "playable, a year ago": RecordingFilter(states=frozenset({RecordingState.READY}), until=YEAR),
    "a day a year ago": RecordingFilter(since=YEAR - timedelta(days=1), until=YEAR),
    "without a call": RecordingFilter(without_call=True),
    "one extension, long, a fault": RecordingFilter(
        parties=frozenset({"100"}), at_least_seconds=3000, fault=HealthFault.OUTSIDE_SILENT
    ),
}
LISTED_AT_ONCE = (
    "one extension of 100 (10 000)",
    "a fault (10 000)",
    "at least 59:24 (10 000)",
    "a tag (10 000)",
)


async def fill(store: RecordsStore, rows: int) -> None:
    """The bulk, past the journal."""
    for change in life(call("+79000000000")):
        await store.journal.record([change])
    for statement in (CALLS, RECORDINGS, TAGS):
        async with store.engine.begin() as connection:
            await connection.execute(text(f"SET LOCAL statement_timeout = '{FILL_SECONDS}s'"))
            await connection.execute(statement, {"rows": rows} if statement is CALLS else {})
    await vacuum(store, "calls", "recordings", "call_tags")


async def asked(store: RecordsStore, wanted: RecordingFilter) -> tuple[float, int]:
    """Median milliseconds for a page through the catalogue, and how many are on it."""
    took, found = [], 0
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = len((await store.recordings.page(wanted)).listed)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), found


async def server_time(store: RecordsStore, query: Select[Any]) -> float:
    """Median milliseconds the server itself needs, planning included."""
    statement = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    explain = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}"
    took = []
    async with store.engine.connect() as connection:
        for _ in range(ROUNDS):
            told = (await connection.exec_driver_sql(explain)).scalar_one()
            took.append(told[0]["Execution Time"] + told[0]["Planning Time"])
    return statistics.median(took)


async def page_time(store: RecordsStore, wanted: RecordingFilter, limit: int) -> float:
    """Everything the server does for one page."""
    if not wanted.parties:
        return await server_time(store, page_query(wanted, limit, None))
    async with store.engine.connect() as connection:
        matches = await connection.scalar(matches_query(wanted.parties)) or 0
    query = page_query(wanted, limit, None, rare_parties=matches < FEW)
    return await server_time(store, matches_query(wanted.parties)) + await server_time(store, query)


async def questions(store: RecordsStore) -> bool:
    """Every page; True when all keep to the target."""
    within = True
    for name, wanted in QUESTIONS.items():
        whole, found = await asked(store, wanted)
        server = await page_time(store, wanted, 51)
        within &= server <= TARGET_MS
        print(f"{name:<32} server {server:7.1f} ms   with Python {whole:7.1f} ms   ({found} on the page)")
    server = await server_time(store, exceptions_query(200))
    within &= server <= TARGET_MS
    print(f"{'exceptions':<32} server {server:7.1f} ms")
    for name in LISTED_AT_ONCE:
        server = await page_time(store, QUESTIONS[name], AT_ONCE)
        print(f"{name:<32} server {server:7.1f} ms   all {AT_ONCE} rows at once, calls joined")
    return within


async def measure(rows: int) -> bool:
    """The whole measurement."""
    async with fresh_store() as store:
        began = time.perf_counter()
        await fill(store, rows)
        print(f"{rows} recordings and calls filled in {time.perf_counter() - began:.0f} s", flush=True)
        within = await questions(store)
        print(f"every page within {TARGET_MS:.0f} ms of server time: {'yes' if within else 'NO'}")
        return within


def main() -> int:
    """Read the size and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="recordings (default a million)")
    return 0 if asyncio.run(measure(parser.parse_args().rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
