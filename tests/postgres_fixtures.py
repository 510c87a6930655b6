"""A real PostgreSQL for tests: one server a session, one database a test, cloned from a migrated template."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from telephony.errors import SwitchhookError
from tests.requirements import declare_unavailable

TEMPLATE = "template_switchhook"
PREFIX = "switchhook-postgres-"
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 1_000_000_000  # measured: 150 MB at most; a container's usual 64 MB are too few
FILE_COPY_SINCE = 15  # the major version that lets one choose


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory of its own that an unprivileged server can enter: pytest's are closed to others when root runs it."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The socket directory of the session's server, the migrated template inside."""
    with asyncio.Runner() as runner:
        place = _quick_place()
        _clear_abandoned(place)
        directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place))
        server = EmbeddedPostgres(directory, durable=False)
        try:
            try:
                url = runner.run(server.start())
            except SwitchhookError as trouble:
                declare_unavailable("postgres", f"{trouble} {trouble.remedy or ''}")
            runner.run(_make_template(url))
            yield url
        finally:
            runner.run(server.stop())
            shutil.rmtree(directory, ignore_errors=True)


def _quick_place() -> Path | None:
    """A file system in memory, where there is one with room: a new database takes 0.03 s there, 0.3 s on a busy disk.

    None: the usual place. Programs must be allowed to run there, because PostgreSQL's may have to be copied.
    """
    try:
        memory = os.statvfs(MEMORY)
    except OSError:
        return None
    room = memory.f_bavail * memory.f_frsize
    usable = os.access(MEMORY, os.W_OK | os.X_OK) and not memory.f_flag & os.ST_NOEXEC
    return MEMORY if usable and room >= MEMORY_BYTES else None


def _clear_abandoned(place: Path | None) -> None:
    """A run that was killed could not put away its database; in memory nothing else ever would."""
    for left in place.glob(f"{PREFIX}*-*") if place else ():
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists() and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)


@pytest.fixture
async def empty_database_url(postgres_server: str) -> AsyncIterator[str]:
    """A database without tables."""
    async for url in own_database(postgres_server, "template0"):
        yield url


@pytest.fixture
async def database_url(postgres_server: str) -> AsyncIterator[str]:
    """A database with the tables of this release and nothing in them."""
    async for url in own_database(postgres_server, TEMPLATE):
        yield url


@pytest.fixture
async def records(database_url: str) -> AsyncIterator[RecordsStore]:
    """The opened, empty store."""
    async with open_records(database_url, migrate=False) as store:
        yield store


async def _make_template(url: str) -> None:
    await _admin(url, f'CREATE DATABASE "{TEMPLATE}"')
    async with open_records(url_of(url, TEMPLATE)):
        pass


async def own_database(server: str, template: str) -> AsyncIterator[str]:
    """The address of a new database, dropped when the iteration goes on."""
    name = f"test_{uuid4().hex}"
    await _admin(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"', " STRATEGY file_copy")
    yield url_of(server, name)
    await _admin(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def url_of(server: str, database: str) -> str:
    """The same server, another database."""
    return server.replace("@/switchhook?", f"@/{database}?")


async def _admin(server: str, statement: str, newer: str = "") -> None:
    """`newer`: what a server that knows it is told as well."""
    connection = await asyncpg.connect(
        host=server.partition("host=")[2], user="switchhook", database="postgres"
    )
    try:
        knows = connection.get_server_version().major >= FILE_COPY_SINCE
        await connection.execute(statement + (newer if knows else ""))
    finally:
        await connection.close()
