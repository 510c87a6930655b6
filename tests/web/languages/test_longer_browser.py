"""In a language that is longer than English and written from right to left no page is too wide, at 390 and 1024 px."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, ViewportSize

from call_records.store import RecordsStore
from tests.browser_fixtures import chromium
from tests.web.conftest import SETTINGS
from tests.web.every_page import EXTENSIONS, fill_office, page_routes, walk_pages
from tests.web.fakes import FakeLive
from tests.web.kept import serving
from tests.web.office import ringing
from web.languages.pseudo import TAG, pseudo_text

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(540)]

TELEPHONE: ViewportSize = {"width": 390, "height": 844}
TABLET: ViewportSize = {"width": 1024, "height": 768}
TOO_WIDE = """
() => {
  const wide = innerWidth + 1, page = document.scrollingElement;
  if (page.scrollWidth <= wide) return [];
  const isOut = (box) => box.width && (box.right > wide || box.left < -1);
  const sticksOut = (one) => isOut(one.getBoundingClientRect());
  const out = [...document.querySelectorAll("body *")].filter(sticksOut);
  const inner = out.filter((one) => ![...one.children].some((child) => out.includes(child)));
  return [`${page.scrollWidth} px`, ...inner.slice(0, 4).map((one) => one.outerHTML.slice(0, 140))];
}
"""
"""How wide the page is and the innermost elements that stick out, if one has to scroll sideways."""


async def _enter(chromium: Browser, address: str, login: str) -> Page:
    page = await (await chromium.new_context(viewport=TELEPHONE)).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_no_page_is_wider_than_its_screen(chromium: Browser, records: RecordsStore) -> None:
    begin = await fill_office(records)
    for login in EXTENSIONS:
        account = await records.accounts.by_login(login)
        assert account is not None
        await records.accounts.set_language(account.id, TAG)
    seen: set[str] = set()
    wrong = {}
    async with serving(records, replace(SETTINGS, pseudo_language=True)) as address:
        for login in EXTENSIONS:
            pages = await walk_pages(address, login, begin)
            page = await _enter(chromium, address, login)
            assert await page.evaluate("[document.documentElement.dir, document.documentElement.lang]") == [
                "rtl",
                TAG,
            ]
            for route in pages.keys() - seen:
                await page.goto(address + pages[route].path)
                for size in (TELEPHONE, TABLET):
                    await page.set_viewport_size(size)
                    if found := await page.evaluate(TOO_WIDE):
                        wrong[f"{login} {route} at {size['width']}"] = found
            seen |= pages.keys()
            await page.context.close()
    assert wrong == {}
    assert seen == page_routes()


async def test_a_card_speaks_the_language_of_whose_phone_rings(
    chromium: Browser, records: RecordsStore
) -> None:
    """What comes over the stream and what the page puts around it; names and numbers are nobody's language."""
    await fill_office(records)
    account = await records.accounts.by_login("manager")
    assert account is not None
    await records.accounts.set_language(account.id, TAG)
    live = FakeLive()
    async with serving(records, replace(SETTINGS, pseudo_language=True), live=live) as address:
        page = await _enter(chromium, address, "manager")
        live.publish(ringing(EXTENSIONS["manager"]))
        await page.wait_for_selector(".card [data-client]:not([hidden])")
        said = await page.inner_text(".card")
        await page.context.close()
    assert pseudo_text("Calling you") in said
    assert "Calling you" not in said
