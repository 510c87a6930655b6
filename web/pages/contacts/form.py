"""The form of an entry: what was typed, what it means for the entry, and what to do when somebody else was quicker.

A form carries beside each value what it was when it was opened. So when the entry changed meanwhile, everything typed is
kept, what only the other one changed is taken over, and where both changed the same, both are shown.

Numbers that are hidden from a viewer are never in their form: each is called by its place, and stays untouched unless they
types another over it or drops it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from call_records.crm.types import Client, ClientPhone, NewClient
from telephony.contacts import ClientKind
from telephony.numbers.phone_text_parser import is_recognised, written
from web.forms.field_problems import FieldProblem
from web.languages.messages import N_, Phrases, _
from web.presenters.contacts import Shown

TEXT_FIELDS: Phrases[str] = Phrases(
    {
        "name": N_("Name"),
        "company": N_("Company"),
        "position": N_("Position"),
        "owner": N_("Owner"),
        "emails": N_("E-mail"),
        "tags": N_("Tags"),
        "fields": N_("More facts"),
    }
)
"""Name of the form's field to its word."""

FIELDS_MOST = 40  # own facts of an entry; a form with more is a spreadsheet
PHONES_MOST = 40  # an imported company may have thirty branches
LENGTHS = {"name": 300, "company": 300, "position": 200, "tags": 1000, "emails": 2000}  # characters
TAG_LENGTH = 60  # characters


@dataclass(frozen=True, slots=True)
class PhoneField:
    """A number in the form."""

    place: int
    typed: str
    was: str
    """What was in the field when the form was opened; empty where the number is hidden."""
    hint: str
    """The hidden number, as far as it may be seen."""
    label: str


