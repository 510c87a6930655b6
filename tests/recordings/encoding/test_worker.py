"""The audio worker: bad orders are answers, a dead or hanging process costs one attempt, nothing outlives its parent."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from call_records.recordings.encoding import worker_process
from call_records.recordings.encoding.types import Soundless, Sources, Unreadable
from call_records.recordings.encoding.worker_process import AudioWorker, WorkerDied
from call_records.recordings.types import Blanks
from telephony.errors import NeedsPerson, TryLater
from telephony.recordings import Layout
from tests.recordings.sounds import silence, tone, write_silent_wav, write_wav

pytestmark = pytest.mark.slow  # processes that are started, killed and measured

TEST_SECONDS = 30.0  # for anything here; it takes one


@pytest.fixture
async def worker() -> AsyncIterator[AudioWorker]:
    """A worker that is surely gone after the test."""
    made = AudioWorker()
    yield made
    await made.close()


@pytest.fixture
def short_call(tmp_path: Path) -> Sources:
    """Three seconds of two people."""
    return Sources(
        write_wav(tmp_path / "in.wav", tone(400, 3)), write_wav(tmp_path / "out.wav", tone(1100, 3)),
        outside_first=True,
    )  # fmt: skip


@pytest.fixture
def long_call(tmp_path: Path) -> Sources:
    """Ten hours of silence: some ten seconds of work, enough to be met in the middle of it."""
    return Sources(mix=write_silent_wav(tmp_path / "long.wav", 36_000))


async def process_of(worker: AudioWorker) -> asyncio.subprocess.Process:
    """The worker's process, once it runs."""
    async with asyncio.timeout(TEST_SECONDS):
        while (running := worker._all[0]._running) is None:
            await asyncio.sleep(0.01)
    return running


async def written_to(target: Path) -> None:
    """Wait until the worker is in the middle of writing."""
    async with asyncio.timeout(TEST_SECONDS):
        while not _has_content(target):
            await asyncio.sleep(0.01)


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


async def test_one_process_for_many_orders(worker: AudioWorker, short_call: Sources, tmp_path: Path) -> None:
    """Two recordings one after the other: the same process, both encoded and measured."""
    first = await worker.encode(short_call, tmp_path / "1.m4a")
    pid = (await process_of(worker)).pid
    second = await worker.encode(short_call, tmp_path / "2.m4a")
    assert (await process_of(worker)).pid == pid
    assert first.layout is Layout.STEREO
    assert first.peaks == second.peaks
    assert first.measures == second.measures
    assert (tmp_path / "1.m4a").read_bytes() == (tmp_path / "2.m4a").read_bytes()


async def test_blanks_come_out_of_the_worker(worker: AudioWorker, tmp_path: Path) -> None:
    """Nothing came from the customer for six seconds: told with the rest, and of their side."""
    sources = Sources(
        write_wav(tmp_path / "in.wav", tone(400, 1) + silence(6)),
        write_wav(tmp_path / "out.wav", tone(1100, 7)),
        outside_first=True,
    )
    made = await worker.encode(sources, tmp_path / "1.m4a")
    assert made.blanks == Blanks(outside=((1.0, 7.0),), ours=())


async def test_bad_input_is_an_answer(worker: AudioWorker, short_call: Sources, tmp_path: Path) -> None:
    """Garbage, no samples and a missing file, each told apart; the process goes on and leaves no half files."""
    (tmp_path / "bad.wav").write_bytes(os.urandom(5000))
    with pytest.raises(Unreadable, match=r"bad\.wav"):
        await worker.encode(Sources(mix=tmp_path / "bad.wav"), tmp_path / "1.m4a")
    pid = (await process_of(worker)).pid
    with pytest.raises(Soundless):
        await worker.encode(Sources(mix=write_wav(tmp_path / "none.wav", b"")), tmp_path / "1.m4a")
    with pytest.raises(NeedsPerson, match=r"gone\.wav"):
        await worker.encode(Sources(mix=tmp_path / "gone.wav"), tmp_path / "1.m4a")
    assert not (tmp_path / "1.m4a").exists()
    await worker.encode(short_call, tmp_path / "1.m4a")
    assert (await process_of(worker)).pid == pid


async def test_killed_in_the_middle(
    worker: AudioWorker, long_call: Sources, short_call: Sources, tmp_path: Path
) -> None:
    """The kernel kills the worker over a recording: that attempt failed, its half file is gone, the next one works."""
    order = asyncio.create_task(worker.encode(long_call, tmp_path / "long.m4a"))
    await written_to(tmp_path / "long.m4a")
    (await process_of(worker)).kill()
    with pytest.raises(WorkerDied):
        await order
    assert not (tmp_path / "long.m4a").exists()
    await worker.encode(short_call, tmp_path / "short.m4a")


