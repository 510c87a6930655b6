"""Who gets in, who does not, and what every answer carries."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from fastapi import APIRouter
from starlette.applications import Starlette

from call_records.recordings.ingest.uploads import UploadDesk
from call_records.store import RecordsStore
from telephony.errors import NeedsPerson
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.kept import add_everybody, serving
from tests.web.office import over, picked_up, ringing
from tests.web.routes import list_routes, make_app
from web.app import create_app
from web.auth.access import new_token
from web.http.server import listen, serve
from web.pages.accounts.sign_in import local_path

ALL, SUPERVISING, ADMIN = "msa", "sa", "a"
NAUGHT = "00000000-0000-0000-0000-000000000000"

MATRIX: dict[tuple[str, str], str] = {
    # who may (m manager, s supervisor, a administrator); "open" needs no sign-in
    ("GET", "/"): ALL,
    ("GET", "/sign-in"): "open",
    ("POST", "/sign-in"): "open",
    ("POST", "/sign-out"): ALL,
    ("GET", "/welcome"): "open",
    ("POST", "/welcome"): "nobody",  # there are accounts already
    ("GET", "/live"): ALL,
    ("GET", "/calls"): ALL,
    ("GET", "/calls/{call_id}"): ALL,
    ("GET", "/calls/export.csv"): ALL,
    ("GET", "/people/export.csv"): ALL,
    ("GET", "/deals/export.csv"): ALL,
    ("GET", "/missed/export.csv"): ALL,
    ("GET", "/people"): ALL,
    ("POST", "/people"): ALL,
    ("GET", "/people/new"): ALL,
    ("GET", "/people/find"): ALL,
    ("GET", "/form-echo/amount"): ALL,
    ("GET", "/form-echo/due"): ALL,
    ("POST", "/api/v1/calls/{call_id}/contact/undo"): ALL,
    ("POST", "/calls/{call_id}/save/undo"): ALL,
    ("GET", "/people/same"): ALL,
    ("GET", "/people/{client_id}"): ALL,
    ("POST", "/people/{client_id}"): ALL,
    ("POST", "/people/{client_id}/remove"): ALL,
    ("POST", "/people/{client_id}/restore"): ALL,
    ("GET", "/people/{client_id}/merge"): ALL,
    ("POST", "/people/{client_id}/merge"): ALL,
    ("POST", "/people/{client_id}/merges/{merge_id}/undo"): ALL,
    ("POST", "/people/{client_id}/apart/{other_id}"): ALL,
    ("POST", "/people/{client_id}/apart/{other_id}/undo"): ALL,
    ("GET", "/people/{client_id}/convert"): ALL,
    ("POST", "/people/{client_id}/convert"): ALL,
    ("GET", "/people/{client_id}/reject"): ALL,
    ("POST", "/people/{client_id}/reject"): ALL,
    ("POST", "/people/{client_id}/reopen"): ALL,
    ("POST", "/people/{client_id}/notes"): ALL,
    ("POST", "/people/{client_id}/notes/{entry_id}"): ALL,
    ("POST", "/people/{client_id}/tasks"): ALL,
    ("POST", "/people/{client_id}/tasks/{task_id}"): ALL,
    ("GET", "/people/{client_id}/calls/{call_id}/move"): ALL,
    ("POST", "/people/{client_id}/calls/{call_id}/move"): ALL,
    ("GET", "/people/import"): SUPERVISING,
    ("POST", "/people/import/file"): SUPERVISING,
    ("GET", "/people/import/{import_id}"): SUPERVISING,
    ("GET", "/people/import/{import_id}/problems.csv"): SUPERVISING,
    ("POST", "/people/import/{import_id}/read"): SUPERVISING,
    ("POST", "/people/import/{import_id}/columns"): SUPERVISING,
    ("POST", "/people/import/{import_id}/country"): SUPERVISING,
    ("POST", "/people/import/{import_id}/back"): SUPERVISING,
    ("POST", "/people/import/{import_id}/begin"): SUPERVISING,
    ("POST", "/people/import/{import_id}/go"): SUPERVISING,
    ("POST", "/people/import/{import_id}/undo"): SUPERVISING,
    ("POST", "/people/import/{import_id}/delete"): SUPERVISING,
    ("GET", "/people/export"): SUPERVISING,
    ("GET", "/people/export/contacts-{version}.vcf"): SUPERVISING,
    ("GET", "/people/export/{what}.csv"): SUPERVISING,
    ("GET", "/people/export/{what}.xlsx"): SUPERVISING,
    ("POST", "/people/export/everything"): ADMIN,
    ("POST", "/sources/forms"): ADMIN,
    ("GET", "/sources/forms/new"): ADMIN,
    ("GET", "/sources/forms/{form_id}"): ADMIN,
    ("POST", "/sources/forms/{form_id}"): ADMIN,
    ("POST", "/sources/forms/{form_id}/active"): ADMIN,
    ("OPTIONS", "/api/v1/forms/{token}"): "open",
    ("POST", "/api/v1/forms/{token}"): "open",
    ("GET", "/search"): ALL,
    ("GET", "/search/suggestions"): ALL,
    ("GET", "/settings"): ALL,
    ("POST", "/settings/card"): ALL,
    ("POST", "/settings/alerts"): ALL,
    ("POST", "/settings/theme"): ALL,
    ("POST", "/settings/language"): ALL,
    ("POST", "/settings/password"): ALL,
    ("POST", "/settings/sessions/{session_id}/end"): ALL,
    ("POST", "/settings/tokens"): ALL,
    ("POST", "/settings/tokens/{token_id}/remove"): ALL,
    ("GET", "/review"): SUPERVISING,
    ("POST", "/review/look"): SUPERVISING,
    ("POST", "/review/choose"): SUPERVISING,
    ("GET", "/review/rules"): SUPERVISING,
    ("POST", "/review/rules/{kind}"): SUPERVISING,
    ("GET", "/review/rules/{kind}/preview"): SUPERVISING,
    ("GET", "/review/forms"): SUPERVISING,
    ("GET", "/review/forms/new"): SUPERVISING,
    ("POST", "/review/forms/new"): SUPERVISING,
    ("GET", "/review/forms/{form_id}"): SUPERVISING,
    ("POST", "/review/forms/{form_id}"): SUPERVISING,
    ("POST", "/review/forms/{form_id}/retire"): SUPERVISING,
    ("GET", "/review/people"): SUPERVISING,
    ("GET", "/review/people/{extension}"): SUPERVISING,
    ("GET", "/review/calibration"): SUPERVISING,
    ("GET", "/review/{pick_id}"): SUPERVISING,
    ("POST", "/review/{pick_id}"): SUPERVISING,
    ("POST", "/review/{pick_id}/skip"): SUPERVISING,
    ("POST", "/review/{pick_id}/undo"): SUPERVISING,
    ("GET", "/missed"): ALL,
    ("GET", "/missed/count"): ALL,
    ("GET", "/feedback/count"): ALL,
    ("POST", "/feedback/{grade_id}"): ALL,
    ("POST", "/missed/{entry_id}/claim"): ALL,
    ("POST", "/missed/{entry_id}/release"): ALL,
    ("POST", "/missed/{entry_id}/give"): SUPERVISING,
    ("POST", "/missed/{entry_id}/give-up"): ALL,
    ("POST", "/missed/{entry_id}/reopen"): ALL,
    ("GET", "/hours"): ADMIN,
    ("POST", "/hours"): ADMIN,
    ("GET", "/feedback"): ALL,
    ("GET", "/feedback/{grade_id}"): ALL,
    ("GET", "/accounts"): ADMIN,
    ("POST", "/accounts"): ADMIN,
    ("GET", "/accounts/{account_id}"): ADMIN,
    ("POST", "/accounts/{account_id}"): ADMIN,
    ("POST", "/accounts/{account_id}/password"): ADMIN,
    ("POST", "/accounts/{account_id}/tokens/{token_id}/end"): ADMIN,
    ("GET", "/new-password"): ALL,
    ("POST", "/new-password"): ALL,
    ("GET", "/connections"): ADMIN,
    ("GET", "/connections/crm"): ADMIN,
    ("POST", "/connections/crm"): ADMIN,
    ("GET", "/staff"): ADMIN,
    ("POST", "/staff"): ADMIN,
    ("POST", "/staff/list"): ADMIN,
    ("POST", "/staff/endpoints"): ADMIN,
    ("GET", "/staff/{person_id}"): ADMIN,
    ("POST", "/staff/{person_id}/left"): ADMIN,
    ("GET", "/deals"): ALL,
    ("GET", "/deals/column/{stage_id}"): ALL,
    ("GET", "/deals/new"): ALL,
    ("POST", "/deals/new"): ALL,
    ("GET", "/deals/{deal_id}"): ALL,
    ("POST", "/deals/{deal_id}"): ALL,
    ("POST", "/deals/{deal_id}/move"): ALL,
    ("POST", "/deals/{deal_id}/lost"): ALL,
    ("POST", "/deals/{deal_id}/remove"): ALL,
    ("POST", "/deals/{deal_id}/restore"): ALL,
    ("POST", "/deals/{deal_id}/tasks"): ALL,
    ("POST", "/deals/{deal_id}/notes"): ALL,
    ("POST", "/tasks/{task_id}"): ALL,
    ("POST", "/tasks/{task_id}/done"): ALL,
    ("GET", "/pipelines"): ADMIN,
    ("POST", "/pipelines"): ADMIN,
    ("POST", "/pipelines/currency"): ADMIN,
    ("POST", "/pipelines/{pipeline_id}"): ADMIN,
    ("POST", "/pipelines/stages/{stage_id}"): ADMIN,
    ("GET", "/api/v1/calls"): ALL,
    ("GET", "/api/v1/calls/{call_id}"): ALL,
    ("PUT", "/api/v1/calls/{call_id}/note"): ALL,
    ("GET", "/api/v1/calls/{call_id}/card"): ALL,
    ("GET", "/api/v1/calls/{call_id}/who"): ALL,
    ("PUT", "/api/v1/calls/{call_id}/who"): ALL,
    ("POST", "/api/v1/calls/{call_id}/contact"): ALL,
    ("GET", "/api/v1/calls/{call_id}/people"): ALL,
    ("POST", "/calls/{call_id}/who"): ALL,
    ("POST", "/calls/{call_id}/save"): ALL,
    ("GET", "/api/v1/calls/{call_id}/capture"): SUPERVISING,
    ("GET", "/api/v1/live"): ALL,
    ("GET", "/api/v1/session"): ALL,
    # Whose recordings, and what may be done with them, is not a matter of the role: tests/recordings/.
    ("GET", "/recordings"): ALL,
    ("GET", "/recordings/exceptions"): SUPERVISING,
    ("POST", "/recordings/exceptions/{act}"): SUPERVISING,
    ("GET", "/recordings/rules"): ADMIN,
    ("POST", "/recordings/rules"): ADMIN,
    ("GET", "/recordings/{recording_id}"): ALL,
    ("POST", "/recordings/{recording_id}/hold"): SUPERVISING,
    ("POST", "/recordings/{recording_id}/lift"): SUPERVISING,
    ("POST", "/recordings/{recording_id}/delete"): ALL,
    ("POST", "/recordings/{recording_id}/again"): SUPERVISING,
    ("GET", "/recordings/{recording_id}/refile"): SUPERVISING,
    ("POST", "/recordings/{recording_id}/refile"): SUPERVISING,
    ("POST", "/recordings/{recording_id}/links/{link_id}/end"): ALL,
    ("POST", "/calls/{call_id}/tags"): SUPERVISING,
    ("GET", "/api/v1/recordings"): ALL,
    ("GET", "/listen/{token}"): "open",
    ("GET", "/listen/{token}/audio"): "open",
    ("GET", "/audit"): ADMIN,
    ("GET", "/audit/export.csv"): ADMIN,
    ("GET", "/audit/export.jsonl"): ADMIN,
    ("GET", "/recordings/{recording_id}/player"): ALL,
    ("GET", "/recordings/{recording_id}/links"): ALL,
    ("GET", "/recordings/{recording_id}/audio"): ALL,
    ("HEAD", "/recordings/{recording_id}/audio"): ALL,
    ("POST", "/recordings/{recording_id}/heard"): ALL,
    ("GET", "/api/v1/recordings/{recording_id}"): ALL,
    ("GET", "/api/v1/recordings/{recording_id}/audio"): ALL,
    ("POST", "/api/v1/recordings/{recording_id}/reason"): ALL,
    ("GET", "/api/v1/recordings/{recording_id}/comments"): ALL,
    ("POST", "/api/v1/recordings/{recording_id}/comments"): ALL,
    ("PUT", "/api/v1/recordings/{recording_id}/comments/{comment_id}"): ALL,
    ("GET", "/api/v1/recordings/{recording_id}/links"): ALL,
    ("POST", "/api/v1/recordings/{recording_id}/links"): ALL,
    ("DELETE", "/api/v1/recordings/{recording_id}/links/{link_id}"): ALL,
    ("POST", "/api/v1/recordings/{recording_id}/redactions"): ALL,
    ("DELETE", "/api/v1/recordings/{recording_id}/redactions/{redaction_id}"): ALL,
    ("POST", "/recordings/{recording_id}/redactions/{redaction_id}/lift"): ALL,
    ("POST", "/api/v1/calls/{call_id}/recording/pause"): ALL,
    ("POST", "/api/v1/calls/{call_id}/recording/resume"): ALL,
    ("HEAD", "/api/v1/recordings/uploads/{pbx}/{name}"): "nobody",  # only a PBX with its own token
    ("PUT", "/api/v1/recordings/uploads/{pbx}/{name}"): "nobody",
    ("GET", "/rules"): ADMIN,
    ("POST", "/rules/lines"): ADMIN,
    ("POST", "/rules/lines/{line_id}"): ADMIN,
    ("POST", "/rules/undo"): ADMIN,
    ("POST", "/rules/limit"): ADMIN,
    ("POST", "/rules/blocklist"): ADMIN,
    ("POST", "/rules/blocklist/remove"): ADMIN,
    ("GET", "/sources"): ADMIN,
    ("POST", "/sources/campaigns"): ADMIN,
    ("POST", "/sources/campaigns/{campaign_id}"): ADMIN,
    ("POST", "/sources/campaigns/{campaign_id}/end"): ADMIN,
    ("GET", "/api/v1/openapi.json"): ALL,
    ("GET", "/healthz"): "open",
    ("GET", "/readyz"): "open",
    ("GET", "/metrics"): "open",  # from this machine; tested below
    ("GET", "/static/{version}/{name:path}"): "open",
}


def test_every_route_has_a_row() -> None:
    """Somebody adds a page: it must say here who may open it."""
    assert list_routes(make_app()) == set(MATRIX)


def test_a_route_without_a_row_is_noticed() -> None:
    """Each way of adding one: a page, one more method, a router of an area, a mounted application, a web socket."""
    app = make_app()
    area = APIRouter(prefix="/area")
    for path, add in (("/new-page", app.get), ("/live", app.post), ("/page", area.get)):
        add(path)(_answer_nothing)
    app.include_router(area)
    app.mount("/mounted", Starlette())
    app.add_api_websocket_route("/socket", _answer_nothing)
    assert {path for _method, path in list_routes(app) - set(MATRIX)} == {
        "/new-page", "/live", "/area/page", "/mounted", "/socket",
    }  # fmt: skip


async def _answer_nothing() -> None:
    """A page that a colleague has just written."""


@pytest.mark.postgres
async def test_role_matrix(records: RecordsStore, tmp_path: Path) -> None:
    """Everybody tries every door of an office with a real database, without signing in and in each role."""
    call = over(picked_up(ringing("101"), "101"), 30)
    await records.journal.record([change(call)])
    await add_everybody(records)
    desk = UploadDesk(tmp_path, {"branch": "a token that nobody here has"}, records.catalogue)
    async with serving(records, SETTINGS, uploads=desk) as address:
        for who in (None, *Role):
            async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
                person = Person(http)
                if who is not None:
                    assert await person.sign_in(who.value) == 303
                for (method, pattern), allowed in MATRIX.items():
                    if pattern not in ("/sign-out", "/settings/password", "/sign-in"):
                        # those end or begin a session; tested on their own
                        await _try_door(person, who, method, pattern, allowed, call.id)


async def _try_door(
    person: Person, who: Role | None, method: str, pattern: str, allowed: str, call_id: UUID
) -> None:
    path = pattern.replace("{call_id}", str(call_id)).replace("{version}/{name:path}", "x/css/app.css")
    path = re.sub(r"\{\w+\}", NAUGHT, path)
    headers = {"X-CSRF-Token": person.csrf, "X-Checksum-SHA256": "0" * 64, "X-Total-Bytes": "1"}
    body = {"json": {"text": "x"}} if method == "PUT" else {}
    async with person.http.request(method, path, headers=headers, allow_redirects=False, **body) as answer:
        status, where = answer.status, answer.headers.get("location", "")
    refused = status in (401, 403) or (status == 303 and where.startswith("/sign-in") and path != "/welcome")
    may = allowed == "open" or (who is not None and who.value[0] in allowed)
    assert refused != may, (who, method, path, status, where)
    assert status != 500, (who, method, path)


async def test_headers_on_every_answer(office: Office) -> None:
    """Pages, the API, errors and files all carry the policy; nothing allows inline scripts or other hosts."""
    async with office.browser() as http:
        for path in ("/sign-in", "/no-such-page", "/api/v1/calls", "/healthz"):
            async with http.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "frame-ancestors 'none'" in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Cache-Control"] == "no-store"


async def test_files_are_kept_by_the_browser_and_no_path_leads_out(office: Office) -> None:
    """A style sheet is cached for a year under its hash; `..` finds nothing."""
    async with office.browser() as http:
        page = await Person(http).read("/sign-in")
        sheet = re.findall(r'href="(/static/[^"]+app.css)"', page)[0]
        async with http.get(sheet) as answer:
            assert "immutable" in answer.headers["Cache-Control"]
        for path in ("/static/x/../app.py", "/static/x/%2e%2e/app.py", "/static/x/..%2fapp.py"):
            async with http.get(path) as answer:
                assert answer.status == 404


async def test_changes_need_the_csrf_token_and_our_origin(office: Office) -> None:
    """Another site makes the browser send a form: refused, and nothing is changed."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        async with http.post("/settings/card", data={"pop": "never"}, allow_redirects=False) as answer:
            assert answer.status == 403
        form = {"pop": "never", "csrf": person.csrf}
        for origin in ("https://elsewhere.example", "null"):
            async with http.post("/settings/card", data=form, headers={"Origin": origin}) as answer:
                assert answer.status == 403
        async with http.post("/settings/card", data=form, headers={"Origin": office.address}) as answer:
            assert answer.status == 200


