"""The channel event log as the bridge reads it: a CSV file, or a table that Asterisk writes to.

CDR is no source here on purpose: it has one to five rows a channel, transfers rewrite them, and talk time is wrong by
the time in a queue, so a call told from CDR would claim what nobody knows (docs/how-to/outages.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ami_bridge.cel.csv_file import CelFile
from ami_bridge.cel.signals import CelReader, CelRow
from call_records.pbx_logs.tables import CEL, LogTable, open_log_table
from switchhook.pbx.monitor import CelSource
from switchhook.settings.tables import PbxSettings
from telephony.errors import NeedsPerson


class CelFromFile:
    """`cel_custom`'s CSV file. Read in a thread, for disks wait."""

    def __init__(self, file: CelFile) -> None:
        self._file = file

    async def since(self, moment: float) -> Sequence[CelRow]:
        """All rows not older than that moment."""
        await asyncio.to_thread(self._refuse_absent)
        earlier, rows = await asyncio.to_thread(self._file.rows_since, moment, moment)
        return [*earlier, *rows]

    async def unread(self, since: float) -> Sequence[CelRow]:
        """Rows appended since the last time."""
        await asyncio.to_thread(self._refuse_absent)
        return await asyncio.to_thread(self._file.unread, since)

    def _refuse_absent(self) -> None:
        """Neither the file nor the one that logrotate put away: nothing was ever written there."""
        path = self._file.path
        if not path.exists() and not path.with_name(path.name + ".1").exists():
            raise NeedsPerson(
                f"There is no file {path}.",
                remedy="Asterisk makes it at the first call once CEL is loaded; else correct cel_file.",
            )


class CelFromTable:
    """A table as `cel_pgsql` or `cel_odbc` fills it."""

    def __init__(self, table: LogTable) -> None:
        self._table = table
        self._reader = CelReader()
        self._seen_until: float | None = None

    async def since(self, moment: float) -> Sequence[CelRow]:
        """All rows not older than that moment."""
        cells = await self._table.rows_since(moment)
        rows = sorted(self._reader.rows_from(cells), key=_place)
        return [row for row in rows if row.at >= moment]

    async def unread(self, since: float) -> Sequence[CelRow]:
        """Rows newer than the newest one seen; late ones of the last moments may come twice, which changes nothing."""
        rows = await self.since(since if self._seen_until is None else self._seen_until)
        if rows:
            self._seen_until = max(row.at for row in rows)
        return rows


_LAST = {"HANGUP": 1, "CHAN_END": 2, "LINKEDID_END": 3}


def _place(row: CelRow) -> tuple[float, int]:
    """By time. Rows of one moment come out of a table without numbers in any order: a channel's end is its last."""
    return row.at, _LAST.get(row.kind, 0) if "id" not in row.cells else 0


def cel_source(pbx: PbxSettings) -> CelSource | None:
    """Where this PBX's CEL is read; None when no place is configured."""
    if pbx.cel_url is not None:
        return CelFromTable(open_log_table(pbx.cel_url.get_secret_value(), pbx.cel_table, CEL))
    if pbx.cel_file is not None:
        return CelFromFile(CelFile(pbx.cel_file))
    return None
