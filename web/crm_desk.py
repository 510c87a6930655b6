"""What the pages need of CRM sync: how connections are, what was not delivered, and people's decisions about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from call_records.deliveries.connections import ConnectionStatus
from crm_sync.delivery import Delivery, DeliveryKey


class CrmDesk(Protocol):
    """Decisions raise TryLater while a worker has the call, ChangedMeanwhile when it is no exception any more."""

    async def list_connections(self) -> Sequence[ConnectionStatus]:
        """The configured ones, in their order. Raises TryLater when the database is away."""

    async def list_exceptions(self) -> Sequence[Delivery]:
        """What was not delivered, what needs a person first."""

    async def retry(self, key: DeliveryKey) -> None:
        """Try it again; where the CRM may have it, look there first."""

    async def send_again(self, key: DeliveryKey) -> None:
        """A person has looked, and the CRM does not have it."""

    async def dismiss(self, key: DeliveryKey, who: str) -> None:
        """Nobody wants it delivered any more."""
