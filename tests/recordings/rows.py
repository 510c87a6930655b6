"""What tests of the storage begin with: an account, a recording, a file of audio; nothing more than is asked for."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert

from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import StorageKey
from call_records.recordings.tables import recordings
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.recordings import RecordingState
from telephony.staff import PopPreference, Role

OFFICE_KEY = StorageKey("2026", bytes(range(32)))
AT = datetime(2026, 3, 9, 10, 30, tzinfo=UTC)


async def an_account(records: RecordsStore, login: str = "anna", role: Role = Role.SUPERVISOR) -> Account:
    """Somebody who may sign in; named after the login."""
    return await records.accounts.create(
        login=login,
        name=login.title(),
        role=role,
        password_hash="$argon2id$…",
        extensions=("101",),
        pop=PopPreference.NEVER,
    )


async def a_recording(
    records: RecordsStore, state: RecordingState = RecordingState.READY, **columns: Any
) -> UUID:
    """One recording of AT that lasts a minute; every column can be given."""
    row = {
        "id": uuid4(),
        "pbx": "hq",
        "name": uuid4().hex,
        "state": state.value,
        "listed_at": AT,
        "started_at": AT,
        "duration_seconds": 60.0,
        **columns,
    }
    async with records.engine.begin() as connection:
        await connection.execute(insert(recordings).values(row))
    recording_id: UUID = row["id"]
    return recording_id


def some_audio(tmp_path: Path, length: int = 200_000) -> tuple[Path, bytes]:
    """A file of the worker with that many bytes."""
    content = os.urandom(length)
    file = tmp_path / f"{uuid4().hex}.m4a"
    file.write_bytes(content)
    return file, content


async def collected(shelf: AudioShelf, recording: UUID) -> bytes:
    """The whole audio, as an export takes it."""
    return b"".join([piece async for piece in shelf.whole(recording)])


async def keys(shelf: AudioShelf) -> list[str]:
    """What the storage holds, whether a row names it or not."""
    return sorted([one.key async for page in shelf.place.listed() for one in page])
