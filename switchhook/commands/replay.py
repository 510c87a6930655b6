"""`switchhook replay`: the straight line from a file. No database, no configuration, no network.

A bug report is a capture; a capture becomes a test. What is printed here is what the live service would have told.
"""

from __future__ import annotations

import gzip
import json
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from uuid import UUID

from ami_bridge.capture.capture import CaptureCounters, read_capture
from ami_bridge.capture.order import CaptureOrder, InOrder
from ami_bridge.cel.backfill import groups_of, tells_no_bridges
from ami_bridge.cel.csv_dialects import decoded
from ami_bridge.cel.rows import row_of
from ami_bridge.cel.signals import CelReader, CelRow
from ami_bridge.interpreter import Interpreter
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.translate import TRANSLATIONS, moment_of, translate
from ami_bridge.wire.asterisk_version import refuse_old_event
from ami_bridge.wire.message import Message
from ami_bridge.wire.pbx_clock import ClockGate, PbxClock
from switchhook.pbx.gap_filler import AFTER_ALL, BEFORE_ANY, OVERLAP_SECONDS, GapFiller
from telephony.call_facts.facts import CallFacts
from telephony.endpoint_directory import directory_of, pattern_of
from telephony.endpoints import endpoint_of
from telephony.errors import NeedsPerson
from telephony.local_times import zone_named
from telephony.numbers.numbers import DEFAULT_EXTENSIONS, Numbering
from telephony.state.signals import ClockSet, LinkLost, Signal
from telephony.state.tracker import Tracker

NAMES_SHOWN = 8  # in a sentence
LISTS_A_CHANNEL = frozenset({"Newchannel", "CoreShowChannel"})


class Replay:
    """Captured links of one PBX in order, with CEL for what they do not tell.

    What AMI missed is told by the live service's own means (`switchhook.pbx.gap_filler`). A row is taken up in its place in
    time, for calls that AMI did not see whole; calls that it saw whole are AMI's alone.
    """

    def __init__(self, numbering: Numbering, cel: Sequence[CelRow] = ()) -> None:
        self.tracker = Tracker(numbering)
        self.told: dict[UUID, CallFacts] = {}
        """Every call told so far, by id; absorbed ones are gone."""
        self.channel_names: set[str] = set()
        """Of every channel that was seen."""
        self._interpreter = Interpreter()
        self._cel = cel
        self._cel_from = 0
        self._filler = GapFiller(self.tracker)
        self._linked = False

    def link(self, messages: Iterable[Message]) -> None:
        """One link's messages; a second one is a reconnect, and what came between is told from CEL."""
        arrivals = _arrivals(messages)
        if not self._cel:
            for arrival in arrivals:
                self._take(arrival)
        else:
            self._link_beside_cel(list(arrivals))
        self._feed(self._interpreter.snapshot_done())

    def _link_beside_cel(self, arrivals: Sequence[_Arrival]) -> None:
        events = [
            arrival for arrival in arrivals if isinstance(arrival, Message) and arrival.kind in TRANSLATIONS
        ]
        for message in events:
            self._filler.observed.add(translate(message))
        until = max(map(moment_of, events), default=BEFORE_ANY) - OVERLAP_SECONDS
        for arrival in arrivals:
            if isinstance(arrival, Message) and arrival.kind in TRANSLATIONS:
                self._tell_rows(moment_of(arrival), settled_before=until)
            self._take(arrival)

    def _take(self, arrival: _Arrival) -> None:
        match arrival:
            case Message():
                if arrival.kind in LISTS_A_CHANNEL:
                    self.channel_names.add(arrival.get("Channel"))
                self._feed(self._interpreter.message(arrival))
            case _LinkBegan():
                self._begin_link(arrival.at)
            case _ClockStepped():
                self._feed(iter([ClockSet(self._interpreter.last_at)]))

    def finish(self) -> list[CallFacts]:
        """What CEL knows after the last message, then all calls in order of start."""
        self._lose_sight()
        self._tell_rows(AFTER_ALL)
        self._collect()
        return sorted(self.told.values(), key=lambda facts: (facts.started_at, facts.id))

    def _begin_link(self, at: float) -> None:
        lost_at = self._interpreter.last_at
        if self._linked and lost_at:
            self._feed(iter([LinkLost(lost_at)]))
            self._lose_sight()
            self._tell_rows(at)
        else:
            self._tell_rows(at, settled_before=at)
        self._linked = True

    def _lose_sight(self) -> None:
        """AMI says no more from here on."""
        if self._linked:
            self._filler.lose_sight(self._interpreter.last_at or BEFORE_ANY)

    def _tell_rows(self, until: float, *, settled_before: float = AFTER_ALL) -> None:
        """Take up the rows of before `until`, as far as everything is in that AMI may have told of their moment."""
        while self._cel_from < len(self._cel):
            row = self._cel[self._cel_from]
            if row.at >= until or row.at + row.slack >= settled_before:
                break
            row = self._filler.place(self._cel, self._cel_from)
            if row.at >= until:
                break
            self._cel_from += 1
            self.channel_names.add(row.look.name)
            if self._filler.tell(row):
                self._collect()

    def _feed(self, signals: Iterator[Signal]) -> None:
        for signal in signals:
            self.tracker.feed(signal)
            if self._cel and isinstance(signal, LinkLost):
                for call in self.tracker.open_calls():
                    call.unconfirmed = False  # the log tells what became of it
        self._collect()

    def _collect(self) -> None:
        for change in self.tracker.drain():
            for gone in change.absorbed:
                self.told.pop(gone, None)
            self.told[change.facts.id] = change.facts


