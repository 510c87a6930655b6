"""Signals in, call facts out. The tracker never waits, logs or reads a clock.

One small function a signal, found through the table at the end. What belongs to which call is decided in
`telephony.state.grouping`, how a transfer is recognised in `telephony.state.transfers`, what a snapshot changes in
`telephony.state.reconcile`; `telephony.call_facts` folds what was observed into call facts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telephony.call_facts.caller_names import is_same_number, name_of_person
from telephony.call_facts.facts import Certainty
from telephony.call_facts.observations import (
    SAME_MOMENT,
    Channel,
    Dial,
    HoldSpan,
    SeenParking,
    SeenQueue,
    SeenRecording,
)
from telephony.endpoints import Kind, dialled_number, kind_and_extension, parse_name
from telephony.events import EventKind
from telephony.ids import uid_order
from telephony.recordings import file_title
from telephony.state import signals as s
from telephony.state.grouping import Grouping, is_rung
from telephony.state.reconcile import lives_on, reconcile
from telephony.state.transfers import attended_transferred, blind_transferred, note_redirect, refer_seen

WHOLE_SECOND = 1.0


class Tracker(Grouping):
    """All calls of one PBX. Feed it signals in the order they come; drain it for what changed."""

    def feed(self, signal: s.Signal) -> None:
        """Take one signal in. Never raises on anything a PBX can say."""
        at = signal.at
        if at > self.now:
            self.now = at
            if self._ending:
                self._forget_ended(at)
        HANDLERS[type(signal)](self, signal)


def _began(tracker: Tracker, signal: s.ChannelBegan) -> None:
    """What the channel is begun with stands, even where a later event of the same moment was told before it."""
    look = signal.look
    channel = tracker.see(signal.at, look)
    if channel is None or channel.begun:
        return
    channel.begun = True
    channel.context = signal.context
    if look.exten != channel.exten:
        channel.exten = look.exten
        tracker.touch(channel.call)
    channel.number = look.number or channel.number
    if look.caller_name:
        channel.caller_name = name_of_person(look.caller_name, look.number) or channel.caller_name
    channel.rung = is_rung(look) and not channel.calling
    tracker.learn_beginning(channel)


def _changed(tracker: Tracker, signal: s.ChannelChanged) -> None:
    look = signal.look
    channel = tracker.see(signal.at, look)
    if channel is None:
        return
    if channel.presumed_ended:
        lives_on(tracker, channel, signal.at)
    if look.name != channel.name and look.name:
        _rename(tracker, channel, look.name)
    if look.state == "Up" and channel.up_at is None:
        channel.up_at = signal.at
        tracker.touch(channel.call)
        if channel.uid == channel.call.linked:
            tracker.learn_service(channel.call)
    elif look.state == "Ringing" and channel.ringing_at is None:
        channel.ringing_at = signal.at
        tracker.say(channel.call, EventKind.RANG, signal.at, channel.party)
    elif look.state == "Ring" and not channel.calling:
        tracker.note_calling(channel)
    if not channel.number and look.number:
        channel.number = look.number
    if not channel.caller_name and look.caller_name and is_same_number(look.number, channel.number):
        channel.caller_name = name_of_person(look.caller_name, look.number)


def _rename(tracker: Tracker, channel: Channel, name: str) -> None:
    parsed = parse_name(name)
    kind, extension = kind_and_extension(parsed, tracker.numbering)
    if kind in (Kind.MACHINERY, Kind.LOCAL):
        return
    channel.name = name
    if parsed.endpoint != channel.endpoint:
        channel.endpoint = parsed.endpoint
        channel.kind = kind
        channel.party = extension or channel.party
        tracker.touch(channel.call)


def _ended(tracker: Tracker, signal: s.ChannelEnded) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None:
        tracker.end_channel(channel, signal.at, signal.cause)


def _asked(tracker: Tracker, signal: s.HangupAsked) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None and channel.asked_at is None:
        channel.asked_at = signal.at
        tracker.touch(channel.call)


def _dial_began(tracker: Tracker, signal: s.DialBegan) -> None:
    source = tracker.see(signal.at, signal.source) if signal.source else None
    dest = tracker.see(signal.at, signal.dest)
    if dest is None:
        return
    if source is not None:
        exten = signal.source.exten if signal.source else ""
        note_redirect(tracker, source, exten, signal.at, dialled_number(signal.dial_string))
    if dest.dial is None:
        if source is not None:
            tracker.join(source, dest, signal.at)
        exten = signal.source.exten if signal.source else ""
        dest.dial = Dial(source.uid if source else None, signal.at, signal.dial_string, exten)
        tracker.touch(dest.call)
        tracker.learn_dial(dest, signal.dial_string)
    elif source is not None and dest.dial.ended_at is None:
        dest.dial.source = source.uid
    if signal.dial_string and not dest.dial.dial_string:
        _learn_what_was_dialled(tracker, dest, dest.dial, signal.dial_string)


def _learn_what_was_dialled(tracker: Tracker, dest: Channel, dial: Dial, dial_string: str) -> None:
    """A later word of whom a line was dialled for: what was supposed until then is forgotten."""
    dial.dial_string = dial_string
    if dest.kind is Kind.TRUNK:
        dest.party = ""
    tracker.learn_dial(dest, dial_string)
    tracker.touch(dest.call)


def _dial_ended(tracker: Tracker, signal: s.DialEnded) -> None:
    source = tracker.see(signal.at, signal.source) if signal.source else None
    dest = tracker.see(signal.at, signal.dest)
    if dest is None:
        return
    if dest.dial is None:  # a pickup, or a dial that began before we looked
        if source is not None:
            tracker.join(source, dest, signal.at)
        dest.dial = Dial(source.uid if source else None, dest.began_at, "", "")
    if source is not None:
        dest.dial.source = source.uid
    ended_at = dest.dial.ended_at
    if not dest.dial.status or (ended_at is not None and signal.at < ended_at):
        dest.dial.status = signal.status
        dest.dial.forward = signal.forward
        dest.dial.ended_at = signal.at
        tracker.touch(dest.call)


def _entered(tracker: Tracker, signal: s.BridgeEntered) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None:
        if channel.presumed_ended:
            lives_on(tracker, channel, signal.at)
        if signal.kind == "conference":
            note_redirect(tracker, channel, signal.look.exten, signal.at)
        tracker.enter(channel, signal.bridge, signal.kind, signal.at)


def _left(tracker: Tracker, signal: s.BridgeLeft) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    if channel.presumed_ended:
        lives_on(tracker, channel, signal.at)
    for stay in reversed(channel.stays):
        if stay.bridge != signal.bridge:
            continue
        if stay.left_at is None and signal.at >= stay.entered_at - SAME_MOMENT:
            tracker.leave_stay(channel, stay, signal.at)
            tracker.touch(channel.call)
        elif stay.left_at is not None and channel.ended_at == stay.left_at and signal.at < stay.left_at:
            stay.left_at = max(signal.at, stay.entered_at)  # the hang-up arrived before it
        return
    tracker.enter_unseen(channel, signal.bridge, signal.kind, signal.at)


def _paired(tracker: Tracker, signal: s.LocalPaired) -> None:
    one = tracker.see(signal.at, signal.one)
    two = tracker.see(signal.at, signal.two)
    if one is not None and two is not None:
        tracker.join(one, two, signal.at)


def _held(tracker: Tracker, signal: s.Held) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None or channel.open_hold() is not None or channel.ended_at is not None:
        return
    if channel.holds and signal.at <= (channel.holds[-1].until or 0.0):
        return
    channel.holds.append(HoldSpan(signal.at))
    tracker.say(channel.call, EventKind.HELD, signal.at, channel.party)


def _resumed(tracker: Tracker, signal: s.Resumed) -> None:
    channel = tracker.see(signal.at, signal.look)
    hold = channel.open_hold() if channel else None
    if channel is not None and hold is not None and signal.at >= hold.at:
        hold.until = signal.at
        tracker.say(channel.call, EventKind.RESUMED, signal.at, channel.party)


def _queue_joined(tracker: Tracker, signal: s.QueueJoined) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    call = channel.call
    if any(q.uid == channel.uid and _is_same_visit(q, signal) for q in call.queues):
        return
    note_redirect(tracker, channel, signal.look.exten or signal.queue, signal.at)
    call.queues.append(SeenQueue(signal.queue, channel.uid, signal.at))
    tracker.learn_service(call)
    tracker.say(call, EventKind.QUEUED, signal.at)


def _is_same_visit(visit: SeenQueue, signal: s.QueueJoined) -> bool:
    """Told before: at this moment, or a little earlier and not left since (an event log may write whole seconds)."""
    since = signal.at - visit.joined_at
    told_again = visit.name == signal.queue and visit.left_at is None and 0.0 <= since <= WHOLE_SECOND
    return abs(since) < SAME_MOMENT or told_again


def _queue_left(tracker: Tracker, signal: s.QueueLeft) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    for visit in reversed(channel.call.queues):
        if visit.name == signal.queue and signal.at >= visit.joined_at:
            visit.abandoned = visit.abandoned or signal.abandoned
            if visit.left_at is None:
                visit.left_at = signal.at
            tracker.touch(channel.call)
            return


def _queue_result(tracker: Tracker, signal: s.QueueResult) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None and channel.call.queues and signal.status:
        channel.call.queues[-1].result = signal.status
        tracker.touch(channel.call)


def _recording(tracker: Tracker, signal: s.RecordingStarted) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None or not signal.file or any(seen.file == signal.file for seen in channel.recordings):
        return
    named = [
        seen for seen in channel.recordings if "/" not in seen.file
    ]  # by a record that was told before it
    if any(file_title(seen.file) == file_title(signal.file) for seen in named):
        return
    channel.recordings = (*channel.recordings, SeenRecording(signal.file, signal.at))
    tracker.touch(channel.call)


def _recording_named(tracker: Tracker, signal: s.RecordingNamed) -> None:
    """Told again by the name alone, a recording is the same; else it began while nobody looked."""
    channel = tracker.channels.get(signal.look.uid)
    if channel is None or not signal.file:
        return
    known = {file_title(seen.file) for other in channel.call.channels.values() for seen in other.recordings}
    if file_title(signal.file) in known:
        return
    began_at = channel.up_at if channel.up_at is not None else channel.began_at
    channel.recordings = (*channel.recordings, SeenRecording(signal.file, min(began_at, signal.at)))
    tracker.touch(channel.call)


def _recording_stopped(tracker: Tracker, signal: s.RecordingStopped) -> None:
    """The PBX does not say which; StopMixMonitor without an id stops the newest."""
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    for seen in reversed(channel.recordings):
        if seen.until is None and seen.at <= signal.at:
            seen.until = signal.at
            tracker.touch(channel.call)
            return


def _recording_muted(tracker: Tracker, signal: s.RecordingMuted) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    for seen in channel.recordings:
        paused = bool(seen.pauses) and seen.pauses[-1][1] is None
        if seen.until is not None or paused == signal.muted:
            continue
        if signal.muted:
            seen.pauses.append([signal.at, None])
        else:
            seen.pauses[-1][1] = signal.at
        tracker.touch(channel.call)


def _consent(tracker: Tracker, signal: s.ConsentTold) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None and (channel.consent is None or channel.consent[0] <= signal.at):
        channel.consent = (signal.at, signal.consent)
        tracker.touch(channel.call)


def _rated(tracker: Tracker, signal: s.CallRated) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None and (channel.rating is None or channel.rating[0] <= signal.at):
        channel.rating = (signal.at, signal.rating)
        tracker.touch(channel.call)


def _app(tracker: Tracker, signal: s.AppEntered) -> None:
    channel = tracker.channels.get(signal.look.uid)  # a CDR comes after the end: it must not begin a call
    if channel is not None:
        if not channel.app:
            channel.app_at = signal.at  # its result, and the record at the end, name the same service again
        channel.app = signal.app
        tracker.touch(channel.call)


def _conference_joined(tracker: Tracker, signal: s.ConferenceJoined) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None or (channel.conferences and channel.conferences[-1][1] is None):
        return
    channel.conferences.append([signal.at, None])
    if not channel.call.conversing:
        channel.call.conversing = True
        tracker.say(channel.call, EventKind.ANSWERED, signal.at, signal.room)
    tracker.touch(channel.call)


def _conference_left(tracker: Tracker, signal: s.ConferenceLeft) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is not None and channel.conferences and channel.conferences[-1][1] is None:
        channel.conferences[-1][1] = signal.at
        tracker.touch(channel.call)


def _parked(tracker: Tracker, signal: s.Parked) -> None:
    channel = tracker.see(signal.at, signal.look)
    if channel is None:
        return
    call = channel.call
    if any(p.uid == channel.uid and abs(p.at - signal.at) < SAME_MOMENT for p in call.parkings):
        return
    tech, _, name = signal.parker.partition("/")
    # Empty: another program parked it, and the PBX names the parked channel itself.
    parker = tracker.numbering.extension_of(name, tech) or ""
    call.parkings.append(SeenParking(channel.uid, signal.at, parker, signal.slot))
    tracker.say(call, EventKind.PARKED, signal.at, signal.slot)


def _unparked(tracker: Tracker, signal: s.Unparked) -> None:
    channel = tracker.see(signal.at, signal.look)
    retriever = tracker.see(signal.at, signal.retriever) if signal.retriever else None
    if channel is None:
        return
    for stay in reversed(channel.call.parkings):
        if stay.uid == channel.uid and stay.until is None:
            stay.until = signal.at
            stay.how = signal.how
            stay.retriever = retriever.party if retriever else ""
            stay.slot = stay.slot or (retriever.exten if retriever else "")
            break
    if retriever is not None:
        tracker.merge(channel.call, retriever.call, signal.at)
    tracker.touch(channel.call)


def _picked_up(tracker: Tracker, signal: s.PickedUp) -> None:
    target = tracker.see(signal.at, signal.target)
    channel = tracker.see(signal.at, signal.look)
    if target is not None and channel is not None:
        tracker.merge(target.call, channel.call, signal.at)


def _link_lost(tracker: Tracker, signal: s.LinkLost) -> None:
    tracker.alive_until = max(tracker.alive_until, signal.at)
    for call in tracker.live():
        call.unverified = call.unconfirmed = True
        call.talked_unseen = call.talked_unseen or call.is_talking
        tracker.touch(call)


def _clock_set(tracker: Tracker, _: s.ClockSet) -> None:
    for call in tracker.live():
        call.certainty = Certainty.BOUNDED
        tracker.touch(call)


def _stopped(tracker: Tracker, signal: s.PbxStopped) -> None:
    for channel in sorted(tracker.channels.values(), key=lambda c: uid_order(c.uid)):
        if channel.ended_at is None and channel.began_at < signal.began_before:
            channel.call.certainty = Certainty.BOUNDED
            tracker.end_channel(channel, max(channel.last_at, signal.at), None)


def _endpoints_listed(tracker: Tracker, signal: s.EndpointsListed) -> None:
    directory = tracker.numbering.directory.with_listing(signal.listing)
    tracker.use_numbering(tracker.numbering.with_directory(directory))


HANDLERS: dict[type[Any], Callable[[Tracker, Any], None]] = {
    s.ChannelBegan: _began,
    s.ChannelChanged: _changed,
    s.ChannelEnded: _ended,
    s.HangupAsked: _asked,
    s.DialBegan: _dial_began,
    s.DialEnded: _dial_ended,
    s.BridgeEntered: _entered,
    s.BridgeLeft: _left,
    s.LocalPaired: _paired,
    s.ReferSeen: refer_seen,
    s.BlindTransferred: blind_transferred,
    s.AttendedTransferred: attended_transferred,
    s.PickedUp: _picked_up,
    s.Parked: _parked,
    s.Unparked: _unparked,
    s.Held: _held,
    s.Resumed: _resumed,
    s.QueueJoined: _queue_joined,
    s.QueueLeft: _queue_left,
    s.QueueResult: _queue_result,
    s.RecordingStarted: _recording,
    s.RecordingNamed: _recording_named,
    s.RecordingStopped: _recording_stopped,
    s.RecordingMuted: _recording_muted,
    s.ConsentTold: _consent,
    s.CallRated: _rated,
    s.AppEntered: _app,
    s.ConferenceJoined: _conference_joined,
    s.ConferenceLeft: _conference_left,
    s.LinkLost: _link_lost,
    s.ClockSet: _clock_set,
    s.Snapshot: reconcile,
    s.EndpointsListed: _endpoints_listed,
    s.PbxStopped: _stopped,
}
