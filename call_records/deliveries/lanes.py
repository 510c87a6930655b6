"""The lanes of deliveries in PostgreSQL: one for each call and connection, worked on by one worker at a time (a lease).

A lease is a row's value and not a lock of the database: it outlasts the transaction in which a worker claims a lane, and
runs out by itself when the worker's process is killed. Whoever lost it saves nothing any more. What is added to a lane
while somebody works on it makes it due again, whatever the worker says when giving it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.deliveries.tables import crm_connections, crm_deliveries, crm_lanes

SENT = "sent"
"""The state in which the CRM has it: `crm_sync.states`."""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One delivery: what it is found by, and the whole of it."""

    connection: str
    call_id: UUID
    leg: int
    kind: str
    sequence: int
    state: str
    due_at: datetime
    settled_at: datetime | None
    reason: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LaneRows:
    """A claimed lane with everything in it, by order."""

    connection: str
    call_id: UUID
    lease_id: UUID
    deliveries: tuple[DeliveryRow, ...]


class LaneTable:
    """The lanes of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add_deliveries(self, rows: Sequence[DeliveryRow]) -> None:
        """Add those that are not there yet, and make their lanes due."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await insert_deliveries(connection, rows)

    async def claim_lane(self, name: str, now: datetime, leased_until: datetime) -> LaneRows | None:
        """The lane of that connection that is due longest and that nobody has; None when there is none."""
        lease_id = uuid4()
        values = {"connection": name, "now": now, "until": leased_until, "lease": lease_id}
        with plain_errors():
            async with self._engine.begin() as connection:
                call_id = await connection.scalar(_CLAIM, values)
                if call_id is None:
                    return None
                return LaneRows(name, call_id, lease_id, await select_lane(connection, name, call_id))

    async def save_deliveries(self, lane: LaneRows, rows: Sequence[DeliveryRow]) -> bool:
        """Durable when it returns. False, and nothing is saved, when the lease is somebody else's."""
        ours = crm_lanes.c.lease_id == lane.lease_id
        with plain_errors():
            async with self._engine.begin() as connection:
                if await connection.scalar(_lane(lane).where(ours).with_for_update()) is None:
                    return False
                await update_deliveries(connection, rows)
                return True

    async def release_lane(self, lane: LaneRows, due_at: datetime | None) -> None:
        """Give the lease back, unless it is somebody else's."""
        values = {
            "connection": lane.connection,
            "call": lane.call_id,
            "lease": lane.lease_id,
            "due": due_at,
        }
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_RELEASE, values)

    async def list_lane(self, name: str, call_id: UUID) -> tuple[DeliveryRow, ...]:
        """Everything of one call for one connection, by order."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await select_lane(connection, name, call_id)


async def insert_deliveries(connection: AsyncConnection, rows: Sequence[DeliveryRow]) -> None:
    """In the caller's transaction: lanes first, in one order for all writers, then what is not in them yet."""
    lanes = sorted({(row.connection, row.call_id) for row in rows})
    if not lanes:
        return
    made = [{"connection": name, "call_id": call_id} for name, call_id in lanes]
    await connection.execute(insert(crm_lanes).on_conflict_do_nothing(), made)
    for row in sorted(rows, key=lambda row: (row.connection, row.call_id, row.sequence)):
        added = insert(crm_deliveries).values(_values(row)).on_conflict_do_nothing()
        if (await connection.execute(added)).rowcount:
            values = {"connection": row.connection, "call": row.call_id, "due": row.due_at}
            await connection.execute(_MAKE_DUE, values)


async def select_lane(connection: AsyncConnection, name: str, call_id: UUID) -> tuple[DeliveryRow, ...]:
    """All of a lane, by order."""
    own = (crm_deliveries.c.connection == name) & (crm_deliveries.c.call_id == call_id)
    wanted = select(crm_deliveries).where(own).order_by(crm_deliveries.c.sequence, crm_deliveries.c.kind)
    return tuple(read_row(row) for row in await connection.execute(wanted))


async def update_deliveries(connection: AsyncConnection, rows: Sequence[DeliveryRow]) -> None:
    """In the transaction that holds the lane's row."""
    for row in rows:
        values = _values(row)
        own = [
            crm_deliveries.c[name] == values.pop(name) for name in ("connection", "call_id", "leg", "kind")
        ]
        await connection.execute(update(crm_deliveries).where(*own).values(values))
    succeeded = {row.connection: row.settled_at for row in rows if row.state == SENT and row.settled_at}
    for name, at in succeeded.items():
        newest = func.greatest(crm_connections.c.last_success_at, at)
        own_row = crm_connections.c.name == name
        await connection.execute(update(crm_connections).where(own_row).values(last_success_at=newest))


def read_row(row: Row[Any]) -> DeliveryRow:
    """A row of the table."""
    return DeliveryRow(
        row.connection,
        row.call_id,
        row.leg,
        row.kind,
        row.sequence,
        row.state,
        row.due_at,
        row.settled_at,
        row.reason,
        row.content,
    )


def _lane(lane: LaneRows) -> Any:
    return select(crm_lanes.c.call_id).where(
        crm_lanes.c.connection == lane.connection, crm_lanes.c.call_id == lane.call_id
    )


def _values(row: DeliveryRow) -> dict[str, Any]:
    return {
        "connection": row.connection,
        "call_id": row.call_id,
        "leg": row.leg,
        "kind": row.kind,
        "sequence": row.sequence,
        "state": row.state,
        "due_at": row.due_at,
        "settled_at": row.settled_at,
        "reason": json_text.clean(row.reason),
        "content": dict(row.content),
    }


_CLAIM = text("""
    UPDATE crm_lanes SET lease_id = :lease, leased_until = :until, is_added_to = false
    WHERE connection = :connection AND call_id = (
        SELECT call_id FROM crm_lanes
        WHERE connection = :connection AND due_at <= :now AND (leased_until IS NULL OR leased_until <= :now)
        ORDER BY due_at, call_id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING call_id
""")
_RELEASE = text("""
    UPDATE crm_lanes SET lease_id = NULL, leased_until = NULL, due_at = CASE WHEN is_added_to THEN due_at ELSE :due END
    WHERE connection = :connection AND call_id = :call AND lease_id = :lease
""").bindparams(bindparam("due", type_=crm_lanes.c.due_at.type))
_MAKE_DUE = text("""
    UPDATE crm_lanes SET is_added_to = true, due_at = least(due_at, :due)
    WHERE connection = :connection AND call_id = :call
""").bindparams(bindparam("due", type_=crm_lanes.c.due_at.type))
