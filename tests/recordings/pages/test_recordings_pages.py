"""The list, the exceptions, one recording and the rules, over a real database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import update

from call_records.recordings.tables import recordings
from telephony.recordings import AuditAction, HealthFault, RecordingPolicy, RecordingState
from tests.call_facts_builder import change
from tests.recordings.recording_builder import arrival
from tests.recordings.rights_fakes import Hall, bury, open_hall
from tests.web import office

pytestmark = pytest.mark.postgres


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


def shown(hall: Hall, page: str) -> set[str]:
    """Which recordings a page mentions, by their names here."""
    return {name for name, one in hall.recordings.items() if str(one) in page}


def playable(hall: Hall, page: str) -> set[str]:
    """Which of them have a button that plays."""
    found = set(re.findall(r'data-play="/recordings/([0-9a-f-]{36})/player"', page))
    return {name for name, one in hall.recordings.items() if str(one) in found}


LISTS = {
    # who finds what in the list, and what of it may be played
    "anna": ("annas moved", "annas moved"),
    "boris": ("sold", "sold"),
    "vera": ("moved", "moved"),
    "mate": ("annas moved sold", "annas moved sold"),
    "teamless": ("", ""),
    "lead": ("moved", "moved"),
    "chief": ("annas moved sold homeless", "annas moved sold homeless"),
    "admin": ("annas moved sold homeless", ""),
}


async def test_everybody_finds_his_own_scope(hall: Hall) -> None:
    """On the page and in the API: whose phones talked decides; an administrator sees all and hears none."""
    for login, (listed, heard) in LISTS.items():
        async with hall.signed_in(login) as person:
            page = await person.read("/recordings")
        assert shown(hall, page) == set(listed.split()), login
        assert playable(hall, page) == set(heard.split()), login
        async with hall.program(login) as http, http.get("/api/v1/recordings") as answer:
            told = (await answer.json())["recordings"]
        found = {name for name, one in hall.recordings.items() if str(one) in str(told)}
        assert found == set(heard.split()), login
        assert "secret" not in str(told)


async def test_who_hears_nobody_has_no_list(hall: Hall) -> None:
    """No entry in the navigation, no page, and an empty list for programs."""
    async with hall.signed_in("deaf") as deaf:
        assert 'href="/recordings"' not in await deaf.read("/calls")
        async with deaf.http.get("/recordings") as answer:
            assert answer.status == 403
    async with hall.program("deaf") as http, http.get("/api/v1/recordings") as answer:
        assert (await answer.json())["recordings"] == []


async def test_a_managers_navigation_stays_short(hall: Hall) -> None:
    """Six entries at most, what is under More apart; her recordings are a tab beside all calls."""
    async with hall.signed_in("anna") as anna:
        page = await anna.read("/recordings")
    navigation = page[page.index("<nav") : page.index("</nav>")]
    always_seen = re.sub(r"(?s)<details.*?</details>", "", navigation)
    assert len(re.findall(r"<a (?![^>]* hidden)", always_seen)) <= 6
    assert '<a href="/recordings" aria-current="page">' in page[page.index("</nav>") :]


FILTERS = {
    "person=101": "annas moved",
    "person=201": "moved",
    "direction=outbound": "sold",
    "number=0011": "annas",
    "number=%2B7+916+000+00+13": "sold",
    "from=2026-11-20&to=2026-11-20": "annas moved sold homeless",
    "from=2026-11-21": "",
    "length=60": "annas moved sold homeless",
    "length=300": "",
    "state=removed": "",
    "fault=silent": "moved",
    "tag=complaint": "sold",
    "person=101&direction=outbound": "",
}


async def test_filters(hall: Hall) -> None:
    """Each alone and two together; what was typed stays in the form."""
    await hall.store.retention.set_tags(hall.calls["sold"].id, ["complaint"])
    await change_row(hall, "moved", faults=[HealthFault.SILENT.value])
    async with hall.signed_in("chief") as chief:
        for query, expected in FILTERS.items():
            page = await chief.read(f"/recordings?{query}")
            assert shown(hall, page) == set(expected.split()), query
        assert "complaint" in await chief.read("/recordings?tag=complaint")
        assert "at least three digits" in await chief.read("/recordings?number=1")
        assert "is not a date" in await chief.read("/recordings?from=some+day")


async def test_a_filter_never_leaves_the_scope(hall: Hall) -> None:
    """Anna asks for Boris' recordings by their extension, their number, their day."""
    async with hall.signed_in("anna") as anna, hall.program("anna") as program:
        for query in ("person=102", "number=0013", "direction=outbound", "state=ready&person=102"):
            assert "sold" not in shown(hall, await anna.read(f"/recordings?{query}")), query
        async with program.get("/api/v1/recordings", params={"extension": "102"}) as answer:
            assert (await answer.json())["recordings"] == []


