"""The pieces of an import: how many rows are one transaction, what is read of the book for them, how they are written."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from call_records.crm.bulk_insert import copy_rows
from call_records.crm.contacts.queries import clients_of
from call_records.crm.imports.dry_run import Known, Row, phone_key
from call_records.crm.imports.read_ahead import bounded
from call_records.crm.imports.write_batch import known_of
from call_records.crm.tables import clients, timeline
from call_records.crm.types import Client, NewClient
from call_records.crm.writes import Home, each_phone_once, phones_of, recognised_phones
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from telephony.numbers.numbers import Written

HOME = Home()
FIELDS = (
    "8 916 123-45-67",
    "+7 916 123 45 67, +49 30 901820",
    "101",
    "call after six",
    "",
    "12",
    "8(916)1234567 ext. 5",
)


def row(number: int, phones: int) -> Row:
    """A row with so many numbers."""
    return Row(number, ClientKind.CONTACT, "N", tuple(Written(str(n), str(n), None) for n in range(phones)))


@pytest.mark.parametrize(
    ("phones", "taken"),
    [([1, 1, 1], 3), ([2, 2, 2], 2), ([4, 1], 2), ([9, 1], 1), ([5, 1], 1), ([], 0), ([0] * 7, 7)],
)
def test_a_piece_is_bounded_by_its_numbers(phones: list[int], taken: int) -> None:
    """Five numbers at once; a row with more of them is a piece of its own."""
    rows = [row(place, count) for place, count in enumerate(phones)]
    assert bounded(iter(rows), 5) == rows[:taken]


@given(st.lists(st.sampled_from(FIELDS), max_size=6))
def test_numbers_read_field_by_field_are_those_read_together(fields: list[str]) -> None:
    """In the same order, each once."""
    apart = each_phone_once(one for each in fields for one in recognised_phones(each, HOME))
    assert apart == phones_of(fields, HOME)


# -- what is read of the book --


def known_as_shown(client: Client, *, import_id: UUID | None, made_by: UUID | None) -> Known:
    """What the whole entry, as pages show it, says for a decision."""
    return Known(
        id=client.id,
        kind=client.kind,
        name=client.name,
        phones={(one.key or one.raw, one.extension) for one in client.phones},
        emails={one.lower() for one in client.emails},
        tags={one.casefold() for one in client.tags},
        facts=set(client.fields),
        has_company=client.company_id is not None,
        has_position=client.position is not None,
        has_owner=client.owner_id is not None,
        made_here=made_by is not None and made_by == import_id,
    )


@pytest.mark.postgres
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_read_for_a_piece_is_what_the_entries_show(store: RecordsStore) -> None:
    """Merged, converted and removed entries too: found by number, by e-mail and by a company's name."""
    firm = await store.book.add(
        NewClient(ClientKind.COMPANY, "Piece & Sons", phones=("+74957770100",)), by=None
    )
    first = await store.book.add(
        NewClient(
            ClientKind.CONTACT, "Vera Piece", phones=("+79167770101", "+79167770102 ext. 7"),
            emails=("Vera@Piece.example",), company_id=firm.id, tags=("VIP",), fields={"Car": "red"}, position="head",
        ),
        by=None,
    )  # fmt: skip
    second = await store.book.add(
        NewClient(ClientKind.CONTACT, "V. Piece", phones=("+79167770103",)), by=None
    )
    await store.book.merge(first.id, second.id, by=None)
    gone = await store.book.add(NewClient(ClientKind.CONTACT, "Gone", phones=("+79167770104",)), by=None)
    await store.book.remove(gone.id, by=None)
    bare = await store.book.add(
        NewClient(ClientKind.CONTACT, "Bare", emails=("bare@piece.example",)), by=None
    )
    asked = [
        Row(1, ClientKind.CONTACT, "X", tuple(phones_of(["+79167770103", "+79167770104"], HOME))),
        Row(2, ClientKind.CONTACT, "Y", emails=("bare@piece.example",), company="piece & sons"),
    ]
    async with store.engine.connect() as connection:
        found = await known_of(connection, asked, import_id=uuid4(), with_notes=False)
        shown = await clients_of(connection, [first.id, bare.id, firm.id])
    wanted = {one.id: known_as_shown(one, import_id=None, made_by=None) for one in shown.values()}
    assert {one.id: one for one in found} == wanted
    assert phone_key(Written("", "+79167770103", None)) in wanted[first.id].phones


@pytest.mark.postgres
@pytest.mark.asyncio(loop_scope="module")
async def test_rows_written_at_once_are_read_as_they_were_given(store: RecordsStore) -> None:
    """JSON, lists, odd characters and nothing at all; and all of it goes with its transaction."""
    at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    row_ = {
        "id": uuid4(), "kind": "contact", "name": "Tab\tand \\N and \n", "emails": ["a@b.example"], "tags": [],
        "fields": {"Key \x00": "É\ud800", "other": '"'}, "source": "import", "search": " tab ", "created_at": at,
        "position": None,
    }  # fmt: skip
    told = {"id": uuid4(), "client_id": row_["id"], "kind": "made", "at": at, "data": {"source": "import"}}
    async with store.engine.begin() as connection:
        await connection.execute(select(1))
        await copy_rows(connection, clients, [row_])
        await copy_rows(connection, timeline, [told])
        await copy_rows(connection, timeline, [])
    async with store.engine.connect() as connection:
        kept = (await connection.execute(select(clients).where(clients.c.id == row_["id"]))).mappings().one()
        data = await connection.scalar(select(timeline.c.data).where(timeline.c.id == told["id"]))
    assert {name: kept[name] for name in row_} == {**row_, "fields": {"Key �": "É�", "other": '"'}}
    assert data == {"source": "import"}
    async with store.engine.begin() as connection:
        await connection.execute(select(1))
        await copy_rows(connection, timeline, [{**told, "id": uuid4(), "kind": "note"}])
        await connection.rollback()
    async with store.engine.connect() as connection:
        kinds = await connection.scalars(select(timeline.c.kind).where(timeline.c.client_id == row_["id"]))
        assert kinds.all() == ["made"]
