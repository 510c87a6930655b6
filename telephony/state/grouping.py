"""Which channels make one call: joining, merging, splitting, ending. The rules, each with its place:

- **A call begins** with the first channel of a linked id that no live call knows                (`_channel`).
- **Channels join a call** by a dial edge, a Local pair, a shared *basic* bridge, an observed change of the linked id,
  a transfer, a pickup, a park retrieve                             (`merging.py`, `bridges.py`, `_relinked`).
  Never by a parking lot, queue music or a conference room: those serve strangers. Only phones that a program brings
  into a caller's room join that caller's call                                                  (`paging.py`).
- **A consultation is a call of its own** until the transfer completes. By handset it has a linked id of its own
  (`_note_consultation`); by feature code it shares the client's, and is recognised when the colleague leaves the client
  for a Local half that nobody dialled                                                         (`bridges.py`).
- **A merge keeps the client's call**, else the older one; the other's id becomes a redirect  (`merging.py`).
- **A channel is closed only by its own end**, by its absence from a snapshot, or by the PBX's stop.
- **A call ends** when its last own channel has ended, once. Late words (a CDR, a swapped neighbour) may still amend
  it for `LINGER_SECONDS`; then it is forgotten but for its channels' ids, so that a repeat changes nothing
                                                                                              (`registry.py`).
"""

from __future__ import annotations

from telephony.call_facts.caller_names import name_of_person
from telephony.call_facts.observations import SAME_MOMENT, CallRecord, Channel
from telephony.endpoint_evidence import learn_from_beginning, learn_from_dial, learn_from_service
from telephony.endpoints import Kind, kind_and_extension, parse_name
from telephony.events import EventKind
from telephony.ids import call_id
from telephony.numbers.numbers import Numbering
from telephony.state import signals as s
from telephony.state.bridges import Meeting


