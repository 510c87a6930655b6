"""Calls of a fictional office, built step by step: what the tests and the page preview show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from telephony.call_facts.facts import (
    Caller,
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Hold,
    Interval,
    Leg,
    LegOutcome,
    LegRole,
    LegState,
    PartyKind,
    QueueVisit,
    State,
    Transfer,
    TransferKind,
    TransferResult,
    TransferVia,
)

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
CLIENT = "+79160000012"
DID = "+74950000001"


def s(seconds: float, begin: datetime = NOON) -> datetime:
    """So many seconds after the beginning."""
    return begin + timedelta(seconds=seconds)


def outside(number: str = CLIENT, *, name: str | None = None, role: LegRole = LegRole.CALLER) -> Leg:
    """The client's part, up and waiting."""
    return Leg(number, PartyKind.OUTSIDE, role, name, LegState.WAITING, None, None, None, 0.0, None)


def ours(extension: str, begin: datetime = NOON, *, rang: float = 0, role: LegRole = LegRole.CALLEE) -> Leg:
    """One of our phones, ringing."""
    ringing = (Interval("ringing", s(rang, begin), None),)
    return Leg(
        extension,
        PartyKind.EXTENSION,
        role,
        None,
        LegState.RINGING,
        s(rang, begin),
        None,
        None,
        0.0,
        None,
        ringing,
    )


def answered(leg: Leg, at: datetime) -> Leg:
    """The phone was picked up."""
    intervals = (*_closed(leg, at), Interval("talking", at, None))
    return replace(
        leg, state=LegState.TALKING, answered_at=at, outcome=LegOutcome.ANSWERED, intervals=intervals
    )


def stopped(leg: Leg, at: datetime, outcome: LegOutcome = LegOutcome.ANSWERED_ELSEWHERE) -> Leg:
    """The phone stopped ringing."""
    return replace(leg, state=LegState.ENDED, ended_at=at, outcome=outcome, intervals=_closed(leg, at))


def hung_up(leg: Leg, at: datetime) -> Leg:
    """The conversation of this party ended."""
    talk = (at - leg.answered_at).total_seconds() if leg.answered_at else 0.0
    return replace(leg, state=LegState.ENDED, ended_at=at, talk_seconds=talk, intervals=_closed(leg, at))


def _closed(leg: Leg, at: datetime) -> tuple[Interval, ...]:
    return tuple(replace(i, until=at) if i.until is None else i for i in leg.intervals)


def ringing(
    *extensions: str,
    number: str | None = CLIENT,
    name: str | None = None,
    begin: datetime = NOON,
    call_id: UUID | None = None,
    queue: str | None = None,
    direction: Direction = Direction.INBOUND,
) -> CallFacts:
    """A client calls and these phones ring."""
    visit = QueueVisit(queue, None, extensions, None, begin) if queue else None
    client = replace(outside(number or "anonymous", name=name), intervals=(Interval("waiting", begin, None),))
    return CallFacts(
        id=call_id or uuid4(),
        pbx="hq",
        direction=direction,
        state=State.QUEUED if queue else State.RINGING,
        caller=Caller(number, number or "anonymous", name, number is None),
        did=DID,
        requested=extensions[0] if extensions else DID,
        disposition=None,
        answered_by=None,
        final_party=None,
        started_at=begin,
        answered_at=None,
        ended_at=None,
        ring_seconds=None,
        wait_seconds=None,
        talk_seconds=0.0,
        hold_seconds=0.0,
        ended_by=None,
        hangup_cause=None,
        legs=(client, *(ours(extension, begin) for extension in extensions)),
        transfers=(),
        holds=(),
        queue=visit,
        parked=(),
        missed_by=(),
        recordings=(),
        certainty=Certainty.OBSERVED,
        consultation_of=None,
    )


