"""The People pages over a real store: every action, what a masked role sees, conflicts, hostile names, redirects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from call_records.crm.types import ClientFilter, NewDeal
from call_records.crm.writes import Told, tell
from call_records.recordings.tables import recordings
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.contacts import ClientKind, LeadState
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.crm.people_office import NUMBER, WRITTEN, add, call_with, handed_over
from tests.reviews.office import recording
from tests.web import office
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_everybody, serving, signed_in
from web.presenters.contacts import mask_in

pytestmark = pytest.mark.postgres
HOSTILE = "<script>alert(1)</script>\"'\u202e&amp;"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DIGITS = re.compile(r"916.{0,3}000.{0,3}00")
"""The hidden part of NUMBER, in any spacing."""


@pytest.fixture
async def everybody(records: RecordsStore) -> dict[Role, Account]:
    """One account of each role."""
    return await add_everybody(records)


@pytest.fixture
async def manager(records: RecordsStore, everybody: dict[Role, Account]) -> AsyncIterator[Person]:
    """A manager at the pages."""
    del everybody
    async with serving(records) as address, signed_in(address, "manager") as person:
        yield person


@pytest.fixture
async def masked(records: RecordsStore, everybody: dict[Role, Account]) -> AsyncIterator[Person]:
    """A manager who may not see numbers."""
    del everybody
    settings = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
    async with serving(records, settings) as address, signed_in(address, "manager") as person:
        yield person


async def sent(person: Person, path: str, **form: str) -> tuple[int, str, str]:
    """Status, where it leads to, and the page."""
    data = {"csrf": person.csrf, **form}
    async with person.http.post(path, data=data, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("location", ""), await answer.text()


async def got(person: Person, path: str) -> tuple[int, str]:
    """Status and where it leads to."""
    async with person.http.get(path, allow_redirects=False) as answer:
        return answer.status, answer.headers.get("location", "")


def form_of(page: str) -> dict[str, str]:
    """What the edit form would send as it stands."""
    form = page[page.index("data-edit") :]
    form = form[: form.index("</form>")]
    told: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and 'type="checkbox"' not in tag:
            told[name[1]] = unescape(value[1]) if value else ""
    chosen = re.search(r'<select name="owner">.*?</select>', form, re.S)
    selected = re.search(r'value="([^"]*)" selected', chosen[0]) if chosen else None
    told["owner"] = selected[1] if selected else ""
    return told


# -- the list and the search --


async def test_an_empty_book_says_what_will_appear(manager: Person) -> None:
    """The first day: nobody is in the book."""
    page = await manager.read("/people")
    assert "No contacts yet" in page
    assert "Nothing here yet" in await manager.read("/people?kind=all")
    assert "/people/new" in page


async def test_the_list_finds_by_words_and_by_any_spelling(records: RecordsStore, manager: Person) -> None:
    """Three kinds; a tab, a word of the company, a tag and the same number written three ways narrow it down."""
    garden = await add(records, "Garden Ltd", kind=ClientKind.COMPANY)
    irina = await add(records, "Irina Sokolova", WRITTEN, company=garden.id, tags=("vip",))
    await add(records, "Somebody else", "+7 495 123-45-67", kind=ClientKind.LEAD)

    async def names(query: str) -> list[str]:
        page = await manager.read(f"/people?{query}")
        return re.findall(r'class="who"[^>]*>.*?<bdi>(.*?)</bdi>', page, re.S)

    assert await names("") == ["Irina Sokolova"]  # leads of unknown callers are many: contacts come first
    assert set(await names("kind=all")) == {"Garden Ltd", "Irina Sokolova", "Somebody else"}
    assert await names("kind=lead") == ["Somebody else"]
    assert await names("kind=all&order=name") == ["Garden Ltd", "Irina Sokolova", "Somebody else"]
    assert await names("q=sokol") == ["Irina Sokolova"]
    for written in ("%2B79160000012", "8-916-000-00-12", "0000012"):
        assert await names(f"q={written}") == ["Irina Sokolova"]
    assert await names("tag=vip") == ["Irina Sokolova"]
    assert await names(f"owner={uuid4()}") == []
    assert await names("kind=nonsense&state=nonsense&owner=nonsense&cursor=") != []
    page = await manager.read("/people?q=sokol")
    assert "8 (916) 000-00-12" in page
    assert f'href="/people/{irina.id}"' in page
    assert "Garden Ltd" in page


async def test_more_of_a_long_list(records: RecordsStore, manager: Person) -> None:
    """55 entries: 50 on the first page, the rest behind More, nobody twice."""
    for index in range(55):
        await add(records, f"Number {index}")
    first = await manager.read("/people")
    more = re.search(r'href="([^"]+)" rel="next"', first)
    assert more
    second = await manager.read(unescape(more[1]))
    found = [re.findall(r'class="row person-row"', page) for page in (first, second)]
    assert [len(one) for one in found] == [50, 5]
    ids = re.findall(r'class="who" href="/people/([^"]+)"', first + second)
    assert len(set(ids)) == 55


async def test_one_search_for_people_and_calls(records: RecordsStore, manager: Person) -> None:
    """A number finds the person and the calls; a word finds people; nothing found offers to add it."""
    await add(records, "Irina Sokolova", WRITTEN)
    call = handed_over(NOON)
    await records.journal.record([change(call)])
    page = await manager.read("/search?q=8(916)000-00-12")
    assert "Irina Sokolova" in page
    assert f"/calls/{call.id}" in page
    page = await manager.read("/search?q=irina")
    assert "Irina Sokolova" in page
    assert "h-calls" not in page
    page = await manager.read("/search?q=%3Cb%3Enobody")
    assert "&lt;b&gt;nobody" in page
    assert "<b>nobody" not in page
    assert "Type a name" in await manager.read("/search")


# -- one of them --


async def test_the_timeline_tells_calls_with_everybody_who_talked(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """101 talks, transfers to a phone without an account; a missed call; a colleague's note and mine; a deal's stages."""
    me, chief = everybody[Role.MANAGER], everybody[Role.SUPERVISOR]
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    irina = await add(records, "Irina", WRITTEN)
    stages = (await records.deals.pipelines())[0].stages
    deal = await records.deals.add(
        NewDeal("Roses", irina.id, stage_id=stages[0].id, amount=Decimal(1200)), by=me.id
    )
    call = await call_with(records, irina, handed_over(NOON), me, deal=deal.id)
    await call_with(
        records, irina, office.missed(office.ringing("101", number=NUMBER, begin=NOON - timedelta(1))), me
    )
    await records.notes.save(call_id=call.id, account_id=chief.id, text="Be kind")
    await records.notes.save(call_id=call.id, account_id=me.id, text="Wants red")
    await records.deals.move(deal.id, stage_id=stages[1].id, before=None, by=me.id)
    await manager.http.get("/settings")
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", await manager.read(f"/people/{irina.id}")))
    assert re.search(r"Answered .*Manager 101 0:35 .*→ .*555.* 2:40", page)
    assert "Missed" in page
    assert "Be kind" in page
    assert "Wants red" in page
    assert re.search(rf"Deal Roses : {stages[0].name} → to {stages[1].name}", page)
    assert "1 200" in page


async def test_only_what_may_be_heard_can_be_played(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """Two recorded calls: a manager hears their own, the other one has no button; the supervisor hears both."""
    irina = await add(records, "Irina", WRITTEN)
    theirs = office.over(
        office.picked_up(office.ringing("103", number=NUMBER, begin=NOON - timedelta(1)), "103"), 60
    )
    for call in (handed_over(NOON), theirs):
        await call_with(records, irina, call, everybody[Role.MANAGER])
        async with records.engine.begin() as connection:
            await connection.execute(insert(recordings).values(recording(call)))
    assert (await manager.read(f"/people/{irina.id}")).count("data-play=") == 1
    async with signed_in(str(manager.http._base_url).rstrip("/"), "supervisor") as chief:
        assert (await chief.read(f"/people/{irina.id}")).count("data-play=") == 2


async def test_what_came_by_a_form_is_told(records: RecordsStore, manager: Person) -> None:
    """Somebody sent the site's form: its name and what was filled in stand on the timeline, harmless."""
    lead = await add(records, "Lead", NUMBER, kind=ClientKind.LEAD)
    data = {"form": "Call me <b>", "fields": {"Colour <i>": "red <u>"}}
    async with records.engine.begin() as connection:
        await tell(connection, Told("form", NOON, client_id=lead.id, data=data))
    page = await manager.read(f"/people/{lead.id}")
    for text in ("Call me &lt;b&gt;", "Colour &lt;i&gt;", "red &lt;u&gt;"):
        assert text in page


