"""Lead rules, the blocklist and campaigns as pages and tests see them: plain frozen values, no SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from telephony.contacts import Match
from telephony.edit_version import edit_version
from telephony.lead_rules import Known, LeadRule, Making, Outcome, Refusal


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be made, and why; nothing has been written yet."""

    known: Known
    making: Making
    refusal: Refusal | None = None
    line: LeadRule | None = None
    """Which line decided; None with a refusal that no line was asked about."""
    owner_id: UUID | None = None
    extension: str | None = None
    """By which extension of ours the owner was found, where the line asks for that."""
    stage_id: UUID | None = None
    task: str | None = None
    due_at: datetime | None = None
    campaign_id: UUID | None = None
    blocked_by: str | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a call would lead to. Nothing has been written."""

    number: str
    key: str | None
    match: Match
    verdict: Verdict
    entry: str | None = None
    """Name of whose timeline the call would be on."""
    entry_id: UUID | None = None
    owner: str | None = None
    stage: str | None = None
    """Pipeline and stage of the deal that would be opened, `None` where there is none."""
    campaign: str | None = None
    blocked_because: str | None = None


@dataclass(frozen=True, slots=True)
class Flood:
    """Unknown callers of one line of whom nothing was made because there were too many."""

    did: str | None
    calls: int
    since: datetime
    until: datetime
    going_on: bool
    """Whether the last of them called within the ten minutes that are counted."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """One line of the blocklist."""

    pattern: str
    """E.164, or its beginning and a `*`."""
    reason: str
    by: str | None
    at: datetime
    calls: int
    """How many calls it has met."""
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Campaign:
    """An advertisement, a site, a leaflet: some numbers of ours, for a time."""

    id: UUID
    name: str
    dids: tuple[str, ...]
    created_at: datetime
    ended_at: datetime | None
    made: int = 0
    """Entries of the book that came by it."""
    calls: int = 0
    """Calls that came in on its numbers while it ran, within the last 90 days."""

    @property
    def edit_version(self) -> str:
        """Of what a person changes in it."""
        return edit_version((self.name, sorted(self.dids)))


@dataclass(frozen=True, slots=True)
class OwnLine:
    """A number of ours that was called."""

    did: str
    calls: int
    last_at: datetime


class LeadRules(Protocol):
    """The table of lead rules."""

    async def all(self) -> Sequence[LeadRule]:
        """The lines in their order."""

    async def replace(self, rules: Sequence[LeadRule], *, by: UUID | None) -> None:
        """Exactly these lines, in this order. Raises PeerMistake for a line that could not be followed."""

    async def put(self, rule: LeadRule, *, by: UUID | None, seen: str | None = None) -> None:
        """A changed line in its place, or a new one at the end. Raises PeerMistake as `replace`."""

    async def move(self, rule_id: UUID, *, up: bool, by: UUID | None) -> None: ...
    async def remove(self, rule_id: UUID, *, by: UUID | None) -> None: ...
    async def can_undo(self) -> bool: ...
    async def undo(self, *, by: UUID | None) -> None:
        """The table before the last change; doing it twice is doing it again."""

    async def what_if(
        self, number: str, *, did: str | None, outcome: Outcome, at: datetime, phone: str | None = None
    ) -> WhatIf:
        """What a call would lead to; `phone` is who rings first and answers. Writes nothing."""

    async def flood_most(self) -> int:
        """How many entries of unknown callers one line may make within ten minutes."""

    async def limit(self, most: int, *, by: UUID | None) -> None:
        """Set it. Raises PeerMistake for a number that is none."""

    async def floods(self) -> Sequence[Flood]:
        """Of the last day, by line, the newest first."""


class BlockedNumbers(Protocol):
    """Numbers that never make anything."""

    async def all(self) -> Sequence[Blocked]: ...
    async def add(self, typed: str, *, reason: str, by: UUID | None) -> str:
        """Block a number, or all that begin so (`+7495*`); returns the pattern. Raises PeerMistake."""

    async def remove(self, pattern: str) -> None: ...
    async def which(self, number: str) -> Blocked | None:
        """The line this number is blocked by, or None."""


class CampaignBook(Protocol):
    """Which campaign a number of ours stands for."""

    async def all(self) -> Sequence[Campaign]:
        """Running ones first, newest first."""

    async def lines(self) -> Sequence[OwnLine]:
        """Our numbers that were called within 90 days, the busiest first."""

    async def add(self, *, name: str, dids: Sequence[str]) -> UUID:
        """Raises PeerMistake for a name or number that is none, and for a number of another running campaign."""

    async def change(
        self, campaign_id: UUID, *, name: str, dids: Sequence[str], seen: str | None = None
    ) -> None: ...
    async def end(self, campaign_id: UUID, *, ended: bool) -> None: ...
