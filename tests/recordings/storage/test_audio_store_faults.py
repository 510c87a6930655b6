"""Storage that is away, full, damaged or tampered with: nothing is lost, and nothing wrong is ever played."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from call_records.recordings.storage import backends, integrity
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.backends import Missing
from call_records.recordings.storage.encryption import Locked, Tampered
from call_records.recordings.storage.integrity import Fault, Finding
from call_records.recordings.storage.settings import AudioSettings, S3Settings, StorageKey
from call_records.recordings.tables import audio_objects
from call_records.store import RecordsStore
from telephony.errors import NeedsPerson, SwitchhookError, TryLater
from tests.recordings.full_disk import no_file_longer_than
from tests.recordings.rows import OFFICE_KEY, a_recording, keys, some_audio
from tests.recordings.s3_server import S3Server
from tests.service.tcp_proxy import TcpProxy

pytestmark = pytest.mark.postgres

NEXT_KEY = StorageKey("2027", b"n" * 32)


@pytest.fixture(params=["plain", "encrypted"])
def local(request: pytest.FixtureRequest, tmp_path: Path) -> AudioSettings:
    return AudioSettings(tmp_path / "audio", keys=(OFFICE_KEY,) if request.param == "encrypted" else ())


def stored_files(settings: AudioSettings) -> list[Path]:
    return sorted(one for one in settings.kept.rglob("*") if one.is_file())


async def findings(shelf: AudioShelf) -> list[Finding]:
    return [looked.finding async for looked in integrity.verify(shelf) if looked.finding]


async def rows(records: RecordsStore) -> list[Any]:
    async with records.engine.connect() as connection:
        return list((await connection.execute(select(audio_objects))).all())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of the storage that a test can wait for."""
    monkeypatch.setattr(backends, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(backends, "UPLOAD_SECONDS", (1,))
    monkeypatch.setattr(backends, "CONNECT_SECONDS", 1)


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_s3_goes_away_in_the_middle_and_comes_back(
    how: str, records: RecordsStore, s3_server: S3Server, impatient: None, tmp_path: Path
) -> None:
    """The line to the bucket is cut, or swallows everything: what was stored stays, what was not is stored later."""
    before, after = some_audio(tmp_path), some_audio(tmp_path)
    recording = await a_recording(records)
    async with TcpProxy(s3_server.port) as line:
        settings = AudioSettings(tmp_path, s3_server.bucket(uuid4().hex, port=line.port), (OFFICE_KEY,))
        shelf = AudioShelf(records.engine, settings)
        await shelf.keep(recording, before[0])
        if how == "cut":
            line.cut(refuse=True)
        else:
            line.stall()
        attempts: list[Awaitable[Any]] = [shelf.keep(recording, after[0]), shelf.read(recording, 0, 9)]
        if how == "cut":  # a deletion that was swallowed may still arrive later, and then it is one
            attempts.append(shelf.destroy(recording))
        for attempt in attempts:
            with pytest.raises(TryLater):
                await attempt
        line.mend()
        assert await shelf.read(recording, 0, 999_999) == before[1]
        await shelf.keep(recording, after[0])
        assert await shelf.read(recording, 0, 999_999) == after[1]
        assert {one.key for one in await rows(records)} <= set(await keys(shelf))
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_bucket_or_key_that_is_wrong_needs_a_person(
    records: RecordsStore, s3_server: S3Server, tmp_path: Path
) -> None:
    """The secret was changed at the provider; or nobody created the bucket: never taken for 'was deleted'."""
    recording = await a_recording(records)
    right = s3_server.bucket(uuid4().hex)
    await AudioShelf(records.engine, AudioSettings(tmp_path, right)).keep(recording, some_audio(tmp_path)[0])
    for wrong, told in (
        (replace(right, secret_key="changed"), "refuses us"),
        (replace(right, bucket="nobody-made-it"), "no such bucket"),
    ):
        shelf = AudioShelf(records.engine, AudioSettings(tmp_path, wrong))
        with pytest.raises(NeedsPerson, match=told) as refused:
            await shelf.read(recording, 0, 9)
        assert "changed" not in str(refused.value)
        if "bucket" in told:
            continue  # this server deletes nothing from nowhere without a word
        for attempt in (shelf.destroy(recording), keys(shelf)):
            with pytest.raises(NeedsPerson, match=told):
                await attempt
    assert len(await rows(records)) == 1


async def test_a_full_disk_delays_and_leaves_no_half_file(
    records: RecordsStore, local: AudioSettings, tmp_path: Path
) -> None:
    """The disk takes half of the audio. When there is room again the same call succeeds."""
    recording, shelf = await a_recording(records), AudioShelf(records.engine, local)
    before, after = some_audio(tmp_path, 50_000), some_audio(tmp_path, 200_000)
    await shelf.keep(recording, before[0])
    with no_file_longer_than(100_000), pytest.raises(TryLater):
        await shelf.keep(recording, after[0])
    assert await shelf.read(recording, 0, 999_999) == before[1]
    assert len(stored_files(local)) == 1
    assert not local.work.exists() or list(local.work.iterdir()) == []
    await shelf.keep(recording, after[0])
    assert await shelf.read(recording, 0, 999_999) == after[1]


async def test_a_storage_that_writes_something_else_is_noticed_before_it_counts(
    records: RecordsStore, local: AudioSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad memory flips a bit on the way to the disk: the recording is not taken for stored."""
    recording, shelf = await a_recording(records), AudioShelf(records.engine, local)
    write = backends._write_all

    def flipping(handle: int, piece: bytes) -> None:
        write(handle, piece[:1000] + bytes([piece[1000] ^ 1]) + piece[1001:])

    with monkeypatch.context() as bad:
        bad.setattr(backends, "_write_all", flipping)
        with pytest.raises(TryLater, match="did not give back"):
            await shelf.keep(recording, some_audio(tmp_path)[0])
    assert await shelf.size(recording) is None
    assert stored_files(local) == []


def damage_flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def damage_cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def damage_empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_flip, damage_cut, damage_empty])
async def test_damaged_audio_is_an_error_and_is_found(
    damage: Any, records: RecordsStore, local: AudioSettings, tmp_path: Path
) -> None:
    """A bit flips on the disk, or the end is missing: no sound comes of it, and `verify` names the recording."""
    shelf = AudioShelf(records.engine, local)
    whole, broken = await a_recording(records), await a_recording(records)
    for recording in (whole, broken):
        await shelf.keep(recording, some_audio(tmp_path)[0])
    (file,) = (one for one in stored_files(local) if str(broken) in one.name)
    damage(file)
    with pytest.raises(Tampered):
        await shelf.read(broken, 0, 199_999)
    with pytest.raises(Tampered):
        async for _ in shelf.whole(broken):
            pass
    (found,) = await findings(shelf)
    assert (found.fault, found.recording_id) == (Fault.DAMAGED, broken)


async def test_exchanged_objects_are_not_played_for_each_other(
    records: RecordsStore, local: AudioSettings, tmp_path: Path
) -> None:
    """Somebody with the right to write files gives one customer's recording the sound of another's."""
    shelf = AudioShelf(records.engine, local)
    for _ in range(2):
        await shelf.keep(await a_recording(records), some_audio(tmp_path)[0])
    one, other = stored_files(local)
    aside = tmp_path / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)
    for stored in await rows(records):
        with pytest.raises(Tampered):
            await shelf.read(stored.recording_id, 0, 199_999)
        if stored.key_id is not None:  # without encryption a part has nothing to be compared with
            with pytest.raises(Tampered):
                await shelf.read(stored.recording_id, 70_000, 70_010)


async def test_a_disk_that_is_not_mounted_is_neither_empty_nor_deleted(
    records: RecordsStore, local: AudioSettings, tmp_path: Path
) -> None:
    """After a reboot the disk with the recordings is missing; retention must not believe that all is gone."""
    shelf, recording = AudioShelf(records.engine, local), await a_recording(records)
    await shelf.keep(recording, some_audio(tmp_path)[0])
    away = tmp_path / "unplugged"
    local.kept.rename(away)
    with pytest.raises(NeedsPerson, match="is not there"):
        await shelf.read(recording, 0, 9)
    local.kept.mkdir()
    with pytest.raises(Missing):
        await shelf.read(recording, 0, 9)
    with pytest.raises(NeedsPerson, match="cannot be deleted"):
        await shelf.destroy(recording)
    assert [one.fault for one in await findings(shelf)] == [Fault.MISSING]
    local.kept.rmdir()
    away.rename(local.kept)
    assert await findings(shelf) == []
    await shelf.destroy(recording)
    assert stored_files(local) == []


async def test_keys_are_rotated_and_the_old_one_dropped(records: RecordsStore, tmp_path: Path) -> None:
    """A new key in front; rotate; without the old key everything plays. Before that it is missed by its name."""
    old = AudioSettings(tmp_path / "audio", keys=(OFFICE_KEY,))
    recording, (file, content) = await a_recording(records), some_audio(tmp_path)
    await AudioShelf(records.engine, old).keep(recording, file)
    early = AudioShelf(records.engine, replace(old, keys=(NEXT_KEY,)))
    with pytest.raises(Locked, match="2026 is missing"):
        await early.read(recording, 0, 9)
    with pytest.raises(Locked, match="2026 is missing"):
        await integrity.rotate_keys(early)
    assert [one.fault for one in await findings(early)] == [Fault.LOCKED]
    before = [one.read_bytes() for one in stored_files(old)]
    both = AudioShelf(records.engine, replace(old, keys=(NEXT_KEY, OFFICE_KEY)))
    assert await integrity.rotate_keys(both) == integrity.Rotated(wrapped_anew=1, unencrypted=0)
    assert await integrity.rotate_keys(both) == integrity.Rotated(wrapped_anew=0, unencrypted=0)
    assert [one.read_bytes() for one in stored_files(old)] == before
    assert await early.read(recording, 0, 999_999) == content
    with pytest.raises(Locked, match="2027 is missing"):
        await AudioShelf(records.engine, old).read(recording, 0, 9)


async def test_what_was_stored_before_there_was_a_key_still_plays(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Encryption is switched on: yesterday's recording lies open and is counted, today's is sealed."""
    plain = AudioSettings(tmp_path / "audio")
    recording, (file, content) = await a_recording(records), some_audio(tmp_path)
    await AudioShelf(records.engine, plain).keep(recording, file)
    shelf = AudioShelf(records.engine, replace(plain, keys=(OFFICE_KEY,)))
    assert await shelf.read(recording, 0, 999_999) == content
    assert (await integrity.rotate_keys(shelf)).unencrypted == 1
    with pytest.raises(NeedsPerson, match="no storage key"):
        await integrity.rotate_keys(AudioShelf(records.engine, plain))


async def test_a_crash_between_object_and_row_leaves_an_orphan_that_is_swept(
    records: RecordsStore, local: AudioSettings, tmp_path: Path
) -> None:
    """The object is there, the process died before its row; a file of somebody else in the directory stays."""
    shelf, recording = AudioShelf(records.engine, local), await a_recording(records)
    await shelf.keep(recording, some_audio(tmp_path)[0])
    orphan = stored_files(local)[0].with_name(f"{uuid4()}-7.m4a")
    foreign = local.kept / "README"
    for file in (orphan, foreign):
        file.write_bytes(b"x")
    assert await findings(shelf) == []  # perhaps it is being stored just now
    for file in (orphan, foreign, *stored_files(local)):
        os.utime(file, (0, 0))
    assert [(one.fault, one.key.endswith(orphan.name)) for one in await findings(shelf)] == [
        (Fault.ORPHAN, True)
    ]
    assert await integrity.sweep(shelf) == 1
    assert await findings(shelf) == []
    assert foreign.exists()
    assert await shelf.size(recording) == 200_000


async def test_a_storage_full_of_strangers_is_not_swept(
    records: RecordsStore, local: AudioSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old backup of the database was restored beside this year's audio: the audio is not the mistake."""
    monkeypatch.setattr(integrity, "SWEEP_MOST", 3)
    day = local.kept / "2026/03/09"
    day.mkdir(parents=True)
    for number in range(4):
        file = day / f"{uuid4()}-{number}.m4a"
        file.write_bytes(b"x")
        os.utime(file, (0, 0))
    with pytest.raises(NeedsPerson, match="more than 3 objects"):
        await integrity.sweep(AudioShelf(records.engine, local))
    assert len(stored_files(local)) == 4


async def test_a_row_that_cannot_be_written_leaves_no_object(
    records: RecordsStore, local: AudioSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away between object and row: what was played before is played on."""
    shelf, recording = AudioShelf(records.engine, local), await a_recording(records)
    before = some_audio(tmp_path)
    await shelf.keep(recording, before[0])

    async def away(*_: object) -> None:
        raise TryLater("The database does not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(shelf, "_turn_over", away)
        with pytest.raises(TryLater):
            await shelf.keep(recording, some_audio(tmp_path)[0])
    assert await shelf.read(recording, 0, 999_999) == before[1]
    assert len(stored_files(local)) == 1


async def test_a_row_cannot_be_pointed_at_another_recordings_object(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Somebody who may write to the database lets one recording play another's encrypted object."""
    settings = AudioSettings(tmp_path / "audio", keys=(OFFICE_KEY,))
    shelf = AudioShelf(records.engine, settings)
    for _ in range(2):
        await shelf.keep(await a_recording(records), some_audio(tmp_path)[0])
    one, other = await rows(records)
    async with records.engine.begin() as connection:
        await connection.execute(
            update(audio_objects)
            .where(audio_objects.c.key == one.key)
            .values(wrapped_key=other.wrapped_key, sha256=other.sha256)
        )
    with pytest.raises(SwitchhookError):
        await shelf.read(one.recording_id, 0, 999_999)


def test_settings_never_show_their_secrets() -> None:
    """They end up in logs and error reports."""
    settings = AudioSettings(Path("/x"), S3Settings("b", secret_key="hidden"), (OFFICE_KEY,))
    assert "hidden" not in repr(settings)
    assert repr(OFFICE_KEY.secret) not in repr(settings)
