"""Where somebody waited and listened to music: in queues, in the parking lot, on hold."""

from __future__ import annotations

from itertools import pairwise

from telephony.call_facts import facts as f
from telephony.call_facts.observations import Channel, HoldSpan, SeenQueue, moment
from telephony.call_facts.scene import MOVE_WINDOW, Part, Scene, Span, other_parts

CONNECT_WINDOW = 0.5  # s from leaving a queue to the conversation it led to (measured 1-20 ms)


def client_visits(scene: Scene) -> list[SeenQueue]:
    """The queues the client was in; one that only a consultation waited in is not theirs."""
    return [v for v in scene.call.queues if v.left_at is None or v.left_at > v.counts_from]


def joined_as_client(visit: SeenQueue) -> float:
    """When the client came into the queue, be it by a consultation that was handed to them."""
    return max(visit.joined_at, visit.counts_from)


def queue_end(scene: Scene, visit: SeenQueue) -> float:
    """A queue ends with the conversation it led to, or when it let the caller go."""
    talked = next((since for since, _ in scene.conversed if since >= joined_as_client(visit)), None)
    if talked is not None and (visit.left_at is None or talked <= visit.left_at + CONNECT_WINDOW):
        return talked
    return visit.left_at if visit.left_at is not None else scene.now


def waiting_spans(scene: Scene) -> list[Span]:
    """Parked and in queues: time in which the client listened to music."""
    spans = [(p.at, p.until if p.until is not None else scene.now) for p in scene.call.parkings]
    spans += [(joined_as_client(visit), queue_end(scene, visit)) for visit in client_visits(scene)]
    return spans


def queue_of(scene: Scene) -> f.QueueVisit | None:
    """The queue the client was in last."""
    visits = client_visits(scene)
    if not visits:
        return None
    visit = visits[-1]
    end = queue_end(scene, visit)
    until = end if visit.left_at is None else min(end, visit.left_at)
    tried = sorted(
        (at, part.party)
        for part in scene.parts.values()
        if part.kind is f.PartyKind.EXTENSION
        for c in part.channels
        if c.dial is not None
        and visit.joined_at <= (at := c.dial.began_at)
        and (
            at < until or visit.left_at is None
        )  # who is rung as the queue lets go is rung by what comes after
    )
    taken = [
        (since, part.party)
        for part in other_parts(scene)
        for since, _ in part.heard
        if joined_as_client(visit) <= since
        and abs(since - end) <= CONNECT_WINDOW
        and _rung_before(part, until)
    ]
    open_still = visit.left_at is None and not taken and scene.call.ended_at is None
    return f.QueueVisit(
        name=visit.name,
        wait_seconds=None if open_still else max(0.0, end - joined_as_client(visit)),
        tried=tuple(dict.fromkeys(party for _, party in tried)),
        answered_by=min(taken)[1] if taken else None,
        joined_at=moment(joined_as_client(visit)),
    )


def _rung_before(part: Part, until: float) -> bool:
    """Whether a party can have been rung by a queue that ended then; who was never seen to ring can have been."""
    rung = [c.dial.began_at for c in part.channels if c.dial is not None]
    return not rung or min(rung) <= until


def parking_of(scene: Scene, index: int) -> f.Parking:
    """One stay in the parking lot."""
    seen = scene.call.parkings[index]
    end = seen.until if seen.until is not None else scene.call.ended_at
    return f.Parking(
        by=seen.parker or None,
        slot=seen.slot,
        seconds=None if end is None else max(0.0, end - seen.at),
        retrieved_by=seen.retriever or None,
        timed_out=seen.how == "timed_out",
        at=moment(seen.at),
    )


def is_machinery(channel: Channel, hold: HoldSpan) -> bool:
    """Whether a hold is the PBX's own: keying a feature code, going over to a consultation, coming back from one.

    A person's hold leaves them in their bridge; a feature code's ends or begins as they go from one bridge to another.
    """
    until = hold.until if hold.until is not None else float("inf")
    return hold.machinery or any(
        hold.at - MOVE_WINDOW <= one.left_at <= until + MOVE_WINDOW
        for one, other in pairwise(channel.stays)
        if one.left_at is not None
        and one.bridge != other.bridge
        and other.entered_at - one.left_at <= MOVE_WINDOW
    )
