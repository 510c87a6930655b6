"""A recording of ringing alone is silent on one side because nobody was there: that is no fault of the sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from call_records.recordings.pipeline_call import audible_faults
from telephony.facts import CallFacts, Disposition
from telephony.recordings import HealthFault
from tests.call_facts_builder import answered, call, ended
from tests.recordings.test_pipeline_parts import at, recording, told, told_call

MISSED = replace(ended(call(), after_seconds=8), disposition=Disposition.MISSED)
CONFERENCE = ended(answered(call(), after_seconds=0), after_seconds=8)
RUNG_BEFORE_TALK = told_call((20, 100), talk_seconds=80.0)
RUNG_BEFORE_TALK = replace(RUNG_BEFORE_TALK, legs=RUNG_BEFORE_TALK.legs[:1], recorded=(told(until=at(15)),))


@pytest.mark.parametrize("fault", [HealthFault.OUTSIDE_SILENT, HealthFault.OURS_SILENT, HealthFault.SILENT])
@pytest.mark.parametrize(
    "facts", [MISSED, RUNG_BEFORE_TALK], ids=["never answered", "stopped before the answer"]
)
def test_silence_without_a_conversation_is_no_fault(facts: CallFacts, fault: HealthFault) -> None:
    """A ring group plays its ringing to the caller: 8 s of our side, and nothing from the caller."""
    assert audible_faults(facts, recording(), (fault, HealthFault.CLIPPED)) == (HealthFault.CLIPPED,)


@pytest.mark.parametrize("facts", [told_call(), CONFERENCE], ids=["talked", "in a conference"])
def test_silence_of_a_conversation_is_a_fault(facts: CallFacts) -> None:
    """Where somebody talked, a side without sound is worth a look."""
    assert audible_faults(facts, recording(), (HealthFault.OUTSIDE_SILENT,)) == (HealthFault.OUTSIDE_SILENT,)
