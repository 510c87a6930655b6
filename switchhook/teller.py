"""The straight line of one PBX, from what its observer delivers to what the journal keeps.

Live, after a restart, and when a kept call is told again, the same lines go through the same parts. A line is what is
kept with a call (docs/reference/captures.md): an AMI message (`h`), a CEL row (`cel`), or a mark (`mark`) that says
that a snapshot was complete or the PBX had stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from ami_bridge.cel import CelRow, CelTranslator, row_of
from ami_bridge.interpreter import Interpreter
from ami_bridge.message import Message, message_from_headers
from ami_bridge.snapshot_reading import LISTED
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd, StreamItem
from telephony import signals as s
from telephony.facts import CallFacts
from telephony.grouping import Change
from telephony.numbers import Numbering
from telephony.ports import CallChange
from telephony.tracker import Tracker

Line = Mapping[str, Any]
"""One kept line: JSON, untyped beyond its keys."""
PENDING_LIMIT = 5_000  # lines that wait for their call to change; a call gives some tens


class OpenCall(Protocol):
    """A call the journal knows as not ended."""

    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def id(self) -> UUID: ...
    @property
    def trace(self) -> tuple[Line, ...]: ...


class Teller:
    """Feed it the observer's items; it gives the changes to show and to keep."""

    def __init__(self, numbering: Numbering) -> None:
        self._known: dict[str, UUID] = {}
        self.tracker = Tracker(numbering, identify=self._known.get)
        self._interpreter = Interpreter()
        self._cel = CelTranslator()
        self._pending: dict[UUID, list[Line]] = {}
        self._snapshot_lines: list[tuple[str, Line]] = []
        self.gap_from: float | None = None
        """Since when (Unix seconds) nothing was observed: CEL is asked from here on; None when never connected."""

    # -- live ------------------------------------------------------------------------------------------------------

    def take(self, item: StreamItem) -> list[CallChange]:
        """The changes one item gives rise to. A snapshot's end wants `close_gap` first, with CEL of the gap."""
        match item:
            case Observed():
                return self._message(item.message)
            case LinkUp():
                started = None if item.uptime_seconds is None else item.at.timestamp() - item.uptime_seconds
                return self._mark(
                    self._link_up(item.at.timestamp(), started), item.at.timestamp(), "pbx_stopped"
                )
            case SnapshotEnd():
                return self._snapshot_end(item)
            case LinkDown():
                self.gap_from = self.gap_from or self._interpreter.last_at or None
                return self._changes(self._feed(self._interpreter.link_down(item.at.timestamp())))

    def close_gap(self, rows: Iterable[CelRow]) -> list[CallChange]:
        """Tell what CEL says of a time in which nothing was observed. Rows in time order."""
        changes: list[CallChange] = []
        self.tracker.reconstructing = True
        try:
            for row in rows:
                touched = self._feed(self._cel.translate(row))
                changes += self._changes(touched, {"t": row.at, "cel": row.cells}, [row.look.uid])
        finally:
            self.tracker.reconstructing = False
        return changes

    def learn(self, rows: Iterable[CelRow]) -> None:
        """Let the CEL translator know channels whose calls AMI has told already."""
        for row in rows:
            for _ in self._cel.translate(row):
                pass

    def rest(self, now: float) -> list[CallChange]:
        """Nothing came for a while (Unix seconds)."""
        self.tracker.advance(now)
        return self._changes([])

    # -- again -----------------------------------------------------------------------------------------------------

    def restore(self, calls: Sequence[OpenCall]) -> list[CallFacts]:
        """Go on where another process stopped: tell the open calls again from their lines, keep nothing anew."""
        for call in calls:
            self._known.update(dict.fromkeys(call.aliases, call.id))
        self.retell(line for call in calls for line in call.trace)
        self.gap_from = self.tracker.now or None
        wanted = {call.id for call in calls}
        for _ in self.take_link_loss():
            pass
        return [self.tracker.facts(call) for call in self.tracker.live() if call.id in wanted]

    def take_link_loss(self) -> list[CallChange]:
        """Everything live is unverified until the next snapshot."""
        self.tracker.feed(s.LinkLost(self.tracker.now))
        return self._changes([])

    def retell(self, lines: Iterable[Line]) -> dict[UUID, CallFacts]:
        """Tell calls from kept lines; each line once, in order of time. The newest facts by call id."""
        told: dict[UUID, CallFacts] = {}
        for line in _in_order(lines):
            for signal in self._signals_of(line):
                self.tracker.feed(signal)
            for change in self.tracker.drain():
                for gone in change.absorbed:
                    told.pop(gone, None)
                told[change.facts.id] = change.facts
        self.tracker.reconstructing = False
        return told

    def _signals_of(self, line: Line) -> Iterator[s.Signal]:
        self.tracker.reconstructing = "cel" in line
        if "cel" in line:
            row = row_of(dict(line["cel"]))
            yield from self._cel.translate(row) if row is not None else ()
        elif line.get("mark") == "snapshot":
            yield from self._interpreter.snapshot_done(line.get("began_at"), line["t"])
        elif line.get("mark") == "pbx_stopped":
            yield s.PbxStopped(self.tracker.now)
        elif "h" in line:
            message = message_from_headers([(name, value) for name, value in line["h"]], float(line["t"]))
            if message is not None:
                yield from self._interpreter.message(message)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _message(self, message: Message) -> list[CallChange]:
        if message.kind == "Response" or message.kind == "FullyBooted":
            return []  # the link's own affairs: LinkUp says what matters
        if message.kind in LISTED:
            if message.kind == "Status":
                self._snapshot_lines.append((message.get("Uniqueid"), message.as_capture()))
            return self._changes(self._feed(self._interpreter.message(message)))
        touched = self._feed(self._interpreter.message(message))
        return self._changes(touched, message.as_capture(), _uids(message)) if touched else []

    def _link_up(self, at: float, started_at: float | None) -> Iterator[s.Signal]:
        self.gap_from = self.gap_from or self._interpreter.last_at or self.tracker.now or None
        self._snapshot_lines = []
        yield from self._interpreter.link_up(at)
        if started_at is not None and self.gap_from is not None and started_at > self.gap_from:
            yield s.PbxStopped(self.gap_from)

    def _snapshot_end(self, item: SnapshotEnd) -> list[CallChange]:
        self.gap_from = None
        lines, self._snapshot_lines = self._snapshot_lines, []
        if not item.complete:
            self._interpreter.drop_snapshot()
            return []
        at = item.at.timestamp()
        signals = self._interpreter.snapshot_done()
        changes = self._mark(signals, at, "snapshot")
        for change in changes:
            own = [line for uid, line in lines if uid in change.aliases]
            changes[changes.index(change)] = _with_lines_first(change, own)
        return changes

    def _mark(self, signals: Iterator[s.Signal], at: float, mark: str) -> list[CallChange]:
        fed = self._feed(signals)
        line: dict[str, Any] = {"t": at, "mark": mark}
        snapshot = next((signal for signal in fed if isinstance(signal, s.Snapshot)), None)
        if snapshot is not None:
            line["began_at"] = snapshot.began_at
        worth = any(isinstance(signal, s.Snapshot | s.PbxStopped) for signal in fed)
        changes = [self._change(change) for change in self.tracker.drain()]
        return [_with_lines_first(change, [], last=line) for change in changes] if worth else changes

    def _feed(self, signals: Iterator[s.Signal]) -> list[s.Signal]:
        fed = []
        for signal in signals:
            self.tracker.feed(signal)
            fed.append(signal)
        return fed

    def _changes(
        self, fed: Sequence[s.Signal], line: Line | None = None, uids: Sequence[str] = ()
    ) -> list[CallChange]:
        if line is not None and fed:
            for call_id in self._calls_of(uids):
                self._pending.setdefault(call_id, []).append(line)
        return [self._change(change) for change in self.tracker.drain()]

    def _calls_of(self, uids: Sequence[str]) -> list[UUID]:
        """The calls a line belongs to: those of its channels, and consultations in which a channel is a guest."""
        found: dict[UUID, None] = {}
        for uid in uids:
            call_id = self.tracker.call_of(uid)
            if call_id is not None:
                found[call_id] = None
        for call in self.tracker.consultations():
            if any(uid in call.guests for uid in uids):
                found[call.id] = None
        return list(found)

    def _change(self, change: Change) -> CallChange:
        lines = [line for gone in change.absorbed for line in self._pending.pop(gone, [])]
        lines += self._pending.pop(change.facts.id, [])
        if len(self._pending) > PENDING_LIMIT:
            self._pending.clear()  # lines of calls that never came to be told
        return CallChange(
            facts=change.facts,
            events=change.events,
            aliases=change.aliases,
            absorbed=change.absorbed,
            trace=tuple(sorted(lines, key=_time_of)),
        )


def _with_lines_first(change: CallChange, first: Sequence[Line], last: Line | None = None) -> CallChange:
    trace = (*first, *change.trace, *((last,) if last is not None else ()))
    return CallChange(change.facts, change.events, change.aliases, change.absorbed, trace)


def _time_of(line: Line) -> float:
    return float(line["t"])


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """Each line once, by time; lines of one moment keep the order in which they were kept."""
    once: dict[str, Line] = {}
    for line in lines:
        once.setdefault(json.dumps(line, sort_keys=True, ensure_ascii=False), line)
    return sorted(once.values(), key=_time_of)


def _uids(message: Message) -> list[str]:
    """Every channel a message speaks of; bridges have uniqueids too, which are none."""
    return [
        value
        for name, value in message.fields.items()
        if (name.endswith("Uniqueid") or name == "UniqueID") and "Bridge" not in name and value
    ]
