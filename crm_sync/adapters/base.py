"""What an adapter is: one CRM's requests and answers, declared capabilities, no I/O.

To add a CRM: one file beside this one, one row in `crm_sync.adapters.ADAPTERS`; the conformance kit picks it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from crm_sync.budget import Rate
from crm_sync.delivery import Verification
from crm_sync.exchange import Credentials, Plan, Request, Response, Verdict
from crm_sync.operations import DeliveryContext, Operation, OperationKind, Ref
from crm_sync.outcomes import ProbeResult, WriteResult


class RecordingTransfer(StrEnum):
    """How a recording gets into the CRM."""

    UPLOAD = "upload"
    LINK = "link"
    """In the call log entry; the CRM fetches or plays it from us."""
    NONE = "none"


class ChangeFeed(StrEnum):
    """How a CRM tells of its own changes. Hints may be lost, so a poll is the truth."""

    NONE = "none"
    HINT = "hint"
    DURABLE = "durable"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What one CRM can do through one kind of access."""

    operations: Mapping[OperationKind, Verification]
    """Those that it can execute, and how each is verified after a lost answer."""
    rate: Rate
    settle_seconds: float
    """How long after a request was sent the CRM may still execute it or make the result findable."""
    recording: RecordingTransfer = RecordingTransfer.NONE
    change_feed: ChangeFeed = ChangeFeed.NONE
    has_click_to_call: bool = False
    creates_lead_with_call: bool = False
    """An unknown caller's call log entry is the lead: no separate operation."""
    is_write_only: bool = False
    """Nothing can be asked: no check, no users, no look-up."""
    max_concurrent_lanes: int = 4
    is_renewal_repeatable: bool = False
    """Whether the old refresh token may be used again after a lost answer."""
    limitations: tuple[str, ...] = ()
    """What a person gives up with this kind of access, for the page that connects it."""

    def can_execute(self, kind: OperationKind) -> bool:
        """Whether it has such an operation."""
        return kind in self.operations


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """One connection, without its secrets."""

    name: str
    kind: str
    base_url: str
    allow_private_network: bool = False
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What only this kind of CRM needs, by the names in its adapter's `OPTIONS`."""


@dataclass(frozen=True, slots=True)
class Health:
    """The answer to a check that changes nothing."""

    account: str
    """As whom we are connected."""
    missing: tuple[str, ...] = ()
    """Rights or modules that are missing, in the CRM's own words."""


@dataclass(frozen=True, slots=True)
class CrmUser:
    """A person who works in the CRM."""

    id: str
    name: str
    email: str | None = None
    extensions: tuple[str, ...] = ()
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the CRM with a telephone number: a contact, a company or a lead."""

    ref: Ref
    name: str
    phones: tuple[str, ...]
    owner_user_id: str | None = None
    company: Ref | None = None


class CrmAdapter(Protocol):
    """One CRM. Plans return values; what goes wrong with a request is raised into them as RequestFailed."""

    capabilities: Capabilities

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """The request as it leaves: whole address, with what opens the CRM."""

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """What the response means: by the CRM's own error codes, else by HTTP."""

    def check(self) -> Plan[Health]:
        """Read-only: who are we, what is missing."""

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """All people of the CRM."""

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """Everybody with that number; compared here, because searches are generous."""

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """Execute it: reads, then exactly one write."""

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """Whether it was executed: reads only."""

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """The request that renews them, secrets included; None where nothing can be renewed."""

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """The new credentials. Raises NeedsPerson when the CRM refuses, UnexpectedAnswer when they cannot be read."""
