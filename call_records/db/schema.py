"""Bring the tables up to date, from nothing or from any earlier release. Safe when several processes start at once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db import locks
from telephony.errors import NeedsPerson, OurMistake

log = structlog.get_logger(__name__)

UPGRADE_STATEMENT = "300s"  # an index on a million calls takes seconds; this is for slow disks


class NewerDatabase(NeedsPerson):
    """The database was made by a newer release, whose tables this one does not know (a downgrade)."""

    def __init__(self, revision: str) -> None:
        super().__init__(
            f"This database was made by a newer Switchhook (its tables are {revision}, this release knows "
            f"{newest_revision()}).",
            remedy="Install that release again, or restore the backup that was made before it into an empty database.",
        )


async def upgrade(engine: AsyncEngine) -> None:
    """Take the schema to this release in one transaction. A second process waits, then finds nothing to do.

    Raises NewerDatabase where a newer release was there before.
    """
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL statement_timeout = '{UPGRADE_STATEMENT}'"))
        await connection.execute(text(f"SET LOCAL lock_timeout = '{UPGRADE_STATEMENT}'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": locks.UPGRADE})
        await connection.run_sync(_upgrade_to_head)


@cache
def newest_revision() -> str:
    """The step this release expects the database to be at. Read once: readiness is asked for at every moment, and
    must not depend on the files of the package being readable then."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise OurMistake("The package ships no migration.", remedy="Install Switchhook anew.")
    return head


def present_revision(connection: Connection) -> str | None:
    """The step the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def refuse_newer(revision: str | None) -> None:
    """Raise NewerDatabase for a step that this release does not know."""
    if revision is not None and revision not in known_revisions():
        raise NewerDatabase(revision)


@cache
def known_revisions() -> frozenset[str]:
    """Every step this release knows."""
    return frozenset(step.revision for step in ScriptDirectory.from_config(_config()).walk_revisions())


def upgrade_to(connection: Connection, revision: str) -> None:
    """Take the schema to that step, in the connection's own transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _upgrade_to_head(connection: Connection) -> None:
    before = present_revision(connection)
    refuse_newer(before)
    upgrade_to(connection, "head")
    if before != newest_revision():
        log.info("database_migrated", before=before or "empty", after=newest_revision())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
