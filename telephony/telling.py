"""From observations to call facts: one pure fold, the same every time it is told.

The client is the outside party, or in an internal call the extension that called; everybody else's talk is the time he
and the client could hear each other. What a consultation said before its transfer completed is not the client's talk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from telephony import facts as f
from telephony.conversations import Together, conversations, total, union, without
from telephony.dispositions import (
    MISSED_OUTCOMES,
    counts_missed,
    inbound_disposition,
    outbound_disposition,
    rung_outcome,
)
from telephony.endpoints import ROUTINE, Kind, dialled_number
from telephony.ids import uid_order
from telephony.numbers import Numbering, is_withheld
from telephony.observations import CallRecord, Channel, HoldSpan, SeenQueue, SeenRecording, SeenTransfer

END_WINDOW = (
    1.0  # s; whoever hung up within this time of the end ended the call (Local chains take 0.1 s to collapse)
)
FORWARD_MOMENT = 0.0005  # s; a forwarded call rings its new target at once (measured 1 ms)
FIRST_RING_WINDOW = 0.3  # s; phones of one group start to ring together (measured 5-20 ms apart)
ANSWER_WINDOW = 1.0  # s between an answer and the end of the other attempts it cancelled
LOOK_AHEAD = 0.001  # s; what began at this very moment has a length, so that a live picture shows it
CONNECT_WINDOW = 0.5  # s from leaving a queue to the conversation it led to (measured 1-20 ms)
MOVE_WINDOW = 0.05  # s; from one bridge into the next (measured below 1 ms, 20 ms loaded)
VOICEMAIL_APPS = frozenset({"VoiceMail", "VoiceMailMain", "MinivmRecord", "Voicemail"})

Span = tuple[float, float]


@dataclass(slots=True)
class _Part:
    """One party's channels and talk while the facts are being put together."""

    party: str
    kind: f.PartyKind
    caller: bool
    channels: list[Channel]
    talk: list[Span] = field(default_factory=list)
    heard: list[Span] = field(default_factory=list)
    """Conversation with the client, holds included."""


@dataclass(slots=True)
class _Scene:
    """Everything the small functions below need to know of the call."""

    call: CallRecord
    numbering: Numbering
    now: float
    caller: Channel
    parts: dict[str, _Part]
    part_of: dict[str, _Part]
    client: _Part
    direction: f.Direction
    together: list[Together]
    holds: list[Span]
    conversed: list[Span]
    """Times in which the client was in a conversation."""


def tell(call: CallRecord, numbering: Numbering, now: float) -> f.CallFacts:
    """The call facts of a call that has at least one real channel."""
    scene = _set_scene(call, numbering, now)
    ended = call.ended_at is not None
    legs = tuple(_leg(scene, part) for part in _in_order(scene))
    disposition = _disposition(scene, legs)
    answered_at = scene.conversed[0][0] if scene.conversed else _service_answer(scene)
    queue = _queue(scene)
    recorded = _recorded(scene)
    return f.CallFacts(
        id=call.id,
        pbx=numbering.pbx,
        direction=scene.direction,
        state=_state(scene),
        caller=_caller(scene),
        did=_did(scene),
        requested=_requested(scene),
        disposition=disposition,
        answered_by=_answered_by(scene),
        final_party=_final_party(scene),
        started_at=_time(call.started_at),
        answered_at=_time(answered_at) if answered_at is not None else None,
        ended_at=_time(call.ended_at) if call.ended_at is not None else None,
        ring_seconds=_ring_seconds(scene, answered_at),
        wait_seconds=queue.wait_seconds if queue else None,
        talk_seconds=_talk_seconds(scene),
        hold_seconds=total(
            (h.at, h.until or scene.now) for c in _own(scene) for h in c.holds if not _machinery(c, h)
        ),
        ended_by=_ended_by(scene) if ended else None,
        hangup_cause=scene.caller.cause if ended else None,
        legs=legs,
        transfers=tuple(_transfer(scene, seen) for seen in call.transfers if not _is_parking(call, seen)),
        holds=_holds(scene),
        queue=queue,
        parked=tuple(_parking(scene, index) for index in range(len(call.parkings))),
        missed_by=_missed_by(scene, legs, disposition),
        recordings=tuple(dict.fromkeys(one.file for one in recorded)),
        certainty=_certainty(call),
        consultation_of=call.consultation_of,
        recorded=recorded,
        consent=_consent(scene),
        rating=_rating(scene),
    )


