"""The call journal on a real PostgreSQL: each thing once, whoever tells it and however often."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from call_records.store import RecordsStore, open_records
from call_records.types import CallFilter
from telephony.call_facts.facts import State
from telephony.events import EventKind
from telephony.ports import CallChange
from tests.call_facts_builder import MONDAY, answered, call, change, ended, life

pytestmark = pytest.mark.postgres

ANY = CallFilter()
TABLES = ("calls", "call_aliases", "call_redirects", "call_trace", "outbox", "notes")


async def everything(records: RecordsStore) -> dict[str, list[str]]:
    """All rows of the journal as text, for "nothing changed"."""
    async with records.engine.connect() as connection:
        return {
            table: [
                str(row) for row in await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))
            ]
            for table in TABLES
        }


async def kinds_owed(records: RecordsStore, call_id: UUID) -> list[str]:
    async with records.engine.connect() as connection:
        wanted = text("SELECT kind FROM outbox WHERE call_id = :id ORDER BY id")
        return list((await connection.scalars(wanted, {"id": call_id})).all())


async def test_a_call_is_read_back_as_it_was_told(records: RecordsStore) -> None:
    """An answered call is told in three changes; the page shows the last one."""
    told = life(call())
    for one in told:
        await records.journal.record([one])
    assert await records.calls.one(told[0].facts.id) == told[-1].facts


async def test_the_same_changes_again_change_nothing(records: RecordsStore) -> None:
    """After a crash the spool tells again what the journal already has: not one row differs."""
    told = [part for one in (call(), call("+48221234567")) for part in life(one)]
    await records.journal.record(told)
    before = await everything(records)
    await records.journal.record(told)
    for one in told:
        await records.journal.record([one])
    assert await everything(records) == before


async def test_one_batch_or_one_by_one_is_the_same(records: RecordsStore) -> None:
    """How changes are cut into batches is nobody's business."""
    together, apart = life(call()), life(call())
    await records.journal.record(together)
    for one in apart:
        await records.journal.record([one])
    for told in (together, apart):
        call_id = told[0].facts.id
        assert await records.calls.one(call_id) == told[-1].facts
        assert len(await records.journal.trace_of(call_id)) == 3
        assert await kinds_owed(records, call_id) == ["call_started", "leg_answered", "call_ended"]


async def test_a_crm_is_owed_only_what_it_must_be_told(records: RecordsStore) -> None:
    """Ringing phones and holds stay in the house."""
    facts = call()
    await records.journal.record([change(facts, EventKind.STARTED, EventKind.RANG, EventKind.HELD)])
    assert await kinds_owed(records, facts.id) == ["call_started"]


async def test_older_news_does_not_overwrite_newer(records: RecordsStore) -> None:
    """Two processes tell of one call; the slow one arrives last with what it knew first."""
    ring, talk, end = life(call())
    await records.journal.record([ring, talk, end])
    await records.journal.record([talk])
    kept = await records.calls.one(ring.facts.id)
    assert kept is not None
    assert kept.state is State.ENDED


async def test_a_statement_without_messages_counts(records: RecordsStore) -> None:
    """The link to the PBX is lost: the call becomes unverified although no message says so."""
    facts = answered(call())
    await records.journal.record([change(facts, at_seconds=5)])
    await records.journal.record([change(replace(facts, state=State.UNVERIFIED), trace=False)])
    kept = await records.calls.one(facts.id)
    assert kept is not None
    assert kept.state is State.UNVERIFIED


async def absorb_all_ways(records: RecordsStore, batches: list[list[CallChange]]) -> None:
    for batch in batches:
        await records.journal.record(batch)


@pytest.mark.parametrize("cut", ["one batch", "one by one"])
async def test_an_absorbed_call_leads_to_the_survivor(records: RecordsStore, cut: str) -> None:
    """A consultation becomes part of the client's call: one call, everything of both, and the old address works."""
    client, consultation = answered(call()), call(None, to="102")
    story = [
        change(client, EventKind.STARTED),
        change(consultation, EventKind.STARTED, at_seconds=10),
        change(client, EventKind.TRANSFERRED, at_seconds=20, absorbed=[consultation.id]),
    ]
    await absorb_all_ways(records, [story] if cut == "one batch" else [[one] for one in story])
    assert await records.calls.one(consultation.id) == client
    assert len((await records.calls.page(ANY)).calls) == 1
    known = await records.journal.known("hq", [f"u-{client.id}", f"u-{consultation.id}", "never seen"])
    assert known == {f"u-{client.id}": client.id, f"u-{consultation.id}": client.id}
    assert len(await records.journal.trace_of(consultation.id)) == 3
    assert sorted(await kinds_owed(records, client.id)) == [
        "call_started",
        "call_started",
        "call_transferred",
    ]


async def test_late_news_of_an_absorbed_call_goes_to_the_survivor(records: RecordsStore) -> None:
    """The other process did not know of the merge yet: its facts are left out, its channels and messages kept."""
    client, consultation = answered(call()), call(None, to="102")
    await records.journal.record([change(consultation, EventKind.STARTED)])
    await records.journal.record([change(client, EventKind.STARTED, absorbed=[consultation.id])])
    await records.journal.record([change(consultation, EventKind.ENDED, at_seconds=30, aliases=["late"])])
    assert await records.calls.one(consultation.id) == client
    assert await records.journal.known("hq", ["late"]) == {"late": client.id}
    assert await kinds_owed(records, consultation.id) == []


