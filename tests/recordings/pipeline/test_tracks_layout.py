"""Where the stretches of everybody's tracks belong: on whose clock, and what of them is in the call's recording."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from call_records.recordings.pipeline.tracks import (
    INTERNAL,
    TOO_LATE,
    TrackStep,
    joined_sources,
    lay_out,
    plan_track,
)
from call_records.recordings.types import Recording
from telephony.call_facts.facts import (
    CallFacts,
    Hold,
    Interval,
    PartyKind,
    Recorded,
    RecordingPause,
    TrackSpan,
    facts_from_json,
)
from telephony.recordings import RecordingState
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, ended, leg
from tests.recordings.joined_office import row_of
from tests.recordings.sounds import tone, write_wav

BEGAN = MONDAY.timestamp()


def track(
    uniqueid: str,
    party: str = "101",
    *,
    answered_at: float | None = 5.0,
    until: float = 65.0,
    spans: tuple[tuple[float, float], ...] = (),
    pauses: tuple[tuple[float, float], ...] = (),
    at: float = 0.0,
    file: Path | None = None,
) -> Recorded:
    """A track of the call; all times in seconds after its beginning."""

    def after(seconds: float) -> object:
        return MONDAY + timedelta(seconds=seconds)

    return Recorded(
        file=str(file or f"/spool/{uniqueid}-track.wav"),
        uniqueid=uniqueid,
        party=party,
        kind=PartyKind.OUTSIDE if party.startswith("+") else PartyKind.EXTENSION,
        at=after(at),  # type: ignore[arg-type]
        until=after(until),  # type: ignore[arg-type]
        pauses=tuple(RecordingPause(after(a), after(b)) for a, b in pauses),  # type: ignore[arg-type]
        track=True,
        answered_at=after(answered_at) if answered_at is not None else None,  # type: ignore[arg-type]
        with_outside=tuple(TrackSpan(after(a), after(b)) for a, b in spans),  # type: ignore[arg-type]
    )


def of_call(
    *tracks: Recorded, holds: tuple[Hold, ...] = (), talks: tuple[tuple[float, float], ...] = ()
) -> CallFacts:
    """A call of 65 s with these tracks; `talks` are the customer's."""
    intervals = tuple(
        Interval("talking", MONDAY + timedelta(seconds=a), MONDAY + timedelta(seconds=b)) for a, b in talks
    )
    facts = ended(answered(call()))
    legs = (leg(CLIENT, kind=PartyKind.OUTSIDE, intervals=intervals), *facts.legs[1:])
    return replace(facts, recorded=tracks, holds=holds, legs=legs)


def hold(at: float, seconds: float, by: str = "101") -> Hold:
    return Hold(by, seconds, MONDAY + timedelta(seconds=at))


def placed(told: Recorded, facts: CallFacts, length: float) -> list[tuple[float, float, float]]:
    """Rounded, the clock in seconds after the call's beginning."""
    return [(round(a - BEGAN, 2), round(b, 2), round(c, 2)) for a, b, c in lay_out(told, facts, length)]


def test_a_whole_track_begins_with_the_answer() -> None:
    """Ours, in the conversation from its answer to its end."""
    told = track("2.1", spans=((5.0, 65.0),))
    assert placed(told, of_call(told), 60.0) == [(5.0, 0.0, 60.0)]


def test_a_silent_hold_is_missing_in_the_file() -> None:
    """10 s of hold in which the handset sent nothing: what follows counts from the file's end."""
    told = track("2.1", spans=((5.0, 65.0),))
    facts = of_call(told, holds=(hold(25.0, 10.0),))
    assert placed(told, facts, 50.0) == [(5.0, 0.0, 20.0), (35.0, 20.0, 50.0)]
    assert placed(told, facts, 60.0) == [(5.0, 0.0, 20.0), (35.0, 30.0, 60.0)]  # a phone that hummed on


def test_of_two_holes_the_hold_takes_its_time_first() -> None:
    """A hold of 10 s and a consultation of 10 s, in which there was sound; 10 s are missing."""
    told = track("2.1", spans=((5.0, 45.0), (55.0, 65.0)))
    facts = of_call(told, holds=(hold(15.0, 10.0),))
    assert placed(told, facts, 50.0) == [(5.0, 0.0, 10.0), (25.0, 10.0, 30.0), (55.0, 40.0, 50.0)]


def test_keys_before_the_transfer_are_missing_at_the_end_of_a_track() -> None:
    """The transferer's consultation lies behind their last talk: nothing moves."""
    told = track("2.1", spans=((5.0, 20.0),), until=40.0)
    assert placed(told, of_call(told), 34.2) == [(5.0, 0.0, 15.0)]


def test_a_track_that_began_while_it_was_dialled() -> None:
    """Into the target of a blind transfer audio flows before the answer: the file is longer than its answered time."""
    told = track("2.1", at=20.0, answered_at=25.0, spans=((25.0, 65.0),))
    assert placed(told, of_call(told), 44.0) == [(25.0, 4.0, 44.0)]


def test_the_customers_track_is_whole_also_where_time_is_missing() -> None:
    """A customer who was muted on hold: 8 of the 10 s are missing, the sound of the other 2 stays within the hold."""
    told = track("1.1", CLIENT)
    facts = of_call(told, holds=(hold(25.0, 10.0),), talks=((5.0, 25.0), (35.0, 65.0)))
    assert placed(told, facts, 60.0) == [(5.0, 0.0, 60.0)]
    assert placed(told, facts, 52.0) == [(5.0, 0.0, 20.0), (25.0, 20.0, 22.0), (35.0, 22.0, 52.0)]


