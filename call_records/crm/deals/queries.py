"""Reading deals: one select, and the board, the list and the page that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    Row,
    Select,
    case,
    func,
    lateral,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.tables import clients, deals, pipelines, stages, tasks, timeline
from call_records.crm.transliteration import spelled
from call_records.crm.types import Column, Deal, DealFilter, DealPage, Money, Pipeline, Stage, Task
from call_records.db import json_text
from call_records.db.tables import people

CLOSED_DAYS = 30  # of won and lost deals the board shows the last month; the list has all
LIST_MOST = 1_000_000  # ids of one list, 100 bytes each while it is exported; no office has so many deals
WORDS_MOST = 8  # of one search; each is a condition of its own

_contact = clients.alias("contact")
_company = clients.alias("company")
_owner = people.alias("owner")
_next = lateral(
    select(tasks.c.id, tasks.c.text, tasks.c.due_at, tasks.c.owner_id, tasks.c.created_at)
    .where(tasks.c.deal_id == deals.c.id, tasks.c.done_at.is_(None))
    .order_by(tasks.c.due_at.nulls_last(), tasks.c.created_at, tasks.c.id)
    .limit(1)
).alias("next_task")
_told = lateral(select(func.max(timeline.c.at).label("at")).where(timeline.c.deal_id == deals.c.id)).alias(
    "told"
)
_silent = func.greatest(deals.c.spoken_at, deals.c.stage_since, deals.c.created_at, _told.c.at)
_live = deals.c.removed_at.is_(None)

_FROM = (
    deals.join(stages, stages.c.id == deals.c.stage_id)
    .join(pipelines, pipelines.c.id == deals.c.pipeline_id)
    .outerjoin(_contact, _contact.c.id == deals.c.contact_id)
    .outerjoin(_company, _company.c.id == deals.c.company_id)
    .outerjoin(_owner, _owner.c.id == deals.c.owner_id)
    .outerjoin(_next, true())
    .outerjoin(_told, true())
)
_COLUMNS = (
    deals,
    stages.c.name.label("stage"),
    pipelines.c.name.label("pipeline"),
    _contact.c.name.label("contact"),
    _company.c.name.label("company"),
    _owner.c.name.label("owner"),
    _silent.label("silent_since"),
    _next.c.id.label("task_id"),
    _next.c.text.label("task_text"),
    _next.c.due_at.label("task_due_at"),
    _next.c.owner_id.label("task_owner_id"),
    _next.c.created_at.label("task_created_at"),
)

SORTS: dict[str, ColumnElement[Any]] = {
    "title": func.lower(deals.c.title),
    "client": deals.c.client_name,
    "stage": stages.c.place,
    "amount": deals.c.amount,
    "owner": func.lower(_owner.c.name),
    "task": deals.c.next_due_at,
    "silent": _silent,
    "made": deals.c.created_at,
}
"""What the list can be sorted by."""


def deal_rows() -> Select[Any]:
    """Everything a `Deal` is made of."""
    return select(*_COLUMNS).select_from(_FROM)


async def read_deals(connection: AsyncConnection, wanted: Select[Any]) -> list[Deal]:
    """The deals of a select made by `deal_rows`."""
    return [_deal(row) for row in await connection.execute(wanted)]


async def one_deal(connection: AsyncConnection, deal_id: UUID) -> Deal | None:
    """The deal, removed or not."""
    found = await read_deals(connection, deal_rows().where(deals.c.id == deal_id))
    return found[0] if found else None


def _deal(row: Row[Any]) -> Deal:
    return Deal(
        id=row.id,
        title=row.title,
        contact_id=row.contact_id,
        contact=row.contact,
        company_id=row.company_id,
        company=row.company,
        pipeline_id=row.pipeline_id,
        stage_id=row.stage_id,
        stage=row.stage,
        state=row.state,
        amount=row.amount,
        currency=row.currency,
        owner_id=row.owner_id,
        owner=row.owner,
        tags=tuple(row.tags),
        fields=row.fields,
        source=row.source,
        place=row.place,
        spoken_at=row.spoken_at,
        stage_since=row.stage_since,
        created_at=row.created_at,
        updated_at=row.updated_at,
        closed_at=row.closed_at,
        version=row.version,
        next_task=_task(row) if row.task_id else None,
        pipeline=row.pipeline,
        silent_since=row.silent_since,
        removed_at=row.removed_at,
    )


def _task(row: Row[Any]) -> Task:
    return Task(
        id=row.task_id,
        text=row.task_text,
        due_at=row.task_due_at,
        client_id=row.contact_id or row.company_id,
        deal_id=row.id,
        call_id=None,
        owner_id=row.task_owner_id,
        owner=None,
        created_at=row.task_created_at,
        done_at=None,
    )


def _conditions(wanted: DealFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_live]
    if wanted.unowned:
        found.append(deals.c.owner_id.is_(None))
    elif wanted.owner_id is not None:
        found.append(deals.c.owner_id == wanted.owner_id)
    for word in json_text.clean(wanted.text or "").lower().split()[:WORDS_MOST]:
        found.append(
            or_(
                func.lower(deals.c.title).contains(word, autoescape=True),
                deals.c.client_search.contains(spelled(word) or word, autoescape=True),
            )
        )
    return found


_LISTED: dict[str, FromClause] = {
    **dict.fromkeys(SORTS, deals),
    "stage": deals.join(stages, stages.c.id == deals.c.stage_id),
    "owner": deals.outerjoin(_owner, _owner.c.id == deals.c.owner_id),
    "silent": deals.outerjoin(_told, true()),
}
"""What each order needs, and no more: a look at tasks or at the timeline costs microseconds, and there may be many."""


def _lately() -> ColumnElement[bool]:
    since = datetime.now(UTC) - timedelta(days=CLOSED_DAYS)
    return or_(deals.c.state == "open", deals.c.closed_at >= since)


async def read_columns(
    connection: AsyncConnection, shown: Sequence[Stage], wanted: DealFilter, *, skip: int, limit: int
) -> list[Column]:
    """Those stages, each with `limit` of its deals after the first `skip`. Totals are of all of them."""
    if not shown:
        return []
    conditions = [_lately(), *_conditions(wanted)]
    totals = await _totals(connection, [deals.c.stage_id.in_([stage.id for stage in shown]), *conditions])
    # Each column by its own index: numbering every deal of every column first would cost all of them a sort.
    tops = [_top(stage, conditions, skip, limit).subquery() for stage in shown]
    found = await _in_order(connection, union_all(*(select(top.c.id) for top in tops)))
    return [
        Column(
            stage, *totals.get(stage.id, (0, ())), tuple(deal for deal in found if deal.stage_id == stage.id)
        )
        for stage in shown
    ]


def _top(stage: Stage, conditions: Sequence[ColumnElement[bool]], skip: int, limit: int) -> Select[Any]:
    """What is shown of a column, in its order. Closed deals have none of their own: the last closed first."""
    order = (
        (deals.c.place, deals.c.id) if stage.ends == "open" else (*_LAST_CLOSED, deals.c.place, deals.c.id)
    )
    chosen = select(deals.c.id).where(deals.c.stage_id == stage.id, *conditions)
    return chosen.order_by(*order).offset(skip).limit(limit)


_LAST_CLOSED = (case((deals.c.state == "open", None), else_=deals.c.closed_at).desc(),)


async def _in_order(connection: AsyncConnection, chosen: Select[Any] | CompoundSelect[Any]) -> list[Deal]:
    """The deals with these ids, in their order. What is next and since when it is silent is looked up for these only:
    for all the deals of many years it would take half a second.
    """
    ids = list((await connection.scalars(chosen)).all())
    return await read_several(connection, ids) if ids else []


async def _totals(
    connection: AsyncConnection, conditions: Sequence[ColumnElement[bool]]
) -> dict[UUID, tuple[int, tuple[Money, ...]]]:
    rows = await connection.execute(
        select(deals.c.stage_id, deals.c.currency, func.count(), func.coalesce(func.sum(deals.c.amount), 0))
        .where(*conditions)
        .group_by(deals.c.stage_id, deals.c.currency)
        .order_by(func.count().desc(), deals.c.currency)
    )
    found: dict[UUID, tuple[int, tuple[Money, ...]]] = {}
    for stage_id, currency, count, amount in rows:
        before, sums = found.get(stage_id, (0, ()))
        found[stage_id] = (before + count, (*sums, *_money(amount, currency)))
    return found


def _money(amount: Decimal, currency: str) -> tuple[Money, ...]:
    return (Money(Decimal(amount), currency),) if amount else ()


async def read_page(
    connection: AsyncConnection,
    pipeline_id: UUID | None,
    wanted: DealFilter,
    *,
    state: str | None,
    sort: str,
    down: bool,
    skip: int,
    limit: int,
) -> DealPage:
    """A page of the list with the totals of all pages."""
    conditions = _list_conditions(pipeline_id, wanted, state)
    totals = (await _totals(connection, conditions)).values()
    chosen = _list_ids(conditions, sort, down=down)
    return DealPage(
        tuple(await _in_order(connection, chosen.offset(skip).limit(limit))),
        sum(count for count, _sums in totals),
        _added(one for _count, sums in totals for one in sums),
    )


async def read_list_ids(
    connection: AsyncConnection,
    pipeline_id: UUID | None,
    wanted: DealFilter,
    *,
    state: str | None,
    sort: str,
    down: bool,
    of_board: bool,
) -> list[UUID]:
    """The ids of the whole list in its order; `of_board`: of closed deals only those that the board shows."""
    conditions = _list_conditions(pipeline_id, wanted, state)
    if of_board:
        conditions.append(_lately())
    return list((await connection.scalars(_list_ids(conditions, sort, down=down).limit(LIST_MOST))).all())


async def read_several(connection: AsyncConnection, ids: Sequence[UUID]) -> list[Deal]:
    """These deals, in this order; one that is gone is left out."""
    found = {deal.id: deal for deal in await read_deals(connection, deal_rows().where(deals.c.id.in_(ids)))}
    return [found[one] for one in ids if one in found]


def _list_conditions(
    pipeline_id: UUID | None, wanted: DealFilter, state: str | None
) -> list[ColumnElement[bool]]:
    conditions = _conditions(wanted)
    if pipeline_id is not None:
        conditions.append(deals.c.pipeline_id == pipeline_id)
    if state is not None:
        conditions.append(deals.c.state == state)
    return conditions


def _list_ids(conditions: Sequence[ColumnElement[bool]], sort: str, *, down: bool) -> Select[UUID]:
    by = SORTS[sort]
    order = by.desc().nulls_last() if down else by.asc().nulls_last()
    return select(deals.c.id).select_from(_LISTED[sort]).where(*conditions).order_by(order, deals.c.id)


def _added(sums: Any) -> tuple[Money, ...]:
    together: dict[str, Decimal] = {}
    for one in sums:
        together[one.currency] = together.get(one.currency, Decimal(0)) + one.amount
    return tuple(Money(amount, currency) for currency, amount in together.items())


async def read_pipelines(connection: AsyncConnection, *, archived: bool) -> list[Pipeline]:
    """In their order, archived ones last."""
    wanted = select(pipelines).order_by(
        pipelines.c.archived_at.is_not(None), pipelines.c.place, pipelines.c.id
    )
    if not archived:
        wanted = wanted.where(pipelines.c.archived_at.is_(None))
    of_each: dict[UUID, list[Stage]] = {}
    for row in await connection.execute(select(stages).order_by(stages.c.place, stages.c.id)):
        of_each.setdefault(row.pipeline_id, []).append(
            Stage(row.id, row.pipeline_id, row.name, row.place, row.ends)
        )
    return [
        Pipeline(row.id, row.name, row.place, tuple(of_each.get(row.id, ())), row.archived_at)
        for row in await connection.execute(wanted)
    ]
