"""What becomes of each row of a file: decided without writing anything, so that the try-out and the import say the same.

An entry is the same one when a number or an e-mail is the same and so is the name, or when number and e-mail are both the
same: a switchboard's number is shared by a whole office, and nobody may vanish into a colleague. Everybody else becomes a
new entry that shares a number. What is there is only completed, never overwritten, and a name that is lost by it is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID, uuid4

from call_records.crm.imports.column_headings import FACT, LEFT_OUT
from call_records.crm.imports.column_mapping import Mapped
from call_records.crm.imports.spreadsheets import Sheet, SheetRow
from call_records.crm.transliteration import spelled
from call_records.crm.writes import (
    NAME_MOST,
    Home,
    each_phone_once,
    kept_emails,
    kept_words,
    recognised_phones,
)
from call_records.db import json_text
from telephony.contacts import ClientKind
from telephony.numbers.numbers import Written, is_withheld
from telephony.numbers.spreadsheet_numbers import is_shortened
from telephony.spreadsheet_cells import original_text

PARTS = ("last_name", "first_name", "middle_name")
FACTS_MOST = 40  # as the form of an entry shows them
PHONES_MOST = 40
SHORT_MOST = 200  # characters of a position, a fact's name
TAG_MOST = 60
TOTAL_MOST = 80
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+")
_TAGS_APART = re.compile(r" ::: |[;\n|]")
_TOTAL = re.compile(
    r"(?:(?:grand )?totals?|итого|всего|количество|разом|всього|razem|suma|ogółem|gesamt|summe"
    r"|总计|合计|共计|المجموع|الإجمالي)"
    r"(?:\W*|[^\d]{0,30}\d[\d\s.,]*(?:[^\W\d]+)?\W*)",
    re.IGNORECASE,
)
"""What the last line of a printed list says in place of a name: `Итого: 5`, `Total contacts: 1,204`, `Razem 5 osób`."""
_KINDS = {
    "contact": ClientKind.CONTACT, "company": ClientKind.COMPANY, "lead": ClientKind.LEAD,
    "контакт": ClientKind.CONTACT, "компания": ClientKind.COMPANY, "лид": ClientKind.LEAD,
    "person": ClientKind.CONTACT, "организация": ClientKind.COMPANY,
}  # fmt: skip


class Becoming(StrEnum):
    """What becomes of a row."""

    NEW = "new"
    COMPLETES = "completes"
    SAME = "same"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a row. `column` is a heading; empty: the row as a whole."""

    row: int
    column: str
    said: str
    left_out: bool = False
    """Only that cell is left out; the row itself is imported."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, understood."""

    number: int
    kind: ClientKind
    name: str
    phones: tuple[Written, ...] = ()
    emails: tuple[str, ...] = ()
    company: str | None = None
    position: str | None = None
    owner_id: UUID | None = None
    tags: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    problems: tuple[RowProblem, ...] = ()

    @property
    def is_usable(self) -> bool:
        """Whether anything of it is imported."""
        return all(one.left_out for one in self.problems)


@dataclass(frozen=True, slots=True)
class PhoneField:
    """A cell of a column of numbers, with the numbers in it."""

    heading: str
    text: str
    phones: Sequence[Written]


def _fields_without_numbers(fields: Iterable[PhoneField]) -> list[tuple[str, str]]:
    """What stands in a column of numbers and is none: an instruction, a name, two digits."""
    return [
        (one.heading, one.text)
        for one in fields
        if not one.phones and not is_shortened(one.text) and not is_withheld(one.text)
    ]


