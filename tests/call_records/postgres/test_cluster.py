"""The embedded PostgreSQL, the schema, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

import call_records.crm.tables
import call_records.recordings.tables
import call_records.reviews.tables  # noqa: F401 - so that `metadata` knows every table
from call_records.db import schema
from call_records.db.tables import metadata
from call_records.postgres import cluster
from call_records.postgres.cluster import Binaries, EmbeddedPostgres, embedded_postgres
from call_records.store import address_of, open_records
from telephony.errors import NeedsPerson, TryLater

pytestmark = pytest.mark.postgres

INSTALLED: Sequence[Binaries] = (*cluster.distribution_binaries(), *cluster.wheel_binaries())


@pytest.mark.parametrize(
    "binaries", INSTALLED, ids=lambda one: f"{one.major}-{'wheel' if one.from_wheel else 'system'}"
)
async def test_a_cluster_survives_stop_and_kill(short_dir: Path, binaries: Binaries) -> None:
    """Every PostgreSQL of this machine: made, stopped, started, killed, started; what was committed is there."""
    server = EmbeddedPostgres(short_dir, binaries=binaries, durable=False)
    try:
        for round_number, end in enumerate((server.stop, server.kill, server.stop)):
            async with open_records(await server.start()) as store:
                await store.staff.put_person(name="x", extensions=[str(round_number)])
                assert len((await store.staff.directory()).people) == round_number + 1
            await end()
    finally:
        await server.kill()
    assert server.pid is None


async def test_nothing_listens_on_the_network_and_the_socket_is_private(short_dir: Path) -> None:
    """The cluster trusts whoever reaches it, so nobody else may."""
    server = EmbeddedPostgres(short_dir, durable=False)
    try:
        async with (
            open_records(await server.start(), migrate=False) as store,
            store.engine.connect() as connection,
        ):
            assert await connection.scalar(text("SHOW listen_addresses")) == ""
        assert os.stat(server.url.partition("host=")[2]).st_mode & 0o077 == 0
    finally:
        await server.stop()


async def test_a_second_runner_on_the_same_directory_is_refused(short_dir: Path) -> None:
    """Two Switchhooks with one state directory: the second says so and leaves the first alone."""
    first = EmbeddedPostgres(short_dir, durable=False)
    try:
        await first.start()
        with pytest.raises(NeedsPerson, match="already using"):
            await EmbeddedPostgres(short_dir, durable=False).start()
        assert first.pid is not None
    finally:
        await first.stop()


async def test_a_deep_state_directory_still_gets_a_socket(short_dir: Path) -> None:
    """A socket's path may have 107 bytes; this directory alone has more."""
    server = EmbeddedPostgres(short_dir / ("d" * 60) / ("e" * 60), durable=False)
    try:
        async with open_records(await server.start(), migrate=False) as store:
            assert (
                await store.ready()
                == "The database's tables are not those of this release. Run `switchhook migrate`."
            )
    finally:
        await server.stop()


async def test_a_stale_pid_file_naming_a_stranger_is_cleared(short_dir: Path) -> None:
    """A container was restarted and the old server's process number belongs to somebody else, here to ourselves."""
    server = EmbeddedPostgres(short_dir, durable=False)
    try:
        await server.start()
        await server.kill()
        name_ourselves(short_dir)
        await server.start()
        assert server.pid is not None
    finally:
        await server.stop()


def name_ourselves(state_dir: Path) -> None:
    """As after a restart of a container: the number in the file is alive, but no database."""
    (pid_file,) = state_dir.glob("**/data/postmaster.pid")
    told = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *told[1:]]) + "\n")


STARTER = """
import asyncio, sys
from pathlib import Path
from call_records.postgres.cluster import EmbeddedPostgres
async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]), durable=False)
    await server.start()
    print("pid", server.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_the_server_ends_with_its_killed_parent(short_dir: Path) -> None:
    """kill -9 of Switchhook: the server goes down by itself, and the next start finds the directory free."""
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, str(short_dir), stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    assert starter.stdout is not None
    async with asyncio.timeout(30):
        words: list[bytes] = []
        while words[:1] != [b"pid"]:
            words = (await starter.stdout.readline()).split()
        descriptor = os.pidfd_open(int(words[1]))
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, ended.set)
        starter.send_signal(signal.SIGKILL)
        await starter.wait()
        await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    os.close(descriptor)
    async with embedded_postgres(short_dir, durable=False) as url:
        assert url.startswith("postgresql+asyncpg://")


async def test_a_given_address_is_used_as_it_is(tmp_path: Path) -> None:
    """DATABASE_URL is set: nothing is started, nothing is made."""
    async with embedded_postgres(tmp_path / "state", database_url="postgresql://db/x") as url:
        assert url == "postgresql://db/x"
    assert not (tmp_path / "state").exists()


async def test_without_any_postgres_the_package_is_named(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with neither the package nor the wheel."""
    monkeypatch.setattr(cluster, "distribution_binaries", list)
    monkeypatch.setattr(cluster, "wheel_binaries", list)
    with pytest.raises(NeedsPerson) as trouble:
        await EmbeddedPostgres(short_dir).start()
    assert "`postgresql`" in (trouble.value.remedy or "")


async def test_two_processes_migrate_at_once(empty_database_url: str) -> None:
    """Bridge and web start together on an empty database: both are served, the tables are made once."""
    async with (
        asyncio.timeout(30),
        open_records(empty_database_url, migrate=False) as one,
        open_records(empty_database_url, migrate=False) as two,
    ):
        await asyncio.gather(schema.upgrade(one.engine), schema.upgrade(two.engine))
        assert await one.ready() is None


async def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    """Nobody changes one without the other."""

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with open_records(database_url, migrate=False) as store, store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_database_that_is_away_is_a_sentence(short_dir: Path) -> None:
    """Nothing answers there."""
    with pytest.raises(TryLater) as trouble:
        async with open_records(f"postgresql://x@/x?host={short_dir}"):
            pass
    assert trouble.value.remedy


async def test_a_missing_database_is_a_sentence(database_url: str) -> None:
    """The name in the address is wrong."""
    with pytest.raises(NeedsPerson, match="does not exist"):
        async with open_records(database_url.replace("/test_", "/missing_")):
            pass


@pytest.mark.parametrize(
    "url", ["", "mysql://x/y", "no address", "postgresql://[::1/secret", "postgresql://h:x/secret"]
)
def test_an_address_that_is_none_is_a_sentence_without_the_password(url: str) -> None:
    """DATABASE_URL is mistyped."""
    with pytest.raises(NeedsPerson) as trouble:
        address_of(url)
    assert "secret" not in str(trouble.value)


def test_the_usual_spellings_of_an_address() -> None:
    """Hosting companies write `postgres://` and `sslmode`."""
    address = address_of("postgres://u:p@db/x?sslmode=require")
    assert (address.drivername, dict(address.query)) == ("postgresql+asyncpg", {"ssl": "require"})


async def test_a_dead_connection_costs_nobody_an_error(short_dir: Path) -> None:
    """PostgreSQL was restarted between two page views."""
    server = EmbeddedPostgres(short_dir, durable=False)
    try:
        async with open_records(await server.start()) as store:
            assert not await store.accounts.any_exist()
            await server.kill()
            with pytest.raises(TryLater):
                await store.accounts.any_exist()
            assert "Check that PostgreSQL runs" in (await store.ready() or "")
            await server.start()
            assert not await store.accounts.any_exist()
            assert await store.ready() is None
    finally:
        await server.stop()
