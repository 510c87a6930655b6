"""Cards (vCard 2.1, 3.0, 4.0) read as a table, and written: telephones, mail programs and other CRMs speak them.

Reading follows what telephones write rather than what the standards ask for. Lines are joined as bytes, so that a letter
cut in two by a writer that counts octets is whole again; quoted-printable goes on over its soft line breaks; a picture
in BASE64 may lie there without a leading space; a label of one's own (Samsung's `X-CUSTOM(…)`) may hold anything. One pass
over the lines, whatever they hold, and a card that is broken costs only itself.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from call_records.crm.imports.code_pages import guess_encoding, page_of, read_text
from call_records.crm.imports.spreadsheets import CELL_MOST, ROWS_MOST, FileForm, Sheet, SheetRow, check_size
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake

COLUMNS = ("Name", "Phones", "E-mails", "Company", "Position", "Tags", "Note", "Address", "Site", "Birthday")
"""A card's columns; column_mapping.py knows them as it knows our own export."""
_LINE_MOST = 75  # octets; RFC 6350, 3.2
VALUE_MOST = 64 * 1024  # bytes of one property that are kept; a note may be long, a picture is not read
PROPERTIES_MOST = 500  # of one card
_READ = frozenset(
    [
        "N",
        "FN",
        "NICKNAME",
        "TEL",
        "EMAIL",
        "ORG",
        "TITLE",
        "ROLE",
        "CATEGORIES",
        "NOTE",
        "ADR",
        "URL",
        "BDAY",
    ]
)
_BINARY = frozenset(["PHOTO", "LOGO", "SOUND", "KEY"])
_PROPERTY = re.compile(rb"(?:[\w\-]{1,60}\.)?([A-Za-z][\w\-]{0,60})(?=[;:])")


# -- lines --


@dataclass(slots=True)
class _Property:
    """One line of a card, joined from all its lines."""

    name: str
    parameters: Mapping[str, str]
    value: bytearray

    @property
    def is_quoted(self) -> bool:
        return self.parameters.get("ENCODING", "") == "QUOTED-PRINTABLE"

    def text(self, page: str) -> str:
        """The value in letters."""
        data = bytes(self.value)
        if self.is_quoted:
            data = quopri.decodestring(data)
        elif self.parameters.get("ENCODING") in ("B", "BASE64") and self.name not in _BINARY:
            try:
                data = binascii.a2b_base64(data)
            except binascii.Error:
                return ""
        own = self.parameters.get("CHARSET")
        return read_text(
            data, (page_of(own) if own else None) or ("utf-8" if self.is_quoted and _fits(data) else page)
        )[0]


def _fits(data: bytes) -> bool:
    """Whether these bytes are UTF-8: a quoted text that does not say how it is written seldom is in anything else."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(slots=True)
class _Card:
    """The lines of one card that we read."""

    properties: list[_Property] = field(default_factory=list)
    whole: bool = False
    """Whether its end was there."""


def _cards(data: bytes) -> Iterator[_Card]:
    """The cards, in one pass over the lines."""
    card: _Card | None = None
    last: _Property | None = None
    depth = 0
    for line in data.splitlines():
        bare = line.strip().upper()
        if bare.startswith(b"BEGIN:VCARD"):
            if card is not None and last is not None and last.name == "AGENT":
                depth += 1  # the card of an assistant within the card
                continue
            if card is not None:
                yield card  # its end is missing
            card, last, depth = _Card(), None, 0
        elif card is None:
            continue
        elif bare == b"END:VCARD" and depth:
            depth -= 1
        elif bare == b"END:VCARD":
            card.whole = True
            yield card
            card = None
        elif not depth:
            last = _take_line(card, last, line)
    if card is not None:
        yield card


def _take_line(card: _Card, last: _Property | None, line: bytes) -> _Property | None:
    """The line goes on with the property before it, or begins the next."""
    if last is not None and last.is_quoted and last.value.endswith(b"="):
        del last.value[-1:]
        _add(last, line.lstrip(b" \t") if line[:1] in (b" ", b"\t") else line)
        return last
    if line[:1] in (b" ", b"\t") and line.strip():
        if last is not None:
            _add(last, line[1:])
        return last
    begun = _begin(line)
    if begun is None:  # a picture's line without its space, or what a program broke in two
        if last is not None and last.name not in _BINARY and line.strip():
            _add(last, b"\n" + line)
        return last
    if begun.name in _READ and len(card.properties) < PROPERTIES_MOST:
        card.properties.append(begun)
    return begun


def _add(to: _Property, more: bytes) -> None:
    if to.name in _READ and len(to.value) < VALUE_MOST:
        to.value += more[:VALUE_MOST]


def _begin(line: bytes) -> _Property | None:
    """A line that begins a property; None for one that does not."""
    hit = _PROPERTY.match(line.lstrip())
    if hit is None:
        return None
    line = line.lstrip()
    colon = _colon(line, hit.end())
    if colon < 0:
        return None
    name = hit[1].decode("ascii", "replace").upper()
    return _Property(name, _parameters(line[hit.end() : colon]), bytearray(line[colon + 1 :][:VALUE_MOST]))


def _colon(line: bytes, after: int) -> int:
    """The colon that ends the parameters: the first that is neither within quotes nor within a label's brackets."""
    quoted = bracket = False
    for at in range(after, min(len(line), after + 2_000)):
        byte = line[at]
        if byte == 0x22:
            quoted = not quoted
        elif byte == 0x28 and not quoted and line[max(0, at - 8) : at].upper() == b"X-CUSTOM":
            bracket = b")" in line[at : at + 500]
        elif byte == 0x29:
            bracket = False
        elif byte == 0x3A and not quoted and not bracket:
            return at
    return line.find(b":", after) if quoted else -1


