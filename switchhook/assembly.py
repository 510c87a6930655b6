"""Opens everything in order, wires it together, closes it in reverse.

One process by default: database, then the journal with its spool, then one observer per PBX, then the pages. With
`only="bridge"` and `only="web"` the same parts run in two processes over one database. SIGTERM or SIGINT stops all of
it; what is not yet in the database by then waits in the spool for the next start.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

import structlog

from ami_bridge.cel_file import CelFile
from ami_bridge.observer import Observer
from ami_bridge.stream import LinkDown, LinkUp, SnapshotEnd, StreamItem
from ami_bridge.translate import WANTED
from call_records.database import RecordsStore, open_records
from call_records.live import LiveBoard
from call_records.postgres import EmbeddedPostgres
from call_records.spool import SpoolingJournal
from switchhook import __version__
from switchhook.doctor import link_to
from switchhook.settings import PbxSettings, Settings
from switchhook.teller import Teller
from telephony.errors import SwitchhookError
from telephony.numbers import Numbering
from telephony.ports import CallChange, LinkState
from web.app import create_app
from web.server import serve
from web.settings import WebSettings

log = structlog.get_logger(__name__)

Part = Literal["bridge", "web"]
LINK_STATE_SECONDS = 1.0  # how often the page learns how far behind the PBX's news are
REST_SECONDS = 0.5  # how often ended calls are looked at for late words
STORE_WATCH_SECONDS = 1.0  # how soon a database of our own that died is started again
DRAIN_SECONDS = 2.0  # for the journal at a stop; the whole stop must take less than 5 s
PRUNE_SECONDS = 6 * 3600.0


@dataclass(slots=True)
class Service:
    """What runs, for whoever started it (the command line, the demo, a test)."""

    settings: Settings
    store: RecordsStore
    board: LiveBoard
    spool: SpoolingJournal | None
    observers: dict[str, Observer] = field(default_factory=dict)
    tellers: dict[str, Teller] = field(default_factory=dict)
    web_port: int | None = None
    setup_code: str | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


def run(settings: Settings, only: Part | None = None) -> None:
    """Run until SIGTERM or SIGINT. Raises telephony.errors for what a person must hear."""
    asyncio.run(_run(settings, only))


async def _run(settings: Settings, only: Part | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await serve_until(stop, settings, only=only, started=_tell_started)


def _tell_started(service: Service) -> None:
    if service.web_port is not None:
        host = service.settings.web.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - shown, not bound
        log.info("serving", address=f"http://{shown}:{service.web_port}/")
        if service.setup_code:
            log.info(
                "first_administrator",
                open=f"http://{shown}:{service.web_port}/welcome",
                code=service.setup_code,
            )


async def serve_until(
    stop: asyncio.Event,
    settings: Settings,
    *,
    only: Part | None = None,
    opened: Callable[[Service], Awaitable[None]] | None = None,
    started: Callable[[Service], None] | None = None,
    web_settings: WebSettings | None = None,
) -> None:
    """Everything, until `stop` is set. `opened` is awaited once, when the store can be used and nothing runs yet;
    `started` is called once, when the pages answer and the observers run.
    """
    try:
        async with open_service(settings, only) as service, asyncio.TaskGroup() as tasks:
            if opened is not None:
                await opened(service)
            running = _start_parts(tasks, service, only, stop, started, web_settings)
            await stop.wait()
            for task in running:
                task.cancel()
    except* SwitchhookError as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


@asynccontextmanager
async def open_service(settings: Settings, only: Part | None) -> AsyncIterator[Service]:
    """The database, the store and the board; closed in reverse order."""
    async with AsyncExitStack() as stack:
        url = await _database(stack, settings)
        store = await stack.enter_async_context(open_records(url))
        board = LiveBoard()
        spool = None
        if only != "web":
            spool = SpoolingJournal(store.journal, _state_dir(settings) / "spool")
            stack.callback(spool.close)
        service = Service(settings, store, board, spool)
        yield service
        board.close()
        if spool is not None:
            await _hand_over_rest(spool)


async def _hand_over_rest(spool: SpoolingJournal) -> None:
    """A last try to empty the spool; what does not get through in time is in its file."""
    last = asyncio.create_task(spool.run(), name="spool: last")
    await spool.emptied(within_seconds=DRAIN_SECONDS)
    last.cancel()
    await asyncio.wait([last])


async def _database(stack: AsyncExitStack, settings: Settings) -> str:
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    server = EmbeddedPostgres(_state_dir(settings) / "postgres")
    url = await server.start()
    stack.push_async_callback(server.stop)
    watch = asyncio.create_task(_keep_running(server), name="own PostgreSQL")

    async def end_watch() -> None:
        watch.cancel()
        await asyncio.wait([watch])

    stack.push_async_callback(end_watch)
    return url


async def _keep_running(server: EmbeddedPostgres) -> None:
    """Our own database is ours to start again; the journal's spool waits meanwhile."""
    while True:
        await asyncio.sleep(STORE_WATCH_SECONDS)
        if server.pid is not None:
            continue
        log.warning("own_postgres_died")
        try:
            await server.stop()
            await server.start()
        except SwitchhookError as trouble:
            log.error("own_postgres_does_not_start", problem=str(trouble), remedy=trouble.remedy)


