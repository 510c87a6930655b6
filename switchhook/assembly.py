"""Opens everything in order, wires it together, closes it in reverse.

One process by default: database, then the journal with its spool, then one bridge per PBX, then the pages. With
`only="bridge"` and `only="web"` the same parts run in two processes over one database. SIGTERM or SIGINT stops all of
it within five seconds; what is not yet in the database by then waits in the spool for the next start.

A database that is away at the start keeps nothing from starting: the observers read and hold, the pages say so, and
everything goes on where it was once the database answers. One that refuses us (a wrong password) ends the start with a
sentence, because only a person can change that. A part that dies of a mistake of ours ends the process loudly.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog
from prometheus_client import CollectorRegistry

from ami_bridge.actions import ActionChannel
from ami_bridge.agi.server import EVERYONE, GROUP_ONLY, FastAgiServer
from ami_bridge.interpreter import WANTED, WANTED_ONLY_WITH
from ami_bridge.observer import Observer
from call_records.accounts.setup_code import forget_setup_code, share_setup_code
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.writes import Home
from call_records.postgres.cluster import EmbeddedPostgres
from call_records.recordings.ingest.uploads import UploadDesk
from call_records.store import RecordsStore, open_records
from switchhook import __version__
from switchhook.crm.desk import StoredDesk
from switchhook.crm.meters import CrmMeters
from switchhook.crm.sync import CrmSync
from switchhook.doctor.doctor import link_to
from switchhook.opening import open_store
from switchhook.pbx.caller_lookup import BookLookup
from switchhook.pbx.cel_sources import cel_source
from switchhook.pbx.details import PbxInquiry
from switchhook.pbx.endpoint_keeper import EndpointKeeper
from switchhook.pbx.meters import ServiceMeters
from switchhook.pbx.monitor import Bridge, RecordingDesk
from switchhook.pbx.numbering import numbering_of
from switchhook.pbx.phone_sync import RosterLine
from switchhook.pbx.recording_pipeline import RecordingLine
from switchhook.process.descriptors import raise_descriptor_limit, share_of_web
from switchhook.process.memory import exempt_startup_objects
from switchhook.process.service_parts import Part
from switchhook.process.stopping import leave_at_once, stop_on_signals
from switchhook.service_database import cluster_in
from switchhook.settings.audio import audio_settings
from switchhook.settings.reloading import Reloader
from switchhook.settings.settings import Settings, machine_time_zone
from switchhook.settings.tables import KeepSettings, PbxSettings
from telephony.errors import SwitchhookError, TryLater
from telephony.staff import Role
from web.app import create_app
from web.auth.access import Gate
from web.http.server import serve
from web.languages.catalogues import Languages
from web.languages.pseudo import offered_languages
from web.monitor import create_monitor
from web.settings import WebSettings

log = structlog.get_logger(__name__)

STORE_WATCH_SECONDS = 1.0  # how soon a database of our own that died is started again
STORE_RETRY_SECONDS = 2.0  # how soon one that was away at the start is asked again
DRAIN_SECONDS = 1.0  # for the journal at a stop; a healthy database needs a tenth of it
OWN_STORE_STOP_SECONDS = 1.5  # a clean stop takes 0.1 s; killed, it recovers at the next start
PRUNE_SECONDS = 6 * 3600.0
SETUP_LETTERS = (
    "abcdefghjkmnpqrstuvwxyz"  # none looks like another; digits would be masked in the log as a number
)
SETUP_LENGTH = 10  # 45 bits; tries are limited, and it is worth nothing once there is an administrator


@dataclass(slots=True)
class Service:
    """What runs, for whoever started it (the command line, the demo, a test)."""

    settings: Settings
    store: RecordsStore
    board: LiveBoard
    spool: SpoolingJournal | None
    line: RecordingLine | None = None
    """The way of recordings; None in a process that only serves pages."""
    crm: CrmSync | None = None
    """Delivers calls to CRMs; None where none is configured, and in a process that only serves pages."""
    bridges: dict[str, Bridge] = field(default_factory=dict)
    endpoints: dict[str, EndpointKeeper] = field(default_factory=dict)
    """Whose endpoints these are, by PBX."""
    inquiries: dict[str, PbxInquiry] = field(default_factory=dict)
    names: FastAgiServer | None = None
    """Tells the PBX who calls; None when it was not asked for."""
    web_port: int | None = None
    monitor_port: int | None = None
    """Where a process without pages is watched."""
    setup_code: str | None = None
    """The one-time code for the first administrator, where there is none yet; None when not known (yet)."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """The pages answer and the observers run."""
    store_ready: asyncio.Event = field(default_factory=asyncio.Event)
    """The database answers and its tables are those of this release."""

    def troubles(self) -> list[str]:
        """What the people who look after it should know now, one sentence each; empty when all is well."""
        told = []
        state = self.spool.state() if self.spool else None
        if state is not None and state.problem:
            told.append(" ".join(filter(None, (state.problem, state.remedy))))
        if state is not None and state.lost_changes and state.lost_from and state.lost_until:
            told.append(
                f"{state.lost_changes} changes of calls from {state.lost_from:%Y-%m-%d %H:%M} to "
                f"{state.lost_until:%H:%M} (UTC) were given up while the database was away; CEL closes the gap."
            )
        told += [
            f"The channel event log of {bridge.pbx} cannot be read: {bridge.cel_problem}"
            for bridge in self.bridges.values()
            if bridge.cel_problem
        ]
        told += [problem for inquiry in self.inquiries.values() if (problem := inquiry.problem())]
        told += self.line.troubles() if self.line else ()
        told += [self.names.problem] if self.names and self.names.problem else []
        told += [self.crm.problem] if self.crm and self.crm.problem else []
        return told


def run(settings: Settings, only: Part | None = None) -> None:
    """Run until SIGTERM or SIGINT, and end the process. Raises telephony.errors for what a person must hear."""
    asyncio.run(_run(settings, only))
    leave_at_once()


async def _run(settings: Settings, only: Part | None) -> None:
    raise_descriptor_limit()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    stop_on_signals(stop)
    loop.add_signal_handler(signal.SIGHUP, Reloader(settings))
    await serve_until(stop, settings, only=only, started=_tell_started)


def _tell_started(service: Service) -> None:
    exempt_startup_objects()
    if service.web_port is not None:
        log.info("serving", address=f"http://{_shown_host(service.settings)}:{service.web_port}/")


def _shown_host(settings: Settings) -> str:
    host = settings.web.host
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - shown, not bound


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
    except BaseExceptionGroup as group:  # not except*: what is raised inside that is wrapped in a group again
        sentences = group.subgroup(SwitchhookError)
        if sentences is None:
            raise
        raise _first(sentences) from group


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
        audio = audio_settings(settings)
        home = home_of(settings)
        store = await stack.enter_async_context(open_records(url, migrate=False, audio=audio, home=home))
        board = LiveBoard()
        spool = None
        if only is not Part.WEB:
            spool = SpoolingJournal(store.journal, _state_dir(settings) / "spool")
            stack.callback(spool.close)
        line = RecordingLine(settings, store) if only is not Part.WEB else None
        service = Service(settings, store, board, spool, line)
        await _try_upgrade(service)
        yield service
        board.close()
        if spool is not None and service.store_ready.is_set():
            await _hand_over_rest(spool)


async def migrate(settings: Settings) -> None:
    """Bring the tables to this release and stop."""
    async with open_store(settings):
        pass


async def _try_upgrade(service: Service) -> None:
    """Bring the tables up to date, if the database answers."""
    try:
        await service.store.upgrade()
    except TryLater as trouble:
        log.warning("database_away_at_start", problem=str(trouble), remedy=trouble.remedy)
    else:
        service.store_ready.set()


async def _until_store_ready(service: Service) -> None:
    while not service.store_ready.is_set():
        await asyncio.sleep(STORE_RETRY_SECONDS)
        with suppress(TryLater):
            await service.store.upgrade()
            log.info("database_back")
            service.store_ready.set()


async def _hand_over_rest(spool: SpoolingJournal) -> None:
    """A last try to empty the spool; what does not get through in time is in its file."""
    last = asyncio.create_task(spool.run(), name="spool: last")
    await spool.emptied(within_seconds=DRAIN_SECONDS)
    last.cancel()
    await asyncio.wait([last], timeout=DRAIN_SECONDS)


async def _database(stack: AsyncExitStack, settings: Settings) -> str:
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    server = EmbeddedPostgres(cluster_in(_state_dir(settings)))
    url = await server.start()

    async def stop_server() -> None:
        await server.stop(within_seconds=OWN_STORE_STOP_SECONDS)

    stack.push_async_callback(stop_server)
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
        except (SwitchhookError, OSError) as trouble:
            remedy = getattr(trouble, "remedy", None)
            log.error("own_postgres_does_not_start", problem=str(trouble), remedy=remedy)


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
    running = [tasks.create_task(_until_store_ready(service), name="database")]

    def once_stored(part: Callable[[], Awaitable[None]], name: str) -> None:
        running.append(tasks.create_task(_once_stored(service, part), name=name))

    if only is Part.WEB:
        once_stored(lambda: service.store.relay.follow(service.board), "relay")
    elif service.spool is not None:
        once_stored(service.spool.run, "spool")
        once_stored(lambda: _prune(service), "prune")
        if service.line is not None:
            once_stored(service.line.run, "recordings")
        once_stored(service.store.reviews.picks.run, "review picks")
        once_stored(Bookkeeper(service.store.engine, steps_for(service.store.home)).run, "book")
        once_stored(service.store.missed.run, "missed calls")
        if service.settings.crm.connections:
            service.crm = CrmSync(service.settings, service.store, _state_dir(service.settings))
            once_stored(service.crm.run, "crm")
        for pbx in service.settings.pbx:
            keeper = EndpointKeeper(numbering_of(pbx), pbx.phones, service.store.endpoints)
            service.endpoints[pbx.id] = keeper
        if (names := _names_on_handsets(service)) is not None:
            running.append(tasks.create_task(names.keep_serving(), name="names on handsets"))
        for pbx in service.settings.pbx:
            actions = ActionChannel(link_to(pbx))
            bridge = _bridge(service, pbx, service.spool, actions)
            keeper = service.endpoints[pbx.id]
            roster = RosterLine(actions, bridge, keeper, service.store, service.board)
            once_stored(roster.run, f"phones {pbx.id}")
            inquiry = _inquiry(service, pbx, bridge, actions)
            running.append(tasks.create_task(inquiry.run(), name=f"details {pbx.id}"))
            work = bridge.run(service.store_ready, tell_link_elsewhere=only is Part.BRIDGE)
            running.append(tasks.create_task(work, name=f"bridge {pbx.id}"))
    if only is Part.BRIDGE:
        if service.settings.web.monitor_port is not None:
            tasks.create_task(_serve_monitor(service, stop), name="monitor")
        _started(service, started)
    else:
        tasks.create_task(_serve(service, stop, started, web_settings), name="web")
    return running


def _names_on_handsets(service: Service) -> FastAgiServer | None:
    """Who answers the PBX's question who calls; None when neither a port nor a socket was named."""
    wanted = service.settings.handsets
    if wanted.port is None and wanted.socket is None:
        return None
    service.names = FastAgiServer(
        {
            pbx_id: BookLookup(service.store, keeper.current_numbering)
            for pbx_id, keeper in service.endpoints.items()
        },
        host=wanted.host,
        port=wanted.port,
        unix_socket=wanted.socket,
        socket_mode=GROUP_ONLY if wanted.socket_for == "group" else EVERYONE,
        permit=[str(network) for network in wanted.permit],
    )
    return service.names


