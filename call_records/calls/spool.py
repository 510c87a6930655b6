"""What the journal could not take yet. A database that is down never stops the reading of the PBX.

`record` returns at once and never fails: the change is appended to a file in the state directory and to a bounded
queue in memory. `run` hands the queue to the journal in order and in batches, and empties the file when all is kept.
A killed process finds the rest in the file at its next start; telling the journal twice changes nothing.

The file is not fsynced: what was written is safe from any death of ours, and only a power cut of this machine may lose
the last seconds, which the PBX (usually another machine) closes from its own CEL. An fsync for each change would cost
5 to 20 ms on a disk, in front of the reader.

When the bound is reached, the waiting changes of each call are folded into one: only its newest facts matter, while
events, channels and messages add up. When that is not enough the oldest messages go, and at last the oldest changes,
counted and dated, so that the page can say what is missing and backfill can close it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import structlog

from call_records.calls.journal import fold
from call_records.calls.spool_lines import from_line, to_line
from telephony.errors import OurMistake, SwitchhookError, TryLater
from telephony.ports import CallChange, Journal

log = structlog.get_logger(__name__)

LIMIT_CHANGES = (
    20_000  # an office of 100 phones makes 2000 an hour at its busiest: ten hours without a database
)
LIMIT_BYTES = 64_000_000  # at 3 kB a change about the same; the idle service stays below its memory target
BATCH_CHANGES = 100  # one transaction of about 50 ms: nobody's page waits long for the locks
RECORD_SECONDS = 30.0  # a batch that takes longer is tried again; a statement itself is bounded at 10 s
RETRY_SECONDS = (
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
)  # the last one repeats: the journal is current 5 s after the database is back
REWRITE_BYTES = 4_000_000  # a file smaller than this is never rewritten while changes flow
FULL_DISK = "Free space for the state directory; changes are kept in memory only until then."


@dataclass(frozen=True, slots=True)
class SpoolState:
    """For the page and the metrics. Counters count from the start of the process."""

    waiting: int
    """Changes the journal has not taken."""
    waiting_bytes: int
    oldest_seconds: float
    """How long the first of them has waited; 0 when none does."""
    problem: str | None
    """One sentence while the journal or the file cannot be written; None when all is well."""
    remedy: str | None
    folded: int
    """Changes folded into a later one of the same call: nothing a person would miss."""
    lost_messages: int
    """Raw messages given up to stay within the bound: those calls cannot be told again from the start."""
    lost_changes: int
    lost_from: datetime | None
    """Start of the earliest call with a lost change: where the stated gap begins."""
    lost_until: datetime | None
    rejected: int
    """Changes the journal refused for good, kept in `rejected.jsonl` for a bug report."""
    unreadable_lines: int
    """Lines of the file found broken at the start (a process killed while writing leaves half a line)."""
    unwritten: int
    """Changes that are not in the file because it could not be written; still in memory."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    change: CallChange
    size: int
    since: float


