"""Lines of one kind are written so often a minute and then counted: a flood (connections that cannot be taken, a disk
that is full) must not fill the disk with its own story.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

WINDOW_SECONDS = 60.0
WARNINGS_MOST = 30  # of one kind a minute: whoever reads them has understood by then
INFOS_MOST = 600  # one line per thing that happened: a large office's busiest minute
KINDS_MOST = 500  # remembered at once
DIGITS = str.maketrans("0123456789", "0000000000")


@dataclass(slots=True)
class _Window:
    began: float
    level: int
    written: int = 0
    held_back: int = 0


class LogLimit(logging.Filter):
    """On the handler. What was held back is said when the minute is over, at the next line of whatever kind.

    Debug lines pass: whoever asks for them wants them all.
    """

    def __init__(
        self, summary: Callable[[str, int, int], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._summary = summary
        self._clock = clock
        self._windows: OrderedDict[tuple[str, int, str], _Window] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if record.levelno <= logging.DEBUG or getattr(record, "is_summary", False):
            return True
        now = self._clock()
        self._close(now)
        key = (record.name, record.levelno, kind_of(record))
        window = self._windows.setdefault(key, _Window(now, record.levelno))
        if window.written < (INFOS_MOST if record.levelno < logging.WARNING else WARNINGS_MOST):
            window.written += 1
            return True
        window.held_back += 1
        return False

    def close(self) -> None:
        """Say what was held back, now."""
        self._close(float("inf"))

    def _close(self, now: float) -> None:
        while self._windows:
            key, window = next(iter(self._windows.items()))  # the oldest first
            if now - window.began < WINDOW_SECONDS and len(self._windows) <= KINDS_MOST:
                return
            del self._windows[key]
            if window.held_back:
                self._summary(key[2], window.level, window.held_back)


def kind_of(record: logging.LogRecord) -> str:
    """What a line is about, without what differs from one to the next."""
    told: object = record.msg
    if isinstance(told, Mapping):  # structlog's
        told = told.get("event", "")
    return str(told)[:200].translate(DIGITS)