@dataclass(frozen=True, slots=True)
class ClientForm:
    """What stands in the form."""

    version: int
    values: Mapping[str, str]
    was: Mapping[str, str]
    phones: tuple[PhoneField, ...]
    more: str = ""
    """Numbers to be added, as pasted."""
    now: Mapping[str, str] = field(default_factory=dict)
    """Fields that somebody else changed meanwhile, with what they are now."""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Name and value of each own fact."""
        return facts_of(self.values["fields"])


@dataclass(frozen=True, slots=True)
class Typed:
    """What came back."""

    values: Mapping[str, str]
    was: Mapping[str, str]
    told: Mapping[str, str]
    version: int


def form_of(shown: Shown) -> ClientForm:
    """The form as it opens."""
    values = _values(shown)
    phones = tuple(
        PhoneField(one.place, one.raw or "", one.raw or "", "" if one.raw else one.text, one.label or "")
        for one in shown.phones
    )
    return ClientForm(shown.client.version, values, values, phones)


def _values(shown: Shown) -> dict[str, str]:
    client = shown.client
    return {
        "name": client.name,
        "company": client.company or "",
        "position": client.position or "",
        "owner": str(client.owner_id or ""),
        "emails": ", ".join(client.emails),
        "tags": ", ".join(client.tags),
        "fields": _lines(client.fields.items()),
    }


def _lines(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{_one_line(name)}{_BETWEEN}{_one_line(value)}" for name, value in facts)


_BETWEEN = "\t"  # never in a name or a value: both are one line without tabs


def facts_of(lines: str) -> list[tuple[str, str]]:
    """Own facts from their lines."""
    pairs = (line.partition(_BETWEEN) for line in lines.split("\n") if line.strip())
    return [(name.strip(), value.strip()) for name, _tab, value in pairs]


def read_form(told: Mapping[str, str]) -> Typed:
    """What was typed, tidied; own facts as lines."""
    facts = [
        (_one_line(told.get(f"fact-{at}", "")), _one_line(told.get(f"value-{at}", "")))
        for at in range(FIELDS_MOST)
    ]
    values = {
        name: _one_line(told.get(name, ""))[: LENGTHS.get(name, 500)]
        for name in TEXT_FIELDS
        if name != "fields"
    }
    values["fields"] = _lines([(name, value) for name, value in facts if name and value])
    was = {name: told.get(f"was-{name}", "").replace("\r\n", "\n") for name in TEXT_FIELDS}
    version = told.get("version", "")
    return Typed(values, was, told, int(version) if version.isdecimal() and len(version) < 10 else 0)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def field_problems(typed: Typed, region: str | None, *, needs_name: bool = True) -> list[FieldProblem]:
    """Why it cannot be kept like this, by field."""
    problems = []
    if needs_name and not typed.values["name"]:
        problems.append(FieldProblem("name", _("Please write a name.")))
    problems += _phone_problems(typed.told, region)
    wrong = next((one for one in split_emails(typed.values["emails"]) if not _EMAIL.fullmatch(one)), None)
    if wrong:
        said = _("“{text}” is not an e-mail address.").format(text=wrong[:60])
        problems.append(FieldProblem("emails", said))
    return problems


def _phone_problems(told: Mapping[str, str], region: str | None) -> Iterator[FieldProblem]:
    """Numbers in which there is none to dial. What the form opened with stays as it is."""
    for name, text in told.items():
        if name not in ("phones", "more") and not name.startswith("phone-"):
            continue
        if told.get(f"was-{name}", "").strip() == text.strip():
            continue
        wrong = next(
            (line for line in text.splitlines() if line.strip() and not _is_phone(line, region)), None
        )
        if wrong is not None:
            said = _("No phone number was recognized in “{text}”.").format(text=wrong.strip()[:60])
            yield FieldProblem(name, said)


def _is_phone(text: str, region: str | None) -> bool:
    return any(is_recognised(one) for one in written(text, region or "RU"))


_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def split_emails(text: str) -> tuple[str, ...]:
    """Several in one field, parted as people do."""
    return tuple(dict.fromkeys(one for one in re.split(r"[,;\s]+", text) if one))


def split_tags(text: str) -> tuple[str, ...]:
    """Each once, in order."""
    tags = (_one_line(one)[:TAG_LENGTH] for one in text.split(","))
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def changed_client(typed: Typed, client: Client, shown: Shown, company_id: UUID | None) -> Client:
    """The entry with what was typed; whatever still reads as it was shown stays as it is kept."""
    opened = _values(shown)
    values = {name: text for name, text in typed.values.items() if text != opened[name]}
    owner = _uuid(typed.values["owner"])
    facts = dict(facts_of(typed.values["fields"])) if "fields" in values else client.fields
    return replace(
        client,
        name=values.get("name", client.name),
        company_id=company_id,
        position=values.get("position", client.position) or None,
        owner_id=owner,
        emails=split_emails(values["emails"]) if "emails" in values else client.emails,
        tags=split_tags(values["tags"]) if "tags" in values else client.tags,
        fields=facts,
        phones=tuple(_phones(typed.told, client, shown)),
        version=typed.version,
    )


def _phones(told: Mapping[str, str], client: Client, shown: Shown) -> list[ClientPhone]:
    kept: list[ClientPhone] = []
    for phone, seen in zip(client.phones, shown.phones, strict=True):
        at = seen.place
        typed = told.get(f"phone-{at}", seen.raw or "").strip()
        label = _one_line(told.get(f"label-{at}", phone.label or ""))[:TAG_LENGTH] or None
        if told.get(f"drop-{at}") == "yes" or (seen.raw is not None and not typed):
            continue
        if not typed or typed == seen.raw:
            kept.append(replace(phone, label=label))
        else:
            kept.append(ClientPhone(typed, None, None, label))
    more = (line.strip() for line in told.get("more", "").splitlines())
    return [*kept, *(ClientPhone(line, None) for line in more if line)][:PHONES_MOST]


def after_conflict(typed: Typed, now: Shown) -> ClientForm:
    """The form again, over what the entry is by now: nothing that was typed is lost."""
    stands = _values(now)
    mine = {name for name, text in typed.values.items() if text != typed.was[name]}
    changed = {name: text for name, text in stands.items() if text != typed.was[name]}
    values = {name: typed.values[name] if name in mine else text for name, text in stands.items()}
    fresh = form_of(now)
    standing = {phone.was for phone in fresh.phones}
    return replace(
        fresh,
        values=values,
        more="\n".join(one for one in _typed_numbers(typed.told) if one not in standing),
        now={name: text for name, text in changed.items() if values[name] != text or name not in mine},
    )


def _typed_numbers(told: Mapping[str, str]) -> list[str]:
    """Numbers they wrote or rewrote. Their places may be others' by now, so they are offered as new ones."""
    rewritten = [
        text.strip()
        for at in range(PHONES_MOST)
        if (text := told.get(f"phone-{at}", "")).strip() and text.strip() != told.get(f"was-phone-{at}", "")
    ]
    return [*rewritten, *(line.strip() for line in told.get("more", "").splitlines() if line.strip())]


def again(typed: Typed, shown: Shown) -> ClientForm:
    """The form as it was sent, after a mistake in it."""
    phones = tuple(
        replace(one, typed=typed.told.get(f"phone-{one.place}", one.typed)) for one in form_of(shown).phones
    )
    return ClientForm(shown.client.version, typed.values, typed.was, phones, typed.told.get("more", ""))


def new_client(typed: Typed, kind: ClientKind, company_id: UUID | None) -> NewClient:
    """The entry that the small form describes."""
    return NewClient(
        kind=kind,
        name=typed.values["name"],
        phones=tuple(line.strip() for line in typed.told.get("phones", "").splitlines() if line.strip()),
        emails=split_emails(typed.values["emails"]),
        company_id=company_id,
        owner_id=_uuid(typed.values["owner"]),
        tags=split_tags(typed.values["tags"]),
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
