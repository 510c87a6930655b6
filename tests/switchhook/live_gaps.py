"""A capture told by the live service's own parts, with a stretch of it that was never heard: the link breaks before it and
comes back behind it, the event log is read, and a snapshot lists what lives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from ami_bridge.cel.backfill import groups_of
from ami_bridge.cel.signals import CelRow, CelTranslator
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd
from ami_bridge.translate import moment_of, translate
from ami_bridge.wire.message import Message, message_from_headers
from call_records.calls.journal import OpenCall
from switchhook.pbx.call_assembler import Line, Teller, cel_lines, complete_from_log
from switchhook.pbx.event_log_gaps import ObservedEvents, is_moment_of
from telephony.call_facts.facts import CallFacts, Certainty
from telephony.call_facts.observations import Channel
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from telephony.state.tracker import Tracker

A_MOMENT = 1e-5  # s; whatever happens after a login comes over the new link
UPTIME_SECONDS = 100_000.0
AFTER_ALL_SECONDS = 5.0  # a link that broke for good comes back so long after the last row
STATES = {"Down": "0", "Ring": "4", "Ringing": "5", "Up": "6"}
BRIDGE_TYPES = {"basic": "basic", "holding": "holding", "conference": "base"}


class Told:
    """What the journal would hold at the end."""

    def __init__(self) -> None:
        self.facts: dict[UUID, CallFacts] = {}
        self.lines: dict[UUID, list[Line]] = {}
        self.aliases: dict[UUID, tuple[str, ...]] = {}

    def take(self, changes: Sequence[CallChange]) -> None:
        """Keep these too."""
        for change in changes:
            own = self.lines.setdefault(change.facts.id, [])
            for gone in change.absorbed:
                self.facts.pop(gone, None)
                own.extend(self.lines.pop(gone, []))
            self.facts[change.facts.id] = change.facts
            self.aliases[change.facts.id] = change.aliases
            own.extend(change.trace)

    @property
    def calls(self) -> list[CallFacts]:
        """All calls in order of start."""
        return sorted(self.facts.values(), key=lambda facts: (facts.started_at, facts.id))


def moment(at: float) -> datetime:
    """Unix seconds as a time."""
    return datetime.fromtimestamp(at, UTC)


def told_live(
    link: Sequence[Message],
    since: int,
    until: int,
    cel: Sequence[CelRow],
    *,
    numbering: Numbering,
    second_gap: tuple[int, int] | None = None,
) -> Told:
    """The calls when messages `since` to `until` were never heard, nor those of another gap after it."""
    line = _Line(link, cel, numbering)
    line.begin()
    line.hear(0, since)
    for gap_from, gap_until, heard_until in _gaps((since, until), second_gap, len(link)):
        line.lose(gap_from, gap_until)
        line.hear(gap_until, heard_until)
    return line.finish()


def told_before_the_snapshot(
    link: Sequence[Message], since: int, cel: Sequence[CelRow], *, numbering: Numbering
) -> Told:
    """The calls when the link came up at message `since`, no row could be read, and all ended while the PBX still listed."""
    line = _Line(link, cel, numbering)
    at = link[since].arrived_at - A_MOMENT
    line.told.take(line.teller.resume(LinkUp("hq", moment(at), UPTIME_SECONDS + at - line.began), [], ()))
    line.hear(since, len(link))
    line.told.take(line.teller.take(SnapshotEnd("hq", moment(link[-1].arrived_at + A_MOMENT), True)))
    return line.finish()


def _gaps(
    first: tuple[int, int], second: tuple[int, int] | None, size: int
) -> Iterator[tuple[int, int, int]]:
    yield (*first, second[0] if second else size)
    if second is not None:
        yield (*second, size)


class _Line:
    """One PBX's line at work."""

    def __init__(self, link: Sequence[Message], cel: Sequence[CelRow], numbering: Numbering) -> None:
        self.teller, self.told = Teller(numbering), Told()
        self.believed = list(judged(link))
        self.cel, self.written = cel, written_at(link, cel)
        self.began = link[0].arrived_at
        self.last = max(link[-1].arrived_at, cel[-1].at if cel else 0.0)

    def begin(self) -> None:
        """The first login, before anything happened."""
        self.log_in(self.began - 1.0, [])

    def hear(self, since: int, until: int) -> None:
        """These messages come over the link."""
        for message in (message for index, message in self.believed if since <= index < until):
            self.told.take(self.teller.take(Observed("hq", message)))

    def lose(self, since: int, until: int) -> None:
        """The link breaks, and is back before the first of the messages from `until` on."""
        before = [message for index, message in self.believed if index < since]
        after = [moment_of(message) for index, message in self.believed if index >= until]
        lost_at = before[-1].arrived_at if before else self.began - 1.0
        self.told.take(self.teller.take(LinkDown("hq", moment(lost_at), "cut")))
        back = min(after, default=self.last + AFTER_ALL_SECONDS) - A_MOMENT
        self.log_in(back, [message for index, message in self.believed if index < until])

    def log_in(self, at: float, happened: Sequence[Message]) -> None:
        """The log is read, then the PBX says what lives."""
        readable = rows_until(self.cel, self.written, at)
        rows = [row for row in readable if row.at >= self.teller.context_from(at)]
        uptime = UPTIME_SECONDS + at - self.began
        self.told.take(self.teller.resume(LinkUp("hq", moment(at), uptime), rows, ()))
        for message in shown(happened, at):
            self.told.take(self.teller.take(Observed("hq", message)))
        self.told.take(self.teller.take(SnapshotEnd("hq", moment(at), True)))

    def finish(self) -> Told:
        """Time passes."""
        self.told.take(self.teller.rest(self.last + 60.0))
        return self.told


