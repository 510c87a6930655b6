"""`switchhook demo`: a private PostgreSQL, a private Asterisk, Switchhook and a small simulated office with real SIP calls.

Everything lives in a temporary directory and on free ports of loopback, and is gone when the demo stops.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from switchhook import __version__, logs
from switchhook.assembly import Service, serve_until
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, find_asterisk
from switchhook.lab.office import BELIEVABLE, Pace, SimulatedOffice
from switchhook.settings import DatabaseSettings, LogSettings, PbxSettings, Settings
from switchhook.settings import WebSettings as WebSection
from telephony.staff import PopPreference, Role
from web.access import Passwords
from web.settings import WebSettings

LAST_CALLS_SECONDS = 5.0  # after the last phone hung up, its call must be in the journal; measured 0.6-1.1 s
DEMO_LOGINS = (
    ("manager", Role.MANAGER, "Anna Belova", ("101",)),
    ("supervisor", Role.SUPERVISOR, "Boris Volkov", ("102",)),
    ("administrator", Role.ADMINISTRATOR, "Office administrator", ()),
)
DEMO_PASSWORD = "switchhook-demo"  # noqa: S105 - printed on the sign-in page; the demo listens on loopback only


@asynccontextmanager
async def demo_office(
    *, state: Path | None = None, suite: str = DEFAULT_SUITE, seed: int = 1, pace: Pace = BELIEVABLE
) -> AsyncIterator[tuple[PrivateAsterisk, SimulatedOffice]]:
    """Start the private Asterisk and register the ten handsets; the people begin with `office.run`.

    Raises NoAsterisk (with a remedy) when none can be had here. Fetching one takes about half a minute, once; otherwise
    this takes about a second.
    """
    install = await asyncio.to_thread(find_asterisk, suite)
    async with (
        PrivateAsterisk(install, state=state, system_name="demo", ami_write_all=True) as asterisk,
        SimulatedOffice(asterisk, seed=seed, pace=pace) as office,
    ):
        yield asterisk, office


def run(*, calls: int | None = None, then_exit: bool = False) -> int:
    """Run the demo until Ctrl-C, or until `calls` calls were placed when `then_exit`; returns the exit code."""
    logs.set_up(level="warning", form="console", mask_numbers=True)
    return asyncio.run(_run(calls, then_exit))


async def _run(calls: int | None, then_exit: bool) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    with tempfile.TemporaryDirectory(prefix="switchhook-demo-") as directory:
        state = Path(directory)
        os.chmod(directory, 0o755)  # noqa: S103 - our own PostgreSQL runs as another user when we are root
        _say("Starting a private Asterisk (fetched once, then cached) and a simulated office …")
        async with demo_office() as (asterisk, office):
            await _with_office(stop, state, asterisk, office, calls, then_exit)
        _say("Stopped.")
    return 0


async def _with_office(
    stop: asyncio.Event,
    state: Path,
    asterisk: PrivateAsterisk,
    office: SimulatedOffice,
    calls: int | None,
    then_exit: bool,
) -> None:
    ready: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(
            serve_until(
                stop,
                demo_settings(state, asterisk),
                started=ready.set_result,
                web_settings=demo_web_settings(),
            ),
            name="service",
        )
        watched: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            return
        service = ready.result()
        await make_accounts(service)
        _greet(service)
        working = tasks.create_task(_work(office, service, calls), name="office")
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({working, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if not then_exit and not stop.is_set() and not serving.done():
            await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        stopping.cancel()
        working.cancel()


async def _work(office: SimulatedOffice, service: Service, calls: int | None) -> None:
    with suppress(asyncio.CancelledError):
        await office.run(calls=calls)
        _say(f"The office has placed its {calls} calls.")
        async with asyncio.timeout(LAST_CALLS_SECONDS):
            while service.board.calls():  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # a board has no event for becoming empty; the demo alone wants it
            if service.spool is not None:
                await service.spool.emptied(within_seconds=LAST_CALLS_SECONDS)


def demo_settings(state: Path, asterisk: PrivateAsterisk) -> Settings:
    """The settings that point at this private Asterisk."""
    return Settings(
        pbx=(
            PbxSettings(
                id="demo",
                port=asterisk.ports.ami,
                username=asterisk.ami_user,
                secret=SecretStr(asterisk.ami_secret),
                cel_file=asterisk.cel_csv,
            ),
        ),
        database=DatabaseSettings(state_dir=state),
        web=WebSection(port=0),
        logs=LogSettings(level="warning"),
    )


def demo_web_settings() -> WebSettings:
    """Pages that say that they are a demo, and how to sign in."""
    return WebSettings(
        region="RU",
        time_zone=ZoneInfo("UTC"),
        office_name="Switchhook demo",
        version=__version__,
        debug=True,
        demo_logins=tuple((login, DEMO_PASSWORD) for login, *_ in DEMO_LOGINS),
    )


async def make_accounts(service: Service) -> None:
    """The three people who may sign in; everybody else in the office just has a phone."""
    hashed = await Passwords().hash(DEMO_PASSWORD)
    for login, role, name, extensions in DEMO_LOGINS:
        await service.store.accounts.create(
            login=login,
            name=name,
            role=role,
            password_hash=hashed,
            extensions=extensions,
            pop=PopPreference.ON_RING,
        )


def _greet(service: Service) -> None:
    _say("")
    _say(f"  Switchhook is at  http://127.0.0.1:{service.web_port}/")
    for login, role, name, extensions in DEMO_LOGINS:
        phone = f", extension {extensions[0]}" if extensions else ""
        _say(f"  {role.value:<14} login {login:<14} password {DEMO_PASSWORD}   ({name}{phone})")
    _say("")
    _say("  Real SIP calls arrive every few seconds; the people are fictional. Ctrl-C stops everything.")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