def _certainty(call: CallRecord) -> f.Certainty:
    """Observed, unless a beginning or an entry into a conversation was lost on the way and is a guess."""
    if call.certainty is not f.Certainty.OBSERVED:
        return call.certainty
    complete = all(c.begun and not any(stay.guessed for stay in c.stays) for c in call.channels.values())
    return call.certainty if complete else f.Certainty.BOUNDED


# -- who is who ----------------------------------------------------------------------------------------------------


def _set_scene(call: CallRecord, numbering: Numbering, now: float) -> _Scene:
    end = call.ended_at if call.ended_at is not None else max(now, call.started_at) + LOOK_AHEAD
    caller = _caller_channel(call)
    parts: dict[str, _Part] = {}
    part_of: dict[str, _Part] = {}
    for channel in sorted(call.everyone(), key=lambda c: (c is not caller, c.began_at, uid_order(c.uid))):
        if not channel.real:
            continue
        party = _party(channel, call, numbering, is_caller=channel is caller)
        part = parts.get(party)
        if part is None:
            kind = f.PartyKind.EXTENSION if channel.kind is Kind.EXTENSION else f.PartyKind.OUTSIDE
            part = parts[party] = _Part(party, kind, channel is caller, [])
        part.channels.append(channel)
        part_of[channel.uid] = part
    direction = _direction(caller, parts, call)
    client = _client(direction, part_of[caller.uid], parts)
    together = conversations(call.everyone(), end)
    scene = _Scene(call, numbering, end, caller, parts, part_of, client, direction, together, [], [])
    scene.holds = [(h.at, h.until or end) for c in call.everyone() if c.real for h in c.holds]
    _share_out(scene)
    return scene


def _caller_channel(call: CallRecord) -> Channel:
    if call.caller_uid is not None:
        for channel in call.everyone():
            if channel.uid == call.caller_uid:
                return channel
    real = [channel for channel in call.channels.values() if channel.real]
    for channel in real:
        if channel.uid == call.linked and (channel.dial is None or channel.dial.source is None):
            return channel
    undialled = [c for c in real if c.dial is None or c.dial.source is None]
    return min(undialled or real, key=lambda c: (c.began_at, uid_order(c.uid)))


def _party(channel: Channel, call: CallRecord, numbering: Numbering, *, is_caller: bool) -> str:
    if channel.kind is Kind.EXTENSION:
        return channel.endpoint
    if channel.party:
        return channel.party
    raw = "" if channel.number in ROUTINE else channel.number
    if channel.dial is not None:
        raw = dialled_number(channel.dial.dial_string) or raw or channel.dial.exten
    if not is_caller and not raw:
        raw = call.requested or _asked_for(call)
    if is_withheld(raw) or (channel.withheld and is_caller):
        return "anonymous"
    party = numbering.outside(raw) or raw
    if (
        channel.dial is not None
    ):  # what was dialled stays; who merely looks like the caller may be dialled yet
        channel.party = party
    return party


def _asked_for(call: CallRecord) -> str:
    """What the channel that began the call dialled: all that is known of a line we did not see being dialled."""
    first = call.channels.get(call.linked)
    return (
        first.exten
        if first is not None and first.kind is Kind.EXTENSION and first.exten not in ROUTINE
        else ""
    )


def _direction(caller: Channel, parts: dict[str, _Part], call: CallRecord) -> f.Direction:
    if caller.kind is Kind.TRUNK:
        return f.Direction.INBOUND
    rung = sorted(
        (c for part in parts.values() for c in part.channels if c is not caller and c.dial is not None),
        key=lambda c: c.dial.began_at if c.dial else 0.0,
    )
    own = [c for c in rung if c.counts_from == 0.0 or c.kind is Kind.TRUNK] or rung
    if own:
        return f.Direction.OUTBOUND if own[0].kind is Kind.TRUNK else f.Direction.INTERNAL
    dialled = call.requested or caller.exten
    digits = dialled.lstrip("+")
    return f.Direction.OUTBOUND if digits.isdigit() and len(digits) >= 7 else f.Direction.INTERNAL


