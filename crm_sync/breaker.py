"""Circuit breakers: a CRM that is down is not asked by every waiting call, only by one check now and then.

One breaker per connection counts failures of the transport, one per method counts answers that are no answers (a 500 to
one method while the others work). Calls go on meanwhile; their deliveries wait in the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from crm_sync.retry import add_seconds

FAILURES_TO_OPEN = 5  # in a row: one lost packet is none
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0


class BreakerState(StrEnum):
    """Closed: requests pass. Half-open: one trial is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """One breaker. Mutable, owned by the connection's client."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    """In a row."""
    opened_at: datetime | None = None
    """Since when the CRM cannot be reached, for the banner."""
    retry_at: datetime | None = None
    reason: str = ""
    needs_administrator: bool = False
    """It was reached, and refuses until somebody changes something there or here."""
    _pauses: int = 0

    def is_passable(self, now: datetime) -> bool:
        """Whether a request may leave. After a pause one may, as the trial; the others wait for how it ends."""
        return self.state is BreakerState.CLOSED or (self.retry_at is not None and now >= self.retry_at)

    def begin_request(self, now: datetime) -> None:
        """A request leaves that was allowed to."""
        if self.state is not BreakerState.CLOSED:
            self.state = BreakerState.HALF_OPEN
            # A trial that never reports (its task was cancelled) must not block for ever.
            self.retry_at = add_seconds(now, LONGEST_PAUSE_SECONDS)

    def record_success(self) -> None:
        """The CRM answered, whatever it said."""
        self.state, self.failures, self._pauses = BreakerState.CLOSED, 0, 0
        self.opened_at, self.retry_at, self.reason, self.needs_administrator = None, None, "", False

    def record_failure(self, now: datetime, reason: str) -> None:
        """It did not."""
        self.failures += 1
        self.reason, self.needs_administrator = reason, False
        if self.state is BreakerState.CLOSED and self.failures < FAILURES_TO_OPEN:
            return
        pause = min(FIRST_PAUSE_SECONDS * 2 ** min(self._pauses, 30), LONGEST_PAUSE_SECONDS)
        self._pauses += 1
        self.open_for(now, pause, reason)

    def open_for(self, now: datetime, seconds: float, reason: str) -> None:
        """No request leaves for so long; then one as a trial."""
        self.state, self.reason = BreakerState.OPEN, reason
        self.opened_at = self.opened_at or now
        self.retry_at = add_seconds(now, seconds)


@dataclass(slots=True)
class BreakerBoard:
    """The breakers of one connection."""

    connection: Breaker = field(default_factory=Breaker)
    methods: dict[str, Breaker] = field(default_factory=dict)

    def begin_request(self, now: datetime, method: str) -> datetime | None:
        """None when a request of that method may leave, and it counts as left; else when to ask again."""
        breakers = [self.connection, *filter(None, [self.methods.get(method)])]
        for breaker in breakers:
            if not breaker.is_passable(now):
                # While a trial is under way its end is near.
                soon = add_seconds(now, FIRST_PAUSE_SECONDS)
                is_trial = breaker.state is BreakerState.HALF_OPEN
                return soon if is_trial or breaker.retry_at is None else breaker.retry_at
        for breaker in breakers:
            breaker.begin_request(now)
        return None

    def get_reason(self, method: str) -> str:
        """Why requests of that method do not leave."""
        of_method = self.methods.get(method)
        return self.connection.reason or (of_method.reason if of_method else "")

    def record_refusal(self, now: datetime, method: str | None, reason: str) -> None:
        """An administrator must act before requests of that method, or any, succeed: tried again slowly meanwhile."""
        breaker = self.connection if method is None else self.methods.setdefault(method, Breaker())
        breaker.open_for(now, LONGEST_PAUSE_SECONDS, reason)
        breaker.needs_administrator = True

    def record_answer(self, method: str) -> None:
        """A real answer to a request of that method."""
        self.connection.record_success()
        self.methods.pop(method, None)

    def record_method_failure(self, now: datetime, method: str, reason: str) -> None:
        """The CRM was reached, but this method gave no usable answer."""
        self.connection.record_success()
        self.methods.setdefault(method, Breaker()).record_failure(now, reason)

    def record_transport_failure(self, now: datetime, method: str, reason: str) -> None:
        """The CRM was not reached, or the connection broke. Of the method this says nothing."""
        self.connection.record_failure(now, reason)
        of_method = self.methods.get(method)
        if of_method is not None and of_method.state is BreakerState.HALF_OPEN:
            of_method.state, of_method.retry_at = BreakerState.OPEN, now
