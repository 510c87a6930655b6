"""`python -m tests.reviews.preview [FOLDER]`: the pages of reviewing with a fictional office, as pictures."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from playwright.async_api import Browser, Page, async_playwright

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from call_records.types import Account
from telephony.reviews import USUAL_FORM, Answer, Answers, Question, QuestionKind
from telephony.staff import Role
from tests.browser_fixtures import FLAGS, find_chromium
from tests.reviews.office import called_back, grade, handed_over, hire, keep, missed, silence, talk
from tests.reviews.serving import serving
from web.settings import WebSettings

SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
CLIENTS = ("Fictional Garden Ltd", None, "Imagined Bakery", "Nowhere Travel", None, "Dream Tiles")
WORDS = (
    "Good start. Say next time who calls back and when: the client asked twice.",
    "You let him finish and said it back. That is how it should be.",
    "Two minutes on hold without a word. Come back every half minute.",
    "",
)


def some_answers(luck: random.Random, lean: int) -> Answers:
    """Believable answers to the usual form, better with a higher lean."""

    def one(question: Question) -> int | None:
        if question.may_skip and luck.random() < 0.3:
            return None
        if question.kind is QuestionKind.YES_NO:
            return int(luck.random() < 0.6 + 0.07 * lean)
        return min(5, max(1, luck.choice((2, 3, 4, 4, 5)) + (lean > 2)))

    return {question.id: Answer(one(question)) for question in USUAL_FORM}


async def fill(records: RecordsStore, now: datetime) -> tuple[UUID, Account]:
    """A quarter of grades, and a week of calls to hear; the id of a pick and the agent with feedback."""
    luck = random.Random(4)
    chief = await hire(
        records, "chief", Role.SUPERVISOR, "103", name="Jan Kowalski", since=now - timedelta(days=300)
    )
    second = await hire(
        records, "second", Role.SUPERVISOR, "104", name="Mira Sato", since=now - timedelta(days=300)
    )
    anna = await hire(
        records, "anna", Role.MANAGER, "101", name="Anna Belova", since=now - timedelta(days=290)
    )
    await hire(records, "olga", Role.MANAGER, "102", name="Olga Petrova", since=now - timedelta(days=290))
    await hire(records, "ivan", Role.MANAGER, "107", name="Ivan Petrov", since=now - timedelta(days=2))
    form = (await records.reviews.forms.offered())[0]
    for week in range(11, 0, -1):
        for _ in range(luck.randrange(1, 4)):
            for extension in ("101", "102"):
                call = talk(
                    extension,
                    at=now - timedelta(weeks=week, hours=luck.randrange(40)),
                    name=luck.choice(CLIENTS),
                )
                await keep(records, call)
                given = some_answers(luck, 4 - week // 3)
                await grade(
                    records, call, form, chief, given, extension=extension, feedback=luck.choice(WORDS)
                )
                if week < 5:
                    shifted = some_answers(luck, 1)
                    await grade(records, call, form, second, shifted, extension=extension)
    pick = await fill_queue(records, now, luck)
    newest = await records.reviews.grades.told(frozenset({"101"}), anna.id)
    for told in newest[3:]:
        await records.reviews.grades.mark_read(told.grade.id, anna.id)
    call = talk("102", at=now - timedelta(days=3))
    await keep(records, call)
    await records.reviews.picks.choose(call.id, "102", by="Mira Sato")
    await grade(records, call, form, second, some_answers(luck, 3), extension="102")
    return pick, anna


async def fill_queue(records: RecordsStore, now: datetime, luck: random.Random) -> UUID:
    """One call for every rule, and a few more."""
    for index in range(26):
        at = now - timedelta(hours=5 * index + 1)
        by, name = luck.choice(("101", "102", "107")), CLIENTS[index % 6]
        number = f"+7916000{1000 + index * 37:04}"
        match index % 6:
            case 0:
                await keep(records, talk(by, at=at, seconds=340, hold=200, number=number, name=name))
            case 1:
                await keep(records, talk(by, at=at, number=number, name=name), rating=1 + index % 2)
            case 2:
                await keep(
                    records, talk(by, at=at, seconds=200, number=number, name=name), measures=silence(47, 60)
                )
            case 3:
                await keep(
                    records, talk("107", at=at, seconds=90 + index, number=number, name=name, queue="support")
                )
            case 4:
                await keep(records, handed_over("101", "102", at=at))
            case _:
                await keep(records, talk(by, at=at, seconds=150 + 11 * index, number=number, name=name))
    await keep(records, missed(at=now - timedelta(days=20)), recorded=False)
    await keep(
        records,
        missed(at=now - timedelta(hours=8)),
        called_back("101", at=now - timedelta(hours=3, minutes=10)),
        recorded=False,
    )
    await records.reviews.picks.pick_now(now, thorough=True)
    found = await records.reviews.picks.queue(None)
    return next(one.id for one in found if one.call.holds and one.extension != "103")


async def enter(browser: Browser, address: str, login: str, size: str) -> Page:
    """A browser of that size, signed in."""
    width, height = SIZES[size]
    page = await (await browser.new_context(viewport={"width": width, "height": height})).new_page()
    page.on("pageerror", lambda error: print("page error:", error))
    page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]", timeout=20_000)
    return page


async def shoot(browser: Browser, address: str, folder: Path, pick: UUID, form: UUID, feedback: UUID) -> None:
    """Every page in every size; dark and right-to-left where the layout is rich."""
    pages = {
        "queue": "/review", "grade": f"/review/{pick}", "people": "/review/people", "person": "/review/people/101",
        "calibration": "/review/calibration", "forms": "/review/forms", "form": f"/review/forms/{form}",
        "rules": "/review/rules",
    }  # fmt: skip
    theirs = {"feedback": "/feedback", "feedback-one": f"/feedback/{feedback}"}
    for size in SIZES:
        for login, some in (("chief", pages), ("anna", theirs)):
            page = await enter(browser, address, login, size)
            for name, path in some.items():
                for theme, direction in (("light", "ltr"), ("dark", "ltr"), ("light", "rtl")):
                    if (theme, direction) != ("light", "ltr") and (
                        size == "1024" or name in ("forms", "people")
                    ):
                        continue
                    await page.goto(f"{address}{path}?theme={theme}&dir={direction}")
                    await page.wait_for_selector("html[data-live=yes]", timeout=20_000)
                    if name == "rules":
                        await page.wait_for_function(
                            "[...document.querySelectorAll('[data-preview]')].every(o => /seven days/.test(o.textContent))"
                        )
                    whole = size == "390" or name in ("form", "rules")
                    await page.screenshot(
                        path=folder / f"{name}-{size}-{theme}-{direction}.png", full_page=whole
                    )
            if login == "chief":
                await page.goto(f"{address}/review/forms/{form}")
                await page.click("button[value=preview]")
                await page.wait_for_selector("#h-preview")
                await page.screenshot(path=folder / f"form-preview-{size}.png", full_page=True)
            await page.context.close()


def own_directory() -> Path:
    """Where the database lies; an unprivileged server must get in."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-preview-"))
    directory.chmod(0o755)
    return directory


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    directory = own_directory()
    server = EmbeddedPostgres(directory, durable=False)
    try:
        async with open_records(await server.start()) as records:
            pick, anna = await fill(records, datetime.now(UTC))
            form = (await records.reviews.forms.offered())[0]
            newest = (await records.reviews.grades.told(frozenset({"101"}), anna.id))[1]
            settings = WebSettings(region="RU", debug=True)
            async with serving(records, settings) as address, async_playwright() as tool:
                browser = await tool.chromium.launch(executable_path=find_chromium(), args=FLAGS)
                await shoot(browser, address, folder, pick, form.form_id, newest.grade.id)
                await browser.close()
    finally:
        await server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="pages-"))))
