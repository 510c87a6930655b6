"""The channel event log as people have it: local time, exports of a table, other separators, names in old code pages."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ami_bridge.capture.capture import read_capture
from ami_bridge.cel.csv_dialects import decoded
from ami_bridge.cel.csv_file import CelFile
from ami_bridge.cel.rows import COLUMNS, OTHER_NAMES, TYPE_NAMES, CelReader, CelRow
from ami_bridge.translate import clean_name
from ami_bridge.wire.legacy_text import text_of
from switchhook.commands.replay import read_cel
from telephony.errors import NeedsPerson
from telephony.local_times import zone_named
from tests.telephony.captured import captured, cel_cells, cel_text, differences, replayed

CALL = "22/in_answered"
IN_TABLE = {
    ours: theirs for theirs, ours in OTHER_NAMES.items() if theirs.startswith("cid_") or theirs == "extra"
}


def cells() -> list[list[str]]:
    """One call's rows."""
    return cel_cells(cel_text(CALL))


def shown(row: list[str], zone: str, form: str) -> list[str]:
    """The row with its time as a clock on that wall shows it."""
    at = datetime.fromtimestamp(float(row[1]), ZoneInfo(zone))
    return [row[0], at.strftime(form), *row[2:]]


def written(rows: list[list[str]], separator: str = ",") -> str:
    """As Asterisk quotes."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, delimiter=separator).writerows(rows)
    return out.getvalue()


def read(text: str) -> list[CelRow]:
    """As `replay --cel` reads it."""
    return sorted(CelReader().read([text]), key=lambda row: row.at)


def same_call(rows: list[CelRow], seconds: float = 0.002) -> bool:
    """Whether the rows tell the call as it was."""
    return (
        differences(
            replayed(cel=captured(CALL).cel), replayed(cel=rows), seconds=seconds, ignore=["intervals"]
        )
        == []
    )


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Moscow",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Pacific/Kiritimati",
        "UTC",
    ],
)
@pytest.mark.parametrize(
    ("form", "seconds"),
    [
        ("%Y-%m-%d %H:%M:%S.%f", 0.002),
        ("%Y-%m-%d %H:%M:%S", 1.05),
        ("%Y%m%d%H%M%S", 1.05),
        ("%d.%m.%Y %H:%M:%S", 1.05),
    ],
)
def test_local_time_is_corrected_by_the_calls_own_ids(zone: str, form: str, seconds: float) -> None:
    """FreePBX's `%F %T`, MySQL's digits, a spreadsheet's date; three hours west, five and a half east."""
    reader = CelReader()
    text = written([shown(row, zone, form) for row in cells()])
    rows = sorted(reader.read([text]), key=lambda row: row.at)
    assert same_call(rows, seconds)
    assert {row.slack for row in rows} == {1.0 if seconds > 1 else 0.0}


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S.%f%z", "epoch"])
def test_a_time_that_says_its_zone_stays_as_it_is(form: str) -> None:
    """Nothing is corrected, whatever the ids say."""
    rows = [
        [row[0], row[1], *row[2:]] if form == "epoch" else shown(row, "Asia/Kolkata", form) for row in cells()
    ]
    reader = CelReader()
    assert same_call(sorted(reader.read([written(rows)]), key=lambda row: row.at))
    assert reader.offset is None


def test_times_of_no_zone_are_refused_in_words() -> None:
    """Twenty minutes off is nobody's zone."""
    rows = [
        [
            row[0],
            (datetime.fromtimestamp(float(row[1]), UTC) - timedelta(minutes=20)).strftime("%F %T"),
            *row[2:],
        ]
        for row in cells()
    ]
    with pytest.raises(NeedsPerson, match="fit no time zone"):
        read(written(rows))


def moved(seconds: float, counter: int) -> list[list[str]]:
    """The call again, so much later, with ids of its own."""
    began = min(float(row[1]) for row in cells())
    rows = []
    for row in cells():
        later = [row[0], f"{float(row[1]) + seconds:.6f}", *row[2:]]
        rows.append(
            [cell.replace("a22-1795313512.", f"a22-{int(began + seconds)}.{counter}") for cell in later]
        )
    return rows


@pytest.mark.parametrize(
    ("change", "name"),
    [(datetime(2026, 11, 1, 6, tzinfo=UTC), "back"), (datetime(2027, 3, 14, 7, tzinfo=UTC), "on")],
)
def test_clocks_that_change_within_a_file(change: datetime, name: str) -> None:
    """New York, summer to winter and back: a call before, one over the change, one after; each at its own moment."""
    began = min(float(row[1]) for row in cells())
    starts = [change.timestamp() - began + offset for offset in (-3600.0, -1.0, 600.0)]
    rows = [row for number, start in enumerate(starts) for row in moved(start, number + 1)]
    told = replayed(cel=read(written(rows)))
    local = replayed(cel=read(written([shown(row, "America/New_York", "%F %T.%f") for row in rows])))
    assert len(told) == 3, name
    assert differences(told, local, seconds=0.002) == []