@dataclass(frozen=True, slots=True)
class Reader:
    """How this file's rows are understood."""

    headings: tuple[str, ...]
    mapped: Mapped
    home: Home
    owners: Mapping[str, UUID | None]
    """By name, e-mail and extension in small letters; None: several are called so."""

    def row(self, given: SheetRow) -> Row:
        """The row; with a problem where it cannot be used."""
        if given.problem:
            return self._refused(given.number, "", given.problem)
        cells: dict[str, list[tuple[str, str]]] = {}
        for heading, name, cell in zip(self.headings, self.mapped.columns, given.cells, strict=False):
            plain = original_text(json_text.clean(cell))
            if plain.strip() and name != LEFT_OUT:
                cells.setdefault(name, []).append((heading, plain.strip()))
        return self._understood(given.number, cells)

    def _understood(self, number: int, cells: Mapping[str, list[tuple[str, str]]]) -> Row:
        problems: list[RowProblem] = []

        def first(name: str) -> str:
            return " ".join(cells[name][0][1].split()) if cells.get(name) else ""

        kind = self.mapped.kind
        if first("kind"):
            told = _KINDS.get(first("kind").casefold())
            if told is None:
                return self._refused(
                    number,
                    cells["kind"][0][0],
                    f"“{_cut(first('kind'))}” is neither contact, company nor lead.",
                )
            kind = told
        fields = self._phone_fields(cells.get("phone", ()))
        phones = self._phones(number, fields, problems)
        if len(phones) > PHONES_MOST:
            problems.append(
                RowProblem(
                    number,
                    cells["phone"][0][0],
                    f"More than {PHONES_MOST} numbers; the rest is left out.",
                    True,
                )
            )
        emails = self._emails(number, cells.get("email", ()), problems)
        owner_id = self._owner(number, cells.get("owner", ()), problems)
        facts = dict(list(_facts((*cells.get(FACT, ()), *_fields_without_numbers(fields))))[:FACTS_MOST])
        name = " ".join(first(part) for part in PARTS if first(part)) or first("name")
        if first("name") and name != first("name"):
            facts.setdefault(cells["name"][0][0], first("name"))
        company = first("company") or None
        if kind is ClientKind.COMPANY and company and not name:
            name, company = company, None
        problems.extend(self._cuts(number, cells, name, company))
        name = name or next((one.raw.strip() for one in phones), "") or next(iter(emails), "")
        if not name:
            return self._refused(number, "", "There is neither a name nor a number nor an e-mail.")
        if not (phones or emails or company) and len(name) < TOTAL_MOST and _TOTAL.fullmatch(name):
            return self._refused(number, "", f"“{_cut(name)}” counts the list; it is nobody's name.")
        tags = [tag for _heading, text in cells.get("tags", ()) for tag in _TAGS_APART.split(text)]
        return Row(
            number=number,
            kind=kind,
            name=name[:NAME_MOST].strip(),
            phones=tuple(phones[:PHONES_MOST]),
            emails=emails,
            company=company[:NAME_MOST].strip() if company and company != name else None,
            position=first("position")[:SHORT_MOST] or None,
            owner_id=owner_id,
            tags=kept_words(" ".join(tag.removeprefix("* ").split())[:TAG_MOST] for tag in tags),
            facts=facts,
            note="\n".join(text for _heading, text in cells.get("note", ())) or None,
            problems=tuple(problems),
        )

    def _phone_fields(self, given: Iterable[tuple[str, str]]) -> list[PhoneField]:
        """Each cell of the columns of numbers, read once: reading a number is the dearest of a row."""
        return [PhoneField(heading, text, recognised_phones(text, self.home)) for heading, text in given]

    def _phones(self, number: int, fields: Sequence[PhoneField], problems: list[RowProblem]) -> list[Written]:
        for one in fields:
            if is_shortened(one.text):
                said = f"The number “{_cut(one.text)}” was shortened by Excel; it is left out."
                problems.append(RowProblem(number, one.heading, said, True))
        for heading, text in _fields_without_numbers(fields):
            said = f"No number recognised in “{_cut(text)}”; it is kept beside the entry."
            problems.append(RowProblem(number, heading, said, True))
        return each_phone_once(phone for one in fields for phone in one.phones)

    def _cuts(
        self, number: int, cells: Mapping[str, list[tuple[str, str]]], name: str, company: str | None
    ) -> Iterable[RowProblem]:
        """Whatever is longer than we keep, with where it is cut."""
        position = cells.get("position", [("", "")])[0]
        looked = (
            (cells.get("name", cells.get("last_name", [("Name", "")]))[0][0], name, NAME_MOST),
            (cells.get("company", [("Company", "")])[0][0], company or "", NAME_MOST),
            (position[0], " ".join(position[1].split()), SHORT_MOST),
            *(
                (heading, one, TAG_MOST)
                for heading, text in cells.get("tags", ())
                for one in _TAGS_APART.split(text)
            ),
        )
        for heading, text, most in looked:
            if len(text) > most:
                yield RowProblem(
                    number, heading, f"“{text[:30]}…” has {len(text)} letters; {most} are kept.", True
                )

    def _emails(
        self, number: int, given: Iterable[tuple[str, str]], problems: list[RowProblem]
    ) -> tuple[str, ...]:
        good: list[str] = []
        for heading, text in given:
            for one in re.split(r"[\s,;]+", text):
                bare = one.strip("<>")
                if _EMAIL.fullmatch(bare):
                    good.append(bare)
                elif bare and bare != ":::":
                    said = f"“{_cut(bare)}” is not an e-mail address; it is left out."
                    problems.append(RowProblem(number, heading, said, True))
        return kept_emails(good)

    def _owner(
        self, number: int, given: Sequence[tuple[str, str]], problems: list[RowProblem]
    ) -> UUID | None:
        if not given:
            return None
        heading, text = given[0]
        key = " ".join(text.split()).casefold()
        found = self.owners.get(key)
        if found is None:
            why = "Several of your people are" if key in self.owners else "Nobody of yours is"
            said = f"{why} called “{_cut(text)}”; imported without an owner."
            problems.append(RowProblem(number, heading, said, True))
        return found

    def _refused(self, number: int, column: str, said: str) -> Row:
        return Row(number, self.mapped.kind, "", problems=(RowProblem(number, column, said),))


