"""Cards: who sees which, from the ring to after the conversation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from telephony.desk import CardState, card_for
from telephony.facts import State
from telephony.staff import PopPreference
from tests.web.office import CLIENT, missed, outgoing, over, picked_up, ringing, target_answers, transferred

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
    """The caller hides his number: the card still opens."""
    card = card_for(ringing("101", number=None), "101", ON_RING)
    assert card
    assert card.other_number is None


def test_a_lost_link_leaves_the_talking_card() -> None:
    """The link to the PBX breaks in the middle of a conversation: the card stays as it was."""
    card = card_for(replace(TAKEN, state=State.UNVERIFIED), "102", ON_RING)
    assert card
    assert card.state is CardState.TALKING
