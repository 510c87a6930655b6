"""Entries are made, found by what people remember of them, and changed without overwriting each other."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from call_records.crm.types import Client, ClientFilter, ClientPhone, NewClient
from call_records.crm.writes import BOOK_CHANNEL
from call_records.store import RecordsStore
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from tests.crm.conftest import Somebody
from tests.crm.people import calls_with, company, contact, lead, names, whole

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


async def test_a_new_contact_is_found_by_words_in_any_order_and_any_spelling_of_its_number(
    store: RecordsStore, petrova: Somebody
) -> None:
    """Ivan Щукин is entered with a number and an e-mail; whoever remembers any of it finds them."""
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
    for typed in ("%", "***", "щукин пётр", "_", "kin ivanov", "5541", "916555"):
        assert await names(store, typed, kind=ClientKind.CONTACT) == [], typed


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


async def test_an_edit_tells_what_it_changed(store: RecordsStore, petrova: Somebody) -> None:
    """A new name, a new company, another number: each is on the timeline with what was there before."""
    firm = await store.book.add(company("Edited Firm"), by=None)
    seen = await store.book.add(contact("Before", "+79165550010", "8 916 555-00-10"), by=None)
    assert [one.raw for one in seen.phones] == ["+79165550010"]
    typed = ClientPhone("тел. 8 916 555-00-11", None, label="home")
    after = await store.book.change(
        replace(seen, name="After", company_id=firm.id, phones=(*seen.phones, typed)), by=petrova.account
    )
    assert after.phones[1] == ClientPhone("тел. 8 916 555-00-11", "+79165550011", None, "home")
    assert after.version > seen.version
    told = {one.data["what"]: one.data for one in (await store.timelines.of_client(seen.id)).entries[:3]}
    assert told["name"]["to"] == "After"
    assert told["company"]["to"] == "Edited Firm"
    assert told["phones"]["from"] == ["+79165550010"]
    assert await names(store, "after edited") == ["After"]


async def test_saving_without_a_change_is_no_change(store: RecordsStore) -> None:
    """Somebody opens the form and presses Save: nobody else's form becomes an old one."""
    seen = await store.book.add(contact("Same", "+7 (916) 555-00-20"), by=None)
    assert await store.book.change(seen, by=None) == seen


async def test_two_save_at_once(store: RecordsStore) -> None:
    """Of two who save the same version in one moment, one is told to look again."""
    seen = await store.book.add(contact("Both"), by=None)
    done = await asyncio.gather(
        *(store.book.change(replace(seen, name=f"Both {one}"), by=None) for one in "ab"),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in done) == ["Client", "PeerMistake"]


async def test_a_renamed_company_gives_its_people_its_new_name(store: RecordsStore) -> None:
    """Whoever looks for the people of the firm by its new name finds them at once."""
    firm = await store.book.add(company("Oldname"), by=None)
    await store.book.add(contact("Rita", company_id=firm.id), by=None)
    await store.book.change(replace(firm, name="Brandnew"), by=None)
    assert await names(store, "brandnew", kind=ClientKind.CONTACT) == ["Rita"]
    assert await names(store, "oldname") == []


async def test_a_company_is_renamed_while_somebody_joins_it(store: RecordsStore) -> None:
    """Both in one moment: whoever comes second sees the first; nobody is found by the old name only."""
    firm = await store.book.add(company("Joinold"), by=None)
    people = [await store.book.add(contact(f"Joiner {one}"), by=None) for one in range(4)]
    await asyncio.gather(
        store.book.change(replace(firm, name="Joinnew"), by=None),
        *(store.book.change(replace(one, company_id=firm.id), by=None) for one in people),
    )
    assert len(await names(store, "joiner joinnew")) == 4
    assert await names(store, "joiner joinold") == []


async def test_a_company_or_an_owner_that_is_none_is_refused(store: RecordsStore) -> None:
    """Somebody sends a form with another entry's id as the company, or an owner who is none of ours."""
    one, other = [await store.book.add(contact(f"No firm {each}"), by=None) for each in "ab"]
    for wrong in (replace(one, company_id=other.id), replace(one, owner_id=other.id)):
        with pytest.raises(PeerMistake):
            await store.book.change(wrong, by=None)
    for new in (contact("New", company_id=other.id), contact("New", owner_id=uuid4()), contact("  ")):
        with pytest.raises(PeerMistake):
            await store.book.add(new, by=None)


async def test_a_removed_entry_is_neither_found_nor_matched_and_comes_back(store: RecordsStore) -> None:
    """Removed by mistake: nobody finds it, its number is unknown; restored, everything is as before."""
    one = await store.book.add(contact("Removed Rosa", "+79165550030"), by=None)
    before = await whole(store, one.id)
    await store.book.remove(one.id, by=None)
    assert await names(store, "rosa") == []
    assert not (await store.matching.match("+79165550030")).known
    await store.book.restore(one.id, by=None)
    assert await names(store, "rosa") == ["Removed Rosa"]
    assert await whole(store, one.id) == before


async def test_save_as_contact_brings_the_earlier_calls(store: RecordsStore, petrova: Somebody) -> None:
    """An unknown number called three times; saved as a contact, its page shows the calls, however it was typed."""
    calls = await calls_with(store, "+79165550040", 10, 20)
    calls = [*calls, *await calls_with(store, "+79165550040", 30, answered=False)]
    taken = await calls_with(store, "+79165550040", 40)
    other = await store.book.add(contact("Whose the fourth call was"), by=None)
    await store.timelines.move_call(taken[0].id, client_id=other.id, deal_id=None, by=petrova.account)
    made = await store.book.add(contact("Saved", "8-916-555-00-40"), by=None)
    page = await store.timelines.of_client(made.id)
    assert [one.call_id for one in page.entries if one.kind == "call"] == [one.id for one in reversed(calls)]
    assert made.spoken_at == calls[1].ended_at
    places = await store.timelines.places([one.id for one in calls])
    assert {one.client_id for one in places.values()} == {made.id}
    assert places[calls[0].id].data["written"] == "8-916-555-00-40"


