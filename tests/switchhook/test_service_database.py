"""Commands beside a running service: its database, wherever it is, or a sentence; never a second, empty one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.postgres.discovery import find_running_clusters
from call_records.store import open_records
from switchhook import service_database
from switchhook.cli import run_command
from switchhook.settings.settings import Settings, load
from telephony.errors import NeedsPerson
from tests.service.running_service import RunningService

pytestmark = pytest.mark.postgres

PATIENCE_SECONDS = 150.0  # each process loads the product anew: 2 s, on a busy machine many times that
QUIET = """
[web]
port = 0
[[pbx]]
id = "hq"
port = 1
secret = "nobody listens there"
[logs]
format = "json"
"""
"""A PBX that is away: the service serves its pages all the same."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of ours in the environment, and a home directory of its own."""
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_") or name == "STATE_DIRECTORY":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home-state"))


@pytest.fixture
async def service(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningService]:
    """As systemd starts it: where its state is, only its environment says."""
    made = RunningService(short_dir, QUIET)
    monkeypatch.setenv("STATE_DIRECTORY", str(short_dir / "state"))
    made.launch()
    monkeypatch.delenv("STATE_DIRECTORY")
    try:
        await made.says("serving", PATIENCE_SECONDS)
        yield made
    finally:
        made.kill()


def typed(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as an administrator types it."""
    command = [sys.executable, "-m", "switchhook", *words, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


async def test_commands_use_the_database_of_the_running_service(
    service: RunningService, short_dir: Path, tmp_path: Path
) -> None:
    """The account is there for the service to see, the backup has it, and no second cluster was made."""
    secret = tmp_path / "password"
    secret.write_text("a quiet heron at dawn\n")
    made = await asyncio.to_thread(
        typed, service.config, "account", "anna", "--role", "administrator", "--password-file", str(secret)
    )
    assert (made.returncode, made.stdout) == (0, "The account anna was made.\n"), made.stderr
    (cluster,) = [each for each in find_running_clusters() if short_dir in each.home.parents]
    async with open_records(cluster.url, migrate=False) as store:
        assert await store.accounts.by_login("anna") is not None
    backup = await asyncio.to_thread(typed, service.config, "backup", str(short_dir / "backup"))
    assert backup.returncode == 0, backup.stderr
    assert "does not hold a single call" in backup.stderr
    assert not (tmp_path / "home-state").exists()


def settings_at(directory: Path, text: str = "[web]\nport = 0\n") -> Settings:
    """A configuration of its own."""
    config = directory / "switchhook.toml"
    config.write_text(text)
    return load(config)


@pytest.mark.parametrize(
    "words", ["account anna", "token anna", "recompute --since 2026-01-01", "migrate", "backup b"]
)
def test_without_a_database_every_command_is_refused_and_makes_none(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a service nor a cluster: a sentence and code 3; nothing was made."""
    settings_at(tmp_path)
    assert run_command([*words.split(), "--config", str(tmp_path / "switchhook.toml")]) == 3
    assert "There is no database in" in capsys.readouterr().err
    assert not (tmp_path / "home-state").exists()


async def test_a_cluster_that_nobody_runs_is_started_for_the_command(short_dir: Path) -> None:
    """The service is stopped: its cluster is used where it lies, by whoever owns it."""
    server = EmbeddedPostgres(short_dir / "state" / "postgres", durable=False)
    await server.start()
    await server.stop()
    settings = settings_at(short_dir, f'[database]\nstate_dir = "{short_dir / "state"}"\n')
    found = service_database.find_database(settings)
    assert isinstance(found, EmbeddedPostgres)
    assert found.state_dir == server.state_dir


async def test_two_usual_places_with_a_database_are_a_question(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's own and systemd's: guessing wrong would be an empty backup."""
    for place in ("mine", "theirs"):
        data = short_dir / place / "postgres" / "postgres" / "data"
        data.mkdir(parents=True)
        (data / "PG_VERSION").write_text("18\n")
    monkeypatch.setenv("STATE_DIRECTORY", str(short_dir / "mine"))
    monkeypatch.setattr(service_database, "SYSTEM_STATE", short_dir / "theirs")
    monkeypatch.setattr(service_database, "SYSTEM_CONFIGURATION", short_dir)
    with pytest.raises(NeedsPerson, match="which one is meant") as told:
        service_database.find_database(settings_at(short_dir))
    assert "state_dir" in (told.value.remedy or "")
