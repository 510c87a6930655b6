"""A backup as it lies on a disk: a directory, readable without Switchhook.

    manifest.json               what belongs to it, written last; without it there is no backup
    database-STAMP/TABLE.csv.gz every table as CSV with its columns in the first line (PostgreSQL's COPY)
    audio/2026/03/09/ID-17.m4a  the objects of the storage as they lie there, encrypted ones still encrypted

Backing up into the same directory again copies only audio that is not there yet: a stored object never changes. The
tables go into a new `database-` directory and the manifest is replaced at the end, so that a backup which dies half-way
leaves the one before it whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from telephony.errors import NeedsPerson, PeerMistake

FORMAT = "switchhook backup"
VERSION = 1
MANIFEST = "manifest.json"
AUDIO = "audio"
AUDIO_LIST = "audio.jsonl.gz"
GZIP_LEVEL = 6  # 8 to 1 on call facts; more costs twice the time for 2 %
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TableMember:
    """A table: which columns in which order, how many rows, and its file."""

    name: str
    columns: tuple[str, ...]
    rows: int
    file: Member


@dataclass(frozen=True, slots=True)
class SequenceState:
    """Where a sequence stood."""

    name: str
    value: int
    called: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds."""

    made_at: str
    schema: str
    """The step of the migrations the tables were at."""
    tables: tuple[TableMember, ...]
    """In the order in which they can be filled."""
    sequences: tuple[SequenceState, ...]
    audio: Member
    """The list of audio objects, a JSON object a line: path, bytes, sha256 as they lie in the storage."""
    objects: int
    vanished: tuple[str, ...]
    """Objects that were removed or replaced while the backup was made: rows name them, the archive has them not."""
    missing: tuple[str, ...]
    """Objects the storage should have had and did not."""


