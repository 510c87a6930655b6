"""The pages of lead rules and of sources, over a real store."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from telephony.lead_rules import Known, Making, Outcome, OwnerRule
from telephony.recordings import AuditAction
from telephony.staff import PopPreference, Role
from tests.crm.lead_rules.office import enter, line, person, rows, set_rules
from tests.reviews.serving import SETTINGS, serving, signed_in
from tests.web.conftest import Person
from tests.web.fakes import CHEAP

pytestmark = pytest.mark.postgres


@pytest.fixture
async def admin(records: RecordsStore) -> AsyncIterator[Person]:
    """An administrator at a browser."""
    await hire(records)
    async with serving(records) as address, signed_in(address, "admin") as one:
        yield one


async def hire(records: RecordsStore) -> None:
    """The administrator."""
    await records.accounts.create(
        login="admin",
        name="Mira Sato",
        role=Role.ADMINISTRATOR,
        password_hash=CHEAP.hash("correct horse"),
        extensions=(),
        pop=PopPreference.NEVER,
    )


def form_of(**different: str) -> dict[str, str]:
    """The editor's fields."""
    plain = {"outcome": "missed", "known": "unknown", "making": "lead", "owner": "first_rung", "did": ""}
    return plain | different


async def test_the_table_reads_like_sentences(records: RecordsStore, admin: Person) -> None:
    """Every line says when, who, on which number and what then; a line that is never reached is marked."""
    anna = await person(records, "Anna <b>Belova", "101")
    await set_rules(
        records,
        line(
            outcome=Outcome.MISSED, owner=OwnerRule.NAMED, owner_id=anna, task="Call back", task_minutes=120
        ),
        line(Making.DEAL, known=Known.KNOWN_WITHOUT_OPEN_DEAL, did="+74951000002"),
        line(outcome=Outcome.MISSED, known=Known.UNKNOWN, owner=OwnerRule.TEAM_ROTA, team="Sales"),
    )
    page = await admin.read("/rules")
    assert "A lead, for Anna &lt;b&gt;Belova. Task “Call back”, within 2 working hours." in page
    assert "8 (495) 100-00-02" in page
    assert "A deal, if none is open, for who answered." in page
    assert "A lead, for team Sales in turn." in page
    assert page.count("Never reached: line 1 takes all of these calls.") == 1


async def test_a_line_is_added_changed_moved_taken_out_and_undone(
    records: RecordsStore, admin: Person
) -> None:
    """Each a small form; the page offers to undo the last one; the audit log has every change in words."""
    logged_before = len(await records.audit.page(AuditFilter(action=AuditAction.RULES_CHANGED)))
    assert "Save line 5" in await admin.read("/rules?edit=new")
    assert (
        await admin.send("/rules/lines", **form_of(task="Call back", minutes="45", did="8 495 100-00-02"))
        == 303
    )
    added = (await records.rules.all())[-1]
    assert (added.task, added.task_minutes, added.did) == ("Call back", 45, "+74951000002")
    editing = await admin.read(f"/rules?edit={added.id}")
    assert re.search(r'name="minutes"[^>]*value="45"', editing)
    assert await admin.send("/rules/lines", **form_of(id=str(added.id), making="contact")) == 303
    changed = (await records.rules.all())[-1]
    assert (changed.id, changed.making, changed.task) == (added.id, Making.CONTACT, None)
    assert await admin.send(f"/rules/lines/{added.id}", act="up") == 303
    assert (await records.rules.all())[-2].id == added.id
    assert await admin.send(f"/rules/lines/{added.id}", act="remove") == 303
    assert len(await records.rules.all()) == 4
    assert "/rules/undo" in await admin.read("/rules?saved=table")
    assert await admin.send("/rules/undo") == 303
    assert len(await records.rules.all()) == 5
    logged = await records.audit.page(AuditFilter(action=AuditAction.RULES_CHANGED))
    assert len(logged) == logged_before + 5
    assert "any number: A contact, for whose phone rang first." in logged[0].details["after"][-2]


async def test_what_was_typed_comes_back_with_the_problem(records: RecordsStore, admin: Person) -> None:
    """Nobody was chosen, minutes are no number: a sentence, status 400, and the words are still in the form."""
    before = list(await records.rules.all())
    wrong = (
        (form_of(owner="named", task="Very important"), "names nobody"),
        (form_of(task="Very important", minutes="soon"), "number of working minutes"),
        (form_of(did="our line", task="Very important"), "not a number"),
    )
    for form, said in wrong:
        async with admin.http.post("/rules/lines", data={"csrf": admin.csrf, **form}) as answer:
            page = await answer.text()
            assert answer.status == 400
        assert said in page
        assert 'value="Very important"' in page
    assert await admin.send("/rules/limit", most="none") == 400
    assert await admin.send("/rules/blocklist", number="everybody", reason="x") == 400
    assert list(await records.rules.all()) == before
    assert await admin.send("/rules/lines", making="nonsense", outcome="nonsense") == 303


