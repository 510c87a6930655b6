"""Calls on a FreePBX dialplan, held against what the phones did: PJSIP on Asterisk 16 and 22, chan_sip on 16 (`16s`).

`tests/captures/freepbx/<version>/<scenario>/` has what the recommended AMI user was told (`ami.jsonl`), the event log as
FreePBX's own settings write it (`cel.csv`: local time in whole seconds, no rows of Dial) and what the phones did
(`truth.json`; `*` stands for what they cannot know). Each row of `TRUTHS` is one thing they do know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ami_bridge.capture.capture import read_capture
from ami_bridge.wire.message import Message
from telephony.call_facts.facts import CallFacts, Direction, Disposition, Service
from tests.telephony.captured import CAPTURES, cel_rows, player_of

Truth = dict[str, Any]

FREEPBX = CAPTURES / "freepbx"
SOURCES = ("ami", "ami and cel")
SECONDS = 0.12  # a phone's own clock against Asterisk's
ANYTHING = "*"
DIRECTIONS = {"in": "inbound", "out": "outbound"}
SILENT_ABOUT_HOLDS = "16s"  # chan_sip has no Hold event for a re-INVITE without a sendonly


class Row(NamedTuple):
    """One fact of a call: the phones' word and ours."""

    name: str
    truth: Callable[[Truth], Any]
    ours: Callable[[CallFacts], Any]


def _given(truth: Truth, name: str) -> Any:
    value = truth.get(name)
    return ANYTHING if value is None else value


def _final_party(truth: Truth) -> Any:
    outbound = truth["direction"] in (
        "out",
        ANYTHING,
    )  # there the driver names the outside party, we our side
    return ANYTHING if outbound else truth["final_party"]


def _did(truth: Truth) -> Any:
    return ANYTHING if truth["direction"] == ANYTHING else truth["did"]


def _queue(truth: Truth, name: str) -> Any:
    queue = truth["queue"]
    return ANYTHING if not isinstance(queue, dict) or name not in queue else queue[name]


def _tried(truth: Truth) -> Any:
    tried = _queue(truth, "tried")
    return tried if tried == ANYTHING else sorted(tried)


def _legs(truth: Truth) -> Any:
    """Whoever was rung, and how it went; the driver does not tell a caller who gave up from a timeout."""
    return truth["legs"]


def _our_legs(facts: CallFacts) -> dict[str, str]:
    outcomes = {leg.party: leg.outcome for leg in facts.legs if leg.role == "callee"}
    return {
        party: "no_answer" if outcome == "cancelled" else str(outcome) for party, outcome in outcomes.items()
    }


def _transfers(truth: Truth) -> Any:
    told = truth["transfers"]
    return told if told == ANYTHING else [tuple(one.values()) for one in told]


def _our_transfers(facts: CallFacts) -> list[tuple[str | None, ...]]:
    return [(t.kind, t.via, t.by, t.to, t.result) for t in facts.transfers]


def _sorted(value: Any) -> Any:
    return value if value == ANYTHING else sorted(value)


TRUTHS: tuple[Row, ...] = (
    Row("direction", lambda t: DIRECTIONS.get(t["direction"], t["direction"]), lambda f: f.direction),
    Row("disposition", lambda t: t["disposition"], lambda f: f.disposition),
    Row("caller", lambda t: t["caller"], lambda f: f.caller.number),
    Row("DID", _did, lambda f: f.did),
    Row("requested", lambda t: _given(t, "requested"), lambda f: f.requested),
    Row("answered by", lambda t: t["answered_by"], lambda f: f.answered_by),
    Row("final party", _final_party, lambda f: f.final_party),
    Row("talk", lambda t: _given(t, "talk_s"), lambda f: f.talk_seconds),
    Row("hold", lambda t: _given(t, "hold_s"), lambda f: f.hold_seconds),
    Row("missed by", lambda t: _sorted(t["missed_by"]), lambda f: sorted(f.missed_by)),
    Row("transfers", _transfers, _our_transfers),
    Row("queue", lambda t: (t["queue"] or {}).get("name"), lambda f: f.queue.name if f.queue else None),
    Row("queue answered by", lambda t: _queue(t, "answered_by"), lambda f: f.queue and f.queue.answered_by),
    Row("agents tried", _tried, lambda f: f.queue and sorted(f.queue.tried)),
    Row("legs", _legs, _our_legs),
    Row("consultation", lambda t: t.get("is_consultation", False), lambda f: f.consultation_of is not None),
    Row("recorded", lambda t: True if t.get("recording") else ANYTHING, lambda f: bool(f.recordings)),
)


