"""Deals: money that is talked about, and where it stands.

A deal is on one stage of one pipeline, at a place of its own in the column; how it gets there is `moving`, how it is read
`board`. Whatever is changed here is told on the timeline, of the deal and of its contact (or company).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.deals import loss_reasons as lost
from call_records.crm.deals.currency import checked_amount, office_currency
from call_records.crm.deals.ordering import STEP
from call_records.crm.deals.queries import (
    deal_rows,
    one_deal,
    read_columns,
    read_deals,
    read_list_ids,
    read_page,
    read_pipelines,
    read_several,
)
from call_records.crm.deals.stage_moves import (
    first_stage,
    lock_moves,
    locked_deal,
    moved_meanwhile,
    noticed,
    place_above,
    put_on_stage,
    stage_of,
    surely,
)
from call_records.crm.tables import clients, deals
from call_records.crm.types import Column, Deal, DealFilter, DealPage, NewDeal, Pipeline
from call_records.crm.writes import NAME_MOST, Home, Told, tell
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import people
from telephony.errors import PeerMistake

HOME = Home()

OF_CLIENT_MOST = 500  # deals of one client; a company of thousands of people has thousands


class DealBook:
    """Implements `call_records.crm.types.Deals`."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home

    async def pipelines(self, *, archived: bool = False) -> Sequence[Pipeline]:
        """In their order, each with its stages."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await read_pipelines(connection, archived=archived)

    async def one(self, deal_id: UUID) -> Deal | None:
        """Removed ones too."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await one_deal(connection, deal_id)

    async def of_client(self, client_id: UUID, *, limit: int = OF_CLIENT_MOST) -> Sequence[Deal]:
        """Its deals, those of its family and of a company's contacts; open ones first, then the newest."""
        with plain_errors():
            async with self._engine.connect() as connection:
                asked = {"client": client_id, "most": limit}
                ids = list((await connection.scalars(_DEALS_OF, asked)).all())
                found = await read_deals(connection, deal_rows().where(deals.c.id.in_(ids))) if ids else []
        places = {one: place for place, one in enumerate(ids)}
        return sorted(found, key=lambda deal: places[deal.id])

    async def add(self, new: NewDeal, *, by: UUID | None) -> Deal:
        """On top of its stage."""
        with plain_errors():
            async with self._engine.begin() as connection:
                deal_id = await insert_deal(connection, new, by=by, at=datetime.now(UTC), home=self._home)
                return await surely(connection, deal_id)

    async def change(self, deal: Deal, *, by: UUID | None) -> Deal:
        """Store its fields; PeerMistake when somebody else changed it since."""
        now, amount = datetime.now(UTC), checked_amount(deal.amount)
        values = {
            "title": _title(deal.title),
            "contact_id": deal.contact_id,
            "company_id": deal.company_id,
            "amount": amount,
            "currency": deal.currency,
            "owner_id": deal.owner_id,
            "tags": list(deal.tags),
            "fields": dict(deal.fields),
            "updated_at": now,
            "version": deal.version + 1,
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                before = await locked_deal(connection, deal.id)
                if before.version != deal.version:
                    raise PeerMistake(
                        "Somebody else changed this deal meanwhile.",
                        remedy="Look at what it says now, then enter your change again.",
                    )
                await connection.execute(update(deals).where(deals.c.id == deal.id).values(values))
                if before.owner_id != deal.owner_id:
                    await _tell_owner(connection, before, deal.owner_id, by=by, at=now)
                if before.amount != amount:
                    await _tell_amount(connection, before, amount, by=by, at=now)
                changed = {before.contact_id, before.company_id, deal.contact_id, deal.company_id}
                await noticed(connection, deal.id, changed)
                return await surely(connection, deal.id)

    async def move(
        self,
        deal_id: UUID,
        *,
        stage_id: UUID,
        before: UUID | None,
        by: UUID | None,
        expected: UUID | None = None,
    ) -> Deal:
        """To a stage, above the deal `before` (None, or gone meanwhile: at the end)."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                deal = await locked_deal(connection, deal_id)
                if expected is not None and deal.stage_id not in (expected, stage_id):
                    raise await moved_meanwhile(connection, deal_id)
                place = await place_above(connection, deal_id, stage_id, before)
                await put_on_stage(connection, deal, stage_id, place=place, by=by, at=datetime.now(UTC))
                return await surely(connection, deal_id)

    async def loss_reason(self, deal_id: UUID) -> str:
        """Why it was lost; empty where nobody said so."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await lost.read_reason(connection, deal_id)

    async def set_loss_reason(self, deal_id: UUID, reason: str) -> None:
        """Say why it was lost. Raises PeerMistake for a deal that is not."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await lost.write_reason(connection, deal_id, reason)

    async def loss_reasons(self) -> Sequence[str]:
        """What was said most often lately."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await lost.offer_reasons(connection)

    async def remove(self, deal_id: UUID, *, by: UUID | None) -> None:
        """It is on no board, list or card any more; `restore` brings it back. Its client's timeline says who did it."""
        now = datetime.now(UTC)
        with plain_errors():
            async with self._engine.begin() as connection:
                deal = await locked_deal(connection, deal_id)
                await _set_removed(connection, deal, now)
                client_id = deal.contact_id or deal.company_id
                data = {"act": "removed", "title": deal.title}
                told = Told("deal", now, client_id=client_id, deal_id=deal_id, account_id=by, data=data)
                await tell(connection, told)

    async def restore(self, deal_id: UUID) -> None:
        """As it was, and nothing is told of its removal any more."""
        with plain_errors():
            async with self._engine.begin() as connection:
                deal = await locked_deal(connection, deal_id, removed=True)
                await _set_removed(connection, deal, None)
                await connection.execute(_UNTELL, {"deal": deal_id})

    async def board(self, pipeline_id: UUID, wanted: DealFilter, *, limit: int = 100) -> Sequence[Column]:
        """Every stage with the first of its deals."""
        with plain_errors():
            async with self._engine.connect() as connection:
                every = await read_pipelines(connection, archived=True)
                shown = next((one.stages for one in every if one.id == pipeline_id), ())
                return await read_columns(connection, shown, wanted, skip=0, limit=limit)

    async def more_of(self, stage_id: UUID, wanted: DealFilter, *, skip: int, limit: int = 100) -> Column:
        """What comes after the first `skip` deals of a stage."""
        with plain_errors():
            async with self._engine.connect() as connection:
                stage = await stage_of(connection, stage_id)
                return (await read_columns(connection, [stage], wanted, skip=skip, limit=limit))[0]

    async def page(
        self,
        pipeline_id: UUID | None,
        wanted: DealFilter,
        *,
        state: str | None = "open",
        sort: str = "silent",
        down: bool = False,
        skip: int = 0,
        limit: int = 50,
    ) -> DealPage:
        """The list."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await read_page(
                    connection, pipeline_id, wanted, state=state, sort=sort, down=down, skip=skip, limit=limit
                )

    async def list_ids(
        self,
        pipeline_id: UUID | None,
        wanted: DealFilter,
        *,
        state: str | None = "open",
        sort: str = "silent",
        down: bool = False,
        of_board: bool = False,
    ) -> Sequence[UUID]:
        """The ids of the whole list in its order; `of_board`: of closed deals only those that the board shows."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await read_list_ids(
                    connection, pipeline_id, wanted, state=state, sort=sort, down=down, of_board=of_board
                )

    async def several(self, ids: Sequence[UUID]) -> Sequence[Deal]:
        """These deals, in this order; one that is gone is left out."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await read_several(connection, ids)


async def _set_removed(connection: AsyncConnection, deal: Row[Any], at: datetime | None) -> None:
    values = {"removed_at": at, "updated_at": func.now(), "version": deal.version + 1}
    await connection.execute(update(deals).where(deals.c.id == deal.id).values(values))
    await noticed(connection, deal.id, {deal.contact_id, deal.company_id})


async def insert_deal(
    connection: AsyncConnection, new: NewDeal, *, by: UUID | None, at: datetime, home: Home = HOME
) -> UUID:
    """A new deal on top of its stage, told on the timeline, in the caller's transaction.

    Without a stage: the first open one of the first pipeline. Without a company: the contact's. Its currency is the
    office's. Raises PeerMistake for a title, a stage or an amount that cannot be kept.
    """
    stage = await stage_of(connection, new.stage_id) if new.stage_id else await first_stage(connection)
    contact_id, company_id = await _clients_of(connection, new.contact_id, new.company_id)
    top = await connection.scalar(select(func.min(deals.c.place)).where(deals.c.stage_id == stage.id, _LIVE))
    deal_id = uuid4()
    await connection.execute(
        insert(deals).values(
            id=deal_id,
            title=_title(new.title),
            contact_id=contact_id,
            company_id=company_id,
            pipeline_id=stage.pipeline_id,
            stage_id=stage.id,
            state=stage.ends,
            amount=checked_amount(new.amount),
            currency=await office_currency(connection, home),
            owner_id=new.owner_id,
            source=new.source,
            campaign_id=new.campaign_id,
            import_id=new.import_id,
            # Two at once may get the same place; their ids tell them apart until one of them is moved.
            place=0.0 if top is None else top - STEP,
            stage_since=at,
            closed_at=None if stage.ends == "open" else at,
            created_by=by,
            created_at=at,
            updated_at=at,
        )
    )
    data = {"source": new.source, "stage": stage.name, "title": _title(new.title)}
    told = Told("made", at, client_id=contact_id or company_id, deal_id=deal_id, account_id=by, data=data)
    await tell(connection, told)
    await noticed(connection, deal_id, {contact_id, company_id})
    return deal_id


async def open_deal_of(connection: AsyncConnection, client_ids: Sequence[UUID]) -> UUID | None:
    """The open deal that a call with these clients (an entry and those merged into it) belongs to; None: to none.

    Of their own deals the one talked about last, or made last where nothing was said yet. When they have none, their
    company's: the only open one, or else the newest of those that name no contact. A deal that is led with a colleague
    of theirs is not theirs while the company has several.
    """
    found: UUID | None = await connection.scalar(_OPEN_DEAL, {"clients": list(client_ids)})
    return found


async def _clients_of(
    connection: AsyncConnection, contact_id: UUID | None, company_id: UUID | None
) -> tuple[UUID | None, UUID | None]:
    if contact_id is None:
        return None, company_id
    row = (
        await connection.execute(
            select(clients.c.kind, clients.c.company_id, clients.c.merged_into).where(
                clients.c.id == contact_id
            )
        )
    ).one_or_none()
    if row is None:
        raise PeerMistake("There is no such contact any more.", remedy="Choose another one.")
    if row.merged_into is not None:
        return await _clients_of(connection, row.merged_into, company_id)
    if row.kind == "company":
        return None, company_id or contact_id
    return contact_id, company_id or row.company_id


def _title(title: str) -> str:
    kept = " ".join(json_text.clean(title).split())[:NAME_MOST]
    if not kept:
        raise PeerMistake("A deal needs a title.", remedy="Say in a few words what it is about.")
    return kept


async def _tell_owner(
    connection: AsyncConnection, before: Row[Any], owner_id: UUID | None, *, by: UUID | None, at: datetime
) -> None:
    wanted = select(people.c.id, people.c.name).where(people.c.id.in_([before.owner_id, owner_id]))
    names = {row.id: row.name for row in await connection.execute(wanted)}
    data = {
        word: {"id": str(one), "name": names.get(one, "")} if one else None
        for word, one in (("from", before.owner_id), ("to", owner_id))
    }
    client_id = before.contact_id or before.company_id
    await tell(
        connection, Told("owner", at, client_id=client_id, deal_id=before.id, account_id=by, data=data)
    )


async def _tell_amount(
    connection: AsyncConnection, before: Row[Any], amount: Decimal | None, *, by: UUID | None, at: datetime
) -> None:
    """As JSON's floats, which are exact to the cent for every amount that is kept. A text of digits would be taken for a
    telephone number where those are hidden.
    """
    was, now = (None if one is None else float(one) for one in (before.amount, amount))
    data = {"what": "amount", "from": was, "to": now, "currency": before.currency}
    client_id = before.contact_id or before.company_id
    told = Told("changed", at, client_id=client_id, deal_id=before.id, account_id=by, data=data)
    await tell(connection, told)


_LIVE = deals.c.removed_at.is_(None)
_UNTELL = text("DELETE FROM timeline WHERE deal_id = :deal AND kind = 'deal' AND data ->> 'act' = 'removed'")

FAMILY = """
    family (id) AS (
        SELECT CAST(:client AS uuid)
        UNION SELECT c.id FROM family f
        JOIN clients c ON c.merged_into = f.id OR c.became_id = f.id OR c.company_id = f.id
    )
