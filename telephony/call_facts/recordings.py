"""What was recorded of the call, who was told so, and how the caller rated it."""

from __future__ import annotations

from datetime import datetime

from telephony.call_facts import facts as f
from telephony.call_facts.conversations import union
from telephony.call_facts.observations import Channel, SeenRecording, moment
from telephony.call_facts.scene import Scene
from telephony.ids import uid_order
from telephony.recordings import is_track


def recorded_of(scene: Scene) -> tuple[f.Recorded, ...]:
    """Every recording on a channel of this call, in order of beginning."""
    found = [(seen, channel) for channel in scene.call.channels.values() for seen in channel.recordings]
    found.sort(key=lambda pair: (pair[0].at, uid_order(pair[1].uid)))
    return tuple(_one_recorded(scene, seen, channel) for seen, channel in found)


def _one_recorded(scene: Scene, seen: SeenRecording, channel: Channel) -> f.Recorded:
    part = scene.part_of.get(channel.uid)  # a Local half has none
    track = is_track(seen.file)
    until = seen.until if seen.until is not None else channel.ended_at
    ends = [until] if until is not None else []
    return f.Recorded(
        file=seen.file,
        uniqueid=channel.uid,
        party=part.party if part else channel.endpoint,
        kind=part.kind if part else f.PartyKind.SERVICE,
        at=moment(seen.at),
        until=moment(until) if until is not None else None,
        pauses=tuple(
            f.RecordingPause(
                moment(since), moment(min([resumed, *ends])) if resumed is not None else _end(until)
            )
            for since, resumed in seen.pauses
            if since is not None
        ),
        track=track,
        answered_at=moment(channel.up_at) if track and channel.up_at is not None else None,
        with_outside=_with_outside(scene, channel) if track else (),
    )


def _with_outside(scene: Scene, channel: Channel) -> tuple[f.TrackSpan, ...]:
    """When another party's channel was in a conversation with the outside party: none of its own, none of internal calls."""
    clients = {one.uid for one in scene.client.channels}
    if scene.client.kind is not f.PartyKind.OUTSIDE or channel.uid in clients:
        return ()
    spans = union(
        (one.since, one.until)
        for one in scene.together
        if channel.uid in one.uids and clients & one.uids and one.until > channel.counts_from
    )
    going = scene.call.ended_at is None and channel.ended_at is None
    return tuple(
        f.TrackSpan(moment(since), None if going and until >= scene.now else moment(until))
        for since, until in spans
    )


def _end(until: float | None) -> datetime | None:
    return moment(until) if until is not None else None


def consent_of(scene: Scene) -> str | None:
    """What was told last; of the client's own line before any other's."""
    told = [c.consent for c in scene.client.channels if c.consent] or [
        c.consent for c in scene.call.channels.values() if c.consent
    ]
    return max(told)[1] if told else None


def rating_of(scene: Scene) -> int | None:
    """What the caller keyed in last."""
    told = [c.rating for c in scene.call.channels.values() if c.rating]
    return max(told)[1] if told else None