def mysql(rows: list[list[str]]) -> str:
    """SELECT … INTO OUTFILE with quotes: backslashes before quotes, \\N for nothing."""
    return "".join(
        ",".join(
            '"' + cell.replace("\\", "\\\\").replace('"', '\\"') + '"' if cell else "\\N" for cell in row
        )
        + "\n"
        for row in rows
    )


HEADER = [COLUMNS]
TABLE_HEADER = [[IN_TABLE.get(name, name) for name in COLUMNS]]
NUMBERS = {name: number for number, name in TYPE_NAMES.items()}


def numbered(rows: list[list[str]]) -> list[list[str]]:
    """With eventtype as a column of integers."""
    return [[NUMBERS[row[0]], *row[1:]] for row in rows]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("the table's names", written(TABLE_HEADER + cells())),
        ("numbers of events", written(HEADER + numbered(cells()))),
        ("numbers without a header", written(numbered(cells()))),
        ("MySQL's quotes", mysql(TABLE_HEADER + cells())),
        ("MySQL's quotes without a header", mysql(cells())),
        ("semicolons", written(TABLE_HEADER + cells(), ";")),
        ("semicolons without a header", written(cells(), ";")),
        ("tabs", written(TABLE_HEADER + cells(), "\t")),
        ("a mark and a title", "\ufeffEvents of November\r\n\r\n" + written(TABLE_HEADER + cells())),
        ("a spreadsheet's title", "Events of November;;;;;;;;\r\n" + written(TABLE_HEADER + cells(), ";")),
        ("a separator line", "sep=;\r\n" + written(TABLE_HEADER + cells(), ";")),
        ("words for nothing", written(TABLE_HEADER + [[cell or "NULL" for cell in row] for row in cells()])),
        ("everything at once", "\ufeff" + written(TABLE_HEADER + numbered(cells()), ";")),
    ],
)
def test_an_export_of_the_table_tells_what_the_file_tells(what: str, text: str) -> None:
    """Never another outcome: an answered call stays an answered call."""
    assert same_call(read(text)), what


@pytest.mark.parametrize(
    "name",
    [
        "eventtype",
        "eventtype,uniqueid",
        '"eventtype","eventtime","channame","uniqueid","linkedid"',
        "uniqueid;eventtype",
    ],
)
@pytest.mark.parametrize("also", ["uniqueid", "channame,eventtime"])
def test_a_caller_is_no_header(name: str, also: str) -> None:
    """Names and numbers of a caller's choice stand in cells of a row; the rows after it are read as before."""
    forged = cells()
    for row in forged:
        row[2], row[3] = name, also
    text = written([*forged[:3], *cells()])
    reader = CelReader()
    rows = list(reader.read([text]))
    assert (len(rows), reader.broken) == (3 + len(cells()), 0)
    first_of_a_file = list(CelReader().read([written(forged)]))
    assert len(first_of_a_file) == len(forged)


def test_a_row_that_is_written_like_a_header_is_none(tmp_path: Path) -> None:
    """Each needed name in a cell of its own, as a caller in another column order could bring about: it bears a time."""
    order = ["eventtime", "cidname", "cidnum", "context", "exten", "appdata", *COLUMNS]
    forged = ["1795313512.1", "eventtype", "uniqueid", "channame", "linkedid", "eventtime", *cells()[0]]
    rows = [order, forged, *([row[1], "", "", "", "", "", *row] for row in cells())]
    assert len(list(CelReader().read([written(rows)]))) == len(cells()) + 1
    path = tmp_path / "cel.csv"
    path.write_text(written(rows), encoding="utf-8")
    assert len(CelFile(path).newest()) == len(cells()) + 1


def test_a_file_with_its_own_columns_is_read_from_its_end_too(tmp_path: Path) -> None:
    """What is appended bears no header: that of the file's beginning holds, in another order and in local time."""
    order = [*reversed(COLUMNS)]
    rows = [shown(row, "America/New_York", "%F %T.%f")[::-1] for row in cells()]
    path = tmp_path / "cel.csv"
    path.write_text(written([order, *rows[:5]]), encoding="utf-8")
    file = CelFile(path)
    before = file.unread(0.0)
    with path.open("a", encoding="utf-8", newline="") as log:
        log.write(written(rows[5:]))
    assert same_call([*before, *file.unread(0.0)])
    assert file.reader.broken == 0


def test_what_is_no_event_log_is_refused(tmp_path: Path) -> None:
    """Rows that can be read and say nothing of calls are told, not passed over in silence."""
    path = tmp_path / "cel.csv"
    path.write_text(written([["99", *row[1:]] for row in cells()]), encoding="utf-8")
    with pytest.raises(NeedsPerson, match="no row is one of Asterisk's events"):
        read_cel(path)


