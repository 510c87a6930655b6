"""What the doctor says of the event log, the web port and the database, where a person would look last."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from switchhook.doctor.cel import describe_log, examine_cel
from switchhook.doctor.cel_examination import CelExamination
from switchhook.doctor.database import Server, describe_server, examine_database
from switchhook.doctor.findings import Finding, Level
from switchhook.doctor.web import examine_web
from switchhook.settings.settings import Settings
from switchhook.settings.tables import DatabaseSettings, PbxSettings, WebSettings

COLUMNS = 19


def cel_line(kind: str, at: float, uid: str, *, shift: float = 0.0, extra: str = "{}") -> str:
    """One row as cel_custom writes it."""
    cells = [kind, f"{at + shift:.6f}", *[""] * (COLUMNS - 3), extra]
    cells[9], cells[14], cells[15] = "PJSIP/101-00000001", uid, uid
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"


def log_of(
    directory: Path, *, age: float = 60.0, calls: int = 3, shift: float = 0.0, kinds: tuple[str, ...] = ()
) -> Path:
    """An event log whose newest call began so long ago."""
    file = directory / "switchhook.csv"
    now = time.time() - age
    with file.open("w") as text:
        for number in range(calls):
            uid = f"{now - number:.0f}.{number}"
            for kind in kinds or ("CHAN_START", "ANSWER", "BRIDGE_ENTER", "HANGUP", "LINKEDID_END"):
                text.write(
                    cel_line(kind, float(f"{now - number:.0f}"), uid, shift=shift, extra='{"hangupcause":16}')
                )
    return file


async def found(file: Path | None) -> Finding:
    """The first that is said of the log; the faults have a remedy."""
    first, *others = await examine_cel(PbxSettings(id="hq", cel_file=file))
    for each in (first, *others):
        assert each.remedy or each.level is Level.FINE
    return next((each for each in others if each.level is Level.FAULT), first)


async def test_a_log_that_is_well(tmp_path: Path) -> None:
    """Readable, current, in a time that is known."""
    assert (await found(log_of(tmp_path))).level is Level.FINE


async def test_without_a_log_the_loss_is_named() -> None:
    """No fault: many live without. But they should know."""
    told = await found(None)
    assert (told.level, "are lost" in told.what) == (Level.NOTICE, True)


async def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    """A mistyped path, or CEL that was never loaded."""
    told = await found(tmp_path / "cel-custom" / "Master.csv")
    assert (told.level, "is not there" in told.what) == (Level.FAULT, True)


async def test_a_log_of_garbage(tmp_path: Path) -> None:
    """Another file, or another format."""
    file = tmp_path / "switchhook.csv"
    file.write_text("Nov 20 12:00:00 pbx asterisk[1]: hello\n" * 50)
    told = await found(file)
    assert (told.level, "is no channel event log" in told.what) == (Level.FAULT, True)


async def test_an_old_log_is_asked_about(tmp_path: Path) -> None:
    """Three days: a long weekend, or CEL has stopped."""
    told = await found(log_of(tmp_path, age=3 * 86400.0))
    assert (told.level, "3 days old" in told.what) == (Level.NOTICE, True)


async def test_a_log_without_bridges_is_not_whole(tmp_path: Path) -> None:
    """Hundreds of calls, and never who talked with whom."""
    told = await found(log_of(tmp_path, calls=100, kinds=("CHAN_START", "ANSWER", "HANGUP")))
    assert (told.level, "BRIDGE_ENTER" in told.what) == (Level.FAULT, True)


async def test_a_log_that_was_just_rotated_is_well(tmp_path: Path) -> None:
    """At night logrotate leaves an empty file, or none until the next call."""
    file = log_of(tmp_path)
    file.rename(tmp_path / "switchhook.csv.1")
    assert (await found(file)).level is Level.FINE
    file.touch()
    assert (await found(file)).level is Level.FINE


async def test_seconds_that_are_none_are_a_fault(tmp_path: Path) -> None:
    """Local times in a column that says they are UTC: nothing can correct them, for they claim to be right."""
    told = await found(log_of(tmp_path, shift=3 * 3600.0))
    assert (told.level, "off by +3 h" in told.what) == (Level.FAULT, True)


def test_the_doctor_says_in_words_what_the_examination_found() -> None:
    """FreePBX's own settings: nothing is broken, and yet less is known than could be."""
    log = CelExamination("/var/log/cel.csv", readable=True, rows=500, newest_age_seconds=7200.0)
    cases = {
        "2 h old": (log, Level.FINE),
        "are local (UTC+3:00), which is corrected": (replace(log, zone="UTC+3:00"), Level.NOTICE),
        "whole seconds": (replace(log, whole_seconds=True), Level.NOTICE),
        "has no column eventextra": (replace(log, empty_columns=("extra",)), Level.NOTICE),
        "tells nothing in appdata": (replace(log, empty_columns=("appdata",)), Level.NOTICE),
        "has no Dial": (log, Level.NOTICE),
        "holds nothing yet": (replace(log, rows=0, newest_age_seconds=None), Level.NOTICE),
        "without ANSWER who answered is unknown": (
            replace(log, missing_events=("ANSWER", "LINKEDID_END")),
            Level.FAULT,
        ),
    }
    for words, (examination, level) in cases.items():
        (told,) = [each for each in describe_log("hq", examination) if words in each.what]
        assert (told.level, bool(told.remedy)) == (level, level is not Level.FINE)