class _LinkBegan(NamedTuple):
    """A link begins here."""

    at: float


class _ClockStepped:
    """The PBX's clock was set here."""


_Arrival = Message | _LinkBegan | _ClockStepped


def _arrivals(messages: Iterable[Message]) -> Iterator[_Arrival]:
    """One link's messages as far as they can be believed, and what happened between them."""
    intake: _Intake | None = None
    for message in messages:
        if intake is None or _is_login(message):
            if intake is not None:
                yield from _believed(intake.flush(), intake)
            yield _LinkBegan(message.arrived_at)
            intake = _Intake()
        yield from _believed(intake.take(message), intake)
    if intake is not None:
        yield from _believed(intake.flush(), intake)


def _believed(messages: Iterable[Message], intake: _Intake) -> Iterator[_Arrival]:
    for message in messages:
        yield from _clock_steps(intake.gate)
        verdict = judge(message, intake.session)
        if verdict.usable:
            yield verdict.message
    yield from _clock_steps(intake.gate)


def _clock_steps(gate: ClockGate) -> Iterator[_Arrival]:
    while gate.steps:
        gate.steps.popleft()
        yield _ClockStepped()


class _Intake:
    """One link's messages on their way in: in the order and by the clock in which they happened."""

    def __init__(self) -> None:
        self.session = LinkSession()
        self.gate = ClockGate(PbxClock(absolute=False), lambda: self.session.channels, live=False)
        self._order = CaptureOrder()

    def take(self, message: Message) -> Iterator[Message]:
        """What may go on now."""
        return self._pass(self._order.take(message))

    def flush(self) -> Iterator[Message]:
        """The link ended: whatever is held back goes on."""
        yield from self._pass(self._order.flush())
        yield from self.gate.flush()

    def _pass(self, sorted_out: Iterable[InOrder]) -> Iterator[Message]:
        for set_by_seconds, messages in sorted_out:
            if set_by_seconds:
                yield from self.gate.flush()
                self.gate.our_clock_was_set(set_by_seconds)
            for message in messages:
                yield from self.gate.take(message)


def _is_login(message: Message) -> bool:
    return message.kind == "Response" and message.get("Message") == "Authentication accepted"


def replay(
    files: Sequence[Path],
    *,
    cel: Sequence[Path] = (),
    extensions: str = DEFAULT_EXTENSIONS,
    trunks: str | None = None,
    phones: Mapping[str, str] | None = None,
    region: str = "RU",
) -> list[CallFacts]:
    """The calls in captured files. Raises NeedsPerson when a file cannot be read or is no capture at all."""
    numbering = Numbering(extensions=extensions, trunks=trunks, region=region)
    numbering = numbering.with_directory(directory_of((), phones or {}))
    kept = [line for file in files for line in _kept_lines(file)]
    if any("cel" in line or "mark" in line for line in kept):
        return _told_from_kept(kept, numbering)
    rows = read_cel(*cel)
    player = Replay(numbering, rows if files else _told_whole(rows))
    for file in files:
        player.link(_messages(file))
    calls = player.finish()
    _name_undecided(player.channel_names, player.tracker.numbering)
    return calls


