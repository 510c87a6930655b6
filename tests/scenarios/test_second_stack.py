"""Transfers played by another SIP stack than ours: phones and tracker do not share one reading of the RFCs.

Customer, Anna and Boris are three SIPp programs; nothing of our own phones takes part. What is true is what they were
told to do, and that each scenario came to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.sipp_binary import NoSipp, find_sipp
from switchhook.lab.sipp_phone import SippCall
from telephony.call_facts.facts import CallFacts, Direction, Disposition
from tests.requirements import declare_unavailable
from tests.scenarios.watch import Watch

pytestmark = pytest.mark.asterisk

CUSTOMER, DIRECT = "+79165550931", "74951000001"
ANNA, BORIS = "101", "102"
TALK_SECONDS = 0.6  # so that there is something to tell


@pytest.fixture(scope="session")
def sipp() -> Path:
    """A SIPp that runs."""
    try:
        return find_sipp()
    except NoSipp as nothing:
        declare_unavailable("asterisk", f"{nothing} {nothing.remedy}")


@dataclass
class Table:
    """A PBX that is watched, and the programs that play at it."""

    sipp: Path
    asterisk: PrivateAsterisk
    room: AsyncExitStack
    watch: Watch
    folder: Path
    calls: list[SippCall] = field(default_factory=list)

    async def plays(self, scenario: str, phone: str, **how: object) -> SippCall:
        """Begin a scenario."""
        call = SippCall(self.sipp, self.asterisk, scenario, phone=phone, **how)  # type: ignore[arg-type]
        self.calls.append(call)
        return await self.room.enter_async_context(call)

    async def told(self) -> list[CallFacts]:
        """All scenarios have come to their ends as they say; the calls that were told."""
        for call in self.calls:
            await call.over()
        await self.watch.all_ended()
        return sorted(self.watch.told.values(), key=lambda facts: facts.started_at)

    @property
    def refer_to(self) -> Path:
        """Where the transfer goes to, as the phone that asks says it."""
        return self.folder / "refer_to"


@pytest.fixture
async def table(sipp: Path, asterisk: PrivateAsterisk, tmp_path: Path) -> AsyncIterator[Table]:
    """The shared PBX, watched as Switchhook watches it."""
    async with AsyncExitStack() as room:
        watch = Watch.recommended(asterisk)
        watching = asyncio.create_task(watch.run())
        table = Table(sipp, asterisk, room, watch, tmp_path)
        try:
            async with asyncio.timeout(30):
                await watch.ready.wait()
            yield table
        finally:
            for call in table.calls:
                print(call.report())  # shown when the test failed
            await room.aclose()
            watching.cancel()
            await asyncio.wait([watching])


async def reached(table: Table) -> tuple[SippCall, SippCall]:
    """The customer talks with Anna, who will transfer."""
    anna = await table.plays("transfers", ANNA, refer_to=table.refer_to)
    customer = await table.plays("customer", CUSTOMER, target=DIRECT, outside=True)
    await customer.is_up()
    await anna.is_up()
    await asyncio.sleep(TALK_SECONDS)
    return customer, anna


async def answered_by_boris(customer: SippCall, boris: SippCall) -> None:
    """They pick up, they talk, the customer hangs up."""
    boris.press()
    await boris.is_answered()
    await asyncio.sleep(TALK_SECONDS)
    customer.press()


def judge(facts: CallFacts, kind: str) -> None:
    """One call of the customer, taken by Anna, handed to Boris, who had it last."""
    assert (facts.direction, facts.disposition) == (Direction.INBOUND, Disposition.ANSWERED)
    assert (facts.caller.number, facts.did) == (CUSTOMER, f"+{DIRECT}" if facts.did[:1] == "+" else DIRECT)
    assert (facts.answered_by, facts.final_party) == (ANNA, BORIS)
    (handed,) = facts.transfers
    assert (handed.kind, handed.by, handed.to, handed.result) == (kind, ANNA, BORIS, "completed")
    seconds = {leg.party: leg.talk_seconds for leg in facts.legs if leg.answered_at}
    assert seconds[ANNA] > TALK_SECONDS / 2
    assert seconds[BORIS] > TALK_SECONDS / 2


async def test_a_blind_transfer(table: Table) -> None:
    """Anna sends the customer on to Boris without asking them."""
    table.refer_to.write_text("<sip:{}@{}:{}>".format(BORIS, *table.asterisk.sip_address))
    boris = await table.plays("answers", BORIS)
    customer, anna = await reached(table)
    anna.press()
    await boris.is_up()
    await answered_by_boris(customer, boris)
    (facts,) = await table.told()
    judge(facts, "blind")


async def test_an_attended_transfer(table: Table) -> None:
    """Anna asks Boris, who answers, and connects the two: her second call is told as part of the customer's."""
    boris = await table.plays("answers", BORIS)
    customer, anna = await reached(table)
    asking = await table.plays("asks", ANNA, target=BORIS, refer_to=table.refer_to)
    await asking.has_asked()
    await boris.is_up()
    boris.press()
    await boris.is_answered()
    await asyncio.sleep(TALK_SECONDS)
    anna.press()
    await asking.over()
    await asyncio.sleep(TALK_SECONDS)
    customer.press()
    (facts,) = await table.told()
    judge(facts, "attended")


async def test_a_blonde_transfer(table: Table) -> None:
    """Anna calls Boris and hands the customer over while their phone still rings."""
    boris = await table.plays("answers", BORIS)
    customer, anna = await reached(table)
    asking = await table.plays("asks", ANNA, target=BORIS, refer_to=table.refer_to)
    await asking.has_asked()
    await boris.is_up()
    anna.press()
    await asking.over()
    await answered_by_boris(customer, boris)
    (facts,) = await table.told()
    judge(facts, "blonde")
