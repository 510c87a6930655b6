"""The commands an administrator types, as they type them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from call_records.recordings.storage.settings import AudioSettings, StorageKey
from call_records.store import open_records
from switchhook.cli import run_command
from tests.recordings.rows import a_recording, some_audio

pytestmark = pytest.mark.postgres

OLD, NEW = "aa" * 32, "bb" * 32


@pytest.fixture
def office(database_url: str, tmp_path: Path) -> Path:
    """A configuration with one storage key."""
    return a_configuration(tmp_path, database_url, "audio")


def a_configuration(tmp_path: Path, url: str, audio: str) -> Path:
    (tmp_path / "keys").write_text(f"2026 {OLD}\n")
    file = tmp_path / f"{audio}.toml"
    plain = url.replace("+asyncpg", "")
    file.write_text(
        f'[database]\nurl = "{plain}"\nstate_dir = "{tmp_path}"\n'
        f'[recordings]\ndirectory = "{tmp_path / audio}"\nkey_file = "{tmp_path / "keys"}"\n'
    )
    return file


async def typed(*words: object) -> int:
    """The exit code of `switchhook …`."""
    return await asyncio.to_thread(run_command, [str(word) for word in words])


async def record_one(database_url: str, tmp_path: Path) -> None:
    settings = AudioSettings(tmp_path / "audio", keys=(StorageKey("2026", bytes.fromhex(OLD)),))
    async with open_records(database_url, migrate=False, audio=settings) as store:
        await store.shelf.keep(await a_recording(store), some_audio(tmp_path)[0])


async def test_back_up_restore_and_verify(
    office: Path,
    database_url: str,
    empty_database_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The nightly backup, the new machine after the fire, the check that all is there."""
    await record_one(database_url, tmp_path)
    assert await typed("backup", tmp_path / "backup", "-c", office) == 0
    assert "Audio objects: 1, of them new: 1." in capsys.readouterr().out
    new = a_configuration(tmp_path, empty_database_url, "new-audio")
    assert await typed("restore", tmp_path / "backup", "-c", new) == 0
    assert "Everybody signs in again" in capsys.readouterr().out
    assert await typed("restore", tmp_path / "backup", "-c", new) == 3
    assert "not empty" in capsys.readouterr().err
    assert await typed("recordings", "verify", "-c", new) == 0
    assert "Audio objects read again: 1. All are whole." in capsys.readouterr().out
    (file,) = (one for one in (tmp_path / "new-audio/kept").rglob("*") if one.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert await typed("recordings", "verify", "-c", new) == 1
    assert "damaged: " in capsys.readouterr().out


async def test_rotate_the_keys(
    office: Path, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new key in the first line, rotate, the old line away: everything still opens."""
    await record_one(database_url, tmp_path)
    keys = tmp_path / "keys"
    keys.write_text(f"2027 {NEW}\n")
    assert await typed("recordings", "rotate-keys", "-c", office) == 3
    assert "2026 is missing" in capsys.readouterr().err
    keys.write_text(f"2027 {NEW}\n2026 {OLD}\n")
    assert await typed("recordings", "rotate-keys", "-c", office) == 0
    told = capsys.readouterr().out
    assert "Wrapped anew by 2027: 1." in told
    assert NEW not in told
    keys.write_text(f"2027 {NEW}\n")
    assert await typed("recordings", "verify", "-c", office) == 0


async def test_a_backup_of_damaged_storage_says_so(
    office: Path, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file is gone from the storage: the timer that runs the backup sees exit code 1."""
    await record_one(database_url, tmp_path)
    (file,) = (one for one in (tmp_path / "audio/kept").rglob("*") if one.is_file())
    file.unlink()
    assert await typed("backup", tmp_path / "backup", "-c", office) == 1
    assert "missing from the storage: 2026/" in capsys.readouterr().out
    assert await typed("recordings", "verify", "-c", office) == 1


async def test_a_command_ends_with_its_own_exit_code(office: Path, database_url: str, tmp_path: Path) -> None:
    """In a process of its own: no thread of the storage is left to abort it when it ends."""
    await record_one(database_url, tmp_path)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "switchhook", "recordings", "verify", "-c", str(office),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    async with asyncio.timeout(60):
        told, _ = await process.communicate()
    assert (process.returncode, told) == (0, b"Audio objects read again: 1. All are whole.\n")
