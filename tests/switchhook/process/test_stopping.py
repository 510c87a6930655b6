"""A stop is over in time even when the loop is blocked, or something hangs after the loop."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow  # processes that hang until they are ended

HANGS = {
    "the loop": "time.sleep(600)",
    "a worker thread": "await asyncio.to_thread(time.sleep, 600)",
    "a task that swallows its end": """
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass
    """,
}
WITHIN_SECONDS = 0.5
PATIENCE_SECONDS = 60.0  # only a bound


def process(body: str) -> subprocess.Popen[str]:
    program = f"""
import asyncio, time
from switchhook.process.stopping import stop_on_signals

async def hang():
{textwrap.indent(textwrap.dedent(body).strip(), "    ")}

async def main():
    stop = asyncio.Event()
    stop_on_signals(stop, within_seconds={WITHIN_SECONDS})
    print("ready", flush=True)
    task = asyncio.create_task(hang())
    await stop.wait()
    task.cancel()
    await task

asyncio.run(main())
"""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("what", HANGS)
def test_whatever_hangs_the_process_ends(what: str) -> None:
    """One SIGTERM, or two in a row: it ends by itself, with exit code 0, and says that it did not wait."""
    with process(HANGS[what]) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(signal.SIGTERM)
        running.send_signal(signal.SIGTERM)
        told, _ = running.communicate(timeout=PATIENCE_SECONDS)
        assert running.returncode == 0
        assert "stopped_without_waiting" in told


def test_what_stops_by_itself_is_left_alone() -> None:
    """The signal reaches the loop, and nothing is torn away."""
    with process("await asyncio.sleep(600)") as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=PATIENCE_SECONDS)
        assert running.returncode != 0  # the program above lets its cancellation out
        assert "stopped_without_waiting" not in told
