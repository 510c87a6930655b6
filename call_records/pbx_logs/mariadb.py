"""Asterisk's logs in a MariaDB or MySQL table, where FreePBX keeps them.

Values are taken as the server writes them: a zero date is then a text like any other, and a row that cannot be
understood, not a reading that fails. A table whose rows are numbered is walked by number from its end, which is quick
without any index on the time; FreePBX's has none.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncmy
from asyncmy.converters import conversions
from asyncmy.errors import MySQLError

from call_records.pbx_logs.tables import (
    CONNECT_SECONDS,
    MOST_ROWS,
    QUERY_SECONDS,
    LogKind,
    LogSession,
    LogTrouble,
    is_about_tls,
    seconds_shown,
)
from telephony.errors import NeedsPerson

PORT = 3306
AT_ONCE = 5_000  # rows of one walk's step
OPTIONS = frozenset({"unix_socket", "ssl", "ssl_ca"})
AS_WRITTEN = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}
"""What we send is converted; what the server sends stays the text that it wrote."""
_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_IN_UTC = "SET SESSION time_zone = '+00:00'"
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"

TROUBLES: Mapping[int, LogTrouble] = {
    1045: LogTrouble.REFUSED,
    1698: LogTrouble.REFUSED,
    2059: LogTrouble.REFUSED,
    1044: LogTrouble.NO_RIGHT,
    1142: LogTrouble.NO_RIGHT,
    1143: LogTrouble.NO_RIGHT,
    1049: LogTrouble.NO_DATABASE,
    1146: LogTrouble.NO_TABLE,
    1129: LogTrouble.NOT_FROM_HERE,
    1130: LogTrouble.NOT_FROM_HERE,
    2026: LogTrouble.NOT_TRUSTED,
    1317: LogTrouble.SLOW,
    1969: LogTrouble.SLOW,
    3024: LogTrouble.SLOW,
    1040: LogTrouble.FULL,
    1203: LogTrouble.FULL,
    1226: LogTrouble.FULL,
}
"""The server's error number → what is wrong. What is not listed: the server is away."""


def mariadb_connector(
    url: str, table: str, kind: LogKind
) -> Callable[[], AbstractAsyncContextManager[LogSession]]:
    """Opens connections to that address, each for one reading. Raises NeedsPerson for an address that cannot be read."""
    address = _address(url, kind)

    @asynccontextmanager
    async def connect() -> AsyncIterator[LogSession]:
        with _plain_errors(kind):
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncmy.connect(**address)
            try:
                async with asyncio.timeout(QUERY_SECONDS), connection.cursor() as cursor:
                    await cursor.execute(_IN_UTC)  # what a column of type timestamp is shown in
                    await cursor.execute(_READ_ONLY)
                    yield MariaDbSession(cursor, table, kind)
            finally:
                connection.close()

    return connect


