"""Where SIPp comes from: a SIP stack that is not ours, so that phones and tracker do not share one reading of the RFCs.

First a `sipp` that is installed (package sip-tester). Else one from the cache. Else the distribution's package is fetched
as Asterisk is: unpacked without root and without touching the system, with its own loader and libraries.

    python -m switchhook.lab.sipp_binary

prints the path of a program that runs.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from switchhook.lab.asterisk_binary import (
    NoAsterisk,
    Suite,
    cache_directory,
    download_packages,
    only_one_fetches,
    unpack_packages,
)
from switchhook.lab.relocate import make_program_relocatable
from telephony.errors import NeedsPerson

PACKAGE = Suite("sid", 3, ("sip-tester",))
REMEDY = "Install the package sip-tester, so that `sipp` is on PATH."


class NoSipp(NeedsPerson):
    """No SIPp can be had on this machine."""


def find_sipp(*, fetch: bool = True) -> Path:
    """The installed SIPp, the cached one, or a fetched one. Raises NoSipp with a remedy."""
    installed = shutil.which("sipp")
    if installed and _runs(Path(installed)):
        return Path(installed)
    home = cache_directory(PACKAGE.name).with_name(f"sipp-{platform.machine()}")
    program = home / "sipp"
    if not program.exists():
        if not fetch:
            raise NoSipp("No SIPp is installed and none has been fetched yet.", remedy=REMEDY)
        _fetch(home)
    if not _runs(program):
        raise NoSipp(
            f"The SIPp in {home} does not run on this machine.", remedy=f"Delete {home}; or: {REMEDY}"
        )
    return program


def _fetch(home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    try:
        with only_one_fetches(home):
            if not home.exists():  # the process we waited for may have brought it
                _unpack_into(home)
    except NoAsterisk as nothing:  # the same mirrors, the same tools
        raise NoSipp(str(nothing), remedy=REMEDY) from nothing


def _unpack_into(home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent) as scratch:
        work = Path(scratch)
        tree = unpack_packages(download_packages(PACKAGE, work), work)
        make_program_relocatable(tree, tree / "usr/bin/sipp", work / "ready")
        (work / "ready").rename(home)  # one step: nobody ever sees half of it


def _runs(program: Path) -> bool:
    try:
        answer = subprocess.run([program, "-v"], capture_output=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"SIPp v" in answer.stdout


def main() -> int:
    """Print the path of a SIPp that runs; 1 and a sentence when there is none."""
    try:
        print(find_sipp())
    except NoSipp as nothing:
        print(nothing.sentence, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
