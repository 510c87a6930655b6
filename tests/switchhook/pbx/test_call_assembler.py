"""The line from the observer to the journal, and back again from what was kept."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ami_bridge.capture.capture import read_capture
from ami_bridge.capture.kept_lines import as_capture
from ami_bridge.capture.redaction import Redactor
from ami_bridge.cel.signals import CelReader, CelRow
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd, StreamItem
from ami_bridge.wire.message import Message, message_from_headers
from call_records.calls.journal import OpenCall, told_until
from switchhook.commands.replay import replay
from switchhook.commands.trace import in_words
from switchhook.pbx.call_assembler import CHANNELS_REMEMBERED, Teller
from telephony.call_facts.facts import CallFacts, Certainty, State
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from tests.ami_bridge.cel.test_event_log_forms import shown, written
from tests.telephony.captured import cel_cells, differences
from tests.telephony.streams import renamed, shifted

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
SCENARIOS = sorted(directory for directory in CAPTURES.glob("*/*") if (directory / "ami.jsonl.gz").exists())
ONE_LINK = [directory for directory in SCENARIOS if not (directory / "ami2.jsonl.gz").exists()]


def moment(at: float) -> datetime:
    """Unix seconds as a time."""
    return datetime.fromtimestamp(at, UTC)


def items(messages: list[Message]) -> list[StreamItem]:
    """What an observer would have delivered: a login, and an empty snapshot, before the first message."""
    began = messages[0].arrived_at
    session = LinkSession()
    believed = [verdict.message for verdict in (judge(one, session) for one in messages) if verdict.usable]
    first: list[StreamItem] = [LinkUp("lab", moment(began), 1000.0), SnapshotEnd("lab", moment(began), False)]
    return first + [Observed("lab", message) for message in believed]


class Kept:
    """What the journal would hold."""

    def __init__(self) -> None:
        self.facts: dict[Any, CallFacts] = {}
        self.lines: dict[Any, list[Any]] = {}
        self.aliases: dict[Any, tuple[str, ...]] = {}
        self.ended: list[Any] = []
        self.until: dict[Any, float] = {}

    def take(self, changes: list[CallChange]) -> None:
        """Keep these too. What is told later must not look older, or the journal would not believe it."""
        for change in changes:
            own = change.facts.id
            until = told_until(change)
            assert until is None or until >= self.until.get(own, 0.0), (change.facts.state, until, self.until)
            self.until[own] = max(until or 0.0, self.until.get(own, 0.0))
            for gone in change.absorbed:
                self.facts.pop(gone, None)
                self.lines.setdefault(own, []).extend(self.lines.pop(gone, []))
            self.facts[own] = change.facts
            self.aliases[own] = change.aliases
            self.lines.setdefault(own, []).extend(change.trace)
            self.ended += [own for event in change.events if event.kind == "call_ended"]

    def open_calls(self) -> list[OpenCall]:
        """As the journal hands them to a restarted process."""
        live = [one for one, facts in self.facts.items() if not facts.ended]
        return [OpenCall(one, self.aliases[one], tuple(self.lines[one]), self.facts[one]) for one in live]

    @property
    def all_lines(self) -> list[Any]:
        """Every kept line of every call."""
        return [line for lines in self.lines.values() for line in lines]


def observed(messages: list[Message]) -> Kept:
    """The capture told live, from beginning to end."""
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items(messages):
        kept.take(teller.take(item))
    return kept


def story(calls: Any) -> list[Any]:
    """What a call's story is, without ids."""
    told = []
    for facts in sorted(calls, key=lambda one: (one.started_at, one.id)):
        json_facts = facts.as_json()
        for name in ("id", "consultation_of", "pbx"):
            json_facts.pop(name)
        told.append(json_facts)
    return told


