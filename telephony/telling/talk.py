"""Every party's conversation with the client: the time in which the two could hear each other.

Being together in a basic bridge is a conversation (`telephony.conversations`). What a consultation said before its
transfer completed is not the client's: `counts_from` of its channels says from when on they count.
"""

from __future__ import annotations

from itertools import pairwise

from telephony.conversations import total, union, without
from telephony.telling.scene import MOVE_WINDOW, Scene, Span, own_channels
from telephony.telling.waits import waiting_spans


def share_out(scene: Scene) -> None:
    """Give every party its conversation with the client."""
    client_uids = {c.uid for c in scene.client.channels}
    client_end = max((c.ended_at if c.ended_at is not None else scene.now) for c in scene.client.channels)
    by_uid = {c.uid: c for c in own_channels(scene)}
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


def _kept_waiting(scene: Scene) -> list[Span]:
    """Times in which a colleague had gone over to a consultation by feature code and the client heard music: a hold."""
    spans = []
    for mine in (stay for c in scene.client.channels for stay in c.stays if stay.kind == "basic"):
        gone = mine.left_at if mine.left_at is not None else scene.now
        for channel in own_channels(scene):
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


def talk_seconds(scene: Scene) -> float:
    """From the first conversation to the last, without parking lots and queues."""
    if not scene.conversed:
        return 0.0
    whole = [(scene.conversed[0][0], scene.conversed[-1][1])]
    return total(without(whole, waiting_spans(scene)))
