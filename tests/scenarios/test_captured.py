"""Calls that were once told wrong, kept as captures: what the PBX said, and what the phones truly did.

`tests/captures/VERSION/NAME/` with an `expected.json` was recorded by `python -m tests.scenarios.play NAME DIRECTORY`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ami_bridge.capture.capture import read_capture
from switchhook.commands.replay import replay
from tests.scenarios.truth import Handover, Truth, differences, differences_from_cel
from tests.telephony.captured import allowed, player_of

CAPTURES = Path(__file__).parents[1] / "captures"
NAMES = sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*/expected.json"))


def truths_of(folder: Path) -> list[Truth]:
    """What was true, as the phones saw it."""
    (calls,) = json.loads((folder / "expected.json").read_text(encoding="utf-8")).values()
    return [_truth(call) for call in calls]


def _truth(call: dict[str, object]) -> Truth:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in call.items()}
    values["transfers"] = tuple(Handover(**handover) for handover in call["transfers"])  # type: ignore[attr-defined]
    values["parked"] = tuple(tuple(stay) for stay in call["parked"])  # type: ignore[attr-defined]
    return Truth(**values)  # type: ignore[arg-type]


def test_there_are_captures() -> None:
    """Both versions are represented."""
    assert {name.split("/")[0] for name in NAMES} == {"16", "22"}


@pytest.mark.parametrize("user", ["unfiltered", "recommended"])
@pytest.mark.parametrize("name", NAMES)
def test_told_as_it_was(name: str, user: str) -> None:
    """Told from the file as it was told live, and as it was."""
    messages = read_capture(CAPTURES / name / "ami.jsonl.gz")
    player, told = player_of(allowed(messages) if user == "recommended" else messages)
    truths = truths_of(CAPTURES / name)
    assert len(told) == len(truths)
    assert [
        wrong for truth, facts in zip(truths, told, strict=True) for wrong in differences(truth, facts)
    ] == []
    player.tracker.advance(player.tracker.now + 1000)
    assert player.tracker.idle


LOGGED = sorted(str(path.parent.relative_to(CAPTURES)) for path in CAPTURES.glob("*/*/cel.csv.gz"))


@pytest.mark.parametrize("name", sorted(set(LOGGED) & set(NAMES)))
def test_the_event_log_alone_tells_the_same(name: str) -> None:
    """A consultation that began in a call of which only the log tells ends when the log says so."""
    told = replay([], cel=[CAPTURES / name / "cel.csv.gz"])
    truths = truths_of(CAPTURES / name)
    assert len(told) == len(truths)
    pairs = zip(truths, told, strict=True)
    assert [wrong for truth, facts in pairs for wrong in differences_from_cel(truth, facts)] == []
