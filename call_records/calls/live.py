"""The calls of this moment, in memory: written by the bridge (or by the relay), read by pages and cards.

Publishing never waits. Each reader has a bounded queue; one that does not keep up is dropped, its iterator ends, and
it starts again with a fresh snapshot, which is how every reader starts anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from telephony.call_facts.facts import CallFacts
from telephony.ports import LinkState
from telephony.presence import Phone

READER_QUEUE = 1_000  # changes; at 30 changes a second of a busy office a reader may sleep for half a minute


class LiveBoard:
    """Implements `telephony.ports.LiveCalls`. All of it runs in one event loop."""

    def __init__(self, *, reader_queue: int = READER_QUEUE) -> None:
        self._calls: dict[UUID, CallFacts] = {}
        self._links: dict[str, LinkState] = {}
        self._phones: dict[str, tuple[datetime, tuple[Phone, ...]]] = {}
        self._readers: set[_Reader] = set()
        self._reader_queue = reader_queue
        self.dropped_readers = 0
        """How many readers were too slow since the start; for the metrics."""

    def publish(self, change: CallFacts | LinkState) -> None:
        """Make it the present state and tell every reader."""
        if isinstance(change, LinkState):
            self._links[change.pbx] = change
        elif change.ended:
            self._calls.pop(change.id, None)
        else:
            self._calls[change.id] = change
        for reader in tuple(self._readers):
            if not reader.offer(change):
                self._readers.discard(reader)
                self.dropped_readers += 1

    def forget(self, call_ids: Iterable[UUID]) -> None:
        """Take calls off the board that were absorbed by others; the survivor's own change tells the readers."""
        for call_id in call_ids:
            self._calls.pop(call_id, None)

    def calls(self) -> Sequence[CallFacts]:
        """All calls that have not ended, oldest first."""
        return sorted(self._calls.values(), key=lambda facts: (facts.started_at, facts.id))

    def links(self) -> Sequence[LinkState]:
        """One entry per configured PBX."""
        return [self._links[pbx] for pbx in sorted(self._links)]

    def put_phones(self, pbx: str, phones: Sequence[Phone], at: datetime) -> None:
        """These are the phones of that PBX, and so they were at that moment."""
        self._phones[pbx] = (at, tuple(phones))

    def phones(self) -> Sequence[Phone]:
        """Every phone of every PBX, as they were last told; none in a process that watches no PBX."""
        return [phone for pbx in sorted(self._phones) for phone in self._phones[pbx][1]]

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[CallFacts | LinkState]]:
        """Every change from the moment of entering; a slow reader is dropped (the iterator ends), never waited for."""
        reader = _Reader(self._reader_queue)
        self._readers.add(reader)
        try:
            yield reader.read()
        finally:
            self._readers.discard(reader)
            reader.close()

    def close(self) -> None:
        """End every reader's iterator: the service stops."""
        for reader in tuple(self._readers):
            reader.close()
        self._readers.clear()


class _Reader:
    """One reader's queue. None in it is the end."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: asyncio.Queue[CallFacts | LinkState | None] = asyncio.Queue(size + 1)
        self._closed = False

    def offer(self, change: CallFacts | LinkState) -> bool:
        """False when the queue was full: the reader is told what it has, then the end."""
        if self._closed:
            return False
        if self._queue.qsize() >= self._size:
            self.close()
            return False
        self._queue.put_nowait(change)
        return True

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)  # one place more than `_size` is kept for it

    async def read(self) -> AsyncIterator[CallFacts | LinkState]:
        while (change := await self._queue.get()) is not None:
            yield change
