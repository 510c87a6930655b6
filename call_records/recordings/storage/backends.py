"""Where stored audio lies: a local directory or a bucket, behind the same five calls.

A key is a path such as `2026/03/09/ID-17.m4a`. An object is put once and never changed; whoever wants other content
puts another object. Nothing here knows what an object holds, whether it is encrypted, or whose it is.

obstore is called from threads of our own, never through its asyncio calls: those hand results over from threads of
their own runtime, and a process that ends just then is aborted (seen in 8 of 15 short runs with obstore 0.12 on Python
3.11; known as PyO3/pyo3-async-runtimes issue 40). The threads are few, and every call in them is bounded.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from call_records.recordings.storage.settings import AudioSettings, S3Settings
from telephony.errors import NeedsPerson, SwitchhookError, TryLater

if TYPE_CHECKING:
    from obstore.store import S3Config

T = TypeVar("T")

THREADS = 8  # of one process; more callers wait for one, bounded by ANSWER_SECONDS
CONNECT_SECONDS = 5  # a storage that takes longer to accept is as good as away
ANSWER_SECONDS = 20  # for a read, a deletion, a page of a list; a healthy storage takes milliseconds
SLOW_LINK_BYTES = 30_000  # a second: an upload may go over a quarter of a megabit before it counts as stuck
UPLOAD_SECONDS = (30, 120, 600)  # by size; 600 s take 18 MB (two hours of speech) over a quarter of a megabit
RETRIES = 1  # a dropped connection is tried again at once; more patience is the caller's
LIST_PAGE = 1000  # what S3 gives at a time
COPY_BYTES = 1 << 20

NO_BUCKET = "NoSuchBucket"  # S3's error code; told as 404, like an object that is missing
REFUSED = re.compile(r"status code: 40[13]\b")  # a refused list is not told by an exception of its own
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Missing(NeedsPerson):
    """The storage has no object with this key."""


class Taken(Exception):
    """An object with this key is there already; it was left alone."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the storage lists it."""

    key: str
    bytes: int
    modified_at: datetime


class Place(Protocol):
    """Where objects lie. Everything raises TryLater when the storage does not answer, NeedsPerson when it refuses us."""

    @property
    def name(self) -> str:
        """For a sentence to a person: the directory, or the bucket and its server."""

    async def put(self, key: str, source: Path) -> None:
        """Store the file's content under a new key, safely on the disk when this returns. Raises Taken."""

    async def get(self, key: str, first: int, last: int) -> bytes:
        """Bytes `first` to `last`, both included; fewer when the object ends before. Raises Missing."""

    async def delete(self, key: str) -> None:
        """Delete; one that is not there is as good as deleted."""

    def listed(self) -> AsyncIterator[Sequence[Stored]]:
        """Every object below our prefix, some at a time."""


def place_of(settings: AudioSettings) -> Place:
    """The place these settings name."""
    return Bucket(settings.s3) if settings.s3 is not None else Directory(settings.kept)


