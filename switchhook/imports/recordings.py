"""`switchhook recordings import`: years of files that are there already become recordings of calls.

Each file finds its call by the Uniqueid in its name or by the CDR that names it: a call the journal knows, else one
told from CEL as after an outage, else, where there is only CDR, the least that it supports. Files stay where they are;
the running service reads and processes them from there, so its user must be able to. No CRM is told of old calls.

The database is the memory: what was taken in is passed over by name, size and time, so that an interrupted import is
simply started again. A dry run reads everything and writes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path, PurePosixPath
from uuid import NAMESPACE_OID, UUID, uuid5
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ami_bridge.cel.backfill import groups_of
from ami_bridge.cel.cdr_file import CdrReader, CdrRow, endpoint_of
from ami_bridge.cel.signals import CelRow
from call_records.pbx_logs.tables import CDR, CEL, open_log_table
from call_records.recordings.catalogue.catalogue import Arrival, CallState, Known, Taken, endings_of
from call_records.recordings.catalogue.file_names import FileName, parts_of
from call_records.recordings.catalogue.filing import Expected
from call_records.recordings.ingest.decisions import LATE_SECONDS, CallIs, Fate, Piece, fate_of
from call_records.recordings.ingest.intake import sum_of
from call_records.recordings.ingest.wav_header import Look, examine
from call_records.recordings.types import SourceFile
from call_records.store import RecordsStore
from switchhook.commands.replay import read_cel, text_of_table
from switchhook.imports.dialled_lines import DialledLines
from switchhook.opening import open_store
from switchhook.pbx.call_assembler import Teller, cel_lines
from switchhook.pbx.cel_sources import CelFromTable
from switchhook.settings.settings import Settings, machine_time_zone
from switchhook.settings.tables import PbxSettings
from telephony.call_facts.facts import (
    Caller,
    CallFacts,
    Certainty,
    Direction,
    Disposition,
    Leg,
    LegOutcome,
    LegRole,
    LegState,
    PartyKind,
    State,
)
from telephony.errors import NeedsPerson
from telephony.numbers.numbers import Numbering
from telephony.ports import CallChange
from telephony.recordings import RecordingState

AT_ONCE = 200  # recordings asked about in one question
DAY_SECONDS = 86_400.0
SHOWN = 200  # lines of the dry run's table; the sums below it are of all
TELLING = {
    RecordingState.ARRIVED: "taken in",
    RecordingState.EMPTY: "empty",
    RecordingState.REFUSED: "refused",
    RecordingState.LOST: "without sound",
    RecordingState.JOINED: "a track without sound",
}
BEFORE = "taken in before"
LEFT = "left alone"


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the directory."""

    path: Path
    name: FileName
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one recording in one folder."""

    name: str
    files: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Home:
    """The call a recording belongs to, and how that is known."""

    call_id: UUID
    call_at: datetime
    answered: bool
    ended: bool
    how: str
    """`journal`, `CEL` or `CDR`."""
    channel: str | None
    outside_first: bool
    change: CallChange | None = None
    """The call itself, where it is not in the journal yet."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or would become, of one recording."""

    name: str
    files: int
    call: str
    fate: str
    why: str


async def main(
    settings: Settings,
    directory: Path,
    pbx: str,
    *,
    cdr: Sequence[Path],
    cel: Sequence[Path],
    zone: str | None,
    dry_run: bool,
) -> int:
    """Import, or say what an import would do. Raises NeedsPerson, TryLater."""
    chosen = _pbx_of(settings, pbx)
    groups = await asyncio.to_thread(list_groups, directory)
    clock = _zone(settings, zone)
    known_cdr = await asyncio.to_thread(lambda: list(read_cdr(cdr, clock)))
    cel_rows = await asyncio.to_thread(read_cel, *cel)
    if groups and not cdr and chosen.cdr_url is not None:
        known_cdr = await cdr_in_table(chosen, _oldest(groups), clock)
    if groups and not cel and chosen.cel_url is not None:
        table = open_log_table(chosen.cel_url.get_secret_value(), chosen.cel_table, CEL)
        cel_rows = list(await CelFromTable(table).since(_oldest(groups)))
    outcomes: list[Outcome] = []
    console = Console(stderr=True)
    async with open_store(settings) as store:
        work = Import(store, _numbering(chosen), Sources(known_cdr, cel_rows), dry_run=dry_run)
        with _progress(console) as progress:
            task = progress.add_task("Reading" if dry_run else "Taking in", total=len(groups))
            for first in range(0, len(groups), AT_ONCE):
                batch = groups[first : first + AT_ONCE]
                async for outcome in work.batch(batch):
                    outcomes.append(outcome)
                    progress.advance(task)
    _print(outcomes, everything=dry_run)
    return 0


