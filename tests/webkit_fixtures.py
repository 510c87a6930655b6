"""A real WebKit for tests marked `browser`: Debian's webkit2gtk-driver on a screen that nobody sees (Xvfb).

What Safari's engine does otherwise than Chromium's is seen here; sound is decoded by GStreamer, so it says nothing of
Apple's own decoders. Without the programs the tests are skipped with the reason, unless SWITCHHOOK_REQUIRE names `webkit`
or `all`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service

from tests.requirements import declare_unavailable

SCREEN = "1440x900x24"
PAGE_SECONDS = 60  # a busy machine; it opens one in 0.5 s


def find_mini_browser() -> str | None:
    """The browser that the driver drives; its folder carries the machine's and the API's name."""
    found = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
    return str(found[-1]) if found else None


@contextmanager
def _screen() -> Iterator[str]:
    """A screen of its own; the server chooses a free number and says it."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            pytest.fail("Xvfb does not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def webkit() -> Iterator[WebDriver]:
    """A fresh session of WebKit."""
    driver, browser = shutil.which("WebKitWebDriver"), find_mini_browser()
    if driver is None or browser is None or shutil.which("Xvfb") is None:
        declare_unavailable("webkit", "no WebKit: apt-get install webkit2gtk-driver xvfb")
    options = Options()
    options.binary_location = browser
    options.add_argument("--automation")
    with _screen() as display:
        environment = {
            **os.environ,
            "DISPLAY": display,
            "GDK_BACKEND": "x11",
            "WEBKIT_DISABLE_COMPOSITING_MODE": "1",
        }
        with warnings.catch_warnings():  # selenium 4's own WebKitGTK calls what it calls deprecated
            warnings.simplefilter("ignore", DeprecationWarning)
            session = webdriver.WebKitGTK(options=options, service=Service(driver, env=environment))
        session.set_page_load_timeout(PAGE_SECONDS)
        try:
            yield session
        finally:
            session.quit()
