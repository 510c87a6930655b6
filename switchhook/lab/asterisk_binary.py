"""Where the private Asterisk comes from.

First an `asterisk` that is installed. Else one from the cache. Else the distribution's own packages are fetched with
apt into a private directory, unpacked without root and without touching the system, and kept in the cache.

    python -m switchhook.lab.asterisk_binary [sid|bullseye]

prints the path of a program that runs. Two processes may ask at once: one fetches, the other waits for it.
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

from switchhook.lab.relocate import make_relocatable
from telephony.errors import NeedsPerson

FETCH_SECONDS = 300  # about 25 s with a near mirror; a slow line still gets through, a dead one is noticed
OLDEST_MAJOR = 16  # what the captures and the event filters were proved with


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian release that has an Asterisk."""

    name: str
    major: int
    packages: tuple[str, ...]


SUITES = {
    "sid": Suite("sid", 22, ("asterisk",)),
    # 16 keeps voicemail in a package of its own.
    "bullseye": Suite("bullseye", 16, ("asterisk", "asterisk-voicemail")),
}
DEFAULT_SUITE = "sid"


class NoAsterisk(NeedsPerson):
    """No Asterisk can be had on this machine."""


@dataclass(frozen=True, slots=True)
class AsteriskInstall:
    """A program that runs, with its loadable modules and its data (sounds, documentation)."""

    program: Path
    modules: Path
    data: Path
    version: str
    """As `asterisk -V` tells it, such as `22.10.1`."""

    @property
    def major(self) -> int:
        """22 of 22.10.1."""
        return int(self.version.split(".")[0])


def find_asterisk(suite: str = DEFAULT_SUITE, *, fetch: bool = True) -> AsteriskInstall:
    """The installed Asterisk, the cached one, or a fetched one. Raises NoAsterisk with a remedy.

    An installed one serves the default suite whatever its version (from 16 on); for any other suite its major version
    has to be that suite's. Fetching takes about half a minute, once.
    """
    if suite not in SUITES:
        raise NoAsterisk(f"There is no suite {suite!r}.", remedy=f"Use one of: {', '.join(SUITES)}.")
    wanted = SUITES[suite]
    installed = _installed()
    if installed and (
        installed.major == wanted.major or (suite == DEFAULT_SUITE and installed.major >= OLDEST_MAJOR)
    ):
        return installed
    home = cache_directory(suite)
    if (home / "asterisk").exists():
        return _unpacked(home)
    if not fetch:
        raise NoAsterisk(
            "No Asterisk is installed and none has been fetched yet.",
            remedy="Install the package asterisk, or run: python -m switchhook.lab.asterisk_binary",
        )
    home.parent.mkdir(parents=True, exist_ok=True)
    with only_one_fetches(home):
        if not (home / "asterisk").exists():  # the process we waited for may have brought it
            _fetch(wanted, home)
    return _unpacked(home)


