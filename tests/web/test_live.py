"""The live stream, the pages around it, and names that want to be code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from telephony.staff import PopPreference, Role
from tests.web.conftest import SETTINGS, Office, Person
from tests.web.fakes import FakeLive, FakeRecords
from tests.web.office import CLIENT, missed, over, picked_up, ringing, transferred
from web.auth.access import Viewer
from web.live import QUEUE_MOST, Flavour, Hub
from web.metrics import WebMetrics
from web.presenters.masking import View

NASTY = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='x'>",
    "a\r\nevent: bye\r\ndata: {}\r\n\r\n",
    "Ж" * 400,
]


class Events:
    """Reads a stream event by event; beats are skipped unless asked for."""

    def __init__(self, answer: Any) -> None:
        self._lines = answer.content

    async def next(self, *, beats: bool = False) -> tuple[str, Any]:
        name = ""
        while True:
            async with asyncio.timeout(5):
                line = (await self._lines.readline()).decode()
            if not line:
                return "end", None
            if line.startswith("event: "):
                name = line[7:].strip()
            elif line.startswith("data: ") and (beats or name != "beat"):
                return name, json.loads(line[6:])

    async def until_card(self, state: str) -> Any:
        """The first card in that state; it may be told again in the state before, when the book has answered."""
        while True:
            name, told = await self.next()
            assert name in ("card", "missed")
            if name == "card" and told["state"] == state:
                return told

    async def until(self, wanted: str) -> Any:
        """The next event of that name; a card may be told again in between, when the book has answered."""
        while True:
            name, told = await self.next()
            if name == wanted:
                return told
            assert name in ("card", "missed")


@contextlib.asynccontextmanager
async def stream(office: Office, login: str, view: str = "page") -> AsyncIterator[Events]:
    """Somebody signs in and follows the calls."""
    async with office.browser() as http:
        assert await Person(http).sign_in(login) == 303
        async with http.get(f"/api/v1/live?view={view}") as answer:
            yield Events(answer)


async def test_snapshot_then_changes(office: Office) -> None:
    """A browser comes while a call rings: it sees it at once, then the answer, then the end."""
    call = ringing("101", "102")
    office.live.begun(call)
    async with stream(office, "manager") as events:
        name, told = await events.next()
        assert name == "snapshot"
        assert [c["section"] for c in told["calls"]] == ["waiting"]
        assert [c["number"] for c in told["cards"]] == ["8 (916) 000-00-12"]
        office.live.publish(picked_up(call, "101"))
        assert (await events.until_card("talking"))["state"] == "talking"
        assert (await events.until("call"))["section"] == "talking"
        office.live.publish(over(picked_up(call, "101"), 30))
        assert (await events.until_card("ended"))["state"] == "ended"
        assert await events.until("gone") == {"id": str(call.id)}


async def test_card_closes_when_a_colleague_answers(office: Office) -> None:
    """101 and 102 ring; 102 answers: the card of 101 is closed before anything else."""
    async with stream(office, "manager") as events:
        await events.next()
        call = ringing("101", "102")
        office.live.publish(call)
        assert (await events.next())[0] == "card"
        await events.until("call")
        office.live.publish(picked_up(call, "102"))
        name, told = await events.next()
        assert (name, told["call_id"], told["reason"]) == ("card_closed", str(call.id), "answered_elsewhere")


async def test_nobody_gets_cards_of_others(office: Office) -> None:
    """A supervisor without an extension sees the call on the live page, but no card."""
    async with stream(office, "supervisor") as events:
        await events.next()
        office.live.publish(ringing("101"))
        assert (await events.next())[0] == "call"


async def test_never_means_never(office: Office) -> None:
    """A manager turned the card off."""
    manager = await office.records.accounts.by_login("manager")
    assert manager
    await office.records.accounts.set_pop(manager.id, PopPreference.NEVER)
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(ringing("101"))
        assert (await events.next())[0] == "call"


async def test_the_target_of_a_transfer_reads_from_whom(office: Office) -> None:
    """A call is handed to 101: the card names the client and who hands over."""
    await office.records.staff.put_person(name="Petrova", extensions=["202"])
    async with stream(office, "manager") as events:
        await events.next()
        office.live.publish(transferred(picked_up(ringing("202", name="Garden"), "202"), "202", "101", 30))
        name, card = await events.next()
        assert (name, card["name"], card["from"]) in (
            ("card", "Garden", "Petrova (202)"),
            ("card", "Garden", "202"),
        )


async def test_a_merged_call_leaves_no_ghost(office: Office) -> None:
    """A call is absorbed by another and just stops being listed: its row and card go with the next change."""
    async with stream(office, "manager") as events:
        await events.next()
        call = ringing("101")
        office.live.publish(call)
        await events.next()
        await events.next()
        office.live._calls.pop(call.id)
        office.live.publish(ringing("109"))
        assert (await events.next())[0] == "card_closed"
        assert await events.next() == ("gone", {"id": str(call.id)})
        assert (await events.next())[0] == "call"


async def test_a_burst_of_changes_is_told_once_but_the_card_at_once(office: Office) -> None:
    """A call changes three times within a moment: each change reaches the card, the list is told the last one."""
    async with stream(office, "manager") as events:
        await events.next()
        call = ringing("101")
        office.live.publish(call)
        office.live.publish(picked_up(call, "101"))
        office.live.publish(over(picked_up(call, "101"), 30))
        states = [await events.next() for _ in range(3)]
        assert [(name, told["state"]) for name, told in states] == [
            ("card", "ringing"),
            ("card", "talking"),
            ("card", "ended"),
        ]
        assert await events.next() == ("gone", {"id": str(call.id)})


async def test_revoked_session_ends_its_stream(office: Office) -> None:
    """A session is revoked elsewhere: the stream says so and ends."""
    async with stream(office, "manager") as events:
        await events.next()
        office.records.sessions.kept.clear()
        name, told = await events.next()
        assert (name, told) == ("bye", {"reason": "signed_out"})
        assert (await events.next())[0] == "end"


async def test_beats(office: Office) -> None:
    """Nothing happens: the stream still says that it lives."""
    async with stream(office, "manager") as events:
        await events.next()
        assert (await events.next(beats=True))[0] == "beat"


async def test_a_lost_link_is_one_quiet_line(office: Office) -> None:
    """Asterisk goes away: every page learns it."""
    async with stream(office, "manager") as events:
        await events.next()
        office.live.link_lost()
        name, told = await events.next()
        assert name == "link"
        assert "No link" in told["notice"]["text"]


async def test_programs_get_call_facts(office: Office) -> None:
    """A program follows the stream: whole call facts, version 1."""
    async with stream(office, "manager", "facts") as events:
        office.live.publish(ringing("109"))
        _snapshot, (name, told) = await events.next(), await events.next()
        assert (name, told["version"], told["caller"]["number"]) == ("call", 1, CLIENT)


def _number_in(text: str) -> bool:
    """Whether the client's number stands there in any spelling; ids are random and may hold any few digits."""
    return "9160000012" in re.sub(r"[\s()+.-]|&nbsp;", "", text)


