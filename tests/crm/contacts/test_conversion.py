"""A lead becomes a contact, a company and a deal: in one step, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from uuid import uuid4

import pytest

from call_records.crm.types import Conversion, Converted, NewDeal
from call_records.store import RecordsStore
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from tests.crm.conftest import Somebody
from tests.crm.people import calls_with, company, contact, happened, lead, names, task_of, whole

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


async def test_one_step_makes_all_three(store: RecordsStore, petrova: Somebody) -> None:
    """Petrova names them: a contact with all that was known of the lead, their company, and a deal with its amount."""
    (called,) = await calls_with(store, "+79165552001", 1)
    asker = await store.book.add(
        lead(
            "+7 916 555-20-01",
            "+79165552001",
            emails=("who@example.org",),
            tags=("site",),
            owner_id=petrova.person,
        ),
        by=None,
    )
    await happened(store, asker.id, "asked for a price")
    task = await task_of(store, asker.id)
    into = Conversion("Sergey Orlov", company="Orlov Glass", deal="Windows", amount=Decimal("900.50"))
    made = await store.book.convert(asker.id, into, by=petrova.account)
    one = await store.book.one(made.contact_id)
    assert one is not None
    assert (one.kind, one.name, one.company, one.owner) == (
        ClientKind.CONTACT,
        "Sergey Orlov",
        "Orlov Glass",
        "Petrova",
    )
    assert ([phone.key for phone in one.phones], one.emails, one.tags) == (
        ["+79165552001"],
        ("who@example.org",),
        ("site",),
    )
    assert (one.open_deals, one.spoken_at) == (1, called.ended_at)
    (deal,) = await store.deals.of_client(one.id)
    assert (deal.id, deal.title, deal.amount, deal.company) == (
        made.deal_id,
        "Windows",
        Decimal("900.50"),
        "Orlov Glass",
    )
    kinds = [entry.kind for entry in (await store.timelines.of_client(one.id)).entries]
    assert {"call", "note", "converted", "made"} <= set(kinds)
    assert [each.id for each in await store.tasks.of_client(one.id)] == [task]
    places = await store.timelines.places([called.id])
    assert (places[called.id].client_id, places[called.id].company) == (one.id, "Orlov Glass")
    was = await store.book.one(asker.id)
    assert was is not None
    assert (was.state, was.became_id) == (LeadState.CONVERTED, one.id)
    match = await store.matching.match("+79165552001")
    assert match.chosen is not None
    assert match.chosen.id == one.id
    assert await names(store, "orlov glass", kind=ClientKind.CONTACT) == ["Sergey Orlov"]


async def test_two_clicks_convert_once(store: RecordsStore) -> None:
    """The button is pressed twice: one contact, one company, one deal; the second click is told so."""
    asker = await store.book.add(lead("Twice", "+79165552010"), by=None)
    into = Conversion("Twice Converted", company="Twice Inc", deal="Twice")
    done = await asyncio.gather(
        *(store.book.convert(asker.id, into, by=None) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["Converted", "PeerMistake", "PeerMistake"]
    assert await names(store, "twice converted") == ["Twice Converted"]
    assert await names(store, "twice inc", kind=ClientKind.COMPANY) == ["Twice Inc"]


async def test_two_leads_of_one_new_company(store: RecordsStore) -> None:
    """Two colleagues call from a company nobody knew; both are converted in one moment: it is one company."""
    leads = [await store.book.add(lead(f"Colleague {one}"), by=None) for one in "ab"]
    names_typed = ("Shared Firm", "shared firm ")
    done = await asyncio.gather(
        *(
            store.book.convert(one.id, Conversion(one.name, company=name), by=None)
            for one, name in zip(leads, names_typed, strict=True)
        )
    )
    assert len({one.company_id for one in done}) == 1


async def test_a_lead_that_is_somebody_we_know(store: RecordsStore) -> None:
    """The contact who exists is taken: they get the lead's number, and keep what was known of them."""
    firm = await store.book.add(company("Known Firm"), by=None)
    known = await store.book.add(
        contact("Known Nina", "+79165552020", position="Buyer", fields={"a": "1"}), by=None
    )
    asker = await store.book.add(
        lead("Nina?", "+79165552021", position="?", fields={"a": "2", "b": "3"}), by=None
    )
    made = await store.book.convert(asker.id, Conversion("", company="known FIRM", into=known.id), by=None)
    assert made == Converted(known.id, firm.id, None)
    after = await whole(store, known.id)
    assert [phone["key"] for phone in after["phones"]] == ["+79165552020", "+79165552021"]
    assert (after["name"], after["position"], after["fields"]) == (
        "Known Nina",
        "Buyer",
        {"a": "1", "b": "3"},
    )
    assert after["company"] == "Known Firm"
    assert await names(store, "nina 2021", kind=ClientKind.CONTACT) == ["Known Nina"]


