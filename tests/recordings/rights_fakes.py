"""An office whose recordings some may hear and others not, over a real database, served on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
from sqlalchemy import update

from call_records.recordings.ingest.uploads import UploadDesk
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.tables import recordings
from call_records.recordings.types import AuditEntry, AuditFilter, Removal
from call_records.store import RecordsStore, open_records
from call_records.types import Account
from telephony.call_facts.facts import CallFacts
from telephony.recordings import HearScope, RecordingRight, RecordingState
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.recordings.player_fakes import VISITS
from tests.recordings.recording_builder import arrival, outcome
from tests.web import office
from tests.web.conftest import Person
from tests.web.fakes import CHEAP, FakeLive, cheap_passwords
from web.app import create_app
from web.auth.access import token_hash
from web.http.server import serve
from web.settings import WebSettings

SETTINGS = WebSettings(region="RU", setup_code="blue-heron", heartbeat_seconds=0.2, session_check_seconds=0.1)
SOUND = os.urandom(3000)
PASSWORD = "correct horse"
UPLOAD_TOKEN = "0123456789abcdef0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Somebody:
    """An account of the office."""

    login: str
    role: Role
    extensions: tuple[str, ...] = ()
    team: str | None = None
    hears: HearScope | None = None
    rights: frozenset[RecordingRight] | None = None


STAFF = (
    Somebody("anna", Role.MANAGER, ("101",), "sales"),
    Somebody("boris", Role.MANAGER, ("102",), "sales"),
    Somebody("vera", Role.MANAGER, ("201",), "support"),
    Somebody("mate", Role.MANAGER, ("103",), "sales", HearScope.TEAM),
    Somebody("teamless", Role.MANAGER, ("104",), None, HearScope.TEAM),
    Somebody("deaf", Role.MANAGER, ("105",), "sales", HearScope.NONE),
    Somebody("lead", Role.SUPERVISOR, (), "support", HearScope.TEAM),
    Somebody("chief", Role.SUPERVISOR),
    Somebody("admin", Role.ADMINISTRATOR),
)


@dataclass
class Hall:
    """The running application, its store, and what was recorded in it."""

    store: RecordsStore
    live: FakeLive
    address: str
    accounts: dict[str, Account]
    recordings: dict[str, UUID] = field(default_factory=dict)
    calls: dict[str, CallFacts] = field(default_factory=dict)

    def browser(self) -> aiohttp.ClientSession:
        """A browser that nobody has signed in."""
        return aiohttp.ClientSession(self.address, cookie_jar=aiohttp.CookieJar(unsafe=True))

    @contextlib.asynccontextmanager
    async def signed_in(self, login: str) -> AsyncIterator[Person]:
        """Somebody at a browser."""
        async with self.browser() as http:
            person = Person(http)
            assert await person.sign_in(login, PASSWORD) == 303
            yield person

    @contextlib.asynccontextmanager
    async def program(self, login: str) -> AsyncIterator[aiohttp.ClientSession]:
        """A program with a personal token of that account."""
        token = f"token-of-{login}"
        if await self.store.tokens.find(token_hash(token)) is None:
            await self.store.tokens.create(
                account_id=self.accounts[login].id, name="test", token_hash=token_hash(token)
            )
        async with aiohttp.ClientSession(self.address, headers={"Authorization": f"Bearer {token}"}) as http:
            yield http

    async def give(self, login: str, **different: Any) -> Account:
        """Change an account behind the pages' back."""
        self.accounts[login] = await self.store.accounts.update(replace(self.accounts[login], **different))
        return self.accounts[login]

    async def log(self, **wanted: Any) -> Sequence[AuditEntry]:
        """Lines of the audit log, oldest first; who signed in and out only where that is asked for."""
        lines = await self.store.audit.page(AuditFilter(**wanted), limit=500)
        return [line for line in reversed(lines) if "action" in wanted or line.action not in VISITS]

    async def link(self, name: str, *, token: str = "t" * 43, **different: Any) -> str:
        """A shared link; returns its path."""
        given = {
            "recording_id": self.recordings[name],
            "token_hash": token_hash(token),
            "from_seconds": None,
            "to_seconds": None,
            "made_by": self.accounts["chief"].id,
            "expires_at": datetime.now(UTC) + timedelta(days=1),
        }
        await self.store.links.make(**(given | different))
        return f"/listen/{token}"


