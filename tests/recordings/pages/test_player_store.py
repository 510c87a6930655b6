"""The player over the real thing: PostgreSQL, the shelf on a disk, the audio worker. What is shared and what is covered
is measured in the sound that comes out of it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import aiohttp
import av
import pytest

from call_records.recordings.encoding.editing_audio import decoded
from call_records.recordings.encoding.encoder import encode
from call_records.recordings.encoding.sources import DECODED_RATE
from call_records.recordings.encoding.types import Sources
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import AuditFilter, Processed
from call_records.store import RecordsStore, open_records
from telephony.call_facts.facts import CallFacts
from telephony.recordings import AuditAction, RecordingRight
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import change
from tests.recordings.recording_builder import arrival
from tests.recordings.sounds import level_at, side_of, tone, write_wav
from tests.web import office as scenes
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import CHEAP, FakeLive, cheap_passwords
from web.app import create_app
from web.http.server import serve

pytestmark = pytest.mark.postgres

CUSTOMER, COLLEAGUE, SECONDS = 400, 1700, 12.0


@dataclass
class House:
    """The running application with one recorded call of 101's, and a supervisor who may do everything."""

    store: RecordsStore
    address: str
    call: CallFacts
    recording: UUID


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with open_records(database_url, migrate=False, audio=AudioSettings(tmp_path / "audio")) as store:
        for login, role, extensions in (("manager", Role.MANAGER, ["101"]), ("chief", Role.SUPERVISOR, [])):
            await store.accounts.create(
                login=login,
                name=login.title(),
                role=role,
                password_hash=CHEAP.hash("correct horse"),
                extensions=extensions,
                pop=PopPreference.ON_RING,
            )
        call = scenes.over(scenes.picked_up(scenes.ringing("101", name="Garden"), "101"), 6 + SECONDS)
        made = await _recorded(store, call, tmp_path)
        app = create_app(store, FakeLive(), SETTINGS, passwords=cheap_passwords())
        stop = asyncio.Event()
        port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
        try:
            async with asyncio.timeout(10):
                address = f"http://127.0.0.1:{await port}"
            yield House(store, address, call, made)
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await serving


async def _recorded(store: RecordsStore, call: CallFacts, folder: Path) -> UUID:
    """Both talk for twelve seconds, each in their own tone."""
    await store.journal.record([change(call, aliases=("hq-1.1",))])
    receipt = await store.catalogue.arrived(arrival("hq-1.1"))
    await store.recordings.refile(receipt.recording_id, call.id)
    theirs = write_wav(folder / "in.wav", tone(CUSTOMER, SECONDS))
    ours = write_wav(folder / "out.wav", tone(COLLEAGUE, SECONDS))
    encoded = await asyncio.to_thread(
        encode, Sources(in_side=theirs, out_side=ours, outside_first=True), folder / "whole.m4a"
    )
    await store.shelf.keep(receipt.recording_id, folder / "whole.m4a")
    outcome = Processed(
        audio=folder / "whole.m4a",
        layout=encoded.layout,
        duration_seconds=encoded.duration_seconds,
        peaks=encoded.peaks,
        measures=encoded.measures,
        faults=(),
    )
    await store.catalogue.processed(receipt.recording_id, outcome, scenes.s(6), keep_until=None)
    return receipt.recording_id


async def got(person: Person, path: str, **headers: str) -> tuple[int, bytes]:
    async with person.http.get(path, headers=headers) as answer:
        return answer.status, await answer.read()


async def sent(person: Person, path: str, body: object, status: int = 201) -> dict[str, object]:
    async with person.http.post(path, json=body, headers={"X-CSRF-Token": person.csrf}) as answer:
        assert answer.status == status, await answer.text()
        told: dict[str, object] = await answer.json()
        return told


async def signed_in(http: aiohttp.ClientSession, login: str) -> Person:
    person = Person(http)
    assert await person.sign_in(login) == 303
    return person


def length(sound: bytes) -> float:
    with av.open(io.BytesIO(sound)) as container:
        assert container.duration
        return container.duration / 1_000_000


