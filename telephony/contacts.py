"""Who an outside party is: contacts, companies and leads, their written numbers, and the policy that picks one of several.

Pure decisions. The book (`call_records.crm`) finds candidates by one indexed query; `decide` says which of them the call
is with and why, in an order that people can be told:

1. Whoever a person chose for this number.
2. The only entry with exactly this number. A company stands back behind its own contacts, and a rejected lead behind
   everybody: they are asked only when nobody else has the number.
3. Of several, the only one with an open deal.
4. Nobody: several fit alike, and a guess would put the call on the wrong page. They are shown, last spoken first.
5. Where nobody has exactly this number: the only entry that ends in the same ten digits. The book asks for those only
   where one side is written without a certain country; two countries' numbers are two people.

An entry of which a person said that it is not this number's is left out everywhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
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
    """Where a lead is. A rejected one is matched only where nobody else has the number."""

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
    company_id: UUID | None = None
    """Of a contact: whose number theirs may be."""


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


def decide(
    asked: str,
    candidates: Iterable[Candidate],
    chosen_before: UUID | None = None,
    never: Collection[UUID] = (),
) -> Match:
    """Who this number stands for.

    `chosen_before` is the entry that a person chose for it; `never` are those of which a person said that they are not it.
    """
    fitting = _last_spoken_first(one for one in candidates if one.id not in never)
    taught = next((one for one in fitting if one.id == chosen_before), None)
    if taught is not None:
        return _chosen(asked, taught, MatchRule.CHOSEN, fitting)
    exact = [one for one in fitting if one.exact]
    wanted = _foremost(exact or fitting)
    if len(wanted) == 1:
        return _chosen(asked, wanted[0], MatchRule.ONLY if exact else MatchRule.LAST_DIGITS, fitting)
    with_deal = [one for one in wanted if one.open_deals] if exact else []
    if len(with_deal) == 1:
        return _chosen(asked, with_deal[0], MatchRule.OPEN_DEAL, fitting)
    return Match(asked, None, None, tuple(exact or fitting))


def _chosen(asked: str, chosen: Candidate, rule: MatchRule, fitting: list[Candidate]) -> Match:
    others = tuple(one for one in fitting if one.id != chosen.id and (one.exact or not chosen.exact))
    return Match(asked, chosen, rule, others)


def _foremost(fitting: list[Candidate]) -> list[Candidate]:
    """Those who come into question before the others: no rejected lead, no company whose contact has the number too."""
    wanted = [one for one in fitting if one.state is not LeadState.REJECTED] or fitting
    employers = {one.company_id for one in wanted}
    return [one for one in wanted if one.id not in employers]


def _last_spoken_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Rejected leads at the end; those nobody ever talked with by name, so that the order is the same each time."""
    by_name = sorted(candidates, key=lambda one: (one.name.casefold(), str(one.id)))
    spoken = sorted(
        by_name, key=lambda one: one.spoken_at.timestamp() if one.spoken_at else 0.0, reverse=True
    )
    return sorted(spoken, key=lambda one: one.state is LeadState.REJECTED)
