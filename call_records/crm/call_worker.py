"""The way of a call from the journal into the book, exactly once for each state of the call.

Each call carries the revision up to which it was booked. What differs is taken up: one call, one transaction, in which
every step sees the call's newest facts and whatever it writes is committed together with the mark. A process that is
killed in the middle leaves nothing; two processes share the work by the journal's own lock on the call, so that neither
waits for the other in a circle. A call that a step cannot
digest is left for later, counted, and keeps no other from being booked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.calls.journal import CALLS_CHANNEL, try_lock_call
from call_records.db.errors import plain_errors
from call_records.db.listen import wake_on
from call_records.db.tables import calls
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.errors import SwitchhookError, TryLater

log = structlog.get_logger(__name__)

AT_ONCE = 50  # calls looked at in one round
GATHER_SECONDS = 0.2  # a call that begins changes six times within 30 ms: booked once, a third of the work
LOOK_SECONDS = 5.0  # a notice that was missed costs this much
AFTER_TROUBLE_SECONDS = (
    5.0,
    60.0,
    600.0,
)  # when a call that could not be booked is tried again; the last repeats

Step = Callable[[AsyncConnection, CallFacts], Coroutine[Any, Any, None]]
"""What is done with a call, in the transaction that marks it as booked. It may be done again with newer facts, and must
then lead to the same book as if it had seen the newest only."""


@dataclass(slots=True)
class _Trouble:
    tries: int
    again_at: float


class Bookkeeper:
    """Takes calls into the book. `run` it in the process that observes; two at once are safe."""

    def __init__(self, engine: AsyncEngine, steps: Sequence[Step]) -> None:
        self._engine = engine
        self._steps = tuple(steps)
        self._troubled: dict[UUID, _Trouble] = {}
        self.booked = 0
        self.failures = 0
        """How often a call could not be booked; for the metrics."""

    async def run(self) -> None:
        """Until cancelled."""
        wake = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wake_on(self._engine, CALLS_CHANNEL, wake), name="book: notices")
            while True:
                wake.clear()
                try:
                    while await self.take_some():
                        pass
                except SwitchhookError as trouble:
                    log.debug("book_waits", problem=str(trouble))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await wake.wait()
                        await asyncio.sleep(GATHER_SECONDS)

    async def take_some(self) -> int:
        """Book what is to be booked now, a round of it; returns how many calls were. Raises TryLater."""
        now = time.monotonic()
        waiting = {one for one, trouble in self._troubled.items() if trouble.again_at > now}
        wanted = select(calls.c.id).where(calls.c.booked.is_distinct_from(calls.c.revision))
        if waiting:
            wanted = wanted.where(calls.c.id.not_in(waiting))
        with plain_errors():
            async with self._engine.connect() as connection:
                ids = (await connection.scalars(wanted.order_by(calls.c.revision).limit(AT_ONCE))).all()
        done = 0
        for call_id in ids:
            done += await self._take(call_id)
        return done

    async def _take(self, call_id: UUID) -> int:
        try:
            with plain_errors():
                async with self._engine.begin() as connection:
                    took = await self._book(connection, call_id)
        except TryLater:
            self._put_off(
                call_id
            )  # if it is this call that always takes too long, the next round is without it
            raise
        except Exception as trouble:  # a call we cannot digest never stops the rest
            self.failures += 1
            wait = self._put_off(call_id)
            log.exception(
                "call_not_booked", call_id=str(call_id), again_in_seconds=wait, problem=str(trouble)
            )
            return 0
        self._troubled.pop(call_id, None)
        self.booked += took
        return took

    async def _book(self, connection: AsyncConnection, call_id: UUID) -> int:
        if not await try_lock_call(connection, call_id):
            return 0  # somebody else is at it, or it is being told of just now: then a notice follows
        row = (
            await connection.execute(
                select(calls.c.facts, calls.c.revision).where(
                    calls.c.id == call_id, calls.c.booked.is_distinct_from(calls.c.revision)
                )
            )
        ).one_or_none()
        if row is None:
            return 0
        facts = facts_from_json(row.facts)
        for step in self._steps:
            await step(connection, facts)
        await connection.execute(update(calls).where(calls.c.id == call_id).values(booked=row.revision))
        return 1

    def _put_off(self, call_id: UUID, *, broken: bool = True) -> float:
        tries = self._troubled[call_id].tries if call_id in self._troubled else 0
        wait = AFTER_TROUBLE_SECONDS[min(tries, len(AFTER_TROUBLE_SECONDS) - 1) if broken else 0]
        self._troubled[call_id] = _Trouble(tries + broken, time.monotonic() + wait)
        return wait
