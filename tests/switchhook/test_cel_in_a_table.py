"""The channel event log in a PostgreSQL table, laid out as Asterisk's documentation has it, and the sweep that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

from call_records.cel_table import TYPE_NAMES, CelTable
from call_records.database import RecordsStore
from call_records.live import LiveBoard
from call_records.shapes import CallFilter
from call_records.spool import SpoolingJournal
from switchhook.bridge import Bridge
from switchhook.cel_sources import CelFromTable
from telephony.errors import NeedsPerson
from telephony.facts import Certainty, Disposition
from telephony.ports import LinkState
from tests.telephony.captured import NUMBERING, captured, cel_cells, cel_text, differences, replayed

pytestmark = pytest.mark.postgres

TABLE = """CREATE TABLE cel (
    id serial, eventtype {type} NOT NULL, eventtime {time} NOT NULL, userdeftype varchar(255) NOT NULL,
    cid_name varchar(80) NOT NULL, cid_num varchar(80) NOT NULL, cid_ani varchar(80) NOT NULL,
    cid_rdnis varchar(80) NOT NULL, cid_dnid varchar(80) NOT NULL, exten varchar(80) NOT NULL,
    context varchar(80) NOT NULL, channame varchar(80) NOT NULL, appname varchar(80) NOT NULL,
    appdata varchar(512) NOT NULL, amaflags int NOT NULL, accountcode varchar(20) NOT NULL,
    peeraccount varchar(20) NOT NULL, uniqueid varchar(150) NOT NULL, linkedid varchar(150) NOT NULL,
    userfield varchar(255) NOT NULL, peer varchar(80) NOT NULL{extra})"""
INSERT = """INSERT INTO cel (eventtype, eventtime, cid_name, cid_num, cid_ani, cid_rdnis, cid_dnid, exten, context,
    channame, appname, appdata, amaflags, accountcode, uniqueid, linkedid, peer, userfield, extra, userdeftype,
    peeraccount)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 3, $13, $14, $15, $16, $17, $18, '', '')"""
NUMBERS = {name: int(number) for number, name in TYPE_NAMES.items()}
NEWER_TYPE = 99  # what a newer Asterisk writes and no call is told from


@pytest.fixture
async def server(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A database that only Asterisk writes to."""
    connection = await asyncpg.connect(empty_database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def fill(
    server: asyncpg.Connection,
    name: str,
    *,
    numbered: bool = False,
    zoned: bool = False,
    late_hours: float = 0,
) -> None:
    """The table as Asterisk fills it with one captured call."""
    time = "timestamp with time zone" if zoned else "timestamp"
    kind = "int" if numbered else "varchar(30)"
    await server.execute(TABLE.format(type=kind, time=time, extra=", extra text"))
    for cells in cel_cells(cel_text(name)):
        row: list[object] = [*cells[:12], *cells[13:]]
        at = datetime.fromtimestamp(float(cells[1]), UTC) + timedelta(hours=late_hours)
        row[0] = NUMBERS.get(cells[0], NEWER_TYPE) if numbered else cells[0]
        row[1] = at if zoned else at.replace(tzinfo=None)
        await server.execute(INSERT, *row)


@pytest.mark.parametrize("zoned", [False, True], ids=["timestamp", "timestamptz"])
@pytest.mark.parametrize("numbered", [False, True], ids=["names", "numbers"])
@pytest.mark.parametrize("name", ["22/att_feature", "16/in_ringgroup_none"])
async def test_the_table_tells_what_the_file_tells(
    server: asyncpg.Connection, empty_database_url: str, name: str, numbered: bool, zoned: bool
) -> None:
    """The same call from cel_custom's file and from cel_pgsql's table, event types as names or as numbers."""
    await fill(server, name, numbered=numbered, zoned=zoned)
    file = captured(name).cel
    rows = await CelFromTable(CelTable(empty_database_url)).since(file[0].at - 1.0)
    assert len(rows) == len(file)
    assert differences(replayed(cel=file), replayed(cel=rows), seconds=0.002) == []


async def test_only_rows_of_the_gap_are_read(server: asyncpg.Connection, empty_database_url: str) -> None:
    """A reconnect asks for what came since a moment; the next question of the sweep begins where the last ended."""
    await fill(server, "22/in_answered")
    file = captured("22/in_answered").cel
    table = CelFromTable(CelTable(empty_database_url))
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
    server: asyncpg.Connection,
    empty_database_url: str,
    records: RecordsStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody observed; the sweep finds the call in the table and tells it as missed. The next sweep finds nothing."""
    await fill(server, "22/in_ringgroup_none", numbered=True)
    ended = captured("22/in_ringgroup_none").cel[-1].at
    monkeypatch.setattr("switchhook.bridge.time", SimpleNamespace(time=lambda: ended + 60.0))
    table = CelFromTable(CelTable(empty_database_url))
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
    assert await again.sweep_once(CelFromTable(CelTable(empty_database_url))) == 0
    spool.close()


async def hand_over(spool: SpoolingJournal) -> bool:
    """Let the spool give everything to the journal."""
    running = asyncio.create_task(spool.run())
    try:
        return await spool.emptied(within_seconds=10.0)
    finally:
        running.cancel()


@pytest.mark.parametrize("hours", [3, -5])
async def test_a_table_in_local_time_is_refused(
    server: asyncpg.Connection, empty_database_url: str, hours: float
) -> None:
    """cel_pgsql without usegmtime: the calls would be hours off, so a person is told what to set."""
    await fill(server, "22/in_answered", late_hours=hours)
    with pytest.raises(NeedsPerson, match="not UTC") as refused:
        await CelTable(empty_database_url).rows_since(0.0)
    assert "usegmtime = yes" in (refused.value.remedy or "")


async def test_a_table_without_extra_is_refused(server: asyncpg.Connection, empty_database_url: str) -> None:
    """The layout in Asterisk's documentation is older than `extra`; without it nobody knows who talked to whom."""
    await server.execute(TABLE.format(type="varchar(30)", time="timestamp", extra=""))
    with pytest.raises(NeedsPerson, match="no column extra") as refused:
        await CelTable(empty_database_url).rows_since(0.0)
    assert "ADD COLUMN extra text" in (refused.value.remedy or "")


async def test_a_table_that_is_not_there_is_named(empty_database_url: str) -> None:
    """A slip in cel_table."""
    with pytest.raises(NeedsPerson, match=r"asterisk\.cel"):
        await CelTable(empty_database_url, "asterisk.cel").rows_since(0.0)
