"""FreePBX's calls told from its event log alone: local time in whole seconds, and `apps` without `dial`.

Whatever the log tells is told as AMI would have told it. What it does not tell is named in `NOT_IN_LOG`, by fact, with the
reason; those facts are then absent or less exact, and never another call's outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from ami_bridge.cel.rows import COLUMNS, CelReader, CelRow
from telephony.call_facts.facts import CallFacts, Certainty, Disposition
from telephony.errors import NeedsPerson
from tests.telephony.captured import captured, cel_cells, cel_text, differences, names, replayed
from tests.telephony.truth.test_cel import written
from tests.telephony.truth.test_freepbx_truth import calls_of, scenario, scenarios

WHOLE_SECOND = 1.05
ANSWERED = Disposition.ANSWERED


class Fact(NamedTuple):
    """One fact of a call that the log knows."""

    name: str
    of: Callable[[CallFacts], Any]
    seconds: float = 0.0


FACTS = (
    Fact("direction", lambda f: f.direction),
    Fact("disposition", lambda f: f.disposition),
    Fact("caller", lambda f: f.caller.number),
    Fact("DID", lambda f: f.did),
    Fact("requested", lambda f: f.requested),
    Fact("answered by", lambda f: f.answered_by),
    Fact("final party", lambda f: f.final_party),
    Fact("missed by", lambda f: sorted(f.missed_by)),
    Fact("queue", lambda f: f.queue and (f.queue.name, f.queue.answered_by)),
    Fact("transfers", lambda f: [(t.kind, t.by, t.to, t.result) for t in f.transfers]),
    Fact("started", lambda f: f.started_at.timestamp(), WHOLE_SECOND),
    Fact("talk", lambda f: f.talk_seconds, WHOLE_SECOND),
)
NOT_IN_LOG = {
    "by what means a transfer was made": "the log does not tell a feature code from the phone's key",
    "holds": "the log has no event for them",
    "parking slot": "PARK_START names the parker, not the slot",
    "which phones rang when": "there is no event for ringing; a called channel's beginning stands for it",
}
"""What call facts know by AMI and not by the log alone → why. None of it is in FACTS."""


def _apart(one: CallFacts, other: CallFacts) -> list[str]:
    found = []
    for fact in FACTS:
        mine, theirs = fact.of(one), fact.of(other)
        same = abs(mine - theirs) <= fact.seconds if fact.seconds else mine == theirs
        if not same:
            found.append(f"{fact.name}: by AMI {mine!r}, by the log alone {theirs!r}")
    return found


@pytest.mark.parametrize("name", scenarios())
def test_the_log_alone_tells_what_ami_tells(name: str) -> None:
    """Each call once, with its outcome, parties and transfers; nobody saw it, and it says so."""
    by_ami, by_log = calls_of(name), replayed(cel=_rows(f"freepbx/{name}"))
    assert len(by_log) == len(by_ami)
    assert [wrong for pair in zip(by_ami, by_log, strict=True) if (wrong := _apart(*pair))] == []
    assert {facts.certainty for facts in by_log} <= {Certainty.RECONSTRUCTED}


@pytest.mark.parametrize("name", scenarios())
@pytest.mark.slow
def test_row_by_row_and_in_one_piece_are_the_same(name: str) -> None:
    """A sweep gives the rows of a call as they come: what was supposed of a line gives way to what is learned."""
    rows = _rows(f"freepbx/{name}")
    again = [kept for row in rows for kept in CelReader().rows_from([row.cells])]
    assert differences(replayed(cel=rows), replayed(cel=again), seconds=0.001, ignore=["intervals"]) == []


def without(rows: Sequence[CelRow], *columns: str) -> list[CelRow]:
    """The same log from a table that lacks these columns."""
    cells = [{name: value for name, value in row.cells.items() if name not in columns} for row in rows]
    return sorted(CelReader().rows_from(cells), key=lambda row: row.at)


ALL = [*names(), *(f"freepbx/{name}" for name in scenarios())]


def _rows(name: str) -> list[CelRow]:
    if name.startswith("freepbx/"):
        text = scenario(name.removeprefix("freepbx/")).cel
        return sorted(CelReader().read([text]), key=lambda row: row.at)
    return list(captured(name).cel)


@pytest.mark.parametrize("name", [name for name in ALL if "nasty" not in name])
@pytest.mark.slow
def test_without_extra_every_party_is_the_same_and_no_outcome_another(name: str) -> None:
    """Asterisk's documented table has no such column: bridges follow from who came in beside whom.

    Why a phone was not answered (busy, declined, rung in vain) stands in `extra` alone: then no outcome is told.
    """
    rows = _rows(name)
    whole, bare = replayed(cel=rows), replayed(cel=without(rows, "eventextra"))
    assert _parties(bare) == _parties(whole)
    for with_cause, f in zip(whole, bare, strict=True):
        assert f.disposition in (with_cause.disposition, None)
        assert (f.disposition is ANSWERED) == (with_cause.disposition is ANSWERED)
        assert abs(with_cause.talk_seconds - f.talk_seconds) < WHOLE_SECOND


def _parties(calls: Sequence[CallFacts]) -> list[tuple[object, ...]]:
    return [(f.answered_by, f.final_party, f.requested, f.missed_by) for f in calls]


@pytest.mark.parametrize("name", [name for name in ALL if "nasty" not in name])
@pytest.mark.slow
def test_an_export_with_the_newest_first_is_the_same_log(name: str) -> None:
    """`ORDER BY id DESC`, numbers exported or not: rows of one moment keep the order in which they were written."""
    cells = [dict(row.cells) for row in _rows(name)]
    numbered = [{**row, "id": str(at)} for at, row in enumerate(cells)]
    straight = replayed(cel=sorted(CelReader().rows_from(cells), key=lambda row: row.at))
    for export in (cells[::-1], numbered[::-1], sorted(numbered, key=lambda row: row["channame"])):
        rows = sorted(CelReader().rows_from(export), key=lambda row: row.at)
        assert differences(replayed(cel=rows), straight, seconds=0.001, ignore=[]) == []


@pytest.mark.parametrize("name", [name for name in ALL if "nasty" not in name])
@pytest.mark.slow
def test_without_the_data_of_applications_no_line_is_told_as_a_person(name: str) -> None:
    """What was dialled is unknown then: a party or a queue without its number is absent, never the trunk's name."""
    for whole, bare in zip(
        replayed(cel=_rows(name)), replayed(cel=without(_rows(name), "appdata")), strict=True
    ):
        assert bare.disposition is whole.disposition
        assert bare.requested in (whole.requested, None)
        assert bare.answered_by in (whole.answered_by, None)
        assert bare.final_party in (whole.final_party, None)


