"""What can be said of a PBX's channel event log before it is needed: readable, current, complete, in which zone.

For the doctor and for pages. Nothing is told from what is read here, and nothing is changed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ami_bridge.cel.csv_file import CelFile
from ami_bridge.cel.signals import CelReader, CelRow
from call_records.pbx_logs.tables import CEL, LogTable, open_log_table
from switchhook.doctor.findings import GROUP_REMEDY
from switchhook.settings.tables import PbxSettings
from telephony.errors import NeedsPerson, SwitchhookError
from telephony.ids import uid_order
from telephony.local_times import QUARTER_SECONDS, zone_named

NEWEST_ROWS = 2_000  # some 60 calls: enough to see every kind of row that an office makes
LOOK_SECONDS = 25.0  # a table of a busy year without an index on its time
SHIFT_SECONDS = (
    600.0  # zones differ by 15 minutes or more, a channel's id and its first row by less than a second
)
FUTURE_SECONDS = 300.0  # newer than our clock by more: one of the two clocks is wrong
EVENTS = ("CHAN_START", "CHAN_END", "ANSWER", "HANGUP", "BRIDGE_ENTER", "BRIDGE_EXIT", "LINKEDID_END")
"""Without one of these a call cannot be told, or not its talk."""
WANTED = {"eventextra": "extra", "appname": "appname", "appdata": "appdata", "peer": "peer"}
"""Columns by the file's names → the table's; each is filled in some row of any office's calls."""


@dataclass(frozen=True, slots=True)
class CelExamination:
    """What was found. Of a log that cannot be read only `place`, `problem` and `remedy` are known."""

    place: str
    """The file's path, or `the table NAME`."""
    readable: bool
    problem: str | None = None
    """One sentence that says what is wrong; None when nothing is."""
    remedy: str | None = None
    rows: int = 0
    """How many of the newest rows were looked at."""
    newest_age_seconds: float | None = None
    """How long ago the newest event was, by our clock; negative when it lies in the future."""
    zone: str | None = None
    """`UTC+3:00` where its times are local and are corrected; None where they bear a zone, are UTC, or are seconds."""
    whole_seconds: bool = False
    """Whether durations are right to the second only."""
    shift_seconds: float = 0.0
    """By how much times that claim to be seconds or to bear a zone differ from the ids of the calls; 0 when not."""
    missing_columns: tuple[str, ...] = ()
    """Columns that are not there, where that can be seen."""
    empty_columns: tuple[str, ...] = ()
    """Columns that are not there, or empty in every row that was looked at."""
    missing_events: tuple[str, ...] = ()
    """Kinds of events that are in no row although there are calls: Asterisk does not write them."""
    tells_dialling: bool = False
    """Whether `dial` is among the applications; without it an unanswered forward has no number."""


async def examine_cel_source(
    pbx: PbxSettings, *, now: Callable[[], float] = time.time
) -> CelExamination | None:
    """The PBX's event log, looked at; None when it has none. Never raises for trouble with the log itself."""
    place = f"the table {pbx.cel_table}" if pbx.cel_url is not None else str(pbx.cel_file)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            if pbx.cel_url is not None:
                table = open_log_table(pbx.cel_url.get_secret_value(), pbx.cel_table, CEL)
                return await _of_table(place, table, now())
            if pbx.cel_file is not None:
                return await asyncio.to_thread(_of_file, place, pbx.cel_file, now())
    except TimeoutError:
        return CelExamination(
            place,
            readable=False,
            problem=f"{_capital(place)} did not answer in time.",
            remedy="Look at the machine it is on; a table needs an index on its column eventtime.",
        )
    except SwitchhookError as trouble:
        return CelExamination(place, readable=False, problem=str(trouble), remedy=trouble.remedy)
    return None


async def _of_table(place: str, table: LogTable, now: float) -> CelExamination:
    columns = set(await table.columns())
    reader = CelReader()
    rows = list(reader.rows_from(await table.newest(NEWEST_ROWS)))
    absent = tuple(name for name in CEL.wanted if name not in columns)
    return _found(place, reader, rows, now, absent)


