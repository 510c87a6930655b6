"""What the people of a scenario truly did, by their phones' clocks; and where the tracker's telling differs from it.

Nothing here comes from AMI. Words are those of the call facts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from telephony.call_facts.facts import CallFacts, Certainty, Leg, TransferVia

TALK_TOLERANCE = 0.3  # s; one process plays a hundred phones: its clock readings come late under load
RING_TOLERANCE = 0.4  # s; as above, and ringing is told over two hops


@dataclass(frozen=True, slots=True)
class Handover:
    """One transfer."""

    kind: str
    via: str
    by: str
    to: str
    result: str = "completed"
    three_way: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """One call. A field that is None is not judged, except where None means nobody (`answered_by`, `final_party`)."""

    direction: str
    disposition: str
    caller: str
    requested: str | None = None
    answered_by: str | None = None
    final_party: str | None = None
    talk_seconds: float | None = None
    ended_by: str | None = None
    transfers: tuple[Handover, ...] = ()
    missed_by: tuple[str, ...] = ()
    held_by: tuple[str, ...] = ()
    hold_seconds: float | None = None
    queue: str | None = None
    tried: tuple[str, ...] | None = None
    wait_seconds: float | None = None
    parked: tuple[tuple[str, str | None, bool], ...] = ()
    """(by, retrieved by, timed out)"""
    legs: dict[str, str] = field(default_factory=dict)
    """Party → outcome, for those worth telling."""
    talks: dict[str, float] = field(default_factory=dict)
    """Party → seconds of talk with the other side, for those worth telling."""
    leg_seconds: dict[str, float] = field(default_factory=dict)
    """Party → from when they came in to when they left, for those worth telling."""
    consultation: bool = False
    answered_ringing: float | None = None
    """Seconds from the first ring to the answer."""


NOT_IN_CEL = ("holds", "hold", "certainty", "talk of")
"""What the channel event log has no event for, or tells otherwise on purpose."""


def differences_from_cel(truth: Truth, told: CallFacts) -> list[str]:
    """As `differences`, for what is told from the channel event log alone: it knows neither holds nor the means."""
    means = {(t.kind, t.by, t.to): t.via for t in truth.transfers}
    transfers = tuple(
        replace(t, via=TransferVia(means[key])) if (key := (t.kind.value, t.by, t.to)) in means else t
        for t in told.transfers
    )
    wrong = differences(truth, replace(told, transfers=transfers))
    return [fault for fault in wrong if not fault.partition(":")[0].startswith(NOT_IN_CEL)]


def differences(truth: Truth, told: CallFacts) -> list[str]:
    """Where the telling is wrong; empty when it is right."""
    wrong: list[str] = []

    def same(what: str, true: object, ours: object) -> None:
        if true != ours:
            wrong.append(f"{what}: truly {true!r}, told {ours!r}")

    def near(what: str, true: float | None, ours: float | None, tolerance: float) -> None:
        if true is not None and (ours is None or abs(true - ours) > tolerance):
            wrong.append(f"{what}: truly {true:.2f}, told {ours if ours is None else round(ours, 2)}")

    same("direction", truth.direction, told.direction.value)
    same("disposition", truth.disposition, told.disposition.value if told.disposition else None)
    same("caller", truth.caller, told.caller.number or "anonymous")
    if truth.requested is not None:
        same("requested", truth.requested, told.requested)
    same("answered by", truth.answered_by, told.answered_by)
    same("final party", truth.final_party, told.final_party)
    near("talk", truth.talk_seconds, told.talk_seconds, TALK_TOLERANCE)
    near("ring", truth.answered_ringing, told.ring_seconds, RING_TOLERANCE)
    if truth.ended_by is not None:
        same("ended by", truth.ended_by, told.ended_by)
    same(
        "transfers",
        truth.transfers,
        tuple(
            Handover(t.kind.value, t.via.value, t.by, t.to, t.result.value if t.result else "", t.three_way)
            for t in told.transfers
        ),
    )
    same("missed by", sorted(truth.missed_by), sorted(told.missed_by))
    same("holds", truth.held_by, tuple(hold.by for hold in told.holds))
    near("hold", truth.hold_seconds, told.hold_seconds, TALK_TOLERANCE)
    same("queue", truth.queue, told.queue.name if told.queue else None)
    if truth.tried is not None:
        same("tried", sorted(truth.tried), sorted(told.queue.tried) if told.queue else None)
    near("wait", truth.wait_seconds, told.wait_seconds, RING_TOLERANCE)
    same("parked", truth.parked, tuple((p.by, p.retrieved_by, p.timed_out) for p in told.parked))
    for party, outcome in truth.legs.items():
        leg = told.leg_of(party)
        same(f"leg {party}", outcome, leg.outcome.value if leg and leg.outcome else None)
    for party, talked in truth.talks.items():
        leg = told.leg_of(party)
        near(f"talk of {party}", talked, leg.talk_seconds if leg else None, TALK_TOLERANCE)
    for party, lasted in truth.leg_seconds.items():
        near(f"leg of {party}", lasted, _lasted(told, party), RING_TOLERANCE)
    if told.ended:
        left_open = [leg.party for leg in told.legs if leg.ended_at is None or _is_open(leg)]
        same("legs left open", [], left_open)
    same("consultation", truth.consultation, told.consultation_of is not None)
    same("certainty", Certainty.OBSERVED, told.certainty)
    return wrong


def _lasted(told: CallFacts, party: str) -> float | None:
    leg = told.leg_of(party)
    if leg is None or leg.ended_at is None or not leg.intervals:
        return None
    return (leg.ended_at - leg.intervals[0].since).total_seconds()


def _is_open(leg: Leg) -> bool:
    return any(interval.until is None for interval in leg.intervals)
