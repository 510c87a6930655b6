"""The intake: what lies in the spool directories becomes recordings of calls, each file with a stated fate.

Every second, and four times a second while files are being written, each directory is looked at (`spool_watch.py`);
what rests is examined (`wav_header.py`), its fate decided (`decisions.py`, where the table is), and the catalogue told.
Files stay where they are and are read there by the pipeline;
what remote PBXes upload lies in a directory of our own and is watched like any other. The database is the memory: a
restart finds again what was taken by name, size and time, without reading it.

A round does a bounded amount of work. When the database is away nothing is forgotten: files keep lying where they
are, `problem` says why, and the next round tries again. Nothing is written beside the PBX's files, and none of them is
removed but by `sweep_sources`, after its copy was verified and only if the policy says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog

from call_records.recordings.catalogue.catalogue import (
    Arrival,
    CallState,
    Catalogue,
    Known,
    Taken,
    endings_of,
)
from call_records.recordings.catalogue.file_names import parts_of
from call_records.recordings.ingest.decisions import QUIET_SECONDS, CallIs, Fate, Piece, fate_of, may_be_done
from call_records.recordings.ingest.spool_watch import Seen, SpoolWatch
from call_records.recordings.ingest.wav_header import HEADER_BYTES, Examined, examine, open_for_reading
from call_records.recordings.storage.settings import AudioSettings
from call_records.recordings.types import SourceFile
from telephony.errors import SwitchhookError
from telephony.recordings import HealthFault, RecordingPolicy, RecordingState

log = structlog.get_logger()

ROUND_SECONDS = 1.0  # between two looks when nothing is on its way: a new file need not be seen sooner
WATCHING_SECONDS = (
    0.25  # while files are being written: a look at each is 5 µs, and a recording is waited for
)
BUSY_SHARE = 2  # a round that took t is followed by 2 t of rest; most of t is reading what was recorded
MOST_REST_SECONDS = 2.0  # on a machine busy with other things a round takes long without costing much
AWAY_SECONDS = 5.0  # until the next try when the database or a directory is away
SWEEP_SECONDS = 15.0  # how often what is missing is looked for and given up on
LOST_SECONDS = 270.0  # after the call; with the sweep the page knows within 5 minutes
NAMES_AT_ONCE = 1000  # in one question to the database
GROUPS_PER_ROUND = 50  # recordings taken in one round; 50 calls ending in one second is far above any office
HASH_BYTES_PER_ROUND = 512 << 20  # about a second of reading
READ_BYTES = 1 << 20
CLOCK_SLACK_SECONDS = 60.0  # between the database's clock and that of the spool's file system
UNREADABLE_AGAIN_SECONDS = 30.0
MISSED = frozenset({RecordingState.EXPECTED, RecordingState.LOST})
NO_LONGER_NEEDED = frozenset({RecordingState.EMPTY, RecordingState.REMOVED, RecordingState.JOINED})
"""States in which an upload has nothing to give any more; READY has when its audio is stored."""
PART_SECONDS = 21 * 86400.0  # the script at the PBX tries for 14 days
SOURCES_SECONDS = 60.0  # how often finished uploads and the PBX's old files are removed


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """A directory in which a PBX leaves its recordings."""

    pbx: str
    directory: Path
    uploaded: bool = False
    """Ours: what came by upload. Removed as soon as the stored copy is verified, whatever the policy."""


@dataclass(slots=True)
class IntakeCounts:
    """What happened since the start, for the metrics; `waiting`, `left_alone` and `unreadable` are of this moment."""

    arrived: int = 0
    replaced: int = 0
    namesakes: int = 0
    duplicates: int = 0
    empty: int = 0
    refused: int = 0
    truncated: int = 0
    renamed: int = 0
    lost: int = 0
    sources_removed: int = 0
    waiting: int = 0
    left_alone: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """The files of one recording in one folder."""

    name: str
    files: tuple[Seen, ...]

    @property
    def changed_at(self) -> float:
        return max(one.quiet_since for one in self.files)


@dataclass(slots=True)
class _Place:
    place: SpoolPlace
    watch: SpoolWatch | None = None
    """None until the database told since when it is watched."""
    unrecognised: list[Seen] = field(default_factory=list)
    """Seen, but not compared with the catalogue yet."""
    asked: set[str] = field(default_factory=set)
    """Names that were looked for among settled files already."""
    unreadable: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Recording → why it cannot be read, and when it is tried again."""
    trouble: str | None = None
    stays: bool = False
    """Whether files that are to go cannot be removed."""


