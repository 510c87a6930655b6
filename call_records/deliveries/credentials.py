"""Sealed credentials of connections, a row each."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.deliveries.tables import crm_credentials


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """As stored."""

    sealed: bytes
    origin: bytes
    """A keyed digest of what the configuration gave."""
    revision: int


class CredentialTable:
    """The credentials of one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get_credentials(self, name: str) -> SealedCredentials | None:
        """Of that connection; None when there are none."""
        wanted = select(crm_credentials).where(crm_credentials.c.connection == name)
        with plain_errors():
            async with self._engine.connect() as connection:
                row = (await connection.execute(wanted)).one_or_none()
        return SealedCredentials(row.sealed, row.origin, row.revision) if row else None

    async def put_credentials(self, name: str, credentials: SealedCredentials) -> None:
        """In place of what is there. Durable when it returns."""
        putting = insert(crm_credentials).values(
            connection=name,
            sealed=credentials.sealed,
            origin=credentials.origin,
            revision=credentials.revision,
        )
        fresh = {column: putting.excluded[column] for column in ("sealed", "origin", "revision")}
        changed = {**fresh, "updated_at": func.clock_timestamp()}
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    putting.on_conflict_do_update(index_elements=["connection"], set_=changed)
                )
