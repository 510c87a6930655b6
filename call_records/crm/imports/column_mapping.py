"""Which column of a file is which field of ours: presets of headings, as other programs write them.

A preset is recognised by headings that only its program writes; what it does not name is looked up among the headings
people use (`column_headings.py`). Whatever is guessed is shown and can be chosen otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from call_records.crm.imports.column_headings import FACT, LEFT_OUT, field_of, plain_heading
from telephony.contacts import ClientKind

FIELDS: Mapping[str, str] = {
    "name": "Name",
    "first_name": "First name",
    "middle_name": "Middle name",
    "last_name": "Last name",
    "phone": "Phone",
    "email": "E-mail",
    "company": "Company",
    "position": "Position",
    "owner": "Owner",
    "tags": "Tags",
    "note": "Note",
    "kind": "Kind (contact, company, lead)",
}
"""What a column can be; besides `fact` (kept under its heading) and `` (left out)."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What another program writes."""

    id: str
    name: str
    kind: ClientKind
    marks: tuple[str, ...]
    """Headings that tell it: all of them must be there."""
    headings: Mapping[str, str] = field(default_factory=dict)
    """Headings that mean something else here than in general."""
    facts: tuple[str, ...] = ()
    """Headings that are kept under their own name."""
    quiet: bool = False
    """Every other column is left out: the program exports dozens that say nothing here."""


PRESETS: tuple[Preset, ...] = (
    Preset(
        "own", "Switchhook", ClientKind.CONTACT, ("kind", "phones", "e mails"),
        {"source": LEFT_OUT, "campaign": LEFT_OUT, "state": LEFT_OUT, "added": LEFT_OUT, "last conversation": LEFT_OUT},
    ),
    Preset(
        "bitrix24-lead", "Bitrix24: leads", ClientKind.LEAD, ("название лида",),
        {"название лида": "name", "название компании": "company", "обращение": LEFT_OUT}, ("источник",), quiet=True,
    ),
    Preset(
        "bitrix24-lead", "Bitrix24: leads", ClientKind.LEAD, ("lead name",),
        {"lead name": "name", "company name": "company"}, ("source",), quiet=True,
    ),
    Preset(
        "bitrix24-company", "Bitrix24: companies", ClientKind.COMPANY, ("название компании",),
        {"название компании": "name"}, ("тип компании", "сфера деятельности", "реквизиты инн"), quiet=True,
    ),
    Preset(
        "bitrix24-company", "Bitrix24: companies", ClientKind.COMPANY, ("company name", "company type"),
        {"company name": "name"}, ("company type", "industry"), quiet=True,
    ),
    Preset(
        "bitrix24-contact", "Bitrix24: contacts", ClientKind.CONTACT, ("фамилия", "рабочий телефон", "тип контакта"),
        {}, ("дата рождения", "тип контакта", "источник"), quiet=True,
    ),
    Preset(
        "bitrix24-contact", "Bitrix24: contacts", ClientKind.CONTACT, ("last name", "work phone", "contact type"),
        {}, ("date of birth", "contact type", "source"), quiet=True,
    ),
    Preset(
        "1c", "1C: counterparties", ClientKind.COMPANY, ("наименование", "инн"),
        {"наименование": "name", "контактное лицо": FACT, "основное контактное лицо": FACT, "полное наименование": FACT},
        ("инн", "кпп", "юридический адрес", "фактический адрес", "код", "код по окпо"),
    ),
    Preset(
        "google", "Google Contacts", ClientKind.CONTACT, ("phone 1 value",),
        {"organization title": "position", "organization name": "company", "nickname": LEFT_OUT}, ("birthday",), quiet=True,
    ),
    Preset(
        "outlook", "Outlook", ClientKind.CONTACT, ("first name", "e mail address", "business phone"),
        {"title": LEFT_OUT}, ("web page", "birthday"), quiet=True,
    ),
    Preset("general", "Any table", ClientKind.CONTACT, ()),
)  # fmt: skip
"""The first whose marks are all there."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """How a file is to be read: one field for each column, and what its rows are."""

    columns: tuple[str, ...]
    kind: ClientKind
    preset: str = "general"
    encoding: str = "utf-8"
    delimiter: str = ""
    headed: bool = True
    format: str = "csv"
    """csv, vcard, or the kind of a workbook."""
    heading_row: int = 1
    """The row that names the columns, where one does."""
    sheet: str = ""
    """Which sheet of a workbook."""
    region: str = ""
    """Country of numbers without a country code; empty: the office's."""

    def as_json(self) -> dict[str, object]:
        """As `imports.mapping` keeps it."""
        return {
            "columns": list(self.columns),
            "kind": self.kind.value,
            "preset": self.preset,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "headed": self.headed,
            "format": self.format,
            "heading_row": self.heading_row,
            "sheet": self.sheet,
            "region": self.region,
        }


def mapped_from(kept: Mapping[str, object]) -> Mapped:
    """What `as_json` made."""
    columns = kept["columns"]
    return Mapped(
        columns=tuple(str(one) for one in columns) if isinstance(columns, list) else (),
        kind=ClientKind(str(kept["kind"])),
        preset=str(kept["preset"]),
        encoding=str(kept["encoding"]),
        delimiter=str(kept["delimiter"]),
        headed=bool(kept["headed"]),
        format=str(kept.get("format", "csv")),
        heading_row=int(str(kept.get("heading_row", 1))),
        sheet=str(kept.get("sheet", "")),
        region=str(kept.get("region", "")),
    )


def preset_of(headings: Sequence[str]) -> Preset:
    """Which program wrote this."""
    there = {plain_heading(one) for one in headings}
    return next(preset for preset in PRESETS if there.issuperset(preset.marks))


def guess(headings: Sequence[str], *, own: bool = False) -> tuple[tuple[str, ...], ClientKind, Preset]:
    """A field for each column, what the rows are, and the preset it was told by. `own`: no column is left out."""
    preset = preset_of(headings)
    plain = [plain_heading(one) for one in headings]
    columns = [_field_of(one, preset) for one in plain]
    _tell_names_apart(plain, columns)
    kind = preset.kind
    for once in ("name", "first_name", "middle_name", "last_name", "company", "position", "owner", "kind"):
        for again in [place for place, one in enumerate(columns) if one == once][1:]:
            columns[again] = FACT
    if not {"name", "first_name", "last_name"} & set(columns) and "company" in columns:
        columns[columns.index("company")], kind = "name", ClientKind.COMPANY  # a list of firms
    if "first_name" in columns and "last_name" not in columns and "name" not in columns:
        columns[columns.index("first_name")] = "name"
    return tuple(columns), kind, PRESETS[0] if own else preset


EITHER = frozenset({"name", "nom", "nome", "nombre", "isim", "名称", "jméno", "név", "όνομα", "الاسم"})
"""In one file the whole name, in another what is left of it beside a column for the first or the last name."""


def _tell_names_apart(plain: Sequence[str], columns: list[str]) -> None:
    """`Nom` beside `Prénom` is a last name, `Nome` beside `Sobrenome` a first one."""
    place = next((at for at, one in enumerate(plain) if one in EITHER and columns[at] == "name"), None)
    if place is None:
        return
    first, last = "first_name" in columns, "last_name" in columns
    if first is not last and columns.count("name") == 1:
        columns[place] = "last_name" if first else "first_name"


def _field_of(heading: str, preset: Preset) -> str:
    if heading in preset.facts:
        return FACT
    if heading in preset.headings:
        return preset.headings[heading]
    told = field_of(heading)
    if told is None or (told == FACT and preset.quiet):
        return LEFT_OUT if preset.quiet else FACT
    return told
