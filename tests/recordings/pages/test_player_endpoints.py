"""The sound over HTTP and what is done with it: ranges, rights, reasons, and a line in the log for everything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from call_records.recordings.types import Recording
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded, RecordingPause
from telephony.errors import TryLater
from telephony.recordings import AuditAction, HearScope, RecordingPolicy, RecordingRight, RecordingState
from tests.recordings.player_fakes import recording, talk
from tests.web import office as scenes
from tests.web.conftest import Office, Person, masked, office
from web.auth.access import new_token
from web.http.audio import NoSuchPart, Part, asked_part
from web.presenters.labels import display_number
from web.presenters.player import Taping, taping
from web.recordings.recently_logged import NOTED_FOR, NOTED_MOST, Noted

pytestmark = pytest.mark.slow  # a whole application for each test

__all__ = ["masked", "office"]

SOUND = bytes(range(256)) * 40
OPENED, HEARD, REFUSED = AuditAction.OPENED, AuditAction.HEARD, AuditAction.REFUSED


def of_101(office: Office, **different: Any) -> tuple[CallFacts, Recording]:
    """The manager (101) talked with a client for a minute, and it was recorded."""
    call = scenes.over(scenes.picked_up(scenes.ringing("101", name="Garden"), "101"), 66)
    return call, keep(office, call, **different)


def of_109(office: Office) -> tuple[CallFacts, Recording]:
    """Somebody else's call."""
    call = scenes.over(scenes.picked_up(scenes.ringing("109", name="Bakery"), "109"), 66)
    return call, keep(office, call)


def keep(office: Office, call: CallFacts, **different: Any) -> Recording:
    office.records.calls.kept[call.id] = call
    made = recording(call.id, **{"started_at": call.answered_at, **different})
    office.records.recordings.kept[made.id] = made
    office.records.recordings.peaks_of[made.id] = talk(60)
    office.records.shelf.kept[(made.id, False)] = SOUND
    return made


@asynccontextmanager
async def at_work(office: Office, who: str) -> AsyncIterator[Person]:
    async with office.browser() as http:
        person = Person(http)
        assert await person.sign_in(who) == 303
        yield person


async def ask(
    person: Person, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    """One request as our pages make it."""
    headers["X-CSRF-Token"] = person.csrf
    async with person.http.request(method, path, json=body, headers=headers) as answer:
        return answer.status, answer.headers, await answer.read()


async def give(office: Office, who: str, *rights: RecordingRight, hears: HearScope | None = None) -> None:
    account = await office.records.accounts.by_login(who)
    assert account
    changed = replace(account, rights_chosen=frozenset(rights), hears_chosen=hears)
    await office.records.accounts.update(changed)


def audio(one: Recording, more: str = "") -> str:
    return f"/recordings/{one.id}/audio{more}"


# -- ranges --


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-", Part(0, 99)),
        ("bytes=10-19", Part(10, 19)),
        ("bytes=90-500", Part(90, 99)),
        ("bytes=-10", Part(90, 99)),
        ("bytes=-500", Part(0, 99)),
        ("bytes=5-2", None),  # no range at all; to be ignored
        ("bytes=0-1,5-6", None),  # several parts need not be understood
        ("lines=1-2", None),
        ("bytes=-", None),
    ],
)
def test_what_a_range_means(header: str | None, part: Part | None) -> None:
    """Of 100 bytes."""
    assert asked_part(header, 100) == part


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=400-500", "bytes=-0"])
def test_a_range_outside(header: str) -> None:
    """Of 100 bytes, from byte 100 on."""
    with pytest.raises(NoSuchPart):
        asked_part(header, 100)


