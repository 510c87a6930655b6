"""`switchhook recordings import` as a person types it: years of files, each with its call, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import text

from ami_bridge.cel.cdr_file import CdrReader
from call_records.recordings.types import BOTH_SIDES, Listed, RecordingFilter
from call_records.store import RecordsStore, open_records
from switchhook.cli import run_command
from switchhook.imports.recordings import call_from_cdr
from telephony.call_facts.facts import Certainty, Direction, Disposition
from telephony.numbers.numbers import Numbering
from telephony.recordings import HealthFault, RecordingState
from tests.call_facts_builder import answered, call, change, ended
from tests.mariadb_fixtures import MariaDbDatabase
from tests.recordings.sound_files import HEADER, converted, leave, wav

pytestmark = pytest.mark.postgres

T = TypeVar("T")
Type = Callable[..., int]
CEL = Path(__file__).parents[2] / "captures" / "22"
FREEPBX = "external-101-89161234567-20261122-120000-1795311120.5"
CDR_HEADER = (
    "calldate,clid,src,dst,dcontext,channel,dstchannel,lastapp,duration,billsec,disposition,uniqueid,"
    "recordingfile,linkedid\n"
)
NUMBERING = Numbering(pbx="hq")


@pytest.fixture
def command(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command; the configuration names the database and one PBX."""
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_"):
            monkeypatch.delenv(name)
    config = tmp_path / "switchhook.toml"
    config.write_text(
        f'[database]\nurl = "{database_url.replace("+asyncpg", "")}"\n[web]\ntime_zone = "Europe/Riga"\n'
        '[[pbx]]\nid = "hq"\nhost = "127.0.0.1"\nusername = "x"\nsecret = "y"\n',
        encoding="utf-8",
    )

    def type_it(*words: object) -> int:
        return run_command(["recordings", "import", *map(str, words), "--pbx", "hq", "--config", str(config)])

    return type_it


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """The directory with the files."""
    made = tmp_path / "monitor"
    made.mkdir()
    return made


def look(database_url: str, question: Callable[[RecordsStore], Awaitable[T]]) -> T:
    """Ask the database."""

    async def ask() -> T:
        async with open_records(database_url, migrate=False) as store:
            return await question(store)

    return asyncio.run(ask())


def listed(database_url: str) -> Sequence[Listed]:
    """Everything in the catalogue, newest first."""

    async def ask(store: RecordsStore) -> Sequence[Listed]:
        return (await store.recordings.page(RecordingFilter())).listed

    return look(database_url, ask)


