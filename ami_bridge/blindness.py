"""Whether the PBX tells us of what lives on it: its list of channels compared with the events that came.

An AMI user without the class `call`, or whose `eventfilter` lines lost one, logs in well and sees nothing or half. Only
a comparison shows it. The PBX is asked for its channels once a minute; a channel that stands there although no event of
a kind came that must have come is a suspicion, and the list is asked for once more. Two lists in a row about the same
channel, and not one event of that kind since the channel began, are certain: a burst, a delay or one lost event cannot
look like that, for another event of the kind would have come meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ami_bridge.wire.message import Message

KNOWN_CHANNELS = (
    5_000  # as many as are remembered to live elsewhere; 900 calls at once were the most measured
)
YOUNG_SECONDS = 2.0  # Duration is whole seconds, rounded down, and an event may overtake the list
_INTERNAL = ("Message/", "Surrogate/", "Bridge/", "Announcer/", "Recorder/", "CBAnn/", "CBRec/", "Snoop/")
"""Names of channels that the PBX makes for itself; not all of their events are sent."""

RECORDING_NAME = "VarSet"
CALL_EVENTS = ("Newchannel", "Newstate", "DialBegin", "DialEnd", "BridgeEnter", "BridgeLeave", "Hangup")
"""Events of the class `call` that the story of each call is told from."""
LOOKED_FOR = frozenset({*CALL_EVENTS, RECORDING_NAME})

LOSSES: Mapping[str, str] = {
    "Newchannel": "calls are not seen when they begin",
    "Newstate": "that a phone rings or was answered is not seen",
    "DialBegin": "who is rung is not seen",
    "DialEnd": "whether a phone took the call is not seen",
    "BridgeEnter": "who talks with whom is not seen",
    "BridgeLeave": "when a conversation is over is not seen",
    "Hangup": "calls never end",
    RECORDING_NAME: "the file names of recordings are not seen",
}
"""What is lost without the event."""


@dataclass(slots=True)
class ListedChannel:
    """One channel as the PBX lists it."""

    uid: str
    name: str
    is_up: bool
    is_dialled: bool
    """A Dial or Queue made it: its application is AppDial or AppQueue."""
    is_bridged: bool
    seconds: float
    recording: str = ""


@dataclass(slots=True)
class _Seen:
    """Which events came of one channel."""

    kinds: set[str] = field(default_factory=set)
    began_up: bool = False
    was_there: bool = False
    """It lived before we came: nothing but its end is expected."""
    last_at: float = 0.0
    bridged_at: float | None = None
    """When it came into the bridge it has not left; None outside of one."""


def _lacks(kind: str) -> Callable[[ListedChannel, _Seen], bool]:
    return lambda _, seen: kind not in seen.kinds


EXPECTED: Mapping[str, Callable[[ListedChannel, _Seen], bool]] = {
    "Newchannel": _lacks("Newchannel"),
    "Newstate": lambda listed, seen: listed.is_up and not seen.began_up and "Newstate" not in seen.kinds,
    "DialBegin": lambda listed, seen: listed.is_dialled and "DialBegin" not in seen.kinds,
    "DialEnd": lambda listed, seen: (
        listed.is_dialled and listed.is_up and "DialBegin" in seen.kinds and "DialEnd" not in seen.kinds
    ),
    "BridgeEnter": lambda listed, seen: listed.is_bridged and "BridgeEnter" not in seen.kinds,
    "BridgeLeave": lambda listed, seen: seen.bridged_at is not None and not listed.is_bridged,
    RECORDING_NAME: lambda listed, seen: bool(listed.recording) and RECORDING_NAME not in seen.kinds,
}
"""Event → whether it must have come of a channel that is listed so, and did not."""


class ChannelComparison:
    """What came of which channel on one link, and what the lists say to it. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self.lost_channels = False
        """Whether a channel of ours was not in the last two lists: what ended it was lost."""
        self._channels: dict[str, _Seen] = {}
        self._last_event: dict[str, float] = {}
        self._suspects: set[tuple[str, str]] = set()
        self._missing_since: dict[str, float] = {}
        self._blind_since = 0.0

    @property
    def missing(self) -> tuple[str, ...]:
        """Events that certainly do not come; empty when all is well or nothing is known."""
        return tuple(
            kind
            for kind in LOSSES
            if kind in self._missing_since and self._came_before(kind, self._missing_since[kind])
        )

    @property
    def is_suspicious(self) -> bool:
        """Whether the last list has to be confirmed by another."""
        return bool(self._suspects)

    @property
    def is_blind(self) -> bool:
        """Whether nothing at all comes of calls: a login reads the user's classes, so a new one is needed."""
        return "Newchannel" in self.missing and all(
            self._came_before(kind, self._blind_since) for kind in CALL_EVENTS
        )

    def begin_link(self) -> None:
        """Logged in anew: what was found holds until an event disproves it; channels are known anew."""
        self._channels.clear()
        self._suspects.clear()
        self.lost_channels = False

    def note(self, message: Message, now: float) -> None:
        """An event came."""
        kind, fields = message.kind, message.fields
        self._last_event[kind] = now
        uid = fields.get("DestUniqueid" if kind in ("DialBegin", "DialEnd") else "Uniqueid", "")
        if kind == "Hangup":
            self._channels.pop(uid, None)
            return
        if not uid:
            return
        seen = self._channels.get(uid)
        if seen is None:
            seen = self._begin(uid)
        seen.kinds.add(kind)
        seen.last_at = now
        if kind == "BridgeEnter":
            seen.bridged_at = now
        elif kind == "BridgeLeave":
            seen.bridged_at = None
        elif kind == "Newchannel" and fields.get("ChannelState") == "6":
            seen.began_up = True

    def excuse(self, uid: str, now: float) -> None:
        """The channel lived before we came."""
        if uid not in self._channels:
            seen = self._begin(uid)
            seen.was_there = True
            seen.last_at = now

    def compare(self, listed: Iterable[ListedChannel], now: float) -> None:
        """Take the PBX's list into account."""
        present = {channel.uid: channel for channel in listed if not channel.name.startswith(_INTERNAL)}
        suspects = self._suspects_among(present, now)
        confirmed = suspects.keys() & self._suspects
        for uid, kind in confirmed:
            if self._came_before(kind, suspects[uid, kind]):
                self._missing_since[kind] = now
                if kind == "Newchannel":
                    self._blind_since = suspects[uid, kind]
        self.lost_channels = any(kind == "Hangup" for _, kind in confirmed)
        for uid, kind in confirmed:
            if kind == "Hangup":
                self._channels.pop(uid, None)
        self._suspects = suspects.keys() - confirmed

    def _suspects_among(
        self, present: Mapping[str, ListedChannel], now: float
    ) -> dict[tuple[str, str], float]:
        """(channel, event that did not come) → since when it should have come."""
        suspects = {
            (uid, "Hangup"): seen.last_at for uid, seen in self._channels.items() if uid not in present
        }
        for uid, channel in present.items():
            seen = self._channels.get(uid) or _Seen()
            born_at = now - channel.seconds - YOUNG_SECONDS
            for kind in () if seen.was_there else EXPECTED:
                if EXPECTED[kind](channel, seen):
                    suspects[uid, kind] = seen.bridged_at or born_at if kind == "BridgeLeave" else born_at
        return suspects

    def _came_before(self, kind: str, since: float) -> bool:
        """Whether no event of the kind has come since then."""
        return self._last_event.get(kind, float("-inf")) < since

    def _begin(self, uid: str) -> _Seen:
        while len(self._channels) >= KNOWN_CHANNELS:
            del self._channels[next(iter(self._channels))]
        seen = self._channels[uid] = _Seen()
        return seen


