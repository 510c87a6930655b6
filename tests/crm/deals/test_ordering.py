"""The numbers by which cards lie above each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from call_records.crm.deals.ordering import STEP, between


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=120), st.integers(2, 12))
def test_cards_lie_as_they_were_dragged(moves: list[tuple[int, int]], many: int) -> None:
    """People drag cards about: the numbers always give the order that was made by hand, whatever was halved before."""
    by_hand = list(range(many))
    places = {card: float(card) for card in by_hand}
    for source, target in moves:
        card = by_hand.pop(source % many)
        at = target % many
        above = places[by_hand[at - 1]] if at else None
        below = places[by_hand[at]] if at < len(by_hand) else None
        found = between(above, below)
        if found is None:
            places |= {one: nth * STEP for nth, one in enumerate(by_hand, 1)}
            above, below = at * STEP or None, (at + 1) * STEP if at < len(by_hand) else None
            found = between(above, below)
        assert found is not None
        by_hand.insert(at, card)
        places[card] = found
        assert sorted(places, key=lambda one: places[one]) == by_hand


@pytest.mark.parametrize("edge", [0.0, 1e16, -1e16, 1.0])
def test_no_room_is_said_and_not_invented(edge: float) -> None:
    """Two cards got the same number: there is none between them."""
    assert between(edge, edge) is None
    for found in (between(edge, None), between(None, edge)):
        assert found is None or found != edge
