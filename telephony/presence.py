"""Whether somebody can be reached on their phone now, as the PBX says it; beside what calls say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class PhoneState(StrEnum):
    """What a phone is doing, the most telling first."""

    RINGING = "ringing"
    BUSY = "busy"
    ON_HOLD = "on_hold"
    DO_NOT_DISTURB = "do_not_disturb"
    FREE = "free"
    UNREACHABLE = "unreachable"
    """Not registered: switched off, or without a network."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Phone:
    """An extension that a PBX knows."""

    pbx: str
    extension: str
    state: PhoneState


_ORDER = {state: place for place, state in enumerate(PhoneState)}


def together(states: Iterable[PhoneState]) -> PhoneState:
    """Of somebody with several handsets: they talk on one of them, else one of them is free, else none is there."""
    return min(states, key=_ORDER.__getitem__, default=PhoneState.UNKNOWN)
