"""What only a real browser knows of the lists: the keyboard, the drawer, nothing too wide, and what axe can find."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from call_records.recordings.tables import recordings
from telephony.recordings import AuditAction, HearScope, RecordingRight, RecordingState
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.recordings.rights_fakes import PASSWORD, Hall, bury, open_hall

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


async def enter(chromium: Browser, hall: Hall, login: str, width: int = 1280) -> Page:
    """A fresh browser profile, signed in and connected."""
    page = await (await chromium.new_context(viewport={"width": width, "height": 900})).new_page()
    await page.goto(f"{hall.address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_by_keyboard_through_the_list(chromium: Browser, hall: Hall) -> None:
    """`g r` opens the list, `j` walks it, Enter opens the call."""
    page = await enter(chromium, hall, "anna")
    await page.keyboard.type("gr")
    await page.wait_for_url("**/recordings")
    await page.wait_for_selector("html[data-live=yes]")
    await expect(page.locator(".recording-row")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator(".recording-row .who").nth(1)).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/calls/{hall.calls['annas'].id}")


async def test_the_list_of_recordings_is_live(chromium: Browser, hall: Hall) -> None:
    """A recording is removed while its list is open: its row says so in its place, without a reload."""
    page = await enter(chromium, hall, "anna")
    await page.goto(f"{hall.address}/recordings")
    await page.wait_for_selector("html[data-live=yes]")
    await page.evaluate("window.sameDocument = true")
    row = page.locator(f'[data-row="{hall.recordings["annas"]}"]')
    await expect(row.locator("[data-play]")).to_have_count(1)
    await bury(hall, "annas")
    hall.live.publish(hall.calls["annas"])
    await expect(row.locator("[data-play]")).to_have_count(0)
    await expect(page.locator(".recording-row.gone")).to_have_count(1)
    assert await page.evaluate("window.sameDocument")


async def test_a_row_plays_in_the_drawer_and_it_is_written_down(chromium: Browser, hall: Hall) -> None:
    """The button in the row opens the player over the list; the row it belongs to is marked."""
    page = await enter(chromium, hall, "anna")
    await page.goto(f"{hall.address}/recordings")
    await page.wait_for_selector("html[data-live=yes]")
    await page.locator(f'[data-play*="{hall.recordings["annas"]}"]').click()
    await expect(page.locator("#drawer [data-player]")).to_be_visible()
    await expect(page.locator(".recording-row.playing")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator("#drawer")).to_be_hidden()


async def test_deleting_for_good_by_hand(chromium: Browser, hall: Hall) -> None:
    """From the exceptions to the recording's page, reason and name typed; the tombstone says who and why."""
    async with hall.store.engine.begin() as connection:
        failed = update(recordings).where(recordings.c.id == hall.recordings["annas"])
        await connection.execute(failed.values(state=RecordingState.FAILED.value, reason="Not audio."))
    page = await enter(chromium, hall, "admin")
    await page.goto(f"{hall.address}/recordings/exceptions")
    await page.locator(".exceptions li").first.get_by_text("Remove").click()
    await expect(page.locator("h2", has_text="Delete for good")).to_be_visible()
    await page.fill("form[action$=delete] [name=why]", "44 bytes of nothing")
    await page.fill("form[action$=delete] [name=name]", await page.locator(".facts code").inner_text())
    await page.click("form[action$=delete] button")
    await expect(page.locator("main")).to_contain_text("44 bytes of nothing")
    assert [line.reason for line in await hall.log(action=AuditAction.REMOVED)] == ["44 bytes of nothing"]


async def test_a_link_needs_no_script(chromium: Browser, hall: Hall) -> None:
    """Whoever follows a link sees a player and nothing to sign in with; no script is loaded, nothing is refused."""
    path = await hall.link("annas")
    page = await (await chromium.new_context()).new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    await page.goto(hall.address + path)
    await expect(page.locator("audio")).to_be_visible()
    await expect(page.locator("nav, script")).to_have_count(0)
    assert said == []


PAGES = ("/recordings", "/recordings/exceptions", "/recordings/rules", "/audit")


async def whole_office(hall: Hall) -> list[str]:
    """Every kind of row there is; the pages to look at."""
    await bury(hall, "sold")
    await hall.give("admin", hears_chosen=HearScope.ALL, rights_chosen=frozenset(RecordingRight))
    await hall.store.retention.place_hold(hall.recordings["annas"], by="Chief", why="lawsuit")
    await hall.store.retention.set_tags(hall.calls["moved"].id, ["vip"])
    await hall.store.audit.write(AuditAction.OPENED, who="anna", recording_id=hall.recordings["annas"])
    async with hall.store.engine.begin() as connection:
        faulty = update(recordings).where(recordings.c.id == hall.recordings["moved"])
        await connection.execute(faulty.values(faults=["clipped", "silent"]))
    one, account = hall.recordings["moved"], hall.accounts["anna"].id
    more = [f"/recordings/{one}", f"/recordings/{hall.recordings['homeless']}/refile", f"/accounts/{account}"]
    return [*PAGES, *more, f"/calls/{hall.calls['moved'].id}", await hall.link("annas")]


async def test_nothing_that_axe_can_find(chromium: Browser, hall: Hall) -> None:
    """Contrast, names and roles on every page of recordings, in both themes."""
    pages = await whole_office(hall)
    page = await enter(chromium, hall, "admin")
    found: list[str] = []
    for path in pages:
        await page.goto(hall.address + path)
        found += await find_violations(page, path)
    assert found == []


async def test_nothing_is_wider_than_a_phone(chromium: Browser, hall: Hall) -> None:
    """At 390 pixels no page of recordings scrolls sideways."""
    pages = await whole_office(hall)
    page = await enter(chromium, hall, "admin", width=390)
    wide = []
    for path in pages:
        await page.goto(hall.address + path)
        if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(path)
    assert wide == []
