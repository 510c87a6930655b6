"""What was written down lately, so that one listening is one line in the log and not one for each of its requests."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

NOTED_FOR = 3600.0  # s until the same is written down again, whatever a browser calls it
NOTED_MOST = 20_000  # remembered; beyond it the oldest is written down twice, which harms nobody


class Noted:
    """Keys of what was noted. Per process: after a restart the log has a line more, never one less."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: OrderedDict[tuple[object, ...], float] = OrderedDict()

    def known(self, *key: object) -> bool:
        """Whether it was noted within the last hour."""
        at = self._at.get(key)
        return at is not None and self._clock() - at < NOTED_FOR

    def note(self, *key: object) -> None:
        """Remember it."""
        self._at[key] = self._clock()
        self._at.move_to_end(key)
        while len(self._at) > NOTED_MOST:
            self._at.popitem(last=False)
