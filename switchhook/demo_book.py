"""What the demo's book holds: fictional companies and people whose numbers the simulated customers call from.

Every second customer of the simulated office is known, so that cards with a name, a company and a deal come as often as
cards with a bare number; one number belongs to two people, so that the chooser is seen too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from call_records.book.shapes import NewClient, NewDeal, NewTask
from call_records.database import RecordsStore
from telephony.contacts import ClientKind
from telephony.staff import Directory

COMPANIES = ("Gardens & Paths", "Northern Boats", "Lumen Glass", "Ferrum Tools", "Bakery on the Corner")
PEOPLE = (
    "Alexei Morozov", "Daria Fomina", "Timur Akhmetov", "Olga Sergeeva", "Pavel Klimov", "Irina Zaytseva",
    "Nikita Larin", "Sofia Melnik", "Roman Isaev", "Yulia Tarasova", "Maxim Borisov", "Elena Komarova",
    "Artem Nosov", "Marina Belkina", "Stepan Guriev", "Polina Rudakova", "Kirill Savin", "Nina Osipova",
    "Vadim Panin", "Alina Chernova",
)  # fmt: skip
DEALS = (
    ("Irrigation for the orchard", 0, 0, "184000"),
    ("Spare parts, autumn", 1, 1, "36500"),
    ("Shop window, 12 panes", 2, 2, "91000"),
    ("Yearly tools contract", 3, 1, "420000"),
    ("Oven repair", 4, 0, None),
    ("Paths for the park", 5, 2, "275000"),
    ("Boat engine, two units", 6, 3, "640000"),
)
"""Title, whose, stage, amount. Fictional."""


async def fill_book(store: RecordsStore, directory: Directory) -> None:
    """Put the fictional clients, deals and tasks in."""
    owners = [person.id for person in directory.people if person.id is not None]
    companies = [await _company(store, name) for name in COMPANIES]
    people = [
        await _contact(store, place, name, companies[place % len(companies)], owners[place % len(owners)])
        for place, name in enumerate(PEOPLE)
    ]
    await _contact(store, 0, "Vera Morozova", companies[0], owners[0])
    await _deals(store, people, owners)


async def _company(store: RecordsStore, name: str) -> UUID:
    return (await store.book.add(NewClient(ClientKind.COMPANY, name), by=None)).id


async def _contact(store: RecordsStore, place: int, name: str, company: UUID, owner: UUID) -> UUID:
    """Number 0001, 0003, …: every second customer."""
    number = place * 2 + 1
    new = NewClient(
        ClientKind.CONTACT,
        name,
        phones=(f"8 (916) 555-{number // 100:02}-{number % 100:02}",),
        labels=("mobile",),
        company_id=company,
        owner_id=owner,
    )
    return (await store.book.add(new, by=None)).id


async def _deals(store: RecordsStore, people: list[UUID], owners: list[UUID]) -> None:
    (pipeline, *_) = await store.deals.pipelines()
    now = datetime.now(UTC)
    for place, (title, whose, stage, amount) in enumerate(DEALS):
        deal = await store.deals.add(
            NewDeal(
                title,
                contact_id=people[whose],
                stage_id=pipeline.stages[stage].id,
                amount=Decimal(amount) if amount else None,
                owner_id=owners[place % len(owners)],
            ),
            by=None,
        )
        if stage < 2:
            due = now + timedelta(hours=4 * place - 6)
            task = NewTask("Call about the offer", due_at=due, deal_id=deal.id, client_id=people[whose])
            await store.tasks.add(task, by=None)
