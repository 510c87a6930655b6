"""`python -m tests.crm.preview_deals [FOLDER] [MANY]`: the board, the list, a deal and the pipelines of a fictional
office, as pictures; with MANY also as many further deals, to see how the board bears them.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from playwright.async_api import Browser, async_playwright
from sqlalchemy import text, update

from call_records.crm.tables import deals
from call_records.crm.types import NewClient, NewDeal, NewTask
from call_records.crm.writes import Home, insert_client
from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.browser_fixtures import FLAGS, find_chromium
from tests.web.kept import add_account, serving
from web.settings import WebSettings

SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
COMPANIES = (
    "Fictional Garden Ltd",
    "Imagined Bakery",
    "Nowhere Travel",
    "Dream Tiles",
    "Żółta Łódź",
    "Мечта и Ко",
)
PEOPLE = ("Ines Costa", "Илья Рощин", "Omar Haddad", "Mira Sato", "ليلى حداد", "Tomas Varga", "Anja Novak")
TITLES = (
    "Greenhouse 4 × 6",
    "Oven doors, second batch",
    "Tickets for a company trip with a very long name that nobody ever shortens",
    "Floor of the new office",
    "Service contract",
    "Телефония на 20 мест",
    "Call from +7 916 000-00-12",
    "Window frames",
)
TASKS = ("Call back", "Send the offer", "Ask for the measurements", "Перезвонить после обеда")
STAGES = [UUID(f"00000000-0000-4000-8000-00000000001{nth}") for nth in range(5)]


async def fill(records: RecordsStore, many: int) -> UUID:
    """Believable deals; returns the one with the most to see."""
    luck = random.Random(7)
    anna = await add_account(records, "anna", Role.MANAGER, "101", name="Anna Belova")
    olga = await add_account(records, "olga", Role.MANAGER, "102", name="Olga Petrova")
    await add_account(records, "chief", Role.SUPERVISOR, "103", name="Jan Kowalski")
    await add_account(records, "admin", Role.ADMINISTRATOR, "104", name="Mira Sato")
    now, home = datetime.now(UTC), Home("RU")
    contacts = []
    async with records.engine.begin() as connection:
        for nth, name in enumerate(PEOPLE):
            new = NewClient(ClientKind.COMPANY, COMPANIES[nth % len(COMPANIES)])
            company = await insert_client(connection, new, home=home, by=None, at=now)
            contact = NewClient(ClientKind.CONTACT, name, company_id=company if nth != 3 else None)
            contacts.append(await insert_client(connection, contact, home=home, by=None, at=now))
    first = None
    for nth in range(26 + many):
        at = now - timedelta(days=luck.randrange(40), hours=luck.randrange(12))
        made = await records.deals.add(
            NewDeal(
                TITLES[nth % len(TITLES)],
                contact_id=luck.choice(contacts) if luck.random() < 0.9 else None,
                stage_id=STAGES[0] if nth >= 26 else luck.choices(STAGES, (6, 5, 3, 3, 2))[0],
                amount=Decimal(luck.randrange(5, 900) * 1000) if luck.random() < 0.85 else None,
                owner_id=luck.choice((anna.person_id, anna.person_id, olga.person_id, None)),
            ),
            by=anna.id,
        )
        async with records.engine.begin() as connection:
            aged = {"created_at": at, "stage_since": at, "closed_at": at if made.closed_at else None}
            await connection.execute(update(deals).where(deals.c.id == made.id).values(aged))
            await connection.execute(
                text("UPDATE timeline SET at = :at WHERE deal_id = :deal"), {"at": at, "deal": made.id}
            )
        if made.state == "open" and luck.random() < 0.6:
            due = now + timedelta(hours=luck.choice((-70, -3, 2, 5, 30, 100)))
            task = NewTask(luck.choice(TASKS), due, deal_id=made.id, owner_id=anna.person_id)
            await records.tasks.add(task, by=anna.id)
            if first is None:
                first = made.id
    assert first is not None
    ticked = await records.tasks.add(NewTask("Say hello", now, deal_id=first), by=anna.id)
    await records.tasks.done(ticked.id, done=True, by=anna.id)
    await records.timelines.add_note(
        client_id=None, deal_id=first, text="Wants it before the frost.", by=anna.id
    )
    await records.deals.move(first, stage_id=STAGES[2], before=None, by=olga.id)
    return first


async def shoot(browser: Browser, address: str, folder: Path, deal: UUID) -> None:
    """Every page in the usual sizes."""
    pages = {
        "board": "/deals?owner=all", "mine": "/deals?owner=mine", "list": "/deals?view=list&owner=all&state=any",
        "deal": f"/deals/{deal}", "new": "/deals/new", "pipelines": "/pipelines",
    }  # fmt: skip
    for size, (width, height) in SIZES.items():
        for login in ("anna", "admin"):
            context = await browser.new_context(viewport={"width": width, "height": height})
            page = await context.new_page()
            page.on("pageerror", lambda error: print("page error:", error))
            page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
            await page.goto(f"{address}/sign-in")
            await page.fill("[name=login]", login)
            await page.fill("[name=password]", "correct horse")
            await page.click("button.main")
            await page.wait_for_selector("html[data-live=yes]")
            for name, path in pages.items():
                if (name == "pipelines") != (login == "admin"):
                    continue
                for theme, direction in (("light", "ltr"), ("dark", "ltr"), ("light", "rtl")):
                    if (theme, direction) != ("light", "ltr") and (size == "1024" or name in ("mine", "new")):
                        continue
                    mark = "&" if "?" in path else "?"
                    await page.goto(f"{address}{path}{mark}theme={theme}&dir={direction}")
                    await page.wait_for_selector("html[data-live=yes]")
                    await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png")
                    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    if wide > 0:
                        print(f"{name} at {size} is {wide} px too wide")
            await context.close()


async def main(folder: Path, many: int) -> None:
    """Fill, serve, look, stop."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-preview-"))
    server = EmbeddedPostgres(directory, durable=False)
    try:
        async with open_records(await server.start()) as records:
            deal = await fill(records, many)
            settings = WebSettings(region="RU", debug=True, office_name="Switchhook")
            async with serving(records, settings) as address, async_playwright() as tool:
                browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
                await shoot(browser, address, folder, deal)
                await browser.close()
    finally:
        await server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(folder)


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deals-")
    Path(where).mkdir(parents=True, exist_ok=True)
    asyncio.run(main(Path(where), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
