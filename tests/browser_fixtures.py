"""A real Chromium for tests marked `browser`. Import `chromium` into the conftest or test that needs it.

One browser process serves the whole run, because starting one costs more than most tests do in it; each test opens
contexts of its own (profiles that know nothing of each other), which go with the test.

Without one the tests are skipped with the reason, unless SWITCHHOOK_REQUIRE names `browser` or `all`.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable, get_driver_env
from playwright.async_api import Browser, async_playwright

from tests.requirements import declare_unavailable

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
END_SECONDS = 10  # measured 0.2 s
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>: it goes when the test run goes, however that ends


def find_chromium() -> str | None:
    """SWITCHHOOK_CHROMIUM, else the distribution's browser."""
    named = os.environ.get("SWITCHHOOK_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


@pytest.fixture(scope="session")
def browser_server() -> Iterator[str]:
    """Where the run's one browser is reached; started by Playwright's own `launch-server`."""
    path = find_chromium()
    if path is None:
        declare_unavailable(
            "browser", "no Chromium: apt-get install chromium, or name one in SWITCHHOOK_CHROMIUM"
        )
    with tempfile.TemporaryDirectory(prefix="switchhook-browser-") as directory:
        asked = Path(directory) / "asked.json"
        asked.write_text(
            json.dumps({"executablePath": path, "args": FLAGS, "headless": True, "host": "127.0.0.1"})
        )
        log = Path(directory) / "log"
        with log.open("wb") as told:
            server = subprocess.Popen(
                [*compute_driver_executable(), "launch-server", "--browser", "chromium", "--config", asked],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
                env=get_driver_env(),
                text=True,
                preexec_fn=_die_with_parent,
            )
        assert server.stdout
        try:
            address = server.stdout.readline().strip()  # it says this or ends
            if not address.startswith("ws://"):
                pytest.fail(f"Chromium does not start: {log.read_text(errors='replace')[-2000:]}")
            yield address
        finally:
            server.terminate()  # it closes the browser
            try:
                server.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait(END_SECONDS)
            server.stdout.close()


@pytest.fixture
async def chromium(browser_server: str) -> AsyncIterator[Browser]:
    """The headless browser; what this test opens in it is closed afterwards."""
    async with async_playwright() as tool:
        browser = await tool.chromium.connect(browser_server)
        yield browser
        for context in browser.contexts:
            await context.close()
        await browser.close()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
