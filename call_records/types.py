"""What the store hands out and takes in: plain frozen values, no SQL. Pages and tests are written against these."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from call_records.crm.exports.exports import ExportDesk
from call_records.crm.imports.jobs import ImportDesk
from call_records.crm.lead_rules.types import BlockedNumbers, CampaignBook, LeadRules
from call_records.crm.missed_calls.types import Missed
from call_records.crm.types import Book, BookNews, Deals, Matching, Office, Pipelines, Tasks, Timelines
from call_records.crm.web_forms.forms import WebForms
from call_records.recordings.types import (
    Audit,
    Comments,
    Editor,
    RecordingCatalogue,
    Retention,
    ShareLinks,
    Shelf,
)
from call_records.reviews.types import Reviews
from telephony.call_facts.facts import CallFacts, Direction, Disposition
from telephony.edit_version import edit_version
from telephony.endpoint_directory import EndpointSource, KnownEndpoint
from telephony.recordings import DEFAULT_RIGHTS, DEFAULT_SCOPE, HearScope, RecordingRight
from telephony.staff import DEFAULT_ALERTS, Directory, PopPreference, RingAlert, Role, TokenScope


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; None means any."""

    direction: Direction | None = None
    disposition: Disposition | None = None
    party: str | None = None
    """An extension of ours that took part."""
    number: str | None = None
    """Any spelling of an outside number, whole or its last digits (at least 3)."""
    since: datetime | None = None
    until: datetime | None = None
    queue: str | None = None
    """The name of the queue it came through."""
    ids: frozenset[UUID] | None = None
    """Only among these calls: how a page that is open asks for the rows that changed."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """One page of the list, newest first. `older` is passed back as `cursor` for the next page; None at the end."""

    calls: tuple[CallFacts, ...]
    older: str | None


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may sign in. `extensions` are their handsets; an account without one never gets a card."""

    id: UUID
    login: str
    name: str
    role: Role
    extensions: tuple[str, ...]
    pop: PopPreference
    password_hash: str
    active: bool
    created_at: datetime
    team: str | None = None
    hears_chosen: HearScope | None = None
    """Whose calls it may hear, where somebody chose; see `hears`."""
    rights_chosen: frozenset[RecordingRight] | None = None
    person_id: UUID | None = None
    """Whose account it is; what they own is kept under this id."""
    alerts: frozenset[RingAlert] = DEFAULT_ALERTS
    language: str | None = None
    """What they read the pages in, as HTML names it (`pt-BR`); None: as the browser says."""
    password_temporary: bool = False
    """Whether the password was made by an administrator, who has seen it: another one must be chosen first."""
    version: int = field(default=1, compare=False)
    """Counts what administrators decided about it; see `Accounts.update`."""

    @property
    def hears(self) -> HearScope:
        """Whose calls it may hear: what was chosen, else the role's default."""
        return self.hears_chosen or DEFAULT_SCOPE[self.role]

    @property
    def recording_rights(self) -> frozenset[RecordingRight]:
        """What it may do with those besides: what was chosen, else the role's default."""
        return DEFAULT_RIGHTS[self.role] if self.rights_chosen is None else self.rights_chosen


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser. Only the hash of its token is kept."""

    id: UUID
    account_id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    browser: str


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A personal token for programs. Only the hash is kept; the token is shown once."""

    id: UUID
    account_id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None
    scopes: frozenset[TokenScope] = frozenset(TokenScope)
    expires_at: datetime | None = None
    """None: never."""


@dataclass(frozen=True, slots=True)
class TryLimit:
    """How many tries may be made of one kind, within how long."""

    bucket: str
    """What is counted together. Only a digest of it is kept."""
    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody typed during or after a call."""

    call_id: UUID
    account_id: UUID
    author: str
    text: str
    updated_at: datetime


class CallQueries(Protocol):
    """Reading the journal."""

    async def page(self, wanted: CallFilter, *, limit: int = 50, cursor: str | None = None) -> CallPage: ...

    async def one(self, call_id: UUID) -> CallFacts | None:
        """The call with this id, or the one it was merged into; None when there is none."""

    async def several(self, ids: Sequence[UUID]) -> Mapping[UUID, CallFacts]:
        """These calls, by the id that was asked for; one that was merged is the call it became part of."""

    async def queues(self) -> Sequence[str]:
        """The names of all queues that calls came through, in order."""

    async def last_with(self, number: str, *, before: datetime) -> CallFacts | None:
        """The newest ended call with that outside number: the card's 'last conversation' line."""


