"""The head of every page: whoever is signed in and whatever they are called, it is no wider than the window."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from telephony.staff import Role
from tests.browser_fixtures import chromium
from tests.web.conftest import SETTINGS
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running

__all__ = ["chromium"]
pytestmark = pytest.mark.browser

LONG_OFFICE = "Garden and Sons Landscaping International"
LONG_NAME = "Maximiliane Konstantinopolskaya-Featherstonehaugh"
INSIDE = """() => [...document.querySelectorAll(".bar > *, .bar nav > a, .me > *")]
    .filter((part) => part.checkVisibility())
    .filter((part) => part.getBoundingClientRect().right > document.documentElement.clientWidth)
    .map((part) => part.textContent.trim())"""
OVERLAP = """() => {
    const parts = [...document.querySelectorAll(".bar > *")].map((part) => part.getBoundingClientRect());
    return parts.slice(1).filter((part, place) => part.left < parts[place].right).length;
}"""


@pytest.mark.parametrize("role", list(Role))
async def test_the_head_is_as_wide_as_the_window(chromium: Browser, role: Role) -> None:
    """A long name at widths of small desktops: nothing hangs over, nothing covers its neighbour."""
    records = FakeRecords()
    account = await records.add("long", role)
    records.accounts.kept[account.id] = replace(account, name=LONG_NAME)
    settings = replace(SETTINGS, office_name=LONG_OFFICE)
    async with running(records, FakeLive(), settings, cheap_passwords()) as address:
        page = await (await chromium.new_context(viewport={"width": 1024, "height": 600})).new_page()
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "long")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]")
        for width in (1024, 1100, 1180, 1280):
            await page.set_viewport_size({"width": width, "height": 600})
            assert await page.evaluate(INSIDE) == [], width
            assert await page.evaluate(OVERLAP) == 0, width
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
            if width >= 1100:
                await expect(page.locator(".me button")).to_be_in_viewport(ratio=1)
        await page.context.close()
