"""The list of calls and one call, as the pages and the API read them.

Pages are cut by key (start, id), not by offset: nothing is shown twice or left out while new calls arrive, and the
hundredth page costs what the first does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Select, Text, literal_column, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.calls.external_number import WHOLE, last_ten, typed_digits
from call_records.db.errors import plain_errors
from call_records.db.page_marks import key_of_mark, page_mark
from call_records.db.tables import call_redirects, calls
from call_records.types import CallFilter, CallPage
from telephony.call_facts.facts import CallFacts, facts_from_json

MOST_ON_A_PAGE = 500  # 2 kB of facts each; the export walks pages

QUEUES_MOST = 200  # names; more than any office has queues
queue_name: ColumnElement[str] = literal_column("calls.facts #>> '{queue,name}'", Text)
"""Written as the index has it: a bound path would not find it."""
_QUEUES = text(
    """
    WITH RECURSIVE names(name) AS (
        (SELECT facts #>> '{queue,name}' FROM calls
         WHERE facts #>> '{queue,name}' IS NOT NULL ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT facts #>> '{queue,name}' FROM calls
                WHERE facts #>> '{queue,name}' > names.name ORDER BY 1 LIMIT 1)
        FROM names WHERE names.name IS NOT NULL
    )
    SELECT name FROM names WHERE name IS NOT NULL LIMIT :most
    """
)


class CallList:
    """Reading the journal."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, wanted: CallFilter, *, limit: int = 50, cursor: str | None = None) -> CallPage:
        """Calls newest first. Raises PeerMistake for a cursor we did not make or fewer than three digits."""
        size = max(1, min(limit, MOST_ON_A_PAGE))
        query = select(calls.c.facts, calls.c.started_at, calls.c.id).where(*_conditions(wanted))
        if cursor is not None:
            query = query.where(tuple_(calls.c.started_at, calls.c.id) < tuple_(*key_of_mark(cursor)))
        rows = await self._rows(query, size + 1)
        older = page_mark(rows[size - 1][1], rows[size - 1][2]) if len(rows) > size else None
        return CallPage(tuple(facts for facts, _, _ in rows[:size]), older)

    async def one(self, call_id: UUID) -> CallFacts | None:
        """The call with this id, or the one it was merged into; None when there is none."""
        moved = select(call_redirects.c.new_id).where(call_redirects.c.old_id == call_id).scalar_subquery()
        query = select(calls.c.facts, calls.c.started_at, calls.c.id)
        rows = await self._rows(query.where(or_(calls.c.id == call_id, calls.c.id == moved)), 1)
        return rows[0][0] if rows else None

    async def several(self, ids: Sequence[UUID]) -> Mapping[UUID, CallFacts]:
        """These calls, by the id that was asked for; one that was merged is the call it became part of."""
        if not ids:
            return {}
        moves = select(call_redirects.c.old_id, call_redirects.c.new_id)
        with plain_errors():
            async with self._engine.connect() as connection:
                moved = await connection.execute(moves.where(call_redirects.c.old_id.in_(ids)))
                became = {row.old_id: row.new_id for row in moved}
                wanted = {became.get(one, one) for one in ids}
                rows = await connection.execute(
                    select(calls.c.id, calls.c.facts).where(calls.c.id.in_(wanted))
                )
                found = {row.id: facts_from_json(row.facts) for row in rows}
        return {one: found[became.get(one, one)] for one in ids if became.get(one, one) in found}

    async def queues(self) -> Sequence[str]:
        """The names of all queues that calls came through, in order: one step through the index for each."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return list((await connection.scalars(_QUEUES, {"most": QUEUES_MOST})).all())

    async def last_with(self, number: str, *, before: datetime) -> CallFacts | None:
        """The newest ended call with that outside number: the card's 'last conversation' line."""
        digits = last_ten(number)
        if not digits:
            return None
        same = calls.c.outside_last10 == digits
        if number.startswith("+"):  # the same ten digits in another country are somebody else
            same &= or_(calls.c.outside_number == number, ~calls.c.outside_number.startswith("+"))
        query = select(calls.c.facts, calls.c.started_at, calls.c.id)
        rows = await self._rows(query.where(same, calls.c.state == "ended", calls.c.started_at < before), 1)
        return rows[0][0] if rows else None

    async def _rows(
        self, query: Select[dict[str, object], datetime, UUID], limit: int
    ) -> list[tuple[CallFacts, datetime, UUID]]:
        newest_first = query.order_by(calls.c.started_at.desc(), calls.c.id.desc()).limit(limit)
        with plain_errors():
            async with self._engine.connect() as connection:
                found = (await connection.execute(newest_first)).all()
        return [(facts_from_json(facts), started_at, call_id) for facts, started_at, call_id in found]


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    given: list[ColumnElement[bool]] = []
    if wanted.queue is not None:
        given.append(queue_name == wanted.queue)
    if wanted.ids is not None:
        given.append(calls.c.id.in_(wanted.ids))
    if wanted.direction is not None:
        given.append(calls.c.direction == wanted.direction.value)
    if wanted.disposition is not None:
        given.append(calls.c.disposition == wanted.disposition.value)
    if wanted.party is not None:
        given.append(calls.c.parties.contains([wanted.party]))
    if wanted.number is not None and wanted.number.strip():
        given.append(_with_number(typed_digits(wanted.number)))
    if wanted.since is not None:
        given.append(calls.c.started_at >= wanted.since)
    if wanted.until is not None:
        given.append(calls.c.started_at < wanted.until)
    return given


def _with_number(digits: str) -> ColumnElement[bool]:
    """`digits` are only digits: nothing in them means anything to LIKE.

    The ids are found first, by the numbers' own indexes, and kept: left to itself the planner expects many matches,
    walks the calls by time and reads all of them for a number that is rare.
    """
    if len(digits) == WHOLE:
        main = select(calls.c.id).where(calls.c.outside_last10 == digits)
        found: Select[UUID] | CompoundSelect[UUID] = main.union(
            select(calls.c.id).where(calls.c.other_last10.contains([digits]))
        )
    else:
        found = select(calls.c.id).where(calls.c.outside_reversed.like(f"{digits[::-1]}%"))
    matches = found.cte("matches").prefix_with("MATERIALIZED")
    return calls.c.id.in_(select(matches.c.id))
