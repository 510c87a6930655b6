"""Starting, stopping, running in two parts, and everything that can be set wrong."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore
from switchhook.lab.asterisk import PrivateAsterisk
from telephony.staff import PopPreference, Role
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import MakeService, configuration, database_at, own_database
from tests.service.running_service import STOP_SECONDS, RunningService, eventually
from tests.service.test_restarts import ANNA, PATIENCE_SECONDS, PETER, talking
from web.auth.access import new_token

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]


METERS = ("switchhook_ami_connected", "switchhook_calls_tracked")


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """Asks the pages; every question is answered within some seconds or fails."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


async def token_for(records: RecordsStore) -> str:
    """A supervisor's personal token."""
    account = await records.accounts.create(
        login="supervisor",
        name="Supervisor",
        role=Role.SUPERVISOR,
        password_hash="none",
        extensions=(),
        pop=PopPreference.NEVER,
    )
    token, hashed = new_token()
    await records.tokens.create(account_id=account.id, name="test", token_hash=hashed)
    return token


async def readiness(browser: aiohttp.ClientSession, service: RunningService) -> tuple[int, list[str]]:
    """What /readyz says."""
    async with browser.get(f"{service.address}/readyz") as answer:
        return answer.status, (await answer.json())["reasons"]


def processes_using(directory: Path) -> list[int]:
    """Ids of living processes whose command line names the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in command:
                found.append(int(entry.name))
    return found


async def test_it_stops_within_five_seconds_with_calls_and_streams_open_and_leaves_no_process(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    make_service: MakeService,
    browser: aiohttp.ClientSession,
    short_dir: Path,
) -> None:
    """SIGTERM with its own PostgreSQL, a live call and a half-read answer: gone in time, with exit code 0."""
    service = make_service(configuration(asterisk, database=f'state_dir = "{short_dir / "state"}"'))
    await service.start()
    anna, carrier = await phones.handset("101"), await phones.carrier()
    await talking(carrier, ANNA, anna, PETER)

    async def is_counted() -> bool:
        async with browser.get(f"{service.address}/metrics") as answer:
            metrics = await answer.text()
        return all(f'{name}{{pbx="lab"}} 1.0' in metrics for name in METERS)

    await eventually(is_counted, PATIENCE_SECONDS, "the link and the call are counted")
    assert processes_using(short_dir)
    began = time.monotonic()
    assert await service.stop() == 0
    assert time.monotonic() - began < STOP_SECONDS
    await eventually(lambda: not processes_using(short_dir), STOP_SECONDS, "no process is left")


async def test_it_stops_within_five_seconds_although_the_database_hangs(
    asterisk: PrivateAsterisk, phones: PhoneRoom, own_postgres: EmbeddedPostgres, make_service: MakeService
) -> None:
    """The database neither answers nor refuses (stopped in mid-sentence) while a call is being kept."""
    service = make_service(configuration(asterisk, database=own_database(own_postgres)))
    await service.start()
    anna, carrier = await phones.handset("101"), await phones.carrier()
    with frozen(own_postgres):
        await talking(carrier, ANNA, anna, PETER)
        began = time.monotonic()
        await service.stop()
        assert time.monotonic() - began < STOP_SECONDS + 0.5


@contextlib.contextmanager
def frozen(postgres: EmbeddedPostgres) -> Iterator[None]:
    """The server and its children neither answer nor end. The parent is stopped first and goes on last: what ends
    meanwhile is kept for it to bury, so that its number stays its own.
    """
    assert postgres.pid
    stopped = [postgres.pid]
    os.kill(postgres.pid, signal.SIGSTOP)
    try:
        for child in children_of(postgres.pid):
            os.kill(child, signal.SIGSTOP)
            stopped.append(child)
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


def children_of(pid: int) -> list[int]:
    """Its child processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_bridge_and_pages_in_two_processes_show_a_call_that_rings(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    database_url: str,
    records: RecordsStore,
    make_service: MakeService,
    browser: aiohttp.ClientSession,
) -> None:
    """`--only bridge` and `--only web` over one database: what rings now is on the other's live stream at once."""
    settings = configuration(asterisk, database=database_at(database_url))
    bridge, pages = make_service(settings, only="bridge"), make_service(settings, only="web")
    await asyncio.gather(bridge.start(), pages.start())
    headers = {"Authorization": f"Bearer {await token_for(records)}"}
    anna, carrier = await phones.handset("101"), await phones.carrier()

    async def sees_link() -> bool:
        return (await readiness(browser, pages))[0] == 200

    await eventually(sees_link, PATIENCE_SECONDS, "the pages know of the link")
    async with browser.get(f"{pages.address}/api/v1/live", headers=headers) as stream:
        await carrier.dial(ANNA, caller=PETER)
        await anna.incoming()
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for line in stream.content:
                if PETER.encode() in line:
                    break


