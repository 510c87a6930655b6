"""A recording of ringing alone is silent on one side because nobody was there: that is no fault of the sound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from call_records.recordings.pipeline.calls import audible_faults
from telephony.call_facts.facts import CallFacts, Disposition, RecordingPause
from telephony.recordings import HealthFault
from tests.call_facts_builder import answered, call, ended
from tests.recordings.pipeline.test_pipeline_parts import at, recording, told, told_call

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
    assert audible_faults(facts, recording(), (fault, HealthFault.CLIPPED), 60.0) == (HealthFault.CLIPPED,)


@pytest.mark.parametrize("facts", [told_call(), CONFERENCE], ids=["talked", "in a conference"])
def test_silence_of_a_conversation_is_a_fault(facts: CallFacts) -> None:
    """Where somebody talked, a side without sound is worth a look."""
    assert audible_faults(facts, recording(), (HealthFault.OUTSIDE_SILENT,), 60.0) == (
        HealthFault.OUTSIDE_SILENT,
    )


ALL_SILENT = (HealthFault.SILENT, HealthFault.CLIPPED)


@pytest.mark.parametrize(
    ("pauses", "faulty"),
    [
        ([(0, 100)], False),
        ([(0, 50), (51, 100)], False),
        ([(0, None)], False),
        ([(0, 50)], True),
        ([], True),
    ],
    ids=["all of it", "but for a second", "never resumed", "half of it", "not at all"],
)
def test_a_pause_on_purpose_is_no_fault(pauses: list[tuple[float, float | None]], *, faulty: bool) -> None:
    """What was paused has no sound because somebody wanted it so; what was not paused should be heard."""
    breaks = tuple(RecordingPause(at(since), None if until is None else at(until)) for since, until in pauses)
    facts = replace(told_call(), recorded=(told(pauses=breaks),))
    found = audible_faults(facts, recording(), ALL_SILENT, 100.0)
    assert (HealthFault.SILENT in found) is faulty
    assert HealthFault.CLIPPED in found


@pytest.mark.parametrize(("seconds", "faulty"), [(0.0, False), (1.9, False), (2.0, True)])
def test_a_mailbox_into_which_nobody_spoke(seconds: float, *, faulty: bool) -> None:
    """0:00 of voicemail is nothing to test the phone system for."""
    assert (HealthFault.SILENT in audible_faults(told_call(), recording(), ALL_SILENT, seconds)) is faulty


@pytest.mark.parametrize(("paused_until", "faulty"), [(96, False), (94, True)])
def test_one_sided_needs_five_seconds_without_a_pause(paused_until: float, *, faulty: bool) -> None:
    """As the sound itself is judged: less may be one person's greeting."""
    breaks = (RecordingPause(at(0), at(paused_until)),)
    facts = replace(told_call(), recorded=(told(pauses=breaks),))
    found = audible_faults(facts, recording(), (HealthFault.OURS_SILENT,), 100.0)
    assert (HealthFault.OURS_SILENT in found) is faulty
