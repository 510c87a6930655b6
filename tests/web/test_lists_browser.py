"""Lists, filters, search and error pages under the hand: what only a real browser knows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote_plus

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser_fixtures import chromium
from tests.web.conftest import SETTINGS, Office
from tests.web.office import outgoing, over, picked_up, ringing
from tests.web.test_browser import enter
from web.forms.date_fields import date_style

__all__ = ["chromium"]
pytestmark = pytest.mark.browser
REGION = SETTINGS.region


def keep_calls(office: Office, number: int) -> None:
    """So many calls of today and as many of ten days ago; every other one is outgoing."""
    for at in range(number):
        for day in (0, 10):
            begin = datetime.now(UTC) - timedelta(days=day, minutes=at + 1)
            if at % 2:
                call = outgoing("101", f"+7916000{1000 + at}", begin=begin, talk=30)
            else:
                call = over(picked_up(ringing("101", number=f"+7916000{2000 + at}", begin=begin), "101"), 60)
            office.records.calls.kept[call.id] = call


async def open_page(chromium: Browser, office: Office, path: str, login: str = "manager") -> Page:
    page = await enter(chromium, office.address, login)
    await page.goto(office.address + path)
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_the_arrow_keys_reach_every_choice(chromium: Browser, office: Office) -> None:
    """Arrow down twice in a closed list: the focus stays, the list follows without a reload, and Back goes back."""
    keep_calls(office, 4)
    page = await open_page(chromium, office, "/calls")
    await expect(page.locator(".call-row")).to_have_count(8)
    await page.evaluate("window.sameDocument = true")
    direction = page.locator("select[name=direction]")
    await direction.focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(page).to_have_url(f"{office.address}/calls?direction=outbound")
    await expect(page.locator(".call-row")).to_have_count(4)
    await expect(direction).to_be_focused()
    await page.go_back()
    await expect(page.locator(".call-row")).to_have_count(8)
    await expect(direction).to_have_value("")
    assert await page.evaluate("window.sameDocument")


async def test_a_date_can_be_typed(chromium: Browser, office: Office) -> None:
    """In the office's format, whatever the browser's language is; nothing is sent while the year is half typed."""
    keep_calls(office, 2)
    page = await open_page(chromium, office, "/calls")
    await page.locator("select[name=period]").select_option("range")
    first, asked = page.locator("input[name=from]"), []
    await expect(first).to_be_visible()
    page.on("request", lambda request: asked.append(request.url) if "from=" in request.url else None)
    day = datetime.now(UTC).date() - timedelta(days=3)
    style = date_style(REGION)
    await expect(first).to_have_attribute("placeholder", style.hint)
    await first.focus()
    await page.keyboard.type(style.write(day))
    await expect(first).to_be_focused()
    assert asked == []
    await page.keyboard.press("Enter")
    await expect(page.locator(".call-row")).to_have_count(2)
    assert all("from=" + quote_plus(style.write(day)) in url for url in asked)
    await expect(first).to_have_value(style.write(day))
    assert await page.locator("input[type=date], input[type=time]").count() == 0


async def test_a_day_that_is_none_is_said_at_its_field(chromium: Browser, office: Office) -> None:
    """In the office's format; the text stays, the focus too, and the sentence goes when it is corrected."""
    keep_calls(office, 2)
    page = await open_page(chromium, office, "/calls?period=range")
    first, said = page.locator("input[name=from]"), page.locator("#period-problem")
    await first.fill("31.31.2026")
    await first.press("Enter")
    await expect(said).to_contain_text(f"Write it like {date_style(REGION).example}.")
    await expect(first).to_have_attribute("aria-invalid", "true")
    await expect(first).to_have_accessible_description(re.compile(re.escape("31.31.2026")))
    await expect(first).to_be_focused()
    await expect(first).to_have_value("31.31.2026")
    await first.fill("yesterday")
    await first.press("Enter")
    await expect(page.locator(".call-row")).to_have_count(2)
    await expect(said).to_be_empty()
    assert await first.get_attribute("aria-invalid") is None


@pytest.mark.parametrize(("period", "rows"), [("today", 2), ("month", None), ("yesterday", 0)])
async def test_presets(chromium: Browser, office: Office, period: str, rows: int | None) -> None:
    """A preset is one choice; an empty answer says so and how to go on."""
    now = datetime.now(UTC)
    for minutes in (1, 2):
        begin = max(now - timedelta(minutes=minutes), now.replace(hour=0, minute=0, second=0))
        call = over(picked_up(ringing("101", begin=begin), "101"), 10)
        office.records.calls.kept[call.id] = call
    page = await open_page(chromium, office, "/calls")
    await page.locator("select[name=period]").select_option(period)
    await expect(page).to_have_url(f"{office.address}/calls?period={period}")
    await expect(page.locator(".call-row")).to_have_count(2 if rows is None else rows)
    clear = page.locator("form [data-clear]")
    await clear.click()
    await expect(page.locator(".call-row")).to_have_count(2)
    await expect(clear).to_be_hidden()


async def test_back_leads_to_the_row_one_came_from(chromium: Browser, office: Office) -> None:
    """Down with `j`, into a call, Back: the focus is on that row, and `j` goes on from it."""
    keep_calls(office, 4)
    page = await open_page(chromium, office, "/calls")
    for _ in range(3):
        await page.keyboard.press("j")
    here = await page.evaluate("document.activeElement.getAttribute('href')")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{here}")
    await page.go_back()
    await page.wait_for_selector("html[data-live=yes]")
    assert await page.evaluate("document.activeElement.getAttribute('href')") == here
    await page.keyboard.press("j")
    links = await page.locator(".call-row a.who").evaluate_all(
        "all => all.map((one) => one.getAttribute('href'))"
    )
    assert await page.evaluate("document.activeElement.getAttribute('href')") == links[links.index(here) + 1]


