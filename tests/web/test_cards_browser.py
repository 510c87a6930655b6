"""The cards under the hand: which one is on top, what moves, where they stand, and how a ringing phone is heard."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from telephony.staff import RingAlert
from tests.browser_fixtures import chromium
from tests.web.conftest import Office
from tests.web.office import over, picked_up, ringing

__all__ = ["chromium"]
pytestmark = pytest.mark.browser

COUNTED = """
window.tones = 0; window.notified = 0;
AudioContext.prototype.resume = async function () {};
Object.defineProperty(AudioContext.prototype, "state", { get: () => "running" });
OscillatorNode.prototype.start = () => { window.tones += 1; };
OscillatorNode.prototype.stop = () => {};
window.Notification = class {
  static permission = "%s";
  constructor() { window.notified += 1; }
  close() {}
};
"""
TONES = 2  # of one chime
OTHER = "+79160000099"


async def enter(
    chromium: Browser, office: Office, *, context: BrowserContext | None = None, **more: Any
) -> Page:
    """The manager, 101, is signed in and connected."""
    page = await (context or await chromium.new_context(**more)).new_page()
    await page.goto(f"{office.address}/live")
    if page.url.split("?")[0].endswith("/sign-in"):
        await page.fill("[name=login]", "manager")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


def card_of(page: Page, name: str) -> Any:
    """The card of this caller."""
    return page.locator(".card", has=page.locator("h2", has_text=name))


async def top_of(page: Page, name: str) -> float:
    """Where the note of this caller's card stands."""
    card = card_of(page, name)
    # A card slides in; where a note stands is known when it has come to rest.
    await card.evaluate("card => Promise.allSettled(card.getAnimations().map(one => one.finished))")
    box = await card.locator("textarea").bounding_box()
    assert box
    return float(box["y"])


@pytest.mark.parametrize("width", [1440, 1024, 390])
async def test_the_card_one_types_in_stays_where_it_is(chromium: Browser, office: Office, width: int) -> None:
    """She types while she talks, and a second and a third phone call ring: the field does not move, and both are lines."""
    page = await enter(chromium, office, viewport={"width": width, "height": 844})
    office.live.publish(picked_up(ringing("101", name="Garden"), "101"))
    note = card_of(page, "Garden").locator("textarea")
    await note.press_sequentially("wants ")
    before = await top_of(page, "Garden")
    for name, number in (("Bakery", OTHER), ("Tiles", "+79160000098")):
        office.live.publish(ringing("101", name=name, number=number))
        await expect(card_of(page, name)).to_have_attribute("data-folded", "yes")
        await expect(card_of(page, name).locator(".fold")).to_contain_text(name)
    assert await top_of(page, "Garden") == before
    await page.keyboard.type("the blue one")
    await expect(note).to_have_value("wants the blue one")


async def test_n_goes_to_the_conversation(chromium: Browser, office: Office) -> None:
    """`n` is the note of who rings, as long as there is no conversation; then it is that of whom she talks with."""
    page = await enter(chromium, office)
    office.live.publish(ringing("101", name="Bakery", number=OTHER))
    await expect(card_of(page, "Bakery")).to_be_visible()
    await page.keyboard.press("n")
    await expect(card_of(page, "Bakery").locator("textarea")).to_be_focused()
    await page.keyboard.press("Escape")
    office.live.publish(picked_up(ringing("101", name="Garden"), "101"))
    await expect(card_of(page, "Garden").locator("[data-slot=word]")).to_have_text("Talking")
    await page.keyboard.press("n")
    await expect(card_of(page, "Garden").locator("textarea")).to_be_focused()
    await expect(page.locator(".card h2").first).to_have_text("Garden")


async def test_what_goes_leaves_its_room_while_the_hand_is_on_another(
    chromium: Browser, office: Office
) -> None:
    """Two ring; she types in the lower one and another phone takes the upper: her field stays; the gap closes afterwards."""
    page = await enter(chromium, office)
    upper = ringing("101", "102", name="Garden")
    office.live.publish(upper)
    office.live.publish(ringing("101", name="Bakery", number=OTHER))
    await card_of(page, "Bakery").locator(".fold").click()
    await card_of(page, "Bakery").locator("textarea").click()
    before = await top_of(page, "Bakery")
    office.live.publish(picked_up(upper, "102"))
    await expect(card_of(page, "Garden")).to_be_hidden()
    assert await top_of(page, "Bakery") == before
    await page.locator("#find").click()
    await expect(page.locator(".card")).to_have_count(1)
    assert await top_of(page, "Bakery") < before


async def test_a_card_is_above_an_open_dialog(chromium: Browser, office: Office) -> None:
    """A phone rings while a dialog is open: the note is typed in, Esc leaves it, and the text is there when it is closed."""
    page = await enter(chromium, office)
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    office.live.publish(ringing("101", name="Garden"))
    note = card_of(page, "Garden").locator("textarea")
    await note.click()
    await page.keyboard.type("calls again")
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).to_be_hidden()
    await expect(note).to_have_value("calls again")
    await note.click()


async def alerts(office: Office, *wanted: RingAlert) -> None:
    """What the manager has chosen in My settings."""
    account = await office.records.accounts.by_login("manager")
    assert account
    await office.records.accounts.set_alerts(account.id, wanted)


async def counted(pages: list[Page], what: str) -> int:
    return sum([int(await page.evaluate(what)) for page in pages])


async def reach(pages: list[Page], what: str, count: int) -> None:
    async with asyncio.timeout(10):
        while await counted(pages, what) < count:
            await asyncio.sleep(0.02)


