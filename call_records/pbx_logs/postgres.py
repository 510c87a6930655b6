"""Asterisk's logs in a PostgreSQL table, as `cel_pgsql`, `cdr_pgsql` or the ODBC modules write them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import asyncpg

from call_records.pbx_logs.tables import (
    CONNECT_SECONDS,
    MOST_ROWS,
    QUERY_SECONDS,
    LogKind,
    LogSession,
    LogTrouble,
    is_about_tls,
)
from telephony.errors import NeedsPerson

TROUBLES: Sequence[tuple[str, LogTrouble]] = (
    ("28P", LogTrouble.REFUSED),
    ("28", LogTrouble.NOT_FROM_HERE),  # "no pg_hba.conf entry for host", or no such role
    ("3D", LogTrouble.NO_DATABASE),
    ("42501", LogTrouble.NO_RIGHT),
    ("42P01", LogTrouble.NO_TABLE),
    ("3F", LogTrouble.NO_TABLE),
    ("57014", LogTrouble.SLOW),
    ("53300", LogTrouble.FULL),
)
"""SQLSTATE or its beginning → what is wrong; first match wins. What is not listed: the server is away."""


def postgres_connector(
    url: str, table: str, kind: LogKind
) -> Callable[[], AbstractAsyncContextManager[LogSession]]:
    """Opens connections to that address, each for one reading."""
    address = url.replace("postgresql+asyncpg://", "postgresql://")

    @asynccontextmanager
    async def connect() -> AsyncIterator[LogSession]:
        with _plain_errors(kind):
            connection = await _connection(address, kind)
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    yield PostgresSession(connection, table, kind)
            finally:
                await connection.close(timeout=CONNECT_SECONDS)

    return connect


class PostgresSession:
    """One table over one connection to a PostgreSQL server."""

    def __init__(self, connection: asyncpg.Connection[Any], table: str, kind: LogKind) -> None:
        self._connection = connection
        self._table = table
        self._kind = kind

    async def columns(self) -> Mapping[str, str]:
        """As `LogSession.columns`."""
        found = await self._connection.fetch(
            "SELECT attname, format_type(atttypid, NULL) AS kind FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            self._table,
        )
        return {row["attname"].lower(): row["kind"] for row in found}

    async def newest(self, columns: Mapping[str, str], count: int) -> list[dict[str, str]]:
        """As `LogSession.newest`."""
        return _written_order(await self._connection.fetch(self._query(columns, "", count)))

    async def rows_since(self, columns: Mapping[str, str], shown: float) -> list[dict[str, str]]:
        """As `LogSession.rows_since`."""
        time = self._kind.time
        bound = _bound(columns[time], shown, self._kind)
        query = self._query(columns, f"WHERE {time} >= $1", MOST_ROWS)
        return _written_order(await self._connection.fetch(query, bound))

    def _query(self, columns: Mapping[str, str], where: str, most: int) -> str:
        order = f"{self._kind.time} DESC, {'id' if 'id' in columns else 'ctid'} DESC"
        return f"SELECT * FROM {self._table} {where} ORDER BY {order} LIMIT {int(most)}"  # noqa: S608 - the name was checked


async def _connection(address: str, kind: LogKind) -> asyncpg.Connection[Any]:
    _check_certificate(address, kind)
    try:
        return await asyncpg.connect(address, timeout=CONNECT_SECONDS)
    except ssl.SSLError:
        raise  # a certificate that cannot be believed is a ValueError, too
    except (ValueError, asyncpg.ClientConfigurationError) as cause:  # a port that is no number
        raise NeedsPerson(
            "The address of the {what} cannot be read.",
            remedy="Write it as postgresql://user:password@host:5432/name; what is special in a password is written with %.",
            values={"what": kind.what},
        ) from cause


def _check_certificate(address: str, kind: LogKind) -> None:
    """A file that is not there would look like a server that is away."""
    named = dict(parse_qsl(address.partition("?")[2])).get("sslrootcert")
    if named and not os.access(named, os.R_OK):
        raise NeedsPerson(
            "The certificate for the {what} ({named}) cannot be read.",
            remedy="Check the path after sslrootcert=; it is a file in PEM.",
            values={"what": kind.what, "named": named},
        )


@contextmanager
def _plain_errors(kind: LogKind) -> Iterator[None]:
    """Inside it, trouble with the server leaves as TryLater or NeedsPerson, the cause kept."""
    try:
        yield
    except asyncpg.PostgresError as cause:
        state = cause.sqlstate or ""
        trouble = next((each for code, each in TROUBLES if state.startswith(code)), LogTrouble.AWAY)
        raise trouble.error(kind) from cause
    except (OSError, TimeoutError, asyncpg.InterfaceError) as cause:
        refused = isinstance(cause, ConnectionError) and "SSL upgrade" in str(cause)  # asyncpg's own words
        trouble = LogTrouble.NOT_TRUSTED if refused or is_about_tls(cause) else LogTrouble.AWAY
        raise trouble.error(kind) from cause


def _bound(column: str, since: float, kind: LogKind) -> object:
    at = datetime.fromtimestamp(since, UTC)
    if column == "timestamp without time zone":
        return at.replace(tzinfo=None)
    if column == "timestamp with time zone":
        return at
    if column == "double precision":
        return since
    raise NeedsPerson(
        "The column {time} of the {what} is of type {column}.",
        remedy="Make it a timestamp, as Asterisk's documentation has it.",
        values={"time": kind.time, "what": kind.what, "column": column},
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
