"""Moments that must follow each other do so in what is told, in whatever order and with whatever times they were seen.

A clock that was set, or events whose order was lost, can put an end before its beginning. Then the firmer moment stands:
an answer proves that it rang no later, and nothing ends before it began.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from telephony.call_facts import facts as f
from telephony.call_facts.observations import CallRecord


def end_of(call: CallRecord, answered_at: float | None) -> float | None:
    """When the call ended; never before it was answered, let alone before it began."""
    if call.ended_at is None:
        return None
    return max(call.ended_at, call.started_at, answered_at if answered_at is not None else call.started_at)


def in_sequence(leg: f.Leg) -> f.Leg:
    """The leg with rang ≤ answered ≤ ended; the very same one where it is so already."""
    rang, answered, ended = leg.rang_at, leg.answered_at, leg.ended_at
    if rang is not None and answered is not None and rang > answered:
        rang = answered
    ended = _not_before(_not_before(ended, rang), answered)
    if rang is leg.rang_at and ended is leg.ended_at:
        return leg
    return replace(leg, rang_at=rang, ended_at=ended)


def has_inverted_spans(call: CallRecord) -> bool:
    """Whether a hold of the call was told to end before it began."""
    return any(
        hold.until is not None and hold.until < hold.at
        for channel in call.channels.values()
        for hold in channel.holds
    )


def _not_before(moment: datetime | None, earlier: datetime | None) -> datetime | None:
    if moment is None or earlier is None or moment >= earlier:
        return moment
    return earlier
