"""Make a backup of database and audio into one directory, while the service runs.

Audio comes first: an object never changes once it is stored, so what is there can be copied at any time. Then the
tables are read in one snapshot of the database, and at last the few objects that came between. So database and audio
fit together, save for recordings removed or redacted in those last seconds, which are told by name.

Tables are read with COPY, not with `pg_dump`: the archive can be read without PostgreSQL, restored into any later
version of it, and needs no program beside the service, which an embedded database may not have.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.backup.archive import (
    AUDIO,
    AUDIO_LIST,
    PIECE_BYTES,
    Archive,
    Manifest,
    Member,
    SequenceState,
    TableMember,
)
from call_records.db.errors import plain_errors
from call_records.recordings.storage.audio_store import AudioShelf, StoredAudio, stored_audio
from call_records.recordings.storage.backends import Missing
from call_records.recordings.tables import audio_objects
from telephony.errors import NeedsPerson, OurMistake

LEFT_OUT = frozenset(
    {"alembic_version", "sessions", "tokens", "sign_in_tries", "form_answers", "recent_changes"}
)
"""The migrations' own mark is in the manifest; a restored backup must not revive sessions or tokens that were ended
since."""
ROWS = 500
TELL_EVERY = 1000  # recordings; some seconds each time
COPY_SECONDS = 3600  # for one table; ten million calls take some minutes

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a backup came to."""

    manifest: Manifest
    copied: int
    """Objects that were not in the directory yet."""
    forgotten: int
    """Objects of earlier backups that are no longer kept."""


async def make_backup(
    engine: AsyncEngine, shelf: AudioShelf, archive: Archive, *, tell: Tell, quick: bool = False
) -> Made:
    """Back up everything. `quick` believes the length of audio that is there instead of reading it again.

    Raises TryLater when database or storage do not answer and NeedsPerson for a directory that cannot be used; the
    backup that was there before stays whole.
    """
    earlier = archive.prepare()
    known = {one.path: one for one in archive.audio_list(earlier)} if earlier else {}
    copying = _Copying(shelf, archive, known, quick)
    count = 0
    async for stored in _live(engine):  # nothing, where the tables are older than recordings
        await copying.copy(stored)
        count += 1
        if count % TELL_EVERY == 0:
            tell(f"{count} recordings looked at, {copying.copied} copied")
    with plain_errors():
        async with engine.connect() as connection:
            snapshot = await _Snapshot(connection, archive).take(tell)
    for stored in snapshot.objects:
        await copying.copy(stored)
    missing = await _still_named(engine, copying.absent)
    wanted = {stored.key for stored in snapshot.objects}
    objects = [one for key, one in copying.here.items() if key in wanted]
    manifest = Manifest(
        made_at=snapshot.at.isoformat(),
        schema=snapshot.schema,
        tables=tuple(snapshot.members),
        sequences=tuple(snapshot.sequences),
        audio=await _list_audio(archive, snapshot.directory, objects),
        objects=len(objects),
        vanished=tuple(sorted((copying.absent - missing) & wanted)),
        missing=tuple(sorted(missing & wanted)),
    )
    archive.write(manifest)
    forgotten = archive.forget_other(snapshot.directory, {one.path for one in objects})
    return Made(manifest, copying.copied, forgotten)


class _Copying:
    """Audio objects into the archive, each once."""

    def __init__(self, shelf: AudioShelf, archive: Archive, known: dict[str, Member], quick: bool) -> None:
        self._shelf = shelf
        self._archive = archive
        self._known = known
        self._quick = quick
        self.here: dict[str, Member] = {}
        self.absent: set[str] = set()
        self.copied = 0

    async def copy(self, stored: StoredAudio) -> None:
        """Bring the object, unless it is here."""
        if stored.key in self.here or stored.key in self.absent:
            return
        path = f"{AUDIO}/{stored.key}"
        known = self._known.get(path)
        if known is not None and self._archive.has(known, quick=self._quick):
            self.here[stored.key] = known
            return
        try:
            with self._archive.new_object(path) as file:
                for first in range(0, stored.stored_bytes, PIECE_BYTES):
                    last = min(first + PIECE_BYTES, stored.stored_bytes) - 1
                    file.write(await self._shelf.place.get(stored.key, first, last))
        except Missing:
            self.absent.add(stored.key)
            return
        fresh = self._archive.member(path)
        if fresh.bytes != stored.stored_bytes or (
            stored.key_id is None and fresh.sha256 != stored.sha256.hex()
        ):
            self.absent.add(stored.key)
            return
        self.here[stored.key] = fresh
        self.copied += 1


