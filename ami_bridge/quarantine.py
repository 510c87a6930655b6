"""Which messages may be believed. A caller can write AMI headers, even whole events, by line breaks in their
number.

Measured on 16.28 and 22.10: `%0D%0A` in a SIP From user reaches AMI raw inside `CallerIDNum` (cut at 79
bytes), in every event of that channel. It comes in two forms. Smuggled headers: the message is real and so is
the call, but headers follow that Asterisk did not write. A forged block: an empty line cuts the real message
in two, and between head and tail stands an event that Asterisk never sent.

What gives a forgery away: an unsolicited event of Asterisk carries `Privilege` second and, with
timestampevents and systemname on, `Timestamp` and `SystemName`. All four with an `Event` line do not fit into
79 bytes. An answer carries an ActionID of ours, which is random. So smuggled headers are flagged and used by
what Asterisk wrote itself; a forged block is put aside; head and tail are joined again, for the call is real;
and a hang-up right after a cut message is told as one to confirm.

`switchhook replay` judges captures by the same rules: no socket and no clock here.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ami_bridge.translate import is_odd_user_event
from ami_bridge.wire.framing import FRAGMENT
from ami_bridge.wire.message import Message

MAY_REPEAT = frozenset({"ChanVariable", "Output"})  # several of a name are Asterisk's own way
REPEATS_BY_KIND = {
    "TestEvent": frozenset({"State"}),  # test_framework.c writes State twice; 218 in the captures
    "Status": frozenset({"Variable"}),  # one line for each that was asked for; a VarSet has exactly one
}
UNSTAMPED = frozenset({"FullyBooted"})  # written at login without the event queue: no Timestamp on 16 and 22
DESTRUCTIVE = frozenset({"Hangup", "BridgeLeave"})  # what ends a leg or a talk in the tracker
LEARNED_FROM = frozenset({"Newchannel", "Hangup", "Status", "CoreShowChannel"})  # tell whose uniqueid it is
IDENTITY = (
    "Uniqueid",
    "Linkedid",
)  # come after CallerIDNum: the first of the name may be the caller's, not Asterisk's
CHANNEL_LINES = (
    "CallerIDNum",
    "CallerIDName",
    "ConnectedLineNum",
    "ConnectedLineName",
    "Language",
    "AccountCode",
    "Context",
    "Exten",
    "Priority",
)  # the lines of one channel in every event, in this order and nothing between (manager_channels.c, 16 and 22)
CAPTURED_BLOCKS = 200  # enough for a day of one persistent attacker's calls; 200 × 64 kB at worst is 13 MB
UNSETTLED_MESSAGES = (
    4  # cut head, forged block and tail follow each other; two more for a second forged block
)
KNOWN_CHANNELS = (
    5_000  # live channels whose ids are remembered; 900 concurrent calls (1,800) were the most measured
)
CLOCK_STEPPED_AFTER = 5  # so many events in a row agree on another time: the PBX's clock was set, not forged
CLOCK_TOLERANCE_SECONDS = 30.0  # stamps step back by at most 4 ms; a paused virtual machine jumps by seconds

_STAMP = re.compile(r"\d{9,11}\.\d{6}", re.ASCII)


class Judgement(StrEnum):
    """What to do with a message."""

    ACCEPT = "accept"
    FLAG = "flag"
    """Real, but carries what a stranger wrote: use the verdict's message, and tell that it is suspicious."""
    QUARANTINE = "quarantine"
    """Not believed: keep it aside with the reason, act on nothing in it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one message."""

    judgement: Judgement
    reason: str
    """A short fixed phrase, counted by; empty when accepted."""
    message: Message
    """What to use: the message itself, or one mended from what Asterisk wrote."""
    confirm_channel: str = ""
    """When set: this message ends something right beside a malformed block. Ask `Status` for this channel
    first."""

    @property
    def usable(self) -> bool:
        """Whether the verdict's message may be acted upon."""
        return self.judgement is not Judgement.QUARANTINE


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A block put aside, with why."""

    reason: str
    message: Message


@dataclass(slots=True)
class Quarantine:
    """The blocks put aside last, and how many for each reason. Bounded; losing the oldest is fine, they are
    counted."""

    counts: Counter[str] = field(default_factory=Counter)
    blocks: deque[Quarantined] = field(default_factory=lambda: deque(maxlen=CAPTURED_BLOCKS))

    def keep(self, verdict: Verdict) -> None:
        """Counts a flagged message; counts and keeps a quarantined one."""
        if verdict.judgement is Judgement.ACCEPT:
            return
        self.counts[verdict.reason] += 1
        if verdict.judgement is Judgement.QUARANTINE:
            self.blocks.append(Quarantined(verdict.reason, verdict.message))


@dataclass(slots=True)
class LinkSession:
    """What was learned of one link so far: whether it stamps its events, its clock, and which channels live
    on it."""

    own_mark: str = ""
    """Random text in every ActionID that is ours; empty in a replay, where any ActionID counts as an
    answer."""
    stamped: bool = False
    """Events carry `Timestamp` (timestampevents = yes)."""
    system_name: str = ""
    """The PBX's `systemname`, carried by every event; empty when not set."""
    clock_seconds: float = 0.0
    """Timestamp of the newest believed event."""
    clock_read_at: float = 0.0
    """When that event arrived here."""
    unsettled: int = 0
    """So many messages more are under suspicion, because a malformed block went by."""
    cut_head: Message | None = None
    """The first half of a message that was cut in two."""
    clock_told: bool = False
    """The PBX answers with its time when asked: then no number of events that agree on another one proves it."""
    channels: dict[str, str] = field(default_factory=dict)
    """Uniqueid → channel name, from messages that were sound."""

    _strange_clock: float = 0.0
    _strange_count: int = 0

    def is_answer(self, message: Message) -> bool:
        """Whether the message answers an action of ours."""
        action_id = message.fields.get("ActionID")
        return bool(action_id) and self.own_mark in (action_id or "")

    def clock_plausible(self, stamp: float, arrived_at: float) -> bool:
        """Whether an event may bear this time. Where the PBX does not tell its own, five events that agree do."""
        if self.fits_clock(stamp, arrived_at):
            return True
        agrees = abs(stamp - self._strange_clock) <= CLOCK_TOLERANCE_SECONDS
        self._strange_count = self._strange_count + 1 if agrees else 1
        self._strange_clock = stamp
        if self.clock_told or self._strange_count < CLOCK_STEPPED_AFTER:
            return False
        self.clock_seconds = 0.0
        self._read_clock(stamp, arrived_at)
        return True

    def fits_clock(self, stamp: float, arrived_at: float) -> bool:
        """Whether the time follows from the events before it; if so it becomes the link's newest time.

        That a clock was set is found before, in `ami_bridge.wire.pbx_clock`. Here it is enough that the event was sent as
        long before its arrival as the others, or that its time follows theirs.
        """
        newest, read_at = self.clock_seconds, self.clock_read_at
        latest = newest + max(0.0, arrived_at - read_at) + CLOCK_TOLERANCE_SECONDS
        if (
            newest
            and not newest - CLOCK_TOLERANCE_SECONDS <= stamp <= latest
            and abs((stamp - arrived_at) - (newest - read_at)) > CLOCK_TOLERANCE_SECONDS
        ):
            return False
        self._strange_count = 0
        self._read_clock(stamp, arrived_at)
        return True

    def _read_clock(self, stamp: float, arrived_at: float) -> None:
        if stamp > self.clock_seconds:
            self.clock_seconds = stamp
            self.clock_read_at = arrived_at

    def learn_channel(self, message: Message) -> None:
        """Remembers whose uniqueid this is, or forgets it at the hang-up."""
        uniqueid = message.fields.get("Uniqueid", "")
        if message.kind == "Hangup":
            self.channels.pop(uniqueid, None)
        elif uniqueid:
            self.channels[uniqueid] = message.fields.get("Channel", "")
            if len(self.channels) > KNOWN_CHANNELS:
                del self.channels[next(iter(self.channels))]