class Directory:
    """A local directory: files for us alone (0600), synced to the disk before they count."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = _Threads(f"The storage directory {root}")

    @property
    def name(self) -> str:
        """The directory."""
        return str(self._root)

    async def put(self, key: str, source: Path) -> None:
        """Copy the file, sync it and its directory. A copy that fails half-way leaves nothing behind."""
        await self._threads.do(_upload_seconds(source), lambda: self._put(key, source))

    async def get(self, key: str, first: int, last: int) -> bytes:
        """Read that range; the path is resolved by obstore, which refuses `..`."""
        return await self._threads.do(ANSWER_SECONDS, lambda: _range(self._store(), key, first, last))

    async def delete(self, key: str) -> None:
        """Delete the file. Directories stay, one a day: where even that is missing, it is not our disk."""
        if not await self._threads.do(ANSWER_SECONDS, lambda: _delete(self._store(), key)):
            await self._threads.do(ANSWER_SECONDS, lambda: self._require_directory(key))

    async def listed(self) -> AsyncIterator[Sequence[Stored]]:
        """Every file, in the order the file system has."""
        if not self._root.is_dir():
            return  # nothing was stored yet
        pages = await self._threads.do(ANSWER_SECONDS, lambda: _pages(self._store(), None))
        while page := await self._threads.do(ANSWER_SECONDS, lambda: next(pages, None)):
            yield page

    def _store(self) -> LocalStore:
        if not self._root.is_dir():
            raise NeedsPerson(
                "The storage directory {root} is not there.",
                remedy="Mount its disk again, or correct [recordings] directory.",
                values={"root": self._root},
            )
        return LocalStore(self._root)

    def _require_directory(self, key: str) -> None:
        if not (self._root / key).parent.is_dir():
            raise NeedsPerson(
                "The storage directory {root} does not have what it had; {key} cannot be deleted there.",
                remedy="Mount its disk again. If it is lost for good, restore a backup of the recordings.",
                values={"root": self._root, "key": key},
            )

    def _put(self, key: str, source: Path) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._root / key
        _make_directories(self._root, target.parent)
        try:
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError as cause:
            raise Taken(key) from cause
        try:
            with os.fdopen(handle, "wb", buffering=0) as file, source.open("rb") as content:
                while piece := content.read(COPY_BYTES):
                    _write_all(file.fileno(), piece)
                os.fsync(file.fileno())
                # So that reading it back reads the disk, not what the kernel still remembers of the writing.
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            _sync_directory(target.parent)
        except BaseException:
            with suppress(OSError):
                target.unlink()
            raise


class Bucket:
    """A bucket of an S3 service."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._prefix = settings.prefix.strip("/")
        self._threads = _Threads(f"The storage {self.name}")
        self._stores: dict[int, S3Store] = {}

    @property
    def name(self) -> str:
        """The bucket and whose it is."""
        return f"{self._settings.bucket} at {self._settings.endpoint or 'Amazon S3'}"

    async def put(self, key: str, source: Path) -> None:
        """One upload with `If-None-Match: *`; where the service does not know that, a look before it."""
        seconds = _upload_seconds(source)
        await self._threads.do(seconds, lambda: self._put(self._store(seconds), self._full(key), source))

    async def get(self, key: str, first: int, last: int) -> bytes:
        """One ranged GET."""
        return await self._threads.do(
            ANSWER_SECONDS, lambda: _range(self._store(ANSWER_SECONDS), self._full(key), first, last)
        )

    async def delete(self, key: str) -> None:
        """Delete the object. In a bucket that keeps versions the old version stays, which is the bucket's choice."""
        await self._threads.do(ANSWER_SECONDS, lambda: _delete(self._store(ANSWER_SECONDS), self._full(key)))

    async def listed(self) -> AsyncIterator[Sequence[Stored]]:
        """Every object below the prefix, in the order of their keys."""
        prefix = f"{self._prefix}/" if self._prefix else None
        pages = await self._threads.do(ANSWER_SECONDS, lambda: _pages(self._store(ANSWER_SECONDS), prefix))
        while page := await self._threads.do(ANSWER_SECONDS, lambda: next(pages, None)):
            yield [Stored(one.key.removeprefix(prefix or ""), one.bytes, one.modified_at) for one in page]

    def _full(self, key: str) -> str:
        return f"{self._prefix}/{key}" if self._prefix else key

    def _store(self, seconds: int) -> S3Store:
        """A client whose requests end by themselves: nobody can interrupt a thread that waits in one."""
        if seconds not in self._stores:
            self._stores[seconds] = _client(self._settings, seconds)
        return self._stores[seconds]

    @staticmethod
    def _put(store: S3Store, key: str, source: Path) -> None:
        try:
            store.put(key, source, mode="create", use_multipart=False)
        except AlreadyExistsError as cause:
            raise Taken(key) from cause
        except BaseError as refusal:
            if not isinstance(refusal, NotSupportedError) and "501" not in str(refusal):
                raise
            _put_after_looking(store, key, source)


def _put_after_looking(store: S3Store, key: str, source: Path) -> None:
    """For services without conditional writes. Keys are handed out once, so the look only catches a restored backup."""
    with suppress(FileNotFoundError):
        store.head(key)
        raise Taken(key)
    store.put(key, source, use_multipart=False)


