"""The tables into which Asterisk writes its logs: the channel event log (CEL) and the call detail records (CDR).

They stand on somebody else's server, PostgreSQL or MariaDB (MySQL), and are only ever read. Columns are found by name, so
a table with more or fewer of them will do as long as those are there without which no row can be understood. Cells are
handed on as text under the table's own names: what they mean is for the reader of the log (`ami_bridge`).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from telephony.errors import NeedsPerson, SwitchhookError, TryLater
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


class LogTrouble(Enum):
    """What may be wrong with somebody else's server: whose move it is, what to say, the remedy."""

    REFUSED = (
        NeedsPerson,
        "The server of the {what} refuses our name or password.",
        "Correct them in the address of the {what}, and see from which host that user may come.",
    )
    NO_RIGHT = (
        NeedsPerson,
        "The user for the {what} may not read the table.",
        "GRANT SELECT on it to that user.",
    )
    NO_DATABASE = (
        NeedsPerson,
        "The database named in the address of the {what} does not exist.",
        "FreePBX calls it asteriskcdrdb.",
    )
    NO_TABLE = (
        NeedsPerson,
        "The table of the {what} is not there.",
        "Name the one that {filled_by} fills ({setting}).",
    )
    NOT_FROM_HERE = (
        NeedsPerson,
        "The server of the {what} takes no connection from this machine.",
        "Allow it for that user's host, and let the server listen where we can reach it.",
    )
    NOT_TRUSTED = (
        NeedsPerson,
        "The server of the {what} does not prove by TLS that it is who it should be.",
        "Name the file of the authority that signed its certificate in the address (MariaDB: ?ssl_ca=/path, PostgreSQL: "
        "?sslrootcert=/path), write its host as the certificate has it, and see that the server has TLS switched on.",
    )
    SLOW = (
        TryLater,
        "The server of the {what} took too long to answer.",
        "Look at its load; an index on the column of the time helps.",
    )
    FULL = (
        TryLater,
        "The server of the {what} has no connection left.",
        "Raise max_connections or stop other programs.",
    )
    AWAY = (
        TryLater,
        "The server of the {what} does not answer.",
        "Check that it runs, and that its address is right and reachable from here.",
    )

    def __init__(self, trouble: type[NeedsPerson | TryLater], message: str, remedy: str) -> None:
        self._trouble = trouble
        self._message = message
        self._remedy = remedy

    def error(self, kind: LogKind) -> SwitchhookError:
        """The error to raise for that log."""
        words = kind._asdict()
        return self._trouble(self._message.format(**words), remedy=self._remedy.format(**words))


class LogSession(Protocol):
    """One table over one open connection. What goes wrong leaves as the error of a `LogTrouble`."""

    async def columns(self) -> Mapping[str, str]:
        """Its columns: name in small letters → type; none when the table is not there."""
        ...

    async def newest(self, columns: Mapping[str, str], count: int) -> list[dict[str, str]]:
        """The last rows, in the order in which they were written."""
        ...

    async def rows_since(self, columns: Mapping[str, str], shown: float) -> list[dict[str, str]]:
        """Rows whose time, as the table shows it, is not before that; and perhaps some older ones."""
        ...


class LogTable:
    """One table. Every method opens a connection of its own: that is every ten minutes, and a server that went away and
    came back needs no care.

    Raises TryLater when the server is away and NeedsPerson when the table cannot be read.
    """

    def __init__(
        self, connect: Callable[[], AbstractAsyncContextManager[LogSession]], table: str, kind: LogKind
    ) -> None:
        self._connect = connect
        self._table = table
        self._kind = kind

    async def columns(self) -> Collection[str]:
        """Its columns' names in small letters; those that are needed are there."""
        async with self._connect() as session:
            return await self._columns(session)

    async def newest(self, count: int) -> list[dict[str, str]]:
        """The last rows, in the order in which they were written."""
        async with self._connect() as session:
            return await session.newest(await self._columns(session), count)

    async def rows_since(self, moment: float) -> list[dict[str, str]]:
        """Rows not older than that moment (Unix seconds), and perhaps some older ones, as they were written."""
        async with self._connect() as session:
            columns = await self._columns(session)
            newest = await session.newest(columns, NEWEST_ROWS)
            return await session.rows_since(columns, shown_since(moment, newest, self._kind))

    async def _columns(self, session: LogSession) -> Mapping[str, str]:
        columns = await session.columns()
        if not columns:
            raise LogTrouble.NO_TABLE.error(self._kind)
        check_columns(columns, self._table, self._kind)
        return columns


def open_log_table(url: str, table: str, kind: LogKind) -> LogTable:
    """The table behind an address, by what kind of server that names. Raises NeedsPerson for an address of neither."""
    from call_records.pbx_logs.mariadb import mariadb_connector
    from call_records.pbx_logs.postgres import postgres_connector

    name = checked_name(table)
    scheme = urlsplit(url).scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        return LogTable(postgres_connector(url, name, kind), name, kind)
    if scheme in ("mysql", "mariadb"):
        return LogTable(mariadb_connector(url, name, kind), name, kind)
    raise NeedsPerson(
        "The address of the {what} is neither PostgreSQL's nor MariaDB's.",
        remedy="Write it as postgresql://user:password@host/name or mysql://user:password@host/name.",
        values={"what": kind.what},
    )


def is_about_tls(error: BaseException) -> bool:
    """Whether the certificate, or TLS itself, is what a connection failed for; drivers wrap it in errors of their own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def checked_name(table: str) -> str:
    """The table's name, which may stand in a statement. Raises NeedsPerson for anything else."""
    if not _TABLE.fullmatch(table):
        raise NeedsPerson(
            "{table} is not the name of a table.",
            remedy="Write it as cel, or schema.cel.",
            values={"table": table},
        )
    return table


def check_columns(found: Collection[str], table: str, kind: LogKind) -> None:
    """Raises NeedsPerson when a column is missing without which nothing can be told."""
    missing = [name for name in kind.needed if name not in found]
    if missing:
        raise NeedsPerson(
            "The table {table} is no {what}: it has no column {missing}.",
            remedy="Name the table that {filled_by} fills ({setting}).",
            values={
                "table": table,
                "what": kind.what,
                "missing": missing[0],
                "filled_by": kind.filled_by,
                "setting": kind.setting,
            },
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
