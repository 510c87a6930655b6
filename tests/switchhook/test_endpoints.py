"""What is said of endpoints: by recompute, by the doctor, and on the command line."""

from __future__ import annotations

import pytest

from ami_bridge.doctor.doctor import Level
from switchhook.commands.call_differences import differences
from switchhook.commands.replay import read_phones
from switchhook.doctor.endpoints import endpoint_findings
from telephony.endpoint_directory import Endpoint, EndpointDirectory
from telephony.errors import NeedsPerson
from telephony.numbers.numbers import Numbering

DEVICES = [Endpoint("PJSIP", name) for name in ("alice", "bob", "001122334455")]


def test_a_changed_call_is_one_readable_line() -> None:
    """The other name once, then what else is otherwise; no data structures."""
    before = {
        "direction": "inbound",
        "caller": {"number": "1000", "raw": "1000"},
        "answered_by": "+79161234567",
        "talk_seconds": 1.0,
        "legs": [{"party": "alice", "role": "caller", "rang_at": None, "ended_at": "x", "kind": "outside"}],
        "missed_by": [],
    }
    after = {
        "direction": "outbound",
        "caller": {"number": "101", "raw": "101"},
        "answered_by": "+79161234567",
        "talk_seconds": 2.5,
        "legs": [{"party": "101", "role": "caller", "rang_at": None, "ended_at": "x", "kind": "extension"}],
        "missed_by": ["102"],
    }
    told = ", ".join(differences(before, after))
    assert told == (
        "alice → 101, direction inbound → outbound, caller 1000 → 101, talk 1.00 s → 2.50 s, legs alice → 101, "
        "missed by none → 102"
    )
    assert not set("{}[]'") & set(told)
    assert differences(before, before) == ()


def test_a_call_whose_only_change_is_a_name() -> None:
    """Wherever the name stood, it is said once."""
    leg = {"role": "callee", "rang_at": "x", "ended_at": "y"}
    before = {"answered_by": "bob", "missed_by": ["bob"], "legs": [{"party": "bob", **leg}]}
    after = {"answered_by": "102", "missed_by": ["102"], "legs": [{"party": "102", **leg}]}
    assert differences(before, after) == ("bob → 102",)


def test_the_doctor_names_phones_that_count_as_trunks() -> None:
    """Without any extension every call is told wrongly: a fault, with the lines to write."""
    (finding,) = endpoint_findings(Numbering(pbx="hq"), DEVICES, extensions=0)
    assert finding.level is Level.FAULT
    assert "3 endpoints (001122334455, alice, bob)" in finding.what
    assert 'alice = "…"' in finding.remedy
    assert 'trunks = "001122334455|alice|bob"' in finding.remedy
    said = EndpointDirectory().with_said({"alice": "101", "bob": "102"}, {"PJSIP/001122334455"})
    (well,) = endpoint_findings(Numbering(pbx="hq", directory=said), DEVICES, extensions=2)
    assert well.level is Level.OK


def test_phones_on_the_command_line() -> None:
    """Pairs, several at once or one after the other."""
    assert read_phones(["alice=101,bob=102", "PJSIP/001122334455=103"]) == {
        "alice": "101",
        "bob": "102",
        "PJSIP/001122334455": "103",
    }
    with pytest.raises(NeedsPerson, match="does not say whose phone it is"):
        read_phones(["alice"])
