"""Which rows of the channel event log tell what AMI did not: only those are news.

Both name the same events of the same channels, so each signal of a row is looked up among the signals that AMI gave. A row
of whole seconds may be of any moment in its second, and the two times of one event differ a little; an event that happens to
a channel once needs no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ami_bridge.cel import CelRow
from telephony import signals as s
from telephony.recordings import file_title

EARLY_SECONDS = 0.1  # the log may stamp an event so long before AMI does
LATE_SECONDS = 0.3  # and AMI an event so long before the log (measured: up to 0.04 s)
UNNAMED_BRIDGE = "unnamed "  # how `cel_bridges` calls one whose name the log left out

Key = tuple[str, ...]


class ObservedEvents:
    """What AMI told, by what happened to which channel."""

    def __init__(self) -> None:
        self._times: dict[Key, list[float]] = {}
        self._kinds: set[type[Any]] = set()

    def add(self, signals: Iterable[s.Signal]) -> None:
        """Take in what AMI told."""
        for signal in signals:
            self._kinds.add(type(signal))
            for key in _keys(signal):
                self._times.setdefault(key, []).append(signal.at)

    def find(self, signal: s.Signal, slack: float) -> float | None:
        """When AMI told what a row tells; None when it did not. Each of AMI's events answers for one row."""
        keys = _keys(signal)
        times = self._times.get(_unnamed(signal) or keys[0], []) if keys else []
        if type(signal) in ONCE:
            return min(times, key=lambda at: abs(at - signal.at), default=None)
        for index, at in enumerate(times):
            if is_moment_of(at, signal.at, slack):
                return times.pop(index)
        return None

    def knows(self, row: CelRow, *, before: float) -> bool:
        """Whether AMI told of this row's channel what the row tells, up to that moment."""
        what = ROW_KINDS.get(row.kind)
        key = (what, row.look.uid) if what is not None else None
        return key is not None and any(
            at <= before and is_moment_of(at, row.at, row.slack) for at in self._times.get(key, [])
        )

    def would_tell(self, signal: s.Signal) -> bool:
        """Whether this AMI user is told of such events at all, so that a missing one was lost."""
        return type(signal) in SURE and type(signal) in self._kinds and not _unnamed(signal)


def is_moment_of(at: float, written: float, slack: float) -> bool:
    """Whether a row with this time, which may be so much later, can tell of that moment of AMI's."""
    return -LATE_SECONDS <= at - written <= slack + EARLY_SECONDS


def _keys(signal: s.Signal) -> list[Key]:
    make = _KEYS.get(type(signal))
    return make(signal) if make is not None else []


def _unnamed(signal: s.Signal) -> Key | None:
    if isinstance(signal, s.BridgeEntered | s.BridgeLeft) and signal.bridge.startswith(UNNAMED_BRIDGE):
        return _keys(signal)[1]
    return None


def _began(signal: s.ChannelBegan) -> list[Key]:
    return [("began", signal.look.uid), *_state(signal)]


def _state(signal: s.ChannelBegan | s.ChannelChanged) -> list[Key]:
    known = {"Up": "up", "Ring": "dials"}.get(signal.look.state)
    return [(known, signal.look.uid)] if known else []


def _of_bridge(what: str) -> Callable[[Any], list[Key]]:
    return lambda signal: [(what, signal.look.uid, signal.bridge), (what, signal.look.uid)]


def _of_channel(what: str) -> Callable[[Any], list[Key]]:
    return lambda signal: [(what, signal.look.uid)]


def _of_queue(what: str) -> Callable[[Any], list[Key]]:
    return lambda signal: [(what, signal.look.uid, signal.queue)]


_KEYS: dict[type[Any], Callable[[Any], list[Key]]] = {
    s.ChannelBegan: _began,
    s.ChannelChanged: _state,
    s.ChannelEnded: _of_channel("ended"),
    s.HangupAsked: _of_channel("asked"),
    s.DialBegan: lambda signal: [("dialled", signal.dest.uid)],
    s.DialEnded: lambda signal: [("dial ended", signal.dest.uid)],
    s.BridgeEntered: _of_bridge("entered"),
    s.BridgeLeft: _of_bridge("left"),
    s.BlindTransferred: lambda signal: [("transferred", signal.transferer.uid)],
    s.AttendedTransferred: lambda signal: [("transferred", signal.first.uid)],
    s.PickedUp: lambda signal: [("picked up", signal.target.uid)],
    s.Parked: _of_channel("parked"),
    s.Unparked: _of_channel("unparked"),
    s.QueueJoined: _of_queue("queue joined"),
    s.QueueLeft: _of_queue("queue left"),
    s.QueueResult: _of_channel("queue result"),
    s.ConferenceJoined: _of_channel("room joined"),
    s.ConferenceLeft: _of_channel("room left"),
    s.AppEntered: lambda signal: [("app", signal.look.uid, signal.app)],
    s.RecordingNamed: lambda signal: [("recorded", signal.look.uid, file_title(signal.file))],
    s.RecordingStarted: lambda signal: [("recorded", signal.look.uid, file_title(signal.file))],
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
