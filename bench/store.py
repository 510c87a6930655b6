"""A durable database for one measurement, filled and thrown away; and how long its pages take."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from sqlalchemy import text

from bench.machine import machine
from call_records.postgres.cluster import embedded_postgres
from call_records.store import RecordsStore, open_records

FILL_SECONDS = 1500  # a statement that fills may take minutes; the service's own bound is 10 s
ROUNDS = 9  # enough for a median that a hiccup does not move


@asynccontextmanager
async def fresh_store() -> AsyncIterator[RecordsStore]:
    """The opened store of a new PostgreSQL, gone afterwards. Says first what it runs on."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-bench-"))
    try:
        async with embedded_postgres(directory) as url, open_records(url) as store:
            async with store.engine.connect() as connection:
                version = await connection.scalar(text("SHOW server_version"))
            print(f"{machine()}; PostgreSQL {version}")
            yield store
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def vacuum(store: RecordsStore, *tables: str) -> None:
    """As the database does it by itself, some minutes later."""
    async with store.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"SET statement_timeout = '{FILL_SECONDS}s'"))
        for table in tables:
            await connection.execute(text(f"VACUUM ANALYZE {table}"))
        await connection.execute(text("RESET statement_timeout"))


async def median_ms(asking: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> float:
    """The median of some rounds, after one to warm up."""
    await asking()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await asking()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def server_cpu_ms(store: RecordsStore) -> float:
    """What our connections have cost the server so far, in milliseconds of a core: a busy machine does not change it."""
    async with store.engine.connect() as connection:
        pids = await connection.scalars(
            text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        )
        times = [psutil.Process(pid).cpu_times() for pid in pids]
    return 1000 * float(sum(each.user + each.system for each in times))
