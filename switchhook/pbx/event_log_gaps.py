"""Which rows of the channel event log tell what AMI did not: only those are news.

Both name the same events of the same channels, so each signal of a row is looked up among the signals that AMI gave. A row
of whole seconds may be of any moment in its second, and the two times of one event differ a little; an event that happens to
a channel once needs no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from ami_bridge.cel.signals import CelRow
from telephony.recordings import file_title
from telephony.state import signals as s

EARLY_SECONDS = 0.1  # the log may stamp an event so long before AMI does
LATE_SECONDS = 0.3  # and AMI an event so long before the log (measured: up to 0.04 s)
TIMES_REMEMBERED = (
    100  # of one thing that happens to a channel again and again; only the gap's edge is looked up
)
UNNAMED_BRIDGE = "unnamed "  # how `cel_bridges` calls one whose name the log left out

What = str | tuple[str, str]
"""What happened to a channel: a word, or a word and what it is about (a bridge, a queue, an application, a file)."""
Occurrence = tuple[str, What]
"""A channel's uniqueid, and what happened to it."""


class ObservedEvents:
    """What AMI told, by what happened to which channel."""

    def __init__(self) -> None:
        self._of: dict[str, dict[What, list[float]]] = {}
        self._used: dict[Occurrence, set[int]] = {}
        self._kinds: set[type[Any]] = set()

    def __len__(self) -> int:
        return len(self._of)

    def add(self, signals: Iterable[s.Signal]) -> None:
        """Take in what AMI told."""
        for signal in signals:
            make = _KEYS.get(type(signal))
            if make is None:
                continue
            self._kinds.add(type(signal))
            for uid, what in make(signal):
                events = self._of.get(uid)
                if events is None:
                    self._of[uid] = {what: [signal.at]}
                elif what not in events:
                    events[what] = [signal.at]
                elif type(signal) not in ONCE:
                    events[what].append(signal.at)

    def keep_only(self, channels: Container[str]) -> None:
        """Forget every other channel, and of a channel that never rests its oldest events."""
        self._of = {uid: events for uid, events in self._of.items() if uid in channels}
        for events in self._of.values():
            for times in events.values():
                del times[:-TIMES_REMEMBERED]

    def begin_reading(self) -> None:
        """The log is read again from an earlier row on: every event answers for its row once more."""
        self._used.clear()

    def find(self, signal: s.Signal, slack: float) -> float | None:
        """When AMI told what a row tells; None when it did not. Each of AMI's events answers for one row."""
        occurrence = _occurrence(signal)
        if occurrence is None:
            return None
        times = self._times(occurrence)
        if type(signal) in ONCE:
            return min(times, key=lambda at: abs(at - signal.at), default=None)
        used = self._used.setdefault(occurrence, set())
        for index, at in enumerate(times):
            if index not in used and is_moment_of(at, signal.at, slack):
                used.add(index)
                return at
        return None

    def knows(self, row: CelRow, *, before: float) -> bool:
        """Whether AMI told of this row's channel what the row tells, up to that moment."""
        what = ROW_KINDS.get(row.kind)
        return what is not None and any(
            at <= before and is_moment_of(at, row.at, row.slack) for at in self._times((row.look.uid, what))
        )

    def would_tell(self, signal: s.Signal) -> bool:
        """Whether this AMI user is told of such events at all, so that a missing one was lost."""
        return type(signal) in SURE and type(signal) in self._kinds and not _is_unnamed(signal)

    def _times(self, occurrence: Occurrence) -> Sequence[float]:
        uid, what = occurrence
        return self._of.get(uid, {}).get(what, ())


def is_moment_of(at: float, written: float, slack: float) -> bool:
    """Whether a row with this time, which may be so much later, can tell of that moment of AMI's."""
    return -LATE_SECONDS <= at - written <= slack + EARLY_SECONDS


def _occurrence(signal: s.Signal) -> Occurrence | None:
    make = _KEYS.get(type(signal))
    made = make(signal) if make is not None else ()
    if not made:
        return None
    return made[1] if _is_unnamed(signal) else made[0]