async def test_the_sound_is_sent_whole_and_in_parts(office: Office) -> None:
    """A browser asks for all, for the middle, for the end, and for too much; each answer says what it is."""
    _, one = of_101(office)
    async with at_work(office, "manager") as person:
        status, headers, body = await ask(person, "GET", audio(one))
        assert (status, body, headers["Content-Type"]) == (200, SOUND, "audio/mp4")
        assert headers["Accept-Ranges"] == "bytes"
        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Content-Disposition"].startswith("inline")
        tag = headers["ETag"]
        status, headers, body = await ask(person, "GET", audio(one), Range="bytes=100-199")
        assert (status, body) == (206, SOUND[100:200])
        assert headers["Content-Range"] == f"bytes 100-199/{len(SOUND)}"
        assert headers["Content-Length"] == "100"
        status, _, body = await ask(person, "GET", audio(one), Range="bytes=-7")
        assert (status, body) == (206, SOUND[-7:])
        status, headers, _ = await ask(person, "GET", audio(one), Range="bytes=999999-")
        assert (status, headers["Content-Range"]) == (416, f"bytes */{len(SOUND)}")
        status, _, body = await ask(person, "GET", audio(one), Range="bytes=1-2", **{"If-Range": tag})
        assert (status, len(body)) == (206, 2)
        status, _, body = await ask(person, "GET", audio(one), Range="bytes=1-2", **{"If-Range": '"old"'})
        assert (status, len(body)) == (200, len(SOUND))
        status, headers, body = await ask(person, "HEAD", audio(one))
        assert (status, headers["Content-Length"], body) == (200, str(len(SOUND)), b"")


async def test_a_long_recording_is_read_in_pieces(office: Office) -> None:
    """Nine megabytes: all of it arrives, and the shelf is never asked for more than a piece at once."""
    _, one = of_101(office)
    whole = SOUND * 900
    shelf = office.records.shelf
    shelf.kept[(one.id, False)] = whole
    most, read = 0, shelf.read

    async def watched(recording_id: UUID, first: int, last: int, *, original: bool = False) -> bytes:
        nonlocal most
        most = max(most, last - first + 1)
        return await read(recording_id, first, last, original=original)

    shelf.read = watched  # type: ignore[method-assign]
    async with at_work(office, "manager") as person:
        _, _, body = await ask(person, "GET", audio(one), Range="bytes=10-")
    assert body == whole[10:]
    assert most == 256 * 1024


async def test_covering_a_part_changes_the_tag(office: Office) -> None:
    """The sound has changed: a browser must not go on with a mixture of both."""
    _, one = of_101(office)
    await give(office, "supervisor", RecordingRight.REDACT)
    async with at_work(office, "supervisor") as person:
        _, before, _ = await ask(person, "HEAD", audio(one))
        span = {"from_seconds": 10, "to_seconds": 12}
        status, _, _ = await ask(person, "POST", f"/api/v1/recordings/{one.id}/redactions", span)
        assert status == 201
        _, after, _ = await ask(person, "HEAD", audio(one))
    assert before["ETag"] != after["ETag"]


async def test_a_storage_that_is_away_is_a_sentence(office: Office) -> None:
    """Not a broken sound: 503 before the first byte, with what to do."""
    _, one = of_101(office)
    office.records.shelf.trouble = TryLater("The storage does not answer.")
    async with at_work(office, "manager") as person:
        status, headers, body = await ask(person, "GET", f"/api/v1{audio(one)}")
    assert (status, headers["Content-Type"]) == (503, "application/problem+json")
    assert b"The storage does not answer." in body


# -- who may --


