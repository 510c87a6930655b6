"""Lead rules: what a call makes in the book. A table that can be read, and an answer that says which line decided.

The first line that fits decides. Nothing is ever made of an internal call, of a withheld or short number, or of a number
on the blocklist. Pure: `call_records.crm.lead_rules.apply` carries out what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from telephony.call_facts.facts import CallFacts, Direction, Disposition, LegRole, PartyKind
from telephony.numbers.numbers import SHORTEST_OUTSIDE


class Outcome(StrEnum):
    """How the call came out, as far as rules care."""

    INBOUND_ANSWERED = "inbound_answered"
    MISSED = "missed"
    ABANDONED = "abandoned"
    OUTBOUND_ANSWERED = "outbound_answered"
    OUTBOUND_UNANSWERED = "outbound_unanswered"
    FORM = "form"
    """No call at all: somebody filled in a form on the web site."""


class Known(StrEnum):
    """What the book knew of the number."""

    UNKNOWN = "unknown"
    KNOWN = "known"
    KNOWN_WITHOUT_OPEN_DEAL = "known_without_open_deal"


class Making(StrEnum):
    """What is made."""

    NOTHING = "nothing"
    CONTACT = "contact"
    LEAD = "lead"
    DEAL = "deal"
    """In the rule's pipeline and stage, if none is open; for an unknown number with a contact."""


class OwnerRule(StrEnum):
    """Whose it becomes."""

    ANSWERED_BY = "answered_by"
    FIRST_RUNG = "first_rung"
    OWNER_OF_CONTACT = "owner_of_contact"
    TEAM_ROTA = "team_rota"
    """The member of the rule's team whose turn it is."""
    NAMED = "named"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class LeadRule:
    """One line of the table. None means: any."""

    id: UUID
    place: int
    did: str | None
    """E.164 of the called (inbound) or shown (outbound) number of ours."""
    outcome: Outcome | None
    known: Known | None
    making: Making
    pipeline_id: UUID | None = None
    stage_id: UUID | None = None
    owner: OwnerRule = OwnerRule.ANSWERED_BY
    owner_id: UUID | None = None
    """With `NAMED`."""
    team: str | None = None
    """With `TEAM_ROTA`."""
    task: str | None = None
    """A task for the owner; None for none."""
    task_minutes: int | None = None
    """Working minutes until it is due; None: without a deadline."""


class Refusal(StrEnum):
    """Why nothing is made, whatever the table says."""

    NOBODY = "nobody"
    """No outside number: an internal call, or the caller withheld it."""
    SHORT = "short"
    """A service number, a feature code, or digits that nobody could call back."""
    BLOCKED = "blocked"
    FLOOD = "flood"
    """More unknown callers of this line in ten minutes than an office gets."""
    SEVERAL = "several"
    """Several entries have this number alike; a person says first which of them it is."""
    NO_LINE = "no_line"
    """No line of the table fits."""


FLOOD_MOST = 30  # new entries; the busiest small office we know of gets a third of that from an advertisement on the radio
FLOOD_MINUTES = 10.0  # within which they are counted, for each line of ours


# -- what a call says --

_INBOUND = {
    Disposition.ANSWERED: Outcome.INBOUND_ANSWERED,
    Disposition.MISSED: Outcome.MISSED,
    Disposition.BUSY: Outcome.MISSED,
    Disposition.DECLINED: Outcome.MISSED,
    Disposition.NO_ANSWER: Outcome.MISSED,
    Disposition.VOICEMAIL: Outcome.ABANDONED,
    Disposition.ABANDONED: Outcome.ABANDONED,
}
"""Busy and declined are missed: the caller wanted one of us and got nobody. A voice mail is a call nobody took, whether or
not the caller said something."""


def outcome_of(facts: CallFacts) -> Outcome | None:
    """How the call came out; None while nobody can know, and for calls that rules say nothing about.

    An answer decides at once; everything else is decided by the end, because until then somebody may still pick up.
    """
    if facts.direction is Direction.INTERNAL:
        return None
    if facts.disposition is Disposition.ANSWERED:
        return Outcome.INBOUND_ANSWERED if _inbound(facts) else Outcome.OUTBOUND_ANSWERED
    if not facts.ended:
        return None
    if not _inbound(facts):
        return Outcome.OUTBOUND_UNANSWERED
    # Failed: all phones unreachable, or the caller never got as far as a phone. None: nothing tells why nobody answered.
    if facts.disposition in (Disposition.FAILED, None):
        return Outcome.MISSED if first_rung(facts) else None
    return _INBOUND[facts.disposition]