async def test_a_wrong_secret_and_a_closed_port_are_said_on_the_pages_and_by_readiness(
    asterisk: PrivateAsterisk,
    database_url: str,
    make_service: MakeService,
    browser: aiohttp.ClientSession,
) -> None:
    """Two PBXes out of reach: the pages come up, /readyz names both, the log the remedies, nobody the secret."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # bound, and not listening: nobody else can take it
        closed = holder.getsockname()[1]
        other = f'[[pbx]]\nid = "branch"\nport = {closed}\nusername = "a"\nsecret = "b"\n'
        whole = configuration(asterisk, database=database_at(database_url), secret="quite-wrong-secret")
        service = make_service(whole + other)
        await service.start(until="serving")

        def told() -> bool:
            down = [line for line in service.lines() if line.get("event") == "pbx link down"]
            return {line["pbx"] for line in down if line.get("remedy")} == {"lab", "branch"}

        await eventually(told, PATIENCE_SECONDS, "the log says why there is no link")
        status, reasons = await readiness(browser, service)
    assert any("Nothing listens" in str(line.get("problem")) for line in service.lines())
    assert (status, sorted(reasons)) == (
        503,
        ["phone system branch: not connected", "phone system lab: not connected"],
    )
    assert "quite-wrong-secret" not in service.log.read_text(encoding="utf-8")


async def test_a_taken_web_port_is_a_sentence_and_an_exit_code(
    asterisk: PrivateAsterisk, database_url: str, make_service: MakeService
) -> None:
    """Another program has the port: exit code 3, what to change, no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        service = make_service(configuration(asterisk, database=database_at(database_url), web_port=port))
        service.launch()
        assert await service.exited() == 3
    told = service.log.read_text(encoding="utf-8")
    assert f"Port {port} on 127.0.0.1 is taken by another program." in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("change", "says", "code"),
    [
        (("[database]", "[databse]"), "databse", 2),
        (('id = "lab"', 'id = "lab'), "not TOML", 2),
        (("[[pbx]]", "[pbx]"), "[[pbx]]", 2),
    ],
    ids=["a section misspelt", "a quote missing", "single brackets"],
)
async def test_half_a_configuration_is_a_sentence_that_names_the_place(
    asterisk: PrivateAsterisk,
    make_service: MakeService,
    short_dir: Path,
    change: tuple[str, str],
    says: str,
    code: int,
) -> None:
    """Nothing starts; the file, the place and the remedy are named."""
    whole = configuration(asterisk, database=f'state_dir = "{short_dir / "state"}"')
    service = make_service(whole.replace(*change))
    service.launch()
    assert await service.exited() == code
    told = service.log.read_text(encoding="utf-8")
    assert says in told
    assert "Traceback" not in told


async def test_a_database_that_refuses_us_ends_the_start_with_its_remedy(
    asterisk: PrivateAsterisk, database_url: str, make_service: MakeService
) -> None:
    """The database named in the configuration does not exist: waiting would not help, so it says so and ends."""
    wrong = re.sub(r"@/\w+\?", "@/nowhere?", database_at(database_url))
    service = make_service(configuration(asterisk, database=wrong))
    service.launch()
    assert await service.exited() == 3
    told = service.log.read_text(encoding="utf-8")
    assert "does not exist" in told
    assert "createdb" in told
    assert "Traceback" not in told