async def change_row(hall: Hall, name: str, **values: object) -> None:
    """Something became different in the database."""
    async with hall.store.engine.begin() as connection:
        await connection.execute(
            update(recordings).where(recordings.c.id == hall.recordings[name]).values(**values)
        )


async def test_a_tombstone_is_readable(hall: Hall) -> None:
    """Who removed it, when and why stands where it was; nothing can be played."""
    await bury(hall, "annas")
    async with hall.signed_in("anna") as anna:
        page = await anna.read("/recordings")
        assert "older than 365 days" in page
        assert playable(hall, page) == {"moved"}
        assert "older than 365 days" in await anna.read(f"/recordings/{hall.recordings['annas']}")


async def test_pages_of_the_list(hall: Hall) -> None:
    """More than fifty: the next page goes on where the first ended, nothing twice."""
    for number in range(52):
        await hall.store.catalogue.arrived(arrival(f"hq-17953{number:05}.1", content=str(number)))
    async with hall.signed_in("chief") as chief:
        first = await chief.read("/recordings")
        older = re.findall(r'href="(/recordings\?[^"]*cursor=[^"]+)"', first)
        second = await chief.read(older[0].replace("&amp;", "&"))
    ids = [
        set(re.findall(r'class="more-of" href="/recordings/([0-9a-f-]+)"', page)) for page in (first, second)
    ]
    assert [len(ids[0]), len(ids[1])] == [50, 6]
    assert not ids[0] & ids[1]


# -- exceptions --


async def failed(hall: Hall, name: str) -> None:
    await change_row(hall, name, state=RecordingState.FAILED.value, reason="The audio ends in the middle.")


async def test_what_somebody_should_look_at(hall: Hall) -> None:
    """A failed one first, with its reason and remedy; then the one without a call; healthy ones are not there."""
    await failed(hall, "annas")
    async with hall.signed_in("chief") as chief:
        page = await chief.read("/recordings/exceptions")
        assert shown(hall, page) == {"annas", "homeless"}
        assert page.index("The audio ends in the middle.") < page.index("Belongs to no call")
        assert "If it fails again" in page
        path = f"/recordings/{hall.recordings['annas']}/again"
        assert await chief.send(path, back="exceptions") == 303
        assert shown(hall, await chief.read("/recordings/exceptions")) == {"homeless"}
    found = await hall.store.recordings.one(hall.recordings["annas"])
    assert found is not None
    assert found.state is RecordingState.ARRIVED
    async with hall.signed_in("lead") as lead:  # of another team, and no recordings without a call
        assert shown(hall, await lead.read("/recordings/exceptions")) == set()


async def test_a_recording_finds_its_call(hall: Hall) -> None:
    """The nearest calls are offered, one is chosen; or the address of a call's page is pasted."""
    path = f"/recordings/{hall.recordings['homeless']}/refile"
    async with hall.signed_in("chief") as chief:
        form = await chief.read(path)
        assert str(hall.calls["annas"].id) in form  # it began at the same moment
        assert str(hall.calls["sold"].id) not in form
        assert str(hall.calls["sold"].id) in await chief.read(f"{path}?number=0013&day=2026-11-20")
        assert await chief.send(path, address="https://x.example/nothing") == 400
        pasted = f"{hall.address}/calls/{hall.calls['sold'].id}?x=1"
        assert await chief.send(path, address=pasted) == 303
    found = await hall.store.recordings.one(hall.recordings["homeless"])
    assert found is not None
    assert found.call_id == hall.calls["sold"].id
    (line,) = await hall.log(action=AuditAction.REFILED)
    assert line.details == {"from": "", "to": str(hall.calls["sold"].id)}


async def test_who_hears_a_team_moves_nothing(hall: Hall) -> None:
    """A lead would decide who hears it: 403, and written down."""
    path = f"/recordings/{hall.recordings['moved']}/refile"
    async with hall.signed_in("lead") as lead:
        assert await lead.send(path, call=str(hall.calls["sold"].id)) == 403
        async with lead.http.get(path) as answer:
            assert answer.status == 403
    assert [line.details["why"] for line in await hall.log(action=AuditAction.REFUSED)] == ["refile"] * 2