def customer(sound: Path, since: float, until: float) -> float:
    """How loud the customer's tone is on the left side."""
    return level_at(side_of(b"".join(decoded(sound, since, until)), 0), CUSTOMER, rate=DECODED_RATE)


async def test_heard_in_parts_commented_shared_and_covered(house: House, tmp_path: Path) -> None:
    """A supervisor hears, comments, shares three seconds with somebody outside, covers two seconds; the page shows it
    all, the sound is what it should be, and the log has every step with their name.
    """
    path = f"/recordings/{house.recording}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(house.address, cookie_jar=jar) as http:
        person = await signed_in(http, "chief")
        status, whole = await got(person, f"{path}/audio")
        assert status == 200
        assert length(whole) == pytest.approx(SECONDS, abs=0.1)
        assert await got(person, f"{path}/audio", Range="bytes=1000-1999") == (206, whole[1000:2000])
        said = {"at_seconds": 4, "text": "well asked"}
        await sent(person, f"/api/v1{path}/comments", said)
        part = {"from_seconds": 3, "to_seconds": 6, "days": 2}
        link = await sent(person, f"/api/v1{path}/links", part)
        covered = {"from_seconds": 8, "to_seconds": 10}
        await sent(person, f"/api/v1{path}/redactions", covered)
        page = await person.read(f"/calls/{house.call.id}")
        assert "well asked" in page
        assert "Covered by Chief" in page
        status, after = await got(person, f"{path}/audio?listening=again")
        assert status == 200
        assert (await got(person, f"{path}/audio?original=1"))[0] == 403
        listed = await person.read("/calls")
        assert f'data-play="{path}/player"' in listed
    address = str(link["address"])
    assert address.startswith(house.address)
    async with aiohttp.ClientSession() as outside, outside.get(address + "/audio") as answer:
        assert answer.status == 200
        assert length(await answer.read()) == pytest.approx(3, abs=0.15)
    (tmp_path / "after.m4a").write_bytes(after)
    assert customer(tmp_path / "after.m4a", 1, 7.5) > 0.1
    assert customer(tmp_path / "after.m4a", 8.2, 9.8) < 0.01
    lines = list(reversed(await house.store.audit.page(AuditFilter(recording_id=house.recording))))
    assert [line.action for line in lines] == [
        AuditAction.OPENED,
        AuditAction.COMMENTED,
        AuditAction.SHARED,
        AuditAction.REDACTED,
        AuditAction.OPENED,
        AuditAction.REFUSED,
        AuditAction.LINK_OPENED,
    ]
    assert {line.who for line in lines[:-1]} == {"chief"}
    assert {line.call_id for line in lines} == {house.call.id}


async def test_the_original_and_the_mp3(house: House) -> None:
    """With the right to it, the original is heard after all; and the sound can be saved as MP3."""
    chief = await house.store.accounts.by_login("chief")
    assert chief
    await house.store.accounts.update(replace(chief, rights_chosen=frozenset(RecordingRight)))
    path = f"/recordings/{house.recording}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(house.address, cookie_jar=jar) as http:
        person = await signed_in(http, "chief")
        _, before = await got(person, f"{path}/audio")
        await sent(person, f"/api/v1{path}/redactions", {"from_seconds": 8, "to_seconds": 10})
        _, covered = await got(person, f"{path}/audio")
        _, original = await got(person, f"{path}/audio?original=1")
        assert covered != before
        assert original == before
        status, mp3 = await got(person, f"{path}/audio?as=mp3")
        assert status == 200
        assert length(mp3) == pytest.approx(SECONDS, abs=0.2)


async def test_the_managers_own_call_is_heard_and_no_other(house: House) -> None:
    """Their own: the player is on the page. A colleague who only reads the list finds no way in."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(house.address, cookie_jar=jar) as http:
        person = await signed_in(http, "manager")
        page = await person.read(f"/calls/{house.call.id}")
        assert "data-strip" in page
        assert 'class="wave-ours"' in page
        manager = await house.store.accounts.by_login("manager")
        assert manager
        await house.store.accounts.update(replace(manager, extensions=("102",)))
        assert "You may not hear this call." in await person.read(f"/calls/{house.call.id}")
        assert (await got(person, f"/recordings/{house.recording}/audio"))[0] == 404
