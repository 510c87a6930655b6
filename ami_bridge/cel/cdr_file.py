"""Call detail records from a CSV file: what an import of old recordings has where no event log was kept.

CDR is no truth about a call: it has one to five rows a channel, transfers rewrite them, and the seconds include waiting
in a queue. It is read here for two things only: which file belongs to which channel (FreePBX keeps `recordingfile`),
and, where nothing better is known, that somebody called somebody at that time.

Two shapes are understood: a header line with names in any order (an export of the table `cdr`, whose times are
`calldate`), and the order of Asterisk's own `Master.csv`, which has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from ami_bridge.cel.csv_dialects import form_of, rows_of
from telephony.errors import NeedsPerson
from telephony.local_times import ShownTime, true_times

MASTER = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer",
    "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield",
)  # fmt: skip
"""The order of cdr_csv, when `loguniqueid` and `loguserfield` are on."""
NULLS = ("NULL", "\\N")
LATEST_YEAR = 2096
LEAST_CELLS = 16  # of a row of Master.csv, before uniqueid and userfield


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
        """`zone`: what the PBX's clock shows, where no row's Uniqueid says it; CDR writes local times without a word."""
        self._zone = zone
        self.rows = 0
        self.broken = 0

    def read(self, lines: Iterable[str]) -> Iterator[CdrRow]:
        """Rows in file order. A broken row is counted and passed over."""
        text = "".join(lines).removeprefix("\ufeff")
        form = form_of(text, header=is_cdr_header, row=lambda cells: len(cells) >= LEAST_CELLS)
        columns = form.columns or MASTER
        found: list[dict[str, str]] = []
        for cells in rows_of(text, form, from_start=True):
            if cells is None:
                self.broken += 1
            elif cells:
                found.append(dict(zip(columns, cells, strict=False)))
        yield from self.rows_from(found)

    def rows_from(self, found: Sequence[Mapping[str, str]]) -> Iterator[CdrRow]:
        """Rows from cells by column, of a file or of a table."""
        usable: list[tuple[dict[str, str], datetime]] = []
        for cells in found:
            filled = {name: value for name, value in cells.items() if value and value not in NULLS}
            began = _shown(filled.get("start") or filled.get("calldate") or "")
            if began is None or not filled.get("uniqueid") or not filled.get("channel"):
                self.broken += 1
            else:
                usable.append((filled, began))
        for (cells, began), began_at in zip(usable, self._in_utc(usable), strict=True):
            self.rows += 1
            yield _row(cells, began, began_at)

    def _in_utc(self, usable: Sequence[tuple[Mapping[str, str], datetime]]) -> list[datetime]:
        """When each call began: by the ids of the channels, else by the zone that was named."""
        shown = [
            ShownTime(began.replace(tzinfo=UTC).timestamp(), cells["uniqueid"], True)
            for cells, began in usable
            if began.tzinfo is None
        ]
        corrected = iter(self._corrected(shown))
        return [began.astimezone(UTC) if began.tzinfo else next(corrected) for _, began in usable]

    def _corrected(self, shown: Sequence[ShownTime]) -> list[datetime]:
        try:
            times, offset = true_times(shown)
        except NeedsPerson:
            offset = None
        if offset is not None:
            return [datetime.fromtimestamp(at, UTC) for at in times]
        local = (datetime.fromtimestamp(one.seconds, UTC).replace(tzinfo=self._zone) for one in shown)
        return [moment.astimezone(UTC) for moment in local]


def is_cdr_header(names: Iterable[str]) -> bool:
    """Whether these cells are the names of a CDR's columns."""
    known = set(names)
    return {"uniqueid", "channel"} <= known and bool({"calldate", "start"} & known)


def _row(cells: Mapping[str, str], began: datetime, began_at: datetime) -> CdrRow:
    duration, talked = _seconds(cells.get("duration")), _seconds(cells.get("billsec"))
    answered = cells.get("disposition", "").strip().upper() == "ANSWERED"
    ended = _shown(cells.get("end", ""))
    same_clock = ended is not None and (ended.tzinfo is None) == (began.tzinfo is None)
    lasted = ended - began if ended is not None and same_clock else timedelta(seconds=duration)
    return CdrRow(
        uniqueid=cells["uniqueid"],
        group=cells.get("linkedid") or cells["uniqueid"],
        channel=cells["channel"],
        peer_channel=cells.get("dstchannel", ""),
        source=cells.get("src", "") or cells.get("cnum", ""),
        destination=cells.get("dst", ""),
        began_at=began_at,
        ended_at=began_at + max(lasted, timedelta(0)),
        talk_seconds=talked if answered else 0.0,
        answered=answered,
        file=cells.get("recordingfile", ""),
    )


def _shown(text: str) -> datetime | None:
    try:
        shown = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return shown if 1970 < shown.year < LATEST_YEAR else None


def _seconds(told: str | None) -> float:
    try:
        seconds = float(told or 0)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 1e7 else 0.0


def endpoint_of(channel: str) -> str:
    """`101` of `PJSIP/101-0000001f`; the whole name where it has no such shape."""
    return channel.partition("/")[2].rpartition("-")[0].partition("@")[0] or channel
