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
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from multiprocessing.synchronize import Event as ProcessEvent
from pathlib import Path

from playwright.async_api import async_playwright

from ami_bridge.stream import Observed, StreamItem
from bench.machine import machine, percentiles
from call_records.postgres import embedded_postgres
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import find_asterisk
from switchhook.lab.call_progress import CallState
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import Carrier, Phone
from switchhook.lab.staff import STAFF
from telephony.staff import Role
from tests.browser_fixtures import FLAGS, find_chromium
from tests.e2e.line import Line, card_times, straight_line

CALLS = 300  # enough for a 99th percentile of three calls
AT_ONCE = 3  # calls in parallel: an office of ten at its busiest
RING_SECONDS = 0.15  # a card must be there before the caller gives up
TARGET_P95_MS, TARGET_P99_MS = 150.0, 300.0
CLIENTS = (0, 100)
CONNECT_SECONDS = 30.0
CLIENT_LINE_BYTES = 2**20  # a snapshot is one line


class DialClock:
    """Notes the Timestamp of the event that rings each outside caller's phone; tapped where the observer delivers."""

    def __init__(self, line: Line) -> None:
        self.began: dict[str, float] = {}
        """By the caller's number: Unix seconds by Asterisk's clock."""
        (observer,) = line.service.observers.values()
        self._deliver = observer.deliver
        observer.deliver = self._note  # type: ignore[method-assign]  # a tap, no part of the product

    def _note(self, item: StreamItem) -> None:
        if isinstance(item, Observed) and item.message.kind == "DialBegin":
            caller = item.message.get("CallerIDNum")
            self.began.setdefault(caller, float(item.message.get("Timestamp")))
        self._deliver(item)


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
async def clients(line: Line, cookie: str, count: int) -> AsyncIterator[None]:
    """So many live streams elsewhere, for as long as the block lasts."""
    if not count:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=listen, args=(line.address, cookie, count, ready, stop), daemon=True)
    process.start()
    try:
        if not await asyncio.to_thread(ready.wait, CONNECT_SECONDS):
            raise TimeoutError(f"{count} live streams were not open within {CONNECT_SECONDS:g} s")
        yield
    finally:
        stop.set()
        await asyncio.to_thread(process.join, 10)
        process.kill()


async def place_calls(carrier: Carrier, first: int, count: int) -> list[str]:
    """So many calls, some at once, each ringing shortly; the callers' numbers."""
    room = asyncio.Semaphore(AT_ONCE)
    numbers = [f"+7916{first + place:07}" for place in range(count)]

    async def one(number: str) -> None:
        async with room:
            call: Call = await carrier.dial("74951000001", caller=number)
            await call.ringing()
            await asyncio.sleep(RING_SECONDS)
            await call.hang_up()
            if call.state is not CallState.ENDED:
                await call.ended()

    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            tasks.create_task(one(number))
    return numbers


async def measure(count: int, sizes: tuple[int, ...]) -> bool:
    """Measure with each number of clients and print; whether every target was met."""
    asterisk_install = await asyncio.to_thread(find_asterisk)
    state = Path(tempfile.mkdtemp(prefix="switchhook-bench-"))
    state.chmod(0o755)
    met = True
    try:
        async with AsyncExitStack() as room:
            url = await room.enter_async_context(embedded_postgres(state / "postgres"))
            asterisk = await room.enter_async_context(PrivateAsterisk(asterisk_install))
            line = await room.enter_async_context(straight_line(asterisk, url, state))
            await line.account("anna", "101")
            await line.account("watcher", role=Role.SUPERVISOR)
            carrier = await room.enter_async_context(Carrier(asterisk))
            await room.enter_async_context(Phone.handset("101", asterisk))
            tool = await room.enter_async_context(async_playwright())
            browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
            clock = DialClock(line)
            page = await line.enter(browser, "anna")
            watcher = await line.enter(browser, "watcher")
            cookie = "; ".join(f"{c['name']}={c['value']}" for c in await watcher.context.cookies())
            await watcher.close()
            print(f"Asterisk {asterisk_install.version}, Chromium {browser.version}, {len(STAFF)} people, {AT_ONCE} calls at once")
            for place, size in enumerate(sizes):
                async with clients(line, cookie, size):
                    met &= await round_of(line, clock, page, carrier, place * 1_000_000 + 5550000, count, size)
            await line.leave()
            await browser.close()
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return met


async def round_of(
    line: Line, clock: DialClock, page: object, carrier: Carrier, first: int, count: int, size: int
) -> bool:
    """One round: place the calls, match clocks, print."""
    seen: dict[str, str] = {}
    async with line.service.board.changes() as changes:

        async def watch() -> None:
            async for change in changes:
                caller = getattr(change, "caller", None)
                if caller is not None and caller.number:
                    seen[caller.number] = str(change.id)  # type: ignore[union-attr]

        watching = asyncio.create_task(watch())
        numbers = await place_calls(carrier, first, count)
        await asyncio.sleep(1.0)  # the last card's own time
        watching.cancel()
    opened = await card_times(page, "opened")  # type: ignore[arg-type]
    took, missing = [], 0
    for number in numbers:
        at = opened.get(seen.get(number, ""))
        if at is None or number not in clock.began:
            missing += 1
        else:
            took.append((at - clock.began[number]) * 1000)
    told = percentiles(took)
    met = told[95] <= TARGET_P95_MS and told[99] <= TARGET_P99_MS and not missing
    print(
        f"ring to card, {size:>3} further clients: {len(took)} calls, p50 {told[50]:.0f} ms, p95 {told[95]:.0f} ms "
        f"(target {TARGET_P95_MS:.0f}), p99 {told[99]:.0f} ms (target {TARGET_P99_MS:.0f}), max {told[100]:.0f} ms, "
        f"cards missing: {missing}"
    )
    return met


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench latency", description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--clients", default=",".join(map(str, CLIENTS)), help="numbers of live streams, by comma")
    asked = parser.parse_args(arguments)
    print(machine())
    return 0 if asyncio.run(measure(asked.calls, tuple(map(int, asked.clients.split(","))))) else 1


if __name__ == "__main__":
    raise SystemExit(main())