def _pbx_of(settings: Settings, pbx: str) -> PbxSettings:
    for one in settings.pbx:
        if one.id == pbx:
            return one
    raise NeedsPerson(
        f"There is no PBX {pbx} in the configuration.",
        remedy="Name one of: " + (", ".join(one.id for one in settings.pbx) or "none is configured") + ".",
    )


def _numbering(pbx: PbxSettings) -> Numbering:
    from switchhook.pbx.numbering import numbering_of

    return numbering_of(pbx)


def _zone(settings: Settings, zone: str | None) -> tzinfo:
    named = zone or settings.web.time_zone
    try:
        return ZoneInfo(named) if named else machine_time_zone()
    except (KeyError, ValueError, OSError) as fault:
        raise NeedsPerson(f"{named} is no time zone.", remedy="Write it as Europe/Riga.") from fault


def list_groups(directory: Path) -> list[Group]:
    """The recordings below the directory by name; links are not followed. Raises NeedsPerson."""
    try:
        root = directory.expanduser().resolve(strict=True)
        os.scandir(root).close()
    except OSError as fault:
        raise NeedsPerson(
            f"Cannot read {directory}: {fault.strerror}.", remedy="Check the path and its permissions."
        ) from fault
    found: dict[tuple[str, str], list[Found]] = {}
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            one = _found(Path(folder, name))
            if one is not None:
                found.setdefault((folder, one.name.recording), []).append(one)
    return [Group(name, tuple(files)) for (_, name), files in found.items()]


def _found(path: Path) -> Found | None:
    parts = parts_of(path.name)
    if parts is None or path.is_symlink() or not path.is_file():
        return None
    status = path.lstat()
    return Found(path, parts, status.st_size, status.st_mtime_ns)


def read_cdr(paths: Iterable[Path], zone: tzinfo) -> Iterator[CdrRow]:
    """All rows of the files. Raises NeedsPerson when one cannot be read or is no CDR."""
    for path in paths:
        reader = CdrReader(zone)
        yield from reader.read([text_of_table(path)])
        if reader.broken and not reader.rows:
            raise NeedsPerson(
                f"{path} is no CDR: no row has a time, a channel and a uniqueid.",
                remedy="Give it a header line with the names of its columns.",
            )


async def cdr_in_table(pbx: PbxSettings, since: float, zone: tzinfo) -> list[CdrRow]:
    """The rows of the PBX's table since that moment (Unix seconds). Raises TryLater, NeedsPerson."""
    if pbx.cdr_url is None:
        return []
    table = open_log_table(pbx.cdr_url.get_secret_value(), pbx.cdr_table, CDR)
    return list(CdrReader(zone).rows_from(await table.rows_since(since)))


def _oldest(groups: Sequence[Group]) -> float:
    """A day before the oldest file was finished, in Unix seconds."""
    return min(one.modified_ns for group in groups for one in group.files) / 1e9 - DAY_SECONDS


