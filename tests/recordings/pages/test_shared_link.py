"""Shared links: they play without a login, say nothing of who called, expire, are ended, and are written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from call_records.recordings.tables import recordings, share_links
from telephony.recordings import AuditAction
from tests.recordings.rights_fakes import SOUND, Hall, bury, open_hall
from web.auth.access import LinkLimits, TooManyTries

pytestmark = pytest.mark.postgres


@pytest.fixture
async def hall(database_url: str, tmp_path: Path) -> AsyncIterator[Hall]:
    async with open_hall(database_url, tmp_path) as opened:
        yield opened


async def fetch(hall: Hall, path: str, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
    """What somebody without an account gets."""
    async with hall.browser() as http, http.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.read(), answer.headers


async def test_a_link_plays_without_a_login(hall: Hall) -> None:
    """The page has a player, its expiry and nothing of the caller; the sound comes whole or in parts."""
    path = await hall.link("annas")
    status, page, headers = await fetch(hall, path)
    text = page.decode()
    assert status == 200
    assert "<audio controls" in text
    assert "This link works until" in text
    for private in ("Garden", "0000011", "0011", "+7916", "Anna", "101", str(hall.calls["annas"].id)):
        assert private not in text, private
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    assert headers["Cache-Control"] == "no-store"
    assert "media-src 'self'" in headers["Content-Security-Policy"]
    status, sound, headers = await fetch(hall, f"{path}/audio")
    assert (status, sound) == (200, SOUND)
    assert headers["Content-Type"] == "audio/mp4"
    status, part, headers = await fetch(hall, f"{path}/audio", Range="bytes=1000-1999")
    assert (status, part) == (206, SOUND[1000:2000])
    assert headers["Content-Range"] == f"bytes 1000-1999/{len(SOUND)}"
    status, _none, headers = await fetch(hall, f"{path}/audio", Range="bytes=9000-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(SOUND)}")


async def test_every_link_that_does_not_work_looks_the_same(hall: Hall) -> None:
    """Expired, ended, never made, of a removed recording, and nonsense: one answer for all of them."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    expired = await hall.link("annas", token="e" * 43, expires_at=past)
    ended = await hall.link("annas", token="r" * 43)
    (link,) = [
        one for one in await hall.store.links.of_recording(hall.recordings["annas"]) if one.expires_at > past
    ]
    await hall.store.links.revoke(link.id)
    removed = await hall.link("sold", token="g" * 43)
    await bury(hall, "sold")
    answers = set()
    for path in (expired, ended, removed, "/listen/" + "x" * 43, "/listen/short", "/listen/%00"):
        for part in ("", "/audio"):
            status, body, _headers = await fetch(hall, path + part)
            answers.add((status, body))
    assert len(answers) == 1
    assert answers.pop()[0] == 404
    assert await hall.log(action=AuditAction.LINK_OPENED) == []


async def test_an_opening_is_written_down_with_its_address(hall: Hall) -> None:
    """The page and the sound, once each however often the player asks; the link counts one opening."""
    path = await hall.link("annas")
    await fetch(hall, path)
    for _again in range(3):
        await fetch(hall, f"{path}/audio", Range="bytes=0-99")
    lines = await hall.log(action=AuditAction.LINK_OPENED)
    assert [line.details["part"] for line in lines] == ["page", "sound"]
    assert {line.address for line in lines} == {"127.0.0.1"}
    assert {line.recording_id for line in lines} == {hall.recordings["annas"]}
    assert {line.account_id for line in lines} == {None}
    assert lines[0].details["made by"] == "Chief"
    (link,) = await hall.store.links.of_recording(hall.recordings["annas"])
    assert link.opened == 1
    assert "t" * 43 not in str(lines)


async def test_a_link_is_ended_while_somebody_listens(hall: Hall) -> None:
    """From the next request on there is nothing; who ended it is in the log."""
    path = await hall.link("annas")
    assert (await fetch(hall, f"{path}/audio"))[0] == 200
    (link,) = await hall.store.links.of_recording(hall.recordings["annas"])
    async with hall.signed_in("chief") as chief:
        page = await chief.read(f"/recordings/{hall.recordings['annas']}")
        assert f"/links/{link.id}/end" in page
        assert await chief.send(f"/recordings/{hall.recordings['annas']}/links/{link.id}/end") == 303
    assert (await fetch(hall, f"{path}/audio"))[0] == 404
    (line,) = await hall.log(action=AuditAction.LINK_REVOKED)
    assert (line.who, line.details) == ("chief", {"link": str(link.id)})