def _client(direction: f.Direction, caller: _Part, parts: dict[str, _Part]) -> _Part:
    if direction is not f.Direction.OUTBOUND:
        return caller
    outside = [part for part in parts.values() if part.kind is f.PartyKind.OUTSIDE]
    answered = [part for part in outside if any(c.up_at is not None for c in part.channels)]
    return (answered or outside or [caller])[0]


def _own(scene: _Scene) -> list[Channel]:
    return [c for part in scene.parts.values() for c in part.channels]


def _in_order(scene: _Scene) -> list[_Part]:
    return sorted(
        scene.parts.values(), key=lambda p: (not p.caller, _rang_at(p) or p.channels[0].began_at, p.party)
    )


# -- talk ----------------------------------------------------------------------------------------------------------


def _share_out(scene: _Scene) -> None:
    """Give every party its conversation with the client."""
    client_uids = {c.uid for c in scene.client.channels}
    client_end = max((c.ended_at if c.ended_at is not None else scene.now) for c in scene.client.channels)
    by_uid = {c.uid: c for c in _own(scene)}
    for span in scene.together:
        since = span.since
        with_client = bool(span.uids & client_uids)
        if not with_client and since < client_end:
            continue
        others = [
            by_uid[uid] for uid in span.uids if uid in by_uid and scene.part_of[uid] is not scene.client
        ]
        if not others or (not with_client and len({scene.part_of[c.uid].party for c in others}) < 2):
            continue
        for channel in others:
            start = max(since, channel.counts_from)
            if with_client:
                start = max(start, *(by_uid[uid].counts_from for uid in span.uids & client_uids))
            if start > span.until:
                continue
            scene.part_of[channel.uid].heard.append((start, span.until))
            scene.conversed.append((start, span.until))
            if with_client:
                scene.client.heard.append((start, span.until))
    scene.conversed += _kept_waiting(scene)
    for part in scene.parts.values():
        part.heard = _merge_touching(part.heard)
        part.talk = without(union(part.heard), scene.holds)
    scene.conversed = _merge_touching(scene.conversed)


def _kept_waiting(scene: _Scene) -> list[Span]:
    """Times in which a colleague had gone over to a consultation by feature code and the client heard music: a hold."""
    spans = []
    for mine in (stay for c in scene.client.channels for stay in c.stays if stay.kind == "basic"):
        gone = mine.left_at if mine.left_at is not None else scene.now
        for channel in _own(scene):
            if scene.part_of[channel.uid] is scene.client:
                continue
            for one, other in pairwise(channel.stays):
                if one.bridge != mine.bridge or one.left_at is None or other.bridge == mine.bridge:
                    continue
                back = other.left_at if other.left_at is not None else scene.now
                if other.entered_at - one.left_at <= MOVE_WINDOW and one.left_at < gone:
                    spans.append((one.left_at, min(gone, back)))
    return spans


