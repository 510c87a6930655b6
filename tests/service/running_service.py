"""Switchhook as people run it: `python -m switchhook run --config …` in a process of its own, to be stopped and killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0  # 1.5 s when nothing else runs; only a bound: a loaded machine may need many times that
STOP_SECONDS = 5.0  # what is promised
PAUSE_SECONDS = 0.03  # between two looks at something that tells nobody when it changes


class RunningService:
    """One process. Its log is read for the address of the pages; the environment holds nothing of ours."""

    def __init__(self, directory: Path, configuration: str, *, only: str | None = None) -> None:
        self.directory = directory
        self.config = directory / f"switchhook{'-' + only if only else ''}.toml"
        self.config.write_text(configuration, encoding="utf-8")
        self.log = directory / f"log{'-' + only if only else ''}.jsonl"
        self._only = only
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    async def start(self, *, until: str | None = None) -> None:
        """Start it and wait until its log says so (`serving`, or that the observer is up for a bridge alone)."""
        self.launch()
        await self._started(until)

    async def says(self, event: str, within_seconds: float = START_SECONDS) -> None:
        """Wait until the log of what `launch` began says so."""
        await eventually(lambda: self._says(event), within_seconds, f"the log says {event}")

    async def watches_calls(self, links: int = 1) -> None:
        """Wait until it has seen what lives on so many links: calls from now on are observed from their beginning.

        A link is up before that, and a busy machine takes its time in between.
        """
        await eventually(
            lambda: sum(line.get("event") == "calls_watched" for line in self.lines()) >= links,
            START_SECONDS,
            f"the log says calls_watched, {links} times",
        )

    async def _started(self, until: str | None) -> None:
        wanted = until or ("pbx link up" if self._only == "bridge" else "serving")
        await eventually(lambda: self._says(wanted), START_SECONDS, f"the log says {wanted}")
        if until is None and self._only is None and "[[pbx]]" in self.config.read_text(encoding="utf-8"):
            # The pages may answer first; a call that is placed then is told from the log of channel events.
            await eventually(lambda: self._says("pbx link up"), START_SECONDS, "the log says pbx link up")

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        arguments = [sys.executable, "-m", "switchhook", "run", "--config", str(self.config)]
        arguments += ["--only", self._only] if self._only else []
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHHOOK_")}
        clean["STATE_DIRECTORY"] = str(self.directory / "state")  # its spool is no other test's
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log, env=clean)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def address(self) -> str:
        """Where the pages are."""
        return str(
            next(line["address"] for line in reversed(self.lines()) if line.get("event") == "serving")
        ).rstrip("/")

    def lines(self) -> list[dict[str, Any]]:
        """The log of this run; what is no JSON is a line with the key `text`."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            text = log.read().decode("utf-8", "replace")
        found: list[dict[str, Any]] = []
        for line in text.splitlines():
            try:
                told = json.loads(line)
            except ValueError:
                told = {"text": line}
            found.append(told if isinstance(told, dict) else {"text": line})
        return found

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code. Fails when it takes longer than promised."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        await eventually(lambda: not self.alive, STOP_SECONDS + 1.0, "it has stopped")
        return self._process.returncode

    async def exited(self, within_seconds: float = START_SECONDS) -> int:
        """Wait for it to end by itself."""
        await eventually(lambda: not self.alive, within_seconds, "it has ended")
        assert self._process is not None
        return self._process.returncode

    def _says(self, event: str) -> bool:
        if not self.alive and not any(line.get("event") == event for line in self.lines()):
            raise AssertionError(
                f"it ended: {self.log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
            )
        return any(line.get("event") == event for line in self.lines())


async def eventually(
    true: Callable[[], bool] | Callable[[], Awaitable[bool]], within_seconds: float, what: str
) -> None:
    """Wait until it is true; AssertionError that names `what` when it does not become so in time."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_seconds
    while True:
        now = true()
        if await now if isinstance(now, Awaitable) else now:
            return
        if loop.time() > end:
            raise AssertionError(f"not within {within_seconds:g} s: {what}")
        await asyncio.sleep(PAUSE_SECONDS)
