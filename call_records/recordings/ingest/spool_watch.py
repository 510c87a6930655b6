"""Looking at a directory of recordings again and again without reading what was read: which files are new, which rest.

A directory is listed only when its own modification time changed, and a file is looked at again only while it is not
settled, so that a spool with 100 000 old files costs a few stat calls a second. Polling instead of inotify: it works
on network file systems, misses nothing when a queue overflows, and needs no library.

Symbolic links are never followed, neither directories nor files: what a link inside the spool points to is found by
itself, and what lies outside is none of ours.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from call_records.recordings.catalogue.file_names import ROLES, SOUND_ENDINGS, FileName, parts_of

DEPTH = 5  # FreePBX: YYYY/MM/DD; one more for the PBX, one to spare
RACY_SECONDS = 2.0  # a change in the same tick as our listing leaves no trace in the directory's time
OLD_DIRECTORY_SECONDS = 2 * 86400.0  # yesterday's folder may still get a late file
OLD_AGAIN_SECONDS = 60.0  # how often older ones are looked at
LISTING_SHARE = (
    20  # a listing that took t is not repeated for 20 t: 5 % of a core, however many files there are
)
MOST_REST_SECONDS = 5.0  # a file is found while its call goes on; shorter calls must not wait for long
MOST_OPEN = 3000  # files in flight: a thousand calls at once, three files each; others wait to be seen
REMOVED_MOST = 1000  # names of files that are gone again, before they are forgotten; 100 kB
LOOK_BACK_SECONDS = (
    3600.0  # how long a taken file is still compared: the dialplan may write the name once more
)
LOOK_BACK_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that is not settled."""

    path: Path
    name: FileName
    size: int
    modified_ns: int
    quiet_since: float
    """When we saw it change last (monotonic seconds)."""


@dataclass(slots=True)
class _Folder:
    path: Path
    depth: int
    settled: set[str] = field(default_factory=set)
    """Names, not paths: a flat spool has a hundred thousand."""
    modified_ns: int = -1
    listed_at: float = 0.0
    """Wall clock, seconds."""
    again_at: float = 0.0
    """Monotonic seconds."""

    def may_have_changed(self, modified_ns: int) -> bool:
        """Whether its list of files may be another than when it was read."""
        racy = self.listed_at - modified_ns / 1e9 < RACY_SECONDS
        return modified_ns != self.modified_ns or racy


@dataclass(frozen=True, slots=True)
class _Taken:
    size: int
    modified_ns: int
    until: float