async def test_earlier_entries_are_behind_a_link(records: RecordsStore, manager: Person) -> None:
    """40 notes: 30 are shown, Earlier leads to the rest."""
    irina = await add(records, "Irina")
    for index in range(40):
        assert await manager.send(f"/people/{irina.id}/notes", text=f"note {index}.") == 303
    first = await manager.read(f"/people/{irina.id}")
    assert "note 39." in first
    assert "note 5." not in first
    earlier = re.search(r'href="([^"]+)" rel="next"', first)
    assert earlier
    assert "note 5." in await manager.read(unescape(earlier[1]))


async def test_a_new_entry_warns_of_the_same_number(records: RecordsStore, manager: Person) -> None:
    """The number is pasted in another spelling beside a second one: who has it is named, and adding goes on all the same."""
    irina = await add(records, "Irina", NUMBER)
    pasted = "office: +7 495 123-45-67\nmobile 8-916-000-00-12"
    status, _, page = await sent(manager, "/people", kind="lead", name="New", phones=pasted)
    assert status == 409
    assert f'href="/people/{irina.id}"' in page
    assert "mobile 8-916-000-00-12" in page
    assert "Irina" in await manager.read("/people/same?phones=8(916)0000012")
    status, where, _ = await sent(
        manager, "/people", kind="lead", name="New", phones=pasted, company="Garden", sure="yes"
    )
    assert status == 303
    made = await records.book.one(UUID(where.split("/")[2].split("?")[0]))
    assert made
    assert made.kind is ClientKind.LEAD
    assert {phone.key for phone in made.phones} == {"+74951234567", NUMBER}
    assert made.company == "Garden"
    assert (await sent(manager, "/people", kind="company", name=""))[0] == 400
    status, _, page = await sent(manager, "/people", name="X", emails="no mail")
    assert (status, "is not an e-mail address" in page) == (400, True)


