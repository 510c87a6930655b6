"""Cells of CSV files that no spreadsheet takes for a formula (CSV injection), whatever it separates cells by.

A list separator is a comma in one country and a semicolon in another. A file that was written for the one is cut in
the other wherever a cell holds its separator, quoted or not. So not only the beginning of a cell counts: no formula may
begin after a separator or a line break within it either. One apostrophe is put before each such beginning, and exactly
that one is taken away again by `original_text`: what was exported can be imported.
"""

from __future__ import annotations

import re

_BEGINNING = re.compile(r"(?='*[=+\-@\t\r\n])")
# Quotation marks in between do not help: a reader that cuts at the semicolon takes them for its own.
_WITHIN = re.compile(r"(?<=[;\t|\r\n])(?=[\"']*[=+\-@])")
_GUARDED_BEGINNING = re.compile(r"'(?='*[=+\-@\t\r\n])")
_GUARDED_WITHIN = re.compile(r"(?<=[;\t|\r\n])'(?=[\"']*[=+\-@])")


def safe_cell(text: str) -> str:
    """The text with an apostrophe before everything that could begin a formula."""
    within = _WITHIN.sub("'", text)
    return f"'{within}" if _BEGINNING.match(text) else within


def original_text(cell: str) -> str:
    """What `safe_cell` was given."""
    if "'" not in cell:
        return cell
    bare = cell[1:] if _GUARDED_BEGINNING.match(cell) else cell
    return _GUARDED_WITHIN.sub("", bare)