def _state_dir(settings: Settings) -> Path:
    directory = settings.database.state_dir
    if directory is None:
        raise AssertionError("settings.load always sets database.state_dir")
    return directory


def _start_parts(
    tasks: asyncio.TaskGroup,
    service: Service,
    only: Part | None,
    stop: asyncio.Event,
    started: Callable[[Service], None] | None,
    web_settings: WebSettings | None,
) -> list[asyncio.Task[None]]:
    running = []
    if only == "web":
        running.append(tasks.create_task(service.store.relay.follow(service.board), name="relay"))
    else:
        if service.spool is not None:
            running.append(tasks.create_task(service.spool.run(), name="spool"))
            running.append(tasks.create_task(_prune(service), name="prune"))
        for pbx in service.settings.pbx:
            running += _start_bridge(tasks, service, pbx, tell_links=only == "bridge")
    if only == "bridge":
        _started(service, started)
    else:
        tasks.create_task(_serve(service, stop, started, web_settings), name="web")
    return running


def _started(service: Service, started: Callable[[Service], None] | None) -> None:
    service.ready.set()
    if started is not None:
        started(service)


async def _serve(
    service: Service,
    stop: asyncio.Event,
    started: Callable[[Service], None] | None,
    web_settings: WebSettings | None,
) -> None:
    settings = service.settings.web
    if web_settings is None:
        code = None if await service.store.accounts.any_exist() else f"{secrets.randbelow(10**8):08d}"
        service.setup_code = code
        web_settings = WebSettings(
            public_url=settings.public_url,
            setup_code=code,
            region=service.settings.pbx[0].default_region if service.settings.pbx else None,
            version=__version__,
        )
    app = create_app(service.store, service.board, web_settings)

    def bound(port: int) -> None:
        service.web_port = port
        _started(service, started)

    await serve(app, settings.host, settings.port, stop, bound=bound)


# -- one PBX -------------------------------------------------------------------------------------------------------


def numbering_of(pbx: PbxSettings) -> Numbering:
    """How this PBX numbers its phones and lines."""
    return Numbering(
        pbx=pbx.id,
        extensions=pbx.extensions,
        trunks=pbx.trunks,
        region=pbx.default_region,
        area_code=pbx.area_code or "",
    )


def _start_bridge(
    tasks: asyncio.TaskGroup, service: Service, pbx: PbxSettings, *, tell_links: bool
) -> list[asyncio.Task[None]]:
    observer = Observer(link_to(pbx), wanted=WANTED)
    teller = Teller(numbering_of(pbx))
    service.observers[pbx.id] = observer
    service.tellers[pbx.id] = teller
    bridge = Bridge(service, pbx.id, observer, teller, CelFile(pbx.cel_file) if pbx.cel_file else None)
    return [
        tasks.create_task(bridge.run(), name=f"bridge {pbx.id}"),
        tasks.create_task(bridge.rest(), name=f"rest {pbx.id}"),
        tasks.create_task(bridge.tell_link(also_elsewhere=tell_links), name=f"link {pbx.id}"),
    ]


