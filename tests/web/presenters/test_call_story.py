"""Calls told in sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from telephony.call_facts.facts import (
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Parking,
    PartyKind,
    Recorded,
    RecordingPause,
    State,
    Transfer,
    TransferKind,
    TransferResult,
    TransferVia,
)
from telephony.staff import Directory, Person
from tests.web.office import (
    CLIENT,
    held,
    missed,
    outgoing,
    over,
    picked_up,
    ringing,
    s,
    target_answers,
    transferred,
)
from web.presenters.call_diagram import draw
from web.presenters.call_story import headline, tell
from web.presenters.labels import Names, display_number, duration, outcome_label

NAMES = Names(Directory((Person("Anna", frozenset({"101"})), Person("Warehouse", frozenset({"555"})))), "RU")
TALK = picked_up(ringing("101", "102"), "101", 6)
MOVED = over(target_answers(transferred(TALK, "101", "555", 58), "555", 61), 200)
ATTENDED = Transfer(TransferKind.ATTENDED, TransferVia.SIP, "101", "555", TransferResult.COMPLETED, s(50))
BEGIN = "8 (916) 000-00-12 called 8 (495) 000-00-01"

TOLD: list[tuple[CallFacts, list[str]]] = [
    (
        over(TALK, 198),
        [BEGIN, "Anna (101) answered after 0:06", "Talked 3:12 with Anna (101)", "8 (916) 000-00-12 hung up"],
    ),
    (
        MOVED,
        [
            BEGIN,
            "Anna (101) answered after 0:06",
            "Talked 0:52 with Anna (101)",
            "Transferred to Warehouse (555) by Anna (101)",
            "Warehouse (555) answered after 0:03",
            "Talked 2:19 with Warehouse (555)",
            "8 (916) 000-00-12 hung up",
        ],
    ),
    (missed(ringing("101")), [BEGIN, "Anna (101) did not answer", "Nobody answered within 0:25"]),
    (
        missed(ringing("101", "102")),
        [BEGIN, "2 phones rang without an answer: Anna, 102", "Nobody answered within 0:25"],
    ),
    (
        missed(ringing("101", queue="support"), 40),
        [BEGIN, "Joined the queue support", "Anna (101) did not answer", "The caller gave up waiting"],
    ),
    (ringing("101", name="Garden"), ["Garden (8 (916) 000-00-12) called 8 (495) 000-00-01"]),
    (ringing("101", number=None), ["Number withheld called 8 (495) 000-00-01"]),
    (
        outgoing("101"),
        [
            "Anna (101) called 8 (916) 000-00-12",
            "8 (916) 000-00-12 answered after 0:05",
            "Talked 0:42 with 8 (916) 000-00-12",
            "Anna (101) hung up",
        ],
    ),
    (
        held(over(TALK, 60), "101", 20, 18),
        [
            BEGIN,
            "Anna (101) answered after 0:06",
            "Anna (101) put the call on hold for 0:18",
            "Talked 0:54 with Anna (101)",
            "8 (916) 000-00-12 hung up",
        ],
    ),
]


@pytest.mark.parametrize(("facts", "sentences"), TOLD)
def test_told(facts: CallFacts, sentences: list[str]) -> None:
    """Each row is a call and what somebody in the office reads of it."""
    assert [sentence.plain for sentence in tell(facts, NAMES)] == sentences


@pytest.mark.parametrize(
    ("transfer", "sentence"),
    [
        (ATTENDED, "Anna (101) spoke with Warehouse (555) first, then transferred the call"),
        (replace(ATTENDED, three_way=True), "Anna (101) brought Warehouse (555) into the conversation"),
        (
            replace(ATTENDED, result=TransferResult.FAILED),
            "Anna (101) could not transfer the call to Warehouse (555)",
        ),
        (
            replace(ATTENDED, result=TransferResult.RETURNED),
            "Transferred to Warehouse (555), who did not take it; it came back to Anna (101)",
        ),
    ],
)
def test_transfers(transfer: Transfer, sentence: str) -> None:
    """Each kind of hand-over has its own sentence."""
    told = [said.plain for said in tell(replace(TALK, transfers=(transfer,)), NAMES)]
    assert sentence in told


def test_parking() -> None:
    """Anna parks the call; the warehouse takes it thirteen seconds later."""
    stay = Parking("101", "701", 12.9, "555", False, s(30))
    told = [said.plain for said in tell(replace(TALK, parked=(stay,)), NAMES)]
    assert "Anna (101) parked the call on 701" in told
    assert "Warehouse (555) took it from parking after 0:12" in told


@pytest.mark.parametrize("disposition", list(Disposition))
def test_every_outcome_has_an_ending(disposition: Disposition) -> None:
    """However a call comes out, its story ends with a sentence."""
    facts = replace(missed(ringing("101")), disposition=disposition)
    assert tell(facts, NAMES)[-1].plain


def test_an_outcome_that_nothing_tells_is_not_invented() -> None:
    """An event log without causes: it was not answered, and that is all."""
    facts = replace(missed(ringing("101")), disposition=None, certainty=Certainty.RECONSTRUCTED)
    assert headline(facts, NAMES).plain == "The call was not answered"
    assert "did not keep why" in tell(facts, NAMES)[-2].plain
    assert outcome_label(facts) == "Not answered"


def test_uncertainty_is_said() -> None:
    """What was put together afterwards, or not seen, is not told as if it had been."""
    ended = over(TALK, 60)
    assert "own records" in tell(replace(ended, certainty=Certainty.RECONSTRUCTED), NAMES)[-1].plain
    assert "a little earlier" in tell(replace(ended, certainty=Certainty.BOUNDED), NAMES)[-1].plain
    assert "not known yet" in tell(replace(TALK, state=State.UNVERIFIED), NAMES)[-1].plain


def test_headlines() -> None:
    """One line: everybody who talked, in order; or why nobody did."""
    assert headline(MOVED, NAMES).plain == "Talked 3:14 with Anna (101) → Warehouse (555)"
    assert headline(missed(ringing("101")), NAMES).plain == "Nobody answered"


def test_the_picture_has_a_row_for_everybody_and_an_arrow() -> None:
    """A transferred call: client, two phones that rang, the target; the arrow goes from Anna's row down."""
    picture = draw(MOVED, NAMES, s(500))
    assert [row.who.first for row in picture.rows] == ["8 (916) 000-00-12", "Anna", "102", "Warehouse"]
    assert [(arrow.from_y, arrow.to_y) for arrow in picture.arrows] == [(32, 96)]
    assert all(bar.x >= 0 and bar.x + bar.width <= 101 for row in picture.rows for bar in row.bars)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (CLIENT, "8 (916) 000-00-12"),
        ("+442079460000", "+44 20 7946 0000"),
        ("101", "101"),
        (None, "Number withheld"),
    ],
)
def test_numbers(number: str | None, shown: str) -> None:
    """Numbers of the office's country the national way, others with their country, extensions as they are."""
    assert display_number(number, "RU") == shown


