"""Every page as its user sees it, with real calls behind it: nothing axe can find, nothing wider than the screen."""

from __future__ import annotations

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, Page

from switchhook.lab.phones import answers
from tests.asterisk_fixtures import PhoneRoom
from tests.e2e.line import Line

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.browser]

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
CARD = (360, 480)
ROWS = 18


async def axe(page: Page, where: str) -> list[str]:
    """What axe finds."""
    await page.evaluate(AXE_FILE_PATH.read_text() + "; undefined")
    result = await page.evaluate("axe.run()")
    return [f"{where} {v['id']}: {v['nodes'][0]['target']}" for v in result["violations"]]


async def too_wide(page: Page, where: str) -> list[str]:
    """Whether a person would have to scroll sideways."""
    wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [f"{where} is wider than the screen"] if wide else []


async def check_card(page: Page) -> None:
    """The card's first view fits a small screen."""
    box = await page.locator(".card").bounding_box()
    assert box
    assert box["width"] <= max(CARD[0], PHONE["width"])
    assert box["height"] <= CARD[1], box


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_is_accessible_and_fits(
    chromium: Browser, line: Line, phones: PhoneRoom, theme: str
) -> None:
    """Anna's phone rings; her pages, the administrator's and the sign-in page are looked at, on a desk and on a phone,
    left to right and right to left. Her card fits a small screen.
    """
    anna, boris = await phones.handsets("101", "102")
    city = await phones.carrier()
    boris.policy = answers()
    first = await anna.dial("102")
    await first.answered()
    await first.hang_up()
    async with line.program("admin") as api:
        (facts,) = await api.ended()
        account = await line.service.store.accounts.by_login("anna")
        assert account
    missing = "/calls/00000000-0000-7000-8000-000000000000"
    common = ["/live", "/calls", f"/calls/{facts.id}", "/settings", missing]
    more = ["/accounts", f"/accounts/{account.id}", "/connections"]
    outside = await city.dial("74951000001", caller="+79165550001", name="Olga Sokolova of Garden and Sons")
    ringing = await anna.incoming()
    found: list[str] = []
    for login, paths in (("anna", common), ("admin", more)):
        page = await line.enter(chromium, login, color_scheme=theme, viewport=DESK, reduced_motion="reduce")
        if login == "anna":
            await check_card(page)
            found += await axe(page, "ringing")
            await ringing.answer()
            await outside.answered()
        for path in paths:
            await page.set_viewport_size(DESK)
            await page.goto(f"{line.address}{path}?theme={theme}")
            await page.wait_for_selector("html[data-live=yes]")
            found += await axe(page, f"{login} {path}")
            await page.set_viewport_size(PHONE)
            found += await too_wide(page, f"{login} {path}")
            await page.goto(f"{line.address}{path}?theme={theme}&dir=rtl")
            found += await too_wide(page, f"{login} {path} right to left")
    out = await (await chromium.new_context(color_scheme=theme, viewport=PHONE)).new_page()
    await out.goto(f"{line.address}/sign-in?theme={theme}")
    found += await axe(out, "signed out") + await too_wide(out, "signed out")
    assert found == []
    await outside.hang_up()


async def test_the_list_shows_enough(chromium: Browser, line: Line, phones: PhoneRoom) -> None:
    """Twenty calls on an ordinary screen: eighteen rows at least are wholly seen without scrolling."""
    anna, boris = await phones.handsets("101", "102")
    boris.policy = answers()
    for _ in range(20):
        call = await anna.dial("102")
        await call.answered()
        await call.hang_up()
    async with line.program("admin") as api:
        await api.ended(20)
    page = await line.enter(chromium, "anna", path="/calls", viewport=DESK)
    rows = await page.eval_on_selector_all(
        ".call-row",
        f"rows => rows.filter(row => row.getBoundingClientRect().bottom <= {DESK['height']}).length",
    )
    assert rows >= ROWS