async def test_hanging_worker_is_killed(
    worker: AudioWorker,
    long_call: Sources,
    short_call: Sources,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker stands still: after the time that order may take it is killed, and another one serves."""
    order = asyncio.create_task(worker.encode(short_call, tmp_path / "1.m4a"))
    await order
    running = await process_of(worker)
    monkeypatch.setattr(worker_process, "START_SECONDS", 0.3)
    monkeypatch.setattr(worker_process, "BYTES_A_SECOND", 1e12)
    running.send_signal(signal.SIGSTOP)
    with pytest.raises(WorkerDied, match="did not answer"):
        await worker.encode(short_call, tmp_path / "2.m4a")
    assert running.returncode is not None
    monkeypatch.undo()
    await worker.encode(short_call, tmp_path / "3.m4a")


async def test_no_process_to_be_had(
    worker: AudioWorker, short_call: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has no memory for another process: that is no fault of the recording."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such python"))
    with pytest.raises(TryLater, match="cannot be started"):
        await worker.encode(short_call, tmp_path / "1.m4a")
    monkeypatch.undo()
    await worker.encode(short_call, tmp_path / "1.m4a")


async def test_cancelled_within_a_second(worker: AudioWorker, long_call: Sources, tmp_path: Path) -> None:
    """The service stops while an hour is being encoded: the order ends at once and leaves nothing."""
    order = asyncio.create_task(worker.encode(long_call, tmp_path / "long.m4a"))
    await written_to(tmp_path / "long.m4a")
    running = await process_of(worker)
    order.cancel()
    async with asyncio.timeout(1.0):
        with pytest.raises(asyncio.CancelledError):
            await order
    assert running.returncode == -signal.SIGTERM
    assert not (tmp_path / "long.m4a").exists()


async def test_closed_while_busy(long_call: Sources, tmp_path: Path) -> None:
    """Closing ends what runs; that costs the recording no attempt."""
    worker = AudioWorker()
    order = asyncio.create_task(worker.encode(long_call, tmp_path / "long.m4a"))
    await written_to(tmp_path / "long.m4a")
    await worker.close()
    with pytest.raises(TryLater):
        await order
    with pytest.raises(TryLater):
        await worker.encode(long_call, tmp_path / "long.m4a")


async def test_disk_is_full(worker: AudioWorker, tmp_path: Path) -> None:
    """No room for the finished file (here: the kernel's limit for the size of a file): try later, nothing left behind."""
    await worker.encode(Sources(mix=write_wav(tmp_path / "a.wav", tone(400, 0.1))), tmp_path / "a.m4a")
    running = await process_of(worker)
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
    half_a_minute = write_wav(tmp_path / "b.wav", tone(400, 30))
    with pytest.raises(TryLater, match="no room"):
        await worker.encode(Sources(mix=half_a_minute), tmp_path / "long.m4a")
    assert not (tmp_path / "long.m4a").exists()
    assert running.returncode is None


async def test_memory_does_not_grow_with_the_call(worker: AudioWorker, tmp_path: Path) -> None:
    """Two sides of six minutes after one of a minute: the worker needs 2 MB more at most, the index of its file; so
    three hours stay within 60 MB (the bench measures that)."""
    minute, six = (write_silent_wav(tmp_path / f"{minutes}.wav", minutes * 60) for minutes in (1, 6))
    await worker.encode(Sources(minute, minute, outside_first=True), tmp_path / "short.m4a")
    pid = (await process_of(worker)).pid
    before = highest_memory_kb(pid)
    await worker.encode(Sources(six, six, outside_first=True), tmp_path / "long.m4a")
    assert highest_memory_kb(pid) - before < 2_000


def highest_memory_kb(pid: int) -> int:
    """The most memory this process ever held."""
    return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])


async def test_idle_worker_goes_and_comes_back(short_call: Sources, tmp_path: Path) -> None:
    """Nothing to do for a while: the process and its memory go; the next order starts another."""
    worker = AudioWorker(idle_seconds=0.01)
    await worker.encode(short_call, tmp_path / "1.m4a")
    async with asyncio.timeout(TEST_SECONDS):
        while worker._all[0]._running is not None:
            await asyncio.sleep(0.01)
    await worker.encode(short_call, tmp_path / "2.m4a")
    await worker.close()


async def test_environment_is_empty_and_niceness_is_ten(
    worker: AudioWorker, short_call: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database's password stands in our environment and not in the worker's; the worker yields to everybody."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/base")
    await worker.encode(short_call, tmp_path / "1.m4a")
    pid = (await process_of(worker)).pid
    assert b"secret" not in environment_of(pid)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == 1 << 30


def environment_of(pid: int) -> bytes:
    """What the process was given, as the kernel keeps it."""
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_orders_share_two_processes(short_call: Sources, tmp_path: Path) -> None:
    """Five recordings at once and two processes: all are done, and never more than two run."""
    worker = AudioWorker(processes=2)
    targets = [tmp_path / f"{number}.m4a" for number in range(5)]
    async with asyncio.timeout(TEST_SECONDS):
        await asyncio.gather(*(worker.encode(short_call, target) for target in targets))
    assert all(target.stat().st_size for target in targets)
    await worker.close()


def test_worker_dies_with_its_parent(tmp_path: Path) -> None:
    """The service is killed with -9: no worker stays behind."""
    long = write_silent_wav(tmp_path / "long.wav", 36_000)
    script = f"""
import asyncio
from pathlib import Path
from call_records.recordings.encoding.types import Sources
from call_records.recordings.encoding.worker_process import AudioWorker
async def main():
    worker = AudioWorker()
    order = asyncio.create_task(worker.encode(Sources(mix=Path({str(long)!r})), Path({str(tmp_path / "l.m4a")!r})))
    while worker._all[0]._running is None:
        await asyncio.sleep(0.01)
    print(worker._all[0]._running.pid, flush=True)
    await order
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate(timeout=TEST_SECONDS)
    with suppress(ProcessLookupError):
        _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    """Returns when the process is gone (a file descriptor of it becomes readable), fails after a while."""
    import select

    handle = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([handle], [], [], TEST_SECONDS)
        assert ended, "the worker outlived its parent"
    finally:
        os.close(handle)
