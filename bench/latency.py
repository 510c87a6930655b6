"""From a ringing phone to the card on the screen: `python -m bench latency [--calls 300] [--clients 0,100]`.

Real SIP calls through a private Asterisk, a real PostgreSQL, a real Chromium. A call's clock starts with the Timestamp
that Asterisk wrote into the event that opens the card (DialBegin for the phone) and stops when the card's element is in
the page's DOM, noted there by a MutationObserver; both read the same machine's clock. The clients are further live
streams in another process. One line per number of clients, and the machine it was measured on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count as counted
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path

import aiohttp
from playwright.async_api import Browser, Page, async_playwright

from ami_bridge.observer import Observer
from ami_bridge.stream import Observed
from ami_bridge.wire.connection import PbxLink
from bench.machine import machine, percentiles
from bench.service import switchhook
from call_records.postgres.cluster import embedded_postgres
from call_records.store import open_records
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import find_asterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.phones import Carrier, Phone
from telephony.staff import PopPreference, Role
from tests.browser_fixtures import FLAGS, find_chromium
from web.auth.access import Passwords

CALLS = 300  # enough for a 99th percentile of three calls
CALLS_PER_SECOND = 4.0  # 14 400 an hour: more than 500 extensions make
RING_SECONDS = 0.6  # two or three calls ring at any time; a card must be there before the caller gives up
TARGET_P95_MS, TARGET_P99_MS = 150.0, 300.0
CLIENTS = (0, 100)
CONNECT_SECONDS = 30.0
LAST_CARD_SECONDS = 1.0
WARM_UP = 10  # calls that are not counted: the first fill caches of every process
PASSWORD = "a password for measuring"
NUMBERS = counted(5_550_000)
CLIENT_LINE_BYTES = 2**20  # a snapshot is one line

CARD_CLOCK = """() => {
  window.cardsOpened = [];
  new MutationObserver((changes) => {
    const at = Date.now();
    for (const change of changes) for (const node of change.addedNodes)
      if (node.dataset?.call) window.cardsOpened.push([node.querySelector("[data-slot=number]").textContent, at]);
  }).observe(document.getElementById("cards"), { childList: true });
}"""


class DialClock:
    """Notes the Timestamp of the event that rings the phone, by the caller's number; a second, silent AMI listener."""

    def __init__(self, asterisk: PrivateAsterisk) -> None:
        self.began: dict[str, float] = {}
        """Unix seconds by Asterisk's clock."""
        link = PbxLink(
            "bench", "127.0.0.1", asterisk.ports.ami, asterisk.capture_user, asterisk.capture_secret
        )
        self._observer = Observer(link, wanted=frozenset({b"DialBegin"}))

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._observer.run())
            async for item in self._observer.items():
                if isinstance(item, Observed) and item.message.kind == "DialBegin":
                    number = last_digits(item.message.get("CallerIDNum"))
                    self.began.setdefault(number, float(item.message.get("Timestamp")))


def last_digits(number: str) -> str:
    """What every spelling of one number has in common."""
    return re.sub(r"\D", "", number)[-10:]


def listen(address: str, cookie: str, count: int, ready: ProcessEvent, stop: ProcessEvent) -> None:
    """A process with so many live streams, all read as fast as they come."""
    asyncio.run(_listen(address, cookie, count, ready, stop))


async def _listen(address: str, cookie: str, count: int, ready: ProcessEvent, stop: ProcessEvent) -> None:
    host, _, port = address.removeprefix("http://").partition(":")
    begun = asyncio.Semaphore(0)

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, int(port), limit=CLIENT_LINE_BYTES)
        request = f"GET /api/v1/live?view=page HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n\r\n"
        writer.write(request.encode())
        await reader.readuntil(b"event: snapshot")
        begun.release()
        while await reader.read(65536):
            pass

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    async with asyncio.timeout(CONNECT_SECONDS):
        for _ in range(count):
            await begun.acquire()
    ready.set()
    await asyncio.to_thread(stop.wait)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def clients(address: str, cookie: str, count: int) -> AsyncIterator[None]:
    """So many live streams elsewhere, for as long as the block lasts."""
    if not count:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=listen, args=(address, cookie, count, ready, stop), daemon=True)
    process.start()
    try:
        if not await asyncio.to_thread(ready.wait, CONNECT_SECONDS):
            raise TimeoutError(f"{count} live streams were not open within {CONNECT_SECONDS:g} s")
        yield
    finally:
        stop.set()
        await asyncio.to_thread(process.join, 10)
        process.kill()


