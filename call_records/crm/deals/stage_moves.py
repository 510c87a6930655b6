"""Moving deals: from stage to stage, and above each other.

Moves are made one after another (each takes milliseconds), so that two people who drag at once get an order both can
see; a move that started from a stage where the deal no longer is, is refused and told. Every change of stage is on the
timeline with both names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.deals.ordering import STEP, between
from call_records.crm.deals.queries import one_deal
from call_records.crm.tables import deals, pipelines, stages
from call_records.crm.types import Deal, MovedMeanwhile, Stage
from call_records.crm.writes import Told, notice, tell
from call_records.db import locks
from telephony.errors import NeedsPerson, PeerMistake

_NO_DEAL = "There is no such deal any more."


async def lock_moves(connection: AsyncConnection) -> None:
    """Whoever gives deals their places takes turns, over all processes, until the transaction ends."""
    await connection.execute(_LOCK_MOVES, {"lock": locks.STAGE_MOVES})


async def stage_of(connection: AsyncConnection, stage_id: UUID) -> Stage:
    """The stage. Raises PeerMistake when it was removed."""
    row = (await connection.execute(select(stages).where(stages.c.id == stage_id))).one_or_none()
    if row is None:
        raise PeerMistake("There is no such stage any more.", remedy="Reload the page and choose another.")
    return Stage(row.id, row.pipeline_id, row.name, row.place, row.ends)


async def first_stage(connection: AsyncConnection) -> Stage:
    """Where a deal begins of which nobody said where. Raises NeedsPerson when there is no open stage."""
    row = (
        await connection.execute(
            select(stages)
            .join(pipelines, pipelines.c.id == stages.c.pipeline_id)
            .where(pipelines.c.archived_at.is_(None), stages.c.ends == "open")
            .order_by(pipelines.c.place, pipelines.c.id, stages.c.place, stages.c.id)
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        raise NeedsPerson("No pipeline has an open stage.", remedy="Add one under Office, Pipelines.")
    return Stage(row.id, row.pipeline_id, row.name, row.place, row.ends)


async def place_above(
    connection: AsyncConnection, deal_id: UUID, stage_id: UUID, before: UUID | None
) -> float:
    """A place in that stage above the deal `before` (None, or not there: at the end). The caller has the lock of moves."""
    place = await _free_place(connection, deal_id, stage_id, before)
    if place is None:
        await connection.execute(_RENUMBER, {"stage": stage_id, "step": STEP})
        place = await _free_place(connection, deal_id, stage_id, before)
    if place is None:
        raise AssertionError("a column that was just numbered has room between any two")
    return place


async def _free_place(
    connection: AsyncConnection, deal_id: UUID, stage_id: UUID, before: UUID | None
) -> float | None:
    neighbours = {"stage": stage_id, "deal": deal_id, "before": before}
    row = (await connection.execute(_NEIGHBOURS, neighbours)).one()
    return between(row.above, row.below)


async def put_on_stage(
    connection: AsyncConnection,
    deal: Row[Any],
    stage_id: UUID,
    *,
    place: float,
    by: UUID | None,
    at: datetime,
) -> None:
    """Give a locked deal its stage and place; a change of stage is told."""
    if deal.stage_id == stage_id:
        await connection.execute(update(deals).where(deals.c.id == deal.id).values(place=place))
        return
    left, reached = await _step_of(connection, deal.stage_id), await _step_of(connection, stage_id)
    closed_at = None if reached.ends == "open" else deal.closed_at if left.ends == reached.ends else at
    await connection.execute(
        update(deals)
        .where(deals.c.id == deal.id)
        .values(
            stage_id=stage_id,
            pipeline_id=reached.pipeline_id,
            state=reached.ends,
            place=place,
            stage_since=at,
            closed_at=closed_at,
            updated_at=at,
        )
    )
    await tell(
        connection,
        Told(
            "stage",
            at,
            client_id=deal.contact_id or deal.company_id,
            deal_id=deal.id,
            account_id=by,
            data=stage_told(left, reached),
        ),
    )
    await noticed(connection, deal.id, {deal.contact_id, deal.company_id})


@dataclass(frozen=True, slots=True)
class Step:
    """A stage as a change of stage tells of it."""

    id: UUID
    name: str
    ends: str
    pipeline_id: UUID
    pipeline: str


def stage_told(left: Step, reached: Step) -> dict[str, Any]:
    """What the timeline keeps of a change of stage: `from` and `to`, each with id, name and how it ends; the names of
    the pipelines only when it went from one to another.
    """
    told: dict[str, Any] = {}
    for word, step in (("from", left), ("to", reached)):
        told[word] = {"id": str(step.id), "name": step.name, "ends": step.ends}
        if left.pipeline_id != reached.pipeline_id:
            told[word]["pipeline"] = step.pipeline
    return told


async def _step_of(connection: AsyncConnection, stage_id: UUID) -> Step:
    stage = await stage_of(connection, stage_id)
    name = await connection.scalar(select(pipelines.c.name).where(pipelines.c.id == stage.pipeline_id))
    return Step(stage.id, stage.name, stage.ends, stage.pipeline_id, name or "")


async def locked_deal(connection: AsyncConnection, deal_id: UUID, *, removed: bool = False) -> Row[Any]:
    """The deal's row, which nobody else changes until the transaction ends. Raises PeerMistake when it was removed."""
    wanted = select(deals).where(deals.c.id == deal_id).with_for_update()
    row = (await connection.execute(wanted)).one_or_none()
    if row is None or (row.removed_at is not None and not removed):
        raise PeerMistake(_NO_DEAL, remedy="Somebody removed it. Reload the page.")
    return row


