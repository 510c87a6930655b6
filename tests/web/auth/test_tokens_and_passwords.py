"""What a token opens and when it ends, and the password that somebody else has seen."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import aiohttp
import pytest

from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from telephony.recordings import AuditAction
from telephony.staff import PopPreference, Role, TokenScope
from tests.web.auth.test_access import MATRIX, NAUGHT
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import CHEAP
from tests.web.kept import serving
from web.auth.access import new_token

PASSWORD = "correct horse"

READ, WRITE = TokenScope.READ_CALLS, TokenScope.WRITE_CALLS
HEAR, EDIT = TokenScope.READ_RECORDINGS, TokenScope.WRITE_RECORDINGS

SCOPES: dict[tuple[str, str], TokenScope | None] = {
    ("GET", "/api/v1/openapi.json"): READ,
    ("GET", "/api/v1/session"): None,
    ("GET", "/api/v1/calls"): READ,
    ("GET", "/api/v1/calls/{call_id}"): READ,
    ("PUT", "/api/v1/calls/{call_id}/note"): WRITE,
    ("GET", "/api/v1/calls/{call_id}/card"): READ,
    ("GET", "/api/v1/calls/{call_id}/who"): None,
    ("PUT", "/api/v1/calls/{call_id}/who"): None,
    ("POST", "/api/v1/calls/{call_id}/contact"): None,
    ("POST", "/api/v1/calls/{call_id}/contact/undo"): None,
    ("GET", "/api/v1/calls/{call_id}/people"): None,
    ("GET", "/api/v1/calls/{call_id}/capture"): READ,
    ("GET", "/api/v1/live"): READ,
    ("GET", "/api/v1/recordings"): HEAR,
    ("GET", "/api/v1/recordings/{recording_id}"): HEAR,
    ("GET", "/api/v1/recordings/{recording_id}/audio"): HEAR,
    ("POST", "/api/v1/recordings/{recording_id}/reason"): HEAR,
    ("GET", "/api/v1/recordings/{recording_id}/comments"): HEAR,
    ("POST", "/api/v1/recordings/{recording_id}/comments"): EDIT,
    ("PUT", "/api/v1/recordings/{recording_id}/comments/{comment_id}"): EDIT,
    ("GET", "/api/v1/recordings/{recording_id}/links"): HEAR,
    ("POST", "/api/v1/recordings/{recording_id}/links"): EDIT,
    ("DELETE", "/api/v1/recordings/{recording_id}/links/{link_id}"): EDIT,
    ("POST", "/api/v1/recordings/{recording_id}/redactions"): EDIT,
    ("DELETE", "/api/v1/recordings/{recording_id}/redactions/{redaction_id}"): EDIT,
    ("POST", "/api/v1/calls/{call_id}/recording/pause"): WRITE,
    ("POST", "/api/v1/calls/{call_id}/recording/resume"): WRITE,
}
"""What a program needs for each address; None: no token opens it, it is the card's own."""


def test_every_address_of_the_api_says_which_scope_it_needs() -> None:
    """Somebody adds an address that programs reach: it must say here by which token. A PBX's uploads have their own."""
    guarded = {
        door
        for door, who in MATRIX.items()
        if door[1].startswith("/api/v1/") and who not in ("open", "nobody")
    }
    assert set(SCOPES) == guarded


async def _account(records: RecordsStore, login: str, role: Role, *, temporary: bool = False) -> object:
    return await records.accounts.create(
        login=login,
        name=login.title(),
        role=role,
        password_hash=CHEAP.hash(PASSWORD),
        extensions=(),
        pop=PopPreference.ON_RING,
        password_temporary=temporary,
    )


