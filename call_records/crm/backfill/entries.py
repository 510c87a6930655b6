"""Entries that were made earlier than they are put in: contacts, deals, notes and tasks with moments of their own.

What people do on the pages happens now. A history that is brought along as a whole (the demo's) says when each thing
happened, and reads afterwards as if it had been entered then. Everything is put in by the same statements as on the
pages, in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.crm.deals.deals import insert_deal
from call_records.crm.deals.stage_moves import locked_deal, put_on_stage
from call_records.crm.tables import tasks
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.crm.writes import Home, Told, insert_client, insert_task, tell
from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import notes


@dataclass(frozen=True, slots=True)
class PastClient:
    """A contact, company or lead. `key` is how the others name it."""

    key: str
    new: NewClient
    at: datetime
    company: str | None = None
    """The key of a company that stands before it."""


@dataclass(frozen=True, slots=True)
class PastDeal:
    """A deal and how it went: the stages it was moved to, oldest first."""

    key: str
    new: NewDeal
    at: datetime
    moves: tuple[tuple[UUID, datetime], ...] = ()
    contact: str | None = None
    by: UUID | None = None


@dataclass(frozen=True, slots=True)
class PastNote:
    """A note on a contact's or a deal's timeline."""

    text: str
    at: datetime
    by: UUID
    client: str | None = None
    deal: str | None = None


@dataclass(frozen=True, slots=True)
class PastTask:
    """A task, perhaps done meanwhile."""

    new: NewTask
    at: datetime
    by: UUID
    client: str | None = None
    deal: str | None = None
    done_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PastCallNote:
    """What somebody wrote on a call."""

    call_id: UUID
    text: str
    at: datetime
    by: UUID


@dataclass(frozen=True, slots=True)
class PastEntries:
    """All of it; each kind may name those of the kinds before it."""

    clients: Sequence[PastClient] = ()
    deals: Sequence[PastDeal] = ()
    notes: Sequence[PastNote] = ()
    tasks: Sequence[PastTask] = ()
    call_notes: Sequence[PastCallNote] = ()


async def add_past_entries(engine: AsyncEngine, home: Home, entries: PastEntries) -> Mapping[str, UUID]:
    """Put them in, all or none; the ids by their keys. Raises TryLater, or PeerMistake for what cannot be kept."""
    with plain_errors():
        async with engine.begin() as connection:
            ids: dict[str, UUID] = {}
            for client in entries.clients:
                ids[client.key] = await _add_client(connection, client, ids, home)
            for deal in entries.deals:
                ids[deal.key] = await _add_deal(connection, deal, ids, home)
            for note in entries.notes:
                await _add_note(connection, note, ids)
            for task in entries.tasks:
                await _add_task(connection, task, ids)
            for written in entries.call_notes:
                await _add_call_note(connection, written)
            return ids


async def _add_client(
    connection: AsyncConnection, client: PastClient, ids: Mapping[str, UUID], home: Home
) -> UUID:
    new = client.new
    if client.company is not None:
        new = replace(new, company_id=ids[client.company])
    return await insert_client(connection, new, home=home, by=None, at=client.at)


async def _add_deal(connection: AsyncConnection, deal: PastDeal, ids: Mapping[str, UUID], home: Home) -> UUID:
    new = deal.new if deal.contact is None else replace(deal.new, contact_id=ids[deal.contact])
    deal_id = await insert_deal(connection, new, by=deal.by, at=deal.at, home=home)
    for stage_id, at in deal.moves:
        row = await locked_deal(connection, deal_id)
        await put_on_stage(connection, row, stage_id, place=row.place, by=deal.by, at=at)
    return deal_id


async def _add_note(connection: AsyncConnection, note: PastNote, ids: Mapping[str, UUID]) -> None:
    client_id, deal_id = _subject(note.client, note.deal, ids)
    await tell(connection, Told("note", note.at, client_id, deal_id, account_id=note.by, text=note.text))


async def _add_task(connection: AsyncConnection, task: PastTask, ids: Mapping[str, UUID]) -> None:
    client_id, deal_id = _subject(task.client, task.deal, ids)
    new = replace(task.new, client_id=client_id, deal_id=deal_id)
    task_id = await insert_task(connection, new, by=task.by, at=task.at)
    if task.done_at is None:
        return
    done = {"done_at": task.done_at, "done_by": task.by}
    await connection.execute(update(tasks).where(tasks.c.id == task_id).values(done))
    told = Told(
        "task", task.done_at, client_id, deal_id, task_id=task_id, account_id=task.by, text=new.text,
        data={"act": "done"},
    )  # fmt: skip
    await tell(connection, told)


async def _add_call_note(connection: AsyncConnection, note: PastCallNote) -> None:
    values = {
        "call_id": note.call_id, "account_id": note.by, "text": json_text.clean(note.text), "updated_at": note.at
    }  # fmt: skip
    await connection.execute(insert(notes).values(values).on_conflict_do_nothing())


def _subject(
    client: str | None, deal: str | None, ids: Mapping[str, UUID]
) -> tuple[UUID | None, UUID | None]:
    return (ids[client] if client else None), (ids[deal] if deal else None)