def cdr_file(directory: Path, *rows: str) -> Path:
    """An export of FreePBX's table."""
    path = directory / "cdr.csv"
    path.write_text(CDR_HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_files_find_the_calls_the_journal_knows(command: Type, database_url: str, spool: Path) -> None:
    """By the Uniqueid at the end of FreePBX's names, in folders by day."""
    facts = ended(answered(call()))
    look(database_url, lambda store: store.journal.record([change(facts, aliases=("a22-1795311120.5",))]))
    leave(spool / "2026" / "11" / "22", FREEPBX.replace("1795311120", "a22-1795311120"))
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert one.recording.state is RecordingState.ARRIVED
    assert one.call == facts
    assert one.recording.channel == "a22-1795311120.5"


@pytest.mark.parametrize(
    "kind", ["in-74951000019-79161110001", "q-400-79161110001", "rg-600-79161110001", "force-101-79161110001"]
)
def test_every_kind_of_freepbx_name_finds_its_call(
    command: Type, database_url: str, spool: Path, kind: str
) -> None:
    """Whatever made FreePBX record: a tree of days with one mixed file each."""
    facts = ended(answered(call()))
    look(database_url, lambda store: store.journal.record([change(facts, aliases=("1795983960.18",))]))
    leave(spool / "2026" / "11" / "29", f"{kind}-20261129-202600-1795983960.18")
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert (one.recording.state, one.call) == (RecordingState.ARRIVED, facts)


def test_a_dry_run_says_everything_and_changes_nothing(
    command: Type, database_url: str, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of fates; afterwards neither a recording nor a call is there."""
    leave(spool, "a22-1795313512.0", sides=True)
    leave(spool, "1600000000.1", HEADER)
    leave(spool, "1600000000.2", b"#!AMR music")
    leave(spool, "1600000000.3", wav(1, told=0))
    (spool / "notes.txt").write_text("not a recording")
    assert command(spool, "--dry-run", "--cel", CEL / "in_answered" / "cel.csv.gz") == 0
    told = capsys.readouterr().out
    for part in ("a22-1795313512.0", "CEL", "taken in", "empty", "refused", "AMR", "4 recordings in all"):
        assert part in told, told
    assert listed(database_url) == ()
    assert look(database_url, _calls) == 0


@pytest.mark.parametrize(("ending", "container"), [("mp3", "mp3"), ("m4a", "mp4"), ("ogg", "ogg")])
def test_an_archive_of_other_kinds_of_sound(
    command: Type, database_url: str, spool: Path, ending: str, container: str
) -> None:
    """Whoever kept years of recordings kept them small."""
    facts = ended(answered(call()))
    look(database_url, lambda store: store.journal.record([change(facts, aliases=("a22-1795311120.5",))]))
    (spool / f"out-101-a22-1795311120.5.{ending}").write_bytes(converted(container))
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert (one.recording.state, one.recording.faults, one.call) == (RecordingState.ARRIVED, (), facts)


def test_calls_are_told_from_the_event_log(command: Type, database_url: str, spool: Path) -> None:
    """A call from before Switchhook: told as after an outage, and no CRM hears of it today."""
    leave(spool, "a22-1795313512.0", sides=True)
    assert command(spool, "--cel", CEL / "in_answered" / "cel.csv.gz") == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert (one.call.certainty, one.call.answered_by) == (Certainty.RECONSTRUCTED, "101")
    assert one.recording.outside_first is True
    assert {file.role for file in one.recording.files} == BOTH_SIDES
    assert look(database_url, _owed) == 0


def test_recorded_on_the_handset_the_sides_swap(command: Type, database_url: str, spool: Path) -> None:
    """An outbound call, recorded on the channel of extension 101: IN is our side."""
    leave(spool, "a22-1795311099.83", sides=True)
    assert command(spool, "--cel", CEL / "out_answered" / "cel.csv.gz") == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert (one.call.direction, one.recording.outside_first) == (Direction.OUTBOUND, False)


def test_two_recordings_of_one_new_call(command: Type, database_url: str, spool: Path) -> None:
    """Both of its channels were recorded: one call, two recordings."""
    leave(spool, "a22-1795311099.83")
    leave(spool, "a22-1795311099.84")
    assert command(spool, "--cel", CEL / "out_answered" / "cel.csv.gz") == 0
    assert len(listed(database_url)) == 2
    assert look(database_url, _calls) == 1


def test_with_nothing_but_cdr(command: Type, database_url: str, spool: Path) -> None:
    """The CDR names the file, whose own name says nothing; the call is what CDR supports, in the office's time."""
    leave(spool, "monday-anna")
    rows = cdr_file(
        spool.parent,
        "2020-01-15 12:00:00,,89161234567,101,from-trunk,PJSIP/trunk-00000001,PJSIP/101-00000002,Dial,65,60,"
        "ANSWERED,1579082400.1,/var/spool/asterisk/monitor/monday-anna.wav,1579082400.1",
    )
    assert command(spool, "--cdr", rows) == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert one.call.started_at == datetime(2020, 1, 15, 10, 0, tzinfo=UTC)
    assert (one.call.caller.number, one.call.answered_by) == ("+79161234567", "101")
    assert (one.call.certainty, one.call.disposition) == (Certainty.RECONSTRUCTED, Disposition.ANSWERED)
    assert command(spool, "--cdr", rows) == 0
    assert look(database_url, _calls) == 1


def test_a_recording_of_no_known_call(command: Type, database_url: str, spool: Path) -> None:
    """It is taken in all the same, and waits without a call."""
    leave(spool, "voicemail-greeting")
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert (one.call, one.recording.state) == (None, RecordingState.ARRIVED)


def test_what_is_cut_short_is_marked_and_what_is_silent_is_said(
    command: Type, database_url: str, spool: Path
) -> None:
    """An old file will not be finalised any more: nothing is waited for."""
    leave(spool, "1600000000.3", wav(1, told=0))
    leave(spool, "1600000000.4", b"")
    assert command(spool) == 0
    by_name = {one.recording.name: one.recording for one in listed(database_url)}
    assert by_name["1600000000.3"].faults == (HealthFault.TRUNCATED,)
    assert by_name["1600000000.4"].state is RecordingState.EMPTY


def test_an_interrupted_import_is_started_again(
    command: Type,
    database_url: str,
    spool: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After some recordings somebody presses Ctrl-C: the second run passes over what is there and does the rest."""
    for place in range(6):
        leave(spool, f"160000000{place}.1")
    from switchhook.imports.recordings import Import

    whole, seen = Import._one, []

    async def interrupted(self: Import, group: object, home: object) -> object:
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(group)
        return await whole(self, group, home)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(Import, "_one", interrupted)
        assert command(spool) == 130
    assert len(listed(database_url)) == 3
    capsys.readouterr()
    assert command(spool) == 0
    told = capsys.readouterr().out
    assert "3 taken in before" in told
    assert "3 taken in, call: none known" in told
    assert len(listed(database_url)) == 6


def test_links_are_not_followed(command: Type, database_url: str, spool: Path, tmp_path: Path) -> None:
    """Neither files nor folders."""
    elsewhere = tmp_path / "elsewhere"
    target = leave(elsewhere, "1600000000.9")
    (spool / "1600000000.8.wav").symlink_to(target)
    (spool / "more").symlink_to(elsewhere)
    assert command(spool) == 0
    assert listed(database_url) == ()


def test_what_cannot_be_done_is_a_sentence(
    command: Type, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that is not there, a file that is no CDR."""
    assert command(spool / "nowhere") == 3
    assert "Cannot read" in capsys.readouterr().err
    wrong = spool / "cdr.csv"
    wrong.write_text("hello,world\n")
    assert command(spool, "--cdr", wrong) == 3
    assert "no CDR" in capsys.readouterr().err


def test_master_csv_without_a_header() -> None:
    """Asterisk's own file, in its order; a broken row is counted."""
    line = (
        '"","101","89161234567","from-staff","""Anna"" <101>","PJSIP/101-00000001","PJSIP/trunk-00000002","Dial",'
        '"PJSIP/x","2020-07-01 12:00:00","","2020-07-01 12:00:20",20,0,"NO ANSWER","DOCUMENTATION","1593594000.1",""'
    )
    reader = CdrReader(UTC)
    rows = list(reader.read([f"{line}\n", "nonsense\n"]))
    assert (reader.rows, reader.broken) == (1, 1)
    told = call_from_cdr(rows, NUMBERING).facts
    assert (told.direction, told.disposition) == (Direction.OUTBOUND, Disposition.NO_ANSWER)
    assert (told.caller.number, told.requested) == ("101", "+79161234567")
    assert told.missed_by == ()


async def _calls(store: RecordsStore) -> int:
    async with store.engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM calls")) or 0)


async def _owed(store: RecordsStore) -> int:
    async with store.engine.connect() as connection:
        return int(await connection.scalar(text("SELECT count(*) FROM outbox")) or 0)


OUTBOUND = (
    "2026-11-22 15:31:56,Anna,101,89161112233,from-internal,PJSIP/101-0000002a,PJSIP/trunk-0000002b,Dial,34,30,"
    "ANSWERED,1795361516.40,,1795361516.40"
)


def test_the_line_of_an_outbound_call_finds_the_phones_row(
    command: Type, database_url: str, spool: Path, tmp_path: Path
) -> None:
    """Our own recipe records the line; the CDR has the Uniqueid of the phone that dialled."""
    leave(spool, "1795361517.41", sides=True)
    assert command(spool, "--cdr", cdr_file(tmp_path, OUTBOUND)) == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert (one.call.direction, one.call.requested) == (Direction.OUTBOUND, "+79161112233")
    assert one.recording.outside_first is True


@pytest.mark.parametrize(
    ("name", "expected"), [("1795361518.44", None), ("out-79169998877-101-1795361518.44", "+79169998877")]
)
def test_of_two_outbound_calls_the_number_decides_or_nothing(
    command: Type, database_url: str, spool: Path, tmp_path: Path, name: str, expected: str | None
) -> None:
    """Both were going on when the line began: a guess would put a conversation into a stranger's call."""
    other = OUTBOUND.replace("101", "102").replace("89161112233", "89169998877").replace("1516.40", "1517.42")
    leave(spool, name)
    assert command(spool, "--cdr", cdr_file(tmp_path, OUTBOUND, other)) == 0
    (one,) = listed(database_url)
    assert (one.call.requested if one.call else None) == expected


@pytest.mark.parametrize(
    "name",
    [
        "1795313512.0-2026-11-22-12_00-102-89000000001",
        "a22-1795313512.0-2026-11-22-12_00-102-89000000001",
    ],
)
def test_the_uniqueid_stands_at_the_beginning_of_a_name_too(
    command: Type, database_url: str, spool: Path, name: str
) -> None:
    """As the dialplan of a widely used CDR viewer names files; with a system name as well."""
    facts = ended(answered(call()))
    uniqueid = "a22-1795313512.0" if name.startswith("a22") else "1795313512.0"
    look(database_url, lambda store: store.journal.record([change(facts, aliases=(uniqueid,))]))
    leave(spool, name)
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert one.call == facts


def test_a_number_in_the_middle_of_a_name_is_no_uniqueid(
    command: Type, database_url: str, spool: Path
) -> None:
    """A caller may call themselves 1795313512.0: their recording does not become part of that call."""
    facts = ended(answered(call()))
    look(database_url, lambda store: store.journal.record([change(facts, aliases=("1795313512.0",))]))
    leave(spool, "external-1795313512.0-101-20261122-120000-1795311120.5")
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert one.call is None


def test_a_second_run_with_the_event_log_mends_the_first(
    command: Type, database_url: str, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Taken in without a call; later the log is found. Nothing is taken in twice."""
    leave(spool, "a22-1795313512.0", sides=True)
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert one.call is None
    assert command(spool, "--cel", CEL / "in_answered" / "cel.csv.gz") == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert one.call.answered_by == "101"
    capsys.readouterr()
    assert command(spool, "--cel", CEL / "in_answered" / "cel.csv.gz") == 0
    assert "taken in before" in capsys.readouterr().out


@pytest.mark.mariadb
def test_calls_are_found_in_freepbx_own_tables(
    command: Type, database_url: str, spool: Path, tmp_path: Path, mariadb: MariaDbDatabase
) -> None:
    """`cdr_url` names MariaDB: no export is needed. The recording's file is known by `recordingfile`."""
    columns = CDR_HEADER.strip().split(",")
    fields = ", ".join(f"{name} {'datetime' if name == 'calldate' else 'varchar(80)'}" for name in columns)
    row = OUTBOUND.replace(",,1795361516.40", ",out-file.wav,1795361516.40")
    values = ", ".join(f"'{cell}'" for cell in row.split(","))
    asyncio.run(mariadb.run(f"CREATE TABLE cdr ({fields})", f"INSERT INTO cdr VALUES ({values})"))
    config = tmp_path / "switchhook.toml"
    config.write_text(config.read_text() + f'cdr_url = "{mariadb.reader}"\n', encoding="utf-8")
    path = leave(spool, "out-file")
    os.utime(path, (1_795_361_560, 1_795_361_560))
    assert command(spool) == 0
    (one,) = listed(database_url)
    assert one.call is not None
    assert (one.call.requested, one.call.started_at) == (
        "+79161112233",
        datetime(2026, 11, 22, 15, 31, 56, tzinfo=UTC),
    )


CDR_ROW = (
    "2026-11-22 12:00:00,Anna,79000000001,101,ext-local,PJSIP/trunk-00000001,PJSIP/101-00000002,Dial,34,30,"
    "ANSWERED,1795338000.1,in.wav,1795338000.1"
)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a byte order mark", f"\ufeff{CDR_HEADER}{CDR_ROW}\n"),
        ("semicolons", f"{CDR_HEADER}{CDR_ROW}\n".replace(",", ";")),
        ("both", "\ufeff" + f"{CDR_HEADER}{CDR_ROW}\n".replace(",", ";")),
        ("tabs", f"{CDR_HEADER}{CDR_ROW}\n".replace(",", "\t")),
        ("title lines", f"Calls of November\n\n{CDR_HEADER}{CDR_ROW}\n"),
        ("a separator line", "sep=;\n" + f"{CDR_HEADER}{CDR_ROW}\n".replace(",", ";")),
        ("NULLs", f"{CDR_HEADER}{CDR_ROW}\n".replace("Anna", "NULL")),
        (
            "a caller who calls himself a header",
            f"{CDR_HEADER}{CDR_ROW}\n".replace("Anna", '"uniqueid,channel,start"'),
        ),
    ],
)
@pytest.mark.parametrize("hours", [0, 3, -5, 5.5])
def test_a_cdr_is_read_as_people_have_it(what: str, text: str, hours: float) -> None:
    """However it was exported; its local time is found out by the Uniqueid, whatever zone is configured."""
    epoch = 1795348800 - int(hours * 3600)
    reader = CdrReader(UTC)
    (row,) = reader.read(text.replace("1795338000", str(epoch)).splitlines(keepends=True))
    assert (row.uniqueid, row.source, row.file, reader.broken) == (
        f"{epoch}.1",
        "79000000001",
        "in.wav",
        0,
    ), what
    assert row.began_at.timestamp() == epoch
    assert (row.ended_at - row.began_at).total_seconds() == 34


def test_a_row_whose_cells_are_words_of_a_header_stays_a_row() -> None:
    """Cells of their own, too: a row of a call bears its time, and no header does."""
    forged = CDR_ROW.replace("Anna", "uniqueid").replace("ext-local", "channel").replace("Dial", "start")
    reader = CdrReader(UTC)
    rows = list(reader.read([CDR_HEADER, forged + "\n", CDR_ROW + "\n"]))
    assert [row.channel for row in rows] == ["PJSIP/trunk-00000001"] * 2