@pytest.mark.postgres
async def test_a_token_opens_what_its_scope_says(records: RecordsStore) -> None:
    """Every address of the API by tokens with one scope each, and by one without any."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    boss = await records.accounts.by_login("boss")
    assert boss is not None
    async with serving(records, SETTINGS) as address:
        for scopes in (*(frozenset({one}) for one in TokenScope), frozenset[TokenScope]()):
            token, hashed = new_token()
            await records.tokens.create(account_id=boss.id, name="x", token_hash=hashed, scopes=scopes)
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(address, headers=headers) as http:
                for (method, pattern), needed in SCOPES.items():
                    path = re.sub(r"\{\w+\}", NAUGHT, pattern)
                    async with http.request(method, path, allow_redirects=False) as answer:
                        told = answer.status
                        said = "" if told < 400 else (await answer.json()).get("detail", "")
                    refused = told in (401, 403)
                    assert refused == (needed not in scopes), (method, path, scopes, told, said)
                    if refused and needed is not None:
                        assert str(needed) in said  # tells what to tick


@pytest.fixture
async def temporary(records: RecordsStore) -> AsyncIterator[str]:
    await _account(records, "boss", Role.ADMINISTRATOR)
    await _account(records, "anna", Role.ADMINISTRATOR, temporary=True)
    async with serving(records, SETTINGS) as address:
        yield address


@pytest.mark.postgres
async def test_a_password_that_somebody_else_knows_opens_nothing(temporary: str) -> None:
    """An administrator resets Anna's password and signs in with it: every address leads to choosing another."""
    async with aiohttp.ClientSession(temporary, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        form = {"login": "anna", "password": PASSWORD}
        async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
            assert answer.headers["location"] == "/new-password"
        page = await Person(http).read("/new-password")
        csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', page)[0]
        for (method, pattern), who in MATRIX.items():
            if who in ("open", "nobody") or pattern in ("/new-password", "/sign-out"):
                continue
            path = re.sub(r"\{\w+\}", NAUGHT, pattern)
            async with http.request(
                method, path, headers={"X-CSRF-Token": csrf}, allow_redirects=False
            ) as answer:
                if pattern.startswith("/api/"):
                    assert answer.status in (401, 403), (method, path)
                else:
                    assert (answer.status, answer.headers.get("location")) == (303, "/new-password"), path


@pytest.mark.postgres
async def test_the_new_password_must_be_another_one(temporary: str, records: RecordsStore) -> None:
    """The one that was given is refused; after another one everything opens and the old one does not."""
    async with aiohttp.ClientSession(temporary, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        anna = Person(http)
        async with http.post("/sign-in", data={"login": "anna", "password": PASSWORD}) as answer:
            anna.csrf = re.findall(r'name="csrf" value="([0-9a-f]+)"', await answer.text())[0]
        assert await anna.send("/new-password", new=PASSWORD) == 400
        assert await anna.send("/new-password", new="short") == 400
        assert await anna.send("/new-password", new="a heron at noon") == 303
        async with http.get("/live", allow_redirects=False) as answer:
            assert answer.status == 200
    async with aiohttp.ClientSession(temporary, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        assert await Person(http).sign_in("anna") == 401
        assert await Person(http).sign_in("anna", "a heron at noon") == 303
    kept = await records.accounts.by_login("anna")
    assert kept is not None
    assert not kept.password_temporary


@pytest.mark.postgres
async def test_a_reset_ends_tokens_and_sessions_and_is_in_the_log(records: RecordsStore) -> None:
    """The administrator resets Anna: her program is out, her browser is out, and the log names both of them."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    await _account(records, "anna", Role.MANAGER)
    anna = await records.accounts.by_login("anna")
    assert anna is not None
    token, hashed = new_token()
    await records.tokens.create(account_id=anna.id, name="sync", token_hash=hashed)
    bearer = {"Authorization": f"Bearer {token}"}
    async with serving(records, SETTINGS) as address:
        jars = [aiohttp.CookieJar(unsafe=True) for _one in range(2)]
        async with (
            aiohttp.ClientSession(address, cookie_jar=jars[0]) as hers,
            aiohttp.ClientSession(address, cookie_jar=jars[1]) as his,
        ):
            person, boss = Person(hers), Person(his)
            assert await person.sign_in("anna") == await boss.sign_in("boss") == 303
            assert "sync" in await boss.read(f"/accounts/{anna.id}")  # an administrator sees tokens
            async with his.get("/api/v1/calls", headers=bearer) as answer:
                assert answer.status == 200
            async with his.post(
                f"/accounts/{anna.id}/password", data={"csrf": boss.csrf}, allow_redirects=False
            ) as answer:
                assert answer.status == 200
                given = re.findall(r'class="copyable">([0-9a-f-]+)<', await answer.text())[0]
            async with (
                aiohttp.ClientSession(address) as program,
                program.get("/api/v1/calls", headers=bearer) as answer,
            ):
                assert answer.status == 401
            async with hers.get("/live", allow_redirects=False) as answer:
                assert answer.headers["location"].startswith("/sign-in")
            assert await person.sign_in("anna", "wrong") == 401
            async with hers.post(
                "/sign-in", data={"login": "anna", "password": given}, allow_redirects=False
            ) as answer:
                assert answer.headers["location"] == "/new-password"
            page = await boss.read("/audit")
    for said in ("Reset a password", "Signed in", "Sign-in was refused", "Anna", "Boss"):
        assert said in page, said
    (reset,) = await records.audit.page(AuditFilter(action=AuditAction.PASSWORD_RESET))
    assert (reset.who, reset.details) == ("boss", {"account": "anna"})
    (refused,) = await records.audit.page(AuditFilter(action=AuditAction.SIGN_IN_REFUSED))
    assert refused.who == "anna"


@pytest.mark.postgres
async def test_a_password_typed_as_a_name_is_not_kept(records: RecordsStore) -> None:
    """The name was in the wrong field: the log says that somebody was refused, not what was typed."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    async with (
        serving(records, SETTINGS) as address,
        aiohttp.ClientSession(address) as http,
        http.post("/sign-in", data={"login": "my secret sentence", "password": "boss"}) as answer,
    ):
        assert answer.status == 401
    (line,) = await records.audit.page(AuditFilter(action=AuditAction.SIGN_IN_REFUSED))
    assert "secret" not in repr(line)


@pytest.mark.postgres
async def test_tokens_end_by_time_by_hand_and_with_the_account(records: RecordsStore) -> None:
    """Expired, switched off and on again, ended by an administrator: no program gets in any more."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    await _account(records, "anna", Role.MANAGER)
    anna = await records.accounts.by_login("anna")
    assert anna is not None
    past = datetime.now(UTC) - timedelta(seconds=1)
    await records.tokens.create(account_id=anna.id, name="old", token_hash=b"o", expires_at=past)
    assert await records.tokens.find(b"o") is None
    await records.tokens.create(account_id=anna.id, name="off", token_hash=b"f")
    off = await records.accounts.update(replace(anna, active=False))
    await records.accounts.update(replace(off, active=True))
    assert await records.tokens.find(b"f") is None
    made = await records.tokens.create(account_id=anna.id, name="hand", token_hash=b"h")
    async with (
        serving(records, SETTINGS) as address,
        aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        boss = Person(http)
        await boss.sign_in("boss")
        assert await boss.send(f"/accounts/{anna.id}/tokens/{made.id}/end") == 303
        assert await boss.send(f"/accounts/{anna.id}/tokens/{uuid4()}/end") == 303
    assert await records.tokens.find(b"h") is None
    (line,) = await records.audit.page(AuditFilter(action=AuditAction.TOKEN_REMOVED))
    assert line.details == {"account": "anna", "name": "hand"}


async def test_a_token_is_made_with_scopes_and_an_expiry(office: Office) -> None:
    """What was ticked and how long, as My settings says; nothing ticked or an invented length makes none."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        assert await person.send("/settings/tokens", name="crm", days="90") == 400
        assert await person.send("/settings/tokens", name="crm", scope_read_calls="yes", days="7777") == 400
        assert not office.records.tokens.kept
        assert await person.send("/settings/tokens", name="crm", scope_read_calls="yes", days="90") == 200
    (token,) = office.records.tokens.kept.values()
    assert token.scopes == {TokenScope.READ_CALLS}
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - datetime.now(UTC) <= timedelta(days=90)


async def test_a_change_of_the_password_offers_to_end_tokens(office: Office) -> None:
    """A program may go on; who fears for the password ends it with the same click."""
    manager = await office.records.accounts.by_login("manager")
    assert manager is not None
    await office.records.tokens.create(account_id=manager.id, name="sync", token_hash=b"s")
    form = {"old": PASSWORD, "new": "a heron at dawn"}
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        assert "Also end my tokens" in await person.read("/settings")
        assert await person.send("/settings/password", **form) == 303
        assert len(office.records.tokens.kept) == 1
        back = {"old": form["new"], "new": "another heron at dusk", "tokens": "end"}
        assert await person.send("/settings/password", **back) == 303
    assert not office.records.tokens.kept


async def test_an_account_made_by_an_administrator_begins_with_a_password_of_its_own(office: Office) -> None:
    """Whoever typed the first password knows it."""
    async with office.browser() as http:
        boss = Person(http)
        await boss.sign_in("administrator")
        made = {"login": "new", "name": "New", "role": "manager", "password": PASSWORD, "extensions": ""}
        assert await boss.send("/accounts", **made) == 303
    account = await office.records.accounts.by_login("new")
    assert account is not None
    assert account.password_temporary
