"""What happened in a call, in past tense. The call facts say how things stand; events say what just changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class EventKind(StrEnum):
    """Every kind of event a call can have."""

    STARTED = "call_started"
    RANG = "leg_rang"
    ANSWERED = "leg_answered"
    LEG_ENDED = "leg_ended"
    HELD = "call_held"
    RESUMED = "call_resumed"
    QUEUED = "call_queued"
    PARKED = "call_parked"
    TRANSFERRED = "call_transferred"
    MERGED = "calls_merged"
    ENDED = "call_ended"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """`party` is whom it is about, where there is somebody."""

    kind: EventKind
    call_id: UUID
    at: datetime
    party: str | None = None


OWED = frozenset(
    {EventKind.STARTED, EventKind.ANSWERED, EventKind.TRANSFERRED, EventKind.MERGED, EventKind.ENDED}
)
"""Kinds of which a CRM must be told: each gets an outbox row in the journal's transaction."""
