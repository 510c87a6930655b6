"""How long every page and answer takes in an old office: `python -m bench pages [--size small|medium|full] [--state DIR]`.

Fills a database (`bench/full_office.py`; at full size 1 000 000 calls and contacts, 100 000 deals, 100 000 missed entries) or
takes the one that lies in DIR, serves the pages on this machine and asks for each some times, signed in as a supervisor, as
an administrator where only they may. A row: the first time, the median, the 95th percentile, how long the answer is, and of
how much the median was over the goal of 100 ms. `--only WORD` asks for addresses with that word.

The time is that of the whole request on whatever else the machine does; `server` and `python` are the processor's time in
PostgreSQL and in this process (which asks, too): on a busy machine they tell more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
import structlog
from sqlalchemy import text

from bench.full_office import CALL, CLIENT, COMPANY, DEAL, PERSON, SHARED, SIZES, fill, made_id
from bench.machine import machine, percentiles
from bench.store import server_cpu_ms
from call_records.postgres.cluster import embedded_postgres
from call_records.store import RecordsStore, open_records
from telephony.staff import PopPreference, Role
from tests.web.fakes import FakeLive
from web.app import create_app
from web.auth.access import Passwords
from web.http.request_limits import Allowance
from web.http.server import serve
from web.settings import WebSettings

TARGET_MS = 100.0
ROUNDS = 9
UNBOUNDED = Allowance(10**6, 10.0**6)  # one address asks for everything here
PASSWORD = "correct horse battery"
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """A page that is asked for, by whom."""

    path: str
    role: Role = Role.SUPERVISOR


async def addresses(store: RecordsStore) -> list[Address]:
    """Every page with the filters that people choose, and the answers of the API."""
    async with store.engine.connect() as connection:
        stage = await connection.scalar(text("SELECT stage_id FROM deals WHERE state = 'open' LIMIT 1"))
        recording = await connection.scalar(text("SELECT id FROM recordings ORDER BY listed_at DESC LIMIT 1"))
        since, until = (
            await connection.execute(
                text("""
            SELECT (min(started_at) + interval '20 days')::date::text, (min(started_at) + interval '40 days')::date::text
            FROM calls""")
            )
        ).one()
    number = quote("+79160001234")
    client, company, big = made_id(CLIENT, 12), made_id(COMPANY, 77), made_id(COMPANY, 1)
    paths = [
        "/live", "/calls", "/calls?direction=internal", "/calls?direction=internal&disposition=missed",
        "/calls?direction=inbound&disposition=missed", "/calls?direction=outbound&disposition=answered",
        "/calls?disposition=missed&party=117", "/calls?party=101", "/calls?party=nobody", "/calls?direction=internal&party=150",
        f"/calls?number={number}", "/calls?number=1234", f"/calls?number={quote(SHARED)}", "/calls?queue=queue0",
        "/calls?queue=queue9&disposition=missed", f"/calls?from={since}&to={until}", f"/calls?from={since}&to={until}&disposition=missed",
        f"/calls/{made_id(CALL, 5)}",
        "/people", "/people?kind=company", "/people?kind=lead&state=open", "/people?kind=any", "/people?order=name",
        "/people?q=ivanov", "/people?q=zaytseva&order=name", "/people?q=quist", "/people?q=quist&order=name", "/people?q=ivan&order=name",
        "/people?q=xyzzy", "/people?q=1234", "/people?tag=vip", "/people?tag=vip&order=name", "/people?tag=vip&q=orlov",
        f"/people?owner={made_id(PERSON, 7)}", f"/people?company={big}", f"/people?company={company}",
        "/people?kind=lead&q=petrov&order=name", f"/people/{client}", f"/people/{company}", f"/people/{big}",
        f"/people/{made_id(CLIENT, 150)}", f"/people/{client}?edit=yes", f"/people/{client}/merge", "/people/new", "/people/import",
        "/search?q=ivanov", "/search?q=zaytseva", "/search?q=1234", f"/search?q={number}", "/search?q=supply", "/search?q=xyzzy",
        "/search/suggestions?q=ivan", "/search/suggestions?q=zay", "/search/suggestions?q=9160001", "/people/find?q=orlov",
        "/deals", "/deals?owner=all", "/deals?owner=all&q=supply", "/deals?owner=all&q=northern", "/deals?owner=all&q=xyzzy",
        "/deals?owner=all&q=ivanov", "/deals?owner=all&q=quist", "/deals?owner=nobody", "/deals?owner=all&view=list",
        *(f"/deals?owner=all&view=list&sort={sort}" for sort in ("title", "client", "stage", "amount", "owner", "task", "made")),
        "/deals?owner=all&view=list&sort=client&down=yes", "/deals?owner=all&view=list&state=any", "/deals?owner=all&view=list&page=40",
        "/deals?owner=all&view=list&q=supply", "/deals?owner=all&view=list&q=northern&state=any", "/deals?owner=all&view=list&q=xyzzy",
        f"/deals/column/{stage}?owner=all&skip=100", f"/deals/{made_id(DEAL, 4)}", "/deals/new",
        "/missed", "/missed?whose=all&period=all", "/missed?whose=own", "/missed?whose=all&period=all&page=40", "/missed?settled=yes",
        "/missed?settled=yes&period=all&whose=all", "/missed/count",
        "/recordings", "/recordings?party=117", "/recordings?direction=outbound", "/recordings?fault=silent", "/recordings/exceptions",
        f"/recordings/{recording}", "/review", "/review/rules", "/review/people", "/review/rules/long_hold/preview",
        "/feedback",
        "/api/v1/calls", "/api/v1/calls?limit=200", "/api/v1/calls?direction=internal&disposition=missed", "/api/v1/recordings",
        f"/api/v1/calls/{made_id(CALL, 5)}", f"/api/v1/calls/{made_id(CALL, 5)}/who", "/settings",
    ]  # fmt: skip
    for_administrators = (
        "/rules",
        "/sources",
        "/accounts",
        "/staff",
        "/audit",
        "/connections",
        "/pipelines",
        "/hours",
    )
    found = [Address(path) for path in paths]
    return [*found, *(Address(path, Role.ADMINISTRATOR) for path in for_administrators)]


@contextlib.asynccontextmanager
async def serving(store: RecordsStore) -> AsyncIterator[str]:
    """The pages on a free port."""
    app = create_app(
        store,
        FakeLive(),
        WebSettings(region="RU", requests_of_address=UNBOUNDED, requests_of_account=UNBOUNDED),
    )
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
    try:
        async with asyncio.timeout(10):
            address = f"http://127.0.0.1:{await port}"
        yield address
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await task


async def sign_in(store: RecordsStore, address: str, role: Role) -> aiohttp.ClientSession:
    """A browser in which somebody with that role is signed in, who is one of our people."""
    login = f"bench-{role.value}"
    if await store.accounts.by_login(login) is None:
        await store.accounts.create(
            login=login, name=login, role=role, password_hash=await Passwords().hash(PASSWORD),
            extensions=(), pop=PopPreference.ON_RING,
        )  # fmt: skip
    http = aiohttp.ClientSession(
        address,
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
    )
    form = {"login": login, "password": PASSWORD}
    async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
        if answer.status != 303:
            raise RuntimeError(f"nobody could sign in: {answer.status}")
    return http


async def ask(http: aiohttp.ClientSession, path: str) -> tuple[float, int, int]:
    """Milliseconds, status and bytes of an answer as it was before it was compressed."""
    began = time.perf_counter()
    async with http.get(path, headers={"Accept-Encoding": "identity"}) as answer:
        body = await answer.read()
        return (time.perf_counter() - began) * 1000, answer.status, len(body)


async def measure(store: RecordsStore, only: str, rounds: int) -> bool:
    """Every page; True when all keep to the goal."""
    within = True
    async with serving(store) as address:
        people = {role: await sign_in(store, address, role) for role in (Role.SUPERVISOR, Role.ADMINISTRATOR)}
        try:
            print(f"{'page':<64} {'first':>7} {'p50':>7} {'p95':>7} ms {'server':>7} {'python':>7} {'kB':>7}")
            for one in await addresses(store):
                if only in one.path:
                    within &= await measure_page(store, people[one.role], one.path, rounds)
        finally:
            for http in people.values():
                await http.close()
    return within


async def measure_page(store: RecordsStore, http: aiohttp.ClientSession, path: str, rounds: int) -> bool:
    """One page, some times; its row is printed."""
    first, status, size = await ask(http, path)
    before, ours = await server_cpu_ms(store), time.process_time()
    took = [(await ask(http, path))[0] for _round in range(rounds)]
    python = (time.process_time() - ours) * 1000 / rounds
    server = (await server_cpu_ms(store) - before) / rounds
    p50, p95 = statistics.median(took), percentiles(took)[95]
    mark = f"   OVER by {p50 - TARGET_MS:.0f} ms" if p50 > TARGET_MS else ""
    mark += f"   status {status}" if status != 200 else ""
    shown = path.replace("00000000-0000-4000-", "…")
    print(
        f"{shown[:64]:<64} {first:7.0f} {p50:7.0f} {p95:7.0f}    {server:7.0f} {python:7.0f} {size / 1000:7.0f}{mark}",
        flush=True,
    )
    return p50 <= TARGET_MS


@contextlib.asynccontextmanager
async def opened(state: Path | None) -> AsyncIterator[RecordsStore]:
    """The store in that directory, kept; or one that is thrown away."""
    with contextlib.ExitStack() as stack:
        directory = state or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="switchhook-bench-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        async with embedded_postgres(directory) as url, open_records(url) as store:
            yield store


async def run(size: str, state: Path | None, only: str, rounds: int) -> bool:
    """The whole measurement."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(machine())
    async with opened(state) as store:
        await fill(store, SIZES[size])
        return await measure(store, only, rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read what is wanted and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--state", type=Path, help="keep the database here, and take it from here")
    parser.add_argument("--only", default="", help="only addresses with this in them")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    told = parser.parse_args(arguments)
    return 0 if asyncio.run(run(told.size, told.state, told.only, told.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
