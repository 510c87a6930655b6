"""An office in memory: the store and the live calls as the web part knows them, without a database or a
PBX.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from argon2 import PasswordHasher

from call_records.crm.types import CallPlace, ClientPage
from call_records.types import (
    Account,
    ApiToken,
    CallFilter,
    CallPage,
    FormAnswer,
    KnownPhone,
    Note,
    RecentChange,
    Session,
    StaffMember,
    TryLimit,
)
from telephony.call_facts.facts import CallFacts
from telephony.contacts import Match
from telephony.endpoint_directory import EndpointSource, KnownEndpoint
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.ports import LinkState
from telephony.presence import Phone
from telephony.staff import Directory, Person, PopPreference, RingAlert, Role, TokenScope
from tests.crm.deal_fakes import FakeDeals, FakePipelines, FakeTasks
from tests.crm.fakes import FakeMissed
from tests.recordings.player_fakes import (
    FakeAudit,
    FakeCatalogue,
    FakeComments,
    FakeEditor,
    FakeLinks,
    FakeRetention,
    FakeShelf,
)
from tests.reviews.fakes import FakeReviews
from web.auth.access import Passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Argon2 as weak as it goes: tests check who gets in, not how long it takes."""


def cheap_passwords() -> Passwords:
    """Passwords whose hashing takes no time."""
    return Passwords(CHEAP)


class FakeCalls:
    """The journal."""

    def __init__(self) -> None:
        self.kept: dict[UUID, CallFacts] = {}
        self.merged: dict[UUID, UUID] = {}

    async def page(self, wanted: CallFilter, *, limit: int = 50, cursor: str | None = None) -> CallPage:
        found = [facts for facts in self.kept.values() if _matches(facts, wanted)]
        found.sort(key=lambda facts: facts.started_at, reverse=True)
        start = int(cursor) if cursor and cursor.isdigit() else 0
        more = len(found) > start + limit
        return CallPage(tuple(found[start : start + limit]), str(start + limit) if more else None)

    async def one(self, call_id: UUID) -> CallFacts | None:
        return self.kept.get(self.merged.get(call_id, call_id))

    async def several(self, ids: Sequence[UUID]) -> dict[UUID, CallFacts]:
        found = {one: self.kept.get(self.merged.get(one, one)) for one in ids}
        return {one: facts for one, facts in found.items() if facts is not None}

    async def queues(self) -> list[str]:
        return sorted({facts.queue.name for facts in self.kept.values() if facts.queue})

    async def last_with(self, number: str, *, before: datetime) -> CallFacts | None:
        found = [
            facts
            for facts in self.kept.values()
            if facts.ended
            and facts.started_at < before
            and number in (facts.caller.number, facts.answered_by)
        ]
        return max(found, key=lambda facts: facts.started_at, default=None)


def _matches(facts: CallFacts, wanted: CallFilter) -> bool:
    digits = "".join(char for char in wanted.number or "" if char.isdigit())
    return (
        (wanted.direction in (None, facts.direction))
        and (wanted.disposition in (None, facts.disposition))
        and (wanted.party is None or any(leg.party == wanted.party for leg in facts.legs))
        and (not digits or (facts.caller.number or "").endswith(digits[-10:]))
        and (wanted.since is None or facts.started_at >= wanted.since)
        and (wanted.queue is None or (facts.queue is not None and facts.queue.name == wanted.queue))
        and (wanted.ids is None or facts.id in wanted.ids)
        and (wanted.until is None or facts.started_at < wanted.until)
    )


