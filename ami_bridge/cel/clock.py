"""The channel event log in our time: its rows bear the PBX's clock, which may differ from ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ami_bridge.cel.signals import CelRow


class CelRows(Protocol):
    """Where the rows are read, by the PBX's own times."""

    async def since(self, moment: float) -> Sequence[CelRow]: ...
    async def unread(self, since: float) -> Sequence[CelRow]: ...


class CelInOurTime:
    """The same rows with their times corrected, as those of events are. `correction` tells by how much now."""

    def __init__(self, rows: CelRows, correction: Callable[[], float]) -> None:
        self._rows = rows
        self._correction = correction

    async def since(self, moment: float) -> Sequence[CelRow]:
        """All rows not older than that moment (Unix seconds, our time), in time order."""
        correction = self._correction()
        return shift_rows(await self._rows.since(moment + correction), correction)

    async def unread(self, since: float) -> Sequence[CelRow]:
        """Rows that came since the last time; the first time those not older than `since`."""
        correction = self._correction()
        return shift_rows(await self._rows.unread(since + correction), correction)


def shift_rows(rows: Sequence[CelRow], correction: float) -> Sequence[CelRow]:
    """The rows with so many seconds taken from their times; the same ones where there is nothing to correct."""
    if not correction:
        return rows
    return [_shifted(row, row.at - correction) for row in rows]


def _shifted(row: CelRow, at: float) -> CelRow:
    return row._replace(at=at, cells={**row.cells, "eventtime": f"{at:.6f}"})
