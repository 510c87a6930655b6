"""Rate budgets: a token bucket (leaky bucket) per connection, with a reserve for what is more urgent.

Bitrix24 takes two requests a second with a burst of fifty, amoCRM seven without a burst. Urgent requests may use
every token; the others leave a reserve, so that a pop-up during a backfill finds a token at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType

from crm_sync.operations import OperationKind

SHORTEST_WAIT_SECONDS = 0.001  # a wait that a clock of microseconds rounds to nothing would never end


class Priority(IntEnum):
    """What goes first when the budget is short."""

    INTERACTIVE = 0
    CALL_LOG = 1
    RECORDING = 2
    DELTA = 3
    BACKFILL = 4


RESERVED_SHARE: Mapping[Priority, float] = MappingProxyType(
    {
        Priority.INTERACTIVE: 0.0,
        Priority.CALL_LOG: 0.5,  # half the bucket is for people who wait at a screen
        Priority.RECORDING: 0.8,  # and three tenths for calls that just ended
        Priority.DELTA: 0.85,
        Priority.BACKFILL: 0.9,
    }
)
"""Of the bucket's capacity, what a request of that priority leaves for the more urgent."""

PRIORITIES: Mapping[OperationKind, Priority] = MappingProxyType(
    {
        OperationKind.SHOW_POPUP: Priority.INTERACTIVE,
        OperationKind.HIDE_POPUP: Priority.INTERACTIVE,
        OperationKind.OPEN_CALL: Priority.INTERACTIVE,
        OperationKind.CREATE_LEAD: Priority.CALL_LOG,
        OperationKind.CLOSE_CALL: Priority.CALL_LOG,
        OperationKind.ADD_NOTE: Priority.CALL_LOG,
        OperationKind.ATTACH_RECORDING: Priority.RECORDING,
    }
)


@dataclass(frozen=True, slots=True)
class Rate:
    """What a CRM allows, with a margin below its limit."""

    per_second: float
    burst: int


@dataclass(slots=True)
class Budget:
    """The budget of one connection. Mutable, owned by the connection's client."""

    rate: Rate
    _tokens: float = field(init=False)
    _filled_at: datetime | None = field(init=False, default=None)
    _blocked_until: dict[str | None, datetime] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._tokens = float(self.rate.burst)

    def take(self, priority: Priority, now: datetime, method: str | None = None) -> float:
        """0 when a request may leave now, and its token is taken; else the seconds after which to ask again."""
        blocked = self._find_block_seconds(now, method)
        if blocked > 0:
            return blocked
        self._fill(now)
        missing = 1 + self._reserve(priority) - self._tokens
        if missing > 1e-9:
            return max(missing / self.rate.per_second, SHORTEST_WAIT_SECONDS)
        self._tokens -= 1
        return 0.0

    def block(self, until: datetime, method: str | None = None) -> None:
        """The CRM will refuse requests until then: all, or those of one method."""
        self._blocked_until[method] = max(until, self._blocked_until.get(method, until))

    def _find_block_seconds(self, now: datetime, method: str | None) -> float:
        longest = 0.0
        for name in {None, method}:
            until = self._blocked_until.get(name)
            if until is None:
                continue
            if until <= now:
                del self._blocked_until[name]
            else:
                longest = max(longest, (until - now).total_seconds())
        return longest

    def _reserve(self, priority: Priority) -> float:
        # A bucket of one token has no room for a reserve.
        return min(RESERVED_SHARE[priority] * self.rate.burst, self.rate.burst - 1)

    def _fill(self, now: datetime) -> None:
        if self._filled_at is not None:
            passed = max((now - self._filled_at).total_seconds(), 0.0)
            self._tokens = min(self._tokens + passed * self.rate.per_second, float(self.rate.burst))
        self._filled_at = now
