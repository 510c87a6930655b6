"""The straight line of one PBX, from what its observer delivers to what the journal keeps.

Live, after a restart, and when a kept call is told again, the same lines go through the same parts. A line is what is
kept with a call (docs/reference/captures.md): an AMI message (`h`), a CEL row (`cel`), or a mark (`mark`) that says
what no message says: that a snapshot was complete, that the PBX had stopped, that CEL was read, that a call was gone.

After a gap the order is: everything live is unverified; what CEL knows of the gap; then live events; then the snapshot,
which says what really lives, and whether the PBX had stopped. So nothing is told from a snapshot that a better witness
has told.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID

from ami_bridge.capture.kept_lines import in_order
from ami_bridge.cel.backfill import groups_of
from ami_bridge.cel.signals import CelRow, row_of
from ami_bridge.interpreter import RESTART_SLACK, Interpreter
from ami_bridge.snapshot_reading import LISTED
from ami_bridge.stream import ClockSet, LinkDown, LinkUp, Observed, SnapshotBegin, SnapshotEnd, StreamItem
from ami_bridge.wire.message import Message, message_from_headers
from call_records.calls.journal import OpenCall, fold
from switchhook.pbx.gap_filler import AFTER_ALL, BEFORE_ANY, OVERLAP_SECONDS, GapFiller
from telephony.call_facts.facts import CallFacts
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from telephony.state import signals as s
from telephony.state.registry import Change
from telephony.state.tracker import Tracker

Line = Mapping[str, Any]
"""One kept line: JSON, untyped beyond its keys."""
PENDING_LIMIT = (
    5_000  # calls whose lines wait to be told; what the PBX rings by itself never comes to be a call
)
CONTEXT_SECONDS = 4 * 3600.0  # CEL rows from before a gap that are read for the names of channels alive in it
CLOCK_SET = "clock_set"
"""The mark of a clock that was set while the call was live."""
NEVER = AFTER_ALL
CHANNELS_REMEMBERED = (
    256  # beyond those of the calls of this moment, before what AMI told of others is forgotten
)
WHOLE_SECONDS = 1.0  # Uptime is told in whole seconds, rounded down


class _Stop(NamedTuple):
    """A restart of the PBX, as its uptime tells of it."""

    at: float
    """When the PBX we knew was certainly gone."""
    noticed_at: float
    began_before: float
    """Channels that began before it are gone; what the log tells of later ones is of the PBX that was started."""
    certain: bool


class Teller:
    """Feed it the observer's items; it gives the changes to show and to keep."""

    def __init__(self, numbering: Numbering, known: Mapping[str, UUID] | None = None) -> None:
        """`known`: the ids of calls by channel, where some are kept already."""
        self._known: dict[str, UUID] = dict(known or {})
        self.tracker = Tracker(numbering, identify=self._known.get)
        self._interpreter = Interpreter()
        self._filler = GapFiller(self.tracker)
        self._forget_beyond = CHANNELS_REMEMBERED
        self._log_kept: dict[str, float] = {}
        """By channel: until when the log's rows of a live call are kept with it."""
        self._pending: OrderedDict[UUID, list[Line]] = OrderedDict()
        self._snapshot_lines: list[Message] = []
        self._pbx_started_at: float | None = None
        self._uptime_seconds: float | None = None
        self._stop: _Stop | None = None
        self._unsure = True
        self._heard_at = 0.0
        self._told_at = 0.0
        self.gap_from: float | None = None
        """Since when (Unix seconds) nothing was observed; None while observing, and when never connected."""
        self.broken_lines = 0
        """Kept lines that could not be told again: each is a fault of ours."""

    @property
    def sure(self) -> bool:
        """Whether a snapshot has confirmed what lives: a channel that is not known then does not exist."""
        return not self._unsure

    @property
    def remembered_channels(self) -> int:
        """Of how many channels it is remembered what AMI told."""
        return len(self._filler.observed)

    # -- live ------------------------------------------------------------------------------------------------------

    def take(self, item: StreamItem) -> list[CallChange]:
        """The changes one item gives rise to. Where there is CEL, `resume` takes LinkUp instead."""
        match item:
            case Observed():
                return self._message(item.message)
            case LinkUp():
                return self.resume(item, (), ())
            case SnapshotEnd():
                return self._snapshot_end(item)
            case SnapshotBegin():
                self._snapshot_lines = []
                self._interpreter.begin_snapshot(item.at.timestamp())
                return self._changes()
            case ClockSet():
                at = max(self._heard_at, self._interpreter.last_at)
                return self._mark(self._feed(iter([s.ClockSet(at)])), {"t": at, "mark": CLOCK_SET})
            case LinkDown():
                self._unsure = True
                self.gap_from = self.gap_from or self._interpreter.last_at or None
                self._interpreter.drop_snapshot()
                self.tracker.feed(s.LinkLost(item.at.timestamp()))
                return self._changes()

    def context_from(self, at: float) -> float:
        """From when on CEL is to be read at a reconnect at that moment (Unix seconds)."""
        if self.gap_from is None:
            return at - CONTEXT_SECONDS
        oldest = min((call.started_at for call in self.tracker.live()), default=at)
        return max(min(oldest, self.gap_from) - 1.0, self.gap_from - CONTEXT_SECONDS)

    def resume(self, item: LinkUp, rows: Sequence[CelRow], told: Collection[str]) -> list[CallChange]:
        """The link is up again. `rows`: what CEL has since `context_from`; `told`: their channels the journal knows."""
        at = item.at.timestamp()
        self._unsure = True
        self.gap_from = self.gap_from or self._interpreter.last_at or self.tracker.now or None
        self._snapshot_lines = []
        for _ in self._interpreter.link_up(at):
            pass  # that the link was lost was told when it was
        changes = self._changes()
        self._stop = self._stop_before(item) or self._stop
        changes += self._fill_gap([row for row in rows if row.at <= at], told, at)
        return changes

    def rest(self, now: float) -> list[CallChange]:
        """Nothing came for a while (Unix seconds)."""
        self.tracker.advance(now)
        return self._changes()

    # -- again -----------------------------------------------------------------------------------------------------

    def restore(self, calls: Sequence[OpenCall], told_until: float | None) -> list[CallFacts]:
        """Go on where another process stopped: tell the open calls again from their lines, keep nothing anew.

        `told_until`: the newest message it kept (Unix seconds), None when there was no process before this one.
        """
        for call in calls:
            self._known.update(dict.fromkeys(call.aliases, call.id))
        self.tell_again(line for call in calls for line in call.trace)
        self._interpreter = Interpreter()
        self.gap_from = max(self.tracker.now, told_until or 0.0) or None
        self._heard_at = told_until or 0.0
        wanted = {call.id for call in calls}
        self.tracker.feed(s.LinkLost(self.gap_from or self.tracker.now))
        self.tracker.drain()
        return [self.tracker.facts(call) for call in self.tracker.live() if call.id in wanted]

    def holds(self, uid: str) -> bool:
        """Whether this channel's call was told here, now or as far back as is remembered."""
        return self.tracker.call_of(uid) is not None

    def lives(self, uid: str) -> bool:
        """Whether this channel belongs to a call that has not ended."""
        channel = self.tracker.channels.get(uid)
        return channel is not None and channel.call.ended_at is None

    def tell_again(self, lines: Iterable[Line]) -> list[CallChange]:
        """Tell calls from kept lines, each line once, in order of time; one change a call, without lines."""
        told: dict[UUID, CallChange] = {}
        for line in in_order(lines):
            try:
                self._feed(self.signals_of(line))
            except (
                Exception
            ):  # kept by another release, or broken on disk: the other lines still tell their part
                self.broken_lines += 1
            for change in self.tracker.drain():
                _add(told, _bare(change))
        self.tracker.reconstructing = False
        return list(told.values())

    def unheard_lines(self, lines: Sequence[Line], rows: Sequence[CelRow]) -> list[Line]:
        """What the log has to add to a call that was kept with these lines: rows to keep with it. Empty when nothing.

        A call of which AMI missed a part goes on to be told by the log where AMI is silent, as in a replay. This teller
        tells nothing else afterwards.
        """
        for line in in_order(lines):
            self._filler.observed.add(self.signals_of(line))
        lost = [float(line["alive_until"]) for line in lines if "alive_until" in line]
        self._filler.lost_at = max(lost, default=_last_heard(lines))
        news_from = min(lost, default=_last_heard(lines)) - OVERLAP_SECONDS
        first_heard = _first_heard(lines)
        found: list[Line] = []
        any_news = False
        for index in range(len(rows)):
            row = self._filler.place(rows, index)
            unheard = [place for place, _ in self._filler.unheard(row)]
            # A beginning that was not heard is news whenever it was: AMI may have been heard from the next event on.
            is_before = row.at + row.slack < first_heard or row.kind == "CHAN_START"
            is_news = row.at + row.slack >= news_from or is_before
            news = unheard if is_news else []
            any_news = any_news or bool(news)
            if news or row.at > self._log_kept.get(row.look.uid, BEFORE_ANY):
                found.append(line_of(row, news))
        return found if any_news else []

    def retell(self, lines: Iterable[Line]) -> dict[UUID, CallFacts]:
        """As `tell_again`: the newest facts by call id."""
        return {change.facts.id: change.facts for change in self.tell_again(lines)}

    def signals_of(self, line: Line) -> Iterator[s.Signal]:
        """What one kept line says. Lines in order of time."""
        self.tracker.reconstructing = "cel" in line
        if "alive_until" in line:
            yield s.LinkLost(float(line["alive_until"]))
        if "cel" in line:
            row = row_of(dict(line["cel"]))
            if row is not None:
                self._log_kept[row.look.uid] = row.at
                yield from self._news_in(row, line.get("news"))
        elif line.get("mark") == "snapshot":
            yield from self._interpreter.snapshot_done(line.get("began_at"), line["t"])
        elif line.get("mark") == CLOCK_SET:
            yield s.ClockSet(float(line["t"]))
        elif line.get("mark") in ("pbx_stopped", "gone"):
            until = float(line.get("alive_until", self.tracker.now))
            yield s.PbxStopped(until, float(line.get("began_before", NEVER)))
        elif "h" in line:
            message = message_from_headers([(name, value) for name, value in line["h"]], float(line["t"]))
            if message is not None:
                yield from self._interpreter.message(message)

    def _news_in(self, row: CelRow, news: Sequence[int] | None) -> Iterator[s.Signal]:
        """What a row told; everything, where the call was told from the log alone."""
        for index, signal in enumerate(self._filler.signals_of(row)):
            if news is None or index in news:
                yield signal

    # -- after a gap -----------------------------------------------------------------------------------------------

    # Uptime never overrules a snapshot that lists the channel, so it ends nothing before the snapshot is heard: the PBX
    # counts it by its own clock, and one that was set back by most of it looks like a restart in every number it tells.
    # A complete snapshot that lists a channel of before proves that there was none. Where none is listed, the calls of
    # before ended when the PBX stopped. Where the lists stay incomplete, a restart is believed only if it is beyond doubt
    # and none of them is listed.

    def _stop_before(self, item: LinkUp) -> _Stop | None:
        """That the PBX seems to have been restarted since we heard of it, by its uptime; None when not."""
        if item.uptime_seconds is None:
            return None
        ran, self._uptime_seconds = self._uptime_seconds, item.uptime_seconds
        at = item.at.timestamp()
        started_at = at - item.uptime_seconds
        before, self._pbx_started_at = self._pbx_started_at, started_at
        reference = before if before is not None else self.gap_from
        if reference is None or started_at <= reference + RESTART_SLACK:
            return None
        away = at - (self.gap_from if self.gap_from is not None else at)
        certain = ran is not None and item.uptime_seconds < min(ran, away)
        stopped_at = started_at - WHOLE_SECONDS
        began_before = max(stopped_at, self.gap_from or stopped_at)
        return _Stop(stopped_at, at, began_before, certain)

    def _stopped(self, *, complete: bool) -> list[CallChange]:
        """The restart that uptime told of, unless the snapshot lists a channel of before."""
        stop, self._stop = self._stop, None
        if stop is None or not (complete or stop.certain):
            return []
        listed = {message.get("Uniqueid") for message in self._snapshot_lines if message.kind == "Status"}
        of_before = (
            uid
            for uid, channel in self.tracker.channels.items()
            if channel.ended_at is None and channel.began_at < stop.began_before
        )
        return [] if any(uid in listed for uid in of_before) else self._tell_stop(stop)

    def _tell_stop(self, stop: _Stop) -> list[CallChange]:
        # Told again, the mark has to come after the last message of before, and before the first one after it.
        # It is news all the same: what was told from CEL a moment ago, or by a snapshot, does not overrule it.
        signal = s.PbxStopped(self.tracker.alive_until or stop.at, stop.began_before)
        mark = {
            "t": min(max(stop.at, self._heard_at), stop.noticed_at),
            "told_at": max(stop.noticed_at, self._told_at),
            "mark": "pbx_stopped",
            "began_before": stop.began_before,
        }
        return self._mark(self._feed(iter([signal])), mark)

    def _fill_gap(self, rows: Sequence[CelRow], told: Collection[str], at: float) -> list[CallChange]:
        """Tell what only the log tells. It is kept with the call, as are the other rows: those say what it means."""
        lost_at = self.gap_from if self.gap_from is not None else BEFORE_ANY
        self._filler.lose_sight(lost_at)
        news_from = self._news_from(rows, told, lost_at - OVERLAP_SECONDS)
        told_rows: list[tuple[CelRow, list[int]]] = []
        with self._filler.reading():
            for index in range(len(rows)):
                row = self._filler.place(rows, index)
                is_live = self.lives(row.look.uid)
                news = self._filler.tell(row, news_from[row.look.uid])
                if news or (is_live and row.at > self._log_kept.get(row.look.uid, BEFORE_ANY)):
                    told_rows.append((row, news))
        for row, news in told_rows:  # only now: two calls may have turned out to be one
            self._keep_row(row, news)
        self._told_at = max(self._told_at, at)
        return [_with_lines(change, last=({"t": at, "mark": "cel"},)) for change in self._changes()]

    def _news_from(self, rows: Iterable[CelRow], told: Collection[str], gap_from: float) -> dict[str, float]:
        """By channel: from when on its rows may be news.

        Of a call that is live from the gap on; of one that nobody told from its beginning. What the journal has, or what
        the log shows without its beginning, is not told again.
        """
        news_from: dict[str, float] = {}
        for group in groups_of(rows):
            known = [uid for uid in group.uids if uid in told or self.holds(uid)]
            of_live_call = any(uid in self.tracker.channels for uid in known)
            unknown_from = gap_from if of_live_call else BEFORE_ANY if group.whole and not known else NEVER
            for uid in group.uids:
                live = uid in self.tracker.channels
                news_from[uid] = gap_from if live else NEVER if uid in known else unknown_from
        return news_from

    def _keep_row(self, row: CelRow, news: Sequence[int]) -> None:
        uid = row.look.uid
        for call_id in self._calls_of([uid]):
            self._pending.setdefault(call_id, []).append(line_of(row, news))
        self._log_kept[uid] = max(row.at, self._log_kept.get(uid, BEFORE_ANY))

    # -- parts -----------------------------------------------------------------------------------------------------

    def _message(self, message: Message) -> list[CallChange]:
        self._heard_at = max(self._heard_at, message.arrived_at)
        if message.kind == "Response" or message.kind == "FullyBooted":
            return []  # the link's own affairs: LinkUp says what matters
        if message.kind in LISTED or (message.kind == "ParkedCall" and "Privilege" not in message.fields):
            if message.kind in _WORTH_KEEPING:
                self._snapshot_lines.append(message)
            self._feed(self._interpreter.message(message))
            return self._changes()
        touched = self._feed(self._interpreter.message(message))
        snapshot = next((signal for signal in touched if isinstance(signal, s.Snapshot)), None)
        self._keep_line(self._as_news(message), _uids(message), touched)
        if snapshot is not None:  # its end was overtaken by this message
            self._stop = None  # what it does not list has ended
            return self._snapshot_told(touched, message.arrived_at)
        return self._changes()

    def _snapshot_end(self, item: SnapshotEnd) -> list[CallChange]:
        changes = self._stopped(complete=item.complete)
        self.gap_from = None
        if not item.complete:
            self._interpreter.drop_snapshot()
            self._snapshot_lines = []
            return changes
        self._unsure = False
        return changes + self._snapshot_told(
            self._feed(self._interpreter.snapshot_done()), item.at.timestamp()
        )

    def _snapshot_told(self, fed: Sequence[s.Signal], at: float) -> list[CallChange]:
        lines, self._snapshot_lines = self._snapshot_lines, []
        changes = self._mark(fed, {"t": at, "mark": "snapshot"})
        return [_with_lines(change, first=_lines_about(change.aliases, lines)) for change in changes]

    def _mark(self, fed: Sequence[s.Signal], mark: dict[str, Any]) -> list[CallChange]:
        snapshot = next((signal for signal in fed if isinstance(signal, s.Snapshot)), None)
        if snapshot is not None:
            mark["began_at"] = snapshot.began_at
            self._heard_at = max(self._heard_at, mark["t"])
        self._told_at = max(self._told_at, mark.get("told_at", mark["t"]))
        if self.tracker.alive_until:
            mark["alive_until"] = self.tracker.alive_until
        return [_with_lines(change, last=(mark,)) for change in self._changes()]

    def _feed(self, signals: Iterator[s.Signal]) -> list[s.Signal]:
        fed = []
        for signal in signals:
            self.tracker.feed(signal)
            fed.append(signal)
        observed = self._filler.observed
        observed.add(fed)
        if len(observed) > self._forget_beyond:
            self._forget_channels()
        return fed

    def _forget_channels(self) -> None:
        """Of calls that are over nothing has to be looked up any more."""
        channels = self.tracker.channels
        self._filler.observed.keep_only(channels)
        self._log_kept = {uid: at for uid, at in self._log_kept.items() if uid in channels}
        self._forget_beyond = 2 * len(channels) + CHANNELS_REMEMBERED

    def _as_news(self, message: Message) -> Line:
        """A message that was read in one piece with what a mark concludes arrived before the mark was made, and is told
        after it: without a word the journal would take it for old and keep what the mark said.
        """
        line = message.as_capture()
        return line if message.arrived_at >= self._told_at else {**line, "told_at": self._told_at}

    def _keep_line(self, line: Line, uids: Sequence[str], fed: Sequence[s.Signal]) -> None:
        if not fed:
            return
        for call_id in self._calls_of(uids):
            self._pending.setdefault(call_id, []).append(line)
        while len(self._pending) > PENDING_LIMIT:
            self._pending.popitem(last=False)

    def _changes(self) -> list[CallChange]:
        return [self._change(change) for change in self.tracker.drain()]

    def _calls_of(self, uids: Sequence[str]) -> list[UUID]:
        """The calls a line belongs to: those of its channels, and those in which a channel is a guest."""
        found: dict[UUID, None] = {}
        for uid in uids:
            call_id = self.tracker.call_of(uid)
            if call_id is not None:
                found[call_id] = None
        for call in self.tracker.hosting():
            if any(uid in call.guests for uid in uids):
                found[call.id] = None
        return list(found)

    def _change(self, change: Change) -> CallChange:
        lines = [line for gone in change.absorbed for line in self._pending.pop(gone, [])]
        lines += self._pending.pop(change.facts.id, [])
        return CallChange(
            facts=change.facts,
            events=change.events,
            aliases=change.aliases,
            absorbed=change.absorbed,
            trace=tuple(sorted(lines, key=_time_of)),
        )


