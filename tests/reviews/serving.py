"""The application over a real store, and what a test or the preview puts into it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import cast

import aiohttp

from call_records.store import RecordsStore
from tests.web.conftest import Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from web.settings import WebSettings

SETTINGS = WebSettings(region="RU", heartbeat_seconds=0.2, session_check_seconds=0.1)


@contextlib.asynccontextmanager
async def serving(records: RecordsStore, settings: WebSettings = SETTINGS) -> AsyncIterator[str]:
    """The pages over this store; gives the address."""
    store = cast(FakeRecords, records)  # the same Protocol; only the fakes are named in the signature
    async with running(store, FakeLive(), settings, cheap_passwords()) as address:
        yield address


@contextlib.asynccontextmanager
async def signed_in(address: str, login: str) -> AsyncIterator[Person]:
    """Somebody at a browser."""
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        person = Person(http)
        assert await person.sign_in(login) == 303
        yield person