class _Snapshot:
    """The tables as they were at one moment."""

    def __init__(self, connection: AsyncConnection, archive: Archive) -> None:
        self._connection = connection
        self._archive = archive
        self.at = datetime.now(UTC)
        self.directory = f"database-{self.at:%Y%m%dT%H%M%S%f}Z"
        self.schema = ""
        self.members: list[TableMember] = []
        self.sequences: list[SequenceState] = []
        self.objects: list[StoredAudio] = []

    async def take(self, tell: Tell) -> _Snapshot:
        """Read everything in one transaction that sees one moment."""
        driver = await driver_of(self._connection)
        async with driver.transaction(isolation="repeatable_read", readonly=True):
            for bound in ("statement_timeout", "idle_in_transaction_session_timeout"):
                await driver.execute(f"SET LOCAL {bound} = 0")  # a table of millions takes minutes
            self.schema = await _schema_of(driver)
            for name, columns in await _tables(driver):
                member = await self._table(driver, name, columns)
                self.members.append(member)
                tell(f"{name}: {member.rows} rows")
            self.sequences = await _sequences(driver)
            if any(member.name == audio_objects.name for member in self.members):
                rows = await driver.fetch("SELECT * FROM audio_objects ORDER BY key")
                self.objects = [_from_record(row) for row in rows]
        return self

    async def _table(self, driver: Any, name: str, columns: Sequence[str]) -> TableMember:
        path = f"{self.directory}/{name}.csv.gz"
        with self._archive.compressed(path) as write:
            status = await driver.copy_from_table(
                name, columns=list(columns), output=write, format="csv", header=True, timeout=COPY_SECONDS
            )
        return TableMember(name, tuple(columns), int(status.split()[1]), self._archive.member(path))


async def driver_of(connection: AsyncConnection) -> Any:
    """asyncpg's own connection: only it speaks COPY."""
    raw = await connection.get_raw_connection()
    driver = raw.driver_connection
    if not isinstance(driver, asyncpg.Connection):
        raise OurMistake("The database is not reached by the driver that was expected.")
    return driver


async def _schema_of(driver: Any) -> str:
    if await driver.fetchval("SELECT to_regclass('alembic_version')") is None:
        raise NeedsPerson(
            "The database has no tables yet; there is nothing to back up.",
            remedy="Does DATABASE_URL name the right one?",
        )
    return str(await driver.fetchval("SELECT version_num FROM alembic_version"))


async def _tables(driver: Any) -> list[tuple[str, list[str]]]:
    """Every table with its columns, those first that others refer to."""
    columns: dict[str, list[str]] = {}
    for row in await driver.fetch(_COLUMNS):
        if row["table"] not in LEFT_OUT:
            columns.setdefault(row["table"], []).append(row["column"])
    refers: dict[str, set[str]] = {name: set() for name in columns}
    for row in await driver.fetch(_REFERENCES):
        if row["child"] in refers and row["parent"] in refers and row["child"] != row["parent"]:
            refers[row["child"]].add(row["parent"])
    ordered: list[str] = []
    while len(ordered) < len(columns):
        ready = sorted(name for name in refers if name not in ordered and refers[name] <= set(ordered))
        if not ready:
            raise OurMistake("Tables refer to each other in a circle.")
        ordered += ready
    return [(name, columns[name]) for name in ordered]


async def _sequences(driver: Any) -> list[SequenceState]:
    names = await driver.fetch(
        "SELECT sequencename AS name FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1"
    )
    states = []
    for row in names:
        state = await driver.fetchrow(f'SELECT last_value, is_called FROM "{row["name"]}"')  # noqa: S608 - the catalogue's own name
        states.append(SequenceState(row["name"], state["last_value"], state["is_called"]))
    return states


def _from_record(row: Any) -> StoredAudio:
    return StoredAudio(
        key=row["key"],
        recording_id=row["recording_id"],
        kind=row["kind"],
        length=row["bytes"],
        sha256=row["sha256"],
        key_id=row["key_id"],
        wrapped_key=row["wrapped_key"],
    )


async def _live(engine: AsyncEngine) -> AsyncIterator[StoredAudio]:
    """Every object the database names now, a page at a time."""
    with plain_errors():
        async with engine.connect() as connection:
            if await connection.scalar(text("SELECT to_regclass('audio_objects')")) is None:
                return
    after = ""
    while rows := await _page(engine, after):
        for stored in rows:
            yield stored
        after = rows[-1].key


async def _page(engine: AsyncEngine, after: str) -> Sequence[StoredAudio]:
    page = select(audio_objects).where(audio_objects.c.key > after).order_by(audio_objects.c.key).limit(ROWS)
    with plain_errors():
        async with engine.connect() as connection:
            return [stored_audio(row) for row in await connection.execute(page)]


async def _still_named(engine: AsyncEngine, absent: Collection[str]) -> set[str]:
    """Which of the objects that could not be copied should have been there; the others were removed meanwhile."""
    if not absent:
        return set()
    with plain_errors():
        async with engine.connect() as connection:
            return set((await connection.scalars(_STILL_NAMED, {"keys": sorted(absent)})).all())


async def _list_audio(archive: Archive, directory: str, objects: Iterable[Member]) -> Member:
    path = f"{directory}/{AUDIO_LIST}"
    with archive.compressed(path) as write:
        for one in objects:
            line = {"path": one.path, "bytes": one.bytes, "sha256": one.sha256}
            await write(json.dumps(line).encode() + b"\n")
    return archive.member(path)


_COLUMNS = """
    SELECT c.relname AS "table", a.attname AS "column"
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
      AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY c.relname, a.attnum
"""
_REFERENCES = """
    SELECT c.relname AS child, p.relname AS parent
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
    WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace
"""
_STILL_NAMED = text("SELECT key FROM audio_objects WHERE key = ANY(CAST(:keys AS text[]))")