def test_durations() -> None:
    """Minutes and seconds; hours only when there are some."""
    assert [duration(x) for x in (0, 9.6, 192, 3849, None)] == ["0:00", "0:09", "3:12", "1:04:09", ""]


def test_internal_calls() -> None:
    """One desk calls another."""
    base = ringing("555", number="101", direction=Direction.INTERNAL)
    assert tell(base, NAMES)[0].plain == "Anna (101) called Warehouse (555)"


def test_what_was_said_of_recording_and_the_call() -> None:
    """Consent comes first, a pause when it was, the rating at the end; two recordings paused at once are one pause."""
    pauses = (RecordingPause(s(20), s(95)),)
    later = tuple(replace(pause, at=s(20) + timedelta(milliseconds=5)) for pause in pauses)
    one = Recorded("a.wav", "1.1", CLIENT, PartyKind.OUTSIDE, s(0), s(198), pauses)
    other = Recorded("b.wav", "1.2", "+79167654321", PartyKind.OUTSIDE, s(0), s(198), later)
    facts = replace(over(TALK, 198), recorded=(one, other), consent="announced", rating=4)
    assert [sentence.plain for sentence in tell(facts, NAMES)] == [
        BEGIN,
        "It was announced that the call is recorded",
        "Anna (101) answered after 0:06",
        "The recording was paused for 1:15",
        "Talked 3:12 with Anna (101)",
        "8 (916) 000-00-12 hung up",
        "The client rated the call 4 out of 5",
    ]


def test_a_pause_that_lasts() -> None:
    """While the call goes on."""
    one = Recorded("a.wav", "1.1", CLIENT, PartyKind.OUTSIDE, s(0), None, (RecordingPause(s(20), None),))
    told = [sentence.plain for sentence in tell(replace(TALK, recorded=(one,), consent="refused"), NAMES)]
    assert "The recording was paused" in told
    assert "The client did not agree to being recorded" in told
