"""A real Chromium for tests marked `browser`. Import `chromium` into the conftest or test that needs it.

Without one the tests are skipped with the reason, unless SWITCHHOOK_REQUIRE names `browser` or `all`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def find_chromium() -> str | None:
    """SWITCHHOOK_CHROMIUM, else the distribution's browser."""
    named = os.environ.get("SWITCHHOOK_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A headless browser, closed afterwards."""
    path = find_chromium()
    if path is None:
        required = set(os.environ.get("SWITCHHOOK_REQUIRE", "").replace(",", " ").split())
        if required & {"browser", "all"}:
            pytest.fail("Chromium is required here but not installed: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium, or name one in SWITCHHOOK_CHROMIUM")
    async with async_playwright() as tool:
        browser = await tool.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()
