"""Deals found by words: wherever they are written, the answers are those of a plain look at deals and clients."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from call_records.crm.transliteration import spelled
from call_records.crm.types import Deal, DealFilter, NewClient, NewDeal
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from tests.crm.emptied import records, store

__all__ = ["records", "store"]
pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

SALES = UUID("00000000-0000-4000-8000-000000000001")
WON = UUID("00000000-0000-4000-8000-000000000013")
WORDS = ("Roof", "Иванов", "O'Neil", "50%_", "Kraków", "a", "tile-floor", "Müller")
ASKED = (
    *WORDS,
    "ROOF",
    "ivanov",
    "иван",
    "krakow",
    "oneil",
    "%",
    "_",
    "tile floor",
    "916",
    "vip",
    "***",
    "nobody-has-it",
)

_PLAINLY = text("""
    SELECT d.id FROM deals d LEFT JOIN clients contact ON contact.id = d.contact_id
        LEFT JOIN clients company ON company.id = d.company_id
    WHERE d.removed_at IS NULL AND (position(:raw IN lower(d.title)) > 0 OR position(:spelled IN contact.search) > 0
        OR position(:spelled IN company.search) > 0)
""")


async def found_plainly(records: RecordsStore, typed: str) -> set[UUID]:
    """The deals whose title, contact or company has every word."""
    found: set[UUID] | None = None
    async with records.engine.connect() as connection:
        for word in typed.lower().split():
            asked = {"raw": word, "spelled": spelled(word) or word}
            ids = set((await connection.scalars(_PLAINLY, asked)).all())
            found = ids if found is None else found & ids
    return found or set()


async def found_by_search(records: RecordsStore, typed: str) -> set[UUID]:
    """What the list of all deals shows."""
    page = await records.deals.page(None, DealFilter(text=typed), state=None, limit=1_000)
    assert page.count == len(page.deals)
    return {one.id for one in page.deals}


async def office(records: RecordsStore, chance: random.Random) -> tuple[list[UUID], list[UUID], list[Deal]]:
    """Contacts, companies, and deals with some of them."""

    def name() -> str:
        return " ".join(chance.sample(WORDS, 2))

    async def made(kind: ClientKind, company: UUID | None = None) -> UUID:
        new = NewClient(
            kind, name(), company_id=company, phones=(f"+7916{chance.randrange(10**7):07}",), tags=("VIP",)
        )
        return (await records.book.add(new, by=None)).id

    companies = [await made(ClientKind.COMPANY) for _each in range(3)]
    contacts = [await made(ClientKind.CONTACT, chance.choice([*companies, None])) for _each in range(6)]
    deals = [
        await records.deals.add(
            NewDeal(name(), contact_id=chance.choice([*contacts, None]), company_id=chance.choice([*companies, None])),
            by=None,
        )
        for _each in range(14)
    ]  # fmt: skip
    return contacts, companies, deals


async def rename(records: RecordsStore, client_id: UUID, name: str) -> None:
    """The entry has another name."""
    client = await records.book.one(client_id)
    assert client is not None
    await records.book.change(replace(client, name=name), by=None)


async def test_deals_are_found_by_what_is_written_now(records: RecordsStore) -> None:
    """Clients are renamed, merged and removed, deals pass to others: every word finds what a plain look finds."""
    chance = random.Random(11)
    contacts, companies, deals = await office(records, chance)

    async def agree() -> None:
        for typed in (*ASKED, "roof ivanov", "tile krakow"):
            assert await found_by_search(records, typed) == await found_plainly(records, typed), typed

    await agree()
    await rename(records, contacts[0], "Zebra Crossing")
    await rename(records, companies[0], "Roof & Sons")
    await agree()
    assert await found_by_search(records, "zebra") == await found_plainly(records, "zebra")
    await records.book.merge(contacts[1], contacts[2], by=None)
    for deal in deals[:4]:
        fresh = await records.deals.one(deal.id)
        assert fresh is not None
        await records.deals.change(replace(fresh, contact_id=contacts[3], company_id=None), by=None)
    await records.book.remove(contacts[4], by=None)
    await records.deals.remove(deals[5].id, by=None)
    await agree()
    async with records.engine.begin() as connection:
        await connection.execute(text("DELETE FROM clients WHERE id = :id"), {"id": contacts[3]})
    await agree()


async def test_a_column_shows_what_a_plain_look_shows(records: RecordsStore) -> None:
    """Every column, every page of it, with and without a word: in the order of the deals' places."""
    _contacts, _companies, deals = await office(records, random.Random(5))
    for deal in deals[:5]:
        await records.deals.move(deal.id, stage_id=WON, before=None, by=None)
    for typed in (None, "roof", "ivanov"):
        wanted = DealFilter(text=typed)
        fitting = {one.id for one in deals} if typed is None else await found_plainly(records, typed)
        board = {one.stage.id: one for one in await records.deals.board(SALES, wanted, limit=3)}
        for stage, column in board.items():
            rest = [one for skip in range(0, 15, 3) for one in (
                await records.deals.more_of(stage, wanted, skip=skip, limit=3)).deals]  # fmt: skip
            closed = stage == WON
            order = sorted(
                rest,
                key=lambda one: (
                    -one.closed_at.timestamp() if closed and one.closed_at else 0,
                    one.place,
                    one.id,
                ),
            )
            assert [one.id for one in rest] == [one.id for one in order]
            assert column.deals == tuple(rest[:3])
            assert column.count == len(rest)
            fitting -= {one.id for one in rest}
        assert fitting == set()
