"""FreePBX's event log in a real MariaDB: the server goes away and comes back, speaks TLS, and is examined by the doctor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.pbx_logs.mariadb import MariaDbSession
from call_records.pbx_logs.tables import CEL, open_log_table
from call_records.store import RecordsStore
from call_records.types import CallFilter
from switchhook.doctor.cel import examine_cel
from switchhook.doctor.findings import Finding, Level
from switchhook.pbx.cel_sources import CelFromTable
from switchhook.pbx.monitor import Bridge
from switchhook.settings.tables import PbxSettings
from telephony.call_facts.facts import CallFacts
from telephony.errors import NeedsPerson, TryLater
from tests.certificates import Authority, certificates
from tests.mariadb_fixtures import MariaDbDatabase
from tests.switchhook.pbx.test_cel_in_a_table import (
    COLUMNS,
    MariaDbServer,
    NoFeed,
    fill,
    hand_over,
    make,
    table_of,
)
from tests.telephony.captured import NUMBERING, captured, cel_cells, cel_text, replayed

pytestmark = pytest.mark.mariadb

BEFORE = "22/out_answered"
AFTER = "22/in_answered"
HOURS_EAST = 3


def rows_of(name: str) -> list[list[object]]:
    """A captured call as FreePBX writes it: local time, here of Moscow."""
    rows: list[list[object]] = []
    for cells in cel_cells(cel_text(name)):
        row: list[object] = list(cells)
        at = datetime.fromtimestamp(float(cells[1]), UTC) + timedelta(hours=HOURS_EAST)
        row[1] = at.replace(tzinfo=None)
        rows.append(row)
    return rows


# -- the server goes away ----------------------------------------------------------------------------------------------


@dataclass
class Sweeping:
    """A bridge that hears nothing over AMI and sweeps the table when it is told to."""

    bridge: Bridge
    table: CelFromTable
    spool: SpoolingJournal
    records: RecordsStore
    server: MariaDbServer

    async def sweep(self) -> None:
        """As the service does it every ten minutes."""
        await self.bridge.sweep_or_say(self.table)

    async def write(self, rows: Sequence[Sequence[object]]) -> None:
        """Asterisk writes."""
        await self.server.insert(COLUMNS, rows)

    async def told(self) -> list[CallFacts]:
        """The calls that the journal has, oldest first."""
        assert await hand_over(self.spool)
        return sorted((await self.records.calls.page(CallFilter())).calls, key=lambda call: call.started_at)


@pytest.fixture
async def sweeping(
    mariadb: MariaDbDatabase, records: RecordsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sweeping]:
    """An empty table, and the moment a minute after the last of the captured calls."""
    server = MariaDbServer(mariadb)
    await make(server)
    ended = max(captured(name).cel[-1].at for name in (BEFORE, AFTER))
    monkeypatch.setattr("switchhook.pbx.monitor.time", SimpleNamespace(time=lambda: ended + 60.0))
    spool = SpoolingJournal(records.journal, tmp_path)
    table = CelFromTable(table_of(server))
    bridge = Bridge(NoFeed(), NUMBERING, records, LiveBoard(), spool, table)  # type: ignore[arg-type]
    yield Sweeping(bridge, table, spool, records, server)
    spool.close()


def essence(call: CallFacts) -> tuple[object, ...]:
    """What would differ if a row were lost or counted twice."""
    return (
        call.disposition,
        call.direction,
        call.answered_by,
        round(call.talk_seconds or 0.0, 2),
        [(leg.party, leg.outcome, round(leg.talk_seconds, 2)) for leg in call.legs],
    )


def expected(*names: str) -> list[tuple[object, ...]]:
    """The same calls from a log that was read in one piece."""
    calls = [call for name in names for call in replayed(cel=captured(name).cel)]
    return [essence(call) for call in sorted(calls, key=lambda call: call.started_at)]


async def test_a_server_that_goes_away_and_comes_back_loses_and_doubles_nothing(sweeping: Sweeping) -> None:
    """A call before, one that it wrote just before it went, one afterwards; the failure is counted and then over."""
    first, second = rows_of(BEFORE), rows_of(AFTER)
    await sweeping.write(first)
    await sweeping.sweep()
    assert sweeping.bridge.swept == 1
    half = len(second) // 2
    await sweeping.write(second[:half])
    await sweeping.server.database.server.stop()
    try:
        await sweeping.sweep()
        await sweeping.sweep()
        assert "does not answer" in (sweeping.bridge.cel_problem or "")
        assert sweeping.bridge.cel_failures == 2
    finally:
        await sweeping.server.database.server.start()
    await sweeping.write(second[half:])
    await sweeping.sweep()
    await sweeping.sweep()
    assert (sweeping.bridge.cel_problem, sweeping.bridge.cel_failures, sweeping.bridge.swept) == (None, 2, 2)
    assert [essence(call) for call in await sweeping.told()] == expected(BEFORE, AFTER)


@pytest.mark.parametrize("step", ["columns", "newest", "rows_since"])
async def test_a_server_that_goes_in_the_middle_of_a_reading(
    sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Between any two of the questions: the reading counts as failed, and the next one begins where the last good one
    ended.
    """
    await sweeping.write(rows_of(BEFORE))
    await sweeping.sweep()
    await sweeping.write(rows_of(AFTER))
    usual = getattr(MariaDbSession, step)

    async def interrupted(self: MariaDbSession, *given: Any) -> Any:
        await sweeping.server.database.server.stop()
        return await usual(self, *given)

    monkeypatch.setattr(MariaDbSession, step, interrupted)
    try:
        await sweeping.sweep()
    finally:
        await sweeping.server.database.server.start()
    assert sweeping.bridge.cel_failures == 1
    monkeypatch.setattr(MariaDbSession, step, usual)
    await sweeping.sweep()
    assert (sweeping.bridge.cel_problem, sweeping.bridge.swept) == (None, 2)
    assert [essence(call) for call in await sweeping.told()] == expected(BEFORE, AFTER)