class Freepbx(NamedTuple):
    """One scenario."""

    link: tuple[Message, ...]
    cel: str
    calls: list[Truth]


def scenarios() -> list[str]:
    """All of them, as `version/scenario`."""
    return sorted(str(path.parent.relative_to(FREEPBX)) for path in FREEPBX.glob("*/*/truth.json"))


@lru_cache(maxsize=64)
def scenario(name: str) -> Freepbx:
    """One by `version/scenario`."""
    folder: Path = FREEPBX / name
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    cel = (folder / "cel.csv").read_text(encoding="utf-8")
    return Freepbx(tuple(read_capture(folder / "ami.jsonl")), cel, truth["calls"])


def calls_of(name: str, source: str = "ami") -> list[CallFacts]:
    """The calls as they are told from that source."""
    played = scenario(name)
    rows = cel_rows(played.cel) if "cel" in source else []
    player, calls = player_of(played.link, cel=rows)
    player.tracker.advance(player.tracker.now + 60)
    assert player.tracker.idle, "after the last hang-up nothing is left"
    return calls


def _agree(expected: Any, told: Any) -> bool:
    if expected == ANYTHING:
        return True
    if isinstance(expected, float) and isinstance(told, float | int):
        return abs(expected - told) <= SECONDS
    if isinstance(expected, dict) and isinstance(told, dict):
        return expected.keys() == told.keys() and all(_agree(expected[name], told[name]) for name in expected)
    return bool(expected == told)


def _mistakes(name: str, truth: Truth, facts: CallFacts) -> list[str]:
    rows = [row for row in TRUTHS if row.name != "hold" or not name.startswith(SILENT_ABOUT_HOLDS)]
    return [
        f"{row.name}: the phones say {expected!r}, we tell {told!r}"
        for row in rows
        if not _agree(expected := row.truth(truth), told := row.ours(facts))
    ]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", scenarios())
def test_the_call_is_told_as_the_phones_lived_it(name: str, source: str) -> None:
    """Every field of truth.json that call facts know; each call once, and no call that nobody made."""
    told, lived = calls_of(name, source), scenario(name).calls
    assert [facts.caller.number for facts in told] == [truth["caller"] for truth in lived]
    mistakes = {
        index: wrong
        for index, (truth, facts) in enumerate(zip(lived, told, strict=True))
        if (wrong := _mistakes(name, truth, facts))
    }
    assert not mistakes
    assert all(facts.ended for facts in told)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", scenarios())
@pytest.mark.slow
def test_nobody_is_called_by_what_freepbx_writes_into_a_name(name: str, source: str) -> None:
    """A number, `CID:` and our number, our outgoing name, or the colleague's whose phone was forwarded: nobody's names."""
    for facts in calls_of(name, source):
        names = {leg.party: leg.name for leg in facts.legs if leg.kind == "outside"}
        assert set(names.values()) <= {None}, "no outside party of these calls has a name"
        assert facts.direction is not Direction.INBOUND or facts.caller.name is None


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", scenarios())
@pytest.mark.slow
def test_no_party_is_our_own_number_or_a_group(name: str, source: str) -> None:
    """The number that was called never answers, nor does a Local half, a ring group or `s`."""
    ours = {truth["did"] for truth in scenario(name).calls} - {None}
    for facts in calls_of(name, source):
        parties = {leg.party for leg in facts.legs} | {facts.answered_by, facts.final_party}
        hairpin = facts.direction == Direction.OUTBOUND
        assert hairpin or not ours & parties
        assert not any(party and not party.lstrip("+").isdigit() for party in parties)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("version", ["16", "22"])
@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("vm_check", Service.MAILBOX),
        ("feature_code_dnd", Service.FEATURE_CODE),
        ("click_ucp", None),
        ("call_waiting", None),
    ],
)
def test_a_code_and_the_own_mailbox_are_what_they_are(
    version: str, name: str, service: Service | None, source: str
) -> None:
    """`*97` and `*78` are nobody's missed call, and no message of a customer."""
    for facts in calls_of(f"{version}/{name}", source):
        assert facts.service is service
        if service:
            assert (facts.disposition, facts.answered_by) == (Disposition.ANSWERED, None)
            assert not facts.missed_by


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_is_one_call_with_those_who_are_paged(source: str) -> None:
    """A script rings each phone by a Local channel of its own and brings it into the caller's room."""
    (page,) = calls_of("16/page_group", source)
    assert (page.caller.number, page.requested, page.direction) == ("101", "700", Direction.INTERNAL)
    assert {leg.party for leg in page.legs} == {"101", "102", "103"}
    assert page.disposition is Disposition.ANSWERED
