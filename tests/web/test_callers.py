"""Who calls, as the card is told it: beside the call, never before it. The book is a fake that answers when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from call_records.crm.types import CallPlace
from telephony.call_facts.facts import Direction, LegRole
from telephony.contacts import Candidate, ClientKind, Match, MatchRule
from telephony.errors import TryLater
from telephony.staff import Role
from tests.web.conftest import SETTINGS, Office
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.office import CLIENT, ours, over, picked_up, ringing, transferred
from tests.web.serving import running
from tests.web.test_live import Events, stream
from web import callers
from web.callers import Callers, Identity, Known, identify
from web.presenters.callers import client_name, told_identity, why
from web.presenters.masking import View

ANNA = Candidate(
    UUID(int=1), ClientKind.CONTACT, "Anna Oak", "Garden Ltd", None, "mobile", "8 916 000-00-12", exact=True
)


@pytest.fixture
async def with_petrova() -> AsyncIterator[Office]:
    """The manager has extension 101, Petrova 202."""
    records, live = FakeRecords(), FakeLive()
    await records.add("manager", Role.MANAGER, "101")
    await records.staff.put_person(name="Petrova", extensions=["202"])
    async with running(records, live, SETTINGS, cheap_passwords()) as address:
        yield Office(records, live, address)


def known(*candidates: Candidate, rule: MatchRule | None = MatchRule.ONLY) -> Match:
    """The number stands for the first of these, or for nobody certain."""
    chosen = candidates[0] if rule else None
    return Match(CLIENT, chosen, rule, candidates[1:] if rule else candidates)


def placed(client: Candidate | None, **data: Any) -> CallPlace:
    """The call is filed there."""
    return CallPlace(
        client_id=client.id if client else None,
        name=client.name if client else None,
        kind=client.kind if client else None,
        company=client.company if client else None,
        deal_id=UUID(int=9) if client else None,
        deal="New fence" if client else None,
        stage="Offer" if client else None,
        amount=Decimal(120000),
        currency="RUB",
        data={"rule": "only", "asked": CLIENT, **data},
    )


async def card_with(events: Events, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next card that is as wanted; what else is told in between does not matter."""
    while True:
        name, told = await events.next()
        if name == "card" and wanted(told):
            return dict(told)


async def test_the_card_shows_the_number_at_once_and_the_name_when_it_is_known(office: Office) -> None:
    """The book hangs: the card is there with the number. Then the book answers: the card has the name, the row too."""
    office.records.matching.answers.clear()
    office.records.matching.known[CLIENT] = known(ANNA)
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(ringing("101"))
        name, card = await events.next()
        assert (name, card["name"], card["number"], card["who"]) == ("card", None, "8 (916) 000-00-12", None)
        assert "Anna" not in (await events.until("call"))["html"]
        office.records.matching.answers.set()
        card = await card_with(events, lambda told: told["who"] is not None)
        assert (card["name"], card["who"]["client"]["company"]) == ("Anna Oak", "Garden Ltd")
        assert card["who"]["client"]["href"] == f"/people/{ANNA.id}"
        told = await events.until("call")
        assert "Anna Oak" in told["html"]
        assert f"/people/{ANNA.id}" in told["html"]


