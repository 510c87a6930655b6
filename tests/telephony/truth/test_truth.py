"""What is told of every captured call, held against what the phones did.

Each row of `TRUTHS` is one thing the phones know: how to read it from truth.json and how from the call facts. Every
capture is told four times: from AMI, from AMI with CEL beside it, from CEL alone, and from what the recommended AMI
user is told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from telephony.call_facts.facts import CallFacts, Certainty
from telephony.numbers.numbers import Numbering
from tests.telephony.captured import Captured, allowed, captured, names, player_of

Truth = dict[str, Any]

SECONDS = 0.12  # a phone's own clock against Asterisk's: signalling and its answer on a busy machine
TALK_SECONDS = 0.05  # talk time is what people are paid for; the phones and Asterisk agree better on it
DIRECTIONS = {"in": "inbound", "out": "outbound", "internal": "internal"}
VIAS = {
    "sip-refer": "sip",
    "sip-refer-replaces": "sip",
    "feature-code": "feature_code",
    "ami-blindtransfer": "ami",
    "ami-atxfer": "feature_code",
}
RESULTS = {"answered": "completed", "completed": "completed"}
ENDED_BY = {"remote": "callee"}
UNKNOWN = object()
"""What the phones could not know, or mean otherwise than we do."""


class Row(NamedTuple):
    """One fact of a call: the phones' word, ours, and how far apart two durations may be."""

    name: str
    truth: Callable[[Truth], Any]
    ours: Callable[[CallFacts], Any]
    seconds: float = 0.0
    not_in_cel: bool = False
    """CEL has no event for it."""


def _disposition(truth: Truth) -> str:
    told: str = truth["disposition"]
    waited = truth.get("queue") or truth.get("park") or truth.get("ivr")
    if told == "no-answer" or (told == "abandoned" and not waited):
        return "missed"
    return told


def _requested(truth: Truth) -> Any:
    return Numbering().party(truth["dialled"]) if truth.get("dialled") else UNKNOWN


def _did(truth: Truth) -> Any:
    return "+" + truth["did"] if truth.get("did") else UNKNOWN


def _known(truth: Truth, name: str) -> Any:
    value = truth.get(name)
    return UNKNOWN if value is None else value


def _talk(truth: Truth) -> Any:
    if truth["talk_s"] is None or truth["voicemail"] or truth.get("park"):
        return UNKNOWN  # the phones count the parked time as talk; see `talk around parking`
    return truth["talk_s"]


def _talk_around_parking(truth: Truth) -> Any:
    return truth["talk_s"] - truth["park"]["parked_s"] if truth.get("park") else UNKNOWN


def _ring(truth: Truth) -> Any:
    menu_first = "menu first" in truth.get("note", "")
    return UNKNOWN if menu_first or truth["ring_s"] is None else truth["ring_s"]


def _missed_by(truth: Truth) -> Any:
    if truth["disposition"] == "abandoned" and not truth["missed_by"]:
        return UNKNOWN  # the driver left the list empty; for us whoever rang in vain missed the call
    return sorted(truth["missed_by"])


def _transfers(*, via: bool) -> Callable[[Truth], list[tuple[str, ...]]]:
    def read(truth: Truth) -> list[tuple[str, ...]]:
        return [
            (t["kind"], *([VIAS[t["via"]]] if via else []), t["by"], t["to"], RESULTS[t["result"]])
            for t in truth["transfers"]
        ]

    return read


def _our_transfers(*, via: bool) -> Callable[[CallFacts], list[tuple[str, ...]]]:
    def read(facts: CallFacts) -> list[tuple[str, ...]]:
        return [
            (
                t.kind.value,
                *([str(t.via)] if via else []),
                t.by,
                str(t.to),
                t.result.value if t.result else "",
            )
            for t in facts.transfers
        ]

    return read


def _held_for(truth: Truth) -> Any:
    held = [hold["s"] for hold in truth["holds"]]
    return UNKNOWN if None in held else held  # by feature code the phones know that, but not to the moment


