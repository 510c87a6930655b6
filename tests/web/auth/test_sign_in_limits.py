"""Guessing passwords: many at once, from many addresses, at several web processes."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from argon2 import PasswordHasher

from call_records.store import RecordsStore, open_records
from call_records.types import TryLimit
from telephony.errors import TryLater
from tests.web.conftest import Office
from web.auth.access import HASHINGS_AT_ONCE, HASHINGS_WAITING, Passwords
from web.auth.sign_in_limits import (
    TRIES_OF_A_NAME,
    TRIES_OF_A_NAME_HERE,
    SignInLimits,
    TooManyTries,
    limits_for,
    site_of_address,
)


async def _try(http: aiohttp.ClientSession, login: str, password: str) -> int:
    form = {"login": login, "password": password}
    async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
        return answer.status


async def test_guesses_at_once_count_like_guesses_one_after_the_other(office: Office) -> None:
    """Sixty at the same moment, the right one last: five are judged, the right one is not."""
    async with office.browser() as http:
        guesses = [_try(http, "manager", f"guess {nth}") for nth in range(59)]
        told = await asyncio.gather(*guesses, _try(http, "manager", "correct horse"))
    assert sorted(told) == [401] * TRIES_OF_A_NAME_HERE + [429] * (60 - TRIES_OF_A_NAME_HERE)


async def test_right_passwords_do_not_count(office: Office) -> None:
    """Somebody signs in and out all day."""
    async with office.browser() as http:
        assert [await _try(http, "manager", "correct horse") for _nth in range(40)] == [303] * 40


async def test_the_password_in_my_settings_is_bound_like_the_one_at_the_door(office: Office) -> None:
    """A browser was left open: thirty guesses at once at the present password are as many as five."""
    async with office.browser() as http:
        assert await _try(http, "manager", "correct horse") == 303
        async with http.get("/settings") as answer:
            csrf = (await answer.text()).partition('switchhook-csrf" content="')[2].partition('"')[0]

        async def guess(nth: int) -> int:
            form = {"csrf": csrf, "old": f"guess {nth}", "new": "a heron at noon"}
            async with http.post("/settings/password", data=form, allow_redirects=False) as answer:
                return answer.status

        told = await asyncio.gather(*(guess(nth) for nth in range(30)))
    assert sorted(told) == [400] * TRIES_OF_A_NAME_HERE + [429] * (30 - TRIES_OF_A_NAME_HERE)


async def test_one_name_from_many_addresses(office: Office) -> None:
    """A thousand addresses have no more tries together than one name is given."""
    limits, judged = SignInLimits(office.records.sign_in_tries), 0
    for nth in range(1000):
        try:
            await limits.take("Manager" if nth % 2 else "manager", f"198.51.{nth // 250}.{nth % 250}")
        except TooManyTries:
            continue
        judged += 1
    assert judged == TRIES_OF_A_NAME
    assert await limits.take("supervisor", "203.0.113.7")  # nobody else is kept out by it


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("unknown", "unknown", True),
    ],
)
def test_a_customer_of_ipv6_is_one_address(one: str, other: str, same: bool) -> None:
    """Whoever has a /64 has 2^64 addresses."""
    assert (site_of_address(one) == site_of_address(other)) is same


@pytest.mark.postgres
async def test_several_processes_count_together(records: RecordsStore, database_url: str) -> None:
    """Forty tries at the same moment at two processes: five are taken, and one given back makes room for one."""
    async with open_records(database_url, migrate=False) as other:
        books = [records.sign_in_tries, other.sign_in_tries] * 20
        wanted = limits_for("anna", "192.0.2.1")
        taken = await asyncio.gather(*(book.take(wanted) for book in books))
        counted = [tries for tries in taken if tries is not None]
        assert len(counted) == TRIES_OF_A_NAME_HERE
        await other.sign_in_tries.give_back(counted[0])
    assert await records.sign_in_tries.take(wanted) is not None
    assert await records.sign_in_tries.take(wanted) is None


@pytest.mark.postgres
async def test_a_refused_try_counts_in_nothing(records: RecordsStore) -> None:
    """One limit is used up: the others of the same try stay as they were."""
    full, free = TryLimit("full", 1, 60.0), TryLimit("free", 1, 60.0)
    assert await records.sign_in_tries.take([full]) is not None
    assert await records.sign_in_tries.take([full, free]) is None
    assert await records.sign_in_tries.take([free]) is not None
    assert await records.sign_in_tries.take([TryLimit("full", 1, 0.0)]) is not None  # the time is over


async def test_the_queue_of_hashes_is_bound() -> None:
    """Two hundred at once: those that would wait too long are told so at once, the others are answered."""
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    told = await asyncio.gather(
        *(passwords.matches("x", None) for _nth in range(200)), return_exceptions=True
    )
    assert told.count(False) == HASHINGS_AT_ONCE + HASHINGS_WAITING
    assert sum(isinstance(one, TryLater) for one in told) == 200 - told.count(False)
    assert await passwords.matches("x", None) is False  # and room again
