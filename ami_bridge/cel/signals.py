"""Asterisk's channel event log (CEL): the durable second source, told in the same signals as AMI.

CEL survives an outage of the bridge: a CSV file (`cel_custom`) or a table. It knows channels, answers, bridges,
transfers, parking and hang-ups with their source; it does not know dial attempts or ringing, so a dial is inferred from
a channel that began under another's linked id. Facts: docs.asterisk.org, "CEL Specification"; measured on 16 and 22.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ami_bridge.cel.bridges import BridgeGuess
from ami_bridge.cel.rows import COLUMNS, CelReader, CelRow, row_of
from ami_bridge.translate import SERVICE_APPS, USER_EVENTS, clean_name, told_by_dialplan
from telephony.state import signals as s

__all__ = ["COLUMNS", "CelReader", "CelRow", "CelTranslator", "row_of"]

LOCAL = "Local/"
CONFERENCE = "ConfBridge"
RECORDER = "MixMonitor"
PICKUPS = ("Pickup", "PickupChan")
PICKUP_SECONDS = (
    2.0  # from dialling the feature code to having the call (measured below 0.01 s; whole seconds are met)
)
BY_DIALPLAN = "dialplan/builtin"
OUTGOING = ("AppDial", "AppQueue")
"""What a called channel's rows name as its application."""
_NUMBER = re.compile(r"\+?\d{3,}")
DIAL_TIMEOUT_AT, QUEUE_TIMEOUT_AT = 1, 4
"""Which argument of Dial and Queue says how many seconds it tries (Asterisk's documentation of the applications)."""
SLACK_SECONDS = 0.2  # phones are rung up to 0.1 s after the application began to count
ABSENT = (
    "N/A"  # what CEL writes for a channel that an event does not have: were it one, it would join strangers
)


