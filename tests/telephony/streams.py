"""Streams made from captured ones: renamed, shifted, interleaved, forged, cut, and the snapshot a PBX would show."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ami_bridge.translate import TRANSLATIONS, moment_of
from ami_bridge.wire.message import Message
from tests.telephony.captured import Link

_UID = re.compile(r"(?<![\w.])((?:[a-z]\w*-)?)(1795\d{6})\.(\d+)")  # every uniqueid in the captures begins so
_ORIGINATED = re.compile(r"crm-\d+")  # the ChannelId that a CRM chose for its click-to-call
_CHANNEL = re.compile(r"((?:PJSIP|Local)/[\w@.+*-]*?-)([0-9a-f]{8})(?![0-9a-f])")
_BRIDGE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ID_WORDS = re.compile(
    "channel|uniqueid|linkedid|bridge|value|id$|source|forward|retriev|parker", re.IGNORECASE
)


def at_of(message: Message) -> float:
    """When the event happened."""
    return moment_of(message)


def is_call_event(message: Message) -> bool:
    """Whether the message is one the tracker is told of."""
    return message.kind in TRANSLATIONS and "Privilege" in message.fields


def rewritten(messages: Iterable[Message], change: Callable[[str, str], str]) -> Link:
    """Every value replaced by `change(name, value)`."""
    return tuple(
        message._replace(
            fields={name: change(name, value) for name, value in message.fields.items()},
            repeated=tuple((name, change(name, value)) for name, value in message.repeated),
        )
        for message in messages
    )


def _new_ids(counter: int, prefix: str | None, name: str, value: str) -> str:
    if not _ID_WORDS.search(name):
        return value

    def uid(match: re.Match[str]) -> str:
        kept = match[1] if prefix is None else prefix
        return f"{kept}{match[2]}.{int(match[3]) + counter}"

    value = _UID.sub(uid, value)
    value = _ORIGINATED.sub(lambda match: f"{match[0]}{counter}", value)
    value = _CHANNEL.sub(lambda m: f"{m[1]}{(int(m[2], 16) + counter) % 16**8:08x}", value)
    if counter and "bridge" in name.lower():
        value = _BRIDGE.sub(lambda m: f"{counter % 16**8:08x}{m[0][8:]}", value)
    return value


def renamed(messages: Iterable[Message], counter: int, *, prefix: str | None = None) -> Link:
    """All ids of channels and bridges replaced by others, consistently. `prefix` replaces the system name in them."""
    link = rewritten(messages, partial(_new_ids, counter, prefix))
    if prefix is None:
        return link
    return rewritten(link, lambda name, value: prefix.rstrip("-") if name == "SystemName" else value)


def without_system_name(messages: Iterable[Message]) -> Link:
    """As a PBX tells it whose `systemname` is not set."""
    link = rewritten(messages, partial(_new_ids, 0, ""))
    return without_header(link, "SystemName")


def without_header(messages: Iterable[Message], header: str) -> Link:
    """Without one header."""
    return tuple(
        message._replace(fields={name: value for name, value in message.fields.items() if name != header})
        for message in messages
    )


def shifted(messages: Iterable[Message], seconds: float) -> Link:
    """The same at another time (the epochs inside the uniqueids are kept: they are names)."""
    moved = []
    for message in messages:
        fields = dict(message.fields)
        if "Timestamp" in fields:
            fields["Timestamp"] = f"{float(fields['Timestamp']) + seconds:.6f}"
        moved.append(message._replace(fields=fields, arrived_at=message.arrived_at + seconds))
    return tuple(moved)


def other_phones(messages: Iterable[Message]) -> Link:
    """The same office with other extensions: 1xx becomes 2xx in channel names, numbers and dial strings."""
    return rewritten(messages, lambda _, value: _EXTENSION.sub(r"2\2", value))


_EXTENSION = re.compile(r"(?<![\d.+])(1)(0[1-6])(?!\d)")


def interleaved(one: Sequence[Message], other: Sequence[Message]) -> Link:
    """Two streams as one link, by time of arrival; each keeps its own order."""
    merged: list[Message] = []
    left, right = list(one), list(other)
    while left and right:
        merged.append((left if left[0].arrived_at <= right[0].arrived_at else right).pop(0))
    return tuple(merged + left + right)


def headers_text(message: Message) -> bytes:
    """The message as Asterisk would write it."""
    pairs = [*message.fields.items(), *message.repeated]
    return "".join(f"{name}: {value}\r\n" for name, value in pairs).encode() + b"\r\n"


def raw(messages: Iterable[Message], banner: bytes = b"Asterisk Call Manager/11.0.0\r\n") -> bytes:
    """A link's bytes."""
    return banner + b"".join(headers_text(message) for message in messages)


