"""Which stages deals go through. What an administrator changes here never leaves a deal without a stage.

Each change takes the lock of moves, so that nobody drags a deal to a stage that is just being removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import case, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.deals.ordering import STEP
from call_records.crm.deals.stage_moves import lock_moves, put_on_stage, stage_of
from call_records.crm.tables import deals, lead_rules, pipelines, stages
from call_records.db import json_text
from call_records.db.errors import plain_errors
from telephony.edit_version import check_edit_version
from telephony.errors import PeerMistake

NAME_MOST = 80  # characters; a column is narrow
STAGES_MOST = 30  # of a pipeline; more columns nobody can read
ENDS = ("open", "won", "lost")
FIRST_STAGES = (("New", "open"), ("Won", "won"), ("Lost", "lost"))


class PipelineBook:
    """Implements `call_records.crm.types.Pipelines`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def counts(self) -> Mapping[UUID, int]:
        """How many deals stand in each stage."""
        wanted = select(deals.c.stage_id, func.count().label("deals")).where(deals.c.removed_at.is_(None))
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = await connection.execute(wanted.group_by(deals.c.stage_id))
                return {row.stage_id: row.deals for row in rows}

    async def add(self, name: str) -> UUID:
        """With a first stage, one for won and one for lost."""
        pipeline_id, kept = uuid4(), _name(name)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                place = await connection.scalar(select(func.coalesce(func.max(pipelines.c.place) + 1, 0)))
                await connection.execute(insert(pipelines).values(id=pipeline_id, name=kept, place=place))
                await connection.execute(
                    insert(stages),
                    [
                        {"id": uuid4(), "pipeline_id": pipeline_id, "name": stage, "place": nth, "ends": ends}
                        for nth, (stage, ends) in enumerate(FIRST_STAGES)
                    ],
                )
        return pipeline_id

    async def rename(self, pipeline_id: UUID, name: str, *, instead_of: str | None = None) -> None:
        """Another name. Raises ChangedMeanwhile unless it still has the name `instead_of`."""
        kept = _name(name)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                named = select(pipelines.c.name).where(pipelines.c.id == pipeline_id)
                check_edit_version(str(await connection.scalar(named)), instead_of)
                await connection.execute(
                    update(pipelines).where(pipelines.c.id == pipeline_id).values(name=kept)
                )

    async def order(self, ids: Sequence[UUID]) -> None:
        """In this order; those not named follow as they were."""
        await self._change(update(pipelines).values(place=_places(pipelines.c, ids)))

    async def archive(self, pipeline_id: UUID, *, archived: bool) -> None:
        """No longer offered, or offered again. Not while deals are open in it, and never the last one."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                if archived:
                    await _check_may_go(connection, pipeline_id)
                at = datetime.now(UTC) if archived else None
                changing = update(pipelines).where(pipelines.c.id == pipeline_id)
                await connection.execute(changing.values(archived_at=at))

    async def add_stage(self, pipeline_id: UUID, name: str, *, ends: str = "open") -> UUID:
        """Behind the last one that ends alike."""
        stage_id, kept, ends = uuid4(), _name(name), _ends(ends)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                present = await _stages_of(connection, pipeline_id)
                if not present:
                    raise PeerMistake("There is no such pipeline any more.", remedy="Reload the page.")
                if len(present) >= STAGES_MOST:
                    raise PeerMistake(
                        "A pipeline has at most {most} stages.",
                        remedy="Remove one first.",
                        values={"most": STAGES_MOST},
                    )
                alike = [nth for nth, (_id, has) in enumerate(present) if ENDS.index(has) <= ENDS.index(ends)]
                at = alike[-1] + 1 if alike else 0
                ids = [one for one, _has in present]
                await connection.execute(
                    insert(stages).values(
                        id=stage_id, pipeline_id=pipeline_id, name=kept, place=at, ends=ends
                    )
                )
                ordered = [*ids[:at], stage_id, *ids[at:]]
                await connection.execute(_ordering(pipeline_id, ordered))
        return stage_id

    async def change_stage(self, stage_id: UUID, *, name: str, ends: str, seen: str | None = None) -> None:
        """Its deals are won, lost or open as it says. Raises ChangedMeanwhile unless its edit version is still `seen`."""
        kept, ends = _name(name), _ends(ends)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                before = await stage_of(connection, stage_id)
                check_edit_version(before.edit_version, seen)
                if before.ends == "open" and ends != "open":
                    await _check_open_left(connection, before.pipeline_id, stage_id)
                changing = update(stages).where(stages.c.id == stage_id)
                await connection.execute(changing.values(name=kept, ends=ends))
                if before.ends != ends:
                    closed = None if ends == "open" else func.coalesce(deals.c.closed_at, func.now())
                    await connection.execute(
                        update(deals).where(deals.c.stage_id == stage_id).values(state=ends, closed_at=closed)
                    )

    async def order_stages(self, pipeline_id: UUID, ids: Sequence[UUID]) -> None:
        """In this order; those not named follow as they were."""
        await self._change(_ordering(pipeline_id, ids))

    async def remove_stage(self, stage_id: UUID, *, into: UUID | None, by: UUID | None) -> None:
        """Its deals go to the end of the stage `into`, each told on its timeline."""
        now = datetime.now(UTC)
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                stage = await stage_of(connection, stage_id)
                if stage.ends == "open":
                    await _check_open_left(connection, stage.pipeline_id, stage_id)
                heirs = await _heirs(connection, stage_id)
                if heirs:
                    target = await _target(
                        connection, stage_id, into, sum(one.removed_at is None for one in heirs)
                    )
                    bottom = await connection.scalar(
                        select(func.coalesce(func.max(deals.c.place), 0.0)).where(deals.c.stage_id == target)
                    )
                    for nth, deal in enumerate(heirs, 1):
                        place = float(bottom or 0.0) + nth * STEP
                        await put_on_stage(connection, deal, target, place=place, by=by, at=now)
                if into is not None:
                    ruled = update(lead_rules).where(lead_rules.c.stage_id == stage_id)
                    await connection.execute(ruled.values(stage_id=into))
                await connection.execute(delete(stages).where(stages.c.id == stage_id))

    async def _change(self, statement: Any) -> None:
        with plain_errors():
            async with self._engine.begin() as connection:
                await lock_moves(connection)
                await connection.execute(statement)


def _name(name: str) -> str:
    kept = " ".join(json_text.clean(name).split())[:NAME_MOST]
    if not kept:
        raise PeerMistake("It needs a name.", remedy="One or two words are enough.", field="name")
    return kept


def _ends(ends: str) -> str:
    if ends not in ENDS:
        raise PeerMistake("A stage is open, won or lost.", remedy="Choose one of the three.", field="ends")
    return ends


def _places(columns: Any, ids: Sequence[UUID]) -> Any:
    """The order given; whatever is not in it keeps its place behind."""
    return case({one: nth for nth, one in enumerate(ids)}, value=columns.id, else_=columns.place + len(ids))


def _ordering(pipeline_id: UUID, ids: Sequence[UUID]) -> Any:
    return update(stages).where(stages.c.pipeline_id == pipeline_id).values(place=_places(stages.c, ids))


async def _stages_of(connection: AsyncConnection, pipeline_id: UUID) -> list[tuple[UUID, str]]:
    wanted = select(stages.c.id, stages.c.ends).where(stages.c.pipeline_id == pipeline_id)
    return [
        (row.id, row.ends) for row in await connection.execute(wanted.order_by(stages.c.place, stages.c.id))
    ]


async def _check_may_go(connection: AsyncConnection, pipeline_id: UUID) -> None:
    open_deals = await connection.scalar(_OPEN_IN, {"pipeline": pipeline_id})
    if open_deals:
        raise PeerMistake(
            "{open_deals} deals are open in it.",
            remedy="Close them or move them to another pipeline first.",
            values={"open_deals": open_deals},
        )
    others = await connection.scalar(
        select(func.count()).where(pipelines.c.archived_at.is_(None), pipelines.c.id != pipeline_id)
    )
    if not others:
        raise PeerMistake("It is the only pipeline.", remedy="Add another one first.")


async def _check_open_left(connection: AsyncConnection, pipeline_id: UUID, without: UUID) -> None:
    present = await _stages_of(connection, pipeline_id)
    if not any(ends == "open" for stage_id, ends in present if stage_id != without):
        raise PeerMistake("It is the only open stage.", remedy="Add another open one first.")


async def _heirs(connection: AsyncConnection, stage_id: UUID) -> Sequence[Any]:
    """The deals that need another stage, removed ones too: they may be brought back."""
    wanted = select(deals).where(deals.c.stage_id == stage_id).order_by(deals.c.place, deals.c.id)
    return (await connection.execute(wanted.with_for_update())).all()


async def _target(connection: AsyncConnection, stage_id: UUID, into: UUID | None, count: int) -> UUID:
    if into is None or into == stage_id:
        raise PeerMistake(
            "{count} deals stand in this stage.",
            remedy="Say to which stage they go.",
            field="into",
            values={"count": count},
        )
    return (await stage_of(connection, into)).id


_OPEN_IN = text(
    "SELECT count(*) FROM deals WHERE pipeline_id = :pipeline AND state = 'open' AND removed_at IS NULL"
)