def _name_undecided(channel_names: Iterable[str], numbering: Numbering) -> None:
    """Say which endpoints counted as trunks only because nothing says whose phones they are: wrong is worse than unknown."""
    devices = sorted(filter(None, map(endpoint_of, channel_names)))
    if undecided := numbering.undecided(devices):
        names = [one.name for one in undecided]
        _note(
            f"Counted as trunks, because neither --extensions nor the capture says whose phones they are: {listed(names)}. "
            f"If they are phones: --phones {names[0]}=101. If they are trunks: --trunks '{pattern_of(names[:NAMES_SHOWN])}'."
        )


def listed(names: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _told_whole(rows: Sequence[CelRow]) -> list[CelRow]:
    """What a log alone can tell: calls whose beginning it holds. Raises NeedsPerson for one without bridges.

    Anything else would be told as another call than it was: internal, missed, never answered.
    """
    if tells_no_bridges(rows):
        raise NeedsPerson(
            "The channel event log has no rows of bridges (BRIDGE_ENTER): who talked with whom cannot be told from it.",
            remedy="Add BRIDGE_ENTER and BRIDGE_EXIT to `events` in cel.conf, as asterisk-config/plain does.",
        )
    groups = groups_of(rows)
    cut_off = [group for group in groups if not group.whole]
    if cut_off:
        _note(f"Calls left out because the log does not hold their beginning: {len(cut_off)}.")
    return sorted((row for group in groups if group.whole for row in group.rows), key=lambda row: row.at)


def _kept_lines(file: Path) -> list[dict[str, Any]]:
    """The lines of a file that `trace --capture` or a call's page wrote; empty when it is an ordinary capture."""
    lines: list[dict[str, Any]] = []
    if file.suffix != ".jsonl" or not file.exists():
        return lines
    with file.open(encoding="utf-8", errors="replace") as text:
        if not any('"cel":' in line or '"mark":' in line for line in text):
            return lines
    with file.open(encoding="utf-8", errors="replace") as text:
        for line in text:
            try:
                told = json.loads(line)
            except ValueError:
                continue
            if isinstance(told, dict) and isinstance(told.get("t"), int | float):
                lines.append(told)
    return lines


def _told_from_kept(lines: Sequence[dict[str, Any]], numbering: Numbering) -> list[CallFacts]:
    """Messages, CEL rows and marks as they were kept with a call, told as `recompute` tells them."""
    from switchhook.pbx.call_assembler import (
        Teller,  # it brings the database's library, which an ordinary replay does without
    )

    teller = Teller(numbering)
    told = teller.retell(lines)
    _name_undecided(_channel_names(lines), teller.tracker.numbering)
    return sorted(told.values(), key=lambda facts: (facts.started_at, facts.id))


def _channel_names(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Of what was kept with a call."""
    for line in lines:
        yield from (value for name, value in line.get("h", ()) if name == "Channel")
        if "cel" in line and (row := row_of(dict(line["cel"]))) is not None:
            yield row.look.name


def _messages(file: Path) -> Iterator[Message]:
    """A capture's messages; what is wrong with the file is told in words."""
    counters = CaptureCounters()
    try:
        for message in read_capture(file, counters):
            refuse_old_event(message, file.name)
            yield message
    except OSError as fault:
        raise NeedsPerson(
            f"Cannot read {file}: {fault.strerror or fault}.", remedy="Check the path and its permissions."
        ) from fault
    if counters.broken and not counters.messages:
        raise NeedsPerson(
            f"{file} is not a capture: no line of it is an AMI message.",
            remedy="A capture is JSON Lines (.jsonl) or the raw bytes of an AMI connection (.raw); either may be .gz.",
        )
    if counters.broken:
        _note(f"{counters.broken} broken lines of {file} were passed over.")


def read_cel(*paths: Path) -> list[CelRow]:
    """The rows of CEL files in time order. Raises NeedsPerson when a file cannot be read or is no CEL."""
    rows: list[CelRow] = []
    for path in paths:
        reader = CelReader()
        rows += reader.read([text_of_table(path)])
        if not reader.rows and reader.broken:
            raise NeedsPerson(
                f"{path} is not a channel event log: no row has a time, a channel and a uniqueid.",
                remedy="Give the columns in the order of asterisk-config's cel_custom, or a header line with their names.",
            )
        if reader.rows and reader.strange == reader.rows:
            raise NeedsPerson(
                f"{path} is not a channel event log: no row is one of Asterisk's events (CHAN_START, ANSWER …).",
                remedy="Let the column eventtype hold the events' names or Asterisk's own numbers.",
            )
        if reader.broken:
            _note(f"{reader.broken} broken rows of {path} were passed over.")
        if reader.offset:
            _note(f"The times of {path} are local ({zone_named(reader.offset)}); they were corrected.")
    return sorted(rows, key=lambda row: row.at)


def text_of_table(path: Path) -> str:
    """A CSV file's text, whatever it was written with. Raises NeedsPerson when it cannot be read."""
    try:
        data = path.read_bytes()
        return decoded(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, zlib.error) as fault:
        raise NeedsPerson(
            f"Cannot read {path}: {getattr(fault, 'strerror', None) or fault}.",
            remedy="Check the path and its permissions.",
        ) from fault


def _note(sentence: str) -> None:
    print(f"switchhook: {sentence}", file=sys.stderr)


def main(
    files: Sequence[Path],
    form: str = "json",
    extensions: str | None = None,
    trunks: str | None = None,
    cel: Sequence[Path] = (),
    phones: Sequence[str] = (),
) -> None:
    """`switchhook replay`: tell the calls on standard output, as `json` (one object a line) or as a `table`."""
    calls = replay(
        files, cel=cel, extensions=extensions or DEFAULT_EXTENSIONS, trunks=trunks, phones=read_phones(phones)
    )
    FORMS[form](calls, sys.stdout)


def read_phones(told: Sequence[str]) -> dict[str, str]:
    """`alice=101,bob=102` as a table. Raises NeedsPerson."""
    pairs = [pair.strip().partition("=") for one in told for pair in one.split(",") if pair.strip()]
    for endpoint, equals, extension in pairs:
        if not (endpoint.strip() and equals and extension.strip()):
            raise NeedsPerson(
                f"{endpoint}{equals}{extension} does not say whose phone it is.",
                remedy="Write endpoint and extension, as in --phones alice=101,bob=102.",
            )
    return {endpoint.strip(): extension.strip() for endpoint, _, extension in pairs}


def print_json(calls: Iterable[CallFacts], out: TextIO) -> None:
    """One JSON object a line."""
    for facts in calls:
        out.write(json.dumps(facts.as_json(), ensure_ascii=False) + "\n")


def print_table(calls: Iterable[CallFacts], out: TextIO) -> None:
    """A table for people: one line a call."""
    rows = [tuple(title for title, _ in TABLE)]
    rows += [tuple(cell(facts) for _, cell in TABLE) for facts in calls]
    widths = [max(len(row[index]) for row in rows) for index in range(len(TABLE))]
    for row in rows:
        out.write(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n"
        )


TABLE: tuple[tuple[str, Callable[[CallFacts], str]], ...] = (
    ("started", lambda f: f.started_at.strftime("%Y-%m-%d %H:%M:%S")),
    ("direction", lambda f: f.direction.value),
    ("caller", lambda f: f.caller.number or f.caller.raw or "withheld"),
    ("requested", lambda f: f.requested or f.did or ""),
    ("outcome", lambda f: f.disposition.value if f.disposition else f.state.value),
    ("answered by", lambda f: f.answered_by or ""),
    ("at the end", lambda f: f.final_party or ""),
    ("talk s", lambda f: f"{f.talk_seconds:.2f}"),
    (
        "transfers",
        lambda f: ", ".join(
            f"{t.kind.value} {t.by}→{t.to or '?'} {t.result.value if t.result else ''}".strip()
            for t in f.transfers
        ),
    ),
    ("missed by", lambda f: " ".join(f.missed_by)),
    ("certainty", lambda f: f.certainty.value),
)

FORMS: dict[str, Callable[[Iterable[CallFacts], TextIO], None]] = {"json": print_json, "table": print_table}
