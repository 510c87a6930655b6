"""What each person should see of a call right now: the card, and when it opens and closes.

Pure decisions over call facts. A card opens for a person whose own phone rings (or talks, by preference), stays while
that phone is in the call, and is closed for everybody else as soon as somebody answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from telephony.facts import CallFacts, Leg, LegRole, LegState, PartyKind
from telephony.staff import PopPreference


class CardState(StrEnum):
    """What the person's own phone is doing in the call that the card shows."""

    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"  # after his conversation: the note can still be finished


@dataclass(frozen=True, slots=True)
class Card:
    """What a manager sees on ring: who, how they came, who else rings."""

    call_id: UUID
    extension: str
    state: CardState
    other_number: str | None
    """E.164 (or an extension) of the other side; None when the number is withheld."""
    other_raw: str
    other_name: str | None
    inbound: bool
    did: str | None
    queue: str | None
    transferred_by: str | None
    """Extension that handed the call over to this phone, if one did."""
    also_ringing: tuple[str, ...]
    since: str
    """ISO time at which the present state began; the page lets the seconds tick from it."""


def card_for(facts: CallFacts, extension: str, preference: PopPreference) -> Card | None:
    """The card the owner of `extension` should see for this call now, or None."""
    raise NotImplementedError


def other_side(facts: CallFacts, extension: str) -> Leg | None:
    """The party this extension talks to or is called by: the client, even after transfers."""
    raise NotImplementedError


def _unused() -> tuple[object, ...]:
    return (LegRole, LegState, PartyKind)
