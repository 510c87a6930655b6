"""Backup and restore: everything comes back, nothing is mixed up, and a backup that is damaged is not restored."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from call_records.backup.archive import Archive
from call_records.backup.backup import make_backup
from call_records.backup.restore import restore_backup
from call_records.db import schema
from call_records.deliveries.credentials import SealedCredentials
from call_records.deliveries.lanes import DeliveryRow
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.recordings.storage.backends import Missing
from call_records.recordings.storage.settings import AudioSettings
from call_records.store import RecordsStore, open_records
from telephony.errors import NeedsPerson, PeerMistake, TryLater
from telephony.recordings import AuditAction
from tests.call_facts_builder import call, life
from tests.postgres_fixtures import own_database
from tests.recordings.full_disk import no_file_longer_than
from tests.recordings.rows import OFFICE_KEY, a_recording, an_account, collected, keys, some_audio

pytestmark = pytest.mark.postgres


@dataclass(frozen=True)
class Office:
    """One installation: its database, its storage, where its backups go."""

    store: RecordsStore
    shelf: AudioShelf
    settings: AudioSettings
    archive: Archive

    async def back_up(self, **how: Any) -> Any:
        return await make_backup(self.store.engine, self.shelf, self.archive, tell=lambda _: None, **how)

    async def restore(self) -> Any:
        return await restore_backup(self.store.engine, self.shelf, self.archive, tell=lambda _: None)

    async def new_recording(self, tmp_path: Path, length: int = 70_000) -> tuple[UUID, bytes]:
        recording, (file, content) = await a_recording(self.store), some_audio(tmp_path, length)
        await self.shelf.keep(recording, file)
        return recording, content


def an_office(store: RecordsStore, settings: AudioSettings, archive: Path) -> Office:
    shelf = store.shelf
    assert isinstance(shelf, AudioShelf)
    return Office(store, shelf, settings, Archive(archive))


@pytest.fixture(params=["local", "local encrypted", "s3 encrypted"])
def audio(request: pytest.FixtureRequest, tmp_path: Path) -> AudioSettings:
    where, _, encrypted = request.param.partition(" ")
    bucket = request.getfixturevalue("s3_bucket") if where == "s3" else None
    return AudioSettings(tmp_path / "audio", bucket, (OFFICE_KEY,) if encrypted else ())


@pytest.fixture
async def office(database_url: str, audio: AudioSettings, tmp_path: Path) -> AsyncIterator[Office]:
    """The office whose backup is made."""
    async with open_records(database_url, migrate=False, audio=audio) as store:
        yield an_office(store, audio, tmp_path / "backup")


@pytest.fixture
async def elsewhere(empty_database_url: str, audio: AudioSettings, tmp_path: Path) -> AsyncIterator[Office]:
    """A new machine: an empty database, an empty storage, the same keys, the same backup at hand."""
    bucket = audio.s3 and replace(audio.s3, prefix=uuid4().hex)
    fresh = replace(audio, directory=tmp_path / "new-audio", s3=bucket)
    async with open_records(empty_database_url, migrate=False, audio=fresh) as store:
        yield an_office(store, fresh, tmp_path / "backup")


async def everything(store: RecordsStore) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    found = {}
    async with store.engine.connect() as connection:
        names = await connection.scalars(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        )
        for name in names.all():
            rows = await connection.scalars(text(f'SELECT t::text FROM "{name}" t ORDER BY 1'))
            found[name] = list(rows.all())
    return found


async def test_what_crms_were_given_since_the_backup_is_not_given_again(
    office: Office, elsewhere: Office
) -> None:
    """What was on its way is looked for there first; calls of before the restore are not delivered anew; no secret
    comes back."""
    deliveries = office.store.deliveries
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    for name, adapter in (("odoo", "odoo"), ("hooks", "webhook")):
        entered = await deliveries.connections.enter_connection(name, adapter)
        states = ("queued", "sending", "sent", "failed")
        rows = [
            DeliveryRow(name, uuid4(), 0, "close_call", 1, state, moment, None, "", {"state": state})
            for state in states
        ]
        await deliveries.lanes.add_deliveries(rows)
    await deliveries.credentials.put_credentials("odoo", SealedCredentials(b"sealed", b"origin", 1))
    await office.back_up()
    await elsewhere.restore()
    restored = elsewhere.store.deliveries
    statuses = await restored.connections.list_connections()
    assert all(status.connected_at > entered.connected_at for status in statuses)
    assert await restored.credentials.get_credentials("odoo") is None
    async with elsewhere.store.engine.connect() as connection:
        wanted = text("SELECT connection, state, content->>'state' FROM crm_deliveries ORDER BY 1, 2")
        found = [tuple(row) for row in await connection.execute(wanted)]
    assert found == [
        *(("hooks", state, state) for state in ("failed", "queued", "sending", "sent")),
        *(("odoo", state, state) for state in ("failed", "sent", "unknown", "unknown")),
    ]


async def test_everything_comes_back_on_another_machine(
    office: Office, elsewhere: Office, tmp_path: Path
) -> None:
    """Calls with odd names, accounts, the audit log, rules, audio: all rows and every second of sound."""
    author = await an_account(office.store)
    facts = call()
    odd = replace(facts, caller=replace(facts.caller, name='"; DROP \\N\t,\r\n\\. \u202e Ж'))
    await office.store.journal.record(life(odd))
    await office.store.notes.save(call_id=facts.id, account_id=author.id, text='a "quoted",\nnote\\.')
    await office.store.retention.set_tags(facts.id, ["vip"])
    made = dict([await office.new_recording(tmp_path), await office.new_recording(tmp_path, 1)])
    for recording in made:
        await office.store.audit.write(AuditAction.OPENED, who="Anna", recording_id=recording)
    before = await everything(office.store)
    assert {name for name, rows in before.items() if rows} > {
        "accounts",
        "audio_objects",
        "audit_log",
        "notes",
    }
    backed_up = await office.back_up()
    assert (backed_up.copied, backed_up.manifest.missing, backed_up.manifest.vanished) == (2, (), ())
    restored = await elsewhere.restore()
    assert restored.objects == 2
    assert await everything(elsewhere.store) == before
    for recording, content in made.items():
        assert await collected(elsewhere.shelf, recording) == content
    assert await elsewhere.store.ready() is None


async def test_life_goes_on_after_a_restore(office: Office, elsewhere: Office, tmp_path: Path) -> None:
    """New calls, audit lines and recordings get new numbers; the restored log is as append-only as it was."""
    await office.new_recording(tmp_path)
    await office.store.audit.write(AuditAction.OPENED, who="Anna")
    await office.back_up()
    await elsewhere.restore()
    await elsewhere.store.audit.write(AuditAction.HEARD, who="Anna")
    await elsewhere.store.journal.record(life(call()))
    await elsewhere.new_recording(tmp_path)
    async with elsewhere.store.engine.connect() as connection:
        ids = list((await connection.scalars(text("SELECT id FROM audit_log ORDER BY id"))).all())
    assert len(ids) == len(set(ids)) == 2
    with pytest.raises(Exception, match="append-only"):
        async with elsewhere.store.engine.begin() as connection:
            await connection.execute(text("DELETE FROM audit_log"))


async def test_a_second_backup_copies_only_what_is_new(office: Office, tmp_path: Path) -> None:
    """The next night one recording is new, one was removed, and one file of the backup has rotted."""
    (kept, _), (removed, _) = await office.new_recording(tmp_path), await office.new_recording(tmp_path)
    assert (await office.back_up()).copied == 2
    await office.store.retention.remove(removed, by="Anna", why="asked to be forgotten")
    await office.new_recording(tmp_path)
    second = await office.back_up()
    assert (second.copied, second.forgotten, second.manifest.objects) == (1, 1, 2)
    files = [one for one in (office.archive.root / "audio").rglob("*") if one.is_file()]
    assert not any(str(removed) in one.name for one in files)
    (rotten,) = (one for one in files if str(kept) in one.name)
    rotten.write_bytes(b"x" * rotten.stat().st_size)
    assert (await office.back_up(quick=True)).copied == 0
    assert (await office.back_up()).copied == 1
    assert len(list(office.archive.root.glob("database-*"))) == 1


@pytest.mark.parametrize("audio", ["local"], indirect=True)
class TestOneStorage:
    """What does not depend on where audio lies."""

    async def test_a_restore_needs_an_empty_database(self, office: Office, tmp_path: Path) -> None:
        """Somebody restores into the office that runs: nothing is touched."""
        await office.new_recording(tmp_path)
        await office.back_up()
        before = await everything(office.store)
        with pytest.raises(NeedsPerson, match="not empty"):
            await office.restore()
        assert await everything(office.store) == before

    @pytest.mark.parametrize("victim", ["accounts.csv.gz", "audio.jsonl.gz", "m4a", "manifest.json"])
    @pytest.mark.parametrize("how", ["flipped", "gone"])
    async def test_a_damaged_backup_is_not_restored(
        self, victim: str, how: str, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """One file of it rotted or was lost: the restore says which, and writes nothing."""
        await office.new_recording(tmp_path)
        await office.back_up()
        (file,) = (one for one in office.archive.root.rglob("*") if one.name.endswith(victim))
        if how == "gone":
            file.unlink()
        else:
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 0x80
            file.write_bytes(content)
        with pytest.raises(PeerMistake):
            await elsewhere.restore()
        assert await everything(elsewhere.store) == {}
        assert await keys(elsewhere.shelf) == []

    async def test_a_restore_that_was_interrupted_goes_on(
        self, office: Office, elsewhere: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The storage goes away after the first object; the second try leaves what is there."""
        made = [await office.new_recording(tmp_path) for _ in range(2)]
        await office.back_up()
        put, tries = elsewhere.shelf.place.put, 0

        async def once(key: str, source: Path) -> None:
            nonlocal tries
            tries += 1
            if tries == 2:
                raise TryLater("The storage does not answer.")
            await put(key, source)

        monkeypatch.setattr(elsewhere.shelf.place, "put", once)
        with pytest.raises(TryLater):
            await elsewhere.restore()
        assert await everything(elsewhere.store) == {}
        assert (await elsewhere.restore()).objects == 1
        assert await collected(elsewhere.shelf, made[1][0]) == made[1][1]

    async def test_a_backup_that_dies_leaves_the_one_before_it_whole(
        self, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """The disk of the backup is full in the middle of the second backup."""
        recording, content = await office.new_recording(tmp_path)
        await office.back_up()
        await office.store.retention.remove(recording, by="Anna", why="asked to be forgotten")
        await office.new_recording(tmp_path)

        with no_file_longer_than(50_000), pytest.raises(NeedsPerson, match="cannot be used"):
            await office.back_up()
        await elsewhere.restore()
        assert await collected(elsewhere.shelf, recording) == content

    async def test_audio_that_is_missing_is_told_and_the_rest_is_backed_up(
        self, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """A disk lost one recording before the first backup: its row comes back without sound, the others with it."""
        (lost, _), (fine, content) = (
            await office.new_recording(tmp_path),
            await office.new_recording(tmp_path),
        )
        (file,) = (one for one in office.settings.kept.rglob("*") if str(lost) in one.name)
        file.unlink()
        made = await office.back_up()
        assert [str(lost) in key for key in made.manifest.missing] == [True]
        await elsewhere.restore()
        assert await elsewhere.shelf.size(lost) is None
        assert await collected(elsewhere.shelf, fine) == content

    async def test_audio_removed_while_the_backup_is_made_is_not_called_missing(
        self, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Retention removes a recording between its row being read and its object being copied."""
        recording, _ = await office.new_recording(tmp_path)
        get = office.shelf.place.get

        async def too_late(key: str, first: int, last: int) -> bytes:
            monkeypatch.setattr(office.shelf.place, "get", get)
            await office.store.retention.remove(recording, by="rule: x", why="due")
            raise Missing

        monkeypatch.setattr(office.shelf.place, "get", too_late)
        made = await office.back_up()
        assert (made.manifest.missing, made.manifest.objects) == ((), 0)

    async def test_a_backup_of_a_newer_release_or_of_nothing_is_refused(
        self, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """The old release is asked to restore what the new one made; or the wrong directory is named."""
        await office.back_up()
        manifest = office.archive.root / "manifest.json"
        told = json.loads(manifest.read_text())
        for change in ({"schema": "9999"}, {"version": 99}):
            manifest.write_text(json.dumps(told | change))
            with pytest.raises(NeedsPerson, match="newer release"):
                await elsewhere.restore()
        shutil.rmtree(office.archive.root)
        with pytest.raises(PeerMistake, match="no backup"):
            await elsewhere.restore()
        office.archive.root.mkdir()
        (office.archive.root / "holiday.jpg").write_bytes(b"x")
        with pytest.raises(NeedsPerson, match="no backup"):
            await office.back_up()

    async def test_a_manifest_cannot_lead_out_of_the_archive(
        self, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """A backup from a stranger names a file of this machine."""
        await office.back_up()
        manifest = office.archive.root / "manifest.json"
        told = json.loads(manifest.read_text())
        told["audio"]["path"] = "../../../../etc/hostname"
        manifest.write_text(json.dumps(told))
        with pytest.raises(PeerMistake, match="outside"):
            await elsewhere.restore()

    async def test_sessions_that_were_ended_do_not_come_back(
        self, office: Office, elsewhere: Office, tmp_path: Path
    ) -> None:
        """A stolen laptop's session was revoked after the backup; people sign in again after a restore."""
        account = await an_account(office.store)
        async with office.store.engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO sessions (id, account_id, token_hash, expires_at, browser) "
                    "VALUES (gen_random_uuid(), :account, 'x', now() + interval '1 day', 'x')"
                ),
                {"account": account.id},
            )
        await office.back_up()
        await elsewhere.restore()
        assert await elsewhere.store.sessions.find(b"x") is None
        assert await elsewhere.store.accounts.by_login("anna") == account

    async def test_an_older_backup_is_brought_up_to_this_release(
        self, postgres_server: str, elsewhere: Office, tmp_path: Path
    ) -> None:
        """A backup of the first release, without recordings, is restored by this one."""
        async with AsyncExitStack() as stack:
            databases = own_database(postgres_server, "template0")
            url = await anext(databases)
            stack.push_async_callback(anext, databases, None)
            old = AudioSettings(tmp_path / "old")
            store = await stack.enter_async_context(open_records(url, migrate=False, audio=old))
            async with store.engine.begin() as connection:
                await connection.run_sync(schema.upgrade_to, "0001")
                await connection.execute(
                    text("INSERT INTO people (id, name) VALUES (gen_random_uuid(), 'Anna')")
                )
            await an_office(store, old, tmp_path / "backup").back_up()
        await elsewhere.restore()
        assert len((await everything(elsewhere.store))["people"]) == 1
        assert await elsewhere.store.ready() is None
