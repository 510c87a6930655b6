"""What keeps a service from running, and what must not: a newer database, a full disk, a reload."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

import asyncpg
import pytest

from call_records.postgres.cluster import Binaries, DiskFull, EmbeddedPostgres
from call_records.store import open_records
from tests.service.conftest import MakeService, database_at
from tests.service.running_service import eventually

pytestmark = pytest.mark.postgres

AWAY = '[[pbx]]\nid = "hq"\nport = 1\nsecret = "nobody listens there"\n'
PATIENCE_SECONDS = 150.0  # a process that loads the product: 2 s, on a busy machine many times that
NEEDS_PERSON = 3  # the code after which the unit does not start the service again


def configuration(database_url: str, *, level: str = "info") -> str:
    """A PBX that is away, pages on any port, and that database."""
    return f'{AWAY}[database]\n{database_at(database_url)}\n[web]\nport = 0\n[logs]\nformat = "json"\nlevel = "{level}"\n'


async def downgraded(database_url: str) -> None:
    """As a newer release left it."""
    host, name = database_url.partition("host=")[2], database_url.partition("@/")[2].partition("?")[0]
    connection = await asyncpg.connect(host=host, user="switchhook", database=name)
    try:
        await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    finally:
        await connection.close()


async def test_a_newer_database_is_one_sentence_and_no_restart_loop(
    make_service: MakeService, database_url: str
) -> None:
    """After a downgrade: what is wrong and what to do, and the code after which systemd gives up."""
    await downgraded(database_url)
    service = make_service(configuration(database_url))
    service.launch()
    assert await service.exited(PATIENCE_SECONDS) == NEEDS_PERSON
    told = service.log.read_text()
    assert "made by a newer Switchhook" in told
    assert "9999" in told
    assert "Traceback" not in told


async def test_a_newer_database_is_told_by_readiness_too(database_url: str) -> None:
    """The pages run on while another process was updated: they say which side is old."""
    await downgraded(database_url)
    async with open_records(database_url, migrate=False) as store:
        assert "made by a newer Switchhook" in (await store.ready() or "")


async def test_a_full_disk_is_told_at_once(short_dir: Path) -> None:
    """The server says it and ends, again and again; a minute of that would be silence for whoever waits."""
    server = EmbeddedPostgres(short_dir / "state", binaries=broken_server(short_dir), durable=False)
    async with asyncio.timeout(10):
        with pytest.raises(DiskFull, match="disk is full") as told:
            await server.start()
    assert "Free some space" in (told.value.remedy or "")


def broken_server(directory: Path) -> Binaries:
    """A PostgreSQL that says what the real one says on a full disk."""
    programs = directory / "bin"
    programs.mkdir()
    message = 'FATAL:  could not write lock file "postmaster.pid": No space left on device'
    texts = {
        "initdb": 'while [ "$1" != -D ]; do shift; done; mkdir -p "$2"; echo 18 > "$2/PG_VERSION"',
        "postgres": f"echo '{message}' >&2; exit 1",
    }
    for name, text in texts.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return Binaries(programs, 18, from_wheel=False)


async def test_a_reload_takes_up_the_log_level_and_never_ends_the_service(
    make_service: MakeService, database_url: str
) -> None:
    """SIGHUP: the new level holds, another table is named as waiting, a broken file changes nothing."""
    service = make_service(configuration(database_url))
    service.launch()
    await service.says("serving", PATIENCE_SECONDS)

    async def reloaded(text: str, event: str) -> None:
        service.config.write_text(text)
        os.kill(service.pid, signal.SIGHUP)
        await eventually(lambda: any(line.get("event") == event for line in service.lines()), 10, event)

    await reloaded(
        configuration(database_url, level="debug") + "[keep]\ntrace_days = 7\n", "configuration_needs_restart"
    )
    waiting = next(line for line in service.lines() if line.get("event") == "configuration_needs_restart")
    assert waiting["changed"] == "[keep]"
    await reloaded("[web\n", "configuration_not_reloaded")
    assert service.alive
    assert await service.stop() == 0
