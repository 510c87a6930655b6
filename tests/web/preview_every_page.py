"""`python -m tests.web.preview_every_page [FOLDER]`: every page of each role that reaches it, with a ringing card, as
pictures; one sheet for each page with all widths, light and dark, left to right and right to left.
"""

from __future__ import annotations

import asyncio
import base64
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import open_records
from tests.browser_fixtures import FLAGS, find_chromium
from tests.web.every_page import EXTENSIONS, fill_office, walk_pages
from tests.web.fakes import FakeLive
from tests.web.kept import serving
from tests.web.office import ringing

VIEWS = (
    (1440, 900, "light", "ltr"),
    (1440, 900, "dark", "rtl"),
    (1024, 768, "light", "ltr"),
    (390, 844, "light", "ltr"),
    (390, 844, "dark", "rtl"),
)
SHEET_WIDTH = 1900
DRESS = "([theme, dir]) => { document.documentElement.dataset.theme = theme; document.documentElement.dir = dir; }"


async def enter(browser: Browser, address: str, login: str) -> Page:
    """Signed in; what is wrong on a page is printed."""
    page = await (await browser.new_context(viewport={"width": 1440, "height": 900})).new_page()
    page.on("pageerror", lambda error: print("page error:", page.url, error))
    page.on("console", lambda said: print("console:", page.url, said.text) if said.type == "error" else None)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def shoot(page: Page, url: str) -> list[bytes]:
    """The page in every view."""
    await page.set_viewport_size({"width": 1440, "height": 900})
    await page.goto(url)
    await page.wait_for_selector(".card")
    pictures = []
    for width, height, theme, direction in VIEWS:
        await page.set_viewport_size({"width": width, "height": height})
        await page.evaluate(DRESS, [theme, direction])
        if width < 900:
            await page.evaluate("document.querySelector('.card[data-folded=no] .fold')?.click()")
        wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            print(f"{url} at {width} {direction} is {wide} px too wide")
        pictures.append(await page.screenshot(full_page=width < 900, type="jpeg", quality=80))
    return pictures


async def lay_out(browser: Browser, name: str, pictures: list[bytes], folder: Path) -> None:
    """All views of a page on one sheet."""
    shares = [width for width, *_rest in VIEWS]
    sources = [f"data:image/jpeg;base64,{base64.b64encode(one).decode()}" for one in pictures]
    images = "".join(
        f'<img style="width:{100 * share / sum(shares) - 0.5:.2f}%" src="{source}">'
        for share, source in zip(shares, sources, strict=True)
    )
    page = await browser.new_page(viewport={"width": SHEET_WIDTH, "height": 500})
    await page.set_content(
        f"<body style='margin:0;display:flex;gap:.5%;align-items:start;background:#888'>{images}"
    )
    await page.screenshot(path=folder / f"{name}.png", full_page=True)
    await page.close()


async def walk(browser: Browser, address: str, live: FakeLive, folder: Path, begin: list[str]) -> None:
    """Kinds that several roles reach are shown to the first of them."""
    seen: set[str] = set()
    for login, extension in EXTENSIONS.items():
        pages = await walk_pages(address, login, begin, states=True)
        page = await enter(browser, address, login)
        live.publish(ringing(extension, begin=datetime.now(UTC)))
        for kind in [kind for kind in pages if kind not in seen]:
            seen.add(kind)
            name = f"{login}{kind}".replace("/", "_").replace("{", "").replace("}", "").replace("?", "_")
            await lay_out(browser, name[:80], await shoot(page, address + pages[kind].path), folder)
            print(name)
        await page.context.close()


def own_directory() -> Path:
    """Where the database lies; an unprivileged server must get in."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-preview-"))
    directory.chmod(0o755)
    return directory


async def main(folder: Path) -> None:
    """Fill, serve, look, stop."""
    directory = own_directory()
    server, live = EmbeddedPostgres(directory, durable=False), FakeLive()
    try:
        async with open_records(await server.start()) as records:
            begin = await fill_office(records)
            async with serving(records, live=live) as address, async_playwright() as tool:
                browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
                await walk(browser, address, live, folder, begin)
                await browser.close()
    finally:
        await server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(folder)


if __name__ == "__main__":
    where = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="pages-")
    Path(where).mkdir(parents=True, exist_ok=True)
    asyncio.run(main(Path(where)))
