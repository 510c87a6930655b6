"""Every page, in a browser, with a card open: nothing moves, nothing axe can find, nothing covered, one left edge."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, Page, TimeoutError

from call_records.database import RecordsStore
from tests.browser_fixtures import chromium
from tests.web.every_page import fill_office, page_routes, walk_pages
from tests.web.fakes import FakeLive
from tests.web.kept import serving
from tests.web.office import picked_up, ringing

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]

ROLES = {"manager": "101", "supervisor": "103", "boss": "104"}
SHIFT_MOST = 0.05  # of the screen; 0.1 is what search engines call good
ELSEWHERE = {"/people/import/{import_id}"}
"""A file must be uploaded first; the tests of imports look at it."""
SHIFTS = """
window.shifted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    shifted.push([entry.value, entry.sources.map(({ node }) => (node?.outerHTML ?? node?.textContent ?? "").slice(0, 90))]);
}).observe({ type: "layout-shift", buffered: true });
"""
COVERED = """
() => {
  const cards = [...document.querySelectorAll(".card")].map((card) => card.getBoundingClientRect());
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const isCovered = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".board, .sr")
    && cards.some((card) => meets(one.getBoundingClientRect(), card));
  return [...document.querySelectorAll("main :is(a, button, input, select, textarea, summary)")]
    .filter(isCovered).map((one) => one.outerHTML.slice(0, 100));
}
"""
SETTLED = (
    "Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null))).then(() => null)"
)


async def enter(chromium: Browser, address: str, login: str, **context: Any) -> Page:
    """Signed in; what moves is noted from the first paint of each page on."""
    page = await (await chromium.new_context(**context)).new_page()
    await page.add_init_script(SHIFTS)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def open_with_card(page: Page, address: str, path: str) -> None:
    """The page with the card of the call that goes on, at rest."""
    await page.goto(address + path)
    await page.wait_for_selector(".card")
    await page.wait_for_selector(".card [data-client]:not([hidden])", state="attached")
    await page.evaluate(SETTLED)


async def look_at(page: Page) -> list[str]:
    """What is wrong on the page as it stands."""
    shifted = await page.evaluate("shifted")
    total = sum(value for value, _nodes in shifted)
    found = [f"moved by {total:.3f}: {shifted}"] if total > SHIFT_MOST else []
    found += [f"covered by the card: {one}" for one in await page.evaluate(COVERED)]
    await page.evaluate(AXE_FILE_PATH.read_text() + "; undefined")
    found += _violations(await page.evaluate("axe.run()"))
    await page.evaluate("document.documentElement.dataset.theme = 'dark'")
    return found + _violations(
        await page.evaluate("axe.run({ runOnly: ['color-contrast', 'link-in-text-block'] })")
    )


def _violations(result: dict[str, Any]) -> list[str]:
    return [f"{v['id']}: {[node['target'] for node in v['nodes'][:3]]}" for v in result["violations"]]


@pytest.mark.parametrize("login", list(ROLES))
async def test_every_page_with_a_card(chromium: Browser, records: RecordsStore, login: str) -> None:
    """Whoever talks on the phone, light and dark: no page moves when the card opens, which covers no action; and there is
    nothing that axe can find.
    """
    live = FakeLive()
    await fill_office(records)
    async with serving(records, live=live) as address:
        found: list[str] = []
        pages = await walk_pages(address, login)
        page = await enter(chromium, address, login, viewport={"width": 1024, "height": 768})
        live.publish(picked_up(ringing(ROLES[login]), ROLES[login]))
        for path in pages.values():
            try:
                await open_with_card(page, address, path)
            except TimeoutError:
                found.append(f"{path} shows no card")
                continue
            found += [f"{path} {wrong}" for wrong in await look_at(page)]
    assert found == []


async def test_the_walk_reaches_every_page(records: RecordsStore) -> None:
    """A page that no role's walk reaches would be one that nobody looks at here."""
    await fill_office(records)
    async with serving(records) as address:
        reached = {route for login in ROLES for route in await walk_pages(address, login)}
    assert page_routes() - reached - ELSEWHERE == set()


async def test_the_left_edge_is_the_same_everywhere(chromium: Browser, records: RecordsStore) -> None:
    """On a wide screen the content begins at one place on all pages, and the office's tabs stand still."""
    await fill_office(records)
    async with serving(records) as address:
        pages = await walk_pages(address, "boss")
        page = await enter(chromium, address, "boss", viewport={"width": 1600, "height": 900})
        edges, tabs = dict[str, float](), dict[str, Any]()
        for path in pages.values():
            await page.goto(address + path)
            edges[path] = await page.evaluate("document.querySelector('main').getBoundingClientRect().left")
            strip = page.locator("nav.tabs[aria-label=Office]")
            if await strip.count():
                tabs[path] = await strip.locator("a").last.bounding_box()
    assert set(edges.values()) == {0}
    assert len({tuple(box.values()) for box in tabs.values()}) == 1, tabs
