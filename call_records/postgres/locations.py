"""Where a cluster of ours lies, looked up without making anything."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path

ELSEWHERE = Path("/var/lib/switchhook")
"""Where root's cluster is when its user cannot enter the state directory."""


def cluster_homes(state_dir: Path) -> tuple[Path, Path]:
    """Where the cluster of that directory may lie: in it, or where root had to put it."""
    state_dir = state_dir.absolute()
    return (state_dir / "postgres", ELSEWHERE / f"postgres-{short_name(state_dir)}")


def existing_cluster(state_dir: Path) -> Path | None:
    """The home of the cluster that was made for that directory; None when there is none that can be looked at."""
    for home in cluster_homes(state_dir):
        with suppress(OSError):
            if stat.S_ISREG((home / "data" / "PG_VERSION").stat().st_mode):
                return home
    return None


def short_name(path: Path) -> str:
    """A few characters that stand for a path where its own name would be too long."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