async def test_the_list_of_calls_is_live(chromium: Browser, office: Office) -> None:
    """A call rings, is answered and ends: its row comes in by itself and says so each time, without a reload."""
    keep_calls(office, 1)
    page = await open_page(chromium, office, "/calls", "supervisor")
    await page.mouse.move(5, 5)
    rows = page.locator(".call-row")
    await expect(rows).to_have_count(2)
    call = ringing("101", name="Garden", begin=datetime.now(UTC))
    for now, word in ((call, "Ringing"), (picked_up(call, "101"), "Talking")):
        office.records.calls.kept[call.id] = now
        office.live.publish(now)
        await expect(rows.first).to_contain_text(word)
        await expect(rows).to_have_count(3)
    ended = over(picked_up(call, "101"), 60)
    office.records.calls.kept[call.id] = ended
    office.live.publish(ended)
    await expect(rows.first).to_contain_text("Answered")


async def test_new_rows_wait_while_somebody_works_in_the_list(chromium: Browser, office: Office) -> None:
    """The pointer is on a row: nothing moves under it; a button says what waits and brings it in."""
    keep_calls(office, 1)
    page = await open_page(chromium, office, "/calls", "supervisor")
    row = page.locator(".call-row").first
    await row.hover()
    before = await row.bounding_box()
    for _ in range(2):
        call = ringing("101", name="Garden", begin=datetime.now(UTC))
        office.records.calls.kept[call.id] = call
        office.live.publish(call)
    pill = page.locator("#new-rows")
    await expect(pill).to_have_text("2 new calls")
    assert await row.bounding_box() == before
    await pill.click()
    await expect(page.locator(".call-row")).to_have_count(4)
    await expect(pill).to_have_count(0)


async def test_a_call_page_becomes_the_final_story(chromium: Browser, office: Office) -> None:
    """Opened while it rings; what is typed beside it stays."""
    call = ringing("101", name="Garden", begin=datetime.now(UTC))
    office.live.publish(call)
    page = await open_page(chromium, office, f"/calls/{call.id}", "supervisor")
    await page.fill("#my-note", "Wants a fence")
    answered = picked_up(call, "101")
    office.live.publish(answered)
    story = page.locator("#call-story")
    await expect(story).to_contain_text("answered")
    await expect(page.locator("#call-head")).to_have_attribute("data-going-on", "")
    ended = over(answered, 60)
    office.records.calls.kept[call.id] = ended
    office.live.publish(ended)
    await expect(page.locator("#call-head[data-going-on]")).to_have_count(0)
    await expect(page.locator("#my-note")).to_have_value("Wants a fence")


@pytest.mark.parametrize("opens", ["/", "Control+k"])
async def test_search_by_keyboard_only(chromium: Browser, office: Office, opens: str) -> None:
    """A colleague by name, an extension, a page: found as one types, chosen and opened with the keys."""
    page = await open_page(chromium, office, "/calls", "supervisor")
    await page.keyboard.press(opens)
    field, options = page.locator("#find"), page.locator("#found [role=option]")
    await expect(field).to_be_focused()
    await page.keyboard.type("101")
    await expect(options.first).to_contain_text("Manager")
    await expect(options.first).to_contain_text("ext. 101")
    await page.keyboard.press("Escape")
    await expect(page.locator("#found")).to_be_hidden()
    await field.fill("miss")
    await expect(options.first).to_contain_text("Missed")
    await page.keyboard.press("ArrowDown")
    await expect(options.first).to_have_attribute("aria-selected", "true")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{office.address}/missed")


async def test_a_colleague_is_never_offered_as_a_new_contact(chromium: Browser, office: Office) -> None:
    page = await open_page(chromium, office, "/search?q=manager", "supervisor")
    await expect(page.locator("#h-colleagues")).to_contain_text("Colleagues")
    await expect(page.get_by_text("Add it as a new contact")).to_have_count(0)
    await page.goto(f"{office.address}/search?q=zzz")
    await expect(page.get_by_text("Add it as a new contact")).to_have_count(1)


@pytest.mark.parametrize(
    ("path", "status", "way"),
    [
        ("/nothing", 404, "/live"),
        ("/calls/00000000-0000-4000-8000-000000000000", 404, "/calls"),
        ("/people/import", 403, "/people"),
        ("/deals/nonsense", 404, "/deals"),
        ("/accounts", 403, "/live"),
    ],
)
async def test_errors_keep_navigation_and_cards(
    chromium: Browser, office: Office, path: str, status: int, way: str
) -> None:
    """A wrong address is no reason to lose the bar or the call that rings just now."""
    page = await enter(chromium, office.address, "manager")
    answer = await page.goto(office.address + path)
    assert answer is not None
    assert answer.status == status
    await expect(page.locator("header.bar nav a").first).to_be_visible()
    await expect(page.locator(f'main a[href="{way}"]')).to_have_count(1)
    await page.wait_for_selector("html[data-live=yes]")
    office.live.publish(ringing("101", name="Garden"))
    await expect(page.locator(".card h2")).to_have_text("Garden")
