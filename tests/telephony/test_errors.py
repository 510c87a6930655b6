"""An error says what went wrong and what can be done about it; who shows both as one text asks the error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from telephony.errors import NeedsPerson, PeerMistake, SwitchhookError

ROOT = Path(__file__).parents[2]
PACKAGES = ("ami_bridge", "call_records", "crm_sync", "switchhook", "telephony", "web")
JOINED = re.compile(r"\{(\w+)\} *\{\1\.remedy|str\((\w+)\) *\+.*\b\2\.remedy")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (PeerMistake("No such day.", remedy="Write it as 31.12."), "No such day. Write it as 31.12."),
        (PeerMistake("No such day."), "No such day."),
        (PeerMistake("No such day.", remedy=""), "No such day."),
        (NeedsPerson(), (NeedsPerson.__doc__ or "").strip()),
    ],
)
def test_the_sentence_is_the_message_with_its_remedy(error: SwitchhookError, sentence: str) -> None:
    """Without a remedy it is the message alone: no gap at its end, and no "None"."""
    assert error.sentence == sentence


def test_nobody_joins_the_two_by_hand() -> None:
    """A join by hand wrote "None" to people wherever an error had no remedy."""
    joined = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path != ROOT / "telephony" / "errors.py" and JOINED.search(path.read_text(encoding="utf-8"))
    ]
    assert not joined
