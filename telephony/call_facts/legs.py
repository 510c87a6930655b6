"""Each party's part in the call: when it was rung, how that went, and what it was doing from moment to moment."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.caller_names import name_of_party
from telephony.call_facts.conversations import total, union, without
from telephony.call_facts.dispositions import rung_outcome
from telephony.call_facts.ending import ended_by
from telephony.call_facts.observations import Channel, moment
from telephony.call_facts.scene import (
    MOVE_WINDOW,
    Part,
    Scene,
    connects,
    first_rung_at,
    other_parts,
    stopped_ringing,
    was_watched,
)
from telephony.call_facts.waits import client_visits, joined_as_client, queue_end
from telephony.endpoints import VOICEMAIL_APPS

ANSWER_WINDOW = 1.0  # s between an answer and the end of the other attempts it cancelled


def in_order(scene: Scene) -> list[Part]:
    """The parties as they are told: the caller, then by when they were rung."""
    return sorted(
        scene.parts.values(),
        key=lambda p: (not p.caller, first_rung_at(p) or p.channels[0].began_at, p.party),
    )


def leg_of(scene: Scene, part: Part) -> f.Leg:
    """One party's part in the call."""
    rang_at = first_rung_at(part)
    alive = [c for c in part.channels if c.ended_at is None]
    ended_at = None if alive else max(c.ended_at or 0.0 for c in part.channels)
    answered_at = part.heard[0][0] if part.heard else None
    if answered_at is not None and not part.caller:
        ups = [c.up_at for c in part.channels if c.up_at is not None]
        answered_at = min([answered_at, *ups])
    return f.Leg(
        party=part.party,
        kind=part.kind,
        role=f.LegRole.CALLER if part.caller else f.LegRole.CALLEE,
        name=name_of_party(part.channels),
        state=_leg_state(scene, part, alive),
        rang_at=moment(rang_at) if rang_at is not None else None,
        answered_at=moment(answered_at) if answered_at is not None else None,
        ended_at=moment(ended_at) if ended_at is not None else None,
        talk_seconds=total(part.talk),
        outcome=_leg_outcome(scene, part, bool(alive)),
        intervals=_intervals(scene, part, ended_at),
    )


def _leg_state(scene: Scene, part: Part, alive: list[Channel]) -> f.LegState:
    if not alive:
        return f.LegState.ENDED
    if part.heard and any(connects(scene, c.stay()) for c in alive):
        held = any(held.since <= scene.now <= held.until for held in scene.holds)
        return f.LegState.HELD if held else f.LegState.TALKING
    if part.caller or any(c.up_at is not None for c in alive):
        return f.LegState.WAITING
    return f.LegState.RINGING


def _leg_outcome(scene: Scene, part: Part, alive: bool) -> f.LegOutcome | None:
    if part.heard:
        return f.LegOutcome.ANSWERED
    if alive:
        return None
    if part.caller:
        by = ended_by(scene)
        if by is None:
            return None
        return f.LegOutcome.CANCELLED if by == "caller" else f.LegOutcome.NO_ANSWER
    return _rung_outcome(scene, part)


def _rung_outcome(scene: Scene, part: Part) -> f.LegOutcome | None:
    last = max(part.channels, key=lambda c: c.began_at)
    stopped = stopped_ringing(last, scene.now)
    taken = any(
        picked_up - MOVE_WINDOW <= stopped <= picked_up + ANSWER_WINDOW
        for other in other_parts(scene)
        if other is not part
        for picked_up in _picked_up(other)
    )
    forwarded = any(c.dial is not None and c.dial.forward for c in part.channels)
    consulted = any(c.up_at is not None for c in part.channels) and not (
        last.dial and last.dial.status != "ANSWER"
    )
    if consulted:
        return f.LegOutcome.ANSWERED
    status = last.dial.status if last.dial else ""
    outcome = rung_outcome(status, last.cause, taken_elsewhere=taken, forwarded=forwarded)
    # A phone that the PBX rings by itself (Originate) has no attempt that could be told to end.
    sure = last.cause is not None and (last.dial is None or was_watched(scene))
    return f.LegOutcome.CANCELLED if outcome is None and sure else outcome


def _picked_up(part: Part) -> list[float]:
    """When a party's phones were picked up and led to a conversation."""
    if not part.heard:
        return []
    return [c.up_at for c in part.channels if c.up_at is not None] or [part.heard[0][0]]


def _intervals(scene: Scene, part: Part, ended_at: float | None) -> tuple[f.Interval, ...]:
    """What the party was doing, in order; open at the end while it lasts."""
    spans: list[tuple[float, float, str]] = []
    for channel in part.channels:
        if channel.dial is not None and not part.caller:
            spans.append((channel.dial.began_at, stopped_ringing(channel, scene.now), "ringing"))
    spans += [(since, until, "talking") for since, until in part.talk]
    held = without(union(part.heard), part.talk)
    spans += [(since, until, "held") for since, until in held]
    if part is scene.client:
        busy = [(since, until) for since, until, _ in spans]
        parked = [(p.at, p.until if p.until is not None else scene.now) for p in scene.call.parkings]
        queued = [(joined_as_client(v), queue_end(scene, v)) for v in client_visits(scene)]
        if any(c.app for c in part.channels):
            mailbox = _in_voicemail(scene, part)
            spans += [(since, until, "voicemail") for since, until in without(mailbox, busy)]
        spans += [(since, until, "parked") for since, until in without(union(parked), busy)]
        spans += [(since, until, "queued") for since, until in without(union(queued), busy + parked)]
    begun = part.channels[0].began_at if part.caller else None
    if begun is not None:
        life = [(begun, ended_at if ended_at is not None else scene.now)]
        spans += [(since, until, "waiting") for since, until in without(life, [(a, b) for a, b, _ in spans])]
    alive = ended_at is None
    return tuple(
        f.Interval(
            doing=doing, since=moment(since), until=None if alive and until >= scene.now else moment(until)
        )
        for since, until, doing in sorted(spans)
        if until > since or (alive and until >= scene.now)
    )


def _in_voicemail(scene: Scene, part: Part) -> list[tuple[float, float]]:
    """When the party spoke with a mailbox; nothing where only the record at the end of the call names it."""
    spans = (
        (c.app_at, c.ended_at if c.ended_at is not None else scene.now)
        for c in part.channels
        if c.app in VOICEMAIL_APPS
    )
    return union(spans)
