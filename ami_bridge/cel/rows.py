"""Rows of the channel event log, whoever wrote them: Asterisk's CSV file, its table, or an export of that table.

Names of columns, numbers of events, and times differ; a row is the same in the end. A time without a zone is local time
(FreePBX writes such) and is corrected by the calls' own ids (`telephony.local_times`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, NamedTuple

from ami_bridge.cel.csv_dialects import CsvForm, form_of, rows_of
from ami_bridge.translate import NAME_LIMIT, clean_name, clean_number
from telephony.errors import NeedsPerson
from telephony.local_times import ShownTime, true_times
from telephony.state import signals as s

COLUMNS = [
    "eventtype",
    "eventtime",
    "cidname",
    "cidnum",
    "cidani",
    "cidrdnis",
    "ciddnid",
    "exten",
    "context",
    "channame",
    "appname",
    "appdata",
    "amaflags",
    "accountcode",
    "uniqueid",
    "linkedid",
    "peer",
    "userfield",
    "eventextra",
]
"""The order in which our `cel_custom.conf` writes; a header line with other columns in another order wins."""
OTHER_NAMES: Mapping[str, str] = {
    "cid_name": "cidname",
    "cid_num": "cidnum",
    "cid_ani": "cidani",
    "cid_rdnis": "cidrdnis",
    "cid_dnid": "ciddnid",
    "extra": "eventextra",
    "channel": "channame",
    "application": "appname",
    "linked_id": "linkedid",
    "unique_id": "uniqueid",
    "event_type": "eventtype",
    "event_time": "eventtime",
}
"""What a table, or a person, calls a column → its name in the CSV file."""
NEEDED = frozenset({"eventtype", "eventtime", "channame", "uniqueid", "linkedid", "exten", "appname"})
NAMES_OF_A_HEADER = (
    4  # of our columns; a line of names with so many is the log's header, also where one that we need lacks
)
TYPE_NAMES: Mapping[str, str] = {
    "1": "CHAN_START",
    "2": "CHAN_END",
    "3": "HANGUP",
    "4": "ANSWER",
    "5": "APP_START",
    "6": "APP_END",
    "7": "BRIDGE_ENTER",
    "8": "BRIDGE_EXIT",
    "9": "PARK_START",
    "10": "PARK_END",
    "11": "BLINDTRANSFER",
    "12": "ATTENDEDTRANSFER",
    "13": "USER_DEFINED",
    "14": "LINKEDID_END",
    "15": "PICKUP",
    "16": "FORWARD",
    "17": "LOCAL_OPTIMIZE",
    "18": "LOCAL_OPTIMIZE_BEGIN",
}
"""What is written where eventtype is a column of integers (Asterisk 12 and later, include/asterisk/cel.h)."""
KINDS = frozenset(TYPE_NAMES.values())
NULLS = ("NULL", "\\N")  # what databases write for no value; nobody's name, number or channel is such a word
LATEST = 4e9  # Unix seconds, the year 2096; a number beyond it is damage, and no calendar may hold it
ID_DIGITS = 20  # more than a 64-bit counter has
WHOLE_SECOND = 1.0
SAME_SECOND_STEP = 1e-6  # s; keeps rows of one whole second in the order in which they were written
KEPT_DIGITS = 6  # of a second; told again from what was kept, a row has the very time it had
BARE_DIGITS = 14  # YYYYMMDDhhmmss
DATE_FORMS = ("%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S")
"""Times that are no ISO 8601: MySQL's bare digits, and what spreadsheets make of a date."""


_FRACTION = re.compile(r":\d\d[.,]\d")


class CelRow(NamedTuple):
    """One row, parsed; `extra` is the decoded `eventextra`."""

    kind: str
    at: float
    look: s.Look
    app: str
    data: str
    extra: dict[str, Any]
    cells: dict[str, str]
    """The row as read, by column; empty ones left out, its time in Unix seconds. Kept with the call it told of."""
    slack: float = 0.0
    """How much later it may have been, in seconds: 1 where the log writes whole seconds only."""

    def not_before(self, floor: float) -> CelRow:
        """The row, at that moment (Unix seconds) or a little later if it was written in its second."""
        if self.at > floor or self.at + self.slack <= floor:
            return self
        at = round(floor + 2 * SAME_SECOND_STEP, KEPT_DIGITS)
        return self._replace(at=at, cells={**self.cells, "eventtime": f"{at:.6f}"})


