"""Works through the outbox of one connection: claims a lane, takes one step, gives the lane back.

Every step is saved before and after its request. Whenever the process dies, the next owner of the lane finds a delivery
that was not begun, or one in `sending`, which it probes.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crm_sync.client import CrmClient
from crm_sync.delivery import (
    Delivery,
    DeliveryRules,
    Verification,
    apply_probe_result,
    apply_write_result,
    begin_send,
)
from crm_sync.lanes import LaneAction, LaneDecision, build_context, decide_lane
from crm_sync.operations import OperationKind
from crm_sync.ports import DeliveryStore, LaneClaim, LeaseLost
from crm_sync.retry import Random, RetryPolicy
from telephony.errors import TryLater

LEASE = timedelta(minutes=5)  # longer than any operation may take; a killed process delays its lanes by this
IDLE_SECONDS = (
    1.0  # between looks at an empty outbox: a call reaches the CRM within about a second of its end
)


@dataclass(slots=True)
class Dispatcher:
    """The worker of one connection."""

    client: CrmClient
    store: DeliveryStore
    random: Random
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.client.adapter.capabilities.max_concurrent_lanes):
                group.create_task(self._work())

    async def work_once(self) -> bool:
        """One step of the lane that is due longest; False when there is nothing to do."""
        now = self.client.clock.now()
        if not self.client.breakers.connection.is_passable(now):
            return False
        claim = await self.store.claim_lane(self.client.settings.name, now, now + LEASE)
        if claim is None:
            return False
        due_at: datetime | None = now
        try:
            due_at = await self._step(claim)
        except LeaseLost:
            return True  # whoever has the lane goes on with it
        finally:
            await self.store.release_lane(claim, due_at)
        return True

    def get_rules(self, kind: OperationKind) -> DeliveryRules:
        """How deliveries of that kind behave in this CRM."""
        capabilities = self.client.adapter.capabilities
        verification = capabilities.operations.get(kind, Verification.NONE)
        return DeliveryRules(self.retry, verification, capabilities.settle_seconds)

    async def _work(self) -> None:
        while True:
            try:
                has_worked = await self.work_once()
            except TryLater:  # the database is away: its own page says so
                has_worked = False
            if not has_worked:
                await self.client.clock.sleep(IDLE_SECONDS)

    async def _step(self, claim: LaneClaim) -> datetime | None:
        """Do what the lane needs; when to look at it again."""
        now = self.client.clock.now()
        decision = decide_lane(claim.deliveries, now, self.get_rules, self.random)
        if decision.changed:
            await self.store.save_deliveries(claim, decision.changed)
        if decision.delivery is None or decision.action in (LaneAction.WAIT, LaneAction.REST):
            return decision.due_at
        after = await self._execute(claim, decision, decision.delivery)
        await self.store.save_deliveries(claim, [after])
        return self.client.clock.now()

    async def _execute(self, claim: LaneClaim, decision: LaneDecision, delivery: Delivery) -> Delivery:
        context = build_context(claim.deliveries, delivery)
        rules = self.get_rules(delivery.kind)
        if decision.action is LaneAction.PROBE:
            found = await self.client.probe(delivery.operation, context)
            return apply_probe_result(delivery, found, self.client.clock.now(), rules, self.random)
        sending = begin_send(delivery, self.client.clock.now())
        await self.store.save_deliveries(claim, [sending])
        result = await self.client.deliver(delivery.operation, context)
        return apply_write_result(sending, result, self.client.clock.now(), rules, self.random)
