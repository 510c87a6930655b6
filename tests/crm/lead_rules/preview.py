"""`python -m tests.crm.lead_rules.preview [FOLDER]`: pages of lead rules and sources with a fictional office as pictures."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from telephony.lead_rules import Known, Making, Outcome, OwnerRule
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import answered, call, ended
from tests.crm.lead_rules.office import SALES, do, enter, line, person, rows, set_rules, take_in
from tests.reviews.serving import SETTINGS, serving
from tests.web.fakes import CHEAP
from tests.web.preview import CHROMIUM, FLAGS, SIZES

TRY = "/rules?what=%2B79160000012&line=&outcome=missed&phone=101#try"
PAGES = {"rules": "/rules", "edit": "/rules?edit=new", "try": TRY, "sources": "/sources"}
LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))


async def fill(records: RecordsStore) -> None:
    """A small office with a table of its own, a flood, a blocklist and two campaigns."""
    await records.accounts.create(
        login="admin",
        name="Mira Sato",
        role=Role.ADMINISTRATOR,
        password_hash=CHEAP.hash("correct horse"),
        extensions=(),
        pop=PopPreference.NEVER,
    )
    anna = await person(records, "Anna Belova", "101", team="Sales")
    await person(records, "Olga Petrova", "202", team="Sales")
    await enter(records, "Dream Tiles", "+79160000031", owner_id=anna)
    (stage,) = await rows(records, "SELECT id FROM stages WHERE name = 'In talks'")
    offer = {"known": Known.KNOWN_WITHOUT_OPEN_DEAL, "pipeline_id": SALES, "stage_id": stage["id"]}
    turns = {"owner": OwnerRule.TEAM_ROTA, "team": "Sales"}
    await set_rules(
        records,
        line(did="+74951000002", outcome=Outcome.MISSED, task="Call at once", task_minutes=30, **turns),
        line(outcome=Outcome.INBOUND_ANSWERED, known=Known.UNKNOWN),
        line(
            outcome=Outcome.MISSED,
            known=Known.UNKNOWN,
            owner=OwnerRule.FIRST_RUNG,
            task="Call back",
            task_minutes=60,
        ),
        line(Making.DEAL, outcome=Outcome.INBOUND_ANSWERED, **offer),
        line(outcome=Outcome.MISSED, did="+74951000002", known=Known.UNKNOWN),
        line(
            Making.NOTHING,
            outcome=Outcome.MISSED,
            known=Known.KNOWN,
            owner=OwnerRule.OWNER_OF_CONTACT,
            task="He called; call back",
            task_minutes=120,
        ),
    )
    await records.office.put("lead_rules", {"flood_most": 6}, by=None)
    now = datetime.now(UTC)
    for place in reversed(range(9)):
        facts = call(f"+7916000010{place}", started_at=now - timedelta(seconds=40 * place + 20))
        await take_in(records, ended(facts))
    await take_in(records, ended(answered(call("+79160000031", did="+74951000002", started_at=now))))
    await records.blocklist.add("+7 916 000-00-77", reason="Sells electricity every morning", by=None)
    await records.blocklist.add("+7495123*", reason="A call centre with many numbers", by=None)
    await do(records, "UPDATE blocklist SET calls = 12, last_at = now() WHERE pattern LIKE '%*'")
    await records.campaigns.add(name="Leaflet, spring", dids=["+74951000002", "+74951000003"])
    old = await records.campaigns.add(name="Exhibition", dids=["+74951000009"])
    await records.campaigns.end(old, ended=True)
    await records.rules.put(replace((await records.rules.all())[1], task=None), by=None)


async def shoot(browser: Browser, address: str, folder: Path) -> None:
    """Every page in every size and look."""
    for size, (width, height) in SIZES.items():
        context = await browser.new_context(viewport={"width": width, "height": height})
        page = await context.new_page()
        page.on("pageerror", lambda error: print("page error:", error))
        page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
        await page.goto(f"{address}/sign-in")
        await page.fill("[name=login]", "admin")
        await page.fill("[name=password]", "correct horse")
        await page.click("button.main")
        for name, path in PAGES.items():
            for theme, direction in LOOKS[: 1 if size == "1024" else 3]:
                plain, _hash, place = path.partition("#")
                joined = f"{plain}{'&' if '?' in plain else '?'}theme={theme}&dir={direction}"
                await page.goto(f"{address}{joined}" + (f"#{place}" if place else ""))
                wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if wide > 0:
                    print(f"{name} {size} {direction}: {wide} px wider than the screen")
                await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png", full_page=True)
        await context.close()


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    data = Path(tempfile.mkdtemp(prefix="switchhook-preview-"))
    data.chmod(0o755)  # noqa: ASYNC240 - an unprivileged server must get in
    server = EmbeddedPostgres(data, durable=False)
    try:
        async with open_records(await server.start()) as records:
            await fill(records)
            async with (
                serving(records, replace(SETTINGS, debug=True)) as address,
                async_playwright() as tool,
            ):
                browser = await tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                await shoot(browser, address, folder)
                await browser.close()
    finally:
        await server.stop()
        shutil.rmtree(data, ignore_errors=True)
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="pages-"))))
