"""A service in a process of its own, its database and its wire to the PBX."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore, open_records
from switchhook.lab.asterisk import PrivateAsterisk
from tests.service.running_service import RunningService

MakeService = Callable[..., RunningService]


def configuration(
    asterisk: PrivateAsterisk,
    *,
    database: str,
    port: int | None = None,
    secret: str | None = None,
    cel: bool = True,
    web_port: int = 0,
) -> str:
    """The TOML file that points at this Asterisk."""
    lines = [
        "[[pbx]]",
        'id = "lab"',
        f"port = {port or asterisk.ports.ami}",
        f'username = "{asterisk.ami_user}"',
        f'secret = "{secret or asterisk.ami_secret}"',
        f'cel_file = "{asterisk.cel_csv}"' if cel else "",
        "[database]",
        database,
        "[web]",
        f"port = {web_port}",
        "[logs]",
        'format = "json"',
    ]
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def _own_cel(request: pytest.FixtureRequest) -> None:
    """The shared Asterisk's event log without the calls of other tests: a first start would tell them all."""
    if "asterisk" in request.fixturenames:
        shared: PrivateAsterisk = request.getfixturevalue("asterisk")
        rotated(shared.cel_csv).unlink(missing_ok=True)
        if shared.cel_csv.exists():
            shared.cel_csv.write_bytes(b"")  # cel_custom opens it anew for each row


def rotated(path: Path) -> Path:
    """Where logrotate puts it."""
    return path.with_name(path.name + ".1")


@pytest.fixture
def make_service(short_dir: Path) -> Iterator[MakeService]:
    """Makes services that share one directory; none outlives the test."""
    made: list[RunningService] = []

    def make(configuration: str, *, only: str | None = None) -> RunningService:
        made.append(RunningService(short_dir, configuration, only=only))
        return made[-1]

    yield make
    for service in made:
        service.kill()
        print(service.log.read_text(encoding="utf-8", errors="replace"))  # shown when the test failed


@pytest.fixture
async def own_postgres(short_dir: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A PostgreSQL for this test alone, to be killed and started again."""
    server = EmbeddedPostgres(short_dir / "database", durable=False)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def own_records(own_postgres: EmbeddedPostgres) -> AsyncIterator[RecordsStore]:
    """What that database holds."""
    async with open_records(own_postgres.url) as store:
        yield store


def own_database(server: EmbeddedPostgres) -> str:
    """The line of the [database] section that points at this server."""
    return database_at(server.url)


def database_at(url: str) -> str:
    """The line of the [database] section that points at this database."""
    return f'url = "{url.replace("+asyncpg", "")}"'
