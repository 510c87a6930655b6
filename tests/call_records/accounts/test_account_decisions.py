"""What administrators decided about an account stays decided, whatever its owner does at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from call_records.store import RecordsStore, open_records
from call_records.types import Account
from telephony.errors import ChangedMeanwhile, PeerMistake
from telephony.recordings import HearScope, RecordingRight
from telephony.staff import PopPreference, Role

pytestmark = pytest.mark.postgres


async def _account(records: RecordsStore, login: str, role: Role = Role.SUPERVISOR) -> Account:
    return await records.accounts.create(
        login=login,
        name=login.title(),
        role=role,
        password_hash="first",
        extensions=(),
        pop=PopPreference.ON_RING,
    )


def _decided(account: Account) -> tuple[object, ...]:
    return (
        account.login,
        account.name,
        account.role,
        account.active,
        account.team,
        account.hears_chosen,
        account.rights_chosen,
    )


DECISIONS: dict[str, dict[str, object]] = {
    "demoted": {"role": Role.MANAGER},
    "switched off": {"active": False},
    "hears less": {"hears_chosen": HearScope.NONE},
    "fewer rights": {"rights_chosen": frozenset({RecordingRight.DOWNLOAD})},
    "renamed": {"login": "other", "name": "Other"},
    "other team": {"team": "north"},
}


@pytest.mark.parametrize("decision", DECISIONS)
async def test_nobody_undoes_a_decision_about_themselves(
    records: RecordsStore, database_url: str, decision: str
) -> None:
    """Twelve browsers save the card and sign in anew while the administrator decides, at two processes."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    anna = await _account(records, "anna")
    wanted = replace(anna, **DECISIONS[decision])  # type: ignore[arg-type]
    async with open_records(database_url, migrate=False) as other:
        pops = list(PopPreference)
        own = [
            (records, other)[nth % 2].accounts.set_pop(anna.id, pops[nth % len(pops)]) for nth in range(12)
        ]
        hashes = [
            other.accounts.set_password(anna.id, f"again {nth}", instead_of="first") for nth in range(4)
        ]
        await asyncio.gather(*own, records.accounts.update(wanted), *hashes, return_exceptions=True)
    kept = await records.accounts.by_id(anna.id)
    assert kept is not None
    assert _decided(kept) == _decided(wanted)


async def test_a_reset_is_not_undone_by_whoever_still_signs_in(records: RecordsStore) -> None:
    """Somebody signed in with the old password a moment ago: neither their rehash, their session nor their token stays."""
    anna = await _account(records, "anna")
    await records.accounts.reset_password(anna.id, "second", temporary=True)
    later = datetime.now(UTC) + timedelta(hours=1)
    opened = {"account_id": anna.id, "token_hash": b"t", "password_hash": "first"}
    late: dict[str, Callable[[], Awaitable[object]]] = {
        "rehash": lambda: records.accounts.set_password(anna.id, "anew", instead_of="first"),
        "session": lambda: records.sessions.open(**opened, expires_at=later, browser="x"),  # type: ignore[arg-type]
        "token": lambda: records.tokens.create(**opened, name="x"),  # type: ignore[arg-type]
    }
    for doing in late.values():
        with pytest.raises(ChangedMeanwhile):
            await doing()
    kept = await records.accounts.by_id(anna.id)
    assert kept is not None
    assert (kept.password_hash, kept.password_temporary) == ("second", True)
    assert await records.sessions.of_account(anna.id) == []
    assert await records.tokens.of_account(anna.id) == []


async def test_a_reset_and_sign_ins_at_the_same_moment(records: RecordsStore, database_url: str) -> None:
    """However they meet, no session of the old password is left."""
    anna = await _account(records, "anna")
    later = datetime.now(UTC) + timedelta(hours=1)
    async with open_records(database_url, migrate=False) as other:
        signing = [
            other.sessions.open(
                account_id=anna.id,
                token_hash=bytes([nth]),
                expires_at=later,
                browser="x",
                password_hash="first",
            )
            for nth in range(20)
        ]
        resetting = records.accounts.reset_password(anna.id, "second", temporary=True)
        await asyncio.gather(*signing[:10], resetting, *signing[10:], return_exceptions=True)
    assert await records.sessions.of_account(anna.id) == []


async def test_of_two_administrators_the_second_is_told(records: RecordsStore) -> None:
    """Both opened the form; one switched the account off. The other's form would have switched it on again."""
    await _account(records, "boss", Role.ADMINISTRATOR)
    seen = await _account(records, "anna")
    await records.accounts.update(replace(seen, active=False))
    with pytest.raises(ChangedMeanwhile):
        await records.accounts.update(replace(seen, team="north"))
    kept = await records.accounts.by_id(seen.id)
    assert kept is not None
    assert (kept.active, kept.team) == (False, None)


async def test_two_administrators_cannot_demote_each_other(records: RecordsStore, database_url: str) -> None:
    """At the same moment, ten times: one of them stays an administrator."""
    one, two = await _account(records, "one", Role.ADMINISTRATOR), await _account(records, "two")
    async with open_records(database_url, migrate=False) as other:
        for _round in range(10):
            one = await records.accounts.update(replace(one, role=Role.ADMINISTRATOR))
            two = await records.accounts.update(replace(two, role=Role.ADMINISTRATOR))
            told = await asyncio.gather(
                records.accounts.update(replace(one, role=Role.MANAGER)),
                other.accounts.update(replace(two, active=False)),
                return_exceptions=True,
            )
            assert sum(isinstance(answer, PeerMistake) for answer in told) == 1
            one, two = [await _present(records, account) for account in (one, two)]
            two = await records.accounts.update(replace(two, active=True))


async def _present(records: RecordsStore, account: Account) -> Account:
    kept = await records.accounts.by_id(account.id)
    assert kept is not None
    return kept
