"""When to try again: exponential back-off with full jitter, and when to give up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

Random = Callable[[], float]
"""Uniform in [0, 1): injected, so that tests are repeatable."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a delivery is retried."""

    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 900.0  # a CRM that comes back is noticed within a quarter of an hour
    max_age: timedelta = timedelta(days=14)  # longer than any holiday without an administrator
    popup_max_age: timedelta = timedelta(seconds=20)  # later the call is answered or gone
    probe_delays_seconds: tuple[float, ...] = (2.0, 10.0, 60.0)
    """After a write whose outcome is unknown; then as retries. A CRM may index what it wrote a little later."""
    needs_admin_delay_seconds: float = 900.0
    """How often it is tried whether an administrator has acted."""

    def delay_seconds(self, attempts: int, random: Random) -> float:
        """Before the attempt after so many: anywhere up to a ceiling that doubles, so that lanes spread out."""
        doubled = math.ldexp(self.first_delay_seconds, min(max(attempts - 1, 0), 30))
        ceiling = min(self.longest_delay_seconds, doubled)
        return max(ceiling * random(), min(self.first_delay_seconds, ceiling))

    def probe_delay_seconds(self, probes: int, random: Random) -> float:
        """Before the probe after so many."""
        if probes < len(self.probe_delays_seconds):
            return self.probe_delays_seconds[probes]
        return max(
            self.probe_delays_seconds[-1],
            self.delay_seconds(probes - len(self.probe_delays_seconds) + 1, random),
        )


def add_seconds(moment: datetime, seconds: float) -> datetime:
    """So much later."""
    return moment + timedelta(seconds=seconds)
