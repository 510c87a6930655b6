"""The search at the head of every page, as far as it needs no browser."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from telephony.errors import TryLater
from telephony.staff import Directory, Person
from tests.web.conftest import Office
from tests.web.conftest import Person as Visitor
from tests.web.office import over, picked_up, ringing
from web.global_search import TEXT_MOST, find_colleagues, read_text


def colleague(name: str, *extensions: str) -> Person:
    return Person(id=uuid4(), name=name, extensions=frozenset(extensions))


DIRECTORY = Directory(
    (
        colleague("Anna Belova", "101"),
        colleague("Пётр Морозов", "1011"),
        colleague("Hannah Zell", "210"),
    )
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("101", ["Anna Belova", "Пётр Морозов"]),
        ("1011", ["Пётр Морозов"]),
        ("belova", ["Anna Belova"]),
        ("anna bel", ["Anna Belova"]),
        ("morozov", ["Пётр Морозов"]),
        ("белова", ["Anna Belova"]),
        ("nna", []),
        ("!!", []),
    ],
)
def test_colleagues(text: str, names: list[str]) -> None:
    """By the beginning of words in either script, or by extension; the whole extension first."""
    assert [hit.title for hit in find_colleagues(DIRECTORY, text)] == names


def test_what_is_typed_is_bounded() -> None:
    """Two kilobytes in an address cost what a hundred characters do."""
    assert len(read_text("a b\x00" * 5_000)) <= TEXT_MOST


async def test_queues_and_calls(office: Office) -> None:
    """A queue leads to its calls; a number to the calls with it, the name first."""
    call = over(picked_up(ringing("101", queue="Sales floor"), "101"), 60)
    office.records.calls.kept[call.id] = call
    async with office.browser() as http:
        visitor = Visitor(http)
        await visitor.sign_in("manager")
        queues = await visitor.read("/search/suggestions?q=floor")
        assert "/calls?queue=Sales+floor" in queues
        calls = await visitor.read("/search/suggestions?q=0012")
        assert f"/calls/{call.id}" in calls
        assert str(call.id) in await visitor.read("/calls?queue=Sales+floor")
        assert str(call.id) not in await visitor.read("/calls?queue=Other")


async def test_masked_search_finds_no_call_by_some_digits(masked: Office) -> None:
    """The same digits that a supervisor finds it by."""
    call = over(picked_up(ringing("101"), "101"), 60)
    masked.records.calls.kept[call.id] = call
    for login, found in (("manager", False), ("supervisor", True)):
        async with masked.browser() as http:
            visitor = Visitor(http)
            await visitor.sign_in(login)
            assert (str(call.id) in await visitor.read("/search/suggestions?q=0012")) is found


async def test_what_could_not_be_searched_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who read "nothing found" while the database was slow would add a customer a second time."""

    async def fail(*_args: object, **_named: object) -> None:
        raise TryLater("The database took too long to answer.")

    monkeypatch.setattr(office.records.book, "page", fail)
    async with office.browser() as http:
        visitor = Visitor(http)
        await visitor.sign_in("manager")
        for address in ("/search?q=zyxwvu", "/search/suggestions?q=zyxwvu"):
            told = await visitor.read(address)
            assert "People and companies could not be searched." in told
            assert "Nothing found" not in told
            assert "/people/new" not in told
        found = await visitor.read("/search?q=live")
        assert "People and companies could not be searched." in found
        assert 'href="/live"' in found


async def test_a_kind_that_is_late_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that never answers holds nobody up for ever."""

    async def never(*_args: object, **_named: object) -> None:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("web.global_search.SUGGESTION_SECONDS", 0.0)
    monkeypatch.setattr(office.records.deals, "page", never)
    async with office.browser() as http:
        visitor = Visitor(http)
        await visitor.sign_in("manager")
        assert "Deals could not be searched." in await visitor.read("/search/suggestions?q=zyxwvu")
