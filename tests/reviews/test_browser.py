"""What only a real browser knows: grading by keyboard alone, drafts, and that everybody can use the pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from call_records.store import RecordsStore
from telephony.staff import Role
from tests.axe_findings import find_violations
from tests.browser_fixtures import chromium
from tests.reviews.office import answers, grade, hire, short_form
from tests.reviews.serving import serving
from tests.reviews.test_pages import picked, staff

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres]


@pytest.fixture
async def address(records: RecordsStore) -> AsyncIterator[str]:
    """The pages, with everybody signed up."""
    await staff(records)
    async with serving(records) as address:
        yield address


async def enter(chromium: Browser, address: str, login: str, path: str) -> Page:
    """A fresh browser profile, signed in, at that page."""
    page = await (await chromium.new_context()).new_page()
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    await page.goto(address + path)
    await page.wait_for_selector("html[data-live=yes]")
    return page


async def test_a_call_is_graded_without_the_mouse(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """From the queue with j and Enter, answers by y, 4 and x, feedback, Ctrl+Enter: the next call is there; w skips it."""
    await short_form(records)
    call, _ = await picked(records)
    older, next_pick = await picked(records, "102", 5)
    page = await enter(chromium, address, "chief", "/review")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.locator(".question.current legend")).to_contain_text("Said the company")
    await page.keyboard.press("y")
    await expect(page.locator(".question.current legend")).to_contain_text("Right answer")
    await page.keyboard.press("k")
    await page.keyboard.press("n")
    await page.keyboard.press("y")  # means nothing for a scale
    await expect(page.locator(".question.current legend")).to_contain_text("Right answer")
    await page.keyboard.press("r")
    await page.keyboard.type("Twice 5 was 10")
    await page.keyboard.press("Escape")
    await page.keyboard.press("4")
    await page.keyboard.press("x")
    await expect(page.locator("[data-sum]")).to_have_text("56 / 100")
    await page.keyboard.type("Well done")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(f"**/review/{next_pick}?saved=*")
    (given,) = await records.reviews.grades.of_part(call.id, "101")
    assert {name: answer.value for name, answer in given.answers.items()} == {
        "greeting": 0,
        "answer": 4,
        "hold": None,
    }
    assert (given.feedback, given.answers["answer"].comment) == ("Well done", "Twice 5 was 10")
    await page.wait_for_selector("html[data-live=yes]")
    assert (
        await page.evaluate("Object.keys(localStorage).filter((n) => n.startsWith('switchhook draft'))") == []
    )
    await page.keyboard.press("w")
    await page.keyboard.type("A wrong number")
    await page.keyboard.press("Enter")
    await expect(page.locator(".said")).to_contain_text("taken out of the queue")
    assert await records.reviews.picks.queue(None) == []
    assert await records.reviews.grades.of_part(older.id, "102") == []


async def test_nothing_that_was_typed_is_lost(chromium: Browser, records: RecordsStore, address: str) -> None:
    """The form is filled, but the session ended meanwhile; the supervisor signs in again: every word is still there."""
    await short_form(records)
    call, pick = await picked(records)
    page = await enter(chromium, address, "chief", f"/review/{pick}")
    await page.keyboard.press("y")
    await page.keyboard.press("3")
    await page.keyboard.press("x")
    await page.keyboard.type("Half a page of thoughts")
    await page.context.clear_cookies()
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url("**/sign-in*")
    await page.fill("[name=login]", "chief")
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]")
    await page.goto(f"{address}/review/{pick}")
    await expect(page.locator("#grade .form-sign")).to_contain_text("What you typed before is here again")
    await expect(page.locator("[name=feedback]")).to_have_value("Half a page of thoughts")
    await expect(page.locator("[name=a-answer][value='3']")).to_be_checked()
    assert await records.reviews.grades.of_part(call.id, "101") == []


async def test_a_second_thought_and_the_agent_reads_it(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """The supervisor grades again: their answers stand there, saving supersedes; the agent sees one new entry and reads."""
    form = await short_form(records)
    chief = await records.accounts.by_login("chief")
    assert chief
    call, pick = await picked(records)
    first = await grade(records, call, form, chief, answers(0), feedback="Too fast")
    page = await enter(chromium, address, "chief", f"/review/{pick}")
    await expect(page.locator("[name=feedback]")).to_have_value("Too fast")
    await page.locator("legend", has_text="Said the company").click()
    await page.keyboard.press("k")
    await page.keyboard.press("k")
    await page.keyboard.press("y")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(re.compile(r"/review\?saved="))
    (given,) = await records.reviews.grades.of_part(call.id, "101")
    assert (given.supersedes, given.score) == (first.id, 100)
    agent = await enter(chromium, address, "anna", "/live")
    badge = agent.locator('.bar nav a[data-go="f"] .owed')
    await expect(badge).to_have_text("1")
    await agent.keyboard.type("gf")
    await agent.wait_for_url("**/feedback")
    await expect(agent.locator(".unread")).to_have_count(1)
    await agent.locator(".unread a").click()
    await expect(agent.locator("blockquote")).to_contain_text("Too fast")
    await expect(badge).to_be_empty()
    await agent.fill("[name=reply]", "I will slow down")
    await agent.click(".acknowledge button")
    await expect(agent.locator(".acknowledged")).to_contain_text("You acknowledged this")
    await expect(agent.locator(".acknowledged blockquote")).to_have_text("I will slow down")
    await agent.goto(f"{address}/feedback")
    await expect(agent.locator(".unread")).to_have_count(0)
    await page.goto(f"{address}/review/people/101")
    await expect(page.locator(".grade-row .reply")).to_contain_text("Acknowledged: I will slow down")


async def test_a_form_grows_in_the_editor(chromium: Browser, records: RecordsStore, address: str) -> None:
    """A question is added, moved up and looked at; then it is version 2, in that order."""
    form = await short_form(records)
    page = await enter(chromium, address, "chief", f"/review/forms/{form.form_id}")
    await page.click("[data-add]")
    await page.keyboard.type("Thanked for the call")
    for _ in range(2):
        await (
            page.locator("[data-row]")
            .nth(await position(page, "Thanked for the call"))
            .locator("[data-move='-1']")
            .click()
        )
    await page.locator("[data-row]").nth(0).locator("[data-drop]").click()
    await page.click("button[value=preview]")
    await expect(page.locator(".plain-list")).to_contain_text("New: Thanked for the call")
    await expect(page.locator(".plain-list")).to_contain_text("Gone: Said the company")
    await page.click("button[value=save]")
    await page.wait_for_url("**/review/forms?saved=yes")
    newest = await records.reviews.forms.one(form.form_id)
    assert newest
    assert [one.text for one in newest.questions] == [
        "Right answer",
        "Thanked for the call",
        "Asked before holding",
    ]


async def position(page: Page, text: str) -> int:
    """Which row of the editor holds that question now."""
    values = await page.locator("[data-row] input[name$=text]").evaluate_all(
        "all => all.map((one) => one.value)"
    )
    return int(values.index(text))


async def test_a_rule_says_at_once_what_it_would_pick(
    chromium: Browser, records: RecordsStore, address: str
) -> None:
    """The supervisor types another number and reads how many it would have been, before anything is saved."""
    await picked(records)
    page = await enter(chromium, address, "chief", "/review/rules")
    rule = page.locator("form[data-rule*=long_hold]")
    await expect(rule.locator("[data-preview]")).to_contain_text("it would pick 1")
    await rule.locator("[name=hold_seconds]").fill("300")
    await expect(rule.locator("[data-preview]")).to_contain_text("it would pick 0")


async def test_nothing_that_axe_can_find(chromium: Browser, records: RecordsStore, address: str) -> None:
    """Contrast, names and roles on every page of reviewing, in both themes."""
    form = await short_form(records)
    mira = await hire(records, "mira", Role.SUPERVISOR, name="Mira Oak")
    chief = await records.accounts.by_login("chief")
    assert chief
    call, pick = await picked(records)
    _other, waiting = await picked(records, "102", 5)
    for grader in (mira, chief):
        given = await grade(records, call, form, grader, answers(), feedback="Well done")
    paths = {
        "chief": (
            "/review",
            f"/review/{pick}",
            f"/review/{waiting}",
            "/review/people",
            "/review/people/101",
            "/review/calibration",
            "/review/forms",
            f"/review/forms/{form.form_id}",
            "/review/rules",
        ),
        "anna": ("/feedback", f"/feedback/{given.id}"),
    }
    found: list[str] = []
    for login, some in paths.items():
        page = await enter(chromium, address, login, "/live")
        for path in some:
            await page.goto(address + path)
            await page.wait_for_selector("html[data-live=yes]")
            found += await find_violations(page, path)
    assert found == []