def _queue(name: str) -> Callable[[Truth], Any]:
    return lambda truth: (truth.get("queue") or {}).get(name, UNKNOWN)


def _park(name: str) -> Callable[[Truth], Any]:
    return lambda truth: (truth.get("park") or {}).get(name, UNKNOWN)


def _legs(truth: Truth) -> Any:
    return {leg["ext"]: leg["s"] for leg in truth["legs"]} if truth.get("legs") else UNKNOWN


def _our_legs(facts: CallFacts) -> dict[str, float]:
    return {leg.party: leg.talk_seconds for leg in facts.legs if leg.kind == "extension" and leg.answered_at}


TRUTHS: tuple[Row, ...] = (
    Row("direction", lambda t: DIRECTIONS[t["direction"]], lambda f: f.direction.value),
    Row("disposition", _disposition, lambda f: f.disposition and f.disposition.value),
    Row("DID", _did, lambda f: f.did),
    Row("requested", _requested, lambda f: f.requested),
    Row("answered by", lambda t: t["answered_by"], lambda f: f.answered_by),
    Row("final party", lambda t: _known(t, "final_party"), lambda f: f.final_party),
    Row("ended by", lambda t: ENDED_BY.get(t["hangup_by"], _known(t, "hangup_by")), lambda f: f.ended_by),
    Row("missed by", _missed_by, lambda f: sorted(f.missed_by)),
    Row("talk", _talk, lambda f: f.talk_seconds, TALK_SECONDS),
    Row("talk around parking", _talk_around_parking, lambda f: f.talk_seconds, SECONDS),
    Row("ring", _ring, lambda f: f.ring_seconds, SECONDS),
    Row("wait", lambda t: _known(t, "wait_s"), lambda f: f.wait_seconds, SECONDS),
    Row("transfers", _transfers(via=False), _our_transfers(via=False)),
    Row("transfers, by what means", _transfers(via=True), _our_transfers(via=True), not_in_cel=True),
    Row(
        "who held",
        lambda t: [h["by"] for h in t["holds"]],
        lambda f: [h.by for h in f.holds],
        not_in_cel=True,
    ),
    Row(
        "held for",
        _held_for,
        lambda f: [h.seconds for h in f.holds],
        SECONDS,
        not_in_cel=True,
    ),
    Row("talk of each leg", _legs, _our_legs, SECONDS, not_in_cel=True),  # CEL does not know of holds
    Row("queue", _queue("name"), lambda f: f.queue and f.queue.name),
    Row("queue answered by", _queue("answered_by"), lambda f: f.queue and f.queue.answered_by),
    Row("agents tried", _queue("agents_tried"), lambda f: f.queue and list(f.queue.tried)),
    Row("parked by", _park("by"), lambda f: f.parked[0].by),
    Row("slot", _park("slot"), lambda f: f.parked[0].slot),
    Row("retrieved by", _park("retrieved_by"), lambda f: f.parked[0].retrieved_by),
    Row("parked for", _park("parked_s"), lambda f: f.parked[0].seconds, SECONDS),
)

SOURCES = ("ami", "ami and cel", "cel", "recommended user")


def _told(capture: Captured, source: str) -> list[CallFacts]:
    links = {"cel": (), "recommended user": tuple(allowed(link) for link in capture.links)}.get(
        source, capture.links
    )
    player, calls = player_of(*links, cel=capture.cel if "cel" in source else ())
    player.tracker.advance(player.tracker.now + 60)
    assert player.tracker.idle, "after the last hang-up nothing is left"
    return calls


def _lived(capture: Captured, source: str) -> list[Truth]:
    """The calls that the source can know: a driver's own mistakes never reached Asterisk; AMI is deaf in a gap."""
    calls = [truth for truth in capture.truth if truth["disposition"] != "driver-error"]
    if "cel" in source:
        return calls
    return [truth for truth in calls if "only CDR/CEL know it" not in truth.get("note", "")]


