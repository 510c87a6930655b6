"""Lead rules: what a call makes in the book. A table that can be read, and an answer that says which line decided.

The first line that fits decides. Nothing is ever made of an internal call, of a withheld or short number, or of a number
on the blocklist.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


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
    """Working minutes until it is due."""