async def test_a_part_never_becomes_the_whole(hall: Hall, tmp_path: Path) -> None:
    """Only ten seconds were shared: while the cut is not there nothing is heard, then only the cut."""
    path = await hall.link("annas", from_seconds=10.0, to_seconds=20.0)
    assert (await fetch(hall, f"{path}/audio"))[0] == 404
    (link,) = await hall.store.links.of_recording(hall.recordings["annas"])
    clip = tmp_path / "clip.m4a"
    clip.write_bytes(b"only this part")
    await hall.store.shelf.keep(hall.recordings["annas"], clip, kind=f"clip:{link.id}")
    assert (await fetch(hall, f"{path}/audio"))[:2] == (200, b"only this part")
    assert (await fetch(hall, f"{path}/audio", Range="bytes=5-8"))[:2] == (206, b"this")
    assert "0:10" in (await fetch(hall, path))[1].decode()


@pytest.mark.parametrize(("since", "until", "status"), [(15.0, 17.0, 404), (30.0, 40.0, 200)])
async def test_a_cut_dies_when_something_in_it_is_covered(
    hall: Hall, tmp_path: Path, since: float, until: float, status: int
) -> None:
    """Card data within the shared part is covered later: the old cut still holds it, so its link ends."""
    path = await hall.link("annas", from_seconds=10.0, to_seconds=20.0)
    (link,) = await hall.store.links.of_recording(hall.recordings["annas"])
    clip = tmp_path / "clip.m4a"
    clip.write_bytes(b"4111 1111")
    await hall.store.shelf.keep(hall.recordings["annas"], clip, kind=f"clip:{link.id}")
    at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    covered = [{"from_seconds": since, "to_seconds": until, "by": "Chief", "at": at}]
    async with hall.store.engine.begin() as connection:
        await connection.execute(
            update(recordings).where(recordings.c.id == hall.recordings["annas"]).values(redactions=covered)
        )
    assert (await fetch(hall, f"{path}/audio"))[0] == status


async def test_who_tries_too_often_waits(hall: Hall) -> None:
    """A script tries addresses: after twenty that lead nowhere it is told to wait, also for one that works."""
    path = await hall.link("annas")
    seen = [(await fetch(hall, f"/listen/{n:043}"))[0] for n in range(22)]
    assert seen == [404] * 20 + [429] * 2
    assert (await fetch(hall, path))[0] == 429


def test_one_address_does_not_lock_out_another() -> None:
    """The limits count by address."""
    limits = LinkLimits()
    for _try in range(20):
        limits.unknown("192.0.2.1")
    with pytest.raises(TooManyTries):
        limits.check("192.0.2.1")
    limits.check("192.0.2.2")


async def test_what_the_store_keeps_opens_nothing(hall: Hall) -> None:
    """A stolen database holds only hashes of the addresses."""
    await hall.link("annas")
    async with hall.store.engine.connect() as connection:
        kept = (await connection.execute(share_links.select())).one()
    assert ("t" * 43).encode() not in bytes(kept.token_hash)
    assert (await fetch(hall, f"/listen/{kept.token_hash.hex()}"))[0] == 404


async def test_a_program_makes_a_link_for_its_crm(hall: Hall) -> None:
    """With the right to share, no longer than the policy allows, told once and logged; without the right refused."""
    path = f"/api/v1/recordings/{hall.recordings['annas']}/links"
    async with hall.program("anna") as http, http.post(path, json={"days": 1, "purpose": "crm"}) as answer:
        assert answer.status == 403
    async with hall.program("chief") as http:
        async with http.post(path, json={"days": 15, "purpose": "crm"}) as answer:
            assert answer.status == 400
        async with http.post(path, json={"days": 14, "purpose": "crm"}) as answer:
            assert answer.status == 201
            address = (await answer.json())["address"]
        async with http.get(path) as answer:
            assert address.rpartition("/")[2] not in await answer.text()
    assert (await fetch(hall, address.removeprefix(hall.address) + "/audio"))[:2] == (200, SOUND)
    (link,) = await hall.store.links.of_recording(hall.recordings["annas"])
    assert link.purpose == "crm"
    (line,) = await hall.log(action=AuditAction.SHARED)
    assert (line.who, line.recording_id) == ("chief", hall.recordings["annas"])