class Sources:
    """What the files beside the recordings tell of calls: found by channel, or by the name of a file."""

    def __init__(self, cdr: Sequence[CdrRow], cel: Sequence[CelRow]) -> None:
        self._groups: dict[str, list[CdrRow]] = {}
        self._row_of: dict[str, CdrRow] = {}
        self._row_of_file: dict[str, CdrRow] = {}
        for row in cdr:
            self._groups.setdefault(row.group, []).append(row)
            self._row_of.setdefault(row.uniqueid, row)
            if row.file:
                self._row_of_file.setdefault(PurePosixPath(row.file).name, row)
        self._cel_of = {uid: group for group in groups_of(cel) for uid in group.uids}
        self._lines = DialledLines(cdr)

    def channels_of(self, group: Group) -> list[str]:
        """Uniqueids the recording may be of, the likeliest first."""
        rows = [self._row_of_file.get(one.path.name) for one in group.files]
        by_file = [row.uniqueid for row in rows if row is not None]
        return list(dict.fromkeys([*by_file, *endings_of(group.name)]))

    def phone_of_line(self, group: Group, numbering: Numbering) -> str | None:
        """The Uniqueid of the phone that dialled the line that was recorded, where only the CDR can tell."""
        for candidate in endings_of(group.name):
            row = self._lines.row_of(candidate, group.name, numbering)
            if row is not None:
                return row.uniqueid
        return None

    def channel_name(self, uniqueid: str) -> str | None:
        """What the channel was called, if anybody says."""
        cel = self._cel_of.get(uniqueid)
        if cel is not None:
            return next(row.look.name for row in cel.rows if row.look.uid == uniqueid)
        row = self._row_of.get(uniqueid)
        return row.channel if row is not None else None

    def told(self, uniqueid: str, numbering: Numbering) -> tuple[list[CallChange], str]:
        """The calls of that channel as CEL tells them, else as CDR can; and which of the two."""
        cel = self._cel_of.get(uniqueid)
        if cel is not None and cel.whole:
            lines = [*cel_lines(cel.rows), {"t": cel.last_at, "mark": "gone"}]
            changes = Teller(numbering).tell_again(lines)
            # No events: nobody's CRM is to learn today of the calls of years ago.
            return [replace(one, events=(), trace=tuple(lines)) for one in changes], "CEL"
        row = self._row_of.get(uniqueid)
        return ([call_from_cdr(self._groups[row.group], numbering)], "CDR") if row is not None else ([], "")


def call_from_cdr(rows: Sequence[CdrRow], numbering: Numbering) -> CallChange:
    """The least a CDR supports: who called whom, when, and whether anybody answered. Reconstructed, and says so."""
    first = min(rows, key=lambda row: row.began_at)
    best = max(rows, key=lambda row: row.talk_seconds)
    ended_at = max(row.ended_at for row in rows)
    caller_is_ours = numbering.is_extension(endpoint_of(first.channel))
    caller = endpoint_of(first.channel) if caller_is_ours else numbering.party(first.source)
    reached = endpoint_of(best.peer_channel) if best.peer_channel else ""
    callee_is_ours = numbering.is_extension(reached) if reached else numbering.is_extension(first.destination)
    dialled = numbering.party(first.destination, dialled_here=caller_is_ours)
    callee = reached if reached and callee_is_ours else dialled
    answered = best.answered
    answered_at = best.ended_at - timedelta(seconds=best.talk_seconds) if answered else None
    facts = CallFacts(
        id=uuid5(NAMESPACE_OID, f"switchhook cdr {numbering.pbx} {first.group}"),
        pbx=numbering.pbx,
        direction=_direction(caller_is_ours, callee_is_ours),
        state=State.ENDED,
        caller=Caller(number=caller or None, raw=first.source, name=None, anonymous=not caller),
        did=None if caller_is_ours else first.destination or None,
        requested=callee or None,
        disposition=_disposition(answered, caller_is_ours),
        answered_by=callee if answered else None,
        final_party=callee if answered else None,
        started_at=first.began_at,
        answered_at=answered_at,
        ended_at=ended_at,
        ring_seconds=None,
        wait_seconds=None,
        talk_seconds=best.talk_seconds,
        hold_seconds=0.0,
        ended_by=None,
        hangup_cause=None,
        legs=(
            _leg(
                caller or first.source, caller_is_ours, LegRole.CALLER, first.began_at, answered_at, ended_at
            ),
            _leg(callee, callee_is_ours, LegRole.CALLEE, first.began_at, answered_at, ended_at),
        ),
        transfers=(),
        holds=(),
        queue=None,
        parked=(),
        missed_by=(callee,) if callee_is_ours and not answered else (),
        recordings=tuple(dict.fromkeys(row.file for row in rows if row.file)),
        certainty=Certainty.RECONSTRUCTED,
        consultation_of=None,
    )
    return CallChange(facts=facts, events=(), aliases=tuple(dict.fromkeys(row.uniqueid for row in rows)))