class Intake:
    """Run one per service. `places` are the spools of PBXes on this host; uploads are found by themselves."""

    def __init__(
        self,
        catalogue: Catalogue,
        places: Sequence[SpoolPlace],
        audio: AudioSettings,
        *,
        uploading: Sequence[str] = (),
        policy: Callable[[], RecordingPolicy] = RecordingPolicy,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`uploading`: PBXes that post their files. `policy` is asked at each sweep of sources."""
        self._catalogue = catalogue
        self._policy = policy
        self._clock = clock
        self._wall = wall
        uploads = [SpoolPlace(pbx, audio.arrivals / pbx, uploaded=True) for pbx in uploading]
        self._places = [_Place(one) for one in (*places, *uploads)]
        self._counts = IntakeCounts()
        self._swept_at = self._sources_at = float("-inf")
        self._away: str | None = None

    def counts(self) -> IntakeCounts:
        """For the metrics."""
        watches = [one.watch for one in self._places if one.watch is not None]
        self._counts.waiting = sum(one.waiting for one in watches)
        self._counts.left_alone = sum(one.left_alone for one in watches)
        self._counts.unreadable = sum(len(one.unreadable) for one in self._places)
        return self._counts

    @property
    def problem(self) -> str | None:
        """One sentence with the remedy while something keeps recordings from being taken in; else None."""
        if self._away is not None:
            return f"Recordings are not taken in: {self._away} Nothing is lost; they wait in the spool."
        return next((told for one in self._places if (told := _trouble_of(one)) is not None), None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = self._clock()
            try:
                behind = await self.round()
                if self._away is not None:
                    log.info("recordings_intake_back")
                self._away = None
            except SwitchhookError as trouble:
                if self._away is None:
                    log.warning("recordings_intake_away", problem=str(trouble))
                self._away = str(trouble)
                await asyncio.sleep(AWAY_SECONDS)
                continue
            rest = min(BUSY_SHARE * (self._clock() - began), MOST_REST_SECONDS)
            await asyncio.sleep(rest if behind else max(self._pause(), rest))

    def _pause(self) -> float:
        watches = [one.watch for one in self._places if one.watch is not None]
        return WATCHING_SECONDS if any(one.waiting for one in watches) else ROUND_SECONDS

    async def round(self) -> bool:
        """Look once at everything; True when more is waiting than one round may do. Raises TryLater."""
        behind = False
        for place in self._places:
            try:
                behind |= await self._look(place)
                place.trouble = None
            except OSError as trouble:
                self._note_trouble(place, trouble)
        now = self._clock()
        if now - self._swept_at >= SWEEP_SECONDS:
            await self._sweep()
            self._swept_at = now
        if now - self._sources_at >= SOURCES_SECONDS:
            await self.sweep_sources()
            self._sources_at = now
        return behind

    # One directory

    async def _look(self, place: _Place) -> bool:
        watch = place.watch or await self._begin(place)
        place.unrecognised += await asyncio.to_thread(watch.look)
        await self._recognise(place, watch)
        seen = await asyncio.to_thread(watch.resting)
        new = {one.path for one in place.unrecognised}
        resting = [one for one in _groups(seen) if self._may_rest(place, one, new)]
        taken = await self._decide(place, watch, resting[:NAMES_AT_ONCE])
        return watch.behind or bool(place.unrecognised) or taken >= GROUPS_PER_ROUND

    async def _begin(self, place: _Place) -> SpoolWatch:
        """Files from before the directory was first watched are the import's, unless a call expects them."""
        directory = await asyncio.to_thread(_ready_directory, place.place)
        since_ns = 0
        if not place.place.uploaded:
            since = await self._catalogue.watched_since(place.place.pbx, str(directory))
            since_ns = int((since.timestamp() - CLOCK_SLACK_SECONDS) * 1e9)
        place.watch = SpoolWatch(directory, since_ns=since_ns, clock=self._clock, wall=self._wall)
        place.watch.expected = frozenset(await self._catalogue.missing(place.place.pbx))
        return place.watch

    async def _recognise(self, place: _Place, watch: SpoolWatch) -> None:
        """What the catalogue has already, by name, size and time, is settled without being read."""
        place.unrecognised.sort(key=lambda one: one.modified_ns)
        batch = place.unrecognised[-NAMES_AT_ONCE:]
        if not batch:
            return
        known = await self._catalogue.known(place.place.pbx, {one.name.recording for one in batch})
        del place.unrecognised[-len(batch) :]
        taken = {one.path for one in batch if _is_taken(one, known.get(one.name.recording))}
        watch.settle(taken)
        await asyncio.to_thread(watch.reopen_siblings, [one for one in batch if one.path not in taken])

    def _may_rest(self, place: _Place, group: _Group, new: set[Path]) -> bool:
        if any(one.path in new for one in group.files):
            return False
        if group.name in place.unreadable and self._clock() < place.unreadable[group.name][1]:
            return False
        return self._clock() - group.changed_at >= QUIET_SECONDS

    async def _decide(self, place: _Place, watch: SpoolWatch, groups: Sequence[_Group]) -> int:
        """Decide and carry out; how many were taken."""
        if not groups:
            return 0
        known = await self._catalogue.known(place.place.pbx, {one.name for one in groups})
        calls = await self._calls_of(place.place.pbx, groups, known)
        taken, read = 0, 0
        for group in sorted(groups, key=lambda one: one.changed_at):
            if taken >= GROUPS_PER_ROUND or read >= HASH_BYTES_PER_ROUND:
                return GROUPS_PER_ROUND
            call = calls.get(group.name)
            if may_be_done(_call_is(call), self._clock() - group.changed_at) and await self._carry_out(
                place, watch, group, known.get(group.name), call
            ):
                taken += 1
                read += sum(one.size for one in group.files)
        return taken

    async def _calls_of(
        self, pbx: str, groups: Iterable[_Group], known: Mapping[str, Known]
    ) -> Mapping[str, CallState]:
        """By what the catalogue knows, else by the Uniqueid in the name."""
        found = {name: one.call for name, one in known.items() if one.call is not None}
        unknown = {one.name: endings_of(one.name) for one in groups if one.name not in found}
        if not unknown:
            return found
        by_channel = await self._catalogue.calls_of(
            pbx, {part for parts in unknown.values() for part in parts}
        )
        for name, parts in unknown.items():
            call = next((by_channel[part] for part in parts if part in by_channel), None)
            if call is not None:
                found[name] = call
        return found

    async def _carry_out(
        self, place: _Place, watch: SpoolWatch, group: _Group, known: Known | None, call: CallState | None
    ) -> bool:
        """Examine, decide, tell the catalogue. True when the group is settled."""
        try:
            examined = await asyncio.to_thread(_examine_all, group)
        except OSError as trouble:
            self._note_unreadable(place, group, trouble)
            return False
        if any(_changed(one, seen) for one, seen in zip(examined, group.files, strict=True)):
            return False  # it is being written after all; the next look sees it
        pieces = [
            Piece(seen.name.role, one.look, one.reason)
            for one, seen in zip(examined, group.files, strict=True)
        ]
        fate = fate_of(pieces, _call_is(call), self._clock() - group.changed_at)
        if fate.state is None:
            return False
        if fate.state is RecordingState.LOST and known is not None and known.state is RecordingState.LOST:
            watch.settle((one.path for one in group.files), compare=True)
            return False
        try:
            files = await asyncio.to_thread(_sources, group, fate)
        except OSError as trouble:
            self._note_unreadable(place, group, trouble)
            return False
        if files is None:
            return False
        place.unreadable.pop(group.name, None)
        await self._tell(place, watch, group, fate, files, known, call)
        return True

    async def _tell(
        self,
        place: _Place,
        watch: SpoolWatch,
        group: _Group,
        fate: Fate,
        files: tuple[SourceFile, ...],
        known: Known | None,
        call: CallState | None,
    ) -> None:
        state = fate.state or RecordingState.ARRIVED
        other, renamed = None, False
        if known is None and call is not None:
            other, renamed = await self._known_otherwise(watch, group, call)
        receipt = await self._catalogue.arrived(
            Arrival(
                pbx=place.place.pbx,
                name=group.name,
                files=files if state is not RecordingState.LOST else (),
                state=state,
                reason=fate.reason,
                faults=fate.faults,
                instead_of=other,
            )
        )
        self._count(state, receipt.taken, fate, renamed=renamed)
        watch.settle((one.path for one in group.files), compare=True)
        log.info(
            "recording_file",
            pbx=place.place.pbx,
            recording=str(receipt.recording_id),
            state=state.value,
            taken=receipt.taken.value,
            reason=fate.reason,
            call=str(call.call_id) if call else None,
        )

    async def _known_otherwise(
        self, watch: SpoolWatch, group: _Group, call: CallState
    ) -> tuple[UUID | None, bool]:
        """The recording of the call that these files are under another name, and whether that is news.

        Either they were taken so before, or exactly one recording is missed on the channel that the name carries.
        """
        paths = {one.path for one in group.files}
        of_call = await self._catalogue.tracks_of(call.call_id)
        for one in of_call:
            if paths & {file.path for file in one.files}:
                return one.id, False
        if call.ended_at is None:
            return None, False
        channels = set(endings_of(group.name))
        missed = [one for one in of_call if one.state in MISSED and one.channel in channels]
        missed = [one for one in missed if not watch.has(one.name)]
        return (missed[0].id, True) if len(missed) == 1 else (None, False)

    # All of them

    async def _sweep(self) -> None:
        """Look again for what is missing, and give up on what has been missing for too long."""
        for place in self._places:
            if place.watch is None:
                continue
            missing = frozenset(await self._catalogue.missing(place.place.pbx))
            place.asked &= missing
            await asyncio.to_thread(place.watch.look_again, missing - place.asked)
            place.asked |= missing
            place.watch.expected = missing
        watched = {one.place.pbx for one in self._places if one.trouble is None and one.watch is not None}
        for gone in await self._catalogue.give_up_on(watched, LOST_SECONDS):
            self._counts.lost += 1
            why = next(
                (one.unreadable[gone.name][0] for one in self._places
                 if one.place.pbx == gone.pbx and gone.name in one.unreadable), None
            )  # fmt: skip
            if why is not None:
                await self._catalogue.explain(
                    gone.recording_id, f"Its file is there, but cannot be read: {why}."
                )
            log.warning("recording_missing", pbx=gone.pbx, recording=str(gone.recording_id))

    async def sweep_sources(self) -> None:
        """Remove uploads that are stored and verified; and the PBX's own files, if the policy says after how long."""
        days = self._policy().remove_at_pbx_after_days
        for place in self._places:
            if place.watch is None:
                continue
            if place.place.uploaded:
                await self._remove_uploads(place, place.watch)
                await asyncio.to_thread(_remove_old_parts, place.watch.directory, self._wall())
            elif days is not None:
                before = datetime.fromtimestamp(self._wall(), UTC) - timedelta(days=days)
                await self._remove_at_pbx(place, place.watch, before)

    async def _remove_uploads(self, place: _Place, watch: SpoolWatch) -> None:
        by_name: dict[str, list[Path]] = {}
        for path in watch.settled_files():
            parts = parts_of(path.name)
            if parts is not None:
                by_name.setdefault(parts.recording, []).append(path)
        names = list(by_name)
        for first in range(0, len(names), NAMES_AT_ONCE):
            known = await self._catalogue.known(place.place.pbx, names[first : first + NAMES_AT_ONCE])
            for name, one in known.items():
                if one.state in NO_LONGER_NEEDED or (one.stored and one.state is RecordingState.READY):
                    await self._remove(watch, one.recording_id, one.files, by_name[name])

    async def _remove_at_pbx(self, place: _Place, watch: SpoolWatch, before: datetime) -> None:
        for one in await self._catalogue.with_sources(place.place.pbx, before, str(watch.directory)):
            if not await self._remove(watch, one.id, one.files, [file.path for file in one.files]):
                place.stays = True
                return  # the others would fare no better
        place.stays = False

    async def _remove(
        self, watch: SpoolWatch, recording_id: UUID, files: Sequence[SourceFile], paths: Sequence[Path]
    ) -> bool:
        """Only files that are still what was taken, byte by byte. False when we may not."""
        sums = {file.sha256 for file in files}
        inside = [path for path in paths if path.is_relative_to(watch.directory)]
        removed, allowed = await asyncio.to_thread(_remove_same, inside, sums)
        for path in removed:
            watch.forget(path)
        self._counts.sources_removed += len(removed)
        if allowed:
            await self._catalogue.sources_removed(recording_id)
        return allowed

    # Telling

    def _count(self, state: RecordingState, taken: Taken, fate: Fate, *, renamed: bool) -> None:
        counts = self._counts
        match taken:
            case Taken.DUPLICATE | Taken.REFUSED:
                counts.duplicates += 1
                return
            case Taken.REPLACED:
                counts.replaced += 1
            case Taken.NAMESAKE:
                counts.namesakes += 1
            case Taken.NEW:
                pass
        counts.renamed += renamed
        counts.truncated += HealthFault.TRUNCATED in fate.faults
        counts.arrived += state is RecordingState.ARRIVED
        counts.empty += state is RecordingState.EMPTY
        counts.refused += state is RecordingState.REFUSED
        counts.lost += state is RecordingState.LOST

    def _note_trouble(self, place: _Place, trouble: OSError) -> None:
        told = trouble.strerror or type(trouble).__name__
        if place.trouble != told:
            log.warning(
                "recordings_directory", pbx=place.place.pbx, path=str(place.place.directory), problem=told
            )
        place.trouble = told

    def _note_unreadable(self, place: _Place, group: _Group, trouble: OSError) -> None:
        told = trouble.strerror or str(trouble)
        if group.name not in place.unreadable:
            log.warning("recording_unreadable", pbx=place.place.pbx, problem=told)
        place.unreadable[group.name] = (told, self._clock() + UNREADABLE_AGAIN_SECONDS)


def _trouble_of(one: _Place) -> str | None:
    where = f"the recordings of {one.place.pbx} in {one.place.directory}"
    if one.trouble is not None:
        return (
            f"Switchhook cannot read {where}: {one.trouble}. "
            "Correct the directory in the settings, or give our user the right to list and read it."
        )
    if one.unreadable:
        why = next(iter(one.unreadable.values()))[0]
        return (
            f"{len(one.unreadable)} of {where} cannot be read: {why}. Give our user the right to read them, "
            "for instance by the group asterisk."
        )
    if one.watch is not None and one.watch.troubles:
        folder, why = next(iter(one.watch.troubles.items()))
        return f"Switchhook cannot list {folder}: {why}. Give our user the right to enter it."
    if one.stays:
        return (
            f"Switchhook may not remove {where}, as the policy says. Give our user the right to write there, "
            "or take that choice back."
        )
    return None


def _ready_directory(place: SpoolPlace) -> Path:
    """The real directory; links above it are the administrator's. One of ours is made."""
    if place.uploaded:
        place.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return place.directory.resolve(strict=True)


def _groups(seen: Iterable[Seen]) -> list[_Group]:
    found: dict[tuple[Path, str], list[Seen]] = {}
    for one in seen:
        found.setdefault((one.path.parent, one.name.recording), []).append(one)
    return [
        _Group(name, tuple(sorted(files, key=lambda one: one.name.role)))
        for (_, name), files in found.items()
    ]


def _is_taken(seen: Seen, known: Known | None) -> bool:
    """The very file the catalogue has: same place, size and time."""
    return known is not None and any(
        file.path == seen.path and file.bytes == seen.size and file.modified_at == _moment(seen.modified_ns)
        for file in known.files
    )


def _call_is(call: CallState | None) -> CallIs:
    if call is None:
        return CallIs.UNKNOWN
    if call.ended_at is None:
        return CallIs.LIVE
    return CallIs.ANSWERED if call.answered else CallIs.UNANSWERED


def _examine_all(group: _Group) -> list[Examined]:
    return [examine(one.path) for one in group.files]


def _changed(examined: Examined, seen: Seen) -> bool:
    return (examined.size, examined.modified_ns) != (seen.size, seen.modified_ns)


def _sources(group: _Group, fate: Fate) -> tuple[SourceFile, ...] | None:
    """The files that belong to it with their checksums; None when one changed while it was read."""
    found: list[SourceFile] = []
    for one in group.files:
        if one.name.role not in fate.roles:
            continue
        digest = sum_of(one.path)
        status = one.path.lstat()
        if (status.st_size, status.st_mtime_ns) != (one.size, one.modified_ns):
            return None
        found.append(SourceFile(one.path, one.name.role, one.size, digest, _moment(one.modified_ns)))
    return tuple(found)


def sum_of(path: Path) -> str:
    """SHA-256 of the file, read in pieces. Raises OSError."""
    digest = hashlib.sha256()
    with open_for_reading(path) as file:
        while piece := file.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _remove_same(paths: Sequence[Path], sums: set[str]) -> tuple[list[Path], bool]:
    """Remove those whose content is one of these, never through a link: the ones that are gone now, and whether we may."""
    gone: list[Path] = []
    allowed = True
    for path in paths:
        try:
            nothing = path.lstat().st_size <= HEADER_BYTES
            if path.resolve(strict=True) == path and (nothing or sum_of(path) in sums):
                path.unlink()
                gone.append(path)
        except FileNotFoundError:
            gone.append(path)
        except OSError as trouble:
            allowed = False
            log.warning("recording_source_stays", problem=trouble.strerror or str(trouble))
    return gone, allowed


def _remove_old_parts(directory: Path, now: float) -> None:
    """Uploads that broke off and that nobody went on with."""
    for part in directory.glob(".*.part"):
        with suppress(OSError):
            if part.lstat().st_mtime < now - PART_SECONDS:
                part.unlink()


def _moment(modified_ns: int) -> datetime:
    return datetime.fromtimestamp(modified_ns // 1000 / 1e6, UTC)
