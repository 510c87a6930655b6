"""Looking after the shelf: read everything again, find what nobody knows, wrap keys anew.

`verify` reads every object as a listener would and compares it with its checksum, then lists the storage for objects
that no row names. `sweep` takes the latter away, unless there are so many that it is the database which is wrong.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update

from call_records.db.errors import plain_errors
from call_records.recordings.storage.audio_store import AudioShelf, StoredAudio, stored_audio
from call_records.recordings.storage.backends import Missing, Stored
from call_records.recordings.storage.encryption import Locked, Tampered
from call_records.recordings.tables import audio_objects
from telephony.errors import NeedsPerson, SwitchhookError

PAGE_ROWS = 500
KEY_ROWS = 500  # wrapped anew in one transaction, some 20 ms
ORPHAN_HOURS = 24  # an object younger than this may be one whose row is about to be written
SWEEP_MOST = (
    100  # in one run; a crash leaves one or two. More means that an old backup was restored beside new audio
)
OURS = re.compile(r"\d{4}/\d\d/\d\d/[0-9a-f-]{36}-\d+\.m4a(\.enc)?")
"""Keys we could have made; whatever else lies in the storage is somebody else's and never touched."""


class Fault(StrEnum):
    """What may be wrong with an object."""

    MISSING = "missing"  # a row names it, the storage does not have it
    DAMAGED = "damaged"  # it is not what was stored
    LOCKED = "locked"  # its key is missing or another one
    ORPHAN = "orphan"  # the storage has it, no row names it


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that is not as it should be."""

    fault: Fault
    key: str
    recording_id: UUID | None
    told: str


@dataclass(frozen=True, slots=True)
class Looked:
    """How far `verify` has come: after each object, with what was wrong with it, if anything."""

    objects: int
    of: int
    finding: Finding | None


@dataclass(frozen=True, slots=True)
class Rotated:
    """What `rotate_keys` did."""

    wrapped_anew: int
    unencrypted: int
    """Objects that were stored before there was a key; they stay as they are."""


async def verify(shelf: AudioShelf) -> AsyncIterator[Looked]:
    """Read every object again. Raises TryLater when the storage does not answer: then nothing is known of the rest."""
    total, seen, after = await _count(shelf), 0, ""
    while rows := await _page(shelf, after):
        for stored in rows:
            seen += 1
            yield Looked(seen, max(total, seen), await _look(shelf, stored))
        after = rows[-1].key
    async for orphan in orphans(shelf):
        yield Looked(seen, max(total, seen), orphan)


async def orphans(shelf: AudioShelf) -> AsyncIterator[Finding]:
    """Objects of the storage that look like ours and that no row names, older than a day."""
    before = datetime.now(UTC) - timedelta(hours=ORPHAN_HOURS)
    async for page in shelf.place.listed():
        old = [one for one in page if one.modified_at < before and OURS.fullmatch(one.key)]
        for one in await _unknown(shelf, old):
            told = f"{one.bytes} bytes of {one.modified_at:%Y-%m-%d}, which no recording names"
            yield Finding(Fault.ORPHAN, one.key, None, told)


async def sweep(shelf: AudioShelf) -> int:
    """Delete the orphans; returns how many. Raises NeedsPerson, deleting nothing, when there are too many."""
    found = []
    async for orphan in orphans(shelf):
        found.append(orphan)
        if len(found) > SWEEP_MOST:
            raise NeedsPerson(
                "The storage {name} has more than {most} objects that no recording names.",
                remedy="Was an older backup restored, or is it another installation's storage? Nothing was deleted.",
                values={"name": shelf.place.name, "most": SWEEP_MOST},
            )
    for orphan in found:
        await shelf.place.delete(orphan.key)
    return len(found)


async def rotate_keys(shelf: AudioShelf) -> Rotated:
    """Wrap the key of every object by the newest key; afterwards the older keys can be dropped.

    Raises NeedsPerson naming a key that is missing; what was wrapped until then stays so.
    """
    newest = shelf.keys.newest
    if newest is None:
        raise NeedsPerson(
            "There is no storage key.",
            remedy="Set [recordings] key_file; its first key encrypts what is new.",
        )
    total = 0
    while count := await _rotate_some(shelf, newest):
        total += count
    with plain_errors():
        async with shelf.engine.connect() as connection:
            plain = select(func.count()).where(audio_objects.c.key_id.is_(None))
            return Rotated(total, int(await connection.scalar(plain) or 0))


async def _rotate_some(shelf: AudioShelf, newest: str) -> int:
    wanted = (
        select(audio_objects)
        .where(audio_objects.c.key_id.is_not(None), audio_objects.c.key_id != newest)
        .order_by(audio_objects.c.key)
        .limit(KEY_ROWS)
        .with_for_update()
    )
    with plain_errors():
        async with shelf.engine.begin() as connection:
            rows = (await connection.execute(wanted)).all()
            for row in rows:
                secret = shelf.keys.unwrap(row.key_id, row.wrapped_key, row.key)
                key_id, wrapped = shelf.keys.wrap(secret, row.key)
                of_it = update(audio_objects).where(audio_objects.c.key == row.key)
                await connection.execute(of_it.values(key_id=key_id, wrapped_key=wrapped))
    return len(rows)


async def _look(shelf: AudioShelf, stored: StoredAudio) -> Finding | None:
    try:
        async for _ in shelf.pieces(stored):
            pass
    except (Missing, Tampered, Locked) as trouble:
        if not await _still_named(shelf, stored.key):
            return None  # replaced or removed while we looked
        return Finding(_fault_of(trouble), stored.key, stored.recording_id, str(trouble))
    return None


def _fault_of(trouble: SwitchhookError) -> Fault:
    if isinstance(trouble, Missing):
        return Fault.MISSING
    return Fault.DAMAGED if isinstance(trouble, Tampered) else Fault.LOCKED


async def _still_named(shelf: AudioShelf, key: str) -> bool:
    with plain_errors():
        async with shelf.engine.connect() as connection:
            named = select(audio_objects.c.key).where(audio_objects.c.key == key)
            return await connection.scalar(named) is not None


async def _count(shelf: AudioShelf) -> int:
    with plain_errors():
        async with shelf.engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(audio_objects)) or 0)


async def _page(shelf: AudioShelf, after: str) -> list[StoredAudio]:
    wanted = select(audio_objects).where(audio_objects.c.key > after).order_by(audio_objects.c.key)
    with plain_errors():
        async with shelf.engine.connect() as connection:
            return [stored_audio(row) for row in await connection.execute(wanted.limit(PAGE_ROWS))]


async def _unknown(shelf: AudioShelf, listed: Sequence[Stored]) -> list[Stored]:
    named: set[Any] = set()
    if listed:
        with plain_errors():
            async with shelf.engine.connect() as connection:
                given = {"keys": [one.key for one in listed]}
                named = set((await connection.scalars(_NAMED, given)).all())
    return [one for one in listed if one.key not in named]


_NAMED = text("SELECT key FROM audio_objects WHERE key = ANY(CAST(:keys AS text[]))")