class CallTraces(Protocol):
    """The raw messages kept behind calls, for a capture that goes with a report."""

    async def family(self, call_id: UUID) -> Sequence[UUID]:
        """The call and those it shares channels with: consultations about it, or the call it was about."""

    async def trace_of(self, call_id: UUID) -> Sequence[Mapping[str, Any]]:
        """The messages of one call, in order; empty once they are no longer kept."""


class Accounts(Protocol):
    """People who sign in."""

    async def any_exist(self) -> bool: ...
    async def create(
        self,
        *,
        login: str,
        name: str,
        role: Role,
        password_hash: str,
        extensions: Sequence[str],
        pop: PopPreference,
        password_temporary: bool = False,
    ) -> Account:
        """Raises PeerMistake when the login is taken."""

    async def create_first(self, *, login: str, name: str, password_hash: str) -> Account | None:
        """The first administrator; None when somebody was quicker (decided by the database)."""

    async def by_login(self, login: str) -> Account | None: ...
    async def by_id(self, account_id: UUID) -> Account | None: ...
    async def all(self) -> Sequence[Account]: ...
    async def update(self, account: Account) -> Account:
        """Store what administrators decide: names, role, extensions, team, rights, whether it may sign in. Neither the
        password nor the card's preference. One that is switched off loses its sessions and tokens.

        Raises ChangedMeanwhile when `version` is no longer the newest, PeerMistake when the login is taken or nobody
        would be left to administer.
        """

    async def set_pop(self, account_id: UUID, pop: PopPreference) -> Account:
        """When its card opens, and nothing else."""

    async def set_password(
        self, account_id: UUID, password_hash: str, *, instead_of: str | None, temporary: bool = False
    ) -> Account:
        """Another password, and nothing else. `instead_of` is the hash that was proven: raises ChangedMeanwhile when
        it is another one by now. None: whoever asks need not know the old one.
        """

    async def reset_password(
        self, account_id: UUID, password_hash: str, *, temporary: bool, keep_session: UUID | None = None
    ) -> Account:
        """Another password; all sessions (but one) and all tokens end with the old one, in the same moment."""

    async def set_alerts(self, account_id: UUID, alerts: Collection[RingAlert]) -> None: ...

    async def set_language(self, account_id: UUID, language: str | None) -> Account: ...


class Sessions(Protocol):
    """Signed-in browsers, revocable one by one."""

    async def open(
        self,
        *,
        account_id: UUID,
        token_hash: bytes,
        expires_at: datetime,
        browser: str,
        password_hash: str | None = None,
    ) -> Session:
        """A new session. Raises ChangedMeanwhile when the account's password is no longer the one that was proven."""

    async def find(self, token_hash: bytes) -> tuple[Session, Account] | None:
        """The live session and its active account; None when unknown, expired, revoked or the account is off."""

    async def of_account(self, account_id: UUID) -> Sequence[Session]: ...
    async def revoke(self, session_id: UUID) -> None: ...
    async def revoke_all(self, account_id: UUID, *, keep: UUID | None = None) -> None: ...


class ApiTokens(Protocol):
    """Tokens for programs."""

    async def create(
        self,
        *,
        account_id: UUID,
        name: str,
        token_hash: bytes,
        scopes: frozenset[TokenScope] = frozenset(TokenScope),
        expires_at: datetime | None = None,
        password_hash: str | None = None,
    ) -> ApiToken:
        """A new token. Raises ChangedMeanwhile when the account's password is no longer `password_hash`."""

    async def find(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        """The token and its active account; None when unknown, expired, revoked or the account is off."""

    async def of_account(self, account_id: UUID) -> Sequence[ApiToken]: ...
    async def revoke(self, token_id: UUID, *, account_id: UUID) -> None: ...
    async def revoke_all(self, account_id: UUID) -> int:
        """End every token of the account; how many there were."""


class SignInTries(Protocol):
    """Tries at signing in, counted for all web processes together."""

    async def take(self, limits: Sequence[TryLimit]) -> Sequence[int] | None:
        """Count one try in each; None, and nothing is counted, when one of them is used up."""

    async def give_back(self, tries: Sequence[int]) -> None:
        """These were right, so they do not count."""


@dataclass(frozen=True, slots=True)
class FormAnswer:
    """What is known of a form that arrived before."""

    location: str | None
    """Where it led; None while it is being carried out."""


class FormAnswers(Protocol):
    """Forms that arrived, so that each is carried out once by all web processes together."""

    async def begin(self, form: bytes, *, running_seconds: float) -> FormAnswer | None:
        """None: it is the caller's to carry out. One begun longer than `running_seconds` ago counts as given up."""

    async def finish(self, form: bytes, location: str | None) -> None:
        """Where it leads; None when it was refused and may be sent again."""


@dataclass(frozen=True, slots=True)
class RecentChange:
    """The last change of one thing."""

    account_id: UUID
    name: str
    at: datetime


class RecentChanges(Protocol):
    """Who changed what within the last day."""

    async def add(self, thing: UUID, *, by: UUID) -> None:
        """Somebody changed it now."""

    async def last(self, thing: UUID) -> RecentChange | None:
        """The last change of it."""


class Notes(Protocol):
    """Notes on calls; one text per call and author."""

    async def of_call(self, call_id: UUID) -> Sequence[Note]: ...
    async def of_calls(self, ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Note]]:
        """The notes of these calls, oldest first, by the id of the call that has them; calls without are left out."""

    async def save(self, *, call_id: UUID, account_id: UUID, text: str) -> Note:
        """Store the author's text (an empty one removes it), following redirects of merged calls."""