def _direction(caller_is_ours: bool, callee_is_ours: bool) -> Direction:
    if not caller_is_ours:
        return Direction.INBOUND
    return Direction.INTERNAL if callee_is_ours else Direction.OUTBOUND


def _disposition(answered: bool, caller_is_ours: bool) -> Disposition:
    if answered:
        return Disposition.ANSWERED
    return Disposition.NO_ANSWER if caller_is_ours else Disposition.MISSED


def _leg(
    party: str,
    ours: bool,
    role: LegRole,
    began_at: datetime,
    answered_at: datetime | None,
    ended_at: datetime,
) -> Leg:
    talked = (ended_at - answered_at).total_seconds() if answered_at is not None else 0.0
    return Leg(
        party=party,
        kind=PartyKind.EXTENSION if ours else PartyKind.OUTSIDE,
        role=role,
        name=None,
        state=LegState.ENDED,
        rang_at=began_at if role is LegRole.CALLEE else None,
        answered_at=answered_at,
        ended_at=ended_at,
        talk_seconds=talked,
        outcome=LegOutcome.ANSWERED if answered_at is not None else LegOutcome.NO_ANSWER,
    )


class Import:
    """One import into one store."""

    def __init__(self, store: RecordsStore, numbering: Numbering, sources: Sources, *, dry_run: bool) -> None:
        self._store = store
        self._catalogue = store.catalogue
        self._numbering = numbering
        self._sources = sources
        self._dry_run = dry_run

    async def batch(self, groups: Sequence[Group]) -> AsyncIterator[Outcome]:
        """What became, or would become, of each."""
        pbx = self._numbering.pbx
        known = await self._catalogue.known(pbx, {one.name for one in groups})
        new = [one for one in groups if not _settled(one, known.get(one.name))]
        channels = {one.name: self._sources.channels_of(one) for one in new}
        calls = await self._catalogue.calls_of(pbx, {uid for uids in channels.values() for uid in uids})
        for group in groups:
            if group not in new:
                yield Outcome(group.name, len(group.files), "", BEFORE, "")
                continue
            row = known.get(group.name)
            try:
                home = self._home(channels[group.name], calls, row) or await self._line_home(group)
                if home is None and _taken_before(group, row):
                    yield Outcome(group.name, len(group.files), "", BEFORE, "")
                    continue
                yield await self._one(group, home)
            except OSError as trouble:
                yield Outcome(group.name, len(group.files), "", LEFT, f"Cannot be read: {trouble.strerror}.")

    def _home(
        self, channels: Sequence[str], calls: Mapping[str, CallState], known: Known | None
    ) -> Home | None:
        if known is not None and known.call is not None:
            return self._known_home(known.call, channels[0])
        for uniqueid in channels:
            if uniqueid in calls:
                return self._known_home(calls[uniqueid], uniqueid)
        for uniqueid in channels:
            changes, how = self._sources.told(uniqueid, self._numbering)
            change = next((one for one in changes if uniqueid in one.aliases), None)
            if change is not None:
                facts = change.facts
                answered = facts.answered_at is not None
                outside = self._outside_first(uniqueid)
                return Home(facts.id, facts.started_at, answered, facts.ended, how, uniqueid, outside, change)
        return None

    async def _line_home(self, group: Group) -> Home | None:
        """An outbound call, recorded on the line it went out by: its CDR is the phone's."""
        phone = self._sources.phone_of_line(group, self._numbering)
        if phone is None:
            return None
        calls = await self._catalogue.calls_of(self._numbering.pbx, {phone})
        home = self._home([phone], calls, None)
        return replace(home, outside_first=True) if home is not None else None

    def _known_home(self, call: CallState, uniqueid: str) -> Home:
        ended = call.ended_at is not None
        outside = self._outside_first(uniqueid)
        began_at = call.ended_at or datetime.now(UTC)  # replaced by the call's own start when it is filed
        return Home(call.call_id, began_at, call.answered, ended, "journal", uniqueid, outside)

    def _outside_first(self, uniqueid: str) -> bool:
        """Whose channel was recorded, where it is told; else the customer's, as with the recommended dialplan."""
        name = self._sources.channel_name(uniqueid)
        return name is None or not self._numbering.is_extension(endpoint_of(name))

    async def _one(self, group: Group, home: Home | None) -> Outcome:
        fate = await asyncio.to_thread(_fate, group, home)
        how = home.how if home is not None else "none known"
        if fate.state is None:
            return Outcome(group.name, len(group.files), how, LEFT, "Its call has not ended.")
        told = Outcome(group.name, len(group.files), how, TELLING[fate.state], fate.reason or "")
        if self._dry_run:
            return told
        if home is not None:
            await self._file(group, home)
        receipt = await self._catalogue.arrived(
            Arrival(
                pbx=self._numbering.pbx,
                name=group.name,
                files=await asyncio.to_thread(_sources_of, group, fate),
                state=fate.state,
                reason=fate.reason,
                faults=fate.faults,
            )
        )
        return replace(told, fate=BEFORE) if receipt.taken is Taken.DUPLICATE else told

    async def _file(self, group: Group, home: Home) -> None:
        """The call, if it is new, and a row that waits for the files and knows its call."""
        if home.change is not None:
            await self._store.journal.record([home.change])
        await self._catalogue.expect(
            [
                Expected(
                    pbx=self._numbering.pbx,
                    name=group.name,
                    call_id=home.call_id,
                    channel=home.channel,
                    outside_first=home.outside_first,
                    call_at=home.call_at,
                )
            ]
        )


