"""Cards (vCard 2.1, 3.0, 4.0) read as a table, and written: telephones, mail programs and other CRMs speak them.

Each card is read by itself, so that one that is broken costs only itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import vobject

from call_records.book.sheets import CELL_MOST, FILE_MOST, ROWS_MOST, Sheet, SheetRow, read_text
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake

COLUMNS = ("Name", "Phones", "E-mails", "Company", "Position", "Tags", "Note", "Address", "Site", "Birthday")
"""A card's columns; mapping.py knows them as it knows our own export."""
_CARD = re.compile(r"^BEGIN:VCARD[ \t]*$.*?^END:VCARD[ \t]*$", re.I | re.M | re.S)
_BINARY = re.compile(r"^(?:\w+\.)?(?:PHOTO|LOGO|SOUND|KEY)\b.*\n(?:[ \t].*\n)*", re.I | re.M)
_LINE_MOST = 75  # octets; RFC 6350, 3.2


def is_cards(data: bytes) -> bool:
    """Whether the file holds cards, whatever its name says."""
    return "BEGIN:VCARD" in read_text(data[:4096])[0].upper()


def read_cards(data: bytes, *, encoding: str | None = None) -> Sheet:
    """The cards as rows. Raises PeerMistake for a file without any, or with too many."""
    if len(data) > FILE_MOST:
        raise PeerMistake("The file is larger than 20 MB.", remedy="Split it and import the parts.")
    text, chosen = read_text(data, encoding)
    text = _BINARY.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    cards = _CARD.findall(text)
    if not cards:
        raise PeerMistake("There is no card in the file.", remedy="Export contacts as vCard and try again.")
    if len(cards) > ROWS_MOST:
        raise PeerMistake(
            f"The file has {len(cards)} cards; {ROWS_MOST} can be imported at once.", remedy="Split it."
        )
    rows = tuple(_row(number, card) for number, card in enumerate(cards, start=1))
    return Sheet(COLUMNS, rows, kind="vcard", encoding=chosen, own=True)


def _row(number: int, card: str) -> SheetRow:
    nothing = ("",) * len(COLUMNS)
    try:
        read = vobject.readOne(card + "\n", allowQP=True)
        cells = tuple(_cells(read.contents))
    except Exception as trouble:  # vobject raises ParseError, and of broken cards whatever comes
        return SheetRow(number, nothing, f"The card cannot be read ({type(trouble).__name__}).")
    if any(len(cell) > CELL_MOST for cell in cells):
        return SheetRow(number, nothing, f"A field of the card has more than {CELL_MOST} characters.")
    return SheetRow(number, cells)


def _cells(told: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    def values(name: str) -> list[str]:
        return [found for one in told.get(name, ()) if (found := _plain(one.value))]

    organisation = [_plain(part) for part in _list(told["org"][0].value)] if told.get("org") else []
    yield next(iter(values("fn")), "") or _structured(told) or next(iter(values("nickname")), "")
    yield "\n".join(_phone(one) for one in values("tel"))
    yield "\n".join(one.removeprefix("mailto:") for one in values("email"))
    yield organisation[0] if organisation else ""
    yield next(iter(values("title")), "") or next(iter(values("role")), "")
    yield "\n".join(_plain(tag) for one in told.get("categories", ()) for tag in _list(one.value))
    yield "\n".join(values("note"))
    yield "; ".join(values("adr"))
    yield " ".join(values("url"))
    yield next(iter(values("bday")), "")


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, (_plain(part) for part in value)))
    if hasattr(value, "street"):
        parts = (value.street, value.extended, value.city, value.region, value.code, value.country)
        return ", ".join(filter(None, (_plain(part) for part in parts)))
    return " ".join(str(value).split()) if "\n" not in str(value) else str(value).strip()


def _structured(told: Mapping[str, Sequence[Any]]) -> str:
    if not told.get("n"):
        return ""
    name = told["n"][0].value
    parts = [getattr(name, part, "") for part in ("prefix", "given", "additional", "family", "suffix")]
    return " ".join(filter(None, (_plain(part) for part in parts)))


def _phone(value: str) -> str:
    """`tel:+7-495-000-00-10;ext=5` as people write it."""
    if not value.lower().startswith("tel:"):
        return value
    number, *parameters = unquote(value[4:]).split(";")
    own = next((one[4:] for one in parameters if one.lower().startswith("ext=")), "")
    return f"{number} ext. {own}" if own else number


# -- writing --


def write_card(
    *,
    version: str,
    name: str,
    kind: ClientKind,
    phones: Sequence[str],
    emails: Sequence[str],
    company: str | None,
    position: str | None,
    tags: Sequence[str],
) -> str:
    """One card, in 3.0 or 4.0. Nothing of a name can end a line or begin another property."""
    lines = ["BEGIN:VCARD", f"VERSION:{version}", f"FN:{_text(name)}", f"N:{_text(name)};;;;"]
    organisation = name if kind is ClientKind.COMPANY else company
    if organisation:
        lines.append(f"ORG:{_text(organisation)}")
    if kind is ClientKind.COMPANY and version == "4.0":
        lines.append("KIND:org")
    lines += [f"TITLE:{_text(position)}"] if position else []
    lines += [f"TEL;TYPE=VOICE:{_text(phone)}" for phone in phones]
    lines += [f"EMAIL:{_text(email)}" for email in emails]
    lines += [f"CATEGORIES:{','.join(_text(tag) for tag in tags)}"] if tags else []
    return "".join(f"{_folded(line)}\r\n" for line in (*lines, "END:VCARD"))


def _text(value: str) -> str:
    plain = "".join(
        char for char in value.replace("\r\n", "\n").replace("\r", "\n") if char >= " " or char == "\n"
    )
    for what, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        plain = plain.replace(what, escaped)
    return plain


def _folded(line: str) -> str:
    """In pieces of 75 octets, no letter cut in two."""
    pieces, piece, size = [], "", 0
    for char in line:
        width = len(char.encode())
        if size + width > _LINE_MOST:
            pieces.append(piece)
            piece, size = " ", 1
        piece, size = piece + char, size + width
    return "\r\n".join([*pieces, piece])