def complete_from_log(
    calls: Sequence[OpenCall], rows: Sequence[CelRow], numbering: Numbering, *, at: float
) -> list[CallChange]:
    """What the log changes of ended calls that were seen in part. Empty when nothing.

    `rows` are those of one group, without the rows of channels that belong to other calls; `at` is the moment of the look
    (Unix seconds). A link that comes back while people hang up shows each channel by itself and nothing that joins them:
    calls that the log says are one are told as one, which absorbs the others. Where AMI heard nothing of the beginning, the
    log also tells of those who had left by then.
    """
    own_uids = {alias for call in calls for alias in call.aliases}
    own_rows = [row for row in rows if row.look.uid in own_uids]
    together: list[Sequence[CelRow]] = []
    if len(rows) > len(own_rows) and _is_beginning_unheard(calls, rows):
        together.append(rows)
    if len(calls) > 1:
        together.append(own_rows)
    for some_rows in together:
        if changes := _tell_with_log(calls, some_rows, numbering, at):
            return changes
    return [change for call in calls for change in _tell_with_log([call], own_rows, numbering, at)]


def _is_beginning_unheard(calls: Sequence[OpenCall], rows: Sequence[CelRow]) -> bool:
    first = rows[0]
    heard_from = min(_first_heard(call.trace) for call in calls)
    return first.kind == "CHAN_START" and first.at + first.slack < heard_from


