"""The files of packaging/ for nginx, Apache and Caddy, in front of the real application: what docs/how-to/reverse-proxy.md
promises. Each runs unprivileged on loopback, with nothing of its file changed but ports, certificate and name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import re
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest

from call_records.recordings.ingest.uploads import UploadDesk
from call_records.store import RecordsStore
from switchhook.lab.proxy_binaries import APACHE, CADDY, NGINX, NoProxy, ProxyInstall, ProxyKind, find_proxy
from telephony.staff import Role
from tests.requirements import declare_unavailable, require_programs
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from web.app import create_app
from web.http.server import serve

pytestmark = pytest.mark.postgres

PACKAGING = Path(__file__).parents[3] / "packaging"
NAME = "calls.example.com"
TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef"
START_SECONDS = 60.0  # a tenth of a second; only a bound on a loaded machine
LARGE = 40_000_000  # bytes; above what any of them holds in memory


@dataclass(frozen=True)
class Ports:
    """Where the application, the proxy's http and its https are."""

    ours: int
    http: int
    https: int


Command = tuple[list[str], Path]


def nginx(install: ProxyInstall, ports: Ports, work: Path) -> Command:
    site = (PACKAGING / "nginx-switchhook.conf").read_text()
    (work / "site.conf").write_text(_filled(site, ports, work, "listen "))
    scratch = "\n".join(
        f"{kind}_temp_path {work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = work / "nginx.conf"
    config.write_text(
        f"daemon off; pid {work}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{ access_log off; {scratch}\ninclude {work}/site.conf; }}\n"
    )
    return [str(install.program), "-p", str(work), "-c", str(config), "-e", "stderr"], work


def apache(install: ProxyInstall, ports: Ports, work: Path) -> Command:
    site = (PACKAGING / "apache-switchhook.conf").read_text()
    modules = install.tree / "usr/lib/apache2/modules"
    wanted = "mpm_event authz_core headers alias ssl socache_shmcb rewrite proxy proxy_http"
    loading = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in wanted.split())
    config = work / "apache.conf"
    config.write_text(
        f"ServerRoot {work}\nPidFile {work}/pid\nErrorLog {work}/log\nDefaultRuntimeDir {work}\n{loading}\n"
        f"Mutex file:{work} default\nListen 127.0.0.1:{ports.http}\nListen 127.0.0.1:{ports.https}\n"
        + _filled(site, ports, work, "<VirtualHost *:")
    )
    return [str(install.program), "-X", "-d", str(work), "-f", str(config)], work


def caddy(install: ProxyInstall, ports: Ports, work: Path) -> Command:
    site = (PACKAGING / "Caddyfile").read_text().replace("127.0.0.1:8088", f"127.0.0.1:{ports.ours}")
    site = site.replace(f"{NAME} {{", f"{NAME} {{\n\tbind 127.0.0.1\n\ttls {work}/cert.pem {work}/key.pem\n")
    options = f"{{\n\tadmin off\n\thttp_port {ports.http}\n\thttps_port {ports.https}\n}}\n"
    (work / "Caddyfile").write_text(options + site)
    return [str(install.program), "run", "--config", f"{work}/Caddyfile", "--adapter", "caddyfile"], work


def _filled(site: str, ports: Ports, work: Path, before_port: str) -> str:
    site = site.replace("127.0.0.1:8088", f"127.0.0.1:{ports.ours}")
    site = re.sub(r"/etc/letsencrypt/\S+/fullchain.pem", f"{work}/cert.pem", site)
    site = re.sub(r"/etc/letsencrypt/\S+/privkey.pem", f"{work}/key.pem", site)
    local = before_port.replace("*:", "127.0.0.1:") if "*" in before_port else f"{before_port}127.0.0.1:"
    site = site.replace(f"{before_port}80", f"{local}{ports.http}")
    return site.replace(f"{before_port}443", f"{local}{ports.https}")


PROXIES: dict[str, tuple[ProxyKind, Callable[[ProxyInstall, Ports, Path], Command]]] = {
    "nginx": (NGINX, nginx),
    "apache": (APACHE, apache),
    "caddy": (CADDY, caddy),
}


@dataclass
class Proxied:
    """The application as its visitors reach it."""

    ports: Ports
    records: FakeRecords
    arrivals: Path

    def browser(self, **headers: str) -> aiohttp.ClientSession:
        """A browser that believes the test's certificate and finds the name on loopback."""
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=trusting, resolver=_Loopback())
        return aiohttp.ClientSession(
            f"https://{NAME}:{self.ports.https}", connector=connector, headers=headers
        )


class _Loopback(aiohttp.abc.AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}
        ]

    async def close(self) -> None:
        """Nothing is open."""


