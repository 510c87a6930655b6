"""`python -m tests.crm.preview_missed [FOLDER]`: missed calls and working hours of a fictional office, as pictures."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from playwright.async_api import Browser, async_playwright
from sqlalchemy import insert, update

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.missed_calls.types import Asker, MissedFilter
from call_records.crm.steps import steps_for
from call_records.crm.tables import clients, missed
from call_records.crm.writes import Home
from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from telephony.call_facts.facts import CallFacts, Disposition, Leg, QueueVisit
from telephony.hours import WorkingHours
from telephony.missed_calls import GaveUpReason
from telephony.staff import PopPreference, Role
from tests.browser_fixtures import FLAGS, find_chromium
from tests.call_facts_builder import answered, call, change, ended, outbound
from tests.reviews.serving import serving
from tests.web.fakes import CHEAP
from web.settings import WebSettings

SIZES = {"1440": (1440, 900), "1024": (1024, 768), "390": (390, 844)}
LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))
NAMES = (
    "Fictional Garden Ltd",
    None,
    "Imagined Bakery",
    None,
    "Żółta Łódź",
    None,
    "Dream Tiles & Bathrooms of the North",
)


async def fill(store: RecordsStore, now: datetime) -> None:
    """A busy Monday after a weekend."""
    people: dict[str, UUID] = {}
    team = {"anna": "Sales", "olga": "Sales", "chief": None, "admin": None}
    roles = {"chief": Role.SUPERVISOR, "admin": Role.ADMINISTRATOR}
    names = {"anna": "Anna Belova", "olga": "Olga Petrova", "chief": "Jan Kowalski", "admin": "Mira Sato"}
    for place, login in enumerate(names):
        made = await store.accounts.create(
            login=login,
            name=names[login],
            role=roles.get(login, Role.MANAGER),
            password_hash=CHEAP.hash("correct horse"),
            extensions=(str(101 + place),),
            pop=PopPreference.NEVER,
        )
        people[login] = (await store.accounts.update(replace(made, team=team[login]))).id
    await store.staff.put_person(name="Warehouse", extensions=["555"])
    always = tuple((day, time(0), time(0)) for day in range(7))
    await store.missed.set_hours(WorkingHours("UTC", always), by=people["admin"])
    keeper = Bookkeeper(store.engine, steps_for(Home()))
    for facts in _calls(now):
        await store.journal.record([change(facts, trace=False)])
    while await keeper.take_some():
        pass
    await _clients(store)
    await store.missed.look_at_the_clock(now)
    asker = Asker(people["anna"], None, "Sales", supervises=False)
    owed = (await store.missed.page(MissedFilter(), asker)).entries
    anna = await store.accounts.by_id(people["anna"])
    assert anna is not None
    await store.missed.claim(owed[2].id, by=anna.id, person_id=anna.person_id)
    await store.missed.give_up(owed[4].id, reason=GaveUpReason.SPAM, text="robot, offers loans", by=anna.id)


def _calls(now: datetime) -> list[CallFacts]:
    told: list[CallFacts] = []
    for place in range(22):
        number = f"+7916000{1000 + place * 37:04}" if place % 9 else None
        at = now - timedelta(minutes=11 + place * place * 9)
        for again in range(1 + (place % 3 == 1) * 2):
            told.append(_missed(number, at + timedelta(minutes=again), place))
        if place % 5 == 3 and number:
            told.append(_tried(number, at + timedelta(minutes=6)))
        if place % 7 == 6 and number:
            told.append(_talked(number, at + timedelta(minutes=9), "555" if place % 2 else "102"))
    return told


def _missed(number: str | None, at: datetime, place: int) -> CallFacts:
    facts = call(number, to=("101", "102", "555")[place % 3], started_at=at)
    name = NAMES[place % len(NAMES)]
    facts = replace(facts, caller=replace(facts.caller, name=name))
    queue = QueueVisit("support", 40.0, ("101", "102"), None, at)
    match place % 4:
        case 0:
            return ended(
                replace(facts, disposition=Disposition.ABANDONED, legs=facts.legs[:1]), after_seconds=21
            )
        case 1:
            return ended(replace(facts, queue=queue, disposition=Disposition.ABANDONED), after_seconds=75)
        case _:
            rang = tuple(replace(one, rang_at=at) for one in facts.legs)
            return ended(replace(facts, legs=rang), after_seconds=24 + place)


def _tried(number: str, at: datetime) -> CallFacts:
    facts = outbound(number, by="555", started_at=at)
    return ended(replace(facts, disposition=Disposition.NO_ANSWER), after_seconds=25)


def _talked(number: str, at: datetime, by: str) -> CallFacts:
    facts = answered(outbound(number, by=by, started_at=at), by=number)

    def spoke(one: Leg) -> Leg:
        return replace(one, answered_at=facts.answered_at, talk_seconds=60.0)

    return ended(replace(facts, legs=tuple(map(spoke, facts.legs)), talk_seconds=60.0))


async def _clients(store: RecordsStore) -> None:
    """Three of the callers are in the book."""
    async with store.engine.begin() as connection:
        for place, name in ((1, "Ivan Sidorov"), (2, "Fictional Garden Ltd"), (5, "Maria Kowalska-Nowak")):
            one = uuid4()
            number = f"+7916000{1000 + place * 37:04}"
            kind = "company" if "Ltd" in name else "contact"
            await connection.execute(
                insert(clients).values(id=one, kind=kind, name=name, source="hand", search=name)
            )
            await connection.execute(update(missed).where(missed.c.number == number).values(client_id=one))


async def main(folder: Path, place: Path) -> None:
    """Fill a database, serve it, look at it."""
    server = EmbeddedPostgres(place, durable=False)
    try:
        async with open_records(await server.start()) as store, async_playwright() as play:
            await fill(store, datetime.now(UTC))
            settings = WebSettings(region="RU", debug=True, mask_numbers_for=frozenset())
            browser = await play.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
            async with serving(store, settings) as address:
                await look(browser, address, folder)
            await browser.close()
    finally:
        await server.stop()


async def look(browser: Browser, address: str, folder: Path) -> None:
    """Each page in each size and look."""
    pages = {"missed": "/missed?period=all", "settled": "/missed?settled=yes&period=all", "hours": "/hours"}
    for login in ("admin",):
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto(f"{address}/sign-in")
        await page.fill('input[name="login"]', login)
        await page.fill('input[name="password"]', "correct horse")
        await page.click('form button[type="submit"]')
        await page.wait_for_load_state()
        for name, path in pages.items():
            for size, (width, height) in SIZES.items():
                await page.set_viewport_size({"width": width, "height": height})
                for theme, direction in LOOKS:
                    if size == "1024" and (theme, direction) != LOOKS[0]:
                        continue
                    joined = "&" if "?" in path else "?"
                    await page.goto(f"{address}{path}{joined}theme={theme}&dir={direction}")
                    await page.wait_for_timeout(250)
                    wide = await page.evaluate("document.documentElement.scrollWidth")
                    print(name, size, theme, direction, "width", wide)
                    await page.screenshot(path=str(folder / f"{name}-{size}-{theme}-{direction}.png"))
        await page.set_viewport_size({"width": 1440, "height": 900})
        await page.goto(f"{address}/missed?period=all")
        await page.click(".missed-row:nth-child(3) summary")
        await page.screenshot(path=str(folder / "missed-open.png"))
        await context.close()


if __name__ == "__main__":
    pictures = Path(sys.argv[1] if len(sys.argv) > 1 else "preview")
    pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="switchhook-preview-") as made:
        Path(made).chmod(0o755)
        asyncio.run(main(pictures, Path(made)))
