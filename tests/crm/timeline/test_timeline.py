"""What happened with somebody is read in one list, whoever they were at the time; calls go where people put them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.timeline.filing import filing
from call_records.crm.types import Conversion, NewDeal
from call_records.crm.writes import Home, Told, tell
from call_records.store import RecordsStore
from telephony.contacts import MatchRule
from telephony.errors import PeerMistake
from telephony.ports import CallChange
from tests.call_facts_builder import MONDAY
from tests.crm.conftest import Somebody
from tests.crm.people import calls_with, company, contact, happened, lead, names

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


async def texts(store: RecordsStore, client_id: UUID, *, limit: int = 30) -> Sequence[str]:
    """The notes of somebody's page, all its pages."""
    found: list[str] = []
    cursor = None
    while True:
        page = await store.timelines.of_client(client_id, limit=limit, cursor=cursor)
        found += [one.text for one in page.entries if one.text is not None]
        cursor = page.older
        if cursor is None:
            return found


async def test_the_family_is_one_list(store: RecordsStore) -> None:
    """Their own, those of who was merged into them, of the lead they were, and of the lead merged into that lead."""
    him, twin = [await store.book.add(contact(f"Fam {one}"), by=None) for one in "ab"]
    asker, double = [await store.book.add(lead(f"Fam lead {one}"), by=None) for one in "ab"]
    for place, one in enumerate((him, twin, asker, double)):
        async with store.engine.begin() as connection:
            for minute in range(place, 12, 4):
                told = Told("note", MONDAY + timedelta(minutes=minute), client_id=one.id, text=str(minute))
                await tell(connection, told)
    await store.book.merge(asker.id, double.id, by=None)
    await store.book.convert(asker.id, Conversion("", into=him.id), by=None)
    await store.book.merge(him.id, twin.id, by=None)
    expected = [str(minute) for minute in reversed(range(12))]
    for limit in (1, 5, 30):
        assert await texts(store, him.id, limit=limit) == expected
    assert await texts(store, twin.id) == expected


async def test_a_company_tells_of_its_people(store: RecordsStore) -> None:
    """The firm's page has what happened with each of its people, and says with whom; removed ones are left out."""
    firm = await store.book.add(company("Telling Firm"), by=None)
    people = [await store.book.add(contact(f"Teller {one}", company_id=firm.id), by=None) for one in "abc"]
    for one in people:
        await happened(store, one.id, one.name)
    await happened(store, firm.id, "own")
    await store.book.remove(people[2].id, by=None)
    page = await store.timelines.of_client(firm.id)
    told = {(one.text, one.client) for one in page.entries if one.kind == "note"}
    assert told == {("own", "Telling Firm"), ("Teller a", "Teller a"), ("Teller b", "Teller b")}


async def test_entries_of_one_moment_are_each_shown_once(store: RecordsStore) -> None:
    """An import tells fifty things in the same second; the pages neither repeat nor lose one."""
    one = await store.book.add(contact("Moment"), by=None)
    async with store.engine.begin() as connection:
        for place in range(20):
            await tell(connection, Told("note", MONDAY, client_id=one.id, text=str(place)))
    assert sorted(await texts(store, one.id, limit=3), key=int) == [str(place) for place in range(20)]


async def test_a_note_is_its_authors(store: RecordsStore, petrova: Somebody, sidorov: Somebody) -> None:
    """Petrova writes, corrects and removes her note; Sidorov cannot."""
    one = await store.book.add(contact("Noted"), by=None)
    note = await store.timelines.add_note(
        client_id=one.id, deal_id=None, text=" call \x00 back ", by=petrova.account
    )
    assert (note.text, note.author, note.client) == ("call \ufffd back", "Petrova", "Noted")
    with pytest.raises(PeerMistake):
        await store.timelines.change_note(note.id, text="mine", by=sidorov.account)
    await store.timelines.change_note(note.id, text="called back", by=petrova.account)
    assert await texts(store, one.id) == ["called back"]
    await store.timelines.change_note(note.id, text=" ", by=petrova.account)
    assert await texts(store, one.id) == []
    for bad in (" ", "x" * 20_001):
        with pytest.raises(PeerMistake):
            await store.timelines.add_note(client_id=one.id, deal_id=None, text=bad, by=petrova.account)
    for client_id, deal_id in ((None, None), (uuid4(), None), (None, uuid4())):
        with pytest.raises(PeerMistake):
            await store.timelines.add_note(client_id=client_id, deal_id=deal_id, text="x", by=petrova.account)


