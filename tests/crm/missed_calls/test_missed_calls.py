"""Whom we owe a call, on a real PostgreSQL: what calls open and close, whoever tells of them when, and what people do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select, text

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.missed_calls.types import Asker, MissedEntry, MissedFilter, Sort, Whose
from call_records.crm.steps import steps_for
from call_records.crm.tables import blocklist, lead_rules
from call_records.crm.types import NewClient
from call_records.db import tables as models
from call_records.store import RecordsStore, open_records
from call_records.types import Account
from telephony.call_facts.facts import CallFacts, Disposition, QueueVisit, State
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from telephony.hours import WorkingHours, since_last_close
from telephony.missed_calls import GaveUpReason, MissedRules, MissedState, OwnerWhy, Where, wait_of
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
        self.keeper = Bookkeeper(records.engine, steps_for(records.home))

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
    """They tried three times; the warehouse, where nobody has an account, calls back and talks (statement 21)."""
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
    """Their second call is answered; from then on nothing is owed, and a new missed call is a new entry."""
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
    """Two missed calls, a callback in vain, one that reaches them, their own call: in every sixth order, some of it twice.

    One number for each order. Every order is tried without a database in tests/telephony/test_missed_calls.py.
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
    """The PBX told of one call under two ids; when that is found out, they have tried once."""
    kept, same = missed_call(0), missed_call(1)
    await told(kept, same)
    await told(replace(kept, talk_seconds=0.001), absorbed=[same.id])
    (entry,) = await told.owed()
    assert (entry.times, entry.last_call_id) == (1, kept.id)


async def test_the_number_of_a_call_is_put_right(told: Told) -> None:
    """It came without a number, then with a wrong one, then it is known: one entry, of the right number."""
    known = missed_call(0, LATER)
    for caller in (missed_call(0, None), missed_call(0, CLIENT), known):
        await told(replace(known, caller=caller.caller, legs=caller.legs))
    assert [(one.number, one.times) for one in await told.owed()] == [(LATER, 1)]


async def test_two_calls_of_different_numbers_are_one(told: Told) -> None:
    """What looked like two callers was one; the other number is owed nothing."""
    kept, same = missed_call(0), missed_call(0, LATER)
    await told(kept, same)
    await told(replace(kept, talk_seconds=0.001), absorbed=[same.id])
    assert [(one.number, one.times) for one in await told.owed()] == [(CLIENT, 1)]


async def test_a_conversation_that_was_another_call(told: Told) -> None:
    """The callback that settled it is taken into another call, which nobody answered: it is owed again."""
    await told(missed_call(0), called := called_back(5))
    assert await told.owed() == []
    await told(vain := tried(5))
    await told(replace(vain, talk_seconds=0.001), absorbed=[called.id])
    assert [(one.times, one.tried) for one in await told.owed()] == [(1, 1)]


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
    """One missed call each, with where and how long they waited (statement 11)."""
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


# -- whose it is --


@pytest.fixture
async def no_leads(told: Told) -> None:
    """No rule makes leads of callers: a lead that was just made would have an owner, and the call would be theirs."""
    async with told.records.engine.begin() as connection:
        await connection.execute(delete(lead_rules))


async def client(
    records: RecordsStore, number: str, *, owner_id: UUID | None, name: str = "Ivan Sidorov"
) -> UUID:
    """Somebody in the book with this number."""
    made = await records.book.add(
        NewClient(ClientKind.CONTACT, name, phones=(number,), owner_id=owner_id), by=None
    )
    return made.id


@pytest.mark.usefixtures("no_leads")
async def test_whose_it_is(told: Told) -> None:
    """The contact's owner; else whose phone rang last; of several phones their team; else the team that was set."""
    anna, olga = (
        await account(told.records, "anna", "101", team="Sales"),
        await account(told.records, "olga", "102"),
    )
    await account(told.records, "boris", "103", team="Sales")
    await told.records.missed.set_rules(MissedRules(team="Front desk"), by=anna.id)
    await client(told.records, CLIENT, owner_id=olga.person_id)
    await told(missed_call(0))
    group = missed_call(
        3, "+79160000003", legs=tuple(leg(phone, rang_at=MONDAY) for phone in ("101", "103", "102"))
    )
    await told(missed_call(1, "+79160000001", to="101"), missed_call(2, "+79160000002", to="777"), group)
    found = [(one.owner, one.team, one.owner_why) for one in await told.owed()]
    assert found == [
        ("Olga", None, OwnerWhy.OWNER_OF_CONTACT),
        ("Anna", "Sales", OwnerWhy.LAST_RUNG),
        (None, "Front desk", OwnerWhy.TEAM),
        (None, "Sales", OwnerWhy.TEAM),
    ]


