"""What the demo's book holds: fictional companies and people whose numbers the simulated customers call from, their
deals as they went in the last weeks, and what the office noted and means to do.

Two of three customers of the simulated office are known, so that cards with a name, a company and a deal come beside
cards with a bare number; one number belongs to two people, so that the chooser is seen too. All times are relative to
the moment at which the demo begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from call_records.crm.backfill.entries import PastClient, PastDeal, PastEntries, PastNote, PastTask
from call_records.crm.types import NewClient, NewDeal, NewTask, Stage
from switchhook.demo.past_calls import CUSTOMERS
from switchhook.lab.office import customer_number
from telephony.contacts import ClientKind

COMPANIES = (
    "Gardens & Paths", "Northern Boats", "Lumen Glass", "Ferrum Tools", "Bakery on the Corner", "Polar Logistics",
    "Granite Kitchens", "Blue River Hotel", "Cedar School", "Meridian Clinic",
)  # fmt: skip
FIRST_NAMES = (
    "Alexei", "Daria", "Timur", "Olga", "Pavel", "Irina", "Nikolai", "Sofia", "Roman", "Yulia", "Maxim", "Elena",
    "Artem", "Marina", "Stepan", "Polina", "Kirill", "Nina", "Vadim", "Alina",
)  # fmt: skip
LAST_NAMES = (
    "Morozov", "Fomin", "Akhmetov", "Sergeev", "Klimov", "Zaytsev", "Larin", "Melnikov", "Isaev", "Tarasov",
    "Borisov", "Komarov", "Nosov", "Belkin", "Guriev", "Rudakov", "Savin", "Osipov", "Panin", "Chernov",
)  # fmt: skip
POSITIONS = ("Owner", "Purchasing", "Office manager", "Site engineer", None, "Accountant", None)
TAGS = ((), ("regular",), (), ("vip",), (), ("wholesale",), ())
OPEN, TALKS, OFFER, WON, LOST = range(5)


@dataclass(frozen=True, slots=True)
class _DealPlan:
    """`days`: how many days ago it was made, and moved to each further stage up to `stage`."""

    title: str
    contact: int
    stage: int
    amount: str | None
    days: tuple[float, ...]


DEALS = (
    _DealPlan("Irrigation for the orchard", 1, OPEN, "184000", (1.2,)),
    _DealPlan("Oven repair", 5, OPEN, None, (0.3,)),
    _DealPlan("Signs for the new office", 11, OPEN, "52000", (4.1,)),
    _DealPlan("Yearly tools contract", 4, TALKS, "420000", (9.0, 6.2)),
    _DealPlan("Spare parts, autumn", 2, TALKS, "36500", (5.5, 2.1)),
    _DealPlan("Reception furniture", 8, TALKS, "128000", (3.4, 0.9)),
    _DealPlan("School canteen equipment", 16, TALKS, "236000", (12.0, 7.3)),
    _DealPlan("Shop window, 12 panes", 7, OFFER, "91000", (10.2, 8.0, 3.1)),
    _DealPlan("Paths for the park", 10, OFFER, "275000", (13.0, 11.1, 5.6)),
    _DealPlan("Clinic lighting, second floor", 13, OFFER, "148000", (8.4, 6.0, 1.1)),
    _DealPlan("Boat engine, two units", 14, WON, "640000", (13.4, 12.0, 7.2, 2.2)),
    _DealPlan("Kitchen worktops", 17, WON, "97500", (12.6, 9.9, 6.0, 4.3)),
    _DealPlan("Hotel key cards", 19, WON, "43000", (11.0, 8.2, 4.4, 0.6)),
    _DealPlan("Cold room, 40 m²", 20, WON, "310000", (13.8, 13.0, 10.0, 8.4)),
    _DealPlan("Delivery vans, leasing", 22, LOST, "890000", (13.1, 9.4, 5.2)),
    _DealPlan("Greenhouse heating", 23, LOST, "76000", (9.6, 6.6)),
)
"""Fictional. A lost one goes to Lost from wherever it stood."""

CONTACT_NOTES = (
    (1, 6.0, "Prefers calls before noon; on the site in the afternoon."),
    (4, 3.2, "Wants one invoice a month, to the accountant’s address."),
    (7, 2.4, "Asked for frosted glass in two of the panes."),
    (10, 4.8, "The park opens on the 1st; work at night is possible."),
    (13, 1.4, "Decision is with the chief physician, back next week."),
    (16, 7.1, "Will send the floor plan."),
    (2, 0.4, "Old part number no longer made; offer the successor."),
)
"""Contact, days ago, text."""

TASKS = (
    ("Send the offer for the worktops again", 17, -2.0, True),
    ("Ask whether the panes arrived whole", 7, -1.0, True),
    ("Call about the offer", 10, -0.15, False),
    ("Send the price of the successor part", 2, 0.1, False),
    ("Agree the date of the visit", 1, 0.2, False),
    ("Check whether the invoice was paid", 14, 0.3, False),
    ("Call about the floor plan", 16, 1.0, False),
    ("Ask for the decision", 13, 3.0, False),
    ("Yearly contract: prices for next year", 4, 6.0, False),
)
"""Text, contact, due in so many days, done."""


def contact_key(place: int) -> str:
    """How entries name the contact behind the so-manieth customer's number."""
    return f"contact {place}"


