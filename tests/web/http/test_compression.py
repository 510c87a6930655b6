"""What leaves compressed, and what a compressed page must not betray."""

from __future__ import annotations

import gzip
import re

import aiohttp
import pytest
from aiohttp.abc import AbstractCookieJar

from tests.web.conftest import Office, Person
from web.auth.access import csrf_of
from web.auth.csrf_mask import mask_token, unmask_token

ZIPPED = {"Accept-Encoding": "gzip"}


def raw(office: Office, jar: AbstractCookieJar | None = None) -> aiohttp.ClientSession:
    """A browser that shows what came over the line; with somebody's cookies, signed in as them."""
    jar = jar or aiohttp.CookieJar(unsafe=True)
    return aiohttp.ClientSession(office.address, cookie_jar=jar, auto_decompress=False, headers=ZIPPED)


async def cookies_of(office: Office, login: str) -> AbstractCookieJar:
    """What the browser of somebody who signed in keeps."""
    async with office.browser() as http:
        assert await Person(http).sign_in(login) == 303
        return http.cookie_jar


async def test_pages_and_files_are_compressed(office: Office) -> None:
    """To whoever reads gzip; the same page as it is to others."""
    jar = await cookies_of(office, "manager")
    for path, cookies in (("/sign-in", None), ("/people/new", jar), ("/api/v1/openapi.json", jar)):
        async with raw(office, cookies) as http:
            async with http.get(path) as answer:
                assert answer.status == 200
                assert answer.headers["Content-Encoding"] == "gzip"
                assert "Accept-Encoding" in answer.headers["Vary"]
                packed = await answer.read()
            async with http.get(path, headers={"Accept-Encoding": "identity"}) as answer:
                assert "Content-Encoding" not in answer.headers
                plain = await answer.read()
            assert len(packed) < len(plain) / 2
            assert len(gzip.decompress(packed)) == len(plain)
    async with raw(office) as http:
        async with http.get("/sign-in") as answer:
            sheet = re.findall(
                r'href="(/static/[^"]+app.css)"', gzip.decompress(await answer.read()).decode()
            )[0]
        async with http.get(sheet) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("offered", ["identity", "gzip;q=0", "br", ""])
async def test_nobody_gets_what_they_cannot_read(office: Office, offered: str) -> None:
    """Only who offers gzip."""
    async with raw(office) as http, http.get("/sign-in", headers={"Accept-Encoding": offered}) as answer:
        assert "Content-Encoding" not in answer.headers


async def test_the_live_stream_is_not_held_back(office: Office) -> None:
    """Its first words come at once, as they are."""
    async with office.browser() as http:
        await Person(http).sign_in("manager")
        async with http.get("/api/v1/live", headers=ZIPPED) as stream:
            assert "Content-Encoding" not in stream.headers
            assert await stream.content.readuntil(b"snapshot")


async def test_the_token_is_written_anew_into_each_page(office: Office) -> None:
    """So that how well a page compresses tells nothing about it; each spelling is accepted."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        first = person.csrf
        found = re.findall(r'switchhook-csrf" content="([0-9a-f]+)"', await person.read("/settings"))[0]
        assert found != first
        assert unmask_token(found) == unmask_token(first)
        for person.csrf in (first, found):
            assert await person.send("/settings/card", pop="never") in (200, 303)
        for person.csrf in ("", "00" * 32, "00" * 64, found[:-2], found + "00", "zz" * 64, "ü"):
            assert await person.send("/settings/card", pop="never") == 403


def test_a_mask_comes_off_again() -> None:
    """Two spellings of one token share nothing."""
    token = csrf_of("a session's token")
    one, other = mask_token(token), mask_token(token)
    assert unmask_token(one) == unmask_token(other) == unmask_token(token) == bytes.fromhex(token)
    assert one[:64] != other[:64]
    assert one[64:] != other[64:]
