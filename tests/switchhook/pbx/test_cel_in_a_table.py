"""The channel event log in a table, PostgreSQL's and MariaDB's alike, and the sweep that reads it.

Laid out as Asterisk's documentation and FreePBX have it. Every promise is one of both servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import asyncpg
import pytest

from ami_bridge.cel.rows import TYPE_NAMES, CelReader, CelRow
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.pbx_logs.tables import CEL, LogTable, open_log_table
from call_records.store import RecordsStore
from call_records.types import CallFilter
from switchhook.pbx.cel_sources import CelFromTable
from switchhook.pbx.monitor import Bridge
from telephony.call_facts.facts import Certainty, Disposition
from telephony.errors import NeedsPerson, TryLater
from telephony.ports import LinkState
from tests.mariadb_fixtures import MariaDbDatabase
from tests.telephony.captured import NUMBERING, captured, cel_cells, cel_text, differences, replayed

COLUMNS = (
    "eventtype", "eventtime", "cid_name", "cid_num", "cid_ani", "cid_rdnis", "cid_dnid", "exten", "context", "channame",
    "appname", "appdata", "amaflags", "accountcode", "uniqueid", "linkedid", "peer", "userfield", "extra",
)  # fmt: skip
NUMBERS = {name: int(number) for number, name in TYPE_NAMES.items()}
NEWER_TYPE = 99  # what a newer Asterisk writes and no call is told from
TEXT_COLUMNS = ", ".join(
    f"{name} varchar(512)" for name in COLUMNS if name not in ("eventtype", "eventtime", "extra")
)


class Server(Protocol):
    """Where Asterisk writes."""

    url: str

    async def run(self, statement: str) -> None: ...
    async def insert(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None: ...


class PostgresServer:
    """A database on PostgreSQL."""

    numbered = "id serial PRIMARY KEY"
    time = "timestamp"
    zoned = "timestamp with time zone"

    def __init__(self, url: str) -> None:
        self.url = url

    async def run(self, statement: str) -> None:
        """One statement, as its owner."""
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def insert(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows into `cel`."""
        places = ", ".join(f"${number + 1}" for number in range(len(columns)))
        connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
        try:
            await connection.executemany(f"INSERT INTO cel ({', '.join(columns)}) VALUES ({places})", rows)
        finally:
            await connection.close()