class CelTranslator:
    """Rows in time order → signals. Remembers names and dial strings of channels that have not ended."""

    def __init__(self) -> None:
        self._looks: dict[str, s.Look] = {}
        self._by_name: dict[str, str] = {}
        self._dialling: dict[str, str] = {}
        self._callees: set[str] = set()
        self._rung_at: dict[str, float] = {}
        self._undialled: dict[str, None] = {}
        self._queued_at: dict[str, float] = {}
        self._queued: dict[str, bool] = {}
        """Who has left a queue → whether they had waited for as long as it was told to keep them."""
        self._bridges = BridgeGuess()
        self._taker = (float("-inf"), "")

    def translate(self, row: CelRow) -> Iterator[s.Signal]:
        """The signals in one row."""
        if row.kind == "CHAN_START":
            yield from self._start(row)
            return
        yield from self._what_was_dialled(row)
        function = _ROWS.get(row.kind)
        if function is not None:
            yield from function(self, row)
        elif (name := _user_defined(row)) in USER_EVENTS:
            yield from told_by_dialplan(row.at, self._known(row), name, str(row.extra.get("extra", "")))

    def _start(self, row: CelRow) -> Iterator[s.Signal]:
        calls = (
            row.look.uid == row.look.linked
            and row.look.exten not in ("", "s")  # what the PBX rings begins at `s`
            and not row.look.name.startswith(LOCAL)
        )
        look = row.look._replace(state="Ring" if calls else "Down")
        self._looks[look.uid] = look
        self._by_name[look.name] = look.uid
        yield s.ChannelBegan(row.at, look, row.cells.get("context", ""))
        source = self._looks.get(look.linked)
        if look.uid == look.linked or look.name.startswith(LOCAL):
            return
        dialler = self._dialler(look)
        source = self._looks.get(dialler) if dialler else source
        if source is not None:
            self._callees.add(look.uid)
            self._rung_at[look.uid] = row.at
            dial = self._dialling.get(source.uid, "")
            if not dial:
                self._undialled[look.uid] = None
            yield s.DialBegan(row.at, source._replace(state=""), look, dial)

    def _dialler(self, look: s.Look) -> str | None:
        """The channel of the same call whose Dial names this endpoint; the newest first."""
        endpoint = look.name.rpartition("-")[0]
        for uid, data in reversed(self._dialling.items()):
            known = self._looks.get(uid)
            if known is not None and known.linked == look.linked and _names(data, endpoint):
                return uid
        return None

    def _what_was_dialled(self, row: CelRow) -> Iterator[s.Signal]:
        """For callees whose dial string no row told when they began (`apps` without `dial`): it stands in later rows."""
        for uid, dial in self._dialled_by(row):
            look = self._looks.get(uid)
            if look is not None and uid in self._undialled:
                del self._undialled[uid]
                yield s.DialBegan(row.at, None, look._replace(state=""), dial)

    def _dialled_by(self, row: CelRow) -> Iterator[tuple[str, str]]:
        """(callee, dial string) that this row tells: a dialler's own row, or one of the callee itself."""
        if row.app == "Dial" and row.data:
            if peer := self._by_name.get(row.cells.get("peer", "")):
                yield peer, row.data
            answered = [uid for uid in self._answered_undialled(row) if _names(row.data, self._endpoint(uid))]
            if row.kind == "ANSWER" and len(answered) == 1:
                yield answered[0], row.data
        elif row.app in OUTGOING and row.kind in ("HANGUP", "CHAN_END") and self._is_number_of(row):
            yield row.look.uid, row.look.exten

    def _answered_undialled(self, row: CelRow) -> list[str]:
        looks = ((uid, self._looks.get(uid)) for uid in self._undialled if uid not in self._callees)
        return [uid for uid, look in looks if look is not None and look.linked == row.look.linked]

    def _endpoint(self, uid: str) -> str:
        return self._looks[uid].name.rpartition("-")[0]

    def _is_number_of(self, row: CelRow) -> bool:
        """Whether the callee's extension is a number that was dialled, and not the one at which the call came in."""
        first = self._looks.get(row.look.linked)
        return bool(_NUMBER.fullmatch(row.look.exten)) and (first is None or first.exten != row.look.exten)

    def _app(self, row: CelRow) -> Iterator[s.Signal]:
        look = self._known(row)
        if row.app == "Dial":
            self._dialling.pop(look.uid, None)
            self._dialling[look.uid] = row.data
            self._looks[look.uid] = self._looks[look.uid]._replace(exten=row.look.exten)
        elif row.app == "Queue":
            self._queued.pop(look.uid, None)
            self._queued_at[look.uid] = row.at
            yield s.QueueJoined(row.at, look, _first_word(row))
        elif row.app in SERVICE_APPS:
            yield s.AppEntered(row.at, look, row.app)
        elif row.app == RECORDER:
            yield s.RecordingNamed(row.at, look, _first_word(row))

    def _app_ended(self, row: CelRow) -> Iterator[s.Signal]:
        if row.app == "Queue":
            since = self._queued_at.pop(row.look.uid, row.at)
            self._queued[row.look.uid] = _is_used_up(row.data, QUEUE_TIMEOUT_AT, row.at - since)
            yield s.QueueLeft(row.at, self._known(row), _first_word(row), False)

    def _answer(self, row: CelRow) -> Iterator[s.Signal]:
        look = self._known(row)._replace(state="Up")
        if row.app in PICKUPS:
            self._taker = (row.at, look.uid)
        yield s.ChannelChanged(row.at, look)
        if look.uid in self._callees:
            self._callees.discard(look.uid)
            yield s.DialEnded(row.at, None, look, "ANSWER", "")

    def _enter(self, row: CelRow) -> Iterator[s.Signal]:
        bridge = self._bridges.entered(row)
        look = self._known(row)
        if bridge:
            yield s.BridgeEntered(row.at, look, bridge, _bridge_kind(row))
        if row.app == CONFERENCE:
            yield s.ConferenceJoined(row.at, look, _first_word(row))

    def _exit(self, row: CelRow) -> Iterator[s.Signal]:
        bridge = self._bridges.left(row)
        look = self._known(row)
        if bridge:
            yield s.BridgeLeft(row.at, look, bridge, _bridge_kind(row))
        if row.app == CONFERENCE:
            yield s.ConferenceLeft(row.at, look, _first_word(row))

    def _hangup(self, row: CelRow) -> Iterator[s.Signal]:
        look = self._known(row)
        cause = row.extra.get("hangupcause")
        cause = cause if isinstance(cause, int) else None
        asker = self._by_name.get(str(row.extra.get("hangupsource", "")))
        if asker is not None and asker in self._looks:
            yield s.HangupAsked(row.at, self._looks[asker]._replace(state=""))
        if look.uid in self._callees:
            yield s.DialEnded(row.at, None, look, _dial_status(row, cause) or self._status_of_time(row), "")
        waited_out = self._queued.get(look.uid)
        if (
            waited_out is not None
            and row.extra.get("hangupsource", BY_DIALPLAN if waited_out else "") == BY_DIALPLAN
        ):
            yield s.QueueResult(row.at, look, "TIMEOUT")  # the dialplan ended the call after the queue had
        yield s.ChannelEnded(row.at, look, cause)

    def _status_of_time(self, row: CelRow) -> str:
        """Where no cause was kept: a phone that was rung for as long as its Dial allows did not answer; else empty."""
        rung_at = self._rung_at.get(row.look.uid)
        dialler = self._dialler(self._looks[row.look.uid])
        allowed = self._dialling.get(dialler or "", "")
        return (
            "NOANSWER"
            if rung_at is not None and _is_used_up(allowed, DIAL_TIMEOUT_AT, row.at - rung_at)
            else ""
        )

    def _gone(self, row: CelRow) -> Iterator[s.Signal]:
        self._callees.discard(row.look.uid)
        self._rung_at.pop(row.look.uid, None)
        self._bridges.left(row)
        self._undialled.pop(row.look.uid, None)
        self._queued.pop(row.look.uid, None)
        self._queued_at.pop(row.look.uid, None)
        self._dialling.pop(row.look.uid, None)
        yield s.ChannelEnded(row.at, self._known(row), None)

    def _linked_gone(self, row: CelRow) -> Iterator[s.Signal]:
        for uid, look in list(self._looks.items()):
            if look.linked == row.look.linked:
                del self._looks[uid]
                self._by_name.pop(look.name, None)
        yield from ()

    def _blind(self, row: CelRow) -> Iterator[s.Signal]:
        transferee = self._other(row.extra, "transferee_channel")
        exten = str(row.extra.get("extension", ""))
        yield s.BlindTransferred(row.at, self._known(row), transferee, exten, True, None)

    def _attended(self, row: CelRow) -> Iterator[s.Signal]:
        second = self._other(row.extra, "channel2", name="channel2_name") or self._known(row)
        app = str(row.extra.get("app", ""))
        yield s.AttendedTransferred(
            row.at,
            self._known(row),
            second,
            self._other(row.extra, "transferee_channel"),
            self._other(row.extra, "transfer_target_channel"),
            True,
            "app" if app else "bridge",
            app,
        )

    def _pickup(self, row: CelRow) -> Iterator[s.Signal]:
        taker = self._other(row.extra, "pickup_channel", name="pickup_channel")
        if taker is None and row.at - self._taker[0] <= PICKUP_SECONDS:
            taker = self._looks.get(self._taker[1])
        if taker is not None:
            self._bridges.picked_up(taker.linked, row.look.linked)
            yield s.PickedUp(row.at, taker._replace(state=""), self._known(row))

    def _park(self, row: CelRow) -> Iterator[s.Signal]:
        yield s.Parked(row.at, self._known(row), str(row.extra.get("parker_dial_string", "")), "")

    def _unpark(self, row: CelRow) -> Iterator[s.Signal]:
        how = _UNPARKED.get(str(row.extra.get("reason", "")), "gave_up")
        retriever = self._looks.get(self._by_name.get(str(row.extra.get("retriever", "")), ""))
        yield s.Unparked(row.at, self._known(row), retriever._replace(state="") if retriever else None, how)

    def _forward(self, row: CelRow) -> Iterator[s.Signal]:
        """The source's row: the phone that sent the call on is the newest one it dials."""
        for uid in reversed(list(self._looks)):
            if uid in self._callees and self._looks[uid].linked == row.look.linked:
                forward = str(row.extra.get("forward", "")) or "forwarded"
                yield s.DialEnded(row.at, None, self._looks[uid]._replace(state=""), "CANCEL", forward)
                return

    def _known(self, row: CelRow) -> s.Look:
        """The row's look; numbers of a callee's row are the caller's at times, so the first look is kept."""
        known = self._looks.get(row.look.uid)
        if known is None:
            self._looks[row.look.uid] = row.look
            self._by_name[row.look.name] = row.look.uid
            return row.look
        if row.look.linked != known.linked or (row.look.number and not known.number):
            known = known._replace(
                linked=row.look.linked or known.linked,
                number=known.number or row.look.number,
                caller_name=known.caller_name or row.look.caller_name,
            )
            self._looks[known.uid] = known
        return known._replace(state="", number=known.number, caller_name=known.caller_name)

    def _other(self, extra: dict[str, Any], prefix: str, *, name: str | None = None) -> s.Look | None:
        uid = str(extra.get(f"{prefix}_uniqueid", ""))
        if uid in self._looks:
            return self._looks[uid]._replace(state="")
        channel = str(extra.get(name or f"{prefix}_name", ""))
        if ABSENT in (uid, channel):
            return None
        return s.Look(uid, "", channel, "", "", "", "") if uid and channel else None