def _tell_with_log(
    calls: Sequence[OpenCall], rows: Sequence[CelRow], numbering: Numbering, at: float
) -> list[CallChange]:
    """These calls told from what was kept with them and these rows; empty where AMI told them better, or the same."""
    lines = [line for call in calls for line in call.trace]
    if any(line.get("mark") == CLOCK_SET for line in lines):
        return []  # the log's times before and after do not go together
    fresh = Teller(numbering).unheard_lines(lines, rows)
    owners = {alias: call.id for call in calls for alias in call.aliases}
    told = Teller(numbering, owners).tell_again([*lines, *fresh]) if fresh else []
    homes = {alias: change.facts.id for change in told for alias in change.aliases}
    joined: dict[UUID, UUID] = {}
    for call in calls:
        home = homes.get(call.aliases[0]) if call.aliases else None
        if home is None:
            return []
        joined[call.id] = home
    before = {call.id: call.facts for call in calls}
    falls_apart = len(told) > len(calls) and all(row.look.uid in owners for row in rows)
    if (
        falls_apart
        or not all(change.facts.ended for change in told)
        or not before.keys() >= set(joined.values())
    ):
        return []  # AMI told it better
    if len(told) == 1 and len(calls) == 1 and told[0].facts == calls[0].facts:
        return []
    return [
        replace(
            change,
            events=() if change.facts.id in before else change.events,
            absorbed=tuple(gone for gone, home in joined.items() if home == change.facts.id != gone),
            trace=(*_lines_of(change, fresh), {"t": at, "mark": "cel"}),
        )
        for change in told
    ]