def swept(told: Told, cel: Sequence[CelRow], numbering: Numbering) -> list[CallFacts]:
    """The calls after the sweep that follows every gap."""
    told_anew = Told()
    told_anew.facts = dict(told.facts)
    in_part = {
        call_id: OpenCall(call_id, told.aliases[call_id], tuple(told.lines[call_id]), facts)
        for call_id, facts in told.facts.items()
        if facts.ended and facts.certainty is not Certainty.OBSERVED
    }
    owners = {alias: call_id for call_id in told.facts for alias in told.aliases[call_id]}
    for group in groups_of(cel):
        calls = [in_part.pop(one.id) for one in list(in_part.values()) if group.uids & set(one.aliases)]
        if calls:
            ids = {call.id for call in calls}
            rows = [row for row in group.rows if owners.get(row.look.uid) in {None, *ids}]
            told_anew.take(complete_from_log(calls, rows, numbering, at=cel[-1].at))
        elif group.whole and not group.uids & owners.keys():
            told_anew.take(
                Teller(numbering).tell_again([*cel_lines(group.rows), {"t": group.last_at, "mark": "gone"}])
            )
    return told_anew.calls


def rows_until(cel: Sequence[CelRow], written: Sequence[float], at: float) -> list[CelRow]:
    """What is in the log at that moment."""
    return [row for row, moment in zip(cel, written, strict=True) if moment <= at]


def written_at(link: Sequence[Message], cel: Sequence[CelRow]) -> list[float]:
    """When each row came into the log, which may show whole seconds: when AMI told the same, and never before others."""
    observed, translator = ObservedEvents(), CelTranslator()
    for message in link:
        if "Privilege" in message.fields:
            observed.add(translate(message))
    moments: list[float] = []
    for row in cel:
        at = max([row.at, *moments[-1:]])
        for signal in translator.translate(row):
            told_at = observed.find(signal, row.slack)
            if told_at is not None and is_moment_of(told_at, row.at, row.slack):
                at = max(at, told_at)
        moments.append(at)
    return moments


def judged(link: Sequence[Message]) -> Iterator[tuple[int, Message]]:
    """Messages that are believed, with their place in the capture."""
    session = LinkSession()
    for index, message in enumerate(link):
        verdict = judge(message, session)
        if verdict.usable:
            yield index, verdict.message


def shown(heard: Sequence[Message], at: float) -> list[Message]:
    """What the PBX answers at that moment, when this is all that happened until then."""
    tracker = Tracker(Numbering(pbx="hq"))
    for message in heard:
        if "Privilege" in message.fields:
            for signal in translate(message):
                tracker.feed(signal)
    alive = [channel for channel in tracker.channels.values() if channel.ended_at is None]
    answers = [*(_status(channel, at) for channel in alive), [("Event", "StatusComplete")]]
    kinds = {stay.bridge: stay.kind for channel in alive if (stay := channel.stay()) is not None}
    answers += [
        [("Event", "BridgeListItem"), ("BridgeUniqueid", bridge), ("BridgeType", BRIDGE_TYPES[kind])]
        for bridge, kind in kinds.items()
    ]
    for call in tracker.live():
        answers += [
            [("Event", "QueueEntry"), ("Queue", visit.name), ("Uniqueid", visit.uid),
             ("Wait", str(int(at - visit.joined_at)))]
            for visit in call.queues if visit.left_at is None
        ]  # fmt: skip
        answers += [
            [("Event", "ParkedCall"), ("ParkeeUniqueid", parking.uid), ("ParkingSpace", parking.slot),
             ("ParkerDialString", parking.parker), ("ParkingDuration", str(int(at - parking.at)))]
            for parking in call.parkings if parking.until is None
        ]  # fmt: skip
    made = [message_from_headers(answer, at) for answer in answers]
    return [message for message in made if message is not None]


def _status(channel: Channel, at: float) -> list[tuple[str, str]]:
    state = (
        "Up" if channel.up_at else "Ringing" if channel.ringing_at else "Ring" if channel.calling else "Down"
    )
    stay = channel.stay()
    said = [
        ("Event", "Status"), ("Channel", channel.name), ("ChannelState", STATES[state]), ("ChannelStateDesc", state),
        ("CallerIDNum", channel.number), ("CallerIDName", channel.caller_name), ("Exten", channel.exten),
        ("Uniqueid", channel.uid), ("Linkedid", channel.linked), ("Type", channel.name.partition("/")[0]),
        ("BridgeID", stay.bridge if stay else ""), ("Seconds", str(int(at - channel.began_at))),
    ]  # fmt: skip
    recording = [seen.file for seen in channel.recordings if seen.until is None and "/" in seen.file]
    return said + [("ChanVariable", f"MIXMONITOR_FILENAME={file}") for file in recording[-1:]]
