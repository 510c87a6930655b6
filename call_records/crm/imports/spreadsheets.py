"""A file that somebody uploaded, read as a table: what parts its columns, which line names them, its rows.

Files come from Excel, 1C, Bitrix24, Outlook and from people: in any code page (`code_pages.py`), as a workbook
(`workbooks.py`), parted by semicolons where a comma is for decimals, with a title above the headings. What was guessed is
kept beside the table and shown, so that a person can say otherwise. Nothing raises for what a row holds: a row that cannot
be used says so itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from call_records.crm.imports.code_pages import page_of, read_text
from call_records.crm.imports.column_headings import is_known
from call_records.crm.imports.workbooks import read_workbook
from telephony.errors import PeerMistake

FILE_MOST = 20 * 1024 * 1024  # bytes; 200 000 rows of a hundred letters each
ROWS_MOST = 200_000
COLUMNS_MOST = 200  # Outlook writes 92
CELL_MOST = 10_000  # characters; a note holds as many
DELIMITERS = (";", ",", "\t", "|")
_LOOKED_AT = 65_536  # characters from which the delimiter is guessed


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row. `problem`: why it cannot be used."""

    number: int
    """As a spreadsheet counts them: the first line of the file is 1."""
    cells: tuple[str, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as a table."""

    headings: tuple[str, ...]
    rows: tuple[SheetRow, ...]
    kind: str = "csv"
    """csv, vcard or workbook."""
    encoding: str = "utf-8"
    delimiter: str = ""
    headed: bool = True
    """Whether a line of the file names the columns."""
    total: int = field(default=0, kw_only=True)
    """How many rows the file has; `rows` may be the first of them only. 0: all of them are here."""
    heading_row: int = field(default=1, kw_only=True)
    """Its number; 0: none does."""
    above: tuple[str, ...] = field(default=(), kw_only=True)
    """What stands above the line of headings, each row as one text."""
    sheets: tuple[str, ...] = field(default=(), kw_only=True)
    """The sheets of a workbook."""
    sheet: str = field(default="", kw_only=True)
    """The one that was read."""
    own: bool = field(default=False, kw_only=True)
    """A column of it means what its heading says: our own export, or cards."""

    @property
    def size(self) -> int:
        """How many rows the file has."""
        return self.total or len(self.rows)


def guess_delimiter(text: str) -> str:
    """The one that makes the first rows the widest, as most of them are."""

    def width(delimiter: str) -> int:
        rows = [row for row in _some_rows(text[:_LOOKED_AT], delimiter) if any(row)]
        counts = sorted(len(row) for row in rows)
        return counts[len(counts) // 2] if counts else 0

    return max(DELIMITERS, key=width)


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """A quotation mark that is never closed makes one cell of all that follows. The limit is the whole process's, and the
    readers of the PBX's own files want theirs back.
    """
    before = csv.field_size_limit(FILE_MOST)
    try:
        yield
    except csv.Error as mistake:
        raise PeerMistake(
            "The file is not a table of cells.",
            remedy="Save it again as CSV, or look for a lone quotation mark.",
        ) from mistake
    finally:
        csv.field_size_limit(before)


def _some_rows(text: str, delimiter: str, most: int = 20) -> Iterator[list[str]]:
    for index, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)):
        if index >= most:
            return
        yield row


Records = list[tuple[int, list[str]]]
"""Rows with something in them, each with its number in the file."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """How a file is written, where somebody has said so; None is guessed."""

    encoding: str | None = None
    delimiter: str | None = None
    headed: bool | None = None
    heading_row: int | None = None
    sheet: str | None = None


def read_sheet(data: bytes, how: FileForm = FileForm()) -> Sheet:  # frozen
    """The file as a table. What is not told is guessed. Raises PeerMistake for a file that is none, or too large."""
    check_size(data)
    text, chosen = read_text(data, page_of(how.encoding) if how.encoding else None, is_heading=is_known)
    delimiter, skipped = how.delimiter, 0
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own note to itself
        delimiter, text, skipped = delimiter or first.strip()[-1], rest, 1
    with _cells_of_any_length():
        by = delimiter if delimiter in DELIMITERS else guess_delimiter(text)
        records = list(_records(text, by, skipped))
    return replace(_table(records, how), encoding=chosen, delimiter=by)


def read_book(data: bytes, how: FileForm = FileForm()) -> Sheet:  # frozen
    """A sheet of a workbook as a table. Raises PeerMistake as `read_sheet`."""
    check_size(data)
    book = read_workbook(data, how.sheet)
    table = _table(list(book.rows), how)
    return replace(table, kind="workbook", encoding="", sheets=book.sheets, sheet=book.sheet)


def check_size(data: bytes) -> None:
    """Raises PeerMistake for more than we read."""
    if len(data) > FILE_MOST:
        raise PeerMistake("The file is larger than 20 MB.", remedy="Split it and import the parts.")


def _records(text: str, delimiter: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for number, cells in enumerate(rows, start=1 + skipped):
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield number, stripped


def _table(records: Records, how: FileForm) -> Sheet:
    if not records:
        raise PeerMistake("The file is empty.", remedy="Choose one with a line of headings and a row.")
    at = _heading_at(records, how)
    titles = records[at][1] if at is not None else []
    body = records[at + 1 :] if at is not None else records
    if len(body) > ROWS_MOST:
        raise PeerMistake(
            "The file has {rows} rows; {most} can be imported at once.",
            remedy="Split it and import the parts.",
            values={"rows": len(body), "most": ROWS_MOST},
        )
    width = len(titles) if at is not None else max(len(cells) for _n, cells in records[:200])
    headings = _headings(titles[:COLUMNS_MOST], width)
    rows = tuple(_row(number, cells, len(headings)) for number, cells in body)
    heading_row = records[at][0] if at is not None else 0
    above = tuple(" ".join(filter(None, cells))[:200] for _n, cells in records[: at or 0])
    return Sheet(headings, rows, headed=at is not None, heading_row=heading_row, above=above)


# -- the line of headings --

TITLES_MOST = 40  # rows above the headings: a title, a filter, a period, who has printed it


def _heading_at(records: Records, how: FileForm) -> int | None:
    """Where the line of headings is among the records; None where there is none."""
    if how.headed is False or how.heading_row == 0:
        return None
    if how.heading_row is not None:
        said = (place for place, (number, _cells) in enumerate(records[:200]) if number >= how.heading_row)
        return next(said, 0)
    known = next(
        (place for place, record in enumerate(records[:TITLES_MOST]) if _known_headings(record[1]) >= 2), None
    )
    if known is not None:
        return known
    first = _first_of_full_width(records)
    if how.headed:
        return first
    one_known = next((place for place in (0, first) if _known_headings(records[place][1])), None)
    return one_known if one_known is not None else first if looks_headed(records[first][1]) else None


def _known_headings(cells: Sequence[str]) -> int:
    """How many different columns that we know; a row of data has e-mails and numbers, and no heading is one."""
    if any("@" in cell or sum(char.isdigit() for char in cell) >= 6 for cell in cells):
        return 0
    return len(
        {cell.casefold() for cell in cells[:COLUMNS_MOST] if cell and len(cell) < 100 and is_known(cell)}
    )


def _first_of_full_width(records: Records) -> int:
    """The first row that is as full as most are; what is above it is a title."""
    counts = [sum(1 for cell in cells if cell) for _number, cells in records[:TITLES_MOST]]
    usual = sorted(counts)[len(counts) // 2]
    return next((place for place, count in enumerate(counts) if count * 3 >= usual * 2), 0)


def looks_headed(cells: Sequence[str]) -> bool:
    """Whether these are names of columns: words, and no address or number among them."""
    told = [cell for cell in cells if cell]
    data = any("@" in cell or sum(char.isdigit() for char in cell) >= 6 for cell in told)
    return bool(told) and not data


def _headings(titles: Sequence[str], width: int) -> tuple[str, ...]:
    """Each column named, each name once."""
    named: list[str] = []
    for place in range(min(width, COLUMNS_MOST)):
        title = " ".join((titles[place] if place < len(titles) else "").split())[:100]
        title = title or f"Column {place + 1}"
        named.append(title if title not in named else f"{title} ({place + 1})")
    return tuple(named)


def _row(number: int, cells: Sequence[str], width: int) -> SheetRow:
    beyond = [cell for cell in cells[width:] if cell]
    problem = None
    if beyond:
        problem = f"The row has {len(cells)} cells and the file {width} columns: something is not quoted."
    elif any(len(cell) > CELL_MOST for cell in cells):
        problem = f"A cell has more than {CELL_MOST} characters; a quotation mark may have been left open before it."
    kept = tuple(cell[:CELL_MOST] for cell in cells[:width])
    return SheetRow(number, kept + ("",) * (width - len(kept)), problem)
