"""The tables into which Asterisk writes its logs: the channel event log (CEL) and the call detail records (CDR).

They stand on somebody else's server, PostgreSQL or MariaDB (MySQL), and are only ever read. Columns are found by name, so
a table with more or fewer of them will do as long as those are there without which no row can be understood. Cells are
handed on as text under the table's own names: what they mean is for the reader of the log (`ami_bridge`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from telephony.errors import NeedsPerson
from telephony.local_times import MOST_SECONDS, ShownTime, offsets_in

CONNECT_SECONDS = 5.0
QUERY_SECONDS = 20.0  # a day of a busy office, 100 000 rows, takes about a second with an index on the time
MOST_ROWS = 500_000  # newest first; about 25 000 calls, as for the file
NEWEST_ROWS = 500  # enough to know the zone: an office with a call in it
CLOCK_CHANGE_SECONDS = 3_600.0  # what the zone of the newest rows and of those asked for may differ by
_TABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$")


class LogKind(NamedTuple):
    """What is the same for every table of one kind of log."""

    what: str
    time: str
    """The column of the time, without a zone in most tables."""
    needed: tuple[str, ...]
    wanted: tuple[str, ...]
    """Columns without which less is known."""
    beginnings: tuple[str, ...] | None
    """Values of eventtype with which a channel begins; None where every row's time is a beginning."""
    filled_by: str
    setting: str


CEL = LogKind(
    what="channel event log",
    time="eventtime",
    needed=("eventtype", "eventtime", "channame", "uniqueid", "linkedid"),
    wanted=("extra", "appname", "appdata", "peer"),
    beginnings=("CHAN_START", "1"),
    filled_by="cel_pgsql, cel_odbc or FreePBX",
    setting="cel_table",
)
CDR = LogKind(
    what="call detail record",
    time="calldate",
    needed=("calldate", "channel", "uniqueid"),
    wanted=("linkedid", "recordingfile", "dstchannel"),
    beginnings=None,
    filled_by="cdr_pgsql, cdr_adaptive_odbc or FreePBX",
    setting="cdr_table",
)


class LogTable(Protocol):
    """One table. Every method opens a connection of its own: that is every ten minutes.

    Raises TryLater when the server is away and NeedsPerson when the table cannot be read.
    """

    async def columns(self) -> Collection[str]:
        """Its columns' names in small letters; those that are needed are there."""
        ...

    async def newest(self, count: int) -> list[dict[str, str]]:
        """The last rows, in the order in which they were written."""
        ...

    async def rows_since(self, moment: float) -> list[dict[str, str]]:
        """Rows not older than that moment (Unix seconds), and perhaps some older ones, as they were written."""
        ...


def open_log_table(url: str, table: str, kind: LogKind) -> LogTable:
    """The table behind an address, by what kind of server that names. Raises NeedsPerson for an address of neither."""
    from call_records.mariadb_logs import MariaDbLog
    from call_records.postgres_logs import PostgresLog

    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        return PostgresLog(url, table, kind)
    if scheme in ("mysql", "mariadb"):
        return MariaDbLog(url, table, kind)
    raise NeedsPerson(
        f"The address of the {kind.what} is neither PostgreSQL's nor MariaDB's.",
        remedy="Write it as postgresql://user:password@host/name or mysql://user:password@host/name.",
    )


def checked_name(table: str) -> str:
    """The table's name, which may stand in a statement. Raises NeedsPerson for anything else."""
    if not _TABLE.fullmatch(table):
        raise NeedsPerson(f"{table} is not the name of a table.", remedy="Write it as cel, or schema.cel.")
    return table


def check_columns(found: Collection[str], table: str, kind: LogKind) -> None:
    """Raises NeedsPerson when a column is missing without which nothing can be told."""
    missing = [name for name in kind.needed if name not in found]
    if missing:
        raise NeedsPerson(
            f"The table {table} is no {kind.what}: it has no column {missing[0]}.",
            remedy=f"Name the table that {kind.filled_by} fills ({kind.setting}).",
        )


def shown_since(moment: float, newest: Iterable[Mapping[str, str]], kind: LogKind) -> float:
    """From what time on, as the table shows times, rows are to be asked for so that none since `moment` is missed.

    A table in local time shows other hours than ours; how many, its newest rows tell. Raises NeedsPerson when its times
    can be none.
    """
    shown = [one for cells in newest if (one := _shown(cells, kind)) is not None]
    offsets = offsets_in(shown)
    if offsets == {0.0}:
        return moment
    earliest = min(offsets) - CLOCK_CHANGE_SECONDS if offsets else -MOST_SECONDS
    return moment + earliest


def _shown(cells: Mapping[str, str], kind: LogKind) -> ShownTime | None:
    seconds = seconds_shown(cells.get(kind.time, ""))
    if seconds is None:
        return None
    begins = kind.beginnings is None or cells.get("eventtype", "") in kind.beginnings
    return ShownTime(seconds, cells.get("uniqueid", ""), begins)


def seconds_shown(text: str) -> float | None:
    """A cell's time as if it were UTC, in Unix seconds; None when it is none (MySQL's zero date, for one)."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        shown = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (shown if shown.tzinfo else shown.replace(tzinfo=UTC)).timestamp()
