"""Who an outside party is: contacts, companies and leads, their written numbers, and the policy that picks one of several.

Pure decisions. The book (`call_records.book`) finds candidates by one indexed query; `decide` says which of them the call
is with and why, in an order that people can be told. A choice made by a person for a number goes before every rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ClientKind(StrEnum):
    """What an entry of the book is. A lead is somebody who is not yet worth more than a name and a number."""

    CONTACT = "contact"
    COMPANY = "company"
    LEAD = "lead"


class LeadState(StrEnum):
    """Where a lead is. Only an open one is matched before contacts of the same number are looked for."""

    OPEN = "open"
    CONVERTED = "converted"
    REJECTED = "rejected"


class MatchRule(StrEnum):
    """Why an entry was chosen, strongest first."""

    CHOSEN = "chosen"
    """A person said that this number is this client's."""
    ONLY = "only"
    """The only entry with exactly this number."""
    OPEN_DEAL = "open_deal"
    """Of several with this number, the only one with an open deal."""
    LAST_SPOKEN = "last_spoken"
    """Of several with this number, the one spoken to last."""
    LAST_DIGITS = "last_digits"
    """The only entry whose number ends in the same ten digits."""
    BY_HAND = "by_hand"
    """A person put this very call here."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry of the book whose number fits."""

    id: UUID
    kind: ClientKind
    name: str
    company: str | None
    owner_id: UUID | None
    field: str
    """The label of the number that fitted (`mobile`, `phone 2`)."""
    written: str
    """That number as it is written in the book."""
    exact: bool
    """The whole number is the same; otherwise only the last ten digits are."""
    spoken_at: datetime | None = None
    """When somebody of ours last talked with them."""
    open_deals: int = 0
    state: LeadState | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Which entry a number stands for and why. `chosen` is None when nobody knows the number, or several fit alike."""

    asked: str
    """The number as it came in, in the PBX's own spelling."""
    chosen: Candidate | None
    rule: MatchRule | None
    others: tuple[Candidate, ...] = ()
    """Who else has this number, last spoken first: the chooser."""

    @property
    def known(self) -> bool:
        """Whether anybody in the book has this number."""
        return self.chosen is not None or bool(self.others)
