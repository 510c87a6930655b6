"""A real SIP call, a real Asterisk, a real PostgreSQL, real browsers: the card, the live page, the call's page."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phones import answers
from telephony.call_facts.facts import Direction
from tests.asterisk_fixtures import PhoneRoom
from tests.e2e.line import Cable, Line, card_times, until

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.browser]

CLIENT = "+79165550001"
SHOWN = "8 (916) 555-00-01"
DIRECT, GROUP = "74951000001", "74951000002"
TOLERANCE = 0.3  # s between a phone's clock and the PBX's for one conversation; measured below 0.05


async def test_the_card_opens_for_the_person_whose_phone_rings(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """A customer calls Anna. Her browser shows who it is; Boris's, signed in next to her, shows no card."""
    anna, city = await phones.handset("101"), await phones.carrier()
    at_anna, at_boris = [await line.enter(chromium, login) for login in ("anna", "boris")]
    outside = await city.dial(DIRECT, caller=CLIENT, name="Olga Sokolova")
    ringing = await anna.incoming()
    card = at_anna.locator(".card")
    await expect(card.locator("h2")).to_have_text("Olga Sokolova")
    await expect(card.locator("[data-slot=number]")).to_have_text(SHOWN)
    await expect(card.locator("[data-slot=word]")).to_have_text("Calling you")
    await expect(at_boris.locator("#waiting .live-row")).to_have_count(1)  # Boris sees the call, but no card
    assert await card_times(at_boris, "opened") == {}
    await ringing.answer()
    await outside.answered()
    await expect(card.locator("[data-slot=word]")).to_have_text("Talking")
    await outside.hang_up()
    await expect(card.locator("[data-slot=word]")).to_have_text("Ended")
    await expect(at_boris.locator(".live-row")).to_have_count(0)
    assert await card_times(at_boris, "opened") == {}


