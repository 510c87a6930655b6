"""What only a real browser knows of missed calls: they come and go by themselves, and the keyboard is enough."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from call_records.store import RecordsStore
from telephony.missed_calls import MissedState
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.call_facts_builder import CLIENT
from tests.crm.missed_calls.test_missed_calls import LATER, Told, called_back, missed_call
from tests.crm.missed_calls.test_missed_pages import ALWAYS, now
from tests.reviews.test_browser import enter
from tests.web.kept import add_account, serving

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]


DIALLER = """addEventListener("click", (event) => {
  if (!event.target.closest('a[href^="tel:"]')) return;
  event.preventDefault();
  dispatchEvent(new Event("blur"));
})"""
"""Nothing answers to tel: links here, and the question about it would take all clicks; this stands for a program that
does and comes to the front: only then is anybody calling.
"""


@pytest.fixture
async def address(records: RecordsStore) -> AsyncIterator[str]:
    """The pages, with somebody whose phone is 101, a supervisor and a warehouse."""
    await add_account(records, "anna", Role.MANAGER, "101")
    await add_account(records, "chief", Role.SUPERVISOR)
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    async with serving(records) as address:
        yield address


async def test_a_missed_call_comes_is_called_back_and_goes(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """The list is open: a missed call appears, `j` and `b` call it back and claim it, and when they have talked it goes.

    The number beside the door follows, what is overdue is said once on other pages, and axe finds nothing.
    """
    told = Told(records)
    anna = await records.accounts.by_login("anna")
    assert anna is not None
    await records.missed.set_hours(ALWAYS, by=anna.id)
    page = await enter(chromium, address, "anna", "/missed?period=all")
    rows, door = page.locator(".missed-row[data-entry]"), page.locator('.bar a[data-go="m"] .owed')
    await expect(page.locator("h1")).to_have_text("Nobody waits for a call.")
    await expect(door).to_have_text("")
    await told(
        *(now(missed_call(0), hours=hours) for hours in (0.2, 0.15)), now(missed_call(0, LATER), hours=0.1)
    )
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("×2")
    await expect(door).to_contain_text("2")
    assert await find_violations(page) == []
    await page.evaluate(DIALLER)
    await page.keyboard.press("j")
    await page.keyboard.press("b")
    await expect(page.locator(".said")).to_contain_text("You said that you will call")
    await expect(rows.first.locator(".whose-cell")).to_contain_text("will call")
    entry = (await told.owed())[0]
    assert (entry.state, entry.claimed_by, entry.number) == (MissedState.CLAIMED, "Anna", CLIENT)
    await expect(rows.first.locator("a.who")).to_be_focused()
    await page.click(".said button")
    await expect(rows.first.locator(".whose-cell")).not_to_contain_text("will call")
    assert (await told.owed())[0].state is MissedState.NEW
    await rows.nth(1).locator("summary").click()
    await told(now(called_back(0), hours=0.05))
    await expect(door).to_have_text("1")  # it is heard of, and nothing is taken from under somebody's hands
    await expect(rows).to_have_count(2)
    await page.keyboard.press("Escape")
    await page.mouse.click(5, 5)
    await expect(rows).to_have_count(1)
    await expect(rows.first.locator(".call-back")).to_have_attribute("href", f"tel:{LATER}")
    await expect(door).to_have_text("1")
    await page.goto(f"{address}/calls")
    await page.wait_for_selector("html[data-live=yes]")
    await expect(page.locator("#missed-notice")).to_have_count(0)
    await told(now(missed_call(0, "+79161110007"), hours=1.5))
    await expect(page.locator("#missed-notice")).to_have_text("2 missed calls wait for you, one is overdue")
    await expect(door).to_have_text("2!")


async def test_a_row_is_given_to_a_colleague_and_given_up(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """The names and reasons that are on the page once are offered in the row that is opened, the owner's chosen."""
    told = Told(records)
    chief = await records.accounts.by_login("chief")
    assert chief is not None
    await records.missed.set_hours(ALWAYS, by=chief.id)
    await told(now(missed_call(0), hours=0.1))
    page = await enter(chromium, address, "chief", "/missed?period=all&whose=all")
    row = page.locator(".missed-row[data-entry]")
    await row.locator("summary").click()
    await row.locator("select[name=person]").select_option(label="Warehouse")
    await row.get_by_role("button", name="Give", exact=True).click()
    await expect(row.locator(".whose-cell")).to_contain_text("Warehouse")
    await row.locator("summary").click()
    await expect(row.locator("select[name=person] option:checked")).to_have_text("Warehouse")
    await row.locator("select[name=reason]").select_option("spam")
    await row.get_by_role("button", name="Give up").click()
    await expect(row).to_have_count(0)


