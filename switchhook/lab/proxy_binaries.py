"""nginx, Apache and Caddy for the tests of packaging/: installed ones, the cache, or the distribution's own packages,
unpacked without root. None of them is ever started as a service of the machine.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from telephony.errors import NeedsPerson

FETCH_SECONDS = 240  # about 5 s with a near mirror
SYSTEM = Path("/")


@dataclass(frozen=True, slots=True)
class ProxyKind:
    """A reverse proxy: its packages with the libraries that a machine need not have, its program, how it says hello."""

    name: str
    packages: tuple[str, ...]
    program: str
    version: tuple[str, ...]


NGINX = ProxyKind("nginx", ("nginx", "nginx-common"), "usr/sbin/nginx", ("-v",))
APACHE = ProxyKind("apache", ("apache2-bin", "libapr1", "libaprutil1"), "usr/sbin/apache2", ("-v",))
CADDY = ProxyKind("caddy", ("caddy",), "usr/bin/caddy", ("version",))


class NoProxy(NeedsPerson):
    """This reverse proxy cannot be had on this machine."""


@dataclass(frozen=True, slots=True)
class ProxyInstall:
    """A tree with a program that runs: `/` for an installed one."""

    kind: ProxyKind
    tree: Path

    @property
    def program(self) -> Path:
        """What is started."""
        return self.tree / self.kind.program

    @property
    def environment(self) -> dict[str, str]:
        """What it needs to find the libraries that came with it."""
        own = [str(path) for path in sorted((self.tree / "usr/lib").glob("*-linux-gnu*"))]
        return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(own)} if own and self.tree != SYSTEM else {})}

    def runs(self) -> bool:
        """Whether it does."""
        if not self.program.exists():
            return False
        try:
            done = subprocess.run(  # noqa: S603
                [self.program, *self.kind.version],
                env=self.environment,
                capture_output=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0


def find_proxy(kind: ProxyKind) -> ProxyInstall:
    """An installed one, the cached one, or a fetched one. Raises NoProxy with a remedy."""
    home = _cache_directory(kind)
    for tree in (SYSTEM, home):
        if (found := ProxyInstall(kind, tree)).runs():
            return found
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may ask at once: one fetches, the other waits for it
        if not ProxyInstall(kind, home).runs():
            _fetch(kind, home)
    found = ProxyInstall(kind, home)
    if not found.runs():
        raise NoProxy(
            f"The {kind.name} in {home} does not run on this machine.",
            remedy=f"Delete {home}, or install {kind.packages[0]}.",
        )
    return found


def _cache_directory(kind: ProxyKind) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "switchhook" / f"{kind.name}-{platform.machine()}"


def _fetch(kind: ProxyKind, home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        work, tree = Path(scratch), Path(scratch, "tree")
        options = [
            "-qq",
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Debug::NoLocking=1",
            "-o",
            "Acquire::Retries=2",
        ]
        _run(kind, ["apt-get", *options, "download", *kind.packages], work)
        for archive in sorted(work.glob("*.deb")):
            _run(kind, ["dpkg-deb", "-x", str(archive), str(tree)], work)
        shutil.rmtree(home, ignore_errors=True)  # half of something from before
        tree.rename(home)  # one step: nobody ever sees half a program


def _run(kind: ProxyKind, command: list[str], directory: Path) -> None:
    remedy = f"Install {kind.packages[0]}, or look at this machine's package mirror (apt-get update)."
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=directory, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as trouble:
        raise NoProxy(f"{kind.name} could not be fetched.", remedy=remedy) from trouble
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["apt gave no reason"])[-1]
        raise NoProxy(f"{kind.name} could not be fetched: {last}", remedy=remedy)
