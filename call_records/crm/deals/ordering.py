"""Where a card lies in its column: a number for each, so that moving one writes one row.

Between two there is room until halving no longer gives a new number (some fifty times at the same spot); then the column
is numbered afresh. Equal numbers, from two that were put on top in the same moment, are told apart by their ids until
then.
"""

from __future__ import annotations

STEP = 1.0
"""From one to the next where there is no neighbour."""


def between(above: float | None, below: float | None) -> float | None:
    """A number under `above` and over `below` (None: the column ends there); None when there is none left."""
    if above is None and below is None:
        return 0.0
    if above is None:
        return _inside(None, below, below - STEP) if below is not None else None
    if below is None:
        return _inside(above, None, above + STEP)
    return _inside(above, below, above + (below - above) / 2)


def _inside(above: float | None, below: float | None, found: float) -> float | None:
    clear = (above is None or above < found) and (below is None or found < below)
    return found if clear else None
