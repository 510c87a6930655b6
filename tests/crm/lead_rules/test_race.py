"""Exactly one lead for an unknown number: many calls at once, several processes, a kill in the middle; and any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.writes import lock_number
from call_records.store import RecordsStore, open_records
from telephony.call_facts.facts import CallFacts
from telephony.errors import TryLater
from telephony.lead_rules import Making, Outcome, OwnerRule
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, change, ended
from tests.crm.lead_rules.office import do, leads, line, person, places, rows, set_rules, take_in

pytestmark = pytest.mark.postgres

ROUNDS = 4
SEED = 20261122
SETTLED_SECONDS = (
    30.0  # a fraction of one when nothing else runs; a call that met a lock is tried again after five
)


async def test_five_calls_at_once_over_five_processes(database_url: str, records: RecordsStore) -> None:
    """One unknown number calls five lines at once; five bookkeepers with engines of their own take them: one lead, five
    calls on it, one ruling made it. Four numbers do so in turn.
    """
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(open_records(database_url, migrate=False))
            for _process in range(5)
        ]
        books = [Bookkeeper(store.engine, steps_for(store.home)) for store in stores]
        for number in (f"+7916000000{place}" for place in range(ROUNDS)):
            calls = [call(number, did=f"+7495100000{place}") for place in range(5)]
            for state in (calls, [answered(one) for one in calls], [ended(answered(one)) for one in calls]):
                told = [
                    store.journal.record([change(one, trace=False)])
                    for store, one in zip(stores, state, strict=True)
                ]
                # The news of five processes and the booking of it, all at once.
                await asyncio.gather(*told, *(some(book) for book in books))
            async with asyncio.timeout(SETTLED_SECONDS):
                while await unbooked(records):
                    await asyncio.gather(*(some(book) for book in books))
    assert len(await leads(records)) == ROUNDS
    assert {one["calls"] for one in await rows(records, PER_LEAD)} == {5}
    assert len(await rows(records, "SELECT 1 FROM call_rulings WHERE made = 'lead'")) == ROUNDS


async def some(book: Bookkeeper) -> None:
    """A round of it, as the service does: a database that says "later" is asked again later."""
    with suppress(TryLater):
        await book.take_some()


PER_LEAD = "SELECT client_id, count(*) AS calls FROM timeline WHERE kind = 'call' GROUP BY client_id"


async def unbooked(records: RecordsStore) -> int:
    """How many calls the book has not taken in as they are now."""
    return len(await rows(records, "SELECT 1 FROM calls WHERE booked IS DISTINCT FROM revision"))


async def test_a_bookkeeper_that_dies_in_the_middle_leaves_nothing(records: RecordsStore) -> None:
    """The connection is cut after the lead was written and before it was committed: no lead; then one, by the next."""
    facts = ended(call())
    await records.journal.record([change(facts, trace=False)])
    plain = steps_for(records.home)

    async def cut(connection: object, told: CallFacts) -> None:
        await connection.exec_driver_sql(  # type: ignore[attr-defined]
            "SELECT pg_terminate_backend(pg_backend_pid())"
        )

    dying = Bookkeeper(records.engine, (*plain, cut))
    with pytest.raises(Exception, match="database"):
        await dying.take_some()
    assert (await leads(records), await unbooked(records)) == ([], 1)
    await Bookkeeper(records.engine, plain).take_some()
    assert (len(await leads(records)), await unbooked(records)) == (1, 0)


def histories() -> Sequence[Sequence[CallFacts]]:
    """Calls as their states were told, the last one being true: some of the last word corrected what was said before."""
    first = call(to="101")
    second = call(to="102", started_at=MONDAY + timedelta(seconds=20))
    third = call("+79160000003", started_at=MONDAY + timedelta(seconds=40))
    late = call("+79160000004", started_at=MONDAY + timedelta(seconds=50))
    wrong = replace(late, caller=replace(late.caller, number="+79160000005", raw="+79160000005"))
    return (
        (first, answered(first), ended(answered(first))),
        (second, ended(second), ended(answered(second, by="102"))),
        (third, answered(third, by="102"), ended(answered(third, by="101"))),
        (wrong, ended(wrong), ended(late)),
    )


async def book_of(records: RecordsStore) -> list[tuple[object, ...]]:
    """What matters of the book, without ids: who, whose, what is on each timeline, tasks, what was ruled."""
    found = await rows(
        records,
        """SELECT c.name, c.kind, p.name AS owner, c.spoken_at,
            (SELECT array_agg(t.call_id::text ORDER BY t.call_id) FROM timeline t
                WHERE t.client_id = c.id AND t.kind = 'call') AS calls,
            (SELECT array_agg(k.text || k.due_at ORDER BY k.text) FROM tasks k WHERE k.client_id = c.id) AS tasks,
            (SELECT array_agg(w.name || d.state ORDER BY d.created_at) FROM deals d JOIN people w ON w.id = d.owner_id
                WHERE d.contact_id = c.id) AS deals
        FROM clients c LEFT JOIN people p ON p.id = c.owner_id ORDER BY c.name""",
    )
    ruled = await rows(
        records, "SELECT call_id, outcome, made <> 'nothing' AS made FROM call_rulings ORDER BY call_id"
    )
    return [tuple(one.values()) for one in (*found, *ruled)]


async def empty(records: RecordsStore) -> None:
    """The journal and the book without anything in them; the rules stay."""
    await do(records, "TRUNCATE calls, clients, timeline, tasks, call_rulings CASCADE")


@pytest.mark.parametrize("making", [Making.LEAD, Making.DEAL])
async def test_the_newest_facts_alone_lead_to_the_same_book(records: RecordsStore, making: Making) -> None:
    """Four calls told in any interleaving, some states never told, some told twice: the book is as if only the last
    state of each had been told.
    """
    for name, extension in (("Anna", "101"), ("Boris", "102")):
        await person(records, name, extension)
    await set_rules(
        records,
        line(making, outcome=Outcome.INBOUND_ANSWERED),
        line(making, outcome=Outcome.MISSED, owner=OwnerRule.FIRST_RUNG, task="Call back", task_minutes=30),
    )
    chance = random.Random(SEED)
    told = histories()
    await take_in(records, *(states[-1] for states in told))
    expected = await book_of(records)
    for _interleaving in range(12):
        await empty(records)
        waiting = [
            [one for one in states[:-1] for _again in range(chance.choice((0, 1, 1, 2)))] + [states[-1]]
            for states in told
        ]
        order = [place for place, states in enumerate(waiting) for _state in states]
        chance.shuffle(order)
        order = first_before_second(order)
        await take_in(records, *(waiting[place].pop(0) for place in order))
        assert await book_of(records) == expected


def first_before_second(order: list[int]) -> list[int]:
    """The first two calls are of one number: whichever comes to its outcome first makes the lead, so the first ends
    before the second does; everything else is as it comes.
    """
    return [0] * order.count(0) + [place for place in order if place]


async def test_the_number_is_not_asked_before_it_is_locked(records: RecordsStore) -> None:
    """Somebody enters the contact while the call waits for its number's lock: the call finds them."""
    facts = ended(call())
    await records.journal.record([change(facts, trace=False)])
    async with records.engine.begin() as typing:
        await lock_number(typing, CLIENT)
        booking = asyncio.create_task(Bookkeeper(records.engine, steps_for(records.home)).take_some())
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(10):
            while not booking.done() and not await rows(records, waiting):
                await asyncio.sleep(0.01)
        await typing.exec_driver_sql(
            """WITH one AS (INSERT INTO clients (id, kind, name, source, search)
                VALUES (gen_random_uuid(), 'contact', 'Peter', 'hand', 'peter') RETURNING id)
            INSERT INTO client_phones (client_id, place, raw, key) SELECT id, 0, '+79161110005', '+79161110005' FROM one"""
        )
    assert await booking == 1
    assert await leads(records) == []
    assert len(await places(records)) == 1