async def _once_stored(service: Service, part: Callable[[], Awaitable[None]]) -> None:
    await service.store_ready.wait()
    await part()


def _bridge(service: Service, pbx: PbxSettings, spool: SpoolingJournal, actions: ActionChannel) -> Bridge:
    observer = Observer(link_to(pbx), wanted=WANTED, only_with=WANTED_ONLY_WITH)
    bridge = Bridge(
        observer,
        numbering_of(pbx),
        service.store,
        service.board,
        spool,
        cel_source(pbx),
        actions=actions,
        endpoints=service.endpoints[pbx.id],
        clock_correction=observer.clock_correction,
    )
    service.bridges[pbx.id] = bridge
    return bridge


def _inquiry(service: Service, pbx: PbxSettings, bridge: Bridge, actions: ActionChannel) -> PbxInquiry:
    def count_phones() -> int:
        return sum(phone.pbx == pbx.id for phone in service.board.phones())

    service.inquiries[pbx.id] = PbxInquiry(
        pbx.id,
        actions,
        count_phones=count_phones,
        newest_cel_at=lambda: bridge.newest_cel_at,
        has_cel=pbx.cel_file is not None or pbx.cel_url is not None,
    )
    return service.inquiries[pbx.id]


def home_of(settings: Settings) -> Home:
    """How numbers are written in this office: as its first PBX dials them. And its clock."""
    zone = settings.web.time_zone or getattr(machine_time_zone(), "key", None) or "UTC"
    if not settings.pbx:
        return Home(zone=zone)
    first = settings.pbx[0]
    return Home(first.default_region, first.area_code or "", first.outside_prefix or "", zone)