class MariaDbSession:
    """One table over one connection to a MariaDB or MySQL server."""

    def __init__(self, cursor: Any, table: str, kind: LogKind) -> None:
        self._cursor = cursor
        self._table = table
        self._kind = kind

    async def columns(self) -> Mapping[str, str]:
        """As `LogSession.columns`."""
        found = await self._rows(f"SHOW COLUMNS FROM {self._table}")
        return {row["field"].lower(): row["type"].lower() for row in found}

    async def newest(self, columns: Mapping[str, str], count: int) -> list[dict[str, str]]:
        """As `LogSession.newest`."""
        order = "id" if _is_numbered(columns) else self._kind.time
        statement = f"SELECT * FROM {self._table} ORDER BY {order} DESC LIMIT {int(count)}"  # noqa: S608 - the name was checked
        return list(reversed(await self._rows(statement)))

    async def rows_since(self, columns: Mapping[str, str], shown: float) -> list[dict[str, str]]:
        """As `LogSession.rows_since`."""
        if _is_numbered(columns):
            return await self._walked_back(shown)
        return await self._asked_by_time(columns[self._kind.time], shown)

    async def _walked_back(self, since: float) -> list[dict[str, str]]:
        """Steps from the end by number, until one lies before that time altogether or nothing is left."""
        rows: list[dict[str, str]] = []
        where, arguments = "", tuple[int, ...]()
        while len(rows) < MOST_ROWS:
            statement = f"SELECT * FROM {self._table} {where} ORDER BY id DESC LIMIT {AT_ONCE}"  # noqa: S608 - the name was checked
            step = await self._rows(statement, arguments)
            rows += step
            times = [at for row in step if (at := seconds_shown(row.get(self._kind.time, ""))) is not None]
            if len(step) < AT_ONCE or (times and max(times) < since):
                break
            where, arguments = "WHERE id < %s", (int(step[-1]["id"]),)
        return list(reversed(rows))

    async def _asked_by_time(self, column: str, since: float) -> list[dict[str, str]]:
        time = self._kind.time
        at: object = (
            since if column.startswith(("double", "decimal", "float", *_NUMBERS)) else _written(since)
        )
        statement = f"SELECT * FROM {self._table} WHERE {time} >= %s ORDER BY {time} DESC LIMIT {MOST_ROWS}"  # noqa: S608 - the name was checked
        return list(reversed(await self._rows(statement, (at,))))

    async def _rows(self, statement: str, arguments: Sequence[object] = ()) -> list[dict[str, str]]:
        await self._cursor.execute(statement, arguments or None)
        names = [column[0].lower() for column in self._cursor.description]
        return [
            {
                name: _text(value)
                for name, value in zip(names, row, strict=True)
                if value not in (None, "", b"")
            }
            for row in await self._cursor.fetchall()
        ]


def _is_numbered(columns: Mapping[str, str]) -> bool:
    return columns.get("id", "").startswith(_NUMBERS)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _written(since: float) -> str:
    return datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _address(url: str, kind: LogKind) -> dict[str, Any]:
    """The driver's arguments. Raises NeedsPerson for an address that says something we do not know."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query))
        port = parts.port or PORT
    except ValueError:
        raise _no_address(kind) from None
    database = unquote(parts.path.lstrip("/"))
    if not database or "/" in database or not OPTIONS.issuperset(options):
        raise _no_address(kind)
    return {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname or "localhost",
        "port": port,
        "unix_socket": options.get("unix_socket"),
        "database": database,
        "charset": "utf8mb4",
        "conv": AS_WRITTEN,
        "connect_timeout": int(CONNECT_SECONDS),
        "autocommit": True,
        "ssl": _tls(options, kind),
    }


def _tls(options: Mapping[str, str], kind: LogKind) -> ssl.SSLContext | None:
    if not {"ssl", "ssl_ca"} & options.keys():
        return None
    try:
        return ssl.create_default_context(cafile=options.get("ssl_ca"))
    except (OSError, ssl.SSLError) as fault:
        raise NeedsPerson(
            "The certificate for the {what} ({reason}) cannot be read.",
            remedy="Check the path after ssl_ca=; it is a file in PEM.",
            values={"what": kind.what, "reason": options.get("ssl_ca")},
        ) from fault


def _no_address(kind: LogKind) -> NeedsPerson:
    return NeedsPerson(
        "The address of the {what} cannot be read.",
        remedy="Write it as mysql://user:password@host:3306/name, if need be with ?unix_socket=/path, ?ssl=1 or "
        "?ssl_ca=/path; what is special in a password is written with %.",
        values={"what": kind.what},
    )


@contextmanager
def _plain_errors(kind: LogKind) -> Iterator[None]:
    """Inside it, trouble with the server leaves as TryLater or NeedsPerson, the cause kept."""
    try:
        yield
    except MySQLError as cause:
        raise _trouble(cause).error(kind) from cause
    except (OSError, TimeoutError, EOFError) as cause:
        trouble = LogTrouble.NOT_TRUSTED if is_about_tls(cause) else LogTrouble.AWAY
        raise trouble.error(kind) from cause


def _trouble(error: MySQLError) -> LogTrouble:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if is_about_tls(error):
        return LogTrouble.NOT_TRUSTED
    return TROUBLES.get(number, LogTrouble.AWAY)
