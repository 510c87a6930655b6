"""CEL rows in our time: the PBX's clock is corrected once, and a log in local time once, each by its own amount."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ami_bridge.cel.clock import CelInOurTime
from ami_bridge.cel.signals import CelReader, CelRow
from tests.ami_bridge.cel.test_event_log_forms import written
from tests.telephony.captured import captured, cel_cells, cel_text

CALL = "22/in_answered"


class Log:
    """Rows by the PBX's own clock, and what was asked for."""

    def __init__(self, rows: Sequence[CelRow]) -> None:
        self.rows = rows
        self.asked: list[float] = []

    async def since(self, moment: float) -> Sequence[CelRow]:
        self.asked.append(moment)
        return [row for row in self.rows if row.at >= moment]

    unread = since


def log_of_pbx(skew: float, zone: str | None) -> list[CelRow]:
    """The log of a PBX whose clock is ahead of ours by `skew`, in that local time or in seconds since 1970."""
    moved = []
    for row in cel_cells(cel_text(CALL)):
        at = float(row[1]) + skew
        uids = [f"{cell.rpartition('-')[0]}-{_later(cell, skew)}" if _is_uid(cell) else cell for cell in row]
        when = (
            f"{at:.6f}"
            if zone is None
            else f"{datetime.fromtimestamp(at, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S.%f}"
        )
        moved.append([row[0], when, *uids[2:]])
    return sorted(CelReader().read([written(moved)]), key=lambda row: row.at)


def _is_uid(cell: str) -> bool:
    return cell.startswith("a22-1795")


def _later(cell: str, skew: float) -> str:
    epoch, _, counter = cell.rpartition("-")[2].partition(".")
    return f"{int(epoch) + int(skew)}.{counter}"


@pytest.mark.parametrize("zone", [None, "Europe/Moscow", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("skew", [600.0, -7_200.0, 3_600.0, 45.0])
async def test_the_clock_and_the_zone_are_corrected_once_each(zone: str | None, skew: float) -> None:
    """Also where the clock is wrong by just as much as a zone could be."""
    truth = [row.at for row in captured(CALL).cel]
    log = Log(log_of_pbx(skew, zone))
    assert _is_uid(log.rows[0].look.uid)
    rows = await CelInOurTime(log, lambda: skew).since(truth[0] - 1.0)
    assert [row.at for row in rows] == pytest.approx(truth, abs=0.001)
    assert [float(row.cells["eventtime"]) for row in rows] == pytest.approx(truth, abs=0.001)
    assert log.asked == [pytest.approx(truth[0] - 1.0 + skew)]


async def test_unread_rows_are_asked_for_by_the_clock_of_the_pbx() -> None:
    """What the sweep reads is corrected too, by the correction of that moment."""
    log, correction = Log(captured(CALL).cel), [0.0]
    source = CelInOurTime(log, lambda: correction[0])
    at = log.rows[0].at
    assert list(await source.unread(at)) == list(log.rows)
    correction[0] = 30.0
    assert (await source.unread(at - 30.0))[0].at == pytest.approx(at - 30.0)
    assert log.asked == [at, at]
