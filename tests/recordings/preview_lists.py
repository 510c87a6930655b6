"""`python -m tests.recordings.preview_lists [FOLDER]`: the list, the exceptions, one recording, the rules, the audit log
and a shared link of a fictional office, as pictures in the usual sizes.

Needs a PostgreSQL to be found on this machine, as the tests do.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from playwright.async_api import Browser, Page, async_playwright
from sqlalchemy import update

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.tables import recordings
from call_records.recordings.types import RetentionRule
from call_records.store import RecordsStore, open_records
from telephony.call_facts.facts import CallFacts, Direction
from telephony.recordings import AuditAction, HealthFault, HearScope, RecordingState
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.recordings.recording_builder import arrival, outcome
from tests.web import office
from tests.web.fakes import CHEAP, FakeLive, cheap_passwords
from tests.web.preview import CHROMIUM, FLAGS, SIZES
from web.app import create_app
from web.auth.access import token_hash
from web.http.server import serve
from web.settings import WebSettings

LOOKS = (("light", "ltr"), ("dark", "ltr"), ("light", "rtl"))
TOKEN = "p" * 43
NAMES = ("Fictional Garden Ltd", None, "Imagined Bakery", None, "Nowhere Travel", "Dream Tiles", "Żółta Łódź")


async def fill(store: RecordsStore, folder: Path) -> dict[str, UUID]:
    """Believable recordings: most are well, a few are not; returns those the pictures need."""
    people = {
        "anna": ("Anna Belova", Role.MANAGER, ("101",), "Sales"),
        "petrova": ("Olga Petrova", Role.MANAGER, ("202",), "Sales"),
        "chief": ("Jan Kowalski", Role.SUPERVISOR, ("103",), None),
        "admin": ("Mira Sato", Role.ADMINISTRATOR, (), None),
    }
    accounts = {}
    for login, (name, role, phones, team) in people.items():
        made = await store.accounts.create(
            login=login, name=name, role=role, password_hash=CHEAP.hash("correct horse"), extensions=phones,
            pop=PopPreference.NEVER,
        )  # fmt: skip
        hears = (
            HearScope.ALL if role is Role.ADMINISTRATOR else None
        )  # so that its pictures show the buttons too
        accounts[login] = await store.accounts.update(replace(made, team=team, hears_chosen=hears))
    for extension, name in (("555", "Warehouse"), ("105", "Tomas Varga"), ("106", "Leila Haddad")):
        await store.staff.put_person(name=name, extensions=[extension], team="Support")
    (folder / "sound").mkdir()
    sound = folder / "sound" / "a.m4a"
    sound.write_bytes(b"no sound")
    chance, now, ids, calls = random.Random(7), datetime.now(UTC), list[UUID](), list[UUID]()
    for index in range(64):
        facts = _call(index, now - timedelta(minutes=19 * index + 12))
        uniqueid = f"hq-17953{index:05}.{index}"
        await store.journal.record(
            [change(replace(facts, recordings=(f"{uniqueid}.wav",)), aliases=(uniqueid,), trace=False)]
        )
        receipt = await store.catalogue.arrived(arrival(uniqueid, content=str(index)))
        faults = {5: (HealthFault.OUTSIDE_SILENT,), 11: (HealthFault.CLIPPED, HealthFault.TRUNCATED)}
        length = facts.talk_seconds or chance.uniform(20, 900)
        done = outcome(duration_seconds=length, faults=faults.get(index, ()))
        await store.catalogue.processed(
            receipt.recording_id, done, facts.answered_at or facts.started_at, None
        )
        await store.shelf.keep(receipt.recording_id, sound)
        ids.append(receipt.recording_id)
        calls.append(facts.id)
        if index in (2, 9, 14):
            await store.retention.set_tags(facts.id, ["complaint"] if index != 9 else ["vip", "claim 4711"])
    await _odd(store, ids)
    await store.retention.place_hold(
        ids[3], by="Jan Kowalski", why="Dispute with Fictional Garden, letter of 12 Nov"
    )
    await store.retention.remove(ids[8], by="Mira Sato", why="The client asked for it on 18 Nov")
    await _rules(store)
    await store.links.make(
        recording_id=ids[3], token_hash=token_hash(TOKEN), from_seconds=None, to_seconds=None,
        made_by=accounts["chief"].id, expires_at=now + timedelta(days=6),
    )  # fmt: skip
    await _log(store, ids, calls, accounts["chief"].id)
    homeless = await store.catalogue.arrived(arrival("hq-1795399999.1", content="nobody's"))
    await store.catalogue.processed(homeless.recording_id, outcome(), now - timedelta(minutes=40), None)
    return {"one": ids[3], "removed": ids[8], "homeless": homeless.recording_id}


def _call(index: int, begin: datetime) -> CallFacts:
    number = f"+7916000{1000 + index * 37 % 900:04}"
    ring = office.ringing("101", "105", "106", number=number, name=NAMES[index % 7], begin=begin)
    match index % 6:
        case 0:
            call = office.transferred(office.picked_up(ring, "101", 7), "101", "555", 95)
            return office.over(office.target_answers(call, "555", 101), 260 + index)
        case 2:
            return office.outgoing("202", number, begin=begin, talk=90 + 13 * index)
        case 4:
            call = office.ringing("106", number="105", begin=begin, direction=Direction.INTERNAL)
            return office.over(office.picked_up(call, "106", 4), 70)
        case _:
            return office.over(office.picked_up(ring, ("105", "106", "101")[index % 3], 4), 60 + 31 * index)


async def _odd(store: RecordsStore, ids: list[UUID]) -> None:
    """What somebody should look at."""
    said = {
        1: (RecordingState.ARRIVED, None),
        6: (RecordingState.FAILED, "The audio ends in the middle of a frame."),
        17: (RecordingState.LOST, "No file came within 30 minutes after the call."),
        23: (RecordingState.REFUSED, "The file is 44 bytes of text, not audio."),
    }
    async with store.engine.begin() as connection:
        for index, (state, reason) in said.items():
            changed = update(recordings).where(recordings.c.id == ids[index])
            await connection.execute(changed.values(state=state.value, reason=reason))


async def _rules(store: RecordsStore) -> None:
    plain = RetentionRule(uuid4(), 0, None, None, None, None, None, None, "")
    await store.retention.put_rules(
        [
            replace(plain, id=uuid4(), tag="claim 4711", note="until the case is closed"),
            replace(
                plain, id=uuid4(), direction=Direction.INTERNAL, keep_days=14, note="works council, 2024"
            ),
            replace(plain, id=uuid4(), number="+7916000*", shorter_than_seconds=10.0, keep_days=30),
        ]
    )


async def _log(store: RecordsStore, ids: list[UUID], calls: list[UUID], chief: UUID) -> None:
    """A morning's use."""
    here = {"address": "192.0.2.17", "browser": "Firefox on Windows"}
    for index in range(40):
        who = ("chief", "anna", "petrova")[index % 3]
        one = {"recording_id": ids[index % 13], "call_id": calls[index % 13]}
        await store.audit.write(AuditAction.OPENED, who=who, **one, **here)
        seconds = 11.0 + 17 * index
        await store.audit.write(AuditAction.HEARD, who=who, **one, seconds=seconds, **here)
    why = {"reason": "complaint 4711, asked by Mira"}
    await store.audit.write(
        AuditAction.OPENED, who="chief", recording_id=ids[3], account_id=chief, **why, **here
    )
    await store.audit.write(AuditAction.HEARD, who="chief", recording_id=ids[3], seconds=412.0, **here)
    refused = {"details": {"why": "scope"}}
    await store.audit.write(AuditAction.REFUSED, who="anna", recording_id=ids[5], **refused, **here)
    changed = {
        "account": "petrova",
        "before": {"hears": "own", "rights": []},
        "after": {"hears": "team", "rights": ["download"]},
    }
    await store.audit.write(AuditAction.RIGHTS_CHANGED, who="admin", details=changed, **here)
    opened = {"link": str(uuid4()), "made by": "Jan Kowalski", "part": "sound"}
    await store.audit.write(
        AuditAction.LINK_OPENED, who="A link", recording_id=ids[3], address="198.51.100.4",
        browser="Safari on iPhone", details=opened,
    )  # fmt: skip