def _merge_touching(spans: list[Span]) -> list[Span]:
    """Like `union`, but keeps a conversation of no length: it was answered all the same."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


def _talk_seconds(scene: _Scene) -> float:
    if not scene.conversed:
        return 0.0
    whole = [(scene.conversed[0][0], scene.conversed[-1][1])]
    return total(without(whole, _waiting_spans(scene)))


def _waiting_spans(scene: _Scene) -> list[Span]:
    """Parked and in queues: time in which the client listened to music."""
    spans = [(p.at, p.until if p.until is not None else scene.now) for p in scene.call.parkings]
    spans += [(_joined(visit), _queue_end(scene, visit)) for visit in _visits(scene)]
    return spans


def _visits(scene: _Scene) -> list[SeenQueue]:
    """The queues the client was in; one that only a consultation waited in is not his."""
    return [v for v in scene.call.queues if v.left_at is None or v.left_at > v.counts_from]


def _joined(visit: SeenQueue) -> float:
    return max(visit.joined_at, visit.counts_from)


def _queue_end(scene: _Scene, visit: SeenQueue) -> float:
    """A queue ends with the conversation it led to, or when it let the caller go."""
    talked = next((since for since, _ in scene.conversed if since >= _joined(visit)), None)
    if talked is not None and (visit.left_at is None or talked <= visit.left_at + CONNECT_WINDOW):
        return talked
    return visit.left_at if visit.left_at is not None else scene.now


# -- the fields ----------------------------------------------------------------------------------------------------


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _caller(scene: _Scene) -> f.Caller:
    channel = scene.caller
    if channel.kind is Kind.EXTENSION:
        return f.Caller(
            number=channel.endpoint, raw=channel.endpoint, name=channel.caller_name or None, anonymous=False
        )
    withheld = channel.withheld or is_withheld(channel.number)
    return f.Caller(
        number=None if withheld else (scene.numbering.outside(channel.number) or channel.number),
        raw="anonymous" if channel.withheld else channel.number,
        name=None if withheld else channel.caller_name or None,
        anonymous=withheld,
    )


def _did(scene: _Scene) -> str | None:
    if scene.direction is not f.Direction.INBOUND or scene.caller.exten in ("", "s", "i", "t", "h"):
        return None
    return scene.numbering.outside(scene.caller.exten) or scene.caller.exten


def _requested(scene: _Scene) -> str | None:
    if scene.call.requested:
        return scene.numbering.party(scene.call.requested)
    if scene.direction is f.Direction.INBOUND:
        rung = _first_rung(scene)
        if len(rung) == 1:
            return rung[0]
        return scene.call.queues[0].name if scene.call.queues else None
    if scene.caller.exten not in ROUTINE:
        return scene.numbering.party(scene.caller.exten)
    if scene.direction is f.Direction.OUTBOUND and scene.client.kind is f.PartyKind.OUTSIDE:
        return scene.client.party
    dialled = [c.dial.exten for c in _own(scene) if c.dial and c.dial.source == scene.caller.uid]
    exten = next((exten for exten in dialled if exten not in ROUTINE), None)
    return scene.numbering.party(exten) if exten else None


def _first_rung(scene: _Scene) -> list[str]:
    rung = sorted((_rang_at(p) or 0.0, p.party) for p in scene.parts.values() if not p.caller and _rang_at(p))
    if not rung or (scene.call.queues and scene.call.queues[0].joined_at <= rung[0][0]):
        return []
    sent_on = [c.dial.ended_at for c in _own(scene) if c.dial and c.dial.forward and c.dial.ended_at]
    until = min([rung[0][0] + FIRST_RING_WINDOW, *(at - FORWARD_MOMENT for at in sent_on)])
    return [party for at, party in rung if at <= max(until, rung[0][0])]


def _state(scene: _Scene) -> f.State:
    return next(state for state, _, holds in STATES if holds(scene))


def _is_parked(scene: _Scene) -> bool:
    return any(stay.until is None for stay in scene.call.parkings)


def _talks_now(scene: _Scene) -> bool:
    if not scene.conversed or scene.conversed[-1][1] < scene.now:
        return False
    return any((stay := c.stay()) is not None and stay.kind == "basic" for c in _own(scene))


def _is_held(scene: _Scene) -> bool:
    return any(c.open_hold() is not None and c.ended_at is None for c in _own(scene))


def _in_conference(scene: _Scene) -> bool:
    return any(c.conferences and c.conferences[-1][1] is None for c in _own(scene))


def _in_queue(scene: _Scene) -> bool:
    return any(visit.left_at is None for visit in scene.call.queues)


def _rings(scene: _Scene) -> bool:
    """Whether a phone rings now: after a conversation that means a transfer, not the end."""
    return any(c.dial is not None and c.up_at is None and c.ended_at is None for c in _own(scene))


STATES: tuple[tuple[f.State, str, Callable[[_Scene], bool]], ...] = (
    (f.State.ENDED, "its last channel has ended", lambda scene: scene.call.ended_at is not None),
    (f.State.UNVERIFIED, "the link to the PBX is lost", lambda scene: scene.call.unverified),
    (f.State.PARKED, "the client is in a parking lot", _is_parked),
    (f.State.HELD, "somebody keeps the other on hold", lambda scene: _talks_now(scene) and _is_held(scene)),
    (
        f.State.TALKING,
        "the client and somebody hear each other",
        lambda s: _talks_now(s) or _in_conference(s),
    ),
    (f.State.QUEUED, "the client waits in a queue", _in_queue),
    (f.State.HELD, "the client waits while a colleague is asked", _is_held),
    (f.State.RINGING, "somebody is rung, or the caller is in a menu", lambda s: not s.conversed or _rings(s)),
    (f.State.TALKING, "the conversation is just over", lambda _: True),
)
"""State, its meaning in words, its condition; the first that holds is the call's state now."""