class SpoolingJournal:
    """A `telephony.ports.Journal` in front of another one, with patience."""

    def __init__(
        self,
        journal: Journal,
        directory: Path,
        *,
        limit_changes: int = LIMIT_CHANGES,
        limit_bytes: int = LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._directory = directory
        self._limit_changes = limit_changes
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._in_flight = 0
        self._arrived = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._journal_trouble: SwitchhookError | None = None
        self._file = _SpoolFile(directory / "spool.jsonl")
        self._folded = self._lost_messages = self._lost_changes = 0
        self._rejected = self._unreadable = self._unwritten = 0
        self._lost_from: datetime | None = None
        self._lost_until: datetime | None = None
        self._read_back()

    async def record(self, changes: Sequence[CallChange]) -> None:
        """Keep the changes, in order; returns at once and never raises."""
        lines = [to_line(change) for change in changes]
        if not self._file.append(lines):
            self._unwritten += len(lines)
        for change, line in zip(changes, lines, strict=True):
            self._push(change, len(line))
        self._make_room()

    async def run(self) -> None:
        """Hand what waits to the journal until cancelled."""
        failures = 0
        while True:
            await self._arrived.wait()
            try:
                await self._hand_over_batch()
            except SwitchhookError as trouble:
                self._complain(trouble)
                pause = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                await asyncio.sleep(pause)
            else:
                failures = 0
                self._relax()

    async def emptied(self, *, within_seconds: float) -> bool:
        """Wait until nothing waits; False when the time is over first. For an orderly stop."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Close the file; what waits stays in it for the next start."""
        self._file.close()

    def state(self) -> SpoolState:
        """How things stand."""
        problem, remedy = self._problem()
        return SpoolState(
            waiting=len(self._waiting),
            waiting_bytes=self._bytes,
            oldest_seconds=self._clock() - self._waiting[0].since if self._waiting else 0.0,
            problem=problem,
            remedy=remedy,
            folded=self._folded,
            lost_messages=self._lost_messages,
            lost_changes=self._lost_changes,
            lost_from=self._lost_from,
            lost_until=self._lost_until,
            rejected=self._rejected,
            unreadable_lines=self._unreadable,
            unwritten=self._unwritten,
        )

    def _problem(self) -> tuple[str | None, str | None]:
        if self._journal_trouble is not None:
            waiting = f"{self._journal_trouble} {len(self._waiting)} changes wait."
            return waiting, self._journal_trouble.remedy
        if self._file.trouble is not None:
            return f"The spool file cannot be written: {self._file.trouble}.", FULL_DISK
        return None, None

    def _read_back(self) -> None:
        for line in self._file.lines():
            try:
                self._push(from_line(line), len(line))
            except (ValueError, KeyError, TypeError):
                self._unreadable += 1
        if self._waiting:
            log.info("spool_found", waiting=len(self._waiting), unreadable=self._unreadable)
        self._make_room()

    def _push(self, change: CallChange, size: int) -> None:
        self._waiting.append(_Waiting(change, size, self._clock()))
        self._bytes += size
        self._arrived.set()
        self._emptied.clear()

    async def _hand_over_batch(self) -> None:
        batch = [one.change for one in list(self._waiting)[:BATCH_CHANGES]]
        self._in_flight = len(batch)
        try:
            kept = await self._hand_over(batch)
        finally:
            self._in_flight = 0
        for _ in range(kept):
            self._bytes -= self._waiting.popleft().size
        self._tidy_file()

    async def _hand_over(self, batch: Sequence[CallChange]) -> int:
        """How many from the start of the batch are settled. One bad change never stops the others."""
        try:
            await self._record(batch)
        except OurMistake as mistake:
            if len(batch) > 1:
                half = len(batch) // 2
                return await self._hand_over(batch[:half])
            self._reject(batch[0], mistake)
        return len(batch)

    async def _record(self, batch: Sequence[CallChange]) -> None:
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await self._journal.record(batch)
        except TimeoutError as cause:
            raise TryLater(
                "The journal took too long.", remedy="Look at the database's load and its disk."
            ) from cause

    def _reject(self, change: CallChange, mistake: OurMistake) -> None:
        self._rejected += 1
        log.error("change_rejected", call_id=str(change.facts.id), problem=str(mistake))
        with suppress(OSError), (self._directory / "rejected.jsonl").open("a", encoding="utf-8") as kept:
            kept.write(to_line(change))

    def _complain(self, trouble: SwitchhookError) -> None:
        if self._journal_trouble is None:
            log.warning("journal_waits", problem=str(trouble), remedy=trouble.remedy)
        self._journal_trouble = trouble

    def _relax(self) -> None:
        if self._journal_trouble is not None:
            log.info("journal_back", still_waiting=len(self._waiting))
        self._journal_trouble = None

    def _tidy_file(self) -> None:
        if not self._waiting:
            self._arrived.clear()
            self._emptied.set()
            if self._file.rewrite(()):
                self._unwritten = 0
        elif self._file.size > max(REWRITE_BYTES, 4 * self._bytes):
            self._rewrite_file()

    def _rewrite_file(self) -> None:
        if self._file.rewrite([to_line(one.change) for one in self._waiting]):
            self._unwritten = 0

    def _over(self) -> bool:
        return len(self._waiting) > self._limit_changes or self._bytes > self._limit_bytes

    def _make_room(self) -> None:
        """Fold, then give up messages, then changes; down to half the bound, so that it is rare."""
        if not self._over():
            return
        in_flight = [self._waiting.popleft() for _ in range(self._in_flight)]
        rest = self._folded_rest(self._waiting)
        room_changes = self._limit_changes // 2 - len(in_flight)
        room_bytes = self._limit_bytes // 2 - sum(one.size for one in in_flight)
        rest = self._without_old_messages(rest, room_bytes)
        rest = self._without_oldest(rest, room_changes, room_bytes)
        self._waiting = deque([*in_flight, *rest])
        self._bytes = sum(one.size for one in self._waiting)
        self._rewrite_file()
        log.warning("spool_full", waiting=len(self._waiting), lost=self._lost_changes, folded=self._folded)

    def _folded_rest(self, rest: Sequence[_Waiting] | deque[_Waiting]) -> list[_Waiting]:
        """One change for each call, where its first one was: absorbing early is as right as absorbing late."""
        by_call: dict[UUID, _Waiting] = {}
        for one in rest:
            earlier = by_call.get(one.change.facts.id)
            if earlier is None:
                by_call[one.change.facts.id] = one
            else:
                self._folded += 1
                both = fold(earlier.change, one.change)
                by_call[one.change.facts.id] = _Waiting(both, len(to_line(both)), earlier.since)
        return list(by_call.values())

    def _without_old_messages(self, rest: list[_Waiting], room_bytes: int) -> list[_Waiting]:
        size = sum(one.size for one in rest)
        lighter = []
        for one in rest:
            if size > room_bytes and one.change.trace:
                self._lost_messages += len(one.change.trace)
                bare = replace(one.change, trace=())
                light = _Waiting(bare, len(to_line(bare)), one.since)
                size -= one.size - light.size
                lighter.append(light)
            else:
                lighter.append(one)
        return lighter

    def _without_oldest(self, rest: list[_Waiting], room_changes: int, room_bytes: int) -> list[_Waiting]:
        size = sum(one.size for one in rest)
        first = 0
        while first < len(rest) and (len(rest) - first > max(room_changes, 1) or size > room_bytes):
            size -= rest[first].size
            self._count_lost(rest[first].change)
            first += 1
        return rest[first:]

    def _count_lost(self, change: CallChange) -> None:
        self._lost_changes += 1
        at = change.facts.started_at
        self._lost_from = at if self._lost_from is None else min(self._lost_from, at)
        self._lost_until = at if self._lost_until is None else max(self._lost_until, at)


class _SpoolFile:
    """Append-only JSON lines; writing is a copy into the kernel's memory (measured 10 to 50 µs), so it is not awaited.

    A write that fails is told by its return value and by `trouble`, never raised.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: BinaryIO | None = None
        self.size = path.stat().st_size if path.exists() else 0
        self.trouble: str | None = None

    def lines(self) -> list[str]:
        """What an earlier process left."""
        try:
            # not splitlines(): names may hold U+2028, which JSON leaves as it is
            return [line for line in self._path.read_text("utf-8", "replace").split("\n") if line]
        except FileNotFoundError:
            return []
        except OSError as trouble:
            self.trouble = trouble.strerror
            return []

    def append(self, lines: Sequence[str]) -> bool:
        """Whether the lines are in the file."""
        data = "".join(lines).encode()
        try:
            self._write_all(data)
        except OSError as trouble:
            self._fail(trouble)
            return False
        self.size += len(data)
        self.trouble = None
        return True

    def rewrite(self, lines: Sequence[str]) -> bool:
        """Replace the content in one step: a crash leaves the old or the new, never half of it."""
        data = "".join(lines).encode()
        fresh = self._path.with_suffix(".new")
        try:
            if not lines and self.size == 0:
                return self.trouble is None
            self.close()
            fresh.write_bytes(data)
            fresh.chmod(0o600)
            fresh.replace(self._path)
        except OSError as trouble:
            self._fail(trouble)
            return False
        self.size = len(data)
        self.trouble = None
        return True

    def close(self) -> None:
        if self._open is not None:
            with suppress(OSError):
                self._open.close()
            self._open = None

    def _write_all(self, data: bytes) -> None:
        if self._open is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._open = os.fdopen(handle, "ab", buffering=0)
            if self._ends_in_half_a_line():
                self._open.write(b"\n")
        written = self._open.write(data)
        if written != len(data):  # the disk filled up half-way: the half line must not swallow the next one
            self._open.write(b"\n")
            raise OSError(28, "No space left on device")

    def _ends_in_half_a_line(self) -> bool:
        """A process was killed while writing: what follows must not become part of its line."""
        if self.size == 0:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"

    def _fail(self, trouble: OSError) -> None:
        if self.trouble is None:
            log.error("spool_file", problem=trouble.strerror, path=str(self._path))
        self.trouble = trouble.strerror or "unknown reason"
        self.close()