def test_whole_seconds_at_the_edge_of_a_gap_lose_nothing() -> None:
    """What was written in the second in which the link was lost may have happened after it."""
    row = read(written([shown(one, "UTC", "%F %T") for one in cells()]))[0]
    assert row.not_before(row.at + 0.4).at == pytest.approx(row.at + 0.4, abs=1e-5)
    assert row.not_before(row.at + 1.2) == row
    assert row.not_before(row.at - 5.0) == row


NAMES = [
    ("Анна Белова", "cp1251"),
    ("Анна Белова", "koi8-r"),
    ("ООО «Ромашка»", "cp1251"),
    ("Пётр", "cp866"),
    ("Müller GmbH", "latin-1"),
    ("José Peña", "latin-1"),
    ("João", "latin-1"),
    ("Łukasz", "cp1250"),
    ("Анна Белова", "utf-8"),
    ("田中", "utf-8"),
]
UNREADABLE_NAMES = [("Γιώργος", "cp1253"), ("محمد", "cp1256"), ("田中", "shift-jis"), ("Stępień", "cp1250")]


def captured_name(tmp_path: Path, name: bytes, line_end: bytes) -> str:
    """The name that a raw capture shows."""
    lines = [
        b"Event: Newchannel",
        b"Channel: PJSIP/trunk-1",
        b"CallerIDNum: 79000000001",
        b"CallerIDName: " + name,
    ]
    lines += [b"Uniqueid: 1795900000.1", b"Linkedid: 1795900000.1"]
    path = tmp_path / "capture.raw"
    path.write_bytes(b"Asterisk Call Manager/11.0.0" + line_end + line_end.join(lines) + line_end * 2)
    (message,) = read_capture(path)
    return clean_name(message.get("CallerIDName"))


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CR LF", "LF"])
@pytest.mark.parametrize(("name", "page"), NAMES)
def test_a_name_in_an_old_code_page_is_read(tmp_path: Path, name: str, page: str, line_end: bytes) -> None:
    """By AMI and in the log; with the line ends of a wire, or of a file that an editor saved."""
    assert captured_name(tmp_path, name.encode(page), line_end) == name
    forged = cells()
    forged[0][2] = "NAME"
    data = written(forged).encode().replace(b"NAME", name.encode(page))
    assert next(iter(CelReader().read([decoded(data)]))).look.caller_name == name


@pytest.mark.parametrize(("name", "page"), UNREADABLE_NAMES)
def test_a_name_that_nobody_can_read_is_none(tmp_path: Path, name: str, page: str) -> None:
    """Nothing is better than question marks, and than another name."""
    assert captured_name(tmp_path, name.encode(page), b"\r\n") in ("", name)


def test_a_name_that_was_cut_within_a_letter_keeps_the_others() -> None:
    """Asterisk cuts at 79 bytes, wherever that is."""
    assert text_of("Анна Бел".encode()[:-1]) == "Анна Бе"


@pytest.mark.parametrize(("seconds", "name"), [(19_800, "UTC+5:30"), (-10_800, "UTC-3:00"), (0, "UTC+0:00")])
def test_a_zone_has_a_name(seconds: float, name: str) -> None:
    """For the sentences in which it is said."""
    assert zone_named(seconds) == name


@pytest.mark.parametrize("left_out", ["linkedid", "uniqueid", "eventtime", "channame"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_header_without_a_column_that_is_needed_is_refused(left_out: str, separator: str) -> None:
    """By their places the cells were taken for others, and an answered call was told as missed."""
    place = COLUMNS.index(left_out)
    rows = [row[:place] + row[place + 1 :] for row in [COLUMNS, *cells()]]
    with pytest.raises(NeedsPerson, match=f"names no column {left_out}"):
        read(written(rows, separator))


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_an_end_of_line_is_not_needed_behind_the_last_row(end: str) -> None:
    """An export may end without one."""
    text = written(cells()).removesuffix("\r\n") + end
    reader = CelReader()
    assert len(list(reader.read([text]))) == len(cells())
    assert reader.broken == 0


@pytest.mark.parametrize("header", [False, True], ids=["Asterisk's own", "with a header"])
def test_a_row_that_is_still_being_written_is_no_call(header: bool) -> None:
    """Cut at every place of it: the rows before are told, no channel begins with half an id, and it is counted."""
    rows = cells()
    beginning, last = written([*([COLUMNS] if header else []), *rows[:-1]]), written(rows[-1:])
    known = {row.look.uid for row in read(beginning)}
    for length in range(1, len(last.rstrip("\r\n"))):
        reader = CelReader()
        found = list(reader.read([beginning + last[:length]]))
        assert {row.look.uid for row in found} <= known
        assert (len(found), reader.broken) in {(len(rows) - 1, 1), (len(rows), 0)}, last[:length]
