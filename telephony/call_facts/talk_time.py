"""Every party's conversation with the client: the time in which the two could hear each other.

Being together in a basic bridge is a conversation (`telephony.call_facts.conversations`). What a consultation said before
its transfer completed is not the client's: `counts_from` of its channels says from when on they count.
"""

from __future__ import annotations

from telephony.call_facts.conversations import Together, total, union, without
from telephony.call_facts.holds import held_spans, waiting_for
from telephony.call_facts.scene import Scene, Span, own_channels
from telephony.call_facts.waits import waiting_spans


def share_out(scene: Scene) -> None:
    """Give every party its conversation with the client."""
    client_uids = {c.uid for c in scene.client.channels}
    client_end = max((c.ended_at if c.ended_at is not None else scene.now) for c in scene.client.channels)
    by_uid = {c.uid: c for c in own_channels(scene)}
    for span in scene.together:
        since = span.since
        with_client = bool(span.uids & client_uids)
        if not with_client and (since < client_end or _went_on_in_room(scene, span)):
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
    _add_waiting(scene)
    unheard = held_spans(scene)
    for part in scene.parts.values():
        if part.heard:
            part.heard = _merge_touching(part.heard)
            part.talk = without(union(part.heard), unheard)
    scene.conversed = _merge_touching(scene.conversed)


def _add_waiting(scene: Scene) -> None:
    """While a colleague asks somebody else, that colleague and whoever waits are in the call all the same: a hold."""
    for party, span in waiting_for(scene):
        scene.parts[party].heard.append(span)
        scene.conversed.append(span)


def _went_on_in_room(scene: Scene, span: Together) -> bool:
    """Whether these are together in the conference room the call was sent to: what they say without the client is theirs."""
    rooms = scene.call.rooms
    return bool(rooms) and any(
        stay.bridge in rooms
        and stay.entered_at <= span.since
        and (stay.left_at is None or stay.left_at >= span.until)
        for channel in own_channels(scene)
        if channel.uid in span.uids
        for stay in channel.stays
    )


def _merge_touching(spans: list[Span]) -> list[Span]:
    """Like `union`, but keeps a conversation of no length: it was answered all the same."""
    joined: list[Span] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


def talk_seconds(scene: Scene) -> float:
    """From the first conversation to the last, without parking lots and queues."""
    if not scene.conversed:
        return 0.0
    whole = [(scene.conversed[0][0], scene.conversed[-1][1])]
    return total(without(whole, waiting_spans(scene)))
