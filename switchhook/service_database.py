"""Which database a command uses: that of the running service with the same configuration, else the one that is there.

A command never makes a database: an empty second one would take accounts, tokens and backups without a word. Only `run`,
`demo` and `restore` make one. In this order:

1. `[database] url`, where it is set.
2. `[database] state_dir`, where it is set: the service's server when it runs, else the cluster that lies there.
3. The server of a Switchhook that runs with the same configuration file, wherever systemd told it to keep its state.
4. The one cluster that lies in a usual place; two are a question that a person answers.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from pathlib import Path

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.postgres.discovery import RunningCluster, find_running_clusters
from call_records.postgres.locations import cluster_homes, existing_cluster
from switchhook.settings.settings import DEFAULT_FILES, Settings
from telephony.errors import NeedsPerson

SYSTEM_CONFIGURATION = DEFAULT_FILES[-1].parent
SYSTEM_STATE = Path("/var/lib/switchhook")
"""Where the unit in packaging/ keeps the state of a service that is configured in /etc/switchhook."""


class NoDatabase(NeedsPerson):
    """There is none yet, and a command makes none."""


def cluster_in(state_dir: Path) -> Path:
    """The directory that `run` gives its server."""
    return state_dir / "postgres"


def find_database(settings: Settings) -> str | EmbeddedPostgres:
    """The address of a server that runs, or the server to be started over the cluster that is there.

    Raises NoDatabase where there is none, NeedsPerson where it may not be used, and where it is not certain which one
    is meant.
    """
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    state_dir = settings.database.state_dir
    if state_dir is None:
        raise NoDatabase("There is no database.", remedy="Set [database] url or state_dir.")
    running = find_running_clusters()
    own = None if settings.origin.names_state_dir else _of_same_configuration(settings, running)
    if own is not None:
        return _entered(own)
    chosen = _choose_directory(settings, state_dir)
    for cluster in running:
        if cluster.home in cluster_homes(cluster_in(chosen)):
            return _entered(cluster)
    server = EmbeddedPostgres(cluster_in(chosen))
    if existing_cluster(server.state_dir) is None:
        raise _nothing_there(settings, chosen)
    return server


def with_service_state(settings: Settings) -> Settings:
    """The same settings, state and audio where the service that was found keeps them."""
    if settings.origin.names_state_dir or settings.database.state_dir is None:
        return settings
    before, after = settings.database.state_dir, _service_state(settings, settings.database.state_dir)
    recordings = settings.recordings
    if recordings.directory == before / "recordings":
        recordings = recordings.model_copy(update={"directory": after / "recordings"})
    database = settings.database.model_copy(update={"state_dir": after})
    return settings.model_copy(update={"database": database, "recordings": recordings})


def _service_state(settings: Settings, default: Path) -> Path:
    if settings.database.url is not None:
        return next((place for place in _system_state(settings) if place.exists()), default)
    own = _of_same_configuration(settings, find_running_clusters())
    if own is None:
        return _choose_directory(settings, default)
    return own.home.parents[1] if own.home.name == "postgres" else default


def _choose_directory(settings: Settings, state_dir: Path) -> Path:
    """The configured one; without, the usual place that has a cluster."""
    if settings.origin.names_state_dir:
        return state_dir
    usual = dict.fromkeys((state_dir, *_system_state(settings)))
    having = [place for place in usual if existing_cluster(cluster_in(place)) is not None]
    if len(having) > 1:
        raise NeedsPerson(
            f"There are databases in {having[0]} and in {having[1]}; which one is meant is not certain.",
            remedy=f'Name the service\'s own in the configuration: [database] state_dir = "{having[1]}".',
        )
    return having[0] if having else state_dir


def _system_state(settings: Settings) -> tuple[Path, ...]:
    file = settings.origin.file
    if file is None or file.absolute().parent != SYSTEM_CONFIGURATION:
        return ()
    return (SYSTEM_STATE,)


def _of_same_configuration(settings: Settings, running: Sequence[RunningCluster]) -> RunningCluster | None:
    file = settings.origin.file
    if file is None:
        return None
    same = [cluster for cluster in running if _configuration_of(cluster) == file.resolve()]
    if len(same) > 1:
        raise NeedsPerson(
            f"{len(same)} services run with {file}; which one's database is meant is not certain.",
            remedy="Set [database] state_dir in the configuration of each.",
        )
    return same[0] if same else None


def _configuration_of(cluster: RunningCluster) -> Path | None:
    """The file that the service was started with; None when it cannot be known."""
    words = cluster.runner_command
    if "run" not in words:
        return None
    named = _named_configuration(words)
    if named is not None and named.is_absolute():
        return named.resolve()
    try:
        directory = Path(f"/proc/{cluster.runner}/cwd").readlink()
    except OSError:  # of another user
        return DEFAULT_FILES[-1] if named is None else None
    candidates = [named] if named is not None else DEFAULT_FILES
    return next((place for each in candidates if (place := (directory / each).resolve()).exists()), None)


def _named_configuration(words: Sequence[str]) -> Path | None:
    for position, word in enumerate(words):
        if word in ("--config", "-c") and position + 1 < len(words):
            return Path(words[position + 1])
        if word.startswith("--config="):
            return Path(word.partition("=")[2])
    return None


def _entered(cluster: RunningCluster) -> str:
    if not cluster.may_be_entered():
        owner = _owner_of(Path(f"/proc/{cluster.runner}"))
        raise NeedsPerson(
            f"Switchhook runs as {owner} (process {cluster.runner}), and only root and {owner} may use its database.",
            remedy=f"Type the command as root, or as {owner}: runuser -u {owner} -- switchhook …",
        )
    return cluster.url


def _nothing_there(settings: Settings, state_dir: Path) -> NeedsPerson:
    file = settings.origin.file
    hidden = next((place for place in (state_dir, *_system_state(settings)) if _is_closed(place)), None)
    if hidden is not None:
        owner = _owner_of(hidden)
        return NeedsPerson(
            f"The state directory {hidden} belongs to {owner} and cannot be looked into.",
            remedy=f"Type the command as root, or as {owner}.",
        )
    return NoDatabase(
        f"There is no database in {state_dir} yet.",
        remedy=f"Start the service first (switchhook run{f' --config {file}' if file else ''}); where one runs already, "
        "give this command its --config, or set [database] state_dir there.",
    )


def _is_closed(directory: Path) -> bool:
    return directory.exists() and not os.access(directory, os.R_OK | os.X_OK)


def _owner_of(path: Path) -> str:
    try:
        uid = path.stat().st_uid
    except OSError:
        return "another user"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def refuse_to_write_as_root(settings: Settings, command: str) -> None:
    """For commands that write files into the state directory: root's files could not be read by the service later."""
    directory = settings.database.state_dir
    if os.geteuid() != 0 or directory is None or not directory.exists() or directory.stat().st_uid == 0:
        return
    owner = _owner_of(directory)
    raise NeedsPerson(
        f"{directory} belongs to {owner}, who could not read what root writes into it.",
        remedy=f"Type it as that user: runuser -u {owner} -- switchhook {command} …",
    )