def test_pauses_and_stops_of_the_customers_track_hold_for_ours(tmp_path: Path) -> None:
    """Ours was not paused, and began before a key began the customer's: only what lies inside is laid beside it."""
    theirs = write_wav(tmp_path / "1.1-track.wav", tone(400, 30.0))
    ours = write_wav(tmp_path / "1.2-track.wav", tone(1100, 60.0))
    lead = track("1.1", CLIENT, at=20.0, answered_at=5.0, until=50.0, pauses=((30.0, 35.0),), file=theirs)
    told = track("1.2", spans=((5.0, 65.0),), file=ours)
    facts = of_call(lead, told)
    sources = joined_sources(row_of(lead), [row_of(told)], facts)
    found = [
        (one.outside, round(one.from_seconds, 2), round(one.to_seconds, 2), round(one.at_seconds, 2))
        for one in sources.tracks
    ]
    assert found == [(True, 0.0, 30.0, 0.0), (False, 15.0, 25.0, 0.0), (False, 30.0, 45.0, 15.0)]
    assert round(sources.began_at - BEGAN, 2) == 20.0


def _row(told: Recorded, state: RecordingState) -> Recording:
    return row_of(told, state)


LEAD, OURS = track("1.1", CLIENT), track("1.2", spans=((5.0, 65.0),))
CALLED_IN = track("1.3", "+79161110009", spans=((30.0, 65.0),))


@pytest.mark.parametrize(
    ("ours", "step"),
    [
        (RecordingState.EXPECTED, TrackStep.WAIT),
        (RecordingState.ARRIVED, TrackStep.LEAD),
        (RecordingState.LOST, TrackStep.LEAD),
    ],
)
def test_the_outside_partys_track_leads_once_no_other_is_on_its_way(
    ours: RecordingState, step: TrackStep
) -> None:
    """A lost one is not waited for."""
    rows = [_row(LEAD, RecordingState.ARRIVED), _row(OURS, ours)]
    assert plan_track(rows[0], of_call(LEAD, OURS), rows).step is step


@pytest.mark.parametrize(
    ("lead", "step"),
    [
        (RecordingState.EXPECTED, TrackStep.WAIT),
        (RecordingState.ARRIVED, TrackStep.WAIT),
        (RecordingState.LOST, TrackStep.LEAD),
        (RecordingState.FAILED, TrackStep.LEAD),
        (RecordingState.REMOVED, TrackStep.FOLLOW),
        (RecordingState.READY, TrackStep.LATE),
    ],
)
def test_ours_follows_only_what_it_is_in(lead: RecordingState, step: TrackStep) -> None:
    """Neither lost with the customer's, nor forgotten when it comes late, nor back after a removal."""
    rows = [_row(LEAD, lead), _row(OURS, RecordingState.ARRIVED)]
    plan = plan_track(rows[1], of_call(LEAD, OURS), rows)
    assert plan.step is step
    assert (plan.reason == TOO_LATE) is (step is TrackStep.LATE)


def test_ours_follows_the_recording_that_was_made_of_it() -> None:
    """Its file is among those of the leading one."""
    rows = [_row(LEAD, RecordingState.READY), _row(OURS, RecordingState.ARRIVED)]
    rows[0] = replace(rows[0], files=(*rows[0].files, *rows[1].files))
    assert plan_track(rows[1], of_call(LEAD, OURS), rows).step is TrackStep.FOLLOW


def test_somebody_outside_who_was_called_in_does_not_lead() -> None:
    """A transfer to a mobile phone: its track is of our side."""
    rows = [_row(one, RecordingState.ARRIVED) for one in (LEAD, OURS, CALLED_IN)]
    facts = of_call(LEAD, OURS, CALLED_IN)
    assert [plan_track(row, facts, rows).step for row in rows] == [
        TrackStep.LEAD,
        TrackStep.WAIT,
        TrackStep.WAIT,
    ]


def test_an_internal_conversation_is_not_kept() -> None:
    """Nobody outside: no track leads."""
    told = track("1.2")
    row = _row(told, RecordingState.ARRIVED)
    plan = plan_track(row, of_call(told), [row])
    assert (plan.step, plan.reason) == (TrackStep.FOLLOW, INTERNAL)


def test_without_a_call_a_track_is_as_it_came_and_a_live_one_waits() -> None:
    """Nothing is known, or not all yet."""
    row = _row(LEAD, RecordingState.ARRIVED)
    assert plan_track(row, None, [row]).step is TrackStep.ALONE
    live = replace(of_call(LEAD), ended_at=None)
    assert plan_track(row, live, [row]).step is TrackStep.WAIT


def test_what_is_told_of_a_track_survives_the_journal() -> None:
    """Written as JSON and read again; what an older release wrote has no tracks."""
    facts = of_call(LEAD, OURS)
    told = facts.as_json()
    assert facts_from_json(told).recorded == facts.recorded
    for one in told["recorded"]:
        for new in ("track", "answered_at", "with_outside"):
            del one[new]
    assert not any(one.track for one in facts_from_json(told).recorded)
