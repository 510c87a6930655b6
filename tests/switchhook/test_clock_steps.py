"""The PBX's clock is set while people talk: told from a capture as it was, and nothing is lost or negative."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from switchhook.commands.replay import replay
from telephony.call_facts.facts import CallFacts, Certainty, State
from tests.telephony.captured import CAPTURES

SET_BACK = CAPTURES / "clock" / "set_back.jsonl"
"""Two calls of 30 s of talk. 30 s into the first one, NTP sets the clock of both machines back by 120 s."""
TALK = pytest.approx(30.01, abs=0.05)
STEP_AT = 10  # line of the first event after the step: the first call's hang-up request
Line = dict[str, Any]


def lines() -> list[Line]:
    return [json.loads(line) for line in SET_BACK.read_text().splitlines()]


def straightened() -> list[Line]:
    """The same two calls under a clock that nobody set."""
    return [
        moved(line, stamp=120.0, arrival=120.0) if 10 <= i < 15 else line for i, line in enumerate(lines())
    ]


def moved(line: Line, *, stamp: float, arrival: float = 0.0) -> Line:
    """A line whose event happened, and arrived, so much later by the two clocks."""
    pairs = [
        [name, f"{float(value) + stamp:.6f}" if name == "Timestamp" else value] for name, value in line["h"]
    ]
    return {"t": line["t"] + arrival, "h": pairs}


def told(tmp_path: Path, capture: list[Line]) -> list[CallFacts]:
    file = tmp_path / "capture.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in capture))
    return replay([file])


def has_negative(facts: CallFacts) -> bool:
    """Whether anything in the call ends before it begins, or lasts less than nothing."""
    data: Mapping[str, Any] = facts.as_json()
    spans = [(data["started_at"], data["ended_at"])]
    for leg in data["legs"]:
        spans += [(interval["since"], interval["until"]) for interval in leg["intervals"]]
        spans.append((leg["rang_at"], leg["ended_at"]))
    durations = [value for name, value in data.items() if name.endswith("_seconds") and value is not None]
    return any(a and b and a > b for a, b in spans) or any(value < 0 for value in durations)


def test_both_clocks_set_back_during_a_call() -> None:
    """The hang-up comes two minutes before the answer: the call has ended, when is uncertain, and its start stays."""
    first, second = replay([SET_BACK])
    assert (first.state, first.certainty) == (State.ENDED, Certainty.BOUNDED)
    assert first.started_at.isoformat() == "2026-11-28T21:06:40+00:00"
    assert (second.state, second.certainty, second.talk_seconds) == (State.ENDED, Certainty.OBSERVED, TALK)
    assert second.started_at.isoformat() == "2026-11-28T21:08:00+00:00"
    assert not has_negative(first)
    assert not has_negative(second)


@pytest.mark.parametrize("seconds", [300.0, -120.0, 3_600.0, -20.0, 5.0, -86_400.0])
@pytest.mark.parametrize("at", [2, 5, 9, STEP_AT])
def test_the_clock_of_another_machine_is_set(tmp_path: Path, seconds: float, at: int) -> None:
    """The PBX's stamps jump, ours do not: as the call is made, as it rings, as it is answered, as it ends. Both calls are
    told as long as they were, with the outside number that was called.
    """
    capture = [moved(line, stamp=seconds) if i >= at else line for i, line in enumerate(straightened())]
    first, second = told(tmp_path, capture)
    for facts in (first, second):
        assert facts.state is State.ENDED
        assert facts.did == "+74951000001"
        assert facts.talk_seconds == TALK
        assert not has_negative(facts)
    assert (first.answered_by, second.answered_by) == ("101", "103")
    assert first.started_at.isoformat() == "2026-11-28T21:06:40+00:00"
    assert first.certainty is Certainty.BOUNDED
    assert second.certainty is Certainty.OBSERVED


@pytest.mark.parametrize("at", [2, 5, 9])
def test_both_clocks_set_back_at_other_moments(tmp_path: Path, at: int) -> None:
    """As the call is made, while it rings, as it is answered: what comes after goes on from there."""
    capture = straightened()
    for index in range(at, 15):
        capture[index] = moved(capture[index], stamp=-120.0, arrival=-120.0)
    first, second = told(tmp_path, capture)
    assert (first.state, first.certainty, first.did) == (State.ENDED, Certainty.BOUNDED, "+74951000001")
    assert first.answered_by == "101"
    assert first.talk_seconds == TALK or at == 9
    assert second.talk_seconds == TALK
    assert not has_negative(first)


def test_the_clock_of_the_capturing_machine_alone_is_set_back(tmp_path: Path) -> None:
    """The PBX's stamps go on; only the arrivals go back: both calls last as long as they did, each in its own time."""
    capture = straightened()
    for index in range(9, len(capture)):
        capture[index] = moved(capture[index], stamp=0.0, arrival=-120.0)
    second, first = told(tmp_path, capture)
    assert (first.state, first.certainty, first.talk_seconds) == (State.ENDED, Certainty.BOUNDED, TALK)
    assert first.started_at.isoformat() == "2026-11-28T21:06:40+00:00"
    assert (second.state, second.certainty, second.talk_seconds) == (State.ENDED, Certainty.OBSERVED, TALK)
    assert second.started_at.isoformat() == "2026-11-28T21:06:00+00:00"


