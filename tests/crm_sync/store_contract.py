"""What every store does: those in memory and those in PostgreSQL run the same claims.

A subclass gives the fixture `store`, `credentials` or `locks`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from crm_sync.delivery import begin_send, mark_sent
from crm_sync.exchange import Credentials
from crm_sync.operations import OperationKind, Ref, RefKind
from crm_sync.ports import CredentialStore, DeliveryStore, LaneClaim, LeaseLost, NumberLocks
from telephony.errors import NeedsPerson
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


STORED = Credentials("access", "refresh", "id", "secret", "user", LEASE_END, revision=4)
"""What the fixture `credentials` has for the connection `crm`."""


class CredentialStoreContract:
    """Inherit it. `credentials` holds STORED for the connection `crm` and nothing else."""

    async def test_they_come_back_as_they_are(self, credentials: CredentialStore) -> None:
        """Every field."""
        assert await credentials.get_credentials("crm") == STORED

    async def test_without_any_a_person_is_needed(self, credentials: CredentialStore) -> None:
        """With a remedy."""
        with pytest.raises(NeedsPerson) as missing:
            await credentials.get_credentials("other")
        assert missing.value.remedy

    async def test_renewed_ones_are_there_for_everybody(self, credentials: CredentialStore) -> None:
        """As soon as they are saved."""
        renewed = replace(STORED, access_token="new", refresh_token="newer", revision=5)
        async with credentials.begin_renewal("crm") as renewal:
            assert renewal.credentials == STORED
            await renewal.save_credentials(renewed)
            assert await credentials.get_credentials("crm") == renewed
        assert await credentials.get_credentials("crm") == renewed

    async def test_one_renews_at_a_time(self, credentials: CredentialStore) -> None:
        """The second sees what the first has saved."""
        seen: list[int] = []

        async def renew() -> None:
            async with credentials.begin_renewal("crm") as renewal:
                seen.append(renewal.credentials.revision)
                await asyncio.sleep(0)
                following = replace(renewal.credentials, revision=renewal.credentials.revision + 1)
                await renewal.save_credentials(following)

        async with asyncio.timeout(60):
            await asyncio.gather(*(renew() for _ in range(4)))
        assert seen == [4, 5, 6, 7]

    async def test_a_renewal_that_failed_blocks_nobody(self, credentials: CredentialStore) -> None:
        """What it did not save is not changed."""
        with pytest.raises(ZeroDivisionError):
            async with credentials.begin_renewal("crm"):
                raise ZeroDivisionError
        async with asyncio.timeout(60), credentials.begin_renewal("crm") as renewal:
            assert renewal.credentials == STORED


class NumberLocksContract:
    """Inherit it."""

    async def test_one_at_a_time_per_number(self, locks: NumberLocks) -> None:
        """Whoever waits comes in when the first is out, also when that one failed."""
        inside, most, failures = 0, 0, 0

        async def work() -> None:
            nonlocal inside, most
            async with locks.hold_number("crm", "9161110005"):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
                raise ZeroDivisionError

        async with asyncio.timeout(60):
            ended = await asyncio.gather(*(work() for _ in range(4)), return_exceptions=True)
        failures = sum(isinstance(result, ZeroDivisionError) for result in ended)
        assert (most, failures) == (1, 4)

    async def test_other_numbers_and_connections_do_not_wait(self, locks: NumberLocks) -> None:
        """All three at once."""
        async with (
            asyncio.timeout(60),
            locks.hold_number("crm", "9161110005"),
            locks.hold_number("crm", "9161110006"),
            locks.hold_number("other", "9161110005"),
        ):
            pass