def test_a_few_rows_prove_nothing_but_the_columns_of_a_table_do() -> None:
    """The first morning: no answered call yet is no fault; a column that is not there is."""
    young = CelExamination(
        "the table cel", readable=True, rows=20, newest_age_seconds=60.0, missing_events=("ANSWER",)
    )
    assert [each.level for each in describe_log("hq", replace(young, empty_columns=("extra",)))] == [
        Level.FINE
    ]
    told = list(describe_log("hq", replace(young, empty_columns=("extra",), missing_columns=("extra",))))
    assert [each.level for each in told] == [Level.FINE, Level.NOTICE]


async def test_a_table_that_refuses_us(postgres_server: str) -> None:
    """A password that is wrong, a table that is not there: in words, with the remedy."""
    host = postgres_server.partition("host=")[2]
    pbx = PbxSettings(
        id="hq", cel_url=SecretStr(f"postgresql://switchhook@/postgres?host={host}"), cel_table="cel"
    )
    (told,) = await examine_cel(pbx)
    assert told.level is Level.FAULT
    assert told.remedy
    assert "Error" not in told.what


# -- the web port ------------------------------------------------------------------------------------------------------


def said_of(port: int, host: str = "127.0.0.1") -> Finding:
    (told,) = examine_web(WebSettings(host=host, port=port))
    return told


class Stranger(BaseHTTPRequestHandler):
    """Another program on the port."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Ourselves(Stranger):
    """As Switchhook answers."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok\n" if self.path == "/healthz" else b'{"ready":true,"reasons":[]}')


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_program_on_the_port_is_a_fault_and_we_ourselves_are_not() -> None:
    """The doctor asks who it is instead of leaving that to the person."""
    with serving(Stranger) as port:
        told = said_of(port)
        assert (told.level, "Another program" in told.what) == (Level.FAULT, True)
    with serving(Ourselves) as port:
        assert (said_of(port).level, "is running" in said_of(port).what) == (Level.FINE, True)


def test_an_address_that_is_not_ours_is_a_fault() -> None:
    """192.0.2.0/24 is nobody's."""
    told = said_of(8088, "192.0.2.7")
    assert (told.level, "not an address of this machine" in told.what) == (Level.FAULT, True)


def test_a_port_that_needs_rights_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Port 80 for an ordinary user."""

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    told = said_of(80)
    assert (told.level, "above 1023" in (told.remedy or "")) == (Level.FAULT, True)


# -- the database ------------------------------------------------------------------------------------------------------

SOUND = Server(150004, "calls", "switchhook", "switchhook", None, True, False, True, True)


def faults(server: Server) -> list[str]:
    return [each.what for each in describe_server(server) if each.level is Level.FAULT]


def test_what_a_server_lacks_is_named() -> None:
    """Each with what only its owner can do."""
    assert faults(SOUND) == []
    cases = {
        "too old": replace(SOUND, version=140011),
        "may not create tables": replace(SOUND, may_create=False),
        "may not make the extension": replace(SOUND, owner="postgres", may_create_extension=False),
        "does not have the extension": replace(SOUND, offers_extension=False),
        "newer Switchhook": replace(SOUND, revision="9999", has_extension=True),
    }
    for reason, server in cases.items():
        (told,) = faults(server)
        assert reason in told


async def findings_of(url: str) -> list[Finding]:
    settings = Settings(database=DatabaseSettings(url=SecretStr(url)))
    return [each async for each in examine_database(settings)]


@pytest.fixture
async def stranger_url(empty_database_url: str) -> AsyncIterator[str]:
    """The address of a database that belongs to somebody else, who let us make tables in it."""
    host, name = (
        empty_database_url.partition("host=")[2],
        empty_database_url.partition("@/")[2].partition("?")[0],
    )
    owner = await asyncpg.connect(host=host, user="switchhook", database=name)
    role = f"guest_{name[-12:]}"
    try:
        await owner.execute(f'CREATE ROLE "{role}" LOGIN')
        await owner.execute(f'GRANT CREATE ON SCHEMA public TO "{role}"')
        yield f"postgresql://{role}@/{name}?host={host}"
        await owner.execute(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    finally:
        await owner.close()


@pytest.mark.postgres
async def test_who_may_make_tables_but_not_the_extension_is_told(stranger_url: str) -> None:
    """The doctor said that all was well, and the start was refused."""
    (told,) = [each for each in await findings_of(stranger_url) if each.level is Level.FAULT]
    assert "may not make the extension pg_trgm" in told.what
    assert "ALTER DATABASE" in (told.remedy or "")


@pytest.mark.postgres
async def test_an_owner_is_well(database_url: str) -> None:
    """The tables are there, and everything may be done."""
    told = await findings_of(database_url.replace("+asyncpg", ""))
    assert {each.level for each in told} == {Level.FINE}


@pytest.mark.postgres
async def test_an_unreachable_database_is_told_in_words(postgres_server: str) -> None:
    """No exception's name, and the remedy fits the fault."""
    host = postgres_server.partition("host=")[2]
    cases = {
        "postgresql://me:pw@127.0.0.1:1/calls": ("Nothing listens at 127.0.0.1:1", "Start PostgreSQL"),
        "postgresql://me:pw@no-such-host.invalid/calls": ("no machine called no-such-host.invalid", "%40"),
        f"postgresql://switchhook@/nowhere?host={host}": ("does not exist", "createdb"),
    }
    for url, (what, remedy) in cases.items():
        (told,) = await findings_of(url)
        assert what in told.what, told
        assert remedy in (told.remedy or ""), told
        assert "Error" not in told.what