def _no_beginning(message: Message, _session: LinkSession) -> bool:
    return message.kind == FRAGMENT


def _two_beginnings(message: Message, _session: LinkSession) -> bool:
    """An answer's line in an event; only OriginateResponse, which tells a result later, has both."""
    return message.kind not in ("Response", "OriginateResponse") and "Response" in message.fields


def _no_origin(message: Message, session: LinkSession) -> bool:
    """Neither `Privilege` as second header nor an ActionID of ours: Asterisk sends no such event."""
    if message.kind == "Response" or session.is_answer(message):
        return False
    return _second_name(message) != "Privilege"


def _second_name(message: Message) -> str:
    names = iter(message.fields)
    next(names, None)
    return next(names, "")


def _unstamped(message: Message, session: LinkSession) -> bool:
    if not _must_be_stamped(message, session):
        return False
    return not _STAMP.fullmatch(message.fields.get("Timestamp", ""))


def _foreign_system(message: Message, session: LinkSession) -> bool:
    if not session.system_name or not _must_be_stamped(message, session):
        return False
    return message.fields.get("SystemName") != session.system_name


def _must_be_stamped(message: Message, session: LinkSession) -> bool:
    return (
        session.stamped
        and message.kind != "Response"
        and message.kind not in UNSTAMPED
        and not session.is_answer(message)
    )


