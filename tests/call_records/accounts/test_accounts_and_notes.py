"""People who sign in, their browsers and programs, the directory, and what they type during calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from call_records.store import RecordsStore, open_records
from call_records.types import Account
from telephony.errors import PeerMistake
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import call, change

pytestmark = pytest.mark.postgres


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


async def anna(records: RecordsStore, login: str = "anna", extensions: tuple[str, ...] = ("101",)) -> Account:
    return await records.accounts.create(
        login=login,
        name="Anna",
        role=Role.MANAGER,
        password_hash="$argon2id$…",
        extensions=extensions,
        pop=PopPreference.ON_RING,
    )


async def test_only_one_of_many_becomes_the_first_administrator(
    records: RecordsStore, database_url: str
) -> None:
    """Eight browsers send the first-run page at once, to two processes: one administrator."""
    async with open_records(database_url, migrate=False) as other:
        books = [records.accounts, other.accounts] * 4
        tries = [one.create_first(login=f"a{i}", name="A", password_hash="x") for i, one in enumerate(books)]
        made = [account for account in await asyncio.gather(*tries) if account]
    assert len(made) == len(await records.accounts.all()) == 1
    assert made[0].role is Role.ADMINISTRATOR
    assert await records.accounts.any_exist()


async def test_a_login_is_taken_in_any_letter_case(records: RecordsStore) -> None:
    """Anna and ANNA cannot both exist, neither by creating nor by renaming."""
    first = await anna(records)
    other = await anna(records, "boris", ("102",))
    with pytest.raises(PeerMistake, match="taken"):
        await anna(records, "ANNA")
    with pytest.raises(PeerMistake, match="taken"):
        await records.accounts.update(replace(other, login="Anna"))
    assert await records.accounts.by_login("aNNa") == first


async def test_every_field_of_an_account_is_stored(records: RecordsStore) -> None:
    """The administrator changes everything at once."""
    changed = replace(
        await anna(records),
        login="anna.p",
        name="Anna Petrova",
        role=Role.SUPERVISOR,
        extensions=("101", "171"),
        team="north",
        active=False,
    )
    assert await records.accounts.update(changed) == changed
    assert await records.accounts.by_id(changed.id) == changed
    with pytest.raises(PeerMistake):
        await records.accounts.update(replace(changed, id=uuid4(), login="nobody"))


async def test_a_session_lives_until_revoked_expired_or_the_account_is_off(records: RecordsStore) -> None:
    """Four browsers, four ways to end; the fifth stays."""
    account = await anna(records)
    for name in ("stays", "revoked", "other"):
        await records.sessions.open(
            account_id=account.id, token_hash=name.encode(), expires_at=in_an_hour(), browser="Firefox"
        )
    past = datetime.now(UTC) - timedelta(seconds=1)
    await records.sessions.open(
        account_id=account.id, token_hash=b"expired", expires_at=past, browser="x" * 999
    )
    found = await records.sessions.find(b"revoked")
    assert found is not None
    assert found[1] == account
    await records.sessions.revoke(found[0].id)
    assert await records.sessions.find(b"revoked") is None
    assert await records.sessions.find(b"expired") is None
    assert await records.sessions.find(b"unknown") is None
    stays = await records.sessions.find(b"stays")
    assert stays is not None
    await records.sessions.revoke_all(account.id, keep=stays[0].id)
    assert [one.id for one in await records.sessions.of_account(account.id)] == [stays[0].id]
    await records.accounts.update(replace(account, active=False))
    assert await records.sessions.find(b"stays") is None


async def test_a_program_token_is_found_marked_and_revoked_by_its_owner_only(records: RecordsStore) -> None:
    """Boris cannot revoke Anna's token."""
    owner, stranger = await anna(records), await anna(records, "boris")
    token = await records.tokens.create(account_id=owner.id, name="report", token_hash=b"t")
    assert token.used_at is None
    found = await records.tokens.find(b"t")
    assert found is not None
    assert found[0].used_at is not None
    await records.tokens.revoke(token.id, account_id=stranger.id)
    assert [one.id for one in await records.tokens.of_account(owner.id)] == [token.id]
    await records.tokens.revoke(token.id, account_id=owner.id)
    assert await records.tokens.find(b"t") is None