async def test_somebody_elses_call_does_not_exist(office: Office) -> None:
    """A manager asks for everything of a colleague's recording: 404 each time, as for an id that was never given, and
    each try is in the log.
    """
    _, one = of_109(office)
    tries = [
        ("GET", f"/recordings/{one.id}/audio", None),
        ("GET", f"/recordings/{one.id}/player", None),
        ("GET", f"/recordings/{one.id}/links", None),
        ("GET", f"/api/v1/recordings/{one.id}", None),
        ("GET", f"/api/v1/recordings/{one.id}/audio", None),
        ("GET", f"/api/v1/recordings/{one.id}/comments", None),
        ("POST", f"/api/v1/recordings/{one.id}/comments", {"at_seconds": 1, "text": "x"}),
        ("POST", f"/api/v1/recordings/{one.id}/reason", {"reason": "curiosity"}),
        ("POST", f"/api/v1/recordings/{one.id}/links", {"days": 1}),
        ("POST", f"/api/v1/recordings/{one.id}/redactions", {"from_seconds": 1, "to_seconds": 2}),
        ("DELETE", f"/api/v1/recordings/{one.id}/links/{uuid4()}", None),
    ]
    async with at_work(office, "manager") as person:
        for method, path, body in tries:
            status, _, told = await ask(person, method, path, body)
            assert status == 404, path
            never = await ask(person, method, path.replace(str(one.id), str(uuid4())), body)
            assert (never[0], len(never[2])) == (404, len(told)), path
    assert office.records.audit.told() == [REFUSED] * len(tries)


async def test_the_call_page_says_only_that_it_may_not_be_heard(office: Office) -> None:
    """No strip, no length, no address of the sound; and no play button in the list."""
    call, one = of_109(office)
    async with at_work(office, "manager") as person:
        page = await person.read(f"/calls/{call.id}")
        assert "You may not hear this call." in page
        assert str(one.id) not in page
        assert str(one.id) not in await person.read("/calls")
        told = await person.read(f"/api/v1/calls/{call.id}")
        assert '"recording_list":[]' in told.replace(" ", "")


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/audio?as=download", RecordingRight.DOWNLOAD),
        ("/audio?as=mp3", RecordingRight.DOWNLOAD),
        ("/audio?original=1", RecordingRight.HEAR_ORIGINAL),
        ("/links", RecordingRight.SHARE),
    ],
)
async def test_hearing_is_not_having(office: Office, path: str, right: RecordingRight) -> None:
    """Their own call, but no right to take, share or uncover it: 403 in words, logged; with the right it works."""
    _, one = of_101(office)
    async with at_work(office, "manager") as person:
        status, _, body = await ask(person, "GET", f"/recordings/{one.id}{path}")
        assert status == 403
        assert b"may not do this with recordings" in body
        await give(office, "manager", right)
        status, _, _ = await ask(person, "GET", f"/recordings/{one.id}{path}")
        assert status == 200
    assert office.records.audit.told()[0] == REFUSED


async def test_the_player_offers_only_what_one_may(office: Office) -> None:
    """A manager's page has no way to share, save or cover; a supervisor's has."""
    call, _ = of_101(office)
    async with at_work(office, "manager") as person:
        page = await person.read(f"/calls/{call.id}")
        assert 'data-do="play"' in page
        for what in ('data-do="share"', 'data-do="redact"', "data-download", 'data-panel="redact"'):
            assert what not in page
    async with at_work(office, "supervisor") as person:
        page = await person.read(f"/calls/{call.id}")
        for what in ('data-do="share"', 'data-do="redact"', "data-download", 'data-panel="redact"'):
            assert what in page


@pytest.mark.parametrize(
    ("state", "status"),
    [(RecordingState.ARRIVED, 404), (RecordingState.LOST, 404), (RecordingState.REMOVED, 410)],
)
async def test_there_is_no_sound_yet_or_no_more(office: Office, state: RecordingState, status: int) -> None:
    """On its way, lost, removed: not the sound, and nothing can be done with it."""
    _, one = of_101(office, state=state)
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "GET", audio(one)))[0] == status
        assert (await ask(person, "GET", f"/recordings/{one.id}/player"))[0] == status
        said = {"at_seconds": 1, "text": "x"}
        assert (await ask(person, "POST", f"/api/v1/recordings/{one.id}/comments", said))[0] == status


