"""Tasks: what a person of ours has to do for a client or a deal, and by when.

Making one, doing it and handing it over are told on the timeline; a task that is taken up again was never done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, Row, Select, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.deals.deals import FAMILY
from call_records.crm.tables import clients, deals, tasks, timeline
from call_records.crm.types import NewTask, Task
from call_records.crm.writes import Told, insert_task, notice, tell
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import people
from telephony.edit_version import check_edit_version
from telephony.errors import PeerMistake

TEXT_MOST = 1000  # characters; more is a note

OF_CLIENT_MOST = 500  # open tasks of one client; a company of thousands of people has thousands
DONE_SHOWN = 50  # done tasks shown of one client or deal, the last first; all are on its timeline


def _of_person(owner_id: UUID) -> CompoundSelect[Any]:
    """Their own open tasks, and nobody's on their deals: each found by its own index."""
    own = select(tasks.c.id).where(tasks.c.owner_id == owner_id, tasks.c.done_at.is_(None))
    theirs = select(deals.c.id).where(deals.c.owner_id == owner_id, deals.c.removed_at.is_(None))
    nobodys = select(tasks.c.id).where(
        tasks.c.owner_id.is_(None), tasks.c.done_at.is_(None), tasks.c.deal_id.in_(theirs)
    )
    return own.union(nobodys)