async def test_hidden_numbers_are_hidden_everywhere(masked: Office) -> None:
    """Managers may not see numbers: not on pages, not by the API, not on the stream or the card."""
    call = ringing("101", name="+7 916 000 00 12")
    masked.live.publish(call)
    kept = missed(ringing("101"))
    masked.records.calls.kept[kept.id] = kept
    async with masked.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        for path in ("/live", "/calls", f"/calls/{kept.id}", "/api/v1/calls", f"/api/v1/calls/{kept.id}"):
            text = await person.read(path)
            assert not _number_in(text), path
    for view in ("page", "facts"):
        async with stream(masked, "manager", view) as events:
            assert not _number_in(json.dumps(await events.next()))
    async with stream(masked, "supervisor", "facts") as events:
        assert _number_in(json.dumps(await events.next()))


@pytest.mark.parametrize("name", NASTY)
async def test_nasty_names_are_shown_and_do_nothing(office: Office, name: str) -> None:
    """A caller sends code, line breaks or a very long name."""
    kept = over(picked_up(ringing("101", name=name), "101"), 20)
    office.records.calls.kept[kept.id] = kept
    async with office.browser() as http, stream(office, "manager") as events:
        person = Person(http)
        await person.sign_in("manager")
        await events.next()
        office.live.publish(ringing("101", name=name))
        for path in ("/live", "/calls", f"/calls/{kept.id}"):
            page = await person.read(path)
            assert "<script>alert" not in page
            assert "<img" not in page
        event, card = await events.next()
        assert event == "card"
        told = await events.until("call")
        assert card["name"].replace("\n", "").replace("\r", "") == name.strip().replace("\n", "").replace(
            "\r", ""
        )
        assert "<script>" not in told["html"]
        assert "<img" not in told["html"]


