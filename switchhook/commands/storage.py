"""`switchhook backup`, `restore`, `recordings verify` and `recordings rotate-keys`.

Progress goes to standard error, the outcome to standard output. The exit code is 1 when something is wrong with what is
stored: a timer can watch it.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from call_records.backup.archive import Archive
from call_records.backup.backup import make_backup
from call_records.backup.restore import restore_backup
from call_records.recordings.storage import integrity
from call_records.recordings.storage.audio_store import AudioShelf
from call_records.store import RecordsStore
from switchhook.opening import open_store
from switchhook.service_database import refuse_to_write_as_root, with_service_state
from switchhook.settings.audio import audio_settings
from switchhook.settings.settings import Settings
from telephony.errors import OurMistake

FAULT = 1
TELL_EVERY = 1000  # recordings; some seconds each time


async def backup(settings: Settings, directory: Path, *, quick: bool) -> int:
    """Back everything up. 1 when the storage did not have audio it should have had; the rest is backed up."""
    # The tables as they are: a backup before an update must not itself be the update.
    async with _opened(settings, migrate=False) as (store, shelf):
        made = await make_backup(store.engine, shelf, Archive(directory), tell=_progress, quick=quick)
    manifest = made.manifest
    rows = sum(table.rows for table in manifest.tables)
    print(f"Backed up into {directory}.")
    print(f"Rows: {rows}. Audio objects: {manifest.objects}, of them new: {made.copied}.")
    if made.forgotten:
        print(f"Taken out, because no longer kept: {made.forgotten}.")
    calls = next((table.rows for table in manifest.tables if table.name == "calls"), 0)
    if not calls:
        _progress(
            "This database does not hold a single call. If your office has calls, it is not the database of your service."
        )
    if manifest.vanished:
        print(f"Removed or replaced meanwhile, and so without sound here: {len(manifest.vanished)}.")
    for key in manifest.missing:
        print(f"missing from the storage: {key}")
    return FAULT if manifest.missing else 0


async def restore(settings: Settings, directory: Path) -> int:
    """Put it back. Nothing is written when the database is not empty or the backup is damaged."""
    refuse_to_write_as_root(settings, "restore")
    archive = Archive(directory)
    archive.read()  # before a database is made for what is no backup
    async with _opened(settings, migrate=False, create=True) as (store, shelf):
        done = await restore_backup(store.engine, shelf, archive, tell=_progress)
    absent = len(done.manifest.missing) + len(done.manifest.vanished)
    print(f"Restored the backup of {done.manifest.made_at}. Audio objects: {done.manifest.objects}.")
    if absent:
        print(f"Without sound, because the backup did not have it: {absent}.")
    print(
        "Everybody signs in again. What was removed since that backup is back; remove it again where you must."
    )
    return 0


async def verify(settings: Settings, *, sweep: bool) -> int:
    """Read everything. 1 when anything is missing, damaged or locked, or lies there without a row and was not swept."""
    found, looked = 0, 0
    async with _opened(settings) as (_, shelf):
        swept = await integrity.sweep(shelf) if sweep else 0
        async for step in integrity.verify(shelf):
            looked = step.objects
            if step.finding is not None:
                found += 1
                print(f"{step.finding.fault}: {step.finding.key}: {step.finding.told}")
            elif looked % TELL_EVERY == 0:
                _progress(f"{looked} of {step.of}")
    if swept:
        print(f"Deleted, because no recording names them: {swept}.")
    print(f"Audio objects read again: {looked}. " + (f"Faults: {found}." if found else "All are whole."))
    return FAULT if found else 0


async def rotate_keys(settings: Settings) -> int:
    """Wrap every recording's key by the newest storage key."""
    async with _opened(settings) as (_, shelf):
        done = await integrity.rotate_keys(shelf)
        newest = shelf.keys.newest
    print(f"Wrapped anew by {newest}: {done.wrapped_anew}. Nothing here needs an older key any more.")
    print("Keep them beside the backups that were made before: those still need them.")
    if done.unencrypted:
        print(f"Stored before there was a key, and unencrypted: {done.unencrypted}.")
    return 0


@asynccontextmanager
async def _opened(
    settings: Settings, *, migrate: bool = True, create: bool = False
) -> AsyncIterator[tuple[RecordsStore, AudioShelf]]:
    settings = settings if create else with_service_state(settings)
    async with open_store(settings, audio=audio_settings(settings), migrate=migrate, create=create) as store:
        if not isinstance(store.shelf, AudioShelf):
            raise OurMistake("open_records was told where audio is and did not listen")
        yield store, store.shelf


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