def _service_answer(scene: _Scene) -> float | None:
    joined = [span[0] for c in _own(scene) for span in c.conferences if span[0] is not None]
    return min(joined) if joined else None


def _answered_by(scene: _Scene) -> str | None:
    if scene.direction is f.Direction.OUTBOUND:
        return scene.client.party if scene.conversed else None
    first = [
        (part.heard[0][0], part.party)
        for part in scene.parts.values()
        if part.heard and part is not scene.client
    ]
    return min(first)[1] if first else None


def _final_party(scene: _Scene) -> str | None:
    last = [(part.heard[-1][1], part.heard[-1][0], part.party) for part in _others(scene) if part.heard]
    return max(last)[2] if last else None


def _others(scene: _Scene) -> list[_Part]:
    return [part for part in scene.parts.values() if part is not scene.client]


def _ring_seconds(scene: _Scene, answered_at: float | None) -> float | None:
    rung = [at for part in scene.parts.values() if not part.caller and (at := _rang_at(part)) is not None]
    if not rung:
        return None
    ends = [_stopped_ringing(c, scene.now) for p in scene.parts.values() if not p.caller for c in p.channels]
    return max(0.0, (answered_at if answered_at is not None else max(ends)) - min(rung))


def _stopped_ringing(channel: Channel, now: float) -> float:
    for end in (channel.up_at, channel.dial.ended_at if channel.dial else None, channel.ended_at):
        if end is not None:
            return end
    return now


def _rang_at(part: _Part) -> float | None:
    """When the party was first rung. The dial is the moment the phone is told; ringing confirms it a few ms later."""
    if part.caller:
        return None
    rung = [
        at
        for c in part.channels
        if (at := c.dial.began_at if c.dial is not None else c.ringing_at) is not None
    ]
    return min(rung) if rung else None


# -- legs ----------------------------------------------------------------------------------------------------------


def _leg(scene: _Scene, part: _Part) -> f.Leg:
    rang_at = _rang_at(part)
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
        name=next((c.caller_name for c in part.channels if c.caller_name), None),
        state=_leg_state(scene, part, alive),
        rang_at=_time(rang_at) if rang_at is not None else None,
        answered_at=_time(answered_at) if answered_at is not None else None,
        ended_at=_time(ended_at) if ended_at is not None else None,
        talk_seconds=total(part.talk),
        outcome=_leg_outcome(scene, part, bool(alive)),
        intervals=_intervals(scene, part, ended_at),
    )


def _leg_state(scene: _Scene, part: _Part, alive: list[Channel]) -> f.LegState:
    if not alive:
        return f.LegState.ENDED
    if any((stay := c.stay()) is not None and stay.kind == "basic" for c in alive) and part.heard:
        held = any(since <= scene.now <= until for since, until in scene.holds if until >= scene.now)
        return f.LegState.HELD if held else f.LegState.TALKING
    if part.caller or any(c.up_at is not None for c in alive):
        return f.LegState.WAITING
    return f.LegState.RINGING


def _leg_outcome(scene: _Scene, part: _Part, alive: bool) -> f.LegOutcome | None:
    if part.heard:
        return f.LegOutcome.ANSWERED
    if alive:
        return None
    if part.caller:
        return f.LegOutcome.CANCELLED if _ended_by(scene) == "caller" else f.LegOutcome.NO_ANSWER
    return _rung_outcome(scene, part)


def _rung_outcome(scene: _Scene, part: _Part) -> f.LegOutcome:
    last = max(part.channels, key=lambda c: c.began_at)
    stopped = _stopped_ringing(last, scene.now)
    taken = any(
        picked_up - MOVE_WINDOW <= stopped <= picked_up + ANSWER_WINDOW
        for other in _others(scene)
        if other is not part
        for picked_up in _picked_up(other)
    )
    forwarded = any(c.dial is not None and c.dial.forward for c in part.channels)
    consulted = any(c.up_at is not None for c in part.channels) and not (
        last.dial and last.dial.status != "ANSWER"
    )
    if consulted:
        return f.LegOutcome.ANSWERED
    return rung_outcome(
        last.dial.status if last.dial else "", last.cause, taken_elsewhere=taken, forwarded=forwarded
    )