async def test_a_lead_into_a_merged_contact(store: RecordsStore) -> None:
    """Who was merged into somebody else is that one; undoing the merge leaves them what the lead brought."""
    kept, gone = [
        await store.book.add(contact(f"Into {one}", f"+7916555203{one}"), by=None) for one in (0, 1)
    ]
    merge = await store.book.merge(kept.id, gone.id, by=None)
    asker = await store.book.add(lead("Into?", "+79165552032"), by=None)
    made = await store.book.convert(asker.id, Conversion("", into=gone.id), by=None)
    assert made.contact_id == kept.id
    await store.book.undo_merge(merge, by=None)
    assert [one["key"] for one in (await whole(store, kept.id))["phones"]] == ["+79165552030", "+79165552032"]
    assert [one["key"] for one in (await whole(store, gone.id))["phones"]] == ["+79165552031"]


async def test_all_or_nothing(store: RecordsStore) -> None:
    """The deal's stage is one that no longer exists: no contact and no company are left behind."""
    asker = await store.book.add(lead("Half"), by=None)
    into = Conversion("Half Contact", company="Half Company", deal="Half", stage_id=uuid4())
    with pytest.raises(PeerMistake):
        await store.book.convert(asker.id, into, by=None)
    assert await names(store, "half") == ["Half"]
    assert (await whole(store, asker.id))["state"] is LeadState.OPEN


async def test_what_cannot_be_converted(store: RecordsStore) -> None:
    """A rejected lead is reopened first; a contact is no lead; a name is needed; a converted one is not rejected."""
    rejected = await store.book.add(lead("Rejected"), by=None)
    await store.book.reject(rejected.id, reason="", by=None)
    person = await store.book.add(contact("No lead"), by=None)
    for one, into in (
        (rejected.id, Conversion("X")),
        (person.id, Conversion("X")),
        (uuid4(), Conversion("X")),
    ):
        with pytest.raises(PeerMistake):
            await store.book.convert(one, into, by=None)
    await store.book.reopen(rejected.id, by=None)
    with pytest.raises(PeerMistake):
        await store.book.convert(rejected.id, Conversion(" "), by=None)
    with pytest.raises(PeerMistake):
        await store.book.convert(rejected.id, Conversion("", into=uuid4()), by=None)
    made = await store.book.convert(rejected.id, Conversion("Fine"), by=None)
    with pytest.raises(PeerMistake):
        await store.book.reject(rejected.id, reason="", by=None)
    with pytest.raises(PeerMistake):
        await store.book.reject(made.contact_id, reason="", by=None)


async def test_what_was_begun_for_the_lead_goes_on_for_the_contact(store: RecordsStore) -> None:
    """A deal that a rule made for the lead is the contact's."""
    asker = await store.book.add(lead("Begun"), by=None)
    deal = await store.deals.add(NewDeal("Begun deal", contact_id=asker.id), by=None)
    made = await store.book.convert(asker.id, Conversion("Begun Contact"), by=None)
    assert [one.contact_id for one in await store.deals.of_client(made.contact_id)] == [made.contact_id]
    moved = await store.deals.one(deal.id)
    assert moved is not None
    assert replace(moved, contact_id=None).title == "Begun deal"