class MariaDbServer:
    """A database on MariaDB, read by a user who may do nothing else."""

    numbered = "id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY"
    time = "datetime(6)"
    zoned = "timestamp(6)"
    """Kept in UTC, shown in the session's zone."""

    def __init__(self, database: MariaDbDatabase) -> None:
        self.database = database
        self.url = database.reader

    async def run(self, statement: str) -> None:
        """One statement, as its administrator."""
        await self.database.run(statement)

    async def insert(self, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows into `cel`."""
        values = ", ".join(f"({', '.join(_literal(cell) for cell in row)})" for row in rows)
        await self.database.run(
            "SET SESSION sql_mode = '', time_zone = '+00:00'",
            f"INSERT INTO cel ({', '.join(columns)}) VALUES {values}",
        )


def _literal(cell: object) -> str:
    if cell is None:
        return "NULL"
    if isinstance(cell, datetime):
        cell = cell.strftime("%Y-%m-%d %H:%M:%S.%f")
    return "'" + str(cell).replace("\\", "\\\\").replace("'", "''") + "'"


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def server(request: pytest.FixtureRequest) -> PostgresServer | MariaDbServer:
    """A database that only Asterisk writes to."""
    if request.param == "postgres":
        return PostgresServer(request.getfixturevalue("empty_database_url"))
    return MariaDbServer(request.getfixturevalue("mariadb"))


def table_of(server: Server, name: str = "cel") -> LogTable:
    """The table as the service opens it."""
    return open_log_table(server.url, name, CEL)


async def make(
    server: PostgresServer | MariaDbServer,
    *,
    numbered: bool = False,
    zoned: bool = False,
    extra: bool = True,
    ids: bool = True,
) -> None:
    """An empty table."""
    kind = "int" if numbered else "varchar(30)"
    time = server.zoned if zoned else server.time
    parts = [f"eventtype {kind}", f"eventtime {time} NULL", TEXT_COLUMNS, *(["extra text"] if extra else [])]
    await server.run(f"CREATE TABLE cel ({', '.join([server.numbered, *parts] if ids else parts)})")


async def fill(
    server: PostgresServer | MariaDbServer,
    name: str,
    *,
    numbered: bool = False,
    zoned: bool = False,
    late_hours: float = 0,
    extra: bool = True,
    ids: bool = True,
    whole_seconds: bool = False,
) -> None:
    """The table as Asterisk fills it with one captured call."""
    await make(server, numbered=numbered, zoned=zoned, extra=extra, ids=ids)
    rows: list[list[object]] = []
    for cells in cel_cells(cel_text(name)):
        row: list[object] = list(cells)
        at = datetime.fromtimestamp(float(cells[1]), UTC) + timedelta(hours=late_hours)
        at = at.replace(microsecond=0) if whole_seconds else at
        row[0] = NUMBERS.get(cells[0], NEWER_TYPE) if numbered else cells[0]
        row[1] = at if zoned else at.replace(tzinfo=None)
        rows.append(row if extra else row[:-1])
    await server.insert(COLUMNS if extra else COLUMNS[:-1], rows)


@pytest.mark.parametrize("zoned", [False, True], ids=["timestamp", "timestamptz"])
@pytest.mark.parametrize("numbered", [False, True], ids=["names", "numbers"])
@pytest.mark.parametrize("name", ["22/att_feature", "16/in_ringgroup_none"])
async def test_the_table_tells_what_the_file_tells(
    server: PostgresServer | MariaDbServer, name: str, numbered: bool, zoned: bool
) -> None:
    """The same call from cel_custom's file and from cel_pgsql's table, event types as names or as numbers."""
    await fill(server, name, numbered=numbered, zoned=zoned)
    file = captured(name).cel
    rows = await CelFromTable(table_of(server)).since(file[0].at - 1.0)
    assert len(rows) == len(file)
    assert differences(replayed(cel=file), replayed(cel=rows), seconds=0.002) == []


async def test_only_rows_of_the_gap_are_read(server: PostgresServer | MariaDbServer) -> None:
    """A reconnect asks for what came since a moment; the next question of the sweep begins where the last ended."""
    await fill(server, "22/in_answered")
    file = captured("22/in_answered").cel
    table = CelFromTable(table_of(server))
    middle = file[len(file) // 2].at
    assert len(await table.since(middle)) == sum(row.at >= middle for row in file)
    assert len(await table.unread(file[0].at)) == len(file)
    assert {row.at for row in await table.unread(file[0].at)} == {file[-1].at}


class NoFeed:
    """A PBX that says nothing."""

    async def run(self) -> None:
        """Nothing to watch."""

    async def items(self) -> AsyncIterator[object]:
        """Nothing comes."""
        return
        yield

    def link_state(self) -> LinkState:
        """Never asked."""
        raise NotImplementedError


async def test_a_missed_call_is_told_from_the_table_once(
    server: PostgresServer | MariaDbServer,
    records: RecordsStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody observed; the sweep finds the call in the table and tells it as missed. The next sweep finds nothing."""
    await fill(server, "22/in_ringgroup_none", numbered=True)
    ended = captured("22/in_ringgroup_none").cel[-1].at
    monkeypatch.setattr("switchhook.pbx.monitor.time", SimpleNamespace(time=lambda: ended + 60.0))
    table = CelFromTable(table_of(server))
    spool = SpoolingJournal(records.journal, tmp_path)
    bridge = Bridge(NoFeed(), NUMBERING, records, LiveBoard(), spool, table)  # type: ignore[arg-type]
    assert await bridge.sweep_once(table) == 1
    assert await hand_over(spool)
    (call,) = (await records.calls.page(CallFilter())).calls
    assert (call.disposition, call.certainty) == (Disposition.MISSED, Certainty.RECONSTRUCTED)
    assert set(call.missed_by) == {
        party for truth in captured("22/in_ringgroup_none").truth for party in truth["missed_by"]
    }
    again = Bridge(NoFeed(), NUMBERING, records, LiveBoard(), spool, table)  # type: ignore[arg-type]
    assert await again.sweep_once(CelFromTable(table_of(server))) == 0
    spool.close()


async def hand_over(spool: SpoolingJournal) -> bool:
    """Let the spool give everything to the journal."""
    running = asyncio.create_task(spool.run())
    try:
        return await spool.emptied(within_seconds=10.0)
    finally:
        running.cancel()


@pytest.mark.parametrize("hours", [3, -5, 5.5, -3, 12.75])
@pytest.mark.parametrize("ids", [True, False], ids=["numbered rows", "rows by time"])
async def test_a_table_in_local_time_is_corrected(
    server: PostgresServer | MariaDbServer, hours: float, ids: bool
) -> None:
    """As FreePBX writes it, in Moscow, New York, India: the ids of the calls say when they began."""
    await fill(server, "22/in_answered", late_hours=hours, ids=ids)
    file = captured("22/in_answered").cel
    table = CelFromTable(table_of(server))
    assert (
        differences(replayed(cel=file), replayed(cel=await table.since(file[0].at - 1.0)), seconds=0.002)
        == []
    )
    middle = file[len(file) // 2].at
    assert len(await table.since(middle)) == sum(row.at >= middle for row in file)


async def test_whole_seconds_keep_the_order_of_the_rows(server: PostgresServer | MariaDbServer) -> None:
    """FreePBX's column has no fractions: who was in a conversation is known, its length to a second."""
    await fill(server, "22/att_refer", whole_seconds=True, late_hours=3)
    file = captured("22/att_refer").cel
    rows = await CelFromTable(table_of(server)).since(file[0].at - 2.0)
    apart = differences(replayed(cel=file), replayed(cel=rows), seconds=1.05, ignore=["intervals"])
    assert apart == []


async def test_times_that_fit_no_zone_are_refused_in_words(server: PostgresServer | MariaDbServer) -> None:
    """Forty minutes off is no zone: somebody set a clock, or the column is something else."""
    await fill(server, "22/in_answered", late_hours=-4 / 6)
    with pytest.raises(NeedsPerson, match="fit no time zone") as refused:
        await CelFromTable(table_of(server)).since(0.0)
    assert "usegmtime = yes" in (refused.value.remedy or "")


@pytest.mark.parametrize("name", ["22/in_answered", "16/queue_answered", "22/out_answered", "22/blind_refer"])
async def test_a_table_without_extra_tells_no_answered_call_as_missed(
    server: PostgresServer | MariaDbServer, name: str
) -> None:
    """The layout in Asterisk's documentation is older than `extra`: who talked to whom follows from the other rows."""
    await fill(server, name, extra=False)
    rows = await CelFromTable(table_of(server)).since(0.0)
    told = [(one.disposition, one.answered_by, one.final_party) for one in replayed(cel=rows)]
    assert told == [
        (one.disposition, one.answered_by, one.final_party) for one in replayed(cel=captured(name).cel)
    ]


async def test_a_row_that_nobody_can_read_is_passed_over(server: PostgresServer | MariaDbServer) -> None:
    """MySQL's zero date, a NULL time, an empty row: the calls beside them are told."""
    await fill(server, "22/in_answered")
    zero = "0000-00-00 00:00:00" if isinstance(server, MariaDbServer) else None
    await server.insert(["eventtype", "eventtime", "uniqueid"], [["HANGUP", zero, "1.2"], [None, None, None]])
    reader = CelReader()
    rows = list(reader.rows_from(await table_of(server).newest(500)))
    assert reader.broken == 2
    assert differences(replayed(cel=captured("22/in_answered").cel), replayed(cel=rows), seconds=0.002) == []


async def test_a_table_that_is_not_there_is_named(server: PostgresServer | MariaDbServer) -> None:
    """A slip in cel_table."""
    with pytest.raises(NeedsPerson, match=r"channel event log|table of"):
        await table_of(server, "nothing").rows_since(0.0)


async def test_a_table_of_something_else_is_refused(server: PostgresServer | MariaDbServer) -> None:
    """Without the columns that make a row nothing can be told; the sentence names the first that is missing."""
    await server.run("CREATE TABLE cel (id int, eventtime int, uniqueid varchar(20))")
    with pytest.raises(NeedsPerson, match="no column eventtype"):
        await table_of(server).rows_since(0.0)


@pytest.mark.mariadb
class TestMariaDbAlone:
    """What only this server does."""

    async def test_it_is_read_over_its_socket_and_changed_by_nobody(self, mariadb: MariaDbDatabase) -> None:
        """The address names the socket; a user with SELECT is enough, and can do nothing else."""
        server = MariaDbServer(mariadb)
        await fill(server, "22/in_answered")
        rows = await open_log_table(mariadb.reader_by_socket, "cel", CEL).newest(500)
        assert len(rows) == len(captured("22/in_answered").cel)
        assert {"eventtime", "cid_num", "extra"} <= rows[0].keys() | rows[5].keys()

    async def test_a_long_table_is_walked_only_as_far_as_needed(
        self, mariadb: MariaDbDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rows are numbered: steps from the end until one is older than what is asked for."""
        monkeypatch.setattr("call_records.pbx_logs.mariadb.AT_ONCE", 4)
        server = MariaDbServer(mariadb)
        await fill(server, "22/in_answered", late_hours=3)
        file = captured("22/in_answered").cel
        table = open_log_table(mariadb.reader, "cel", CEL)
        assert len(await table.rows_since(0.0)) == len(file)
        whole_day_later = await table.rows_since(file[-1].at + 86_400.0)
        assert len(whole_day_later) == 4

    @pytest.mark.parametrize(
        ("change", "trouble", "sentence"),
        [
            (("rE%40d", "wrong"), NeedsPerson, "refuses our name or password"),
            (("/t", "/nothing_of_t"), NeedsPerson, "may not read|does not exist|refuses"),
        ],
    )
    async def test_mistakes_in_the_address_are_told_in_words(
        self, mariadb: MariaDbDatabase, change: tuple[str, str], trouble: type[Exception], sentence: str
    ) -> None:
        """Whose move it is, and what to do."""
        url = mariadb.reader.replace(*change)
        with pytest.raises(trouble, match=sentence):
            await open_log_table(url, "cel", CEL).newest(1)

    async def test_a_server_that_is_away_is_asked_again_later(self, mariadb: MariaDbDatabase) -> None:
        """Nothing listens there: that is no mistake of anybody's, and ends by itself."""
        url = mariadb.reader.replace(f":{mariadb.server.port}/", ":1/")
        with pytest.raises(TryLater, match="does not answer"):
            await open_log_table(url, "cel", CEL).newest(1)

    @pytest.mark.parametrize(
        "url",
        ["mysql://u@h", "mysql://u@h/a/b", "mysql://u@h:x/n", "mysql://u@h/n?other=1", "oracle://u@h/n"],
    )
    def test_an_address_that_says_nothing_is_refused(self, url: str) -> None:
        """Before anything is asked."""
        with pytest.raises(NeedsPerson, match="address of the channel event log"):
            open_log_table(url, "cel", CEL)


@pytest.mark.parametrize("bridges", [True, False])
async def test_a_log_without_bridges_tells_no_answered_call(
    bridges: bool, records: RecordsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be told as missed. Connections says what is wrong with the log."""
    rows = [row for row in captured("22/in_answered").cel if bridges or not row.kind.startswith("BRIDGE_")]
    monkeypatch.setattr("switchhook.pbx.monitor.time", SimpleNamespace(time=lambda: rows[-1].at + 60.0))
    log = RowsOnce(rows)
    spool = SpoolingJournal(records.journal, tmp_path)
    bridge = Bridge(NoFeed(), NUMBERING, records, LiveBoard(), spool, log)  # type: ignore[arg-type]
    await bridge.sweep_or_say(log)  # type: ignore[arg-type]
    assert ("no rows of bridges" in (bridge.cel_problem or "")) is not bridges
    assert await hand_over(spool)
    told = (await records.calls.page(CallFilter())).calls
    assert [call.disposition for call in told] == [Disposition.ANSWERED] * bridges


class RowsOnce:
    """A log whose rows are all new."""

    def __init__(self, rows: Sequence[CelRow]) -> None:
        self._rows = rows

    async def unread(self, _since: float) -> Sequence[CelRow]:
        """All of them."""
        return self._rows
