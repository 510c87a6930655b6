"""When the rows of a call are handed out: nothing of it lives, and nothing more is to be expected."""

from __future__ import annotations

from ami_bridge.cel.backfill import SETTLE_SECONDS, Sweep
from tests.telephony.captured import captured


def test_rows_that_are_too_new_ask_for_another_look_soon() -> None:
    """Whoever looks when the last row has just come looks again in some seconds, not at the next gap."""
    rows = captured("22/out_answered").cel
    sweep, last = Sweep(), rows[-1].at
    assert sweep.settled(rows, last + 1.0, lambda uid: False) == []
    assert sweep.unsettled
    (group,) = sweep.settled([], last + SETTLE_SECONDS + 1.0, lambda uid: False)
    assert group.rows == rows
    assert not sweep.unsettled


def test_rows_of_a_call_that_goes_on_wait_for_its_end() -> None:
    """A call may last for hours: nothing is to be looked at meanwhile."""
    rows = captured("22/out_answered").cel
    sweep, last = Sweep(), rows[-1].at
    assert sweep.settled(rows, last + SETTLE_SECONDS + 1.0, lambda uid: True) == []
    assert not sweep.unsettled