def _picked_up(part: _Part) -> list[float]:
    """When a party's phones were picked up and led to a conversation."""
    if not part.heard:
        return []
    return [c.up_at for c in part.channels if c.up_at is not None] or [part.heard[0][0]]


def _intervals(scene: _Scene, part: _Part, ended_at: float | None) -> tuple[f.Interval, ...]:
    """What the party was doing, in order; open at the end while it lasts."""
    spans: list[tuple[float, float, str]] = []
    for channel in part.channels:
        if channel.dial is not None and not part.caller:
            spans.append((channel.dial.began_at, _stopped_ringing(channel, scene.now), "ringing"))
    spans += [(since, until, "talking") for since, until in part.talk]
    held = without(union(part.heard), part.talk)
    spans += [(since, until, "held") for since, until in held]
    if part is scene.client:
        busy = [(since, until) for since, until, _ in spans]
        parked = [(p.at, p.until if p.until is not None else scene.now) for p in scene.call.parkings]
        queued = [(_joined(v), _queue_end(scene, v)) for v in _visits(scene)]
        spans += [(since, until, "parked") for since, until in without(union(parked), busy)]
        spans += [(since, until, "queued") for since, until in without(union(queued), busy + parked)]
    begun = part.channels[0].began_at if part.caller else None
    if begun is not None:
        life = [(begun, ended_at if ended_at is not None else scene.now)]
        spans += [(since, until, "waiting") for since, until in without(life, [(a, b) for a, b, _ in spans])]
    alive = ended_at is None
    return tuple(
        f.Interval(
            doing=doing, since=_time(since), until=None if alive and until >= scene.now else _time(until)
        )
        for since, until, doing in sorted(spans)
        if until > since or (alive and until >= scene.now)
    )


# -- transfers, queues, parking ------------------------------------------------------------------------------------


def _is_parking(call: CallRecord, seen: SeenTransfer) -> bool:
    """A blind transfer into the parking lot is told as parking."""
    return seen.kind is f.TransferKind.BLIND and any(
        abs(p.at - seen.at) < END_WINDOW and seen.transferee in ("", p.uid) for p in call.parkings
    )


def _transfer(scene: _Scene, seen: SeenTransfer) -> f.Transfer:
    return f.Transfer(
        kind=seen.kind,
        via=seen.via,
        by=seen.by,
        to=seen.to,
        result=_transfer_result(scene, seen),
        at=_time(seen.at),
        three_way=seen.three_way,
    )


def _transfer_result(scene: _Scene, seen: SeenTransfer) -> f.TransferResult | None:
    if not seen.succeeded:
        return f.TransferResult.FAILED
    if seen.three_way:
        return f.TransferResult.COMPLETED
    later = [t.at for t in scene.call.transfers if t.at > seen.at]
    until = min(later) if later else float("inf")
    after = sorted(
        (since, part.party)
        for part in _others(scene)
        for since, end in part.heard
        if end > seen.at and since < until and (since >= seen.at or part.party != seen.by)
    )
    if after:
        return f.TransferResult.RETURNED if after[0][1] == seen.by else f.TransferResult.COMPLETED
    if later:
        return f.TransferResult.FAILED
    if scene.caller.app in VOICEMAIL_APPS or any(c.conferences for c in scene.client.channels):
        return f.TransferResult.COMPLETED
    return f.TransferResult.FAILED if scene.call.ended_at is not None else None


def _holds(scene: _Scene) -> tuple[f.Hold, ...]:
    found = [
        f.Hold(by=part.party, seconds=(h.until if h.until is not None else scene.now) - h.at, at=_time(h.at))
        for part in scene.parts.values()
        for c in part.channels
        for h in c.holds
        if not _machinery(c, h)
    ]
    return tuple(sorted(found, key=lambda hold: hold.at))


def _machinery(channel: Channel, hold: HoldSpan) -> bool:
    """Whether a hold is the PBX's own: keying a feature code, going over to a consultation, coming back from one.

    A person's hold leaves him in his bridge; a feature code's ends or begins as he goes from one bridge to another.
    """
    until = hold.until if hold.until is not None else float("inf")
    return hold.machinery or any(
        hold.at - MOVE_WINDOW <= one.left_at <= until + MOVE_WINDOW
        for one, other in pairwise(channel.stays)
        if one.left_at is not None
        and one.bridge != other.bridge
        and other.entered_at - one.left_at <= MOVE_WINDOW
    )


