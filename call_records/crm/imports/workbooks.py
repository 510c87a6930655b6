"""Workbooks (XLSX, XLSM, XLS, XLSB, ODS) read as rows of text: numbers without a `.0`, dates as people write them.

A workbook's sheet is read whole by a library outside Python; what a file may unfold to is bounded before.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from telephony.errors import PeerMistake

UNFOLDED_MOST = 400 * 1024 * 1024  # bytes; 200 000 rows of 20 columns are about 150 MB of XML
CELLS_MOST = 8_000_000  # 200 000 rows of 40 columns
WHOLE_DIGITS = 1e15  # beyond it a spreadsheet's figure has lost digits already


@dataclass(frozen=True, slots=True)
class Workbook:
    """One sheet of a workbook, and the names of all that have rows."""

    sheets: tuple[str, ...]
    sheet: str
    rows: tuple[tuple[int, list[str]], ...]
    """With their numbers, as the spreadsheet counts them; empty rows are left out."""


def read_workbook(data: bytes, sheet: str | None = None) -> Workbook:
    """The sheet of that name, else the first with rows of those that are shown.

    Raises PeerMistake for a file that cannot be read.
    """
    _check_size(data)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            names = _names(book)
            wanted = [sheet] if sheet is not None and sheet in names else names
            each = ((name, _rows_of(book, name)) for name in wanted)
            chosen, rows = next((one for one in each if one[1]), (wanted[0], ()))
    except (CalamineError, OSError, ValueError, IndexError) as mistake:
        raise _unreadable(mistake) from mistake
    except BaseException as panic:
        # The library is written in Rust; what it did not foresee arrives as a panic, which is no Exception.
        if type(panic).__name__ == "PanicException":
            raise _unreadable(panic) from None
        raise
    return Workbook(tuple(names), chosen, rows)


def _rows_of(book: CalamineWorkbook, name: str) -> tuple[tuple[int, list[str]], ...]:
    found = book.get_sheet_by_name(name)
    if found.total_height * max(1, found.total_width) > CELLS_MOST:
        raise PeerMistake(
            "The sheet “{name}” is too large.",
            remedy="Keep the columns that matter only.",
            values={"name": name[:60]},
        )
    first = (found.start or (0, 0))[0] + 1
    return tuple(_filled(found.to_python(skip_empty_area=True), first))


def _unreadable(mistake: BaseException) -> PeerMistake:
    why = (
        "it is protected by a password"
        if "assword" in str(mistake)
        else "it is damaged or of another program"
    )
    return PeerMistake(
        "The workbook cannot be read: {why}.",
        remedy="Open it, save it again without a password, as XLSX or CSV.",
        values={"why": why},
    )


def _check_size(data: bytes) -> None:
    if not data.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unfolded = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as mistake:
        raise _unreadable(mistake) from mistake
    if unfolded > UNFOLDED_MOST:
        raise PeerMistake(
            "The workbook unfolds to more than 400 MB.", remedy="Split it and import the parts."
        )


def _names(book: CalamineWorkbook) -> list[str]:
    shown = [one.name for one in book.sheets_metadata if "Visible" in str(one.visible)]
    return shown or list(book.sheet_names) or [""]


def _filled(rows: Sequence[Sequence[Any]], first: int) -> Iterator[tuple[int, list[str]]]:
    for number, cells in enumerate(rows, start=first):
        texts = [cell_text(cell) for cell in cells]
        if any(texts):
            yield number, texts


def cell_text(cell: Any) -> str:
    """A cell as it would stand in a CSV file."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < WHOLE_DIGITS else repr(cell)
    if isinstance(cell, datetime):
        midnight = (cell.hour, cell.minute, cell.second) == (0, 0, 0)
        return cell.date().isoformat() if midnight else cell.isoformat(" ", "seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell) if isinstance(cell, int | timedelta) else ""
