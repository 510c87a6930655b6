"""What each person should see of a call right now: the card, and when it opens and closes.

Pure decisions over call facts. A card opens for a person whose own phone rings (or talks, by preference),
stays while that phone is in the call, and is closed for everybody else as soon as somebody answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from telephony.call_facts.facts import (
    CallFacts,
    Direction,
    Leg,
    LegOutcome,
    LegRole,
    LegState,
    PartyKind,
    State,
    Transfer,
    TransferResult,
    iso,
)
from telephony.staff import PopPreference


class CardState(StrEnum):
    """What the person's own phone is doing in the call that the card shows."""

    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    VOICEMAIL = "voicemail"  # nobody was reached; the person speaks with a mailbox
    ENDED = "ended"  # after their conversation: the note can still be finished


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
    """Whether the other side called this phone; False when the owner of the phone dialled."""
    did: str | None
    queue: str | None
    transferred_by: str | None
    """Extension that handed the call over to this phone, if one did."""
    also_ringing: tuple[str, ...]
    since: str
    """ISO time at which the present state began; the page lets the seconds tick from it."""


def card_for(facts: CallFacts, extension: str, preference: PopPreference) -> Card | None:
    """The card the owner of `extension` should see for this call now, or None.

    A phone that rang and never talked has no card once it stops ringing; one that talked keeps an ended
    card, because the note may not be finished.
    """
    if preference is PopPreference.NEVER:
        return None
    leg = facts.leg_of(extension)
    state = _card_state(facts, leg)
    if leg is None or state is None:
        return None
    if state is CardState.RINGING and preference is PopPreference.ON_ANSWER:
        return None
    number, raw, name = _other_names(facts, extension)
    return Card(
        call_id=facts.id,
        extension=extension,
        state=state,
        other_number=number,
        other_raw=raw,
        other_name=name,
        inbound=leg.role is LegRole.CALLEE,
        did=facts.did,
        queue=facts.queue.name if facts.queue else None,
        transferred_by=_handed_over_by(facts, leg),
        also_ringing=_also_ringing(facts, extension) if state is CardState.RINGING else (),
        since=_since(facts, leg, state),
    )


def other_side(facts: CallFacts, extension: str) -> Leg | None:
    """The party this extension talks to or is called by: the client, even after transfers.

    An outside party always comes before a colleague: the target of a transfer sees the client, not who
    handed over.
    """
    others = [leg for leg in facts.legs if leg.party != extension and leg.kind is not PartyKind.SERVICE]
    outside = [leg for leg in others if leg.kind is PartyKind.OUTSIDE]
    if facts.direction is Direction.INBOUND:
        callers = [leg for leg in outside if leg.role is LegRole.CALLER]
        return _most_present(callers or outside or others)
    return _most_present(outside or others)


def _most_present(legs: list[Leg]) -> Leg | None:
    """Of several: who is in the call now, else who was, else who was tried last."""

    def presence(leg: Leg) -> int:
        if leg.state in (LegState.TALKING, LegState.HELD):
            return 3
        if leg.state is not LegState.ENDED:
            return 2
        return 1 if leg.answered_at else 0

    best: Leg | None = None
    for leg in legs:
        if best is None or presence(leg) >= presence(best):
            best = leg
    return best


def voicemail_since(facts: CallFacts) -> datetime:
    """Since when the caller has been in the mailbox."""
    spans = (span.since for leg in facts.legs for span in leg.intervals if span.doing == "voicemail")
    return max(spans, default=facts.started_at)


def _card_state(facts: CallFacts, leg: Leg | None) -> CardState | None:
    if leg is None:
        return None
    talked = any(_talked(part) for part in facts.legs if part.party == leg.party)
    if facts.state is State.ENDED or leg.state is LegState.ENDED:
        return CardState.ENDED if talked else None
    if leg.state is LegState.RINGING:
        return CardState.RINGING
    if leg.state is LegState.TALKING:
        return CardState.TALKING
    if leg.state is LegState.HELD:
        return CardState.HELD
    if facts.state is State.VOICEMAIL and leg.role is LegRole.CALLER:
        return CardState.VOICEMAIL
    # WAITING: the owner's phone is up with nobody. Dialling shows the ringing card; a parked or queued
    # other side after a conversation shows it as held.
    return CardState.HELD if talked else CardState.RINGING


