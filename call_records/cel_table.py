"""Asterisk's channel event log in a PostgreSQL table, as `cel_pgsql` or `cel_odbc` writes it. Only ever read.

The columns are found by name, so a table with more or fewer of them will do as long as type, time, channel and unique
id are there, and `extra`, without which nobody knows who was in a conversation. A time without a zone is taken as UTC
(`usegmtime = yes` in cel_pgsql.conf). A table in local time is found out and refused: a channel's id says when it began.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from call_records.troubles import plain_errors
from telephony.errors import NeedsPerson
from telephony.ids import uid_order

CONNECT_SECONDS = 5.0
QUERY_SECONDS = 20.0  # a day of a busy office, 100 000 rows, takes about a second with an index on eventtime
MOST_ROWS = 500_000  # newest first; about 25 000 calls, as for the file
NEEDED = ("eventtype", "eventtime", "channame", "uniqueid", "linkedid", "extra")
ZONE_SECONDS = (
    600.0  # zones differ by 15 minutes or more, a channel's id and its first row by less than a second
)
OUR_NAMES: Mapping[str, str] = {
    "cid_name": "cidname",
    "cid_num": "cidnum",
    "cid_ani": "cidani",
    "cid_rdnis": "cidrdnis",
    "cid_dnid": "ciddnid",
    "extra": "eventextra",
}
"""Column in the table → the name the CSV file has for it; all others are the same."""
TYPE_NAMES: Mapping[str, str] = {
    "1": "CHAN_START",
    "2": "CHAN_END",
    "3": "HANGUP",
    "4": "ANSWER",
    "5": "APP_START",
    "6": "APP_END",
    "7": "BRIDGE_ENTER",
    "8": "BRIDGE_EXIT",
    "9": "PARK_START",
    "10": "PARK_END",
    "11": "BLINDTRANSFER",
    "12": "ATTENDEDTRANSFER",
    "13": "USER_DEFINED",
    "14": "LINKEDID_END",
    "15": "PICKUP",
    "16": "FORWARD",
    "17": "LOCAL_OPTIMIZE",
    "18": "LOCAL_OPTIMIZE_BEGIN",
}
"""What is written where eventtype is a column of integers (Asterisk 12 and later, include/asterisk/cel.h)."""
_TABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")


class CelTable:
    """One table on somebody's server. Opens a connection for each reading: that is every ten minutes."""

    def __init__(self, url: str, table: str = "cel") -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://")
        if not _TABLE.fullmatch(table):
            raise NeedsPerson(
                f"{table} is not the name of a table.", remedy="Write it as cel, or schema.cel."
            )
        self._table = table

    async def rows_since(self, moment: float) -> list[dict[str, str]]:
        """Rows not older than that moment (Unix seconds), in time order, as cells by the CSV file's names.

        Raises TryLater when the server is away and NeedsPerson when the table cannot be read.
        """
        with plain_errors():
            connection = await asyncpg.connect(self._url, timeout=CONNECT_SECONDS)
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    columns = await self._columns(connection)
                    rows = await connection.fetch(self._query(columns), _bound(columns["eventtime"], moment))
            finally:
                await connection.close(timeout=CONNECT_SECONDS)
        _check_zone(rows)
        return [_cells(row) for row in reversed(rows)]

    async def _columns(self, connection: asyncpg.Connection[Any]) -> dict[str, str]:
        found = await connection.fetch(
            "SELECT attname, format_type(atttypid, NULL) AS kind FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
            self._table,
        )
        columns = {row["attname"].lower(): row["kind"] for row in found}
        missing = [name for name in NEEDED if name not in columns]
        if missing:
            raise NeedsPerson(
                f"The table {self._table} is no channel event log: it has no column {missing[0]}.",
                remedy=f"ALTER TABLE {self._table} ADD COLUMN extra text, then reload Asterisk's module."
                if missing == ["extra"]
                else "Name the table that Asterisk's cel_pgsql or cel_odbc fills (cel_table).",
            )
        return columns

    def _query(self, columns: Mapping[str, str]) -> str:
        order = "eventtime DESC, id DESC" if "id" in columns else "eventtime DESC"
        return f"SELECT * FROM {self._table} WHERE eventtime >= $1 ORDER BY {order} LIMIT {MOST_ROWS}"  # noqa: S608 - the name was checked


def _bound(kind: str, moment: float) -> object:
    at = datetime.fromtimestamp(moment, UTC)
    if kind == "timestamp without time zone":
        return at.replace(tzinfo=None)
    if kind == "timestamp with time zone":
        return at
    if kind == "double precision":
        return moment
    raise NeedsPerson(
        f"The column eventtime of the channel event log is of type {kind}.",
        remedy="Make it a timestamp, as Asterisk's documentation has it.",
    )


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for name, value in row.items():
        if value is None or value == "":
            continue
        text = value.isoformat() if isinstance(value, datetime) else str(value)
        cells[OUR_NAMES.get(name.lower(), name.lower())] = text
    cells["eventtype"] = TYPE_NAMES.get(cells.get("eventtype", ""), cells.get("eventtype", ""))
    return cells


def _check_zone(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a table in local time: calls told from it would be hours off, or be told a second time."""
    for row in rows:
        if str(row["eventtype"]) not in ("CHAN_START", "1"):
            continue
        began_at, at = uid_order(str(row["uniqueid"]))[0], row["eventtime"]
        if isinstance(at, datetime):
            at = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        if began_at and abs(at - began_at) > ZONE_SECONDS:
            raise NeedsPerson(
                "The times of the channel event log are not UTC.",
                remedy="Set usegmtime = yes in cel_pgsql.conf or cel_odbc.conf and reload the module. "
                "The table is read again once the rows of the last day are in UTC.",
            )