def test_two_last_events_before_the_step_are_enough(tmp_path: Path) -> None:
    """Of what comes after the step the AMI user is told the two hang-ups alone."""
    capture = straightened()
    ends = [moved(line, stamp=-120.0, arrival=-120.0) for line in capture[13:15]]
    first, second = told(tmp_path, [*capture[:10], *ends, *capture[15:]])
    assert (first.state, first.certainty) == (State.ENDED, Certainty.BOUNDED)
    assert not has_negative(first)
    assert (second.certainty, second.talk_seconds) == (Certainty.OBSERVED, TALK)


def test_a_part_told_twice_is_no_clock(tmp_path: Path) -> None:
    """The first call's lines a second time, after both calls: as if they were not there."""
    capture = straightened()
    assert told(tmp_path, [*capture, *capture[1:15]]) == told(tmp_path, capture)


def test_two_jumps(tmp_path: Path) -> None:
    """Forward by five minutes while it rings, back by ten at the hang-up."""
    capture = [
        moved(line, stamp=0.0 if i < 5 else 300.0 if i < STEP_AT else -300.0)
        for i, line in enumerate(straightened())
    ]
    first, second = told(tmp_path, capture)
    assert (first.state, second.state) == (State.ENDED, State.ENDED)
    assert first.talk_seconds == TALK
    assert second.talk_seconds == TALK


@pytest.mark.parametrize("skew", [0.0, 0.4, 600.0, -7_200.0])
def test_a_small_drift_changes_nothing(tmp_path: Path, skew: float) -> None:
    """A clock that differs by whatever, and goes 0.2 % wrong: observed, and as long as it was."""
    began = lines()[0]["t"]
    capture = [moved(line, stamp=skew + (line["t"] - began) * 0.002) for line in straightened()]
    for facts in told(tmp_path, capture):
        assert (facts.state, facts.certainty) == (State.ENDED, Certainty.OBSERVED)
        assert facts.talk_seconds == pytest.approx(30.01, abs=0.1)


def forged(stamp: Callable[[float], float]) -> Line:
    """A hang-up of the first call's caller, written by somebody else."""
    line = next(line for line in straightened() if ["Event", "Hangup"] in line["h"])
    return {
        "t": 1795900010.0,
        "h": [[n, f"{stamp(1795900010.0):.6f}" if n == "Timestamp" else v] for n, v in line["h"]],
    }


def test_one_event_of_another_time_is_no_clock(tmp_path: Path) -> None:
    """A forged hang-up an hour off, in the middle of the talk: the call goes on."""
    capture = straightened()
    capture.insert(STEP_AT, forged(lambda now: now - 3_600.0))
    first, _ = told(tmp_path, capture)
    assert (first.certainty, first.talk_seconds) == (Certainty.OBSERVED, TALK)


def test_news_that_was_held_up_is_no_clock(tmp_path: Path) -> None:
    """The process stood still for 20 s and read everything at once: the times are those of the PBX, not of the reading."""
    capture = straightened()
    stalled = max(line["t"] for line in capture[:15]) + 0.5
    for index in range(4, 15):
        capture[index] = {**capture[index], "t": stalled}
    first, second = told(tmp_path, capture)
    assert (first.certainty, first.talk_seconds) == (Certainty.OBSERVED, TALK)
    assert second.talk_seconds == TALK
