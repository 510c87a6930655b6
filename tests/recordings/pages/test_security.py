"""Every address that has to do with recordings, tried by everybody who has no business there.

The routes are taken from the application itself: one that is added without a row here fails. Acceptance statements 18
(recordings reachable without login) and 19 (people see what they should not).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from telephony.recordings import AuditAction, RecordingRight
from tests.recordings.rights_fakes import SOUND, STAFF, UPLOAD_TOKEN, Hall, open_hall
from tests.web.conftest import Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from web.app import create_app
from web.settings import WebSettings

pytestmark = pytest.mark.postgres

REFUSED = frozenset({401, 403, 404})
NOTHING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


@dataclass(frozen=True)
class Way:
    """How one address is asked rightly, so that only who asks decides. Bodies change nothing even for who may."""

    who: str
    """Who of the office is let in, for a recording of Anna's that Boris' phone only rang for."""
    form: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None


EVERYBODY = "anna boris vera mate teamless deaf lead chief admin"
HEARS = "anna mate chief"
KNOWS = "anna mate chief admin"
SHARES = "chief"
OUT_OF_RANGE = {"from_seconds": 5000, "to_seconds": 6000}

WAYS: dict[tuple[str, str], Way] = {
    ("GET", "/recordings"): Way("anna boris vera mate teamless lead chief admin"),
    ("GET", "/recordings/exceptions"): Way("lead chief admin"),
    ("POST", "/recordings/exceptions/{act}"): Way("lead chief admin"),  # of no recording
    ("GET", "/recordings/rules"): Way("admin"),
    ("POST", "/recordings/rules"): Way("admin", form={"keep": "no number"}),
    ("GET", "/recordings/{recording_id}"): Way(KNOWS),
    ("GET", "/recordings/{recording_id}/player"): Way(HEARS),
    ("GET", "/recordings/{recording_id}/audio"): Way(HEARS),
    ("POST", "/recordings/{recording_id}/heard"): Way(HEARS, form={"seconds": "3"}),
    ("GET", "/recordings/{recording_id}/links"): Way(SHARES),
    ("POST", "/recordings/{recording_id}/links/{link_id}/end"): Way("chief admin"),
    ("POST", "/recordings/{recording_id}/hold"): Way("chief admin", form={"why": ""}),
    ("POST", "/recordings/{recording_id}/lift"): Way("chief admin", form={"why": ""}),
    ("POST", "/recordings/{recording_id}/delete"): Way("admin", form={"why": ""}),
    ("POST", "/recordings/{recording_id}/again"): Way("chief admin"),
    ("GET", "/recordings/{recording_id}/refile"): Way("chief admin"),
    ("POST", "/recordings/{recording_id}/refile"): Way("chief admin", form={"address": "no call"}),
    ("GET", "/api/v1/recordings"): Way(EVERYBODY),
    ("GET", "/api/v1/recordings/{recording_id}"): Way(HEARS),
    ("GET", "/api/v1/recordings/{recording_id}/audio"): Way(HEARS),
    ("POST", "/api/v1/recordings/{recording_id}/reason"): Way(HEARS, json={"reason": "asked by the client"}),
    ("GET", "/api/v1/recordings/{recording_id}/comments"): Way(HEARS),
    ("POST", "/api/v1/recordings/{recording_id}/comments"): Way(HEARS, json={"at_seconds": 1, "text": "x"}),
    ("PUT", "/api/v1/recordings/{recording_id}/comments/{comment_id}"): Way(
        "", json={"text": "x"}
    ),  # no such
    ("GET", "/api/v1/recordings/{recording_id}/links"): Way(SHARES),
    ("POST", "/api/v1/recordings/{recording_id}/links"): Way(SHARES, json={"days": 1, **OUT_OF_RANGE}),
    ("DELETE", "/api/v1/recordings/{recording_id}/links/{link_id}"): Way(""),  # no such link
    ("POST", "/api/v1/recordings/{recording_id}/redactions"): Way("chief", json=OUT_OF_RANGE),
    ("DELETE", "/api/v1/recordings/{recording_id}/redactions/{redaction_id}"): Way(""),  # no such
    ("POST", "/recordings/{recording_id}/redactions/{redaction_id}/lift"): Way(""),
    ("POST", "/api/v1/calls/{call_id}/recording/pause"): Way(""),  # the call is over
    ("POST", "/api/v1/calls/{call_id}/recording/resume"): Way(""),
    ("HEAD", "/api/v1/recordings/uploads/{pbx}/{name}"): Way(""),  # for a PBX with its own token only
    ("PUT", "/api/v1/recordings/uploads/{pbx}/{name}"): Way(""),
    ("GET", "/listen/{token}"): Way(""),  # for nobody without the token
    ("GET", "/listen/{token}/audio"): Way(""),
}


def routes() -> set[tuple[str, str]]:
    """Every address of the application that names a recording or a shared link."""
    desk: Any = object()
    app = create_app(FakeRecords(), FakeLive(), WebSettings(), passwords=cheap_passwords(), uploads=desk)
    found: set[tuple[str, str]] = set()

    def walk(several: list[Any]) -> None:
        for route in several:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner.routes)
                continue
            path = getattr(route, "path_format", "")
            if "recording" in path or "listen" in path:
                methods = set(route.methods)
                found.update((method, path) for method in methods - ({"HEAD"} if "GET" in methods else set()))

    walk(list(app.routes))
    return found


def test_every_address_is_tried() -> None:
    """Somebody adds a page or an API for recordings: it must say here who gets in."""
    assert routes() == set(WAYS)


def address(pattern: str, recording_id: str, hall: Hall) -> str:
    """The pattern with that recording in it."""
    filled = pattern.replace("{recording_id}", recording_id).replace("{call_id}", str(hall.calls["annas"].id))
    filled = (
        filled.replace("{act}", "hide")
        .replace("{token}", "x" * 43)
        .replace("{pbx}", "hq")
        .replace("{name}", "hq-1.1.wav")
    )
    return re.sub(r"\{\w+\}", NOTHING, filled)


async def ask(person: Person, method: str, path: str, way: Way) -> tuple[int, bytes]:
    """Ask as a browser does; a sign-in page counts as 401."""
    given: dict[str, Any] = {"headers": {"X-CSRF-Token": person.csrf, "X-Total-Bytes": "9"}}
    given["headers"]["X-Checksum-SHA256"] = "0" * 64
    if way.json is not None:
        given["json"] = dict(way.json)
    elif method not in ("GET", "HEAD", "DELETE"):
        given["data"] = {"csrf": person.csrf, **way.form}
    async with person.http.request(method, URL(path, encoded=True), allow_redirects=False, **given) as answer:
        where = answer.headers.get("location", "")
        return 401 if where.startswith("/sign-in") else answer.status, await answer.read()


async def test_who_gets_in(hall: Hall) -> None:
    """The whole table, for one recording of Anna's: in or refused, and never a broken page."""
    recording = str(hall.recordings["annas"])
    for login in (one.login for one in STAFF):
        async with hall.signed_in(login) as person:
            for (method, pattern), way in WAYS.items():
                status, _body = await ask(person, method, address(pattern, recording, hall), way)
                if "listen" in pattern and status == 429:
                    continue  # nine people at one address
                assert (status not in REFUSED) == (login in way.who.split()), (login, method, pattern, status)
                assert status < 500, (login, method, pattern)


