"""How soon the web process follows the bridge again after its connection was lost."""

from __future__ import annotations

import asyncio
from math import inf
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.calls import relay
from call_records.calls.live import LiveBoard
from call_records.calls.relay import CallRelay
from telephony.errors import TryLater

STABLE, SHORT = 0.0, inf  # the seconds that a connection must have lasted to have been well: any, or none


class Losing(CallRelay):
    """Each connection is lost at once; how long it lasted is said beforehand."""

    def __init__(self, lasted: list[float]) -> None:
        super().__init__(cast(AsyncEngine, None))
        self._lasted = lasted

    async def _follow_once(self, board: LiveBoard) -> None:
        if not self._lasted:
            raise asyncio.CancelledError
        relay.HEALTHY_SECONDS = self._lasted.pop(0)
        raise TryLater("The database does not answer.", remedy="Wait.")


async def test_a_connection_that_was_well_begins_with_short_pauses_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Many losses in a row, then a connection that lasted: the next pause is the first one, not the longest."""
    counted: list[int] = []

    def no_pause(failures: int) -> float:
        counted.append(failures)
        return 0.0

    monkeypatch.setattr(relay, "HEALTHY_SECONDS", SHORT)
    monkeypatch.setattr(relay, "reconnect_pause", no_pause)
    with pytest.raises(asyncio.CancelledError):
        await Losing([SHORT, SHORT, SHORT, STABLE, SHORT, STABLE]).follow(LiveBoard())
    assert counted == [1, 2, 3, 1, 2, 1]


def test_the_pauses_grow_to_a_bound() -> None:
    """From a fifth of a second to five seconds, however often it fails."""
    pauses = [relay.reconnect_pause(failures) for failures in range(1, 100)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.2, 5.0)
