"""Signed webhooks (Standard Webhooks): every call event as a POST to an address of one's own.

The receiver gets at least one delivery per event and makes it one by `webhook-id`, as that standard says; so every
repetition has the same id and body, and a new timestamp. Write-only: nothing can be looked up or probed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from crm_sync.adapters.base import (
    Capabilities,
    ConnectionSettings,
    CrmUser,
    Health,
    Person,
    RecordingTransfer,
)
from crm_sync.budget import Rate
from crm_sync.classify import build_excerpt, classify_response
from crm_sync.delivery import Verification
from crm_sync.exchange import (
    MASK,
    Credentials,
    Effect,
    Plan,
    Request,
    Response,
    UnexpectedAnswer,
    Verdict,
    encode_json,
)
from crm_sync.operations import DeliveryContext, Operation, OperationKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from telephony.call_facts.facts import iso

SECRET_PREFIX = "whsec_"  # noqa: S105  # how the standard marks a secret; none by itself
TIMEOUT_SECONDS = 20.0  # the standard recommends 15 to 30 s: a receiver answers first and works later
EVENTS = MappingProxyType(
    {
        OperationKind.OPEN_CALL: "call.started",
        OperationKind.SHOW_POPUP: "call.ringing",
        OperationKind.CLOSE_CALL: "call.ended",
        OperationKind.ATTACH_RECORDING: "call.recording_available",
        OperationKind.ADD_NOTE: "call.noted",
    }
)


class WebhookAdapter:
    """The base address is the receiver's; the access token is its secret."""

    capabilities = Capabilities(
        operations=MappingProxyType(dict.fromkeys(EVENTS, Verification.IDEMPOTENT)),
        rate=Rate(per_second=20, burst=40),
        settle_seconds=0.0,
        recording=RecordingTransfer.LINK,
        is_write_only=True,
    )

    def __init__(self, settings: ConnectionSettings) -> None:
        self._settings = settings

    def authorize(self, request: Request, credentials: Credentials, now: datetime) -> Request:
        """Sign exactly the bytes that leave."""
        timestamp = str(int(now.timestamp()))
        event_id = next(value for name, value in request.headers if name == "webhook-id")
        content = f"{event_id}.{timestamp}.".encode() + encode_json(request.json)
        whole = replace(request, url=self._settings.base_url)
        signature = build_signature(credentials.access_token, content)
        return whole.with_header("webhook-timestamp", timestamp).with_header("webhook-signature", signature)

    def classify(self, request: Request, response: Response, now: datetime) -> Verdict:
        """2xx, whatever is in it; 410 means: not any more; anything else is tried again."""
        if 200 <= response.status < 300:
            return Verdict(Outcome.DONE)
        if response.status == 410:
            return Verdict(Outcome.NEEDS_ADMIN, "The receiver does not want events any more (410)")
        verdict = classify_response(response, now)
        if verdict.outcome is Outcome.REJECTED:
            return Verdict(
                Outcome.UNKNOWN, f"The receiver answered {response.status}: {build_excerpt(response)}"
            )
        return replace(verdict, is_token_expired=False)

    def check(self) -> Plan[Health]:
        """Nothing can be asked without an event."""
        yield from ()
        return Health(account=self._settings.base_url)

    def list_users(self) -> Plan[tuple[CrmUser, ...]]:
        """None."""
        yield from ()
        return ()

    def find_people(self, phone: str) -> Plan[tuple[Person, ...]]:
        """None."""
        yield from ()
        return ()

    def write(self, operation: Operation, context: DeliveryContext) -> Plan[WriteResult]:
        """One event."""
        event = EVENTS.get(operation.kind)
        if event is None:
            return WriteResult(Outcome.SKIPPED, f"There is no event for {operation.kind}")
        yield Request(
            event,
            Effect.WRITE,
            "",
            headers=(("webhook-id", operation.idempotency_key),),
            json=build_event(event, operation),
            timeout_seconds=TIMEOUT_SECONDS,
        )
        return WriteResult(Outcome.DONE)

    def probe(self, operation: Operation, context: DeliveryContext) -> Plan[ProbeResult]:
        """Never needed: every event may be repeated."""
        yield from ()
        return ProbeResult(Presence.UNCLEAR)

    def build_renewal(self, credentials: Credentials) -> Request | None:
        """A secret is not renewed."""
        return None

    def read_renewal(self, response: Response, credentials: Credentials, now: datetime) -> Credentials:
        """Never asked for."""
        raise UnexpectedAnswer


def build_signature(secret: str, content: bytes) -> str:
    """`v1,` and the base64 of the HMAC; masked for a dry run."""
    if secret == MASK:
        return f"v1,{MASK}"
    digest = hmac.new(decode_secret(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def decode_secret(secret: str) -> bytes:
    """The key in `whsec_<base64>`. Raises UnexpectedAnswer when it is none."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise UnexpectedAnswer("The secret must be whsec_ and base64.", remedy="Enter it again.") from error


def build_event(event: str, operation: Operation) -> dict[str, Any]:
    """The same for every repetition: its time is the call's, not the attempt's."""
    call = operation.call
    recording = operation.recording
    data = {
        "call_id": str(call.call_id),
        "leg": call.leg,
        "direction": str(call.direction),
        "phone": call.phone,
        "did": call.did,
        "extension": call.extension,
        "user_id": call.user_id,
        "started_at": iso(call.started_at),
        "answered_at": iso(call.answered_at) if call.answered_at else None,
        "duration_seconds": call.duration_seconds,
        "disposition": str(call.disposition) if call.disposition else None,
        "summary": call.summary,
        "recording_url": recording.link if recording else None,
    }
    if operation.kind is OperationKind.ADD_NOTE:
        data["note"] = operation.text
    return {"type": event, "timestamp": iso(call.started_at), "data": data}
