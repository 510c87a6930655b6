"""People of a book for tests, and calls with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from call_records.crm.tables import tasks
from call_records.crm.types import Client, ClientFilter, NewClient
from call_records.crm.writes import Told, tell
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from tests.call_facts_builder import MONDAY, call, change, ended
from tests.call_facts_builder import answered as picked_up


def contact(name: str, *phones: str, **different: Any) -> NewClient:
    """Somebody to be entered."""
    return NewClient(ClientKind.CONTACT, name, phones=phones, **different)


def company(name: str, *phones: str, **different: Any) -> NewClient:
    """A company to be entered."""
    return NewClient(ClientKind.COMPANY, name, phones=phones, **different)


def lead(name: str, *phones: str, **different: Any) -> NewClient:
    """A lead to be entered."""
    return NewClient(ClientKind.LEAD, name, phones=phones, **different)


async def names(store: RecordsStore, typed: str | None = None, **different: Any) -> list[str]:
    """Whom a search finds, in order."""
    return [one.name for one in (await store.book.page(ClientFilter(text=typed, **different))).clients]


async def calls_with(
    store: RecordsStore, number: str, *minutes: int, answered: bool = True
) -> Sequence[CallFacts]:
    """Calls from that number, so many minutes after Monday nine; each of one minute."""
    facts = [_over(number, MONDAY + timedelta(minutes=one), answered=answered) for one in minutes]
    await store.journal.record([change(one) for one in facts])
    return facts


def _over(number: str, at: datetime, *, answered: bool) -> CallFacts:
    ringing = call(number, started_at=at)
    return ended(picked_up(ringing) if answered else ringing)


async def happened(store: RecordsStore, client_id: UUID, *texts: str) -> None:
    """Something is told of somebody, a minute apart, the first first."""
    async with store.engine.begin() as connection:
        for minute, said in enumerate(texts):
            at = MONDAY + timedelta(minutes=minute)
            await tell(connection, Told("note", at, client_id=client_id, text=said))


async def whole(store: RecordsStore, client_id: UUID) -> dict[str, Any]:
    """All that an entry shows, but for when and how often it was written."""
    found = await store.book.one(client_id)
    assert found is not None
    return told(found)


def told(client: Client) -> dict[str, Any]:
    """The same of one that was read."""
    shown = asdict(client)
    return {name: value for name, value in shown.items() if name not in ("version", "updated_at")}


async def task_of(store: RecordsStore, client_id: UUID) -> UUID:
    """Something to do for somebody."""
    task_id = uuid4()
    async with store.engine.begin() as connection:
        await connection.execute(insert(tasks).values(id=task_id, text="call", client_id=client_id))
    return task_id