async def record(hall: Hall, name: str, facts: CallFacts, **different: Any) -> UUID:
    """A call with a playable recording."""
    uniqueid = f"hq-1795311120.{len(hall.recordings) + 1}"
    told = replace(facts, recordings=(f"/var/spool/asterisk/secret/{uniqueid}.wav",))
    await hall.store.journal.record([change(told, aliases=(uniqueid,))])
    found = await hall.store.recordings.of_call(facts.id)
    receipt = await hall.store.catalogue.arrived(arrival(found[0].name, content=uniqueid, pbx=facts.pbx))
    await hall.store.catalogue.processed(
        receipt.recording_id, outcome(**different), facts.started_at, keep_until=None
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sound.m4a"
        file.write_bytes(SOUND)
        await hall.store.shelf.keep(receipt.recording_id, file)
    hall.recordings[name], hall.calls[name] = receipt.recording_id, told
    return receipt.recording_id


async def _fill(hall: Hall) -> None:
    """annas: 101 talked while 102 only rang. moved: 101, transferred to 201. sold: 102. homeless: no call."""
    begin = office.NOON
    rang = office.ringing("101", "102", number="+79160000011", name="Garden", begin=begin)
    await record(hall, "annas", office.over(office.picked_up(rang, "101"), 66))
    hour = begin + timedelta(hours=1)
    moved = office.picked_up(office.ringing("101", number="+79160000012", begin=hour), "101")
    moved = office.target_answers(office.transferred(moved, "101", "201", 40), "201", 45)
    await record(hall, "moved", office.over(moved, 90))
    sold = office.outgoing("102", "+79160000013", begin=begin + timedelta(hours=2), talk=60)
    await record(hall, "sold", sold)
    receipt = await hall.store.catalogue.arrived(arrival("hq-1795300000.77", content="homeless"))
    await hall.store.catalogue.processed(receipt.recording_id, outcome(), begin, keep_until=None)
    hall.recordings["homeless"] = receipt.recording_id


@contextlib.asynccontextmanager
async def open_hall(url: str, folder: Path, settings: WebSettings = SETTINGS) -> AsyncIterator[Hall]:
    """Serve the office over that database until the block is left."""
    audio = AudioSettings(folder / "audio")
    async with (
        open_records(url, migrate=False, audio=audio) as store,
        _serve(store, settings, folder) as hall,
    ):
        yield hall


@contextlib.asynccontextmanager
async def _serve(store: RecordsStore, settings: WebSettings, folder: Path) -> AsyncIterator[Hall]:
    live = FakeLive()
    hall = Hall(store, live, "", {})
    hashed = CHEAP.hash(PASSWORD)
    for one in STAFF:
        made = await store.accounts.create(
            login=one.login,
            name=one.login.title(),
            role=one.role,
            password_hash=hashed,
            extensions=one.extensions,
            pop=PopPreference.ON_RING,
        )
        changed = replace(made, team=one.team, hears_chosen=one.hears, rights_chosen=one.rights)
        hall.accounts[one.login] = await store.accounts.update(changed)
    await _fill(hall)
    arrivals = folder / "audio" / "arrivals"
    desk = UploadDesk(arrivals, {"hq": UPLOAD_TOKEN}, store.catalogue, most_bytes=1_000_000, reserve_bytes=0)
    app = create_app(store, live, settings, passwords=cheap_passwords(), uploads=desk)
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
    try:
        async with asyncio.timeout(10):
            hall.address = f"http://127.0.0.1:{await port}"
        await app.state.hub.refresh_names()
        yield hall
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


async def bury(hall: Hall, name: str) -> None:
    """The recording was removed by a rule."""
    gone = Removal("retention rules", datetime.now(UTC), "older than 365 days")
    values = {
        "state": RecordingState.REMOVED.value,
        "removal": {"by": gone.by, "at": gone.at.isoformat(), "why": gone.why},
    }
    async with hall.store.engine.begin() as connection:
        await connection.execute(
            update(recordings).where(recordings.c.id == hall.recordings[name]).values(values)
        )
