"""What only a real browser knows of the board: dragging, the keyboard, adding, undoing, and that everybody can use it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
from playwright.async_api import Browser, Locator, Page, Route, expect

from call_records.store import RecordsStore
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.crm.deals.test_deals import ANY, LOST, NEW, OFFER, TALKS, WON, deal, titles
from tests.web.kept import add_account, serving

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
async def page(chromium: Browser, records: RecordsStore) -> AsyncIterator[Page]:
    """Anna's browser at a board with three new deals and one in talks."""
    await add_account(records, "anna", Role.SUPERVISOR, "101", name="Anna Belova")
    for title, amount in (("third", 300), ("second", 20), ("first", 1)):
        await deal(records, title, amount=Decimal(amount))
    await deal(records, "talked", TALKS, amount=Decimal(5000))
    async with serving(records) as address:
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        page = await context.new_page()
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "anna")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]")
        await page.goto(f"{address}/deals")
        await page.wait_for_selector("[data-to-stage]:not([hidden])", state="attached")
        yield page
        await context.close()


def column(page: Page, stage: object) -> Locator:
    """A stage on the board."""
    return page.locator(f'[data-column="{stage}"]')


def card(page: Page, title: str) -> Locator:
    """A deal on the board."""
    return page.locator("[data-deal]", has_text=title)


async def drag(page: Page, title: str, onto: Locator, *, drop: bool = True) -> None:
    """By mouse, in a few steps, onto the middle of something."""
    start, end = await card(page, title).bounding_box(), await onto.bounding_box()
    assert start is not None
    assert end is not None
    await page.mouse.move(start["x"] + 40, start["y"] + 12)
    await page.mouse.down()
    await page.mouse.move(start["x"] + 60, start["y"] + 30, steps=3)
    await page.mouse.move(end["x"] + end["width"] / 2, end["y"] + 20, steps=5)
    if drop:
        await page.mouse.up()


async def test_a_deal_is_dragged_and_the_drag_undone(page: Page, records: RecordsStore) -> None:
    """From New onto a card in talks: it lies above it, heads and totals follow; Undo takes it back."""
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await drag(page, "second", card(page, "talked"))
    await expect(column(page, TALKS).locator("[data-title]")).to_have_text(["second", "talked"])
    await expect(column(page, TALKS).locator("[data-count]")).to_have_text("2")
    await expect(column(page, TALKS).locator("[data-sums]")).to_have_text("5\u202f020\u00a0₽")
    assert await titles(records, TALKS) == ["second", "talked"]
    await expect(page.locator("[data-said]")).to_contain_text("“second” is in In talks.")
    assert page.url.split("?")[0].endswith("/deals"), "the click that ends a drag opens nothing"
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await page.click("[data-undo]")
    await expect(column(page, NEW).locator("[data-title]")).to_have_text(["first", "second", "third"])
    assert await titles(records, NEW) == ["first", "second", "third"]


async def test_why_a_deal_was_lost(page: Page, records: RecordsStore) -> None:
    """Dropped on Lost: the line at the bottom offers to say why; said on the deal's page, it stands on the timeline and is
    offered for the next one. Opened again, the question is gone.
    """
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await drag(page, "second", page.locator('[data-ends="lost"] [data-cards]'))
    await page.locator("[data-why-lost]").click()
    await page.wait_for_url("**/deals/*#lost")
    reason = page.locator(".why-lost input[name=reason]")
    await reason.fill("Too expensive")
    await page.locator(".why-lost button").click()
    await expect(page.locator(".is-stage .text")).to_have_text("Too expensive")
    await expect(reason).to_have_value("Too expensive")
    assert list(await records.deals.loss_reasons()) == ["Too expensive"]
    await page.locator(".stepper li.open button:not([disabled])").first.click()
    await expect(page.locator(".stepper li.current")).to_have_class(re.compile("open"))
    await expect(page.locator(".why-lost")).to_have_count(0)
    assert list(await records.deals.loss_reasons()) == []


async def test_escape_lets_go(page: Page, records: RecordsStore) -> None:
    """A drag that is thought better of: Esc puts the card back, and nothing was sent."""
    await drag(page, "first", column(page, OFFER), drop=False)
    await expect(column(page, OFFER).locator("[data-title]")).to_have_text(["first"])
    await page.keyboard.press("Escape")
    await page.mouse.up()
    await expect(column(page, NEW).locator("[data-title]")).to_have_text(["first", "second", "third"])
    assert await titles(records, NEW) == ["first", "second", "third"]


async def test_a_deal_is_moved_by_arrow_keys(page: Page, records: RecordsStore) -> None:
    """Two to the right is one move, announced on the way; down changes places; m names a stage; focus stays on the card."""
    await card(page, "first").locator("a.who").focus()
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await page.keyboard.press("ArrowRight")
        await expect(page.locator("[data-announce]")).to_have_text("first: In talks, 1 of 2")
        await page.keyboard.press("ArrowRight")
    assert await titles(records, OFFER) == ["first"]
    moved = (await records.deals.board((await records.deals.pipelines())[0].id, ANY))[2].deals[0]
    told = await records.timelines.of_deal(moved.id)
    assert [entry.kind for entry in told.entries] == ["stage", "made"]
    await expect(card(page, "first").locator("a.who")).to_be_focused()
    await card(page, "second").locator("a.who").focus()
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await page.keyboard.press("ArrowDown")
    assert await titles(records, NEW) == ["third", "second"]
    await page.keyboard.press("m")
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await page.click(f'#to-stage button[value="{WON}"]')
    assert await titles(records, WON) == ["second"]