def is_known(place: int) -> bool:
    """Whether the customer is in the book."""
    return place % 3 != 0


def demo_entries(
    now: datetime, stages: Sequence[Stage], owners: Sequence[UUID], accounts: Sequence[UUID]
) -> PastEntries:
    """The whole book. `owners` are people, the manager first; `accounts` may write, the manager's first."""
    return PastEntries(
        clients=[*_companies(now), *_contacts(now, owners)],
        deals=[_deal(place, plan, now, stages, owners, accounts) for place, plan in enumerate(DEALS)],
        notes=[
            PastNote(text, now - timedelta(days=days), accounts[place % len(accounts)], contact_key(contact))
            for place, (contact, days, text) in enumerate(CONTACT_NOTES)
        ],
        tasks=list(_tasks(now, owners, accounts)),
    )


def _companies(now: datetime) -> list[PastClient]:
    made = now - timedelta(days=40)
    return [PastClient(name, NewClient(ClientKind.COMPANY, name), made) for name in COMPANIES]


def _contacts(now: datetime, owners: Sequence[UUID]) -> list[PastClient]:
    known = [place for place in range(1, CUSTOMERS + 1) if is_known(place)]
    contacts = [_contact(place, _name(place), now, owners) for place in known]
    twin = _contact(1, "Vera Morozova", now, owners)
    return [*contacts, PastClient("twin", twin.new, twin.at, twin.company)]


def _name(place: int) -> str:
    first = FIRST_NAMES[(place - 1) % len(FIRST_NAMES)]
    last = LAST_NAMES[(place - 1 + place // len(FIRST_NAMES) * 7) % len(LAST_NAMES)]
    return f"{first} {last}a" if first[-1] == "a" else f"{first} {last}"


def _contact(place: int, name: str, now: datetime, owners: Sequence[UUID]) -> PastClient:
    company = COMPANIES[place % len(COMPANIES)] if place % 5 != 2 else None
    new = NewClient(
        ClientKind.CONTACT,
        name,
        phones=(customer_number(place),),
        labels=("mobile",),
        emails=(f"{name.lower().replace(' ', '.')}@example.com",) if place % 2 else (),
        position=POSITIONS[place % len(POSITIONS)] if company else None,
        owner_id=owners[place % len(owners)],
        tags=TAGS[place % len(TAGS)],
    )
    return PastClient(
        contact_key(place), new, now - timedelta(days=15 + place % 23, hours=place % 7), company
    )


def _deal(
    place: int,
    plan: _DealPlan,
    now: datetime,
    stages: Sequence[Stage],
    owners: Sequence[UUID],
    accounts: Sequence[UUID],
) -> PastDeal:
    made, *moved = (now - timedelta(days=days) for days in plan.days)
    way = [*range(1, len(moved)), plan.stage] if moved else []
    return PastDeal(
        key=plan.title,
        new=NewDeal(
            plan.title,
            stage_id=stages[OPEN].id,
            amount=Decimal(plan.amount) if plan.amount else None,
            owner_id=owners[place % 3],
        ),
        at=made,
        moves=tuple((stages[stage].id, at) for stage, at in zip(way, moved, strict=True)),
        contact=contact_key(plan.contact),
        by=accounts[place % len(accounts)],
    )


def _tasks(now: datetime, owners: Sequence[UUID], accounts: Sequence[UUID]) -> list[PastTask]:
    deal_of = {plan.contact: plan.title for plan in DEALS}
    return [
        PastTask(
            NewTask(text, due_at=now + timedelta(days=days), owner_id=owners[place % 2]),
            at=now - timedelta(days=4),
            by=accounts[place % len(accounts)],
            client=contact_key(contact),
            deal=deal_of.get(contact),
            done_at=now + timedelta(days=days - 0.1) if done else None,
        )
        for place, (text, contact, days, done) in enumerate(TASKS)
    ]