def _started(service: Service, started: Callable[[Service], None] | None) -> None:
    service.ready.set()
    if started is not None:
        started(service)


def pages_of(settings: Settings, setup_code: str) -> WebSettings:
    """What the pages are told of the settings."""
    return WebSettings(
        public_url=settings.web.public_url,
        trusted_proxies=settings.web.trusted_proxies,
        metrics_token=settings.web.metrics_token.get_secret_value() if settings.web.metrics_token else None,
        time_zone=ZoneInfo(settings.web.time_zone) if settings.web.time_zone else machine_time_zone(),
        setup_code=setup_code,
        region=settings.pbx[0].default_region if settings.pbx else None,
        mask_numbers_for=frozenset(map(Role, settings.web.mask_numbers_for)),
        version=__version__,
        pseudo_language=settings.web.pseudo_language,
        numberings=tuple(map(numbering_of, settings.pbx)),
    )


async def _serve(
    service: Service,
    stop: asyncio.Event,
    started: Callable[[Service], None] | None,
    web_settings: WebSettings | None,
) -> None:
    settings = service.settings.web
    code: str | None = None
    if web_settings is None:
        code = "".join(secrets.choice(SETUP_LETTERS) for _ in range(SETUP_LENGTH))
        web_settings = pages_of(service.settings, code)
    registry = _registry(service)
    # Seconds of computing with many languages, in which AMI's events would wait.
    offered = await asyncio.to_thread(offered_languages, pseudo=web_settings.pseudo_language)
    app = create_app(
        service.store,
        service.board,
        web_settings,
        registry=registry,
        troubles=service.troubles,
        pbx_details=lambda: [inquiry.details() for inquiry in service.inquiries.values()],
        control=RecordingDesk(service.bridges) if service.spool is not None else None,
        uploads=_uploads(service),
        crm=_crm_desk(service),
        languages=Languages(offered),
    )
    async with asyncio.TaskGroup() as tasks:

        def bound(port: int) -> None:
            service.web_port = port
            _started(service, started)

        offering = tasks.create_task(_offer_setup(service, code, app.state.gate), name="first administrator")
        limits = share_of_web(raise_descriptor_limit())
        await serve(
            app, settings.host, settings.port, stop, bound=bound, trust=web_settings.trust, limits=limits
        )
        offering.cancel()


