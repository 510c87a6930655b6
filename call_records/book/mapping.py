"""Which column of a file is which field of ours: tables of headings, as other programs write them.

A preset is recognised by headings that only its program writes; what it does not name is looked up among the headings
people use. Whatever is guessed is shown and can be chosen otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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
FACT = "fact"
LEFT_OUT = ""

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "name": (
        "name", "full name", "display name", "fio", "contact", "contact name", "client", "customer", "file as",
        "имя контакта", "фио", "ф и о", "контакт", "клиент", "наименование", "название", "контрагент", "заказчик",
        "покупатель", "название компании", "название лида", "company name", "lead name", "наименование контрагента",
        "contact person",
    ),
    "first_name": ("first name", "given name", "firstname", "имя"),
    "middle_name": ("middle name", "second name", "additional name", "patronymic", "отчество"),
    "last_name": ("last name", "family name", "surname", "lastname", "фамилия"),
    "phone": (
        "phone", "phones", "telephone", "tel", "mobile", "mobile phone", "cell", "cell phone", "work phone",
        "business phone", "business phone 2", "home phone", "home phone 2", "company main phone", "car phone",
        "other phone", "primary phone", "phone number", "assistant s phone", "телефон", "телефоны", "тел", "моб",
        "мобильный", "мобильный телефон", "сотовый", "сотовый телефон", "рабочий телефон", "домашний телефон",
        "другой телефон", "телефон для рассылок", "телефон для sms рассылок", "номер телефона", "номер",
        "контактный телефон", "контактные телефоны", "телефон контактного лица", "телефон рабочий", "телефон мобильный",
    ),
    "email": (
        "e mail", "email", "e mails", "emails", "mail", "email address", "e mail address", "e mail 2 address",
        "e mail 3 address", "work e mail", "home e mail", "work email", "home email", "other e mail", "почта",
        "электронная почта", "адрес электронной почты", "эл почта", "рабочий e mail", "частный e mail",
        "другой e mail", "e mail для рассылок", "newsletters email", "email рабочий",
    ),
    "company": (
        "company", "organization", "organisation", "organization name", "organization 1 name", "firm", "компания",
        "организация", "фирма", "юридическое лицо", "место работы", "работа",
    ),
    "position": (
        "position", "job title", "title", "organization title", "organization 1 title", "role", "должность",
    ),
    "owner": (
        "owner", "responsible", "responsible person", "manager", "assigned to", "ответственный", "менеджер",
        "основной менеджер", "ответственный менеджер",
    ),
    "tags": ("tags", "tag", "labels", "categories", "group membership", "category", "метки", "теги", "тег", "группа"),
    "note": ("note", "notes", "comment", "comments", "remark", "комментарий", "комментарии", "примечание", "заметка",
        "заметки"),
    "kind": ("kind",),
}  # fmt: skip
"""Headings as people write them, in small letters and without punctuation."""

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:phone|телефон|тел|mobile|моб\w*) ?\d+(?: value)?"), "phone"),
    (re.compile(r"(?:e ?mail|почта) ?\d+(?: value| address)?"), "email"),
    (re.compile(r"(?:phone|e mail|relation|website|address|im|event|custom field) \d+ (?:type|label|formatted)"), LEFT_OUT),
)  # fmt: skip
"""Tried where the heading itself is not in a table."""


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

_GENERAL = {heading: name for name, headings in HEADINGS.items() for heading in headings}
_APART = re.compile(r"[^\w]+|_+")


def plain_heading(heading: str) -> str:
    """In small letters, words only."""
    return " ".join(_APART.sub(" ", heading.lower().replace("ё", "е")).split())


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
    )


def preset_of(headings: Sequence[str]) -> Preset:
    """Which program wrote this."""
    there = {plain_heading(one) for one in headings}
    return next(preset for preset in PRESETS if there.issuperset(preset.marks))


def guess(headings: Sequence[str], *, own: bool = False) -> tuple[tuple[str, ...], ClientKind, Preset]:
    """A field for each column, what the rows are, and the preset it was told by. `own`: no column is left out."""
    preset = preset_of(headings)
    columns = [_field_of(plain_heading(one), preset) for one in headings]
    kind = preset.kind
    for once in ("name", "first_name", "middle_name", "last_name", "company", "position", "owner", "kind"):
        for again in [place for place, one in enumerate(columns) if one == once][1:]:
            columns[again] = FACT
    if not {"name", "first_name", "last_name"} & set(columns) and "company" in columns:
        columns[columns.index("company")], kind = "name", ClientKind.COMPANY  # a list of firms
    if "first_name" in columns and "last_name" not in columns and "name" not in columns:
        columns[columns.index("first_name")] = "name"
    return tuple(columns), kind, PRESETS[0] if own else preset


def _field_of(heading: str, preset: Preset) -> str:
    if heading in preset.facts:
        return FACT
    if heading in preset.headings:
        return preset.headings[heading]
    if heading in _GENERAL:
        return _GENERAL[heading]
    told = next((name for pattern, name in PATTERNS if pattern.fullmatch(heading)), None)
    if told is not None:
        return told
    return LEFT_OUT if preset.quiet else FACT
