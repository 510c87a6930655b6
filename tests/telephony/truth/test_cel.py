"""CEL as it is met in the field: broken rows, other columns, other ways to write the time, several files."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime

import pytest

from ami_bridge.cel.signals import COLUMNS, CelReader
from tests.fuzz.intake import take_in_cel
from tests.telephony.captured import captured, cel_cells, cel_rows, cel_text, differences, names, replayed

NAMES = [name for name in names() if name.startswith("22/")]


def written(cells: list[list[str]]) -> str:
    """Cells as a CSV file."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(cells)
    return out.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_cel_beside_a_whole_stream_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """AMI told everything; CEL tells it all again: the same calls, no second one."""
    monkeypatch.setattr("switchhook.commands.replay.OVERLAP_SECONDS", float("inf"))
    links = captured(name).links[:1]
    told = replayed(*links, cel=captured(name).cel)
    if "reconnect" not in name:
        assert differences(replayed(*links), told, seconds=0.011, ignore=["certainty", "intervals"]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_header_line_with_other_columns_in_another_order_is_understood(name: str) -> None:
    """Somebody else's cel_custom: the header line says which column is which."""
    order = random.Random(1).sample(range(len(COLUMNS)), len(COLUMNS))
    header = [["something", *(COLUMNS[index] for index in order)]]
    cells = header + [["x", *(row[index] for index in order)] for row in cel_cells(cel_text(name))]
    assert differences(replayed(cel=captured(name).cel), replayed(cel=cel_rows(written(cells)))) == []


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f+00:00"])
def test_other_ways_to_write_the_time_are_understood(form: str) -> None:
    """`dateformat` in cel.conf, or a database's own: read as UTC where no zone is given."""
    cells = cel_cells(cel_text("22/att_refer"))
    for row in cells:
        row[1] = datetime.fromtimestamp(float(row[1]), UTC).strftime(form)
    expected = replayed(cel=captured("22/att_refer").cel)
    assert differences(expected, replayed(cel=cel_rows(written(cells))), seconds=0.002) == []


def test_broken_rows_are_counted_and_passed_over() -> None:
    """A row cut by a full disk, one without a time, one of another program: the calls are told all the same."""
    lines = cel_text("22/in_answered").splitlines(keepends=True)
    lines[3:3] = [
        '"HANGUP"\r\n',
        "garbage,,,\r\n",
        '"CHAN_START","never","","","","","","","","","","","","","","","","",""\r\n',
    ]
    reader = CelReader()
    rows = sorted(reader.read(lines), key=lambda row: row.at)
    assert reader.broken == 3
    assert differences(replayed(cel=captured("22/in_answered").cel), replayed(cel=rows)) == []


def test_a_quoted_line_break_in_a_number_is_one_row_and_no_event() -> None:
    """CSV quotes what a caller smuggled in: the row is whole, and the number ends where the break begins."""
    cells = cel_cells(cel_text("22/in_answered"))
    for row in cells:
        row[3] = row[3].replace("+79161110001", '+79161110001\r\n"HANGUP","1","')
    expected = replayed(cel=captured("22/in_answered").cel)
    assert differences(expected, replayed(cel=cel_rows(written(cells)))) == []


def test_a_rotated_file_is_one_story() -> None:
    """The call began in cel.csv.1 and ended in cel.csv: read together, the order of files does not matter."""
    rows = list(captured("22/att_feature").cel)
    half = len(rows) // 2
    again = sorted([*rows[half:], *rows[:half]], key=lambda row: row.at)
    assert differences(replayed(cel=rows), replayed(cel=again)) == []


@pytest.mark.parametrize("moment", ["1e300", "nan", "inf", "-1", "179531145783325800", "9999-99-99"])
def test_a_time_that_no_calendar_holds_is_a_broken_row(moment: str) -> None:
    """Found by fuzzing: a digit doubled in a row's time put a call into the year 5691106."""
    cells = cel_cells(cel_text("22/forward_302"))
    cells[4][1] = moment
    reader = CelReader()
    list(reader.read(io.StringIO(written(cells), newline="")))
    assert reader.broken == 1
    take_in_cel(written(cells))