@pytest.mark.parametrize("scenario", ONE_LINK, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.slow
def test_a_kept_call_told_again_is_the_call_that_was_told(scenario: Path) -> None:
    """Every captured call, told live, then again from the lines kept with it: the same facts under the same id, twice."""
    kept = observed(list(read_capture(scenario / "ami.jsonl.gz")))
    ended = {one: facts for one, facts in kept.facts.items() if facts.ended}
    known = {alias: one for one, aliases in kept.aliases.items() for alias in aliases}
    for _ in range(2):
        again = Teller(Numbering(pbx="lab"), known).retell(kept.all_lines)
        assert {one: again[one] for one in ended if one in again} == ended


@pytest.mark.parametrize("scenario", ONE_LINK, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.slow
def test_a_killed_process_goes_on_from_what_it_kept(scenario: Path) -> None:
    """kill -9 between any two messages (here: in the middle), and the rest told by a new process: the same calls."""
    messages = list(read_capture(scenario / "ami.jsonl.gz"))
    whole = observed(messages)
    delivered = items(messages)
    for place in (len(delivered) // 3, len(delivered) // 2, 2 * len(delivered) // 3):
        first, kept = Teller(Numbering(pbx="lab")), Kept()
        for item in delivered[:place]:
            kept.take(first.take(item))
        second = Teller(Numbering(pbx="lab"))
        second.restore(kept.open_calls(), None)
        for item in delivered[place:]:
            kept.take(second.take(item))
        assert sorted(kept.facts) == sorted(whole.facts)
        assert len(kept.ended) == len(set(kept.ended))


@pytest.mark.parametrize("scenario", ONE_LINK, ids=lambda path: f"{path.parent.name}-{path.name}")
@pytest.mark.slow
def test_a_redacted_export_replays_to_the_same_story(scenario: Path, tmp_path: Path) -> None:
    """Numbers and names are replaced, everything else of each call is told as before."""
    kept = observed(list(read_capture(scenario / "ami.jsonl.gz")))
    if not kept.all_lines:
        return
    plain, redacted = tmp_path / "plain.jsonl", tmp_path / "redacted.jsonl"
    plain.write_text("".join(as_capture(kept.all_lines, None)), encoding="utf-8")
    redacted.write_text("".join(as_capture(kept.all_lines, Redactor(b"key"))), encoding="utf-8")
    before, after = replay([plain]), replay([redacted])
    assert [_shape(facts) for facts in after] == [_shape(facts) for facts in before]
    numbers = {facts.caller.number or "" for facts in before}
    outside = [number for number in numbers if 6 < len(number) < 17]  # a forged one of 79 digits is nobody's
    text = redacted.read_text(encoding="utf-8")
    assert not [number for number in outside if number[-10:] in text]


def _shape(facts: CallFacts) -> Any:
    """A call without the numbers and names of anybody outside."""
    return (
        facts.direction,
        facts.disposition,
        facts.started_at,
        facts.answered_at,
        facts.ended_at,
        facts.talk_seconds,
        facts.certainty,
        facts.missed_by,
        [(leg.kind, leg.outcome, leg.talk_seconds) for leg in facts.legs],
        [(transfer.kind, transfer.via, transfer.result) for transfer in facts.transfers],
    )


def test_a_call_that_ended_in_the_gap_has_its_true_end_from_cel() -> None:
    """The link is cut in a conversation; at the next login CEL knows when it ended: reconstructed, to the millisecond."""
    directory = CAPTURES / "22" / "in_answered"
    messages = list(read_capture(directory / "ami.jsonl.gz"))
    with gzip.open(directory / "cel.csv.gz", "rt", encoding="utf-8", newline="") as text:
        rows: list[CelRow] = sorted(CelReader().read(text), key=lambda row: row.at)
    whole = observed(messages)
    (truth,) = whole.facts.values()
    assert truth.answered_at is not None
    cut = truth.answered_at.timestamp() + 0.5
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items([one for one in messages if one.arrived_at < cut]):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    again = rows[-1].at + 5.0
    kept.take(teller.resume(LinkUp("lab", moment(again), 1000.0 + again - messages[0].arrived_at), rows, ()))
    (call,) = kept.facts.values()
    assert (call.id, call.certainty) == (truth.id, Certainty.RECONSTRUCTED)
    assert call.ended_at is not None
    assert truth.ended_at is not None
    assert abs((call.ended_at - truth.ended_at).total_seconds()) < 0.05
    retold = Teller(Numbering(pbx="lab")).retell(kept.all_lines)
    assert retold[call.id] == call


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Moscow", "Asia/Kolkata"])
@pytest.mark.parametrize("after_answer", [-0.3, -0.001, 0.5])
@pytest.mark.parametrize("name", ["in_answered", "queue_answered", "out_answered"])
def test_a_gap_is_told_at_its_own_time_from_a_log_in_local_time(
    zone: str, after_answer: float, name: str
) -> None:
    """As FreePBX writes it, in whole seconds: the cut may lie in the second of the answer, before or behind it."""
    directory = CAPTURES / "22" / name
    messages = list(read_capture(directory / "ami.jsonl.gz"))
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    cells = cel_cells(gzip.decompress((directory / "cel.csv.gz").read_bytes()).decode())
    local = written([shown(row, zone, "%Y-%m-%d %H:%M:%S") for row in cells])
    rows = sorted(CelReader().read([local]), key=lambda row: row.at)
    cut = truth.answered_at.timestamp() + after_answer
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items([one for one in messages if one.arrived_at < cut]):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    again = rows[-1].at + 5.0
    kept.take(teller.resume(LinkUp("lab", moment(again), 1000.0 + again - messages[0].arrived_at), rows, ()))
    (call,) = kept.facts.values()
    assert (call.id, call.certainty) == (truth.id, Certainty.RECONSTRUCTED)
    assert (call.disposition, call.answered_by) == (truth.disposition, truth.answered_by)
    assert call.ended_at is not None
    assert truth.ended_at is not None
    assert abs((call.ended_at - truth.ended_at).total_seconds()) <= 1.05
    assert abs(call.talk_seconds - truth.talk_seconds) <= 1.05
    again_told = Teller(Numbering(pbx="lab")).retell(kept.all_lines)[call.id]
    assert differences([call], [again_told], seconds=0.02, ignore=["intervals"]) == []


@pytest.mark.parametrize("complete", [True, False])
def test_the_same_gap_without_cel_gives_a_bounded_end(complete: bool) -> None:
    """Nothing but the PBX's restart is known: the call was alive when the link was lost, and answered it stays. Where the
    lists of what lives stay incomplete, an uptime that leaves no doubt is believed.
    """
    messages = list(read_capture(CAPTURES / "22" / "in_answered" / "ami.jsonl.gz"))
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    cut = truth.answered_at.timestamp() + 1.0
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items([one for one in messages if one.arrived_at < cut]):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    kept.take(teller.take(LinkUp("lab", moment(cut + 60.0), 30.0)))
    assert not kept.ended  # the snapshot may list it
    kept.take(teller.take(SnapshotEnd("lab", moment(cut + 60.2), complete)))
    (call,) = kept.facts.values()
    assert (call.certainty, call.answered_by) == (Certainty.BOUNDED, truth.answered_by)
    assert call.ended_at == moment(cut)
    assert Teller(Numbering(pbx="lab")).retell(kept.all_lines)[call.id] == call


@pytest.mark.parametrize("with_cel", [False, True])
def test_a_pbx_that_died_right_after_we_came_ends_the_call_that_it_had(with_cel: bool) -> None:
    """We connect in the middle of a conversation, a snapshot shows it, and the next moment the PBX is gone: its restart
    ends the call, and the journal believes it, although whole seconds of uptime put the stop before the snapshot.
    """
    directory = CAPTURES / "22" / "in_answered"
    messages = list(read_capture(directory / "ami.jsonl.gz"))
    with gzip.open(directory / "cel.csv.gz", "rt", encoding="utf-8", newline="") as text:
        rows: list[CelRow] = sorted(CelReader().read(text), key=lambda row: row.at)
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    came = truth.answered_at.timestamp() + 0.3
    snapshot_at, cut, again = came + 0.015, came + 0.2, came + 1.4
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    known = [row for row in rows if row.at < came]
    kept.take(teller.resume(LinkUp("lab", moment(came), 1000.0), known, ()))
    for message in shown_alive(known, came + 0.01):
        kept.take(teller.take(Observed("lab", message)))
    kept.take(teller.take(SnapshotEnd("lab", moment(snapshot_at), True)))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    (before,) = kept.facts.values()
    assert (before.state, before.answered_by) == (State.UNVERIFIED, truth.answered_by)
    more = [row for row in rows if row.at < cut] if with_cel else []
    kept.take(teller.resume(LinkUp("lab", moment(again), 1.0), more, ()))
    kept.take(teller.take(SnapshotEnd("lab", moment(again + 0.015), True)))
    (call,) = kept.facts.values()
    assert (call.state, call.certainty) == (State.ENDED, Certainty.BOUNDED)
    assert call.ended_at is not None
    assert came <= call.ended_at.timestamp() <= cut
    assert Teller(Numbering(pbx="lab")).retell(kept.all_lines)[call.id] == call


@pytest.mark.parametrize("place", range(12))
def test_news_read_in_one_piece_with_the_end_of_a_snapshot_is_believed(place: int) -> None:
    """A call comes in at the moment we do. The list of channels and everything up to the conversation are read in one
    piece: what stands behind the end of the list arrived no later than it, and is news all the same.
    """
    messages = list(read_capture(CAPTURES / "22" / "in_answered" / "ami.jsonl.gz"))
    delivered = [item.message for item in items(messages) if isinstance(item, Observed)]
    began = next(i for i, message in enumerate(delivered) if message.kind == "Newchannel")
    ended = max(i for i, message in enumerate(delivered) if message.kind == "BridgeEnter") + 1
    read_at = delivered[ended].arrived_at
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    came = delivered[began].arrived_at - 0.02
    kept.take(teller.resume(LinkUp("lab", moment(came), 1000.0), (), ()))
    for index, message in enumerate(delivered[began:ended]):
        if index == min(place, ended - began - 1):
            complete = message_from_headers([("Event", "StatusComplete")], read_at)
            assert complete is not None
            kept.take(teller.take(Observed("lab", complete)))
            kept.take(teller.take(SnapshotEnd("lab", moment(read_at + 0.0003), True)))
        kept.take(teller.take(Observed("lab", message._replace(arrived_at=read_at))))
    (call,) = kept.facts.values()
    assert call.state is State.TALKING
    again = Teller(Numbering(pbx="lab")).retell(kept.all_lines)[call.id]
    assert (again.state, again.answered_by, again.answered_at) == (
        call.state,
        call.answered_by,
        call.answered_at,
    )


def shown_alive(rows: list[CelRow], at: float) -> list[Message]:
    """What a snapshot says of the channels that CEL knows: up, in the bridge they entered, and recorded."""
    bridge = next(
        json.loads(row.cells["eventextra"])["bridge_id"]
        for row in rows
        if "bridge_id" in row.cells.get("eventextra", "")
    )
    listed = [
        [
            ("Event", "Status"), ("Channel", name), ("ChannelState", "6"), ("Uniqueid", uid),
            ("Linkedid", rows[0].cells["linkedid"]), ("BridgeID", bridge), ("Seconds", "1"), ("Type", "PJSIP"),
            ("ChanVariable", f"MIXMONITOR_FILENAME=/spool/{uid}.wav"),
        ]
        for uid, name in {row.look.uid: row.cells["channame"] for row in rows}.items()
    ]  # fmt: skip
    said = [message_from_headers(fields, at) for fields in [*listed, [("Event", "StatusComplete")]]]
    return [message for message in said if message is not None]


def test_the_trace_in_words_names_who_did_what() -> None:
    """A blind transfer, told to a person: one sentence for each thing, with its time."""
    kept = observed(list(read_capture(CAPTURES / "22" / "in_answered" / "ami.jsonl.gz")))
    told = list(in_words(sorted(kept.all_lines, key=lambda line: line["t"])))
    assert any("calls PJSIP/101-" in sentence for sentence in told)
    assert any("comes into the basic bridge" in sentence for sentence in told)
    assert json.dumps(told)


@pytest.mark.parametrize("uptimes", [(77.0, 77.0), (5_000.0, 70.0), (5_000.0, 30.0)])
@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("complete", [True, False])
def test_a_snapshot_that_lists_the_call_overrules_the_uptime(
    uptimes: tuple[float, float], listed: bool, complete: bool
) -> None:
    """A clock was set (the PBX's own by nearly all of its uptime), or the uptime is always the same: by it the PBX began
    while the link was lost. The channels that it lists began before that, so it did not; where it lists none, the call has
    ended, when it was heard last.
    """
    directory = CAPTURES / "22" / "in_answered"
    messages = list(read_capture(directory / "ami.jsonl.gz"))
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    cut = truth.answered_at.timestamp() + 1.0
    back = cut + 60.0
    cel = CelReader().read([gzip.decompress((directory / "cel.csv.gz").read_bytes()).decode()])
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    first, *others = items([one for one in messages if one.arrived_at < cut])
    assert isinstance(first, LinkUp)
    for item in (replace(first, uptime_seconds=uptimes[0]), *others):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    kept.take(teller.take(LinkUp("lab", moment(back), uptimes[1])))
    assert not kept.ended
    alive = shown_alive([row for row in cel if row.at < cut], back + 0.1) if listed else []
    for message in alive if complete else alive[:-1]:
        kept.take(teller.take(Observed("lab", message)))
    kept.take(teller.take(SnapshotEnd("lab", moment(back + 0.2), complete)))
    (call,) = kept.facts.values()
    doubted = (
        not complete and uptimes[1] > 60.0
    )  # only the uptime says so, and it is longer than we were away
    assert (call.id, call.ended) == (truth.id, not listed and not doubted)
    if call.ended_at is not None:
        assert call.ended_at == moment(cut)
    elif complete:
        assert call.state is State.TALKING


def test_a_restart_is_not_forgotten_when_the_link_breaks_again_before_the_snapshot() -> None:
    """Its second login tells of no restart any more: the PBX runs since the first."""
    messages = list(read_capture(CAPTURES / "22" / "in_answered" / "ami.jsonl.gz"))
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    cut = truth.answered_at.timestamp() + 1.0
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items([one for one in messages if one.arrived_at < cut]):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    kept.take(teller.take(LinkUp("lab", moment(cut + 60.0), 30.0)))
    kept.take(teller.take(LinkDown("lab", moment(cut + 60.1), "cut")))
    kept.take(teller.take(LinkUp("lab", moment(cut + 65.0), 35.0)))
    kept.take(teller.take(SnapshotEnd("lab", moment(cut + 65.2), False)))
    (call,) = kept.facts.values()
    assert (call.state, call.certainty) == (State.ENDED, Certainty.BOUNDED)


def test_a_call_that_the_restarted_pbx_began_goes_on() -> None:
    """The log tells of it, and the snapshot lists it: it proves nothing for the call of before, which has ended."""
    directory = CAPTURES / "22" / "in_answered"
    messages = list(read_capture(directory / "ami.jsonl.gz"))
    (truth,) = observed(messages).facts.values()
    assert truth.answered_at is not None
    cut = truth.answered_at.timestamp() + 1.0
    back = cut + 60.0
    cel = CelReader().read([gzip.decompress((directory / "cel.csv.gz").read_bytes()).decode()])
    later = [after_the_restart(row, back - 5.0 - messages[0].arrived_at) for row in cel if row.at < cut]
    teller, kept = Teller(Numbering(pbx="lab")), Kept()
    for item in items([one for one in messages if one.arrived_at < cut]):
        kept.take(teller.take(item))
    kept.take(teller.take(LinkDown("lab", moment(cut), "cut")))
    kept.take(teller.resume(LinkUp("lab", moment(back), 30.0), later, ()))
    for message in shown_alive(later, back + 0.1):
        kept.take(teller.take(Observed("lab", message)))
    kept.take(teller.take(SnapshotEnd("lab", moment(back + 0.2), True)))
    before, after = sorted(kept.facts.values(), key=lambda facts: facts.started_at)
    assert (before.id, before.ended_at) == (truth.id, moment(cut))
    assert after.state is State.TALKING
    again = Teller(Numbering(pbx="lab")).retell(kept.all_lines)
    assert (again[before.id].ended_at, again[after.id].state) == (before.ended_at, State.TALKING)


def after_the_restart(row: CelRow, seconds: float) -> CelRow:
    """The row as of another call in another bridge, so much later."""
    cells = {
        name: value.replace("1795313", "1795999") if name in ("uniqueid", "linkedid") else value
        for name, value in row.cells.items()
    }
    cells["eventtime"] = f"{row.at + seconds:.6f}"
    if "bridge_id" in cells.get("eventextra", ""):
        cells["eventextra"] = json.dumps(
            {**json.loads(cells["eventextra"]), "bridge_id": "of the restarted PBX"}
        )
    (moved,) = CelReader().rows_from([cells])
    return moved


@pytest.mark.slow
def test_what_was_told_of_calls_that_are_over_is_not_remembered() -> None:
    """Calls one after another: as many channels are remembered as a handful of calls have."""
    link = [
        item.message
        for item in items(list(read_capture(CAPTURES / "22" / "in_answered" / "ami.jsonl.gz")))
        if isinstance(item, Observed)
    ]
    teller, seconds = Teller(Numbering(pbx="lab")), link[-1].arrived_at - link[0].arrived_at + 10.0
    most = 0
    for number in range(200):
        for message in renamed(shifted(link, number * seconds), 10 * number):
            teller.take(Observed("lab", message))
        most = max(most, teller.remembered_channels)
    assert len(teller.tracker.channels) < 10
    assert 0 < most <= CHANNELS_REMEMBERED + 20
