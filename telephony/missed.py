"""Missed calls: whom do we owe a call? One entry per caller, however often he tried, until somebody has talked to him.

An entry is opened by a missed or abandoned inbound call and closed by a conversation with that number, whoever of ours
has it and whichever side dialled. Pure: moments come in, decisions come out.
"""

from __future__ import annotations

from enum import StrEnum


class MissedState(StrEnum):
    """Where an entry is."""

    NEW = "new"
    CLAIMED = "claimed"
    """Somebody said: I will call."""
    CALLED_BACK = "called_back"
    """Somebody talked with the caller, by our call or by the caller's next one."""
    GAVE_UP = "gave_up"
    """Somebody decided that no call is owed, and said why."""


OPEN = frozenset({MissedState.NEW, MissedState.CLAIMED})
"""A call is still owed. At most one such entry per caller."""