class Moment(NamedTuple):
    """A time as written."""

    seconds: float
    zoned: bool
    whole: bool
    """Whether it has no fraction of a second."""


class CelReader:
    """Reads rows and counts what it cannot read."""

    def __init__(self) -> None:
        self.rows = 0
        self.broken = 0
        self.offset: float | None = None
        """The zone in which the newest rows were written, seconds east of UTC; None where no correction was needed."""
        self.strange = 0
        """Rows that are none of Asterisk's events, of those read."""

    def read(self, lines: Iterable[str]) -> Iterator[CelRow]:
        """Rows of a whole file in its order. A broken row is counted and passed over.

        Raises NeedsPerson when the times can be no local times, and for a header without a column that we need.
        """
        text = "".join(lines).removeprefix("\ufeff")
        form = cel_form(text)
        whole = _without_unfinished_row(text, form)
        self.broken += len(whole) < len(text)
        yield from self.read_part(whole, form, from_start=True)

    def read_part(self, text: str, form: CsvForm, *, from_start: bool) -> Iterator[CelRow]:
        """Rows of a part of a file that is written in that form."""
        columns = columns_of(form)
        _check_columns(columns)
        found: list[dict[str, str]] = []
        for cells in rows_of(text, form, from_start=from_start):
            if cells is None:
                self.broken += 1
            elif cells:
                found.append(dict(zip(columns, cells, strict=False)))
        yield from self.rows_from(found)

    def rows_from(self, found: Sequence[Mapping[str, str]]) -> Iterator[CelRow]:
        """Rows from cells by column, in the order in which the PBX wrote them."""
        parsed = [(cells, _moment(cells.get("eventtime", ""))) for cells in map(_usual, found)]
        usable = _as_written(
            [(cells, moment) for cells, moment in parsed if moment is not None and _is_row(cells)]
        )
        self.broken += len(parsed) - len(usable)
        for cells, moment in zip(
            [cells for cells, _ in usable], self._in_utc([(c, m) for c, m in usable]), strict=True
        ):
            self.rows += 1
            self.strange += cells["eventtype"] not in KINDS
            yield _row(cells, moment)

    def _in_utc(self, usable: Sequence[tuple[Mapping[str, str], Moment]]) -> list[Moment]:
        shown = [
            ShownTime(moment.seconds, cells["uniqueid"], cells["eventtype"] == "CHAN_START")
            for cells, moment in usable
            if not moment.zoned
        ]
        if shown:
            times, self.offset = true_times(shown, self.offset)
            corrected = iter(times)
            moments = [m if m.zoned else m._replace(seconds=next(corrected)) for _, m in usable]
        else:
            moments = [moment for _, moment in usable]
        return _in_written_order(moments)


def cel_form(text: str) -> CsvForm:
    """How this beginning of a channel event log is written."""
    return form_of(text, header=is_cel_header, row=lambda cells: len(cells) > 10 and _kind(cells[0]) in KINDS)


def is_cel_header(names: Iterable[str]) -> bool:
    """Whether these cells are the names of the log's columns, perhaps not of all that we need."""
    return len(_COLUMN_NAMES.intersection(_usual_names(names))) >= NAMES_OF_A_HEADER


_COLUMN_NAMES = frozenset(COLUMNS)


def _check_columns(columns: Sequence[str]) -> None:
    """By their places the cells would be taken for others, and an answered call told as missed."""
    missing = sorted(NEEDED.difference(columns))
    if missing:
        raise NeedsPerson(
            f"The channel event log's header names no column {missing[0]}.",
            remedy="Write all columns, as asterisk-config/cel_custom.conf does, or export the whole table.",
        )


def _without_unfinished_row(text: str, form: CsvForm) -> str:
    """Without a last row that was still being written: no end of line, and cells missing or a quote open."""
    begin = max(text.rfind("\n"), text.rfind("\r")) + 1
    last = text[begin:]
    if not last:
        return text
    before = text[:begin].rstrip("\r\n")
    before = before[max(before.rfind("\n"), before.rfind("\r")) + 1 :]
    finished = last.count('"') % 2 == 0 and _count_cells(last, form) >= _count_cells(before, form)
    return text if finished else text[:begin]