def _free_ports(how_many: int) -> Iterator[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(how_many)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
            yield one.getsockname()[1]


@pytest.fixture(params=PROXIES)
async def proxied(
    request: pytest.FixtureRequest, records: RecordsStore, tmp_path: Path
) -> AsyncIterator[Proxied]:
    """The application with the proxy's shipped file before it."""
    kind, configure = PROXIES[request.param]
    require_programs("openssl")
    try:
        install = find_proxy(kind)
    except NoProxy as nothing:
        declare_unavailable(kind.name, f"{nothing} {nothing.remedy}")
    _make_certificate(tmp_path)
    people = FakeRecords()
    await people.add("administrator", Role.ADMINISTRATOR)
    arrivals = tmp_path / "arrivals"
    desk = UploadDesk(arrivals, {"branch": TOKEN}, records.catalogue, most_bytes=LARGE * 2, reserve_bytes=0)
    settings = replace(SETTINGS, public_url=f"https://{NAME}", trusted_proxies=("127.0.0.1/32",))
    app = create_app(people, FakeLive(), settings, passwords=cheap_passwords(), uploads=desk)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=bound.set_result, trust=settings.trust))
    try:
        http, https = _free_ports(2)
        ports = Ports(await bound, http, https)
        command, work = configure(install, ports, tmp_path)
        async with _running(command, work, install, ports.https):
            yield Proxied(ports, people, arrivals)
    finally:
        stop.set()
        async with asyncio.timeout(START_SECONDS):
            await task


def _make_certificate(work: Path) -> None:
    asked = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    names = [
        "-addext",
        f"subjectAltName=DNS:{NAME}",
        "-keyout",
        f"{work}/key.pem",
        "-out",
        f"{work}/cert.pem",
    ]
    subprocess.run(["openssl", *asked, *names], check=True, capture_output=True, timeout=60)


@contextlib.asynccontextmanager
async def _running(command: list[str], work: Path, install: ProxyInstall, port: int) -> AsyncIterator[None]:
    home = {"HOME": str(work), "XDG_DATA_HOME": str(work), "XDG_CONFIG_HOME": str(work)}
    with (work / "proxy.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - begins at once and is not waited for here
            command, cwd=work, stdout=log, stderr=log, env={**install.environment, **home}
        )
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(port):
                assert process.poll() is None, (work / "proxy.log").read_text() + _log(work)
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


def _log(work: Path) -> str:
    return (work / "log").read_text() if (work / "log").exists() else ""


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_people_work_through_it(proxied: Proxied) -> None:
    """Sign-in with Secure cookies, the live stream word by word, no fault noticed; metrics stay private."""
    async with proxied.browser() as http:
        person = Person(http)
        assert await person.sign_in("administrator") == 303
        cookies = {cookie.key: cookie for cookie in http.cookie_jar}
        assert cookies["__Host-switchhook"]["secure"]
        assert await person.send("/settings/card", pop="never") in (200, 303)
        async with http.get("/api/v1/live") as stream:
            async with asyncio.timeout(START_SECONDS):
                await stream.content.readuntil(b"snapshot")
                await stream.content.readuntil(
                    b"event: beat"
                )  # a proxy that collects would hold these small words
        page = await person.read("/connections")
        assert "X-Forwarded" not in page
        assert "trusted_proxies" not in page
        async with http.get("/metrics") as answer:
            assert answer.status == 403
        async with http.get("/sign-in", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"


async def test_a_visitor_cannot_choose_an_address(proxied: Proxied) -> None:
    """Wrong passwords with a new X-Forwarded-For each: they are one visitor's, and the limit holds."""
    async with proxied.browser() as http:
        seen = []
        for number in range(7):
            told = {"X-Forwarded-For": f"203.0.113.{number}", "X-Forwarded-Proto": "http"}
            form = {"login": "administrator", "password": "wrong"}
            async with http.post("/sign-in", data=form, headers=told) as answer:
                seen.append(answer.status)
        assert seen[-1] == 429


async def test_a_large_recording_comes_through(proxied: Proxied) -> None:
    """Forty megabytes from another PBX, as switchhook-upload sends them."""
    content = bytes(range(256)) * (LARGE // 256)
    checksum = hashlib.sha256(content).hexdigest()
    headers = {"Authorization": f"Bearer {TOKEN}", "X-Checksum-SHA256": checksum}
    async with (
        proxied.browser(**headers) as http,
        http.put("/api/v1/recordings/uploads/branch/b-1795311120.5.wav", data=io.BytesIO(content)) as answer,
    ):
        assert (answer.status, answer.headers["X-Checksum-SHA256"]) == (201, checksum)
    assert (proxied.arrivals / "branch" / "b-1795311120.5.wav").stat().st_size == len(content)


async def test_http_leads_to_https(proxied: Proxied) -> None:
    """Nobody signs in over http by mistake."""
    async with (
        proxied.browser() as http,
        http.get(
            f"http://127.0.0.1:{proxied.ports.http}/live", headers={"Host": NAME}, allow_redirects=False
        ) as answer,
    ):
        assert answer.status in (301, 308)
        assert answer.headers["Location"].startswith(f"https://{NAME}")


def test_files_are_there() -> None:
    """The page names three."""
    page = (PACKAGING.parent / "docs" / "how-to" / "reverse-proxy.md").read_text()
    for name in ("nginx-switchhook.conf", "apache-switchhook.conf", "Caddyfile"):
        assert (PACKAGING / name).is_file()
        assert name in page
