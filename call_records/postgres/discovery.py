"""Which PostgreSQL servers of ours run on this machine, found without making anything.

A command beside a running service must use that service's database. Where it is cannot be known from the configuration
alone: systemd names the directory in the service's environment, and a server of root belongs to another user. So the
servers themselves are looked at: a server's parent is the Switchhook that started it (it dies with it), and both
command lines can be read by everybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from call_records.postgres.cluster import NAME

PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class RunningCluster:
    """A server that some Switchhook of this machine runs now."""

    home: Path
    """Its directory: `data`, `run` and `runner.lock` lie in it."""
    socket_dir: Path
    runner: int
    """Process id of the Switchhook that runs it."""
    runner_command: tuple[str, ...]

    @property
    def url(self) -> str:
        """The address to hand to `open_records`."""
        return f"postgresql+asyncpg://{NAME}@/{NAME}?host={quote(str(self.socket_dir))}"

    def may_be_entered(self) -> bool:
        """Whether this user may use it: the server's own user, and root."""
        return os.access(self.socket_dir, os.W_OK | os.X_OK)


def find_running_clusters() -> list[RunningCluster]:
    """Every server of ours on this machine, whoever runs it."""
    return list(_running())


def _running() -> Iterator[RunningCluster]:
    for process in PROCESSES.iterdir():
        if process.name.isdecimal():
            found = _cluster_of(_command_of(process), process)
            if found is not None:
                yield found


def _cluster_of(command: Sequence[str], process: Path) -> RunningCluster | None:
    """A postmaster of ours: `postgres -D HOME/data -k SOCKETS …`, its parent a Switchhook."""
    if len(command) < 5 or not command[0].endswith("/postgres") or (command[1], command[3]) != ("-D", "-k"):
        return None
    data, parent = Path(command[2]), _parent_of(process)
    if parent is None or data.name != "data":
        return None
    return RunningCluster(data.parent, Path(command[4]), parent, _command_of(PROCESSES / str(parent)))


def _command_of(process: Path) -> tuple[str, ...]:
    try:
        raw = (process / "cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return ()
    return tuple(os.fsdecode(part) for part in raw.split(b"\0") if part)


def _parent_of(process: Path) -> int | None:
    """The second word of `stat` behind the name in brackets, which may hold anything."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
