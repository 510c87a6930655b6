"""Passwords at a browser: the rule stands beside the field, what is typed can be looked at, wrong ones are said there."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser_fixtures import chromium
from tests.web.conftest import Office
from tests.web.test_browser import enter

__all__ = ["chromium"]
pytestmark = pytest.mark.browser


async def test_a_password_is_hinted_shown_and_hidden_again(chromium: Browser, office: Office) -> None:
    """The rule can be read and heard before; a wrong present password and a bad new one are both said."""
    page = await enter(chromium, office.address, "manager")
    await page.goto(f"{office.address}/settings")
    old, new = page.locator("[name=old]"), page.locator("[name=new]")
    await expect(new).to_have_accessible_description("at least 10 characters")
    await expect(new).to_have_accessible_name("New password")
    show = page.locator("[data-show-password=new]")
    await new.fill("manager of roses")
    await show.click()
    await expect(new).to_have_attribute("type", "text")
    await expect(show).to_have_text("Hide")
    await expect(show).to_have_attribute("aria-pressed", "true")
    await expect(new).to_have_value("manager of roses")
    await old.fill("not this one")
    await page.get_by_role("button", name="Change password").click()
    for field, said in ((old, "The present password is not right."), (new, "the sign-in name")):
        await expect(field).to_have_attribute("aria-invalid", "true")
        await expect(field).to_have_accessible_description(re.compile(said))
    await expect(old).to_be_focused()
    await expect(new).to_have_attribute("type", "password")
    await expect(new).to_have_value("manager of roses")


async def test_the_sign_in_page_shows_a_password_without_a_script_of_its_own(
    chromium: Browser, office: Office
) -> None:
    """By the keyboard, too."""
    page = await (await chromium.new_context()).new_page()
    await page.goto(f"{office.address}/sign-in")
    await page.fill("[name=login]", "manager")
    await page.fill("[name=password]", "correct horse")
    await page.locator("[name=password]").press("Tab")
    await expect(page.locator("[data-show-password]")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("[name=password]")).to_have_attribute("type", "text")
    await page.locator("[name=password]").press("Enter")
    await page.wait_for_url(re.compile("/live$"))
