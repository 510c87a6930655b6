"""Missed calls as people meet them: a real PBX, the running service, and the entry in its list."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from call_records.crm.missed_calls.types import Asker, MissedEntry, MissedFilter
from call_records.store import RecordsStore
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phones import Carrier, Phone
from telephony.missed_calls import TALK_SECONDS, MissedState, Where, wait_of
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import MakeService, configuration, database_at
from tests.service.running_service import eventually
from tests.service.test_restarts import ANNA, PATIENCE_SECONDS, talking

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

PETER, PETER_AS_DIALLED = "+79161110045", "89161110045"
ANYBODY = Asker(uuid4(), None, None, supervises=True)


async def entries(records: RecordsStore, *, closed: bool) -> list[MissedEntry]:
    """Peter's entries."""
    found = (await records.missed.page(MissedFilter(closed=closed), ANYBODY)).entries
    return [one for one in found if one.number == PETER]


async def rings_in_vain(carrier: Carrier, handset: Phone) -> None:
    """Peter calls, Anna's phone rings, they give up."""
    call = await carrier.dial(ANNA, caller=PETER)
    inside = await handset.incoming()
    await call.hang_up()
    await inside.ended()


async def test_three_missed_calls_and_a_callback_from_a_phone_without_account(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    database_url: str,
    records: RecordsStore,
    make_service: MakeService,
) -> None:
    """Peter tries three times; the warehouse calls back in vain, then talks with them; it says so (statements 20, 21)."""
    await records.staff.put_person(name="Warehouse", extensions=["104"])
    service = make_service(configuration(asterisk, database=database_at(database_url)))
    await service.start()
    anna, warehouse = await phones.handsets("101", "104")
    carrier = await phones.carrier()
    for _ in range(3):
        await rings_in_vain(carrier, anna)

    async def thrice() -> bool:
        return [one.times for one in await entries(records, closed=False)] == [3]

    await eventually(thrice, PATIENCE_SECONDS, "one entry, three times")
    (entry,) = await entries(records, closed=False)
    assert entry.last_call is not None
    assert (wait_of(entry.last_call).where, wait_of(entry.last_call).at) == (Where.RANG, ("101",))

    vain = await warehouse.dial(PETER_AS_DIALLED)
    ringing = await carrier.incoming()
    await vain.hang_up()
    await ringing.ended()

    async def tried() -> bool:
        return [(one.tried, one.tried_extension) for one in await entries(records, closed=False)] == [
            (1, "104")
        ]

    await eventually(tried, PATIENCE_SECONDS, "one try by 104")

    outgoing, peter = await talking(warehouse, PETER_AS_DIALLED, carrier)

    async def settled() -> bool:
        return bool(await entries(records, closed=True)) and not await entries(records, closed=False)

    await eventually(settled, PATIENCE_SECONDS, "settled while they talk")
    await asyncio.sleep(TALK_SECONDS + 0.5)  # a shorter one would not be a conversation
    await outgoing.hang_up()
    await peter.ended()

    async def ended() -> bool:
        (one,) = await entries(records, closed=True)
        call = await records.calls.one(one.closed_call_id) if one.closed_call_id else None
        return call is not None and call.ended

    await eventually(ended, PATIENCE_SECONDS, "the callback has ended")
    (entry,) = await entries(records, closed=True)
    assert await entries(records, closed=False) == []
    assert (entry.state, entry.closed_how, entry.closed_extension, entry.times) == (
        MissedState.CALLED_BACK,
        "we_called",
        "104",
        3,
    )
    assert (await records.staff.directory()).name_of("104") == "Warehouse"