async def test_nobody_gets_in_without_a_login(hall: Hall) -> None:
    """No session, a session that was ended, a token that is none, another PBX's upload token: nothing opens."""
    recording = str(hall.recordings["annas"])
    shown: list[dict[str, str]] = [
        {},
        {"Cookie": "switchhook=" + "a" * 43},
        {"Authorization": "Bearer " + "b" * 43},
        {"Authorization": f"Bearer {UPLOAD_TOKEN}"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
    ]
    for headers in shown:
        for (method, pattern), way in WAYS.items():
            if "uploads" in pattern:
                continue
            async with aiohttp.ClientSession(hall.address, headers=headers) as http:
                status, body = await ask(Person(http), method, address(pattern, recording, hall), way)
            assert status in REFUSED | {429}, (headers, method, pattern, status)
            assert SOUND[:100] not in body


async def test_an_upload_token_opens_its_own_door_only(hall: Hall) -> None:
    """It delivers files of its PBX and nothing of another; and a person's token delivers nothing."""
    content = b"RIFF"
    headers = {"X-Checksum-SHA256": hashlib.sha256(content).hexdigest()}
    path = "/api/v1/recordings/uploads/hq/hq-1795311120.99.wav"
    async with hall.program("admin") as http, http.put(path, data=content, headers=headers) as answer:
        assert answer.status == 401
    bearer = headers | {"Authorization": f"Bearer {UPLOAD_TOKEN}"}
    async with hall.browser() as http:
        async with http.put(path.replace("/hq/", "/other/"), data=content, headers=bearer) as answer:
            assert answer.status == 401
        async with http.put(path, data=content, headers=bearer) as answer:
            assert answer.status in (200, 201)
        async with http.get("/api/v1/recordings", headers=bearer) as answer:
            assert answer.status == 401


GUESSED = (
    str(uuid4()),
    NOTHING,
    "1",
    "-1",
    "annas",
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:x=1",
    "..%2faudio",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cwindows",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "hq-1795311120.1.wav",
    "hq-1795311120.1",
    "%27%20or%201=1--",
    "💣".encode().hex(),
    "x" * 4000,
)


async def test_guessed_ids_and_paths_lead_nowhere(hall: Hall) -> None:
    """Who may hear everything tries what is no recording: not there, for each address."""
    async with hall.signed_in("chief") as chief:
        for (method, pattern), way in WAYS.items():
            if "{recording_id}" not in pattern:
                continue
            for guess in GUESSED:
                path = address(pattern, "\n", hall).replace("\n", guess)
                status, body = await ask(chief, method, path, way)
                assert status in REFUSED | {405}, (method, path, status)
                assert b"root:" not in body
                assert SOUND[:100] not in body


async def test_nothing_hangs_on_a_real_id(hall: Hall) -> None:
    """Other file types and endings at a recording that one may hear."""
    recording = hall.recordings["annas"]
    async with hall.signed_in("anna") as anna:
        for suffix in (".wav", ".mp4", ".json", "%2f..", ";x=1", "%00", "/audio.wav", "/etc/passwd"):
            for base in ("/recordings/", "/api/v1/recordings/"):
                for path in (f"{base}{recording}{suffix}", f"{base}{recording}/audio{suffix}"):
                    status, body = await ask(anna, "GET", path, Way(""))
                    assert status in REFUSED, (path, status)
                    assert SOUND[:100] not in body


async def raw(hall: Hall, request: str) -> bytes:
    """What the server answers to bytes that no client library would send."""
    url = URL(hall.address)
    assert url.host
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request.encode("latin-1"))
    await writer.drain()
    try:
        async with asyncio.timeout(10):
            return await reader.read(-1)
    finally:
        writer.close()
        await writer.wait_closed()