class Archive:
    """One directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> Manifest | None:
        """Make the directory, for us alone; the manifest of the backup that is there, if one is.

        Raises NeedsPerson for a directory with something else in it.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            strange = [one.name for one in self.root.iterdir() if not _is_ours(one.name)]
        except OSError as cause:
            raise _unusable(self.root, cause) from cause
        if strange:
            raise NeedsPerson(
                "{root} holds something that is no backup: {strange}.",
                remedy="Name an empty directory, or one with an earlier backup of Switchhook.",
                values={"root": self.root, "strange": strange[0]},
            )
        return self.read() if (self.root / MANIFEST).exists() else None

    def read(self) -> Manifest:
        """What the backup holds. Raises PeerMistake when it is none, NeedsPerson when a newer release made it."""
        try:
            told = json.loads((self.root / MANIFEST).read_text("utf-8"))
            if told["format"] != FORMAT:
                raise ValueError(told["format"])
            if told["version"] > VERSION:
                raise NeedsPerson(
                    "{root} was made by a newer release of Switchhook.",
                    remedy="Install that release.",
                    values={"root": self.root},
                )
            return _manifest(told)
        except FileNotFoundError as cause:
            raise PeerMistake(
                "{root} is no backup: it has no {manifest}.",
                remedy="Name the directory that `switchhook backup` wrote.",
                values={"root": self.root, "manifest": MANIFEST},
            ) from cause
        except OSError as cause:
            raise _unusable(self.root, cause) from cause
        except (ValueError, KeyError, TypeError) as cause:
            raise PeerMistake(
                "The {manifest} of {root} cannot be read: it is damaged.",
                values={"manifest": MANIFEST, "root": self.root},
            ) from cause

    def write(self, manifest: Manifest) -> None:
        """From now on this is the backup."""
        text = json.dumps({"format": FORMAT, "version": VERSION, **asdict(manifest)}, indent=1)
        fresh = self.root / f"{MANIFEST}.new"
        with _own_disk(self.root):
            with _new_file(fresh) as file:
                file.write(text.encode())
            fresh.replace(self.root / MANIFEST)
            _sync_directory(self.root)

    def check(self, member: Member) -> None:
        """Raises PeerMistake naming a file that is missing or is not what was written."""
        path = self.path_of(member.path)
        try:
            with path.open("rb") as file:
                same = hashlib.file_digest(file, "sha256").hexdigest() == member.sha256
        except FileNotFoundError as cause:
            raise PeerMistake(
                "The backup is not whole: {path} is missing.", values={"path": member.path}
            ) from cause
        except OSError as cause:
            raise _unusable(path, cause) from cause
        if not same:
            raise PeerMistake(
                "The backup is damaged: {path} is not what was written.", values={"path": member.path}
            )

    def has(self, member: Member, *, quick: bool) -> bool:
        """Whether this file is there already; `quick` believes its length."""
        path = self.path_of(member.path)
        if not path.is_file() or path.stat().st_size != member.bytes:
            return False
        if quick:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == member.sha256

    def path_of(self, name: str) -> Path:
        """Where a member lies. Raises PeerMistake for a name that leads out of the archive."""
        path = self.root / name
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise PeerMistake("The backup names a file outside of itself: {name}.", values={"name": name})
        return path

    @contextmanager
    def compressed(self, name: str) -> Iterator[Callable[[bytes], Awaitable[None]]]:
        """What writes a new gzip member. Only trouble with our own disk is told as such: the pieces come from afar."""
        path = self.path_of(name)
        with ExitStack() as files:
            with _own_disk(path):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = files.enter_context(_new_file(path))
                packed = files.enter_context(gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0))

            async def write(piece: bytes) -> None:
                with _own_disk(path):
                    packed.write(piece)

            yield write
            with _own_disk(path):
                files.close()

    def member(self, name: str) -> Member:
        """A file that was written, with its checksum."""
        with self.path_of(name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Member(name, file.tell(), digest)

    def audio_list(self, manifest: Manifest) -> Iterator[Member]:
        """Every audio object of the backup."""
        with gzip.open(self.path_of(manifest.audio.path), "rt", encoding="utf-8") as lines:
            for line in lines:
                told = json.loads(line)
                yield Member(told["path"], told["bytes"], told["sha256"])

    @contextmanager
    def new_object(self, name: str) -> Iterator[IO[bytes]]:
        """A file that gets its name only when it is whole and on the disk."""
        path = self.path_of(name)
        part = path.with_name(f"{path.name}.part")
        with _own_disk(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _new_file(part) as file:
                yield file
            part.replace(path)

    def forget_other(self, keep: str, objects: set[str]) -> int:
        """Remove tables of earlier backups and audio that the present one does not hold; returns how many objects.

        What retention removed must not live on in backups.
        """
        with _own_disk(self.root):
            return self._forget_other(keep, objects)

    def _forget_other(self, keep: str, objects: set[str]) -> int:
        for directory in self.root.glob("database-*"):
            if directory.name != keep:
                for file in directory.iterdir():
                    file.unlink()
                directory.rmdir()
        gone = 0
        for file in (self.root / AUDIO).rglob("*"):
            if file.is_file() and file.relative_to(self.root).as_posix() not in objects:
                file.unlink()
                gone += 1
        return gone


def _is_ours(name: str) -> bool:
    return name in (MANIFEST, f"{MANIFEST}.new", AUDIO) or name.startswith("database-")


def _manifest(told: dict[str, Any]) -> Manifest:
    return Manifest(
        made_at=told["made_at"],
        schema=told["schema"],
        tables=tuple(
            TableMember(one["name"], tuple(one["columns"]), one["rows"], Member(**one["file"]))
            for one in told["tables"]
        ),
        sequences=tuple(SequenceState(**one) for one in told["sequences"]),
        audio=Member(**told["audio"]),
        objects=told["objects"],
        vanished=tuple(told["vanished"]),
        missing=tuple(told["missing"]),
    )


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for us alone, on the disk when the block ends."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _own_disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise _unusable(path, cause) from cause


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, cause: OSError) -> NeedsPerson:
    return NeedsPerson(
        "{path} cannot be used: {strerror}.",
        remedy="Look at its disk and whom it belongs to.",
        values={"path": path, "strerror": cause.strerror},
    )