def _count_cells(line: str, form: CsvForm) -> int:
    cells: list[str] | None = next(rows_of(line, form, from_start=False), None)
    return len(cells or ())


def columns_of(form: CsvForm) -> list[str]:
    """The columns by the CSV file's names."""
    return COLUMNS if form.columns is None else _usual_names(form.columns)


def row_of(cells: Mapping[str, str]) -> CelRow | None:
    """A row from its cells by column, as kept with a call; None when it cannot be one."""
    return next(CelReader().rows_from([cells]), None)


def _usual_names(names: Iterable[str]) -> list[str]:
    lowered = [name.strip().lower() for name in names]
    return [OTHER_NAMES.get(name, name) for name in lowered]


def _usual(cells: Mapping[str, str]) -> dict[str, str]:
    named = zip(_usual_names(cells), cells.values(), strict=True)
    usual = {name: value for name, value in named if value and value not in NULLS}
    usual["eventtype"] = _kind(usual.get("eventtype", ""))
    return usual


def _kind(written: str) -> str:
    return TYPE_NAMES.get(written.strip(), written.strip())


def _is_row(cells: Mapping[str, str]) -> bool:
    channel = cells.get("channame", "")
    return bool(cells.get("uniqueid")) and 0 < len(channel) <= NAME_LIMIT


def _row(cells: dict[str, str], moment: Moment) -> CelRow:
    def cell(name: str) -> str:
        return cells.get(name, "")

    look = s.Look(
        cell("uniqueid"),
        cell("linkedid"),
        cell("channame"),
        "",
        clean_number(cell("cidnum")),
        clean_name(cell("cidname")),
        cell("exten"),
    )
    kept = {name: value for name, value in cells.items() if value}
    if not moment.zoned or moment.whole:
        moment = moment._replace(seconds=round(moment.seconds, KEPT_DIGITS))
        kept["eventtime"] = f"{moment.seconds:.6f}"
    slack = WHOLE_SECOND if moment.whole else 0.0
    return CelRow(
        cell("eventtype"),
        moment.seconds,
        look,
        cell("appname"),
        cell("appdata"),
        _extra(cell("eventextra")),
        kept,
        slack,
    )


def _moment(text: str) -> Moment | None:
    """A time as a log may write it; None when it is no time of any PBX."""
    text = text.strip()
    try:
        moment = Moment(float(text), True, "." not in text)
    except ValueError:
        moment = None
    if moment is None or moment.seconds >= LATEST:
        moment = _calendar_moment(text)
    return moment if moment is not None and 0.0 < moment.seconds < LATEST else None


def _calendar_moment(text: str) -> Moment | None:
    shown = _date_of(text)
    if shown is None:
        return None
    try:
        seconds = (shown if shown.tzinfo else shown.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return Moment(seconds, shown.tzinfo is not None, not _FRACTION.search(text))


def _date_of(text: str) -> datetime | None:
    if not text.isdigit():
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    elif len(text) != BARE_DIGITS:
        return None
    for form in DATE_FORMS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is found out from all rows together
        except ValueError:
            continue
    return None


def _as_written(rows: list[tuple[dict[str, str], Moment]]) -> list[tuple[dict[str, str], Moment]]:
    """The rows in the order of their table's numbers; without numbers reversed where a query put the newest first.

    It matters within one moment, and within a whole second where the table keeps no fractions.
    """
    numbers = [cells.get("id", "") for cells, _ in rows]
    if all(number.isdecimal() and len(number) < ID_DIGITS for number in numbers):
        return sorted(rows, key=lambda row: int(row[0]["id"]))
    steps = [later.seconds - earlier.seconds for (_, earlier), (_, later) in pairwise(rows)]
    backwards = sum(step < 0 for step in steps) > sum(step > 0 for step in steps)
    return rows[::-1] if backwards else rows


def _in_written_order(moments: Sequence[Moment]) -> list[Moment]:
    """Rows of one whole second follow each other by a microsecond, so that sorting them changes nothing."""
    ordered: list[Moment] = []
    last = float("-inf")
    for moment in moments:
        if moment.whole and moment.seconds <= last < moment.seconds + WHOLE_SECOND:
            moment = moment._replace(seconds=last + SAME_SECOND_STEP)
        last = moment.seconds if moment.whole else last
        ordered.append(moment)
    return ordered


def _extra(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if text else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
