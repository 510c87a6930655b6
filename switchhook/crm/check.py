"""`switchhook crm check`: whether a CRM lets us in, what is missing there, and whose users the extensions are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from crm_sync.adapters.base import CrmUser, Health
from crm_sync.budget import Priority
from crm_sync.client import CrmClient
from crm_sync.exchange import Credentials, Plan, RequestFailed, T
from crm_sync.outcomes import Outcome
from crm_sync.ports import Renewal
from switchhook.crm.connections import (
    MakeTransport,
    SystemClock,
    build_client,
    make_transport,
    read_connection,
    read_credentials,
)
from switchhook.settings.secrets import without_secret
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmConnectionSettings
from telephony.errors import NeedsPerson, TryLater

CHECK_SECONDS = 120.0  # a few requests, within the CRM's budget
FAULT = 1


@dataclass(slots=True)
class Report:
    """What is printed, line by line."""

    lines: list[str] = field(default_factory=list)
    faults: int = 0

    def add(self, sentence: str) -> None:
        """Something that is well, or good to know."""
        self.lines.append(sentence)

    def add_fault(self, sentence: str) -> None:
        """Something that must be changed."""
        self.faults += 1
        self.lines.append(f"! {sentence}")


async def check(settings: Settings, name: str, *, transport_of: MakeTransport = make_transport) -> int:
    """Print what was found; 1 when something must be changed. Raises NeedsPerson, TryLater. Changes nothing."""
    configured = find_connection(settings, name)
    transport = transport_of(read_connection(configured))
    client = build_client(configured, transport, ConfiguredCredentials(configured), NoLocks(), SystemClock())
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            health = await _ask(client, client.adapter.check())
            users = await _ask_users(client)
    except TimeoutError as late:
        raise TryLater("The CRM does not answer.", remedy="Try again later.") from late
    finally:
        await transport.close()
    report = describe(configured, client, health, users, settings.web.public_url)
    print("\n".join(report.lines))
    return FAULT if report.faults else 0


def find_connection(settings: Settings, name: str) -> CrmConnectionSettings:
    """The configured one. Raises NeedsPerson that names those that there are."""
    connections = {connection.name: connection for connection in settings.crm.connections}
    if name in connections:
        if connections[name].secret is None:
            raise without_secret(connections[name])
        return connections[name]
    listed = ", ".join(connections) or "none"
    raise NeedsPerson(
        f'There is no CRM connection "{name}".', remedy=f"The configuration has these: {listed}."
    )


def describe(
    configured: CrmConnectionSettings,
    client: CrmClient,
    health: Health,
    users: Sequence[CrmUser] | NeedsPerson,
    public_url: str | None,
) -> Report:
    """In words."""
    report = Report()
    capabilities = client.adapter.capabilities
    if capabilities.is_write_only:
        report.add(f"{configured.name}: events go to {configured.url}.")
        report.add("A receiver of webhooks cannot be asked. The first call shows whether it takes them.")
    else:
        report.add(f"{configured.name}: let in as {health.account}.")
    for missing in health.missing:
        report.add_fault(f"Missing there: {missing}.")
    for limitation in capabilities.limitations:
        report.add(f"With this kind of access: {limitation[:1].lower()}{limitation[1:]}.")
    if public_url is None:
        report.add("[web] public_url is not set, so entries have no link to the call and its recording.")
    if isinstance(users, NeedsPerson):
        report.add_fault(f"Its users cannot be listed. {users}")
    elif not capabilities.is_write_only:
        _describe_users(report, configured, users)
    return report


def _describe_users(report: Report, configured: CrmConnectionSettings, users: Sequence[CrmUser]) -> None:
    by_id = {user.id: user for user in users}
    for extension, user_id in configured.users.items():
        user = by_id.get(user_id)
        if user is None:
            report.add_fault(
                f"Extension {extension} is mapped to user {user_id}, whom the CRM does not have."
            )
        elif not user.is_active:
            report.add_fault(
                f"Extension {extension} is mapped to {user.name} ({user_id}), who is not active."
            )
        else:
            report.add(f"Extension {extension} is {user.name} ({user_id}).")
    if configured.fallback_user is not None:
        found = by_id.get(configured.fallback_user)
        if found is None:
            report.add_fault(f"fallback_user {configured.fallback_user} is nobody whom the CRM has.")
        else:
            report.add(f"Everybody else's calls go to {found.name} ({found.id}).")
    elif not configured.users:
        report.add(
            "No extension is mapped here. Where this is the only CRM, the CRM users of the Staff page count; else the CRM "
            "decides whose the entries are."
        )
    mapped = set(configured.users.values())
    for user in users:
        if user.is_active and user.id not in mapped:
            proposed = "".join(f' Add: {extension} = "{user.id}"' for extension in user.extensions)
            report.add(f"Without an extension: {user.name} ({user.id}).{proposed}")


async def _ask_users(client: CrmClient) -> Sequence[CrmUser] | NeedsPerson:
    """Calls can be delivered by somebody who may not see who works there."""
    try:
        return await _ask(client, client.adapter.list_users())
    except NeedsPerson as refused:
        return refused


async def _ask(client: CrmClient, plan: Plan[T]) -> T:
    """Raises NeedsPerson when somebody must change something, TryLater when it may work later."""
    try:
        return await client.run_plan(plan, Priority.INTERACTIVE)
    except RequestFailed as refused:
        detail = refused.verdict.detail or str(refused.verdict.outcome)
        if refused.verdict.outcome in (Outcome.NEEDS_ADMIN, Outcome.REJECTED):
            raise NeedsPerson(
                f"The CRM refuses: {detail}.", remedy="Check url, secret and rights of the connection."
            ) from refused
        raise TryLater(f"The CRM cannot be asked just now: {detail}.") from refused


class ConfiguredCredentials:
    """As the configuration has them (`CredentialStore`): a check reads nothing of the database and renews nothing."""

    def __init__(self, configured: CrmConnectionSettings) -> None:
        self._credentials = read_credentials(configured)

    async def get_credentials(self, connection: str) -> Credentials:
        """See the port."""
        del connection
        return self._credentials

    def begin_renewal(self, connection: str) -> AbstractAsyncContextManager[Renewal]:
        """See the port."""
        raise NeedsPerson(f"The secret of {connection} is not accepted any more.", remedy="Enter a new one.")


class NoLocks:
    """Nothing is written (`NumberLocks`)."""

    @asynccontextmanager
    async def hold_number(self, connection: str, phone_tail: str) -> AsyncIterator[None]:
        """See the port."""
        del connection, phone_tail
        yield