def _crm_desk(service: Service) -> StoredDesk | None:
    """What people see of CRM sync, in whichever process serves the pages."""
    crm = service.settings.crm
    return StoredDesk(crm, service.store.deliveries) if crm.connections else None


def _registry(service: Service) -> CollectorRegistry:
    registry = CollectorRegistry()
    intake = service.line.intake if service.line else None
    registry.register(ServiceMeters(service.bridges, service.spool, service.board, intake))
    if service.crm is not None:
        registry.register(CrmMeters(service.crm))
    return registry


async def _serve_monitor(service: Service, stop: asyncio.Event) -> None:
    """For a process without pages: whether it lives, whether it is ready, what it counts."""
    settings = service.settings.web
    web_settings = pages_of(service.settings, "")

    async def not_ready() -> list[str]:
        reasons = [
            f"phone system {link.pbx}: not connected" for link in service.board.links() if not link.connected
        ]
        return reasons + ([] if service.store_ready.is_set() else ["database: not ready"])

    def bound(port: int) -> None:
        service.monitor_port = port
        log.info("monitor_serving", address=f"http://{_shown_host(service.settings)}:{port}/metrics")

    app = create_monitor(web_settings, _registry(service), not_ready)
    limits = share_of_web(raise_descriptor_limit())
    port = settings.monitor_port or 0
    await serve(app, settings.host, port, stop, bound=bound, trust=web_settings.trust, limits=limits)