# -- holding and deleting --


async def test_a_hold_stands_against_everybody(hall: Hall) -> None:
    """A supervisor places it with a reason; even who may delete cannot, until it is lifted with a reason."""
    recording_id = hall.recordings["annas"]
    name = await name_of(hall, recording_id)
    path = f"/recordings/{recording_id}"
    async with hall.signed_in("chief") as chief, hall.signed_in("admin") as admin:
        assert await chief.send(f"{path}/hold", why=" ") == 400
        assert await chief.send(f"{path}/hold", why="lawsuit 17") == 303
        assert "lawsuit 17" in await chief.read(path)
        assert await admin.send(f"{path}/delete", why="cleaning up", name=name) == 400
        assert await hall.store.shelf.size(recording_id) is not None
        assert await admin.send(f"{path}/lift", why="settled") == 303
        assert await admin.send(f"{path}/delete", why="cleaning up", name=name) == 303
        page = await admin.read(path)
    assert "cleaning up" in page
    assert await hall.store.shelf.size(recording_id) is None
    told = [(line.action, line.who, line.reason) for line in await hall.log(recording_id=recording_id)]
    assert told == [
        (AuditAction.HOLD_PLACED, "chief", "lawsuit 17"),
        (AuditAction.HOLD_LIFTED, "admin", "settled"),
        (AuditAction.REMOVED, "admin", "cleaning up"),
    ]


async def name_of(hall: Hall, recording_id: UUID) -> str:
    found = await hall.store.recordings.one(recording_id)
    assert found is not None
    return found.name


async def test_deleting_needs_the_name_and_a_reason(hall: Hall) -> None:
    """For good: without the name as it is written, or without a reason, nothing happens and nothing is logged."""
    recording_id = hall.recordings["annas"]
    path = f"/recordings/{recording_id}/delete"
    async with hall.signed_in("admin") as admin:
        assert await admin.send(path, why="cleaning up", name="something else") == 400
        assert await admin.send(path, why="", name=await name_of(hall, recording_id)) == 400
    assert await hall.store.shelf.size(recording_id) is not None
    assert await hall.log(recording_id=recording_id) == []


async def test_managers_hold_nothing(hall: Hall) -> None:
    """Also not their own recordings."""
    async with hall.signed_in("anna") as anna:
        path = f"/recordings/{hall.recordings['annas']}"
        assert await anna.send(f"{path}/hold", why="because") == 403
        page = await anna.read(path)
    assert "/hold" not in page
    assert "/delete" not in page


# -- tags --


async def test_tags_of_a_call(hall: Hall) -> None:
    """A supervisor tags a call; the list shows it; the change is logged, because rules may go by it."""
    path = f"/calls/{hall.calls['moved'].id}/tags"
    async with hall.signed_in("lead") as lead, hall.signed_in("anna") as anna:
        assert await lead.send(path, tags=" Complaint,  VIP ,complaint") == 303
        assert await lead.send(f"/calls/{hall.calls['sold'].id}/tags", tags="x") == 404
        assert await anna.send(path, tags="") == 403
        assert 'class="tag">complaint<' in await anna.read("/recordings")
        assert await lead.send(path, tags="x" * 41) == 400
    assert list(await hall.store.retention.tags_of(hall.calls["moved"].id)) == ["complaint", "vip"]
    (line,) = await hall.log(action=AuditAction.RULES_CHANGED)
    assert line.call_id == hall.calls["moved"].id
    assert line.details == {"before": {"tags": []}, "after": {"tags": ["complaint", "vip"]}}


# -- rules --

FORM = {"keep": "365", "links": "14", "pbx": ""}


def rule(place: int, **different: str) -> dict[str, str]:
    """One row of the form."""
    plain = dict.fromkeys(("id", "direction", "number", "extension", "tag", "shorter", "days", "note"), "")
    return {f"rule-{place}-{name}": value for name, value in (plain | different).items()}


