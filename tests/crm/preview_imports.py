"""`python -m tests.crm.preview_imports [FOLDER]`: import, export and web forms as pictures in the usual sizes."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from telephony.staff import Role
from tests.browser_fixtures import FLAGS, find_chromium
from tests.crm.people_office import add
from tests.web.kept import add_account, serving
from web.auth.access import new_token
from web.settings import WebSettings

SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
LOOKS = (("light", "ltr"), ("dark", "rtl"))
FILE = (
    "Фамилия;Имя;Мобильный телефон;E-mail;Компания;Должность;Метки;Город;Ответственный\n"
    "Соколова;Ирина;8 916 000-00-12, 8 495 000-00-10 доб. 4;irina@garden.example;ООО Сад;директор;vip|сад;Тверь;\n"
    "Varga;Tomas;+36 1 000 0000;tomas@;Dream Tiles;;;Budapest;Nobody\n"
    "Petrova;Olga;8 916 000-00-14;olga@paper.example;Paper Moon Print;buyer;fair 2026;;\n;;;;;;;;x\n"
    + "".join(f"Haddad;Leila {n};8 916 100-{n:02}-11;;Cloud Cuckoo Foods;;;;\n" for n in range(30))
)

GERMAN = "Name;Telefon;E-Mail\n" + "".join(
    f"Anna {n};030 {line};anna{n}@garden.example\n"
    for n, line in enumerate(("1234567", "22334455", "90100200", "2273220", "25002333"))
)


async def fill(records: RecordsStore) -> dict[str, str]:
    """Imports at each step, and a form; the addresses to look at."""
    boss = await add_account(records, "administrator", Role.ADMINISTRATOR, name="Mira Sato")
    await add(records, "Ирина Соколова", "8 916 000-00-12")
    desk, ids = records.imports, []
    for name in ("clients 2026.csv", "tried.csv", "done.csv"):
        ids.append(await desk.take(name, FILE.encode("cp1251", "replace"), by=boss.id))
    for step, import_id in enumerate(ids[1:]):
        found = await desk.one(import_id)
        assert found is not None
        await desk.choose(import_id, columns=found.mapped.columns, kind=found.mapped.kind)
        await desk.work(import_id)
        if step:
            await desk.begin(import_id)
            await desk.work(import_id)
    german = await desk.take("Adressen.csv", GERMAN.encode(), by=boss.id)
    found = await desk.one(german)
    assert found is not None
    await desk.choose(german, columns=found.mapped.columns, kind=found.mapped.kind)
    await desk.work(german)
    undone = await desk.take("undone.csv", GERMAN.encode(), by=boss.id)
    await desk.choose(undone, columns=found.mapped.columns, kind=found.mapped.kind, region="DE")
    await desk.work(undone)
    await desk.begin(undone)
    await desk.work(undone)
    await desk.begin_undo(undone)
    await desk.work(undone)
    _token, hashed = new_token()
    form = await records.forms.add(
        name="Contact page",
        token_hash=hashed,
        secret=None,
        origins=["https://garden.example"],
        mapping={},
        campaign_id=None,
    )
    return {
        "import": "/people/import", "columns": f"/people/import/{ids[0]}", "tried": f"/people/import/{ids[1]}",
        "done": f"/people/import/{ids[2]}", "german": f"/people/import/{german}",
        "undone": f"/people/import/{undone}", "export": "/people/export", "sources": "/sources",
        "form": f"/sources/forms/{form}", "people": "/people",
    }  # fmt: skip


async def shoot(browser: Browser, address: str, folder: Path, pages: dict[str, str]) -> None:
    """Every page in every size and look."""
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "administrator")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]", timeout=10_000)
        for name, path in pages.items():
            for theme, direction in LOOKS:
                await page.goto(f"{address}{path}?theme={theme}&dir={direction}")
                await page.screenshot(path=folder / f"{name}-{size}-{theme}.png", full_page=size == "390")
                wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
                if wide:
                    print("too wide:", name, size)
        await context.close()


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="preview-imports-")), durable=False)
    try:
        url = await server.start()
        async with open_records(url) as records, async_playwright() as tool:
            pages = await fill(records)
            async with serving(records, WebSettings(region="RU", debug=True)) as address:
                browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
                await shoot(browser, address, folder, pages)
                await browser.close()
    finally:
        await server.stop()
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="imports-pages-"))))