def _lines_of(change: CallChange, fresh: Sequence[Line]) -> Iterator[Line]:
    """Those of the call's own channels."""
    for line in fresh:
        row = row_of(dict(line["cel"]))
        if row is not None and row.look.uid in change.aliases:
            yield line


def cel_lines(rows: Iterable[CelRow]) -> list[Line]:
    """CEL rows as lines to keep."""
    return [{"t": row.at, "cel": row.cells} for row in rows]


def _last_heard(lines: Iterable[Line]) -> float:
    """When the newest event of AMI arrived; an answer of a snapshot says nothing of when something happened."""
    return max((float(line["t"]) for line in lines if "h" in line and not _is_answer(line)), default=0.0)


def _first_heard(lines: Iterable[Line]) -> float:
    """When the oldest event of AMI arrived: of what was before it only the log can tell. Without one, that is everything."""
    return min((float(line["t"]) for line in lines if "h" in line and not _is_answer(line)), default=math.inf)


def _is_answer(line: Line) -> bool:
    return bool(line["h"]) and not any(name == "Privilege" for name, _ in line["h"])


def line_of(row: CelRow, news: Sequence[int]) -> Line:
    """A row that was read beside what AMI told, and which of its signals were news."""
    return {"t": row.at, "cel": row.cells, "news": list(news)}


