"""What every delivery store does: the one in memory and the one in PostgreSQL run the same claims.

A subclass gives the fixture `store`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_sync.delivery import begin_send, mark_sent
from crm_sync.operations import OperationKind, Ref, RefKind
from crm_sync.ports import DeliveryStore, LaneClaim, LeaseLost
from tests.crm_sync.call_builder import START, make_call, make_delivery

LATER = START + timedelta(minutes=1)
LEASE_END = START + timedelta(minutes=5)


async def claim(store: DeliveryStore, minutes: float = 1) -> LaneClaim | None:
    """The next lane."""
    now = START + timedelta(minutes=minutes)
    return await store.claim_lane("crm", now, now + timedelta(minutes=5))


async def must_claim(store: DeliveryStore, minutes: float = 1) -> LaneClaim:
    """There is one."""
    claimed = await claim(store, minutes)
    assert claimed is not None
    return claimed


class DeliveryStoreContract:
    """Inherit it."""

    async def test_nothing_to_claim(self, store: DeliveryStore) -> None:
        """None, not an error."""
        assert await claim(store) is None

    async def test_a_lane_comes_whole_and_as_it_was_added(self, store: DeliveryStore) -> None:
        """Every field."""
        added = [make_delivery(), make_delivery(OperationKind.ATTACH_RECORDING)]
        await store.add_deliveries(added)
        claimed = await must_claim(store)
        assert sorted(claimed.deliveries, key=lambda d: d.sequence) == added

    async def test_adding_again_changes_nothing(self, store: DeliveryStore) -> None:
        """Not the state, not the payload."""
        await store.add_deliveries([make_delivery()])
        claimed = await must_claim(store)
        sent = mark_sent(begin_send(make_delivery(), LATER), LATER, (Ref(RefKind.CALL, "7", "https://x"),))
        await store.save_deliveries(claimed, [sent])
        await store.release_lane(claimed, None)
        await store.add_deliveries([make_delivery(call=make_call(summary="again"))])
        again = await claim(store)
        assert again is None or again.deliveries == (sent,)

    async def test_a_lane_belongs_to_one_worker(self, store: DeliveryStore) -> None:
        """Until it is given back, or its lease is over."""
        await store.add_deliveries([make_delivery()])
        first = await must_claim(store)
        assert await claim(store) is None
        await store.release_lane(first, START)
        second = await must_claim(store)
        assert await claim(store, 5) is None
        third = await must_claim(store, 7)
        assert len({first.lease_id, second.lease_id, third.lease_id}) == 3

    async def test_who_lost_the_lease_saves_nothing(self, store: DeliveryStore) -> None:
        """And gives nothing back."""
        await store.add_deliveries([make_delivery()])
        slow = await must_claim(store)
        quick = await must_claim(store, 7)
        with pytest.raises(LeaseLost):
            await store.save_deliveries(slow, [begin_send(make_delivery(), LATER)])
        await store.release_lane(slow, START)
        assert await claim(store, 7) is None
        assert quick.deliveries == (make_delivery(),)

    async def test_the_lane_that_is_due_longest_comes_first(self, store: DeliveryStore) -> None:
        """Oldest first; what is due later, later; what rests, never."""
        for number, seconds in ((1, 30), (2, 10), (3, 3600)):
            delivery = make_delivery(call=make_call(number))
            await store.add_deliveries([replace(delivery, due_at=START + timedelta(seconds=seconds))])
        order = []
        while (claimed := await claim(store)) is not None:
            order.append(claimed.call_id.int)
            await store.release_lane(claimed, None)
        assert order == [2, 1]
        assert (await must_claim(store, 61)).call_id.int == 3

    async def test_other_connections_are_not_touched(self, store: DeliveryStore) -> None:
        """Each has its own lanes, for the same call too."""
        await store.add_deliveries([replace(make_delivery(), connection="other")])
        assert await claim(store) is None

    async def test_what_is_added_to_a_claimed_lane_is_not_forgotten(self, store: DeliveryStore) -> None:
        """The recording arrives while the call is being sent; the worker thinks that the lane rests."""
        await store.add_deliveries([make_delivery()])
        claimed = await must_claim(store)
        await store.add_deliveries([make_delivery(OperationKind.ATTACH_RECORDING)])
        await store.release_lane(claimed, None)
        assert len((await must_claim(store)).deliveries) == 2
