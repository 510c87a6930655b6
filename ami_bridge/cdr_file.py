"""Call detail records from a CSV file: what an import of old recordings has where no event log was kept.

CDR is no truth about a call: it has one to five rows a channel, transfers rewrite them, and the seconds include waiting
in a queue. It is read here for two things only: which file belongs to which channel (FreePBX keeps `recordingfile`),
and, where nothing better is known, that somebody called somebody at that time.

Two shapes are understood: a header line with names in any order (an export of the table `cdr`, whose times are
`calldate`), and the order of Asterisk's own `Master.csv`, which has none.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

MASTER = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield",
)  # fmt: skip
"""The order of cdr_csv, when `loguniqueid` and `loguserfield` are on."""
FIELD_LIMIT = 65_536  # characters; no honest field of Asterisk comes near


@dataclass(frozen=True, slots=True)
class CdrRow:
    """One row, parsed. Times are aware UTC."""

    uniqueid: str
    group: str
    """The linked id where the file has it, else the Uniqueid: rows with the same belong to one call."""
    channel: str
    peer_channel: str
    """The other channel; empty when nobody was reached."""
    source: str
    destination: str
    began_at: datetime
    ended_at: datetime
    talk_seconds: float
    answered: bool
    file: str
    """What FreePBX keeps as `recordingfile`; empty where there is none."""


class CdrReader:
    """Reads rows and counts what it cannot read."""

    def __init__(self, zone: tzinfo) -> None:
        """`zone`: what the PBX's clock shows; CDR writes local times without saying so."""
        self._zone = zone
        self.rows = 0
        self.broken = 0

    def read(self, lines: Iterable[str]) -> Iterator[CdrRow]:
        """Rows in file order. A broken row is counted and passed over."""
        csv.field_size_limit(FIELD_LIMIT)
        names: tuple[str, ...] = MASTER
        reader = csv.reader(lines)
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                self.broken += 1
                continue
            lowered = tuple(cell.strip().lower() for cell in cells)
            if "uniqueid" in lowered and "channel" in lowered:
                names = lowered
                continue
            row = self._row(dict(zip(names, cells, strict=False)))
            if row is None:
                self.broken += bool(cells)
            else:
                self.rows += 1
                yield row

    def _row(self, cells: dict[str, str]) -> CdrRow | None:
        began_at = self._time(cells.get("start") or cells.get("calldate") or "")
        uniqueid, channel = cells.get("uniqueid", ""), cells.get("channel", "")
        if began_at is None or not uniqueid or not channel:
            return None
        duration, talked = _seconds(cells.get("duration")), _seconds(cells.get("billsec"))
        answered = cells.get("disposition", "").strip().upper() == "ANSWERED"
        return CdrRow(
            uniqueid=uniqueid,
            group=cells.get("linkedid") or uniqueid,
            channel=channel,
            peer_channel=cells.get("dstchannel", ""),
            source=cells.get("src", "") or cells.get("cnum", ""),
            destination=cells.get("dst", ""),
            began_at=began_at,
            ended_at=self._time(cells.get("end", "")) or began_at + timedelta(seconds=duration),
            talk_seconds=talked if answered else 0.0,
            answered=answered,
            file=cells.get("recordingfile", ""),
        )

    def _time(self, told: str) -> datetime | None:
        try:
            moment = datetime.fromisoformat(told.strip())
        except ValueError:
            return None
        local = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        return local.astimezone(UTC)


def _seconds(told: str | None) -> float:
    try:
        seconds = float(told or 0)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e7 else 0.0


def endpoint_of(channel: str) -> str:
    """`101` of `PJSIP/101-0000001f`; the whole name where it has no such shape."""
    return channel.partition("/")[2].rpartition("-")[0].partition("@")[0] or channel
