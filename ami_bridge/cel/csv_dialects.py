"""How a table was written as text: by Asterisk, by a database's export, by a spreadsheet.

Found out once at the beginning of a file: separator, quoting, lines of a title, and the line with the columns' names.
That line counts only there, and only when every cell of it is a name: a caller may call themselves "eventtype", but the row
of their call bears a time, and no header does.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ami_bridge.wire.legacy_text import text_of

FIELD_LIMIT = (
    65_536  # characters; csv's own default is 131 072, and no honest field of Asterisk comes near either
)
SEPARATORS = ",;\t|"
FIRST_LINES = 10  # a title, a date, an empty line: the header is among these or nowhere
TITLE_CELLS = 3  # a line with more cells that are filled is a row, not a title
HEAD_CHARACTERS = 64 * 1024
_NAME = re.compile(r"[A-Za-z][A-Za-z _.]*")
_BACKSLASHED = re.compile(r'[^"\\]\\"[^",;|\t\r\n]')
"""A quote inside a value as MySQL writes it. Where quotes are doubled, a backslash before one ends the value."""
_NULLS = re.compile(r"(?m)(?<![^,;\t|\n])\\N(?=[,;\t|\r\n]|$)")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class CsvForm(NamedTuple):
    """How the rows of one file are to be read."""

    separator: str = ","
    backslashes: bool = False
    columns: tuple[str, ...] | None = None
    """From the header line, as written but in small letters; None when there is none."""
    heading: int = 0
    """Lines of title and header at the file's beginning."""


def decoded(data: bytes) -> str:
    """A file's text, without a byte order mark; what is not UTF-8 line by line, as far as it can be read."""
    if data.startswith(_UTF_16):
        return data.decode("utf-16", "replace")
    return text_of(data.removeprefix(codecs.BOM_UTF8))


def form_of(
    text: str, *, header: Callable[[Iterable[str]], bool], row: Callable[[Sequence[str]], bool]
) -> CsvForm:
    """How this text, the beginning of a file, is written. `header` and `row` know one of theirs when they see it."""
    head = text[:HEAD_CHARACTERS]
    backslashes = bool(_BACKSLASHED.search(head))
    for separator in SEPARATORS:
        heading, columns = _header(head, CsvForm(separator, backslashes), header)
        if columns:
            return CsvForm(separator, backslashes, columns, heading)
    for separator in SEPARATORS:
        first = next(_lines(head, CsvForm(separator, backslashes)), None)
        if first and row(first):
            return CsvForm(separator, backslashes)
    return CsvForm(backslashes=backslashes)


def _header(
    head: str, form: CsvForm, is_header: Callable[[Iterable[str]], bool]
) -> tuple[int, tuple[str, ...] | None]:
    lines = head.splitlines(keepends=True)[:FIRST_LINES]
    for number, line in enumerate(lines, start=1):
        cells = next(_lines(line, form), None) or []
        names = tuple(cell.strip().lower() for cell in cells)
        if is_header(names) and all(_NAME.fullmatch(name) for name in names if name):
            return number, names
        if sum(map(bool, names)) > TITLE_CELLS:
            break  # a title that a spreadsheet saved has empty cells behind it
    return 0, None


def rows_of(text: str, form: CsvForm, *, from_start: bool) -> Iterator[list[str] | None]:
    """The cells of each row; None for one that cannot be read. `from_start`: whether the heading is in this text."""
    if from_start:
        text = "".join(text.splitlines(keepends=True)[form.heading :]) if form.heading else text
    yield from _lines(text, form)


def _lines(text: str, form: CsvForm) -> Iterator[list[str] | None]:
    csv.field_size_limit(FIELD_LIMIT)
    if form.backslashes:
        text = _NULLS.sub("", text)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=form.separator,
        escapechar="\\" if form.backslashes else None,
    )
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield None
            continue
        yield cells
