"""How fast contacts are imported: `python -m bench importing [--rows N]`.

Starts its own PostgreSQL with full durability and imports a table of N new contacts (name, number, e-mail, company) as the
service does: in a process of its own, in pieces. Told beside it: how long the process that reads the PBX was held up
meanwhile, as the longest gap of a timer that is due every 5 ms. Goals: 3 000 rows a second, no gap above 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import suppress

from bench.store import fresh_store
from call_records.crm.imports.jobs import State
from call_records.store import RecordsStore

TARGET_ROWS_A_SECOND = 3_000
TARGET_GAP_MS = 50.0
TICK_SECONDS = 0.005
TRIES = 10_000  # of asking how far it is, as the page asks


def table(rows: int) -> bytes:
    """A file of so many people, each with a number of their own."""
    lines = (f"Name{n} Surname{n};+7916{n:07};p{n}@example.com;Firm {n % 997}" for n in range(rows))
    return "\n".join(("Name;Phone;E-mail;Company", *lines)).encode()


async def longest_gap() -> float:
    """Until cancelled; the gap is kept in the task's own attribute."""
    longest, before = 0.0, time.perf_counter()
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            longest, before = max(longest, now - before - TICK_SECONDS), now
    return longest * 1_000


async def measure(store: RecordsStore, rows: int) -> int:
    """One file, from the upload to the end."""
    desk = store.imports
    watching = asyncio.create_task(longest_gap())
    began = time.perf_counter()
    import_id = await desk.take("bench.csv", table(rows), by=None)
    found = await desk.one(import_id)
    if found is None:
        return 1
    await desk.choose(import_id, columns=found.mapped.columns, kind=found.mapped.kind)
    took = {"read": time.perf_counter() - began}
    for name, state in (("tried out", State.CHECKED), ("imported", State.DONE)):
        began = time.perf_counter()
        if state is State.DONE:
            await desk.begin(import_id)
        desk.go(import_id)
        for _asked in range(TRIES):
            found = await desk.one(import_id)
            if found is not None and found.state is state:
                break
            await asyncio.sleep(0.05)
        took[name] = time.perf_counter() - began
    watching.cancel()
    gap = await watching
    rate = rows / took["imported"]
    print("  ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    print(
        f"{rate:.0f} rows/s (goal {TARGET_ROWS_A_SECOND}), longest gap {gap:.0f} ms (goal {TARGET_GAP_MS:.0f})"
    )
    return int(rate < TARGET_ROWS_A_SECOND or gap > TARGET_GAP_MS)


async def main(rows: int) -> int:
    """A database of its own, thrown away afterwards."""
    async with fresh_store() as store:
        return await measure(store, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=30_000)
    sys.exit(asyncio.run(main(parser.parse_args().rows)))
