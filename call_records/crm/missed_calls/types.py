"""What the book hands out of missed calls: plain frozen values, no SQL. Pages and tests are written against these."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from telephony.hours import WorkingHours
from telephony.missed_calls import GaveUpReason, MissedRules, MissedState, OwnerWhy


@dataclass(frozen=True, slots=True)
class MissedEntry:
    """Somebody we owe, or owed, a call."""

    id: UUID
    number: str | None
    """As calls tell it; None when it was withheld."""
    withheld: bool
    """Nobody can call back: the caller did not say who they are."""
    state: MissedState
    times: int
    first_at: datetime
    last_at: datetime
    last_call_id: UUID
    last_call: CallFacts | None
    """Where they waited, and what the network said of them."""
    client_id: UUID | None
    """Who it is in the book; the survivor of merged ones."""
    client: str | None
    client_kind: ClientKind | None
    company: str | None
    owner_id: UUID | None
    owner: str | None
    team: str | None
    owner_why: OwnerWhy | None
    did: str | None
    due_at: datetime | None
    reminded_at: datetime | None
    escalated_at: datetime | None
    claimed_at: datetime | None
    claimed_account_id: UUID | None
    claimed_by: str | None
    tried: int
    tried_at: datetime | None
    tried_extension: str | None
    closed_at: datetime | None
    closed_call_id: UUID | None
    closed_extension: str | None
    closed_account_id: UUID | None
    closed_by: str | None
    """Who gave up; who talked is told by the extension."""
    closed_how: str | None
    """we_called, got_through or gave_up."""
    reason: GaveUpReason | None
    reason_text: str | None


class Whose(StrEnum):
    """Which entries."""

    OWN = "own"
    """Mine and what is nobody's: what the badge beside Missed counts."""
    MINE = "mine"
    TEAM = "team"
    UNOWNED = "unowned"
    ALL = "all"


class Sort(StrEnum):
    """In which order. The oldest debt comes first unless somebody asks otherwise."""

    OLDEST = "oldest"
    LATEST = "latest"
    TIMES = "times"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who looks, as far as it decides what is theirs."""

    account_id: UUID
    person_id: UUID | None
    team: str | None
    supervises: bool


@dataclass(frozen=True, slots=True)
class MissedFilter:
    """Which entries to list."""

    whose: Whose = Whose.ALL
    closed: bool = False
    """Those that are settled, newest first; else those that are owed."""
    since: datetime | None = None
    """Only those with a missed call (settled ones: that were settled) at or after that moment."""
    sort: Sort = Sort.OLDEST


@dataclass(frozen=True, slots=True)
class MissedPage:
    """A list and how much of it there is."""

    entries: tuple[MissedEntry, ...]
    total: int
    """How many fit; the list may be shorter."""
    older: int
    """How many more are owed that `since` leaves out."""


@dataclass(frozen=True, slots=True)
class MissedCounts:
    """What waits for somebody: the number beside the door."""

    waiting: int
    """Their own, and those of their team that are nobody's yet."""
    overdue: int
    soon: int
    """Whose deadline comes soon: they were reminded of."""


@dataclass(frozen=True, slots=True)
class MissedFlood:
    """Callers of one line that got no entry, because too many came at once."""

    did: str | None
    calls: int
    until: datetime


class Missed(Protocol):
    """Whom we owe a call. Each change raises PeerMistake when the entry is no longer as the page showed it."""

    async def floods(self) -> Sequence[MissedFlood]:
        """Lines on which unknown callers got no entry lately, because they were too many at once."""

    async def page(
        self, wanted: MissedFilter, asker: Asker, *, limit: int = 100, skip: int = 0
    ) -> MissedPage: ...
    async def list_ids(self, wanted: MissedFilter, asker: Asker) -> Sequence[UUID]:
        """The ids of the whole list in its order."""

    async def several(self, ids: Sequence[UUID]) -> Sequence[MissedEntry]:
        """These entries, in this order; one that is gone is left out."""

    async def one(self, entry_id: UUID) -> MissedEntry | None: ...
    async def calls_of(self, entry_id: UUID) -> Sequence[tuple[UUID, datetime]]:
        """The missed calls that are counted in it, newest first."""

    async def counts(self, asker: Asker) -> MissedCounts: ...
    async def claim(self, entry_id: UUID, *, by: UUID, person_id: UUID | None, over: bool = False) -> None:
        """I will call. `over`: also when somebody else said so before."""

    async def release(self, entry_id: UUID, *, by: UUID) -> None:
        """Nobody will, after all."""

    async def give(self, entry_id: UUID, *, person_id: UUID, by: UUID) -> None:
        """It is that person's."""

    async def give_up(self, entry_id: UUID, *, reason: GaveUpReason, text: str, by: UUID) -> None:
        """No call is owed."""

    async def reopen(self, entry_id: UUID, *, by: UUID) -> None:
        """A call is owed all the same."""

    async def hours(self) -> WorkingHours: ...
    async def rules(self) -> MissedRules: ...
    async def set_hours(self, hours: WorkingHours, *, by: UUID) -> None:
        """Deadlines of what is owed are reckoned again."""

    async def set_rules(self, rules: MissedRules, *, by: UUID) -> None: ...
    async def set_hours_and_rules(
        self, hours: WorkingHours, rules: MissedRules, *, by: UUID, seen: str | None = None
    ) -> None:
        """Both, or neither. Raises ChangedMeanwhile unless the edit version of both together is still `seen`."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[None]]:
        """One item whenever something owed has changed, some changes together."""
