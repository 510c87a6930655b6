"""SIGTERM ends the process within the time promised, at any moment and whatever hangs.

The handler runs between two steps of Python even while the event loop is busy (building the pages takes a second), and the
watch is a thread of its own: it also sees a loop that is blocked, a worker thread that does not return, and a slow goodbye
after the loop was closed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import structlog

log = structlog.get_logger(__name__)

STOP_SECONDS = 4.5  # the whole stop is promised within 5 s


def stop_on_signals(stop: asyncio.Event, *, within_seconds: float = STOP_SECONDS) -> None:
    """SIGTERM and SIGINT set `stop` of the running loop; what has not ended in time is torn away."""
    loop = asyncio.get_running_loop()
    begin_watch = _prepare_watch(within_seconds)
    asked = False

    def told_to_stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            return
        asked = True
        begin_watch()
        loop.call_soon_threadsafe(stop.set)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, told_to_stop)


def leave_at_once() -> None:
    """Everything is closed: what Python would still tidy up takes seconds on a busy machine, and is the system's to free."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _prepare_watch(within_seconds: float) -> Callable[[], None]:
    """A thread that waits; it is started now because a signal handler must not start one."""
    begun = threading.Event()

    def watch() -> None:
        begun.wait()
        threading.Event().wait(within_seconds)
        _give_up_waiting(within_seconds)

    threading.Thread(target=watch, name="stop watch", daemon=True).start()
    return begun.set


def _give_up_waiting(after_seconds: float) -> None:
    """Something outside hangs (a database stopped in mid-sentence). Nothing is lost by going: the spool is on disk."""
    log.warning("stopped_without_waiting", after_seconds=after_seconds)
    os._exit(0)
