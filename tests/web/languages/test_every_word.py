"""Every page of every role in the made-up language: no word of English is left, but for what people wrote themselves."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from call_records.store import RecordsStore
from tests.web.conftest import SETTINGS
from tests.web.every_page import EXTENSIONS, fill_office, walk_pages
from tests.web.kept import serving, signed_in
from tests.web.languages.untranslated import WORD, untranslated
from web.languages.pseudo import TAG

PEOPLE = "Switchhook Anna Belova Ines Costa Jan Kowalski Irina Sokolova Mira Sato Chief Warehouse"
"""The office's name, and who is in it."""
WRITTEN = (
    "Roses for the spring Hedge Give her fair garden vip Good Said the company Right answer Asked before holding Short "
    "Contact page csv hq boss manager supervisor administrator"
)
"""What they wrote in it."""
PIPELINE = "Sales New In talks Offer made Won Lost"
"""With which an office begins; it is theirs to name."""
NAMES = "vCard Windows Mac Shift Big calls"
"""Of formats and addresses."""
DATA = frozenset(f"{PEOPLE} {WRITTEN} {PIPELINE} {NAMES}".split())


pytestmark = [pytest.mark.postgres, pytest.mark.timeout(540)]


async def _data(records: RecordsStore) -> frozenset[str]:
    """What may stand on a page in plain letters: which contacts a walk comes by depends on the hour."""
    async with records.engine.connect() as connection:
        names = (await connection.execute(text("SELECT name FROM clients WHERE name IS NOT NULL"))).scalars()
        return DATA.union(*(WORD.findall(name) for name in names))


FRAGMENTS = (
    "/search/suggestions?q=irina",
    "/people/find?q=irina",
    "/people/same?phones=89160000012",
    "/form-echo/amount?text=much",
    "/form-echo/due?text=never",
    "/missed/count",
    "/feedback/count",
    "/recordings/{recording_id}/player",
    "/recordings/{recording_id}/links",
    "/review/rules/random_share/preview?active=yes",
    "/api/v1/calls/{call_id}/card",
    "/no-such-page",
    "/people/00000000-0000-0000-0000-000000000000",
    "/calls?number=abc&date=range&from=yesterday&to=31.02.2026",
    "/recordings?number=abc",
)
"""What scripts of a page fetch, and pages of what is not there or cannot be read."""
REFUSED = {
    "/settings/password": {"old": "wrong", "new": "short"},
    "/settings/tokens": {"name": "x"},
    "/deals/new": {"title": ""},
    "/people/new": {"kind": "contact"},
    "/accounts": {"login": "", "name": ""},
    "/staff": {"name": "", "extensions": "x"},
    "/sources/forms": {"name": ""},
    "/review/forms/new": {"name": ""},
    "/hours": {"day-0": "9-25", "zone": "UTC"},
    "/recordings/rules": {"keep": "many"},
}
"""Forms that cannot be accepted."""
JSON_TEXT = re.compile(r'"(?:text|problem|detail|remedy|said|title|word)": ?"((?:[^"\\]|\\.)*)"')


def _texts(body: str, kind: str) -> str:
    """What is shown of an answer: a page as it is, of data the texts."""
    return (
        " ".join(json.loads(f'"{text}"') for text in JSON_TEXT.findall(body))
        if kind == "application/json"
        else body
    )


async def test_what_scripts_fetch_and_what_is_refused_is_translated_too(records: RecordsStore) -> None:
    begin = await fill_office(records)
    account = await records.accounts.by_login("boss")
    assert account is not None
    await records.accounts.set_language(account.id, TAG)
    data, left = await _data(records), dict[str, list[str]]()
    async with serving(records, replace(SETTINGS, pseudo_language=True)) as address:
        pages = await walk_pages(address, "boss", begin)
        ids = {
            name: pages[f"/{name.split('_')[0]}s/{{{name}}}"].path.split("/")[2]
            for name in ("recording_id", "call_id")
        }
        async with signed_in(address, "boss") as person:
            for path in FRAGMENTS:
                async with person.http.get(path.format(**ids)) as answer:
                    assert answer.status in (200, 404, 422), path
                    left[path] = untranslated(
                        _texts(await answer.text(), answer.content_type), data | {"much", "never"}
                    )
            for path, form in REFUSED.items():
                async with person.http.post(path, data={"csrf": person.csrf, **form}) as answer:
                    assert 400 <= answer.status < 500, path
                    left[path] = untranslated(
                        _texts(await answer.text(), answer.content_type), data | set(form.values())
                    )
    assert {path: texts for path, texts in left.items() if texts} == {}


@pytest.mark.parametrize("login", EXTENSIONS)
async def test_no_page_says_a_word_that_is_not_translated(records: RecordsStore, login: str) -> None:
    begin = await fill_office(records)
    account = await records.accounts.by_login(login)
    assert account is not None
    await records.accounts.set_language(account.id, TAG)
    async with serving(records, replace(SETTINGS, pseudo_language=True)) as address:
        found = await walk_pages(address, login, begin, states=True)
    data = await _data(records)
    left = {page.path: texts for page in found.values() if (texts := untranslated(page.html, data))}
    assert left == {}
