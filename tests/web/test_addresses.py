"""The addresses of pages and API: a parameter carries its type, so the order of the routers means nothing."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from starlette.routing import compile_path

from telephony.staff import Role
from tests.web.conftest import Office, Person
from tests.web.routes import list_patterns, make_app

PARAMETER = re.compile(r"\{(\w+)(?::(\w+))?\}")
AN_ID = "0190f3a1-0000-7000-8000-000000000001"
NO_IDS = frozenset({"act", "extension", "kind", "name", "pbx", "token", "version", "what"})
"""What is no id of ours: a word, a name, a number of a phone, a secret."""
MALFORMED = ("x", "1", "0190f3a1", AN_ID + "0", "0190f3a1-0000-7000-8000-00000000000g", "%20")
ROUTES = sorted(set(list_patterns(make_app())))


def test_every_id_in_an_address_carries_its_type() -> None:
    """`/deals/{deal_id}` would match `/deals/new` too, and whichever router came first would answer."""
    untyped = {
        (pattern, name)
        for _method, pattern in ROUTES
        for name, kind in PARAMETER.findall(pattern)
        if not kind and name not in NO_IDS
    }
    assert not untyped


def test_no_two_routes_match_the_same_address() -> None:
    """Whatever the order in which they are tried, one answers."""
    written = list_patterns(make_app())
    assert len(written) == len(set(written))
    both = [
        (method, one, other)
        for (method, one), (same, other) in combinations(ROUTES, 2)
        if method == same and _meet(one, other)
    ]
    assert not both


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("/deals/{deal_id}", "/deals/new", True),
        ("/deals/{deal_id:uuid}", "/deals/new", False),
        ("/deals/{deal_id:uuid}", "/deals/{other_id:uuid}", True),
        ("/export/{what}.{kind}", "/export/cards-{version}.vcf", True),
        ("/export/{what}.csv", "/export/cards-{version}.vcf", False),
        ("/imports/{import_id:uuid}/{act}", "/imports/{import_id:uuid}/read", True),
        ("/recordings/{recording_id:uuid}/links", "/recordings/uploads/{name}", False),
        ("/static/{version}/{name:path}", "/static/{version}/{name}", True),
    ],
)
def test_addresses_that_meet_are_found(one: str, other: str, meet: bool) -> None:
    """The comparison itself, in both directions."""
    assert _meet(one, other) is meet
    assert _meet(other, one) is meet


@pytest.mark.parametrize("malformed", MALFORMED)
async def test_an_id_that_is_none_is_not_found(office: Office, malformed: str) -> None:
    """Of a page a sentence and a way on, of the API a problem: never a failure, never another page."""
    async with office.browser() as http:
        assert await Person(http).sign_in(Role.ADMINISTRATOR.value) == 303
        for pattern in sorted(
            {pattern for method, pattern in ROUTES if method == "GET" and ":uuid" in pattern}
        ):
            path = PARAMETER.sub(malformed, pattern)
            async with http.get(path, allow_redirects=False) as answer:
                text = await answer.text()
                assert answer.status == 404, path
            if path.startswith("/api/"):
                assert answer.content_type == "application/problem+json", path
                assert "There is nothing here." in text, path
            else:
                assert "Page not found." in text, path


def _meet(one: str, other: str) -> bool:
    """Some address matches both: what either pattern takes is tried in the other, piece by piece."""
    if ":path}" in one or ":path}" in other:
        return _matches(one, _example(other)) or _matches(other, _example(one))
    pieces, theirs = one.split("/"), other.split("/")
    return len(pieces) == len(theirs) and all(
        _matches(piece, _example(its)) or _matches(its, _example(piece))
        for piece, its in zip(pieces, theirs, strict=True)
    )


def _matches(pattern: str, address: str) -> bool:
    regex, _shape, _convertors = compile_path(pattern)
    return regex.match(address) is not None


def _example(pattern: str) -> str:
    return PARAMETER.sub(lambda found: AN_ID if found[2] == "uuid" else "x", pattern)
