"""An evening on which everything fails: the set of calls, parties and outcomes is what the phones did, each once.

SWITCHHOOK_LONG=1 plays 200 calls instead of 40. The moments of failure are drawn from a fixed seed; another one is
tried with SWITCHHOOK_SEED=NUMBER.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from contextlib import suppress
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from call_records.postgres.cluster import EmbeddedPostgres
from call_records.store import RecordsStore
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.phone_call import Call
from switchhook.lab.phones import Carrier, Phone, answers, let_it_ring
from telephony.call_facts.facts import CallFacts, Disposition
from tests.asterisk_fixtures import PhoneRoom
from tests.service.conftest import MakeService, configuration, own_database
from tests.service.running_service import RunningService, eventually
from tests.service.tcp_proxy import TcpProxy
from tests.service.test_restarts import kept

pytestmark = [pytest.mark.asterisk, pytest.mark.postgres, pytest.mark.timeout(1500)]

LONG = os.environ.get("SWITCHHOOK_LONG") == "1"
CALLS = 200 if LONG else 40
KINDS = 3  # of failure
MOST_CALLS = 400  # 100 s of calls: a machine on which three failures do not fit into them has another trouble
SEED = int(os.environ.get("SWITCHHOOK_SEED", "20261122"))
SPACING_SECONDS = 0.3 if LONG else 0.25  # between two calls; up to a dozen are live at once
SETTLED_SECONDS = 120.0  # the sweep runs 30 s after the last gap; until then an answer in it is not known


@dataclass(frozen=True, slots=True)
class Played:
    """What the phones did in one call."""

    number: str
    """The outside number, used by no other call."""
    disposition: Disposition
    answered_by: str | None


async def inbound_answered(carrier: Carrier, number: str, seconds: float) -> Played:
    """A customer calls Anna, who answers by herself; they talk."""
    call = await carrier.dial("74951000001", caller=number)
    await call.answered(timeout=20)
    await asyncio.sleep(seconds)
    await ended(call)
    return Played(number, Disposition.ANSWERED, "101")


async def inbound_missed(carrier: Carrier, number: str, seconds: float) -> Played:
    """A customer calls Ivan, who lets it ring, and gives up."""
    call = await carrier.dial("74951000000", caller=number)
    await call.until(lambda: call.rang_at is not None, 20, "ringing")
    await asyncio.sleep(min(seconds, 2.0))
    await ended(call)
    return Played(number, Disposition.MISSED, None)


async def outbound_answered(phone: Phone, number: str, seconds: float) -> Played:
    """A colleague calls a customer, who answers."""
    call = await phone.dial(number.replace("+7", "8"))
    await call.answered(timeout=20)
    await asyncio.sleep(seconds)
    await ended(call)
    return Played(number, Disposition.ANSWERED, number)


async def ended(call: Call) -> None:
    """Hang up, and see it ended."""
    await call.hang_up()
    await call.ended()


async def everything_fails(
    service: RunningService,
    wire: TcpProxy,
    database: EmbeddedPostgres,
    chance: random.Random,
    over: asyncio.Event,
    failed: list[int],
) -> None:
    """Kills, cuts and restarts until the calls are over, then everything runs again. Each is counted when it is mended."""
    for failure in itertools.count(1):
        if over.is_set():
            return
        await asyncio.sleep(chance.uniform(0.5, 2.0))
        match failure % 3:
            case 1:
                service.kill()
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                await service.start()
            case 2:
                wire.cut(refuse=True)
                await asyncio.sleep(chance.uniform(0.1, 1.0))
                wire.mend()
            case _:
                await database.kill()
                await asyncio.sleep(chance.uniform(0.1, 1.0))
                await database.start()
        failed.append(failure)


async def test_calls_survive_an_evening_on_which_everything_fails(
    asterisk: PrivateAsterisk,
    phones: PhoneRoom,
    own_postgres: EmbeddedPostgres,
    own_records: RecordsStore,
    make_service: MakeService,
) -> None:
    """kill -9 of Switchhook, cuts of the link, deaths of the database, over and over, while people call."""
    chance = random.Random(SEED)
    async with TcpProxy(asterisk.ports.ami) as wire:
        service = make_service(configuration(asterisk, database=own_database(own_postgres), port=wire.port))
        await service.start()
        anna, boris, ivan = await phones.handsets("101", "102", "109")
        carrier = await phones.carrier()
        anna.policy, carrier.policy, ivan.policy = answers(0.1), answers(0.2), let_it_ring
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            failed: list[int] = []
            failing = tasks.create_task(everything_fails(service, wire, own_postgres, chance, over, failed))
            playing: list[asyncio.Task[Played]] = []
            # However slow the machine is: people go on calling until each kind of failure has happened.
            while len(playing) < CALLS or (len(failed) < KINDS and len(playing) < MOST_CALLS):
                index = len(playing)
                number = f"+7916556{index:04}"
                seconds = chance.uniform(0.2, 4.0)
                kind = index % 4
                if kind == 3:
                    work = outbound_answered(boris, number, seconds)
                elif kind == 2:
                    work = inbound_missed(carrier, number, seconds)
                else:
                    work = inbound_answered(carrier, number, seconds)
                playing.append(tasks.create_task(work))
                await asyncio.sleep(SPACING_SECONDS)
            await asyncio.wait(playing)
            over.set()
            await failing
        assert len(failed) >= KINDS
        truth = sorted((one.result() for one in playing), key=lambda played: played.number)
        told: list[CallFacts] = []

        async def all_told() -> bool:
            told[:] = await kept(own_records)
            return differences(told, truth) == []

        with suppress(AssertionError):  # the comparison says which is missing
            await eventually(all_told, SETTLED_SECONDS, "every call in the journal as it was")
    assert differences(told, truth) == []
    async with own_records.engine.connect() as connection:
        doubled = await connection.execute(
            text("SELECT call_id FROM outbox WHERE kind = 'call_ended' GROUP BY call_id HAVING count(*) > 1")
        )
        assert doubled.all() == []


def differences(told: list[CallFacts], truth: list[Played]) -> list[str]:
    """Every call that is missing, told twice, told of nobody's doing, or told otherwise than it was; all at once."""
    played = {one.number: one for one in truth}
    by_number: dict[str, list[CallFacts]] = {number: [] for number in played}
    for call in told:
        by_number.setdefault(number_of(call), []).append(call)
    return [
        f"{number}: {played.get(number)} was told as "
        + (" and ".join(f"{outcome(call)} ({call.id}, {call.certainty})" for call in calls) or "nothing")
        for number, calls in sorted(by_number.items())
        if [outcome(call) for call in calls] != [played.get(number)]
    ]


def number_of(call: CallFacts) -> str:
    """The outside number."""
    return (call.caller.number if call.did else call.requested) or ""


def outcome(call: CallFacts) -> Played:
    """A told call in the words of the phones."""
    return Played(number_of(call), call.disposition or Disposition.FAILED, call.answered_by)
