"""`switchhook demo`: a private PostgreSQL, a private Asterisk, Switchhook and a small simulated office with real SIP calls.

Everything lives in a temporary directory and on free ports of loopback, and is gone when the demo stops. Where no
Asterisk can be had, recorded calls go through the same line, and every page says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import SecretStr

from call_records.types import Account
from switchhook import __version__
from switchhook.assembly import Service, serve_until
from switchhook.demo.captures import RecordedCall, RecordedPbx, recorded_calls
from switchhook.demo.history import add_history, finish_history
from switchhook.demo.past_calls import CUSTOMERS
from switchhook.lab.asterisk import AsteriskDidNotStart, PrivateAsterisk
from switchhook.lab.asterisk_binary import DEFAULT_SUITE, NoAsterisk, find_asterisk
from switchhook.lab.office import BELIEVABLE, Pace, SimulatedOffice
from switchhook.lab.staff import STAFF
from switchhook.pbx.monitor import Bridge
from switchhook.pbx.numbering import numbering_of
from switchhook.process import logs
from switchhook.process.stopping import leave_at_once
from switchhook.settings.settings import Settings, machine_time_zone
from switchhook.settings.tables import DatabaseSettings, LogSettings, PbxSettings
from switchhook.settings.tables import WebSettings as WebSection
from telephony.errors import OurMistake, SwitchhookError
from telephony.staff import PopPreference, Role
from web.auth.access import Passwords
from web.settings import WebSettings

FORCE_CAPTURES = "SWITCHHOOK_DEMO_CAPTURES"
"""Environment: `1` plays recorded calls although an Asterisk could be had."""
FETCH_STOP_SECONDS = (
    2.0  # a fetch that is interrupted gets this long to tidy up; the whole stop must take less than 5 s
)
LAST_CALLS_SECONDS = 5.0  # after the last phone hung up, its call must be in the journal; measured 0.6-1.1 s
LOOK_SECONDS = 0.05  # a board has no event for becoming empty; the demo alone wants it
STRANGERS = 30  # of the live office's customers, who never called before: lead rules have something to do
PBX_ID = "demo"
DEMO_LOGINS = (
    ("manager", Role.MANAGER, "Anna Belova", ("101",)),
    ("supervisor", Role.SUPERVISOR, "Boris Volkov", ("102",)),
    ("administrator", Role.ADMINISTRATOR, "Office administrator", ()),
)
TEAMS = {**dict.fromkeys(("101", "102", "103", "104"), "Sales"), **dict.fromkeys(("105", "106"), "Support")}
DEMO_PASSWORD = "switchhook-demo"  # noqa: S105 - printed on the sign-in page; the demo listens on loopback only

log = structlog.get_logger(__name__)
T = TypeVar("T")


class _Stopped(Exception):
    """Somebody asked for the end before the demo was ready."""


@dataclass(frozen=True, slots=True)
class Show:
    """What the demo plays: real calls at a PBX, or recorded ones."""

    pbx: tuple[PbxSettings, ...]
    notice: str | None
    """Stands on every page."""
    promise: str
    """What the terminal says of the calls."""
    play: Callable[[Service], Awaitable[None]]
    """Plays until all calls were played, or until cancelled."""
    recordings_dir: Path | None = None
    """Where the PBX writes recordings."""
    prompts: tuple[Path, ...] = ()
    """What the people say, A-law files; the sounds of the past are made of it."""


@asynccontextmanager
async def demo_office(
    *, state: Path | None = None, suite: str = DEFAULT_SUITE, seed: int = 1, pace: Pace = BELIEVABLE
) -> AsyncIterator[tuple[PrivateAsterisk, SimulatedOffice]]:
    """Start the private Asterisk and register the ten handsets; the people begin with `office.run`.

    Raises NoAsterisk (with a remedy) when none can be had here. Fetching one takes about half a minute, once; otherwise
    this takes about a second.
    """
    install = await _asterisk(suite)
    async with (
        PrivateAsterisk(install, state=state, system_name="demo", ami_write_all=True) as asterisk,
        SimulatedOffice(asterisk, seed=seed, pace=pace, customers=CUSTOMERS + STRANGERS) as office,
    ):
        yield asterisk, office


async def _asterisk(suite: str) -> Any:
    try:
        return await asyncio.to_thread(find_asterisk, suite, fetch=False)
    except NoAsterisk:
        _say("Fetching an Asterisk from the distribution's packages (once, about half a minute) …")
        await _fetch(suite)
        return await asyncio.to_thread(find_asterisk, suite, fetch=False)


async def _fetch(suite: str) -> None:
    """In a process group of its own, so that Ctrl-C ends the download with all its helpers."""
    fetching = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchhook.lab.asterisk_binary",
        suite,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, told = await fetching.communicate()  # bounded inside: apt gets FETCH_SECONDS
    except asyncio.CancelledError:
        await _end_group(fetching)
        raise
    if fetching.returncode:
        lines = told.decode(errors="replace").strip().splitlines() or ["The fetch gave no reason."]
        raise NoAsterisk(lines[-1], remedy="Install asterisk so that it is on PATH.")


async def _end_group(process: asyncio.subprocess.Process) -> None:
    for name in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FETCH_STOP_SECONDS):
                await process.wait()
            return


def run(*, calls: int | None = None, then_exit: bool = False) -> None:
    """Run the demo until Ctrl-C, or until `calls` calls were placed when `then_exit`, and end the process.

    Raises NoCaptures when there is neither an Asterisk nor a recorded call.
    """
    logs.set_up(level="warning", form="console", mask_numbers=True)
    asyncio.run(_run(calls, then_exit))
    leave_at_once()


async def _run(calls: int | None, then_exit: bool) -> None:
    began = time.monotonic()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(name, stop.set)
    with tempfile.TemporaryDirectory(prefix="switchhook-demo-") as directory:
        state = Path(directory)
        # PostgreSQL refuses to run as root, so under root it runs as another user, who has to get in here.
        state.chmod(0o755)  # noqa: ASYNC240 - one system call
        with contextlib.suppress(_Stopped):
            async with AsyncExitStack() as room:
                show = await _unless_stopped(stop, _find_show(room, calls))
                await _serve_show(stop, state, show, then_exit, began)
    _say("Stopped.")


async def _unless_stopped(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if task.cancelled():
        raise _Stopped
    return task.result()


async def _find_show(room: AsyncExitStack, calls: int | None) -> Show:
    """A live office where an Asterisk can be had, else the recordings."""
    if os.environ.get(FORCE_CAPTURES) == "1":
        return recorded_show(recorded_calls(), calls, because=f"{FORCE_CAPTURES} is set.")
    _say("Starting a private PostgreSQL, a private Asterisk and a simulated office …")
    try:
        asterisk, office = await room.enter_async_context(demo_office())
    except (NoAsterisk, AsteriskDidNotStart) as nothing:
        return recorded_show(recorded_calls(), calls, because=nothing.sentence)
    return live_show(asterisk, office, calls)


def live_show(asterisk: PrivateAsterisk, office: SimulatedOffice, calls: int | None) -> Show:
    """Real SIP calls through a private Asterisk."""
    asterisk.cel_csv.touch()  # Asterisk makes it at the first call only, and until then its absence would be a warning
    link = PbxSettings(
        id=PBX_ID,
        port=asterisk.ports.ami,
        username=asterisk.ami_user,
        secret=SecretStr(asterisk.ami_secret),
        cel_file=asterisk.cel_csv,
        recordings_dir=asterisk.recordings,
    )

    async def play(_service: Service) -> None:
        await office.run(calls=calls)

    return Show(
        pbx=(link,),
        notice=None,
        promise="Real SIP calls arrive every few seconds; the people are fictional.",
        play=play,
        recordings_dir=asterisk.recordings,
        prompts=office.prompts,
    )


def recorded_show(
    recorded: list[RecordedCall], calls: int | None, *, because: str, pace: float = 1.0
) -> Show:
    """Recorded calls, told as if they happened now; `because` says why not real ones."""
    _say(f"No real calls: {because}")
    _say("Recorded calls are played instead, through the same line.")
    numbering = numbering_of(PbxSettings(id=PBX_ID))

    async def play(service: Service) -> None:
        feed = RecordedPbx(PBX_ID, recorded, calls=calls, pace=pace)
        if service.spool is None:
            raise OurMistake("The demo is one process; it always has a journal.")
        await Bridge(feed, numbering, service.store, service.board, service.spool).run(service.store_ready)

    return Show(
        pbx=(),
        notice="Recorded calls are played: no Asterisk here",
        promise="Recorded calls are played, one after the other, as if they happened now: nobody is on the phone.",
        play=play,
    )


async def _serve_show(stop: asyncio.Event, state: Path, show: Show, then_exit: bool, began: float) -> None:
    ready: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve_until(
            stop,
            demo_settings(state, show.pbx),
            opened=_make_people,
            started=ready.set_result,
            web_settings=demo_web_settings(show.notice),
        ),
        name="service",
    )
    stopping = asyncio.create_task(stop.wait(), name="stop")
    playing: asyncio.Task[None] | None = None
    try:
        first: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            _greet(ready.result(), show, time.monotonic() - began)
            playing = asyncio.create_task(_play(show, ready.result()), name="office")
            await asyncio.wait({playing, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
            if playing.done() and not then_exit:
                await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        if playing is not None:
            playing.cancel()
        await asyncio.wait({serving, stopping, *({playing} if playing else ())})
    serving.result()
    if playing is not None and not playing.cancelled():
        playing.result()


async def _play(show: Show, service: Service) -> None:
    """The book and the calls of the past come first, so that the first caller is known; their sounds come meanwhile."""
    accounts = await _demo_accounts(service)
    await add_history(service.store, accounts, show.recordings_dir)
    finishing = asyncio.create_task(_finish_history(show, service, accounts), name="history")
    try:
        await _play_calls(show, service)
    finally:
        finishing.cancel()
        await asyncio.wait({finishing})


async def _play_calls(show: Show, service: Service) -> None:
    await show.play(service)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_CALLS_SECONDS):
            while service.board.calls():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS)
    if service.spool is not None:
        await service.spool.emptied(within_seconds=LAST_CALLS_SECONDS)
    _say("All calls were played; they are in the list of calls.")


def demo_settings(state: Path, pbx: tuple[PbxSettings, ...]) -> Settings:
    """The settings of the demo's Switchhook."""
    return Settings(
        pbx=pbx,
        database=DatabaseSettings(state_dir=state),
        web=WebSection(port=0),
        logs=LogSettings(level="warning"),
    )


