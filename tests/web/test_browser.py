"""What only a real browser knows: the card pops, closes, keeps its note, and finds its way back."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from telephony.presence import Phone, PhoneState
from telephony.staff import Role
from tests.browser_fixtures import chromium
from tests.web.conftest import SETTINGS, Office
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.office import held, over, picked_up, ringing, target_answers, transferred
from web.app import create_app
from web.http.server import serve

__all__ = ["chromium"]
pytestmark = pytest.mark.browser


async def enter(chromium: Browser, address: str, login: str) -> Page:
    """A fresh browser profile, signed in and connected."""
    page = await (await chromium.new_context()).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_card_pops_and_closes_for_the_others(chromium: Browser, office: Office) -> None:
    """Two people's phones ring; one answers; the other's card is gone within half a second."""
    await office.records.add("second", Role.MANAGER, "102")
    first, second = [await enter(chromium, office.address, login) for login in ("manager", "second")]
    call = ringing("101", "102", name="Garden")
    office.live.publish(call)
    for page in (first, second):
        await expect(page.locator(".card h2")).to_have_text("Garden")
    await expect(first.locator(".card [data-slot=also]")).to_have_text("102")
    office.live.publish(picked_up(call, "102"))
    await expect(first.locator(".card")).to_have_count(0, timeout=500)
    await expect(second.locator(".card .state")).to_contain_text("Talking")
    await expect(first.locator("#talking .live-row")).to_have_count(1)


async def test_live_says_who_cannot_be_reached_and_why(chromium: Browser, office: Office) -> None:
    """Somebody wants no calls, then their phone is off: not free, and the page says why; in a call they are in neither
    list. A phone that comes back is seen when one looks at the page again.
    """
    office.live.roster = [Phone("hq", "101", PhoneState.DO_NOT_DISTURB)]
    page = await enter(chromium, office.address, "supervisor")
    await page.goto(f"{office.address}/live")
    free, away = page.locator("#people li:visible"), page.locator("#away li:visible")
    await expect(away).to_contain_text("Do not disturb")
    await expect(free).to_have_count(0)
    call = picked_up(ringing("101"), "101")
    office.live.publish(call)
    await expect(away).to_have_count(0)
    await expect(page.locator("#h-away")).to_be_hidden()
    office.live.roster = [Phone("hq", "101", PhoneState.UNREACHABLE)]
    office.live.publish(over(call, 60))
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(away).to_contain_text("Phone is off")
    await expect(page.locator("#n-away")).to_have_text("1")
    office.live.roster = []
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(free).to_have_count(1)
    await expect(page.locator("#h-away")).to_be_hidden()


async def test_a_call_that_comes_back_has_its_card(chromium: Browser, office: Office) -> None:
    """She hands a caller over and a moment later has them back: the ended card rings again, and is there half a minute
    later. She closes it by hand: it stays closed while they talk with her, and opens when they are handed to her once more.
    When another phone takes them after that, it is gone at once.
    """
    page = await enter(chromium, office.address, "manager")
    await page.clock.install()
    word = page.locator(".card [data-slot=word]")
    call = picked_up(ringing("101"), "101")
    office.live.publish(call)
    await expect(word).to_have_text("Talking")
    for hands_back in ("102", "103"):
        away = target_answers(transferred(call, "101", hands_back, 20), hands_back, 25)
        office.live.publish(away)
        await expect(word if hands_back == "102" else page.locator(".live-row .who")).to_have_count(1)
        back = transferred(away, hands_back, "101", 30)
        office.live.publish(back)
        await expect(word).to_have_text("Calling you")
        await page.clock.fast_forward(25_000)
        await expect(page.locator(".card [data-slot=from]")).to_have_text(hands_back)
        call = target_answers(back, "101", 40)
        office.live.publish(call)
        await expect(word).to_have_text("Talking")
        await page.locator('.card [data-act="close"]').click()
        office.live.publish(held(call, "101", 41, 1))
        await expect(page.locator(".card")).to_have_count(0)
    away = transferred(call, "101", "104", 50)
    office.live.publish(transferred(away, "104", "101", 60))
    await expect(word).to_have_text("Calling you")
    office.live.publish(over(target_answers(away, "104", 70), 80))
    await expect(page.locator(".card")).to_have_count(0)


async def test_a_note_survives_reload_hang_up_and_a_second_card(chromium: Browser, office: Office) -> None:
    """Somebody types during a call, reloads, the call ends, another begins: the text is still there, and
    stored.
    """
    page = await enter(chromium, office.address, "manager")
    call = picked_up(ringing("101"), "101")
    office.records.calls.kept[call.id] = call
    office.live.publish(call)
    await page.locator(".card textarea").press_sequentially("wants the blue one")
    await page.reload()
    await expect(page.locator(".card textarea")).to_have_value("wants the blue one")
    await expect(page.locator(".card [data-slot=saved]")).to_have_text("Saved")
    office.live.publish(over(call, 60))
    office.live.publish(ringing("101", number="+79160000099"))
    await expect(page.locator(".card")).to_have_count(2)
    await expect(page.locator(f'.card[data-call="{call.id}"] textarea')).to_have_value("wants the blue one")
    (note,) = await office.records.notes.of_call(call.id)
    assert note.text == "wants the blue one"


async def test_the_state_is_right_after_a_lost_connection(chromium: Browser) -> None:
    """The service restarts while a browser watches; meanwhile one call ends and another begins. No reload."""
    records, live = FakeRecords(), FakeLive()
    await records.add("manager", Role.MANAGER, "101")
    port, page = 0, None
    for round_ in range(2):
        stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = create_app(records, live, SETTINGS, passwords=cheap_passwords())
        task = asyncio.create_task(serve(app, "127.0.0.1", port, stop, bound=bound.set_result))
        async with asyncio.timeout(10):
            port = await bound
        if page is None:
            page = await enter(chromium, f"http://127.0.0.1:{port}", "manager")
            call = ringing("109", name="Before")
            live.publish(call)
            await expect(page.locator("#waiting .who")).to_contain_text("Before")
        else:
            await expect(page.locator("#waiting .who")).to_contain_text("After", timeout=2000)
            await expect(page.locator("#waiting .live-row")).to_have_count(1)
        if round_ == 0:
            stop.set()
            async with asyncio.timeout(10):
                await task
            await page.wait_for_selector("html[data-live=no]")
            live._calls.pop(call.id)
            live.publish(ringing("109", name="After"))
    stop.set()
    async with asyncio.timeout(10):
        await task


async def test_the_keyboard(chromium: Browser, office: Office) -> None:
    """`/` searches and Esc comes back; `?` shows the keys; `g c` goes to the calls; `j` walks the list."""
    for number in range(3):
        call = over(picked_up(ringing("101", number=f"+7916000001{number}"), "101"), 20)
        office.records.calls.kept[call.id] = call
    page = await enter(chromium, office.address, "manager")
    await page.keyboard.press("/")
    await expect(page.locator("#find")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator("#find")).not_to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#keys")).not_to_be_visible()
    await page.keyboard.type(
        "gc"
    )  # at once: a slow machine must not wait longer between the two than the page does
    await page.wait_for_url("**/calls")
    await page.wait_for_selector("html[data-live=yes]")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator(".call-row .who").nth(1)).to_be_focused()
