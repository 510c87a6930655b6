"""What happened with a client or a deal, read over the whole family, and what people add to it.

Entries never move when two clients become one: a page reads those of the survivor, of whoever was merged into it, of
the leads that became it and, for a company, of its contacts. Each of them gives its newest entries by its own index and
the newest of all are taken, so that a hundred thousand entries cost what thirty do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, Row, TextClause, Uuid, bindparam, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.journal import lock_calls, redirects_of
from call_records.calls.notes import LONGEST
from call_records.crm.contacts.queries import survivor_of, unknown
from call_records.crm.last_contact import tell_spoken, tell_spoken_of_deals
from call_records.crm.tables import deals, timeline
from call_records.crm.types import CallPlace, TimelineEntry, TimelinePage
from call_records.crm.writes import Told, notice, tell
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.page_marks import key_of_mark, page_mark
from call_records.db.tables import MOMENT, calls
from telephony.contacts import ClientKind, MatchRule
from telephony.errors import PeerMistake

MOST_ON_A_PAGE = 200

_FAMILY = """
    WITH RECURSIVE family (id) AS (
        SELECT coalesce(merged_into, id) FROM clients WHERE id = :id
        UNION
        SELECT member.id FROM family CROSS JOIN LATERAL (
            SELECT id FROM clients WHERE merged_into = family.id
            UNION ALL
            SELECT id FROM clients WHERE became_id = family.id
            UNION ALL
            SELECT id FROM clients WHERE company_id = family.id AND merged_into IS NULL AND removed_at IS NULL
        ) AS member
    )
"""
_NEWEST_OF_FAMILY = """
    SELECT newest.id, newest.at FROM family CROSS JOIN LATERAL (
        SELECT id, at FROM timeline WHERE client_id = family.id {older}
        ORDER BY at DESC, id DESC LIMIT :most
    ) AS newest
    ORDER BY newest.at DESC, newest.id DESC LIMIT :most
"""
_NEWEST_OF_DEAL = """
    SELECT id, at FROM timeline WHERE deal_id = :id {older} ORDER BY at DESC, id DESC LIMIT :most
"""
_OLDER = "AND (at, id) < (:at, :after)"
_ENTRIES = """
    {family}
    SELECT t.*, coalesce(survivor.name, c.name) AS client, d.title AS deal, a.name AS author
    FROM ({newest}) AS chosen
    JOIN timeline t ON t.id = chosen.id
    LEFT JOIN clients c ON c.id = t.client_id
    LEFT JOIN clients survivor ON survivor.id = c.merged_into
    LEFT JOIN deals d ON d.id = t.deal_id
    LEFT JOIN accounts a ON a.id = t.account_id
    ORDER BY t.at DESC, t.id DESC
"""


def _entries(family: str, newest: str) -> tuple[TextClause, TextClause]:
    """The statement for the first page and the one for the next pages."""
    first = text(_ENTRIES.format(family=family, newest=newest.format(older="")))
    further = text(_ENTRIES.format(family=family, newest=newest.format(older=_OLDER)))
    # The number is written into the statement: of a limit it does not know the planner thinks the worst, and reads it all.
    common = bindparam("id", type_=Uuid), bindparam("most", type_=Integer, literal_execute=True)
    return first.bindparams(*common), further.bindparams(
        *common, bindparam("at", type_=MOMENT), bindparam("after", type_=Uuid)
    )


OF_CLIENT = _entries(_FAMILY, _NEWEST_OF_FAMILY)
OF_DEAL = _entries("", _NEWEST_OF_DEAL)

_PLACES = text("""
    SELECT t.call_id, t.data, client.id AS client_id, client.name, client.kind, company.name AS company,
        d.id AS deal_id, d.title AS deal, s.name AS stage, d.amount, d.currency
    FROM timeline t
    LEFT JOIN clients filed ON filed.id = t.client_id
    LEFT JOIN clients kept ON kept.id = coalesce(filed.merged_into, filed.id)
    LEFT JOIN clients became ON became.id = coalesce(kept.became_id, kept.id)
    LEFT JOIN clients client ON client.id = coalesce(became.merged_into, became.id)
    LEFT JOIN clients company ON company.id = client.company_id
    LEFT JOIN deals d ON d.id = t.deal_id
    LEFT JOIN stages s ON s.id = d.stage_id
    WHERE t.call_id = ANY(:ids) AND t.kind = 'call'
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