def _uploads(service: Service) -> UploadDesk | None:
    """Where remote PBXes send their recordings; None when none of them has a token."""
    tokens = {pbx.id: pbx.upload_token.get_secret_value() for pbx in service.settings.pbx if pbx.upload_token}
    if not tokens:
        return None
    return UploadDesk(audio_settings(service.settings).arrivals, tokens, service.store.catalogue)


async def _offer_setup(service: Service, code: str | None, gate: Gate) -> None:
    """Print the code for the first administrator, once it is certain that there is none. Several web processes over one
    database have one code, which the first of them prints; the others say that they take it too.
    """
    await asyncio.gather(service.store_ready.wait(), service.ready.wait())
    while code is not None:
        try:
            if await service.store.accounts.any_exist():
                await forget_setup_code(service.store.engine)
                return
            shared, ours = await share_setup_code(service.store.engine, code)
        except SwitchhookError:
            await asyncio.sleep(STORE_RETRY_SECONDS)
            continue
        service.setup_code = gate.setup_code = shared
        log.info("first_administrator", open=_welcome_address(service), code=shared, made_here=ours)
        return


def _welcome_address(service: Service) -> str:
    public = service.settings.web.public_url
    own = f"http://{_shown_host(service.settings)}:{service.web_port}"
    return f"{(public or own).rstrip('/')}/welcome"


async def _prune(service: Service) -> None:
    """Forget raw messages past their days, and events that no CRM needs any more."""
    while True:
        try:
            await prune_once(service.store, service.settings.keep, datetime.now(UTC))
        except SwitchhookError as trouble:
            log.warning("traces_not_pruned", problem=str(trouble))
        await asyncio.sleep(PRUNE_SECONDS)


CRM_EVENTS_DONE = timedelta(
    days=1
)  # what a CRM has taken is kept so long for whoever looks into what went out


CRM_DELIVERIES_REMEMBERED = timedelta(
    days=60
)  # beyond the events of a call: told again, it must still be known as delivered


async def prune_once(store: RecordsStore, keep: KeepSettings, now: datetime) -> None:
    """What is forgotten now."""
    lines = await store.journal.prune(now - timedelta(days=keep.trace_days))
    if lines:
        log.info("traces_pruned", lines=lines)
    events = await store.outbox.prune(
        done_before=now - CRM_EVENTS_DONE, owed_before=now - timedelta(days=keep.crm_event_days)
    )
    if events:
        log.info("crm_events_pruned", events=events)
    lanes = await store.deliveries.connections.prune_lanes(
        now - timedelta(days=keep.crm_event_days) - CRM_DELIVERIES_REMEMBERED
    )
    if lanes:
        log.info("crm_deliveries_pruned", calls=lanes)
