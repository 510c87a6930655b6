"""The rows of a file in pieces, the next one understood while the database works at the one before.

A piece is one transaction of an import. It holds the lock of every number in it, and the database has room for some
thousand locks in all, so that a piece is bounded by its numbers as well as by its rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice

from call_records.crm.imports.dry_run import Reader, Row
from call_records.crm.imports.spreadsheets import Sheet

ROWS_AT_ONCE = 2_000  # about half a second, in which a ringing stranger with one of the numbers waits
NUMBERS_AT_ONCE = 3_000  # of PostgreSQL's 6 400 locks (max_locks_per_transaction × max_connections), unless one row has more


class RowsAhead:
    """Reads pieces of one file. `aclose` it (`contextlib.aclosing`)."""

    def __init__(self, reader: Reader, sheet: Sheet) -> None:
        self._reader = reader
        self._sheet = sheet
        self._first = -1
        self._reading: asyncio.Task[list[Row]] | None = None

    async def piece(self, first: int) -> list[Row]:
        """The piece that begins with this row; empty at the end of the file."""
        reading = self._reading
        if reading is None or self._first != first:
            await self.aclose()
            reading = self._begin(first)
        rows = await reading
        self._begin(first + len(rows))
        return rows

    def _begin(self, first: int) -> asyncio.Task[list[Row]]:
        self._first = first
        self._reading = asyncio.create_task(asyncio.to_thread(self._read, first), name="import rows")
        return self._reading

    def _read(self, first: int) -> list[Row]:
        given = islice(self._sheet.rows, first, first + ROWS_AT_ONCE)
        return bounded(self._reader.row(one) for one in given)

    async def aclose(self) -> None:
        """Wait for what is being read; it takes a fraction of a second and cannot be stopped."""
        if self._reading is not None:
            await asyncio.wait({self._reading})
            self._reading = None


def bounded(rows: Iterable[Row], numbers_most: int = NUMBERS_AT_ONCE) -> list[Row]:
    """The first rows with so many numbers in all; at least one row."""
    piece: list[Row] = []
    numbers = 0
    for row in rows:
        numbers += len(row.phones)
        if piece and numbers > numbers_most:
            break
        piece.append(row)
    return piece