def _client(settings: S3Settings, seconds: int) -> S3Store:
    config: S3Config = {"region": settings.region}
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
    if settings.access_key is not None and settings.secret_key is not None:
        config["access_key_id"] = settings.access_key
        config["secret_access_key"] = settings.secret_key
    return S3Store(
        settings.bucket,
        config=config,
        client_options={
            "allow_http": (settings.endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=seconds),
        },
        retry_config={
            "max_retries": RETRIES,
            "retry_timeout": timedelta(seconds=seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )


class _Threads:
    """Runs blocking calls of one place, and says in words what went wrong."""

    def __init__(self, what: str) -> None:
        self._what = what
        # Not the loop's own pool: a storage that hangs must not keep passwords from being checked.
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="audio-storage")

    async def do(self, seconds: float, work: Callable[[], T]) -> T:
        """The result of `work`, at most so many seconds later. Taken passes; everything else becomes our error."""
        with _plain_errors(self._what):
            async with asyncio.timeout(seconds + CONNECT_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)


@contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (SwitchhookError, Taken):
        raise
    except FileNotFoundError as cause:
        if NO_BUCKET in str(cause):
            raise NeedsPerson(
                "{what} has no such bucket.",
                remedy="Create it, or correct its name in [recordings].",
                values={"what": what},
            ) from cause
        raise Missing(
            f"{what} does not have an object it should have.",
            remedy="Run `switchhook recordings verify`, and restore what is missing from a backup.",
        ) from cause
    except TimeoutError as cause:
        raise TryLater(
            "{what} took too long to answer.",
            remedy="Check that it runs and its network.",
            values={"what": what},
        ) from cause
    except (PermissionDeniedError, UnauthenticatedError, PermissionError) as cause:
        raise _refused(what) from cause
    except OSError as cause:
        raise _disk_trouble(what, cause) from cause
    except BaseError as cause:
        if REFUSED.search(str(cause)):
            raise _refused(what) from cause
        raise TryLater(
            "{what} cannot be used: {reason}",
            remedy="Check that it runs, its disk and its network.",
            values={"what": what, "reason": _first_line(cause)},
        ) from cause


def _refused(what: str) -> NeedsPerson:
    return NeedsPerson(
        "{what} refuses us.",
        remedy="Correct its owner, or the access key and its rights in [recordings].",
        values={"what": what},
    )


def _disk_trouble(what: str, cause: OSError) -> SwitchhookError:
    if cause.errno in DISK_FULL:
        return TryLater(
            "{what} is full.",
            remedy="Free space there; nothing is lost, it is tried again.",
            values={"what": what},
        )
    if cause.errno == errno.EROFS:
        return NeedsPerson(
            "{what} is read-only.", remedy="Mount it so that Switchhook may write.", values={"what": what}
        )
    return TryLater(
        "{what} cannot be used: {strerror}.",
        remedy="Look at its disk.",
        values={"what": what, "strerror": cause.strerror},
    )


def _first_line(cause: BaseError) -> str:
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def _upload_seconds(source: Path) -> int:
    try:
        needed = source.stat().st_size / SLOW_LINK_BYTES
    except OSError:
        needed = 0.0  # opening it will say what is wrong
    return next((bound for bound in UPLOAD_SECONDS if needed <= bound), UPLOAD_SECONDS[-1])


def _range(store: LocalStore | S3Store, key: str, first: int, last: int) -> bytes:
    try:
        return bytes(store.get_range(key, start=first, end=last + 1))
    except BaseError:
        if store.head(key)["size"] <= first:  # cut short: the caller sees that bytes are missing
            return b""
        raise


def _delete(store: LocalStore | S3Store, key: str) -> bool:
    """Whether it was there, as far as the storage says: S3 does not."""
    try:
        store.delete(key)
    except FileNotFoundError as cause:
        if NO_BUCKET in str(cause):
            raise
        return False
    return True


def _pages(store: LocalStore | S3Store, prefix: str | None) -> Iterator[Sequence[Stored]]:
    for page in store.list(prefix, chunk_size=LIST_PAGE):
        if page:
            yield [Stored(one["path"], one["size"], one["last_modified"]) for one in page]


def _make_directories(root: Path, wanted: Path) -> None:
    """Each one for us alone, and its name on the disk."""
    missing = []
    while wanted != root and not wanted.is_dir():
        missing.append(wanted)
        wanted = wanted.parent
    for directory in reversed(missing):
        with suppress(FileExistsError):  # another recording of the same day was quicker
            directory.mkdir(mode=0o700)
        _sync_directory(directory.parent)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, piece: bytes) -> None:
    """A nearly full disk takes part of a write and refuses the rest."""
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]