def _wrong_time(message: Message, session: LinkSession) -> bool:
    stamp = message.fields.get("Timestamp", "")
    if session.is_answer(message) or not _STAMP.fullmatch(stamp):
        return False
    return not session.clock_plausible(float(stamp), message.arrived_at)


def _cut_short(message: Message, _session: LinkSession) -> bool:
    """Ends in the middle of the block that Asterisk writes for a channel: a number's line breaks cut it in
    two."""
    fields = message.fields
    return "ChannelState" in fields and "Uniqueid" not in fields and message.kind != "Response"


QUARANTINED: tuple[tuple[str, Callable[[Message, LinkSession], bool]], ...] = (
    ("has no Event or Response line", _no_beginning),
    ("is an event and an answer at once", _two_beginnings),
    ("comes from nowhere: no Privilege, no ActionID of ours", _no_origin),
    ("has no proper Timestamp though this link stamps events", _unstamped),
    ("has another SystemName than this PBX", _foreign_system),
    ("bears a time far from the events around it", _wrong_time),
    ("ends in the middle of a channel", _cut_short),
)
"""Reason → rule, asked in this order; the first that holds puts the message aside."""

SMUGGLED = "repeats headers that come once"
JOINED = "was cut in two and joined again"
CLAIMED = "claims the uniqueid of another channel"
ODD_VALUE = "tells a consent or a rating that nobody can give"
UNKNOWN_END = "ends a channel that nobody knows, beside a malformed block"


def judge(message: Message, session: LinkSession) -> Verdict:
    """Whether to believe a message, given what this link showed so far; `session` learns from it. Never
    raises."""
    _learn_stamps(message, session)
    verdict = (
        Verdict(Judgement.ACCEPT, "", message) if _plain(message, session) else _verdict(message, session)
    )
    if verdict.judgement is Judgement.ACCEPT and is_odd_user_event(message):
        verdict = Verdict(Judgement.FLAG, ODD_VALUE, message)
    if session.unsettled:
        session.unsettled -= 1
        verdict = _with_confirmation(verdict, session)
    if verdict.judgement is Judgement.QUARANTINE:
        session.unsettled = UNSETTLED_MESSAGES
    elif message.kind in LEARNED_FROM and not verdict.confirm_channel:
        session.learn_channel(verdict.message)
    return verdict


def _plain(message: Message, session: LinkSession) -> bool:
    """Whether a message shows nothing odd at all: most of them, and the rules need not be asked one by
    one."""
    if message.repeated or not session.system_name:
        return False
    fields = message.fields
    if fields.get("SystemName") != session.system_name or "Response" in fields or "Event" not in fields:
        return False
    names = tuple(fields)
    if names[1] != "Privilege" or ("ChannelState" in fields and "Uniqueid" not in fields):
        return False
    stamp = fields.get("Timestamp", "")
    return bool(_STAMP.fullmatch(stamp)) and session.fits_clock(float(stamp), message.arrived_at)


def _learn_stamps(message: Message, session: LinkSession) -> None:
    if session.stamped and session.system_name:
        return
    fields = message.fields
    if message.kind in ("Response", FRAGMENT) or _second_name(message) != "Privilege":
        return
    if not _STAMP.fullmatch(fields.get("Timestamp", "")):
        return
    session.stamped = True
    if not session.system_name and tuple(fields)[3:4] == ("SystemName",):
        session.system_name = fields["SystemName"]


def _verdict(message: Message, session: LinkSession) -> Verdict:
    for reason, holds in QUARANTINED:
        if holds(message, session):
            return _put_aside(message, reason, session)
    if not message.repeated or not _smuggled(message):
        return Verdict(Judgement.ACCEPT, "", message)
    return _mended(message, SMUGGLED, session)


