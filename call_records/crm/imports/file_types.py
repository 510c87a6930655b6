"""What somebody has uploaded, told by its first bytes and not by its name; what is no list of contacts is refused in words.

A workbook that is called `.csv` is read, a page that is called `.xls` is refused: programs name files as they like.
"""

from __future__ import annotations

import re
from enum import StrEnum

from telephony.errors import PeerMistake


class FileKind(StrEnum):
    """What can be read."""

    TEXT = "csv"
    CARDS = "vcard"
    WORKBOOK = "workbook"


_SAVE = "Open it in Excel or LibreOffice, save it as XLSX or CSV, and upload that."
_EXPORT = "Export contacts as CSV, XLSX or vCard, and upload that."
NO_TABLES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x89PNG", "a picture (PNG)", _EXPORT),
    (b"\xff\xd8\xff", "a picture (JPEG)", _EXPORT),
    (b"GIF8", "a picture (GIF)", _EXPORT),
    (b"II*\0", "a picture (TIFF)", _EXPORT),
    (b"BM", "a picture (BMP)", _EXPORT),
    (b"%PDF", "a PDF document", _EXPORT),
    (b"{\\rtf", "a text document (RTF)", _SAVE),
    (b"\x1f\x8b", "a compressed file (gzip)", "Unpack it first, and upload what is in it."),
    (b"Rar!", "an archive (RAR)", "Unpack it first, and upload what is in it."),
    (b"7z\xbc\xaf", "an archive (7z)", "Unpack it first, and upload what is in it."),
    (b"BZh", "a compressed file (bzip2)", "Unpack it first, and upload what is in it."),
    (b"SQLite format 3", "a database (SQLite)", _EXPORT),
    (b"RIFF", "a sound or a film", _EXPORT),
    (b"ID3", "a sound (MP3)", _EXPORT),
    (b"OggS", "a sound (Ogg)", _EXPORT),
    (b"\x7fELF", "a program", _EXPORT),
    (b"MZ\x90", "a program", _EXPORT),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_BOOKS = (b"xl/workbook", b"application/vnd.oasis.opendocument.spreadsheet")
_CONTROLS = frozenset(range(32)) - {9, 10, 11, 12, 13, 26, 27}  # 26 ends files of DOS
_TAG = re.compile(rb"\s*<(?:\?xml|!doctype|html|head|body|table|meta|style|[\w:\x80-\xff]{1,40}[\s>])", re.I)
_JSON = re.compile(rb'\s*(?:\{\s*"|\[\s*[\{\["])')
LOOKED_AT = 65_536  # bytes


def kind_of(data: bytes) -> FileKind:
    """What the file is. Raises PeerMistake, with what it is and what to do, for what holds no contacts."""
    if data.startswith(_ZIP):
        return _kind_of_zip(data)
    if data.startswith(_OLE):
        return _kind_of_ole(data)
    for mark, what, remedy in NO_TABLES:
        if data.startswith(mark) and (len(mark) > 2 or _is_binary(data)):
            raise _refused(what, remedy)
    plain = _as_bytes_of_letters(data[:LOOKED_AT])
    if b"BEGIN:VCARD" in plain.upper():
        return FileKind.CARDS
    if _TAG.match(plain.removeprefix(b"\xef\xbb\xbf")):
        raise _refused(_markup(plain), _SAVE if b"<t" in plain.lower() else _EXPORT)
    if _JSON.match(plain):
        raise _refused("data of a program (JSON)", _EXPORT)
    if plain.lstrip().upper().startswith(b"BEGIN:VCALENDAR"):
        raise _refused("a calendar", _EXPORT)
    if _is_binary(plain):
        raise _refused("no text", _EXPORT)
    return FileKind.TEXT


def _kind_of_zip(data: bytes) -> FileKind:
    # Names of an archive's files stand in it as they are, at each file and once more at its end.
    if any(mark in data[:LOOKED_AT] or mark in data[-LOOKED_AT:] for mark in _BOOKS):
        return FileKind.WORKBOOK
    if b"word/document" in data:
        raise _refused("a text document (Word)", _SAVE)
    raise _refused("an archive (ZIP)", "Unpack it first, and upload what is in it.")


def _kind_of_ole(data: bytes) -> FileKind:
    names = ("Workbook", "Book")
    if any(name.encode("utf-16-le") in data for name in names):
        return FileKind.WORKBOOK
    raise _refused("a document of an old Office that is no workbook", _SAVE)


def _as_bytes_of_letters(piece: bytes) -> bytes:
    """UTF-16 without its zeros, so that marks are found in it as in anything else."""
    for mark, page in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        if piece.startswith(mark):
            return piece[2:].decode(page, errors="replace").encode()
    first, second = piece[:4096:2].count(0), piece[1:4096:2].count(0)
    if max(first, second) * 5 <= min(len(piece), 4096):
        return piece
    return piece.decode("utf-16-be" if first > second else "utf-16-le", errors="replace").encode()


def _markup(plain: bytes) -> str:
    low = plain.lower()
    if (
        b"commerceml" in low
        or "КоммерческаяИнформация".encode("cp1251") in plain
        or "КоммерческаяИнформация".encode() in plain
    ):
        return "CommerceML, an exchange file of 1C (XML)"
    if b"schemas-microsoft-com:office:spreadsheet" in low:
        return "a table in XML (Excel 2003)"
    return (
        "a page (HTML)"
        if b"<html" in low or b"<table" in low or b"<!doctype html" in low
        else "a file in XML"
    )


def _is_binary(piece: bytes) -> bool:
    """Text has hardly a control character beside line ends; one in a thousand is a program's mistake."""
    looked = piece[:LOOKED_AT]
    controls = sum(looked.count(code) for code in _CONTROLS)
    return controls * 1_000 > 3 * len(looked) + 5_000 or (controls > 3 and controls * 20 > len(looked))


def _refused(what: str, remedy: str) -> PeerMistake:
    return PeerMistake("The file is {what}, not a table of contacts.", remedy=remedy, values={"what": what})
