"""The states of a delivery and the ways between them.

    queued ──▶ sending ──▶ sent
      ▲  ▲        ├──────▶ unknown ──probe──▶ sent | queued
      │  └────────┤           └─────────────▶ failed
    held          ├──────▶ failed
                  └──────▶ skipped

`unknown` is what makes exactly-once possible with CRMs that have no idempotency key: a 5xx can follow a commit, so a
write whose answer is lost is looked for in the CRM (probed) before it is sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class DeliveryState(StrEnum):
    """Where a delivery is."""

    QUEUED = "queued"
    SENDING = "sending"
    """Saved before the request leaves: whoever finds it after a crash must assume that the CRM has it."""
    SENT = "sent"
    UNKNOWN = "unknown"
    """It may have been executed: probe before sending again."""
    FAILED = "failed"
    """Nothing more happens until a person retries or skips it."""
    SKIPPED = "skipped"
    """Not wanted, with the reason."""
    HELD = "held"
    """Waits for a person or for another delivery: a dry run, a paused connection, a failure before it."""


_S = DeliveryState
TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = MappingProxyType(
    {
        _S.QUEUED: frozenset({_S.SENDING, _S.HELD, _S.SKIPPED, _S.FAILED}),
        _S.SENDING: frozenset({_S.SENT, _S.UNKNOWN, _S.QUEUED, _S.FAILED, _S.SKIPPED}),
        _S.UNKNOWN: frozenset({_S.SENT, _S.QUEUED, _S.FAILED, _S.SKIPPED}),
        _S.HELD: frozenset({_S.QUEUED, _S.SKIPPED, _S.FAILED}),
        # By a person; to unknown where the CRM may have it all the same.
        _S.FAILED: frozenset({_S.QUEUED, _S.UNKNOWN, _S.SKIPPED}),
        _S.SKIPPED: frozenset({_S.QUEUED, _S.UNKNOWN}),
        _S.SENT: frozenset(),
    }
)

OPEN = frozenset({_S.QUEUED, _S.SENDING, _S.UNKNOWN})
"""Something still happens by itself."""
EXCEPTIONS = frozenset({_S.FAILED, _S.SKIPPED, _S.HELD})
"""Shown to a person, always with a reason."""