class Feed(Protocol):
    """Where one PBX's news come from: an Observer, or in the demo recorded calls."""

    async def run(self) -> None:
        """Watch until cancelled."""

    def items(self) -> AsyncIterator[StreamItem]:
        """The stream, in the order of the wire."""

    def link_state(self) -> LinkState:
        """How the link is now."""


class Bridge:
    """One PBX's straight line: observer → teller → board → journal. The board comes first: a card waits for no disk."""

    def __init__(
        self, service: Service, pbx_id: str, feed: Feed, teller: Teller, cel: CelFile | None = None
    ) -> None:
        self._service = service
        self._pbx_id = pbx_id
        self._feed = feed
        self._teller = teller
        self._cel = cel
        self.indigestible = 0
        """Messages that broke the teller: each is a fault of ours, logged with its trace."""

    async def run(self) -> None:
        """Restore what was open, then follow the feed until it ends or this is cancelled."""
        journal = self._service.store.journal
        for facts in self._teller.restore(await journal.unfinished(self._pbx_id)):
            self._service.board.publish(facts)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._feed.run(), name="observer")
            async for item in self._feed.items():
                await self._take(item)
            watching.cancel()

    async def _take(self, item: StreamItem) -> None:
        if isinstance(item, SnapshotEnd):
            await self._close_gap()
        try:
            changes = self._teller.take(item)
        except (
            Exception
        ):  # one message that we cannot digest never stops the others; the report needs its trace
            self.indigestible += 1
            log.exception("message_not_understood", pbx=self._pbx_id)
            return
        await self._keep(changes)
        if isinstance(item, LinkUp | LinkDown):
            self._service.board.publish(self._feed.link_state())

    async def _close_gap(self) -> None:
        """Before the snapshot: what CEL knows of the time in which we saw nothing."""
        since = self._teller.gap_from
        if self._cel is None or since is None:
            return
        try:
            earlier, rows = await asyncio.to_thread(self._cel.rows_since, since)
        except OSError as trouble:
            log.warning("cel_unreadable", pbx=self._pbx_id, problem=str(trouble))
            return
        self._teller.learn(earlier)
        await self._keep(self._teller.close_gap(rows))

    async def _keep(self, changes: Sequence[CallChange]) -> None:
        for change in changes:
            if change.absorbed:
                self._service.board.forget(change.absorbed)
            self._service.board.publish(change.facts)
        if changes and self._service.spool is not None:
            await self._service.spool.record(changes)

    async def rest(self) -> None:
        """Let ended calls be forgotten in quiet times."""
        while True:
            await asyncio.sleep(REST_SECONDS)
            await self._keep(self._teller.rest(time.time() - 1.0))

    async def tell_link(self, *, also_elsewhere: bool) -> None:
        """Tell the board, and a web process elsewhere, how the link is."""
        told: tuple[bool, str | None, int] | None = None
        while True:
            state = self._feed.link_state()
            said: tuple[bool, str | None, int] | None = (
                state.connected,
                state.problem,
                round(state.lag_seconds),
            )
            if said != told:
                self._service.board.publish(state)
                if also_elsewhere:
                    try:
                        await self._service.store.relay.tell_link(state)
                    except SwitchhookError:
                        said = None  # the database is away; say it again
                told = said
            await asyncio.sleep(LINK_STATE_SECONDS)


async def _prune(service: Service) -> None:
    """Forget raw messages past their days."""
    days = service.settings.keep.trace_days
    while True:
        try:
            gone = await service.store.journal.prune(datetime.now(UTC) - timedelta(days=days))
            if gone:
                log.info("traces_pruned", lines=gone)
        except SwitchhookError as trouble:
            log.warning("traces_not_pruned", problem=str(trouble))
        await asyncio.sleep(PRUNE_SECONDS)
