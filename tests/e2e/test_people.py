"""People and what happens with them, over real calls: a phone without an account, a handed-over client, one number of many.

The whole way from an unknown number to a settled debt is in test_whole_path.py; five calls at once, over two bridges, in
tests/service/test_lead_race.py; missed calls in tests/service/test_missed_calls.py.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from playwright.async_api import Browser, expect

from call_records.crm.types import Client, ClientFilter, Deal, NewClient, NewDeal
from switchhook.lab.phone_media import tone
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from tests.asterisk_fixtures import PhoneRoom
from tests.call_facts_builder import change
from tests.e2e.line import Line, card_times, until
from tests.e2e.test_recordings import ready
from tests.web.office import over, picked_up, ringing
from web.presenters.labels import duration

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.browser]

CLIENT = "+79165550088"
SHOWN = "8 (916) 555-00-88"
DIRECT, SALES = "74951000001", "603"
TOLERANCE = 1.0  # s; what statement 2 allows between a phone's clock and the journal
ELSEWHERE_SECONDS = 0.5  # from the answer until nobody else has a card


async def contact(line: Line, name: str, *, company: UUID | None = None) -> Client:
    """Somebody with the number that calls."""
    new = NewClient(ClientKind.CONTACT, name, (CLIENT,), company_id=company)
    return await line.service.store.book.add(new, by=None)


async def olga_with_a_deal(line: Line) -> Deal:
    """Olga of Gardens, to whom Anna is selling roses."""
    store = line.service.store
    anna = await store.accounts.by_login("anna")
    assert anna is not None
    firm = await store.book.add(NewClient(ClientKind.COMPANY, "Gardens"), by=anna.id)
    olga = await contact(line, "Olga Sokolova", company=firm.id)
    deal = NewDeal("Roses for the yard", contact_id=olga.id, company_id=firm.id, owner_id=anna.person_id)
    return await store.deals.add(deal, by=anna.id)


async def test_a_phone_without_an_account_is_on_the_deals_timeline(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Anna blind-transfers the client of a deal to Dina in the warehouse, who has a phone and no account. The deal's page
    says who talked and for how long, the whole is heard there, and the deal is still Anna's.
    """
    deal = await olga_with_a_deal(line)
    anna, dina = await phones.handsets("101", "105")
    city = await phones.carrier()
    outside = await city.dial(DIRECT, caller=CLIENT)
    talking = await anna.incoming()
    await talking.answer()
    await outside.answered()
    outside.audio.speak(tone(700.0))
    await asyncio.sleep(1.2)  # they talk
    await talking.transfer("105")
    target = await dina.incoming()
    await target.answer()
    await talking.ended()
    await asyncio.sleep(2.2)  # they talk
    await outside.hang_up()
    await target.ended()
    recording = await ready(line, "anna")
    async with line.program("anna") as api:
        (facts,) = await api.ended()
    seconds = {leg.party: leg.talk_seconds for leg in facts.legs if leg.answered_at}
    assert seconds["105"] == pytest.approx(target.talk_seconds, abs=TOLERANCE)
    assert recording["call_id"] == str(facts.id)
    page = await line.enter(chromium, "anna", path=f"/deals/{deal.id}")
    entry = page.locator(".moment.is-call")
    await expect(entry).to_have_count(1)
    await expect(entry.locator(".talks")).to_contain_text("Dina Egorova 105")
    names = await entry.locator(".talks bdi:not(.beside)").all_text_contents()
    assert names == ["Anna Belova", "Dina Egorova"]
    lengths = await entry.locator(".talks .length").all_text_contents()
    assert lengths == [duration(seconds["101"]), duration(seconds["105"])]
    await expect(entry.locator(".does button")).to_have_count(1)
    kept = await line.service.store.deals.one(deal.id)
    assert kept is not None
    assert (kept.owner, kept.stage_id, kept.state) == ("Anna Belova", deal.stage_id, "open")


