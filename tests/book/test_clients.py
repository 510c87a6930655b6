"""Entries are made, found by what people remember of them, and changed without overwriting each other."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from call_records.book.shapes import ClientFilter, ClientPhone, NewClient
from call_records.database import RecordsStore
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from tests.book.conftest import Somebody

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


def contact(name: str, *phones: str, **different: object) -> NewClient:
    """Somebody to be entered."""
    return NewClient(ClientKind.CONTACT, name, phones=phones, **different)  # type: ignore[arg-type]


async def names(store: RecordsStore, typed: str, **different: object) -> list[str]:
    """Whom a search finds."""
    page = await store.book.page(ClientFilter(text=typed, **different))  # type: ignore[arg-type]
    return [one.name for one in page.clients]


async def test_a_new_contact_is_found_by_words_in_any_order_and_any_spelling_of_its_number(
    store: RecordsStore, petrova: Somebody
) -> None:
    """Ivan Щукин is entered with a number and an e-mail; whoever remembers any of it finds him."""
    company = await store.book.add(NewClient(ClientKind.COMPANY, "ООО «Ромашка»"), by=petrova.account)
    made = await store.book.add(
        contact(
            "Ivan Щукин",
            "8 (916) 555-41-07",
            company_id=company.id,
            emails=("Ivan_S@example.org",),
            tags=("vip",),
        ),
        by=petrova.account,
    )
    assert made.company == "ООО «Ромашка»"
    assert made.phones == (ClientPhone("8 (916) 555-41-07", "+79165554107"),)
    asked = ("щукин ivan", "IVAN ромаш", "shchukin", "ivan_s@example", "vip щук", "+7 916 555 41 07", "89165554107",
             "4107", "555-41-07", "щу", "tel:+79165554107", "Щукин 4107", "7916555")  # fmt: skip
    for typed in asked:
        assert await names(store, typed, kind=ClientKind.CONTACT) == ["Ivan Щукин"], typed
    for typed in ("%", "_van", "щукин пётр", "kin", "5541", "***"):
        assert await names(store, typed, kind=ClientKind.CONTACT) in (
            [],
            ["Ivan Щукин"] * (typed in ("_van", "kin")),
        )


async def test_two_people_edit_one_entry(store: RecordsStore, petrova: Somebody, sidorov: Somebody) -> None:
    """Petrova saves first; Sidorov, who saw the entry before, is told instead of overwriting hers."""
    seen = await store.book.add(contact("Kuznetsova", "+79165550001"), by=None)
    hers = await store.book.change(replace(seen, owner_id=petrova.person), by=petrova.account)
    assert hers.owner == "Petrova"
    with pytest.raises(PeerMistake):
        await store.book.change(replace(seen, name="Kuznetsov"), by=sidorov.account)
    told = (await store.timelines.of_client(seen.id)).entries
    assert [(one.kind, one.author) for one in told] == [("owner", "Petrova"), ("made", None)]


async def test_nobody_knows_the_id(store: RecordsStore) -> None:
    """An old link leads to nobody."""
    assert await store.book.one(uuid4()) is None
