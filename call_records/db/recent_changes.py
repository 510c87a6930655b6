"""Who changed what last, for the sentence that somebody reads who was slower: known to all web processes."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.db.tables import accounts, recent_changes
from call_records.types import RecentChange

REMEMBERED = "1 day"  # a conflict is about a change of the last minutes; older ones are swept on the way


class RecentChangesBook:
    """Implements `call_records.types.RecentChanges`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, thing: UUID, *, by: UUID) -> None:
        """Somebody changed it now."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_SWEEP)
                await connection.execute(_ADD, {"thing": thing, "by": by})

    async def last(self, thing: UUID) -> RecentChange | None:
        """The last change of it."""
        wanted = (
            select(recent_changes.c.account_id, accounts.c.name, recent_changes.c.at)
            .join(accounts, accounts.c.id == recent_changes.c.account_id)
            .where(recent_changes.c.thing == thing)
        )
        with plain_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(wanted)).one_or_none()
        return RecentChange(row.account_id, row.name, row.at) if row else None


_ADD = text("""
    INSERT INTO recent_changes (thing, account_id) VALUES (:thing, :by)
    ON CONFLICT (thing) DO UPDATE SET account_id = :by, at = clock_timestamp()
""")
_SWEEP = text(f"DELETE FROM recent_changes WHERE at < clock_timestamp() - interval '{REMEMBERED}'")  # noqa: S608
