"""Who may hear, list, look after and take away which recording, and that every refusal is written down."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from call_records.types import Account
from telephony.call_facts.facts import CallFacts
from telephony.recordings import AuditAction, HearScope, RecordingPolicy, RecordingRight
from telephony.staff import Directory, Person, PopPreference, Role
from tests.recordings.rights_fakes import STAFF, Hall, open_hall
from tests.web import office
from web.auth.access import Viewer
from web.auth.csrf_mask import unmask_token
from web.presenters.masking import View
from web.recordings.permissions import (
    extensions_heard,
    extensions_listed,
    may_hear,
    may_know_of,
    may_refile,
    reason_needed,
    took_part,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


def account(login: str) -> Account:
    """One of the office's people, without a database."""
    one = next(somebody for somebody in STAFF if somebody.login == login)
    return Account(
        uuid4(), login, login.title(), one.role, one.extensions, PopPreference.NEVER, "", True,
        datetime.now(UTC), one.team, one.hears, one.rights,
    )  # fmt: skip


DIRECTORY = Directory(
    tuple(Person(one.login, frozenset(one.extensions), one.team) for one in STAFF if one.extensions)
)

ANNAS = office.over(office.picked_up(office.ringing("101", "102"), "101"), 60)
MOVED = office.over(
    office.target_answers(
        office.transferred(office.picked_up(office.ringing("101"), "101"), "101", "201", 40), "201", 45
    ),
    90,
)
DIALLED = office.outgoing("102")
NOT_TAKEN = office.missed(office.ringing("101", "102"), 30)

HEARING: list[tuple[CallFacts | None, str]] = [
    # who of the office hears the recordings of this call
    (ANNAS, "anna mate chief"),  # boris' phone rang, they heard nothing of it
    (MOVED, "anna vera mate lead chief"),  # vera got it by a transfer
    (DIALLED, "boris mate chief"),
    (NOT_TAKEN, "chief"),
    (None, "chief"),  # a recording of no call that is known
]


@pytest.mark.parametrize(("call", "who"), HEARING)
def test_scopes(call: CallFacts | None, who: str) -> None:
    """Own is what one's phone talked in; team is the same for everybody of the team; a team without a name is nobody."""
    heard = {one.login for one in STAFF if may_hear(account(one.login), call, DIRECTORY)}
    assert heard == set(who.split())


def test_lists_and_single_recordings_agree() -> None:
    """Whatever is in somebody's list they may also open, and the other way round."""
    for one in STAFF:
        person = account(one.login)
        listed = extensions_listed(person, DIRECTORY)
        for call in (ANNAS, MOVED, DIALLED, NOT_TAKEN):
            found = listed is None or bool(listed & took_part(call))
            assert found == may_know_of(person, call, DIRECTORY), (one.login, call)


def test_an_administrator_knows_of_everything_and_hears_nothing() -> None:
    """Who looks after the machine need not hear customers."""
    admin = account("admin")
    assert extensions_heard(admin, DIRECTORY) == frozenset()
    assert may_know_of(admin, None, DIRECTORY)
    assert not may_hear(admin, ANNAS, DIRECTORY)


def test_only_who_hears_or_keeps_all_moves_recordings() -> None:
    """Giving a recording to another call decides who hears it."""
    assert {one.login for one in STAFF if may_refile(account(one.login))} == {"chief", "admin"}


@pytest.mark.parametrize(
    ("required", "login", "call", "needed"),
    [
        (True, "anna", ANNAS, False),
        (True, "chief", ANNAS, True),
        (True, "vera", MOVED, False),
        (True, "mate", ANNAS, True),
        (True, "boris", ANNAS, True),  # their phone only rang: it is not their own call
        (True, "chief", None, True),
        (False, "chief", ANNAS, False),
    ],
)
def test_a_reason_is_asked_for_calls_of_others(
    required: bool, login: str, call: CallFacts | None, needed: bool
) -> None:
    """The policy asks why before somebody hears a call that is not their own."""
    viewer = Viewer(account(login), None, "", View())
    assert reason_needed(RecordingPolicy(reason_required=required), viewer, call) is needed


def unmasked(page: str) -> str:
    """The page with its CSRF token as it is under the mask, which is another one in every answer."""
    return re.sub(r"\b[0-9a-f]{128}\b", lambda shown: unmask_token(shown[0]).hex(), page)


async def test_a_refusal_looks_like_nothing_and_is_written_down(hall: Hall) -> None:
    """Anna opens a recording of Boris': the same answer as for one that never was, and a line in the log."""
    async with hall.signed_in("anna") as anna:
        async with anna.http.get(f"/recordings/{hall.recordings['sold']}") as answer:
            refused = (answer.status, unmasked(await answer.text()))
        async with anna.http.get(f"/recordings/{uuid4()}") as answer:
            unknown = (answer.status, unmasked(await answer.text()))
        async with anna.http.get(f"/recordings/{hall.recordings['annas']}") as answer:
            assert answer.status == 200
    assert refused == unknown
    assert refused[0] == 404
    (line,) = await hall.log(action=AuditAction.REFUSED)
    assert (line.who, line.recording_id) == ("anna", hall.recordings["sold"])
    assert line.details == {"why": "scope"}
    assert line.address == "127.0.0.1"