async def test_a_program_hears_too(office: Office) -> None:
    """With a personal token, on the API only."""
    _, one = of_101(office)
    account = await office.records.accounts.by_login("manager")
    assert account
    token, hashed = new_token()
    await office.records.tokens.create(account_id=account.id, name="sync", token_hash=hashed)
    async with aiohttp.ClientSession(office.address, headers={"Authorization": f"Bearer {token}"}) as http:
        async with http.get(f"/api/v1{audio(one)}") as answer:
            assert (answer.status, await answer.read()) == (200, SOUND)
        async with http.get(f"/api/v1/recordings/{one.id}") as answer:
            told = await answer.json()
        async with http.get(audio(one), allow_redirects=False) as answer:
            assert answer.status == 303
    assert told["audio"] == f"/api/v1/recordings/{one.id}/audio"
    assert told["duration_seconds"] == 60


async def test_a_call_tells_its_recordings(office: Office) -> None:
    """The API's call has its recordings, each with the address of its sound or null."""
    call, one = of_101(office)
    later = keep(office, call, state=RecordingState.EXPECTED, started_at=scenes.s(40))
    async with at_work(office, "manager") as person, person.http.get(f"/api/v1/calls/{call.id}") as answer:
        told = (await answer.json())["recording_list"]
    assert [(entry["id"], entry["state"]) for entry in told] == [
        (str(one.id), "ready"),
        (str(later.id), "expected"),
    ]
    assert [entry["audio"] for entry in told] == [f"/api/v1/recordings/{one.id}/audio", None]


# -- what is written down --


async def test_a_listening_is_one_line(office: Office) -> None:
    """A player fetches in ten requests and is paused twice: opened once, then the seconds; another day, another line."""
    call, one = of_101(office)
    async with at_work(office, "manager") as person:
        for first in range(10):
            await ask(person, "GET", audio(one, "?listening=a"), Range=f"bytes={first * 10}-")
        assert await person.send(f"/recordings/{one.id}/heard", seconds="41.26") == 204
        await ask(person, "GET", audio(one, "?listening=b"), Range="bytes=500-")
    first, heard, second = office.records.audit.lines
    assert [first.action, heard.action, second.action] == [OPENED, HEARD, OPENED]
    assert (first.who, first.recording_id, first.call_id) == ("manager", one.id, call.id)
    assert heard.seconds == 41.3
    assert first.address == "127.0.0.1"


async def test_a_page_that_never_plays_hears_nothing(office: Office) -> None:
    """Looking at a call is not listening to it."""
    call, _ = of_101(office)
    async with at_work(office, "manager") as person:
        assert "data-player" in await person.read(f"/calls/{call.id}")
    assert office.records.audit.lines == []


@pytest.mark.parametrize("seconds", ["", "-1", "0", "nan", "inf", "1e9", "a while"])
async def test_what_was_heard_is_a_number(office: Office, seconds: str) -> None:
    """A program invents: refused, nothing written."""
    _, one = of_101(office)
    async with at_work(office, "manager") as person:
        assert await person.send(f"/recordings/{one.id}/heard", seconds=seconds) == 422
    assert office.records.audit.lines == []


async def test_a_download_is_a_line_of_its_own(office: Office) -> None:
    """Saved as it is and as MP3: two lines, which say as what; the file's name tells no number."""
    _, one = of_101(office)
    await give(office, "manager", RecordingRight.DOWNLOAD)
    async with at_work(office, "manager") as person:
        _, headers, body = await ask(person, "GET", audio(one, "?as=download"))
        assert body == SOUND
        assert headers["Content-Disposition"].startswith('attachment; filename="recording-20261120-120006-')
        _, headers, body = await ask(person, "GET", audio(one, "?as=mp3"))
        assert (headers["Content-Type"], body) == ("audio/mpeg", b"ID3 mp3")
    saved = [line for line in office.records.audit.lines if line.action is AuditAction.DOWNLOADED]
    assert [line.details["as"] for line in saved] == ["m4a", "mp3"]