_LABEL = re.compile(r"(?i)X-CUSTOM\([^)]*\)")


def _parameters(given: bytes) -> dict[str, str]:
    """`;TYPE=work;ENCODING=QUOTED-PRINTABLE` and 2.1's bare `;QUOTED-PRINTABLE`."""
    found: dict[str, str] = {}
    for one in _LABEL.sub("", given[:2_000].decode("ascii", "replace")).upper().split(";"):
        name, equals, value = one.strip().partition("=")
        if equals:
            found.setdefault(name.strip(), value.strip().strip('"'))
        elif name in ("QUOTED-PRINTABLE", "BASE64", "B"):
            found["ENCODING"] = name
    return found


# -- cards --


def read_cards(data: bytes, how: FileForm = FileForm()) -> Sheet:  # noqa: B008  # frozen
    """The cards as rows. Raises PeerMistake for a file without any, or with too many."""
    check_size(data)
    asked = page_of(how.encoding) if how.encoding else None
    if asked == "utf-16" or (asked is None and guess_encoding(data[:4096]) == "utf-16"):
        data, asked = read_text(data, "utf-16")[0].encode(), "utf-8"
        page = "utf-16"
    else:
        page = asked or guess_encoding(_joined(data))
    rows: list[SheetRow] = []
    for number, card in enumerate(_cards(data.removeprefix(b"\xef\xbb\xbf")), start=1):
        if number > ROWS_MOST:
            raise PeerMistake(
                "The file has more than {most} cards.",
                remedy="Split it and import the parts.",
                values={"most": ROWS_MOST},
            )
        row = _row(number, card, asked or page)
        if card.whole or any(row.cells):
            rows.append(row)
    if not rows:
        raise PeerMistake("There is no card in the file.", remedy="Export contacts as vCard and try again.")
    return Sheet(COLUMNS, tuple(rows), kind="vcard", encoding=page, own=True)


_FOLD = re.compile(rb"\r?\n[ \t]|=\r?\n")
GUESSED_FROM = 1 << 20  # bytes


def _joined(data: bytes) -> bytes:
    """Folded lines in one piece, for guessing the letters."""
    return _FOLD.sub(b"", data[:GUESSED_FROM])


def _row(number: int, card: _Card, page: str) -> SheetRow:
    texts: dict[str, list[str]] = {}
    for one in card.properties:
        texts.setdefault(one.name, []).append(one.text(page))
    cells = tuple(_cells(texts))
    problem = None
    if not card.whole:
        problem = f"The file ends in the middle of the card{f' “{cells[0][:60]}”' if cells[0] else ''}."
    elif any(len(cell) > CELL_MOST for cell in cells):
        problem = f"A field of the card has more than {CELL_MOST} characters."
    elif not any(cells):
        problem = "The card is empty."
    return SheetRow(number, tuple(cell[:CELL_MOST] for cell in cells), problem)


def _cells(told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    def values(name: str) -> list[str]:
        return [found for one in told.get(name, ()) if (found := _unescaped(one))]

    organisation = [_unescaped(part) for part in _parts(told["ORG"][0], ";")] if told.get("ORG") else []
    company = next(iter(organisation), "")
    yield next(iter(values("FN")), "") or _structured(told) or next(iter(values("NICKNAME")), "") or company
    yield "\n".join(_phone(one) for one in values("TEL"))
    yield "\n".join(re.sub(r"(?i)\Amailto:", "", one) for one in values("EMAIL"))
    yield company
    yield next(iter(values("TITLE")), "") or next(iter(values("ROLE")), "")
    yield "\n".join(
        tag for one in told.get("CATEGORIES", ()) for tag in map(_unescaped, _parts(one, ",")) if tag
    )
    yield "\n".join(values("NOTE"))
    yield "; ".join(filter(None, (_address(one) for one in told.get("ADR", ()))))
    yield " ".join(values("URL"))
    yield next(iter(values("BDAY")), "")


_UNESCAPED_AT = {sign: re.compile(rf"((?:[^{sign}\\]|\\.)*){sign}?", re.S) for sign in (";", ",")}


def _parts(value: str, sign: str) -> list[str]:
    """What stands between the signs that no backslash makes part of a text."""
    return [hit[1] for hit in _UNESCAPED_AT[sign].finditer(value) if hit[0]]


_ESCAPE = re.compile(r"\\(.)", re.S)


def _unescaped(value: str) -> str:
    text = _ESCAPE.sub(lambda hit: "\n" if hit[1] in "nN" else hit[1], value)
    return " ".join(text.split()) if "\n" not in text else text.strip()


def _structured(told: Mapping[str, Sequence[str]]) -> str:
    """Of `Family;Given;Additional;Prefix;Suffix` the name as it is said."""
    if not told.get("N"):
        return ""
    family, given, additional, prefix, suffix = (*map(_unescaped, _all_parts(told["N"][0])), *[""] * 5)[:5]
    return " ".join(filter(None, (prefix, given, additional, family, suffix)))


def _address(value: str) -> str:
    box, extended, street, *rest = (*map(_unescaped, _all_parts(value)), *[""] * 3)
    return ", ".join(filter(None, (street, extended, box, *rest)))


def _all_parts(value: str) -> list[str]:
    """As `_parts`, the empty ones too."""
    parts: list[str] = []
    at = 0
    while at <= len(value):
        hit = _UNESCAPED_AT[";"].match(value, at)
        if hit is None:
            break
        parts.append(hit[1])
        at = hit.end() if hit[0].endswith(";") and len(hit[0]) > len(hit[1]) else len(value) + 1
    return parts


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