async def test_the_client_is_the_one_it_is_today(told: Told) -> None:
    """Two entries of a client that was two clients: both show the survivor, with one name."""
    first = await client(told.records, CLIENT, owner_id=None)
    second = await client(told.records, LATER, owner_id=None, name="I. Sidorov")
    await told(missed_call(0), missed_call(1, LATER))
    await told.records.book.merge(first, second, by=None)
    assert [(one.client_id, one.client, one.number) for one in await told.owed()] == [
        (first, "Ivan Sidorov", CLIENT),
        (first, "Ivan Sidorov", LATER),
    ]


async def test_the_lead_that_the_call_made_has_an_owner(told: Told) -> None:
    """The rules give a missed stranger to whose phone rang first: they also owe the call."""
    await account(told.records, "anna", "101")
    await told(missed_call(0, to="101"))
    (entry,) = await told.owed()
    assert (entry.owner, entry.owner_why, entry.client_kind) == (
        "Anna", OwnerWhy.OWNER_OF_CONTACT, ClientKind.LEAD,
    )  # fmt: skip


@pytest.mark.usefixtures("no_leads")
async def test_mine_my_teams_and_nobodys(told: Told) -> None:
    """What each of them sees first, and the number beside the door."""
    anna = await account(told.records, "anna", "101", team="Sales")
    await account(told.records, "boris", "103", team="Sales")
    legs = tuple(leg(phone, rang_at=MONDAY) for phone in ("101", "103"))
    await told(
        missed_call(0, to="101"),
        missed_call(1, "+79160000001", to="103"),
        missed_call(2, "+79160000002", legs=legs),
        missed_call(3, "+79160000003", to="777"),
    )
    asker = Asker(anna.id, anna.person_id, "Sales", supervises=False)
    chief = Asker(uuid4(), None, None, supervises=True)
    book = told.records.missed

    async def times(whose: Whose, who: Asker = asker) -> list[float]:
        entries = (await book.page(MissedFilter(whose=whose), who)).entries
        return [(one.first_at - MONDAY).total_seconds() / 60 for one in entries]

    assert await times(Whose.MINE) == [0]
    assert await times(Whose.TEAM) == [0, 1, 2]
    assert await times(Whose.UNOWNED) == [2, 3]
    assert await times(Whose.TEAM, chief) == []
    waiting = [(await book.counts(who)).waiting for who in (asker, chief, NOBODY)]
    assert waiting == [3, 1, 1]  # one's own, and those of nobody that one's team or everybody is asked for


# -- what people do --


async def test_claimed_taken_over_released_and_given(told: Told) -> None:
    """Anna says she will call; Boris must say that they take it over; the chief gives it to Olga."""
    anna, boris = await account(told.records, "anna", "101"), await account(told.records, "boris", "102")
    olga = await account(told.records, "olga", "103")
    await told(missed_call(0, to="777"))
    (entry,), book = await told.owed(), told.records.missed
    await book.claim(entry.id, by=anna.id, person_id=anna.person_id)
    (entry,) = await told.owed()
    assert (entry.state, entry.owner, entry.claimed_by, entry.owner_why) == (
        MissedState.CLAIMED, "Anna", "Anna", OwnerWhy.CLAIMED,
    )  # fmt: skip
    with pytest.raises(PeerMistake, match="Somebody else"):
        await book.claim(entry.id, by=boris.id, person_id=boris.person_id)
    await book.claim(entry.id, by=boris.id, person_id=boris.person_id, over=True)
    await told(missed_call(5, to="777"))
    (entry,) = await told.owed()
    assert (entry.owner, entry.times) == ("Boris", 2)
    await book.release(entry.id, by=boris.id)
    (entry,) = await told.owed()
    assert (entry.state, entry.owner, entry.claimed_by) == (MissedState.NEW, None, None)
    assert olga.person_id is not None
    await book.give(entry.id, person_id=olga.person_id, by=anna.id)
    (entry,) = await told.owed()
    assert (entry.state, entry.owner, entry.owner_why) == (MissedState.NEW, "Olga", OwnerWhy.GIVEN)


