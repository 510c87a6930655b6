"""Lengths are written by one rule, and where they differ the page says why; a caller in a mailbox is shown there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from telephony.call_facts.facts import CallFacts, Interval, LegRole, LegState, State
from telephony.cards import CardState, card_for
from telephony.staff import PopPreference
from tests.web.office import outgoing, over, picked_up, ringing, s, target_answers, transferred
from web.live import section_of, waiting_since
from web.presenters.call_diagram import draw
from web.presenters.call_story import headline, tell
from web.presenters.labels import Names, duration, whole_seconds
from web.presenters.talk_lengths import explain_lengths

NAMES = Names()
STATIC = Path(__file__).parents[3] / "web" / "static" / "js"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0:00"),
        (0.99, "0:00"),
        (8.6, "0:08"),
        (8.994, "0:08"),
        (8.996, "0:09"),
        (59.9, "0:59"),
        (3599.9, "59:59"),
        (3600.0, "1:00:00"),
        (-1.0, "0:00"),
    ],
)
def test_a_second_is_shown_when_it_is_over(seconds: float, shown: str) -> None:
    """As on a clock: a comment made at 0:08 while the player shows 0:08 is listed at 0:08."""
    assert duration(seconds) == shown


def test_no_page_rounds_by_itself() -> None:
    """The browser has one place that writes lengths, as the server has; the player and the ticking times use it."""
    scripts = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    pads = {
        name: [line for line in text.splitlines() if "padStart" in line] for name, text in scripts.items()
    }
    # Digits of an id in base 16 are no length.
    lengths = {name for name, lines in pads.items() if any("toString(16)" not in line for line in lines)}
    assert lengths == {"page.js"}
    assert 'import { clock } from "./page.js"' in scripts["player-strip.js"]


def call_of_a_transfer(first: float, ring: float, second: float, held: float = 0.0) -> CallFacts:
    """101 talks `first` seconds, hands over, 102 rings `ring` seconds and talks `second`; `held` of them on hold."""
    taken = picked_up(ringing("101"), "101", 1)
    handed = target_answers(transferred(taken, "101", "102", 1 + first), "102", 1 + first + ring)
    ended = over(handed, 1 + first + ring + second)
    legs = []
    for leg in ended.legs:
        if leg.role is LegRole.CALLER:
            spans = [
                Interval("talking", s(1), s(1 + first)),
                Interval("talking", s(1 + first + ring), ended.ended_at),
            ]
            if held:
                spans.append(Interval("held", s(2), s(2 + held)))
            leg = replace(leg, intervals=tuple(spans), talk_seconds=first + second - held)
        else:
            leg = replace(leg, talk_seconds=first - held if leg.party == "101" else second)
        legs.append(leg)
    return replace(ended, legs=tuple(legs), talk_seconds=first + ring + second)


def test_head_facts_picture_and_story_write_the_same_seconds() -> None:
    """33.6 s of talk are 0:33 in the headline as in the list, 13.7 s of one person 0:13 in picture and story."""
    call = call_of_a_transfer(13.7, 1.3, 18.6)
    assert whole_seconds(call.talk_seconds) == 33
    assert "0:33" in headline(call, NAMES).plain
    sums = {str(row.who): row.summary for row in draw(call, NAMES, s(100)).rows}
    story = " ".join(sentence.plain for sentence in tell(call, NAMES))
    assert (sums["101"], sums["102"]) == ("0:13", "0:18")
    assert "Talked 0:13" in story
    assert "Talked 0:18" in story


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            call_of_a_transfer(13.7, 2.0, 18.6),
            (
                "0:32 in conversation, 0:02 ringing during a transfer, counted for nobody",
                "Seconds are rounded down, so the parts can add up to less.",
            ),
        ),
        (
            call_of_a_transfer(20.0, 0.1, 10.0, held=5.0),
            ("0:25 in conversation, 0:05 on hold",),
        ),
        (call_of_a_transfer(13.0, 0.1, 18.0), ()),
        (ringing("101"), ()),
    ],
    ids=["ringing in between", "hold", "nothing to say", "not over"],
)
def test_real_differences_are_said_in_words(call: CallFacts, said: tuple[str, ...]) -> None:
    """What is counted for nobody is named; what agrees is not commented."""
    assert explain_lengths(call) == said


def in_voicemail(call: CallFacts) -> CallFacts:
    """The caller went on into a mailbox after twenty seconds."""
    caller = replace(
        call.legs[0], intervals=(Interval("waiting", s(0), s(20)), Interval("voicemail", s(20), None))
    )
    return replace(call, state=State.VOICEMAIL, legs=(caller,))


def test_a_caller_in_a_mailbox_has_a_section_of_their_own() -> None:
    """Not among those who wait for somebody; their seconds tick since the mailbox spoke."""
    call = in_voicemail(ringing("101"))
    assert section_of(call) == "voicemail"
    assert waiting_since(call) == s(20)


def test_a_colleague_who_reaches_a_mailbox_sees_so_on_the_card() -> None:
    """Not "You are calling" any more."""
    call = outgoing("101")
    caller = next(leg for leg in call.legs if leg.role is LegRole.CALLER)
    waiting = replace(
        caller, talk_seconds=0.0, outcome=None, answered_at=None, ended_at=None,
        intervals=(Interval("voicemail", s(20), None),),
    )  # fmt: skip
    live = replace(
        call, state=State.VOICEMAIL, ended_at=None, legs=(replace(waiting, state=LegState.WAITING),)
    )
    card = card_for(live, "101", PopPreference.ON_RING)
    assert card is not None
    assert card.state is CardState.VOICEMAIL
    assert card.since.startswith("2026-11-20T12:00:20")
