"""Reading cel_custom's file while Asterisk appends to it and logrotate moves it about."""

from __future__ import annotations

from pathlib import Path

import pytest

from ami_bridge.cel.csv_file import FIRST_LOOK_BYTES, CelFile
from ami_bridge.cel.signals import CelRow

BEGAN = 1_795_313_000


def row(second: float, kind: str = "CHAN_START") -> str:
    """One row as cel_custom writes it."""
    uid = f"pbx-{BEGAN}.{int(second)}"
    cells = [kind, f"{BEGAN + second:.6f}", "", "101", "", "", "", "102", "office", "PJSIP/101-00000001"]
    return ",".join(f'"{cell}"' for cell in [*cells, "", "", "3", "", uid, uid, "", "", ""]) + "\n"


def append(path: Path, *rows: str) -> None:
    """What Asterisk does: opens the file anew for each row."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(rows)


def seconds(rows: list[CelRow]) -> list[float]:
    """When, counted from the beginning."""
    return [round(one.at - BEGAN, 3) for one in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "cel.csv"


def rotate_by_moving(path: Path) -> None:
    """logrotate's default."""
    path.rename(path.with_name(path.name + ".1"))


def rotate_by_copying(path: Path) -> None:
    """logrotate with copytruncate."""
    path.with_name(path.name + ".1").write_bytes(path.read_bytes())
    path.write_bytes(b"")


@pytest.mark.parametrize("rotate", [rotate_by_moving, rotate_by_copying])
def test_each_row_comes_once_over_a_rotation(path: Path, rotate: object) -> None:
    """Rows written before, between the last look and the rotation, and after it: each is read, none twice."""
    file = CelFile(path)
    append(path, row(1), row(2))
    assert seconds(file.unread(BEGAN)) == [1, 2]
    append(path, row(3))
    assert callable(rotate)
    rotate(path)
    append(path, row(4))
    assert seconds(file.unread(BEGAN)) == [3, 4]
    append(path, row(5))
    assert seconds(file.unread(BEGAN)) == [5]
    assert file.unread(BEGAN) == []


def test_a_file_rotated_away_and_not_yet_begun_anew_loses_nothing(path: Path) -> None:
    """Nobody has called since the rotation."""
    file = CelFile(path)
    append(path, row(1))
    file.unread(BEGAN)
    append(path, row(2))
    rotate_by_moving(path)
    assert seconds(file.unread(BEGAN)) == [2]
    assert file.unread(BEGAN) == []
    append(path, row(3))
    assert seconds(file.unread(BEGAN)) == [3]


def test_the_rows_of_a_gap_are_found_although_the_file_was_rotated_in_it(path: Path) -> None:
    """A restarted service asks for what came since it stopped: half of it is in FILE.1."""
    append(path, row(1), row(2), row(3))
    rotate_by_moving(path)
    append(path, row(4))
    context, gap = CelFile(path).rows_since(BEGAN + 2.5, BEGAN + 1.5)
    assert (seconds(context), seconds(gap)) == ([2], [3, 4])
    assert seconds(CelFile(path).unread(BEGAN + 1.5)) == [2, 3, 4]


def test_half_a_row_waits_for_its_other_half(path: Path) -> None:
    """Asterisk is in the middle of writing: nothing is read of it, and nothing is lost of it."""
    file = CelFile(path)
    append(path, row(1))
    file.unread(BEGAN)
    append(path, row(2), row(3)[:40])
    assert seconds(file.unread(BEGAN)) == [2]
    append(path, row(3)[40:])
    assert seconds(file.unread(BEGAN)) == [3]
    assert file.reader.broken == 0


def test_a_file_that_does_not_exist_yet_is_no_fault(path: Path) -> None:
    """A PBX that was just set up: no rows; the first ones are read when they come."""
    file = CelFile(path)
    assert file.rows_since(BEGAN, BEGAN) == ([], [])
    assert file.unread(BEGAN) == []
    append(path, row(1))
    assert seconds(file.unread(BEGAN)) == [1]


def test_a_large_file_is_read_back_as_far_as_needed(path: Path) -> None:
    """A day's rows, of which an outage needs the last thousand: all of those, and not the whole file."""
    count = 3 * FIRST_LOOK_BYTES // len(row(0))
    append(path, *(row(second) for second in range(count)))
    file = CelFile(path)
    _, gap = file.rows_since(BEGAN + count - 1000.5, BEGAN + count - 1000.5)
    assert seconds(gap) == list(range(count - 1000, count))
    assert file.reader.rows < count
