"""What hangs is shown and ends: in a test, in its teardown, after the summary; alone and in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # whole runs of pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 120  # a bound for a busy machine; the inner run takes some seconds
SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
timeout = 2
timeout_grace = 6
"""
FINE = "def test_fine():\n    pass\n"


def play(tmp_path: Path, source: str, *arguments: str) -> tuple[int, str]:
    """A run of pytest of its own with limits of two seconds: its exit code, and all it printed."""
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_hanging.py").write_text(f"import asyncio, threading, time\n\n{source}")
    (tmp_path / "test_other.py").write_text(FINE)
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.time_limits",
        "-p",
        "no:cacheprovider",
        *arguments,
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    told = subprocess.run(
        command,
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return told.returncode, told.stdout


@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["alone", "two processes"])
def test_a_test_that_waits_for_ever_fails_with_the_stack_of_its_task(
    tmp_path: Path, processes: tuple[str, ...]
) -> None:
    """The failure names the line it waited in; the other tests are played."""
    source = "async def wait_for_nobody():\n    await asyncio.Event().wait()\n\n"
    source += "async def test_it():\n    await asyncio.gather(wait_for_nobody())\n"
    code, told = play(tmp_path, source, *processes)
    assert code == 1, told
    assert "1 failed, " in told, told
    assert "Timeout (>2" in told
    assert "in wait_for_nobody" in told


STUBBORN = """
async def never_ends():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def test_it():
    asyncio.create_task(never_ends())
    await asyncio.sleep(0)
    assert {good}
"""


@pytest.mark.parametrize("good", [True, False], ids=["passed", "failed"])
@pytest.mark.parametrize("processes", [(), ("-n", "2")], ids=["alone", "two processes"])
def test_what_refuses_to_be_cancelled_does_not_hold_the_teardown(
    tmp_path: Path, processes: tuple[str, ...], good: bool
) -> None:
    """A task that swallows its cancellation keeps the teardown waiting: an error with its stack, and the run goes on."""
    code, told = play(tmp_path, STUBBORN.format(good=good), *processes)
    assert code == 1, told
    assert ("2 passed, 1 error" if good else "1 failed, 1 passed, 1 error") in told, told
    assert "in never_ends" in told


def test_what_no_alarm_reaches_ends_with_its_process(tmp_path: Path) -> None:
    """The main thread waits with its signals blocked: the stacks are printed, and the other process goes on."""
    source = "import signal\n\ndef test_it():\n"
    source += "    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n    time.sleep(3600)\n"
    code, told = play(tmp_path, source, "-n", "2", "--dist", "loadfile", "--max-worker-restart", "0")
    assert code != 0
    assert "test_hanging.py::test_it" in told, told
    assert "in test_it" in told


def test_an_interpreter_that_does_not_end_is_ended(tmp_path: Path) -> None:
    """A thread nobody ends holds the process after the summary."""
    source = "def test_it():\n    threading.Thread(target=time.sleep, args=(3600,)).start()\n"
    code, told = play(tmp_path, source)
    assert code != 0
    assert "2 passed" in told
    assert "Timeout" in told.partition("2 passed")[2]