def picked_up(facts: CallFacts, extension: str, after: float = 6) -> CallFacts:
    """One of the ringing phones takes it; the others stop."""
    at = s(after, facts.started_at)
    legs = []
    for leg in facts.legs:
        if leg.kind is PartyKind.OUTSIDE or leg.party == extension:
            legs.append(answered(leg, at))
        else:
            legs.append(stopped(leg, at) if leg.ended_at is None else leg)
    queue = replace(facts.queue, answered_by=extension, wait_seconds=after) if facts.queue else None
    return replace(
        facts,
        state=State.TALKING,
        disposition=Disposition.ANSWERED,
        answered_by=extension,
        final_party=extension,
        answered_at=at,
        ring_seconds=after,
        legs=tuple(legs),
        queue=queue,
    )


def transferred(facts: CallFacts, by: str, to: str, after: float) -> CallFacts:
    """A blind transfer: the first phone leaves, the other rings."""
    at = s(after, facts.started_at)
    legs = [hung_up(leg, at) if leg.party == by else leg for leg in facts.legs]
    target = ours(to, at)
    move = Transfer(TransferKind.BLIND, TransferVia.SIP, by, to, TransferResult.COMPLETED, at)
    return replace(facts, legs=(*legs, target), transfers=(*facts.transfers, move))


def target_answers(facts: CallFacts, extension: str, after: float) -> CallFacts:
    """The target of a transfer picks up."""
    at = s(after, facts.started_at)
    legs = tuple(answered(leg, at) if leg.party == extension else leg for leg in facts.legs)
    return replace(facts, legs=legs, final_party=extension)


def over(facts: CallFacts, after: float, ended_by: str = "caller") -> CallFacts:
    """Everybody hangs up after an answered call."""
    at = s(after, facts.started_at)
    talk = (at - facts.answered_at).total_seconds() if facts.answered_at else 0.0
    legs = tuple(leg if leg.ended_at else hung_up(leg, at) for leg in facts.legs)
    return replace(facts, state=State.ENDED, ended_at=at, legs=legs, talk_seconds=talk, ended_by=ended_by)


def missed(facts: CallFacts, after: float = 25) -> CallFacts:
    """Nobody answers."""
    at = s(after, facts.started_at)
    legs = tuple(
        stopped(leg, at, LegOutcome.NO_ANSWER) if leg.kind is PartyKind.EXTENSION else hung_up(leg, at)
        for leg in facts.legs
    )
    return replace(
        facts,
        state=State.ENDED,
        disposition=Disposition.ABANDONED if facts.queue else Disposition.MISSED,
        ended_at=at,
        ring_seconds=after,
        legs=legs,
        ended_by="caller",
        missed_by=() if facts.queue else tuple(leg.party for leg in legs if leg.kind is PartyKind.EXTENSION),
    )


def held(facts: CallFacts, by: str, since: float, seconds: float) -> CallFacts:
    """One of us put the client on hold and came back."""
    hold = Hold(by, seconds, s(since, facts.started_at))
    legs = []
    for leg in facts.legs:
        if leg.kind is not PartyKind.OUTSIDE:
            legs.append(leg)
            continue
        done = _closed(leg, hold.at)
        back = s(since + seconds, facts.started_at)
        more = (Interval("held", hold.at, back), Interval("talking", back, None))
        legs.append(replace(leg, intervals=(*done, *more)))
    return replace(facts, holds=(*facts.holds, hold), hold_seconds=seconds, legs=tuple(legs))


def outgoing(extension: str, to: str = CLIENT, *, begin: datetime = NOON, talk: float = 42) -> CallFacts:
    """One of us called a client, who answered after five seconds."""
    base = ringing(begin=begin, direction=Direction.OUTBOUND)
    at, end = s(5, begin), s(5 + talk, begin)
    mine = hung_up(answered(ours(extension, begin, role=LegRole.CALLER), at), end)
    theirs = replace(
        outside(to, role=LegRole.CALLEE), rang_at=begin, intervals=(Interval("ringing", begin, None),)
    )
    return replace(
        base,
        state=State.ENDED,
        caller=Caller(extension, extension, None, False),
        did=None,
        requested=to,
        disposition=Disposition.ANSWERED,
        answered_by=to,
        final_party=to,
        answered_at=at,
        ended_at=end,
        ring_seconds=5.0,
        talk_seconds=talk,
        ended_by="caller",
        legs=(mine, hung_up(answered(theirs, at), end)),
    )
