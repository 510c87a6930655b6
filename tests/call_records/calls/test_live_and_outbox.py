"""The live board, the relay between two processes, and the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from call_records.calls.live import LiveBoard
from call_records.store import RecordsStore
from telephony.call_facts.facts import CallFacts
from telephony.events import EventKind
from telephony.ports import LinkState
from tests.call_facts_builder import MONDAY, answered, call, change, ended, life

UP = LinkState("hq", True, MONDAY, 0.0, None)


async def test_the_board_shows_what_has_not_ended_oldest_first() -> None:
    """Three calls, one ends."""
    board, first = LiveBoard(), call()
    second, third = (
        call(started_at=MONDAY + timedelta(seconds=2)),
        call(started_at=MONDAY + timedelta(seconds=1)),
    )
    for facts in (first, second, third, ended(first)):
        board.publish(facts)
    board.publish(UP)
    assert list(board.calls()) == [third, second]
    assert list(board.links()) == [UP]


async def test_readers_get_every_change_in_order() -> None:
    """Two pages are open; both see the call ring, talk and end; a closed board ends them."""
    board, facts = LiveBoard(), call()
    story = [facts, answered(facts), ended(answered(facts))]
    async with board.changes() as one, board.changes() as two:
        for told in story:
            board.publish(told)
        board.close()
        assert [told async for told in one] == [told async for told in two] == story


async def test_a_slow_reader_is_dropped_and_nobody_else_notices() -> None:
    """A browser on a bad line reads nothing: its stream ends after what it had room for."""
    board = LiveBoard(reader_queue=2)
    async with board.changes() as slow, board.changes() as quick:
        for number in range(4):
            board.publish(call(f"+7916000000{number}"))
            await anext(quick)
        assert len([told async for told in slow]) == 2
    assert board.dropped_readers == 1


@asynccontextmanager
async def following(records: RecordsStore, board: LiveBoard) -> AsyncIterator[None]:
    """The web side, ready: it has heard of the link that stands before it."""
    await records.relay.tell_link(UP)
    follower = asyncio.create_task(records.relay.follow(board))
    try:
        async with board.changes() as changes:
            await until(changes, lambda told: told == UP)
        yield
    finally:
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower


async def until(changes: AsyncIterator[CallFacts | LinkState], wanted: object) -> None:
    async with asyncio.timeout(10):
        async for told in changes:
            if callable(wanted) and wanted(told):
                return


@pytest.mark.postgres
async def test_the_web_process_sees_what_the_bridge_commits(records: RecordsStore) -> None:
    """A call rings in the bridge process and ends; the web process shows it and takes it off."""
    board, facts = LiveBoard(), call()
    async with following(records, board), board.changes() as changes:
        await records.journal.record([change(facts)])
        await until(changes, lambda told: told == facts)
        assert list(board.calls()) == [facts]
        over = ended(facts)
        await records.journal.record([change(over, at_seconds=60)])
        await until(changes, lambda told: told == over)
        assert list(board.calls()) == []


@pytest.mark.postgres
async def test_after_a_cut_connection_the_present_is_read_again(records: RecordsStore) -> None:
    """While the listener was cut off one call ended, one was absorbed and one began: the board is right again."""
    board, over, absorbed, stays, fresh = LiveBoard(), call(), call(), call(), call()
    await records.journal.record([change(one) for one in (over, absorbed, stays)])
    async with following(records, board):
        async with board.changes() as changes:
            await records.journal.record([change(answered(stays), at_seconds=5)])
            await until(changes, lambda told: told == answered(stays))
        async with board.changes() as changes, records.engine.begin() as connection:
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LISTEN%'"
            cut += " AND pid <> pg_backend_pid() AND datname = current_database()"
            await connection.execute(text(cut))
        async with board.changes() as changes:
            await records.journal.record(
                [
                    change(ended(over), at_seconds=60),
                    change(answered(stays), at_seconds=6, absorbed=[absorbed.id]),
                    change(fresh),
                ]
            )
            await until(changes, lambda told: told == fresh)
        assert {one.id for one in board.calls()} == {stays.id, fresh.id}


@pytest.mark.postgres
async def test_duties_of_a_call_come_one_by_one_in_order(records: RecordsStore) -> None:
    """Two claimers share the work; the end of a call is not told before its start."""
    first, second = life(call()), life(call())
    await records.journal.record([*first, *second])
    both = await asyncio.gather(records.outbox.claim(10), records.outbox.claim(10))
    claimed = [duty for duties in both for duty in duties]
    assert [duty.kind for duty in claimed] == [EventKind.STARTED, EventKind.STARTED]
    assert {duty.call_id for duty in claimed} == {first[0].facts.id, second[0].facts.id}
    await records.outbox.done(claimed[0])
    (following_one,) = await records.outbox.claim(10)
    assert (following_one.kind, following_one.call_id) == (EventKind.ANSWERED, claimed[0].call_id)
    assert await records.outbox.waiting() == 5


@pytest.mark.postgres
async def test_a_failed_duty_waits_until_it_is_due(records: RecordsStore) -> None:
    """The CRM is down: the duty comes again when due, its attempts counted, later ones of the call behind it."""
    await records.journal.record(life(call()))
    (duty,) = await records.outbox.claim(10)
    await records.outbox.failed(duty, reason="503", due_at=datetime.now(UTC) + timedelta(hours=1))
    assert await records.outbox.claim(10) == []
    async with records.engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET due_at = now()"))
    (again,) = await records.outbox.claim(10)
    assert (again.id, again.attempts) == (duty.id, 2)
    await records.outbox.done(duty)  # the first claimer comes back late: its claim is no longer valid
    assert await records.outbox.waiting() == 3


async def test_duties_that_nobody_needs_are_forgotten(
    records: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done ones after a day, those that no CRM took after their days; a younger one stays, and so does a claimed one."""
    monkeypatch.setattr("call_records.calls.outbox.PRUNE_ROWS", 2)
    await records.journal.record([change(call(), EventKind.STARTED) for _each in range(8)])
    claimed = (await records.outbox.claim(6))[:6]
    for duty in claimed[:5]:
        await records.outbox.done(duty)
    ages = {0: 2, 1: 2, 2: 2, 3: 0, 4: 40, 5: 40, 6: 40, 7: 10}
    async with records.engine.begin() as connection:
        ids = (await connection.scalars(text("SELECT id FROM outbox ORDER BY id"))).all()
        for place, days in ages.items():
            await connection.execute(
                text("UPDATE outbox SET owed_at = owed_at - make_interval(days => :days) WHERE id = :id"),
                {"days": days, "id": ids[place]},
            )
    now = datetime.now(UTC)
    times = {"done_before": now - timedelta(days=1), "owed_before": now - timedelta(days=30)}
    assert await records.outbox.prune(**times) == 5
    async with records.engine.connect() as connection:
        left = (await connection.scalars(text("SELECT id FROM outbox ORDER BY id"))).all()
    assert left == [ids[3], ids[5], ids[7]]
    assert await records.outbox.prune(**times) == 0