def blindness_sentence(comparison: ChannelComparison, username: str) -> str | None:
    """What is not seen, and whose move it is; None when nothing is missing."""
    missing = comparison.missing
    if not missing:
        return None
    if comparison.is_blind:
        return (
            "The phone system has calls of which it tells us nothing. "
            f"Add call to the read line of the AMI user {username} in manager.conf (and, where it has eventfilter "
            "lines, those that 'switchhook init' prints), and run 'manager reload'; Switchhook logs in anew by itself."
        )
    told = "; ".join(LOSSES[kind] for kind in missing)
    lines = " and ".join(f"'{filter_line(kind)}'" for kind in missing)
    also = " and dialplan to its read line" if RECORDING_NAME in missing else ""
    return (
        f"The phone system does not send us {', '.join(missing)}: {told}. "
        f"Add {lines} to the AMI user {username} in manager.conf{also}, and run 'manager reload'."
    )


def filter_line(kind: str) -> str:
    """The line of manager.conf that lets the event pass."""
    return f"eventfilter = {'Variable: MIXMONITOR_FILENAME' if kind == RECORDING_NAME else f'Event: {kind}'}"


class ChannelList:
    """The answers to one question for the PBX's channels: `CoreShowChannels`, and `Status` for their recordings."""

    QUESTIONS: tuple[tuple[tuple[str, str], ...], ...] = (
        (("Action", "CoreShowChannels"),),
        (("Action", "Status"), ("Variables", "MIXMONITOR_FILENAME")),
    )

    def __init__(self) -> None:
        self.refused = False
        self._channels: dict[str, ListedChannel] = {}
        self._recordings: dict[str, str] = {}
        self._open = len(self.QUESTIONS)

    def take(self, message: Message) -> bool:
        """Takes one answer in; whether it was the last."""
        if message.kind == "CoreShowChannel":
            self._add(message)
        elif message.kind == "Status":
            self._recordings[message.get("Uniqueid")] = _recording_of(message)
        elif message.kind.endswith("Complete"):
            self._open -= 1
        elif message.kind == "Response" and message.get("Response") == "Error":
            self._open -= 1
            self.refused = self.refused or not self._channels
        return self._open <= 0

    def channels(self) -> list[ListedChannel]:
        """Everything that was listed."""
        for uid, file in self._recordings.items():
            if file and uid in self._channels:
                self._channels[uid].recording = file
        return list(self._channels.values())

    def _add(self, message: Message) -> None:
        uid = message.get("Uniqueid")
        if uid and len(self._channels) < KNOWN_CHANNELS:
            self._channels[uid] = ListedChannel(
                uid,
                message.get("Channel"),
                is_up=message.get("ChannelState") == "6",
                is_dialled=message.get("Application") in ("AppDial", "AppQueue"),
                is_bridged=bool(message.get("BridgeId")),
                seconds=_seconds_of(message.get("Duration")),
            )


def _recording_of(message: Message) -> str:
    pairs = [("Variable", message.get("Variable")), *message.repeated]
    values = [value for name, value in pairs if name == "Variable"]
    for value in values:
        name, _, file = value.partition("=")
        if name == "MIXMONITOR_FILENAME" and file != "(null)":
            return file
    return ""


def _seconds_of(duration: str) -> float:
    """`01:02:03` as seconds."""
    pieces = duration.split(":")
    if len(pieces) != 3 or not all(piece.isdecimal() and len(piece) < 6 for piece in pieces):
        return 0.0
    hours, minutes, seconds = map(int, pieces)
    return hours * 3600.0 + minutes * 60.0 + seconds
