"""`python -m tests.crm.preview_people [FOLDER]`: the People pages as pictures in the usual sizes."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from playwright.async_api import Browser, async_playwright

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import open_records
from tests.browser_fixtures import FLAGS, find_chromium
from tests.crm.people_office import fill
from tests.web.kept import serving
from web.settings import WebSettings

SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))


def pages(ids: dict[str, UUID]) -> dict[str, str]:
    """What is looked at."""
    irina, lead, garden = ids["irina"], ids["lead"], ids["garden"]
    return {
        "list": "/people",
        "leads": "/people?kind=lead",
        "person": f"/people/{irina}",
        "edit": f"/people/{irina}?edit=yes",
        "lead": f"/people/{lead}",
        "company": f"/people/{garden}",
        "convert": f"/people/{lead}/convert",
        "merge": f"/people/{irina}/merge",
        "new": "/people/new",
        "search": "/search?q=0000012",
    }


async def shoot(browser: Browser, address: str, folder: Path, ids: dict[str, UUID]) -> None:
    """Every page in every size and look."""
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "manager")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        await page.wait_for_selector("html[data-live=yes]", timeout=10_000)
        for name, path in pages(ids).items():
            for theme, direction in LOOKS if name in ("list", "person") else LOOKS[:1]:
                await page.goto(f"{address}{path}{'&' if '?' in path else '?'}theme={theme}&dir={direction}")
                await page.wait_for_selector("html[data-live=yes]", timeout=10_000)
                full = name in ("person", "edit", "company") and size != "1440"
                await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png", full_page=full)
        await context.close()


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    server = EmbeddedPostgres(Path(tempfile.mkdtemp(prefix="preview-people-")), durable=False)
    try:
        url = await server.start()
        async with open_records(url) as records, async_playwright() as tool:
            ids = await fill(records)
            settings = WebSettings(region="RU", debug=True)
            async with serving(records, settings) as address:
                browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
                await shoot(browser, address, folder, ids)
                await browser.close()
    finally:
        await server.stop()
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="people-pages-"))))