class Grouping(Meeting):
    """The channels and calls of one PBX. `telephony.state.tracker.Tracker` feeds it."""

    def see(self, at: float, look: s.Look) -> Channel | None:
        """The channel of a look, made when new; None when it ended long ago or is the PBX's own machinery."""
        channel = self.channels.get(look.uid)
        if channel is None:
            if look.uid in self._forgotten or not look.uid or not look.name:
                return None
            channel = self._channel(at, look)
            if channel is None:
                return None
        elif look.linked != channel.linked and look.linked:
            self._relinked(channel, look.linked)
        if at > channel.last_at:
            channel.last_at = at
        elif at < channel.began_at:
            self._began_earlier(channel, at)
        call = channel.call
        if look.withheld and not channel.withheld:
            channel.withheld = True
            self.touch(call)
        if call.unverified:
            call.unverified = False
        return channel

    def _began_earlier(self, channel: Channel, at: float) -> None:
        """Told out of order: it lived before the event that was told first."""
        channel.began_at = at
        call = channel.call
        if at < call.started_at and call.consultation_of is None:
            call.started_at = at
        self.touch(call)

    def _channel(self, at: float, look: s.Look) -> Channel | None:
        name = parse_name(look.name)
        kind, extension = kind_and_extension(name, self.numbering)
        if kind is Kind.MACHINERY:
            return None
        call = self._call_for(at, look)
        channel = Channel(look.uid, look.linked or look.uid, at, call)
        channel.name = look.name
        channel.endpoint = name.endpoint
        channel.half = name.half
        channel.kind = kind
        channel.number = look.number
        if look.caller_name:
            channel.caller_name = name_of_person(look.caller_name, look.number)
        channel.exten = look.exten
        channel.rung = is_rung(look)
        channel.party = extension
        self.channels[look.uid] = channel
        self._add(call, channel)
        if kind is Kind.LOCAL:
            self._pair_half(channel)
        else:
            self._by_endpoint.setdefault(name.endpoint, set()).add(look.uid)
            if look.state in ("Ring", "Up"):
                self._note_consultation(channel)
        _apply_state(channel, at, look.state)
        return channel

    # -- whose endpoints these are ---------------------------------------------------------------------------------

    def use_numbering(self, numbering: Numbering) -> None:
        """Another answer to whose endpoints these are: every call that is not forgotten is told by it."""
        if numbering == self.numbering:
            return
        self.numbering = numbering
        for channel in list(self.channels.values()):
            self._classify(channel)

    def _learn(self, numbering: Numbering) -> None:
        if numbering is not self.numbering:
            self.use_numbering(numbering)
            self.learned += 1

    def learn_beginning(self, channel: Channel) -> None:
        """See `telephony.endpoint_evidence`."""
        self._learn(learn_from_beginning(self.numbering, channel))

    def learn_dial(self, dest: Channel, dial_string: str) -> None:
        """See `telephony.endpoint_evidence`."""
        self._learn(learn_from_dial(self.numbering, dest, dial_string))
        if dest.kind is Kind.EXTENSION:
            self.learn_service(dest.call)

    def learn_service(self, call: CallRecord) -> None:
        """See `telephony.endpoint_evidence`."""
        self._learn(learn_from_service(self.numbering, call))

    def _classify(self, channel: Channel) -> None:
        name = parse_name(channel.name)
        kind, extension = kind_and_extension(name, self.numbering)
        if not channel.real or (kind is channel.kind and (not extension or extension == channel.party)):
            return
        channel.kind = kind
        channel.party = extension
        self.touch(channel.call)

    def _call_for(self, at: float, look: s.Look) -> CallRecord:
        linked = look.linked or look.uid
        call = self._by_linked.get(linked)
        if call is not None and (call.ended_at is None or at <= call.ended_at + SAME_MOMENT):
            return call
        known = self._identify(look.uid) if self._identify else None
        name = linked if call is None and linked not in self._forgotten else look.uid
        identity = known or call_id(self.numbering.pbx, name, at)
        if identity in self._calls:
            identity = call_id(self.numbering.pbx, look.uid, at)
        if identity in self._calls:
            return self._calls[identity]
        call = CallRecord(identity, linked, at)
        self._calls[identity] = call
        self._by_linked[linked] = call
        call.linkeds.append(linked)
        return call

    def _relinked(self, channel: Channel, linked: str) -> None:
        """No event announces a change of linked id; it shows as another value in the channel's next event."""
        channel.linked = linked
        other = self._by_linked.get(linked)
        if other is None:
            self._by_linked[linked] = channel.call
            channel.call.linkeds.append(linked)
        elif other is not channel.call and other.ended_at is None and channel.call.ended_at is None:
            self.merge(channel.call, other, self.now)

    def _pair_half(self, channel: Channel) -> None:
        peer_uid = self._halves.setdefault(channel.half, channel.uid)
        peer = self.channels.get(peer_uid)
        if peer is not None and peer is not channel:
            self.join(peer, channel, channel.began_at)

    def note_calling(self, channel: Channel) -> None:
        """The channel dials. PJSIP begins a caller's channel so; chan_sip begins it as Down and says so 0.1 ms later."""
        channel.calling = True
        if channel.rung and channel.up_at is None:
            channel.rung = False
            self.learn_beginning(channel)
            self._note_consultation(channel)
            self.touch(channel.call)

    def _note_consultation(self, channel: Channel) -> None:
        """A colleague who is in a conversation and dials somebody else is asking: the new call is a consultation."""
        if channel.kind is not Kind.EXTENSION or channel.uid != channel.linked:
            return
        for uid in self._by_endpoint.get(channel.endpoint, ()):
            other = self.channels[uid]
            stay = other.stay()
            if other.call is not channel.call and stay is not None and stay.kind == "basic":
                channel.call.consultation_of = other.call.id
                self._asking[channel.call.id] = channel.call
                return

    def end_channel(self, channel: Channel, at: float, cause: int | None) -> None:
        """Close one channel, and its call when it was the last."""
        if channel.ended_at is not None:
            return
        channel.ended_at = at
        channel.cause = cause
        stay = channel.stay()
        if stay is not None:
            self.leave_stay(channel, stay, at)
        hold = channel.open_hold()
        if hold is not None:
            hold.until = at
        call = channel.call
        call.live -= 1
        if channel.real:
            self.say(call, EventKind.LEG_ENDED, at, channel.party or channel.number)
        if call.live <= 0:
            self._end_call(call, at)
        self.touch(call)

    def reopen_channel(self, channel: Channel) -> None:
        """Take back the end of a channel whose call goes on: where it was then, it still is."""
        ended_at, channel.ended_at = channel.ended_at, None
        channel.call.live += 1
        stay = channel.stays[-1] if channel.stays else None
        if stay is not None and stay.left_at == ended_at:
            stay.left_at = None
            self._bridges.setdefault(stay.bridge, set()).add(channel.uid)
        if channel.holds and channel.holds[-1].until == ended_at:
            channel.holds[-1].until = None
        self.touch(channel.call)


def is_rung(look: s.Look) -> bool:
    """Whether a channel that begins so was made by the PBX to ring somebody, the first of its linked id."""
    return look.state in ("Down", "Ringing") and look.uid == look.linked


def _apply_state(channel: Channel, at: float, state: str) -> None:
    if state == "Ring":
        channel.calling = True
    elif state == "Up":
        if channel.up_at is None or at < channel.up_at:
            channel.up_at = at
    elif state == "Ringing" and channel.ringing_at is None:
        channel.ringing_at = at