def login(at: float) -> Message:
    """The answer to our login: a link begins."""
    fields = {"Response": "Success", "ActionID": "cap-login", "Message": "Authentication accepted"}
    return Message("Response", fields, at)


# -- the snapshot ----------------------------------------------------------------------------------------------------


class Pbx:
    """A reference model of the PBX: what lives on it, by the events it sent. Much simpler than the tracker."""

    def __init__(self) -> None:
        self.channels: dict[str, dict[str, str]] = {}
        self.began: dict[str, float] = {}
        self.bridge_of: dict[str, str] = {}
        self.bridges: dict[str, str] = {}
        self.queued: dict[str, tuple[str, float]] = {}
        self.parked: dict[str, tuple[str, str, float]] = {}
        self.dnid: dict[str, str] = {}

    @classmethod
    def after(cls, messages: Iterable[Message]) -> Pbx:
        """The PBX after it sent these."""
        pbx = cls()
        for message in messages:
            if is_call_event(message):
                pbx.hear(message)
        return pbx

    def hear(self, message: Message) -> None:
        """One event more."""
        fields = message.fields
        for prefix in ("", "Dest", "LocalOne", "LocalTwo", "Transferee", "Parkee"):
            uid = fields.get(f"{prefix}Uniqueid", "")
            if uid in self.channels or (message.kind == "Newchannel" and prefix == "" and uid):
                self._look(uid, fields, prefix, message)
        uid = fields.get("Uniqueid", "")
        if message.kind == "Hangup":
            for known in (self.channels, self.began, self.bridge_of, self.queued, self.parked, self.dnid):
                known.pop(uid, None)  # type: ignore[attr-defined]
        elif message.kind == "BridgeEnter":
            self.bridge_of[uid] = fields["BridgeUniqueid"]
            self.bridges[fields["BridgeUniqueid"]] = fields["BridgeType"]
        elif message.kind == "BridgeLeave" and self.bridge_of.get(uid) == fields["BridgeUniqueid"]:
            del self.bridge_of[uid]
        elif message.kind == "QueueCallerJoin":
            self.queued[uid] = fields["Queue"], at_of(message)
        elif message.kind == "QueueCallerLeave":
            self.queued.pop(uid, None)
        elif message.kind == "ParkedCall":
            parker = fields.get("ParkerChannel") or fields.get("ParkerDialString", "")
            self.parked[fields["ParkeeUniqueid"]] = fields["ParkingSpace"], parker, at_of(message)
        elif message.kind in ("UnParkedCall", "ParkedCallTimeOut", "ParkedCallGiveUp"):
            self.parked.pop(fields["ParkeeUniqueid"], None)

    def _look(self, uid: str, fields: dict[str, str], prefix: str, message: Message) -> None:
        names = (
            "Channel",
            "ChannelStateDesc",
            "CallerIDNum",
            "CallerIDName",
            "Exten",
            "Uniqueid",
            "Linkedid",
        )
        if uid not in self.channels:
            self.began[uid] = at_of(message)
            if fields.get("Uniqueid") == fields.get("Linkedid"):
                self.dnid[uid] = fields.get("Exten", "")
        self.channels.setdefault(uid, {}).update(
            {n: fields[prefix + n] for n in names if prefix + n in fields}
        )

    def snapshot(self, at: float) -> Link:
        """What it answers to a login and our questions at this moment."""
        item = partial(Message, arrived_at=at)
        told = [login(at)]
        for uid, look in self.channels.items():
            fields = {"Event": "Status", "ActionID": "cap-1", "Privilege": "Call", **look}
            fields |= {
                "DNID": self.dnid.get(uid, ""),
                "BridgeID": self.bridge_of.get(uid, ""),
                "Seconds": str(int(at - self.began[uid])),
            }
            told.append(item("Status", fields))
        told.append(item("StatusComplete", {"Event": "StatusComplete", "ActionID": "cap-1"}))
        for bridge in dict.fromkeys(self.bridge_of.values()):
            fields = {"BridgeUniqueid": bridge, "BridgeType": self.bridges[bridge]}
            told.append(item("BridgeListItem", {"Event": "BridgeListItem", "ActionID": "cap-2", **fields}))
        for uid, (queue, since) in self.queued.items():
            fields = {"Queue": queue, "Uniqueid": uid, "Channel": self.channels[uid]["Channel"]}
            fields["Wait"] = str(int(at - since))
            told.append(item("QueueEntry", {"Event": "QueueEntry", "ActionID": "cap-3", **fields}))
        for uid, (slot, parker, since) in self.parked.items():
            fields = {"ParkeeUniqueid": uid, "ParkingSpace": slot, "ParkerDialString": parker}
            fields["ParkingDuration"] = str(int(at - since))
            told.append(item("ParkedCall", {"Event": "ParkedCall", "ActionID": "cap-4", **fields}))
        return tuple(told)
