"""News of the book: what was changed is heard as it is committed, in whichever process that happened.

A notice says only that there is something to read again. Whoever listens may hear `all` at any time: after each new
connection, because nobody knows what was missed meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.calls.relay import plain_address
from call_records.crm.writes import BOOK_CHANNEL
from call_records.db.errors import plain_errors
from call_records.db.listen import CLOSE_SECONDS, CONNECT_SECONDS, LOOK_SECONDS, RECONNECT_SECONDS
from telephony.errors import SwitchhookError

log = structlog.get_logger(__name__)

ALL = "all"
"""Told instead of client, call, deal or missed: anything may have changed."""


class BookNotices:
    """Implements `call_records.crm.types.BookNews`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def follow(self, hear: Callable[[str, UUID | None], None]) -> None:
        """Call `hear(what, which)` for each notice. Runs until cancelled; connects again by itself."""
        while True:
            try:
                with plain_errors():
                    await self._listen(hear)
            except SwitchhookError as trouble:
                log.debug("book_notices_lost", problem=str(trouble))
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self, hear: Callable[[str, UUID | None], None]) -> None:
        connection = await asyncpg.connect(**plain_address(self._engine.url), timeout=CONNECT_SECONDS)
        try:
            await connection.add_listener(BOOK_CHANNEL, lambda *told: hear(*read_notice(str(told[3]))))
            hear(ALL, None)
            while not connection.is_closed():
                await asyncio.sleep(LOOK_SECONDS)
                await connection.execute("SELECT 1", timeout=LOOK_SECONDS)
        finally:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await connection.close(timeout=CLOSE_SECONDS)


def read_notice(payload: str) -> tuple[str, UUID | None]:
    """`client ID` as what and which; whatever cannot be read may have been anything."""
    what, _, which = payload.partition(" ")
    try:
        return what, UUID(which)
    except ValueError:
        return ALL, None
