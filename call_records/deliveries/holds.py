"""What one process at a time may do, for as long as a request to a CRM takes.

Rows that run out, and no locks of the database: a lock needs a connection of its own for minutes, of which the pages have
the same few, and a transaction that waits so long for somebody else's server is ended by the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.deliveries.tables import crm_holds
from telephony.errors import TryLater

HELD_AT_MOST = timedelta(minutes=5)  # longer than the requests of one operation may take (240 s)
LOOK_AGAIN_SECONDS = 0.1  # two calls of one unknown caller at the same time are rare


class HoldTable:
    """The holds of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncIterator[None]:
        """Wait for whoever has it, then have it until the block is left. Raises TryLater when the database is away."""
        holder = uuid4()
        while True:
            if await self._take(name, holder):
                break
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
        try:
            yield
        finally:
            with suppress(TryLater):  # it runs out
                await self._give_back(name, holder)

    async def _take(self, name: str, holder: UUID) -> bool:
        values = {"name": name, "holder": holder, "length": HELD_AT_MOST}
        with plain_errors():
            async with self._engine.begin() as connection:
                return await connection.scalar(_TAKE, values) is not None

    async def _give_back(self, name: str, holder: UUID) -> None:
        ours = (crm_holds.c.name == name) & (crm_holds.c.holder == holder)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(crm_holds).where(ours))


_TAKE = text("""
    INSERT INTO crm_holds (name, holder, held_until) VALUES (:name, :holder, clock_timestamp() + :length)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE crm_holds.held_until <= clock_timestamp()
    RETURNING name
""")
