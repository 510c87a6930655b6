"""Where a private MariaDB comes from: an installed one, the cache, or the distribution's own packages, unpacked.

Fetched with apt into a private directory, without root and without touching the system; what those packages need and the
machine has already is taken from the machine. Two processes may ask at once: one fetches, the other waits for it.

    python -m switchhook.lab.mariadb_binary

prints the path of a server that runs.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from telephony.errors import NeedsPerson

FETCH_SECONDS = 240  # about 5 s with a near mirror
PACKAGES = ("mariadb-server-core", "mariadb-client-core")
SERVERS = ("usr/sbin/mariadbd", "usr/sbin/mysqld")
SYSTEM = Path("/")


class NoMariaDb(NeedsPerson):
    """No MariaDB can be had on this machine."""


@dataclass(frozen=True, slots=True)
class MariaDbInstall:
    """A tree with a server that runs: `/` for an installed one."""

    tree: Path
    server: Path
    version: str

    @property
    def environment(self) -> dict[str, str]:
        """What its programs need to find the libraries that came with them."""
        own = [
            str(path) for path in sorted((self.tree / "usr/lib").glob("*-linux-gnu*")) if self.tree != SYSTEM
        ]
        return {**os.environ, "LC_ALL": "C", **({"LD_LIBRARY_PATH": ":".join(own)} if own else {})}


def find_mariadb() -> MariaDbInstall:
    """The installed MariaDB, the cached one, or a fetched one. Raises NoMariaDb with a remedy."""
    if installed := _runs(SYSTEM):
        return installed
    home = _cache_directory()
    if cached := _runs(home):
        return cached
    home.parent.mkdir(parents=True, exist_ok=True)
    with _only_one_fetches(home):
        if not _runs(home):  # the process we waited for may have brought it
            _fetch(home)
    found = _runs(home)
    if found is None:
        raise NoMariaDb(
            f"The MariaDB in {home} does not run on this machine.", remedy=f"Delete {home} and start again."
        )
    return found


def _cache_directory() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "switchhook" / f"mariadb-{platform.machine()}"


def _runs(tree: Path) -> MariaDbInstall | None:
    server = next((tree / name for name in SERVERS if (tree / name).exists()), None)
    if server is None or not (tree / "usr/bin/mariadb-install-db").exists():
        return None
    install = MariaDbInstall(tree, server, "")
    try:
        answer = subprocess.run(  # noqa: S603
            [server, "--no-defaults", "--version"],
            env=install.environment,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = re.search(r"Ver (\d+(?:\.\d+)*)-MariaDB", answer.stdout)
    return MariaDbInstall(tree, server, told.group(1)) if told else None


@contextmanager
def _only_one_fetches(home: Path) -> Iterator[None]:
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(home: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            raise NoMariaDb(
                f"No MariaDB is installed, and {tool} is not here to fetch one.",
                remedy="Install MariaDB's server and client with your system's package tool.",
            )
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        work = Path(scratch)
        tree = work / "tree"
        for archive in _download(work):
            _run(["dpkg-deb", "-x", str(archive), str(tree)], f"{archive.name} could not be unpacked.")
        if home.exists():  # half of something from before
            shutil.rmtree(home)
        tree.rename(home)  # one step: nobody ever sees half a server


def _download(work: Path) -> list[Path]:
    """The packages, and what of their needs the machine does not have, by the machine's own sources."""
    for name in ("lists/partial", "archives/partial"):
        (work / name).mkdir(parents=True)
    options = {
        "Dir::State::lists": str(work / "lists"),
        "Dir::Cache": str(work),
        "Dir::Cache::archives": str(work / "archives"),
        "Debug::NoLocking": "1",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": _user_name(),  # as root apt would otherwise drop to a user that cannot write here
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    apt = [
        "apt-get",
        "-qq",
        "-y",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
    ]
    _run([*apt, "update"], "The distribution's package lists could not be fetched.")
    _run([*apt, "--download-only", "install", *PACKAGES], "The distribution's MariaDB could not be fetched.")
    return sorted((work / "archives").glob("*.deb"))


def _user_name() -> str:
    answer = subprocess.run(["id", "-un"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    return answer.stdout.strip() or "root"


def _run(command: list[str], failure: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as late:
        raise NoMariaDb(failure, remedy="The mirror did not answer in time; try again.") from late
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["apt gave no reason"])[-1]
        raise NoMariaDb(
            f"{failure} {last}", remedy="Check this machine's package mirror, or install MariaDB."
        )


def main() -> int:
    """Print the path of a server that runs; 1 and a sentence when there is none."""
    try:
        print(find_mariadb().server)
    except NoMariaDb as nothing:
        print(nothing.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