async def place_calls(carrier: Carrier, count: int) -> list[str]:
    """So many calls, several at once, each ringing shortly; the callers' numbers, never the same twice."""
    numbers = [f"+7916{next(NUMBERS):07}" for _ in range(count)]

    async def one(number: str) -> None:
        call = await carrier.dial("74951000001", caller=number)
        await call.ringing()
        await asyncio.sleep(RING_SECONDS)
        await call.hang_up()
        if call.state is not CallState.ENDED:
            await call.ended()

    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(one(number))
            await asyncio.sleep(1 / CALLS_PER_SECOND)
    return numbers


async def measure(count: int, sizes: tuple[int, ...]) -> bool:
    """Measure with each number of clients and print; whether every target was met."""
    install = await asyncio.to_thread(find_asterisk)
    state = Path(tempfile.mkdtemp(prefix="switchhook-bench-"))
    os.chmod(state, 0o755)
    met = True
    try:
        async with AsyncExitStack() as room:
            async with embedded_postgres(state / "postgres") as url, open_records(url) as store:
                hashed = await Passwords().hash(PASSWORD)
                for login, role, phones in (
                    ("anna", Role.MANAGER, ("101",)),
                    ("watcher", Role.SUPERVISOR, ()),
                ):
                    await store.accounts.create(
                        login=login,
                        name=login,
                        role=role,
                        password_hash=hashed,
                        extensions=phones,
                        pop=PopPreference.ON_RING,
                    )
            asterisk = await room.enter_async_context(PrivateAsterisk(install))
            running = await room.enter_async_context(switchhook(asterisk, state))
            clock = DialClock(asterisk)
            listening = asyncio.create_task(clock.run())
            carrier = await room.enter_async_context(Carrier(asterisk))
            phone = await room.enter_async_context(Phone.handset("101", asterisk))
            looking = asyncio.create_task(look_at_calls(phone))
            tool = await room.enter_async_context(async_playwright())
            browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            page = await enter(browser, running.address, "anna")
            cookie = await cookie_of(running.address, "watcher")
            print(
                f"Asterisk {install.version}, Chromium {browser.version}, {CALLS_PER_SECOND:g} calls a second"
            )
            await round_of(clock, page, carrier, WARM_UP)
            for size in sizes:
                async with clients(running.address, cookie, size):
                    took = await round_of(clock, page, carrier, count)
                met &= tell(took, count, size)
            listening.cancel()
            looking.cancel()
            await browser.close()
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return met


async def look_at_calls(phone: Phone) -> None:
    """A phone keeps the calls that nobody has looked at, and only so many."""
    while True:
        await phone.incoming(timeout=3600)


async def enter(browser: Browser, address: str, login: str) -> Page:
    """That person's page, connected, with the clock in it."""
    page = await browser.new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    await page.evaluate(CARD_CLOCK)
    return page


async def cookie_of(address: str, login: str) -> str:
    """A session's cookie for clients that are no browsers."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(address, cookie_jar=jar) as http:
        form = {"login": login, "password": PASSWORD}
        async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
            answer.raise_for_status()
        return "; ".join(f"{cookie.key}={cookie.value}" for cookie in jar)


async def round_of(clock: DialClock, page: Page, carrier: Carrier, count: int) -> list[float]:
    """Place the calls; milliseconds from ring to card of each whose card opened."""
    await page.evaluate("window.cardsOpened.length = 0")
    clock.began.clear()
    numbers = await place_calls(carrier, count)
    await asyncio.sleep(LAST_CARD_SECONDS)
    opened: dict[str, float] = {}
    for number, at in await page.evaluate("window.cardsOpened"):
        opened.setdefault(last_digits(number), at)
    return [
        opened[number] - clock.began[number] * 1000
        for number in map(last_digits, numbers)
        if number in opened and number in clock.began
    ]


def tell(took: list[float], count: int, size: int) -> bool:
    """Print one line; whether the targets were met and no card was missing."""
    told = percentiles(took)
    print(
        f"ring to card, {size:>3} further clients: {len(took)} calls, p50 {told[50]:.0f} ms, "
        f"p95 {told[95]:.0f} ms (target {TARGET_P95_MS:.0f}), p99 {told[99]:.0f} ms (target {TARGET_P99_MS:.0f}), "
        f"max {told[100]:.0f} ms, cards missing: {count - len(took)}",
        flush=True,
    )
    return told[95] <= TARGET_P95_MS and told[99] <= TARGET_P99_MS and len(took) == count


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when a target was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench latency", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument(
        "--clients", default=",".join(map(str, CLIENTS)), help="numbers of live streams, by comma"
    )
    asked = parser.parse_args(arguments)
    print(machine())
    return 0 if asyncio.run(measure(asked.calls, tuple(map(int, asked.clients.split(","))))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