@dataclass(frozen=True, slots=True)
class KnownPhone:
    """An extension that a PBX has or had, or that somebody named."""

    extension: str
    person_id: UUID | None
    """Who answers it; None: nobody was named yet."""
    pbx: str | None
    label: str | None
    seen_at: datetime | None
    gone_at: datetime | None
    """When the PBX no longer had it."""


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A person of ours, as the staff page shows them. Account, CRM user and e-mail are optional."""

    id: UUID | None
    """None: is to be made."""
    name: str
    extensions: tuple[str, ...]
    team: str | None = None
    email: str | None = None
    crm_user: str | None = None
    account_id: UUID | None = None
    left_at: datetime | None = None

    @property
    def edit_version(self) -> str:
        """Of what a person changes in it."""
        return edit_version((self.name, sorted(self.extensions), self.team, self.email, self.crm_user))


class StaffBook(Protocol):
    """People and their extensions, with or without an account."""

    async def directory(self) -> Directory:
        """Accounts and people without one, together."""

    async def put_person(self, *, name: str, extensions: Sequence[str], team: str | None = None) -> None:
        """Add or rename a person without an account, found by extension."""

    async def seen(self, pbx: str, extensions: Sequence[str], *, at: datetime) -> None:
        """These are the phones of that PBX now."""

    async def members(self) -> Sequence[StaffMember]:
        """Everybody, by name; those who left last."""

    async def put_member(self, member: StaffMember, *, seen: str | None = None) -> StaffMember:
        """Store them, found by `id`. Of somebody with an account only e-mail and CRM user are taken: the rest is changed
        with the account, which decides who hears whom. Raises PeerMistake when an extension is an account's,
        ChangedMeanwhile unless their edit version is still `seen`.
        """

    async def leave(self, person_id: UUID, *, at: datetime | None) -> None:
        """They left: their phones wait for somebody else, their name stays on what they owned. None: they are back."""

    async def phones(self) -> Sequence[KnownPhone]:
        """Every extension that was ever seen or named, by number."""


class Endpoints(Protocol):
    """Whose phones the endpoints of the PBXes are, as it was learned last."""

    async def list_known(self, pbx: str) -> tuple[KnownEndpoint, ...]:
        """Everything known of that PBX's endpoints."""

    async def list_all(self) -> Mapping[str, tuple[KnownEndpoint, ...]]:
        """Everything known, by PBX."""

    async def replace_known(
        self, pbx: str, sources: Collection[EndpointSource], known: Iterable[KnownEndpoint]
    ) -> None:
        """These, and nothing else, are known from these sources now."""

    async def say(self, pbx: str, endpoint: str, extension: str | None) -> None:
        """An administrator says whose phone it is; None: it is a trunk."""

    async def unsay(self, pbx: str, endpoint: str) -> None:
        """An administrator takes back what they said."""


class Records(Protocol):
    """The opened store, as `call_records.store.open_records` hands it out."""

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
    reviews: Reviews
    office: Office
    matching: Matching
    book_news: BookNews
    deals: Deals
    pipelines: Pipelines
    tasks: Tasks
    book: Book
    timelines: Timelines
    rules: LeadRules
    blocklist: BlockedNumbers
    campaigns: CampaignBook
    imports: ImportDesk
    exports: ExportDesk
    forms: WebForms

    @property
    def missed(self) -> Missed:
        """Whom we owe a call."""

    async def ready(self) -> str | None:
        """None when the database answers and its schema is current; else one sentence with the remedy."""
