"""Open the store and hand out its parts. Everything that waits for the database waits for a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import cast

from sqlalchemy import make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.accounts.accounts import AccountBook, SessionBook, TokenBook
from call_records.accounts.sign_in_tries import SignInTriesBook
from call_records.accounts.staff import StaffPages
from call_records.calls.endpoints import EndpointBook
from call_records.calls.journal import CallJournal
from call_records.calls.notes import NoteBook
from call_records.calls.outbox import Outbox
from call_records.calls.queries import CallList
from call_records.calls.relay import CallRelay
from call_records.crm.contacts.contacts import ClientBook
from call_records.crm.contacts.number_matching import NumberMatcher
from call_records.crm.deals.deals import DealBook
from call_records.crm.deals.pipelines import PipelineBook
from call_records.crm.deals.tasks import TaskBook
from call_records.crm.exports.exports import ExportDesk
from call_records.crm.imports.jobs import ImportDesk
from call_records.crm.lead_rules.blocklist import Blocklist
from call_records.crm.lead_rules.campaigns import Campaigns
from call_records.crm.lead_rules.rules import LeadRuleBook
from call_records.crm.lead_rules.types import BlockedNumbers, CampaignBook, LeadRules
from call_records.crm.missed_calls.missed_calls import MissedBook
from call_records.crm.notifications import BookNotices
from call_records.crm.office_settings import OfficeValues
from call_records.crm.timeline.timeline import TimelineBook
from call_records.crm.types import Book, BookNews, Deals, Matching, Office, Pipelines, Tasks, Timelines
from call_records.crm.web_forms.forms import WebForms
from call_records.crm.writes import Home
from call_records.db import schema
from call_records.db.engine import open_engine
from call_records.db.errors import plain_errors
from call_records.db.form_answers import FormAnswersBook
from call_records.db.recent_changes import RecentChangesBook
from call_records.deliveries.records import DeliveryRecords
from call_records.recordings.catalogue.audit import AuditLog
from call_records.recordings.catalogue.catalogue import Catalogue
from call_records.recordings.catalogue.comments import CommentBook
from call_records.recordings.catalogue.share_links import LinkBook
from call_records.recordings.encoding.editing import AudioEditor
from call_records.recordings.retention.retention import RetentionDesk
from call_records.recordings.storage import integrity
from call_records.recordings.storage.audio_store import AudioShelf, NoShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import (
    Audit,
    Comments,
    Editor,
    RecordingCatalogue,
    Retention,
    ShareLinks,
    Shelf,
)
from call_records.reviews.desk import ReviewDesk
from call_records.reviews.types import Reviews
from call_records.types import (
    Accounts,
    ApiTokens,
    CallQueries,
    CallTraces,
    Endpoints,
    FormAnswers,
    Notes,
    RecentChanges,
    Sessions,
    SignInTries,
    StaffBook,
)
from telephony.errors import NeedsPerson, SwitchhookError

GOODBYE_SECONDS = 0.7  # a healthy server takes milliseconds
HOME = Home()


@dataclass(slots=True)
class RecordsStore:
    """The opened store: what `call_records.types.Records` promises, and what the bridge writes with."""

    engine: AsyncEngine
    calls: CallQueries
    accounts: Accounts
    sessions: Sessions
    tokens: ApiTokens
    sign_in_tries: SignInTries
    form_answers: FormAnswers
    recent_changes: RecentChanges
    notes: Notes
    staff: StaffBook
    endpoints: Endpoints
    traces: CallTraces
    recordings: RecordingCatalogue
    shelf: Shelf
    editor: Editor
    comments: Comments
    links: ShareLinks
    audit: Audit
    retention: Retention
    keeper: RetentionDesk
    """The same as `retention`, with what the service itself does."""
    reviews: Reviews
    office: Office
    rules: LeadRules
    blocklist: BlockedNumbers
    campaigns: CampaignBook
    matching: Matching
    book_news: BookNews
    deals: Deals
    pipelines: Pipelines
    tasks: Tasks
    book: Book
    timelines: Timelines
    missed: MissedBook
    exports: ExportDesk
    forms: WebForms
    imports: ImportDesk
    catalogue: Catalogue
    journal: CallJournal
    outbox: Outbox
    deliveries: DeliveryRecords
    relay: CallRelay
    home: Home
    """How numbers are written in this office."""

    async def upgrade(self) -> None:
        """Bring the tables up to date. Raises TryLater when the database is away, NeedsPerson when it refuses us."""
        with plain_errors():
            await schema.upgrade(self.engine)

    async def ready(self) -> str | None:
        """None when the database answers and its schema is current; else one sentence with the remedy."""
        try:
            await self.refuse_other_tables()
        except SwitchhookError as trouble:
            return trouble.sentence
        return None

    async def refuse_other_tables(self) -> None:
        """For who must not change them: raises NeedsPerson unless the tables are those of this release."""
        with plain_errors():
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                present = await connection.run_sync(schema.present_revision)
        schema.refuse_newer(present)
        if present != schema.newest_revision():
            raise NeedsPerson(
                "The database's tables are not those of this release.", remedy="Run `switchhook migrate`."
            )


@asynccontextmanager
async def open_records(
    url: str, *, migrate: bool = True, audio: AudioSettings | None = None, home: Home = HOME
) -> AsyncIterator[RecordsStore]:
    """The store at that address (`postgresql://…`), its tables brought up to date first unless told not to.

    `audio` says where recordings are kept; without it their rows can be read and their sound cannot. `home` says how
    numbers are written in this office.

    Raises TryLater when the database is away and NeedsPerson when somebody must correct something.
    """
    address = address_of(url)
    engine = open_engine(address)
    store = _store(engine, audio, home)
    store.editor = editor = AudioEditor(engine, store.recordings, store.shelf, store.retention, audio)
    try:
        if migrate:
            await store.upgrade()
        yield store
    finally:
        await store.imports.close()
        await editor.close()
        # Saying goodbye to a database that hangs must not keep a service from stopping.
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await engine.dispose()


def _store(engine: AsyncEngine, audio: AudioSettings | None, home: Home) -> RecordsStore:
    shelf = AudioShelf(engine, audio) if audio is not None else NoShelf()
    keeper = RetentionDesk(engine, shelf)
    if audio is not None and isinstance(shelf, AudioShelf):
        keeper = RetentionDesk(engine, shelf, arrivals=audio.arrivals, sweep=partial(integrity.sweep, shelf))
    return RecordsStore(
        engine=engine,
        calls=CallList(engine),
        accounts=AccountBook(engine),
        sessions=SessionBook(engine),
        tokens=TokenBook(engine),
        sign_in_tries=SignInTriesBook(engine),
        form_answers=FormAnswersBook(engine),
        recent_changes=RecentChangesBook(engine),
        notes=NoteBook(engine),
        staff=StaffPages(engine),
        endpoints=EndpointBook(engine),
        traces=CallJournal(engine),
        recordings=Catalogue(engine),
        shelf=shelf,
        editor=cast(Editor, None),
        comments=CommentBook(engine),
        links=LinkBook(engine),
        audit=AuditLog(engine),
        reviews=ReviewDesk(engine),
        office=OfficeValues(engine),
        rules=LeadRuleBook(engine, home),
        blocklist=Blocklist(engine, home),
        campaigns=Campaigns(engine, home),
        matching=NumberMatcher(engine, home),
        book_news=BookNotices(engine),
        deals=DealBook(engine, home),
        pipelines=PipelineBook(engine),
        tasks=TaskBook(engine),
        book=ClientBook(engine, home),
        timelines=TimelineBook(engine),
        missed=MissedBook(engine, home),
        imports=ImportDesk(engine, home),
        exports=ExportDesk(engine),
        forms=WebForms(engine, home),
        home=home,
        retention=keeper,
        keeper=keeper,
        catalogue=Catalogue(engine),
        journal=CallJournal(engine),
        outbox=Outbox(engine),
        deliveries=DeliveryRecords(engine),
        relay=CallRelay(engine),
    )


def address_of(url: str) -> URL:
    """The address as our driver wants it: `postgres://` and libpq's `sslmode` are understood too."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise _bad_address() from None  # the cause would repeat the password
    if address.get_backend_name() not in ("postgresql", "postgres"):
        raise _bad_address()
    query = {name: value for name, value in address.query.items() if name != "sslmode"}
    if "sslmode" in address.query:
        query["ssl"] = address.query["sslmode"]
    return address.set(drivername="postgresql+asyncpg", query=query)


def _bad_address() -> NeedsPerson:
    return NeedsPerson(
        "[database] url is not the address of a PostgreSQL database.",
        remedy="Write it as postgresql://user:password@host/database, special characters percent-encoded.",
    )