def _mistakes(truth: Truth, facts: CallFacts, source: str) -> list[str]:
    found = []
    for row in TRUTHS:
        expected = row.truth(truth)
        if expected is UNKNOWN or (row.not_in_cel and source == "cel"):
            continue
        if not _agree(expected, row.ours(facts), row.seconds):
            found.append(f"{row.name}: the phones say {expected!r}, we tell {row.ours(facts)!r}")
    return found


def _agree(expected: Any, told: Any, seconds: float) -> bool:
    if isinstance(expected, float | int) and isinstance(told, float | int):
        return abs(expected - told) <= seconds
    if isinstance(expected, list) and isinstance(told, list) and len(expected) == len(told):
        return all(_agree(one, other, seconds) for one, other in zip(expected, told, strict=True))
    if isinstance(expected, dict) and isinstance(told, dict):
        return all(name in told and _agree(expected[name], told[name], seconds) for name in expected)
    return bool(expected == told)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", names())
def test_the_call_is_told_as_the_phones_lived_it(name: str, source: str) -> None:
    """Every field of truth.json that call facts know, in every capture, from every source."""
    capture = captured(name)
    told, lived = _told(capture, source), _lived(capture, source)
    assert len(told) == len(lived), "each call once, and no call that nobody made"
    mistakes = {
        index: wrong
        for index, (truth, facts) in enumerate(zip(lived, told, strict=True))
        if (wrong := _mistakes(truth, facts, source))
    }
    assert not mistakes
    assert all(facts.ended for facts in told)


@pytest.mark.parametrize("name", [name for name in names() if "nasty" not in name])
def test_the_caller_is_told_as_he_called(name: str) -> None:
    """The outside number in E.164, or the extension; never a Local half, never the number shown to somebody else."""
    for truth, facts in zip(captured(name).truth, _told(captured(name), "ami and cel"), strict=True):
        assert facts.caller.number == (truth["caller"] or facts.caller.number)


ODD_NUMBERS = {  # how 22 and 16 cut what the phone wrote: at 79 bytes, at `;`, at what is no number
    "+79160000009%0D%0AEvent%3A%20Hangup": "+79160000009",
    "+79160000015;phone-context=x": "+79160000015",
    "89160000013": "+79160000013",
    "0079160000014": "+79160000014",
}


@pytest.mark.parametrize("source", ["ami", "cel"])
@pytest.mark.parametrize("version", ["22", "16"])
def test_a_caller_with_a_strange_name_or_number_is_still_himself(version: str, source: str) -> None:
    """Quotes, emoji, scripts, line breaks, 200 digits: the number is what can be dialled, the call is one missed call."""
    capture = captured(f"{version}/nasty_callerid")
    told = _told(capture, source)
    for truth, facts in zip(_lived(capture, source), told, strict=True):
        expected = ODD_NUMBERS.get(truth["caller"], truth["caller"])
        if len(expected) > 79:
            assert expected.startswith(facts.caller.raw)
        else:
            assert facts.caller.number == expected
        assert facts.disposition is not None
        assert facts.disposition.value == "missed"
        assert facts.missed_by == ("101",)


@pytest.mark.parametrize("name", names())
def test_what_is_told_from_cel_alone_says_so(name: str) -> None:
    """Nobody saw these calls happen: they are reconstructed, and marked as such."""
    assert {facts.certainty for facts in _told(captured(name), "cel")} == {Certainty.RECONSTRUCTED}


@pytest.mark.parametrize("version", ["22", "16"])
def test_a_cut_link_loses_no_call(version: str) -> None:
    """The link broke in mid-call; one call went on, one began and ended unseen: with CEL all three are told, once."""
    calls = _told(captured(f"{version}/ami_drop_reconnect"), "ami and cel")
    assert [facts.disposition and facts.disposition.value for facts in calls] == [
        "answered",
        "abandoned",
        "missed",
    ]
    assert len({facts.id for facts in calls}) == 3