@pytest.mark.parametrize("column", ["exten", "appname"])
def test_a_log_without_what_every_call_needs_is_refused(column: str) -> None:
    """Without them calls get lost, and voicemail and queues are told as missed calls."""
    lines = cel_cells(cel_text("22/queue_answered"))
    names = [name for name in COLUMNS if name != column]
    kept = [[cell for name, cell in zip(COLUMNS, line, strict=True) if name != column] for line in lines]
    with pytest.raises(NeedsPerson, match=f"names no column {column}"):
        list(CelReader().read([written([names, *kept])]))


PARTIES_ONLY_IN_PEER = {
    "click_ucp": "two Local halves, nothing says what they join",
    "page_group": "three rooms",
}


@pytest.mark.parametrize("name", [name for name in ALL if "nasty" not in name])
@pytest.mark.slow
def test_without_extra_and_peer_no_answered_call_is_told_as_missed(name: str) -> None:
    """The least that any log has: answers and entries under one linked id."""
    rows = _rows(name)
    if name.rpartition("/")[2] in PARTIES_ONLY_IN_PEER:
        return
    whole, bare = replayed(cel=rows), replayed(cel=without(rows, "eventextra", "peer"))
    answered = [facts.id for facts in whole if facts.disposition is ANSWERED]
    assert [f.id for f in bare if f.id in answered and f.disposition is not ANSWERED] == []
    if len(bare) == len(whole):
        assert [f.final_party for f in bare] == [f.final_party for f in whole]
