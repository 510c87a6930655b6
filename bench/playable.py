"""From hanging up to a recording one can play: `python -m bench playable [--calls 60]`.

The demo's office places real SIP calls with spoken sound through a private Asterisk; `switchhook run` beside it takes
the recordings in, encodes and stores them. A recording's clock starts when its call ended, as the PBX says, and stops when
its row says READY, written after the stored copy was read back; both on this machine's clock. One line, and the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path

from bench.machine import machine, percentiles
from bench.service import switchhook
from call_records.postgres.cluster import embedded_postgres
from call_records.recordings.types import Listed, RecordingFilter
from call_records.store import RecordsStore, open_records
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import find_asterisk
from switchhook.lab.office import Pace, SimulatedOffice
from telephony.recordings import RecordingState

CALLS = 60  # about a quarter without a conversation; enough for a 95th percentile
PACE = Pace(between_calls=(0.5, 1.5), ringing=(0.5, 1.0), talking=(3.0, 9.0))
"""Livelier than the demo, so that it takes two minutes and several calls end together."""
TARGET_P95_SECONDS = 10.0
LAST_SECONDS = 20.0  # after the last hang-up; what is not there by then counts as missing
LOOK_SECONDS = 0.5
MOST = 500  # a page of the list


async def measure(calls: int) -> bool:
    """Place the calls, wait, print; whether the target was met and nothing is missing."""
    state = Path(tempfile.mkdtemp(prefix="switchhook-bench-"))
    # PostgreSQL refuses to run as root, so another user has to get in here.
    state.chmod(0o755)  # noqa: ASYNC240 - one system call
    try:
        async with (
            PrivateAsterisk(find_asterisk(), system_name="bench") as asterisk,
            embedded_postgres(state) as url,
            switchhook(asterisk, state, url),
            open_records(url, migrate=False) as store,
        ):
            async with SimulatedOffice(asterisk, seed=1, pace=PACE) as office:
                await office.run(calls=calls)
            return tell(await finished(store))
    finally:
        shutil.rmtree(state, ignore_errors=True)


async def finished(store: RecordsStore) -> list[Listed]:
    """All recordings, once none of them is on its way any more, or time is up."""
    loop = asyncio.get_running_loop()
    end = loop.time() + LAST_SECONDS
    on_the_way = {RecordingState.EXPECTED, RecordingState.ARRIVED}
    while True:
        page = await store.recordings.page(RecordingFilter(), limit=MOST)
        if loop.time() > end or not any(one.recording.state in on_the_way for one in page.listed):
            return list(page.listed)
        await asyncio.sleep(LOOK_SECONDS)


def tell(listed: list[Listed]) -> bool:
    """Print one line; whether the target was met."""
    took = [
        (one.recording.ready_at - one.call.ended_at).total_seconds()
        for one in listed
        if one.recording.ready_at and one.call and one.call.ended_at
    ]
    states = [one.recording.state for one in listed]
    empty = states.count(RecordingState.EMPTY)
    missing = len(states) - len(took) - empty
    told = percentiles(took)
    print(
        f"hang-up to playable: {len(took)} recordings, p50 {told[50]:.1f} s, p95 {told[95]:.1f} s "
        f"(target {TARGET_P95_SECONDS:.0f}), max {told[100]:.1f} s; never answered: {empty}; missing: {missing}",
        flush=True,
    )
    return bool(took) and told[95] <= TARGET_P95_SECONDS and not missing


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when the target was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m bench playable", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--calls", type=int, default=CALLS)
    asked = parser.parse_args(arguments)
    print(machine())
    return 0 if asyncio.run(measure(asked.calls)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