async def test_somebody_else_was_quicker(page: Page, records: RecordsStore) -> None:
    """The board is old: the drag is refused in words, and the card goes to where the deal is."""
    deals = {one.title: one for one in (await records.deals.page(None, ANY)).deals}
    olga = await add_account(records, "olga", Role.MANAGER, name="Olga Petrova")
    await records.deals.move(deals["third"].id, stage_id=LOST, before=None, by=olga.id)
    await drag(page, "third", column(page, OFFER))
    await expect(page.locator("[data-said]")).to_contain_text(
        "Olga Petrova moved this deal to “Lost” meanwhile"
    )
    await expect(column(page, LOST).locator("[data-title]")).to_have_text(["third"])
    await expect(column(page, OFFER).locator("[data-title]")).to_have_count(0)


async def test_one_after_the_other_is_added(page: Page, records: RecordsStore) -> None:
    """At the head of a column: type, Enter, type, Enter; the field stays. Undo takes the last one back, Esc closes."""
    await column(page, OFFER).locator("summary").click()
    for title in ("new one", "new two"):
        async with page.expect_response("**/deals/new?*"):
            await page.keyboard.type(title)
            await page.keyboard.press("Enter")
        await expect(card(page, title)).to_be_visible()
        await expect(column(page, OFFER).locator("[name=title]")).to_have_value("")
    await expect(column(page, OFFER).locator("[data-title]")).to_have_text(["new two", "new one"])
    async with page.expect_response(lambda answer: "/remove" in answer.url):
        await page.click("[data-undo]")
    await expect(column(page, OFFER).locator("[data-count]")).to_have_text("1")
    assert await titles(records, OFFER) == ["new one"]
    await column(page, OFFER).locator("[name=title]").focus()
    await page.keyboard.press("Escape")
    await expect(column(page, OFFER).locator("[name=title]")).to_be_hidden()


async def test_the_first_letter_after_the_click_is_not_lost(page: Page) -> None:
    """The field has the focus when the click on Add is over, not some time later."""
    has_focus = await column(page, OFFER).evaluate(
        """(column) => {
          column.querySelector("summary").click();
          return document.activeElement === column.querySelector("[name=title]");
        }"""
    )
    assert has_focus


async def test_the_next_title_may_be_typed_while_the_last_is_on_its_way(
    page: Page, records: RecordsStore
) -> None:
    """The server takes its time with the first: nothing typed meanwhile is lost, and the order is as typed. What could
    not be kept is in the field again.
    """
    go_on = asyncio.Event()

    async def slowly(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.route("**/deals/new", slowly)
    await page.route("**/deals/new?*", slowly)
    field = column(page, OFFER).locator("[name=title]")
    await column(page, OFFER).locator("summary").click()
    await page.keyboard.type("new one")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")  # a trembling finger adds nothing
    await page.keyboard.type("new two")
    await expect(field).to_have_value("new two")
    await page.keyboard.press("Enter")
    await page.keyboard.type("new th")
    go_on.set()
    await expect(column(page, OFFER).locator("[data-title]")).to_have_text(["new two", "new one"])
    await expect(field).to_have_value("new th")
    await expect(field).to_be_focused()
    assert await titles(records, OFFER) == ["new two", "new one"]

    await page.unroute_all()
    await page.route("**/deals/new*", lambda route: route.abort())
    await page.keyboard.type("ree")
    await page.keyboard.press("Enter")
    await expect(column(page, OFFER).locator(".form-sign")).to_contain_text("kept in this browser")
    await expect(field).to_have_value("new three")


async def test_one_column_on_a_narrow_screen(page: Page, records: RecordsStore) -> None:
    """At 390 px one column is shown, chosen above it, and the page is no wider than the screen."""
    await page.set_viewport_size({"width": 390, "height": 844})
    await expect(column(page, NEW)).to_be_visible()
    await expect(column(page, TALKS)).to_be_hidden()
    await page.select_option("[data-one-column]", str(TALKS))
    await expect(card(page, "talked")).to_be_visible()
    await expect(column(page, NEW)).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await card(page, "talked").locator("[data-to-stage]").click()
    async with page.expect_response(lambda answer: answer.url.split("?")[0].endswith("/move")):
        await page.click(f'#to-stage button[value="{OFFER}"]')
    assert await titles(records, OFFER) == ["talked"]


async def test_nothing_that_axe_can_find(page: Page, records: RecordsStore) -> None:
    """The board, the list, a deal and the form for a new one, in both themes."""
    first = (await records.deals.page(None, ANY)).deals[0]
    base = page.url.split("/deals")[0]
    found: list[str] = []
    for path in ("/deals", "/deals?view=list", f"/deals/{first.id}", "/deals/new"):
        await page.goto(base + path)
        await page.wait_for_selector("html[data-live=yes]")
        found += await find_violations(page, path)
    assert found == []
