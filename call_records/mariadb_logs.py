"""Asterisk's logs in a MariaDB or MySQL table, where FreePBX keeps them.

Values are taken as the server writes them: a zero date is then a text like any other, and a row that cannot be
understood, not a reading that fails. A table whose rows are numbered is walked by number from its end, which is quick
without any index on the time; FreePBX's has none.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncmy
from asyncmy.converters import conversions
from asyncmy.errors import MySQLError

from call_records.log_tables import (
    CONNECT_SECONDS,
    MOST_ROWS,
    NEWEST_ROWS,
    QUERY_SECONDS,
    LogKind,
    check_columns,
    checked_name,
    seconds_shown,
    shown_since,
)
from telephony.errors import NeedsPerson, SwitchhookError, TryLater

PORT = 3306
AT_ONCE = 5_000  # rows of one walk's step
OPTIONS = frozenset({"unix_socket", "ssl", "ssl_ca"})
AS_WRITTEN = {kind: convert for kind, convert in conversions.items() if not isinstance(kind, int)}
"""What we send is converted; what the server sends stays the text that it wrote."""
_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_IN_UTC = "SET SESSION time_zone = '+00:00'"
_READ_ONLY = "SET SESSION TRANSACTION READ ONLY"

TROUBLES: tuple[tuple[frozenset[int], type[SwitchhookError], str, str], ...] = (
    (
        frozenset({1045, 1698, 2059}),
        NeedsPerson,
        "The server of the {what} refuses our name or password.",
        "Correct them in the address of the {what}, and see from which host that user may come.",
    ),
    (
        frozenset({1044, 1142, 1143}),
        NeedsPerson,
        "The user for the {what} may not read the table.",
        "GRANT SELECT on it to that user.",
    ),
    (
        frozenset({1049}),
        NeedsPerson,
        "The database named in the address of the {what} does not exist.",
        "FreePBX calls it asteriskcdrdb.",
    ),
    (
        frozenset({1146}),
        NeedsPerson,
        "The table of the {what} is not there.",
        "Name the one that {filled_by} fills ({setting}).",
    ),
    (
        frozenset({1129, 1130}),
        NeedsPerson,
        "The server of the {what} takes no connection from this machine.",
        "Allow it for that user's host, and let the server listen where we can reach it.",
    ),
    (
        frozenset({1317, 1969, 3024}),
        TryLater,
        "The server of the {what} took too long to answer.",
        "Look at its load; an index on the column of the time helps.",
    ),
    (
        frozenset({1040, 1203, 1226}),
        TryLater,
        "The server of the {what} has no connection left.",
        "Raise max_connections or stop other programs.",
    ),
)
"""The server's error number → whose move it is, what to say, the remedy. What is not listed: the server is away."""


