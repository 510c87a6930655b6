"""The API: calls told as facts and as the story of their page, notes, and mistakes answered in words."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import aiohttp

from ami_bridge.capture.capture import read_capture
from switchhook.commands.replay import replay
from telephony.call_facts.facts import facts_from_json
from tests.web import office as scenes
from tests.web.conftest import Office, Person

CAPTURES = Path(__file__).resolve().parents[1] / "captures"


def call_of_the_day(office: Office) -> str:
    """Somebody called, 101 answered, both talked for half a minute."""
    facts = scenes.over(scenes.picked_up(scenes.ringing(), "101"), 36)
    office.records.calls.kept[facts.id] = facts
    return str(facts.id)


async def signed_in(http: aiohttp.ClientSession, login: str = "manager") -> Person:
    person = Person(http)
    assert await person.sign_in(login) == 303
    return person


async def test_a_call_is_told_as_facts_and_as_a_story(office: Office) -> None:
    """A program asks for one call: version 1 of the facts, which read back, and the sentences of the call's page."""
    call = call_of_the_day(office)
    async with office.browser() as http:
        person = await signed_in(http)
        async with http.get(f"/api/v1/calls/{call}") as answer:
            told = await answer.json()
        page = await person.read(f"/calls/{call}")
    assert told["version"] == 1
    facts = facts_from_json(told)
    assert facts == office.records.calls.kept[facts.id]
    assert len(told["story"]) >= 2
    assert all(set(sentence) == {"at", "text"} for sentence in told["story"])
    for word in told["story"][-1]["text"].split()[:2]:
        assert word in page


async def test_the_messages_behind_a_call_are_given_out_redacted_and_replay(
    office: Office, tmp_path: Path
) -> None:
    """A supervisor exports a wrong call: no number of the client in it, and `replay` tells the same call from it."""
    scenario = CAPTURES / "22" / "att_refer" / "ami.jsonl.gz"
    call = call_of_the_day(office)
    messages = [message.as_capture() for message in read_capture(scenario)]
    office.records.traces.lines[UUID(call)] = messages
    async with office.browser() as http:
        await signed_in(http, "supervisor")
        async with http.get(f"/api/v1/calls/{call}/capture") as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            assert call in answer.headers["Content-Disposition"]
            text = await answer.text()
        async with http.get(f"/api/v1/calls/{uuid4()}/capture") as answer:
            assert answer.status == 404
    exported = tmp_path / "exported.jsonl"
    exported.write_text(text, encoding="utf-8")
    before, after = replay([scenario]), replay([exported])
    numbers = {one.caller.number for one in before if one.caller.number and len(one.caller.number) > 6}
    assert numbers
    assert not [number for number in numbers if number.lstrip("+") in text]
    assert [one.disposition for one in after] == [one.disposition for one in before]
    assert [one.answered_by for one in after] == [one.answered_by for one in before]
    assert [[t.to for t in one.transfers] for one in after] == [
        [t.to for t in one.transfers] for one in before
    ]


async def test_messages_no_longer_kept_are_said_so(office: Office) -> None:
    """An old call: its facts stay, its messages are gone."""
    call = call_of_the_day(office)
    async with office.browser() as http:
        await signed_in(http, "supervisor")
        async with http.get(f"/api/v1/calls/{call}/capture") as answer:
            assert answer.status == 404
            assert "no longer kept" in await answer.text()


async def test_a_masked_number_is_masked_in_the_story_too(masked: Office) -> None:
    """Managers may not see outside numbers in this office: the story does not give them away."""
    call = call_of_the_day(masked)
    async with masked.browser() as http:
        await signed_in(http)
        async with http.get(f"/api/v1/calls/{call}") as answer:
            text = await answer.text()
    assert scenes.CLIENT.lstrip("+") not in text


async def test_an_unknown_call_is_a_sentence(office: Office) -> None:
    """Problem details (RFC 9457) with words, not a page."""
    async with office.browser() as http:
        await signed_in(http)
        async with http.get(f"/api/v1/calls/{uuid4()}") as answer:
            assert answer.status == 404
            assert answer.content_type == "application/problem+json"
            assert "no call" in (await answer.json())["detail"]


async def test_a_moment_without_an_offset_is_refused(office: Office) -> None:
    """09:00 of which country? The answer says how to write it."""
    async with office.browser() as http:
        await signed_in(http)
        async with http.get("/api/v1/calls", params={"since": "2026-11-22T09:00:00"}) as answer:
            assert answer.status == 422
            assert "offset" in await answer.text()


async def test_a_note_is_kept_and_an_empty_one_removed(office: Office) -> None:
    """The manager writes, writes again, and clears: one note, the last text, then none."""
    call = call_of_the_day(office)
    async with office.browser() as http:
        person = await signed_in(http)
        for text in ("first", "wants the green one", ""):
            async with http.put(
                f"/api/v1/calls/{call}/note", json={"text": text}, headers={"X-CSRF-Token": person.csrf}
            ) as answer:
                assert answer.status == 200, await answer.text()
            if text:
                async with http.get(f"/api/v1/calls/{call}/card") as answer:
                    assert (await answer.json())["note"] == text
        async with http.get(f"/api/v1/calls/{call}/card") as answer:
            assert (await answer.json())["note"] == ""
