"""A part of the talk that is missing on one side: found, and not confused with holds, waits, pauses and silent lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from call_records.recordings.pipeline.calls import part_missing
from call_records.recordings.types import Blanks, Recording, Span
from telephony.call_facts.facts import (
    CallFacts,
    Hold,
    Interval,
    LegRole,
    Parking,
    PartyKind,
    QueueVisit,
    RecordingPause,
)
from telephony.call_facts.facts import Recorded as Told
from telephony.recordings import HealthFault, RecordingState
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, ended, leg
from tests.recordings.recording_builder import outcome, source

NAME = "pbx-1795311120.5"


def at(seconds: float) -> datetime:
    """So long after the call began."""
    return MONDAY + timedelta(seconds=seconds)


def told_call(*talked: Span, **different: Any) -> CallFacts:
    """A call of 100 s that was answered at once and recorded whole on the customer's line, who talked in these spans."""
    talking = tuple(Interval("talking", at(since), at(until)) for since, until in talked or [(0, 100)])
    customer = leg(CLIENT, role=LegRole.CALLER, kind=PartyKind.OUTSIDE, answered_at=MONDAY, intervals=talking)
    over = ended(answered(call(), after_seconds=0), after_seconds=100)
    return replace(over, legs=(customer, leg("101")), recorded=(told(),), **different)


def told(**different: Any) -> Told:
    """What the PBX said of the recording."""
    plain = Told(
        file=f"/var/spool/asterisk/monitor/{NAME}.wav",
        uniqueid=NAME,
        party=CLIENT,
        kind=PartyKind.OUTSIDE,
        at=MONDAY,
        until=at(100),
    )
    return replace(plain, **different)


def recording() -> Recording:
    """Its files; everything else does not matter here."""
    nothing = dict.fromkeys(Recording.__dataclass_fields__)
    known = {
        "id": uuid4(),
        "name": NAME,
        "state": RecordingState.ARRIVED,
        "files": (replace(source(NAME), modified_at=at(100)),),
        "faults": (),
        "redactions": (),
    }
    return Recording(**{**nothing, **known})  # type: ignore[arg-type]


def is_missing(
    facts: CallFacts, *ours: Span, outside: tuple[Span, ...] = (), seconds: float = 100.0, **made: Any
) -> bool:
    """The decision over audio of `seconds` with these blanks."""
    processed = outcome(duration_seconds=seconds, blanks=Blanks(outside=outside, ours=ours), **made)
    return part_missing(facts, recording(), processed)


def test_colleague_is_missing_after_a_hold() -> None:
    """The fault of Asterisk 22: held from 20 to 30 s with music, then they talk to the end and are not in the file."""
    held = told_call((0, 20), (30, 100), holds=(Hold("101", 10.0, at(20)),))
    assert is_missing(held, (30.1, 100.0))


def test_either_side_may_be_missing() -> None:
    """The customer's line told nothing for a while, ours did."""
    assert is_missing(told_call(), outside=((50.0, 60.0),))


@pytest.mark.parametrize(("until", "missing"), [(45.0, False), (45.1, True)])
def test_more_than_five_seconds(until: float, missing: bool) -> None:
    """Up to five seconds of nothing in the middle of talk may be a phone that sends nothing while its owner listens."""
    assert is_missing(told_call(), (40.0, until)) is missing


def test_nothing_is_blank() -> None:
    """An ordinary recording."""
    assert not is_missing(told_call())