TARGETS = (
    "/recordings/..",
    "/recordings/../audio",
    "/recordings/../../../etc/passwd",
    "/recordings/..%c0%af..%c0%afetc/passwd",
    "/recordings/{}/..",
    "/recordings/{}/audio/..",
    "/recordings/{}/audio/../../../../../etc/passwd",
    "/api/v1/recordings/{}/audio/../../../../etc/passwd",
    "//etc/passwd",
    "/listen/../recordings",
    "/listen/x/../../recordings/audio",
    "/static/x/../../recordings",
)


async def test_paths_as_they_are_typed(hall: Hall) -> None:
    """Clients tidy up `..` before they send it; a script does not, here with the cookie of who may hear everything."""
    async with hall.signed_in("chief") as chief:
        jar = chief.http.cookie_jar.filter_cookies(URL(hall.address))
        cookie = "; ".join(f"{name}={one.value}" for name, one in jar.items())
        for target in TARGETS:
            path = target.format(hall.recordings["annas"])
            head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            answer = await raw(hall, head)
            assert int(answer.split(b" ", 2)[1]) in REFUSED | {400}, (target, answer[:200])
            assert b"root:" not in answer
            assert SOUND[:100] not in answer


async def test_refusals_are_in_the_log_and_unknown_ids_are_not(hall: Hall) -> None:
    """Boris tries Anna's recording in five ways; then ids that are none. The log has the five, with their address."""
    async with hall.signed_in("boris") as boris:
        for part in ("", "/player", "/audio", "/links", "/delete"):
            method = "POST" if part == "/delete" else "GET"
            await ask(boris, method, f"/recordings/{hall.recordings['annas']}{part}", Way(""))
            await ask(boris, method, f"/recordings/{uuid4()}{part}", Way(""))
    lines = await hall.log()
    assert {(line.action, line.who, line.recording_id) for line in lines} == {
        (AuditAction.REFUSED, "boris", hall.recordings["annas"])
    }
    assert len(lines) == 5