"""
"""The entry, everything that was merged into it or became it, and of a company its contacts with theirs."""

_DEALS_OF = text(f"""
    WITH RECURSIVE {FAMILY} SELECT id FROM (
        SELECT id, state, created_at, removed_at FROM deals WHERE contact_id IN (SELECT id FROM family)
        UNION
        SELECT id, state, created_at, removed_at FROM deals WHERE company_id IN (SELECT id FROM family)
    ) AS theirs
    WHERE removed_at IS NULL ORDER BY state <> 'open', created_at DESC, id LIMIT :most
""")  # noqa: S608 - nothing of anybody's input is in it

_OPEN_DEAL = text("""
    WITH open AS (
        SELECT d.id, d.contact_id, coalesce(d.spoken_at, d.created_at) AS newest, 1 AS rank
        FROM deals d WHERE d.state = 'open' AND d.removed_at IS NULL
            AND (d.contact_id = ANY(:clients) OR (d.company_id = ANY(:clients)))
        UNION ALL
        SELECT d.id, d.contact_id, coalesce(d.spoken_at, d.created_at), 2
        FROM deals d WHERE d.state = 'open' AND d.removed_at IS NULL
            AND d.company_id IN (SELECT company_id FROM clients WHERE id = ANY(:clients))
    )
    SELECT id FROM open
    WHERE rank = 1 OR contact_id IS NULL OR (SELECT count(*) FROM open WHERE rank = 2) = 1
    ORDER BY rank, newest DESC, id LIMIT 1
""")