def _talked(leg: Leg) -> bool:
    if leg.talk_seconds > 0 or leg.outcome is LegOutcome.ANSWERED:
        return True
    return leg.role is LegRole.CALLEE and leg.answered_at is not None


def _other_names(facts: CallFacts, extension: str) -> tuple[str | None, str, str | None]:
    """Number, raw spelling and name of the other side."""
    other = other_side(facts, extension)
    caller = facts.caller
    if other is None:
        own = facts.leg_of(extension)
        if own is not None and own.role is LegRole.CALLER:
            return facts.requested, facts.requested or "", None
        return caller.number, caller.raw, caller.name
    if other.role is LegRole.CALLER:
        return caller.number, caller.raw, other.name or caller.name
    return other.party, other.party, other.name


def _handed_over_by(facts: CallFacts, leg: Leg) -> str | None:
    """Who handed the call to this phone, or to the queue or group for which it then rang."""
    for transfer in reversed(facts.transfers):
        if transfer.result is TransferResult.FAILED or transfer.by == leg.party:
            continue
        if transfer.to == leg.party or (_to_no_phone(facts, transfer) and _came_after(leg, transfer)):
            return transfer.by
    return _asked_by(facts, leg)


def _to_no_phone(facts: CallFacts, transfer: Transfer) -> bool:
    phone = facts.leg_of(transfer.to) if transfer.to else None
    return phone is None or phone.kind is PartyKind.SERVICE


def _came_after(leg: Leg, transfer: Transfer) -> bool:
    """Not in the call yet when it was handed over; ringing already is no matter: the one who asked may have let it ring.
    A phone may also ring again in a call it was in before.
    """
    rung = [one for one in leg.intervals if one.doing == "ringing"]
    begun = rung[-1].until if rung else leg.answered_at or leg.ended_at
    return begun is None or begun >= transfer.at


def _asked_by(facts: CallFacts, leg: Leg) -> str | None:
    """A phone that begins to ring while a colleague has the client is being asked by them: by feature code this is one
    call for a moment, and a transfer only once it is completed.
    """
    if leg.role is LegRole.CALLER or facts.direction is Direction.INTERNAL:
        return None
    for other in reversed(facts.legs):
        if other.kind is PartyKind.EXTENSION and other.party != leg.party and _was_busy_when_rang(other, leg):
            return other.party
    return None


def _was_busy_when_rang(other: Leg, leg: Leg) -> bool:
    if other.answered_at is None:
        return False
    if leg.rang_at is None:  # dialled, not ringing yet
        return leg.state is LegState.RINGING and other.ended_at is None
    return other.answered_at < leg.rang_at and (other.ended_at is None or other.ended_at > leg.rang_at)


def _also_ringing(facts: CallFacts, extension: str) -> tuple[str, ...]:
    ringing = (
        leg.party
        for leg in facts.legs
        if leg.state is LegState.RINGING
        and leg.role is LegRole.CALLEE
        and leg.kind is PartyKind.EXTENSION
        and leg.party != extension
    )
    return tuple(dict.fromkeys(ringing))


def _since(facts: CallFacts, leg: Leg, state: CardState) -> str:
    if state is CardState.ENDED:
        return iso(leg.ended_at or facts.ended_at or facts.started_at)
    if leg.intervals and leg.intervals[-1].until is None:
        return iso(leg.intervals[-1].since)
    if state is CardState.RINGING:
        return iso(leg.rang_at or facts.started_at)
    return iso(leg.answered_at or leg.rang_at or facts.started_at)
