"""PostgreSQL keeps the contracts of the stores; what is stored is sealed, and two processes share it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from call_records.deliveries.sealing import SecretBox, read_or_make_key
from call_records.store import RecordsStore
from crm_sync.exchange import Credentials
from switchhook.crm.stores import StoredCredentials, StoredDeliveries, StoredNumberLocks
from telephony.errors import NeedsPerson
from tests.crm_sync.store_contract import (
    STORED,
    CredentialStoreContract,
    DeliveryStoreContract,
    NumberLocksContract,
)

KEY = bytes(range(32))


def open_credentials(records: RecordsStore, key: bytes = KEY) -> StoredCredentials:
    """Of one process."""
    return StoredCredentials(records.deliveries.credentials, SecretBox(key), records.deliveries.holds)


@pytest.mark.postgres
class TestStoredDeliveries(DeliveryStoreContract):
    """As in memory."""

    @pytest.fixture
    def store(self, records: RecordsStore) -> StoredDeliveries:
        """Empty."""
        return StoredDeliveries(records.deliveries.lanes)


@pytest.mark.postgres
class TestStoredCredentials(CredentialStoreContract):
    """As in memory."""

    @pytest.fixture
    async def credentials(self, records: RecordsStore) -> StoredCredentials:
        """Of one connection."""
        store = open_credentials(records)
        await store.take_configured("crm", STORED)
        await store.replace_credentials("crm", STORED)
        return store


@pytest.mark.postgres
class TestStoredNumberLocks(NumberLocksContract):
    """As in memory."""

    @pytest.fixture
    def locks(self, records: RecordsStore) -> StoredNumberLocks:
        """Nobody holds anything."""
        return StoredNumberLocks(records.deliveries.holds)


@pytest.mark.postgres
async def test_no_secret_is_readable_in_the_database(records: RecordsStore) -> None:
    """And another key, or another row's value, opens nothing."""
    store = open_credentials(records)
    await store.take_configured("crm", Credentials("a-very-secret-token"))
    async with records.engine.connect() as connection:
        row = (await connection.execute(text("SELECT * FROM crm_credentials"))).one()
    assert b"secret" not in bytes(row.sealed) + bytes(row.origin)
    await records.deliveries.credentials.put_credentials("other", row)
    for name, key in (("crm", bytes(32)), ("other", KEY)):
        with pytest.raises(NeedsPerson):
            await open_credentials(records, key).get_credentials(name)


@pytest.mark.postgres
async def test_what_was_renewed_outlives_a_restart_and_gives_way_to_what_a_person_enters(
    records: RecordsStore,
) -> None:
    """The configuration still has the first refresh token, which is spent."""
    configured = Credentials("first", "spent")
    store = open_credentials(records)
    await store.take_configured("crm", configured)
    async with store.begin_renewal("crm") as renewal:
        await renewal.save_credentials(replace(configured, access_token="second", revision=1))
    await open_credentials(records).take_configured("crm", configured)
    assert (await store.get_credentials("crm")).access_token == "second"
    await open_credentials(records).take_configured("crm", Credentials("third"))
    assert await store.get_credentials("crm") == Credentials("third", revision=2)


@pytest.mark.postgres
async def test_a_lost_key_file_takes_the_configured_credentials_again(records: RecordsStore) -> None:
    """A database that was restored on another machine."""
    configured = Credentials("first")
    await open_credentials(records).take_configured("crm", configured)
    other = open_credentials(records, bytes(32))
    await other.take_configured("crm", configured)
    assert (await other.get_credentials("crm")).access_token == "first"


@pytest.mark.postgres
async def test_a_hold_of_a_killed_process_runs_out(records: RecordsStore) -> None:
    """Nobody gives it back; who comes after its time has it."""
    async with records.engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO crm_holds VALUES ('number crm 1', gen_random_uuid(), clock_timestamp() - interval '1 s')"
            )
        )
    async with StoredNumberLocks(records.deliveries.holds).hold_number("crm", "1"):
        pass


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    """Two starts use one key."""
    path = tmp_path / "state" / "crm.key"
    first = read_or_make_key(path)
    assert read_or_make_key(path) == first
    assert len(first) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "00" * 31, "no key"])
def test_a_key_file_that_is_none_is_said(tmp_path: Path, content: str) -> None:
    """With the remedy."""
    path = tmp_path / "crm.key"
    path.write_text(content)
    with pytest.raises(NeedsPerson) as refused:
        SecretBox(read_or_make_key(path))
    assert refused.value.remedy
