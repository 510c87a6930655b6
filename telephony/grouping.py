"""Which channels make one call: joining, merging, splitting, ending. The rules, each with its place:

- **A call begins** with the first channel of a linked id that no live call knows            (`_channel`).
- **Channels join a call** by a dial edge, a Local pair, a shared *basic* bridge, an observed change of the linked id,
  a transfer, a pickup, a park retrieve                                                      (`_join`, `_merge`).
  Never by a parking lot, queue music or a conference room: those serve strangers.
- **A consultation is a call of its own** until the transfer completes. By handset it has a linked id of its own; by
  feature code it shares the client's, and is recognised when the colleague leaves the client for a Local half that
  nobody dialled                                                                             (`_split_consultation`).
- **A merge keeps the client's call**, else the older one; the other's id becomes a redirect   (`_merge`).
- **A channel is closed only by its own end**, by its absence from a snapshot, or by the PBX's stop.
- **A call ends** when its last own channel has ended, once. Late words (a CDR, a swapped neighbour) may still amend
  it for `LINGER_SECONDS`; then it is forgotten but for its channels' ids, so that a repeat changes nothing.

"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from telephony import signals as s
from telephony.endpoints import Kind, kind_of, parse_name
from telephony.events import CallEvent, EventKind
from telephony.facts import CallFacts, Certainty
from telephony.ids import call_id
from telephony.numbers import Numbering
from telephony.observations import CallRecord, Channel, Stay, moment
from telephony.telling.call import tell

LINGER_SECONDS = 3.0  # CDRs follow the last hang-up within 0.1 s on an idle box, 1-2 s on a loaded one
REMEMBERED = 20_000  # ended channels; half an hour of a very busy PBX, so that repeats of old messages are known as such
SAME_MOMENT = 0.006  # s; two messages of one moment may arrive swapped (measured: up to 3.6 ms)


class Change(NamedTuple):
    """One call as it stands after a `drain`, with what happened since the last."""

    facts: CallFacts
    events: tuple[CallEvent, ...]
    aliases: tuple[str, ...]
    absorbed: tuple[UUID, ...]


class Grouping:
    """The channels and calls of one PBX. `telephony.tracker.Tracker` feeds it."""

    def __init__(self, numbering: Numbering, *, identify: Callable[[str], UUID | None] | None = None) -> None:
        """`identify` may name the call of a channel uid from before a restart; None is the answer for new ones."""
        self.numbering = numbering
        self.channels: dict[str, Channel] = {}
        self.now = 0.0
        """The newest `at` seen."""
        self.alive_until = 0.0
        """When the link was lost last: a channel whose end nobody saw had not ended before. Unix seconds."""
        self.reconstructing = False
        """True while signals from CEL are fed: calls that they change are told as reconstructed."""
        self._identify = identify
        self._by_linked: dict[str, CallRecord] = {}
        self._bridges: dict[str, set[str]] = {}
        self._halves: dict[str, str] = {}
        self._by_endpoint: dict[str, set[str]] = {}
        self._dirty: dict[UUID, CallRecord] = {}
        self._ending: OrderedDict[UUID, CallRecord] = OrderedDict()
        self._forgotten: OrderedDict[str, UUID] = OrderedDict()
        self._calls: dict[UUID, CallRecord] = {}
        self._consulting: dict[UUID, CallRecord] = {}
        self._asking: dict[UUID, CallRecord] = {}
        self.refers: dict[str, tuple[float, bool]] = {}
        self.knows_refers = False
        """Whether this PBX's transfer variables are among what we are told: only then their absence means something."""

    # -- what callers use ------------------------------------------------------------------------------------------

    def drain(self) -> list[Change]:
        """What changed since the last drain, one entry a call, in order of the first change."""
        if not self._dirty:
            return []
        changed, self._dirty = self._dirty, {}
        changes = []
        for call in changed.values():
            self._announce(call)
            if call.announced:
                changes.append(
                    Change(
                        self.facts(call),
                        tuple(call.events),
                        tuple(call.channels),
                        tuple(call.absorbed),
                    )
                )
                call.events = []
                call.absorbed = []
        return changes

    def advance(self, now: float) -> None:
        """Let time pass (Unix seconds) without a signal: ended calls past their linger are forgotten."""
        if now > self.now:
            self.now = now
        self._forget_ended(now)

    def live(self) -> list[CallRecord]:
        """Calls that have not ended, in order of start."""
        return sorted(
            (call for call in self._calls.values() if call.ended_at is None and call.announced),
            key=lambda call: (call.started_at, call.id),
        )

    def consultations(self) -> list[CallRecord]:
        """Live consultations by feature code: their asker's channel belongs to the client's call."""
        return list(self._consulting.values())

    def facts(self, call: CallRecord) -> CallFacts:
        """The call as it stands."""
        return tell(call, self.numbering, self.now)

    def recorded_channels(self, call: UUID) -> list[str] | None:
        """Names of the call's live channels that are being recorded; None when no such call is live."""
        found = self._calls.get(call)
        if found is None or found.ended_at is not None:
            return None
        return [
            channel.name
            for channel in found.channels.values()
            if channel.ended_at is None and any(seen.until is None for seen in channel.recordings)
        ]

    def call_of(self, uid: str) -> UUID | None:
        """The call that a channel belongs or belonged to, as far back as it is remembered."""
        channel = self.channels.get(uid)
        return channel.call.id if channel else self._forgotten.get(uid)

    @property
    def idle(self) -> bool:
        """Whether no state of any live or lingering call is left."""
        return not self._calls and not self.channels and not self._bridges

    # -- channels --------------------------------------------------------------------------------------------------

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

    def touch(self, call: CallRecord) -> None:
        """Note that the call has to be told again."""
        if self.reconstructing and call.certainty is not Certainty.RECONSTRUCTED:
            call.certainty = Certainty.RECONSTRUCTED
        self._dirty.setdefault(call.id, call)

    def _channel(self, at: float, look: s.Look) -> Channel | None:
        name = parse_name(look.name)
        kind = kind_of(name, self.numbering)
        if kind is Kind.MACHINERY:
            return None
        call = self._call_for(at, look)
        channel = Channel(look.uid, look.linked or look.uid, at, call)
        channel.name = look.name
        channel.endpoint = name.endpoint
        channel.half = name.half
        channel.kind = kind
        channel.number = look.number
        channel.caller_name = look.caller_name
        channel.exten = look.exten
        channel.rung = is_rung(look)
        if kind is Kind.EXTENSION:
            channel.party = name.endpoint
        self.channels[look.uid] = channel
        self._add(call, channel)
        if kind is Kind.LOCAL:
            self._pair_half(channel)
        else:
            self._by_endpoint.setdefault(name.endpoint, set()).add(look.uid)
            self._note_consultation(channel, look)
        _apply_state(channel, at, look.state)
        return channel

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

    def _add(self, call: CallRecord, channel: Channel) -> None:
        channel.call = call
        call.channels[channel.uid] = channel
        if channel.ended_at is None:
            call.live += 1
            call.ended_at = None
        if channel.began_at < call.started_at:
            call.started_at = channel.began_at
        self.touch(call)

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

    def peer_half(self, channel: Channel) -> Channel | None:
        """The other half of a Local channel."""
        first, _, half = channel.name.rpartition(";")
        for uid in channel.call.channels:
            other = self.channels.get(uid)
            if other is not None and other is not channel and other.half == first and half:
                return other
        return None

    def _note_consultation(self, channel: Channel, look: s.Look) -> None:
        """A colleague who is in a conversation and dials somebody else is asking: the new call is a consultation."""
        if (
            channel.kind is not Kind.EXTENSION
            or look.state not in ("Ring", "Up")
            or channel.uid != channel.linked
        ):
            return
        for uid in self._by_endpoint.get(channel.endpoint, ()):
            other = self.channels[uid]
            stay = other.stay()
            if other.call is not channel.call and stay is not None and stay.kind == "basic":
                channel.call.consultation_of = other.call.id
                self._asking[channel.call.id] = channel.call
                return

    # -- joining and parting ---------------------------------------------------------------------------------------

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
        kept.live += gone.live
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

    # -- telling ---------------------------------------------------------------------------------------------------

    def _announce(self, call: CallRecord) -> None:
        if not call.announced and any(_begun(channel) for channel in call.channels.values()):
            call.announced = True
            call.events.insert(0, CallEvent(EventKind.STARTED, call.id, moment(call.started_at)))

    def say(self, call: CallRecord, kind: EventKind, at: float, party: str | None = None) -> None:
        """Note that something happened in the call."""
        call.events.append(CallEvent(kind, call.id, moment(at), party))
        self.touch(call)

    # -- ending ----------------------------------------------------------------------------------------------------

    def end_channel(self, channel: Channel, at: float, cause: int) -> None:
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

    def _end_call(self, call: CallRecord, at: float) -> None:
        first_end = (
            not any(event.kind is EventKind.ENDED for event in call.events) and call.id not in self._ending
        )
        call.ended_at = max(at, *(channel.ended_at or 0.0 for channel in call.channels.values()))
        self._ending[call.id] = call
        if first_end:
            self.say(call, EventKind.ENDED, call.ended_at)

    def leave_stay(self, channel: Channel, stay: Stay, at: float) -> None:
        """Close a stay in a bridge."""
        stay.left_at = max(at, stay.entered_at)
        members = self._bridges.get(stay.bridge)
        if members is not None:
            members.discard(channel.uid)
            if not members:
                del self._bridges[stay.bridge]

    def _forget_ended(self, now: float) -> None:
        while self._ending:
            call = next(iter(self._ending.values()))
            if call.ended_at is not None and now - call.ended_at < LINGER_SECONDS:
                return
            del self._ending[call.id]
            if call.ended_at is not None and call.id not in self._dirty:
                self._forget(call)
            elif call.ended_at is not None:
                self._ending[call.id] = call  # not drained yet: kept until it has been told
                if all(c.id in self._dirty for c in self._ending.values()):
                    return

    def _forget(self, call: CallRecord) -> None:
        self._calls.pop(call.id, None)
        self._consulting.pop(call.id, None)
        self._asking.pop(call.id, None)
        linkeds = {call.linked, *call.linkeds}
        for uid, channel in call.channels.items():
            self.channels.pop(uid, None)
            self.refers.pop(uid, None)
            linkeds.add(channel.linked)
            linkeds.add(uid)
            if channel.half:
                self._halves.pop(channel.half, None)
            same = self._by_endpoint.get(channel.endpoint)
            if same is not None:
                same.discard(uid)
                if not same:
                    del self._by_endpoint[channel.endpoint]
            self._forgotten[uid] = call.id
        for linked in linkeds:
            if self._by_linked.get(linked) is call:
                del self._by_linked[linked]
        while len(self._forgotten) > REMEMBERED:
            self._forgotten.popitem(last=False)

    # -- bridges ---------------------------------------------------------------------------------------------------

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
        if channel.ended_at is not None:
            stay.left_at = channel.ended_at
        else:
            self._bridges.setdefault(bridge, set()).add(channel.uid)
        if channel.up_at is None and channel.kind is not Kind.LOCAL:
            channel.up_at = at
        if kind == "basic":
            self._meet(channel, bridge, at)
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