class FakeAccounts:
    """People who sign in."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Account] = {}

    async def any_exist(self) -> bool:
        return bool(self.kept)

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
        if await self.by_login(login):
            raise PeerMistake(f"The sign-in name {login} is taken.")
        account = Account(
            uuid4(),
            login,
            name,
            role,
            tuple(extensions),
            pop,
            password_hash,
            active=True,
            created_at=datetime.now(UTC),
            password_temporary=password_temporary,
        )
        self.kept[account.id] = account
        return account

    async def create_first(self, *, login: str, name: str, password_hash: str) -> Account | None:
        if self.kept:
            return None
        role, pop = Role.ADMINISTRATOR, PopPreference.ON_RING
        return await self.create(
            login=login, name=name, role=role, password_hash=password_hash, extensions=(), pop=pop
        )

    async def by_login(self, login: str) -> Account | None:
        return next((a for a in self.kept.values() if a.login == login), None)

    async def by_id(self, account_id: UUID) -> Account | None:
        return self.kept.get(account_id)

    async def all(self) -> Sequence[Account]:
        return list(self.kept.values())

    async def update(self, account: Account) -> Account:
        before = self.kept[account.id]
        kept = replace(
            account,
            pop=before.pop,
            alerts=before.alerts,
            language=before.language,
            password_hash=before.password_hash,
            version=account.version + 1,
        )
        if before.version != account.version:
            raise ChangedMeanwhile
        self.kept[account.id] = kept
        return kept

    async def set_language(self, account_id: UUID, language: str | None) -> Account:
        self.kept[account_id] = replace(self.kept[account_id], language=language)
        return self.kept[account_id]

    async def set_pop(self, account_id: UUID, pop: PopPreference) -> Account:
        self.kept[account_id] = replace(self.kept[account_id], pop=pop)
        return self.kept[account_id]

    async def set_password(
        self, account_id: UUID, password_hash: str, *, instead_of: str | None, temporary: bool = False
    ) -> Account:
        if instead_of not in (None, self.kept[account_id].password_hash):
            raise ChangedMeanwhile
        self.kept[account_id] = replace(
            self.kept[account_id], password_hash=password_hash, password_temporary=temporary
        )
        return self.kept[account_id]

    async def reset_password(
        self, account_id: UUID, password_hash: str, *, temporary: bool, keep_session: UUID | None = None
    ) -> Account:
        del keep_session
        return await self.set_password(account_id, password_hash, instead_of=None, temporary=temporary)

    async def set_alerts(self, account_id: UUID, alerts: Collection[RingAlert]) -> None:
        self.kept[account_id] = replace(self.kept[account_id], alerts=frozenset(alerts))


class FakeSessions:
    """Signed-in browsers."""

    def __init__(self, accounts: FakeAccounts) -> None:
        self._accounts = accounts
        self.kept: dict[bytes, Session] = {}

    async def open(
        self,
        *,
        account_id: UUID,
        token_hash: bytes,
        expires_at: datetime,
        browser: str,
        password_hash: str | None = None,
    ) -> Session:
        del password_hash
        now = datetime.now(UTC)
        self.kept[token_hash] = Session(uuid4(), account_id, now, now, expires_at, browser)
        return self.kept[token_hash]

    async def find(self, token_hash: bytes) -> tuple[Session, Account] | None:
        session = self.kept.get(token_hash)
        account = self._accounts.kept.get(session.account_id) if session else None
        return (session, account) if session and account and account.active else None

    async def of_account(self, account_id: UUID) -> Sequence[Session]:
        return [session for session in self.kept.values() if session.account_id == account_id]

    async def revoke(self, session_id: UUID) -> None:
        self.kept = {h: s for h, s in self.kept.items() if s.id != session_id}

    async def revoke_all(self, account_id: UUID, *, keep: UUID | None = None) -> None:
        self.kept = {h: s for h, s in self.kept.items() if s.account_id != account_id or s.id == keep}


class FakeTokens:
    """Tokens for programs."""

    def __init__(self, accounts: FakeAccounts) -> None:
        self._accounts = accounts
        self.kept: dict[bytes, ApiToken] = {}

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
        del password_hash
        self.kept[token_hash] = ApiToken(
            uuid4(), account_id, name, datetime.now(UTC), None, scopes, expires_at
        )
        return self.kept[token_hash]

    async def find(self, token_hash: bytes) -> tuple[ApiToken, Account] | None:
        token = self.kept.get(token_hash)
        return (token, self._accounts.kept[token.account_id]) if token else None

    async def of_account(self, account_id: UUID) -> Sequence[ApiToken]:
        return [token for token in self.kept.values() if token.account_id == account_id]

    async def revoke(self, token_id: UUID, *, account_id: UUID) -> None:
        self.kept = {h: t for h, t in self.kept.items() if t.id != token_id or t.account_id != account_id}

    async def revoke_all(self, account_id: UUID) -> int:
        before = len(self.kept)
        self.kept = {h: t for h, t in self.kept.items() if t.account_id != account_id}
        return before - len(self.kept)


class FakeTries:
    """Tries at signing in; none of them grows old."""

    def __init__(self) -> None:
        self.kept: dict[int, str] = {}
        self._number = 0

    async def take(self, limits: Sequence[TryLimit]) -> Sequence[int] | None:
        buckets = list(self.kept.values())
        if any(buckets.count(one.bucket) >= one.most for one in limits):
            return None
        taken = []
        for one in limits:
            self._number += 1
            self.kept[self._number] = one.bucket
            taken.append(self._number)
        return taken

    async def give_back(self, tries: Sequence[int]) -> None:
        for one in tries:
            self.kept.pop(one, None)


class FakeNotes:
    """Notes on calls."""

    def __init__(self, accounts: FakeAccounts) -> None:
        self._accounts = accounts
        self.kept: dict[tuple[UUID, UUID], Note] = {}

    async def of_call(self, call_id: UUID) -> Sequence[Note]:
        return [note for note in self.kept.values() if note.call_id == call_id]

    async def of_calls(self, ids: Sequence[UUID]) -> dict[UUID, Sequence[Note]]:
        found = {one: await self.of_call(one) for one in ids}
        return {one: notes for one, notes in found.items() if notes}

    async def save(self, *, call_id: UUID, account_id: UUID, text: str) -> Note:
        author = self._accounts.kept[account_id].name
        note = Note(call_id, account_id, author, text, datetime.now(UTC))
        self.kept[(call_id, account_id)] = note
        if not text:
            del self.kept[(call_id, account_id)]
        return note


class FakeStaff:
    """People and their extensions."""

    def __init__(self, accounts: FakeAccounts) -> None:
        self._accounts = accounts
        self.people: list[Person] = []
        self.known: list[KnownPhone] = []

    async def directory(self) -> Directory:
        signed = [
            Person(a.name, frozenset(a.extensions), a.team)
            for a in self._accounts.kept.values()
            if a.extensions
        ]
        return Directory((*signed, *self.people))

    async def seen(self, pbx: str, extensions: Sequence[str], *, at: datetime) -> None:
        del at
        self.known += [KnownPhone(one, None, pbx, None, None, None) for one in extensions]

    async def phones(self) -> Sequence[KnownPhone]:
        return self.known

    async def members(self) -> Sequence[StaffMember]:
        return [
            StaffMember(uuid4(), one.name, tuple(sorted(one.extensions)), one.team)
            for one in (await self.directory()).people
        ]

    async def put_member(self, member: StaffMember, *, seen: str | None = None) -> StaffMember:
        del seen
        self.people.append(Person(member.name, frozenset(member.extensions), member.team))
        return member

    async def leave(self, person_id: UUID, *, at: datetime | None) -> None:
        del person_id, at

    async def put_person(self, *, name: str, extensions: Sequence[str], team: str | None = None) -> None:
        self.people.append(Person(name, frozenset(extensions), team))


class FakeEndpoints:
    """What is known of endpoints, put there by the test."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[KnownEndpoint, ...]] = {}

    async def list_known(self, pbx: str) -> tuple[KnownEndpoint, ...]:
        return self.known.get(pbx, ())

    async def list_all(self) -> Mapping[str, tuple[KnownEndpoint, ...]]:
        return self.known

    async def replace_known(
        self, pbx: str, sources: Collection[EndpointSource], known: Iterable[KnownEndpoint]
    ) -> None:
        kept = [one for one in self.known.get(pbx, ()) if one.source not in sources]
        self.known[pbx] = (*kept, *known)

    async def say(self, pbx: str, endpoint: str, extension: str | None) -> None:
        await self.unsay(pbx, endpoint)
        said = KnownEndpoint(endpoint, EndpointSource.STAFF, extension)
        self.known[pbx] = (*self.known.get(pbx, ()), said)

    async def unsay(self, pbx: str, endpoint: str) -> None:
        self.known[pbx] = tuple(
            one
            for one in self.known.get(pbx, ())
            if one.endpoint != endpoint or one.source is not EndpointSource.STAFF
        )