async def moved_meanwhile(connection: AsyncConnection, deal_id: UUID) -> MovedMeanwhile:
    """Where it stands and who moved it there."""
    deal = await surely(connection, deal_id)
    return MovedMeanwhile(deal, await connection.scalar(_MOVER, {"deal": deal_id}))


async def surely(connection: AsyncConnection, deal_id: UUID) -> Deal:
    """The deal, which was there a moment ago."""
    deal = await one_deal(connection, deal_id)
    if deal is None:
        raise PeerMistake(_NO_DEAL)
    return deal


async def noticed(connection: AsyncConnection, deal_id: UUID, client_ids: set[UUID | None]) -> None:
    """Whoever shows the deal or its clients reads them again at commit."""
    await notice(connection, "deal", deal_id)
    for client_id in client_ids - {None}:
        if client_id is not None:
            await notice(connection, "client", client_id)


_LOCK_MOVES = text("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))")


_NEIGHBOURS = text("""
    WITH column_of AS (SELECT id, place FROM deals WHERE stage_id = :stage AND removed_at IS NULL AND id <> :deal),
    below AS (SELECT id, place FROM column_of WHERE id = CAST(:before AS uuid))
    SELECT (SELECT place FROM below) AS below,
           (SELECT max(c.place) FROM column_of c
            WHERE NOT EXISTS (SELECT 1 FROM below)
               OR (c.place, c.id) < (SELECT place, id FROM below)) AS above
""")
"""The places between which a deal goes."""

_RENUMBER = text("""
    UPDATE deals SET place = counted.nth * CAST(:step AS float8)
    FROM (SELECT id, row_number() OVER (ORDER BY place, id) AS nth FROM deals
          WHERE stage_id = :stage AND removed_at IS NULL) AS counted
    WHERE deals.id = counted.id
""")

_MOVER = text("""
    SELECT coalesce(a.name, '') FROM timeline t LEFT JOIN accounts a ON a.id = t.account_id
    WHERE t.deal_id = :deal AND t.kind = 'stage' ORDER BY t.at DESC, t.id DESC LIMIT 1
""")
