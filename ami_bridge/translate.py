"""One table: AMI message kind → the small function that makes signals of it. What an event means for a call is read here
alone; `framing`, `quarantine`, `observer` and `snapshot_reading` look only at what they need to trust and order messages.

Adding a message is one function and one row in `TRANSLATIONS`. A message that lacks what its function needs gives no
signal; it is counted by the caller, never an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ami_bridge.wire.legacy_text import UNREADABLE
from ami_bridge.wire.message import Message
from telephony.call_facts.facts import CONSENTS, HIGHEST_RATING, LOWEST_RATING
from telephony.state import signals as s

NAME_LIMIT = 300  # characters; Asterisk cuts names at 79 bytes, so anything longer is somebody's joke
BRIDGE_KINDS = {"basic": "basic", "parking": "holding", "holding": "holding", "base": "conference"}
"""`basic` is a conversation; whatever is unknown is treated as a room of strangers, which joins nobody."""
PROHIBITED = "CALLERID(num-pres)=prohib"
"""Of `channelvars` in manager.conf: with a trusted P-Asserted-Identity the number arrives although it is withheld."""
_CONTROL = dict.fromkeys(range(32)) | {127: None}
_LINE_BREAK = re.compile(r"[\r\n]")


def clean_number(raw: str) -> str:
    """A caller id up to its first line break (what follows is smuggled in), without control characters.

    Words such as `anonymous` are kept whole.
    """
    text = _LINE_BREAK.split(raw, 1)[0] if "\r" in raw or "\n" in raw else raw
    if not text.isprintable():
        text = text.translate(_CONTROL)
    text = text.strip()[:NAME_LIMIT]
    return "" if text == "<unknown>" else text


def clean_name(raw: str) -> str:
    """A display name without control characters; empty when it came in letters that nobody can read."""
    if UNREADABLE in raw:
        return ""
    text = (raw if raw.isprintable() else raw.translate(_CONTROL)).strip()[:NAME_LIMIT]
    return "" if text == "<unknown>" else text


def moment_of(message: Message) -> float:
    """The event's own time in Unix seconds; its arrival when the PBX does not stamp events."""
    stamp = message.fields.get("Timestamp")
    if stamp:
        try:
            at = float(stamp)
        except ValueError:
            return message.arrived_at
        if 0.0 < at < 4e9:
            return at
    return message.arrived_at


def look(fields: dict[str, str], prefix: str = "") -> s.Look | None:
    """How a channel looks in a message; None when the message names none."""
    uid = fields.get(prefix + "Uniqueid", "")
    name = fields.get(prefix + "Channel", "")
    if not uid or not name:
        return None
    return s.Look(
        uid,
        fields.get(prefix + "Linkedid", ""),
        name,
        fields.get(prefix + "ChannelStateDesc", ""),
        clean_number(fields.get(prefix + "CallerIDNum", "")),
        clean_name(fields.get(prefix + "CallerIDName", "")),
        fields.get(prefix + "Exten", ""),
        PROHIBITED in fields.get(prefix + "ChanVariable", ""),
    )


def _one(make: Callable[[float, s.Look], s.Signal]) -> Callable[[Message, float], Iterator[s.Signal]]:
    def function(message: Message, at: float) -> Iterator[s.Signal]:
        seen = look(message.fields)
        if seen is not None:
            yield make(at, seen)

    return function


