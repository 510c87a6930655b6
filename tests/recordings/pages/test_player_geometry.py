"""Where everything of a recording is drawn, who is heard when, and what is said when there is nothing to play."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from call_records.recordings.types import PEAKS, Comment, Peaks, Redaction, Removal
from telephony.call_facts.facts import CallFacts, Direction, PartyKind, Recorded, RecordingPause
from telephony.recordings import HealthFault, Layout, PersonShare, RecordingState
from telephony.staff import Directory, Person
from tests.recordings.player_fakes import NOON, recording, talk
from tests.recordings.recording_builder import MEASURED
from tests.web import office
from web.presenters.call_diagram import draw, span_seconds
from web.presenters.labels import Names
from web.presenters.player import Material, Player, own_axis, show_player, tell_state
from web.presenters.waveform import HALF, Axis, axis_over, outline, silences, within

NAMES = Names(Directory((Person("Anna", frozenset({"101"})), Person("Warehouse", frozenset({"555"})))), "RU")


def walk(path: str) -> list[tuple[int, int]]:
    """The corners of an outline, absolute."""
    x = y = 0
    corners = []
    for command, value in re.findall(r"([MhvVz])\s*(-?\d*(?: \d+)?)", path):
        match command:
            case "M":
                x, y = (int(part) for part in value.split())
            case "h":
                x += int(value)
            case "v":
                y += int(value)
            case "V":
                y = int(value)
        corners.append((x, y))
    return corners


def told_call() -> CallFacts:
    """A client rang for 7 s, Anna took it, put them on hold at 40 s for 18 s, and gave them to the warehouse at 95 s."""
    call = office.picked_up(office.ringing("101", name="Garden"), "101", 7)
    call = office.transferred(office.held(call, "101", 40, 18), "101", "555", 95)
    return office.over(office.target_answers(call, "555", 101), 207)


def player_of(call: CallFacts, **different: object) -> Player:
    """The player on the call's page with one recording from the answer to the end."""
    made = recording(call.id, **{"started_at": office.s(7), "duration_seconds": 200.0, **different})
    axis = Axis(call.started_at, span_seconds(call, NOON))
    return show_player(Material([made], {made.id: talk(200)}, {}), call, NAMES, axis)


# -- the waveform --


def test_the_outside_party_is_above_the_line_and_we_are_below() -> None:
    """Only the client speaks in the first half, only we in the second: one outline rises, the other falls, each from
    the middle line over the whole width.
    """
    drawn = outline(Peaks(bytes([200] * 600 + [0] * 600), bytes([0] * 600 + [200] * 600)))
    assert drawn.parts == PEAKS
    assert drawn.ours
    above, below = walk(drawn.outside), walk(drawn.ours)
    assert above[0] == below[0] == (0, HALF)
    assert max(x for x, _ in above) == max(x for x, _ in below) == PEAKS
    assert min(y for _, y in above) == 0
    assert max(y for _, y in above) == HALF
    assert max(y for _, y in below) == 2 * HALF
    assert min(y for _, y in below) == HALF
    assert max(x for x, y in above if y == 0) == 600
    assert min(x for x, y in below if y == 2 * HALF) == 600


def test_both_sides_share_one_scale() -> None:
    """Half as loud is drawn smaller than the loud side, and noise alone stays flat."""
    loud = outline(Peaks(bytes([200] * PEAKS), bytes([50] * PEAKS)))
    assert loud.ours
    assert HALF - min(y for _, y in walk(loud.outside)) == HALF
    assert 0 < max(y for _, y in walk(loud.ours)) - HALF < HALF / 2
    noise = outline(Peaks(bytes([2] * PEAKS), bytes([1] * PEAKS)))
    assert HALF - min(y for _, y in walk(noise.outside)) <= HALF * 0.12


def test_a_mono_recording_is_mirrored() -> None:
    """Everybody on one channel: one closed outline, the same above and below."""
    drawn = outline(Peaks(bytes([0, 100, 200, 100]), None))
    assert drawn.ours is None
    corners = walk(drawn.outside)
    assert drawn.outside.endswith("z")
    assert min(y for _, y in corners) == HALF - HALF
    assert max(y for _, y in corners) == HALF + HALF
    assert corners[-1] == (0, HALF)


def test_an_outline_is_small() -> None:
    """Two people talking for an hour: less to send than a small photograph."""
    drawn = outline(talk(3600))
    assert drawn.ours
    assert len(drawn.outside) + len(drawn.ours) < 24_000


@pytest.mark.parametrize(
    ("quiet", "found"),
    [
        ([(10.0, 15.0)], [(10.0, 15.0)]),
        ([(10.0, 11.5)], []),  # people pause
        ([(0.0, 4.0), (56.0, 60.0)], [(0.0, 4.0), (56.0, 60.0)]),
    ],
)
def test_silence_is_found_where_nobody_speaks(
    quiet: list[tuple[float, float]], found: list[tuple[float, float]]
) -> None:
    """A minute of talk with silence in it: what lasts longer than two seconds can be skipped."""
    assert silences(talk(60, quiet=quiet), 60) == tuple(pytest.approx(span, abs=0.06) for span in found)


