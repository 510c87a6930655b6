"""An office with a book: calls are told to the journal and taken into the book; the test then looks what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.lead_rules.apply import rule_row
from call_records.crm.steps import steps_for
from call_records.crm.tables import lead_rules
from call_records.crm.types import NewClient
from call_records.crm.writes import insert_client
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from telephony.lead_rules import LeadRule, Making
from tests.call_facts_builder import MONDAY, change

SALES = UUID("00000000-0000-4000-8000-000000000001")
"""The pipeline a new office begins with."""


def bookkeeper(records: RecordsStore) -> Bookkeeper:
    """As the service runs it, with the steps of this part only."""
    return Bookkeeper(records.engine, steps_for(records.home))


async def take_in(records: RecordsStore, *calls: CallFacts) -> None:
    """These states of calls, in order, each told and booked before the next comes."""
    books = bookkeeper(records)
    for facts in calls:
        await records.journal.record([change(facts, trace=False)])
        await books.take_some()
        assert books.failures == 0


async def rows(records: RecordsStore, statement: str, **values: Any) -> list[dict[str, Any]]:
    """What a query finds."""
    async with records.engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(statement), values)).mappings()]


async def leads(records: RecordsStore) -> list[dict[str, Any]]:
    """Every lead, oldest first."""
    return await rows(records, "SELECT * FROM clients WHERE kind = 'lead' ORDER BY created_at, name")


async def places(records: RecordsStore) -> list[dict[str, Any]]:
    """Every call that is on a timeline, oldest first."""
    return await rows(records, "SELECT * FROM timeline WHERE kind = 'call' ORDER BY at, call_id")


async def enter(records: RecordsStore, name: str, *phones: str, **different: Any) -> UUID:
    """Somebody types a contact."""
    kind = different.pop("kind", ClientKind.CONTACT)
    new = NewClient(kind=kind, name=name, phones=phones, **different)
    async with records.engine.begin() as connection:
        return await insert_client(connection, new, home=records.home, by=None, at=MONDAY)


async def open_deal(records: RecordsStore, client_id: UUID, title: str, owner_id: UUID | None = None) -> UUID:
    """Somebody opens a deal with a contact."""
    deal_id = uuid4()
    await do(
        records,
        """INSERT INTO deals (id, title, contact_id, pipeline_id, stage_id, state, currency, source, place, owner_id)
        SELECT :id, :title, :client, pipeline_id, id, 'open', 'RUB', 'hand', 1, :owner
        FROM stages ORDER BY place LIMIT 1""",
        id=deal_id,
        title=title,
        client=client_id,
        owner=owner_id,
    )
    return deal_id


async def do(records: RecordsStore, statement: str, **values: Any) -> None:
    """What somebody else does to the book."""
    async with records.engine.begin() as connection:
        await connection.execute(text(statement), values)


async def set_rules(records: RecordsStore, *rules: LeadRule) -> None:
    """Exactly these lines, in this order."""
    await do(records, "DELETE FROM lead_rules")
    async with records.engine.begin() as connection:
        for place, rule in enumerate(rules):
            await connection.execute(lead_rules.insert().values(rule_row(replace(rule, place=place))))


def line(making: Making = Making.LEAD, **different: Any) -> LeadRule:
    """A line for every call."""
    return replace(LeadRule(uuid4(), 0, None, None, None, making), **different)


async def person(records: RecordsStore, name: str, *extensions: str, team: str | None = None) -> UUID:
    """A colleague without an account."""
    person_id = uuid4()
    await do(
        records,
        "INSERT INTO people (id, name, team) VALUES (:id, :name, :team)",
        id=person_id,
        name=name,
        team=team,
    )
    for extension in extensions:
        await do(
            records,
            "INSERT INTO extensions (extension, person_id) VALUES (:extension, :id)",
            extension=extension,
            id=person_id,
        )
    return person_id


def names(found: Sequence[dict[str, Any]]) -> list[str]:
    """Their names."""
    return [one["name"] for one in found]
