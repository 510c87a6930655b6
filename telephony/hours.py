"""Working hours: since when the office was closed, and when so many working minutes from now are over.

Wall-clock times of the office's zone; every moment in and out is aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """When the office answers. Weekdays are 0 (Monday) to 6; a day without an entry is closed."""

    zone: str = "UTC"
    """IANA name."""
    days: tuple[tuple[int, time, time], ...] = tuple((day, time(9), time(18)) for day in range(5))
    """(weekday, opens, closes); several entries a day are allowed, in order, without overlap."""
    holidays: frozenset[date] = frozenset()
