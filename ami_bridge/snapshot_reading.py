"""The answers to our questions after a login, put together into one `Snapshot` signal.

`Status` alone has nearly everything in one action (uniqueid, linked id, bridge, seconds, DNID and the variables asked
for); the bridge lists tell a conversation from a parking lot, the queue and parking lists who waits since when.
"""

from __future__ import annotations

from ami_bridge.translate import BRIDGE_KINDS, clean_name, look, with_presentation
from ami_bridge.wire.message import Message
from telephony.state import signals as s

_APP_KINDS = {"ConfBridge": "conference", "Park": "holding", "ParkedCall": "holding", "BridgeWait": "holding"}
LISTED = frozenset(
    {
        "Status",
        "StatusComplete",
        "BridgeListItem",
        "BridgeListComplete",
        "BridgeInfoChannel",
        "BridgeInfoComplete",
        "CoreShowChannel",
        "CoreShowChannelsComplete",
        "QueueParams",
        "QueueMember",
        "QueueEntry",
        "QueueStatusComplete",
        "ParkedCallsComplete",
    }
)
"""Kinds that are answers to list actions, never news."""


class SnapshotAssembler:
    """Collects list answers until `finish`."""

    def __init__(self, began_at: float) -> None:
        self.began_at = began_at
        self.complete = False
        """Whether the list of channels came to its end: without it nothing may be concluded from an absence."""
        self._channels: dict[str, s.SnapshotChannel] = {}
        self._bridges: dict[str, str] = {}
        self._queued: list[tuple[str, str, float]] = []
        self._parked: list[tuple[str, str, str, float]] = []
        self.last_at = began_at

    def take(self, message: Message) -> bool:
        """Whether the message was an answer to a list action (and so is no news)."""
        if message.kind not in LISTED and not (
            message.kind == "ParkedCall" and "Privilege" not in message.fields
        ):
            return False
        self.last_at = max(self.last_at, message.arrived_at)
        if message.kind == "Status":
            self._channel(message)
        elif message.kind == "StatusComplete":
            self.complete = True
        elif message.kind == "BridgeListItem":
            kind = BRIDGE_KINDS.get(message.get("BridgeType"), "conference")
            self._bridges[message.get("BridgeUniqueid")] = kind
        elif message.kind == "QueueEntry":
            waited = _seconds(message.get("Wait"))
            who = message.get("Uniqueid") or message.get("Channel")
            self._queued.append((clean_name(message.get("Queue")), who, waited))
        elif message.kind == "ParkedCall":
            uid = message.get("ParkeeUniqueid")
            seconds = _seconds(message.get("ParkingDuration"))
            self._parked.append((uid, message.get("ParkingSpace"), message.get("ParkerDialString"), seconds))
        return True

    def _channel(self, message: Message) -> None:
        seen = look(with_presentation(message).fields)
        if seen is None:
            return
        began_at = message.arrived_at - _seconds(message.get("Seconds"))
        bridge = message.get("BridgeID")
        app = message.get("Application")
        if bridge and bridge not in self._bridges and app in _APP_KINDS:
            self._bridges[bridge] = _APP_KINDS[app]
        variables = _variables(message)
        self._channels[seen.uid] = s.SnapshotChannel(
            seen,
            began_at,
            bridge,
            message.get("DNID"),
            None,
            variables.get("MIXMONITOR_FILENAME", ""),
            app,
            "",
        )

    def finish(self, pbx_started_at: float | None = None) -> s.Snapshot:
        """Everything collected, as one signal."""
        return s.Snapshot(
            self.last_at,
            self.began_at,
            tuple(self._channels.values()),
            dict(self._bridges),
            tuple(self._queued),
            tuple(self._parked),
            pbx_started_at,
        )


def _variables(message: Message) -> dict[str, str]:
    found: dict[str, str] = {}
    pairs = [("Variable", message.get("Variable")), *message.repeated]
    for name, value in pairs:
        if name in ("Variable", "ChanVariable") and "=" in value:
            key, _, text = value.partition("=")
            found.setdefault(
                key, "" if text == "(null)" else text
            )  # how Asterisk writes a variable that is not set
    return found


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0.0 <= seconds < 1e7 else 0.0
