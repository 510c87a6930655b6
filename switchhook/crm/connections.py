"""From what is configured to what `crm_sync` works with: settings, credentials and rules of each connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from call_records.deliveries.records import DeliveryRecords
from call_records.deliveries.sealing import SecretBox
from crm_sync.adapters import ADAPTERS
from crm_sync.adapters.base import ConnectionSettings, CrmAdapter
from crm_sync.client import CrmClient
from crm_sync.dispatcher import Dispatcher
from crm_sync.exchange import Credentials
from crm_sync.http import HttpTransport
from crm_sync.operations import get_phone_tail
from crm_sync.planner import PlanningRules
from crm_sync.ports import Clock, CredentialStore, NumberLocks, Transport
from switchhook.crm.stores import StoredCredentials, StoredDeliveries, StoredNumberLocks
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmConnectionSettings

KEY_FILE = "crm-credentials.key"
"""Below the state directory: what opens the credentials that are stored in the database."""


class ClosableTransport(Transport, Protocol):
    """Sends requests until it is closed."""

    async def close(self) -> None:
        """Close all connections."""


MakeTransport = Callable[[ConnectionSettings], ClosableTransport]


class SystemClock:
    """The machine's (`Clock`)."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)


def make_transport(connection: ConnectionSettings) -> ClosableTransport:
    """HTTP, to where the connection may lead."""
    return HttpTransport(allow_private=connection.allow_private_network)


def read_connection(configured: CrmConnectionSettings) -> ConnectionSettings:
    """Without its secret."""
    options = {**configured.options, "create_leads": "yes" if configured.create_leads else "no"}
    return ConnectionSettings(
        name=configured.name,
        kind=configured.adapter,
        base_url=configured.url,
        allow_private_network=configured.allow_private_network,
        options=MappingProxyType(options),
    )


def read_credentials(configured: CrmConnectionSettings) -> Credentials:
    """What opens the CRM, as it was entered."""
    return Credentials(configured.secret.get_secret_value() if configured.secret else "")


def read_rules(
    configured: CrmConnectionSettings, adapter: CrmAdapter, connected_at: datetime, public_url: str | None
) -> PlanningRules:
    """Which calls it gets, and how."""
    return PlanningRules(
        connection=configured.name,
        capabilities=adapter.capabilities,
        connected_at=connected_at,
        user_ids=MappingProxyType(dict(configured.users)),
        fallback_user_id=configured.fallback_user,
        own_numbers=frozenset(map(get_phone_tail, configured.lines)),
        creates_leads=configured.create_leads,
        public_url=public_url,
    )


def build_client(
    configured: CrmConnectionSettings,
    transport: Transport,
    credentials: CredentialStore,
    locks: NumberLocks,
    clock: Clock,
) -> CrmClient:
    """The client of one connection."""
    connection = read_connection(configured)
    adapter = ADAPTERS[connection.kind](connection)
    return CrmClient(connection, adapter, transport, credentials, locks, clock)


@dataclass(slots=True)
class LiveConnection:
    """One connection that is worked on in this process."""

    configured: CrmConnectionSettings
    client: CrmClient
    transport: ClosableTransport
    dispatcher: Dispatcher
    rules: PlanningRules

    @property
    def name(self) -> str:
        """As it is configured."""
        return self.configured.name

    async def close(self) -> None:
        """Store what a renewal brings, close all sockets."""
        await self.client.close()
        await self.transport.close()


async def open_connection(
    configured: CrmConnectionSettings,
    settings: Settings,
    records: DeliveryRecords,
    box: SecretBox,
    *,
    make_transport: MakeTransport = make_transport,
    clock: Clock | None = None,
) -> LiveConnection:
    """Enter it in the database, with its credentials. Raises TryLater when the database is away."""
    clock = clock or SystemClock()
    credentials = StoredCredentials(records.credentials, box, records.holds)
    await credentials.take_configured(configured.name, read_credentials(configured))
    status = await records.connections.enter_connection(configured.name, configured.adapter)
    transport = make_transport(read_connection(configured))
    client = build_client(configured, transport, credentials, StoredNumberLocks(records.holds), clock)
    dispatcher = Dispatcher(client, StoredDeliveries(records.lanes), random.random)
    rules = read_rules(configured, client.adapter, status.connected_at, settings.web.public_url)
    return LiveConnection(configured, client, transport, dispatcher, rules)


def find_key_file(state_dir: Path) -> Path:
    """Where the key lies."""
    return state_dir / KEY_FILE