async def test_the_directory_knows_people_without_an_account(records: RecordsStore) -> None:
    """555 is the warehouse, nobody signs in there; it is renamed, and an account takes a phone over."""
    await records.staff.put_person(name="Warehouse", extensions=["555", "556"], team="Logistics")
    await records.staff.put_person(name="Storehouse", extensions=["555"])
    await anna(records, extensions=("101", "171"))
    book = await records.staff.directory()
    assert {one.name: one.extensions for one in book.people} == {
        "Anna": frozenset({"101", "171"}),
        "Storehouse": frozenset({"555"}),
    }
    await records.staff.put_person(name="Old desk", extensions=["101", "300"])
    book = await records.staff.directory()
    assert (book.name_of("101"), book.name_of("300")) == ("Anna", "Old desk")


async def test_a_note_is_kept_changed_and_removed(records: RecordsStore) -> None:
    """Typed on a live card before the journal knows the call; an empty text removes it."""
    author, facts = await anna(records), call()
    await records.notes.save(call_id=facts.id, account_id=author.id, text="calls back")
    await records.journal.record([change(facts)])
    (note,) = await records.notes.of_call(facts.id)
    assert (note.text, note.author) == ("calls back", "Anna")
    await records.notes.save(call_id=facts.id, account_id=author.id, text="called back \x00")
    assert [one.text for one in await records.notes.of_call(facts.id)] == ["called back \ufffd"]
    await records.notes.save(call_id=facts.id, account_id=author.id, text="  ")
    assert await records.notes.of_call(facts.id) == []
    with pytest.raises(PeerMistake):
        await records.notes.save(call_id=facts.id, account_id=uuid4(), text="x")


async def test_notes_follow_merged_calls(records: RecordsStore) -> None:
    """Anna typed in both calls, Boris in the absorbed one; later typing in the old card lands in the survivor."""
    author, other = await anna(records), await anna(records, "boris")
    client, consultation = call(), call(None, to="102")
    await records.journal.record([change(client), change(consultation)])
    await records.notes.save(call_id=client.id, account_id=author.id, text="first")
    await records.notes.save(call_id=consultation.id, account_id=author.id, text="second")
    await records.notes.save(call_id=consultation.id, account_id=other.id, text="other")
    await records.journal.record([change(client, at_seconds=1, absorbed=[consultation.id])])
    assert sorted(one.text for one in await records.notes.of_call(client.id)) == ["first\nsecond", "other"]
    saved = await records.notes.save(call_id=consultation.id, account_id=other.id, text="later")
    assert saved.call_id == client.id
    assert "later" in [one.text for one in await records.notes.of_call(consultation.id)]


async def test_an_account_takes_over_the_person_with_its_phone(records: RecordsStore) -> None:
    """555 was known as the warehouse; the warehouse gets an account: the same person, so that what it owns stays."""
    await records.staff.put_person(name="Warehouse", extensions=["555"])
    (person,) = (await records.staff.directory()).people
    account = await anna(records, extensions=("555", "556"))
    assert account.person_id == person.id
    assert {one.id: one.name for one in (await records.staff.directory()).people} == {person.id: "Anna"}


async def test_a_phone_has_one_owner(records: RecordsStore) -> None:
    """101 moves from Anna to Boris: Anna's account knows it no more, and keeps her own second phone."""
    first, second = await anna(records, extensions=("101", "171")), await anna(records, "boris", ("102",))
    await records.accounts.update(replace(second, name="Boris", extensions=("102", "101")))
    kept = await records.accounts.by_id(first.id)
    moved = await records.accounts.by_id(second.id)
    assert kept is not None
    assert kept.extensions == ("171",)
    assert moved is not None
    assert (moved.name, moved.extensions) == ("Boris", ("102", "101"))
    names = (await records.staff.directory()).by_extension
    assert {phone: one.name for phone, one in names.items()} == {
        "101": "Boris",
        "102": "Boris",
        "171": "Anna",
    }


async def test_phones_that_the_pbx_told_of_wait_for_a_name(records: RecordsStore) -> None:
    """101 has a person, 102 is new, 103 leaves the PBX and comes back; nobody loses their phone by that."""
    at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    await records.staff.put_person(name="Anna", extensions=["101", "103"])
    await records.staff.seen("hq", ["101", "102", "103"], at=at)
    await records.staff.seen("hq", ["101", "102"], at=at + timedelta(minutes=10))
    phones = {one.extension: one for one in await records.staff.phones()}
    assert phones["102"].person_id is None
    assert phones["102"].seen_at == at + timedelta(minutes=10)
    assert phones["103"].gone_at == at + timedelta(minutes=10)
    assert phones["103"].person_id == phones["101"].person_id is not None
    await records.staff.seen("other", ["555"], at=at)
    assert [one.extension for one in await records.staff.phones()] == ["101", "102", "103", "555"]
    assert phones["101"].gone_at is None
