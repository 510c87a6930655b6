"""An application on a free port, with one account of each role."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import aiohttp
import pytest

from telephony.staff import Role
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from web.settings import WebSettings

SETTINGS = WebSettings(region="RU", setup_code="blue-heron", heartbeat_seconds=0.2, session_check_seconds=0.1)


@dataclass
class Office:
    """Everything a test needs of a running application."""

    records: FakeRecords
    live: FakeLive
    address: str

    def browser(self) -> aiohttp.ClientSession:
        """A browser that nobody has signed in."""
        return aiohttp.ClientSession(self.address, cookie_jar=aiohttp.CookieJar(unsafe=True))


class Person:
    """Somebody at a browser, signed in."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.csrf = ""

    async def sign_in(self, login: str, password: str = "correct horse") -> int:
        form = {"login": login, "password": password}
        async with self.http.post("/sign-in", data=form, allow_redirects=False) as answer:
            status = answer.status
        if status == 303:
            self.csrf = re.findall(r'switchhook-csrf" content="([0-9a-f]+)"', await self.read("/settings"))[0]
        return status

    async def read(self, path: str) -> str:
        async with self.http.get(path) as answer:
            return await answer.text()

    async def send(self, path: str, **form: str) -> int:
        async with self.http.post(path, data={"csrf": self.csrf, **form}, allow_redirects=False) as answer:
            return answer.status


async def _office(*roles: Role, settings: WebSettings = SETTINGS) -> AsyncIterator[Office]:
    records, live = FakeRecords(), FakeLive()
    for role in roles:
        await records.add(
            role.value, role, *(("101",) if role is Role.MANAGER else ()), name=role.value.title()
        )
    async with running(records, live, settings, cheap_passwords()) as address:
        yield Office(records, live, address)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """One account of each role; the manager has extension 101."""
    async for made in _office(*Role):
        yield made


@pytest.fixture
async def masked() -> AsyncIterator[Office]:
    """An office where managers may not see outside numbers."""
    async for made in _office(*Role, settings=replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))):
        yield made


@pytest.fixture
async def empty_office() -> AsyncIterator[Office]:
    """Nobody can sign in yet."""
    async for made in _office():
        yield made