def test_one_side_speaking_is_no_silence() -> None:
    """We are silent, the client explains: nothing is skipped. A mono recording has only one side to ask."""
    assert silences(Peaks(bytes([90] * PEAKS), bytes(PEAKS)), 60) == ()
    assert silences(Peaks(bytes(PEAKS), bytes([90] * PEAKS)), 60) == ()
    assert silences(Peaks(bytes(PEAKS), None), 60) == ((0, 60),)
    assert silences(Peaks(b"", None), 60) == ()


# -- places --


def test_a_recording_lies_where_it_was_on_the_axis_of_the_call() -> None:
    """A call of 200 s, recorded from 50 s on for 100 s; what sticks out is cut off, what is tiny stays visible."""
    axis = Axis(NOON, 200)
    assert axis.place(NOON + timedelta(seconds=50), 100) == within(200, 50, 150)
    out = axis.place(NOON + timedelta(seconds=150), 100)
    assert (out.x, out.x + out.width) == (75, 100)
    early = axis.place(NOON - timedelta(seconds=50), 100)
    assert (early.x, early.width) == (0, 25)
    assert axis.place(NOON + timedelta(seconds=500), 1).x < 100
    assert axis.place(NOON, 0.01).width >= 0.5


def test_the_drawer_has_the_recordings_own_axis() -> None:
    """Two recordings, the second beginning later and ending last: both are on it, from edge to edge."""
    axis = axis_over([(NOON, 60), (NOON + timedelta(seconds=40), 60)])
    assert (axis.begin, axis.seconds) == (NOON, 100)
    ready = recording(duration_seconds=60.0)
    coming = recording(state=RecordingState.EXPECTED, started_at=None, duration_seconds=None)
    assert own_axis([coming, ready], None) == Axis(NOON, 60)


def test_nothing_is_drawn_outside_of_the_recording() -> None:
    """A hold before it began is left out; one that reaches into it is cut."""
    assert within(60, -20, -5) is None
    assert within(60, 61, 70) is None
    cut = within(60, -20, 30)
    assert cut
    assert (cut.x, cut.width) == (0, 50)


# -- who and what --


def test_who_is_heard_follows_the_transfer() -> None:
    """Anna until she hands over, then the warehouse: named below the line, with the hand-over marked."""
    call = told_call()
    (strip,) = player_of(call).strips
    assert strip.outside.name == "Garden"
    assert [who.first for who in strip.ours] == ["Anna", "Warehouse"]
    assert [(v.who, v.since, v.until) for v in strip.voices] == [("Anna", 0, 88), ("Warehouse", 94, 200)]
    (transfer,) = [moment for moment in strip.moments if moment.kind == "transfer"]
    assert transfer.at_seconds == 88
    assert transfer.label == "Transferred to Warehouse"


def test_the_strip_lies_under_the_bars_of_the_picture() -> None:
    """The recording began when Anna answered: its left edge is where her bar begins, its right where the call ends."""
    call = told_call()
    picture = draw(call, NAMES, NOON)
    (strip,) = player_of(call).strips
    anna = next(row for row in picture.rows if row.who.name == "Anna")
    talking = next(bar for bar in anna.bars if bar.doing == "talking")
    assert strip.place.x == pytest.approx(talking.x, abs=0.01)
    assert strip.place.x + strip.place.width == pytest.approx(100, abs=0.01)


def test_holds_pauses_and_covered_parts_are_marked() -> None:
    """On hold from 40 s of the call, paused for card data at 120 s, covered by a supervisor from 150 to 160 s."""
    call = told_call()
    pause = RecordingPause(office.s(127), office.s(147))
    made = Recorded(
        "x", "1795311120.8", office.CLIENT, PartyKind.OUTSIDE, office.s(7), office.s(207), (pause,)
    )
    call = replace(call, recorded=(made,))
    red = Redaction(150, 160, "Jan", NOON, UUID(int=1))
    (strip,) = player_of(call, redactions=(red,)).strips
    told = {span.kind: (span.place.x, span.place.width, span.label) for span in strip.spans}
    assert told == {
        "held": (16.5, 9.0, "On hold 0:18"),
        "paused": (60.0, 10.0, "Recording was paused 0:20"),
        "redacted": (75.0, 5.0, "Covered by Jan"),
    }