async def test_three_tabs_chime_once(chromium: Browser, office: Office) -> None:
    """The window is visible and notifications are refused: the sound is heard all the same, from one tab for each call."""
    await alerts(office, RingAlert.SOUND)
    context = await chromium.new_context()
    await context.add_init_script(COUNTED % "denied")
    pages = [await enter(chromium, office, context=context) for _ in range(3)]
    for calls, number in enumerate((OTHER, "+79160000098"), start=1):
        office.live.publish(ringing("101", number=number))
        for page in pages:
            await expect(page.locator(".card")).to_have_count(calls)
        await reach(pages, "tones", calls * TONES)
        assert await counted(pages, "tones") == calls * TONES
    assert await counted(pages, "notified") == 0


async def test_a_notification_while_another_program_is_in_front(chromium: Browser, office: Office) -> None:
    """No tab has the focus: one notification. One of them has it: none, although its sound is heard."""
    await alerts(office, RingAlert.SOUND, RingAlert.NOTIFY)
    context = await chromium.new_context()
    await context.add_init_script(COUNTED % "granted" + "document.hasFocus = () => Boolean(window.inFront);")
    pages = [await enter(chromium, office, context=context) for _ in range(2)]
    office.live.publish(ringing("101"))
    await reach(pages, "notified", 1)
    await reach(pages, "tones", TONES)
    await pages[0].evaluate("window.inFront = true")
    office.live.publish(ringing("101", number=OTHER))
    await reach(pages, "tones", 2 * TONES)
    assert await counted(pages, "notified") == 1


async def test_my_settings_try_both(chromium: Browser, office: Office) -> None:
    """She hears and sees what a ring is like, is told what is blocked, and finds her choice in another browser."""
    context = await chromium.new_context()
    await context.add_init_script(COUNTED % "granted")
    page = await enter(chromium, office, context=context)
    await page.goto(f"{office.address}/settings")
    await page.get_by_role("button", name="Test sound").click()
    await expect(page.locator("#alerts [role=status]")).to_contain_text("You should have heard")
    await page.get_by_role("button", name="Test notification").click()
    await expect(page.locator("#alerts [role=status]")).to_contain_text("A notification was sent")
    assert (await page.evaluate("tones"), await page.evaluate("notified")) == (TONES, 1)
    await page.get_by_label("Play a short sound").check()
    await page.locator("#alerts button[type=submit]").click()
    await expect(page.locator(".toast")).to_contain_text("Saved")
    other = await enter(chromium, office)
    await other.goto(f"{office.address}/settings")
    await expect(other.get_by_label("Play a short sound")).to_be_checked()


async def test_a_telephone_has_a_bar_at_the_bottom(chromium: Browser, office: Office) -> None:
    """Five labelled pages and the rest under More; the missed badge is seen; a folded card is one line above the bar."""
    page = await enter(chromium, office, viewport={"width": 390, "height": 844})
    counts = '{"waiting": 7, "overdue": 0, "soon": 0, "text": "7 wait"}'
    await page.route(
        "**/missed/count", lambda route: route.fulfill(body=counts, content_type="application/json")
    )
    await page.goto(f"{office.address}/calls")
    labels = page.locator(".bar nav > a:visible .word, .more-doors > summary .word")
    await expect(labels).to_have_text(["Live", "Calls", "Missed", "People", "Deals", "More"])
    await expect(page.locator('.bar a[data-go="m"] .owed')).to_have_text("7")
    box = await page.locator('.bar a[data-go="m"] .owed').bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= 390 - box["width"]
    await page.locator(".more-doors summary").click()
    await expect(page.locator(".doors-box a:visible")).to_have_text(["Feedback", "My settings"])
    await page.keyboard.press("Escape")
    office.live.publish(ringing("101", name="Garden"))
    await card_of(page, "Garden").locator(".fold").click()
    folded, bar = await page.locator(".card").bounding_box(), await page.locator(".bar nav").bounding_box()
    assert folded is not None
    assert bar is not None
    assert folded["height"] <= 56
    assert folded["y"] + folded["height"] <= bar["y"]
    await page.reload()
    await expect(page.locator(".card")).to_have_attribute("data-folded", "yes")


async def test_what_was_done_moves_no_page(chromium: Browser, office: Office) -> None:
    """The line that says so is over the page, and so is the one about a lost connection."""
    page = await enter(chromium, office)
    await page.goto(f"{office.address}/settings")
    before = await page.locator("main h1").bounding_box()
    await page.locator("form[action='/settings/card'] button").click()
    await expect(page.locator(".toast")).to_be_visible()
    await page.evaluate("document.getElementById('notice').hidden = false")
    assert await page.locator("main h1").bounding_box() == before


async def test_an_ended_call_is_folded_when_another_rings(chromium: Browser, office: Office) -> None:
    """After hanging up the card stays open to look at; when the next one rings, that is on top, and the ended one a line."""
    page = await enter(chromium, office)
    call = picked_up(ringing("101", name="Garden"), "101")
    office.live.publish(call)
    await expect(card_of(page, "Garden")).to_have_attribute("data-folded", "no")
    office.live.publish(over(call, 30))
    await expect(card_of(page, "Garden").locator("[data-slot=word]")).to_have_text("Ended")
    await expect(card_of(page, "Garden")).to_have_attribute("data-folded", "no")
    office.live.publish(ringing("101", name="Bakery", number=OTHER))
    await expect(card_of(page, "Bakery")).to_have_attribute("data-folded", "no")
    await expect(card_of(page, "Garden")).to_have_attribute("data-folded", "yes")
    await expect(page.locator(".card h2").first).to_have_text("Bakery")
