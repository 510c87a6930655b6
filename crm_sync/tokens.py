"""Credentials of one connection, renewed by one request however many find them expired (single flight).

Refresh tokens rotate: a renewal kills the old one. So the new credentials are stored before they are used, one process
renews at a time (the row's lock), and a renewal whose answer is lost is not tried again where that would be refused: a
person connects anew, once, instead of a loop that locks the account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from crm_sync.exchange import Credentials
from crm_sync.ports import CredentialStore
from telephony.errors import NeedsPerson

Renew = Callable[[Credentials], Awaitable[Credentials]]
"""Raises NeedsPerson when nothing will renew these credentials any more, anything else when it may work later."""


class TokenKeeper:
    """The credentials of one connection in this process."""

    def __init__(self, connection: str, store: CredentialStore, renew: Renew) -> None:
        self._connection = connection
        self._store = store
        self._renew = renew
        self._current: Credentials | None = None
        self._refused: tuple[int, str] | None = None
        """The revision that nothing renews any more, and why."""
        self._renewal: asyncio.Task[Credentials] | None = None

    async def get_credentials(self) -> Credentials:
        """The newest that this process has."""
        if self._current is None:
            self._current = await self._store.get_credentials(self._connection)
        return self._current

    def forget_credentials(self) -> None:
        """Read them anew next time: somebody may have entered others."""
        self._current = None

    async def renew_credentials(self, stale: Credentials) -> Credentials:
        """Newer ones than those. Raises NeedsPerson, or what the renewal raised."""
        current = await self.get_credentials()
        if current.revision != stale.revision:
            return current
        if self._renewal is None:
            # A task of its own: when the request that began it is cancelled, the answer must still be stored.
            self._renewal = asyncio.create_task(self._renew_stored(stale))
            self._renewal.add_done_callback(self._forget_renewal)
        return await asyncio.shield(self._renewal)

    async def close(self) -> None:
        """Wait for a renewal that is under way: its answer must be stored."""
        if self._renewal is not None:
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _renew_stored(self, stale: Credentials) -> Credentials:
        async with self._store.begin_renewal(self._connection) as renewal:
            stored = renewal.credentials
            if stored.revision == stale.revision:
                stored = await self._renew_locked(stored)
                await renewal.save_credentials(stored)
        self._current = stored
        return stored

    async def _renew_locked(self, stored: Credentials) -> Credentials:
        if self._refused is not None and self._refused[0] == stored.revision:
            raise NeedsPerson(self._refused[1], remedy="Connect the CRM again.")
        try:
            return await self._renew(stored)
        except NeedsPerson as refused:
            self._refused = (stored.revision, str(refused))
            raise

    def _forget_renewal(self, task: asyncio.Task[Credentials]) -> None:
        self._renewal = None
        if not task.cancelled():
            task.exception()  # raised where it is awaited; nobody may be waiting any more