async def test_sign_in_is_limited(office: Office) -> None:
    """A script tries passwords: the sixth try is told to wait, even with the right password."""
    async with office.browser() as http:
        person = Person(http)
        assert [await person.sign_in("manager", "wrong") for _try in range(5)] == [401] * 5
        assert await person.sign_in("manager") == 429
        assert await person.sign_in("supervisor") == 303


async def test_unknown_name_and_wrong_password_look_the_same(office: Office) -> None:
    """Nobody learns from the answer which names exist."""
    async with office.browser() as http:
        said = []
        for login in ("manager", "nobody"):
            async with http.post("/sign-in", data={"login": login, "password": "wrong"}) as answer:
                said.append((answer.status, (await answer.text()).replace(login, "")))
        assert said[0] == said[1]


async def test_first_account_needs_the_setup_code(empty_office: Office) -> None:
    """A stranger finds a new installation: without the code from the terminal they make no administrator."""
    form = {"login": "me", "name": "Me", "password": "a long sentence"}
    async with empty_office.browser() as http:
        async with http.get("/live", allow_redirects=False) as answer:
            assert answer.headers["location"] == "/welcome"
        async with http.post("/welcome", data={**form, "setup_code": "guess"}) as answer:
            assert answer.status == 400
        assert not empty_office.records.accounts.kept
        async with http.post("/welcome", data={**form, "setup_code": "blue-heron"}) as answer:
            assert answer.status == 200
        (account,) = empty_office.records.accounts.kept.values()
        assert account.role is Role.ADMINISTRATOR
    async with (
        empty_office.browser() as http,
        http.post("/welcome", data={**form, "login": "two", "setup_code": "blue-heron"}) as answer,
    ):
        assert answer.status == 403


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil", "javascript:x", "", "/a\nb"]
)
def test_next_never_leads_away(wanted: str) -> None:
    """The link that brought somebody to the sign-in form names another site."""
    assert local_path(wanted) == "/live"


