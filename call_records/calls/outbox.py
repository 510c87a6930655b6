"""What a CRM must be told, kept until it was told. The journal owes in its own transaction; adapters claim and tell.

Duties of one call are claimed in order, one at a time; calls do not wait for each other. A claim runs out after its
lease, so that the duties of a killed process are taken up by the next one. Telling is therefore at least once: an
adapter makes it exactly once by the duty's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.db.tables import outbox
from telephony.events import EventKind

LEASE = timedelta(
    minutes=5
)  # longer than any CRM request with its retries; a killed process delays a duty by this
PRUNE_ROWS = 5_000  # forgotten by one statement, about 50 ms
REASON_LENGTH = 500  # characters kept of what the CRM answered


@dataclass(frozen=True, slots=True)
class Duty:
    """One event of one call that a CRM must be told of."""

    id: int
    call_id: UUID
    kind: EventKind
    party: str | None
    happened_at: datetime
    owed_at: datetime
    attempts: int
    """Including the one that begins with this claim."""


class Outbox:
    """The duties of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, limit: int) -> Sequence[Duty]:
        """Up to `limit` duties that are due, oldest first; nobody else gets them until the lease is over."""
        with plain_errors():
            async with self._engine.begin() as connection:
                rows = (await connection.execute(_CLAIM, {"limit": limit, "lease": LEASE})).all()
        duties = [
            Duty(
                row.id,
                row.call_id,
                EventKind(row.kind),
                row.party,
                row.happened_at,
                row.owed_at,
                row.attempts,
            )
            for row in rows
        ]
        return sorted(duties, key=lambda duty: duty.id)

    async def done(self, duty: Duty) -> None:
        """The CRM knows."""
        await self._settle(duty, state="done", reason=None)

    async def failed(self, duty: Duty, *, reason: str, due_at: datetime) -> None:
        """The CRM did not take it: once more at `due_at`, the reason shown meanwhile."""
        await self._settle(duty, state="owed", reason=reason[:REASON_LENGTH], due_at=due_at)

    async def waiting(self) -> int:
        """How many duties are not done."""
        with plain_errors():
            async with self._engine.connect() as connection:
                wanted = select(func.count()).select_from(outbox).where(outbox.c.state != "done")
                return await connection.scalar(wanted) or 0

    async def prune(self, *, done_before: datetime, owed_before: datetime) -> int:
        """Forget duties nobody needs any more: done ones from before the one moment, any from before the other. One that
        is claimed just now stays. Returns how many went.
        """
        total = 0
        told = {"done": done_before, "owed": owed_before, "rows": PRUNE_ROWS}
        while True:
            with plain_errors():
                async with self._engine.begin() as connection:
                    gone = (await connection.execute(_PRUNE, told)).rowcount
            total += gone
            if gone < PRUNE_ROWS:
                return total

    async def _settle(self, duty: Duty, **values: object) -> None:
        """Only while the claim is still ours: another attempt counts one more."""
        ours = (outbox.c.id == duty.id) & (outbox.c.attempts == duty.attempts) & (outbox.c.state == "claimed")
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(update(outbox).where(ours).values(**values))


_CLAIM = text("""
    UPDATE outbox SET state = 'claimed', attempts = attempts + 1, due_at = now() + :lease
    WHERE id IN (
        SELECT o.id FROM outbox o
        WHERE o.state <> 'done' AND o.due_at <= now() AND NOT EXISTS (
            SELECT 1 FROM outbox e WHERE e.call_id = o.call_id AND e.id < o.id AND e.state <> 'done')
        ORDER BY o.due_at, o.id LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING id, call_id, kind, party, happened_at, owed_at, attempts
""")
_PRUNE = text("""
    DELETE FROM outbox WHERE id IN (
        SELECT id FROM outbox
        WHERE (owed_at < :owed OR (state = 'done' AND owed_at < :done)) AND (state <> 'claimed' OR due_at <= now())
        ORDER BY owed_at LIMIT :rows FOR UPDATE SKIP LOCKED)
""")
