"""Every page, in a browser, with a ringing card: nothing moves, nothing axe can find, nothing covered, one left edge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect

from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from tests.axe_findings import SETTLED, find_violations
from tests.browser_fixtures import chromium
from tests.web.every_page import EXTENSIONS, fill_office, page_routes, walk_pages
from tests.web.fakes import FakeLive
from tests.web.kept import serving
from tests.web.office import missed, ringing

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(540)]

SHIFT_MOST = 0.05  # of the screen; 0.1 is what search engines call good
TABLET: ViewportSize = {"width": 1024, "height": 768}
TELEPHONE: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1600, "height": 900}
SHIFTS = """
window.shifted = [];
const told = ({ node }) => (node?.outerHTML ?? node?.textContent ?? "").slice(0, 90);
const noted = new PerformanceObserver((list) => shifted.push(...list.getEntries()));
noted.observe({ type: "layout-shift", buffered: true });
window.shifts = () => [...shifted, ...noted.takeRecords()].map((one) => [one.value, one.sources.map(told)]);
"""
COVERED = """
() => {
  const cards = [...document.querySelectorAll(".card")].map((card) => card.getBoundingClientRect());
  const meets = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const stays = (one) => ["fixed", "sticky"].includes(getComputedStyle(one).position);
  const isFixed = (one) => one && (stays(one) || isFixed(one.parentElement));
  const below = document.documentElement.scrollHeight - innerHeight - scrollY; // as far as one can scroll
  const place = (one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect(), up = isFixed(one) ? 0 : below;
    return { left, right, top: top - up, bottom: bottom - up };
  };
  const isCovered = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest(".board, .sr")
    && cards.some((card) => meets(place(one), card));
  return [...document.querySelectorAll("main :is(a, button, input, select, textarea, summary)")]
    .filter(isCovered).map((one) => one.outerHTML.slice(0, 100));
}
"""
"""Actions that no scrolling brings out from under a card."""


async def enter(chromium: Browser, address: str, login: str) -> Page:
    """Signed in; what moves is noted from the first paint of each page on."""
    page = await (await chromium.new_context(viewport=TABLET)).new_page()
    await page.add_init_script(SHIFTS)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


@dataclass
class Look:
    """What was seen on the pages of all roles."""

    live: FakeLive
    address: str
    begin: list[str]
    wrong: list[str] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    edges: dict[str, float] = field(default_factory=dict)
    tabs: dict[str, Any] = field(default_factory=dict)

    async def at_pages_of(self, chromium: Browser, login: str) -> None:
        """Those kinds that nobody before them could open."""
        pages = await walk_pages(self.address, login, self.begin)
        page = await enter(chromium, self.address, login)
        for route in pages.keys() - self.paths.keys():
            path = self.paths[route] = pages[route].path
            wrong = await self._at(page, path, EXTENSIONS[login])
            self.wrong += [f"{login} {path} {one}" for one in wrong]
        await page.context.close()

    async def _at(self, page: Page, path: str, extension: str) -> list[str]:
        """A card is there while the page comes, goes, and another opens; then the same page in other sizes."""
        await page.set_viewport_size(TABLET)
        before, call = ringing(extension), ringing(extension)
        self.live.publish(before)
        await page.goto(self.address + path)
        await card_stands(page, before)
        self.live.publish(missed(before))
        self.live.publish(call)
        await card_stands(page, call)
        found = [*await what_moved(page), *await what_is_covered(page), *await find_violations(page)]
        await page.set_viewport_size(TELEPHONE)
        await page.click(".card .fold")
        found += await what_is_covered(page)
        await page.set_viewport_size(WIDE)
        self.edges[path] = await page.evaluate("document.querySelector('main').getBoundingClientRect().left")
        if tabs := await page.query_selector("nav.tabs[aria-label=Office] a:last-child"):
            self.tabs[path] = await tabs.bounding_box()
        self.live.publish(missed(call))
        await expect(page.locator(".card")).to_have_count(0)
        return found


async def card_stands(page: Page, call: CallFacts) -> None:
    """The card of this call, complete and at rest."""
    await page.wait_for_selector(
        f".card[data-call='{call.id}'] [data-client]:not([hidden])", state="attached"
    )
    await page.evaluate(SETTLED)


async def what_moved(page: Page) -> list[str]:
    shifts = await page.evaluate("shifts()")
    total = sum(value for value, _nodes in shifts)
    return [f"moved by {total:.3f}: {shifts}"] if total > SHIFT_MOST else []


async def what_is_covered(page: Page) -> list[str]:
    width = await page.evaluate("innerWidth")
    return [f"at {width} covered by the card: {one}" for one in await page.evaluate(COVERED)]


@pytest.fixture
async def office(records: RecordsStore) -> AsyncIterator[Look]:
    """An office with something on every page."""
    live = FakeLive()
    begin = await fill_office(records)
    async with serving(records, live=live) as address:
        yield Look(live, address, begin)


async def test_every_page_with_a_ringing_card(chromium: Browser, office: Look) -> None:
    """Whoever's phone rings: no page moves when the card opens, which covers no action; axe finds nothing, light or
    dark; on a wide screen the content begins at one place on all pages, and the office's tabs stand still.
    """
    for login in EXTENSIONS:
        await office.at_pages_of(chromium, login)
    assert not office.wrong, "\n".join(office.wrong)
    assert page_routes() == office.paths.keys()
    assert set(office.edges.values()) == {0}
    assert len({tuple(box.values()) for box in office.tabs.values()}) == 1, office.tabs


PLACES = "['h-talking', 'h-free'].map((id) => document.getElementById(id).getBoundingClientRect().top)"


@pytest.mark.parametrize("size", [WIDE, TABLET, TELEPHONE], ids=("wide", "tablet", "telephone"))
async def test_first_call_moves_nothing_below_it(chromium: Browser, office: Look, size: ViewportSize) -> None:
    """On the Live page the sentence that nobody waits is as high as the row that takes its place, and back."""
    page = await enter(chromium, office.address, "manager")
    await page.set_viewport_size(size)
    await page.goto(office.address + "/live")
    call = ringing(EXTENSIONS["manager"])
    empty = await page.evaluate(PLACES)
    office.live.publish(call)
    await expect(page.locator("#waiting .live-row")).to_have_count(1)
    assert await page.evaluate(PLACES) == pytest.approx(empty, abs=0.5)
    office.live.publish(missed(call))
    await expect(page.locator("#waiting .live-row")).to_have_count(0)
    assert await page.evaluate(PLACES) == pytest.approx(empty, abs=0.5)
    await page.context.close()