async def test_pages_show_everybody_once_while_the_list_changes(store: RecordsStore) -> None:
    """Page after page, in order of change and of names; somebody is entered meanwhile."""
    tag = f"paged{uuid4().hex[:6]}"
    for place in range(7):
        await store.book.add(contact(f"Pager {place}", tags=(tag,)), by=None)
    for by_name in (False, True):
        wanted = ClientFilter(kind=ClientKind.CONTACT, text="pager", tag=tag, by_name=by_name)
        seen: list[str] = []
        cursor = None
        while True:
            page = await store.book.page(wanted, limit=3, cursor=cursor)
            seen += [one.name for one in page.clients]
            cursor = page.more
            if cursor is None:
                break
        expected = [f"Pager {place}" for place in range(7)]
        assert seen == (expected if by_name else expected[::-1])
    assert tag in await store.book.tags()


@pytest.mark.parametrize("cursor", ["x", "WzEsIDEsIDFd", "e30", "W10"])
async def test_a_page_mark_of_somebody_elses(store: RecordsStore, cursor: str) -> None:
    """A mark that is not ours, or of another order, is refused plainly."""
    with pytest.raises(PeerMistake):
        await store.book.page(ClientFilter(), cursor=cursor)


async def test_filters_go_together(store: RecordsStore, petrova: Somebody) -> None:
    """Open leads of Petrova with a word in them; rejected ones are others."""
    kept = await store.book.add(lead("Filter Open", owner_id=petrova.person), by=None)
    gone = await store.book.add(lead("Filter Gone", owner_id=petrova.person), by=None)
    await store.book.reject(gone.id, reason="wrong number", by=petrova.account)
    mine = {"owner_id": petrova.person, "kind": ClientKind.LEAD}
    assert await names(store, "filter", state=LeadState.OPEN, **mine) == ["Filter Open"]
    assert await names(store, None, state=LeadState.REJECTED, **mine) == ["Filter Gone"]
    assert await names(store, None, state=LeadState.REJECTED, owner_id=petrova.person) == ["Filter Gone"]
    assert await names(store, "filter", company_id=kept.id) == []
    assert (await store.timelines.of_client(gone.id)).entries[0].text == "wrong number"
    await store.book.reopen(gone.id, by=petrova.account)
    assert len(await names(store, "filter", state=LeadState.OPEN)) == 2


async def test_likely_duplicates_come_likeliest_first(store: RecordsStore) -> None:
    """The same number and e-mail before the same number alone, before the same name alone; removed ones never."""
    one = await store.book.add(contact("Twin", "+79165550050", emails=("Twin@Example.org",)), by=None)
    same_name = await store.book.add(contact("twin"), by=None)
    same_number = await store.book.add(lead("Somebody", "8 916 555 00 50"), by=None)
    both = await store.book.add(contact("Double", "+79165550050", emails=("twin@example.org",)), by=None)
    gone = await store.book.add(contact("Twin", "+79165550050"), by=None)
    await store.book.remove(gone.id, by=None)
    await store.book.add(company("Twin", "+79165550050"), by=None)
    found = [each.id for each in await store.book.duplicates_of(one.id)]
    assert found == [both.id, same_number.id, same_name.id]


async def test_two_people_are_not_suggested_for_each_other(store: RecordsStore) -> None:
    """A brother and a sister share the family's number. Once somebody said that they are two, neither is suggested for the
    other, also when one is merged with a third entry and when that is undone; taken back, they are again.
    """
    alexei = await store.book.add(contact("Alexei", "+79165550060"), by=None)
    vera = await store.book.add(contact("Vera", "+79165550060"), by=None)
    lead_of_vera = await store.book.add(lead("V.", "8 916 555 00 60"), by=None)

    async def suggested_for(client: Client) -> set[UUID]:
        return {one.id for one in await store.book.duplicates_of(client.id)}

    await store.book.keep_apart(alexei.id, vera.id, by=None)
    await store.book.keep_apart(vera.id, alexei.id, by=None)
    assert await suggested_for(alexei) == {lead_of_vera.id}
    assert await suggested_for(vera) == {lead_of_vera.id}
    merge = await store.book.merge(vera.id, lead_of_vera.id, by=None)
    assert await suggested_for(alexei) == set()
    await store.book.undo_merge(merge, by=None)
    assert await suggested_for(alexei) == {lead_of_vera.id}
    absorbed = await store.book.merge(
        lead_of_vera.id, (await store.book.add(lead("W.", "+79165550060"), by=None)).id, by=None
    )
    await store.book.undo_merge(absorbed, by=None)
    await store.book.allow_again(vera.id, alexei.id)
    assert vera.id in await suggested_for(alexei)
    assert alexei.id in await suggested_for(vera)
    with pytest.raises(PeerMistake):
        await store.book.keep_apart(alexei.id, uuid4(), by=None)


async def test_every_write_is_noticed(store: RecordsStore) -> None:
    """Whoever shows the entry hears of each change of it."""
    heard: list[str] = []
    async with store.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.add_listener(BOOK_CHANNEL, lambda *told: heard.append(told[3]))
        one = await store.book.add(contact("Noticed"), by=None)
        one = await store.book.change(replace(one, name="Noticed twice"), by=None)
        await store.book.remove(one.id, by=None)
        await connection.execute(text("SELECT 1"))
        assert heard.count(f"client {one.id}") >= 3
        await raw.reset()