def test_what_was_noted_is_forgotten_after_an_hour_and_bounded() -> None:
    """One id may not hide a day of listening, nor may a million of them fill the memory."""
    now = 0.0
    noted = Noted(lambda: now)
    noted.note("a", 1)
    assert noted.known("a", 1)
    assert not noted.known("a", 2)
    now = NOTED_FOR
    assert not noted.known("a", 1)
    noted.note("first")
    for number in range(NOTED_MOST):
        noted.note(number)
    assert not noted.known("first")


# -- the reason before --


async def test_a_reason_comes_before_the_first_sound(office: Office) -> None:
    """The policy wants one: a supervisor hears nothing of a call that is not their own until they have said why; then for
    the rest of the day; the colleague whose call it was is not asked.
    """
    _, one = of_101(office)
    office.records.retention.chosen = RecordingPolicy(reason_required=True)
    async with at_work(office, "manager") as person:
        assert (await ask(person, "GET", audio(one)))[0] == 200
    office.records.audit.lines.clear()
    async with at_work(office, "supervisor") as person:
        status, _, body = await ask(person, "GET", audio(one))
        assert status == 403
        assert b"say first why" in body
        (refused,) = office.records.audit.lines
        assert (refused.action, refused.details) == (REFUSED, {"why": "reason"})
        office.records.audit.lines.clear()
        reason = f"/api/v1/recordings/{one.id}/reason"
        assert (await ask(person, "POST", reason, {"reason": " . "}))[0] == 403
        assert (await ask(person, "POST", reason, {"reason": "A complaint", "listening": "a"}))[0] == 204
        assert (await ask(person, "GET", audio(one, "?listening=a")))[0] == 200
        (line,) = office.records.audit.lines
        assert (line.action, line.reason) == (OPENED, "A complaint")
        assert "data-wants-reason" not in await person.read(f"/recordings/{one.id}/player")
    async with at_work(office, "supervisor") as person:  # another session, another morning
        assert (await ask(person, "GET", audio(one)))[0] == 403
        assert "data-wants-reason" in await person.read(f"/recordings/{one.id}/player")


async def test_a_program_sends_its_reason_along(office: Office) -> None:
    """In a header, percent-encoded, because headers know no Cyrillic."""
    _, one = of_101(office)
    office.records.retention.chosen = RecordingPolicy(reason_required=True)
    async with at_work(office, "supervisor") as person:
        headers = {"X-Reason": "%D0%B6%D0%B0%D0%BB%D0%BE%D0%B1%D0%B0"}
        assert (await ask(person, "GET", audio(one), **headers))[0] == 200
    assert office.records.audit.lines[0].reason == "жалоба"


# -- comments --


async def test_comments_at_a_moment(office: Office) -> None:
    """Said, read by another, changed by its author only, and taken back by emptying it."""
    _, one = of_101(office)
    path = f"/api/v1/recordings/{one.id}/comments"
    async with at_work(office, "manager") as person:
        status, _, _ = await ask(person, "POST", path, {"at_seconds": 12.5, "text": " he hesitates\0 "})
        assert status == 201
        assert (await ask(person, "POST", path, {"at_seconds": 1, "text": "  "}))[0] == 400
        assert (await ask(person, "POST", path, {"at_seconds": -1, "text": "x"}))[0] == 422
        assert (await ask(person, "POST", path, {"at_seconds": 1, "text": "x" * 2001}))[0] == 422
        await ask(person, "POST", path, {"at_seconds": 9999, "text": "at the end"})
    said, end = office.records.comments.kept.values()
    assert (said.text, said.at_seconds, end.at_seconds) == ("he hesitates", 12.5, 60)
    async with at_work(office, "supervisor") as other, other.http.get(path) as answer:
        assert [c["text"] for c in (await answer.json())["comments"]] == ["he hesitates", "at the end"]
        assert (await ask(other, "PUT", f"{path}/{said.id}", {"text": "mine now"}))[0] == 403
        assert (await ask(other, "PUT", f"{path}/{uuid4()}", {"text": "mine now"}))[0] == 404
    async with at_work(office, "manager") as person:
        assert (await ask(person, "PUT", f"{path}/{said.id}", {"text": "he thinks"}))[0] == 200
        assert office.records.comments.kept[said.id].text == "he thinks"
        assert (await ask(person, "PUT", f"{path}/{said.id}", {"text": ""}))[0] == 200
    assert list(office.records.comments.kept) == [end.id]
    assert office.records.audit.told()[0] == AuditAction.COMMENTED


