"""What is done on a card, over a real store: choosing, saving, "wrong person", and what the next call knows of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import aiohttp
import pytest
from sqlalchemy import func, update

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.tables import clients
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind, LeadState, MatchRule
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.reviews.office import hire
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.office import CLIENT, over, picked_up, ringing
from tests.web.serving import running
from tests.web.test_callers import card_with
from tests.web.test_live import Events

pytestmark = pytest.mark.postgres


@dataclass
class Desk:
    """Anna's desk: her browser, the phones, the store."""

    records: RecordsStore
    live: FakeLive
    person: Person
    by: UUID

    async def rings(self, number: str = CLIENT) -> CallFacts:
        """A call comes to her phone, and the journal knows it."""
        call = ringing("101", number=number)
        await self.records.journal.record([change(call)])
        self.live.publish(call)
        return call

    async def ask(self, method: str, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
        """As the card asks."""
        headers = {"X-CSRF-Token": self.person.csrf}
        sent = {"json": body} if body else {}
        async with self.person.http.request(method, path, headers=headers, **sent) as answer:
            told: dict[str, Any] = await answer.json()
            assert answer.status == status, told
            return told

    async def who(self, call: CallFacts) -> dict[str, Any]:
        """The card's part about the client, as it is now."""
        told = await self.ask("GET", f"/api/v1/calls/{call.id}/who")
        return cast(dict[str, Any], told["who"])

    async def add(self, name: str, *phones: str, kind: ClientKind = ClientKind.CONTACT, **more: Any) -> UUID:
        """An entry of the book."""
        new = NewClient(kind, name, phones or ("8 (916) 000-00-12",), **more)
        return (await self.records.book.add(new, by=self.by)).id

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[Events]:
        """Her live stream."""
        async with self.person.http.get("/api/v1/live?view=page") as answer:
            yield Events(answer)


@pytest.fixture
async def desk(records: RecordsStore) -> AsyncIterator[Desk]:
    """The pages over a real store; Anna is signed in at extension 101."""
    anna = await hire(records, "anna", Role.MANAGER, "101")
    await records.accounts.set_pop(anna.id, PopPreference.ON_RING)
    live = FakeLive()
    store = cast(FakeRecords, records)
    async with (
        running(store, live, SETTINGS, cheap_passwords()) as address,
        aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        person = Person(http)
        assert await person.sign_in("anna") == 303
        yield Desk(records, live, person, anna.id)


async def test_an_unknown_number_becomes_a_contact_on_the_card(desk: Desk) -> None:
    """She types name and company while it rings: the contact is in the book with the number, the call is its, the live
    row has the name, and the next call is known.
    """
    async with desk.stream() as events:
        await events.next()
        call = await desk.rings()
        assert (await card_with(events, lambda told: told["who"] is not None))["who"]["save"]
        told = await desk.ask(
            "POST", f"/api/v1/calls/{call.id}/contact", name=" Boris  Oak ", company="Garden Ltd"
        )
        assert (told["who"]["client"]["name"], told["who"]["client"]["company"]) == (
            "Boris Oak",
            "Garden Ltd",
        )
        assert (await card_with(events, lambda told: told["who"]["client"] is not None))[
            "name"
        ] == "Boris Oak"
        assert "Boris Oak" in (await events.until("call"))["html"]
    (place,) = (await desk.records.timelines.places([call.id])).values()
    assert (place.name, place.company, place.data["by_hand"]) == ("Boris Oak", "Garden Ltd", True)
    match = await desk.records.matching.match(CLIENT)
    assert match.chosen is not None
    assert (match.chosen.name, match.rule) == ("Boris Oak", MatchRule.ONLY)
    assert match.chosen.owner_id is not None
    again = await desk.ask("POST", f"/api/v1/calls/{call.id}/contact", 400, name="Somebody else")
    assert "Boris Oak" in again["detail"]


async def test_saving_a_lead_as_a_contact_makes_a_contact(desk: Desk) -> None:
    """The rules made a lead that is called by its number: "Save as contact" on the card converts it, as it says."""
    lead = await desk.add(CLIENT, CLIENT, kind=ClientKind.LEAD, source="call")
    call = await desk.rings()
    assert ((await desk.who(call))["save"], (await desk.who(call))["client"]["kind"]) == (True, "Lead")
    told = await desk.ask("POST", f"/api/v1/calls/{call.id}/contact", name="Boris Oak", company="")
    assert (told["who"]["client"]["name"], told["who"]["save"]) == ("Boris Oak", False)
    became = await desk.records.book.one(UUID(told["who"]["client"]["id"]))
    assert became is not None
    assert became.id != lead
    assert (became.kind, became.name) == (ClientKind.CONTACT, "Boris Oak")
    before = await desk.records.book.one(lead)
    assert before is not None
    assert before.state is LeadState.CONVERTED


@pytest.mark.parametrize("lead", [False, True])
async def test_a_contact_saved_by_mistake_is_taken_back(desk: Desk, *, lead: bool) -> None:
    """She typed the name into the wrong card: undone, the number is unknown again, or a lead again with its open task."""
    if lead:
        lead_id = await desk.add(CLIENT, CLIENT, kind=ClientKind.LEAD)
        await desk.records.tasks.add(NewTask("Call back", client_id=lead_id), by=desk.by)
    call = await desk.rings()
    if lead:
        await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", client_id=str(lead_id))
    told = await desk.ask("POST", f"/api/v1/calls/{call.id}/contact", name="Boris Oak", company="")
    made = told["made"]
    assert told["who"]["client"]["id"] == made
    undo = f"/api/v1/calls/{call.id}/contact/undo"
    told = await desk.ask("POST", undo, contact_id=made)
    assert told["who"]["save" if lead else "nobody"]
    assert (told["who"]["client"] or {}).get("kind") == ("Lead" if lead else None)
    assert (await desk.who(await desk.rings()))["save"]  # the next call: as before it was saved
    contact = await desk.records.book.one(UUID(made))
    assert contact is not None
    assert contact.removed_at is not None
    if lead:
        again = await desk.records.book.one(lead_id)
        assert again is not None
        assert (again.id, again.state, again.became_id) == (lead_id, LeadState.OPEN, None)
        assert [task.text for task in await desk.records.tasks.of_client(lead_id)] == ["Call back"]
    await desk.ask("POST", undo, 400, contact_id=made)
    assert (await desk.ask("POST", f"/api/v1/calls/{call.id}/contact", name="Boris Elm"))["made"] != made


async def test_two_contacts_until_she_chooses(desk: Desk) -> None:
    """Acceptance 17: the chooser; her choice files this call, is remembered for the next one, and that card says why."""
    anna, boris = await desk.add("Anna Elm"), await desk.add("Boris Oak")
    deal = await desk.records.deals.add(NewDeal("New fence", contact_id=boris), by=desk.by)
    other = await desk.records.deals.add(NewDeal("Old roof", contact_id=anna), by=desk.by)
    call = await desk.rings()
    who = await desk.who(call)
    assert (who["choose"], who["client"]) == (True, None)
    assert [one["name"] for one in who["others"]] == ["Anna Elm", "Boris Oak"]
    who = (await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", client_id=str(boris)))["who"]
    assert (who["client"]["name"], who["deal"]["title"], who["choose"]) == ("Boris Oak", "New fence", False)
    (place,) = (await desk.records.timelines.places([call.id])).values()
    assert (place.client_id, place.deal_id) == (boris, deal.id)
    who = await desk.who(await desk.rings())
    assert (who["client"]["name"], who["deal"]["href"]) == ("Boris Oak", f"/deals/{deal.id}")
    assert who["why"][0] == "Somebody chose Boris Oak for this number."
    assert other.id != deal.id


async def test_the_book_files_and_a_person_corrects(desk: Desk) -> None:
    """Two share the number. The book files the answered call with the one spoken to last, and the card goes on asking; she
    says that it is the other; the book, told of the call's end afterwards, leaves it there.
    """
    anna, boris = await desk.add("Anna Elm"), await desk.add("Boris Oak")
    async with desk.records.engine.begin() as connection:
        await connection.execute(update(clients).where(clients.c.id == anna).values(spoken_at=func.now()))
    keeper = Bookkeeper(desk.records.engine, steps_for(desk.records.home))
    call = await desk.rings()
    await keeper.take_some()
    (place,) = (await desk.records.timelines.places([call.id])).values()
    assert (place.client_id, place.data["rule"]) == (anna, "last_spoken")
    who = await desk.who(call)
    assert (who["choose"], [one["name"] for one in who["others"]]) == (True, ["Anna Elm", "Boris Oak"])
    assert "Anna Elm" not in await desk.person.read("/calls")
    await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", client_id=str(boris))
    await desk.records.journal.record([change(over(picked_up(call, "101"), 30))])
    await keeper.take_some()
    (place,) = (await desk.records.timelines.places([call.id])).values()
    assert (place.client_id, place.data["by_hand"]) == (boris, True)
    assert "Boris Oak" in await desk.person.read("/calls")
    assert keeper.failures == 0


async def test_wrong_person_moves_the_call_and_teaches(desk: Desk) -> None:
    """It was not Anna but Boris, who has another number in the book: this call and the next are theirs."""
    anna, boris = await desk.add("Anna Elm"), await desk.add("Boris Oak", "8 495 100-00-03")
    call = await desk.rings()
    assert (await desk.who(call))["client"]["name"] == "Anna Elm"
    found = await desk.ask("GET", f"/api/v1/calls/{call.id}/people?q=oak")
    assert [one["id"] for one in found["people"]] == [str(boris)]
    body = {"client_id": str(boris), "wrong": str(anna)}
    who = (await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", **body))["who"]
    assert who["client"]["name"] == "Boris Oak"
    entries = (await desk.records.timelines.of_client(boris)).entries
    assert call.id in [entry.call_id for entry in entries]
    assert call.id not in [entry.call_id for entry in (await desk.records.timelines.of_client(anna)).entries]
    assert (await desk.who(await desk.rings()))["client"]["name"] == "Boris Oak"


async def test_nobody_of_ours(desk: Desk) -> None:
    """A private call: it is on nobody's timeline, and the number is not Anna's the next time; then it is unknown."""
    anna = await desk.add("Anna Elm")
    call = await desk.rings()
    who = (await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", client_id=None, wrong=str(anna)))["who"]
    assert (who["client"], who["nobody"]) == (None, True)
    assert (await desk.records.timelines.of_client(anna)).entries[-1].kind == "made"
    assert (await desk.who(await desk.rings()))["save"]


async def test_the_pages_name_the_client_and_say_why(desk: Desk) -> None:
    """The list, the call's page and its story have the book's name with the way to it; the page says why, without script."""
    anna = await desk.add("Anna Elm")
    call = await desk.rings()
    page = await desk.person.read(f"/calls/{call.id}")
    assert "Only Anna Elm has this number." in page
    assert f"/people/{anna}/calls/{call.id}/move" in page
    shared = [await desk.add(name, "8 916 000-00-77") for name in ("Boris Oak", "Clara Fir")]
    call = await desk.rings("+79160000077")
    ended = over(picked_up(call, "101"), 30)
    await desk.records.journal.record([change(ended)])
    desk.live.publish(ended)
    page = await desk.person.read(f"/calls/{call.id}")
    assert 'name="client"' in page
    assert await desk.person.send(f"/calls/{call.id}/who", client=str(shared[1])) == 303
    page = await desk.person.read(f"/calls/{call.id}")
    assert "Clara Fir" in page
    assert "A person put this call here." in page
    calls = await desk.person.read("/calls")
    assert "Clara Fir" in calls
    assert f'href="/people/{shared[1]}"' in calls
    unknown = await desk.rings("+79160000099")
    assert await desk.person.send(f"/calls/{unknown.id}/save", name="Dora", company="") == 303
    assert "Dora" in await desk.person.read(f"/calls/{unknown.id}")


async def test_what_cannot_be_done_is_said(desk: Desk) -> None:
    """No name typed; somebody chosen who was removed meanwhile; a withheld number."""
    call = await desk.rings()
    told = await desk.ask("POST", f"/api/v1/calls/{call.id}/contact", 400, name="  ")
    assert told["remedy"]
    gone = await desk.add("Gone")
    await desk.records.book.remove(gone, by=desk.by)
    told = await desk.ask("PUT", f"/api/v1/calls/{call.id}/who", 400, client_id=str(gone))
    assert "no longer" in told["detail"]
    withheld = ringing("101", number=None)
    await desk.records.journal.record([change(withheld)])
    desk.live.publish(withheld)
    await desk.ask("POST", f"/api/v1/calls/{withheld.id}/contact", 400, name="Boris")
    assert (await desk.ask("GET", f"/api/v1/calls/{withheld.id}/who"))["who"] is None
