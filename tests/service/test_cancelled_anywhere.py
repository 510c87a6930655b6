"""Every long-running task ends within five seconds wherever a cancellation meets it: that is what a stop relies on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from ami_bridge.actions import ActionChannel
from ami_bridge.agi.server import FastAgiServer
from ami_bridge.observer import Observer
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.store import RecordsStore
from switchhook.assembly import serve_until
from switchhook.pbx.monitor import Bridge
from switchhook.pbx.phone_sync import RosterLine
from switchhook.pbx.recording_pipeline import RecordingLine
from switchhook.settings.settings import Settings
from switchhook.settings.tables import DatabaseSettings, PbxSettings
from switchhook.settings.tables import WebSettings as WebSection
from telephony.errors import TryLater
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from tests.ami_bridge.fake_ami import SECRET, USER, FakeAmi, serving
from tests.ami_bridge.test_observer import link_to
from tests.call_facts_builder import call, change
from tests.service.cancellation import Work, refusals

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.timeout(900),
    # asyncpg, torn away in the middle of a request that it is cancelling itself
    pytest.mark.filterwarnings("ignore:coroutine 'Connection._cancel' was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NUMBERING = Numbering(pbx="lab")


class AwayNowAndThen:
    """A journal that is away at the first request and slow at the others."""

    def __init__(self) -> None:
        self.asked = 0

    async def record(self, changes: Sequence[CallChange]) -> None:
        """Take them, or not."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked == 1:
            raise TryLater("The database does not answer.", remedy="Wait.")
        await asyncio.sleep(0.001)


@dataclass
class Ground:
    """What the parts of the service stand on."""

    records: RecordsStore
    settings: Settings
    ami: FakeAmi
    directory: Path

    def actions(self) -> ActionChannel:
        """A new action channel to the PBX."""
        return ActionChannel(link_to(self.ami))


@pytest.fixture
async def ground(records: RecordsStore, database_url: str, tmp_path: Path) -> AsyncIterator[Ground]:
    """A store with a call, a PBX, and settings that name both."""
    await records.journal.record([change(call())])
    async with serving(FakeAmi()) as ami:
        pbx = PbxSettings(
            id="lab", port=ami.port, username=USER, secret=SecretStr(SECRET), recordings_dir=tmp_path
        )
        settings = Settings(
            pbx=(pbx,),
            database=DatabaseSettings(url=SecretStr(database_url), state_dir=tmp_path / "state"),
            web=WebSection(port=0),
        )
        yield Ground(records, settings, ami, tmp_path)


def spool(ground: Ground) -> Work:
    """The journal's spool with something in it."""

    async def run() -> None:
        journal = SpoolingJournal(AwayNowAndThen(), ground.directory / "spool")
        try:
            await journal.record([change(call()) for _ in range(3)])
            await journal.run()
        finally:
            journal.close()

    return run


def observer(ground: Ground) -> Work:
    """The observing link."""
    return lambda: Observer(link_to(ground.ami)).run()


def bridge(ground: Ground) -> Work:
    """The line of one PBX, with its own link, the action channel and the sweep."""

    async def run() -> None:
        ready = asyncio.Event()
        ready.set()
        journal = SpoolingJournal(ground.records.journal, ground.directory / "bridge-spool")
        feed = Observer(link_to(ground.ami))
        line = Bridge(feed, NUMBERING, ground.records, LiveBoard(), journal, actions=ground.actions())
        try:
            await line.run(ready, tell_link_elsewhere=True)
        finally:
            journal.close()

    return run


def roster(ground: Ground) -> Work:
    """The phones of one PBX."""

    async def run() -> None:
        async with ground.actions() as actions:
            await RosterLine(actions, NUMBERING, ground.records, LiveBoard()).run()

    return run


def names_on_handsets(ground: Ground) -> Work:
    """Who answers the PBX's question who calls."""
    return lambda: FastAgiServer({}, host="127.0.0.1", port=0, permit=["127.0.0.1"]).keep_serving()


def recordings(ground: Ground) -> Work:
    """Policy, intake, pipeline and retention."""
    return lambda: RecordingLine(ground.settings, ground.records).run()


def book(ground: Ground) -> Work:
    """What calls leave in the book."""
    records = ground.records
    return lambda: Bookkeeper(records.engine, steps_for(records.home)).run()


async def everything(ground: Ground) -> None:
    """The whole service, from its first step on."""
    async with AsyncExitStack() as stop_set:
        stop = asyncio.Event()
        stop_set.callback(stop.set)
        await serve_until(stop, ground.settings)


PARTS: dict[str, Callable[[Ground], Work]] = {
    "spool": spool,
    "relay": lambda ground: lambda: ground.records.relay.follow(LiveBoard()),
    "observer": observer,
    "bridge": bridge,
    "roster": roster,
    "names on handsets": names_on_handsets,
    "recordings": recordings,
    "review picks": lambda ground: ground.records.reviews.picks.run,
    "book": book,
    "missed calls": lambda ground: ground.records.missed.run,
    "news of the book": lambda ground: lambda: ground.records.book_news.follow(lambda *_: None),
}


@pytest.mark.parametrize("part", PARTS)
async def test_it_ends_wherever_it_is_cancelled(ground: Ground, part: str) -> None:
    """Cancelled at each of its awaits, while it waits and together with the result."""
    tried, refused = await refusals(PARTS[part](ground))
    assert refused == []
    assert tried >= 2, "no await was met"


@pytest.mark.parametrize("files", ["switchhook/assembly.py", "web/live.py", "web/callers.py"])
async def test_the_whole_service_ends_wherever_it_is_cancelled(ground: Ground, files: str) -> None:
    """From its first step on: in what holds its parts together, and in the parts that only the pages have."""
    tried, refused = await refusals(lambda: everything(ground), files, 2.0)
    assert refused == []
    assert tried >= 2, "no await was met"


async def test_a_lost_cancellation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test itself sees what it is for: work that goes on after a cancellation that came with a result."""
    monkeypatch.setattr("tests.service.cancellation.OURS", (str(Path(__file__).parent),))
    monkeypatch.setattr("tests.service.cancellation.END_SECONDS", 0.2)
    first: list[asyncio.Future[None]] = []

    async def stubborn() -> None:
        ready = asyncio.get_running_loop().create_future()
        first.append(ready)
        asyncio.get_running_loop().call_later(0.01, ready.set_result, None)
        try:
            await ready
        except asyncio.CancelledError:
            if not ready.done() or ready.cancelled():
                raise
        await asyncio.sleep(3600)

    tried, refused = await refusals(stubborn)
    assert tried == 4
    assert len(refused) == 1
    assert "together with the result" in refused[0]
