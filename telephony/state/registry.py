"""The calls of one PBX as they are kept: what changed and has to be told, what ended, what is forgotten when.

Each layer adds one thing a tracker can do: this one keeps calls, `merging` makes one of two, `meeting` follows who is with
whom in a bridge, `grouping` gives every channel its call, `tracker` understands signals.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from telephony.call_facts.call import tell
from telephony.call_facts.facts import CallFacts, Certainty
from telephony.call_facts.observations import CallRecord, Channel, moment
from telephony.events import CallEvent, EventKind
from telephony.numbers.numbers import Numbering
from telephony.state.paging import is_fetched, is_worth_telling

LINGER_SECONDS = 3.0  # CDRs follow the last hang-up within 0.1 s on an idle box, 1-2 s on a loaded one
REMEMBERED = 20_000  # ended channels; half an hour of a very busy PBX, so that repeats of old messages are known as such


class Change(NamedTuple):
    """One call as it stands after a `drain`, with what happened since the last."""

    facts: CallFacts
    events: tuple[CallEvent, ...]
    aliases: tuple[str, ...]
    absorbed: tuple[UUID, ...]


class Keeping:
    """The calls and channels of one PBX, and which of them have to be told."""

    def __init__(self, numbering: Numbering, *, identify: Callable[[str], UUID | None] | None = None) -> None:
        """`identify` may name the call of a channel uid from before a restart; None is the answer for new ones."""
        self.numbering = numbering
        self.learned = 0
        """How often calls have shown whose an endpoint is; `numbering` has it then."""
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
        self._rooms: dict[str, dict[UUID, CallRecord]] = {}
        """Conference room (bridge) → the calls that were sent there."""
        self._asking: dict[UUID, CallRecord] = {}
        self.refers: dict[str, tuple[float, bool]] = {}
        self.knows_refers = False
        """Whether this PBX's transfer variables are among what we are told: only then their absence means something."""

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

    def hosting(self) -> list[CallRecord]:
        """Calls in which channels of other calls take part: consultations, and calls sent into a conference room."""
        sent = {call.id: call for calls in self._rooms.values() for call in calls.values()}
        return [*self._consulting.values(), *sent.values()]

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

    def open_calls(self) -> list[CallRecord]:
        """Every call that has not ended, also one of which too little was seen to tell it."""
        return [call for call in self._calls.values() if call.ended_at is None]

    def call_with(self, uid: str, linked: str) -> CallRecord | None:
        """The call that is kept of this channel, else of this linked id."""
        channel = self.channels.get(uid)
        return channel.call if channel is not None else self._by_linked.get(linked)

    @property
    def idle(self) -> bool:
        """Whether no state of any live or lingering call is left."""
        return not self._calls and not self.channels and not self._bridges

    def touch(self, call: CallRecord) -> None:
        """Note that the call has to be told again."""
        if self.reconstructing and call.certainty is not Certainty.RECONSTRUCTED:
            call.certainty = Certainty.RECONSTRUCTED
        self._dirty.setdefault(call.id, call)

    def say(self, call: CallRecord, kind: EventKind, at: float, party: str | None = None) -> None:
        """Note that something happened in the call."""
        call.events.append(CallEvent(kind, call.id, moment(at), party))
        self.touch(call)

    def _announce(self, call: CallRecord) -> None:
        if not call.announced and any(_begun(channel) for channel in call.channels.values()):
            call.announced = True
            call.events.insert(0, CallEvent(EventKind.STARTED, call.id, moment(call.started_at)))

    def _end_call(self, call: CallRecord, at: float) -> None:
        first_end = (
            not any(event.kind is EventKind.ENDED for event in call.events) and call.id not in self._ending
        )
        call.ended_at = max(at, *(channel.ended_at or 0.0 for channel in call.channels.values()))
        self._ending[call.id] = call
        if first_end:
            self.say(call, EventKind.ENDED, call.ended_at)

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

    def release_rooms(self, call: CallRecord) -> None:
        """The call has no more to do with the conference rooms it was sent to."""
        for room in call.rooms:
            sent = self._rooms.get(room, {})
            sent.pop(call.id, None)
            if not sent:
                self._rooms.pop(room, None)

    def _forget(self, call: CallRecord) -> None:
        self._calls.pop(call.id, None)
        self._consulting.pop(call.id, None)
        self._asking.pop(call.id, None)
        self.release_rooms(call)
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


def _begun(channel: Channel) -> bool:
    """Whether this channel makes a call worth telling: not one that the PBX rings by itself, before it is answered."""
    if not channel.real:
        return False
    if _is_only_made(channel):
        return False
    if is_fetched(channel):
        return is_worth_telling(channel)
    return (
        not channel.rung
        or channel.up_at is not None
        or (channel.dial is not None and channel.dial.source is not None)
    )


def _is_only_made(channel: Channel) -> bool:
    """Whether the PBX has made the channel to ring somebody, and has not begun to: who rings it is not known yet."""
    return (
        channel.begun
        and channel.uid != channel.linked
        and not channel.calling
        and channel.dial is None
        and channel.ringing_at is None
        and channel.up_at is None
    )