def _older(one: CallRecord, other: CallRecord) -> tuple[CallRecord, CallRecord]:
    """(kept, gone): a consultation gives way to what it was about; else the older is kept."""
    if one.consultation_of is not None and (other.consultation_of is None or one.consultation_of == other.id):
        return other, one
    if other.consultation_of is not None and (one.consultation_of is None or other.consultation_of == one.id):
        return one, other
    first = min((one, other), key=lambda call: (call.started_at, call.id))
    return (one, other) if first is one else (other, one)


def _begun(channel: Channel) -> bool:
    """Whether this channel makes a call worth telling: not one that the PBX rings by itself, before it is answered."""
    if not channel.real:
        return False
    return (
        not channel.rung
        or channel.up_at is not None
        or (channel.dial is not None and channel.dial.source is not None)
    )


def is_rung(look: s.Look) -> bool:
    """Whether a channel that begins so was made by the PBX to ring somebody, the first of its linked id."""
    return look.state in ("Down", "Ringing") and look.uid == look.linked


def _is_guest(one: Channel, other: Channel) -> bool:
    return one.uid in other.call.guests or other.uid in one.call.guests


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


def _apply_state(channel: Channel, at: float, state: str) -> None:
    if state == "Up":
        if channel.up_at is None or at < channel.up_at:
            channel.up_at = at
    elif state == "Ringing" and channel.ringing_at is None:
        channel.ringing_at = at
