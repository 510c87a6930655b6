"""What people see and decide about deliveries (`web.crm_desk.CrmDesk`), whichever process serves the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from call_records.deliveries.connections import ConnectionStatus
from call_records.deliveries.records import DeliveryRecords
from crm_sync.codec import decode_delivery
from crm_sync.delivery import Delivery, DeliveryKey, resend_delivery, retry_delivery, skip_delivery
from crm_sync.states import EXCEPTIONS, DeliveryState
from switchhook.crm.stores import build_row
from switchhook.settings.tables import CrmSettings
from telephony.errors import ChangedMeanwhile


class StoredDesk:
    """Over the database; of the configured connections."""

    def __init__(self, settings: CrmSettings, records: DeliveryRecords) -> None:
        self._names = [connection.name for connection in settings.connections]
        self._records = records

    async def list_connections(self) -> Sequence[ConnectionStatus]:
        """See the desk."""
        found = {status.name: status for status in await self._records.connections.list_connections()}
        return [found[name] for name in self._names if name in found]

    async def list_exceptions(self) -> Sequence[Delivery]:
        """See the desk."""
        rows = await self._records.connections.list_exceptions(self._names)
        return [decode_delivery(row.content) for row in rows]

    async def retry(self, key: DeliveryKey) -> None:
        """See the desk."""
        await self._decide(key, retry_delivery)
        await self._records.connections.ask_retry(key.connection)

    async def send_again(self, key: DeliveryKey) -> None:
        """See the desk."""
        await self._decide(key, resend_delivery)
        await self._records.connections.ask_retry(key.connection)

    async def dismiss(self, key: DeliveryKey, who: str) -> None:
        """See the desk."""
        await self._decide(key, lambda delivery, now: skip_delivery(delivery, now, f"Dismissed by {who}"))

    async def _decide(self, key: DeliveryKey, decision: Callable[[Delivery, datetime], Delivery]) -> None:
        now = datetime.now(UTC)
        async with self._records.connections.open_lane(key.connection, key.call_id, now) as lane:
            deliveries = [decode_delivery(row.content) for row in lane.rows]
            found = next((delivery for delivery in deliveries if delivery.key == key), None)
            if found is None or found.state not in EXCEPTIONS or key.connection not in self._names:
                raise ChangedMeanwhile("This delivery does not wait for anybody any more.")
            if found.state is DeliveryState.HELD:
                raise ChangedMeanwhile(
                    "This delivery waits for another one of the same call.", remedy="Decide about that one."
                )
            await lane.save_deliveries([build_row(decision(found, now))])
