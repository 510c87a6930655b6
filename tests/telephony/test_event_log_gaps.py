"""AMI lost a stretch of a call; the event log tells it. What neither tells is absent, and nothing is told wrongly.

`windows` are messages that were never heard: the link broke before the first and came back after the last.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest

from ami_bridge.capture import read_capture
from ami_bridge.cel import CelRow
from ami_bridge.message import Message
from telephony.facts import CallFacts, Certainty
from tests.telephony.captured import (
    CAPTURES,
    captured,
    cel_cells,
    cel_rows,
    cel_text,
    names,
    player_of,
    replayed,
)
from tests.telephony.test_cel import written
from tests.telephony.test_freepbx_truth import FREEPBX, scenarios

Link = tuple[Message, ...]

FIELDS = (
    "direction",
    "disposition",
    "did",
    "answered_by",
    "final_party",
    "ended_by",
    "hangup_cause",
    "missed_by",
)
SEED, SAMPLE = 20, 45
KNOWN_OTHERWISE = frozenset({"queue_abandoned", "nasty_callerid"})
"""The log has no word for what AMI told: a queue that gives an agent up, a name with a control character."""


@cache
def played(name: str) -> tuple[Link, tuple[CelRow, ...]]:
    """A capture's first link and its event log; `freepbx/…` or `version/scenario`."""
    if not name.startswith("freepbx/"):
        return captured(name).links[0], captured(name).cel
    folder = CAPTURES / name
    return tuple(read_capture(folder / "ami.jsonl")), tuple(cel_rows((folder / "cel.csv").read_text("utf-8")))


def with_gap(name: str, since: int, until: int) -> list[CallFacts]:
    """The calls when messages `since` to `until` were never heard."""
    link, cel = played(name)
    return replayed(link[:since], link[until:], cel=cel)


def whole(name: str) -> list[CallFacts]:
    """The calls when everything was heard."""
    link, cel = played(name)
    return replayed(link, cel=cel)


def files(calls: list[CallFacts]) -> list[list[str]]:
    """Names of the recordings, call by call."""
    return [[file.rpartition("/")[2] for file in facts.recordings] for facts in calls]


def wrong(expected: list[CallFacts], told: list[CallFacts]) -> list[str]:
    """Facts that differ and are not merely absent; and what is absent although it is called observed."""
    if len(expected) != len(told):
        return [f"{len(expected)} calls, not {len(told)}"]
    found = []
    for one, other in zip(expected, told, strict=True):
        left, right = one.as_json(), other.as_json()
        for told in (left, right):
            told["missed_by"].sort()  # phones that rang in one second have no order
        for field in FIELDS:
            if left[field] == right[field]:
                continue
            if right[field] not in (None, []) or other.certainty is Certainty.OBSERVED:
                found.append(f"{field}: {left[field]!r} ≠ {right[field]!r} ({other.certainty.value})")
    return found


@pytest.mark.parametrize(
    ("name", "since", "until"),
    [
        ("freepbx/22/fm_mobile", 25, 44),  # the mobile's number stands in a row of its last second only
        ("freepbx/16s/rg_external_member", 20, 60),
        ("freepbx/16s/internal_to_cf", 8, 18),
        ("freepbx/16/cf_mobile", 14, 28),
        ("freepbx/16/queue_refer_outside", 52, 69),
        ("freepbx/16/queue_timeout_hangup", 0, 28),  # the second end of a dial is not the caller's
        ("freepbx/16s/in_unregistered", 1, 3),  # chan_sip begins a caller's channel as if it were rung
    ],
)
def test_a_gap_is_told_from_the_log_as_it_was(name: str, since: int, until: int) -> None:
    """Who answered, who hung up: the very same as without the gap."""
    assert wrong(whole(name), with_gap(name, since, until)) == []


def test_no_trunk_s_name_is_a_party_wherever_the_link_broke() -> None:
    """A mobile behind our trunk is called by its number, or not at all."""
    for since in range(0, 72, 8):
        for facts in with_gap("freepbx/22/fm_mobile", since, min(since + 20, 71)):
            assert "MyTrunk" not in {facts.answered_by, facts.final_party, *(leg.party for leg in facts.legs)}