def _user_defined(row: CelRow) -> str:
    """The name given to CELGenUserEvent: a CSV file has it as the event's type, a table in a column of its own."""
    return row.cells.get("userdeftype", "") if row.kind == "USER_DEFINED" else row.kind


def _bridge_kind(row: CelRow) -> str:
    if str(row.extra.get("bridge_technology", "")).startswith("holding"):
        return "holding"
    return "conference" if row.app == CONFERENCE else "basic"


def _first_word(row: CelRow) -> str:
    """The queue or the room that an application was started with."""
    return clean_name(row.data.partition(",")[0])


def _is_used_up(arguments: str, at: int, seconds: float) -> bool:
    """Whether an application started with these arguments had all the seconds that one of them allows."""
    allowed = arguments.split(",")[at : at + 1]
    limit = int(allowed[0]) if allowed and re.fullmatch(r"[1-9][0-9]{0,5}", allowed[0]) else None
    return limit is not None and seconds >= limit - SLACK_SECONDS


def _dial_status(row: CelRow, cause: int | None) -> str:
    """How the attempt ended; empty where the log keeps no cause.

    PJSIP says who hung up: a refusal's cause that nobody sent was passed on by the PBX.
    """
    if cause is None:
        return ""
    refused = _STATUS_OF_CAUSE.get(cause, "")
    passed_on = row.look.name.startswith("PJSIP/") and row.extra.get("hangupsource") == ""
    return "CANCEL" if passed_on and cause in _REFUSALS else refused