async def test_the_facts_are_edited_in_their_place(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """Name, numbers, company, owner, tags and a fact of one's own; sent back untouched, nothing changes."""
    irina = await add(records, "Irina", WRITTEN, "+7 495 123-45-67", emails=("i@example.com",), tags=("vip",))
    told = form_of(await manager.read(f"/people/{irina.id}?edit=yes"))
    assert (await sent(manager, f"/people/{irina.id}", **told))[0] == 303
    same = await records.book.one(irina.id)
    assert same
    assert replace(same, updated_at=irina.updated_at, version=irina.version) == irina
    told = form_of(await manager.read(f"/people/{irina.id}?edit=yes"))
    owner = str(everybody[Role.SUPERVISOR].person_id)
    told |= {
        "name": "Irina S.",
        "phone-1": "",
        "more": "8 916 000-00-13",
        "company": "Garden",
        "owner": owner,
    }
    told |= {"tags": "vip, new", "fact-0": "Birthday", "value-0": "3 March", "label-0": "mobile"}
    assert (await sent(manager, f"/people/{irina.id}", **told))[0] == 303
    now = await records.book.one(irina.id)
    assert now
    assert (now.name, now.company, now.tags) == ("Irina S.", "Garden", ("vip", "new"))
    assert [phone.key for phone in now.phones] == [NUMBER, "+79160000013"]
    assert (now.phones[0].raw, now.phones[0].label) == (WRITTEN, "mobile")
    assert now.fields == {"Birthday": "3 March"}
    assert str(now.owner_id) == owner


async def test_who_was_slower_keeps_what_he_typed(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """A colleague changed name and tags meanwhile; my name, position and number stand in the form, their tags are taken."""
    irina = await add(records, "Irina", WRITTEN)
    told = form_of(await manager.read(f"/people/{irina.id}?edit=yes"))
    theirs = replace(irina, name="Irina Sokolova", tags=("vip",))
    await records.book.change(theirs, by=everybody[Role.SUPERVISOR].id)
    told |= {"name": "Irina S.", "position": "Buyer", "more": "+7 495 123-45-67"}
    status, _, page = await sent(manager, f"/people/{irina.id}", **told)
    assert status == 409
    assert "This was changed meanwhile, by a colleague or in another tab of yours." in page
    assert re.search(r"<dt>Name</dt><dd><bdi>Irina Sokolova</bdi>", page)
    assert re.search(r"<dt>Tags</dt><dd><bdi>vip</bdi>", page)
    again = form_of(page)
    assert (again["name"], again["position"], again["tags"]) == ("Irina S.", "Buyer", "vip")
    assert "+7 495 123-45-67</textarea>" in page
    again["more"] = "+7 495 123-45-67"
    assert (await sent(manager, f"/people/{irina.id}", **again))[0] == 303
    now = await records.book.one(irina.id)
    assert now
    assert (now.name, now.position, now.tags, len(now.phones)) == ("Irina S.", "Buyer", ("vip",), 2)


async def test_remove_and_undo(records: RecordsStore, manager: Person) -> None:
    """Removed: the list says so and offers to take it back; their own page too."""
    irina = await add(records, "Irina")
    status, where, _ = await sent(manager, f"/people/{irina.id}/remove")
    assert (status, where) == (303, f"/people?removed={irina.id}")
    page = await manager.read(where)
    assert "Removed: <bdi>Irina</bdi>" in page
    assert 'class="row person-row"' not in page
    assert "was removed from the book" in await manager.read(f"/people/{irina.id}")
    assert (await sent(manager, f"/people/{irina.id}/restore"))[0] == 303
    assert 'class="row person-row"' in await manager.read("/people")
    assert "Removed:" not in await manager.read(where)


async def test_merge_and_undo(records: RecordsStore, manager: Person) -> None:
    """The page says who has the same number; one is chosen; the other's address leads there; undo parts them."""
    irina, other = await add(records, "Irina", WRITTEN), await add(records, "I. Sokolova", NUMBER)
    page = await manager.read(f"/people/{irina.id}")
    assert f"/people/{irina.id}/merge?with={other.id}" in page
    assert "Which of them stays?" in await manager.read(f"/people/{irina.id}/merge?with={other.id}")
    status, where, _ = await sent(
        manager, f"/people/{irina.id}/merge", **{"with": str(other.id), "stays": str(other.id)}
    )
    assert (status, where.split("?")[0]) == (303, f"/people/{other.id}")
    assert await got(manager, f"/people/{irina.id}?edit=yes") == (303, f"/people/{other.id}?edit=yes")
    undo = re.search(r'action="(/people/[^"]+/merges/[^"]+/undo)"', await manager.read(where))
    assert undo
    assert (await sent(manager, undo[1]))[0] == 303
    assert (await got(manager, f"/people/{irina.id}"))[0] == 200
    assert (await sent(manager, undo[1]))[0] == 400


async def test_only_what_can_be_one_is_merged(records: RecordsStore, manager: Person) -> None:
    """A company is offered no person; a lead can become part of a contact, not the reverse; nobody chosen is said."""
    firm = await add(records, "Garden", NUMBER, kind=ClientKind.COMPANY)
    irina = await add(records, "Irina", NUMBER)
    lead = await add(records, "Lead", NUMBER, kind=ClientKind.LEAD)
    page = await manager.read(f"/people/{firm.id}/merge?with={irina.id}")
    assert "cannot become one" in page
    page = await manager.read(f"/people/{lead.id}/merge?with={irina.id}")
    assert re.search(rf'value="{irina.id}" checked', page)
    assert re.search(rf'value="{lead.id}" disabled', page)
    assert (await sent(manager, f"/people/{irina.id}/merge"))[0] == 400


async def test_a_lead_is_converted_once(records: RecordsStore, manager: Person) -> None:
    """In one form a contact, a company and a deal; the lead's address leads to the contact, also for who was slower."""
    lead = await add(records, "+7 916 000-00-12", NUMBER, kind=ClientKind.LEAD)
    assert "Convert" in await manager.read(f"/people/{lead.id}")
    stage = (await records.deals.pipelines())[0].stages[1]
    told = {
        "name": "Irina",
        "company": "Garden",
        "deal": "Roses",
        "stage": str(stage.id),
        "amount": "1 200,50",
    }
    status, where, _ = await sent(manager, f"/people/{lead.id}/convert", **told)
    assert status == 303
    contact = UUID(where.split("/")[2].split("?")[0])
    made = await records.book.one(contact)
    assert made
    assert (made.kind, made.name, made.company) == (ClientKind.CONTACT, "Irina", "Garden")
    (deal,) = await records.deals.of_client(contact)
    assert (deal.title, deal.amount, deal.stage) == ("Roses", Decimal("1200.50"), stage.name)
    assert await got(manager, f"/people/{lead.id}") == (303, f"/people/{contact}")
    assert (await sent(manager, f"/people/{lead.id}/convert", **told))[1].startswith(f"/people/{contact}")
    assert len((await records.book.page(ClientFilter(kind=ClientKind.CONTACT))).clients) == 1
    assert f"/people/{lead.id}" not in await manager.read("/people?kind=lead")
    assert f"/people/{lead.id}" in await manager.read("/people?kind=lead&state=converted")


async def test_a_lead_becomes_part_of_somebody_known(records: RecordsStore, manager: Person) -> None:
    """A contact has the same number: it is offered first, and takes the lead in."""
    irina = await add(records, "Irina", NUMBER)
    lead = await add(records, "Who", NUMBER, kind=ClientKind.LEAD)
    page = await manager.read(f"/people/{lead.id}/convert")
    assert re.search(rf'name="into" value="{irina.id}" checked', page)
    status, where, _ = await sent(manager, f"/people/{lead.id}/convert", name="Who", into=str(irina.id))
    assert (status, where.split("?")[0]) == (303, f"/people/{irina.id}")


async def test_a_lead_is_rejected_with_a_reason(records: RecordsStore, manager: Person) -> None:
    """The reason is on the timeline; it can be opened again; a wrong amount keeps what was typed."""
    lead = await add(records, "Lead", NUMBER, kind=ClientKind.LEAD)
    status, _, page = await sent(manager, f"/people/{lead.id}/convert", name="Typed", deal="x", amount="much")
    assert (status, "Typed" in page, "is not an amount" in page) == (400, True, True)
    assert (await sent(manager, f"/people/{lead.id}/reject", reason="Wrong <number>"))[0] == 303
    page = await manager.read(f"/people/{lead.id}")
    assert "Wrong &lt;number&gt;" in page
    assert (await sent(manager, f"/people/{lead.id}/reopen"))[0] == 303
    now = await records.book.one(lead.id)
    assert now
    assert now.state is LeadState.OPEN


async def test_notes_are_changed_by_their_author_only(records: RecordsStore, manager: Person) -> None:
    """Mine can be changed and emptied; a colleague's page does not offer it and their try is refused."""
    irina = await add(records, "Irina")
    await manager.send(f"/people/{irina.id}/notes", text="First")
    (entry,) = [one for one in (await records.timelines.of_client(irina.id)).entries if one.kind == "note"]
    address = str(manager.http._base_url).rstrip("/")
    async with signed_in(address, "supervisor") as chief:
        assert f"/notes/{entry.id}" not in await chief.read(f"/people/{irina.id}")
        assert await chief.send(f"/people/{irina.id}/notes/{entry.id}", text="Mine now") == 400
    assert await manager.send(f"/people/{irina.id}/notes/{entry.id}", text="Second") == 303
    assert "Second" in await manager.read(f"/people/{irina.id}")
    assert await manager.send(f"/people/{irina.id}/notes/{entry.id}", text="") == 303
    assert "Second" not in await manager.read(f"/people/{irina.id}")


async def test_tasks_are_added_and_ticked(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """A task for Friday is mine until I give it away; ticking it leads back to the page it was done on."""
    irina = await add(records, "Irina")
    assert await manager.send(f"/people/{irina.id}/tasks", text="Send prices", due="2026-11-27") == 303
    (task,) = await records.tasks.of_client(irina.id)
    assert task.owner_id == everybody[Role.MANAGER].person_id
    assert task.due_at == datetime(2026, 11, 27, 18, tzinfo=UTC)
    here = f"/people/{uuid4()}"
    path = f"/people/{irina.id}/tasks/{task.id}"
    assert (await sent(manager, path, done="yes", here=here))[1] == here
    assert (await records.tasks.of_client(irina.id))[0].done_at
    assert (await sent(manager, path, done="", here="//evil.example"))[1] == f"/people/{irina.id}"
    assert (await records.tasks.of_client(irina.id))[0].done_at is None
    assert await manager.send(f"/people/{irina.id}/tasks", text=" ") == 400
    assert await manager.send(f"/people/{irina.id}/tasks", text="Call", due="soon") == 400


async def test_a_call_is_moved_and_the_number_remembered(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """Wrong person: the call goes to Olga, who is known by the number from now on; undo brings both back."""
    irina, olga = await add(records, "Irina", NUMBER), await add(records, "Olga")
    call = await call_with(records, irina, handed_over(NOON), everybody[Role.MANAGER])
    path = f"/people/{irina.id}/calls/{call.id}/move"
    assert "Where does this call belong?" in await manager.read(path)
    assert f'name="to" value="{olga.id}"' in await manager.read(f"{path}?q=olga")
    assert f'name="to" value="{olga.id}"' in await manager.read("/people/find?q=olga&field=to")
    status, where, _ = await sent(manager, path, to=str(olga.id), remember="yes")
    assert status == 303
    assert (await records.timelines.places([call.id]))[call.id].client_id == olga.id
    match = await records.matching.match(NUMBER)
    assert match.chosen
    assert match.chosen.id == olga.id
    undo = await manager.read(where)
    assert "The call is with Olga now." in undo
    assert f'value="client:{irina.id}"' in undo
    assert (await sent(manager, path, to=f"client:{irina.id}", remember="yes"))[0] == 303
    assert (await records.timelines.places([call.id]))[call.id].client_id == irina.id
    match = await records.matching.match(NUMBER)
    assert match.chosen
    assert match.chosen.id == irina.id


async def test_a_call_is_moved_to_a_deal_or_to_nobody(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """To a deal of this client, to none, to nobody; nothing chosen and unknown ones are said."""
    irina = await add(records, "Irina", NUMBER)
    deal = await records.deals.add(NewDeal("Roses", irina.id), by=None)
    call = await call_with(records, irina, handed_over(NOON), everybody[Role.MANAGER])
    path = f"/people/{irina.id}/calls/{call.id}/move"
    places = records.timelines.places
    assert (await sent(manager, path, to=f"deal:{deal.id}"))[0] == 303
    assert (await places([call.id]))[call.id].deal_id == deal.id
    assert (await sent(manager, path, to="here"))[0] == 303
    assert (await places([call.id]))[call.id].deal_id is None
    assert (await sent(manager, path, to="nobody"))[0] == 303
    assert (await places([call.id]))[call.id].client_id is None
    for wrong in ("", "client:", f"deal:{uuid4()}", str(uuid4())):
        assert (await sent(manager, path, to=wrong))[0] == 400
    assert (await sent(manager, f"/people/{irina.id}/calls/{uuid4()}/move", to="here"))[0] == 404


async def test_a_company_shows_its_people_and_their_history(records: RecordsStore, manager: Person) -> None:
    """A company's page names its contacts and tells what happened with them."""
    garden = await add(records, "Garden", kind=ClientKind.COMPANY)
    irina = await add(records, "Irina", WRITTEN, company=garden.id)
    await manager.send(f"/people/{irina.id}/notes", text="Likes roses")
    page = await manager.read(f"/people/{garden.id}")
    assert "People there" in page
    assert "Likes roses" in page
    assert page.count(f'href="/people/{irina.id}"') >= 2


# -- what is not seen --


async def test_a_masked_role_sees_no_number_anywhere(
    records: RecordsStore, everybody: dict[Role, Account], masked: Person
) -> None:
    """List, page, form, search, choices, duplicates, a lead named by its number, a task: only the last digits."""
    irina = await add(records, "Irina", WRITTEN)
    lead = await add(records, "+7 916 000-00-12", NUMBER, kind=ClientKind.LEAD)
    call = await call_with(records, lead, handed_over(NOON), everybody[Role.MANAGER])
    await records.deals.add(NewDeal(f"Deal of {NUMBER}", irina.id), by=None)
    await masked.send(f"/people/{lead.id}/tasks", text=f"Call back {WRITTEN}")
    changed = await records.book.one(irina.id)
    assert changed
    await records.book.change(replace(changed, phones=(*changed.phones, *lead.phones)[:1]), by=None)
    for path in (
        "/people",
        f"/people/{irina.id}",
        f"/people/{irina.id}?edit=yes",
        f"/people/{lead.id}",
        f"/people/{lead.id}/convert",
        f"/people/{lead.id}/reject",
        f"/people/{irina.id}/merge",
        f"/people/{irina.id}/merge?with={lead.id}",
        f"/people/{lead.id}/calls/{call.id}/move",
        "/people/find?q=0012&field=to",
        "/people/find?q=irina",
        "/people/same?phones=" + NUMBER[1:],
        "/search?q=irina",
    ):
        page = await masked.read(path)
        body = page[page.find("<main") :] if "<main" in page else page
        assert not DIGITS.search(body), (path, DIGITS.search(body))
        assert "tel:" not in body
        assert 'data-copy="' not in body


async def test_a_masked_form_neither_loses_nor_tells_numbers(records: RecordsStore, masked: Person) -> None:
    """Sent back untouched the numbers stay; one is typed over, one dropped, one added; the name that is a number stays."""
    client = await add(records, "+7 916 000-00-12", WRITTEN, "+7 495 123-45-67 доб. 3", "8 800 555-35-35")
    path = f"/people/{client.id}"
    told = form_of(await masked.read(f"{path}?edit=yes"))
    assert (await sent(masked, path, **{**told, "position": "Buyer"}))[0] == 303
    now = await records.book.one(client.id)
    assert now
    assert (now.name, now.phones, now.position) == (client.name, client.phones, "Buyer")
    told = form_of(await masked.read(f"{path}?edit=yes"))
    told |= {"phone-0": "8 916 000-00-99", "drop-2": "yes", "more": "8 916 000-00-98"}
    assert (await sent(masked, path, **told))[0] == 303
    now = await records.book.one(client.id)
    assert now
    assert [one.key for one in now.phones] == ["+79160000099", "+74951234567", "+79160000098"]
    assert now.phones[1].extension == "3"


async def test_a_masked_form_after_a_conflict(records: RecordsStore, masked: Person) -> None:
    """Somebody changed the numbers meanwhile: what was typed over is offered as new, no place is written over."""
    client = await add(records, "Irina", WRITTEN, "+7 495 123-45-67")
    path = f"/people/{client.id}"
    told = form_of(await masked.read(f"{path}?edit=yes"))
    await records.book.change(replace(client, phones=client.phones[1:]), by=None)
    told |= {"phone-0": "8 916 000-00-99"}
    status, _, page = await sent(masked, path, **told)
    assert status == 409
    assert not DIGITS.search(page.replace("8 916 000-00-99", ""))
    again = form_of(page)
    assert again["phone-0"] == ""
    assert "8 916 000-00-99</textarea>" in page


async def test_hostile_names_are_text(records: RecordsStore, manager: Person) -> None:
    """Markup in names, tags, facts, notes and titles is shown as it was typed, on every page."""
    garden = await add(records, HOSTILE, kind=ClientKind.COMPANY)
    irina = await add(records, HOSTILE, NUMBER, company=garden.id, tags=(HOSTILE,), owner=None)
    await records.book.change(
        replace(irina, fields={HOSTILE: HOSTILE}, position=HOSTILE, emails=("<b>@x",)), by=None
    )
    twin = await add(records, HOSTILE, NUMBER, kind=ClientKind.LEAD)
    await records.deals.add(NewDeal(HOSTILE, irina.id), by=None)
    await manager.send(f"/people/{irina.id}/notes", text=HOSTILE)
    await manager.send(f"/people/{irina.id}/tasks", text=HOSTILE)
    for path in (
        "/people",
        f"/people/{irina.id}",
        f"/people/{irina.id}?edit=yes",
        f"/people/{garden.id}",
        f"/people/{twin.id}/convert",
        f"/people/{irina.id}/merge?with={twin.id}",
        "/people/find?q=script&field=with",
        "/people/find?q=script&kind=company",
        f"/people?removed={irina.id}&q=%3Cscript%3Ealert",
        "/search?q=%3Cscript%3Ealert",
        "/people/new?name=%3Cscript%3Ealert",
    ):
        page = await manager.read(path)
        assert "<script>alert" not in page, path
        assert "&lt;script&gt;alert" in page, path


async def test_nobody_like_that(records: RecordsStore, manager: Person) -> None:
    """An unknown id is a page of ours; what no id is too."""
    for path in (f"/people/{uuid4()}", "/people/nonsense", f"/people/{uuid4()}/merge"):
        async with manager.http.get(path) as answer:
            assert answer.status == 404
            page = await answer.text()
            assert "not found" in page, path
    assert (await sent(manager, f"/people/{uuid4()}/notes", text="x"))[0] == 404
    irina = await add(records, "Irina")
    data = {"text": "no token"}
    async with manager.http.post(f"/people/{irina.id}/notes", data=data) as answer:
        assert answer.status == 403


# -- small things --


def test_numbers_are_hidden_within_sentences() -> None:
    """Telephone numbers in any spacing are hidden; years, prices and extensions stay."""
    assert mask_in("Call +7 (916) 000-00-12 in 2026, 12 000 each, ext. 101") == (
        "Call +• (•••) •••-••-12 in 2026, 12 000 each, ext. 101"
    )
