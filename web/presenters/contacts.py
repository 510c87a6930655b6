"""How an entry of the book is shown: its words, its numbers, and what of it a viewer may see.

Nothing that was hidden here ever reaches a template. A number is hidden wherever it can stand: in the list of numbers, in
the name of a lead that is known by nothing else, and in sentences that the service wrote itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from call_records.crm.types import Client, ClientPhone, Deal
from telephony.contacts import ClientKind, LeadState
from web.languages.messages import N_, Phrases, _
from web.presenters.labels import display_number
from web.presenters.masking import View, mask
from web.presenters.money import money as money  # templates say it with the words of people

KIND_WORDS: Phrases[ClientKind] = Phrases(
    {
        ClientKind.CONTACT: N_("Contact"),
        ClientKind.COMPANY: N_("Company"),
        ClientKind.LEAD: N_("Lead"),
    }
)

KINDS_WORDS: Phrases[ClientKind] = Phrases(
    {
        ClientKind.CONTACT: N_("Contacts"),
        ClientKind.COMPANY: N_("Companies"),
        ClientKind.LEAD: N_("Leads"),
    }
)

LEAD_WORDS: Phrases[LeadState] = Phrases(
    {
        LeadState.OPEN: N_("Open"),
        LeadState.CONVERTED: N_("Converted"),
        LeadState.REJECTED: N_("Rejected"),
    }
)

SOURCE_WORDS: Phrases[str] = Phrases(
    {
        "call": N_("from a call"),
        "form": N_("from a web form"),
        "import": N_("from an imported file"),
        "hand": N_("by hand"),
        "api": N_("by a program"),
    }
)

CHANGE_WORDS: Phrases[str] = Phrases(
    {
        "name": N_("Name:"),
        "company": N_("Company:"),
        "phones": N_("Numbers:"),
        "removed": N_("Removed from the book"),
        "restored": N_("Put back into the book"),
        "unmerged": N_("No longer one entry with"),
        "import": N_("Completed from the file"),
    }
)
"""What a change of an entry is called on its timeline; `what` of the told data."""

STATE_CHANGE_WORDS: Phrases[str] = Phrases(
    {
        LeadState.OPEN: N_("Lead opened again"),
        LeadState.REJECTED: N_("Lead rejected"),
    }
)


def change_word(data: Mapping[str, Any]) -> str:
    """What was changed, as the timeline's line begins."""
    if data.get("what") == "state":
        return STATE_CHANGE_WORDS.get(str(data.get("to")), _("Changed"))
    return CHANGE_WORDS.get(str(data.get("what")), _("Changed"))


_NUMBER = re.compile(r"\+?\d(?:[\s().\-–/]*\d){6,}")
"""Seven digits or more with what people write between them; fewer is an extension, a price or a year."""


@dataclass(frozen=True, slots=True)
class ShownPhone:
    """A number as a page shows it."""

    place: int
    """Where it stands among the entry's numbers: what a form that hides it calls it by."""
    text: str
    dial: str | None
    """For a `tel:` link and for copying; None when it is hidden or no number."""
    raw: str | None
    """As it was written; None when it is hidden."""
    extension: str | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as this viewer may see it."""

    client: Client
    phones: tuple[ShownPhone, ...]

    @property
    def has_name(self) -> bool:
        """Whether it is called by more than its number."""
        return any(char.isalpha() for char in self.client.name)

    @property
    def name(self) -> str:
        """Never empty: a page links it. An entry that a call made is named after its number until somebody knows better."""
        if self.has_name:
            return self.client.name
        if self.phones or self.client.name:
            return (
                _("Unknown caller")
                if self.client.kind is ClientKind.LEAD
                else self.client.name or _("No name")
            )
        return _("No name")

    @property
    def first_phone(self) -> ShownPhone | None:
        """The one that a list has room for."""
        return self.phones[0] if self.phones else None


def show_client(client: Client, view: View, region: str | None) -> Shown:
    """The entry without what this view may not see."""
    phones = tuple(_phone(place, phone, view, region) for place, phone in enumerate(client.phones))
    if not view.numbers_masked:
        return Shown(client, phones)
    hidden = replace(
        client,
        name=mask_in(client.name),
        company=mask_in(client.company) if client.company else client.company,
        phones=(),
        fields={name: mask_in(value) for name, value in client.fields.items()},
    )
    return Shown(hidden, phones)


def show_clients(clients: Iterable[Client], view: View, region: str | None) -> list[Shown]:
    """Several."""
    return [show_client(client, view, region) for client in clients]


def _phone(place: int, phone: ClientPhone, view: View, region: str | None) -> ShownPhone:
    text = phone_text(phone, region)
    if view.numbers_masked:
        return ShownPhone(place, mask(text), None, None, None, phone.label)
    dial = phone.key if phone.key and any(char.isdigit() for char in phone.key) else None
    return ShownPhone(place, text, dial, phone.raw, phone.extension, phone.label)


def phone_text(phone: ClientPhone, region: str | None) -> str:
    """In national spacing where it is a whole number; else as it was written."""
    return display_number(phone.key, region) if phone.key and phone.key.startswith("+") else phone.raw


def say(text: str, view: View) -> str:
    """A text as this view may read it."""
    return mask_in(text) if view.numbers_masked else text


def mask_in(text: str) -> str:
    """The text with every telephone number in it hidden but for its last two digits."""
    return _NUMBER.sub(lambda found: mask(found.group()), text)


def told_money(amount: object, currency: object, region: str | None = None) -> str:
    """A sum as the timeline keeps it: JSON's number."""
    return money(Decimal(str(amount)), str(currency), region) if isinstance(amount, int | float) else ""


def deal_title(deal: Deal, view: View) -> str:
    """Deals made by a rule are named after the caller."""
    return say(deal.title, view)
