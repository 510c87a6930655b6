"""Whether calls can be kept: the server, our rights in it, and whose tables those are."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from call_records.db import schema
from call_records.db.errors import plain_errors
from call_records.store import address_of
from switchhook.doctor.findings import Finding, Level, stumbled
from switchhook.service_database import find_database
from switchhook.settings.settings import Settings
from telephony.errors import NeedsPerson, SwitchhookError

OLDEST_POSTGRESQL = 150000  # server_version_num; 15 is what Debian 12 brings and the oldest that is tried
DATABASE_SECONDS = 10  # connect and some queries; a healthy server takes a tenth of a second
EXTENSION = "pg_trgm"
"""Part of PostgreSQL, but in a package of its own on some systems; the search for names needs it."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a server said of itself and of us."""

    version: int
    database: str
    user: str
    owner: str
    revision: str | None
    """The step of the tables; None where there are none yet."""
    may_create: bool
    has_extension: bool
    offers_extension: bool
    may_create_extension: bool


async def examine_database(settings: Settings) -> AsyncIterator[Finding]:
    """The configured server, or the one of our own if it runs. Nothing is started, made or changed."""
    given = settings.database.url
    url = given.get_secret_value() if given is not None else _running_of_our_own(settings)
    if url is None:
        yield Finding(
            Level.FINE, "database", "Switchhook starts its own PostgreSQL; nothing to reach beforehand."
        )
        return
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            server = await _ask(url)
        for finding in describe_server(server):
            yield finding
    except Exception as mistake:  # the doctor must finish the round
        yield _unreachable(url, mistake)


def _running_of_our_own(settings: Settings) -> str | None:
    with suppress(SwitchhookError):
        found = find_database(settings)
        return found if isinstance(found, str) else found.running_url()
    return None


async def _ask(url: str) -> Server:
    address = address_of(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with plain_errors():
        connection: Any = await asyncpg.connect(address, timeout=DATABASE_SECONDS)
        try:
            row = await connection.fetchrow(QUESTION, EXTENSION)
            revision = None
            if row["has_schema"]:
                revision = await connection.fetchval("SELECT version_num FROM alembic_version")
        finally:
            await connection.close(timeout=1)
    return Server(
        version=int(row["version"]),
        database=row["database"],
        user=row["username"],
        owner=row["owner"],
        revision=revision,
        may_create=row["may_create"],
        has_extension=row["has_extension"],
        offers_extension=row["offers_extension"],
        may_create_extension=row["may_create_extension"],
    )


QUESTION = """
SELECT current_setting('server_version_num') AS version, current_database() AS database, current_user AS username,
  (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()) AS owner,
  to_regclass('alembic_version') IS NOT NULL AS has_schema,
  coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
  EXISTS (SELECT FROM pg_extension WHERE extname = $1) AS has_extension,
  EXISTS (SELECT FROM pg_available_extensions WHERE name = $1) AS offers_extension,
  has_database_privilege(current_database(), 'CREATE') AS may_create_extension
"""
"""An extension that is trusted, as this one, needs the right to create in the database; its owner has it."""


def describe_server(server: Server) -> Iterator[Finding]:
    """What is well and what is not."""
    major = server.version // 10000
    if server.version < OLDEST_POSTGRESQL:
        yield _fault(f"PostgreSQL {major} is too old.", "Use PostgreSQL 15 or later.")
    else:
        yield Finding(Level.FINE, "database", f"PostgreSQL {major} answers.")
    owner = f'As a superuser: ALTER DATABASE "{server.database}" OWNER TO "{server.user}";'
    if not server.may_create:
        yield _fault(f"The database user {server.user} may not create tables.", owner)
    if not server.has_extension and not server.offers_extension:
        yield _fault(
            f"The server does not have the extension {EXTENSION}, which the search needs.",
            f"Install it beside the server (package postgresql-contrib, or postgresql-{major} on Debian).",
        )
    elif not server.has_extension and not server.may_create_extension:
        yield _fault(
            f"The database user {server.user} may not make the extension {EXTENSION}; {server.owner} owns the database.",
            owner,
        )
    try:
        schema.refuse_newer(server.revision)
    except NeedsPerson as newer:
        yield _fault(str(newer), newer.remedy or "")
    if server.revision is None:
        yield Finding(Level.NOTICE, "database", "The tables do not exist yet; the first start makes them.")


def _fault(what: str, remedy: str) -> Finding:
    return Finding(Level.FAULT, "database", what, remedy)


def _unreachable(url: str, mistake: Exception) -> Finding:
    """In words; the names of exceptions say nothing to whoever must mend it."""
    parts = urlsplit(url)
    cause: BaseException | None = mistake
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return _fault(
                f"There is no machine called {parts.hostname}, which [database] url names.",
                "Correct the host; characters such as @, / and # in a password are written %40, %2F and %23.",
            )
        if isinstance(cause, ConnectionRefusedError):
            return _fault(
                f"Nothing listens at {parts.hostname}:{parts.port or 5432}.",
                "Start PostgreSQL, or correct the host and port in [database] url.",
            )
        cause = cause.__cause__ or cause.__context__
    return stumbled("database", mistake)
