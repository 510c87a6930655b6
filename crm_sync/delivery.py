"""The life of one delivery, as pure functions: a delivery and what happened in, the delivery after it out.

The rules, by outcome:
- done, duplicate: sent.
- rejected: failed, with the CRM's reason. skipped: skipped, with the reason.
- throttled: queued again for the moment the CRM named; it was refused unread, so it counts as no attempt.
- not_sent: queued again after a back-off. needs_admin: queued, and tried again slowly; the connection shows why.
- unknown: by how the operation can be verified. Idempotent ones are sent again with the same key. Those that can be
  probed are probed after a settle delay, and sent again only after a negative probe that is older than the time in
  which the CRM may still finish or index the write. The others fail visibly: nobody guesses.
A delivery found in `sending` by the next owner of its lane is unknown: the process that sent it is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from crm_sync.operations import EPHEMERAL, Operation, OperationKind, Ref
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from crm_sync.retry import Random, RetryPolicy, add_seconds
from crm_sync.states import TRANSITIONS, DeliveryState
from telephony.errors import OurMistake

REASON_LENGTH = 500  # characters of a reason; a CRM may answer with a page


class Verification(StrEnum):
    """How it is found out whether a write with a lost answer was executed."""

    IDEMPOTENT = "idempotent"
    """It need not be: the CRM makes one thing of the same write sent twice."""
    PROBE = "probe"
    """By looking for it in the CRM."""
    NONE = "none"


class HoldReason(StrEnum):
    """Why a delivery is held."""

    DRY_RUN = "dry_run"
    PAUSED = "paused"
    DEPENDENCY = "dependency"
    """What it belongs to failed; released when that succeeds."""


@dataclass(frozen=True, slots=True)
class DeliveryKey:
    """Unique in the outbox: adding the same delivery again adds nothing."""

    connection: str
    call_id: UUID
    leg: int
    kind: OperationKind


@dataclass(frozen=True, slots=True)
class Delivery:
    """One operation on its way into one CRM."""

    connection: str
    operation: Operation
    sequence: int
    """Order in the lane."""
    created_at: datetime
    due_at: datetime
    age_from: datetime | None = None
    """Since when its maximum age counts, where a person has given it a new one."""
    state: DeliveryState = DeliveryState.QUEUED
    attempts: int = 0
    probes: int = 0
    """Since it was sent last."""
    sent_at: datetime | None = None
    """When the last attempt began that may have reached the CRM; None when certainly none has."""
    unknown_since: datetime | None = None
    """When that attempt had ended at the latest: an operation may wait and read for minutes before it writes."""
    settled_at: datetime | None = None
    reason: str = ""
    hold: HoldReason | None = None
    refs: tuple[Ref, ...] = ()

    @property
    def key(self) -> DeliveryKey:
        """What makes it unique."""
        call = self.operation.call
        return DeliveryKey(self.connection, call.call_id, call.leg, self.operation.kind)

    @property
    def kind(self) -> OperationKind:
        """What it does."""
        return self.operation.kind

    @property
    def is_ephemeral(self) -> bool:
        """Whether it is worth nothing later."""
        return self.operation.kind in EPHEMERAL


DEFAULT_RETRY = RetryPolicy()


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How deliveries of one operation behave in one CRM."""

    retry: RetryPolicy = DEFAULT_RETRY
    verification: Verification = Verification.PROBE
    settle_seconds: float = 90.0
    """In which the CRM may still finish a request whose answer was lost, and make the result findable."""


def begin_send(delivery: Delivery, now: datetime) -> Delivery:
    """Before the request leaves; to be saved first."""
    return _move(
        delivery,
        DeliveryState.SENDING,
        attempts=delivery.attempts + 1,
        probes=0,
        sent_at=now,
        unknown_since=None,
        due_at=now,
        reason="",
    )


def apply_write_result(
    delivery: Delivery, result: WriteResult, now: datetime, rules: DeliveryRules, random: Random
) -> Delivery:
    """After a request, whatever came of it."""
    match result.outcome:
        case Outcome.DONE | Outcome.DUPLICATE:
            return mark_sent(delivery, now, result.refs)
        case Outcome.SKIPPED:
            return _settle(
                delivery, DeliveryState.SKIPPED, now, result.detail or "Not applicable", sent_at=None
            )
        case Outcome.REJECTED:
            return _settle(
                delivery, DeliveryState.FAILED, now, result.detail or "Rejected by the CRM", sent_at=None
            )
        case Outcome.THROTTLED:
            return _queue_unsent(delivery, now, result, rules, random, counts=False)
        case Outcome.NOT_SENT:
            return _queue_unsent(delivery, now, result, rules, random, counts=True)
        case Outcome.NEEDS_ADMIN:
            due_at = add_seconds(now, rules.retry.needs_admin_delay_seconds)
            return _queue(delivery, due_at, result.detail or "Needs an administrator", sent_at=None)
        case Outcome.UNKNOWN:
            return _doubt(delivery, now, rules, random, result.detail)


def apply_probe_result(
    delivery: Delivery, result: ProbeResult, now: datetime, rules: DeliveryRules, random: Random
) -> Delivery:
    """After a probe of a delivery whose outcome was unknown."""
    match result.presence:
        case Presence.FOUND:
            return mark_sent(delivery, now, result.refs)
        case Presence.ABSENT if _is_final_absence(delivery, now, rules):
            return _queue(delivery, now, "Not found in the CRM; sent again", sent_at=None)
        case Presence.ABSENT | Presence.UNCLEAR:
            delay = rules.retry.probe_delay_seconds(delivery.probes + 1, random)
            due_at = max(add_seconds(now, delay), result.retry_at or now)
            return replace(
                delivery,
                probes=delivery.probes + 1,
                due_at=due_at,
                reason=_cut(result.detail) or delivery.reason,
            )