async def test_token_opens_the_api_and_nothing_else(office: Office) -> None:
    """A program's token reads calls; pages do not take it; a removed one opens nothing."""
    manager = await office.records.accounts.by_login("manager")
    assert manager
    token, hashed = new_token()
    kept = await office.records.tokens.create(account_id=manager.id, name="script", token_hash=hashed)
    headers = {"Authorization": f"Bearer {token}"}
    async with office.browser() as http:
        async with http.get("/api/v1/calls", headers=headers) as answer:
            assert answer.status == 200
        async with http.get("/live", headers=headers, allow_redirects=False) as answer:
            assert answer.status == 303
        await office.records.tokens.revoke(kept.id, account_id=manager.id)
        async with http.get("/api/v1/calls", headers=headers) as answer:
            assert answer.status == 401
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["remedy"]


async def test_metrics_are_for_this_machine(office: Office) -> None:
    """Behind a proxy on this machine a stranger asks for metrics: refused."""
    async with office.browser() as http:
        async with http.get("/metrics") as answer:
            assert "switchhook_web_live_streams" in await answer.text()
        async with http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}) as answer:
            assert answer.status == 403


async def test_the_last_administrator_stays(office: Office) -> None:
    """An administrator takes the role from themselves: refused with the reason."""
    admin = await office.records.accounts.by_login("administrator")
    assert admin
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("administrator")
        assert await person.send(f"/accounts/{admin.id}", role="manager", active="yes", extensions="") == 400
    assert office.records.accounts.kept[admin.id].role is Role.ADMINISTRATOR


