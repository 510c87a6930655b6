"""Call facts by their few interesting fields; everything else is an ordinary inbound call to 101."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from telephony.call_facts.facts import (
    Caller,
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Leg,
    LegRole,
    LegState,
    PartyKind,
    State,
)
from telephony.events import CallEvent, EventKind
from telephony.ports import CallChange

MONDAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CLIENT = "+79161110005"


def leg(party: str, **different: Any) -> Leg:
    """A leg of an extension (2 to 6 digits) or of an outside party."""
    kind = PartyKind.EXTENSION if len(party) <= 6 else PartyKind.OUTSIDE
    plain = Leg(
        party=party,
        kind=kind,
        role=LegRole.CALLEE,
        name=None,
        state=LegState.RINGING,
        rang_at=MONDAY,
        answered_at=None,
        ended_at=None,
        talk_seconds=0.0,
        outcome=None,
    )
    return replace(plain, **different)


def call(
    number: str | None = CLIENT, *, to: str = "101", started_at: datetime = MONDAY, **different: Any
) -> CallFacts:
    """A ringing inbound call from `number` to extension `to`."""
    facts = CallFacts(
        id=uuid4(),
        pbx="hq",
        direction=Direction.INBOUND,
        state=State.RINGING,
        caller=Caller(number=number, raw=number or "", name=None, anonymous=number is None),
        did="+74951000001",
        requested=to,
        disposition=None,
        answered_by=None,
        final_party=None,
        started_at=started_at,
        answered_at=None,
        ended_at=None,
        ring_seconds=None,
        wait_seconds=None,
        talk_seconds=0.0,
        hold_seconds=0.0,
        ended_by=None,
        hangup_cause=None,
        legs=(leg(number or "anonymous-caller", role=LegRole.CALLER, kind=PartyKind.OUTSIDE), leg(to)),
        transfers=(),
        holds=(),
        queue=None,
        parked=(),
        missed_by=(),
        recordings=(),
        certainty=Certainty.OBSERVED,
        consultation_of=None,
    )
    return replace(facts, **different)


def outbound(number: str, *, by: str = "101", **different: Any) -> CallFacts:
    """A call of ours to somebody outside."""
    legs = (leg(by, role=LegRole.CALLER), leg(number, kind=PartyKind.OUTSIDE))
    ours = Caller(number=by, raw=by, name=None, anonymous=False)
    return call(to=number, direction=Direction.OUTBOUND, caller=ours, legs=legs, did=None, **different)


def answered(facts: CallFacts, *, by: str = "101", after_seconds: float = 5.0) -> CallFacts:
    """The same call a moment later, somebody talking."""
    at = facts.started_at + timedelta(seconds=after_seconds)
    return replace(
        facts, state=State.TALKING, disposition=Disposition.ANSWERED, answered_by=by, answered_at=at
    )


def ended(facts: CallFacts, *, after_seconds: float = 65.0) -> CallFacts:
    """The same call when it is over."""
    at = facts.started_at + timedelta(seconds=after_seconds)
    how = facts.disposition or Disposition.MISSED
    return replace(facts, state=State.ENDED, disposition=how, ended_at=at, final_party=facts.answered_by)


def line(facts: CallFacts, seconds: float, kind: str = "Newstate") -> dict[str, Any]:
    """A captured message that arrived so long after the call's start."""
    return {
        "t": facts.started_at.timestamp() + seconds,
        "h": [["Event", kind], ["Uniqueid", f"u-{facts.id}"]],
    }


def change(
    facts: CallFacts,
    *kinds: EventKind,
    at_seconds: float = 0.0,
    aliases: Sequence[str] | None = None,
    absorbed: Sequence[UUID] = (),
    trace: bool = True,
) -> CallChange:
    """What became known `at_seconds` after the call's start, with one raw message behind it."""
    at = facts.started_at + timedelta(seconds=at_seconds)
    return CallChange(
        facts=facts,
        events=tuple(CallEvent(kind, facts.id, at, facts.answered_by) for kind in kinds),
        aliases=(f"u-{facts.id}",) if aliases is None else tuple(aliases),
        absorbed=tuple(absorbed),
        trace=(line(facts, at_seconds),) if trace else (),
    )


def life(facts: CallFacts) -> list[CallChange]:
    """An answered call from its first ring to its end, as three changes."""
    talking = answered(facts)
    return [
        change(facts, EventKind.STARTED, EventKind.RANG),
        change(talking, EventKind.ANSWERED, at_seconds=5),
        change(ended(talking), EventKind.ENDED, at_seconds=65),
    ]
