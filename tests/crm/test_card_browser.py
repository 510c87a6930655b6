"""What only a real browser knows of the card that knows who calls: typed, chosen, refiled, and small enough."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, Page, expect

from call_records.crm.types import NewClient, NewDeal
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.contacts import ClientKind
from telephony.staff import PopPreference, Role
from tests.browser_fixtures import chromium
from tests.call_facts_builder import change
from tests.reviews.office import hire
from tests.web.conftest import SETTINGS
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.office import CLIENT, over, picked_up, ringing, transferred
from tests.web.serving import running

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]

FIRST_VIEW = {"width": 360, "height": 480}
"""CSS pixels: the card is read there without scrolling."""


@dataclass
class Desk:
    """Anna's browser, phone and store."""

    records: RecordsStore
    live: FakeLive
    address: str
    by: UUID

    async def rings(self, call: CallFacts | None = None) -> CallFacts:
        """A call comes to her phone, and the journal knows it."""
        call = call or ringing("101", begin=datetime.now(UTC))
        await self.records.journal.record([change(call)])
        self.live.publish(call)
        return call

    async def hangs_up(self, call: CallFacts) -> None:
        """She talked, and it is over."""
        self.live.publish(picked_up(call, "101"))
        self.live.publish(over(picked_up(call, "101"), 20))

    async def add(self, name: str, phone: str = CLIENT, **more: UUID) -> UUID:
        """A contact."""
        new = NewClient(ClientKind.CONTACT, name, (phone,), company_id=more.get("company"))
        return (await self.records.book.add(new, by=self.by)).id

    async def enter(self, chromium: Browser, *, small: bool = False) -> Page:
        """She is signed in and connected."""
        size = FIRST_VIEW if small else {"width": 1280, "height": 800}
        page = await (await chromium.new_context(viewport=size)).new_page()  # type: ignore[arg-type]
        await page.goto(f"{self.address}/sign-in")
        await page.fill("[name=login]", "anna")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]")
        return page


@pytest.fixture
async def desk(records: RecordsStore) -> AsyncIterator[Desk]:
    """The pages over a real store; Anna has extension 101."""
    anna = await hire(records, "anna", Role.MANAGER, "101")
    await records.accounts.set_pop(anna.id, PopPreference.ON_RING)
    live = FakeLive()
    async with running(cast(FakeRecords, records), live, SETTINGS, cheap_passwords()) as address:
        yield Desk(records, live, address, anna.id)


async def test_an_unknown_number_gets_a_name(chromium: Browser, desk: Desk) -> None:
    """She types while it rings, reloads, goes on, saves: the card and the live row have the name; next time it is there."""
    page = await desk.enter(chromium)
    call = await desk.rings()
    name = page.locator(".card [data-save] [name=name]")
    await name.fill("Boris")
    await page.reload()
    await expect(name).to_have_value("Boris")
    await name.fill("Boris Oak")
    await page.locator(".card [data-save] [name=company]").fill("Garden Ltd")
    await page.keyboard.press("Enter")
    await expect(page.locator(".card h2")).to_have_text("Boris Oak")
    await expect(page.locator(".card [data-slot=company]")).to_have_text("Garden Ltd")
    await expect(page.locator(".card [data-save]")).to_be_hidden()
    await expect(page.locator(".live-row .who")).to_contain_text("Boris Oak")
    await desk.hangs_up(call)
    await page.locator('.card [data-act="close"]').click()
    await desk.rings()
    await expect(page.locator(".card h2")).to_have_text("Boris Oak")
    await page.locator(".card summary").click()
    await expect(page.locator(".card [data-slot=why]")).to_contain_text("Only Boris Oak has this number.")


async def test_two_contacts_then_the_wrong_one(chromium: Browser, desk: Desk) -> None:
    """She chooses Anna Elm; the next call is hers without asking. It is not her this time: she searches for Clara and
    picks her, by keyboard; the call is Clara's, and so is the next.
    """
    await desk.add("Anna Elm")
    await desk.add("Boris Oak")
    clara = await desk.add("Clara Fir", "8 495 100-00-03")
    page = await desk.enter(chromium)
    call = await desk.rings()
    await page.locator(".card .chooser label", has_text="Anna Elm").click()
    await expect(page.locator(".card h2")).to_have_text("Anna Elm")
    await expect(page.locator(".card .chooser")).to_be_hidden()
    await desk.hangs_up(call)
    await page.locator('.card [data-act="close"]').click()
    call = await desk.rings()
    await expect(page.locator(".card h2")).to_have_text("Anna Elm")
    await page.locator('.card [data-act="wrong"]').click()
    await page.keyboard.type("clar")
    await expect(page.locator(".card [data-slot=found] button")).to_have_text(
        ["Clara Fir · 8 (495) 100-00-03"]
    )
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".card h2")).to_have_text("Clara Fir")
    await expect(page.locator(".live-row .who")).to_contain_text("Clara Fir")
    assert (await desk.records.timelines.places([call.id]))[call.id].client_id == clara
    await desk.hangs_up(call)
    await page.locator('.card [data-act="close"]').click()
    await desk.rings()
    await expect(page.locator(".card h2")).to_have_text("Clara Fir")


async def test_the_card_fits_a_small_telephone_and_everybody_can_use_it(
    chromium: Browser, desk: Desk
) -> None:
    """Handed over in a queue, with company and deal: all of it within 360 × 480, and nothing that axe can find."""
    firm = await desk.records.book.add(NewClient(ClientKind.COMPANY, "Garden & Sons Ltd"), by=desk.by)
    boris = await desk.add("Boris Oak", company=firm.id)
    await desk.records.deals.add(NewDeal("New fence for the garden", contact_id=boris), by=desk.by)
    page = await desk.enter(chromium, small=True)
    begun = ringing("202", queue="Sales", begin=datetime.now(UTC))
    await desk.rings(transferred(picked_up(begun, "202"), "202", "101", 30))
    await expect(page.locator(".card [data-slot=deal]")).to_have_text("New fence for the garden")
    await expect(page.locator(".card [data-slot=from]")).to_have_text("202")
    box = await page.locator(".card").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) <= (FIRST_VIEW["width"], FIRST_VIEW["height"])
    assert box["height"] <= FIRST_VIEW["height"]
    assert await page.evaluate("document.getElementById('cards').scrollWidth") <= FIRST_VIEW["width"]
    await page.locator(".card summary").click()
    await page.locator('.card [data-act="wrong"]').click()
    await page.evaluate(AXE_FILE_PATH.read_text() + "; undefined")
    result = await page.evaluate("axe.run(document.getElementById('cards'))")
    assert [f"{v['id']}: {v['nodes'][0]['target']}" for v in result["violations"]] == []
