"""What is set for the whole office on its pages: one JSON value for each key."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.crm.tables import office
from call_records.db.errors import plain_errors


class OfficeValues:
    """Implements `call_records.crm.types.Office`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, key: str) -> Any | None:
        """The value, or None when nobody set it."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await connection.scalar(select(office.c.value).where(office.c.key == key))

    async def put(self, key: str, value: Any, *, by: UUID | None) -> None:
        """Set it."""
        putting = insert(office).values(key=key, value=value, account_id=by)
        fresh = {"value": putting.excluded.value, "account_id": by, "updated_at": func.now()}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(putting.on_conflict_do_update(index_elements=["key"], set_=fresh))
