"""The shelf keeps the same promises over every storage."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text

from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.settings import AudioSettings
from call_records.store import RecordsStore
from telephony.errors import PeerMistake
from telephony.recordings import RecordingState
from tests.recordings.rows import OFFICE_KEY, a_recording, collected, keys, some_audio

pytestmark = pytest.mark.postgres


@pytest.fixture(params=["local", "local encrypted", "s3", "s3 encrypted"])
def audio_settings(request: pytest.FixtureRequest, tmp_path: Path) -> AudioSettings:
    where, _, encrypted = request.param.partition(" ")
    return AudioSettings(
        tmp_path / "audio",
        s3=request.getfixturevalue("s3_bucket") if where == "s3" else None,
        keys=(OFFICE_KEY,) if encrypted else (),
    )


@pytest.fixture
def shelf(records: RecordsStore, audio_settings: AudioSettings) -> AudioShelf:
    return AudioShelf(records.engine, audio_settings)


async def test_what_was_kept_is_read_back_whole_and_in_parts(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """A player asks for the beginning, a part in the middle and more than there is; an export takes all."""
    recording = await a_recording(records)
    file, content = some_audio(tmp_path)
    assert await shelf.size(recording) is None
    await shelf.keep(recording, file)
    assert await shelf.size(recording) == len(content)
    assert await shelf.read(recording, 0, 0) == content[:1]
    assert await shelf.read(recording, 65_535, 131_073) == content[65_535:131_074]
    assert await shelf.read(recording, 199_000, 999_999) == content[199_000:]
    assert await shelf.read(recording, 0, 199_999) == content
    assert await collected(shelf, recording) == content
    assert file.read_bytes() == content
    (stored,) = await shelf.objects_of(recording)
    assert stored.key.startswith(f"2026/03/09/{recording}-")


async def test_replacing_leaves_one_object_and_the_original_beside_it(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """A redaction keeps what it covers, then replaces what is played; another one replaces it again."""
    recording = await a_recording(records)
    (first, whole), (second, beeped), (third, again) = (some_audio(tmp_path, 1000 + i) for i in range(3))
    await shelf.keep(recording, first)
    await shelf.keep(recording, first, kind="original")
    await shelf.keep(recording, second)
    assert await shelf.read(recording, 0, 9_999) == beeped
    assert await shelf.read(recording, 0, 9_999, original=True) == whole
    await shelf.keep(recording, third)
    assert await shelf.read(recording, 0, 9_999) == again
    assert len(await keys(shelf)) == 2


async def test_destroying_leaves_nothing_or_only_what_was_not_named(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """The original goes by policy; later everything goes, clips too; destroying again changes nothing."""
    recording, neighbour, link = await a_recording(records), await a_recording(records), uuid4()
    file, content = some_audio(tmp_path, 1000)
    await shelf.keep(neighbour, file)
    for kind in ("current", "original", f"clip:{link}"):
        await shelf.keep(recording, file, kind=kind)
    assert await shelf.read_clip(link) == content
    await shelf.destroy(recording, only="original")
    assert await shelf.size(recording, original=True) is None
    assert await shelf.size(recording) == 1000
    await shelf.destroy(recording)
    await shelf.destroy(recording)
    assert await shelf.read_clip(link) is None
    assert await shelf.objects_of(recording) == []
    assert [str(neighbour) in key for key in await keys(shelf)] == [True]


async def test_what_is_not_there_cannot_be_read(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """No audio, no such recording, a range outside it, a recording that was removed, a file with nothing in it."""
    recording, removed = await a_recording(records), await a_recording(records, RecordingState.REMOVED)
    file, _ = some_audio(tmp_path, 1000)
    await shelf.keep(recording, file)
    for first, last in ((1000, 1001), (-1, 5), (9, 8)):
        with pytest.raises(PeerMistake, match="no part"):
            await shelf.read(recording, first, last)
    with pytest.raises(PeerMistake, match="no audio"):
        await shelf.read(uuid4(), 0, 1)
    for gone in (removed, uuid4()):
        with pytest.raises(PeerMistake, match="removed"):
            await shelf.keep(gone, file)
    file.write_bytes(b"")
    with pytest.raises(PeerMistake, match="empty"):
        await shelf.keep(recording, file)
    assert len(await keys(shelf)) == 1


async def test_two_writers_of_one_recording_leave_one_whole_audio(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """Two processes believe it is their turn: one of the two contents stands, nothing else is left."""
    recording = await a_recording(records)
    (first, one), (second, other) = some_audio(tmp_path), some_audio(tmp_path)
    await asyncio.gather(shelf.keep(recording, first), shelf.keep(recording, second))
    assert await collected(shelf, recording) in (one, other)
    assert len(await keys(shelf)) == 1


async def test_an_object_that_is_there_is_never_overwritten(
    records: RecordsStore, shelf: AudioShelf, tmp_path: Path
) -> None:
    """A restored database hands out numbers again; the storage is ahead of it and keeps what it has."""
    recording = await a_recording(records)
    (first, one), (second, other) = some_audio(tmp_path, 1000), some_audio(tmp_path, 1000)
    await shelf.keep(recording, first)
    async with records.engine.begin() as connection:
        await connection.execute(text("SELECT setval('audio_object_numbers', 1, false)"))
    await shelf.keep(recording, second, kind="original")
    assert await shelf.read(recording, 0, 999) == one
    assert await shelf.read(recording, 0, 999, original=True) == other
