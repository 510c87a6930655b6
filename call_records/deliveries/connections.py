"""How each connection is, as the process that delivers sees it, for whoever shows it; and what people decide there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.deliveries.lanes import DeliveryRow, read_row, select_lane, update_deliveries
from call_records.deliveries.tables import crm_connections, crm_deliveries, crm_lanes
from telephony.errors import TryLater

EXCEPTIONS_MOST = 200  # on one page, of all connections
PRUNE_ROWS = 2_000  # lanes by one statement


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """One connection now."""

    name: str
    adapter: str
    connected_at: datetime
    state: str
    reason: str
    since: datetime
    last_success_at: datetime | None
    retry_asked_at: datetime | None
    waiting: int = 0
    failed: int = 0
    """A person must decide."""
    skipped: int = 0
    """Not delivered, with a reason."""


class ConnectionTable:
    """The connections of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def enter_connection(self, name: str, adapter: str) -> ConnectionStatus:
        """The row of a configured connection, made when it is new."""
        adding = insert(crm_connections).values(name=name, adapter=adapter)
        entering = adding.on_conflict_do_update(index_elements=["name"], set_={"adapter": adapter})
        with plain_errors():
            async with self._engine.begin() as connection:
                row = await connection.execute(entering.returning(crm_connections))
                return _read_status(row.one())

    async def save_state(self, name: str, state: str, reason: str, since: datetime) -> None:
        """How it is now."""
        own = crm_connections.c.name == name
        values = {"state": state, "reason": json_text.clean(reason), "since": since}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(update(crm_connections).where(own).values(values))

    async def list_connections(self) -> Sequence[ConnectionStatus]:
        """All that ever were, with what waits, by name."""
        with plain_errors():
            async with self._engine.connect() as connection:
                counts = {row.connection: row for row in await connection.execute(_COUNTS)}
                rows = await connection.execute(select(crm_connections).order_by(crm_connections.c.name))
                return [_read_status(row, counts.get(row.name)) for row in rows]

    async def list_exceptions(self, names: Sequence[str]) -> Sequence[DeliveryRow]:
        """What was not delivered and waits for a person, the newest calls first; failed and held before skipped."""
        wanted = select(crm_deliveries).where(
            crm_deliveries.c.connection.in_(list(names)),
            crm_deliveries.c.state.in_(("failed", "held", "skipped")),
        )
        order = (crm_deliveries.c.state == "skipped", crm_deliveries.c.due_at.desc())
        with plain_errors():
            async with self._engine.connect() as connection:
                found = await connection.execute(wanted.order_by(*order).limit(EXCEPTIONS_MOST))
                return [read_row(row) for row in found]

    async def ask_retry(self, name: str) -> None:
        """Whoever delivers tries at once, whatever went wrong before."""
        own = crm_connections.c.name == name
        with plain_errors():
            async with self._engine.begin() as connection:
                changed = update(crm_connections).where(own).values(retry_asked_at=func.clock_timestamp())
                await connection.execute(changed)

    async def prune_lanes(self, before: datetime) -> int:
        """Forget lanes of before that moment in which nothing waits and nothing failed; returns how many."""
        total = 0
        while True:
            with plain_errors():
                async with self._engine.begin() as connection:
                    values = {"before": before, "rows": PRUNE_ROWS}
                    gone = (await connection.execute(_PRUNE, values)).rowcount
            total += gone
            if gone < PRUNE_ROWS:
                return total

    @asynccontextmanager
    async def open_lane(self, name: str, call_id: UUID, now: datetime) -> AsyncIterator[LaneForPerson]:
        """A lane for a person's decision, its row locked meanwhile, so that no worker claims it. Raises TryLater while
        one has it."""
        own = (crm_lanes.c.connection == name) & (crm_lanes.c.call_id == call_id)
        with plain_errors():
            async with self._engine.begin() as connection:
                found = await connection.execute(select(crm_lanes).where(own).with_for_update())
                lane = found.one_or_none()
                if lane is not None and lane.leased_until is not None and lane.leased_until > now:
                    raise TryLater(
                        "This call is being delivered at this moment.", remedy="Look again in a minute."
                    )
                rows = await select_lane(connection, name, call_id)
                yield LaneForPerson(connection, name, call_id, now, rows)


@dataclass(frozen=True, slots=True)
class LaneForPerson:
    """One lane inside `open_lane`."""

    connection: AsyncConnection
    name: str
    call_id: UUID
    now: datetime
    rows: tuple[DeliveryRow, ...]

    async def save_deliveries(self, rows: Sequence[DeliveryRow]) -> None:
        """The changed ones; the lane is due at once."""
        await update_deliveries(self.connection, rows)
        values = {"connection": self.name, "call": self.call_id, "due": self.now}
        await self.connection.execute(_WAKE, values)


def _read_status(row: Row[Any], counts: Row[Any] | None = None) -> ConnectionStatus:
    return ConnectionStatus(
        row.name,
        row.adapter,
        row.connected_at,
        row.state,
        row.reason,
        row.since,
        row.last_success_at,
        row.retry_asked_at,
        int(counts.waiting) if counts else 0,
        int(counts.failed) if counts else 0,
        int(counts.skipped) if counts else 0,
    )


# Two sums, because each reads one of the two partial indexes: what was sent is by far the most.
_COUNTS = text("""
    SELECT connection, sum(waiting) AS waiting, sum(failed) AS failed, sum(skipped) AS skipped FROM (
        SELECT connection, count(*) AS waiting, 0 AS failed, 0 AS skipped FROM crm_deliveries
        WHERE state IN ('queued', 'sending', 'unknown') GROUP BY connection
        UNION ALL
        SELECT connection, 0, count(*) FILTER (WHERE state <> 'skipped'), count(*) FILTER (WHERE state = 'skipped')
        FROM crm_deliveries WHERE state IN ('failed', 'held', 'skipped') GROUP BY connection) AS counted
    GROUP BY connection
""")
_PRUNE = text("""
    DELETE FROM crm_lanes WHERE (connection, call_id) IN (
        SELECT l.connection, l.call_id FROM crm_lanes l
        WHERE l.created_at < :before AND l.due_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM crm_deliveries d WHERE d.connection = l.connection AND d.call_id = l.call_id
                AND d.state NOT IN ('sent', 'skipped'))
        ORDER BY l.created_at LIMIT :rows FOR UPDATE SKIP LOCKED)
""")
_WAKE = text("""
    UPDATE crm_lanes SET due_at = :due WHERE connection = :connection AND call_id = :call
""").bindparams(bindparam("due", type_=crm_lanes.c.due_at.type))