class TimelineBook:
    """Implements `call_records.crm.types.Timelines`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_client(self, client_id: UUID, *, limit: int = 30, cursor: str | None = None) -> TimelinePage:
        """Its own entries and those of entries merged or converted into it; of a company also of its contacts."""
        return await self._page(OF_CLIENT, client_id, limit, cursor)

    async def of_deal(self, deal_id: UUID, *, limit: int = 30, cursor: str | None = None) -> TimelinePage:
        """What was told of the deal."""
        return await self._page(OF_DEAL, deal_id, limit, cursor)

    async def add_note(
        self, *, client_id: UUID | None, deal_id: UUID | None, text: str, by: UUID
    ) -> TimelineEntry:
        """A note, signed by the account. Raises PeerMistake when it is empty, too long or of nobody."""
        kept = _note(text)
        if not kept:
            raise PeerMistake("A note needs some words.", remedy="Type something first.")
        with plain_errors():
            async with self._engine.begin() as connection:
                client, deal = await _subject(connection, client_id, deal_id)
                if client is None and deal is None:
                    raise unknown()
                told = Told("note", datetime.now(UTC), client, deal, account_id=by, text=kept)
                entry_id = await tell(connection, told)
                await _notice(connection, (client,), (deal,))
                return await _one(connection, entry_id)

    async def change_note(self, entry_id: UUID, *, text: str, by: UUID) -> None:
        """An empty text removes it. Only one's own; else PeerMistake."""
        kept = _note(text)
        own = (timeline.c.id == entry_id) & (timeline.c.kind == "note") & (timeline.c.account_id == by)
        with plain_errors():
            async with self._engine.begin() as connection:
                changing = (
                    update(timeline).where(own).values(text=kept) if kept else delete(timeline).where(own)
                )
                row = (
                    await connection.execute(changing.returning(timeline.c.client_id, timeline.c.deal_id))
                ).one_or_none()
                if row is None:
                    raise PeerMistake("Only its author can change a note.", remedy="Add a note of your own.")
                await _notice(connection, (row.client_id,), (row.deal_id,))

    async def places(self, call_ids: Sequence[UUID]) -> Mapping[UUID, CallPlace]:
        """Where these calls are; those on no timeline are left out. One that belongs to nobody has no client."""
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(_PLACES, {"ids": list(call_ids)})
                return {row.call_id: _place(row) for row in rows}

    async def move_call(
        self, call_id: UUID, *, client_id: UUID | None, deal_id: UUID | None, by: UUID
    ) -> None:
        """By hand; no rule moves it afterwards. Both None: it belongs to nobody. Raises PeerMistake when unknown."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_calls(connection, [call_id])
                target = (await redirects_of(connection, [call_id])).get(call_id, call_id)
                client, deal = await _subject(connection, client_id, deal_id)
                left_client, left_deal = await _move(connection, target, client, deal, by)
                owners = [one for one in (left_client, client) if one is not None]
                await tell_spoken(connection, [await survivor_of(connection, one) for one in owners])
                await tell_spoken_of_deals(connection, [one for one in (left_deal, deal) if one is not None])
                await _notice(connection, (left_client, client), (left_deal, deal))
                await notice(connection, "call", target)

    async def _page(
        self, statements: tuple[TextClause, TextClause], subject: UUID, limit: int, cursor: str | None
    ) -> TimelinePage:
        size = max(1, min(limit, MOST_ON_A_PAGE))
        asked: dict[str, Any] = {"id": subject, "most": size + 1}
        if cursor is not None:
            asked["at"], asked["after"] = key_of_mark(cursor)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(statements[cursor is not None], asked)).all()
        older = page_mark(rows[size - 1].at, rows[size - 1].id) if len(rows) > size else None
        return TimelinePage(tuple(_entry(row) for row in rows[:size]), older)


def _note(typed: str) -> str:
    if len(typed) > LONGEST:
        raise PeerMistake(
            "A note may have {longest} characters.", remedy="Shorten it.", values={"longest": LONGEST}
        )
    return json_text.clean(typed).strip()


async def _subject(
    connection: AsyncConnection, client_id: UUID | None, deal_id: UUID | None
) -> tuple[UUID | None, UUID | None]:
    """The entry as it stands now, and the deal; a deal alone stands for its client too."""
    if deal_id is not None:
        row = (
            await connection.execute(
                select(deals.c.contact_id, deals.c.company_id).where(deals.c.id == deal_id)
            )
        ).one_or_none()
        if row is None:
            raise PeerMistake("There is no such deal.", remedy="Load the page again.")
        client_id = client_id or row.contact_id or row.company_id
    return (None if client_id is None else await survivor_of(connection, client_id)), deal_id


async def _move(
    connection: AsyncConnection, call_id: UUID, client: UUID | None, deal: UUID | None, by: UUID
) -> tuple[UUID | None, UUID | None]:
    """Put the call there; returns whose it was."""
    mine = (timeline.c.call_id == call_id) & (timeline.c.kind == "call")
    before = (await connection.execute(select(timeline).where(mine).with_for_update())).one_or_none()
    why = {"rule": MatchRule.BY_HAND.value, "by_hand": True}
    if before is not None:
        data = {**before.data, **why}
        changed = {"client_id": client, "deal_id": deal, "account_id": by, "data": data}
        await connection.execute(update(timeline).where(timeline.c.id == before.id).values(**changed))
        return before.client_id, before.deal_id
    call = (
        await connection.execute(
            select(calls.c.started_at, calls.c.outside_number).where(calls.c.id == call_id)
        )
    ).one_or_none()
    if call is None:
        raise PeerMistake("There is no such call.", remedy="Load the page again.")
    row = {
        "client_id": client,
        "deal_id": deal,
        "account_id": by,
        "data": {**why, "asked": call.outside_number},
    }
    await connection.execute(
        insert(timeline).values(
            id=func.gen_random_uuid(), kind="call", at=call.started_at, call_id=call_id, **row
        )
    )
    return None, None


async def _notice(
    connection: AsyncConnection, of_clients: Sequence[UUID | None], of_deals: Sequence[UUID | None]
) -> None:
    for what, ids in (("client", of_clients), ("deal", of_deals)):
        for one in dict.fromkeys(ids):
            if one is not None:
                await notice(connection, what, one)


_ONE = text(_ENTRIES.format(family="", newest="SELECT CAST(:id AS uuid) AS id")).bindparams(
    bindparam("id", type_=Uuid)
)


async def _one(connection: AsyncConnection, entry_id: UUID) -> TimelineEntry:
    return _entry((await connection.execute(_ONE, {"id": entry_id})).one())


def _entry(row: Row[Any]) -> TimelineEntry:
    return TimelineEntry(
        id=row.id,
        kind=row.kind,
        at=row.at,
        client_id=row.client_id,
        client=row.client,
        deal_id=row.deal_id,
        deal=row.deal,
        call_id=row.call_id,
        task_id=row.task_id,
        author=row.author,
        account_id=row.account_id,
        text=row.text,
        data=row.data,
    )


def _place(row: Row[Any]) -> CallPlace:
    return CallPlace(
        client_id=row.client_id,
        name=row.name,
        kind=ClientKind(row.kind) if row.kind else None,
        company=row.company,
        deal_id=row.deal_id,
        deal=row.deal,
        stage=row.stage,
        amount=row.amount,
        currency=row.currency,
        data=row.data,
    )
