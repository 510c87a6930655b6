"""How the cost of reading grows with the length of what is read, on a machine that does other things besides.

The processor time of one thread, the garbage collector off: a collection walks through everything that earlier tests
left in memory, and costs more than the reading. A busy machine only ever makes a reading slower, so the fastest counts,
of as many readings as it takes.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

import pytest

TRIES = 8
FACTOR = 4
"""How much longer the long text is. What grows with the square of it would cost sixteenfold."""
MOST = 9.0
SLACK_SECONDS = 0.05


def check_growth(read: Callable[[int], object], size: int) -> None:
    """Reading `FACTOR` times `size` must cost about as many times as much; fails where it costs `MOST` times."""
    short = long = math.inf
    for _ in range(TRIES):
        short, long = min(short, cpu_seconds(read, size)), min(long, cpu_seconds(read, FACTOR * size))
        if long <= MOST * short + SLACK_SECONDS:
            return
    pytest.fail(f"{long:.3f} s for {FACTOR} times of what took {short:.3f} s")


def cpu_seconds(read: Callable[[int], object], size: int) -> float:
    """What one reading costs this thread."""
    collects = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        read(size)
        return time.thread_time() - began
    finally:
        if collects:
            gc.enable()