_WORTH_KEEPING: Mapping[str, Callable[[Message], str]] = {
    "Status": lambda message: message.get("Uniqueid"),
    "BridgeListItem": lambda message: message.get("BridgeUniqueid"),
    "QueueEntry": lambda message: message.get("Uniqueid"),
    "ParkedCall": lambda message: message.get("ParkeeUniqueid"),
}
"""Answers of a snapshot that say something of a call: which channel or bridge each is about."""


def _lines_about(uids: Collection[str], messages: Sequence[Message]) -> tuple[Line, ...]:
    """What the snapshot said of these channels, and of the bridges they are in."""
    about = set(uids)
    about |= {m.get("BridgeID") for m in messages if m.kind == "Status" and m.get("Uniqueid") in about}
    about.discard("")
    return tuple(m.as_capture() for m in messages if _WORTH_KEEPING[m.kind](m) in about)


def _add(told: dict[UUID, CallChange], change: CallChange) -> None:
    """One change a call; what was told of a call that turned out to be this one goes with it."""
    for gone in change.absorbed:
        earlier = told.pop(gone, None)
        if earlier is not None:
            change = fold(earlier, change)
    earlier = told.get(change.facts.id)
    told[change.facts.id] = change if earlier is None else fold(earlier, change)


def _bare(change: Change) -> CallChange:
    return CallChange(change.facts, change.events, change.aliases, change.absorbed)


def _with_lines(change: CallChange, *, first: Sequence[Line] = (), last: Sequence[Line] = ()) -> CallChange:
    trace = (*first, *change.trace, *last)
    return CallChange(change.facts, change.events, change.aliases, change.absorbed, trace)


def _time_of(line: Line) -> float:
    return float(line["t"])


def _uids(message: Message) -> list[str]:
    """Every channel a message speaks of; bridges have uniqueids too, which are none."""
    return [
        value
        for name, value in message.fields.items()
        if (name.endswith("Uniqueid") or name == "UniqueID") and "Bridge" not in name and value
    ]
