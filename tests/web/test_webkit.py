"""The second engine: in WebKit one signs in, a card opens, a recording plays and seeks, and a page is mirrored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.expected_conditions import presence_of_element_located, url_contains
from selenium.webdriver.support.wait import WebDriverWait

from telephony.staff import Role
from tests.recordings.pages.test_player_browser import LENGTH, kept
from tests.web.conftest import SETTINGS, Office, _office
from tests.web.office import ringing
from tests.webkit_fixtures import webkit

__all__ = ["webkit"]
pytestmark = pytest.mark.browser

PATIENCE = 30  # s; a busy machine
AT = "return document.querySelector('.player audio').currentTime"


@pytest.fixture
async def previewed() -> AsyncIterator[Office]:
    """An office whose pages may be asked for right to left."""
    async for made in _office(*Role, settings=replace(SETTINGS, debug=True)):
        yield made


def wait_until(driver: WebDriver, script: str) -> None:
    WebDriverWait(driver, PATIENCE).until(lambda one: one.execute_script(script))


def sign_in(driver: WebDriver, address: str) -> None:
    driver.get(f"{address}/sign-in")
    driver.find_element(By.NAME, "login").send_keys("manager")
    driver.find_element(By.NAME, "password").send_keys("correct horse")
    driver.find_element(By.CSS_SELECTOR, "button.main").click()
    WebDriverWait(driver, PATIENCE).until(url_contains("/live"))
    WebDriverWait(driver, PATIENCE).until(
        presence_of_element_located((By.CSS_SELECTOR, "html[data-live=yes]"))
    )


def see_card(driver: WebDriver) -> str:
    WebDriverWait(driver, PATIENCE).until(presence_of_element_located((By.CSS_SELECTOR, ".card h2")))
    driver.find_element(By.CSS_SELECTOR, ".card textarea").send_keys("calls from Safari")
    return driver.find_element(By.CSS_SELECTOR, ".card h2").text


def play_and_seek(driver: WebDriver, address: str) -> float:
    """Play, then a click two thirds along the strip; where it plays then."""
    driver.get(address)
    wait_until(driver, "return Boolean(document.querySelector('[data-do=play]'))")
    driver.find_element(By.CSS_SELECTOR, "[data-do=play]").click()
    wait_until(driver, f"{AT} > 0.2")
    driver.execute_script("const a = document.querySelector('.player audio'); a.pause(); a.currentTime = 40;")
    wait_until(driver, "return !document.querySelector('.player audio').seeking")
    driver.find_element(By.CSS_SELECTOR, "[data-do=play]").click()
    wait_until(driver, f"{AT} > 40.2")
    return float(driver.execute_script(AT))


def see_mirrored(driver: WebDriver, address: str) -> None:
    """The card is on the left of a page that is read from right to left, and nothing is wider than the screen."""
    driver.get(address)
    WebDriverWait(driver, PATIENCE).until(presence_of_element_located((By.CSS_SELECTOR, ".card h2")))
    wait_until(
        driver, "return document.querySelector('.card').getBoundingClientRect().right < innerWidth / 2"
    )
    wait_until(driver, "return document.documentElement.scrollWidth <= innerWidth")


async def test_webkit_smoke(webkit: WebDriver, previewed: Office) -> None:
    """From the sign-in page to a recording at its fortieth second, with a ringing phone on the way."""
    call, _made = kept(previewed)
    address = previewed.address
    await asyncio.to_thread(sign_in, webkit, address)
    previewed.live.publish(ringing("101", name="Bakery", number="+79160000099"))
    assert await asyncio.to_thread(see_card, webkit) == "Bakery"
    at = await asyncio.to_thread(play_and_seek, webkit, f"{address}/calls/{call.id}")
    assert 40 < at < LENGTH
    await asyncio.to_thread(see_mirrored, webkit, f"{address}/calls?dir=rtl")
