"""What came of a write or a probe, independent of the CRM. Every adapter answers in these terms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm_sync.operations import Ref


class Outcome(StrEnum):
    """What a CRM made of a write."""

    DONE = "done"
    DUPLICATE = "duplicate"
    """The CRM has it already."""
    SKIPPED = "skipped"
    """Nothing to do in this CRM: nobody has the number, or it cannot show such a thing."""
    REJECTED = "rejected"
    """The CRM refuses this write and always will."""
    NEEDS_ADMIN = "needs_admin"
    """No write of this kind will succeed until an administrator acts: a right, a plan, a key."""
    THROTTLED = "throttled"
    """Refused unread because of a limit."""
    NOT_SENT = "not_sent"
    """It certainly never reached the CRM."""
    UNKNOWN = "unknown"
    """It may have been executed."""


class Presence(StrEnum):
    """What a probe found."""

    FOUND = "found"
    ABSENT = "absent"
    UNCLEAR = "unclear"
    """The CRM could not be asked."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The outcome of one operation."""

    outcome: Outcome
    detail: str = ""
    """For the page: the CRM's reason, secrets masked."""
    refs: tuple[Ref, ...] = ()
    """What was created or found; later operations of the same call refer to it."""
    retry_at: datetime | None = None
    """When the CRM said that it will take requests again."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether the CRM has what an operation would write."""

    presence: Presence
    detail: str = ""
    refs: tuple[Ref, ...] = ()
    retry_at: datetime | None = None
