"""Reviewing with nothing in it: for tests of pages that only ask whether a door opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from call_records.reviews.types import FormVersion, Grade, GradedTwice, Picked, Preview, Reading, Scope, Told
from telephony.errors import PeerMistake
from telephony.reviews import Question, ReviewRule, usual_rules


class _Rules:
    async def all(self) -> Sequence[ReviewRule]:
        return usual_rules()

    async def change(self, rule: ReviewRule, *, by: str) -> None: ...


class _Picks:
    async def queue(self, extensions: Scope, *, limit: int = 200) -> Sequence[Picked]:
        return []

    graded = queue

    async def one(self, pick_id: UUID) -> Picked | None:
        return None

    async def choose(self, call_id: UUID, extension: str, *, by: str) -> UUID:
        raise PeerMistake

    async def skip(self, pick_id: UUID, *, by: UUID, why: str) -> None: ...
    async def reopen(self, pick_id: UUID) -> None: ...
    async def pick_now(self, now: datetime | None = None, *, thorough: bool = False) -> int:
        return 0

    async def would_pick(self, rule: ReviewRule, now: datetime | None = None) -> Preview:
        return Preview(0, 0)

    async def run(self) -> None: ...


class _Forms:
    async def offered(self) -> Sequence[FormVersion]:
        return []

    retired = offered

    async def one(self, form_id: UUID, version: int | None = None) -> FormVersion | None:
        return None

    async def save(
        self, form_id: UUID | None, name: str, questions: Sequence[Question], *, after: int, by: str
    ) -> FormVersion:
        raise PeerMistake

    async def retire(self, form_id: UUID, *, retired: bool) -> None: ...


class _Grades:
    async def give(self, **_told: Any) -> Grade:
        raise PeerMistake

    async def one(self, grade_id: UUID) -> Grade | None:
        return None

    async def of_part(self, call_id: UUID, extension: str) -> Sequence[Grade]:
        return []

    async def before(self, grade: Grade) -> Sequence[Grade]:
        return []

    async def told(self, extensions: frozenset[str], account_id: UUID, *, limit: int = 100) -> Sequence[Told]:
        return []

    async def unread(self, extensions: frozenset[str], account_id: UUID) -> int:
        return 0

    async def mark_read(self, grade_id: UUID, account_id: UUID) -> None: ...
    async def acknowledge(self, grade_id: UUID, account_id: UUID, *, reply: str = "") -> None: ...
    async def readings(self, grade_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Reading]]:
        return {}

    async def since(self, extensions: Scope, since: datetime, *, limit: int = 5000) -> Sequence[Grade]:
        return []

    async def twice(self, extensions: Scope, since: datetime, *, limit: int = 500) -> Sequence[GradedTwice]:
        return []


class FakeReviews(SimpleNamespace):
    """An office where nothing was picked and nobody graded."""

    def __init__(self) -> None:
        super().__init__(rules=_Rules(), picks=_Picks(), forms=_Forms(), grades=_Grades())
