"""Asterisk's logs in a PostgreSQL table, as `cel_pgsql`, `cdr_pgsql` or the ODBC modules write them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg

from call_records.log_tables import (
    CONNECT_SECONDS,
    MOST_ROWS,
    NEWEST_ROWS,
    QUERY_SECONDS,
    LogKind,
    check_columns,
    checked_name,
    shown_since,
)
from call_records.troubles import plain_errors
from telephony.errors import NeedsPerson


class PostgresLog:
    """One table on a PostgreSQL server."""

    def __init__(self, url: str, table: str, kind: LogKind) -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://")
        self._table = checked_name(table)
        self._kind = kind

    async def columns(self) -> Mapping[str, str]:
        """Its columns: name in small letters → type."""
        async with self._connected() as connection:
            return await self._columns(connection)

    async def newest(self, count: int) -> list[dict[str, str]]:
        """The last rows, in the order in which they were written."""
        async with self._connected() as connection:
            return await self._newest(connection, await self._columns(connection), count)

    async def rows_since(self, moment: float) -> list[dict[str, str]]:
        """Rows not older than that moment (Unix seconds), and perhaps some older ones, as they were written."""
        async with self._connected() as connection:
            columns = await self._columns(connection)
            since = shown_since(moment, await self._newest(connection, columns, NEWEST_ROWS), self._kind)
            time = self._kind.time
            bound = _bound(columns[time], since, self._kind)
            rows = await connection.fetch(self._query(columns, f"WHERE {time} >= $1", MOST_ROWS), bound)
            return _written_order(rows)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection[Any]]:
        with plain_errors():
            connection = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS)
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    yield connection
            finally:
                await connection.close(timeout=CONNECT_SECONDS)

    async def _columns(self, connection: asyncpg.Connection[Any]) -> dict[str, str]:
        found = await connection.fetch(
            "SELECT attname, format_type(atttypid, NULL) AS kind FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            self._table,
        )
        columns = {row["attname"].lower(): row["kind"] for row in found}
        check_columns(columns, self._table, self._kind)
        return columns

    async def _newest(
        self, connection: asyncpg.Connection[Any], columns: Mapping[str, str], count: int
    ) -> list[dict[str, str]]:
        return _written_order(await connection.fetch(self._query(columns, "", count)))

    def _query(self, columns: Mapping[str, str], where: str, most: int) -> str:
        order = f"{self._kind.time} DESC, {'id' if 'id' in columns else 'ctid'} DESC"
        return f"SELECT * FROM {self._table} {where} ORDER BY {order} LIMIT {int(most)}"  # noqa: S608 - the name was checked


def _bound(column: str, since: float, kind: LogKind) -> object:
    at = datetime.fromtimestamp(since, UTC)
    if column == "timestamp without time zone":
        return at.replace(tzinfo=None)
    if column == "timestamp with time zone":
        return at
    if column == "double precision":
        return since
    raise NeedsPerson(
        f"The column {kind.time} of the {kind.what} is of type {column}.",
        remedy="Make it a timestamp, as Asterisk's documentation has it.",
    )


def _written_order(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Oldest first. By number where there is one: in the hour that is shown twice, times alone would mix the rows."""
    numbered = all(isinstance(row.get("id"), int) for row in rows)
    ordered = sorted(rows, key=lambda row: row["id"]) if numbered else reversed(rows)
    return [_cells(row) for row in ordered]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    filled = {name.lower(): value for name, value in row.items() if value is not None and value != ""}
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in filled.items()
    }
