"""What CRM sync needs of the outside: storage, a clock, a transport. Wired in `switchhook.assembly`.

Each has a contract suite (tests/crm_sync) that the implementation for PostgreSQL passes as the one in memory does.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from crm_sync.delivery import Delivery
from crm_sync.exchange import Credentials, Request, Response
from telephony.errors import TryLater


class LeaseLost(TryLater):
    """Another worker has taken over this lane meanwhile."""


@dataclass(frozen=True, slots=True)
class LaneClaim:
    """A lane that one worker has for itself until its lease runs out."""

    connection: str
    call_id: UUID
    lease_id: UUID
    deliveries: tuple[Delivery, ...]
    """All of the lane, settled ones too."""


class DeliveryStore(Protocol):
    """The outbox, by lanes."""

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Add them and make their lanes due; those whose key is there change nothing. Normally the journal does this in
        its own transaction."""

    async def claim_lane(self, connection: str, now: datetime, leased_until: datetime) -> LaneClaim | None:
        """The lane that is due longest and that nobody has, with a new lease; None when there is none."""

    async def save_deliveries(self, claim: LaneClaim, deliveries: Sequence[Delivery]) -> None:
        """Durable when it returns. Raises LeaseLost, and saves nothing, when the lease is somebody else's."""

    async def release_lane(self, claim: LaneClaim, due_at: datetime | None) -> None:
        """Give the lease back; the lane is due again at that time, or never by itself. Nothing when the lease is
        somebody else's. A delivery added meanwhile makes the lane due at once."""


class Renewal(Protocol):
    """A renewal of credentials under the lock of their row."""

    @property
    def credentials(self) -> Credentials:
        """As they are stored, read after the lock was had."""

    async def save_credentials(self, credentials: Credentials) -> None:
        """Durable when it returns: the new ones are used only afterwards, because the old ones are spent."""


class CredentialStore(Protocol):
    """The credentials of every connection, encrypted."""

    async def get_credentials(self, connection: str) -> Credentials:
        """As stored. Raises NeedsPerson when there are none."""

    def begin_renewal(self, connection: str) -> AbstractAsyncContextManager[Renewal]:
        """One at a time, across processes."""


class NumberLocks(Protocol):
    """One at a time per connection and number: two calls of one unknown caller must not make two leads."""

    def hold_number(self, connection: str, phone_tail: str) -> AbstractAsyncContextManager[None]:
        """Across processes; waits for whoever has it."""


class Transport(Protocol):
    """Sends one request."""

    async def send_request(self, request: Request) -> Response:
        """Any response, whatever its status. Raises TransportFailure."""


class Clock(Protocol):
    """The time, turned by tests."""

    def now(self) -> datetime:
        """Aware UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