async def test_a_call_half_of_which_was_read_before_the_outage_is_told_whole(
    sweeping: Sweeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first rows wait for the rest; the last of them is read again and counts once."""
    rows = rows_of(AFTER)
    half = len(rows) // 2
    now = captured(AFTER).cel[half].at
    monkeypatch.setattr("switchhook.pbx.monitor.time", SimpleNamespace(time=lambda: now))
    await sweeping.write(rows[:half])
    await sweeping.sweep()
    assert sweeping.bridge.swept == 0
    await sweeping.server.database.server.stop()
    try:
        await sweeping.sweep()
    finally:
        await sweeping.server.database.server.start()
    await sweeping.write(rows[half:])
    monkeypatch.setattr("switchhook.pbx.monitor.time", SimpleNamespace(time=lambda: now + 600.0))
    await sweeping.sweep()
    assert [essence(call) for call in await sweeping.told()] == expected(AFTER)


# -- TLS ---------------------------------------------------------------------------------------------------------------


def mariadb_options(authority: Authority) -> list[str]:
    """For the server's command line."""
    return [
        f"--ssl-ca={authority.certificate}",
        f"--ssl-cert={authority.server}",
        f"--ssl-key={authority.key}",
    ]


@dataclass(frozen=True)
class TlsServer:
    """The session's server, with TLS for a while."""

    database: MariaDbDatabase
    authority: Authority

    async def with_options(self, options: Sequence[str]) -> None:
        """Stopped and started again."""
        server = self.database.server
        await server.stop()
        server.options = tuple(options)
        await server.start()

    async def newest(self, query: str) -> int:
        """How many rows come over the address with this query."""
        return len(await open_log_table(f"{self.database.reader}?{query}", "cel", CEL).newest(500))


@pytest.fixture
async def tls(mariadb: MariaDbDatabase, tmp_path: Path) -> AsyncIterator[TlsServer]:
    """A user who may come by TLS only, and one captured call."""
    server = TlsServer(mariadb, certificates(tmp_path / "tls", "127.0.0.1"))
    await fill(MariaDbServer(mariadb), BEFORE)
    user = mariadb.reader.removeprefix("mysql://").partition(":")[0]
    try:
        await server.with_options(mariadb_options(server.authority))
        await mariadb.run(f"ALTER USER {user}@'127.0.0.1' REQUIRE SSL")
        yield server
    finally:
        await server.with_options(())


async def test_a_table_is_read_over_tls(tls: TlsServer) -> None:
    """By the authority's file; who comes without TLS is refused by the server."""
    assert await tls.newest(f"ssl_ca={tls.authority.certificate}") == len(captured(BEFORE).cel)
    with pytest.raises(NeedsPerson, match="refuses our name or password"):
        await tls.newest("")


async def test_a_server_that_does_not_prove_who_it_is_gets_no_password(
    tls: TlsServer, tmp_path: Path
) -> None:
    """Another authority, or an address that the certificate does not have: that is no outage, and waiting mends nothing."""
    stranger = certificates(tmp_path / "stranger", "127.0.0.1")
    for query in (f"ssl_ca={stranger.certificate}", "ssl=1"):
        with pytest.raises(NeedsPerson, match="does not prove by TLS") as refused:
            await tls.newest(query)
        assert "ssl_ca=" in (refused.value.remedy or "")
    elsewhere = certificates(tmp_path / "elsewhere", "192.0.2.1")
    await tls.with_options(mariadb_options(elsewhere))
    with pytest.raises(NeedsPerson, match="does not prove by TLS"):
        await tls.newest(f"ssl_ca={elsewhere.certificate}")


async def test_who_asks_for_tls_is_not_served_without(tls: TlsServer) -> None:
    """A server that has none: the password does not go over the wire in the clear."""
    await tls.with_options(["--skip-ssl"])
    with pytest.raises((NeedsPerson, TryLater)) as refused:
        await tls.newest(f"ssl_ca={tls.authority.certificate}")
    assert "TLS" in f"{refused.value} {refused.value.remedy}"


async def test_a_certificate_that_cannot_be_read_is_named(mariadb: MariaDbDatabase, tmp_path: Path) -> None:
    """A slip in the path, and a file that is none."""
    (tmp_path / "empty.pem").write_text("no certificate\n")
    for path in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        with pytest.raises(NeedsPerson, match="certificate for the channel event log"):
            open_log_table(f"{mariadb.reader}?ssl_ca={path}", "cel", CEL)


# -- the doctor --------------------------------------------------------------------------------------------------------

NEWEST = captured(BEFORE).cel[-1].at


async def diagnosed(url: str, table: str = "cel") -> list[Finding]:
    """What the doctor says of that table a minute after the call."""
    pbx = PbxSettings(id="hq", cel_url=SecretStr(url), cel_table=table)
    findings = await examine_cel(pbx, now=lambda: NEWEST + 60.0)
    for each in findings:
        assert each.remedy or each.level is Level.FINE
        assert "Error" not in each.what
    return findings


async def test_the_doctor_reads_freepbx_table(mariadb: MariaDbDatabase) -> None:
    """Local time and no column extra, as FreePBX of some years ago made it: readable, current, and what is lost."""
    await fill(MariaDbServer(mariadb), BEFORE, late_hours=HOURS_EAST, extra=False)
    fine, times, extra = await diagnosed(mariadb.reader)
    assert (fine.level, "60 s old" in fine.what) == (Level.FINE, True)
    assert (times.level, "UTC+3:00" in times.what) == (Level.NOTICE, True)
    assert (extra.level, "no column eventextra" in extra.what) == (Level.NOTICE, True)


async def test_the_doctor_names_what_is_wrong_with_the_table(mariadb: MariaDbDatabase) -> None:
    """Password, database, table, right, server: each a fault of its own with its remedy."""
    await make(MariaDbServer(mariadb))
    (empty,) = await diagnosed(mariadb.reader)
    assert (empty.level, "holds nothing yet" in empty.what) == (Level.NOTICE, True)
    url, port = mariadb.reader, mariadb.server.port
    cases = {
        url.replace("rE%40d", "wrong"): "refuses our name or password",
        url.replace(f":{port}/", ":1/"): "does not answer",
        f"{url}?ssl_ca=/nowhere.pem": "cannot be read",
    }
    for address, words in cases.items():
        (told,) = await diagnosed(address)
        assert (told.level, words in told.what) == (Level.FAULT, True), told
    (absent,) = await diagnosed(url, "nothing")
    assert (absent.level, "is not there" in absent.what) == (Level.FAULT, True), absent
    user = url.removeprefix("mysql://").partition(":")[0]
    await mariadb.run(
        f"REVOKE SELECT ON {mariadb.name}.* FROM {user}@'127.0.0.1'",
        f"GRANT INSERT ON {mariadb.name}.cel TO {user}@'127.0.0.1'",
    )
    (blind,) = await diagnosed(url)
    assert (blind.level, "may not read" in blind.what) == (Level.FAULT, True), blind