async def test_asking_what_would_happen(records: RecordsStore, admin: Person) -> None:
    """The answer names who it would be, the line, what is made, whose, until when, and where the call would be."""
    await person(records, "Anna Belova", "101")
    await enter(records, "Dream Tiles", "+79160000031")
    await set_rules(
        records,
        line(outcome=Outcome.ABANDONED),
        line(outcome=Outcome.MISSED, owner=OwnerRule.FIRST_RUNG, task="Call back", task_minutes=60),
    )
    asked = "/rules?what=8916%200000012&line=&outcome=missed&phone=101"
    page = await admin.read(asked)
    for said in (
        "Nobody in the book has this number.",
        "Line 2 of the table decides.",
        "A lead would be entered, for Anna Belova.",
        "Task “Call back” for Anna Belova, due ",
        "on the timeline of the new entry",
        "Nothing was written.",
    ):
        assert said in page
    known = await admin.read("/rules?what=%2B79160000031&outcome=missed")
    assert "Dream Tiles: the only entry with this number (phone)." in known
    assert "Nothing would be made: Dream Tiles is in the book already." in known
    assert "It is a short number" in await admin.read("/rules?what=900&outcome=missed")
    assert "No line of the table fits" in await admin.read(
        "/rules?what=89160000012&outcome=outbound_answered"
    )
    assert "not a number" in await admin.read("/rules?what=89160000012&outcome=missed&line=x")
    assert "Asking changes nothing" in await admin.read("/rules?what=89160000012&outcome=nonsense")
    assert await rows(records, "SELECT id FROM tasks") == []


async def test_numbers_are_blocked_and_unblocked(records: RecordsStore, admin: Person) -> None:
    """From this page or from a call's own; unblocking offers to block it again with the same words."""
    assert await admin.send("/rules/blocklist", number="8 916 000-00-77", reason="Sells <i>air") == 303
    page = await admin.read("/rules")
    assert "Sells &lt;i&gt;air" in page
    assert "Mira Sato" in page
    mark = re.findall(r'name="mark" value="(\w+)"', page)[0]
    data = {"csrf": admin.csrf, "mark": mark}
    async with admin.http.post("/rules/blocklist/remove", data=data, allow_redirects=False) as answer:
        where = answer.headers["location"]
    assert await records.blocklist.all() == []
    again = await admin.read(where.partition("#")[0])
    assert 'value="+79160000077"' in again
    assert "Block it again" in again
    assert await admin.send("/rules/blocklist/remove", mark="nonsense") == 303
    for back, leads_to in (
        ("/calls/abc", "/calls/abc"),
        ("//elsewhere.example", "/rules?saved=block#blocklist"),
    ):
        data = {"csrf": admin.csrf, "number": "+79160000078", "reason": "x", "back": back}
        async with admin.http.post("/rules/blocklist", data=data, allow_redirects=False) as answer:
            assert answer.headers["location"] == leads_to


async def test_the_limit_is_set(records: RecordsStore, admin: Person) -> None:
    """A number of the office's own."""
    assert await admin.send("/rules/limit", most="12") == 303
    assert await records.rules.flood_most() == 12
    assert 'name="most" required inputmode="numeric" maxlength="6" value="12"' in await admin.read("/rules")


async def test_numbers_are_masked_here_too(records: RecordsStore) -> None:
    """An office that masks numbers for everybody: the blocklist shows two digits, in its forms too."""
    await hire(records)
    await records.blocklist.add("+79160000077", reason="x", by=None)
    masking = replace(SETTINGS, mask_numbers_for=frozenset(Role))
    async with serving(records, masking) as address, signed_in(address, "admin") as person_:
        page = await person_.read("/rules")
        assert "9160000077" not in re.sub(r"\D", "", re.sub(r"<[^>]*>", "", page))
        assert "+79160000077" not in page
        mark = re.findall(r'name="mark" value="(\w+)"', page)[0]
        data = {"csrf": person_.csrf, "mark": mark}
        async with person_.http.post("/rules/blocklist/remove", data=data, allow_redirects=False) as answer:
            assert "77" not in answer.headers["location"]


async def test_campaigns_are_added_changed_ended_and_run_again(records: RecordsStore, admin: Person) -> None:
    """Numbers are ticked or written; a mistake keeps what was typed."""
    form = [
        ("csrf", admin.csrf),
        ("name", "Leaflet"),
        ("did", "+74951000002"),
        ("dids", "8 495 100-00-03\r\n"),
    ]
    async with admin.http.post("/sources/campaigns", data=form, allow_redirects=False) as answer:
        assert answer.status == 303
    (leaflet,) = await records.campaigns.all()
    assert leaflet.dids == ("+74951000002", "+74951000003")
    data = {"csrf": admin.csrf, "name": "Site", "dids": "+74951000002"}
    async with admin.http.post("/sources/campaigns", data=data) as answer:
        page = await answer.text()
        assert answer.status == 400
    assert "stands for the campaign “Leaflet”" in page
    assert 'value="Site"' in page
    path = f"/sources/campaigns/{leaflet.id}"
    assert await admin.send(path, name="Leaflet & more", dids="+74951000002") == 303
    assert "Leaflet &amp; more" in await admin.read("/sources")
    assert await admin.send(f"{path}/end", ended="yes") == 303
    assert "Run again" in await admin.read("/sources?saved=ended")
    assert await admin.send(f"{path}/end", ended="no") == 303
    assert (await records.campaigns.all())[0].ended_at is None
