"""Who is in which bridge since when, and what follows from meeting there.

A shared *basic* bridge makes one call of two. Never a parking lot, queue music or a conference room: those serve strangers,
except for phones that a program brings into the caller's room (`telephony.state.paging`).

But a call that is *sent* into a conference room out of a conversation (by a transfer, or by a program that redirects both
sides) goes on there: whoever else is in that room takes part in it as a guest and keeps a call of their own. Nobody was sent
where everybody dialled the room: those calls stay apart.
"""

from __future__ import annotations

from telephony.call_facts.observations import SAME_MOMENT, CallRecord, Channel, Stay
from telephony.endpoints import Kind
from telephony.events import EventKind
from telephony.state.merging import Merging
from telephony.state.paging import calls_meeting_in_room


class Meeting(Merging):
    """Follows channels into bridges and out of them."""

    def enter(self, channel: Channel, bridge: str, kind: str, at: float) -> None:
        """A channel comes into a bridge; a shared basic bridge joins calls."""
        for stay in reversed(channel.stays):
            if stay.bridge == bridge and stay.guessed:
                stay.guessed = False
                stay.entered_at = at if stay.left_at is None else min(at, stay.left_at)
                self.touch(channel.call)
                return
            if stay.bridge == bridge and abs(stay.entered_at - at) < SAME_MOMENT:
                return
            if stay.bridge == bridge and stay.left_at is None:
                return
            if stay.left_at is not None and stay.left_at <= at:
                break
        if channel.ended_at is not None and at > channel.ended_at:
            return
        current = channel.stay()
        if current is not None:
            if current.entered_at > at:
                return
            self.leave_stay(channel, current, at)
        stay = Stay(bridge, kind, at)
        channel.stays.append(stay)
        if channel.app and at > channel.app_at:
            channel.app = ""  # the mailbox let the caller go on to a person
        if channel.ended_at is not None:
            stay.left_at = channel.ended_at
        else:
            self._bridges.setdefault(bridge, set()).add(channel.uid)
        if channel.up_at is None and channel.kind is not Kind.LOCAL:
            channel.up_at = at
        if kind == "basic":
            self._meet(channel, bridge, at)
        elif kind == "conference":
            self._meet_in_room(bridge, at)
            self._gather(channel, bridge)
        self.touch(channel.call)

    def enter_unseen(self, channel: Channel, bridge: str, kind: str, left_at: float) -> None:
        """A channel leaves a bridge that we never saw it enter: it was there, since when is a guess.

        The guess is the latest of its answer, its last stay elsewhere, and the first entry of another into that bridge.
        """
        if any(stay.left_at is None or stay.left_at > left_at for stay in channel.stays):
            return  # an old message, told again
        if channel.ended_at is not None and left_at > channel.ended_at + SAME_MOMENT:
            return
        since = [channel.up_at or channel.began_at, *(stay.left_at or 0.0 for stay in channel.stays[-1:])]
        others = [
            stay.entered_at
            for other in channel.call.everyone()
            for stay in other.stays
            if stay.bridge == bridge and stay.entered_at <= left_at
        ]
        since += [min(others)] if others else []
        stay = Stay(bridge, kind, min(max(since), left_at))
        stay.guessed = True
        stay.left_at = left_at
        channel.stays.append(stay)
        if kind == "basic":
            self._bridges.setdefault(bridge, set()).add(channel.uid)
            self._meet(channel, bridge, left_at)
            self.leave_stay(channel, stay, left_at)
        self.touch(channel.call)

    def leave_stay(self, channel: Channel, stay: Stay, at: float) -> None:
        """Close a stay in a bridge."""
        stay.left_at = max(at, stay.entered_at)
        members = self._bridges.get(stay.bridge)
        if members is not None:
            members.discard(channel.uid)
            if not members:
                del self._bridges[stay.bridge]
        self._touch_sent(stay.bridge)

    def _meet(self, channel: Channel, bridge: str, at: float) -> None:
        for uid in list(self._bridges.get(bridge, ())):
            other = self.channels.get(uid)
            if other is None or other is channel:
                continue
            asking = _asking(channel, other)
            if asking is not None:
                self._split_consultation(*asking, at)
            elif other.call is not channel.call and not _is_guest(channel, other):
                self.merge(channel.call, other.call, at)
        self._note_answer(channel.call, at)
        for guest_of in {
            self.channels[uid].call.id: self.channels[uid].call for uid in self._bridges.get(bridge, ())
        }.values():
            self._note_answer(guest_of, at)

    def _gather(self, channel: Channel, room: str) -> None:
        """A channel comes into a conference room: its call goes on there, or it takes part in the calls sent there."""
        call = channel.call
        if _was_sent(channel):
            call.rooms.add(room)
            self._rooms.setdefault(room, {})[call.id] = call
        inside = [self.channels[uid] for uid in self._bridges.get(room, ()) if uid in self.channels]
        for sent in self._rooms.get(room, {}).values():
            if any(one.call is sent for one in inside):
                sent.guests.update({one.uid: one for one in inside if one.real and one.call is not sent})
        self._touch_sent(room)

    def _touch_sent(self, room: str) -> None:
        for sent in self._rooms.get(room, {}).values():
            if sent.ended_at is None:
                self.touch(sent)

    def _meet_in_room(self, bridge: str, at: float) -> None:
        members = [self.channels[uid] for uid in self._bridges.get(bridge, ()) if uid in self.channels]
        meeting = calls_meeting_in_room(members)
        for call in meeting[1:]:
            meeting[0] = self.merge(meeting[0], call, at)

    def _note_answer(self, call: CallRecord, at: float) -> None:
        if call.conversing:
            return
        talking = [
            c
            for c in call.everyone()
            if c.real and (stay := c.stay()) is not None and stay.kind == "basic" and c.ended_at is None
        ]
        if len({c.party or c.uid for c in talking}) >= 2:
            call.conversing = True
            self.say(call, EventKind.ANSWERED, at)


def _is_guest(one: Channel, other: Channel) -> bool:
    """Whether one of the two asks in the consultation that the other is in."""
    return any(
        guest.uid in host.call.guests and host.call.consultation_of is not None
        for guest, host in ((one, other), (other, one))
    )


def _was_sent(channel: Channel) -> bool:
    """Whether a channel that has just come into a conference room was in a conversation before."""
    return (
        channel.real and channel.call.conversing and any(stay.kind == "basic" for stay in channel.stays[:-1])
    )


def _asking(one: Channel, other: Channel) -> tuple[Channel, Channel] | None:
    """(Local half, asker): a Local half that nobody dialled, made while the other, a colleague, was with a client."""
    for half, asker in ((one, other), (other, one)):
        if (
            half.kind is Kind.LOCAL
            and (half.dial is None or half.dial.source is None)
            and half.call is asker.call
            and len(half.stays) == 1
            and asker.kind is Kind.EXTENSION
            and len(asker.stays) >= 2
            and asker.stays[-2].kind == "basic"
            and half.began_at >= asker.stays[0].entered_at
        ):
            return half, asker
    return None