def test_of_two_outside_parties_the_recorded_one_is_named() -> None:
    """Handed over to a courier outside: the second recording is of their line, and says so."""
    call = told_call()
    courier = office.hung_up(
        office.answered(office.outside("+79160000077", name="Courier"), office.s(120)), office.s(207)
    )
    call = replace(call, legs=(*call.legs, courier))
    told = Recorded("y", "9.9", "+79160000077", PartyKind.OUTSIDE, office.s(120), None)
    for known in ((told,), ()):  # told by the PBX, else guessed by who was there when
        with_it = replace(call, recorded=known)
        second = {"channel": "9.9", "started_at": office.s(120), "duration_seconds": 87.0}
        (strip,) = player_of(with_it, **second).strips
        assert strip.outside.name == "Courier"
        assert "Garden" in {name for voice in strip.voices for name in voice.who.split(", ")}


def test_an_internal_call_has_the_one_who_called_above() -> None:
    """Anna calls the warehouse: no outside party; she is above the line."""
    call = office.over(office.picked_up(office.ringing("555"), "555", 5), 60)
    caller, other = call.legs
    caller = replace(caller, party="101", kind=PartyKind.EXTENSION)
    call = replace(
        call, direction=Direction.INTERNAL, legs=(caller, other), caller=replace(call.caller, number="101")
    )
    (strip,) = player_of(call, started_at=office.s(5), duration_seconds=55.0).strips
    assert strip.outside.name == "Anna"
    assert [who.first for who in strip.ours] == ["Warehouse"]


def test_everybodys_share_of_the_talk_is_shown() -> None:
    """Recorded by tracks: the client, Anna, the warehouse, and somebody outside whose number is nobody's business."""
    people = (PersonShare("101", 0.304), PersonShare("555", 0.12), PersonShare("", 0.05))
    (strip,) = player_of(
        told_call(), measures=replace(MEASURED, outside_talk_share=0.41, people=people)
    ).strips
    assert [(one.who.first, one.percent) for one in strip.shares] == [
        ("Garden", 41),
        ("Anna", 30),
        ("Warehouse", 12),
        ("Somebody outside", 5),
    ]
    (strip,) = player_of(
        told_call(), measures=MEASURED
    ).strips  # both sides on one channel: ours are not told apart
    assert strip.shares == ()


def test_a_mono_recording_names_nobodys_side() -> None:
    """Everybody on one channel: no sides are claimed."""
    (strip,) = player_of(told_call(), layout=Layout.MONO).strips
    assert strip.outside.first == "Everybody"
    assert (strip.ours, strip.voices) == ((), ())


def test_a_recording_of_no_known_call_can_be_played() -> None:
    """It belongs to nobody, and still has its sound."""
    made = recording(None, started_at=None)
    shown = show_player(Material([made], {}, {}), None, NAMES, own_axis([made], None))
    (strip,) = shown.strips
    assert (strip.wave, strip.silences) == (None, ())
    assert (strip.place.x, strip.place.width) == (0, 100)


def test_a_comment_stands_at_its_moment() -> None:
    """Said at 50 s of 200 s: a quarter of the way."""
    call = told_call()
    made = recording(call.id, started_at=office.s(7), duration_seconds=200.0)
    said = Comment(made.id, made.id, made.id, "Jan", 50.0, "well asked", NOON)
    axis = Axis(call.started_at, 207)
    (strip,) = show_player(Material([made], {}, {made.id: [said]}), call, NAMES, axis).strips
    (moment,) = [moment for moment in strip.moments if moment.kind == "comment"]
    assert (moment.x, moment.label) == (25, "0:50 Jan: well asked")


# -- words --


def test_every_fault_is_told_in_words() -> None:
    """One-sided, silent, clipped, cut off, too short: each has its sentence; the last says by how much."""
    (strip,) = player_of(told_call(), faults=tuple(HealthFault)).strips
    assert len(set(strip.warnings)) == len(HealthFault)
    assert "Only our side can be heard" in strip.warnings
    assert "3:20 of a conversation of 3:20 was recorded" in strip.warnings


@pytest.mark.parametrize("state", [state for state in RecordingState if state is not RecordingState.READY])
def test_what_cannot_be_played_is_a_sentence(state: RecordingState) -> None:
    """Whatever state a recording is in, the page says what is the matter; a person's move is marked."""
    made = recording(state=state, reason="The disk was full.", removal=None)
    told = tell_state(made, told_call())
    assert told.text.endswith(".")
    assert told.act == (state in {RecordingState.REFUSED, RecordingState.FAILED, RecordingState.LOST})


def test_a_live_call_is_being_recorded_and_an_ended_one_waits() -> None:
    """The same state means another thing while the call goes on."""
    coming = recording(state=RecordingState.EXPECTED)
    live = office.picked_up(office.ringing("101"), "101")
    assert tell_state(coming, live).text == "This call is being recorded."
    assert tell_state(coming, office.over(live, 60)).text == "The recording is on its way."


def test_the_tombstone_says_who_when_and_why() -> None:
    """Removed at the client's wish."""
    told = tell_state(
        recording(state=RecordingState.REMOVED, removal=Removal("Mira", NOON, "his wish")), None
    )
    assert (told.text, told.at, told.why) == ("Removed by Mira", NOON, "his wish")