async def enter(browser: Browser, address: str, login: str, size: tuple[int, int]) -> Page:
    """Somebody signed in at a screen of that size."""
    width, height = size
    page = await (await browser.new_context(viewport={"width": width, "height": height})).new_page()
    page.on("pageerror", lambda error: print("page error:", error))
    page.on("console", lambda said: print("console:", said.text) if said.type == "error" else None)
    await page.goto(f"{address}/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live=yes]", timeout=10_000)
    return page


async def shoot(browser: Browser, address: str, folder: Path, ids: dict[str, UUID]) -> None:
    """Every page in every size; the looks where they differ."""
    pages = {
        "recordings": "/recordings", "exceptions": "/recordings/exceptions", "rules": "/recordings/rules",
        "recording": f"/recordings/{ids['one']}", "removed": f"/recordings/{ids['removed']}",
        "refile": f"/recordings/{ids['homeless']}/refile", "audit": "/audit", "account": "/accounts",
    }  # fmt: skip
    for size, area in SIZES.items():
        page = await enter(browser, address, "admin", area)
        for name, path in pages.items():
            for theme, direction in LOOKS:
                if (theme, direction) != ("light", "ltr") and (
                    size == "1024" or name in ("removed", "refile")
                ):
                    continue
                await page.goto(f"{address}{path}?theme={theme}&dir={direction}")
                if name == "account":
                    await page.click("td a >> nth=0")
                await page.wait_for_selector("html[data-live=yes]", timeout=10_000)
                await page.screenshot(path=folder / f"{name}-{size}-{theme}-{direction}.png")
        await page.goto(f"{address}/recordings/rules")
        await page.click("button:has-text('See what they would do') >> nth=-1")
        await page.wait_for_selector(".preview")
        await page.screenshot(path=folder / f"rules-{size}-preview.png", full_page=True)
        await page.goto(f"{address}/listen/{TOKEN}")
        await page.screenshot(path=folder / f"listen-{size}.png")
        await page.context.close()
        manager = await enter(browser, address, "anna", area)
        await manager.goto(f"{address}/recordings")
        await manager.screenshot(path=folder / f"manager-{size}.png")
        await manager.context.close()


async def main(folder: Path) -> None:
    """Serve, look, stop."""
    with tempfile.TemporaryDirectory(prefix="preview-") as kept:
        home = Path(kept)
        os.chmod(home, 0o755)  # the embedded server runs as somebody else
        server = EmbeddedPostgres(home, durable=False)
        url = await server.start()
        try:
            async with open_records(url, audio=AudioSettings(home / "audio")) as store:
                ids = await fill(store, home)
                settings = WebSettings(region="RU", debug=True, office_name="Switchhook")
                app = create_app(store, FakeLive(), settings, passwords=cheap_passwords())
                stop = asyncio.Event()
                port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
                serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
                address = f"http://127.0.0.1:{await port}"
                async with async_playwright() as tool:
                    browser = await tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                    await shoot(browser, address, folder, ids)
                    await browser.close()
                stop.set()
                await serving
        finally:
            await server.stop()
    print(folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="pages-"))))