RIGHTS = {
    RecordingRight.DOWNLOAD: "/recordings/{}/audio?as=download",
    RecordingRight.HEAR_ORIGINAL: "/recordings/{}/audio?original=true",
    RecordingRight.SHARE: "/recordings/{}/links",
}


async def test_each_right_opens_its_own_door(hall: Hall) -> None:
    """Anna gets one right after the other: with it she is let in, with all the others she is not."""
    async with hall.signed_in("anna") as anna:
        for right, pattern in RIGHTS.items():
            path = pattern.format(hall.recordings["annas"])
            for rights, refused in ((frozenset({right}), False), (frozenset(RecordingRight) - {right}, True)):
                await hall.give("anna", rights_chosen=rights)
                status, _body = await ask(anna, "GET", path, Way(""))
                assert (status == 403) == refused, (right, status)


async def test_a_right_does_not_widen_the_scope(hall: Hall) -> None:
    """With every right there is, what is out of Anna's scope still does not exist for her."""
    await hall.give("anna", rights_chosen=frozenset(RecordingRight))
    async with hall.signed_in("anna") as anna:
        for (method, pattern), way in WAYS.items():
            if "{recording_id}" in pattern:
                status, _body = await ask(
                    anna, method, address(pattern, str(hall.recordings["sold"]), hall), way
                )
                assert status in {404, 403}, (method, pattern, status)
                assert status == 404 or method == "POST" or "refile" in pattern, (method, pattern, status)


async def test_a_session_that_ends_ends_everything(hall: Hall) -> None:
    """Anna is switched off while her player is open: the next piece of sound is refused."""
    path = f"/recordings/{hall.recordings['annas']}/audio"
    async with hall.signed_in("anna") as anna:
        assert (await ask(anna, "GET", path, Way("")))[0] == 200
        await hall.give("anna", active=False)
        assert (await ask(anna, "GET", path, Way("")))[0] == 401


async def test_changes_need_the_forms_token(hall: Hall) -> None:
    """Another site sends the supervisor's browser to our forms: refused, nothing changes."""
    recording = hall.recordings["annas"]
    async with hall.signed_in("chief") as chief:
        for path in (f"/recordings/{recording}/hold", f"/calls/{hall.calls['annas'].id}/tags"):
            async with chief.http.post(path, data={"why": "from elsewhere", "tags": "x"}) as answer:
                assert answer.status == 403
    found = await hall.store.recordings.one(recording)
    assert found is not None
    assert found.hold is None