async def test_a_reader_too_slow_is_dropped_and_nobody_waits(office: Office) -> None:
    """A browser hangs: its queue fills, it is told goodbye, others go on."""
    records, live = FakeRecords(), FakeLive()
    account = await records.add("manager", Role.MANAGER, "101")
    hub = Hub(live, records, SETTINGS, WebMetrics(), lambda facts, names: "")
    slow = hub.open(Viewer(account, None, "", View()), Flavour.PAGE)
    for _step in range(QUEUE_MOST + 1):
        hub.publish(ringing("109"))
    assert slow.closed
    assert b"slow" in (slow.queue.get_nowait() or b"")


async def test_notes_are_kept_by_author(office: Office) -> None:
    """Two people note something on one call; each keeps their own text."""
    call = over(picked_up(ringing("101"), "101"), 20)
    office.records.calls.kept[call.id] = call
    for login in ("manager", "supervisor"):
        async with office.browser() as http:
            person = Person(http)
            await person.sign_in(login)
            url = f"/api/v1/calls/{call.id}/note"
            headers = {"X-CSRF-Token": person.csrf}
            async with http.put(url, json={"text": f"by {login}"}, headers=headers) as answer:
                assert answer.status == 200
    assert {note.text for note in await office.records.notes.of_call(call.id)} == {
        "by manager",
        "by supervisor",
    }


async def test_merged_ids_lead_to_the_call(office: Office) -> None:
    """A link to a call that became part of another."""
    call, old = over(picked_up(ringing("101"), "101"), 20), ringing("101").id
    office.records.calls.kept[call.id] = call
    office.records.calls.merged[old] = call.id
    async with office.browser() as http:
        await Person(http).sign_in("manager")
        async with http.get(f"/calls/{old}", allow_redirects=False) as answer:
            assert answer.headers["location"] == f"/calls/{call.id}"


async def test_api_says_what_is_wrong(office: Office) -> None:
    """A program asks for an impossible page and for a call that is not there."""
    async with office.browser() as http:
        await Person(http).sign_in("manager")
        async with http.get("/api/v1/calls?limit=9999") as answer:
            told = await answer.json()
            assert (answer.status, answer.content_type) == (422, "application/problem+json")
            assert told["errors"][0]["where"] == "query.limit"
        async with http.get(f"/api/v1/calls/{ringing('1').id}") as answer:
            assert answer.status == 404


async def test_the_database_is_away(office: Office) -> None:
    """Administrators read what to do, machines that we are not ready."""
    office.records.problem = "The database does not answer. Start PostgreSQL."
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("administrator")
        assert "Start PostgreSQL" in await person.read("/connections")
        async with http.get("/readyz") as answer:
            assert answer.status == 503