async def test_a_comment_of_another_recording_is_not_reached(office: Office) -> None:
    """Their comment, but not of this recording: 404."""
    _, one = of_101(office)
    _, other = of_109(office)
    account = await office.records.accounts.by_login("manager")
    assert account
    said = await office.records.comments.add(
        recording_id=other.id, account_id=account.id, at_seconds=1, text="x"
    )
    async with at_work(office, "manager") as person:
        path = f"/api/v1/recordings/{one.id}/comments/{said.id}"
        assert (await ask(person, "PUT", path, {"text": "y"}))[0] == 404


# -- links --


async def test_sharing_a_part(office: Office) -> None:
    """A supervisor shares 10 to 20 s for three days: the clip is cut for that link, the address is told once, only
    its hash is kept.
    """
    _, one = of_101(office)
    async with at_work(office, "supervisor") as person:
        path = f"/api/v1/recordings/{one.id}/links"
        body = {"from_seconds": 10, "to_seconds": 20, "days": 3}
        async with person.http.post(path, json=body, headers={"X-CSRF-Token": person.csrf}) as answer:
            assert answer.status == 201
            told = await answer.json()
        (link,) = office.records.links.kept.values()
        listed = await person.read(f"/recordings/{one.id}/links")
        assert "0:10–0:20" in listed
        token = told["address"].rpartition("/listen/")[2]
        assert token not in listed
        assert (await office.records.links.find(_hash(token))) == link
        assert abs(link.expires_at - datetime.now(UTC) - timedelta(days=3)) < timedelta(minutes=1)
        assert office.records.editor.clips == [(one.id, 10, 20, link.id)]
        assert (await ask(person, "DELETE", f"{path}/{link.id}"))[0] == 204
        assert (await ask(person, "DELETE", f"{path}/{uuid4()}"))[0] == 404
    assert office.records.links.kept[link.id].revoked_at
    assert office.records.audit.told() == [AuditAction.SHARED, AuditAction.LINK_REVOKED]
    assert office.records.audit.lines[0].details["from"] == 10


def _hash(token: str) -> bytes:
    from web.auth.access import token_hash

    return token_hash(token)


async def test_the_whole_recording_is_shared_without_cutting(office: Office) -> None:
    """No span: the link leads to the recording itself, also after parts of it are covered later."""
    _, one = of_101(office)
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "POST", f"/api/v1/recordings/{one.id}/links", {"days": 1}))[0] == 201
    (link,) = office.records.links.kept.values()
    assert (link.from_seconds, office.records.editor.clips) == (None, [])


@pytest.mark.parametrize(
    "body",
    [
        {"days": 15},  # the policy allows 14
        {"from_seconds": 20, "to_seconds": 10, "days": 1},
        {"from_seconds": 10, "to_seconds": 10.05, "days": 1},
        {"from_seconds": 50, "to_seconds": 90, "days": 1},
    ],
)
async def test_what_cannot_be_shared(office: Office, body: dict[str, float]) -> None:
    """Longer than the policy allows, backwards, nothing, or beyond the end: a sentence, no link."""
    _, one = of_101(office)
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "POST", f"/api/v1/recordings/{one.id}/links", body))[0] == 400
    assert office.records.links.kept == {}