async def test_a_store_that_is_away_costs_the_name_only(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database does not answer: ring, answer and end are told all the same; back again, the name comes."""
    away = True

    async def match(number: str) -> Match:
        if away:
            raise TryLater("The database is away.")
        return known(ANNA)

    monkeypatch.setattr(office.records.matching, "match", match)
    monkeypatch.setattr(callers, "AGAIN_SECONDS", 0.01)
    async with stream(office, "manager") as events:
        await events.next()
        call = ringing("101")
        office.live.publish(call)
        office.live.publish(picked_up(call, "101"))
        assert [(await events.next())[1]["state"] for _ in range(2)] == ["ringing", "talking"]
        away = False
        assert (await card_with(events, lambda told: told["who"] is not None))["name"] == "Anna Oak"


async def test_several_are_a_question(office: Office) -> None:
    """Two contacts on one number: the card shows the number, and both to choose from, last spoken first."""
    boris = replace(
        ANNA, id=UUID(int=2), name="Boris", company=None, spoken_at=datetime(2026, 11, 1, tzinfo=UTC)
    )
    office.records.matching.known[CLIENT] = known(boris, ANNA, rule=None)
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(ringing("101", name="Garden"))
        card = await card_with(events, lambda told: told["who"] is not None)
        assert (card["name"], card["who"]["client"], card["who"]["choose"]) == ("Garden", None, True)
        assert [one["name"] for one in card["who"]["others"]] == ["Boris", "Anna Oak"]


async def test_where_the_call_is_filed_goes_before_its_number(office: Office) -> None:
    """A colleague put this very call to Boris: all cards follow as soon as the book says so."""
    boris = replace(ANNA, id=UUID(int=2), name="Boris", company=None)
    office.records.matching.known[CLIENT] = known(ANNA)
    async with stream(office, "manager") as events:
        await events.next()
        call = ringing("101")
        office.live.publish(call)
        assert (await card_with(events, lambda told: told["who"] is not None))["name"] == "Anna Oak"
        office.records.timelines.kept[call.id] = placed(boris, by_hand=True, rule="by_hand")
        office.records.book_news.tell("call", call.id)
        card = await card_with(events, lambda told: told["name"] == "Boris")
        assert card["who"]["deal"]["title"] == "New fence"
        assert card["who"]["deal"]["state"].startswith("Offer · 120")
        office.records.timelines.kept[call.id] = placed(None, by_hand=True, rule="by_hand")
        office.records.book_news.tell("call", call.id)
        card = await card_with(events, lambda told: told["who"]["nobody"])
        assert (card["name"], card["who"]["client"]) == (None, None)


async def test_a_place_that_was_a_guess_leaves_the_question_open(office: Office) -> None:
    """The call lies with the one spoken to last until somebody says: the card still asks."""
    boris = replace(ANNA, id=UUID(int=2), name="Boris")
    office.records.matching.known[CLIENT] = known(ANNA, boris, rule=None)
    call = ringing("101")
    office.records.timelines.kept[call.id] = placed(ANNA, rule="last_spoken")
    found = await identify(office.records, call.id, CLIENT)
    assert (found.client, found.several) == (None, True)


async def test_the_card_hears_of_the_book(office: Office) -> None:
    """The number is saved on another page: the card of the same call has the name a moment later."""
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(ringing("101"))
        assert (await card_with(events, lambda told: told["who"] is not None))["who"]["save"]
        office.records.matching.known[CLIENT] = known(ANNA)
        office.records.book_news.tell("client", ANNA.id)
        assert (await card_with(events, lambda told: not told["who"]["save"]))["name"] == "Anna Oak"


async def test_the_target_of_a_transfer_sees_the_client(with_petrova: Office) -> None:
    """Acceptance 14, blind: before they answer, 101 reads who calls, the deal, and from whom; in a queue just so."""
    office = with_petrova
    call = transferred(picked_up(ringing("202", queue="sales"), "202"), "202", "101", 30)
    office.records.timelines.kept[call.id] = placed(ANNA)
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(call)
        card = await card_with(events, lambda told: told["who"] is not None)
        assert (card["state"], card["name"], card["number"]) == ("ringing", "Anna Oak", "8 (916) 000-00-12")
        assert (card["from"], card["who"]["deal"]["title"]) == ("Petrova (202)", "New fence")


async def test_who_is_asked_first_sees_the_client_too(with_petrova: Office) -> None:
    """Acceptance 14, attended: 202 dials 101 to ask whether they take the call. 101's card shows the client and 202."""
    office = with_petrova
    call = picked_up(ringing("202"), "202")
    office.records.timelines.kept[call.id] = placed(ANNA)
    asking = replace(
        ringing("101", number="202", direction=Direction.INTERNAL),
        did=None,
        consultation_of=call.id,
        legs=(ours("202", role=LegRole.CALLER), ours("101")),
    )
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(call)
        office.live.publish(asking)
        card = await card_with(events, lambda told: told["who"] is not None)
        assert (card["call_id"], card["who"]["call_id"]) == (str(asking.id), str(call.id))
        assert (card["name"], card["number"], card["from"]) == (
            "Anna Oak",
            "8 (916) 000-00-12",
            "Petrova (202)",
        )
        assert not card["internal"]


async def test_hidden_numbers_stay_hidden_in_names_and_reasons(masked: Office) -> None:
    """A lead is called by its number: a manager who may not see numbers sees it nowhere on the card."""
    lead = replace(ANNA, kind=ClientKind.LEAD, name=CLIENT, company=None, written=CLIENT)
    masked.records.matching.known[CLIENT] = known(lead, replace(ANNA, name="8 916 000 00 12"))
    async with stream(masked, "manager") as events:
        await events.next()
        masked.live.publish(ringing("101"))
        card = await card_with(events, lambda told: told["who"] is not None)
        assert "9160000012" not in "".join(char for char in str(card) if char.isdigit())


async def test_many_calls_are_asked_by_few_and_once(office: Office) -> None:
    """A hundred calls at once and a book that hangs: four questions are under way; the others wait their turn."""
    asked: list[str] = []
    free = asyncio.Event()

    class Slow:
        async def match(self, number: str) -> Match:
            asked.append(number)
            await free.wait()
            return Match(number, None, None)

    records = FakeRecords()
    records.matching = Slow()  # type: ignore[assignment]
    told: list[UUID] = []
    all_told = asyncio.Event()

    def tell(call_id: UUID) -> None:
        told.append(call_id)
        if len(told) == 100:
            all_told.set()

    kept = Callers(records, tell)
    running = asyncio.create_task(kept.run())
    calls = [ringing("101", number=f"+7916{n:07}") for n in range(100)]
    for call in calls:
        kept.follow(call)
        kept.follow(picked_up(call, "101"))
    for _turn in range(10):
        await asyncio.sleep(0)
    assert len(asked) == callers.ASKERS
    free.set()
    async with asyncio.timeout(5):
        await all_told.wait()
    assert sorted(asked) == sorted(f"+7916{n:07}" for n in range(100))
    assert sorted(told) == sorted(call.id for call in calls)
    running.cancel()
    await asyncio.wait([running])


def test_which_calls_a_change_may_be_of() -> None:
    """A filed call hears of its own people only; one that goes by its number, of everybody: they may have that number."""
    boris = Known(UUID(int=2), "Boris", ClientKind.CONTACT)
    filed = Identity(CLIENT, Known(UUID(int=1), "Anna", ClientKind.CONTACT), others=(boris,), filed=True)
    assert filed.may_change_with({UUID(int=1)})
    assert filed.may_change_with({boris.id})
    assert not filed.may_change_with({UUID(int=3)})
    assert replace(filed, filed=False).may_change_with({UUID(int=3)})


def test_a_call_that_ends_is_forgotten() -> None:
    """Nothing is asked of a call that is over, nor of one inside the house, nor of a withheld number."""
    kept = Callers(FakeRecords(), lambda _call: None)
    for call in (
        over(picked_up(ringing("101"), "101"), 20),
        ringing("101", number=None),
        ringing("101", number="202", direction=Direction.INTERNAL),
    ):
        kept.follow(call)
        assert kept.of(call.id) is None
        assert kept._line.empty()


@pytest.mark.parametrize("rule", list(MatchRule))
def test_every_rule_has_its_sentence(rule: MatchRule) -> None:
    """The card says why: the rule, the field, the number as it is written, who else has it."""
    identity = Identity(
        CLIENT,
        Known(UUID(int=1), "Anna", ClientKind.CONTACT),
        rule=rule,
        field="mobile",
        written="8 916 000-00-12",
        others=(Known(UUID(int=2), "Boris", ClientKind.CONTACT),),
    )
    told = " ".join(why(identity))
    assert "Boris" in told
    assert ("8 916 000-00-12 (mobile)" in told) is (rule is not MatchRule.BY_HAND)
    assert ("not certain" in told) is told_identity(uuid4(), identity, View(), "RU")["unsure"]


def test_a_nameless_entry_lends_no_name() -> None:
    """A lead that is called by its number: lists show the number in national spacing, with the link."""
    identity = Identity(CLIENT, Known(UUID(int=1), CLIENT, ClientKind.LEAD))
    name = client_name(identity, View())
    assert name is not None
    assert (name.name, name.href) == (None, f"/people/{UUID(int=1)}")
