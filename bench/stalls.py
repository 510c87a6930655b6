"""What holds up the process that reads the PBX: `python -m bench stalls [--size small|medium|full] [--state DIR]`.

Pages, exports, an import, searches with long texts and reports are asked for one after another, in a service with an office
of some years (`bench/full_office.py`), while a timer is due every 5 ms in the same event loop. A row for each: the longest
time between two ticks that our own thread was computing (a busy machine does not change it), and by the clock. The goal:
nothing of ours holds the loop for more than 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import structlog

from bench.full_office import COMPANY, SIZES, fill, made_id
from bench.importing import table
from bench.machine import machine
from bench.pages import opened, serving, sign_in
from call_records.crm.imports.jobs import State
from call_records.store import RecordsStore
from switchhook.process.memory import exempt_startup_objects
from telephony.staff import Role

TARGET_MS = 50.0
TICK_SECONDS = 0.005
LONG = 20_000  # characters of hostile text
IMPORTED = 5_000  # rows
TRIES = 4_000  # of asking how far the import is
EXPORT_BYTES = 5_000_000  # of an export that are read; the rest is like it

Doing = Callable[[RecordsStore, aiohttp.ClientSession], Awaitable[None]]


@dataclass(slots=True)
class Ticks:
    """The longest time between two ticks, in milliseconds."""

    computing: float = 0.0
    by_the_clock: float = 0.0


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[Ticks]:
    """Watch the loop meanwhile."""
    ticks = Ticks()
    task = asyncio.create_task(_tick(ticks))
    await asyncio.sleep(0)
    try:
        yield ticks
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _tick(ticks: Ticks) -> None:
    computed, before = time.thread_time(), time.perf_counter()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now_computed, now = time.thread_time(), time.perf_counter()
        ticks.computing = max(ticks.computing, (now_computed - computed) * 1000)
        ticks.by_the_clock = max(ticks.by_the_clock, (now - before - TICK_SECONDS) * 1000)
        computed, before = now_computed, now


def getting(path: str, most: int = EXPORT_BYTES) -> Doing:
    """Ask for a page, or for the beginning of an export."""

    async def get(_store: RecordsStore, http: aiohttp.ClientSession) -> None:
        left = most
        async with http.get(path) as answer:
            async for piece, _end in answer.content.iter_chunks():
                left -= len(piece)
                if left < 0:
                    return

    return get


async def importing(store: RecordsStore, _http: aiohttp.ClientSession) -> None:
    """A file from the upload to the end."""
    import_id = await store.imports.take("stalls.csv", table(IMPORTED), by=None)
    found = await store.imports.one(import_id)
    if found is None:
        raise RuntimeError("the import is gone")
    await store.imports.choose(import_id, columns=found.mapped.columns, kind=found.mapped.kind)
    for state in (State.CHECKED, State.DONE):
        if state is State.DONE:
            await store.imports.begin(import_id)
        store.imports.go(import_id)
        for _try in range(TRIES):
            found = await store.imports.one(import_id)
            if found is not None and found.state is state:
                break
            await asyncio.sleep(0.05)


DOINGS: dict[str, Doing] = {
    "calls": getting("/calls"),
    "missed calls, all": getting("/missed?whose=all&period=all"),
    "the board, all deals": getting("/deals?owner=all"),
    "a company with thousands": getting(f"/people/{made_id(COMPANY, 1)}"),
    "people, 20 kB typed": getting(f"/people?q={quote('ab 1' * (LONG // 16))}"),
    "search, 20 kB typed": getting(f"/search?q={quote('8(' * (LONG // 8))}"),
    "calls, 20 kB typed": getting(f"/calls?number={quote('+7 916 ' * (LONG // 30))}"),
    "contacts as CSV": getting("/people/export/contacts.csv"),
    "contacts as a workbook": getting("/people/export/contacts.xlsx", 500_000),
    "calls as CSV": getting("/people/export/calls.csv"),
    "deals as a workbook": getting("/people/export/deals.xlsx", 500_000),
    "reviews": getting("/review/people"),
    "a rule's preview": getting("/review/rules/long_hold/preview"),
    "an import": importing,
}
"""What is done, in words → how."""


async def measure(store: RecordsStore) -> bool:
    """Each of them; True when nothing held the loop too long."""
    within = True
    async with serving(store) as address, await sign_in(store, address, Role.ADMINISTRATOR) as http:
        exempt_startup_objects()  # as the service does when it has started
        print(f"{'what':<28} {'computing':>10} {'by the clock':>13} ms")
        for what, doing in DOINGS.items():
            async with ticking() as ticks:
                await doing(store, http)
            over = ticks.computing > TARGET_MS
            within &= not over
            mark = "   OVER" if over else ""
            print(f"{what:<28} {ticks.computing:10.0f} {ticks.by_the_clock:13.0f}{mark}", flush=True)
    return within


async def run(size: str, state: Path | None) -> bool:
    """The whole measurement."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(machine())
    async with opened(state) as store:
        await fill(store, SIZES[size])
        return await measure(store)


def main() -> int:
    """Read what is wanted and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--state", type=Path, help="keep the database here, and take it from here")
    told = parser.parse_args()
    return 0 if asyncio.run(run(told.size, told.state)) else 1


if __name__ == "__main__":
    sys.exit(main())