async def test_a_clip_that_cannot_be_cut_leaves_no_link(office: Office) -> None:
    """The worker is away: the link that was made for the clip leads nowhere."""
    _, one = of_101(office)
    office.records.editor.trouble = TryLater("The worker is away.")
    body = {"from_seconds": 10, "to_seconds": 20, "days": 1}
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "POST", f"/api/v1/recordings/{one.id}/links", body))[0] == 503
    (link,) = office.records.links.kept.values()
    assert link.revoked_at


# -- covering --


async def test_covering_a_part_keeps_the_original_by_default(office: Office) -> None:
    """A card number was said from 10 to 20 s: covered, logged, and the original only for who has the right."""
    call, one = of_101(office)
    body = {"from_seconds": 10, "to_seconds": 20}
    async with at_work(office, "supervisor") as person:
        path = f"/api/v1/recordings/{one.id}/redactions"
        assert (await ask(person, "POST", path, body))[0] == 201
        assert (await ask(person, "POST", path, {"from_seconds": 20, "to_seconds": 10}))[0] == 400
        assert (await ask(person, "GET", audio(one, "?original=1")))[0] == 403
        assert "Covered by Supervisor" in await person.read(f"/calls/{call.id}")
    line = next(line for line in office.records.audit.lines if line.action is AuditAction.REDACTED)
    assert line.details == {"from": 10, "to": 20, "original": "kept"}
    await give(office, "supervisor", RecordingRight.HEAR_ORIGINAL)
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "GET", audio(one, "?original=1")))[0] == 200
        assert 'data-do="original"' in await person.read(f"/calls/{call.id}")
        assert (await ask(person, "GET", audio(one, "?original=1&as=mp3")))[0] == 400


async def test_who_may_uncover(office: Office) -> None:
    """Whoever covered a part takes it back within minutes; later, and for others, it takes the right to originals. What was
    destroyed stays covered. Each is in the log.
    """
    _, one = of_101(office)
    span = {"from_seconds": 10, "to_seconds": 20}
    path = f"/api/v1/recordings/{one.id}/redactions"
    async with at_work(office, "supervisor") as person:
        status, _, body = await ask(person, "POST", path, span)
        assert status == 201
        undo = f"{path}/{json.loads(body)['id']}"
        assert (await ask(person, "DELETE", undo))[0] == 204
        assert (await ask(person, "DELETE", undo))[0] == 404
        await ask(person, "POST", path, span)
        (mine,) = office.records.recordings.kept[one.id].redactions
        long_ago = replace(mine, at=mine.at - timedelta(minutes=11))
        theirs = replace(mine, id=uuid4(), by_account=uuid4())
        gone = replace(mine, id=uuid4(), destroyed=True)
        kept = replace(office.records.recordings.kept[one.id], redactions=(long_ago, theirs, gone))
        office.records.recordings.kept[one.id] = kept
        for redaction, status in ((long_ago, 403), (theirs, 403), (gone, 400)):
            assert (await ask(person, "DELETE", f"{path}/{redaction.id}"))[0] == status
    await give(office, "supervisor", RecordingRight.HEAR_ORIGINAL, RecordingRight.REDACT)
    async with at_work(office, "supervisor") as person:
        for redaction, status in ((long_ago, 204), (theirs, 204), (gone, 400)):
            assert (await ask(person, "DELETE", f"{path}/{redaction.id}"))[0] == status
    uncovered = [line for line in office.records.audit.lines if line.action is AuditAction.UNCOVERED]
    assert [line.details for line in uncovered] == [{"from": 10, "to": 20}] * 3


