"""`python -m tests.web.preview [FOLDER]`: every page with a fictional office, as pictures in the usual
sizes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from telephony.staff import Role
from tests.web import office
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from web.settings import WebSettings

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}


async def fill(records: FakeRecords, live: FakeLive) -> str:
    """Believable calls of a fictional office; returns the id of the one with the longest story."""
    await records.add("anna", Role.MANAGER, "101", name="Anna Belova")
    await records.add("petrova", Role.MANAGER, "202", name="Olga Petrova")
    await records.add("chief", Role.SUPERVISOR, "103", name="Jan Kowalski")
    await records.add("admin", Role.ADMINISTRATOR, "104", name="Mira Sato")
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    for extension, name in (("105", "Tomas Varga"), ("106", "Leila Haddad"), ("107", "Ines Costa")):
        await records.staff.put_person(name=name, extensions=[extension])
    now = datetime.now(UTC)
    story = ""
    names = ["Fictional Garden Ltd", None, "Imagined Bakery", None, "Nowhere Travel", "Dream Tiles"]
    for index in range(70):
        begin = now - timedelta(minutes=17 * index + 12)
        number = f"+7916000{1000 + index * 37 % 900:04}"
        queue = "support" if index % 4 == 2 else None
        ring = office.ringing(
            "101", "105", "106", number=number, name=names[index % 6], begin=begin, queue=queue
        )
        match index % 7:
            case 0:
                call = office.picked_up(ring, "101", 7)
                call = office.held(call, "101", 40, 18)
                call = office.transferred(call, "101", "555", 95)
                call = office.over(office.target_answers(call, "555", 101), 260 + index)
                story = story or str(call.id)
            case 1 | 3:
                call = office.over(office.picked_up(ring, "105", 4), 60 + 31 * index)
            case 2:
                call = office.missed(ring, 34)
            case 4:
                call = office.outgoing("202", number, begin=begin, talk=90 + index)
            case _:
                call = office.over(office.picked_up(ring, "106", 11), 200)
        records.calls.kept[call.id] = call
    live.publish(
        office.ringing(
            "105", "106", number="+79160000077", begin=now - timedelta(seconds=95), queue="support"
        )
    )
    live.publish(
        office.ringing("107", number="+79160000055", name="Imagined Bakery", begin=now - timedelta(seconds=8))
    )
    call = office.ringing(
        "202", number="+79160000031", name="Dream Tiles", begin=now - timedelta(seconds=200)
    )
    live.publish(office.picked_up(call, "202", 9))
    return story


def card_call(live: FakeLive) -> None:
    """A call for Anna, who has spoken with this client before."""
    number = "+79160001000"
    now = datetime.now(UTC)
    call = office.ringing(
        "202", number=number, name="Fictional Garden Ltd", begin=now - timedelta(seconds=80)
    )
    live.publish(office.transferred(office.picked_up(call, "202", 5), "202", "101", 77))


async def shoot(browser: Browser, address: str, folder: Path, story: str, live: FakeLive) -> None:
    pages = {
        "live": "/live", "calls": "/calls", "call": f"/calls/{story}", "settings": "/settings",
        "accounts": "/accounts", "connections": "/connections",
    }  # fmt: skip
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
        await page.goto(f"{address}/sign-in")
        if size == "1440":
            await page.screenshot(path=folder / "sign-in.png")
        await page.fill("[name=login]", "admin")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]", timeout=5000)
        for name, path in pages.items():
            for theme, direction in (("light", "ltr"), ("dark", "ltr"), ("light", "rtl")):
                if (theme, direction) != ("light", "ltr") and (
                    size == "1024" or name not in ("live", "calls", "call")
                ):
                    continue
                await page.goto(f"{address}{path}?theme={theme}&dir={direction}")
                await page.wait_for_selector("html[data-live=yes]", timeout=5000)
                await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png")
        await context.close()
    card_call(live)
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "anna")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector(".card")
        await page.wait_for_timeout(400)
        await page.screenshot(path=folder / f"card-{size}.png")
        await page.goto(f"{address}/calls?theme=dark&dir=rtl")
        await page.wait_for_selector(".card")
        await page.wait_for_timeout(400)
        await page.screenshot(path=folder / f"card-{size}-dark-rtl.png")
        await context.close()


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    records, live = FakeRecords(), FakeLive()
    story = await fill(records, live)
    settings = WebSettings(region="RU", debug=True, office_name="Switchhook")
    async with running(records, live, settings, cheap_passwords()) as address, async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        await shoot(browser, address, folder, story, live)
        await browser.close()
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="pages-"))))
