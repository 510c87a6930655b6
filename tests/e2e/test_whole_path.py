"""From a number nobody knows to a deal and a missed call that was called back: real phones, Asterisk, database, browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.asterisk_fixtures import PhoneRoom
from tests.e2e.line import Line

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.browser]

CLIENT = "+79165550077"
SHOWN = "8 (916) 555-00-77"
DIRECT = "74951000001"


async def test_from_an_unknown_number_to_a_call_back(
    chromium: Browser, line: Line, phones: PhoneRoom
) -> None:
    """Anna takes a call from an unknown number. A lead appears while she talks; she types the name she hears. Afterwards
    the call is on the lead's page; she makes a deal of it and moves it on with the keyboard. The client calls again and
    nobody answers; Dina, who has no account, calls back from her handset, and the debt is settled in her name.
    """
    anna, dina, city = await phones.handset("101"), await phones.handset("105"), await phones.carrier()
    page = await line.enter(chromium, "anna")

    outside = await city.dial(DIRECT, caller=CLIENT)
    ringing = await anna.incoming()
    card = page.locator(".card")
    await expect(card.locator("h2")).to_have_text(SHOWN)
    await ringing.answer()
    await outside.answered()
    await expect(card.locator("[data-slot=kind]")).to_have_text("Lead")
    await card.locator("[data-save] [name=name]").fill("Olga Sokolova")
    await card.locator("[data-save] [name=company]").fill("Gardens")
    await card.locator("[data-save] button").click()
    await expect(card.locator("h2")).to_have_text("Olga Sokolova")
    await expect(page.locator("#talking .live-row")).to_contain_text("Olga Sokolova")
    await outside.hang_up()
    await expect(card.locator("[data-slot=word]")).to_have_text("Ended")

    client = await _her_page(page, line)
    await expect(page.locator("main")).to_contain_text("Anna Belova")
    await _a_deal_that_moves_on(page, line, client)

    outside = await city.dial(DIRECT, caller=CLIENT)
    ringing = await anna.incoming()
    await outside.hang_up()
    await ringing.ended()
    await page.goto(f"{line.address}/missed?period=all")
    row = page.locator("li.missed-row")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("Olga Sokolova")
    await expect(row.locator(".whose-cell")).to_contain_text("Anna Belova")
    assert await row.locator("a.call-back").get_attribute("href") == f"tel:{CLIENT}"

    answering = await dina.dial(CLIENT.replace("+7", "8"))
    taken = await city.incoming()
    await taken.answer()
    await answering.answered()
    await expect(row).to_have_count(0)
    await answering.hang_up()
    await page.goto(f"{line.address}/missed?settled=yes")
    await expect(row).to_contain_text("Dina Egorova")
    await page.goto(client)
    await expect(page.locator("main")).to_contain_text("Dina Egorova")


async def _her_page(page: Page, line: Line) -> str:
    """The client's page, found by the name as the header's search finds it."""
    await page.goto(f"{line.address}/search?q=sokolova")
    await page.locator("main a[href^='/people/']").first.click()
    await expect(page.locator("h1")).to_contain_text("Olga Sokolova")
    return page.url


async def _a_deal_that_moves_on(page: Page, line: Line, client: str) -> None:
    await page.goto(f"{line.address}/deals/new?client={client.rsplit('/', 1)[1]}")
    await page.fill("[name=title]", "Roses for the yard")
    await page.fill("[name=amount]", "12 500")
    await page.click("main form.form button.main")
    await page.wait_for_url(re.compile(r"/deals/[0-9a-f-]{36}$"))  # where saving leads to, by the page itself
    await page.goto(f"{line.address}/deals")
    deal = page.locator(".deal-card")
    await expect(deal).to_contain_text("Olga Sokolova")
    await deal.locator("a.who").focus()
    async with page.expect_response(lambda answer: answer.request.method == "POST"):
        await page.keyboard.press("ArrowRight")
    await expect(page.locator(".column").nth(1).locator(".deal-card")).to_contain_text("Roses for the yard")
    await page.goto(client)
    await expect(page.locator("main")).to_contain_text("In talks")