def _settled(group: Group, known: Known | None) -> bool:
    """Taken in before, and its call is known: nothing that is read today could add to it."""
    return known is not None and known.call is not None and _taken_before(group, known)


def _taken_before(group: Group, known: Known | None) -> bool:
    if known is None:
        return False
    have = {(one.path, one.bytes, one.modified_at) for one in known.files}
    return bool(have) and all((one.path, one.size, _moment(one.modified_ns)) in have for one in group.files)


def _fate(group: Group, home: Home | None) -> Fate:
    pieces = []
    for one in group.files:
        seen = examine(one.path)
        pieces.append(Piece(one.name.role, seen.look, seen.reason))
    if home is None:
        call = CallIs.UNKNOWN
    elif not home.ended:
        call = CallIs.LIVE
    else:
        call = CallIs.ANSWERED if home.answered else CallIs.UNANSWERED
    silent = all(one.look is Look.HEADER_ONLY for one in pieces)
    if call is CallIs.LIVE and not silent:
        return Fate(None)
    return fate_of(pieces, call, LATE_SECONDS + 1)


def _sources_of(group: Group, fate: Fate) -> tuple[SourceFile, ...]:
    if fate.state is RecordingState.LOST:
        return ()
    return tuple(
        SourceFile(one.path, one.name.role, one.size, sum_of(one.path), _moment(one.modified_ns))
        for one in group.files
        if one.name.role in fate.roles
    )


def _moment(modified_ns: int) -> datetime:
    return datetime.fromtimestamp(modified_ns // 1000 / 1e6, UTC)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _print(outcomes: Sequence[Outcome], *, everything: bool) -> None:
    """The table of fates, and the sums."""
    console = Console(file=sys.stdout)
    shown = [
        one for one in outcomes if everything or one.fate not in (TELLING[RecordingState.ARRIVED], BEFORE)
    ]
    if shown:
        table = Table("Recording", "Files", "Call", "Fate", "Why", box=None)
        for one in shown[:SHOWN]:
            table.add_row(one.name, str(one.files), one.call, one.fate, one.why)
        console.print(table)
        if len(shown) > SHOWN:
            console.print(f"… and {len(shown) - SHOWN} more")
    sums = Counter((one.fate, one.call) for one in outcomes)
    for (fate, how), count in sorted(sums.items()):
        console.print(f"{count:>8} {fate}" + (f", call: {how}" if how else ""))
    console.print(f"{len(outcomes):>8} recordings in all")