async def test_a_body_too_large_is_refused(office: Office) -> None:
    """Somebody sends a megabyte to the sign-in form."""
    async with office.browser() as http, http.post("/sign-in", data={"login": "x" * 1_000_000}) as answer:
        assert answer.status == 413


def test_a_taken_port_names_the_fix() -> None:
    """Another program has the port: a sentence, no traceback."""
    first = listen("127.0.0.1", 0)
    try:
        with pytest.raises(NeedsPerson, match="taken by another program") as caught:
            listen("127.0.0.1", first.getsockname()[1])
    finally:
        first.close()
    assert "another port" in (caught.value.remedy or "")


async def test_an_answer_is_not_held_back() -> None:
    """The end of a page leaves at once, without waiting until the browser has acknowledged its beginning."""
    undelayed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        undelayed.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(look, sock=listen("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(10):
            told = await undelayed
        writer.close()
        await writer.wait_closed()
    assert told


async def test_stops_in_time_with_an_open_stream() -> None:
    """The service is stopped while browsers follow the calls."""
    records = FakeRecords()
    await records.add("manager", Role.MANAGER, "101")
    app = create_app(records, FakeLive(), SETTINGS, passwords=cheap_passwords())
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
    office = Office(records, FakeLive(), f"http://127.0.0.1:{await port}")
    async with office.browser() as http:
        await Person(http).sign_in("manager")
        async with http.get("/api/v1/live") as stream:
            await stream.content.readline()
            stop.set()
            async with asyncio.timeout(5):  # what is promised of the whole service
                await task
