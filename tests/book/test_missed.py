"""Whom we owe a call, on a real PostgreSQL: what calls open and close, whoever tells of them when, and what people do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from call_records.book.missed_shapes import Asker, MissedEntry, MissedFilter, Sort
from call_records.book.missed_taking import MissedTaking
from call_records.book.tables import blocklist
from call_records.book.worker import Bookkeeper
from call_records.database import RecordsStore
from call_records.shapes import Account
from telephony.facts import CallFacts, Disposition, QueueVisit, State
from telephony.hours import WorkingHours, since_last_close
from telephony.missed import GaveUpReason, MissedState, Where, wait_of
from telephony.staff import PopPreference, Role
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, change, ended, leg, outbound

pytestmark = pytest.mark.postgres

NOBODY = Asker(uuid4(), None, None, supervises=False)
LATER = "+79161110006"


def missed_call(
    minutes: float = 0, number: str | None = CLIENT, to: str = "101", **different: Any
) -> CallFacts:
    """Somebody called so many minutes after nine; nobody answered."""
    facts = call(number, to=to, started_at=MONDAY + timedelta(minutes=minutes))
    rang = replace(facts.legs[1], rang_at=facts.started_at)
    return replace(ended(replace(facts, legs=(facts.legs[0], rang)), after_seconds=30), **different)


def got_through(minutes: float, number: str = CLIENT, by: str = "102") -> CallFacts:
    """The caller tried again and talked with somebody."""
    return _talked(call(number, to=by, started_at=MONDAY + timedelta(minutes=minutes)), by)


def called_back(minutes: float, number: str = CLIENT, by: str = "102") -> CallFacts:
    """One of ours called and talked."""
    return _talked(outbound(number, by=by, started_at=MONDAY + timedelta(minutes=minutes)), by)


def _talked(facts: CallFacts, by: str) -> CallFacts:
    talking = answered(facts, by=by)
    at = talking.answered_at
    legs = tuple(replace(one, answered_at=at, talk_seconds=60.0) for one in talking.legs)
    return ended(replace(talking, legs=legs, talk_seconds=60.0))


def tried(minutes: float, number: str = CLIENT, by: str = "102") -> CallFacts:
    """One of ours called back, in vain."""
    facts = outbound(number, by=by, started_at=MONDAY + timedelta(minutes=minutes))
    return ended(replace(facts, disposition=Disposition.NO_ANSWER), after_seconds=30)


class Told:
    """Calls go into the journal and from there into the book, as in the service."""

    def __init__(self, records: RecordsStore) -> None:
        self.records = records
        self.keeper = Bookkeeper(records.engine, (MissedTaking(records.home).take,))

    async def __call__(self, *calls: CallFacts, absorbed: Sequence[UUID] = ()) -> None:
        for facts in calls:
            await self.records.journal.record([change(facts, absorbed=absorbed, trace=False)])
            while await self.keeper.take_some():
                pass
        assert not self.keeper.failures

    async def owed(self, **wanted: Any) -> list[MissedEntry]:
        return list((await self.records.missed.page(MissedFilter(**wanted), NOBODY)).entries)

    async def settled(self) -> list[MissedEntry]:
        return await self.owed(closed=True)


@pytest.fixture
def told(records: RecordsStore) -> Told:
    """An empty office."""
    return Told(records)


async def account(records: RecordsStore, login: str, *extensions: str, team: str | None = None) -> Account:
    """Somebody who signs in."""
    made = await records.accounts.create(
        login=login,
        name=login.title(),
        role=Role.MANAGER,
        password_hash="none",
        extensions=extensions,
        pop=PopPreference.NEVER,
    )
    return await records.accounts.update(replace(made, team=team)) if team else made


async def test_three_calls_are_one_entry_and_a_callback_from_a_phone_without_account_closes_it(
    told: Told,
) -> None:
    """He tried three times; the warehouse, where nobody has an account, calls back and talks (statement 21)."""
    await told.records.staff.put_person(name="Warehouse", extensions=["555"])
    await told(missed_call(0), missed_call(5), missed_call(9))
    (entry,) = await told.owed()
    assert (entry.times, entry.state, entry.first_at, entry.number) == (3, MissedState.NEW, MONDAY, CLIENT)
    await told(tried(12, by="555"))
    (entry,) = await told.owed()
    assert (entry.tried, entry.tried_extension) == (1, "555")
    back = called_back(20, by="555")
    await told(back)
    assert await told.owed() == []
    (entry,) = await told.settled()
    assert (entry.state, entry.closed_how, entry.closed_extension) == (
        MissedState.CALLED_BACK,
        "we_called",
        "555",
    )
    assert (entry.closed_call_id, entry.closed_at, entry.times) == (back.id, back.answered_at, 3)
    directory = await told.records.staff.directory()
    assert directory.name_of("555") == "Warehouse"


async def test_the_caller_gets_through_himself(told: Told) -> None:
    """His second call is answered; from then on nothing is owed, and a new missed call is a new entry."""
    await told(missed_call(0), got_through(10), missed_call(60))
    (owed,) = await told.owed()
    (settled,) = await told.settled()
    assert (owed.times, owed.first_at) == (1, MONDAY + timedelta(minutes=60))
    assert (settled.closed_how, settled.closed_extension) == ("got_through", "102")


STORY = (missed_call(0), missed_call(5), tried(10), called_back(20), got_through(30), missed_call(2))


def _end(entries: Sequence[MissedEntry]) -> list[tuple[Any, ...]]:
    return [
        (
            one.state,
            one.times,
            one.first_at,
            one.last_at,
            one.tried,
            one.closed_how,
            one.closed_at,
            one.due_at,
        )
        for one in entries
    ]


def _of_number(facts: CallFacts, number: str) -> CallFacts:
    """The same call with another client."""
    other = (
        replace(facts.caller, number=number, raw=number) if facts.caller.number == CLIENT else facts.caller
    )
    legs = tuple(replace(one, party=number) if one.party == CLIENT else one for one in facts.legs)
    asked = number if facts.requested == CLIENT else facts.requested
    return replace(facts, id=uuid4(), caller=other, legs=legs, requested=asked)


async def test_whatever_order_news_comes_in_the_end_is_the_same(told: Told) -> None:
    """Two missed calls, a callback in vain, one that reaches him, his own call: in every sixth order, some of it twice.

    One number for each order. Every order is tried without a database in tests/telephony/test_missed.py.
    """
    first, second, vain, back, through, _ = STORY
    orders = list(permutations((first, second, vain, back, through)))[::6]
    expected = None
    for place, order in enumerate(orders):
        number = f"+7916{place:07}"
        calls = [_of_number(one, number) for one in order]
        await told(*calls[:3], calls[place % 3], *calls[3:], calls[place % 5])
    for state in (False, True):
        entries = (await told.records.missed.page(MissedFilter(closed=state), NOBODY, limit=200)).entries
        ends = _end(entries)
        if state:
            expected = ends[0]
            assert len(ends) == len(orders)
            assert all(one == expected for one in ends)
            assert expected[:5] == (MissedState.CALLED_BACK, 2, first.started_at, second.started_at, 1)
        else:
            assert ends == []


async def test_an_older_missed_call_learned_of_later_does_not_reopen(told: Told) -> None:
    """The line was down at nine; we talked at 9:20; at noon the call of nine is found in the channel event log."""
    await told(called_back(20), missed_call(0))
    assert await told.owed() == []
    (entry,) = await told.settled()
    assert entry.closed_how == "we_called"


async def test_a_call_that_turns_out_answered_takes_its_count_back(told: Told) -> None:
    """After a reconnect a call looked missed; the event log says that somebody talked."""
    wrong, other = missed_call(5), missed_call(0)
    await told(other, wrong)
    (entry,) = await told.owed()
    assert entry.times == 2
    right = _talked(replace(wrong, disposition=None, state=State.RINGING, ended_at=None), "101")
    await told(right)
    assert await told.owed() == []
    (entry,) = await told.settled()
    assert (entry.times, entry.closed_call_id) == (1, wrong.id)


async def test_the_only_call_of_an_entry_was_answered_after_all(told: Told) -> None:
    """Then nothing was ever owed: the entry is gone."""
    wrong = missed_call(0)
    await told(wrong)
    await told(_talked(replace(wrong, disposition=None, state=State.RINGING, ended_at=None), "101"))
    assert await told.owed() == await told.settled() == []


async def test_two_calls_that_are_one_count_once(told: Told) -> None:
    """The PBX told of one call under two ids; when that is found out, he has tried once."""
    kept, same = missed_call(0), missed_call(1)
    await told(kept, same)
    await told(replace(kept, talk_seconds=0.001), absorbed=[same.id])
    (entry,) = await told.owed()
    assert (entry.times, entry.last_call_id) == (1, kept.id)


async def test_withheld_numbers_have_an_entry_each(told: Told) -> None:
    """Nobody can tell two such callers apart, nor call them back."""
    await told(missed_call(0, None), missed_call(1, None))
    entries = await told.owed()
    assert [(one.times, one.withheld, one.number) for one in entries] == [(1, True, None)] * 2


async def test_blocked_numbers_open_nothing(told: Told) -> None:
    """A number, and a range by its beginning; what was missed before it was blocked stays owed."""
    async with told.records.engine.begin() as connection:
        for pattern in (CLIENT, "+7495*"):
            at = MONDAY + timedelta(minutes=3)
            await connection.execute(insert(blocklist).values(pattern=pattern, reason="spam", at=at))
    await told(missed_call(0), missed_call(5), missed_call(6, "+74951234567"))
    assert [(one.number, one.times) for one in await told.owed()] == [(CLIENT, 1)]


LOST = (
    (Disposition.ABANDONED, None, Where.MENU),
    (Disposition.ABANDONED, QueueVisit("support", 25.0, ("101",), None, MONDAY), Where.QUEUE),
    (Disposition.VOICEMAIL, None, Where.VOICEMAIL),
)


@pytest.mark.parametrize(("disposition", "queue", "where"), LOST, ids=lambda value: str(value)[:12])
async def test_lost_in_the_menu_the_queue_or_the_voicemail(
    told: Told, disposition: Disposition, queue: QueueVisit | None, where: Where
) -> None:
    """One missed call each, with where and how long he waited (statement 11)."""
    legs = (leg(CLIENT),) if queue is None else (leg(CLIENT), leg("101"))
    await told(missed_call(0, disposition=disposition, queue=queue, legs=legs))
    (entry,) = await told.owed()
    assert entry.last_call is not None
    wait = wait_of(entry.last_call)
    assert (entry.times, wait.where, wait.seconds) == (1, where, 30.0)


async def test_monday_morning_shows_all_since_fridays_close(told: Told) -> None:
    """Friday 17:50, Friday 19:00, Saturday noon, Monday 08:10: since the close on Friday it is three (statement 20)."""
    hours = WorkingHours("UTC")
    friday = MONDAY - timedelta(days=3)
    at = {
        17: friday.replace(hour=17, minute=50),
        19: friday.replace(hour=19),
        12: friday.replace(hour=12) + timedelta(days=1),
    }
    numbers = ("+79160000001", "+79160000002", "+79160000003", "+79160000004")
    moments = (at[17], at[19], at[12], MONDAY.replace(hour=8, minute=10))
    for number, moment in zip(numbers, moments, strict=True):
        await told(missed_call((moment - MONDAY).total_seconds() / 60, number))
    since = since_last_close(hours, MONDAY)
    page = await told.records.missed.page(MissedFilter(since=since), NOBODY)
    assert [one.number for one in page.entries] == list(numbers[1:])
    assert (page.total, page.older) == (3, 1)
    latest = await told.owed(sort=Sort.LATEST)
    assert [one.number for one in latest] == list(reversed(numbers))
    who = await account(told.records, "anna")
    await told.records.missed.claim(page.entries[0].id, by=who.id, person_id=who.person_id)
    await told.records.missed.give_up(page.entries[1].id, reason=GaveUpReason.SPAM, text="", by=who.id)
    await told(called_back(10, numbers[3]))
    states = {one.number: one.state for one in (*await told.owed(), *await told.settled())}
    assert states == {
        numbers[0]: MissedState.NEW,
        numbers[1]: MissedState.CLAIMED,
        numbers[2]: MissedState.GAVE_UP,
        numbers[3]: MissedState.CALLED_BACK,
    }