async def test_destroying_needs_the_name_typed(office: Office) -> None:
    """The policy destroys what is covered: nothing happens until the client's name is typed."""
    call, one = of_101(office)
    office.records.retention.chosen = RecordingPolicy(destroy_redacted_original=True)
    body = {"from_seconds": 10, "to_seconds": 20}
    async with at_work(office, "supervisor") as person:
        assert "Type “Garden” to go on" in await person.read(f"/calls/{call.id}")
        path = f"/api/v1/recordings/{one.id}/redactions"
        assert (await ask(person, "POST", path, body))[0] == 400
        assert (await ask(person, "POST", path, {**body, "typed": "Gardener"}))[0] == 400
        assert office.records.audit.lines == []
        assert (await ask(person, "POST", path, {**body, "typed": " garden "}))[0] == 201
    (line,) = office.records.audit.lines
    assert line.details["original"] == "destroyed"
    assert not office.records.recordings.kept[one.id].has_original


# -- pages --


async def test_the_list_asks_once_for_its_play_buttons(office: Office) -> None:
    """Fifty calls on a page: one question for all recordings; a fault shows, what is on its way says so."""
    for number in range(3):
        call = scenes.over(scenes.picked_up(scenes.ringing("101", begin=scenes.s(number * 100)), "101"), 60)
        state = RecordingState.EXPECTED if number == 2 else RecordingState.READY
        keep(office, call, state=state)
    async with at_work(office, "manager") as person:
        page = await person.read("/calls")
    assert page.count("data-play=") == 2
    assert page.count("The recording is on its way.") == 2  # as a title, and for who cannot see it
    assert office.records.recordings.lists_asked == 1


def written(number: str) -> set[str]:
    """The ways a number may stand on a page; bare digits of three would be found in any random token."""
    return {number, number[1:], number[-10:], display_number(number, "RU"), display_number(number, None)}


async def test_masked_numbers_stay_masked_in_the_player(masked: Office) -> None:
    """A manager who may not see numbers hears the call; neither page nor drawer tells the number."""
    call = scenes.over(scenes.picked_up(scenes.ringing("101"), "101"), 66)
    one = keep(masked, call)
    async with at_work(masked, "manager") as person:
        for path in (f"/calls/{call.id}", f"/recordings/{one.id}/player"):
            page = await person.read(path)
            assert "data-strip" in page
            assert not [number for number in written(scenes.CLIENT) if number in page]


# -- while the call lasts --


async def test_who_may_pause_a_recording(office: Office) -> None:
    """Not a colleague, not the administrator, not a call that is over; and without a control it is said, not assumed."""
    call = scenes.picked_up(scenes.ringing("109"), "109")
    office.live.publish(call)
    mine = scenes.picked_up(scenes.ringing("101"), "101")
    office.live.publish(mine)
    for who, of, status in (
        ("manager", call, 404),
        ("administrator", call, 404),
        ("manager", mine, 503),
        ("supervisor", call, 503),
    ):
        async with at_work(office, who) as person:
            for what in ("pause", "resume"):
                path = f"/api/v1/calls/{of.id}/recording/{what}"
                assert (await ask(person, "POST", path))[0] == status, who
    ended = scenes.over(mine, 60)
    office.live.publish(ended)
    async with at_work(office, "supervisor") as person:
        assert (await ask(person, "POST", f"/api/v1/calls/{ended.id}/recording/pause"))[0] == 404
    assert office.records.audit.lines == []


def test_what_the_card_tells_of_recording() -> None:
    """Not recorded, recorded, paused; two lines of one call are paused only when both are."""
    call = scenes.picked_up(scenes.ringing("101"), "101")
    one = Recorded("x", "1.1", scenes.CLIENT, PartyKind.OUTSIDE, scenes.s(6), None)
    paused = replace(one, pauses=(RecordingPause(scenes.s(20), None),))
    resumed = replace(one, pauses=(RecordingPause(scenes.s(20), scenes.s(30)),))
    assert taping(call) is None
    for recorded, since in (
        ((one,), None),
        ((paused,), scenes.s(20)),
        ((resumed,), None),
        ((paused, one), None),
        ((paused, replace(one, until=scenes.s(9))), scenes.s(20)),
    ):
        assert taping(replace(call, recorded=recorded)) == Taping(since)
    assert taping(scenes.over(replace(call, recorded=(one,)), 60)) is None
