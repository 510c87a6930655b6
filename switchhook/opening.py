"""The store as commands open it: the database of the configuration, or the embedded one of a running service.

A service that runs has its own PostgreSQL up; a second server over the same directory would be refused. So a command
takes that server (`service_database.py` says which), and starts one itself only over a cluster that nobody runs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.recordings.storage.settings import AudioSettings
from call_records.store import RecordsStore, open_records
from switchhook.service_database import cluster_in, find_database
from switchhook.settings.settings import Settings
from telephony.errors import NeedsPerson


@asynccontextmanager
async def open_store(
    settings: Settings, *, audio: AudioSettings | None = None, migrate: bool = True, create: bool = False
) -> AsyncIterator[RecordsStore]:
    """The opened store, its tables brought up to date unless told not to. Raises what `open_records` raises.

    `audio` is for commands that touch the sound of recordings. `create` is for `restore`: a database is made where there
    is none; every other command is refused with a sentence then.
    """
    try:
        found = find_database(settings)
    except NeedsPerson:
        if not create or settings.database.state_dir is None:
            raise
        found = EmbeddedPostgres(cluster_in(settings.database.state_dir))
    if isinstance(found, str):
        async with open_records(found, migrate=migrate, audio=audio) as store:
            yield store
        return
    url = await found.start()
    try:
        async with open_records(url, migrate=migrate, audio=audio) as store:
            yield store
    finally:
        await found.stop()