@pytest.mark.parametrize("name", ["16/click_to_call", "22/click_to_call", "22/in_answered"])
def test_a_recording_that_began_in_the_gap_is_named_by_the_call_s_record(name: str) -> None:
    """Its beginning was told while nobody listened; the CDR, whose column our dialplan fills, names the file."""
    link, _ = played(name)
    last = next(index for index, message in enumerate(link) if message.kind == "Cdr")
    assert files(whole(name)) != [[]]
    assert files(with_gap(name, 5, last)) == files(whole(name))


def test_a_recording_named_twice_is_one() -> None:
    """The variable told its file with the folder, the record at the end without."""
    link, _ = played("22/in_answered")
    (facts,) = replayed(link)
    assert len(facts.recordings) == 1


def sampled() -> list[tuple[str, int, int]]:
    """Windows of every length all over the captures, the same in every run."""
    pick = random.Random(SEED)
    everything = [f"freepbx/{name}" for name in scenarios()] + [
        n for n in names() if (CAPTURES / n / "cel.csv.gz").exists()
    ]
    usable = [name for name in everything if name.rpartition("/")[2] not in KNOWN_OTHERWISE]
    windows = []
    while len(windows) < SAMPLE:
        name = pick.choice(usable)
        size = len(played(name)[0])
        since, until = sorted(pick.sample(range(size + 1), 2))
        if (since, until) != (0, size) and ("reconnect" not in name):
            windows.append((name, since, until))
    return windows


def test_wherever_the_link_broke_nothing_is_told_wrongly() -> None:
    """A seeded sample of all windows of all captures."""
    assert FREEPBX.exists()
    mistakes = {
        window: found for window in sampled() if (found := wrong(whole(window[0]), with_gap(*window)))
    }
    assert mistakes == {}


def test_words_lost_without_a_break_are_told_from_the_log_too() -> None:
    """AMI drops messages of a reader that is slow; no login tells of it."""
    link, cel = played("freepbx/22/fm_mobile")
    assert wrong(whole("freepbx/22/fm_mobile"), replayed(link[:25] + link[44:], cel=cel)) == []


def test_a_call_that_went_on_unseen_is_not_called_observed() -> None:
    """Nobody knows what happened meanwhile: no snapshot was taken, and there is no log."""
    link, _ = played("22/hold")
    (facts,) = replayed(link[:150], link[151:])
    assert facts.certainty is not Certainty.OBSERVED


# -- a log that does not keep `extra` ------------------------------------------------------------------------------


def bare(name: str) -> list[CallFacts]:
    """The calls told from the log alone, its last column left out."""
    rows = cel_cells(cel_text(name))
    return replayed(cel=cel_rows(written([row[:-1] for row in rows])))


@pytest.mark.parametrize(
    "name", ["22/in_busy", "22/in_abandoned", "16/out_busy", "22/internal", "22/in_ringgroup_none"]
)
def test_without_extra_nobody_tells_why_it_ended(name: str) -> None:
    """No cause, and no outcome for a phone that was rung in vain: it may have been busy."""
    for facts in bare(name):
        assert facts.hangup_cause is None
        told = {leg.outcome for leg in facts.legs if leg.role == "callee"}
        assert told <= {None, "answered", "answered_elsewhere"}
        assert facts.answered_by is not None or facts.ended_by is None


@pytest.mark.parametrize("name", ["22/blind_refer", "16/blind_feature"])
def test_without_extra_the_target_of_a_transfer_is_not_known(name: str) -> None:
    """Nobody is named, rather than an empty name."""
    (facts,) = bare(name)
    told: list[Any] = [transfer["to"] for transfer in facts.as_json()["transfers"]]
    assert "" not in told


def test_the_log_does_not_say_by_what_means_a_call_was_handed_on() -> None:
    """A handset's key, a feature code and a program leave the same row."""
    _, (facts,) = player_of(cel=captured("22/blind_feature").cel)
    assert [transfer.via for transfer in facts.transfers] == [None]
