"""Behind a reverse proxy: who is believed, what is noticed, and who reads the metrics."""

from __future__ import annotations

from dataclasses import replace

import aiohttp
import pytest

from telephony.staff import Role
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from web.http.host_names import HostNames
from web.http.proxies import ForwardedFor, ProxyMemory, ProxyTrust
from web.settings import WebSettings

TRUST = ProxyTrust(("127.0.0.1/32", "10.0.0.0/24"))
PUBLIC = "https://calls.example.com"


async def seen(peer: str, headers: dict[str, str], *, memory: ProxyMemory | None = None) -> tuple[str, str]:
    """The visitor and the scheme that the application is told."""
    found: dict[str, object] = {}

    async def app(scope: object, receive: object, send: object) -> None:
        assert isinstance(scope, dict)
        found.update(scope)

    middleware = ForwardedFor(app, trust=TRUST, memory=memory or ProxyMemory(), public_url=PUBLIC)
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "scheme": "http", "path": "/", "client": (peer, 1), "headers": raw}
    await middleware(scope, None, None)  # type: ignore[arg-type]
    client = found["client"]
    assert isinstance(client, tuple)
    return client[0], str(found["scheme"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # what the visitor wrote stands to the left
        ("127.0.0.1", "203.0.113.9, 10.0.0.7", "203.0.113.9"),  # two proxies of ours
        ("127.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("127.0.0.1", "203.0.113.9:5000", "203.0.113.9"),
        ("127.0.0.1", "somebody", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9, <script>", "127.0.0.1"),
        ("10.0.1.7", "203.0.113.9", "10.0.1.7"),  # nobody named this one
        ("127.0.0.1", "10.0.0.7", "10.0.0.7"),
    ],
)
async def test_only_a_named_proxy_is_believed(peer: str, forwarded: str, visitor: str) -> None:
    """And only what it wrote itself."""
    assert (await seen(peer, {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}))[0] == visitor


async def test_the_scheme_comes_from_the_proxy_only() -> None:
    """A stranger who says https speaks http."""
    told = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    assert (await seen("10.0.0.7", told))[1] == "https"
    assert (await seen("203.0.113.7", told))[1] == "http"


@pytest.mark.parametrize(
    ("peer", "headers", "fault"),
    [
        ("127.0.0.1", {"Host": "calls.example.com"}, "does not send X-Forwarded-For"),
        ("127.0.0.1", {"Host": "127.0.0.1:8088", "Origin": PUBLIC}, "does not send X-Forwarded-For"),
        (
            "127.0.0.1",
            {"Host": "127.0.0.1:8088", "X-Real-IP": "203.0.113.9"},
            "does not send X-Forwarded-For",
        ),
        ("127.0.0.1", {"X-Forwarded-For": "unknown", "X-Forwarded-Proto": "https"}, "no list of addresses"),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9"}, "does not send X-Forwarded-Proto"),
        ("172.16.0.9", {"X-Forwarded-For": "203.0.113.9"}, "name it in trusted_proxies"),
        ("127.0.0.1", {"Host": "127.0.0.1:8088"}, None),
        ("11.0.0.7", {"X-Forwarded-For": "198.51.100.1"}, None),  # a stranger's invention
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}, None),
    ],
)
async def test_a_proxy_that_says_too_little_is_noticed(
    peer: str, headers: dict[str, str], fault: str | None
) -> None:
    """The administrator reads it on Connections."""
    memory = ProxyMemory()
    await seen(peer, headers, memory=memory)
    assert [fault in one for one in memory.faults()] == [True] if fault else not memory.faults()


async def test_faults_are_forgotten_and_bounded() -> None:
    """A corrected proxy is no fault an hour later; a thousand different ones are not all kept."""
    now = 0.0
    memory = ProxyMemory(clock=lambda: now)
    for number in range(1_000):
        memory.note(f"fault {number}")
    assert len(memory.faults()) == 10
    now = 4_000.0
    assert not memory.faults()


async def test_connections_says_it(office: Office) -> None:
    """Somebody came through a proxy that is silent about them."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("administrator")
        assert "X-Forwarded-For" not in await person.read("/connections")
        async with http.get("/sign-in", headers={"X-Real-IP": "203.0.113.9"}):
            pass
        assert "does not send X-Forwarded-For" in await person.read("/connections")


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> WebSettings:
    """Those of the parameter over the usual ones."""
    return replace(SETTINGS, **request.param)


TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ({}, {}, 200),
        ({}, {"X-Forwarded-For": "203.0.113.9"}, 403),
        ({}, {"Forwarded": "for=203.0.113.9"}, 403),
        ({}, {"X-Real-IP": "203.0.113.9"}, 403),
        ({"public_url": PUBLIC}, {}, 403),  # a proxy that adds nothing cannot be told from this machine
        ({"trusted_proxies": ("127.0.0.1/32",)}, {}, 403),
        ({"public_url": PUBLIC, "metrics_token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"public_url": PUBLIC, "metrics_token": TOKEN}, {"Authorization": "Bearer wrong"}, 403),
        ({"public_url": PUBLIC}, {"Authorization": "Bearer "}, 403),
        ({"public_url": "http://localhost:8088"}, {}, 200),
    ],
    indirect=["settings"],
)
@pytest.mark.slow
async def test_metrics(settings: WebSettings, headers: dict[str, str], status: int) -> None:
    """For a program on this machine where no proxy is, else with the token."""
    async with (
        running(FakeRecords(), FakeLive(), settings, cheap_passwords()) as address,
        aiohttp.ClientSession(address) as http,
        http.get("/metrics", headers=headers) as answer,
    ):
        assert answer.status == status


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("calls.example.com", True),
        ("127.0.0.1", True),
        ("localhost", True),
        ("192.168.1.20", True),
        ("fe80::1", True),
        ("", True),
        ("evil.example", False),
        ("calls.example.com.evil.example", False),
        ("127.0.0.1.evil.example", False),
    ],
)
def test_names_that_are_ours(name: str, ours: bool) -> None:
    """A name elsewhere that was pointed at us is refused; an address in numbers cannot be pointed."""

    async def nothing(*_: object) -> None:
        """No application."""

    assert HostNames(nothing, public_url=PUBLIC).is_ours(name) is ours


async def test_a_foreign_name_gets_nothing(office: Office) -> None:
    """DNS rebinding: the browser asks for its own name."""
    async with office.browser() as http:
        for path in ("/metrics", "/readyz", "/sign-in", "/api/v1/openapi.json"):
            async with http.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 421
        async with http.get("/healthz", headers={"Host": "balancer"}) as answer:
            assert answer.status == 200


async def test_a_sign_in_that_does_not_come_back_is_explained() -> None:
    """public_url is https, the page was opened over http: the browser kept no sign-in, and the page says so."""
    records = FakeRecords()
    await records.add("manager", Role.MANAGER)
    settings = replace(SETTINGS, public_url=PUBLIC)
    async with (
        running(records, FakeLive(), settings, cheap_passwords()) as address,
        aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        assert "did not keep" not in await Person(http).read("/sign-in")
        form = {"login": "manager", "password": "correct horse", "next": "/live"}
        async with http.post("/sign-in", data=form) as answer:
            page = await answer.text()
        assert str(answer.url).partition("?")[0].endswith("/sign-in")
        assert f"Open {PUBLIC} instead" in page
