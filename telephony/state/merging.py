"""Two calls turn out to be one, or a consultation to be a call of its own.

- **A merge keeps the client's call**, else the older one; the other's id becomes a redirect   (`merge`).
- **A consultation by feature code** shares the client's linked id; it is recognised when the colleague leaves the client
  for a Local half that nobody dialled (`telephony.state.bridges`), and then takes its channels     (`_split_consultation`).
"""

from __future__ import annotations

from telephony.call_facts.observations import CallRecord, Channel
from telephony.events import EventKind
from telephony.ids import call_id
from telephony.state.registry import Keeping


class Merging(Keeping):
    """Makes one call of two, and two of one."""

    def _add(self, call: CallRecord, channel: Channel) -> None:
        channel.call = call
        call.channels[channel.uid] = channel
        if channel.ended_at is None:
            call.live += 1
            call.ended_at = None
        if channel.began_at < call.started_at:
            call.started_at = channel.began_at
        self.touch(call)

    def join(self, one: Channel, other: Channel, at: float) -> None:
        """Two channels belong together: move a fresh one over, else merge their calls."""
        if one.call is other.call:
            return
        if not other.stays and other.dial is None:
            self.move(other, one.call)
        elif not one.stays and one.dial is None:
            self.move(one, other.call)
        else:
            self.merge(one.call, other.call, at)

    def move(self, channel: Channel, to: CallRecord) -> None:
        """Put a channel that was grouped by its linked id only where its dial edge says it belongs."""
        old = channel.call
        to.unconfirmed = to.unconfirmed or old.unconfirmed
        to.seen_in_part = to.seen_in_part or old.seen_in_part
        to.talked_unseen = to.talked_unseen or old.talked_unseen
        to.blind_until = max(to.blind_until, old.blind_until)
        del old.channels[channel.uid]
        if channel.ended_at is None:
            old.live -= 1
        self._add(to, channel)
        if not old.channels:
            self._drop(old, into=to)
        elif old.live <= 0 and old.ended_at is None:
            self._end_call(old, max(left.ended_at or 0.0 for left in old.channels.values()))
        else:
            self.touch(old)

    def merge(self, one: CallRecord, other: CallRecord, at: float) -> CallRecord:
        """Two calls turn out to be one. Returns the one kept: the client's, else the older."""
        if one is other:
            return one
        kept, gone = _older(one, other)
        for uid, channel in gone.channels.items():
            if channel.stays and channel.counts_from == 0.0:
                channel.counts_from = at
            channel.call = kept
            kept.channels[uid] = channel
        kept.guests = {u: g for u, g in (kept.guests | gone.guests).items() if u not in kept.channels}
        for room in gone.rooms:
            kept.rooms.add(room)
            self._rooms.setdefault(room, {})[kept.id] = kept
        kept.live += gone.live
        kept.unconfirmed = kept.unconfirmed or gone.unconfirmed
        kept.seen_in_part = kept.seen_in_part or gone.seen_in_part
        kept.talked_unseen = kept.talked_unseen or gone.talked_unseen
        kept.blind_until = max(kept.blind_until, gone.blind_until)
        if gone.live:
            kept.ended_at = None
        kept.started_at = (
            min(kept.started_at, gone.started_at) if gone.consultation_of is None else kept.started_at
        )
        kept.transfers += gone.transfers
        if gone.consultation_of is not None:
            for visit in gone.queues:
                visit.counts_from = at
        kept.queues += gone.queues
        kept.parkings += gone.parkings
        kept.events += gone.events
        self._drop(gone, into=kept)
        self.say(kept, EventKind.MERGED, at)
        return kept

    def _drop(self, gone: CallRecord, *, into: CallRecord) -> None:
        self._calls.pop(gone.id, None)
        self._dirty.pop(gone.id, None)
        self._ending.pop(gone.id, None)
        self._consulting.pop(gone.id, None)
        self._asking.pop(gone.id, None)
        self.release_rooms(gone)
        for linked in gone.linkeds:
            if self._by_linked.get(linked) is gone:
                self._by_linked[linked] = into
                into.linkeds.append(linked)
        into.absorbed += gone.absorbed
        if gone.announced:
            into.absorbed.append(gone.id)
        for call in self._asking.values():
            if call.consultation_of == gone.id:
                call.consultation_of = into.id
        if into.consultation_of == gone.id:
            into.consultation_of = None
            self._asking.pop(into.id, None)
        self.touch(into)

    def peer_half(self, channel: Channel) -> Channel | None:
        """The other half of a Local channel."""
        first, _, half = channel.name.rpartition(";")
        for uid in channel.call.channels:
            other = self.channels.get(uid)
            if other is not None and other is not channel and other.half == first and half:
                return other
        return None

    def _split_consultation(self, half: Channel, asker: Channel, at: float) -> None:
        """By feature code: the colleague left the client for a Local half that nobody dialled."""
        client_call = asker.call
        call = CallRecord(call_id(self.numbering.pbx, half.uid, half.began_at), half.linked, half.began_at)
        call.consultation_of = client_call.id
        self._asking[call.id] = call
        call.caller_uid = asker.uid
        call.requested = half.exten or half.endpoint
        self._calls[call.id] = call
        peer = self.peer_half(half)
        moving = [half] if peer is None else [half, peer]
        moving += [c for c in client_call.channels.values() if peer and c.dial and c.dial.source == peer.uid]
        for channel in moving:
            self.move(channel, call)
        call.guests[asker.uid] = asker
        self._consulting[call.id] = call
        hold = asker.holds[-1] if asker.holds else None
        if hold is not None and (hold.until is None or at - hold.until < 1.0):
            hold.machinery = True


def _older(one: CallRecord, other: CallRecord) -> tuple[CallRecord, CallRecord]:
    """(kept, gone): a consultation gives way to what it was about; else the older is kept."""
    if one.consultation_of is not None and (other.consultation_of is None or one.consultation_of == other.id):
        return other, one
    if other.consultation_of is not None and (one.consultation_of is None or other.consultation_of == one.id):
        return one, other
    first = min((one, other), key=lambda call: (call.started_at, call.id))
    return (one, other) if first is one else (other, one)
