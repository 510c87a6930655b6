"""Bitrix24 through an inbound webhook: a degraded mode, for portals where nobody may install an application.

A webhook may not register calls (403 WRONG_AUTH_TYPE), so a call becomes an activity of type call on whoever has its
number: no card on ring, no recording, no statistics. The page that connects it says so.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from crm_sync.adapters.base import Capabilities, ConnectionSettings, CrmUser, Health, Person
from crm_sync.adapters.bitrix24 import (
    ENTITY_TYPE_IDS,
    ORIGINATOR,
    build_request,
    classify_bitrix24,
    create_lead,
    find_entities,
    find_skip_reason,
    list_users,
    probe_lead,
)
from crm_sync.budget import Rate
from crm_sync.delivery import Verification
from crm_sync.exchange import (
    Credentials,
    Effect,
    Plan,
    Request,
    Response,
    UnexpectedAnswer,
    Verdict,
    get_id,
    get_list,
    get_text,
)
from crm_sync.operations import DeliveryContext, Operation, OperationKind, Ref, RefKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from telephony.call_facts.facts import Direction, iso

WANTED_SCOPES = ("crm", "user")
CALL_ACTIVITY = 2
INBOUND, OUTBOUND = 1, 2
LOGGED_ON = (RefKind.CONTACT, RefKind.COMPANY, RefKind.LEAD)


class Bitrix24WebhookAdapter:
    """Degraded mode. The access token is the webhook's secret path, `<user>/<code>`."""

    capabilities = Capabilities(
        operations=MappingProxyType(
            {
                OperationKind.CREATE_LEAD: Verification.PROBE,
                OperationKind.CLOSE_CALL: Verification.PROBE,
            }
        ),
        rate=Rate(per_second=1.8, burst=45),
        settle_seconds=90.0,
        limitations=(
            "No card when the phone rings",
            "No recording on the call",
            "Calls are activities and do not appear in the call statistics",
            "No click-to-call and no callback requests",
        ),
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """The secret is in the address."""
        path = request.url.replace("/rest/", f"/rest/{credentials.access_token.strip('/')}/", 1)
        return replace(request, url=self._settings.base_url.rstrip("/") + path)

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """As for an application; only that nothing renews a webhook."""
        return replace(classify_bitrix24(request, response, now), is_token_expired=False)

    def check(self) -> Plan[Health]:
        """As whom the webhook acts, and which scopes nobody ticked."""
        profile = yield build_request("profile")
        granted = yield build_request("scope")
        scopes = {str(scope) for scope in get_list(granted.data, "result")}
        return Health(
            account=f"{self._settings.base_url} (user {get_text(profile.data, 'result', 'ID')})",
            missing=tuple(f"scope {scope}" for scope in WANTED_SCOPES if scope not in scopes),
        )

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """Page by page."""
        return (yield from list_users())

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """Whoever has the number, without names."""
        found = yield from find_entities(phone)
        return tuple(Person(ref, "", (phone,)) for ref in found)

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """A lead, or an activity."""
        reason = find_skip_reason(operation.call)
        if reason:
            return WriteResult(Outcome.SKIPPED, reason)
        if operation.kind is OperationKind.CREATE_LEAD:
            return (yield from create_lead(operation))
        entity = context.find_ref(*LOGGED_ON)
        if entity is None:
            found = yield from find_entities(operation.call.phone or "")
            entity = found[0] if found else None
        if entity is None:
            return WriteResult(Outcome.SKIPPED, "Nobody in Bitrix24 has this number")
        answer = yield build_request(
            "crm.activity.add", Effect.WRITE, fields=build_activity(operation, entity)
        )
        return WriteResult(Outcome.DONE, refs=(Ref(RefKind.CALL, get_id(answer.data, "result")), entity))

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """By our key."""
        if operation.kind is OperationKind.CREATE_LEAD:
            return (yield from probe_lead(operation))
        key = {"ORIGINATOR_ID": ORIGINATOR, "ORIGIN_ID": operation.call_key}
        answer = yield build_request("crm.activity.list", filter=key, select=["ID"])
        rows = get_list(answer.data, "result")
        if not rows:
            return ProbeResult(Presence.ABSENT)
        return ProbeResult(Presence.FOUND, refs=(Ref(RefKind.CALL, get_id(rows[0], "ID")),))

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """A webhook is not renewed."""
        return None

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """Never asked for."""
        raise UnexpectedAnswer


def build_activity(operation: Operation, entity: Ref) -> dict[str, Any]:
    """A call that is over."""
    log = operation.call
    ended_at = (log.answered_at or log.started_at) + timedelta(seconds=log.duration_seconds)
    is_inbound = log.direction is Direction.INBOUND
    type_id = ENTITY_TYPE_IDS[entity.kind]
    fields: dict[str, Any] = {
        "TYPE_ID": CALL_ACTIVITY,
        "OWNER_TYPE_ID": type_id,
        "OWNER_ID": int(entity.id),
        "SUBJECT": f"{'Call from' if is_inbound else 'Call to'} {log.phone}",
        "DESCRIPTION": log.summary,
        "START_TIME": iso(log.started_at),
        "END_TIME": iso(ended_at),
        "COMPLETED": "Y",
        "DIRECTION": INBOUND if is_inbound else OUTBOUND,
        "COMMUNICATIONS": [{"VALUE": log.phone, "ENTITY_ID": int(entity.id), "ENTITY_TYPE_ID": type_id}],
        "ORIGINATOR_ID": ORIGINATOR,
        "ORIGIN_ID": operation.call_key,
    }
    if log.user_id and log.user_id.isdigit():
        fields["RESPONSIBLE_ID"] = int(log.user_id)
    return fields
