"""What is known of each PBX's endpoints, from the last time it was asked: kept so that a start, a recompute and a page in
another process know whose phones they are before the PBX has been asked again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.db.tables import endpoints
from telephony.endpoint_directory import DEVICES_MOST, EndpointSource, KnownEndpoint


class EndpointBook:
    """Implements `call_records.types.Endpoints`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list_known(self, pbx: str) -> tuple[KnownEndpoint, ...]:
        """Everything known of that PBX's endpoints."""
        return (await self.list_all()).get(pbx, ())

    async def list_all(self) -> Mapping[str, tuple[KnownEndpoint, ...]]:
        """Everything known, by PBX."""
        wanted = select(endpoints).order_by(endpoints.c.pbx, endpoints.c.endpoint, endpoints.c.source)
        with plain_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(wanted)).all()
        found: dict[str, list[KnownEndpoint]] = {}
        for row in rows:
            if row.source in _SOURCES:
                known = KnownEndpoint(row.endpoint, EndpointSource(row.source), row.extension)
                found.setdefault(row.pbx, []).append(known)
        return {pbx: tuple(known) for pbx, known in found.items()}

    async def replace_known(
        self, pbx: str, sources: Collection[EndpointSource], known: Iterable[KnownEndpoint]
    ) -> None:
        """These, and nothing else, are known from these sources now (idempotent)."""
        rows = {
            (json_text.clean(one.endpoint), one.source.value): one.extension
            and json_text.clean(one.extension)
            for one in known
            if one.source in sources
        }
        values = [
            {"pbx": pbx, "endpoint": endpoint, "source": source, "extension": extension}
            for (endpoint, source), extension in sorted(rows.items())[:DEVICES_MOST]
        ]
        gone = delete(endpoints).where(
            endpoints.c.pbx == pbx, endpoints.c.source.in_([source.value for source in sources])
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(gone)
                if values:
                    await connection.execute(insert(endpoints), values)

    async def say(self, pbx: str, endpoint: str, extension: str | None) -> None:
        """An administrator says whose phone it is; None: it is a trunk."""
        with plain_errors():
            async with self._engine.begin() as connection:
                theirs = (endpoints.c.pbx == pbx) & (endpoints.c.endpoint == endpoint)
                undecided = endpoints.c.source == EndpointSource.UNDECIDED.value
                await connection.execute(delete(endpoints).where(theirs, undecided))
                putting = insert(endpoints).values(
                    pbx=pbx,
                    endpoint=json_text.clean(endpoint),
                    source=EndpointSource.STAFF.value,
                    extension=extension and json_text.clean(extension),
                )
                # Two administrators may decide at the same moment: the later one's word holds.
                fresh = {"extension": putting.excluded.extension, "seen_at": func.now()}
                await connection.execute(
                    putting.on_conflict_do_update(index_elements=["pbx", "endpoint", "source"], set_=fresh)
                )

    async def unsay(self, pbx: str, endpoint: str) -> None:
        """An administrator takes back what they said."""
        row = delete(endpoints).where(
            endpoints.c.pbx == pbx,
            endpoints.c.endpoint == endpoint,
            endpoints.c.source == EndpointSource.STAFF.value,
        )
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(row)


_SOURCES = frozenset(EndpointSource)
