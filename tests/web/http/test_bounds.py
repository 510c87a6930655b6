"""Strangers and scripts that take too much: connections, slow requests, live streams, requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest

from telephony.staff import Role
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from web.app import create_app
from web.http import connections
from web.http.connections import ConnectionLimits
from web.http.proxies import ProxyTrust
from web.http.request_limits import Allowance, Buckets, address_key
from web.http.server import serve
from web.live import STREAMS_OF_ACCOUNT
from web.settings import WebSettings

NOBODY_IS_A_PROXY = ProxyTrust(("192.0.2.1/32",))
SECONDS = 20.0  # a bound for a loaded machine


@dataclass(frozen=True)
class Place:
    """A running application."""

    host: str
    port: int
    records: FakeRecords

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextlib.asynccontextmanager
async def serving(
    limits: ConnectionLimits, trust: ProxyTrust | None = None, settings: WebSettings = SETTINGS
) -> AsyncIterator[Place]:
    records = FakeRecords()
    await records.add("manager", Role.MANAGER, "101")
    app = create_app(records, FakeLive(), settings, passwords=cheap_passwords())
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(app, "127.0.0.1", 0, stop, bound=port.set_result, limits=limits, trust=trust)
    )
    try:
        async with asyncio.timeout(SECONDS):
            place = Place("127.0.0.1", await port, records)
        yield place
    finally:
        stop.set()
        async with asyncio.timeout(SECONDS):
            await task


@contextlib.asynccontextmanager
async def idle(place: Place, how_many: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Connections that send nothing."""
    pairs = [await asyncio.open_connection(place.host, place.port) for _ in range(how_many)]
    try:
        yield [reader for reader, _ in pairs]
    finally:
        for _, writer in pairs:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def closed(readers: list[asyncio.StreamReader], at_least: int) -> None:
    """So many were closed by the server."""
    ends = [asyncio.create_task(_end(reader)) for reader in readers]
    try:
        async with asyncio.timeout(SECONDS):
            for done in asyncio.as_completed(ends):
                await done
                at_least -= 1
                if at_least == 0:
                    return
    finally:
        for end in ends:
            end.cancel()


async def _end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        assert await reader.read(1) == b""


@pytest.fixture
def fast_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Overdue connections are looked for often."""
    monkeypatch.setattr(connections, "SWEEP_SECONDS", 0.05)


async def test_idle_connections_make_room_for_people() -> None:
    """Forty connections that send nothing, room for ten: who asks is answered, and thirty are closed."""
    async with serving(ConnectionLimits(most=10)) as place, idle(place, 40) as readers:
        await closed(readers, 30)
        async with aiohttp.ClientSession(place.address) as http, http.get("/healthz") as answer:
            assert answer.status == 200


async def test_who_is_being_answered_keeps_the_connection() -> None:
    """A live stream goes on while somebody opens more connections than there is room for."""
    async with (
        serving(ConnectionLimits(most=10)) as place,
        aiohttp.ClientSession(place.address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        await Person(http).sign_in("manager")
        async with http.get("/api/v1/live") as stream:
            await stream.content.readuntil(b"snapshot")
            async with idle(place, 40) as readers:
                await closed(readers, 30)
                async with asyncio.timeout(SECONDS):
                    await stream.content.readuntil(b"event: beat")


async def test_one_address_has_its_own_bound() -> None:
    """A stranger's connections make room for the stranger's, and never take all there are."""
    limits = ConnectionLimits(most=100, most_per_address=5)
    async with serving(limits, NOBODY_IS_A_PROXY) as place, idle(place, 12) as readers:
        await closed(readers, 7)
    async with (  # a proxy speaks for everybody
        serving(limits, ProxyTrust()) as place,
        idle(place, 12),
        aiohttp.ClientSession(place.address) as http,
        http.get("/healthz") as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTTP/1.1\r\nX-Half: ",
        b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nlogin=",
    ],
    ids=["nothing", "half a header", "half a second header", "a body that never comes"],
)
@pytest.mark.usefixtures("fast_sweeps")
async def test_what_never_comes_is_not_waited_for(sent: bytes) -> None:
    """The server closes the connection by itself."""
    limits = ConnectionLimits(header_seconds=0.2, body_silence_seconds=0.2)
    async with serving(limits) as place:
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(sent)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(SECONDS):
                await reader.read()
        writer.close()


@pytest.mark.usefixtures("fast_sweeps")
async def test_a_body_that_drips_is_not_waited_for() -> None:
    """A byte now and then keeps no connection."""
    limits = ConnectionLimits(body_silence_seconds=0.3, body_bytes_per_second=1_000)
    async with serving(limits) as place:
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\n")
        end = asyncio.create_task(reader.read())
        async with asyncio.timeout(SECONDS):
            while not end.done():
                writer.write(b"x")
                await asyncio.sleep(0.02)  # the dripping itself; the verdict is the end of the connection
        with contextlib.suppress(ConnectionError):
            await end
        writer.close()


@pytest.mark.slow
async def test_an_account_follows_the_calls_in_twenty_places(office: Office) -> None:
    """The twenty-first stream is refused with a sentence; another account still gets one."""
    async with contextlib.AsyncExitStack() as stack, office.browser() as http, office.browser() as other:
        await Person(http).sign_in("manager")
        await Person(other).sign_in("supervisor")
        for _ in range(STREAMS_OF_ACCOUNT):
            stream = await stack.enter_async_context(http.get("/api/v1/live"))
            await stream.content.readuntil(b"snapshot")
        async with http.get("/api/v1/live") as answer:
            assert answer.status == 429
            assert "too many places" in (await answer.json())["detail"]
        async with other.get("/api/v1/live") as answer:
            assert answer.status == 200


async def test_an_account_is_bounded_and_others_are_not() -> None:
    """A script that asks without end is told to wait; a colleague works on."""
    settings = replace(SETTINGS, requests_of_account=Allowance(10, 0.0))
    async with serving(ConnectionLimits(), settings=settings) as place:
        await place.records.add("supervisor", Role.SUPERVISOR)
        jar = aiohttp.CookieJar(unsafe=True)
        async with (
            aiohttp.ClientSession(place.address, cookie_jar=jar) as http,
            aiohttp.ClientSession(place.address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as other,
        ):
            await Person(http).sign_in("manager")
            await Person(other).sign_in("supervisor")
            seen = []
            for _ in range(12):
                async with http.get("/api/v1/calls") as answer:
                    seen.append(answer.status)
            assert seen[0] == 200
            assert seen[-1] == 429
            async with other.get("/api/v1/calls") as answer:
                assert answer.status == 200


async def test_an_address_is_bounded() -> None:
    """Also one that nobody has signed in from."""
    settings = replace(SETTINGS, requests_of_address=Allowance(5, 0.0))
    async with (
        serving(ConnectionLimits(), settings=settings) as place,
        aiohttp.ClientSession(place.address) as http,
    ):
        seen = []
        for _ in range(7):
            async with http.get("/sign-in") as answer:
                seen.append(answer.status)
        assert seen == [200] * 5 + [429] * 2
        async with http.get("/sign-in", headers={"X-Forwarded-For": "203.0.113.9"}) as answer:
            assert answer.status == 200  # somebody else, behind the same proxy


def test_an_allowance_grows_again() -> None:
    """After the burst so many a second; a key has its own."""
    now = 100.0
    buckets = Buckets(Allowance(3, 2.0), clock=lambda: now)
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b")
    now += 1.0
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("unknown", "unknown"),
    ],
)
def test_one_customer_is_one_key(address: str, key: str) -> None:
    """A whole IPv6 network is one customer's."""
    assert address_key(address) == key