def _inbound(facts: CallFacts) -> bool:
    return facts.direction is Direction.INBOUND


def decided_at(facts: CallFacts, outcome: Outcome) -> datetime:
    """The moment of the outcome: the answer, or the end."""
    answered = outcome in (Outcome.INBOUND_ANSWERED, Outcome.OUTBOUND_ANSWERED)
    return (facts.answered_at if answered else facts.ended_at) or facts.ended_at or facts.started_at


def first_talker(facts: CallFacts) -> str | None:
    """The extension of ours that talked first; of an outbound call the one that called."""
    if not _inbound(facts):
        return facts.caller.number
    return facts.answered_by if facts.answered_by in _ours(facts) else None


def first_rung(facts: CallFacts) -> str | None:
    """The extension of ours that rang first; of an outbound call the one that called. Of a group that rang together: the
    first that was told of.
    """
    if not _inbound(facts):
        return facts.caller.number
    rung = [leg for leg in facts.legs if leg.kind is PartyKind.EXTENSION and leg.role is LegRole.CALLEE]
    rang = [(leg.rang_at, place, leg.party) for place, leg in enumerate(rung) if leg.rang_at is not None]
    return min(rang)[2] if rang else rung[0].party if rung else None


def _ours(facts: CallFacts) -> frozenset[str]:
    return frozenset(leg.party for leg in facts.legs if leg.kind is PartyKind.EXTENSION)


def can_be_called_back(number: str) -> bool:
    """Whether something may be made for it: a whole number, not a service, an extension of somebody or a feature code."""
    digits = sum(char.isdigit() for char in number)
    return digits >= SHORTEST_OUTSIDE and "*" not in number and "#" not in number


# -- which line --


def fits(rule: LeadRule, *, did: str | None, outcome: Outcome, known: Known) -> bool:
    """Whether the line is about such a call. `KNOWN` is everybody known, with or without an open deal."""
    return (
        (rule.did is None or rule.did == did)
        and (rule.outcome is None or rule.outcome is outcome)
        and (rule.known is None or rule.known is known or (rule.known is Known.KNOWN and _is_known(known)))
    )


def _is_known(known: Known) -> bool:
    return known is not Known.UNKNOWN


def deciding(
    rules: Sequence[LeadRule], *, did: str | None, outcome: Outcome, known: Known
) -> LeadRule | None:
    """The first line that fits, in the order of their places; None when none does: then nothing is made."""
    ordered = sorted(rules, key=lambda rule: rule.place)
    return next((rule for rule in ordered if fits(rule, did=did, outcome=outcome, known=known)), None)


def makes_of(rule: LeadRule, known: Known, *, lead: bool = False) -> Making:
    """What the line makes of somebody who is known so. Nobody is entered twice, and an open lead gets no deal by a rule:
    turning it into a contact is for a person to decide.
    """
    if known is Known.UNKNOWN:
        return rule.making
    if rule.making is Making.DEAL and known is Known.KNOWN_WITHOUT_OPEN_DEAL and not lead:
        return Making.DEAL
    return Making.NOTHING


def unreachable(rules: Sequence[LeadRule]) -> Mapping[UUID, LeadRule]:
    """The lines that never decide anything, each with the earlier line that takes all its calls."""
    found: dict[UUID, LeadRule] = {}
    ordered = sorted(rules, key=lambda rule: rule.place)
    for place, rule in enumerate(ordered):
        above = next((earlier for earlier in ordered[:place] if _covers(earlier, rule)), None)
        if above is not None:
            found[rule.id] = above
    return found


def _covers(earlier: LeadRule, later: LeadRule) -> bool:
    return (
        earlier.did in (None, later.did)
        and earlier.outcome in (None, later.outcome)
        and (
            earlier.known in (None, later.known)
            or (earlier.known is Known.KNOWN and later.known is Known.KNOWN_WITHOUT_OPEN_DEAL)
        )
    )


def next_in_turn(members: Sequence[UUID], last: UUID | None) -> UUID | None:
    """Whose turn it is in a team: the one after `last`, in the team's order; the first when `last` has left."""
    if not members:
        return None
    return members[(members.index(last) + 1) % len(members)] if last in members else members[0]
