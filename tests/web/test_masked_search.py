"""Somebody who sees numbers masked searches for them: by a whole number or a name, never digit by digit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from urllib.parse import quote
from uuid import UUID

import pytest

from call_records.crm.types import NewClient, NewDeal
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_everybody, serving, signed_in
from tests.web.office import over, picked_up, ringing
from web.number_search import WHOLE_SEARCHES, is_whole_number
from web.presenters.masking import View, show_party

pytestmark = pytest.mark.postgres

NUMBER = "+79163184627"
PARTS = (
    "627", "4627", "84627", "3184627", "163184627", "+7916", "7916318", "916 318-46", "..627", "\uff14\uff16\uff12\uff17",
    "46\u00b227", "0627", "004627", "tel:4627",
)  # fmt: skip
"""Ends, beginnings and middles, in spellings that a search takes apart."""
WHOLE = ("+79163184627", "8 (916) 318-46-27", "9163184627")


@dataclass(frozen=True)
class Hidden:
    """Somebody to be found, and what tells that they were."""

    address: str
    client: UUID
    call: UUID


@pytest.fixture
async def hidden(records: RecordsStore) -> AsyncIterator[Hidden]:
    everybody = await add_everybody(records)
    by = everybody[Role.ADMINISTRATOR].id
    olga = await records.book.add(NewClient(ClientKind.CONTACT, "Olga Zimina", phones=(NUMBER,)), by=by)
    await records.deals.add(NewDeal("Veranda", contact_id=olga.id), by=by)
    facts = over(picked_up(ringing("101", number=NUMBER), "101"), 30)
    await records.journal.record([change(facts)])
    settings = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
    async with serving(records, settings) as address:
        yield Hidden(address, olga.id, facts.id)


def searches(hidden: Hidden, typed: str) -> list[str]:
    """Every address at which something is looked for by what was typed."""
    asked = quote(typed)
    return [
        f"/calls?q={asked}", f"/search?q={asked}", f"/people?q={asked}", f"/people/find?q={asked}",
        f"/deals?view=list&owner=all&q={asked}", f"/recordings?number={asked}",
        f"/api/v1/calls?number={asked}", f"/api/v1/recordings?number={asked}",
        f"/api/v1/calls/{hidden.call}/people?q={asked}", f"/people/same?phones={asked}",
        f"/people/{hidden.client}/calls/{hidden.call}/move?q={asked}",
    ]  # fmt: skip


async def _finds(person: Person, hidden: Hidden, path: str) -> bool:
    """Whether the answer names what was hidden, other than the page it is itself on."""
    text = await person.read(path)
    if "/move?" in path:
        return f'value="{hidden.client}"' in text
    return any(mark in text for mark in (str(hidden.client), str(hidden.call), "Olga", "Veranda"))


async def test_a_part_of_a_number_finds_nobody(hidden: Hidden) -> None:
    """On every address, in whatever spelling; also beside a part of a name, which alone would not be enough."""
    async with signed_in(hidden.address, "manager") as masked:
        for typed in PARTS:
            for path in searches(hidden, typed):
                assert not await _finds(masked, hidden, path), path
            for path in (searches(hidden, f"Boris {typed}")[2], searches(hidden, f"{typed} Boris")[1]):
                assert not await _finds(masked, hidden, path), path


async def test_whole_numbers_and_names_find(hidden: Hidden) -> None:
    """A callback works: the number that the client dictates, and the name; and the end of it for who sees numbers."""
    async with (
        signed_in(hidden.address, "manager") as masked,
        signed_in(hidden.address, "supervisor") as sees,
    ):
        for typed in WHOLE:
            for path in searches(hidden, typed)[:4]:
                assert await _finds(masked, hidden, path), path
        for path in (*searches(hidden, "Olga")[1:4], searches(hidden, "Veranda")[4]):
            assert await _finds(masked, hidden, path), path
        for path in searches(hidden, "4627")[:4]:
            assert await _finds(sees, hidden, path), path


async def test_whole_numbers_cannot_be_tried_without_end(hidden: Hidden) -> None:
    """A list of numbers is not checked against our book."""
    async with (
        signed_in(hidden.address, "manager") as masked,
        signed_in(hidden.address, "supervisor") as sees,
    ):
        for nth in range(WHOLE_SEARCHES.amount + 1):
            path = f"/people/find?q=%2B7916000{nth:04}"
            async with masked.http.get(path) as answer:
                assert answer.status == (429 if nth == WHOLE_SEARCHES.amount else 200)
        async with sees.http.get(path) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("+372 5123 456", True),
        ("5123456", True),
        ("12345", False),
        ("Olga +79163184627", False),
        ("8 916 318 46 27", True),
        ("", False),
    ],
)
def test_what_a_whole_number_is(text: str, whole: bool) -> None:
    """Short ones of small countries too, written as they are there."""
    assert is_whole_number(text, "EE") is whole


def test_who_handed_a_call_over_is_masked_like_any_number() -> None:
    """A colleague's mobile hands it over: the card says it as the call's page does."""
    masked, sees = View(numbers_masked=True), View()
    assert show_party("+79161234567", "+7 916 123-45-67", masked) == "+• ••• •••-••-67"
    assert show_party("+79161234567", "+7 916 123-45-67", sees) == "+7 916 123-45-67"
    assert show_party("101", "101", masked) == "101"