def recover_interrupted(delivery: Delivery, now: datetime, rules: DeliveryRules, random: Random) -> Delivery:
    """Found in `sending` by the next owner of the lane."""
    return _doubt(delivery, now, rules, random, "Interrupted while sending")


def expire_delivery(delivery: Delivery, now: datetime, rules: DeliveryRules) -> Delivery:
    """The same delivery, or settled because it is too old to go on."""
    if delivery.state not in (DeliveryState.QUEUED, DeliveryState.UNKNOWN):
        return delivery
    age = now - (delivery.age_from or delivery.created_at)
    if delivery.is_ephemeral and now - delivery.created_at > rules.retry.popup_max_age:
        return _settle(delivery, DeliveryState.SKIPPED, now, "Too late to show")
    if age > rules.retry.max_age:
        days = rules.retry.max_age.days
        doubt = " It is not certain that it is missing there: look before you send it again."
        reason = f"Not delivered within {days} days: {delivery.reason or 'no answer'}."
        unsure = delivery.state is DeliveryState.UNKNOWN
        return _settle(delivery, DeliveryState.FAILED, now, reason + (doubt if unsure else ""))
    return delivery


def hold_delivery(delivery: Delivery, why: HoldReason, reason: str) -> Delivery:
    """Nothing happens until it is released."""
    return _move(delivery, DeliveryState.HELD, hold=why, reason=_cut(reason))


def release_delivery(delivery: Delivery, now: datetime) -> Delivery:
    """What was held goes on, with a new maximum age: it waited for others."""
    return _move(delivery, DeliveryState.QUEUED, hold=None, reason="", age_from=now, due_at=now)


def skip_delivery(delivery: Delivery, now: datetime, reason: str) -> Delivery:
    """A person does not want it delivered."""
    return _settle(delivery, DeliveryState.SKIPPED, now, reason)


def retry_delivery(delivery: Delivery, now: datetime) -> Delivery:
    """A person wants it tried again, with a new maximum age. What the CRM may have is probed first."""
    state = DeliveryState.QUEUED if delivery.sent_at is None else DeliveryState.UNKNOWN
    return _move(delivery, state, age_from=now, due_at=now, settled_at=None, hold=None, probes=0)


def resend_delivery(delivery: Delivery, now: datetime) -> Delivery:
    """A person has looked and the CRM does not have it: send it again without a probe."""
    return _move(
        delivery, DeliveryState.QUEUED, age_from=now, due_at=now, settled_at=None, hold=None, sent_at=None
    )


def mark_sent(delivery: Delivery, now: datetime, refs: tuple[Ref, ...] = ()) -> Delivery:
    """The CRM has it."""
    return _settle(delivery, DeliveryState.SENT, now, "", refs=refs or delivery.refs)


def _is_final_absence(delivery: Delivery, now: datetime, rules: DeliveryRules) -> bool:
    since = delivery.unknown_since or delivery.sent_at
    return since is None or now >= add_seconds(since, rules.settle_seconds)


def _doubt(delivery: Delivery, now: datetime, rules: DeliveryRules, random: Random, detail: str) -> Delivery:
    """It may have been executed."""
    reason = detail or "No answer from the CRM"
    if delivery.is_ephemeral:
        return _settle(delivery, DeliveryState.SKIPPED, now, f"{reason}; it may have been shown")
    match rules.verification:
        case Verification.IDEMPOTENT:
            due_at = add_seconds(now, rules.retry.delay_seconds(delivery.attempts, random))
            return _queue(delivery, due_at, reason)
        case Verification.PROBE:
            due_at = add_seconds(now, rules.retry.probe_delay_seconds(0, random))
            return _move(
                delivery, DeliveryState.UNKNOWN, due_at=due_at, unknown_since=now, reason=_cut(reason)
            )
        case Verification.NONE:
            advice = "This CRM cannot be searched for it: look there, then send again or dismiss"
            return _settle(delivery, DeliveryState.FAILED, now, f"{reason}. {advice}")


def _queue_unsent(
    delivery: Delivery,
    now: datetime,
    result: WriteResult,
    rules: DeliveryRules,
    random: Random,
    *,
    counts: bool,
) -> Delivery:
    attempts = delivery.attempts if counts else delivery.attempts - 1
    due_at = add_seconds(now, rules.retry.delay_seconds(max(attempts, 1), random))
    if result.retry_at is not None:
        due_at = max(result.retry_at, now)
    return _queue(delivery, due_at, result.detail or str(result.outcome), attempts=attempts, sent_at=None)


def _queue(delivery: Delivery, due_at: datetime, reason: str, **changes: object) -> Delivery:
    return _move(delivery, DeliveryState.QUEUED, due_at=due_at, reason=_cut(reason), **changes)


def _settle(
    delivery: Delivery, state: DeliveryState, now: datetime, reason: str, **changes: object
) -> Delivery:
    return _move(delivery, state, settled_at=now, reason=_cut(reason), hold=None, **changes)


def _move(delivery: Delivery, state: DeliveryState, **changes: object) -> Delivery:
    if state not in TRANSITIONS[delivery.state]:
        raise OurMistake(f"A delivery cannot go from {delivery.state} to {state}.")
    return replace(delivery, state=state, **changes)  # type: ignore[arg-type]  # fields of Delivery


def _cut(reason: str) -> str:
    return reason[:REASON_LENGTH]
