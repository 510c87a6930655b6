"""Being woken when something was written: PostgreSQL's LISTEN on a connection of its own.

A notice says only that there is something to look for. One that was missed costs nothing but the next look, which comes
every few seconds anyway; so a connection that is lost is simply made again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.calls.relay import plain_address
from call_records.db.errors import plain_errors
from telephony.errors import SwitchhookError

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 30.0  # a connection cut without a word is noticed by this question
RECONNECT_SECONDS = 5.0  # whoever waits looks by themselves as often
CLOSE_SECONDS = 2.0


async def wake_on(engine: AsyncEngine, channel: str, wake: asyncio.Event) -> None:
    """Set the event at every notice, and after each new connection. Runs until cancelled."""
    while True:
        try:
            with plain_errors():
                await _listen(engine, channel, wake)
        except SwitchhookError as trouble:
            log.debug("notices_lost", channel=channel, problem=str(trouble))
        await asyncio.sleep(RECONNECT_SECONDS)


async def _listen(engine: AsyncEngine, channel: str, wake: asyncio.Event) -> None:
    connection = await asyncpg.connect(**plain_address(engine.url), timeout=CONNECT_SECONDS)
    try:
        await connection.add_listener(channel, lambda *_: wake.set())
        wake.set()  # whatever came while nobody listened
        while not connection.is_closed():
            await asyncio.sleep(LOOK_SECONDS)
            await connection.execute("SELECT 1", timeout=LOOK_SECONDS)
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await connection.close(timeout=CLOSE_SECONDS)