def _newchannel(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    if seen is not None:
        yield s.ChannelBegan(at, seen, message.get("Context")[:NAME_LIMIT])


def _hangup(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    if seen is not None:
        yield s.ChannelEnded(at, seen, _integer(message.get("Cause")))


def _dial_begin(message: Message, at: float) -> Iterator[s.Signal]:
    dest = look(message.fields, "Dest")
    if dest is not None:
        yield s.DialBegan(at, look(message.fields), dest, message.get("DialString"))


def _dial_end(message: Message, at: float) -> Iterator[s.Signal]:
    dest = look(message.fields, "Dest")
    if dest is not None:
        source = look(message.fields)
        forward = message.get("Forward")
        names = list(message.fields)
        if forward and "DestPriority" in names[names.index("Forward") :]:
            forward = ""  # Asterisk writes it behind the channels; before them it is a caller's own line
        yield s.DialEnded(at, source, dest, message.get("DialStatus"), forward)


def _bridge_enter(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    bridge = message.get("BridgeUniqueid")
    if seen is not None and bridge:
        kind = BRIDGE_KINDS.get(message.get("BridgeType"), "conference")
        yield s.BridgeEntered(at, seen, bridge, kind)


def _bridge_leave(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    bridge = message.get("BridgeUniqueid")
    if seen is not None and bridge:
        kind = BRIDGE_KINDS.get(message.get("BridgeType"), "conference")
        yield s.BridgeLeft(at, seen, bridge, kind)


def _local_bridge(message: Message, at: float) -> Iterator[s.Signal]:
    one, two = look(message.fields, "LocalOne"), look(message.fields, "LocalTwo")
    if one is not None and two is not None:
        yield s.LocalPaired(at, one, two)


def _blind_transfer(message: Message, at: float) -> Iterator[s.Signal]:
    transferer = look(message.fields, "Transferer")
    if transferer is not None:
        yield s.BlindTransferred(
            at,
            transferer,
            look(message.fields, "Transferee"),
            message.get("Extension"),
            message.get("Result") == "Success",
            message.get("IsExternal") == "Yes",
        )


def _attended_transfer(message: Message, at: float) -> Iterator[s.Signal]:
    first = look(message.fields, "OrigTransferer")
    second = look(message.fields, "SecondTransferer")
    if first is not None and second is not None:
        yield s.AttendedTransferred(
            at,
            first,
            second,
            look(message.fields, "Transferee"),
            look(message.fields, "TransferTarget"),
            message.get("Result") == "Success",
            message.get("DestType").lower(),
            message.get("DestApp"),
        )


def _pickup(message: Message, at: float) -> Iterator[s.Signal]:
    seen, target = look(message.fields), look(message.fields, "Target")
    if seen is not None and target is not None:
        yield s.PickedUp(at, seen, target)


def _parked(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields, "Parkee")
    if seen is not None:
        parker = message.get("ParkerChannel") or message.get("ParkerDialString")
        yield s.Parked(at, seen, parker, message.get("ParkingSpace"))


def _unparked(how: str) -> Callable[[Message, float], Iterator[s.Signal]]:
    def function(message: Message, at: float) -> Iterator[s.Signal]:
        seen = look(message.fields, "Parkee")
        if seen is not None:
            yield s.Unparked(at, seen, look(message.fields, "Retriever"), how)

    return function


def _queue_join(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    if seen is not None:
        yield s.QueueJoined(at, seen, clean_name(message.get("Queue")))


def _queue_leave(abandoned: bool) -> Callable[[Message, float], Iterator[s.Signal]]:
    def function(message: Message, at: float) -> Iterator[s.Signal]:
        seen = look(message.fields)
        if seen is not None:
            yield s.QueueLeft(at, seen, clean_name(message.get("Queue")), abandoned)

    return function


def _variable(message: Message, at: float) -> Iterator[s.Signal]:
    """VarSet matters for five variables; every other is a state of the dialplan that is none of our business."""
    make = VARIABLES.get(message.get("Variable").lstrip("_"))
    seen = look(message.fields) if make else None
    if make is not None and seen is not None:
        yield make(at, seen, message.get("Value"))


VARIABLES: dict[str, Callable[[float, s.Look, str], s.Signal]] = {
    "MIXMONITOR_FILENAME": s.RecordingStarted,
    "QUEUESTATUS": s.QueueResult,
    "SIPTRANSFER": lambda at, seen, value: s.ReferSeen(at, seen, value == "yes"),
    "BLINDTRANSFER": lambda at, seen, _: s.ReferSeen(at, seen, False),
    # After a transfer straight into it, no Newexten names the application; its result is told all the same.
    "VMSTATUS": lambda at, seen, _: s.AppEntered(at, seen, "VoiceMail"),
}


def _muted(message: Message, at: float) -> Iterator[s.Signal]:
    """Only of both sides: a half mute by another program leaves the other side's voice, and so is no pause."""
    seen = look(message.fields)
    state = message.get("State")
    if seen is not None and message.get("Direction").lower() == "both" and state in ("0", "1"):
        yield s.RecordingMuted(at, seen, state == "1")


def _user_event(message: Message, at: float) -> Iterator[s.Signal]:
    """Two that our dialplan sends. What an AMI client sends of the same name has no channel and says nothing."""
    seen = look(message.fields)
    if seen is not None:
        name = message.get("UserEvent")
        yield from told_by_dialplan(at, seen, name, message.get(USER_EVENTS.get(name, "")))


def told_by_dialplan(at: float, seen: s.Look, name: str, value: str) -> Iterator[s.Signal]:
    """Consent or rating from a UserEvent, or from the user's event in CEL. Nothing else is a value of theirs."""
    value = value.strip().lower()
    if name == CONSENT_EVENT and value in CONSENTS:
        yield s.ConsentTold(at, seen, value)
    elif name == RATING_EVENT and value in RATINGS:
        yield s.CallRated(at, seen, int(value))


CONSENT_EVENT, RATING_EVENT = "SwitchhookConsent", "SwitchhookRating"
USER_EVENTS = {CONSENT_EVENT: "Consent", RATING_EVENT: "Rating"}
"""The user events of our dialplan, and the header in which each tells its value."""
RATINGS = frozenset(str(rating) for rating in range(LOWEST_RATING, HIGHEST_RATING + 1))


def is_odd_user_event(message: Message) -> bool:
    """One of our two names with a value that our dialplan cannot have sent."""
    header = USER_EVENTS.get(message.get("UserEvent")) if message.kind == "UserEvent" else None
    if header is None:
        return False
    allowed = CONSENTS if header == "Consent" else RATINGS
    return message.get(header).strip().lower() not in allowed


def _extension(message: Message, at: float) -> Iterator[s.Signal]:
    seen = look(message.fields)
    if seen is not None and message.get("Application") in SERVICE_APPS:
        yield s.AppEntered(at, seen, message.get("Application"))


SERVICE_APPS = frozenset({"VoiceMail", "VoiceMailMain", "MinivmRecord"})


def _cdr(message: Message, at: float) -> Iterator[s.Signal]:
    """A CDR is no truth of a call, but its last application tells voicemail to a user who is not told of Newexten, and a
    column that the dialplan fills (FreePBX does, and so does our office) names the recording.
    """
    uid, name, app = message.get("UniqueID"), message.get("Channel"), message.get("LastApplication")
    file = message.get("RecordingFile") or message.get("recordingfile")
    if not (uid and name) or not (file or app in SERVICE_APPS):
        return
    seen = s.Look(uid, message.get("LinkedID"), name, "", "", "", "")
    if app in SERVICE_APPS:
        yield s.AppEntered(at, seen, app)
    if file:
        yield s.RecordingNamed(at, seen, clean_name(file))


def _conference(
    make: Callable[[float, s.Look, str], s.Signal],
) -> Callable[[Message, float], Iterator[s.Signal]]:
    def function(message: Message, at: float) -> Iterator[s.Signal]:
        seen = look(message.fields)
        if seen is not None:
            yield make(at, seen, clean_name(message.get("Conference")))

    return function


def _meetme_join(message: Message, at: float) -> Iterator[s.Signal]:
    """The older conference application mixes outside of the PBX's bridges, so the room itself stands for one."""
    seen, room = look(message.fields), clean_name(message.get("Meetme"))
    if seen is not None and room:
        yield s.BridgeEntered(at, seen, f"meetme {room}", "conference")
        yield s.ConferenceJoined(at, seen, room)


def _meetme_leave(message: Message, at: float) -> Iterator[s.Signal]:
    seen, room = look(message.fields), clean_name(message.get("Meetme"))
    if seen is not None and room:
        yield s.BridgeLeft(at, seen, f"meetme {room}", "conference")
        yield s.ConferenceLeft(at, seen, room)


def _shutdown(_message: Message, at: float) -> Iterator[s.Signal]:
    yield s.PbxStopped(at)


TRANSLATIONS: dict[str, Callable[[Message, float], Iterator[s.Signal]]] = {
    "Newchannel": _newchannel,
    "Newstate": _one(s.ChannelChanged),
    "NewCallerid": _one(s.ChannelChanged),
    "Rename": _one(s.ChannelChanged),
    "HangupRequest": _one(s.HangupAsked),
    "Hangup": _hangup,
    "DialBegin": _dial_begin,
    "DialEnd": _dial_end,
    "BridgeEnter": _bridge_enter,
    "BridgeLeave": _bridge_leave,
    "LocalBridge": _local_bridge,
    "BlindTransfer": _blind_transfer,
    "AttendedTransfer": _attended_transfer,
    "Pickup": _pickup,
    "ParkedCall": _parked,
    "UnParkedCall": _unparked("retrieved"),
    "ParkedCallTimeOut": _unparked("timed_out"),
    "ParkedCallGiveUp": _unparked("gave_up"),
    "ParkedCallSwap": _parked,
    "Hold": _one(s.Held),
    "Unhold": _one(s.Resumed),
    "QueueCallerJoin": _queue_join,
    "QueueCallerLeave": _queue_leave(abandoned=False),
    "QueueCallerAbandon": _queue_leave(abandoned=True),
    "VarSet": _variable,
    "MixMonitorStop": _one(s.RecordingStopped),
    "MixMonitorMute": _muted,
    "UserEvent": _user_event,
    "Newexten": _extension,
    "Cdr": _cdr,
    "ConfbridgeJoin": _conference(s.ConferenceJoined),
    "ConfbridgeLeave": _conference(s.ConferenceLeft),
    "MeetmeJoin": _meetme_join,
    "MeetmeLeave": _meetme_leave,
    "Shutdown": _shutdown,
}


def translate(message: Message, at: float | None = None) -> Iterator[s.Signal]:
    """The signals in one event; none for a kind that says nothing of calls. `at`: its moment, where that is known."""
    function = TRANSLATIONS.get(message.kind)
    if function is None:
        return iter(())
    moment = moment_of(message) if at is None else at
    return function(with_presentation(message) if message.repeated else message, moment)


def with_presentation(message: Message) -> Message:
    """Where manager.conf asks for several variables, the presentation may be told after the others: told first here."""
    for name, value in message.repeated:
        if name.endswith("ChanVariable") and value.startswith(PROHIBITED):
            fields = {**message.fields, name: value}
            return message._replace(fields=fields)
    return message


def _integer(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 6 else 0