class TaskBook:
    """Implements `call_records.crm.types.Tasks`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def one(self, task_id: UUID) -> Task | None:
        """The task, done or not."""
        found = await self._read(_rows().where(tasks.c.id == task_id))
        return found[0] if found else None

    async def add(self, new: NewTask, *, by: UUID | None) -> Task:
        """A task of a deal is also its contact's (or company's)."""
        new = replace(new, text=_text(new.text))
        with plain_errors():
            async with self._engine.begin() as connection:
                if new.deal_id is not None and new.client_id is None:
                    new = replace(new, client_id=await _client_of(connection, new.deal_id))
                task_id = await insert_task(connection, new, by=by, at=datetime.now(UTC))
                await _noticed(connection, new.client_id, new.deal_id)
                return await _surely(connection, task_id)

    async def of_client(self, client_id: UUID, *, limit: int = OF_CLIENT_MOST) -> Sequence[Task]:
        """Open ones by what is due first, then the last done; with those of merged entries."""
        asked = {"client": client_id, "most": limit, "done": DONE_SHOWN}
        with plain_errors():
            async with self._engine.connect() as connection:
                ids = list((await connection.scalars(_TASKS_OF, asked)).all())
        found = {one.id: one for one in await self._read(_rows().where(tasks.c.id.in_(ids)))} if ids else {}
        return [found[one] for one in ids if one in found]

    async def of_deal(self, deal_id: UUID) -> Sequence[Task]:
        """Open ones by what is due first, then the last done."""
        return await self._listed(_rows().where(tasks.c.deal_id == deal_id))

    async def open_of(
        self, owner_id: UUID, *, until: datetime | None = None, limit: int = 50
    ) -> Sequence[Task]:
        """What a person has to do, overdue first; what belongs to a removed deal or client is left out. A task without
        an owner on their own deal is theirs.
        """
        wanted = _rows().where(
            tasks.c.id.in_(_of_person(owner_id)),
            tasks.c.done_at.is_(None),
            deals.c.removed_at.is_(None),
            clients.c.removed_at.is_(None),
        )
        if until is not None:
            wanted = wanted.where(tasks.c.due_at < until)
        order = (tasks.c.due_at.nulls_last(), tasks.c.created_at, tasks.c.id)
        return await self._read(wanted.order_by(*order).limit(limit))

    async def change(self, task: Task, *, by: UUID, seen: str | None = None) -> Task:
        """Store text, due date and owner; a new owner or date is told."""
        said, now = _text(task.text), datetime.now(UTC)
        with plain_errors():
            async with self._engine.begin() as connection:
                before = await _locked(connection, task.id)
                check_edit_version((await _surely(connection, task.id)).edit_version, seen)
                await connection.execute(
                    update(tasks)
                    .where(tasks.c.id == task.id)
                    .values(text=said, due_at=task.due_at, owner_id=task.owner_id)
                )
                data = await _changes(connection, before, task)
                if data:
                    await _tell(connection, before, now, by, said, data)
                await _noticed(connection, before.client_id, before.deal_id)
                return await _surely(connection, task.id)

    async def done(self, task_id: UUID, *, done: bool, by: UUID) -> Task:
        """Done, or not done after all. Saying it twice changes nothing."""
        now = datetime.now(UTC)
        with plain_errors():
            async with self._engine.begin() as connection:
                before = await _locked(connection, task_id)
                if (before.done_at is not None) != done:
                    values = {"done_at": now if done else None, "done_by": by if done else None}
                    await connection.execute(update(tasks).where(tasks.c.id == task_id).values(values))
                    if done:
                        await _tell(connection, before, now, by, before.text, {"act": "done"})
                    else:
                        await connection.execute(_untold(task_id))
                    await _noticed(connection, before.client_id, before.deal_id)
                return await _surely(connection, task_id)

    async def _listed(self, wanted: Select[Any]) -> Sequence[Task]:
        first = (tasks.c.due_at.nulls_last(), tasks.c.created_at, tasks.c.id)
        todo = await self._read(wanted.where(tasks.c.done_at.is_(None)).order_by(*first))
        lately = wanted.where(tasks.c.done_at.is_not(None)).order_by(tasks.c.done_at.desc(), tasks.c.id)
        return [*todo, *await self._read(lately.limit(DONE_SHOWN))]

    async def _read(self, wanted: Select[Any]) -> Sequence[Task]:
        with plain_errors():
            async with self._engine.connect() as connection:
                return [_task(row) for row in await connection.execute(wanted)]


def _rows() -> Select[Any]:
    joined = (
        tasks.outerjoin(people, people.c.id == tasks.c.owner_id)
        .outerjoin(clients, clients.c.id == tasks.c.client_id)
        .outerjoin(deals, deals.c.id == tasks.c.deal_id)
    )
    names = (people.c.name.label("owner"), clients.c.name.label("client"), deals.c.title.label("deal"))
    return select(tasks, *names).select_from(joined)


def _task(row: Row[Any]) -> Task:
    return Task(
        id=row.id,
        text=row.text,
        due_at=row.due_at,
        client_id=row.client_id,
        deal_id=row.deal_id,
        call_id=row.call_id,
        owner_id=row.owner_id,
        owner=row.owner,
        created_at=row.created_at,
        done_at=row.done_at,
        client=row.client,
        deal=row.deal,
    )


async def _locked(connection: AsyncConnection, task_id: UUID) -> Row[Any]:
    row = (
        await connection.execute(select(tasks).where(tasks.c.id == task_id).with_for_update())
    ).one_or_none()
    if row is None:
        raise PeerMistake("There is no such task any more.", remedy="Reload the page.")
    return row


async def _surely(connection: AsyncConnection, task_id: UUID) -> Task:
    return _task((await connection.execute(_rows().where(tasks.c.id == task_id))).one())


async def _client_of(connection: AsyncConnection, deal_id: UUID) -> UUID | None:
    row = (
        await connection.execute(select(deals.c.contact_id, deals.c.company_id).where(deals.c.id == deal_id))
    ).one_or_none()
    if row is None:
        raise PeerMistake("There is no such deal any more.", remedy="Reload the page.")
    found: UUID | None = row.contact_id or row.company_id
    return found


async def _changes(connection: AsyncConnection, before: Row[Any], task: Task) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if before.due_at != task.due_at:
        data["due"] = {
            "from": before.due_at.isoformat() if before.due_at else None,
            "to": task.due_at.isoformat() if task.due_at else None,
        }
    if before.owner_id != task.owner_id:
        wanted = select(people.c.id, people.c.name).where(people.c.id.in_([before.owner_id, task.owner_id]))
        names = {row.id: row.name for row in await connection.execute(wanted)}
        data["owner"] = {"from": names.get(before.owner_id), "to": names.get(task.owner_id)}
    return {"act": "changed", **data} if data else {}


async def _tell(
    connection: AsyncConnection, task: Row[Any], at: datetime, by: UUID, said: str, data: dict[str, Any]
) -> None:
    told = Told(
        "task",
        at,
        client_id=task.client_id,
        deal_id=task.deal_id,
        task_id=task.id,
        account_id=by,
        text=said,
        data=data,
    )
    await tell(connection, told)


def _untold(task_id: UUID) -> Any:
    return delete(timeline).where(
        timeline.c.task_id == task_id, timeline.c.kind == "task", timeline.c.data["act"].astext == "done"
    )


def _text(said: str) -> str:
    kept = json_text.clean(said).strip()[:TEXT_MOST]
    if not kept:
        raise PeerMistake("A task needs a few words.", remedy="Say what is to be done.")
    return kept


async def _noticed(connection: AsyncConnection, client_id: UUID | None, deal_id: UUID | None) -> None:
    if deal_id is not None:
        await notice(connection, "deal", deal_id)
    if client_id is not None:
        await notice(connection, "client", client_id)


_TASKS_OF = text(f"""
    WITH RECURSIVE {FAMILY}, theirs AS MATERIALIZED (
        SELECT id, due_at, created_at, done_at FROM tasks WHERE client_id IN (SELECT id FROM family)
    )
    SELECT id FROM (
        (SELECT id, 0 AS part, row_number() OVER (ORDER BY due_at NULLS LAST, created_at, id) AS nth
         FROM theirs WHERE done_at IS NULL ORDER BY nth LIMIT :most)
        UNION ALL
        (SELECT id, 1, row_number() OVER (ORDER BY done_at DESC, id) AS nth
         FROM theirs WHERE done_at IS NOT NULL ORDER BY nth LIMIT :done)
    ) AS listed ORDER BY part, nth
""")  # noqa: S608 - nothing of anybody's input is in it
