"""Deliveries and credentials as JSON, for whoever stores them. Fields that are added later get a default when read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from crm_sync.delivery import Delivery, HoldReason
from crm_sync.exchange import Credentials
from crm_sync.operations import CallLog, Operation, OperationKind, Recording, Ref, RefKind
from crm_sync.states import DeliveryState
from telephony.call_facts.facts import Direction, Disposition

Json = Mapping[str, Any]


def encode_delivery(delivery: Delivery) -> dict[str, Any]:
    """The whole of it."""
    return {
        "connection": delivery.connection,
        "operation": _encode_operation(delivery.operation),
        "sequence": delivery.sequence,
        "created_at": _encode_time(delivery.created_at),
        "due_at": _encode_time(delivery.due_at),
        "age_from": _encode_time(delivery.age_from),
        "state": str(delivery.state),
        "attempts": delivery.attempts,
        "probes": delivery.probes,
        "sent_at": _encode_time(delivery.sent_at),
        "unknown_since": _encode_time(delivery.unknown_since),
        "settled_at": _encode_time(delivery.settled_at),
        "reason": delivery.reason,
        "hold": str(delivery.hold) if delivery.hold else None,
        "refs": [_encode_ref(ref) for ref in delivery.refs],
    }


def decode_delivery(data: Json) -> Delivery:
    """The inverse. Raises KeyError or ValueError for what this program did not write."""
    return Delivery(
        connection=data["connection"],
        operation=_decode_operation(data["operation"]),
        sequence=data["sequence"],
        created_at=datetime.fromisoformat(data["created_at"]),
        due_at=datetime.fromisoformat(data["due_at"]),
        age_from=_decode_time(data["age_from"]),
        state=DeliveryState(data["state"]),
        attempts=data["attempts"],
        probes=data["probes"],
        sent_at=_decode_time(data["sent_at"]),
        unknown_since=_decode_time(data["unknown_since"]),
        settled_at=_decode_time(data["settled_at"]),
        reason=data["reason"],
        hold=HoldReason(data["hold"]) if data["hold"] else None,
        refs=tuple(_decode_ref(ref) for ref in data["refs"]),
    )


def encode_credentials(credentials: Credentials) -> dict[str, Any]:
    """With every secret in it: to be sealed before it is stored."""
    return {
        "access_token": credentials.access_token,
        "refresh_token": credentials.refresh_token,
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "user": credentials.user,
        "expires_at": _encode_time(credentials.expires_at),
        "revision": credentials.revision,
    }


def decode_credentials(data: Json) -> Credentials:
    """The inverse."""
    return Credentials(**{**data, "expires_at": _decode_time(data["expires_at"])})


def _encode_operation(operation: Operation) -> dict[str, Any]:
    recording = operation.recording
    return {
        "kind": str(operation.kind),
        "call": _encode_call(operation.call),
        "recording": _encode_recording(recording) if recording else None,
        "text": operation.text,
        "popup_user_ids": list(operation.popup_user_ids),
    }


def _decode_operation(data: Json) -> Operation:
    return Operation(
        kind=OperationKind(data["kind"]),
        call=_decode_call(data["call"]),
        recording=_decode_recording(data["recording"]) if data["recording"] else None,
        text=data["text"],
        popup_user_ids=tuple(data["popup_user_ids"]),
    )


def _encode_call(call: CallLog) -> dict[str, Any]:
    return {
        "call_id": str(call.call_id),
        "direction": str(call.direction),
        "phone": call.phone,
        "started_at": _encode_time(call.started_at),
        "leg": call.leg,
        "did": call.did,
        "extension": call.extension,
        "user_id": call.user_id,
        "answered_at": _encode_time(call.answered_at),
        "duration_seconds": call.duration_seconds,
        "disposition": str(call.disposition) if call.disposition else None,
        "summary": call.summary,
        "is_backfill": call.is_backfill,
    }


def _decode_call(data: Json) -> CallLog:
    return CallLog(
        call_id=UUID(data["call_id"]),
        direction=Direction(data["direction"]),
        phone=data["phone"],
        started_at=datetime.fromisoformat(data["started_at"]),
        leg=data["leg"],
        did=data["did"],
        extension=data["extension"],
        user_id=data["user_id"],
        answered_at=_decode_time(data["answered_at"]),
        duration_seconds=data["duration_seconds"],
        disposition=Disposition(data["disposition"]) if data["disposition"] else None,
        summary=data["summary"],
        is_backfill=data["is_backfill"],
    )


def _encode_recording(recording: Recording) -> dict[str, Any]:
    content = base64.b64encode(recording.content).decode()
    return {"filename": recording.filename, "content": content, "link": recording.link}


def _decode_recording(data: Json) -> Recording:
    return Recording(data["filename"], base64.b64decode(data["content"]), data["link"])


def _encode_ref(ref: Ref) -> dict[str, Any]:
    return {"kind": str(ref.kind), "id": ref.id, "url": ref.url}


def _decode_ref(data: Json) -> Ref:
    return Ref(RefKind(data["kind"]), data["id"], data["url"])


def _encode_time(moment: datetime | None) -> str | None:
    """With its microseconds: what is read again is equal to what was written."""
    return moment.isoformat() if moment else None


def _decode_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