async def test_given_up_and_taken_back(told: Told) -> None:
    """With a reason; undone, it is owed since the first call as before; another reason needs words."""
    anna = await account(told.records, "anna", "101")
    await told(missed_call(0))
    (before,), book = await told.owed(), told.records.missed
    with pytest.raises(PeerMistake, match="reason"):
        await book.give_up(before.id, reason=GaveUpReason.OTHER, text="  ", by=anna.id)
    await book.give_up(before.id, reason=GaveUpReason.OTHER, text="is our supplier", by=anna.id)
    assert await told.owed() == []
    (entry,) = await told.settled()
    assert (entry.state, entry.reason, entry.reason_text, entry.closed_by) == (
        MissedState.GAVE_UP, GaveUpReason.OTHER, "is our supplier", "Anna",
    )  # fmt: skip
    await book.reopen(entry.id, by=anna.id)
    (after,) = await told.owed()
    assert after == before


async def test_owed_again_after_a_conversation(told: Told) -> None:
    """They talked, but they must be called once more; the deadline counts anew and the next conversation settles it."""
    anna = await account(told.records, "anna", "101")
    await told(missed_call(0), called_back(20))
    (entry,), book = await told.settled(), told.records.missed
    await book.reopen(entry.id, by=anna.id)
    (entry,) = await told.owed()
    assert (entry.state, entry.closed_at, entry.times) == (MissedState.NEW, None, 1)
    await told(got_through(60 * 24 * 365 * 10))
    assert await told.owed() == []


async def test_an_entry_that_has_a_newer_one_is_not_reopened(told: Told) -> None:
    """At most one entry of a caller is open; the person is told which."""
    anna = await account(told.records, "anna", "101")
    await told(missed_call(0), called_back(20), missed_call(60))
    (old,) = await told.settled()
    with pytest.raises(PeerMistake, match="again since"):
        await told.records.missed.reopen(old.id, by=anna.id)


async def test_what_is_settled_or_gone_cannot_be_claimed(told: Told) -> None:
    """The page was older than the call; the person is told to look again."""
    anna = await account(told.records, "anna", "101")
    await told(missed_call(0))
    (entry,) = await told.owed()
    await told(called_back(5))
    for which in (entry.id, uuid4()):
        with pytest.raises(PeerMistake):
            await told.records.missed.claim(which, by=anna.id, person_id=None)


# -- the clock --


async def test_reminded_once_and_passed_on_once_whoever_looks(told: Told) -> None:
    """Missed at 9:00: due at 10:00, said at 9:45, passed on at 10:30; looking again changes nothing."""
    anna = await account(told.records, "anna", "101", team="Sales")
    await told(missed_call(0, to="101"))
    book, (entry,) = told.records.missed, await told.owed()
    assert entry.due_at == MONDAY + timedelta(hours=1)
    marked = []
    for minutes in (44, 46, 47, 59, 89, 91, 92):
        marked.append(await book.look_at_the_clock(MONDAY + timedelta(minutes=minutes)))
    assert marked == [0, 1, 0, 0, 0, 1, 0]
    mate = Asker(uuid4(), None, "Sales", supervises=False)
    assert len((await book.page(MissedFilter(whose=Whose.MINE), mate)).entries) == 1
    assert len((await book.page(MissedFilter(whose=Whose.MINE), NOBODY)).entries) == 0
    await book.set_rules(MissedRules(deadline_minutes=240), by=anna.id)
    (entry,) = await told.owed()
    assert (entry.due_at, entry.reminded_at, entry.escalated_at) == (MONDAY + timedelta(hours=4), None, None)
    await book.set_rules(MissedRules(deadline_minutes=0), by=anna.id)
    assert (await told.owed())[0].due_at is None


async def test_two_processes_look_at_the_clock_at_once(told: Told, database_url: str) -> None:
    """Both wake at the same minute: each entry is marked once."""
    await told(missed_call(0), missed_call(0, LATER))
    async with open_records(database_url, migrate=False) as other:
        now = MONDAY + timedelta(minutes=50)
        marked = await asyncio.gather(
            told.records.missed.look_at_the_clock(now), other.missed.look_at_the_clock(now)
        )
    assert sum(marked) == 2


