"""Switchhook as it is installed, in a process of its own: `switchhook run` with a configuration made for the measurement."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from switchhook.lab.asterisk import PrivateAsterisk

START_SECONDS = 30.0
STOP_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Running:
    """The process and where it answers."""

    pid: int
    address: str


@contextlib.asynccontextmanager
async def switchhook(
    asterisk: PrivateAsterisk, state: Path, database_url: str | None = None
) -> AsyncIterator[Running]:
    """Run it at that Asterisk, with that database or its own PostgreSQL in `state`. Stopped in order afterwards."""
    plain = (database_url or "").replace("+asyncpg", "")
    database = f'url = "{plain}"\n' if plain else ""
    config = state / "switchhook.toml"
    config.write_text(
        f'[[pbx]]\nid = "bench"\nport = {asterisk.ports.ami}\nusername = "{asterisk.ami_user}"\n'
        f'secret = "{asterisk.ami_secret}"\nrecordings_dir = "{asterisk.recordings}"\n\n'
        f'[database]\nstate_dir = "{state}"\n{database}\n'
        '[web]\nport = 0\n\n[logs]\nlevel = "info"\nformat = "json"\n',
        encoding="utf-8",
    )
    config.chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "switchhook",
        "run",
        "--config",
        config,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(START_SECONDS):
            address = await _address(process)
        reading = asyncio.create_task(_read_on(process))
        yield Running(process.pid, address)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
        if reading is not None:
            await reading


async def _address(process: asyncio.subprocess.Process) -> str:
    """The address in the log's line `serving`, once the PBX is linked too."""
    if process.stderr is None:
        raise AssertionError("opened with a pipe")
    address, linked = "", False
    line = b"(nothing)"
    async for line in process.stderr:
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            address = told["address"].rstrip("/") if told.get("event") == "serving" else address
            linked = linked or told.get("event") == "pbx link up"
        if address and linked:
            return address
    raise RuntimeError(
        f"switchhook run ended before it served; its last words: {line.decode(errors='replace')}"
    )


async def _read_on(process: asyncio.subprocess.Process) -> None:
    """What it has to say from now on goes to our own standard error."""
    if process.stderr is not None:
        async for line in process.stderr:
            if b'"info"' not in line:
                sys.stderr.write(line.decode(errors="replace"))