async def posted(hall: Hall, admin: object, **form: str) -> tuple[int, str]:
    from tests.web.conftest import Person

    assert isinstance(admin, Person)
    data = {"csrf": admin.csrf, **form}
    async with admin.http.post("/recordings/rules", data=data, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_rules_are_seen_before_they_are_saved(hall: Hall) -> None:
    """Nothing is saved by looking; what would be removed is counted, and that number is typed."""
    async with hall.signed_in("admin") as admin:
        await change_row(hall, "annas", listed_at=datetime.now(UTC) - timedelta(days=60))
        row = rule(0, direction="inbound", number="+7 916 000*", days="30", note="garden")
        status, page = await posted(hall, admin, **FORM, **row, do="save")
        assert status == 200
        assert "would remove 1 recording tonight" in page
        assert await hall.store.retention.rules() == []
        mark = re.findall(r'name="previewed" value="([^"]+)"', page)[0]
        status, page = await posted(hall, admin, **FORM, **row, do="save", previewed=mark, typed="")
        assert "type the number" in page
        other = row | {"rule-0-days": "1"}
        status, page = await posted(hall, admin, **FORM, **other, do="save", previewed=mark, typed="1")
        assert status == 200  # something else was seen
        assert await hall.store.retention.rules() == []
        status, page = await posted(hall, admin, **FORM, **row, do="save", previewed=mark, typed="1")
        assert status == 303
        page = await admin.read("/recordings/rules")
    (kept,) = await hall.store.retention.rules()
    assert (kept.number, kept.keep_days, kept.note) == ("+7916000*", 30, "garden")
    assert 'value="+7916000*"' in page
    (line,) = await hall.log(action=AuditAction.RULES_CHANGED)
    assert line.details["before"]["rules"] == []
    assert line.details["after"]["rules"] == ["Incoming, number +7916000*: kept 30 days"]


async def test_rules_move_and_go(hall: Hall) -> None:
    """Up, down, out, one more; what was typed into the others stays."""
    rows = rule(0, tag="one", days="1") | rule(1, tag="two", days="2") | rule(2, tag="three", days="3")

    async def order(act: str) -> list[str]:
        _status, page = await posted(hall, admin, **FORM, **rows, do=act)
        return re.findall(r'name="rule-\d+-tag"[^>]* value="(\w*)"', page)

    async with hall.signed_in("admin") as admin:
        assert await order("up-2") == ["one", "three", "two"]
        assert await order("down-0") == ["two", "one", "three"]
        assert await order("up-0") == ["one", "two", "three"]
        assert await order("drop-1") == ["one", "three"]
        assert await order("add") == ["one", "two", "three", ""]
        assert await order("drop-99") == ["one", "two", "three"]
        assert await order("drop-x") == ["one", "two", "three"]
    assert await hall.store.retention.rules() == []


WRONG = {
    "keep": "soon",
    "links": "0",
    "pbx": "-3",
    "rule-0-number": "8916",
    "rule-0-extension": "1",
    "rule-0-shorter": "0",
    "rule-0-days": "1e9",
}


@pytest.mark.parametrize("field", sorted(WRONG))
async def test_what_cannot_be_meant_is_said(hall: Hall, field: str) -> None:
    """Each field of the form, filled in wrongly: said at the top, what was typed stays, nothing is saved."""
    async with hall.signed_in("admin") as admin:
        form = FORM | rule(0, days="5") | {field: WRONG[field]}
        status, page = await posted(hall, admin, **form, do="save")
    assert status == 400
    assert 'role="alert"' in page
    assert f'value="{WRONG[field]}"' in page
    assert await hall.store.retention.policy() == RecordingPolicy()


async def test_the_policy_is_saved_whole(hall: Hall) -> None:
    """Every choice at once, as the office wants it from now on."""
    form = {"keep": "", "links": "3", "pbx": "7", "reason": "yes", "destroy": "yes"}
    async with hall.signed_in("admin") as admin:
        _status, page = await posted(hall, admin, **form, do="preview")
        assert "would remove no recording tonight" in page
        mark = re.findall(r'name="previewed" value="([^"]+)"', page)[0]
        status, page = await posted(hall, admin, **form, do="save", previewed=mark)
        assert status == 303
    chosen = await hall.store.retention.policy()
    assert chosen == RecordingPolicy(True, None, True, 3, 7)


async def test_a_call_that_only_rang_gives_nothing_to_list(hall: Hall) -> None:
    """A recording of a call nobody of ours took (a voicemail) is only for who hears all."""
    call = office.missed(office.ringing("101", number="+79160000099"), 20)
    await hall.store.journal.record([change(call, aliases=("hq-1795300001.5",))])
    receipt = await hall.store.catalogue.arrived(arrival("hq-1795300001.5", content="voicemail"))
    async with hall.signed_in("anna") as anna, hall.signed_in("chief") as chief:
        assert str(receipt.recording_id) not in await anna.read("/recordings")
        assert str(receipt.recording_id) in await chief.read("/recordings")