class MariaDbLog:
    """One table on a MariaDB or MySQL server."""

    def __init__(self, url: str, table: str, kind: LogKind) -> None:
        self._address = _address(url, kind)
        self._table = checked_name(table)
        self._kind = kind

    async def columns(self) -> Mapping[str, str]:
        """Its columns: name in small letters → type."""
        async with self._connected() as cursor:
            return await self._columns(cursor)

    async def newest(self, count: int) -> list[dict[str, str]]:
        """The last rows, in the order in which they were written."""
        async with self._connected() as cursor:
            return await self._newest(cursor, await self._columns(cursor), count)

    async def rows_since(self, moment: float) -> list[dict[str, str]]:
        """Rows not older than that moment (Unix seconds), and perhaps some older ones, as they were written."""
        async with self._connected() as cursor:
            columns = await self._columns(cursor)
            newest = await self._newest(cursor, columns, NEWEST_ROWS)
            since = shown_since(moment, newest, self._kind)
            if _is_numbered(columns):
                return await self._walked_back(cursor, since)
            return await self._asked_by_time(cursor, columns[self._kind.time], since)

    async def _columns(self, cursor: Any) -> dict[str, str]:
        found = await _rows(cursor, f"SHOW COLUMNS FROM {self._table}")
        columns = {row["field"].lower(): row["type"].lower() for row in found}
        check_columns(columns, self._table, self._kind)
        return columns

    async def _newest(self, cursor: Any, columns: Mapping[str, str], count: int) -> list[dict[str, str]]:
        order = "id" if _is_numbered(columns) else self._kind.time
        statement = f"SELECT * FROM {self._table} ORDER BY {order} DESC LIMIT {int(count)}"  # noqa: S608 - the name was checked
        return list(reversed(await _rows(cursor, statement)))

    async def _walked_back(self, cursor: Any, since: float) -> list[dict[str, str]]:
        """Steps from the end by number, until one lies before that time altogether or nothing is left."""
        rows: list[dict[str, str]] = []
        where, arguments = "", tuple[int, ...]()
        while len(rows) < MOST_ROWS:
            statement = f"SELECT * FROM {self._table} {where} ORDER BY id DESC LIMIT {AT_ONCE}"  # noqa: S608 - the name was checked
            step = await _rows(cursor, statement, arguments)
            rows += step
            times = [at for row in step if (at := seconds_shown(row.get(self._kind.time, ""))) is not None]
            if len(step) < AT_ONCE or (times and max(times) < since):
                break
            where, arguments = "WHERE id < %s", (int(step[-1]["id"]),)
        return list(reversed(rows))

    async def _asked_by_time(self, cursor: Any, column: str, since: float) -> list[dict[str, str]]:
        time = self._kind.time
        at: object = (
            since if column.startswith(("double", "decimal", "float", *_NUMBERS)) else _written(since)
        )
        statement = f"SELECT * FROM {self._table} WHERE {time} >= %s ORDER BY {time} DESC LIMIT {MOST_ROWS}"  # noqa: S608 - the name was checked
        return list(reversed(await _rows(cursor, statement, (at,))))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        with _plain_errors(self._kind):
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await asyncmy.connect(**self._address)
            try:
                async with asyncio.timeout(QUERY_SECONDS), connection.cursor() as cursor:
                    await cursor.execute(_IN_UTC)  # what a column of type timestamp is shown in
                    await cursor.execute(_READ_ONLY)
                    yield cursor
            finally:
                connection.close()


def _is_numbered(columns: Mapping[str, str]) -> bool:
    return columns.get("id", "").startswith(_NUMBERS)


async def _rows(cursor: Any, statement: str, arguments: Sequence[object] = ()) -> list[dict[str, str]]:
    await cursor.execute(statement, arguments or None)
    names = [column[0].lower() for column in cursor.description]
    return [
        {name: _text(value) for name, value in zip(names, row, strict=True) if value not in (None, "", b"")}
        for row in await cursor.fetchall()
    ]


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
            f"The certificate for the {kind.what} ({options.get('ssl_ca')}) cannot be read.",
            remedy="Check the path after ssl_ca=; it is a file in PEM.",
        ) from fault


def _no_address(kind: LogKind) -> NeedsPerson:
    return NeedsPerson(
        f"The address of the {kind.what} cannot be read.",
        remedy="Write it as mysql://user:password@host:3306/name, if need be with ?unix_socket=/path, ?ssl=1 or "
        "?ssl_ca=/path; what is special in a password is written with %.",
    )


@contextmanager
def _plain_errors(kind: LogKind) -> Iterator[None]:
    """Inside it, trouble with the server leaves as TryLater or NeedsPerson, the cause kept."""
    try:
        yield
    except MySQLError as cause:
        raise _translated(cause, kind) from cause
    except (OSError, TimeoutError, EOFError) as cause:
        raise _away(kind) from cause


def _translated(error: MySQLError, kind: LogKind) -> SwitchhookError:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = kind._asdict()
    for numbers, trouble, message, remedy in TROUBLES:
        if number in numbers:
            return trouble(message.format(**words), remedy=remedy.format(**words))
    return _away(kind)


def _away(kind: LogKind) -> TryLater:
    return TryLater(
        f"The server of the {kind.what} does not answer.",
        remedy="Check that MariaDB runs, and that its address is right and reachable from here.",
    )
