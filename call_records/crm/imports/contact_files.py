"""A file of contacts, whatever it is: looked at by its first bytes, read by whoever reads such files.

`read_file` is the one door; it runs where a file may cost what it wants, never in the process that reads the PBX.
"""

from __future__ import annotations

from call_records.crm.imports.column_mapping import Mapped, guess
from call_records.crm.imports.file_types import FileKind, kind_of
from call_records.crm.imports.spreadsheets import FileForm, Sheet, check_size, read_book, read_sheet
from call_records.crm.imports.vcard import read_cards


def read_file(data: bytes, how: FileForm = FileForm()) -> Sheet:  # noqa: B008  # frozen
    """The file as a table. Raises PeerMistake, saying what it is, for what is none."""
    check_size(data)
    match kind_of(data):
        case FileKind.CARDS:
            return read_cards(data, how)
        case FileKind.WORKBOOK:
            return read_book(data, how)
        case FileKind.TEXT:
            return read_sheet(data, how)


def guess_mapping(sheet: Sheet) -> Mapped:
    """What its columns are, as far as their headings say."""
    columns, kind, preset = guess(sheet.headings, own=sheet.own)
    return Mapped(
        columns,
        kind,
        "vcard" if sheet.kind == "vcard" else preset.id,
        sheet.encoding,
        sheet.delimiter,
        sheet.headed,
        sheet.kind,
        heading_row=sheet.heading_row,
        sheet=sheet.sheet,
    )


def form_of(mapped: Mapped) -> FileForm:
    """How a file is to be read that was mapped so."""
    return FileForm(
        encoding=mapped.encoding or None,
        delimiter=mapped.delimiter or None,
        headed=mapped.headed,
        heading_row=mapped.heading_row if mapped.headed else None,
        sheet=mapped.sheet or None,
    )
