"""The picture of a call's states in the documentation is drawn from the code and from real calls."""

from __future__ import annotations

import pytest

from docs.explanation.draw_states import PICTURE, PLACES, draw
from telephony.call_facts.facts import State
from telephony.call_facts.states import STATES


def test_every_state_has_a_rule_and_a_place() -> None:
    """A state added to the facts is not forgotten in the table or in the picture."""
    assert {state for state, _, _ in STATES} == set(State) == set(PLACES)


@pytest.mark.slow
def test_the_picture_is_current() -> None:
    """Whoever changes the rules draws the picture again."""
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run: python -m docs.explanation.draw_states"
