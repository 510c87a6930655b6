"""The pictures of the README, made anew from the running demo office: `./dev shot`.

Starts the demo as a newcomer does, waits until the manager's phone rings and something has happened, and photographs
the pages. People and times differ a little from run to run, the office's habits do not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))  # for the browser's flags, which the tests own

from playwright.async_api import Browser, Page, async_playwright  # noqa: E402

from tests.browser_fixtures import FLAGS, find_chromium  # noqa: E402

HERE = Path(__file__).parent
SIZE = {"width": 1200, "height": 700}  # what the README shows at its full width
READY_SECONDS = 120  # a cold start fetches an Asterisk
SCENE_SECONDS = (
    180  # the office has had every kind of scene the pictures want by then; usually within one minute
)
STOP_SECONDS = 8
CALLS_FIRST = 10  # a list that is worth looking at


@contextlib.asynccontextmanager
async def demo() -> AsyncIterator[str]:
    """The demo's address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "switchhook", "demo"),
        cwd=ROOT,
        env={**os.environ, "TZ": "UTC"},
        stdout=subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(READY_SECONDS):
            address = await _address(process)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    if process.stdout is None:
        raise SystemExit("The demo has nothing to say.")
    async for line in process.stdout:
        if found := re.search(rb"http://[\d.:]+", line):
            return found[0].decode()
    raise SystemExit("The demo ended before it was ready.")


async def sign_in(browser: Browser, address: str) -> Page:
    """The manager's browser."""
    page = await browser.new_page(viewport=SIZE, color_scheme="light")
    await page.goto(f"{address}/sign-in")
    await page.get_by_role("button", name="manager").click()
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def live(page: Page, address: str) -> None:
    """A call rings at the manager while colleagues talk."""
    await page.goto(f"{address}/live")
    await page.wait_for_function(
        """() => document.querySelector('.card[data-state="ringing"]')
          && document.querySelectorAll("#talking .live-row").length >= 2
          && document.querySelectorAll(".card").length == 1""",
        timeout=SCENE_SECONDS * 1000,
    )
    await page.wait_for_timeout(300)  # the card has slid in
    await page.screenshot(
        path=HERE / "live.png", clip={"x": 0, "y": 0, "width": SIZE["width"], "height": 400}
    )


async def call(page: Page, address: str) -> None:
    """The story of a call that was held and handed over."""
    async with asyncio.timeout(SCENE_SECONDS):
        while True:
            answer = await page.request.get(f"{address}/api/v1/calls?limit=100")
            told = (await answer.json())["calls"]
            transferred = [c for c in told if c["transfers"] and c["ended_at"] and c["hold_seconds"] > 1]
            if transferred and len(told) >= CALLS_FIRST:
                break
            await asyncio.sleep(1)
    await page.goto(f"{address}/calls/{transferred[0]['id']}")
    await page.wait_for_selector("html[data-live=yes]")
    await page.evaluate(
        "document.getElementById('cards').hidden = true; document.body.classList.remove('has-cards')"
    )
    await page.screenshot(
        path=HERE / "call.png", clip={"x": 0, "y": 0, "width": SIZE["width"], "height": 600}
    )


async def make() -> None:
    """All pictures."""
    async with demo() as address, async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        page = await sign_in(browser, address)
        await call(page, address)
        await live(page, address)
        await browser.close()
    for picture in sorted(HERE.glob("*.png")):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    argparse.ArgumentParser(prog="./dev shot", description=(__doc__ or "").splitlines()[0]).parse_args()
    asyncio.run(make())