async def test_a_team_changes_and_with_it_who_is_heard(hall: Hall) -> None:
    """Vera moves to sales: the sales colleague hears her calls from the next request on; her old lead does not."""
    path = f"/recordings/{hall.recordings['moved']}"
    async with hall.signed_in("lead") as lead, hall.signed_in("admin") as admin:
        async with lead.http.get(path) as answer:
            assert answer.status == 200
        form = {"name": "Vera", "login": "vera", "role": "manager", "extensions": "201", "active": "yes"}
        changed = await admin.send(f"/accounts/{hall.accounts['vera'].id}", **form, team="sales")
        assert changed == 303
        async with lead.http.get(path) as answer:
            assert answer.status == 404


async def test_a_missing_right_is_said_in_words(hall: Hall) -> None:
    """A supervisor may hear everything and delete nothing: 403, written down with what was missing."""
    async with hall.signed_in("chief") as chief:
        status = await chief.send(
            f"/recordings/{hall.recordings['annas']}/delete", why="no longer needed", name="x"
        )
    assert status == 403
    (line,) = await hall.log(action=AuditAction.REFUSED)
    assert line.details == {"why": RecordingRight.DELETE.value}
    assert await hall.store.shelf.size(hall.recordings["annas"]) is not None


async def test_nobody_widens_himself(hall: Hall) -> None:
    """A manager sends what an administrator's form sends, to their own account and to their own settings."""
    before = hall.accounts["anna"]
    wanted = {
        "hears": "all",
        "team": "support",
        "rights": "chosen",
        "right_delete": "yes",
        "role": "administrator",
    }
    async with hall.signed_in("anna") as anna:
        assert await anna.send(f"/accounts/{before.id}", name="Anna", login="anna", **wanted) == 403
        assert await anna.send("/settings/card", pop="on_ring", extensions="101 102", **wanted) == 303
    after = await hall.store.accounts.by_id(before.id)
    assert after is not None
    assert replace(after, pop=before.pop) == before


async def test_a_change_of_rights_is_written_down(hall: Hall) -> None:
    """What somebody could and what they can now, by whom; saving without a change writes nothing."""
    path = f"/accounts/{hall.accounts['boris'].id}"
    form = {"name": "Boris", "login": "boris", "role": "manager", "extensions": "102", "active": "yes"}
    same = {"team": "sales", "hears": "", "rights": ""}
    async with hall.signed_in("admin") as admin:
        assert await admin.send(path, **form, **same) == 303
        assert await hall.log(action=AuditAction.RIGHTS_CHANGED) == []
        wider = {"team": "sales", "hears": "all", "rights": "chosen", "right_download": "yes"}
        assert await admin.send(path, **form, **wider) == 303
        page = await admin.read(path)
    (line,) = await hall.log(action=AuditAction.RIGHTS_CHANGED)
    assert line.who == "admin"
    assert line.details["account"] == "boris"
    assert (line.details["before"]["hears"], line.details["after"]["hears"]) == ("own", "all")
    assert (line.details["before"]["rights"], line.details["after"]["rights"]) == ([], ["download"])
    kept = await hall.store.accounts.by_id(hall.accounts["boris"].id)
    assert kept is not None
    assert (kept.hears_chosen, kept.recording_rights) == (HearScope.ALL, {RecordingRight.DOWNLOAD})
    assert "As the role says: own calls" in page


async def test_the_role_decides_until_somebody_chooses(hall: Hall) -> None:
    """A form without the new fields (an old page that is still open) changes nothing of the rights."""
    path = f"/accounts/{hall.accounts['mate'].id}"
    form = {"name": "Mate", "login": "mate", "role": "manager", "extensions": "103", "active": "yes"}
    async with hall.signed_in("admin") as admin:
        assert await admin.send(path, **form) == 303
    kept = await hall.store.accounts.by_id(hall.accounts["mate"].id)
    assert kept is not None
    assert (kept.team, kept.hears_chosen, kept.role) == ("sales", HearScope.TEAM, Role.MANAGER)


async def test_no_path_of_the_phone_system_leaves_with_a_call(hall: Hall) -> None:
    """A call's facts name its files at the PBX; no page, no list and no stream passes them on."""
    call = hall.calls["annas"]
    hall.live.publish(replace(call, state=office.ringing("101").state, ended_at=None))
    paths = (f"/api/v1/calls/{call.id}", "/api/v1/calls", f"/calls/{call.id}", "/calls", "/live")
    for login in ("deaf", "anna", "admin"):
        async with hall.program(login) as http:
            for path in paths[:2]:
                async with http.get(path) as answer:
                    assert "secret" not in await answer.text(), (login, path)
            async with http.get("/api/v1/live") as answer:
                first = b""
                while b"snapshot" not in first:
                    first = await answer.content.readuntil(b"\n\n")
                assert str(call.id).encode() in first
                assert b"secret" not in first
        async with hall.signed_in(login) as person:
            for path in paths[2:]:
                assert "secret" not in await person.read(path), (login, path)
