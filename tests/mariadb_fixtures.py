"""A real MariaDB for tests: one server a session, one database a test, and a user that may only read it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from switchhook.lab.mariadb import PrivateMariaDb
from switchhook.lab.mariadb_binary import NoMariaDb, find_mariadb
from switchhook.lab.ports import LOCALHOST
from tests.requirements import declare_unavailable

READER_PASSWORD = "rE@d/er:%"  # what has to be written with % in an address


@dataclass(frozen=True, slots=True)
class MariaDbDatabase:
    """An empty database of one test."""

    server: PrivateMariaDb
    name: str
    reader: str
    """The address for a user that may only SELECT, over TCP."""
    reader_by_socket: str

    async def run(self, *statements: str) -> list[tuple[object, ...]]:
        """As the administrator, in this database."""
        return await self.server.run(*statements, database=self.name)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[PrivateMariaDb]:
    """The session's server; skipped where there is none, or failed where SWITCHHOOK_REQUIRE asks for it."""
    directory = Path(tempfile.mkdtemp(prefix="switchhook-mariadb-"))
    with asyncio.Runner() as runner:
        server: PrivateMariaDb | None = None
        try:
            try:
                server = PrivateMariaDb(find_mariadb(), directory, _free_port())
                runner.run(server.__aenter__())
            except NoMariaDb as nothing:
                declare_unavailable("mariadb", f"{nothing} {nothing.remedy}")
            assert server is not None
            yield server
        finally:
            if server is not None:
                runner.run(server.stop())
            shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as held:
        held.bind((LOCALHOST, 0))
        port: int = held.getsockname()[1]
        return port


@pytest.fixture
async def mariadb(mariadb_server: PrivateMariaDb) -> AsyncIterator[MariaDbDatabase]:
    """A database of this test's own, and a user that may read it."""
    name = f"t{uuid4().hex[:12]}"
    user = f"u{uuid4().hex[:12]}"
    await mariadb_server.run(
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
        f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY '{READER_PASSWORD}'",
        f"CREATE USER {user}@localhost IDENTIFIED BY '{READER_PASSWORD}'",
        f"GRANT SELECT ON {name}.* TO {user}@'127.0.0.1'",
        f"GRANT SELECT ON {name}.* TO {user}@localhost",
    )
    who = f"mysql://{user}:rE%40d%2Fer%3A%25@"
    yield MariaDbDatabase(
        mariadb_server,
        name,
        f"{who}127.0.0.1:{mariadb_server.port}/{name}",
        f"{who}localhost/{name}?unix_socket={mariadb_server.socket}",
    )
    await mariadb_server.run(
        f"DROP DATABASE {name}", f"DROP USER {user}@'127.0.0.1'", f"DROP USER {user}@localhost"
    )