async def test_whoever_a_client_is_handed_to_sees_the_client(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Anna hands the client to Boris: before they answer their card shows the client, the firm, the deal, and Anna. Boris
    passes her on to the sales queue: Anna, who has closed her card, gets it again on the first ring, and Boris is on it.
    Vera takes the call: Anna's card is gone within half a second. Vera wants no cards, the administrator has no phone:
    they never see one.
    """
    await olga_with_a_deal(line)
    anna, boris, vera = await phones.handsets("101", "102", "103")
    city = await phones.carrier()
    pages = {login: await line.enter(chromium, login) for login in ("anna", "boris", "vera", "admin")}
    outside = await city.dial(DIRECT, caller=CLIENT)
    talking = await anna.incoming()
    await talking.answer()
    await outside.answered()
    await talking.transfer("102")
    at_boris = await boris.incoming()
    card = pages["boris"].locator(".card")
    await expect(card.locator("h2")).to_have_text("Olga Sokolova")
    await expect(card.locator("[data-slot=word]")).to_have_text("Calling you")
    await expect(card.locator("[data-slot=number]")).to_have_text(SHOWN)
    await expect(card.locator("[data-slot=company]")).to_have_text("Gardens")
    await expect(card.locator("[data-slot=deal]")).to_have_text("Roses for the yard")
    await expect(card.locator("[data-slot=from]")).to_contain_text("Anna Belova")
    await at_boris.answer()
    await talking.ended()
    card = pages["anna"].locator(".card")
    await expect(card.locator("[data-slot=word]")).to_have_text("Ended")
    await card.locator('[data-act="close"]').click()

    await at_boris.transfer(SALES)
    again, at_vera = await asyncio.gather(anna.incoming(), vera.incoming())
    await expect(card.locator("h2")).to_have_text("Olga Sokolova")
    await expect(card.locator("[data-slot=word]")).to_have_text("Calling you")
    await expect(card.locator("[data-slot=deal]")).to_have_text("Roses for the yard")
    await expect(card.locator("[data-slot=from]")).to_contain_text("Boris Volkov")
    await expect(card.locator("[data-slot=queue]")).to_contain_text("sales")
    await at_vera.answer()
    await again.ended()
    await expect(card).to_have_count(0, timeout=2000)
    closed_at = (await card_times(pages["anna"], "closed")).values()
    assert at_vera.answered_at is not None
    assert max(closed_at) - at_vera.answered_at.timestamp() <= ELSEWHERE_SECONDS
    await outside.hang_up()
    await expect(pages["admin"].locator(".live-row")).to_have_count(0)
    for login in ("vera", "admin"):
        assert await card_times(pages[login], "opened") == {}


async def test_two_calls_at_once_from_one_number_are_two(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """An unknown number calls Anna twice, the second call while she talks on the first: two cards, one lead, and two
    calls on its timeline with the seconds of each.
    """
    anna, city = await phones.handset("101"), await phones.carrier()
    page = await line.enter(chromium, "anna")
    calls = []
    for _call in range(2):
        outside = await city.dial(DIRECT, caller=CLIENT)
        inside = await anna.incoming()
        await inside.answer()
        await outside.answered()
        calls.append(outside)
    await expect(page.locator(".card")).to_have_count(2)
    await expect(page.locator(".card [data-slot=kind]")).to_have_text(["Lead", "Lead"])
    await calls[0].hang_up()
    await asyncio.sleep(1.5)  # the second goes on: each has seconds of its own
    await calls[1].hang_up()
    async with line.program("anna") as api:
        told = await api.ended(2)
    for facts, outside in zip(told, calls, strict=True):
        assert facts.talk_seconds == pytest.approx(outside.talk_seconds, abs=TOLERANCE)
    (lead,) = (await line.service.store.book.page(ClientFilter())).clients
    assert lead.kind is ClientKind.LEAD
    await page.goto(f"{line.address}/people/{lead.id}")
    entries = page.locator(".moment.is-call a.what")
    shown = await entries.evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    assert sorted(shown) == sorted(f"/calls/{facts.id}" for facts in told)


async def test_eight_on_one_number_then_the_wrong_one(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Eight have one number: the card asks, the one spoken to last on top. Anna chooses the third; the next call is theirs,
    and the card says why. It was not they: the call moves to whom she names, in the list, on its page, on both timelines.
    """
    people = [await contact(line, f"{name} Family") for name in NAMES]
    await _spoke_yesterday(line, people[5])
    anna, city = await phones.handset("101"), await phones.carrier()
    page = await line.enter(chromium, "anna")
    card = page.locator(".card")
    outside = await city.dial(DIRECT, caller=CLIENT)
    inside = await anna.incoming()
    offered = card.locator("[data-chooser] label bdi")
    await expect(offered).to_have_count(8)
    assert await offered.first.text_content() == people[5].name
    await card.locator("[data-chooser] label", has_text=people[2].name).click()
    await expect(card.locator("h2")).to_have_text(people[2].name)
    await outside.hang_up()
    await inside.ended()
    await expect(card).to_have_count(0)

    outside = await city.dial(DIRECT, caller=CLIENT)
    inside = await anna.incoming()
    await expect(card.locator("h2")).to_have_text(people[2].name)
    await card.locator("summary").click()
    await expect(card.locator("[data-slot=why]")).to_contain_text(
        f"Somebody chose {people[2].name} for this number."
    )
    await inside.answer()
    await outside.answered()
    await card.locator('[data-act="wrong"]').click()
    await card.locator("[data-wrong] [name=q]").fill(people[6].name)
    await card.locator("[data-slot=found] button").click()
    await expect(card.locator("h2")).to_have_text(people[6].name)
    await outside.hang_up()
    async with line.program("anna") as api:
        first, second = (await api.ended(3))[1:]
    await page.goto(f"{line.address}/calls")
    await expect(page.locator(f'.call-row:has(a[href="/calls/{second.id}"])')).to_contain_text(people[6].name)
    await page.goto(f"{line.address}/calls/{second.id}")
    await expect(page.locator(".call-client .told-client")).to_contain_text(people[6].name)
    await expect(page.locator(".call-client")).to_contain_text("A person put this call here.")
    for person, calls in ((people[2], [first]), (people[6], [second])):
        await page.goto(f"{line.address}/people/{person.id}")
        entries = page.locator(".moment.is-call a.what")
        shown = await entries.evaluate_all("all => all.map((one) => one.getAttribute('href'))")
        assert shown == [f"/calls/{call.id}" for call in calls]


NAMES = ("Ash", "Birch", "Cedar", "Elm", "Fir", "Hazel", "Larch", "Oak")


async def _spoke_yesterday(line: Line, client: Client) -> CallFacts:
    """An answered call of yesterday that a person filed with that client."""
    store = line.service.store
    by = await store.accounts.by_login("anna")
    assert by is not None
    call = ringing("101", number=CLIENT, begin=datetime.now(UTC) - timedelta(days=1))
    call = over(picked_up(call, "101"), 60)
    await store.journal.record([change(call)])
    await store.timelines.move_call(call.id, client_id=client.id, deal_id=None, by=by.id)

    async def spoken() -> bool:
        one = await store.book.one(client.id)
        return one is not None and one.spoken_at is not None

    await until(spoken, "conversation on the client's entry")
    return call