@pytest.mark.parametrize(
    "facts",
    [
        told_call((0, 20), (30, 100)),
        told_call(holds=(Hold("101", 10.0, at(20)),)),
        told_call(parked=(Parking("101", "701", 10.0, "102", timed_out=False, at=at(20)),)),
        told_call(queue=QueueVisit("sales", 10.0, ("101",), "101", at(20))),
        replace(told_call(), recorded=(told(pauses=(RecordingPause(at(20), at(30)),)),)),
    ],
    ids=["no talk", "hold", "parking", "queue", "pause"],
)
def test_where_nobody_was_to_be_heard(facts: CallFacts) -> None:
    """Nothing came from 20 to 30 s, which the call explains, though its moments differ by up to half a second a side and
    talk goes on around it. A second stretch that it does not explain is found all the same."""
    assert not is_missing(facts, (19.6, 30.4))
    assert not is_missing(facts, (15.6, 34.4))
    assert is_missing(facts, (19.6, 30.4), (50.0, 56.0))


@pytest.mark.parametrize(("until", "missing"), [(35.4, False), (35.6, True)])
def test_half_a_second_at_the_edge_does_not_count(until: float, missing: bool) -> None:
    """The hold ends at 30 s by the call, perhaps half a second later in the audio: counted from 30.5 s on."""
    held = told_call(holds=(Hold("101", 10.0, at(20)),))
    assert is_missing(held, (20.0, until)) is missing


def test_recorded_on_a_channel_that_is_nobody() -> None:
    """A dialplan that records on a Local channel: the talk of anybody in the call is what counts."""
    on_local = replace(told_call(), recorded=(told(party="Local/101", kind=PartyKind.SERVICE),))
    assert is_missing(on_local, (40.0, 60.0))


def test_open_ends_last_to_the_end_of_the_recording() -> None:
    """Parked and paused, and never told to end: nobody can say that there was talk afterwards."""
    parked = Parking("101", "701", None, None, timed_out=False, at=at(40))
    pause = told(pauses=(RecordingPause(at(40), None),))
    assert not is_missing(told_call(parked=(parked,)), (40.0, 100.0))
    assert not is_missing(replace(told_call(), recorded=(pause,)), (40.0, 100.0))


def test_consultation_is_no_talk_of_the_recorded_party() -> None:
    """101 talks with 102 while the customer waits: the customer's recording has nothing of it, and lacks nothing."""
    facts = told_call((0, 20), (60, 100))
    consulting = leg("101", intervals=(Interval("talking", at(0), at(100)),))
    assert not is_missing(replace(facts, legs=(facts.legs[0], consulting)), (20.0, 60.0))


@pytest.mark.parametrize(
    "fault", [HealthFault.SILENT, HealthFault.OURS_SILENT], ids=["both sides", "our side"]
)
def test_silent_altogether_is_another_fault(fault: HealthFault) -> None:
    """A side of which nothing came at all is told as such, and not a second time."""
    assert not is_missing(told_call(), (0.0, 100.0), faults=(fault,))


def test_other_side_is_silent_altogether() -> None:
    """Nothing came from the customer, and ours has a hole besides: both are told."""
    silent = (HealthFault.OUTSIDE_SILENT,)
    assert is_missing(told_call(), (40.0, 60.0), outside=((0.0, 100.0),), faults=silent)


def test_call_that_does_not_name_it() -> None:
    """Filed by hand: where its pauses were nobody knows."""
    assert not is_missing(replace(told_call(), recorded=()), (40.0, 60.0))


def test_time_that_asterisk_left_out() -> None:
    """Both were mute for 20 s, which the file lacks, and somewhere after it lies the hold: at 40 s of the audio or at 60 of
    the call. What is explained in one of both ways is no fault; what is explained in neither is one."""
    facts = told_call((0, 60), (70, 100))
    assert not is_missing(facts, (40.0, 50.0), seconds=80.0)
    assert is_missing(facts, (40.0, 80.0), seconds=80.0)


def test_call_that_goes_on() -> None:
    """Recorded by a key and stopped while the call goes on: the talk has no end yet."""
    facts = told_call()
    going = tuple(
        replace(one, intervals=tuple(replace(i, until=None) for i in one.intervals)) for one in facts.legs
    )
    stopped = replace(facts, ended_at=None, legs=going, recorded=(told(until=at(50)),))
    assert is_missing(stopped, (30.0, 50.0), seconds=50.0)