def _of_file(place: str, path: Path, now: float) -> CelExamination:
    file = CelFile(path)
    try:
        rows = file.newest()
    except OSError as fault:
        raise _unreadable(path, fault) from fault
    return _found(place, file.reader, rows, now, ())


def _capital(text: str) -> str:
    """At the beginning of a sentence. A path stays as it is."""
    return text[:1].upper() + text[1:]


def _unreadable(path: Path, fault: OSError) -> NeedsPerson:
    if isinstance(fault, FileNotFoundError):
        return NeedsPerson(
            f"The channel event log {path} is not there.",
            remedy="Load cel_custom.so and see that cel.conf has enable = yes; Asterisk makes the file at the first call. "
            "Or correct cel_file.",
        )
    if isinstance(fault, PermissionError):
        return NeedsPerson(
            f"The channel event log {path} may not be read by the user who runs Switchhook.",
            remedy=GROUP_REMEDY,
        )
    return NeedsPerson(
        f"The channel event log {path} cannot be read: {fault.strerror}.", remedy="Check the path."
    )


def _found(
    place: str, reader: CelReader, rows: Sequence[CelRow], now: float, absent: tuple[str, ...]
) -> CelExamination:
    kinds = {row.kind for row in rows}
    empty = tuple(
        other for name, other in WANTED.items() if rows and not any(row.cells.get(name) for row in rows)
    )
    age = now - max(row.at for row in rows) if rows else None
    shift = _shift(rows)
    problem, remedy = _problem(place, reader, rows, age, shift)
    return CelExamination(
        place=place,
        readable=problem is None or bool(rows),
        problem=problem,
        remedy=remedy,
        rows=len(rows),
        newest_age_seconds=age,
        zone=zone_named(reader.offset) if reader.offset else None,
        whole_seconds=bool(rows) and all(row.slack for row in rows),
        shift_seconds=shift,
        missing_columns=absent,
        empty_columns=tuple(dict.fromkeys([*absent, *empty])),
        missing_events=tuple(kind for kind in EVENTS if rows and kind not in kinds),
        tells_dialling=any(row.kind == "APP_START" and row.app == "Dial" for row in rows),
    )


def _shift(rows: Sequence[CelRow]) -> float:
    """Whole quarters of an hour, of most beginnings. The reader mends times without a zone; these claim to have one."""
    shifts = Counter(
        round((row.at - began_at) / QUARTER_SECONDS) * QUARTER_SECONDS
        for row in rows
        if row.kind == "CHAN_START" and (began_at := uid_order(row.look.uid)[0])
    )
    usual = shifts.most_common(1)[0][0] if shifts else 0.0
    return usual if abs(usual) >= SHIFT_SECONDS else 0.0


def _problem(
    place: str, reader: CelReader, rows: Sequence[CelRow], age: float | None, shift: float
) -> tuple[str | None, str | None]:
    if reader.broken and not rows:
        return (
            f"{_capital(place)} is no channel event log: no row of it has a time, a channel and a uniqueid.",
            "Let cel_custom write the columns as in asterisk-config, or name another file or table.",
        )
    if rows and reader.strange == reader.rows:
        return (
            f"{_capital(place)} has none of Asterisk's events (CHAN_START, ANSWER …) in its column eventtype.",
            "Let that column hold the events' names or Asterisk's own numbers.",
        )
    if shift:
        return (
            f"The times in {place} are off by {shift / 3600:+.4g} h: they are local times that claim to be none.",
            "Let Asterisk write seconds (dateformat = %s.%6q in cel.conf) or, for a table, UTC (usegmtime = yes).",
        )
    if age is not None and age < -FUTURE_SECONDS:
        return (
            f"The newest event in {place} lies {-age / 60:.0f} minutes in the future.",
            "Set the clocks of both machines by NTP.",
        )
    return None, None