class FakeTraces:
    """Messages kept behind calls, put there by the test."""

    def __init__(self) -> None:
        self.lines: dict[UUID, list[dict[str, Any]]] = {}

    async def family(self, call_id: UUID) -> Sequence[UUID]:
        return [call_id]

    async def trace_of(self, call_id: UUID) -> Sequence[dict[str, Any]]:
        return self.lines.get(call_id, [])


class FakeOffice:
    """Values of the whole office."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    async def get(self, key: str) -> Any | None:
        return self.kept.get(key)

    async def put(self, key: str, value: Any, *, by: UUID | None) -> None:
        del by
        self.kept[key] = value


class FakeMatching:
    """Whose a number is, put there by the test. With `answers` cleared every question waits until it is set."""

    def __init__(self) -> None:
        self.known: dict[str, Match] = {}
        self.taught: list[tuple[str, UUID, bool]] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def match(self, number: str) -> Match:
        await self.answers.wait()
        return self.known.get(number, Match(number, None, None))

    async def teach(self, number: str, *, client_id: UUID, right: bool, by: UUID) -> None:
        del by
        self.taught.append((number, client_id, right))


class FakeBookNews:
    """News of the book, told by the test."""

    def __init__(self) -> None:
        self.hearers: list[Callable[[str, UUID | None], None]] = []

    async def follow(self, hear: Callable[[str, UUID | None], None]) -> None:
        self.hearers.append(hear)
        await asyncio.Event().wait()

    def tell(self, what: str, which: UUID | None = None) -> None:
        for hear in self.hearers:
            hear(what, which)


class FakeBook:
    """A book with nobody in it; what is asked besides belongs to tests on the real store."""

    async def one(self, client_id: UUID) -> None:
        del client_id

    async def page(self, *_asked: Any, **_more: Any) -> ClientPage:
        return ClientPage((), None)

    async def several(self, ids: Sequence[UUID]) -> Mapping[UUID, Any]:
        del ids
        return {}


class FakeTimelines:
    """Calls lie where the test has put them."""

    def __init__(self) -> None:
        self.kept: dict[UUID, CallPlace] = {}

    async def places(self, call_ids: Sequence[UUID]) -> Mapping[UUID, CallPlace]:
        return {one: self.kept[one] for one in call_ids if one in self.kept}


class FakeRules:
    """A quiet office."""

    async def floods(self) -> list[Any]:
        return []


class FakeFormAnswers:
    """Forms that arrived; none is given up."""

    def __init__(self) -> None:
        self.kept: dict[bytes, str | None] = {}

    async def begin(self, form: bytes, *, running_seconds: float) -> FormAnswer | None:
        del running_seconds
        if form in self.kept:
            return FormAnswer(self.kept[form])
        self.kept[form] = None
        return None

    async def finish(self, form: bytes, location: str | None) -> None:
        if location is None:
            self.kept.pop(form, None)
        else:
            self.kept[form] = location


class FakeRecentChanges:
    """Nobody is asked for a name here."""

    async def add(self, thing: UUID, *, by: UUID) -> None:
        """Nothing is remembered."""

    async def last(self, thing: UUID) -> RecentChange | None:
        """Nobody."""


class FakeRecords:
    """The opened store."""

    def __init__(self) -> None:
        self.calls = FakeCalls()
        self.accounts = FakeAccounts()
        self.sessions = FakeSessions(self.accounts)
        self.tokens = FakeTokens(self.accounts)
        self.sign_in_tries = FakeTries()
        self.form_answers = FakeFormAnswers()
        self.recent_changes = FakeRecentChanges()
        self.notes = FakeNotes(self.accounts)
        self.staff = FakeStaff(self.accounts)
        self.endpoints = FakeEndpoints()
        self.traces = FakeTraces()
        self.recordings = FakeCatalogue(self.calls.kept)
        self.shelf = FakeShelf()
        self.retention = FakeRetention()
        self.editor = FakeEditor(self.recordings, self.shelf, self.retention)
        self.comments = FakeComments(self._name_of)
        self.links = FakeLinks(self._name_of)
        self.audit = FakeAudit()
        self.reviews = FakeReviews()
        self.office = FakeOffice()
        self.matching = FakeMatching()
        self.book_news = FakeBookNews()
        self.book: Any = FakeBook()
        self.timelines = FakeTimelines()
        self.deals: Any = FakeDeals()
        self.pipelines: Any = FakePipelines()
        self.tasks: Any = FakeTasks()
        self.missed = FakeMissed()
        self.rules: Any = FakeRules()
        self.problem: str | None = None

    def _name_of(self, account_id: UUID) -> str:
        return self.accounts.kept[account_id].name

    async def ready(self) -> str | None:
        return self.problem

    async def add(
        self,
        login: str,
        role: Role,
        *extensions: str,
        name: str | None = None,
        password: str = "correct horse",
    ) -> Account:
        """Somebody who may sign in."""
        return await self.accounts.create(
            login=login,
            name=name or login.title(),
            role=role,
            password_hash=CHEAP.hash(password),
            extensions=extensions,
            pop=PopPreference.ON_RING,
        )


class FakeLive:
    """The calls of this moment; `publish` is what the tracker would do."""

    def __init__(self) -> None:
        self._calls: dict[UUID, CallFacts] = {}
        self._links = {"hq": LinkState("hq", True, datetime.now(UTC), 0.0, None)}
        self._readers: set[asyncio.Queue[CallFacts | LinkState | None]] = set()
        self.roster: list[Phone] = []

    def calls(self) -> Sequence[CallFacts]:
        return sorted(self._calls.values(), key=lambda facts: facts.started_at)

    def links(self) -> Sequence[LinkState]:
        return list(self._links.values())

    def phones(self) -> Sequence[Phone]:
        return self.roster

    @contextlib.asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[CallFacts | LinkState]]:
        queue: asyncio.Queue[CallFacts | LinkState | None] = asyncio.Queue()
        self._readers.add(queue)

        async def read() -> AsyncIterator[CallFacts | LinkState]:
            while (change := await queue.get()) is not None:
                yield change

        try:
            yield read()
        finally:
            self._readers.discard(queue)

    def begun(self, facts: CallFacts) -> None:
        """The call was like this before anybody looked: nobody is told of it as of a change."""
        self._calls[facts.id] = facts

    def publish(self, facts: CallFacts) -> None:
        """The call is now like this."""
        if facts.ended:
            self._calls.pop(facts.id, None)
        else:
            self._calls[facts.id] = facts
        for reader in self._readers:
            reader.put_nowait(facts)

    def link_lost(self, problem: str = "Asterisk does not answer on port 5038.") -> None:
        """The link to the PBX broke."""
        link = replace(self._links["hq"], connected=False, since=datetime.now(UTC), problem=problem)
        self._links["hq"] = link
        for reader in self._readers:
            reader.put_nowait(link)