class SpoolWatch:
    """One directory, its folders included. Does file input only; never waits for anything else."""

    def __init__(
        self,
        directory: Path,
        *,
        since_ns: int = 0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`since_ns`: older files are left alone unless they are expected. `wall` is Unix seconds, as files are stamped."""
        self.directory = directory
        self._since_ns = since_ns
        self._clock = clock
        self._wall = wall
        self._folders: dict[Path, _Folder] = {directory: _Folder(directory, 0)}
        self._open: dict[Path, Seen] = {}
        self._taken: dict[Path, _Taken] = {}
        self._again: list[Seen] = []
        self._compared_at = clock()
        self.expected: frozenset[str] = frozenset()
        """Recordings that are waited for, however old their files."""
        self.left_alone = 0
        """Files older than `since_ns` that nobody expected."""
        self.behind = False
        """Whether there is more to see than may be open at once."""
        self.troubles: dict[str, str] = {}
        """Folder → why it cannot be listed."""

    def look(self) -> list[Seen]:
        """Files seen for the first time, or once more; open from now on. Raises OSError when there is no directory."""
        if not stat.S_ISDIR(self.directory.stat().st_mode):
            raise NotADirectoryError(20, "not a directory", str(self.directory))
        self._compare_taken()
        self.behind = False
        fresh, self._again = self._again, []
        for folder in list(self._folders.values()):
            fresh += self._look_into(folder)
        return fresh

    def settle(self, paths: Iterable[Path], *, compare: bool = False) -> None:
        """These need no further look; with `compare` they are noticed again if they change within the hour."""
        until = self._clock() + LOOK_BACK_SECONDS
        for path in paths:
            known = self._open.pop(path, None)
            if path.parent in self._folders:
                self._folders[path.parent].settled.add(path.name)
            if compare and known is not None:
                self._taken[path] = _Taken(known.size, known.modified_ns, until)

    def resting(self) -> list[Seen]:
        """All that are open, looked at now; what is gone is forgotten."""
        now = self._clock()
        for path, seen in list(self._open.items()):
            status = _plain(path)
            if status is None:
                del self._open[path]
            elif (status.st_size, status.st_mtime_ns) != (seen.size, seen.modified_ns):
                self._open[path] = replace(
                    seen, size=status.st_size, modified_ns=status.st_mtime_ns, quiet_since=now
                )
        return list(self._open.values())

    def look_again(self, recordings: Iterable[str]) -> None:
        """Files of these recordings may have been settled before anybody expected them."""
        for recording in recordings:
            for folder in self._folders.values():
                for name in _names_of(recording):
                    if name in folder.settled:
                        self._see_again(folder.path / name)

    def reopen_siblings(self, files: Iterable[Seen]) -> None:
        """The other sides of these recordings are decided about again with them, however they came out before."""
        for one in files:
            folder = self._folders.get(one.path.parent)
            for name in _names_of(one.name.recording) if folder else ():
                path = one.path.with_name(name)
                parts, status = parts_of(name), _plain(path)
                if folder and name in folder.settled and parts is not None and status is not None:
                    self.forget(path)
                    self._open[path] = Seen(path, parts, status.st_size, status.st_mtime_ns, self._clock())

    def has(self, recording: str) -> bool:
        """Whether there is a file of that recording in any folder."""
        names = _names_of(recording)
        return any(
            name in folder.settled or folder.path / name in self._open
            for folder in self._folders.values()
            for name in names
        )

    def settled_files(self) -> list[Path]:
        """Everything that was settled, as far as we know still there."""
        return [folder.path / name for folder in self._folders.values() for name in folder.settled]

    def forget(self, path: Path) -> None:
        """It was removed by us."""
        self._taken.pop(path, None)
        if path.parent in self._folders:
            self._folders[path.parent].settled.discard(path.name)

    @property
    def waiting(self) -> int:
        """Files that are not settled."""
        return len(self._open)

    def _see_again(self, path: Path) -> None:
        name, status = parts_of(path.name), _plain(path)
        if name is not None and status is not None:
            self.forget(path)
            seen = Seen(path, name, status.st_size, status.st_mtime_ns, self._clock())
            self._open[path] = seen
            self._again.append(seen)

    def _compare_taken(self) -> None:
        now = self._clock()
        if now - self._compared_at < LOOK_BACK_EVERY_SECONDS:
            return
        self._compared_at = now
        for path, taken in list(self._taken.items()):
            status = _status(path)
            if status is not None and (status.st_size, status.st_mtime_ns) != (taken.size, taken.modified_ns):
                self._see_again(path)
            elif now > taken.until or status is None:
                del self._taken[path]

    def _look_into(self, folder: _Folder) -> list[Seen]:
        """The new files of a folder, if it may have any; a folder found in it is looked into with it."""
        now = self._clock()
        if now < folder.again_at:
            return []
        status = _status(folder.path) if folder.depth else folder.path.stat()
        if status is None or not stat.S_ISDIR(status.st_mode):
            del self._folders[folder.path]
            return []
        old = self._wall() - status.st_mtime > OLD_DIRECTORY_SECONDS and folder.depth
        folder.again_at = now + OLD_AGAIN_SECONDS if old else 0.0
        if not folder.may_have_changed(status.st_mtime_ns):
            return []
        fresh, below, complete = self._list(folder)
        if complete:
            folder.modified_ns, folder.listed_at = status.st_mtime_ns, self._wall()
        else:
            self.behind = True
        for path in below:
            self._folders[path] = _Folder(path, folder.depth + 1)
            fresh += self._look_into(self._folders[path])
        return fresh

    def _list(self, folder: _Folder) -> tuple[list[Seen], list[Path], bool]:
        """New files, new folders, and whether that is all. Names only, as far as they are settled: no look at them."""
        began = self._clock()
        fresh: list[Seen] = []
        below: list[Path] = []
        try:
            names = os.listdir(folder.path)
        except OSError as trouble:
            if not folder.depth:
                raise
            self.troubles[str(folder.path)] = trouble.strerror or type(trouble).__name__
            return fresh, below, True
        self.troubles.pop(str(folder.path), None)
        if len(folder.settled) > len(names) + REMOVED_MOST:
            folder.settled.intersection_update(names)
        for name in names:
            if name in folder.settled:
                continue
            if len(self._open) >= MOST_OPEN:
                return fresh, below, False
            path = folder.path / name
            status = _status(path)
            if status is None or path in self._open:
                continue
            if stat.S_ISDIR(status.st_mode) and not name.startswith(".") and folder.depth < DEPTH:
                if path not in self._folders:
                    below.append(path)
            else:
                fresh += self._new_file(folder, path, status)
        rest = min(LISTING_SHARE * (self._clock() - began), MOST_REST_SECONDS)
        folder.again_at = max(folder.again_at, self._clock() + rest)
        return fresh, below, True

    def _new_file(self, folder: _Folder, path: Path, status: os.stat_result) -> list[Seen]:
        name = parts_of(path.name)
        if name is None or not stat.S_ISREG(status.st_mode):
            folder.settled.add(path.name)
            return []
        if status.st_mtime_ns < self._since_ns and name.recording not in self.expected:
            folder.settled.add(path.name)
            self.left_alone += 1
            return []
        seen = Seen(path, name, status.st_size, status.st_mtime_ns, self._clock())
        self._open[path] = seen
        return [seen]


def _names_of(recording: str) -> tuple[str, ...]:
    return tuple(f"{recording}{side}{ending}" for side in ("", *ROLES) for ending in SOUND_ENDINGS)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None


def _plain(path: Path) -> os.stat_result | None:
    """None for what is gone, and for what is no file but a link or a pipe by now."""
    status = _status(path)
    return status if status is not None and stat.S_ISREG(status.st_mode) else None