async def test_friday_evening_is_due_on_monday(told: Told) -> None:
    """Missed on Friday at 17:30: half an hour then, half an hour on Monday."""
    friday = (MONDAY - timedelta(days=3)).replace(hour=17, minute=30)
    await told(missed_call((friday - MONDAY).total_seconds() / 60))
    assert (await told.owed())[0].due_at == MONDAY + timedelta(minutes=30)


# -- many at once --


async def test_two_processes_and_people_at_once(told: Told, database_url: str) -> None:
    """Thirty calls of three callers are taken by two processes while people claim: one entry each, nothing lost."""
    anna = await account(told.records, "anna", "101")
    numbers = [f"+7916000000{place}" for place in range(3)]
    calls = [missed_call(minute, numbers[minute % 3]) for minute in range(30)]
    await told(*calls[:3])
    await told.records.journal.record([change(facts, trace=False) for facts in calls[3:]])
    async with open_records(database_url, migrate=False) as other:
        keepers = [Told(told.records).keeper, Told(other).keeper]

        async def take(keeper: Bookkeeper) -> None:
            for _ in range(100):
                if not await keeper.take_some() and not await unbooked(other):
                    return

        async def claim(entry: MissedEntry) -> None:
            await other.missed.claim(entry.id, by=anna.id, person_id=anna.person_id)

        entries = await told.owed()
        async with asyncio.timeout(60):
            await asyncio.gather(*map(take, keepers), *map(claim, entries))
        assert not any(keeper.failures for keeper in keepers)
    assert [(one.times, one.state) for one in await told.owed()] == [(10, MissedState.CLAIMED)] * 3


async def unbooked(records: RecordsStore) -> bool:
    """Whether calls wait for the book."""
    async with records.engine.connect() as connection:
        waiting = select(models.calls.c.id).where(
            models.calls.c.booked.is_distinct_from(models.calls.c.revision)
        )
        return (await connection.scalar(waiting.limit(1))) is not None


async def test_a_change_is_heard(told: Told) -> None:
    """Pages that listen look again; some changes together are one."""
    async with told.records.missed.changes() as changes, asyncio.timeout(20):
        await anext(changes)  # the connection is there
        await told(missed_call(0), missed_call(1))
        await anext(changes)


async def test_a_number_that_calls_a_thousand_times(told: Told) -> None:
    """An autodialler: the entry counts on, and each further call costs no more than the last."""
    calls = [missed_call(minute) for minute in range(0, 1200, 2)]
    await told.records.journal.record([change(facts, trace=False) for facts in calls])
    async with told.records.engine.begin() as connection:
        await connection.execute(text("UPDATE calls SET booked = revision"))
    await told(missed_call(1300))
    (entry,) = await told.owed()
    assert entry.times >= 500


# -- invented numbers --


def invented(number: int) -> str:
    """A number that calls once."""
    return f"+7916555{number:04d}"


async def test_invented_numbers_do_not_fill_the_list(told: Told) -> None:
    """Calls from many numbers within minutes: two became leads, then the line makes four entries (twice its limit of
    leads). A client of ours is in the list all the same, and so is a stranger who tries again when it is over.
    """
    await told.records.rules.limit(2, by=None)
    await told(*(missed_call(each / 60, invented(each)) for each in range(9)))
    assert len(await told.owed()) == 6
    (flood,) = await told.records.missed.floods()
    assert flood.calls == 3
    await told.records.book.add(NewClient(ClientKind.CONTACT, "Irina", (CLIENT,)), by=None)
    await told(missed_call(1, CLIENT))
    assert len(await told.owed()) == 7
    await told(missed_call(30, invented(8)))
    assert {CLIENT, invented(8)} <= {entry.number for entry in await told.owed()}


async def test_a_flood_of_withheld_numbers_is_one_too(told: Told) -> None:
    """Each is a caller of its own, since nobody can tell them apart."""
    await told.records.rules.limit(2, by=None)
    await told(*(missed_call(each / 60, None) for each in range(7)))
    assert len(await told.owed()) == 4


async def test_who_has_an_entry_keeps_it_in_a_flood(told: Told) -> None:
    """Its count grows."""
    await told.records.rules.limit(2, by=None)
    await told(*(missed_call(each / 60, invented(each)) for each in range(6)))
    await told(missed_call(2, invented(0)), missed_call(3, invented(0)))
    assert {entry.number: entry.times for entry in await told.owed()}[invented(0)] == 3
