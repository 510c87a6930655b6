"""Thousands of rows into one table at once, by the database's own bulk path (COPY).

An INSERT with parameters costs the server a start of its executor for every row; COPY costs it once. The rows are written
within the transaction that the connection is in, with every check of the table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.db import json_text


async def copy_rows(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that all name the same columns in the same order. The transaction must have begun."""
    if not rows:
        return
    columns = list(rows[0])
    as_json = {place for place, name in enumerate(columns) if isinstance(table.c[name].type, JSONB)}
    records = [
        tuple(
            json_text.dumps(value) if place in as_json else value for place, value in enumerate(row.values())
        )
        for row in rows
    ]
    driver = (await connection.get_raw_connection()).driver_connection
    if driver is None:
        raise ValueError("a connection without its driver")
    await driver.copy_records_to_table(table.name, records=records, columns=columns)