def _queue(scene: _Scene) -> f.QueueVisit | None:
    visits = _visits(scene)
    if not visits:
        return None
    visit = visits[-1]
    end = _queue_end(scene, visit)
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
        for part in _others(scene)
        for since, _ in part.heard
        if _joined(visit) <= since and abs(since - end) <= CONNECT_WINDOW and _rung_before(part, until)
    ]
    open_still = visit.left_at is None and not taken and scene.call.ended_at is None
    return f.QueueVisit(
        name=visit.name,
        wait_seconds=None if open_still else max(0.0, end - _joined(visit)),
        tried=tuple(dict.fromkeys(party for _, party in tried)),
        answered_by=min(taken)[1] if taken else None,
        joined_at=_time(_joined(visit)),
    )


def _rung_before(part: _Part, until: float) -> bool:
    """Whether a party can have been rung by a queue that ended then; who was never seen to ring can have been."""
    rung = [c.dial.began_at for c in part.channels if c.dial is not None]
    return not rung or min(rung) <= until


def _recorded(scene: _Scene) -> tuple[f.Recorded, ...]:
    """Every recording on a channel of this call, in order of beginning."""
    found = [(seen, channel) for channel in scene.call.channels.values() for seen in channel.recordings]
    found.sort(key=lambda pair: (pair[0].at, uid_order(pair[1].uid)))
    return tuple(_one_recorded(scene, seen, channel) for seen, channel in found)


def _one_recorded(scene: _Scene, seen: SeenRecording, channel: Channel) -> f.Recorded:
    part = scene.part_of.get(channel.uid)  # a Local half has none
    until = seen.until if seen.until is not None else channel.ended_at
    ends = [until] if until is not None else []
    return f.Recorded(
        file=seen.file,
        uniqueid=channel.uid,
        party=part.party if part else channel.endpoint,
        kind=part.kind if part else f.PartyKind.SERVICE,
        at=_time(seen.at),
        until=_time(until) if until is not None else None,
        pauses=tuple(
            f.RecordingPause(
                _time(since), _time(min([resumed, *ends])) if resumed is not None else _end(until)
            )
            for since, resumed in seen.pauses
            if since is not None
        ),
    )


def _end(until: float | None) -> datetime | None:
    return _time(until) if until is not None else None


def _consent(scene: _Scene) -> str | None:
    """What was told last; of the client's own line before any other's."""
    told = [c.consent for c in scene.client.channels if c.consent] or [
        c.consent for c in scene.call.channels.values() if c.consent
    ]
    return max(told)[1] if told else None


def _rating(scene: _Scene) -> int | None:
    told = [c.rating for c in scene.call.channels.values() if c.rating]
    return max(told)[1] if told else None


def _parking(scene: _Scene, index: int) -> f.Parking:
    seen = scene.call.parkings[index]
    end = seen.until if seen.until is not None else scene.call.ended_at
    return f.Parking(
        by=seen.parker or None,
        slot=seen.slot,
        seconds=None if end is None else max(0.0, end - seen.at),
        retrieved_by=seen.retriever or None,
        timed_out=seen.how == "timed_out",
        at=_time(seen.at),
    )


# -- the end -------------------------------------------------------------------------------------------------------


def _disposition(scene: _Scene, legs: tuple[f.Leg, ...]) -> f.Disposition | None:
    if scene.conversed or _service_answer(scene) is not None:
        return f.Disposition.ANSWERED
    if scene.call.ended_at is None:
        return None
    rung = [leg.outcome for leg in legs if leg.role is f.LegRole.CALLEE and leg.outcome is not None]
    if scene.direction is f.Direction.OUTBOUND:
        return outbound_disposition(rung)
    return inbound_disposition(
        rung,
        voicemail=any(c.app in VOICEMAIL_APPS for c in scene.call.channels.values()),
        left_waiting=_left_waiting(scene),
        caller_was_up=scene.caller.up_at is not None,
    )


