"""What the whole service costs while nothing happens: `python -m bench idle [--seconds 10]`.

`switchhook run` in a process of its own, linked to a private Asterisk, with its own PostgreSQL, one page open as a
live stream. Resident memory of the service's process is held against the target; PostgreSQL's processes are listed
apart (their shared buffers are in each one's resident size, so their sum of proportional sizes is given).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from bench.machine import machine
from bench.service import switchhook
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import find_asterisk

TARGET_MB = 150.0
SETTLE_SECONDS = 10.0  # start-up garbage is collected and the journal's first queries are planned by then


async def measure(seconds: float) -> bool:
    """Start, wait, measure, print; whether the target was met."""
    install = await asyncio.to_thread(find_asterisk)
    state = Path(tempfile.mkdtemp(prefix="switchhook-bench-"))
    os.chmod(state, 0o755)
    try:
        async with PrivateAsterisk(install) as asterisk, switchhook(asterisk, state) as running:
            service = psutil.Process(running.pid)
            before = sum(service.cpu_times()[:2])
            await asyncio.sleep(seconds)
            resident = service.memory_info().rss / 2**20
            busy = (sum(service.cpu_times()[:2]) - before) / seconds * 100
            postgres = [_proportional_mb(child) for child in service.children(recursive=True)]
    finally:
        shutil.rmtree(state, ignore_errors=True)
    print(
        f"idle: switchhook {resident:.0f} MB resident (target {TARGET_MB:.0f}), {busy:.1f} % of one core; "
        f"apart: its own PostgreSQL, {len(postgres)} processes, {sum(postgres):.0f} MB"
    )
    return bool(resident <= TARGET_MB)


def _proportional_mb(process: psutil.Process) -> float:
    try:
        told = process.memory_full_info()
    except psutil.Error:
        return 0.0
    return float(getattr(told, "pss", told.rss)) / 2**20


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when the target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench idle", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SETTLE_SECONDS)
    asked = parser.parse_args(arguments)
    print(machine())
    return 0 if asyncio.run(measure(asked.seconds)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
