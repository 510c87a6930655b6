"""The pages over a real store: for what the fakes do not know, which is everything since the book."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import cast

import aiohttp

from call_records.recordings.ingest.uploads import UploadDesk
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.staff import PopPreference, Role
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import CHEAP, FakeLive, FakeRecords, cheap_passwords
from tests.web.serving import running
from web.crm_desk import CrmDesk
from web.settings import WebSettings


@contextlib.asynccontextmanager
async def serving(
    records: RecordsStore,
    settings: WebSettings = SETTINGS,
    live: FakeLive | None = None,
    uploads: UploadDesk | None = None,
    crm: CrmDesk | None = None,
) -> AsyncIterator[str]:
    """The pages over this store; gives the address."""
    store = cast(FakeRecords, records)  # the same Protocol; only the fakes are named in the signature
    shown = live or FakeLive()
    async with running(store, shown, settings, cheap_passwords(), uploads=uploads, crm=crm) as address:
        yield address


async def add_account(
    records: RecordsStore, login: str, role: Role, *extensions: str, name: str | None = None
) -> Account:
    """Somebody who may sign in, with the password that `Person.sign_in` types."""
    return await records.accounts.create(
        login=login,
        name=name or login.title(),
        role=role,
        password_hash=CHEAP.hash("correct horse"),
        extensions=extensions,
        pop=PopPreference.ON_RING,
    )


async def add_everybody(records: RecordsStore) -> dict[Role, Account]:
    """One account of each role; the manager has extension 101."""
    return {
        role: await add_account(records, role.value, role, *(("101",) if role is Role.MANAGER else ()))
        for role in Role
    }


@contextlib.asynccontextmanager
async def signed_in(address: str, login: str) -> AsyncIterator[Person]:
    """Somebody at a browser."""
    async with aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        person = Person(http)
        assert await person.sign_in(login) == 303
        yield person
