"""One call, told: the scene is set, then every room says its part."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.answering import (
    answered_by,
    caller_of,
    did_of,
    final_party,
    requested_of,
    ring_seconds,
    service_answer,
)
from telephony.call_facts.conversations import conversations
from telephony.call_facts.ending import disposition_of, ended_by, missed_by, was_blind
from telephony.call_facts.guests import present_channels
from telephony.call_facts.holds import find_holds, hold_seconds, holds_of
from telephony.call_facts.legs import in_order, leg_of
from telephony.call_facts.observations import CallRecord, moment
from telephony.call_facts.parties import caller_channel, client_of, direction_of, party_of
from telephony.call_facts.recordings import consent_of, rating_of, recorded_of
from telephony.call_facts.scene import Part, Scene
from telephony.call_facts.sequence import end_of, has_inverted_spans, in_sequence
from telephony.call_facts.service_calls import service_of
from telephony.call_facts.states import state_of
from telephony.call_facts.talk_time import share_out, talk_seconds
from telephony.call_facts.transfers import is_gathering, is_parking, transfer_of
from telephony.call_facts.waits import parking_of, queue_of
from telephony.endpoints import Kind
from telephony.ids import uid_order
from telephony.numbers.numbers import Numbering

LOOK_AHEAD = 0.001  # s; what began at this very moment has a length, so that a live picture shows it


def tell(call: CallRecord, numbering: Numbering, now: float) -> f.CallFacts:
    """The call facts of a call that has at least one real channel."""
    scene = _set_scene(call, numbering, now)
    ended = call.ended_at is not None
    seen_legs = tuple(leg_of(scene, part) for part in in_order(scene))
    legs = tuple(in_sequence(leg) for leg in seen_legs)
    disposition = disposition_of(scene, legs)
    answered_at = scene.conversed[0][0] if scene.conversed else service_answer(scene)
    ended_at = end_of(call, answered_at)
    sound = legs == seen_legs and ended_at == call.ended_at and not has_inverted_spans(call)
    queue = queue_of(scene)
    recorded = recorded_of(scene)
    return f.CallFacts(
        id=call.id,
        pbx=numbering.pbx,
        direction=scene.direction,
        state=state_of(scene),
        caller=caller_of(scene),
        did=did_of(scene),
        requested=requested_of(scene),
        disposition=disposition,
        answered_by=answered_by(scene),
        final_party=final_party(scene),
        started_at=moment(call.started_at),
        answered_at=moment(answered_at) if answered_at is not None else None,
        ended_at=moment(ended_at) if ended_at is not None else None,
        ring_seconds=ring_seconds(scene, answered_at),
        wait_seconds=queue.wait_seconds if queue else None,
        talk_seconds=talk_seconds(scene),
        hold_seconds=hold_seconds(scene),
        ended_by=ended_by(scene) if ended else None,
        hangup_cause=scene.caller.cause if ended else None,
        legs=legs,
        transfers=tuple(
            transfer_of(scene, seen)
            for seen in call.transfers
            if not is_parking(call, seen) and not is_gathering(call, seen)
        ),
        holds=holds_of(scene),
        queue=queue,
        parked=tuple(parking_of(scene, index) for index in range(len(call.parkings))),
        missed_by=missed_by(scene, legs, disposition),
        recordings=tuple(dict.fromkeys(one.file for one in recorded)),
        certainty=_certainty(call, sound=sound, blind_at_end=was_blind(scene)),
        consultation_of=call.consultation_of,
        recorded=recorded,
        consent=consent_of(scene),
        rating=rating_of(scene),
        service=service_of(scene),
    )


def _certainty(call: CallRecord, *, sound: bool, blind_at_end: bool) -> f.Certainty:
    """Observed, unless a beginning or an entry into a conversation was lost on the way and is a guess, or times were told
    that cannot be (not `sound`).
    """
    if call.certainty is not f.Certainty.OBSERVED:
        return call.certainty
    if not sound:
        return f.Certainty.BOUNDED
    complete = all(c.begun and not any(stay.guessed for stay in c.stays) for c in call.channels.values())
    if not complete:
        return f.Certainty.BOUNDED
    blind_since = call.unconfirmed and not call.unverified  # who was rung leaves no other trace
    blind = blind_since or blind_at_end or (call.talked_unseen and not call.unverified)
    return f.Certainty.RECONSTRUCTED if blind else f.Certainty.OBSERVED


def _set_scene(call: CallRecord, numbering: Numbering, now: float) -> Scene:
    end = call.ended_at if call.ended_at is not None else max(now, call.started_at) + LOOK_AHEAD
    present = present_channels(call)
    caller = caller_channel(call, present)
    parts: dict[str, Part] = {}
    part_of: dict[str, Part] = {}
    for channel in sorted(present, key=lambda c: (c is not caller, c.began_at, uid_order(c.uid))):
        if not channel.real:
            continue
        party = party_of(channel, call, numbering, is_caller=channel is caller)
        part = parts.get(party)
        if part is None:
            kind = f.PartyKind.EXTENSION if channel.kind is Kind.EXTENSION else f.PartyKind.OUTSIDE
            part = parts[party] = Part(party, kind, channel is caller, [])
        part.channels.append(channel)
        part_of[channel.uid] = part
    direction = direction_of(caller, parts, call)
    client = client_of(direction, part_of[caller.uid], parts)
    together = conversations(present, end, call.rooms)
    own = [channel for part in parts.values() for channel in part.channels]
    scene = Scene(call, numbering, end, caller, parts, part_of, client, direction, together, [], [], own)
    scene.holds = find_holds(scene)
    share_out(scene)
    return scene
