"""The store as commands open it: the database of the configuration, or the embedded one of a running service.

A service that runs has its own PostgreSQL up; a second server over the same directory would be refused. So a command
first looks for that server's socket, and starts the server itself only when nobody runs it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from call_records.database import RecordsStore, open_records
from call_records.postgres import EmbeddedPostgres
from call_records.recordings.settings import AudioSettings
from switchhook.settings import Settings
from telephony.errors import NeedsPerson


@asynccontextmanager
async def open_store(
    settings: Settings, *, audio: AudioSettings | None = None, migrate: bool = True
) -> AsyncIterator[RecordsStore]:
    """The opened store, its tables brought up to date unless told not to. Raises what `open_records` raises.

    `audio` is for commands that touch the sound of recordings.
    """
    if settings.database.url is not None:
        async with open_records(
            settings.database.url.get_secret_value(), migrate=migrate, audio=audio
        ) as store:
            yield store
        return
    if settings.database.state_dir is None:
        raise NeedsPerson("There is no database.", remedy="Set [database] url or state_dir.")
    server = EmbeddedPostgres(settings.database.state_dir / "postgres")
    running = server.running_url()
    if running is not None:
        async with open_records(running, migrate=migrate, audio=audio) as store:
            yield store
        return
    url = await server.start()
    try:
        async with open_records(url, migrate=migrate, audio=audio) as store:
            yield store
    finally:
        await server.stop()
