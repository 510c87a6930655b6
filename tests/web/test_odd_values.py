"""Values that no person types, in every parameter of every page: an answer, never a failure."""

from __future__ import annotations

import re

import aiohttp
import pytest

from call_records.store import RecordsStore
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.web.auth.test_access import MATRIX, NAUGHT
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_everybody, serving
from tests.web.office import over, picked_up, ringing

pytestmark = pytest.mark.postgres

PARAMETERS = (
    "q", "tag", "person", "party", "number", "who", "action", "from", "to", "date", "day", "recording", "call",
    "cursor", "before", "owner", "stage", "pipeline", "sort", "kind", "state", "since", "until", "limit", "phones",
    "name", "queue", "direction", "outcome", "fault", "length", "team", "view", "edit", "try", "saved", "next",
)  # fmt: skip
ODD = ("a%00b", "%0%000x", "9999-12-31", "99999999999999999999", "%ED%A0%80")
STREAMS = frozenset({"/api/v1/live"})


@pytest.mark.parametrize("value", ODD)
async def test_no_page_fails_by_a_value(records: RecordsStore, value: str) -> None:
    """Each page with every parameter at once, by an administrator: the address is cleaned at the edge, not page by page."""
    facts = over(picked_up(ringing("101"), "101"), 30)
    await records.journal.record([change(facts)])
    await add_everybody(records)
    query = "&".join(f"{name}={value}" for name in PARAMETERS)
    async with (
        serving(records, SETTINGS) as address,
        aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        assert await Person(http).sign_in(Role.ADMINISTRATOR.value) == 303
        for method, pattern in MATRIX:
            if method != "GET" or pattern in STREAMS:
                continue
            path = pattern.replace("{call_id}", str(facts.id))
            path = re.sub(r"\{[\w:]+\}", NAUGHT, path)
            for asked in (query, f"tag={value}&person={value}&party={value}&who={value}&q={value}"):
                url = aiohttp.client.URL(f"{address}{path}?{asked}", encoded=True)
                async with http.get(url, allow_redirects=False) as answer:
                    assert answer.status < 500, (path, asked)


async def test_nul_in_a_path_is_no_failure(records: RecordsStore) -> None:
    """Also where a name is part of the address; and it names nothing, not the page that it would name without."""
    await add_everybody(records)
    async with (
        serving(records, SETTINGS) as address,
        aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
    ):
        for path in ("/listen/a%00b", "/api/v1/forms/a%00b", "/calls/%00", "/static/x/%00", "/sign-%00in"):
            url = aiohttp.client.URL(f"{address}{path}", encoded=True)
            async with http.get(url, allow_redirects=False) as answer:
                assert answer.status < 500, path
                assert answer.status != 200, path