async def test_a_ring_group_closes_the_others_cards_at_once(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Six phones ring. Anna and Boris have cards, Vera never wants one, Grigory only when they answer. Boris takes the
    call: Anna's card is gone while they still talk, and nobody else ever had one (`bench latency` says how fast).
    """
    _anna, boris, *_ = await phones.handsets("101", "102", "103", "104", "105", "106")
    city = await phones.carrier()
    pages = {login: await line.enter(chromium, login) for login in ("anna", "boris", "vera", "grigory")}
    outside = await city.dial(GROUP, caller=CLIENT)
    at_boris = await boris.incoming()
    for login in ("anna", "boris"):
        await expect(pages[login].locator(".card h2")).to_have_text(SHOWN)
    also = pages["anna"].locator(".card [data-slot=also]")
    await expect(also).to_contain_text("Boris Volkov")
    await at_boris.answer()
    await outside.answered()
    await expect(pages["anna"].locator(".card")).to_have_count(0)
    assert len(await card_times(pages["anna"], "closed")) == 1
    await expect(pages["boris"].locator(".card [data-slot=word]")).to_have_text("Talking")
    await expect(pages["anna"].locator("#talking .live-row")).to_contain_text("Boris Volkov")
    await outside.hang_up()
    await expect(pages["grigory"].locator(".live-row")).to_have_count(0)
    for login in ("vera", "grigory"):
        assert await card_times(pages[login], "opened") == {}


async def test_a_card_on_answer_opens_with_the_answer(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Grigory wants a card only once they have picked up. It opens then, with the caller on it."""
    grigory, city = await phones.handset("104"), await phones.carrier()
    page = await line.enter(chromium, "grigory")
    outside = await city.dial(GROUP, caller=CLIENT)
    ringing = await grigory.incoming()
    await expect(page.locator("#waiting .live-row")).to_have_count(1)
    assert await card_times(page, "opened") == {}
    await ringing.answer()
    await expect(page.locator(".card [data-slot=word]")).to_have_text("Talking")
    await expect(page.locator(".card h2")).to_have_text(SHOWN)
    await outside.hang_up()


async def test_a_note_outlives_the_call_and_a_reload(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Anna types while she talks; the caller hangs up; she reloads, and opens the call: her words are there."""
    anna, city = await phones.handset("101"), await phones.carrier()
    anna.policy = answers()
    page = await line.enter(chromium, "anna")
    outside = await city.dial(DIRECT, caller=CLIENT)
    await outside.answered()
    note = page.locator(".card textarea")
    await note.press_sequentially("wants the blue one")
    await outside.hang_up()
    await expect(page.locator(".card [data-slot=word]")).to_have_text("Ended")
    await note.press_sequentially(", by Friday")
    await expect(page.locator(".card [data-slot=saved]")).to_have_text("Saved")
    await page.goto(f"{line.address}/calls")
    await page.locator(".call-row .who").first.click()
    await expect(page.locator("#my-note")).to_have_value("wants the blue one, by Friday")
    await page.reload()
    await expect(page.locator("#my-note")).to_have_value("wants the blue one, by Friday")


async def test_hold_and_a_blind_transfer_by_handset(chromium: Browser, line: Line, phones: PhoneRoom) -> None:
    """Anna holds the customer, takes them back, and sends them to Boris with her handset's key. Card, live page and the
    call's page say so; Boris's card shows the customer and whom they come from; the journal's seconds are the phones'.
    """
    anna, boris = await phones.handsets("101", "102")
    city = await phones.carrier()
    at_anna, at_boris = [await line.enter(chromium, login) for login in ("anna", "boris")]
    outside = await city.dial(DIRECT, caller=CLIENT)
    talking = await anna.incoming()
    await talking.answer()
    await outside.answered()
    await talking.hold()
    await expect(at_anna.locator(".card [data-slot=word]")).to_have_text("On hold")
    await expect(at_boris.locator(".live-row .state")).to_contain_text("On hold")
    await talking.resume()
    await expect(at_anna.locator(".card [data-slot=word]")).to_have_text("Talking")
    await talking.transfer("102")
    target = await boris.incoming()
    await expect(at_boris.locator(".card h2")).to_have_text(SHOWN)
    await expect(at_boris.locator(".card [data-slot=from]")).to_contain_text("Anna Belova")
    await target.answer()
    await talking.ended()
    await expect(at_boris.locator(".live-row")).to_contain_text("Boris Volkov")
    await expect(at_anna.locator(".card [data-slot=word]")).to_have_text("Ended")
    await asyncio.sleep(0.5)  # they talk
    await outside.hang_up()
    await target.ended()
    async with line.program("admin") as api:
        (facts,) = await api.ended()
    seconds = {leg.party: leg.talk_seconds for leg in facts.legs if leg.answered_at}
    assert seconds["102"] == pytest.approx(target.talk_seconds, abs=TOLERANCE)
    assert [(t.kind.value, t.by, t.to) for t in facts.transfers] == [("blind", "101", "102")]
    assert (facts.answered_by, facts.final_party) == ("101", "102")
    await at_anna.goto(f"{line.address}/calls/{facts.id}")
    story = at_anna.locator(".story")
    await expect(story).to_contain_text("hold")
    await expect(story).to_contain_text("Boris Volkov")
    await expect(at_anna.locator(".bars .arrow")).to_have_count(1)


async def test_an_attended_transfer_by_handset(chromium: Browser, line: Line, phones: PhoneRoom) -> None:
    """Anna asks Boris first, then connects them with the customer: their card turns into the customer's, and the journal
    knows one call with one completed attended transfer.
    """
    anna, boris = await phones.handsets("101", "102")
    city = await phones.carrier()
    boris.policy = answers()
    at_boris = await line.enter(chromium, "boris")
    outside = await city.dial(DIRECT, caller=CLIENT)
    talking = await anna.incoming()
    await talking.answer()
    await outside.answered()
    await talking.hold()
    asking = await anna.dial("102")
    await asking.answered()
    await expect(at_boris.locator(".card").first).to_contain_text("Talking")
    await talking.transfer_to(asking)
    await talking.ended()
    await expect(at_boris.locator(".card h2").filter(has_text=SHOWN)).to_have_count(1)
    await asyncio.sleep(0.5)  # they talk
    await outside.hang_up()
    async with line.program("admin") as api:
        told = await api.ended(number=CLIENT)
    (facts,) = [facts for facts in told if facts.consultation_of is None]
    assert [(t.kind.value, t.by, t.to) for t in facts.transfers] == [("attended", "101", "102")]
    assert facts.talk_seconds == pytest.approx(outside.talk_seconds, abs=TOLERANCE)


async def test_a_lost_connection_is_made_good_without_reload(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """The network between browser and Switchhook breaks. Meanwhile a call ends and another rings at Anna. Two seconds
    after it works again the page and the card are right, and it was never reloaded.
    """
    anna, vera = await phones.handsets("101", "103")
    city = await phones.carrier()
    vera.policy = answers()
    async with Cable(line.service.web_port or 0) as cable:
        page = await line.enter(chromium, "anna", address=f"http://127.0.0.1:{cable.port}")
        before = await anna.dial("103")
        await before.answered()
        await expect(page.locator("#talking .live-row")).to_have_count(1)
        await expect(page.locator(".card")).to_contain_text("Vera Gromova")
        await page.evaluate("window.neverReloaded = true")
        cable.pull()
        await page.wait_for_selector("html[data-live=no]")
        await before.hang_up()
        outside = await city.dial(DIRECT, caller=CLIENT)
        await anna.incoming()
        cable.put_back()
        await expect(page.locator("#waiting .live-row")).to_have_count(1, timeout=2000)
        await expect(page.locator("#talking .live-row")).to_have_count(0)
        await expect(page.locator(".card h2").first).to_have_text(SHOWN)
        assert await page.evaluate("window.neverReloaded")
        await outside.hang_up()


NASTY = {
    "a script": '<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1">',
    "quotes": "\"'><b onmouseover=alert(1)>{{7*7}}${7*7}",
    "right to left": "\u202egnp.exe\u202c \u05d0\u05d1\u05d2",
    "long": "Ж" * 400,
}


async def test_names_that_want_to_be_code_are_only_names(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Callers send markup, quotes, direction overrides and 400 letters as their name. Card, live page, list and the
    call's page show text, nothing runs, nothing loads, nothing forges another call.
    """
    anna, city = await phones.handset("101"), await phones.carrier()
    page = await line.enter(chromium, "anna")
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    for number, name in enumerate(NASTY.values()):
        outside = await city.dial(DIRECT, caller=f"+7916555010{number}", name=name)
        await anna.incoming()
        shown = await page.locator(".card h2").first.text_content()
        assert shown
        assert len(shown) > 5
        if "<" in name:
            assert "<" in shown
        await expect(page.locator(".card b, .card img, .card script")).to_have_count(0)
        await outside.hang_up()
        await expect(page.locator(".card")).to_have_count(0)
    async with line.program("admin") as api:
        calls = await api.ended(len(NASTY))
    assert len(calls) == len(NASTY)
    for facts in calls:
        await page.goto(f"{line.address}/calls/{facts.id}")
        await expect(page.locator("main img, main script, main b")).to_have_count(0)
        wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, facts.caller.name
    await page.goto(f"{line.address}/calls")
    await expect(page.locator("main img, main script, main b")).to_have_count(0)
    assert await page.evaluate("window.hurt") is None
    assert told == []


async def test_a_line_break_in_a_number_forges_nothing(
    line: Line, asterisk: PrivateAsterisk, phones: PhoneRoom
) -> None:
    """A caller smuggles a line break and the hang-up of Anna's present call into their number. Her call goes on being
    told, and both are told as they were.
    """
    anna, ivan, vera = await phones.handsets("101", "109", "103")
    city = await phones.carrier()
    vera.policy = answers()
    honest = await anna.dial("103")
    await honest.answered()

    async def talking() -> list[str]:
        return [leg.party for facts in line.service.board.calls() for leg in facts.legs if leg.answered_at]

    await until(talking, "conversation")
    channels = (await asterisk.cli("core show channels concise")).splitlines()
    victim = next(told.partition("!")[0] for told in channels if told.startswith("PJSIP/101-"))
    forged = f"+79165550009\r\nEvent: Hangup\r\nChannel: {victim}\r\nX: "
    nasty = await city.dial("74951000000", caller=quote(forged))
    await ivan.incoming()

    async def both() -> bool:
        return len(line.service.board.calls()) == 2

    await until(both, "second call")
    await nasty.hang_up()
    await asyncio.sleep(0.5)  # they go on talking
    await honest.hang_up()
    async with line.program("admin") as api:
        calls = await api.ended(2)
    inbound, internal = sorted(calls, key=lambda facts: facts.direction.value)
    assert (inbound.direction, internal.direction) == (Direction.INBOUND, Direction.INTERNAL)
    assert internal.talk_seconds == pytest.approx(honest.talk_seconds, abs=TOLERANCE)
    assert inbound.missed_by == ("109",)
