"""An office that owes nobody a call: for tests of other pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from call_records.crm.missed_calls.types import (
    Asker,
    MissedCounts,
    MissedEntry,
    MissedFilter,
    MissedFlood,
    MissedPage,
)
from telephony.errors import PeerMistake
from telephony.hours import WorkingHours
from telephony.missed_calls import GaveUpReason, MissedRules


class FakeMissed:
    """Implements `Missed` without any entry."""

    def __init__(self) -> None:
        self.kept_hours = WorkingHours()
        self.kept_rules = MissedRules()

    async def floods(self) -> Sequence[MissedFlood]:
        return ()

    async def page(
        self, wanted: MissedFilter, asker: Asker, *, limit: int = 100, skip: int = 0
    ) -> MissedPage:
        del wanted, asker, limit, skip
        return MissedPage((), 0, 0)

    async def list_ids(self, wanted: MissedFilter, asker: Asker) -> Sequence[UUID]:
        del wanted, asker
        return ()

    async def several(self, ids: Sequence[UUID]) -> Sequence[MissedEntry]:
        del ids
        return ()

    async def one(self, entry_id: UUID) -> MissedEntry | None:
        del entry_id
        return None

    async def calls_of(self, entry_id: UUID) -> Sequence[tuple[UUID, datetime]]:
        del entry_id
        return ()

    async def counts(self, asker: Asker) -> MissedCounts:
        del asker
        return MissedCounts(0, 0, 0)

    async def claim(self, entry_id: UUID, *, by: UUID, person_id: UUID | None, over: bool = False) -> None:
        self._none(entry_id, by, person_id, over)

    async def release(self, entry_id: UUID, *, by: UUID) -> None:
        self._none(entry_id, by)

    async def give(self, entry_id: UUID, *, person_id: UUID, by: UUID) -> None:
        self._none(entry_id, person_id, by)

    async def give_up(self, entry_id: UUID, *, reason: GaveUpReason, text: str, by: UUID) -> None:
        self._none(entry_id, reason, text, by)

    async def reopen(self, entry_id: UUID, *, by: UUID) -> None:
        self._none(entry_id, by)

    async def hours(self) -> WorkingHours:
        return self.kept_hours

    async def rules(self) -> MissedRules:
        return self.kept_rules

    async def set_hours(self, hours: WorkingHours, *, by: UUID) -> None:
        del by
        self.kept_hours = hours

    async def set_rules(self, rules: MissedRules, *, by: UUID) -> None:
        del by
        self.kept_rules = rules

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        yield _nothing()

    def _none(self, *told: object) -> None:
        del told
        raise PeerMistake("This missed call is no longer in the list.", remedy="Load the page again.")


async def _nothing() -> AsyncIterator[None]:
    for _ in ():
        yield None
