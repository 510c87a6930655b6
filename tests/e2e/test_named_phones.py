"""Phones called alice, bob and 001122334455, hints, and no setting at all: every kind of call is right from the first on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from call_records.crm.types import NewClient
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.settings.tables import HandsetSettings
from telephony.call_facts.facts import CallFacts, Direction, Disposition, LegState
from telephony.contacts import ClientKind
from telephony.staff import Role
from tests.asterisk_fixtures import PhoneRoom
from tests.e2e.line import Api, Line, straight_line, until
from tests.e2e.named_office import (
    ALICE,
    BOB,
    BOB_SOFT,
    DIRECT,
    GROUP,
    OWNER_FIRST,
    QUEUE,
    WORKSHOP,
    named_office,
)

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres]

CLIENT = "+79165550001"
PATIENCE_SECONDS = 6.0  # below what a phone of these tests waits for a call


@pytest.fixture(scope="module")
def office(asterisk_install: AsteriskInstall) -> Iterator[PrivateAsterisk]:
    """One for this module: its calls are over when a test ends."""
    asterisk = named_office(asterisk_install)
    with asyncio.Runner() as runner:
        runner.run(asterisk.__aenter__())
        yield asterisk
        runner.run(asterisk.__aexit__(None, None, None))


@pytest.fixture
async def named(office: PrivateAsterisk, database_url: str, tmp_path: Path) -> AsyncIterator[Line]:
    """A service that was told nothing but where the PBX is, a minute ago."""
    async with straight_line(office, database_url, tmp_path, handsets=HandsetSettings(port=0)) as running:
        await running.account("alice", "171")
        await running.account("admin", role=Role.ADMINISTRATOR)
        yield running


@pytest.fixture
async def rooms(office: PrivateAsterisk) -> AsyncIterator[PhoneRoom]:
    """Phones at that office."""
    async with AsyncExitStack() as room:
        yield PhoneRoom(office, room)


def parties(facts: CallFacts) -> set[str]:
    return {leg.party for leg in facts.legs}


async def until_talking(program: Api, *who: str) -> None:
    """These are in a conversation, as the service sees it: the PBX has joined them, and would transfer them now."""

    async def talk() -> bool:
        live = [facts for facts in await program.calls() if not facts.ended]
        talking = {leg.party for facts in live for leg in facts.legs if leg.state is LegState.TALKING}
        return set(who) <= talking

    await until(talk, f"conversation of {who}")


async def test_the_first_call_of_each_kind(named: Line, rooms: PhoneRoom) -> None:
    """In, out and inside; nobody is told by the name of an endpoint, and no hardware address is a number."""
    alice, bob, workshop = await rooms.handsets(ALICE, BOB, WORKSHOP)
    city = await rooms.carrier()
    async with named.program("admin") as program:
        outside = await city.dial(DIRECT, caller=CLIENT)
        ringing = await alice.incoming()
        await ringing.answer()
        await outside.answered()
        await until_talking(program, "171", CLIENT)
        await outside.hang_up()
        await ringing.ended()
        out = await alice.dial("89161234567")
        at_city = await city.incoming()
        await at_city.answer()
        await out.answered()
        await until_talking(program, "171", "+79161234567")
        await out.hang_up()
        await at_city.ended()
        inside = await workshop.dial("172")
        at_bob = await bob.incoming()
        await at_bob.answer()
        await inside.answered()
        await until_talking(program, "173", "172")
        await inside.hang_up()
        await at_bob.ended()
        first, second, third = await program.ended(3)
        assert len(await program.calls(party="171")) == 2
    assert (first.direction, first.answered_by, first.did) == (Direction.INBOUND, "171", f"+{DIRECT}")
    assert parties(first) == {CLIENT, "171"}
    assert (second.direction, second.caller.number) == (Direction.OUTBOUND, "171")
    assert (second.requested, second.answered_by) == ("+79161234567", "+79161234567")
    assert (third.direction, third.caller.number, third.answered_by) == (Direction.INTERNAL, "173", "172")
    assert third.requested == "172"


async def test_two_handsets_of_one_person_miss_a_call_once(named: Line, rooms: PhoneRoom) -> None:
    """Bob's desk phone and their softphone ring, and the workshop's: two people missed the call, not three."""
    bob, soft, workshop = await rooms.handsets(BOB, BOB_SOFT, WORKSHOP)
    city = await rooms.carrier()
    outside = await city.dial(GROUP, caller=CLIENT)
    rung = [await phone.incoming() for phone in (bob, soft, workshop)]
    await outside.hang_up()
    for call in rung:
        await call.ended()
    async with named.program("admin") as program:
        (missed,) = await program.ended()
    assert (missed.direction, missed.disposition) == (Direction.INBOUND, Disposition.MISSED)
    assert sorted(missed.missed_by) == ["172", "173"]
    assert parties(missed) == {CLIENT, "172", "173"}


async def test_out_of_the_queue_and_on_to_a_colleague(named: Line, rooms: PhoneRoom) -> None:
    """The queue rings Alice and the workshop; the workshop takes the call and hands it on to Bob by REFER."""
    alice, bob, workshop = await rooms.handsets(ALICE, BOB, WORKSHOP)
    city = await rooms.carrier()
    async with named.program("admin") as program:
        outside = await city.dial(QUEUE, caller=CLIENT)
        at_alice, at_workshop = await alice.incoming(), await workshop.incoming()
        await at_workshop.answer()
        await at_alice.ended()
        await until_talking(program, "173", CLIENT)
        await at_workshop.transfer("172")
        at_bob = await bob.incoming()
        await at_bob.answer()
        await until_talking(program, "172", CLIENT)
        await outside.hang_up()
        await at_bob.ended()
        (facts,) = await program.ended()
    assert (facts.direction, facts.answered_by, facts.final_party) == (Direction.INBOUND, "173", "172")
    assert parties(facts) == {CLIENT, "171", "172", "173"}
    assert [(t.by, t.to) for t in facts.transfers] == [("173", "172")]
    assert facts.missed_by == ()


@pytest.mark.browser
async def test_the_card_and_the_name_on_the_handset(
    chromium: Browser, named: Line, rooms: PhoneRoom, office: PrivateAsterisk
) -> None:
    """Olga belongs to Alice. Her name is on Alice's phone and card, and where the owner rings first, Alice's phone rings."""
    store = named.service.store
    alice_person = (await store.staff.directory()).by_extension["171"]
    olga = NewClient(ClientKind.CONTACT, "Olga Sokolova", phones=(CLIENT,), owner_id=alice_person.id)
    await store.book.add(olga, by=None)
    assert named.service.names is not None
    await named.service.names.listening.wait()
    # This is about names, not about time: on a machine that is busy the real deadlines of 0.1 and 0.2 s would be missed.
    named.service.names._lookup_seconds = named.service.names._conversation_seconds = PATIENCE_SECONDS
    await office.cli(f"dialplan set global SWITCHHOOK_WAIT {PATIENCE_SECONDS}")
    await office.cli(f"dialplan set global SWITCHHOOK_ASK agi://127.0.0.1:{named.service.names.port}/lab")
    alice, city = await rooms.handset(ALICE), await rooms.carrier()
    page = await named.enter(chromium, "alice")
    outside = await city.dial(DIRECT, caller=CLIENT)
    ringing = await alice.incoming()
    assert ringing.other_name == "Olga Sokolova", dict(named.service.names.counts)
    await expect(page.locator(".card h2")).to_have_text("Olga Sokolova")
    await expect(page.locator(".card [data-slot=word]")).to_have_text("Calling you")
    await outside.hang_up()
    await ringing.ended()
    outside = await city.dial(OWNER_FIRST, caller=CLIENT)
    ringing = await alice.incoming()
    await outside.hang_up()
    await ringing.ended()
    async with named.program("alice") as program:
        for facts in await program.ended(2):
            assert facts.missed_by == ("171",)
    assert dict(named.service.names.counts) == {"answered": 2}
