"""One lane per call and connection: its deliveries go in order, one at a time; lanes do not wait for each other.

`decide_lane` says what to do next with a lane whose lease one worker holds. A failed delivery holds those that need it
(`operations.DEPENDS_ON`) and lets the others pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm_sync.delivery import (
    Delivery,
    DeliveryRules,
    HoldReason,
    expire_delivery,
    hold_delivery,
    recover_interrupted,
    release_delivery,
)
from crm_sync.operations import DEPENDS_ON, DeliveryContext, OperationKind
from crm_sync.retry import Random
from crm_sync.states import DeliveryState

RulesByKind = Callable[[OperationKind], DeliveryRules]


class LaneAction(StrEnum):
    """What a lane needs now."""

    SEND = "send"
    PROBE = "probe"
    WAIT = "wait"
    """Until the next delivery is due."""
    REST = "rest"
    """Nothing more happens by itself."""


@dataclass(frozen=True, slots=True)
class LaneDecision:
    """What to do with a lane."""

    action: LaneAction
    delivery: Delivery | None
    """Of a send or probe; already with its changes."""
    changed: tuple[Delivery, ...]
    """To be saved, whatever the action."""
    due_at: datetime | None
    """When the lane wants to be looked at again; None at rest."""


def decide_lane(
    lane: Sequence[Delivery], now: datetime, rules_of: RulesByKind, random: Random
) -> LaneDecision:
    """The next step of a lane that nobody else works on."""
    current = sorted(lane, key=lambda delivery: delivery.sequence)
    changed: list[Delivery] = []
    for position, before in enumerate(current):
        after = _refresh(before, current, now, rules_of(before.kind), random)
        current[position] = after
        if after != before:
            changed.append(after)
        if after.state is DeliveryState.QUEUED or after.state is DeliveryState.UNKNOWN:
            return _head(after, tuple(changed), now)
    return LaneDecision(LaneAction.REST, None, tuple(changed), None)


def build_context(lane: Sequence[Delivery], delivery: Delivery) -> DeliveryContext:
    """What this delivery's operation can refer to."""
    before = [other for other in lane if other.sequence < delivery.sequence]
    before.sort(key=lambda other: other.sequence)
    leg = delivery.operation.call.leg
    return DeliveryContext(
        refs=tuple(ref for other in before for ref in other.refs),
        leg_refs=tuple(ref for other in before if other.operation.call.leg == leg for ref in other.refs),
        sent_at=delivery.sent_at,
    )


def _head(delivery: Delivery, changed: tuple[Delivery, ...], now: datetime) -> LaneDecision:
    if delivery.due_at > now:
        return LaneDecision(LaneAction.WAIT, delivery, changed, delivery.due_at)
    action = LaneAction.SEND if delivery.state is DeliveryState.QUEUED else LaneAction.PROBE
    return LaneDecision(action, delivery, changed, now)


def _refresh(
    delivery: Delivery, lane: Sequence[Delivery], now: datetime, rules: DeliveryRules, random: Random
) -> Delivery:
    """The delivery as it stands at this moment: recovered, expired, held or released."""
    if delivery.state is DeliveryState.SENDING:
        delivery = recover_interrupted(delivery, now, rules, random)
    delivery = expire_delivery(delivery, now, rules)
    blocker = _find_blocker(delivery, lane)
    if delivery.state is DeliveryState.QUEUED and blocker is not None:
        return hold_delivery(delivery, HoldReason.DEPENDENCY, f"Waits for {blocker.kind}: {blocker.reason}")
    if delivery.hold is HoldReason.DEPENDENCY and blocker is None:
        return expire_delivery(release_delivery(delivery, now), now, rules)
    return delivery


def _find_blocker(delivery: Delivery, lane: Sequence[Delivery]) -> Delivery | None:
    """What it needs and what did not succeed. A skipped one blocks nothing: the adapter decides by what is there."""
    needed = DEPENDS_ON.get(delivery.kind, frozenset())
    for other in lane:
        same_leg = other.operation.call.leg == delivery.operation.call.leg
        relevant = other.kind in needed and (same_leg or other.kind is OperationKind.CREATE_LEAD)
        if relevant and other.state in (DeliveryState.FAILED, DeliveryState.HELD):
            return other
    return None