async def test_a_note_of_a_deal_is_on_both_pages(store: RecordsStore, petrova: Somebody) -> None:
    """Written on the deal's page, it is on the contact's too."""
    one = await store.book.add(contact("Deal noted"), by=None)
    deal = await store.deals.add(NewDeal("Noted deal", contact_id=one.id), by=None)
    await store.timelines.add_note(client_id=None, deal_id=deal.id, text="wants blue", by=petrova.account)
    of_deal = (await store.timelines.of_deal(deal.id)).entries
    assert [entry.deal for entry in of_deal if entry.text == "wants blue"] == ["Noted deal"]
    assert "wants blue" in await texts(store, one.id)


async def test_a_call_is_moved_by_hand_and_stays(store: RecordsStore, petrova: Somebody) -> None:
    """The wrong person: the call goes to the right one with its deal, both are told when they spoke, no rule undoes it."""
    wrong = await store.book.add(contact("Wrong", "+79165553001"), by=None)
    right = await store.book.add(contact("Right"), by=None)
    deal = await store.deals.add(NewDeal("Right deal", contact_id=right.id), by=None)
    first, second = await calls_with(store, "+79165553001", 1, 2)
    bookkeeper = Bookkeeper(store.engine, [filing(Home())])
    while await bookkeeper.take_some():
        pass
    assert (await store.timelines.places([second.id]))[second.id].client_id == wrong.id
    await store.timelines.move_call(second.id, client_id=None, deal_id=deal.id, by=petrova.account)
    place = (await store.timelines.places([second.id]))[second.id]
    assert (place.client_id, place.deal, place.stage) == (right.id, "Right deal", "New")
    assert (place.data["rule"], place.data["by_hand"]) == (MatchRule.BY_HAND, True)
    spoken = [
        one and one.spoken_at for one in (await store.book.one(wrong.id), await store.book.one(right.id))
    ]
    assert spoken == [first.ended_at, second.ended_at]
    moved = await store.deals.one(deal.id)
    assert moved is not None
    assert moved.spoken_at == second.ended_at
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE calls SET booked = NULL WHERE id = :id"), {"id": second.id})
    while await bookkeeper.take_some():
        pass
    assert (await store.timelines.places([second.id]))[second.id].client_id == right.id
    await store.timelines.move_call(second.id, client_id=None, deal_id=None, by=petrova.account)
    place = (await store.timelines.places([second.id]))[second.id]
    assert (place.client_id, place.name, place.deal_id) == (None, None, None)
    again = await store.deals.one(deal.id)
    assert again is not None
    assert again.spoken_at is None


async def test_a_call_that_is_on_no_timeline_is_put_there(store: RecordsStore, petrova: Somebody) -> None:
    """A withheld number, and the manager knows who it was. A call nobody knows cannot be put anywhere."""
    one = await store.book.add(contact("Withheld"), by=None)
    (call,) = await calls_with(store, "+79165553010", 1)
    await store.timelines.move_call(call.id, client_id=one.id, deal_id=None, by=petrova.account)
    assert call.id in [entry.call_id for entry in (await store.timelines.of_client(one.id)).entries]
    with pytest.raises(PeerMistake):
        await store.timelines.move_call(uuid4(), client_id=one.id, deal_id=None, by=petrova.account)


async def test_a_call_that_was_absorbed_is_moved_under_its_new_id(
    store: RecordsStore, petrova: Somebody
) -> None:
    """Two calls turned out to be one; the page that still shows the old id moves the one there is."""
    one = await store.book.add(contact("Absorbed"), by=None)
    old, new = await calls_with(store, "+79165553020", 1, 2)
    await store.journal.record([CallChange(facts=new, events=(), aliases=(), absorbed=(old.id,), trace=())])
    await store.timelines.move_call(old.id, client_id=one.id, deal_id=None, by=petrova.account)
    assert set(await store.timelines.places([old.id, new.id])) == {new.id}
    assert await names(store, "absorbed") == ["Absorbed"]
