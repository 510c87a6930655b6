"""`python -m tests.recordings.preview [FOLDER]`: the player in a fictional office, as pictures in the usual sizes."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from call_records.recordings.types import Redaction, Removal
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded, RecordingPause
from telephony.recordings import HealthFault, RecordingRight, RecordingState
from tests.recordings.player_fakes import recording, sound, talk
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.preview import CHROMIUM, FLAGS, SIZES, fill
from tests.web.serving import running
from web.settings import WebSettings

LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))


def told(facts: CallFacts) -> CallFacts:
    """The same call, recorded on the client's line, with a pause for card data."""
    answered = facts.answered_at or facts.started_at
    pause = RecordingPause(answered + timedelta(seconds=150), answered + timedelta(seconds=171))
    party = next(leg.party for leg in facts.legs if leg.kind is PartyKind.OUTSIDE)
    made = Recorded(
        "1795311120.8", "1795311120.8", party, PartyKind.OUTSIDE, answered, facts.ended_at, (pause,)
    )
    return replace(facts, recorded=(made,))


async def record(records: FakeRecords, story: str) -> dict[str, str]:
    """Recordings of the office's calls; gives the pages worth a look by name."""
    call = told(records.calls.kept[UUID(story)])
    records.calls.kept[call.id] = call
    answered, ended = call.answered_at, call.ended_at
    assert answered
    assert ended
    seconds = (ended - answered).total_seconds()
    first = recording(call.id, started_at=answered, duration_seconds=seconds, has_original=True)
    span = Redaction(222.0, 236.0, "Jan Kowalski", answered, UUID(int=1))
    outside = recording(
        call.id,
        channel="1795311220.9",
        started_at=answered + timedelta(seconds=94),
        duration_seconds=seconds - 94,
        faults=(HealthFault.OURS_SILENT,),
    )
    for one, quiet in ((replace(first, redactions=(span,)), [(33, 51), (143, 164)]), (outside, [(40, 50)])):
        records.recordings.kept[one.id] = one
        peaks = talk(one.duration_seconds or 1, quiet=quiet)
        records.recordings.peaks_of[one.id] = replace(peaks, right=bytes(1200)) if one.faults else peaks
        records.shelf.kept[(one.id, False)] = sound(60.0)
    chief = await records.accounts.by_login("chief")
    anna = await records.accounts.by_login("anna")
    assert chief
    assert anna
    await records.comments.add(
        recording_id=first.id, account_id=chief.id, at_seconds=21, text="Well asked: what is it for?"
    )
    await records.comments.add(
        recording_id=first.id, account_id=anna.id, at_seconds=190, text="He wants the blue one by Friday"
    )
    pages = {"player-call": f"/calls/{call.id}"}
    now = datetime.now(UTC)
    states = [
        ("player-lost", {"state": RecordingState.LOST, "reason": "No file came within 30 minutes."}),
        ("player-removed", {"state": RecordingState.REMOVED, "removal": Removal("Mira Sato", now, "The client asked it")}),
        ("player-coming", {"state": RecordingState.EXPECTED}),
    ]  # fmt: skip
    for index, facts in enumerate(one for one in list(records.calls.kept.values()) if one.answered_at):
        if facts.id == call.id:
            continue
        if states and index % 3 == 1:
            name, different = states.pop()
            made = recording(facts.id, started_at=facts.answered_at, **different)
            pages[name] = f"/calls/{facts.id}"
        else:
            faults = (HealthFault.SILENT,) if index % 8 == 2 else ()
            made = recording(
                facts.id,
                started_at=facts.answered_at,
                duration_seconds=facts.talk_seconds,
                channel=None,
                faults=faults,
            )
            records.shelf.kept[(made.id, False)] = sound(60.0)
            records.recordings.peaks_of[made.id] = talk(facts.talk_seconds)
        records.recordings.kept[made.id] = made
    return pages


async def signed_in(
    browser: Browser, address: str, size: tuple[int, int], login: str
) -> tuple[BrowserContext, Page]:
    """Somebody at a screen of that size."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = await context.new_page()
    page.on("pageerror", lambda error: print("page error:", error))
    page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]", timeout=5000)
    return context, page


async def shoot(browser: Browser, address: str, folder: Path, pages: dict[str, str]) -> None:
    """Every page in every size and look; then the player at work."""
    for size, measure in SIZES.items():
        context, page = await signed_in(browser, address, measure, "chief")
        for name, path in pages.items():
            for theme, direction in LOOKS if name == "player-call" else LOOKS[:1]:
                await page.goto(f"{address}{path}?theme={theme}&dir={direction}")
                await page.wait_for_selector("html[data-live=yes]", timeout=5000)
                await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png")
        for theme, direction in LOOKS:
            await page.goto(f"{address}{pages['player-call']}?theme={theme}&dir={direction}")
            await at_work(page, folder / f"player-work-{size}-{theme}-{direction}.png")
            await page.goto(f"{address}/calls?theme={theme}&dir={direction}")
            await page.wait_for_selector("html[data-live=yes]", timeout=5000)
            await page.locator("[data-play]").first.click()
            await page.wait_for_selector(".drawer .transport")
            await page.wait_for_timeout(600)
            await page.screenshot(path=folder / f"player-drawer-{size}-{theme}-{direction}.png")
        await page.goto(f"{address}/recordings")
        await page.wait_for_selector("html[data-live=yes]", timeout=5000)
        await page.locator("[data-play]").nth(1).click()
        await page.wait_for_selector(".drawer .transport")
        await page.wait_for_timeout(400)
        await page.screenshot(path=folder / f"player-recordings-{size}.png")
        for panel in ("share", "redact"):
            await page.goto(address + pages["player-call"])
            await page.keyboard.press("ArrowRight")
            await page.keyboard.press("[")
            await page.keyboard.press("ArrowRight")
            await page.keyboard.press("]")
            await page.locator(f".selection [data-do={panel}]").click()
            if panel == "share":
                await page.click("[data-panel=share] [type=submit]")
                await page.wait_for_selector("[data-made]:not([hidden])")
            await page.screenshot(path=folder / f"player-{panel}-{size}.png", full_page=True)
        await context.close()


async def at_work(page: Page, path: Path) -> None:
    """In the middle of a recording, a part chosen, a comment being written."""
    await page.wait_for_selector("html[data-live=yes]", timeout=5000)
    for _ in range(8):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("[")
    for _ in range(6):
        await page.keyboard.press("ArrowRight")
    await page.keyboard.press("]")
    await page.keyboard.press("c")
    await page.keyboard.type("Ask for the delivery address here")
    await page.screenshot(path=path)


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    records, live = FakeRecords(), FakeLive()
    pages = await record(records, await fill(records, live))
    chief = await records.accounts.by_login("chief")
    assert chief
    await records.accounts.update(replace(chief, rights_chosen=frozenset(RecordingRight)))
    settings = WebSettings(region="RU", debug=True, office_name="Switchhook")
    async with running(records, live, settings, cheap_passwords()) as address, async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        await shoot(browser, address, folder, pages)
        await browser.close()
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="player-"))))