def _names(dial: str, endpoint: str) -> bool:
    tech, _, who = endpoint.partition("/")
    return any(
        part.partition(",")[0].startswith(f"{tech}/")
        and who in part.partition(",")[0].split("/", 1)[1].split("@")
        for part in dial.split("&")
    )


_STATUS_OF_CAUSE = {
    0: "NOANSWER",
    17: "BUSY",
    26: "CANCEL",
    127: "CANCEL",
    3: "CHANUNAVAIL",
    20: "CHANUNAVAIL",
    34: "CONGESTION",
}
_REFUSALS = frozenset({3, 17, 20, 34})
_UNPARKED = {
    "ParkedCallUnparked": "retrieved",
    "ParkedCallTimeOut": "timed_out",
    "ParkedCallGiveUp": "gave_up",
}
_ROWS: dict[str, Callable[[CelTranslator, CelRow], Iterator[s.Signal]]] = {
    "APP_START": CelTranslator._app,
    "APP_END": CelTranslator._app_ended,
    "ANSWER": CelTranslator._answer,
    "BRIDGE_ENTER": CelTranslator._enter,
    "BRIDGE_EXIT": CelTranslator._exit,
    "HANGUP": CelTranslator._hangup,
    "CHAN_END": CelTranslator._gone,
    "LINKEDID_END": CelTranslator._linked_gone,
    "BLINDTRANSFER": CelTranslator._blind,
    "ATTENDEDTRANSFER": CelTranslator._attended,
    "PICKUP": CelTranslator._pickup,
    "PARK_START": CelTranslator._park,
    "PARK_END": CelTranslator._unpark,
    "FORWARD": CelTranslator._forward,
}