def rows_of(sheet: Sheet, reader: Reader) -> Iterable[Row]:
    """Every row, in order."""
    return (reader.row(one) for one in sheet.rows)


def _facts(given: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for heading, text in given:
        yield " ".join(heading.split())[:SHORT_MOST], " ".join(text.split())


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


# -- what is there --

PhoneKey = tuple[str, str | None]


def phone_key(phone: Written) -> PhoneKey:
    """What makes two written numbers one."""
    return phone.key or phone.raw, phone.extension


@dataclass(slots=True)
class Known:
    """An entry of the book, or one that this import makes."""

    id: UUID
    kind: ClientKind
    name: str
    phones: set[PhoneKey] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    facts: set[str] = field(default_factory=set)
    notes: set[str] = field(default_factory=set)
    has_company: bool = False
    has_position: bool = False
    has_owner: bool = False
    made_here: bool = False
    """By this very import."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a row. Of one that completes: only what is to be added."""

    what: Becoming
    row: Row
    entry: Known | None = None
    phones: tuple[Written, ...] = ()
    emails: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    """Only where the entry was called by its number until now."""
    company: Known | None = None
    position: str | None = None
    owner_id: UUID | None = None
    note: str | None = None
    beside: str | None = None
    """Of a new one: who has the same number or e-mail and another name."""


class Plan:
    """Decides row by row, remembering what the rows before have made."""

    def __init__(self, known: Iterable[Known] = ()) -> None:
        self.companies: list[Known] = []
        """Those that had to be made because a row named them."""
        self._known: set[UUID] = set()
        self._by_phone: dict[str, list[Known]] = {}
        self._by_email: dict[str, list[Known]] = {}
        self._by_name: dict[tuple[ClientKind, str], Known] = {}
        for entry in known:
            self.add(entry)

    def add(self, entry: Known) -> None:
        """One more that is there, or was found again: then what the rows made of it is what counts."""
        if entry.id in self._known:
            return
        self._known.add(entry.id)
        self._index(entry)

    def _index(self, entry: Known) -> None:
        for key, _extension in entry.phones:
            if _is_number(key):
                self._remember(self._by_phone, key, entry)
        for email in entry.emails:
            self._remember(self._by_email, email, entry)
        self._by_name.setdefault((entry.kind, entry.name.casefold()), entry)

    @staticmethod
    def _remember(index: dict[str, list[Known]], key: str, entry: Known) -> None:
        there = index.setdefault(key, [])
        if entry not in there:
            there.append(entry)

    def company(self, name: str) -> Known:
        """The company of that name, made where there is none."""
        found = self._by_name.get((ClientKind.COMPANY, name.casefold()))
        if found is None:
            found = Known(uuid4(), ClientKind.COMPANY, name, made_here=True)
            self.companies.append(found)
            self.add(found)
        return found

    def decide(self, row: Row) -> Decision:
        """What becomes of it."""
        if not row.is_usable:
            return Decision(Becoming.PROBLEM, row)
        near, by_both = self._near(row)
        fitting = [one for one in near if agree(row.name, one.name)] or [
            one for one in near if one.id in by_both
        ]
        named = self._by_name.get((row.kind, row.name.casefold())) if by_name(row) else None
        if not fitting and named is not None:
            fitting = [named]
        if len(fitting) > 1:
            same = [one for one in fitting if spelled(one.name) == spelled(row.name)]
            fitting = same[:1] or fitting[:1] if _one_person(fitting) else same[:1]
            if not fitting:
                names = ", ".join(f"“{_cut(one.name)}”" for one in near[:3])
                said = f"Several entries have this number or e-mail: {names}. Say by its name which is meant."
                return Decision(Becoming.PROBLEM, _with(row, RowProblem(row.number, "", said)))
        if fitting:
            return self._completes(_with_lost_name(row, fitting[0]), fitting[0])
        return self._new(row, near[0].name if near else None)

    def _near(self, row: Row) -> tuple[list[Known], set[UUID]]:
        """Who has one of its numbers or e-mails, contacts before leads; and who of them has both."""
        companies = row.kind is ClientKind.COMPANY
        found: dict[UUID, Known] = {}
        for phone in row.phones:
            for entry in self._by_phone.get(phone.key or "", ()):
                if phone_key(phone) in entry.phones or phone.extension is None:
                    found.setdefault(entry.id, entry)
        by_number = set(found)
        by_email = {entry.id for email in row.emails for entry in self._by_email.get(email, ())}
        for email in row.emails:
            for entry in self._by_email.get(email, ()):
                found.setdefault(entry.id, entry)
        fitting = [one for one in found.values() if (one.kind is ClientKind.COMPANY) is companies]
        return sorted(fitting, key=lambda one: one.kind is ClientKind.LEAD), by_number & by_email

    def _new(self, row: Row, beside: str | None) -> Decision:
        entry = Known(uuid4(), row.kind, row.name, made_here=True)
        _complete(entry, row)
        self.add(entry)
        return Decision(
            Becoming.NEW, row, entry, row.phones, row.emails, row.tags, row.facts,
            company=self.company(row.company) if row.company else None, position=row.position,
            owner_id=row.owner_id, note=row.note, beside=beside,
        )  # fmt: skip

    def _completes(self, row: Row, entry: Known) -> Decision:
        decision = Decision(
            Becoming.COMPLETES,
            row,
            entry,
            phones=tuple(one for one in row.phones if phone_key(one) not in entry.phones),
            emails=tuple(one for one in row.emails if one not in entry.emails),
            tags=tuple(one for one in row.tags if one.casefold() not in entry.tags),
            facts={name: value for name, value in row.facts.items() if name not in entry.facts},
            name=row.name if _has_letters(row.name) and not _has_letters(entry.name) else None,
            company=self.company(row.company) if row.company and not entry.has_company else None,
            position=None if entry.has_position else row.position,
            owner_id=None if entry.has_owner else row.owner_id,
            note=row.note if row.note and row.note not in entry.notes else None,
        )
        adds = (
            decision.phones, decision.emails, decision.tags, decision.facts, decision.name, decision.company,
            decision.position, decision.owner_id, decision.note,
        )  # fmt: skip
        if not any(adds):
            return Decision(Becoming.SAME, row, entry)
        entry.name = decision.name or entry.name
        _complete(entry, row)
        self._index(entry)
        return decision


def by_name(row: Row) -> bool:
    """Whether the name alone says who they are: a company's does, and who has neither number nor e-mail has nothing else."""
    return row.kind is ClientKind.COMPANY or not (row.phones or row.emails)


def _complete(entry: Known, row: Row) -> None:
    entry.phones |= {phone_key(one) for one in row.phones}
    entry.emails |= set(row.emails)
    entry.tags |= {one.casefold() for one in row.tags}
    entry.facts |= set(row.facts)
    entry.notes |= {row.note} if row.note else set()
    entry.has_company |= row.company is not None
    entry.has_position |= row.position is not None
    entry.has_owner |= row.owner_id is not None


def _with(row: Row, problem: RowProblem) -> Row:
    return Row(row.number, row.kind, row.name, problems=(*row.problems, problem))


def _with_lost_name(row: Row, entry: Known) -> Row:
    """Said before anything is written: the entry is completed under its own name."""
    if not _has_letters(row.name) or not _has_letters(entry.name) or _words(row.name) <= _words(entry.name):
        return row
    said = f"Number and e-mail are those of “{_cut(entry.name)}”; the name “{_cut(row.name)}” is not kept."
    if agree(row.name, entry.name):
        said = f"The entry stays “{_cut(entry.name)}”; the name “{_cut(row.name)}” is not kept."
    return replace(row, problems=(*row.problems, RowProblem(row.number, "", said, True)))


def _one_person(entries: Sequence[Known]) -> bool:
    """A contact and the lead they once were, say: whichever is completed, it is the same person."""
    return len({spelled(one.name) for one in entries}) == 1


def _is_number(key: str) -> bool:
    return key[-1:].isdigit() or any(char.isdigit() for char in key)


def _has_letters(name: str) -> bool:
    return any(char.isalpha() for char in name) and "@" not in name


def agree(one: str, other: str) -> bool:
    """Whether two names are one client's: the same words in any order, two of them and nothing that contradicts, or one of
    them is no name but a number or an e-mail. A first name in common says nothing: half an office is called Anna.
    """
    if not _has_letters(one) or not _has_letters(other):
        return True
    ours, theirs = (_words(name) for name in (one, other))
    if not ours or not theirs:
        return spelled(one) == spelled(other)
    if ours == theirs or (len(ours & theirs) >= 2 and (ours <= theirs or theirs <= ours)):
        return True
    left, right = ours - theirs, theirs - ours
    return (
        bool(ours & theirs)
        and _initials(one, right)
        and _initials(other, left)
        and bool(left) is not bool(right)
    )


def _initials(name: str, words: frozenset[str]) -> bool:
    """Whether the name tells each of these words by its first letter: `I. Sokolova`."""
    letters = {word for word in spelled(name).split() if len(word) == 1}
    return all(word[0] in letters for word in words)


_FORMS = frozenset({"ooo", "oao", "zao", "pao", "ao", "ip", "ltd", "llc", "inc", "gmbh", "the", "co"})
"""What many firms have in their names says nothing of which firm it is."""


def _words(name: str) -> frozenset[str]:
    return frozenset(word for word in spelled(name).split() if len(word) > 1 and word not in _FORMS)
