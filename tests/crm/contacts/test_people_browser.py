"""What only a real browser knows of the People pages: the keyboard, drafts, dialogs, and that everybody can use them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from call_records.crm.types import NewDeal, NewTask
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.crm.people_office import NUMBER, WRITTEN, add, call_with, handed_over
from tests.web.fakes import FakeLive
from tests.web.kept import add_account, serving

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
async def manager(records: RecordsStore) -> Account:
    """Somebody with a phone."""
    return await add_account(records, "manager", Role.MANAGER, "101", name="Anna Belova")


@pytest.fixture
async def address(records: RecordsStore, manager: Account) -> AsyncIterator[str]:
    """The pages, with somebody who may sign in."""
    del manager
    async with serving(records) as address:
        yield address


async def enter(chromium: Browser, address: str, path: str) -> Page:
    """A fresh browser profile, signed in, at that page."""
    page = await (await chromium.new_context()).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", "manager")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    await page.goto(address + path)
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_somebody_is_found_and_added_without_the_mouse(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """`/`, a word, Enter to the first row, Enter to the page; then `g p`, `a`, and a number that is known already."""
    irina = await add(records, "Irina Sokolova", WRITTEN)
    await add(records, "Olga Petrova")
    page = await enter(chromium, address, "/people")
    await expect(page.locator(".person-row[data-nav]")).to_have_count(2)
    await page.keyboard.press("/")
    await page.keyboard.type("sokol")
    await expect(page.locator(".person-row[data-nav]")).to_have_count(1)
    assert page.url.endswith("/people?q=sokol")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/people/{irina.id}")
    await page.wait_for_selector("html[data-live=yes]")
    await page.keyboard.type("gp")
    await page.wait_for_url("**/people")
    await page.wait_for_selector("html[data-live=yes]")
    await page.keyboard.press("a")
    await expect(page.locator("dialog [name=name]")).to_be_focused()
    await page.keyboard.type("Garden")
    await page.keyboard.press("Tab")
    await page.keyboard.type("+7 (916) 000 00 12")
    await expect(page.locator("[data-same-said]")).to_contain_text("Irina Sokolova")
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog.sheet-dialog")).to_have_count(0)
    await expect(page.locator("a[data-key=a]")).to_be_focused()
    await page.keyboard.press("a")
    await expect(page.locator("dialog [name=name]")).to_have_value("Garden")


async def test_the_export_follows_what_is_listed(
    chromium: Browser, records: RecordsStore, address: str, tmp_path: Path
) -> None:
    """A word is typed, a tag chosen, the word taken away: the file holds what the list shows each time."""
    await add(records, "Irina Sokolova", WRITTEN, tags=("vip",))
    page = await enter(chromium, address, "/people")
    link = page.locator("#export-list a")
    await expect(link).to_have_attribute("href", "/people/export.csv?")
    await page.locator("[data-search]").press_sequentially("sokol")
    await expect(link).to_have_attribute("href", "/people/export.csv?q=sokol")
    await page.locator("[name=tag]").select_option("vip")
    await expect(link).to_have_attribute("href", "/people/export.csv?q=sokol&tag=vip")
    await page.locator("[data-search]").fill("")
    await expect(link).to_have_attribute("href", "/people/export.csv?tag=vip")
    async with page.expect_download() as waiting:
        await link.click()
    download = await waiting.value
    assert download.suggested_filename.startswith("people-")
    await download.save_as(tmp_path / "list.csv")
    assert "Irina Sokolova" in (tmp_path / "list.csv").read_text("utf-8-sig")
    assert page.url.endswith("/people?tag=vip")


async def test_a_note_is_not_lost_and_is_saved_in_place(
    chromium: Browser, records: RecordsStore, address: str, manager: Account
) -> None:
    """Typed, reloaded: still there. Saved by Ctrl+Enter: on the timeline, the draft gone; my note on the call is kept."""
    irina = await add(records, "Irina", WRITTEN)
    call = await call_with(records, irina, handed_over(NOON), manager)
    page = await enter(chromium, address, f"/people/{irina.id}")
    await page.keyboard.press("n")
    await page.keyboard.type("Likes roses")
    await page.reload()
    area = page.locator(".composer textarea")
    await expect(area).to_have_value("Likes roses")
    await page.wait_for_selector("html[data-live=yes]")
    await page.locator(".is-call").hover()
    await page.locator(".my-note summary").click()
    await page.locator("[data-call-note]").press_sequentially("on the call")
    await expect(page.locator(".my-note .saved")).to_have_text("Saved")
    await area.press("Control+Enter")
    await expect(page.locator(".is-note .text")).to_have_text("Likes roses")
    await expect(area).to_have_value("")
    await page.reload()
    await expect(area).to_have_value("")
    await expect(page.locator("[data-call-note]")).to_have_value("on the call")
    (note,) = await records.notes.of_call(call.id)
    assert note.text == "on the call"
    await page.wait_for_selector("html[data-live=yes]")
    await page.context.clear_cookies()
    await area.press_sequentially("Written while signed out")
    await area.press("Control+Enter")
    await expect(page.locator(".door .said")).to_contain_text("You were signed out")
    await page.fill("[name=login]", "manager")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await expect(area).to_have_value("Written while signed out")
    await expect(page.locator(".composer .form-sign")).to_contain_text("not saved yet")
    await area.press("Control+Enter")
    await expect(page.locator(".is-note .text").first).to_have_text("Written while signed out")


async def test_duplicates_are_merged_in_a_dialog_and_parted_again(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """From the hint on the page: who stays is chosen, "Merged. Undo" stands quietly above, and undo parts them."""
    irina = await add(records, "Irina", WRITTEN)
    await add(records, "I. Sokolova", NUMBER)
    page = await enter(chromium, address, f"/people/{irina.id}")
    await page.locator(".twins a[data-dialog]").click()
    dialog = page.locator("dialog.sheet-dialog")
    await expect(dialog.locator("[name=stays]")).to_have_count(2)
    await dialog.locator(f"[name=stays][value='{irina.id}']").check()
    await dialog.locator("button.main").click()
    await expect(page.locator(".said.with-act")).to_contain_text("Merged.")
    await expect(page.locator(".twins")).to_have_count(0)
    await page.locator(".said.with-act button").click()
    await expect(page.locator(".said")).to_have_text("Two entries again.")
    await expect(page.locator(".twins")).to_have_count(1)


async def test_two_people_are_told_apart_and_a_merge_is_undone_later(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """ "Not the same": the hint is gone for good, on both pages; Undo brings it back. A merge is undone days later, from its
    line on the timeline.
    """
    irina = await add(records, "Irina", WRITTEN)
    olga = await add(records, "Olga Petrova", NUMBER)
    page = await enter(chromium, address, f"/people/{irina.id}")
    await page.locator(".twins button").click()
    await expect(page.locator(".said.with-act")).to_contain_text("Not the same as Olga Petrova.")
    for one in (irina, olga):
        await page.goto(f"{address}/people/{one.id}")
        await expect(page.locator(".twins")).to_have_count(0)
    await page.goto(f"{address}/people/{irina.id}?apart={olga.id}")
    await page.locator(".said.with-act button").click()
    await expect(page.locator(".twins")).to_have_count(1)
    await records.book.merge(irina.id, olga.id, by=None)
    await page.goto(f"{address}/people/{irina.id}")
    await page.get_by_role("button", name="Undo: two entries again").click()
    await expect(page.locator(".said")).to_have_text("Two entries again.")
    await expect(page.locator(".twins")).to_have_count(1)
    await expect(page.get_by_role("button", name="Undo: two entries again")).to_have_count(0)


async def test_a_call_is_moved_and_a_task_ticked(
    chromium: Browser, records: RecordsStore, address: str, manager: Account
) -> None:
    """Wrong person: typed, chosen with Enter, moved; a task is added and ticked without leaving the page."""
    irina, olga = await add(records, "Irina", WRITTEN), await add(records, "Olga Petrova")
    call = await call_with(records, irina, handed_over(NOON), manager)
    page = await enter(chromium, address, f"/people/{irina.id}")
    await page.locator(".new-task summary").click()
    await page.locator("[name=text][required]").fill("Send prices")
    await page.locator(".new-task button").click()
    await expect(page.locator(".todo li")).to_contain_text("Send prices")
    await page.locator(".todo .tick-box").click()
    await expect(page.locator(".todo")).to_have_count(0)
    await expect(page.locator(".is-task", has_text="Task done: Send prices")).to_have_count(1)
    await page.locator(".is-call .does a").click()
    search = page.locator("dialog [data-choose]")
    await expect(search).to_be_focused()
    await search.press_sequentially("olg")
    await expect(page.locator("dialog [data-choices] input")).to_have_count(1)
    await search.press("Enter")
    await page.locator("dialog button.main").click()
    await expect(page.locator(".said.with-act")).to_contain_text("The call is with Olga Petrova now.")
    assert (await records.timelines.places([call.id]))[call.id].client_id == olga.id


async def test_a_persons_page_is_live(chromium: Browser, records: RecordsStore, manager: Account) -> None:
    """A call with them ends: its line comes in without a reload, but not while the pointer is on the timeline; what is
    being written beside it stays.
    """
    irina = await add(records, "Irina", WRITTEN)
    live = FakeLive()
    async with serving(records, live=live) as address:
        page = await enter(chromium, address, f"/people/{irina.id}")
        await page.evaluate("window.sameDocument = true")
        await page.fill(".composer textarea", "Wants oak")
        await page.locator("#timeline").hover()
        call = await call_with(records, irina, handed_over(NOON), manager)
        live.publish(call)
        with pytest.raises(PlaywrightTimeout):
            await page.locator("#timeline .is-call").wait_for(timeout=2_500)
        await page.mouse.move(5, 5)
        await expect(page.locator("#timeline .is-call")).to_have_count(1)
        await expect(page.locator(".composer textarea")).to_have_value("Wants oak")
        assert await page.evaluate("window.sameDocument")


async def test_a_lead_is_converted_in_a_dialog(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """Name, company and deal in one step, beginning on the lead's page, ending on the contact's."""
    lead = await add(records, NUMBER, NUMBER, kind=ClientKind.LEAD)
    page = await enter(chromium, address, f"/people/{lead.id}")
    await page.locator(".head-acts a", has_text="Convert").click()
    name = page.locator("dialog [name=name]")
    await expect(name).to_be_focused()
    await name.fill("Irina Sokolova")
    await page.locator("dialog [name=company]").fill("Garden")
    await page.locator("dialog [name=deal]").fill("Roses")
    await page.locator("dialog [name=amount]").fill("1 200,50")
    await page.locator("dialog button.main").click()
    await expect(page.locator("main h1")).to_contain_text("Irina Sokolova")
    await expect(page.locator(".said")).to_contain_text("Converted.")
    await expect(page.locator(".deals-of")).to_contain_text("Roses")
    contact = await records.book.one(UUID(page.url.split("/")[-1].split("?")[0]))
    assert contact
    assert contact.company == "Garden"


async def test_nothing_that_axe_can_find(
    chromium: Browser, records: RecordsStore, address: str, manager: Account
) -> None:
    """Contrast, names and roles on every page of People, in both themes; forms in a dialog too."""
    garden = await add(records, "Garden", kind=ClientKind.COMPANY)
    irina = await add(records, "Irina", WRITTEN, company=garden.id, tags=("vip",), emails=("i@example.com",))
    lead = await add(records, "Who", NUMBER, kind=ClientKind.LEAD)
    deal = await records.deals.add(NewDeal("Roses", irina.id), by=manager.id)
    call = await call_with(records, irina, handed_over(NOON), manager, deal=deal.id)
    await records.notes.save(call_id=call.id, account_id=manager.id, text="Mine")
    await records.tasks.add(NewTask("Late", NOON, irina.id), by=manager.id)
    await records.timelines.add_note(client_id=irina.id, deal_id=None, text="A note", by=manager.id)
    page = await enter(chromium, address, "/people")
    found: list[str] = []
    for path in (
        "/people",
        "/people?kind=lead",
        f"/people/{irina.id}",
        f"/people/{irina.id}?edit=yes",
        f"/people/{lead.id}",
        f"/people/{lead.id}/convert",
        f"/people/{garden.id}",
        f"/people/{irina.id}/merge?with={lead.id}",
        f"/people/{irina.id}/merge",
        f"/people/{irina.id}/calls/{call.id}/move",
        "/people/new?kind=company",
        "/search?q=0000012",
    ):
        await page.goto(address + path)
        await page.wait_for_selector("html[data-live=yes]")
        found += await find_violations(page, path)
    await page.goto(f"{address}/people/{lead.id}")
    await page.wait_for_selector("html[data-live=yes]")
    await page.locator(".head-acts a", has_text="Reject").click()
    await page.wait_for_selector("dialog[open]")
    found += await find_violations(page, "the dialog")
    assert found == []
