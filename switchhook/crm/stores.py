"""The ports of `crm_sync` over the tables of `call_records`, which know nothing of each other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from call_records.deliveries.credentials import CredentialTable, SealedCredentials
from call_records.deliveries.holds import HoldTable
from call_records.deliveries.lanes import DeliveryRow, LaneRows, LaneTable
from call_records.deliveries.sealing import SecretBox
from crm_sync.codec import decode_credentials, decode_delivery, encode_credentials, encode_delivery
from crm_sync.delivery import Delivery
from crm_sync.exchange import Credentials
from crm_sync.ports import LaneClaim, LeaseLost, Renewal
from telephony.errors import NeedsPerson

NO_CREDENTIALS = "There are no credentials for the CRM connection {name}."
ENTER_THEM = "Set secret_file in its [[crm.connections]] table and restart Switchhook."


def build_row(delivery: Delivery) -> DeliveryRow:
    """As it is stored."""
    key = delivery.key
    return DeliveryRow(
        key.connection,
        key.call_id,
        key.leg,
        str(key.kind),
        delivery.sequence,
        str(delivery.state),
        delivery.due_at,
        delivery.settled_at,
        delivery.reason,
        encode_delivery(delivery),
    )


class StoredDeliveries:
    """The outbox (`DeliveryStore`)."""

    def __init__(self, lanes: LaneTable) -> None:
        self._lanes = lanes

    async def add_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        await self._lanes.add_deliveries([build_row(delivery) for delivery in deliveries])

    async def claim_lane(self, connection: str, now: datetime, leased_until: datetime) -> LaneClaim | None:
        """See the port."""
        lane = await self._lanes.claim_lane(connection, now, leased_until)
        if lane is None:
            return None
        deliveries = tuple(decode_delivery(row.content) for row in lane.deliveries)
        return LaneClaim(lane.connection, lane.call_id, lane.lease_id, deliveries)

    async def save_deliveries(self, claim: LaneClaim, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        rows = [build_row(delivery) for delivery in deliveries]
        if not await self._lanes.save_deliveries(_lane_of(claim), rows):
            raise LeaseLost

    async def release_lane(self, claim: LaneClaim, due_at: datetime | None) -> None:
        """See the port."""
        await self._lanes.release_lane(_lane_of(claim), due_at)


def _lane_of(claim: LaneClaim) -> LaneRows:
    return LaneRows(claim.connection, claim.call_id, claim.lease_id, ())


class StoredCredentials:
    """The credentials of every connection, sealed (`CredentialStore`)."""

    def __init__(self, table: CredentialTable, box: SecretBox, holds: HoldTable) -> None:
        self._table = table
        self._box = box
        self._holds = holds

    async def get_credentials(self, connection: str) -> Credentials:
        """See the port."""
        stored = await self._table.get_credentials(connection)
        opened = self._box.open(stored.sealed, connection) if stored else None
        if opened is None:
            raise NeedsPerson(NO_CREDENTIALS.format(name=connection), remedy=ENTER_THEM)
        return decode_credentials(json.loads(opened))

    def begin_renewal(self, connection: str) -> AbstractAsyncContextManager[Renewal]:
        """See the port."""
        return self._renewal(connection)

    async def take_configured(self, connection: str, configured: Credentials) -> None:
        """What a person configured, unless it is what the stored ones were renewed from."""
        async with self._holds.hold(_renewal_of(connection)):
            stored = await self._table.get_credentials(connection)
            origin = self._box.fingerprint(_serialize(configured))
            if (
                stored is not None
                and stored.origin == origin
                and self._box.open(stored.sealed, connection) is not None
            ):
                return
            revision = stored.revision + 1 if stored else 0
            await self._put(connection, replace(configured, revision=revision), origin)

    @asynccontextmanager
    async def _renewal(self, connection: str) -> AsyncIterator[Renewal]:
        async with self._holds.hold(_renewal_of(connection)):
            yield StoredRenewal(self, connection, await self.get_credentials(connection))

    async def replace_credentials(self, connection: str, credentials: Credentials) -> None:
        """By renewed ones: where they came from stays."""
        stored = await self._table.get_credentials(connection)
        await self._put(connection, credentials, stored.origin if stored else b"")

    async def _put(self, connection: str, credentials: Credentials, origin: bytes) -> None:
        sealed = self._box.seal(_serialize(credentials), connection)
        await self._table.put_credentials(connection, SealedCredentials(sealed, origin, credentials.revision))


@dataclass(slots=True)
class StoredRenewal:
    """Of one connection, while nobody else renews it (`Renewal`)."""

    store: StoredCredentials
    connection: str
    credentials: Credentials

    async def save_credentials(self, credentials: Credentials) -> None:
        """See the port."""
        await self.store.replace_credentials(self.connection, credentials)
        self.credentials = credentials


def _renewal_of(connection: str) -> str:
    return f"renewal {connection}"


def _serialize(credentials: Credentials) -> bytes:
    return json.dumps(encode_credentials(credentials), sort_keys=True).encode()


class StoredNumberLocks:
    """One at a time per connection and number (`NumberLocks`)."""

    def __init__(self, holds: HoldTable) -> None:
        self._holds = holds

    def hold_number(self, connection: str, phone_tail: str) -> AbstractAsyncContextManager[None]:
        """See the port."""
        return self._holds.hold(f"number {connection} {phone_tail}")
