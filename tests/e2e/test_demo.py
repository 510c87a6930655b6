"""The demo as a newcomer starts and stops it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import psutil
import pytest

from ami_bridge.stream import Observed
from switchhook.demo.captures import NoCaptures, RecordedPbx, recorded_calls
from switchhook.demo.demo import DEMO_PASSWORD, FORCE_CAPTURES
from switchhook.lab.asterisk_binary import AsteriskInstall
from telephony.call_facts.facts import CallFacts, facts_from_json
from tests.e2e.line import until
from tests.postgres_fixtures import short_dir

__all__ = ["short_dir"]
pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parent.parent.parent
READY_SECONDS = 240.0  # measured 3-4 s where nothing has to be fetched; more than 60 s at a load of ten
STOP_SECONDS = 5.0


@dataclass
class Demo:
    """A running demo."""

    process: asyncio.subprocess.Process
    address: str

    async def stop(self, name: signal.Signals) -> tuple[float, int]:
        """Seconds until it had ended, and its exit code."""
        began = time.monotonic()
        self.process.send_signal(name)
        async with asyncio.timeout(READY_SECONDS):
            code = await self.process.wait()
        return time.monotonic() - began, code


@contextlib.asynccontextmanager
async def demo(directory: Path, **environment: str) -> AsyncIterator[Demo]:
    """`python -m switchhook demo`, all of whose temporary files are below `directory`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "switchhook", "demo"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(directory), **environment},
    )
    try:
        assert process.stdout
        async with asyncio.timeout(READY_SECONDS):
            async for line in process.stdout:
                if found := re.search(rb"http://[\d.:]+", line):
                    break
        yield Demo(process, found[0].decode() if found else "")
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def signed_in(http: aiohttp.ClientSession) -> None:
    """As the demo's supervisor."""
    form = {"login": "supervisor", "password": DEMO_PASSWORD}
    async with http.post("/sign-in", data=form, allow_redirects=False) as answer:
        assert answer.status == 303


async def first_call(http: aiohttp.ClientSession) -> CallFacts:
    """The first call that it shows beside those of the weeks before, the last of which began minutes ago."""

    began = datetime.now(UTC) - timedelta(minutes=1)

    async def some() -> list[dict[str, object]]:
        async with http.get("/api/v1/calls") as answer:
            told = (await answer.json())["calls"]
            return [one for one in told if facts_from_json(one).started_at > began]

    return facts_from_json((await until(some, "call", 60.0))[-1])


def browser(address: str) -> aiohttp.ClientSession:
    """A browser without pictures."""
    return aiohttp.ClientSession(address, cookie_jar=aiohttp.CookieJar(unsafe=True))


@pytest.mark.asterisk
async def test_the_demo_leaves_nothing_behind(asterisk_install: AsteriskInstall, short_dir: Path) -> None:
    """Somebody starts the demo, sees the first real call, and presses Ctrl-C in the middle of it: five seconds later
    there is no process and no file of it left.
    """
    async with demo(short_dir) as running, browser(running.address) as http:
        await signed_in(http)
        await first_call(http)
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert {"asterisk", "postgres"} <= {_kind(child) for child in family}
        seconds, code = await running.stop(signal.SIGINT)
    assert (code, seconds <= STOP_SECONDS) == (0, True), seconds
    assert [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert os.listdir(short_dir) == []


def _kind(process: psutil.Process) -> str:
    told = " ".join(process.cmdline())
    return next((kind for kind in ("asterisk", "postgres") if kind in told), told)


async def test_without_an_asterisk_recorded_calls_are_played_and_called_that(short_dir: Path) -> None:
    """No Asterisk can be had: every page, sign-in too, says that calls are recorded; they happen now, all the same."""
    async with demo(short_dir, **{FORCE_CAPTURES: "1"}) as running, browser(running.address) as http:
        async with http.get("/sign-in") as answer:
            assert "Recorded calls are played: no Asterisk here" in await answer.text()
        await signed_in(http)
        facts = await first_call(http)
        assert datetime.now(UTC) - facts.started_at < timedelta(seconds=30)
        async with http.get("/live") as answer:
            assert "Recorded calls are played: no Asterisk here" in await answer.text()
        seconds, code = await running.stop(signal.SIGTERM)
    assert (code, seconds <= STOP_SECONDS) == (0, True), seconds
    assert os.listdir(short_dir) == []


async def test_each_round_of_a_recorded_call_is_a_call_of_its_own() -> None:
    """The same recording twice: no uniqueid, no channel and no bridge of the first round comes again."""
    (answered,) = [call for call in recorded_calls() if call.name == "in_answered"]
    rounds: list[set[str]] = []
    feed = RecordedPbx("demo", [answered], calls=2, pace=0)
    seen: list[dict[str, str]] = [
        item.message.fields async for item in feed.items() if isinstance(item, Observed)
    ]
    half = len(seen) // 2
    for part in (seen[:half], seen[half:]):
        rounds.append(
            {f[name] for f in part for name in ("Uniqueid", "Channel", "BridgeUniqueid") if name in f}
        )
    assert len(rounds[0]) == len(rounds[1]) >= 5
    assert rounds[0] & rounds[1] == set()


def test_without_recordings_it_says_what_to_install(tmp_path: Path) -> None:
    """Neither an Asterisk nor recorded calls: a sentence with the remedy."""
    with pytest.raises(NoCaptures) as told:
        recorded_calls(tmp_path)
    assert "asterisk" in (told.value.remedy or "")
