"""What a measurement was made on, and how its numbers are summed up."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from switchhook import __version__


def machine() -> str:
    """One line: processor, cores, memory, kernel, Python, Switchhook."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB; {platform.system()} {platform.release()}; "
        f"Python {platform.python_version()}; Switchhook {__version__}; load {os.getloadavg()[0]:.1f}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def percentiles(values: Sequence[float], wanted: Sequence[int] = (50, 95, 99, 100)) -> Mapping[int, float]:
    """By nearest rank, which needs no assumption about what lies between two values; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return dict.fromkeys(wanted, math.nan)
    return {part: ordered[max(0, math.ceil(part / 100 * len(ordered)) - 1)] for part in wanted}
