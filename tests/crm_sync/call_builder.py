"""Operations and deliveries by their few interesting fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from crm_sync.delivery import Delivery
from crm_sync.operations import CallLog, Operation, OperationKind, Recording
from telephony.call_facts.facts import Direction, Disposition

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
CLIENT = "+79161110005"


def make_call(number: int = 1, **different: Any) -> CallLog:
    """An answered inbound call of two minutes; the number tells calls apart."""
    call = CallLog(
        call_id=UUID(int=number),
        direction=Direction.INBOUND,
        phone=CLIENT,
        did="+74951000001",
        extension="101",
        user_id="1",
        started_at=START,
        answered_at=START + timedelta(seconds=5),
        duration_seconds=120,
        disposition=Disposition.ANSWERED,
        summary="Answered by 101",
    )
    return replace(call, **different)


def make_operation(kind: OperationKind, call: CallLog | None = None, **different: Any) -> Operation:
    """What a call needs by default; a recording comes with its file and its link."""
    recording = Recording("call.mp3", b"ID3 audio", "https://calls.example.net/r/1?sig=abc")
    has_recording = kind in (OperationKind.ATTACH_RECORDING, OperationKind.CLOSE_CALL)
    operation = Operation(kind, call or make_call(), recording if has_recording else None)
    return replace(operation, **different)


def make_delivery(
    kind: OperationKind = OperationKind.CLOSE_CALL,
    *,
    call: CallLog | None = None,
    sequence: int | None = None,
    **different: Any,
) -> Delivery:
    """Queued a moment ago."""
    order = list(OperationKind).index(kind) if sequence is None else sequence
    delivery = Delivery("crm", make_operation(kind, call), order, created_at=START, due_at=START)
    return replace(delivery, **different)
