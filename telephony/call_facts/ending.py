"""How the call went and who ended it. The tables of outcomes are in `telephony.call_facts.dispositions`."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.answering import service_answer
from telephony.call_facts.dispositions import (
    MISSED_OUTCOMES,
    counts_missed,
    inbound_disposition,
    outbound_disposition,
)
from telephony.call_facts.observations import Channel, Dial
from telephony.call_facts.scene import END_WINDOW, MOVE_WINDOW, Scene, own_channels, was_watched
from telephony.call_facts.service_calls import service_of
from telephony.call_facts.waits import client_visits
from telephony.endpoints import VOICEMAIL_APPS
from telephony.ids import uid_order


def disposition_of(scene: Scene, legs: tuple[f.Leg, ...]) -> f.Disposition | None:
    """How the call went; None while it goes on unanswered, and where nothing tells."""
    if scene.conversed or service_answer(scene) is not None or service_of(scene) is not None:
        return f.Disposition.ANSWERED
    if scene.call.ended_at is None:
        return None
    rung = [leg.outcome for leg in legs if leg.role is f.LegRole.CALLEE]
    voicemail = any(c.app in VOICEMAIL_APPS for c in scene.call.channels.values())
    if not (voicemail or _is_seen(scene)):
        return None
    if scene.direction is f.Direction.OUTBOUND:
        return outbound_disposition(rung)
    return inbound_disposition(
        rung,
        voicemail=voicemail,
        left_waiting=_left_waiting(scene),
        caller_was_up=scene.caller.up_at is not None,
    )


def _is_seen(scene: Scene) -> bool:
    """Whether nobody can have answered unseen: each attempt was told to end in vain, or the call was watched throughout."""
    attempts = [c.dial for c in own_channels(scene) if c.dial is not None]
    if attempts and all(dial.status and dial.status != "ANSWER" for dial in attempts):
        return True
    return was_watched(scene)


def _left_waiting(scene: Scene) -> bool:
    """Whether the caller was still in a queue or a parking lot when they left (a queue's own timeout is not leaving)."""
    if any(p.how in ("", "gave_up") for p in scene.call.parkings):
        return True
    visits = client_visits(scene)
    if not visits:
        return False
    visit = visits[-1]
    if visit.result in ("TIMEOUT", "FULL", "JOINEMPTY", "LEAVEEMPTY", "JOINUNAVAIL", "LEAVEUNAVAIL"):
        return not any(
            part.kind is f.PartyKind.EXTENSION and not part.caller for part in scene.parts.values()
        )
    end = scene.call.ended_at or scene.now
    return visit.left_at is None or end - visit.left_at <= END_WINDOW or ended_by(scene) == "caller"


def ended_by(scene: Scene) -> str | None:
    """`caller`, `callee` or `pbx`: whose phone (or line) hung up, else what the dial attempts say, else None."""
    end = _end_for_client(scene)
    talked_until = _talked_until(scene, end)
    talking = _last_to_talk(scene, end) if talked_until is None else []
    since = end - END_WINDOW if talked_until is None else max(end - END_WINDOW, talked_until + MOVE_WINDOW)
    asked = [
        (c.asked_at, c)
        for c in talking or own_channels(scene)
        if c.asked_at is not None and c.asked_at >= since
    ]
    if asked:
        return _side(scene, min(asked, key=lambda pair: pair[0] or 0.0)[1])
    if talking:
        return _first_to_leave(scene, talking, end)
    return _ended_by_dial(scene, talked_until or 0.0)


def _end_for_client(scene: Scene) -> float:
    """The call's end; where the client left a conference room before the others, that moment."""
    end = scene.call.ended_at if scene.call.ended_at is not None else scene.now
    left = [c.ended_at for c in scene.client.channels if c.ended_at is not None]
    if scene.call.rooms and len(left) == len(scene.client.channels):
        return min(end, max(left))
    return end


def _ended_by_dial(scene: Scene, since: float) -> str | None:
    """What the last dial attempts say of the end; those of the caller themselves before those behind a Local channel."""
    dials = [
        c.dial
        for c in scene.call.channels.values()
        if c.dial is not None and c.dial.status and not c.dial.forward and (c.dial.ended_at or 0.0) > since
    ]
    own = [dial for dial in dials if dial.source == scene.caller.uid]
    newest = max(own or dials, key=lambda dial: dial.ended_at or 0.0, default=None)
    last = newest.status if newest is not None else ""
    if newest is not None and _let_go_by_queue(scene, newest):
        return "pbx"
    if last in ("BUSY", "CONGESTION", "CHANUNAVAIL"):
        return "callee"
    if last in ("CANCEL", "ABORT") or any(v.abandoned and not v.result for v in client_visits(scene)):
        return "caller"
    if scene.caller.cause is None or was_blind(scene):
        return None if scene.call.ended_at is not None else "pbx"
    return "pbx"


def was_blind(scene: Scene) -> bool:
    """Whether AMI went unheard until so shortly before the end that whoever hung up may have been told meanwhile."""
    call = scene.call
    if call.ended_at is None or call.ended_at < call.blind_until:
        return False  # the log, or nobody, tells of the end
    return call.unconfirmed or call.ended_at - END_WINDOW < call.blind_until


def _let_go_by_queue(scene: Scene, dial: Dial) -> bool:
    """Whether a queue stopped ringing because its time was over."""
    return any(
        visit.result == "TIMEOUT"
        and visit.left_at is not None
        and visit.joined_at <= (dial.ended_at or 0.0) <= visit.left_at + MOVE_WINDOW
        for visit in client_visits(scene)
    )


def _talked_until(scene: Scene, end: float) -> float | None:
    """When the last conversation ended, if the call went on without one: others were rung, or the client queued."""
    if not scene.conversed:
        return None
    after = scene.conversed[-1][1] + MOVE_WINDOW
    rung = any(c.dial and _rang_until(c, end) > after for c in scene.call.channels.values())
    queued = any((visit.left_at or end) > after for visit in client_visits(scene))
    return scene.conversed[-1][1] if rung or queued else None


def _rang_until(channel: Channel, end: float) -> float:
    """When a dialled channel was rung no more; its answer, its bridge and its end tell so too, should the dial's be lost."""
    entered_at = channel.stays[0].entered_at if channel.stays else None
    dialled_until = channel.dial.ended_at if channel.dial is not None else None
    told = (channel.up_at, dialled_until, channel.ended_at, entered_at)
    return min((at for at in told if at is not None), default=end)


def _last_to_talk(scene: Scene, end: float) -> list[Channel]:
    """The channels of the conversation with which the call ended; none when it did not end with one."""
    last = [span for span in scene.together if end - END_WINDOW <= span.until <= end + MOVE_WINDOW]
    if not last or not scene.conversed or scene.conversed[-1][1] < end - END_WINDOW:
        return []
    uids = max(last, key=lambda span: span.until).uids
    return [c for c in own_channels(scene) if c.uid in uids]


def _first_to_leave(scene: Scene, talking: list[Channel], end: float) -> str:
    leavers = [
        (stay.left_at, uid_order(c.uid), c)
        for c in talking
        for stay in c.stays[-1:]
        if stay.left_at is not None and stay.left_at >= end - END_WINDOW
    ]
    return _side(scene, min(leavers, key=lambda item: item[:2])[2]) if leavers else "pbx"


def _side(scene: Scene, channel: Channel) -> str:
    part = scene.part_of[channel.uid]
    if scene.direction is f.Direction.OUTBOUND:
        return "callee" if part is scene.client else "caller"
    return "caller" if part.caller else "callee"


def missed_by(scene: Scene, legs: tuple[f.Leg, ...], disposition: f.Disposition | None) -> tuple[str, ...]:
    """The extensions that were rung and did not answer, of a call that counts as missed."""
    if scene.call.ended_at is None or not counts_missed(scene.direction, disposition):
        return ()
    return tuple(
        leg.party
        for leg in legs
        if leg.role is f.LegRole.CALLEE
        and leg.kind is f.PartyKind.EXTENSION
        and (leg.outcome is None or leg.outcome in MISSED_OUTCOMES)
    )
