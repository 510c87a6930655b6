"""What a snapshot changes: start, restart and reconnect are this one path.

A known channel that is present is live again; a known one that is absent ended in the gap, at a time known only within
limits; an unknown one is adopted with what the snapshot can say of it. Nothing is flushed and nothing is invented.

The words of one PBX do not keep step: CEL may tell of a channel or a move that its snapshot does not show yet. So a move of
the last moment stands against the snapshot, and a channel that was missing but then enters or leaves a bridge or changes
its state lives on.
"""

from __future__ import annotations

from telephony.call_facts.facts import Certainty
from telephony.call_facts.observations import (
    SAME_MOMENT,
    Channel,
    Dial,
    SeenParking,
    SeenQueue,
    SeenRecording,
)
from telephony.endpoints import VOICEMAIL_APPS
from telephony.ids import uid_order
from telephony.state import signals as s
from telephony.state.grouping import Grouping

BEHIND_SECONDS = (
    0.05  # CEL of the login's moment may be ahead of the PBX's other words (measured: up to 0.04 s)
)


def reconcile(tracker: Grouping, snapshot: s.Snapshot) -> None:
    """Bring the tracker in line with what lives on the PBX."""
    present = {shown.look.uid: shown for shown in snapshot.channels}
    known_before = (
        snapshot.began_at - SAME_MOMENT
    )  # what CEL tells of the login's own moment AMI may tell after it
    for channel in sorted(tracker.channels.values(), key=lambda c: uid_order(c.uid)):
        # One that had begun before the login would be listed, whatever CEL tells of its last moment.
        known_until = known_before if channel.began_at >= known_before else snapshot.began_at
        if channel.ended_at is None and channel.uid not in present and channel.last_at < known_until:
            channel.call.certainty = Certainty.BOUNDED
            tracker.end_channel(channel, max(channel.last_at, tracker.alive_until), None)
            channel.presumed_ended = True
    for shown in sorted(snapshot.channels, key=lambda c: uid_order(c.look.uid)):
        _align(tracker, shown, snapshot)
    for queue, who, waited in snapshot.queued:
        _align_queue(tracker, queue, who, snapshot.at - waited)
    for uid, slot, parker, seconds in snapshot.parked:
        _align_parking(tracker, uid, slot, parker, snapshot.at - seconds)
    for channel in (tracker.channels[uid] for uid in present if uid in tracker.channels):
        call = channel.call
        if call.unconfirmed or call.certainty is not Certainty.OBSERVED:
            call.blind_until = snapshot.began_at
        if call.unconfirmed:
            call.unconfirmed = False
            tracker.touch(call)
    for call in tracker.live():
        if call.unverified:
            call.unverified = False
            tracker.touch(call)


def _align(tracker: Grouping, shown: s.SnapshotChannel, snapshot: s.Snapshot) -> None:
    known = shown.look.uid in tracker.channels
    channel = tracker.see(shown.began_at if not known else snapshot.at, shown.look)
    if channel is None or channel.ended_at is not None:
        return
    if not known:
        _adopt(channel, shown)
    if shown.recording and not any(seen.file == shown.recording for seen in channel.recordings):
        # It began while nobody looked: not before this.
        began_at = max(shown.began_at, tracker.alive_until if known else 0.0)
        channel.recordings = (*channel.recordings, SeenRecording(shown.recording, began_at))
    if shown.look.state == "Up" and channel.up_at is None:
        channel.up_at = shown.answered_at or (shown.began_at if not known else snapshot.at)
    stay = channel.stay()
    if known and _moved_at(channel) >= snapshot.began_at - BEHIND_SECONDS:
        tracker.touch(channel.call)
        return  # it changed places while we asked: its own events tell better
    if shown.bridge and (stay is None or stay.bridge != shown.bridge):
        if known:
            channel.call.certainty = Certainty.RECONSTRUCTED
        entered = shown.answered_at or channel.up_at or shown.began_at
        if known:
            entered = max(entered, channel.last_at if stay is None else snapshot.began_at)
            entered = min(entered, snapshot.at)
        tracker.enter(channel, shown.bridge, snapshot.bridges.get(shown.bridge, "basic"), entered)
    elif not shown.bridge and stay is not None:
        channel.call.certainty = Certainty.BOUNDED
        tracker.leave_stay(channel, stay, snapshot.began_at)
    tracker.touch(channel.call)


def lives_on(tracker: Grouping, channel: Channel, at: float) -> None:
    """A channel does what only a living one can: that it was missing from a snapshot did not mean its end.

    A hang-up request proves nothing: CEL names one that hung up long ago as the source of another's end.
    """
    call_ended = channel.call.ended_at is not None  # once, for good
    if not call_ended and channel.ended_at is not None and at > channel.ended_at:
        channel.presumed_ended = False
        tracker.reopen_channel(channel)


def _moved_at(channel: Channel) -> float:
    """When it last came into a bridge or left one."""
    if not channel.stays:
        return 0.0
    last = channel.stays[-1]
    return last.entered_at if last.left_at is None else last.left_at


def _adopt(channel: Channel, shown: s.SnapshotChannel) -> None:
    """A channel we did not see begin: its call is told as reconstructed."""
    channel.call.certainty = Certainty.RECONSTRUCTED
    if shown.dialled:
        channel.exten = shown.dialled
    if shown.app in VOICEMAIL_APPS:
        channel.app, channel.app_at = shown.app, shown.began_at  # in it since then at the earliest
    if channel.uid != channel.linked and channel.dial is None:
        channel.dial = Dial(channel.linked, shown.began_at, "", "")


def _align_queue(tracker: Grouping, queue: str, who: str, joined_at: float) -> None:
    channel = _find(tracker, who)
    if channel is not None and not any(v.name == queue and v.left_at is None for v in channel.call.queues):
        channel.call.queues.append(SeenQueue(queue, channel.uid, joined_at))
        tracker.touch(channel.call)


def _align_parking(tracker: Grouping, uid: str, slot: str, parker: str, since: float) -> None:
    channel = _find(tracker, uid)
    if channel is not None and not any(
        p.uid == channel.uid and p.until is None for p in channel.call.parkings
    ):
        channel.call.parkings.append(SeenParking(channel.uid, since, parker, slot))
        tracker.touch(channel.call)


def _find(tracker: Grouping, who: str) -> Channel | None:
    return tracker.channels.get(who) or next((c for c in tracker.channels.values() if c.name == who), None)
