"""The whole straight line for tests and measurements: a real Asterisk's AMI to real browsers, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from argon2 import PasswordHasher
from playwright.async_api import Browser, BrowserContext, Page
from pydantic import SecretStr

from switchhook.assembly import Service, serve_until
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.staff import STAFF
from switchhook.settings.settings import Settings
from switchhook.settings.tables import DatabaseSettings, HandsetSettings, PbxSettings
from switchhook.settings.tables import WebSettings as WebSection
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.staff import PopPreference, Role
from web.auth.access import Passwords
from web.settings import WebSettings

PASSWORD = "a password for tests"
START_SECONDS = 20.0  # measured 0.5 s; a loaded machine may need far longer
STOP_SECONDS = 10.0
SOON = (
    30.0  # s until something that takes milliseconds counts as not happening; a full machine may need seconds
)
LOOK_AGAIN = 0.02  # s

# Asked of the page itself, so that no message between test and browser counts: when did this happen, by the clock?
CARD_CLOCK = """() => {
  const panel = document.getElementById("cards");
  window.cardTimes = [];
  new MutationObserver((changes) => {
    const at = Date.now();
    for (const change of changes) {
      for (const [what, nodes] of [["opened", change.addedNodes], ["closed", change.removedNodes]]) {
        for (const node of nodes) if (node.dataset?.call) window.cardTimes.push([what, node.dataset.call, at]);
      }
    }
  }).observe(panel, { childList: true });
}"""


@dataclass
class Line:
    """A running Switchhook at one Asterisk, and people at browsers."""

    service: Service
    address: str
    _rooms: list[BrowserContext] = field(default_factory=list)

    async def account(
        self,
        login: str,
        *extensions: str,
        role: Role = Role.MANAGER,
        pop: PopPreference = PopPreference.ON_RING,
    ) -> None:
        """Somebody who may sign in."""
        # The cheapest hash that verifies: the cost of a good one is what `web` measures, not these tests.
        hashed = await Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)).hash(PASSWORD)
        name = STAFF.get(extensions[0], login) if extensions else login.title()
        await self.service.store.accounts.create(
            login=login, name=name, role=role, password_hash=hashed, extensions=extensions, pop=pop
        )

    async def enter(
        self, browser: Browser, login: str, *, address: str | None = None, path: str = "/live", **context: Any
    ) -> Page:
        """A browser profile of its own, signed in, connected, on that page."""
        room = await browser.new_context(**context)
        self._rooms.append(room)
        page = await room.new_page()
        await page.goto(f"{address or self.address}/sign-in?next={path}")
        await page.fill("[name=login]", login)
        await page.fill("[name=password]", PASSWORD)
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]")
        await page.evaluate(CARD_CLOCK)
        return page

    async def leave(self) -> None:
        """Close every browser profile."""
        for room in self._rooms:
            await room.close()

    @contextlib.asynccontextmanager
    async def program(self, login: str) -> AsyncIterator[Api]:
        """A program with a cookie of that person, at the API."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.address, cookie_jar=jar) as http:
            form = {"login": login, "password": PASSWORD}
            async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
                assert answer.status == 303
            yield Api(http)


@dataclass
class Api:
    """The calls, as a program reads them."""

    http: aiohttp.ClientSession

    async def calls(self, **asked: str) -> list[CallFacts]:
        """Call facts, newest first."""
        async with self.http.get("/api/v1/calls", params={"limit": "200", **asked}) as answer:
            assert answer.status == 200
            return [facts_from_json(told) for told in (await answer.json())["calls"]]

    async def ended(self, count: int = 1, **asked: str) -> list[CallFacts]:
        """So many calls, all over, oldest first; waits until they are."""

        async def enough() -> list[CallFacts] | None:
            told = await self.calls(**asked)
            return told if len(told) >= count and all(facts.ended for facts in told) else None

        return (await until(enough, f"{count} ended calls {asked or ''}"))[::-1]


async def until(wanted: Callable[[], Any], what: str, seconds: float = SOON) -> Any:
    """The first true answer of an async question, asked again and again. Fails naming `what`."""
    try:
        async with asyncio.timeout(seconds):
            while not (answer := await wanted()):
                await asyncio.sleep(LOOK_AGAIN)
            return answer
    except TimeoutError:
        raise AssertionError(f"within {seconds:g} s there was no {what}") from None


async def card_times(page: Page, event: str) -> Mapping[str, float]:
    """When cards opened or closed in this page's DOM: call id to Unix seconds."""
    told = await page.evaluate("window.cardTimes")
    return {call: at / 1000 for kind, call, at in told if kind == event}


@contextlib.asynccontextmanager
async def straight_line(
    asterisk: PrivateAsterisk,
    database_url: str,
    directory: Path,
    *,
    port: int = 0,
    handsets: HandsetSettings | None = None,
) -> AsyncIterator[Line]:
    """Switchhook with everything real, linked to the PBX, until the block is left."""
    settings = Settings(
        pbx=(
            PbxSettings(
                id="lab",
                port=asterisk.ports.ami,
                username=asterisk.ami_user,
                secret=SecretStr(asterisk.ami_secret),
                recordings_dir=asterisk.recordings,
            ),
        ),
        database=DatabaseSettings(url=SecretStr(database_url), state_dir=directory),
        web=WebSection(port=port),
        handsets=handsets or HandsetSettings(),
    )
    stop = asyncio.Event()
    ready: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    pages = WebSettings(region="RU", debug=True)
    serving = asyncio.create_task(
        serve_until(stop, settings, opened=_people, started=ready.set_result, web_settings=pages),
        name="service",
    )
    try:
        watched: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(watched, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        service = ready.result()
        line = Line(service, f"http://127.0.0.1:{service.web_port}")

        async def linked() -> bool:
            links = service.board.links()
            return bool(links) and all(link.connected for link in links)

        await until(linked, "link to the PBX", START_SECONDS)
        yield line
        await line.leave()
    finally:
        stop.set()
        async with asyncio.timeout(STOP_SECONDS):
            await serving


async def _people(service: Service) -> None:
    for extension, name in STAFF.items():
        await service.store.staff.put_person(name=name, extensions=[extension])


class Cable:
    """A TCP relay in front of the service, that can be pulled out and put back."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._plugged = True
        self.port = 0

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self.pull()
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pull(self) -> None:
        """Every connection breaks, and new ones do too."""
        self._plugged = False
        for writer in tuple(self._open):
            writer.transport.abort()

    def put_back(self) -> None:
        """Connections work again."""
        self._plugged = True

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        if not self._plugged:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_relay(reader, far_writer), _relay(far_reader, writer))
        for end in (writer, far_writer):
            self._open.discard(end)
            end.transport.abort()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
