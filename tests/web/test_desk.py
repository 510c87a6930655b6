"""Cards: who sees which, from the ring to after the conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.call_facts.facts import CallFacts, Interval, LegState, State
from telephony.cards import CardState, card_for
from telephony.staff import PopPreference
from tests.web.office import (
    CLIENT,
    missed,
    ours,
    outgoing,
    over,
    picked_up,
    ringing,
    s,
    target_answers,
    transferred,
)

ON_RING = PopPreference.ON_RING
GROUP = ringing("101", "102", "103", name="Garden")
TAKEN = picked_up(GROUP, "102")
HANDED = transferred(TAKEN, "102", "202", 60)

STATES = [
    ("everybody in the group sees the ring", GROUP, "101", CardState.RINGING),
    ("somebody whose phone does not ring sees nothing", GROUP, "109", None),
    ("who answered talks", TAKEN, "102", CardState.TALKING),
    ("for the others the card closes", TAKEN, "101", None),
    ("the target of a transfer sees the ring", HANDED, "202", CardState.RINGING),
    ("who transferred may finish his note", HANDED, "102", CardState.ENDED),
    ("after hang-up the talker keeps it", over(TAKEN, 90), "102", CardState.ENDED),
    ("after a missed call nobody keeps one", missed(GROUP), "101", None),
    ("after hang-up the others get none", over(TAKEN, 90), "101", None),
    ("who called out and talked keeps it", outgoing("101"), "101", CardState.ENDED),
]


@pytest.mark.parametrize(
    ("facts", "extension", "state"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
)
def test_card_states(facts, extension, state) -> None:
    """Each row is one person's phone in one call."""
    card = card_for(facts, extension, ON_RING)
    assert (card.state if card else None) is state


def test_the_target_sees_the_client_and_from_whom() -> None:
    """202 gets a transferred call: the card names the client, not the colleague."""
    card = card_for(HANDED, "202", ON_RING)
    assert card
    assert (card.other_number, card.other_name, card.transferred_by) == (CLIENT, "Garden", "102")
    answered = card_for(target_answers(HANDED, "202", 70), "202", ON_RING)
    assert answered
    assert answered.other_number == CLIENT


def test_a_queue_tells_its_phones_who_handed_the_caller_to_it() -> None:
    """102 passes the caller on to queue 603: the phones that ring for it show 102, and the one that takes the call goes on
    doing so. Who had the caller before that does not come from 102; and who passes on from the queue is named after it.
    """
    gone = transferred(TAKEN, "102", "603", 60)
    queued = replace(gone, legs=(*gone.legs[:-1], ours("201", s(61)), ours("202", s(61))))
    taken = target_answers(queued, "202", 70)
    assert [_from(queued, phone) for phone in ("201", "202", "102", "101")] == ["102", "102", None, None]
    assert _from(taken, "202") == "102"
    on = transferred(taken, "202", "203", 80)
    assert [_from(on, phone) for phone in ("202", "203")] == ["102", "202"]
    before = transferred(target_answers(transferred(TAKEN, "102", "201", 20), "201", 25), "201", "603", 60)
    first = next(leg for leg in before.legs if leg.party == "102")
    rings = (*first.intervals, Interval("ringing", s(61), None))
    again = replace(first, state=LegState.RINGING, ended_at=None, intervals=rings)
    legs = (*(leg for leg in before.legs[:-1] if leg is not first), again)
    assert (
        _from(replace(before, legs=legs), "102") == "201"
    )  # who was in the call before, and rings once more


def _from(facts: CallFacts, phone: str) -> str | None:
    card = card_for(facts, phone, ON_RING)
    return card.transferred_by if card else None


def test_who_else_rings() -> None:
    """Three phones ring; each card names the other two."""
    card = card_for(GROUP, "102", ON_RING)
    assert card
    assert card.also_ringing == ("101", "103")


def test_preferences() -> None:
    """Never means never; on answer opens only when the phone was picked up."""
    assert card_for(GROUP, "102", PopPreference.NEVER) is None
    assert card_for(TAKEN, "102", PopPreference.NEVER) is None
    assert card_for(GROUP, "102", PopPreference.ON_ANSWER) is None
    assert card_for(TAKEN, "102", PopPreference.ON_ANSWER)


def test_a_withheld_number_is_no_number() -> None:
    """The caller hides their number: the card still opens."""
    card = card_for(ringing("101", number=None), "101", ON_RING)
    assert card
    assert card.other_number is None


def test_a_lost_link_leaves_the_talking_card() -> None:
    """The link to the PBX breaks in the middle of a conversation: the card stays as it was."""
    card = card_for(replace(TAKEN, state=State.UNVERIFIED), "102", ON_RING)
    assert card
    assert card.state is CardState.TALKING
