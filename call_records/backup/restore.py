"""Put a backup back: into an empty database, all of it or nothing.

Every checksum is compared before anything is written. Audio goes first, each object read back; one that is there
already and the same is left, so a restore that was interrupted goes on where it was. Then the database is filled in one
transaction: the tables as they were at the time of the backup, their rows, the sequences, and the migrations since.

The triggers that keep logs from being changed do not stand in the way: they refuse UPDATE, DELETE and TRUNCATE, and a
restore only adds.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.backup.archive import AUDIO, PIECE_BYTES, Archive, Manifest, Member, TableMember
from call_records.backup.backup import COPY_SECONDS, TELL_EVERY, Tell, driver_of
from call_records.db import schema
from call_records.db.errors import plain_errors
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.backends import Missing, Taken
from telephony.errors import NeedsPerson, OurMistake, PeerMistake, TryLater

PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore came to."""

    manifest: Manifest
    objects: int
    """Objects put into the storage; the others were there already."""


async def restore_backup(engine: AsyncEngine, shelf: AudioShelf, archive: Archive, *, tell: Tell) -> Restored:
    """Restore everything. Raises NeedsPerson for a database that is not empty or a backup of a newer release,
    PeerMistake for a backup that is damaged: in both cases nothing was written.
    """
    manifest = archive.read()
    if manifest.schema not in schema.known_revisions():
        raise NeedsPerson(
            "The backup was made by a newer release of Switchhook.",
            remedy="Install that release, or one after it.",
        )
    await _require_empty(engine)
    tell("comparing every checksum")
    _check(archive, manifest)
    objects = await _put_audio(shelf, archive, manifest, tell)
    with plain_errors():
        async with engine.begin() as connection:
            await _fill(connection, archive, manifest, tell)
    return Restored(manifest, objects)


async def _require_empty(engine: AsyncEngine) -> None:
    with plain_errors():
        async with engine.connect() as connection:
            found = await connection.scalar(_ANY_TABLE)
    if found is not None:
        raise NeedsPerson(
            "The database is not empty: it has a table {found}.",
            remedy="Restore into a new database (`createdb`), or with an embedded one into a new state_dir.",
            values={"found": found},
        )


def _check(archive: Archive, manifest: Manifest) -> None:
    archive.check(manifest.audio)
    for table in manifest.tables:
        archive.check(table.file)
    for one in archive.audio_list(manifest):
        archive.check(one)


async def _put_audio(shelf: AudioShelf, archive: Archive, manifest: Manifest, tell: Tell) -> int:
    put = 0
    for count, one in enumerate(archive.audio_list(manifest), start=1):
        put += await _put_object(shelf, archive, one)
        if count % TELL_EVERY == 0:
            tell(f"{count} of {manifest.objects} recordings")
    return put


async def _put_object(shelf: AudioShelf, archive: Archive, one: Member) -> bool:
    """Whether it had to be put; either way it is there and the same afterwards."""
    key = one.path.removeprefix(f"{AUDIO}/")
    fresh = True
    try:
        await shelf.place.put(key, archive.path_of(one.path))
    except Taken:
        fresh = False
    if await _digest_of(shelf, key, one.bytes) == one.sha256:
        return fresh
    if fresh:
        await shelf.place.delete(key)
        raise TryLater(
            "The storage {name} did not give back what it was given.", values={"name": shelf.place.name}
        )
    raise NeedsPerson(
        "The storage {name} holds another {key} than the backup.",
        remedy="Restore into an empty directory or under a new prefix.",
        values={"name": shelf.place.name, "key": key},
    )


async def _digest_of(shelf: AudioShelf, key: str, length: int) -> str | None:
    digest = hashlib.sha256()
    try:
        for first in range(0, length, PIECE_BYTES):
            digest.update(await shelf.place.get(key, first, min(first + PIECE_BYTES, length) - 1))
    except Missing:
        return None
    return digest.hexdigest()


async def _fill(connection: AsyncConnection, archive: Archive, manifest: Manifest, tell: Tell) -> None:
    for bound in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        await connection.execute(text(f"SET LOCAL {bound} = 0"))
    await connection.run_sync(schema.upgrade_to, manifest.schema)
    driver = await driver_of(connection)
    for table in reversed(manifest.tables):
        # What a migration put there is in the backup too, as it became since.
        await driver.execute(f'DELETE FROM "{_plain_name(table.name)}"')  # noqa: S608 - a plain name
    for table in manifest.tables:
        await _copy_in(driver, archive, table)
        tell(f"{table.name}: {table.rows} rows")
    for sequence in manifest.sequences:
        await connection.execute(
            _SET_SEQUENCE, {"name": sequence.name, "value": sequence.value, "called": sequence.called}
        )
    await connection.run_sync(schema.upgrade_to, "head")
    await connection.execute(_FORGET_TOKENS)
    for statement in _CRMS_WENT_ON:
        await connection.execute(statement)
    await connection.execute(_FORGET_OBJECTS, {"keys": [*manifest.vanished, *manifest.missing]})


def _plain_name(name: str) -> str:
    """The manifest comes from outside: a table's name is letters, digits and underscores."""
    if not PLAIN_NAME.fullmatch(name):
        raise PeerMistake(f"The backup names a table that cannot be one: {name!r}.")
    return name


async def _copy_in(driver: Any, archive: Archive, table: TableMember) -> None:
    status = await driver.copy_to_table(
        table.name,
        columns=list(table.columns),
        source=_unpacked(archive.path_of(table.file.path)),
        format="csv",
        header=True,
        timeout=COPY_SECONDS,
    )
    if int(status.split()[1]) != table.rows:
        raise OurMistake(f"The table {table.name} did not take every row of the backup.")


async def _unpacked(path: Path) -> AsyncIterator[bytes]:
    with gzip.open(path, "rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


_ANY_TABLE = text("""
    SELECT c.relname FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1 LIMIT 1
""")
_SET_SEQUENCE = text("SELECT setval(quote_ident(:name)::regclass, :value, :called)")
# Backups of earlier releases hold them; one that was ended since must not open anything again.
_FORGET_TOKENS = text("DELETE FROM tokens")
# The CRMs have what was delivered since the backup. So what was on its way then is looked for there before it is sent;
# calls of since then, which the event log may tell again, are theirs already; and tokens that were renewed are spent.
# A receiver of webhooks cannot be asked, and makes one of a repetition by its id.
_CRMS_WENT_ON = (
    text("DELETE FROM crm_credentials"),
    text("DELETE FROM crm_holds"),
    text("UPDATE crm_connections SET connected_at = clock_timestamp()"),
    text("""
        UPDATE crm_deliveries d SET state = 'unknown', content = d.content || '{"state": "unknown"}'
        FROM crm_connections c
        WHERE c.name = d.connection AND c.adapter <> 'webhook' AND d.state IN ('queued', 'sending')
            AND d.kind IN ('create_lead', 'close_call', 'attach_recording')
    """),
)
_FORGET_OBJECTS = text("DELETE FROM audio_objects WHERE key = ANY(CAST(:keys AS text[]))")
"""The archive does not have these: their recordings keep their rows and have no sound."""