HELD_ANSWERS = """() => {
  const read = Response.prototype.text;
  window.letGo = () => { window.held?.(); window.held = null; };
  const waits = (now) => { document.documentElement.dataset.waits = now; };
  Response.prototype.text = async function () {
    const told = await read.call(this);
    if (!told.includes('id="missed"')) return told;
    waits("yes");
    await new Promise((done) => { window.held = done; });
    setTimeout(waits, 0, "no");
    return told;
  };
}"""
"""The answers with the list arrive, and are read only when the test says so."""


async def test_a_list_asked_for_before_a_row_is_taken_in_hand_does_not_take_it_away(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """A list is under way when somebody opens a row, and another when somebody presses the button over one: neither
    closes the row nor swallows the click, and what was held back shows when the row is closed.
    """
    told = Told(records)
    chief = await records.accounts.by_login("chief")
    assert chief is not None
    await records.missed.set_hours(ALWAYS, by=chief.id)
    await told(now(missed_call(0), hours=0.1), now(missed_call(0, LATER), hours=0.2))
    page = await enter(chromium, address, "chief", "/missed?period=all&whose=all")
    rows, summary = page.locator(".missed-row[data-entry]"), page.locator(".missed-row[data-entry] summary")
    await page.evaluate(HELD_ANSWERS)
    await told(now(missed_call(0, "+79161110007"), hours=0.05))
    await expect(page.locator("html[data-waits=yes]")).to_have_count(1)
    await summary.first.click()
    await page.evaluate("letGo()")
    await expect(page.locator("html[data-waits=no]")).to_have_count(1)
    await expect(rows.locator("details[open]")).to_have_count(1)
    await expect(rows).to_have_count(2)
    await summary.first.click()
    await expect(page.locator("html[data-waits=yes]")).to_have_count(
        1
    )  # closed: what was held back is asked for
    await summary.first.hover()
    await page.mouse.down()
    await page.evaluate("letGo()")
    await expect(page.locator("html[data-waits=no]")).to_have_count(1)
    await page.mouse.up()
    await expect(rows.locator("details[open]")).to_have_count(1)
    await expect(rows).to_have_count(2)
    await summary.first.click()
    await expect(page.locator("html[data-waits=yes]")).to_have_count(1)
    await page.evaluate("letGo()")
    await expect(rows).to_have_count(3)


async def test_a_row_is_given_away_without_scripts(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """What a row offers is put in by a script when it opens; without one, a link of the row opens it with everything."""
    told = Told(records)
    chief = await records.accounts.by_login("chief")
    assert chief is not None
    await records.missed.set_hours(ALWAYS, by=chief.id)
    await told(now(missed_call(0), hours=0.1))
    page = await (await chromium.new_context(java_script_enabled=False)).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", "chief")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.goto(f"{address}/missed?period=all&whose=all")
    row = page.locator(".missed-row[data-entry]")
    await row.locator("summary").click()
    await expect(row.locator("select")).to_have_count(2)
    await expect(row.locator("select").first).to_be_hidden()
    await row.get_by_role("link", name="Give it to somebody, or give up").click()
    await row.locator("select[name=person]").select_option(label="Warehouse")
    await row.get_by_role("button", name="Give", exact=True).click()
    await expect(page).to_have_url(re.compile(r"whose=all"))
    await expect(row.locator(".whose-cell")).to_contain_text("Warehouse")
