"""A file that somebody uploaded, read as a table: which letters it is written in, what parts its columns, its rows.

Files come from Excel, 1C, Bitrix24, Outlook and from people: in UTF-8 with or without a mark, in UTF-16, in the Windows
code pages; parted by semicolons where a comma is for decimals. What was guessed is kept beside the table and shown, so
that a person can say otherwise. Nothing raises for what a row holds: a row that cannot be used says so itself.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from telephony.errors import PeerMistake

FILE_MOST = 20 * 1024 * 1024  # bytes; 200 000 rows of a hundred letters each
ROWS_MOST = 200_000
COLUMNS_MOST = 200  # Outlook writes 92
CELL_MOST = 10_000  # characters; a note holds as many
ENCODINGS = ("utf-8", "utf-16", "cp1251", "cp1252", "koi8-r")
"""What a person can choose from; the last three cannot be told apart with certainty."""
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
    """csv or vcard."""
    encoding: str = "utf-8"
    delimiter: str = ""
    headed: bool = True
    """Whether the first line of the file names the columns."""
    own: bool = field(default=False, kw_only=True)
    """A column of it means what its heading says: our own export, or cards."""


def read_text(data: bytes, encoding: str | None = None) -> tuple[str, str]:
    """The text and how it is written; guessed unless told. Bytes that do not belong there become U+FFFD."""
    chosen = encoding if encoding in ENCODINGS else guess_encoding(data)
    if chosen == "utf-16":
        text = data.decode(_utf16(data), errors="replace")
    else:
        text = data.decode("utf-8-sig" if chosen == "utf-8" else chosen, errors="replace")
    return text.lstrip("\ufeff").replace("\0", ""), chosen


def guess_encoding(data: bytes) -> str:
    """By its mark; else UTF-8 where all of it is; else by whether letters beyond ASCII stand together or alone."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or _half_empty(data[:4096]):
        return "utf-16"
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "cp1251" if _in_runs(data[:262_144]) else "cp1252"
    return "utf-8"


def _half_empty(piece: bytes) -> bool:
    """UTF-16 without a mark: every second byte of its digits and separators is zero."""
    return len(piece) > 8 and max(piece[::2].count(0), piece[1::2].count(0)) > len(piece) // 5


def _utf16(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    piece = data[:4096]
    return "utf-16-be" if piece[::2].count(0) > piece[1::2].count(0) else "utf-16-le"


def _in_runs(piece: bytes) -> bool:
    """Cyrillic words are letters beyond ASCII one beside another; in French or Polish they stand among others."""
    high = [place for place, byte in enumerate(piece) if byte >= 0xC0]
    beside = sum(1 for one, two in pairwise(high) if two == one + 1)
    return beside * 2 >= len(high) - 1


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


def read_sheet(
    data: bytes, *, encoding: str | None = None, delimiter: str | None = None, headed: bool | None = None
) -> Sheet:
    """The file as a table. What is not told is guessed. Raises PeerMistake for a file that is none, or too large."""
    if len(data) > FILE_MOST:
        raise PeerMistake("The file is larger than 20 MB.", remedy="Split it and import the parts.")
    text, chosen = read_text(data, encoding)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own note to itself
        delimiter, text = delimiter or first.strip()[-1], rest
    with _cells_of_any_length():
        by = delimiter if delimiter in DELIMITERS else guess_delimiter(text)
        records = [
            (number, [cell.strip() for cell in cells])
            for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=by), start=1)
            if any(cell.strip() for cell in cells)
        ]
    if not records:
        raise PeerMistake("The file is empty.", remedy="Choose one with a line of headings and a row.")
    has_headings = looks_headed(records[0][1]) if headed is None else headed
    width = min(max(len(cells) for _number, cells in records[:200]), COLUMNS_MOST)
    titles = records[0][1] if has_headings else []
    body = records[1:] if has_headings else records
    if len(body) > ROWS_MOST:
        raise PeerMistake(
            f"The file has {len(body)} rows; {ROWS_MOST} can be imported at once.",
            remedy="Split it and import the parts.",
        )
    headings = _headings(titles[:COLUMNS_MOST], len(titles) if has_headings else width)
    rows = tuple(_row(number, cells, len(headings)) for number, cells in body)
    return Sheet(headings, rows, encoding=chosen, delimiter=by, headed=has_headings)


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