def _smuggled(message: Message) -> bool:
    allowed = REPEATS_BY_KIND.get(message.kind, frozenset())
    return any(
        name not in MAY_REPEAT and name not in allowed and not name.endswith("ChanVariable")
        for name, _ in message.repeated
    )


def _put_aside(message: Message, reason: str, session: LinkSession) -> Verdict:
    head = session.cut_head
    if message.kind == FRAGMENT and head is not None and "Uniqueid" in message.fields:
        session.cut_head = None
        repeated = tuple(pair for pair in message.fields.items() if pair[0] in head.fields)
        whole = head._replace(
            fields={**head.fields, **_missing(message, head)},
            repeated=head.repeated + repeated + message.repeated,
        )
        return _mended(whole, JOINED, session)
    if "ChannelState" in message.fields and message.kind != FRAGMENT and "Uniqueid" not in message.fields:
        session.cut_head = message
    return Verdict(Judgement.QUARANTINE, reason, message)


def _missing(message: Message, head: Message) -> dict[str, str]:
    return {name: value for name, value in message.fields.items() if name not in head.fields}


def _mended(message: Message, reason: str, session: LinkSession) -> Verdict:
    """The message as Asterisk wrote it: the first of each name, but where a caller's own line stands before it."""
    smuggled = smuggled_names(message.fields)
    # What a caller smuggles in stands in every place of their number, also behind Asterisk's own line: so the last other.
    own_line = {
        name: value for name, value in message.repeated if name in smuggled and value != message.fields[name]
    }
    told_once = smuggled - {name for name, _ in message.repeated}
    fields = {n: v for n, v in message.fields.items() if n not in told_once and n not in own_line}
    fields |= own_line
    for name in IDENTITY:
        candidates = [fields.get(name, "")] + [value for other, value in message.repeated if other == name]
        if len(set(candidates)) == 1:
            continue
        if name == "Linkedid" or _is_free(candidates[0], message, session):
            continue
        own = [value for value in candidates if _may_be(value, message, session)]
        if not own:
            return Verdict(Judgement.QUARANTINE, CLAIMED, message)
        fields[name] = own[-1]
    return Verdict(Judgement.FLAG, reason, message._replace(fields=fields))


def smuggled_names(fields: dict[str, str]) -> set[str]:
    """Names whose first line a caller wrote: they stand between two of Asterisk's lines that follow each other.

    A name or number ends up in the middle of a channel's lines, so what is smuggled with it comes before the lines that
    Asterisk still had to write. To fake those as well takes more than the 79 bytes a caller has.
    """
    found: set[str] = set()
    suspects: set[str] = set()
    prefix, expected = "", 0
    for name in fields:
        if not expected and name.endswith(CHANNEL_LINES[0]):
            prefix, expected, suspects = name.removesuffix(CHANNEL_LINES[0]), 1, set()
        elif expected and name == prefix + CHANNEL_LINES[expected]:
            expected += 1
        elif expected:
            suspects.add(name)
        while expected and expected < len(CHANNEL_LINES) and prefix + CHANNEL_LINES[expected] in suspects:
            expected += 1  # Asterisk's own of that name is among the repeats
        if expected == len(CHANNEL_LINES):
            found |= suspects
            expected = 0
    return found


def _may_be(uniqueid: str, message: Message, session: LinkSession) -> bool:
    if session.system_name and not uniqueid.startswith(session.system_name + "-"):
        return False
    return _is_free(uniqueid, message, session)


def _is_free(uniqueid: str, message: Message, session: LinkSession) -> bool:
    """Whether no other channel is known by it."""
    return session.channels.get(uniqueid, message.get("Channel")) == message.get("Channel")


def _with_confirmation(verdict: Verdict, session: LinkSession) -> Verdict:
    """A hang-up beside a malformed block is believed only when the PBX no longer has the channel."""
    message = verdict.message
    if not verdict.usable or message.kind not in DESTRUCTIVE:
        return verdict
    channel = session.channels.get(message.get("Uniqueid"), message.get("Channel"))
    if not channel:
        return Verdict(Judgement.QUARANTINE, UNKNOWN_END, message)
    return Verdict(verdict.judgement, verdict.reason, message, confirm_channel=channel)