async def test_chains_of_merges_end_at_the_last_survivor(records: RecordsStore) -> None:
    """A absorbs B, then C absorbs A, then B's process claims to have absorbed C: C stays, nothing goes in circles."""
    first, second, third = call(), call(), call()
    await records.journal.record([change(one) for one in (first, second, third)])
    await records.journal.record([change(first, at_seconds=1, absorbed=[second.id])])
    await records.journal.record([change(third, at_seconds=2, absorbed=[first.id])])
    await records.journal.record([change(second, at_seconds=3, absorbed=[third.id])])
    for one in (first, second, third):
        kept = await records.calls.one(one.id)
        assert kept is not None
        assert kept.id == third.id


async def test_two_processes_write_the_same_calls_at_once(records: RecordsStore, database_url: str) -> None:
    """Two bridges tell the same fifty calls in opposite order at the same time: each call, event and message once."""
    told = [part for _ in range(50) for part in life(call())]
    ids = {one.facts.id for one in told}
    async with open_records(database_url, migrate=False) as other, asyncio.TaskGroup() as both:
        both.create_task(write_in_batches(records, told))
        both.create_task(write_in_batches(other, [told[i] for i in _by_call_backwards(len(told))]))
    async with records.engine.connect() as connection:
        counted = {
            table: await connection.scalar(text(f"SELECT count(*) FROM {table}"))
            for table in ("calls", "call_aliases", "call_trace", "outbox")
        }
    assert counted == {"calls": 50, "call_aliases": 50, "call_trace": 150, "outbox": 150}
    for call_id in ids:
        kept = await records.calls.one(call_id)
        assert kept is not None
        assert kept.ended


def _by_call_backwards(count: int) -> list[int]:
    """The calls from the last to the first, each call's own changes in order."""
    return [first + place for first in range(count - 3, -1, -3) for place in range(3)]


async def write_in_batches(store: RecordsStore, told: list[CallChange]) -> None:
    for first in range(0, len(told), 10):
        await store.journal.record(told[first : first + 10])


async def test_a_restarted_bridge_learns_what_was_open(records: RecordsStore) -> None:
    """One call talks, one has ended, one is on another PBX: only the first is handed out, with its messages."""
    open_call, closed, elsewhere = call(), call(), replace(call(), pbx="branch")
    await records.journal.record(
        [change(open_call), change(answered(open_call), at_seconds=5), change(elsewhere)]
    )
    await records.journal.record(life(closed))
    (found,) = await records.journal.unfinished("hq")
    assert (found.id, found.aliases) == (open_call.id, (f"u-{open_call.id}",))
    assert [one["t"] for one in found.trace] == [MONDAY.timestamp(), MONDAY.timestamp() + 5]


async def test_a_caller_cannot_stop_the_journal_with_his_name(records: RecordsStore) -> None:
    """A SIP phone sends NUL, a broken byte, a script and a backslash: kept, the two impossible ones replaced."""
    nasty = "\x00\udc80<script>\\u0000\r\nx"
    facts = call()
    facts = replace(facts, caller=replace(facts.caller, name=nasty, number=None, raw=nasty))
    told = replace(change(facts, aliases=[nasty]), trace=({"t": 1.0, "h": [["CallerIDName", nasty]]},))
    await records.journal.record([told])
    await records.journal.record([told])
    kept = await records.calls.one(facts.id)
    assert kept is not None
    assert kept.caller.name == "\ufffd\ufffd<script>\\u0000\r\nx"
    assert len(await records.journal.trace_of(facts.id)) == 1


async def test_old_messages_of_ended_calls_are_pruned(records: RecordsStore) -> None:
    """Raw messages are kept for some days; a call that still lasts keeps its own, facts stay for ever."""
    over, lasting = life(call()), change(call())
    await records.journal.record([*over, lasting])
    assert await records.journal.prune(MONDAY + timedelta(days=1)) == 3
    assert await records.journal.trace_of(over[0].facts.id) == []
    assert len(await records.journal.trace_of(lasting.facts.id)) == 1
    assert await records.calls.one(over[0].facts.id) == ended(answered(over[0].facts))


async def test_an_unknown_call_is_none(records: RecordsStore) -> None:
    """An address typed wrong."""
    assert await records.calls.one(uuid4()) is None


async def test_a_rating_stands_in_its_column(records: RecordsStore) -> None:
    """Calls are picked for review by it, so it is not only inside the facts."""
    rated = replace(ended(answered(call())), rating=2)
    silent = ended(answered(call(number="+79161110006")))
    await records.journal.record([change(rated), change(silent)])
    async with records.engine.connect() as connection:
        rows = (await connection.execute(text("SELECT id, rating FROM calls"))).all()
    assert {row.id: row.rating for row in rows} == {rated.id: 2, silent.id: None}