def demo_web_settings(notice: str | None = None) -> WebSettings:
    """Pages that say that they are a demo, and how to sign in."""
    return WebSettings(
        region="RU",
        time_zone=machine_time_zone(),
        office_name="Switchhook demo",
        version=__version__,
        debug=True,
        standing_notice=notice,
        demo_logins=tuple((login, DEMO_PASSWORD) for login, *_ in DEMO_LOGINS),
    )


async def _make_people(service: Service) -> None:
    """Everybody in the office has a phone; three of them may sign in."""
    store = service.store
    for extension, name in STAFF.items():
        await store.staff.put_person(name=name, extensions=[extension], team=TEAMS.get(extension))
    hashed = await Passwords().hash(DEMO_PASSWORD)
    for login, role, name, extensions in DEMO_LOGINS:
        if await store.accounts.by_login(login) is None:
            await store.accounts.create(
                login=login,
                name=name,
                role=role,
                password_hash=hashed,
                extensions=extensions,
                pop=PopPreference.ON_RING,
            )


async def _demo_accounts(service: Service) -> list[Account]:
    found = [await service.store.accounts.by_login(login) for login, *_ in DEMO_LOGINS]
    return [account for account in found if account is not None]


async def _finish_history(show: Show, service: Service, accounts: Sequence[Account]) -> None:
    """Beside the calls; a demo whose history lacks a part is a demo all the same."""
    try:
        await finish_history(service.store, accounts, show.recordings_dir, show.prompts)
    except* SwitchhookError as troubles:
        for trouble in troubles.exceptions:
            log.warning("demo_history_incomplete", problem=str(trouble))


def _greet(service: Service, show: Show, seconds: float) -> None:
    _say("")
    _say(f"  Switchhook is at  http://127.0.0.1:{service.web_port}/   (ready after {seconds:.1f} s)")
    _say("")
    for login, _role, name, extensions in DEMO_LOGINS:
        phone = f", extension {extensions[0]}" if extensions else ""
        _say(f"  {login:<14} password {DEMO_PASSWORD}   {name}{phone}")
    _say("")
    _say(f"  {show.promise}")
    _say("  Ctrl-C stops everything and leaves nothing behind.")


def _say(text: str) -> None:
    with contextlib.suppress(
        BrokenPipeError
    ):  # whoever read the terminal has gone; the stop still has to be in order
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