def _left_waiting(scene: _Scene) -> bool:
    """Whether the caller was still in a queue or a parking lot when he left (a queue's own timeout is not leaving)."""
    if any(p.how in ("", "gave_up") for p in scene.call.parkings):
        return True
    visits = _visits(scene)
    if not visits:
        return False
    visit = visits[-1]
    if visit.result in ("TIMEOUT", "FULL", "JOINEMPTY", "LEAVEEMPTY", "JOINUNAVAIL", "LEAVEUNAVAIL"):
        return not any(
            part.kind is f.PartyKind.EXTENSION and not part.caller for part in scene.parts.values()
        )
    end = scene.call.ended_at or scene.now
    return visit.left_at is None or end - visit.left_at <= END_WINDOW or _ended_by(scene) == "caller"


def _ended_by(scene: _Scene) -> str:
    """`caller`, `callee` or `pbx`: whose phone (or line) hung up, else what the dial attempts say."""
    end = scene.call.ended_at if scene.call.ended_at is not None else scene.now
    talked_until = _talked_until(scene, end)
    talking = _last_to_talk(scene, end) if talked_until is None else []
    since = end - END_WINDOW if talked_until is None else max(end - END_WINDOW, talked_until + MOVE_WINDOW)
    asked = [
        (c.asked_at, c) for c in talking or _own(scene) if c.asked_at is not None and c.asked_at >= since
    ]
    if asked:
        return _side(scene, min(asked, key=lambda pair: pair[0] or 0.0)[1])
    if talking:
        return _first_to_leave(scene, talking, end)
    return _ended_by_dial(scene, talked_until or 0.0)


def _ended_by_dial(scene: _Scene, since: float) -> str:
    """What the last dial attempts say of the end; those of the caller himself before those behind a Local channel."""
    dials = [
        c.dial
        for c in scene.call.channels.values()
        if c.dial is not None and c.dial.status and not c.dial.forward and (c.dial.ended_at or 0.0) > since
    ]
    own = [dial for dial in dials if dial.source == scene.caller.uid]
    last = max(own or dials, key=lambda dial: dial.ended_at or 0.0).status if dials else ""
    if last in ("BUSY", "CONGESTION", "CHANUNAVAIL"):
        return "callee"
    if last in ("CANCEL", "ABORT") or any(v.abandoned and not v.result for v in _visits(scene)):
        return "caller"
    return "pbx"


def _talked_until(scene: _Scene, end: float) -> float | None:
    """When the last conversation ended, if the call went on without one: others were rung, or the client queued."""
    if not scene.conversed:
        return None
    after = scene.conversed[-1][1] + MOVE_WINDOW
    rung = any(c.dial and (c.dial.ended_at or end) > after for c in scene.call.channels.values())
    queued = any((visit.left_at or end) > after for visit in _visits(scene))
    return scene.conversed[-1][1] if rung or queued else None


def _last_to_talk(scene: _Scene, end: float) -> list[Channel]:
    """The channels of the conversation with which the call ended; none when it did not end with one."""
    last = [span for span in scene.together if span.until >= end - END_WINDOW]
    if not last or not scene.conversed or scene.conversed[-1][1] < end - END_WINDOW:
        return []
    uids = max(last, key=lambda span: span.until).uids
    return [c for c in _own(scene) if c.uid in uids]


def _first_to_leave(scene: _Scene, talking: list[Channel], end: float) -> str:
    leavers = [
        (stay.left_at, uid_order(c.uid), c)
        for c in talking
        for stay in c.stays[-1:]
        if stay.left_at is not None and stay.left_at >= end - END_WINDOW
    ]
    return _side(scene, min(leavers, key=lambda item: item[:2])[2]) if leavers else "pbx"


def _side(scene: _Scene, channel: Channel) -> str:
    part = scene.part_of[channel.uid]
    if scene.direction is f.Direction.OUTBOUND:
        return "callee" if part is scene.client else "caller"
    return "caller" if part.caller else "callee"


def _missed_by(scene: _Scene, legs: tuple[f.Leg, ...], disposition: f.Disposition | None) -> tuple[str, ...]:
    if scene.call.ended_at is None or not counts_missed(scene.direction, disposition):
        return ()
    return tuple(
        leg.party
        for leg in legs
        if leg.role is f.LegRole.CALLEE
        and leg.kind is f.PartyKind.EXTENSION
        and leg.outcome in MISSED_OUTCOMES
    )