def cache_directory(suite: str) -> Path:
    """`$XDG_CACHE_HOME/switchhook/asterisk-SUITE-ARCH`: outside any repository, safe to delete."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "switchhook" / f"asterisk-{suite}-{platform.machine()}"


def _installed() -> AsteriskInstall | None:
    # /usr/sbin is not on an ordinary user's PATH, yet the program there runs for them.
    found = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if not found:
        return None
    version = _version_of(Path(found))
    modules = _first_directory("/usr/lib/*-linux-gnu*/asterisk/modules", "/usr/lib*/asterisk/modules")
    data = _first_directory("/usr/share/asterisk", "/var/lib/asterisk")
    if version is None or modules is None or data is None:
        return None
    return AsteriskInstall(Path(found), modules, data, version)


def _first_directory(*patterns: str) -> Path | None:
    matches = (path for pattern in patterns for path in Path("/").glob(pattern.lstrip("/")) if path.is_dir())
    return next(matches, None)


def _unpacked(home: Path) -> AsteriskInstall:
    version = _version_of(home / "asterisk")
    if version is None:
        raise NoAsterisk(
            f"The Asterisk in {home} does not run on this machine.", remedy=f"Delete {home} and start again."
        )
    return AsteriskInstall(home / "asterisk", home / "modules", home / "data", version)


def _version_of(program: Path) -> str | None:
    try:
        answer = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = re.search(r"Asterisk (?:certified/)?(\d+(?:\.\d+)*)", answer.stdout)
    return told.group(1) if told else None


@contextmanager
def only_one_fetches(home: Path) -> Iterator[None]:
    """Two processes may ask at once: one fetches, the other waits for it."""
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(suite: Suite, home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        work = Path(scratch)
        archives = download_packages(suite, work)
        tree = unpack_packages(archives, work)
        ready = work / "ready"
        make_relocatable(tree, ready)
        (ready / "PACKAGES").write_text("".join(f"{archive.name}\n" for archive in archives))
        if _version_of(ready / "asterisk") is None:
            raise NoAsterisk(
                "An Asterisk was fetched but does not run on this machine.",
                remedy="Install Asterisk 16 or newer so that `asterisk` is on PATH.",
            )
        if home.exists():  # half of something from before the lock and the rename existed
            shutil.rmtree(home)
        ready.rename(home)  # one step: nobody ever sees half an Asterisk


def download_packages(suite: Suite, work: Path) -> list[Path]:
    """Download its packages and everything they need, using a private apt state that believes nothing is installed."""
    for tool in ("apt-get", "dpkg-deb", "tar"):
        if not shutil.which(tool):
            raise NoAsterisk(
                f"No Asterisk is installed, and {tool} is not here to fetch one.",
                remedy="Install Asterisk 16 or newer with your system's package tool so that `asterisk` is on PATH.",
            )
    for name in ("lists/partial", "archives/partial", "etc/preferences.d"):
        (work / name).mkdir(parents=True)
    (work / "status").write_text("")
    options = {
        "Dir::State": str(work),
        "Dir::State::lists": str(work / "lists"),
        "Dir::State::status": str(work / "status"),
        "Dir::Cache": str(work),
        "Dir::Cache::archives": str(work / "archives"),
        "Debug::NoLocking": "1",
        "APT::Install-Recommends": "0",
        "pkgCacheGen::Essential": "none",
        "APT::Sandbox::User": _user_name(),  # as root apt would otherwise drop to a user that cannot write here
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        **_sources(suite, work),
    }
    apt = [
        "apt-get",
        "-qq",
        "-y",
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
    ]
    packages = [
        name for name in suite.packages if name != "asterisk-voicemail" or _distribution() != "ubuntu"
    ]
    _run([*apt, "update"], "The distribution's package lists could not be fetched.")
    _run([*apt, "--download-only", "install", *packages], "The distribution's Asterisk could not be fetched.")
    return sorted((work / "archives").glob("*.deb"))


def _sources(suite: Suite, work: Path) -> dict[str, str]:
    """Options that point apt at the suite; on Ubuntu the machine's own sources, which do have an Asterisk."""
    if _distribution() == "ubuntu":
        return {}
    keyring = next(
        (
            path
            for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp")
            if (path := Path("/usr/share/keyrings") / name).exists()
        ),
        None,
    )
    if keyring is None:
        raise NoAsterisk(
            "The Debian archive's keys are not on this machine, so its packages cannot be trusted.",
            remedy="Install debian-archive-keyring, or an asterisk so that it is on PATH.",
        )
    listing = work / "etc" / "sources.list"
    # check-valid-until=no: an old suite's index is no longer re-signed, its signature still holds.
    listing.write_text(
        f"deb [signed-by={keyring} check-valid-until=no] {_debian_mirror()} {suite.name} main\n"
    )
    return {
        "Dir::Etc::sourcelist": str(listing),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
    }


def _debian_mirror() -> str:
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    mirror = next((line for line in told.stdout.splitlines() if re.search(r"/debian/?$", line)), None)
    if mirror is None:
        raise NoAsterisk(
            "No Asterisk is installed, and this machine's apt names no Debian mirror to fetch one from.",
            remedy="Install Asterisk 16 or newer so that `asterisk` is on PATH.",
        )
    return mirror


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def _user_name() -> str:
    answer = subprocess.run(["id", "-un"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S607
    return answer.stdout.strip() or "root"  # a uid without a name: only root is dropped from anyway


def _run(command: list[str], failure: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as late:
        raise NoAsterisk(
            failure, remedy="The mirror did not answer in time; try again, or install asterisk."
        ) from late
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["apt gave no reason"])[-1]
        raise NoAsterisk(
            f"{failure} {last}", remedy="Check this machine's package mirror, or install asterisk by hand."
        )


# Never run by Asterisk here, but large, or with scripts that only make sense when installed.
_UNWANTED = re.compile(
    r"^(perl|libperl|adduser|passwd|debconf|dpkg|tar_|apt|login|libpam-|systemd|init-system|media-types"
    r"|sensible-utils|ca-certificates|[^_]*-doc_)"
)
_NOT_NEEDED = tuple(f"--exclude=./usr/share/{name}" for name in ("doc", "man", "locale", "lintian", "bug"))


def unpack_packages(archives: list[Path], work: Path) -> Path:
    """One tree with the files of all of them."""
    tree = work / "tree"
    tree.mkdir()
    for archive in archives:
        _unpack(archive, tree)
    return tree


def _unpack(archive: Path, tree: Path) -> None:
    if _UNWANTED.match(archive.name):
        return
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as opened:  # noqa: S603, S607
        subprocess.run(  # noqa: S603
            ["tar", "-x", "-C", tree, "--no-same-owner", *_NOT_NEEDED],  # noqa: S607
            stdin=opened.stdout,
            timeout=120,
            check=True,
        )


def main(arguments: list[str]) -> int:
    """Print the path of an Asterisk that runs; 1 and a sentence when there is none."""
    try:
        print(find_asterisk(arguments[0] if arguments else DEFAULT_SUITE).program)
    except NoAsterisk as nothing:
        print(nothing.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