def _is_unnamed(signal: s.Signal) -> bool:
    return isinstance(signal, s.BridgeEntered | s.BridgeLeft) and signal.bridge.startswith(UNNAMED_BRIDGE)


def _began(signal: s.ChannelBegan) -> Sequence[Occurrence]:
    return ((signal.look.uid, "began"), *_state(signal))


def _state(signal: s.ChannelBegan | s.ChannelChanged) -> Sequence[Occurrence]:
    known = _STATES.get(signal.look.state)
    return ((signal.look.uid, known),) if known is not None else ()


def _of_bridge(what: str) -> Callable[[Any], Sequence[Occurrence]]:
    return lambda signal: ((signal.look.uid, (what, signal.bridge)), (signal.look.uid, what))


def _of_channel(what: str) -> Callable[[Any], Sequence[Occurrence]]:
    return lambda signal: ((signal.look.uid, what),)


def _of_queue(what: str) -> Callable[[Any], Sequence[Occurrence]]:
    return lambda signal: ((signal.look.uid, (what, signal.queue)),)


def _of_file(signal: s.RecordingNamed | s.RecordingStarted) -> Sequence[Occurrence]:
    return ((signal.look.uid, ("recorded", file_title(signal.file))),)


def _dialled(signal: s.DialBegan) -> Sequence[Occurrence]:
    """Whom a line was dialled for, a later row may tell."""
    rung = (signal.dest.uid, "rung")
    return ((signal.dest.uid, "dialled"), rung) if signal.dial_string else (rung,)


_STATES = {"Up": "up", "Ring": "dials"}
_KEYS: dict[type[Any], Callable[[Any], Sequence[Occurrence]]] = {
    s.ChannelBegan: _began,
    s.ChannelChanged: _state,
    s.ChannelEnded: _of_channel("ended"),
    s.HangupAsked: _of_channel("asked"),
    s.DialBegan: _dialled,
    s.DialEnded: lambda signal: ((signal.dest.uid, "dial ended"),),
    s.BridgeEntered: _of_bridge("entered"),
    s.BridgeLeft: _of_bridge("left"),
    s.BlindTransferred: lambda signal: ((signal.transferer.uid, "transferred"),),
    s.AttendedTransferred: lambda signal: ((signal.first.uid, "transferred"),),
    s.PickedUp: lambda signal: ((signal.target.uid, "picked up"),),
    s.Parked: _of_channel("parked"),
    s.Unparked: _of_channel("unparked"),
    s.QueueJoined: _of_queue("queue joined"),
    s.QueueLeft: _of_queue("queue left"),
    s.QueueResult: _of_channel("queue result"),
    s.ConferenceJoined: _of_channel("room joined"),
    s.ConferenceLeft: _of_channel("room left"),
    s.AppEntered: lambda signal: ((signal.look.uid, ("app", signal.app)),),
    s.RecordingNamed: _of_file,
    s.RecordingStarted: _of_file,
    s.ConsentTold: _of_channel("consent"),
    s.CallRated: _of_channel("rated"),
}
ONCE = frozenset(
    {
        s.ChannelBegan,
        s.ChannelChanged,
        s.ChannelEnded,
        s.HangupAsked,
        s.DialBegan,
        s.DialEnded,
        s.AppEntered,
        s.RecordingNamed,
    }
)
"""What happens to a channel once, or is known for good when it was told once."""
ROW_KINDS = {
    "CHAN_START": "began",
    "ANSWER": "up",
    "BRIDGE_ENTER": "entered",
    "BRIDGE_EXIT": "left",
    "CHAN_END": "ended",
}
"""A row's kind → how the signal is called that AMI makes of the same event."""
SURE = frozenset({s.ChannelBegan, s.ChannelEnded, s.BridgeEntered, s.BridgeLeft})
"""What AMI and the log tell of every channel: one that only the log tells was lost on the way."""
