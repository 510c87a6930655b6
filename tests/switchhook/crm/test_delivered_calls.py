"""From a captured stream to the CRM: every call exactly once, whatever happens to the CRM and to us on the way."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from call_records.store import RecordsStore
from call_records.types import StaffMember
from crm_sync.exchange import Effect, Request
from crm_sync.operations import OperationKind
from crm_sync.states import DeliveryState
from telephony.call_facts.facts import CallFacts, Direction, outside_of
from telephony.events import EventKind
from telephony.staff import Role
from tests.call_facts_builder import answered, call, change, ended, life
from tests.crm_sync.faults import Fault
from tests.switchhook.crm.crm_line import CrmLine, crm_line
from tests.web.kept import add_account

pytestmark = pytest.mark.postgres

CRMS = ("odoo_17", "bitrix24_webhook", "amocrm", "webhook")
SCENARIOS = ("in_answered", "att_refer", "blind_refer", "in_abandoned", "in_ringgroup_none", "internal")


def list_expected(calls: list[CallFacts]) -> dict[str, int]:
    """Key and start of every call that a CRM is to have."""
    return {
        f"{facts.id}.0": int(facts.started_at.timestamp())
        for facts in calls
        if facts.ended
        and facts.direction is not Direction.INTERNAL
        and facts.consultation_of is None
        and outside_of(facts).number
    }


def check_delivered(line: CrmLine, expected: dict[str, int]) -> None:
    """Counted at the peer: each once, with its real start. Odoo's note shows minutes."""
    logged = line.peer.list_logged_calls()
    assert sorted(key for key, _ in logged) == sorted(expected)
    assert all(0 <= expected[key] - start < 60 for key, start in logged)
    assert line.peer.violations == []


@pytest.mark.parametrize("crm", CRMS)
async def test_captured_calls_reach_the_crm(records: RecordsStore, tmp_path: Path, crm: str) -> None:
    """Those with somebody outside, and no other; the journal's duties are settled."""
    async with crm_line(records, crm, tmp_path) as line:
        expected = list_expected(await line.record(*SCENARIOS))
        assert len(expected) >= 5
        await line.drain()
        check_delivered(line, expected)
        assert {delivery.state for delivery in await line.list_deliveries()} == {DeliveryState.SENT}
    assert await records.outbox.waiting() == 0


def kill_at_every_write(fault: Fault) -> object:
    """The first attempt at each write; a read goes through."""
    seen: set[str] = set()

    def next_fault(request: Request) -> Fault:
        body = repr(request.json)
        if request.effect is Effect.READ or body in seen:
            return Fault.NONE
        seen.add(body)
        return fault

    return next_fault


@pytest.mark.parametrize("fault", [Fault.KILLED_BEFORE, Fault.KILLED_AFTER])
@pytest.mark.parametrize("crm", CRMS)
async def test_killed_at_every_write(records: RecordsStore, tmp_path: Path, crm: str, fault: Fault) -> None:
    """Before it leaves, or between the write and its answer: nothing doubled, nothing lost."""
    async with crm_line(records, crm, tmp_path, kill_at_every_write(fault)) as line:  # type: ignore[arg-type]
        expected = list_expected(await line.record(*SCENARIOS[:3]))
        await line.drain()
        check_delivered(line, expected)


@pytest.mark.parametrize("crm", CRMS)
async def test_a_crm_that_was_away_gets_everything_in_order(
    records: RecordsStore, tmp_path: Path, crm: str
) -> None:
    """Six hours; the calls of each half arrive with their real times, a call's operations in their order."""
    async with crm_line(records, crm, tmp_path) as line:
        line.transport.is_down = True
        calls = await line.record(*SCENARIOS[:2])
        await line.drain(until=line.clock.now() + timedelta(hours=3))
        calls += await line.record(*SCENARIOS[2:])
        await line.drain(until=line.clock.now() + timedelta(hours=3))
        assert line.peer.list_logged_calls() == []
        await line.sync.report_once()
        (status,) = await records.deliveries.connections.list_connections()
        assert (status.state, status.waiting > 0, status.failed) == ("unreachable", True, 0)
        line.transport.is_down = False
        await line.drain()
        await line.sync.report_once()
        check_delivered(line, list_expected(calls))
        arrived = await line.list_deliveries()  # by call and order
        for before, after in pairwise(arrived):
            if before.key.call_id == after.key.call_id:
                assert before.settled_at is not None
                assert after.settled_at is not None
                assert before.settled_at < after.settled_at
        (status,) = await records.deliveries.connections.list_connections()
        assert (status.state, status.waiting, status.last_success_at) == (
            "working",
            0,
            max(delivery.settled_at for delivery in arrived if delivery.settled_at),
        )


async def test_facts_told_again_deliver_nothing_again(records: RecordsStore, tmp_path: Path) -> None:
    """Also when the duty was forgotten meanwhile, and the facts have changed."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        (delivered,) = await line.record("in_answered")
        await line.drain()
        async with records.engine.begin() as connection:
            await connection.execute(text("DELETE FROM outbox"))
        assert delivered.ended_at
        seconds = (delivered.ended_at - delivered.started_at).total_seconds()
        await records.journal.record([change(delivered, EventKind.ENDED, at_seconds=seconds)])
        assert await line.sync.plan_once() == 1
        await line.drain()
        check_delivered(line, list_expected([delivered]))


async def test_a_call_that_turned_out_to_be_another_one_is_delivered_once(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Absorbed before anything was sent: the survivor is delivered. Absorbed afterwards: the CRM has the call."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        first, second, survivor = (ended(answered(call())) for _ in range(3))
        for facts in (first, second):
            for step in life(call(id=facts.id)):
                await records.journal.record([step])
            await line.plan()
            if facts is first:
                await line.drain()
        absorbing = change(survivor, EventKind.ENDED, at_seconds=70, absorbed=[second.id])
        await records.journal.record([absorbing])
        await line.plan()
        await line.drain()
        check_delivered(line, list_expected([first, survivor]))
        late = ended(answered(call()))
        await records.journal.record([change(late, EventKind.ENDED, at_seconds=80, absorbed=[first.id])])
        await line.plan()
        await line.drain()
        check_delivered(line, list_expected([first, survivor]))


async def test_a_call_that_cannot_be_planned_stops_no_other_and_is_not_lost(
    records: RecordsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours: it waits, counted, until it is mended."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        broken, whole = call(), call()
        original = type(line.sync)._plan

        def plan(sync: object, wanted: object) -> object:
            if wanted.facts.id == broken.id:  # type: ignore[attr-defined]
                raise ZeroDivisionError
            return original(sync, wanted)  # type: ignore[arg-type]

        monkeypatch.setattr(type(line.sync), "_plan", plan)
        for facts in (broken, whole):
            await records.journal.record(life(facts))
        await line.plan()
        await line.drain()
        check_delivered(line, list_expected([ended(answered(whole))]))
        assert records.deliveries.planning.failures == 1
        monkeypatch.undo()
        async with records.engine.begin() as connection:
            await connection.execute(text("UPDATE outbox SET due_at = now()"))
        await line.plan()
        await line.drain()
        check_delivered(line, list_expected([ended(answered(one)) for one in (broken, whole)]))


async def test_a_recording_follows_when_it_can_be_heard(records: RecordsStore, tmp_path: Path) -> None:
    """The longest of those that are ready, once none of the call's recordings is under way any more."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        facts = call(recordings=("a.wav", "b.wav"))
        await records.journal.record(life(facts))
        await line.plan()
        await line.drain()
        assert line.peer.list_recordings() == []
        async with records.engine.begin() as connection:
            for name, state, seconds in (("a", "ready", 3.0), ("b", "arrived", None)):
                values = {"id": facts.id, "name": name, "state": state, "seconds": seconds}
                await connection.execute(_RECORDING, values)
        await line.plan()
        await line.drain()
        assert line.peer.list_recordings() == []
        async with records.engine.begin() as connection:
            await connection.execute(text("UPDATE recordings SET state = 'lost' WHERE name = 'b'"))
        await line.plan()
        await line.drain()
        assert line.peer.list_recordings() == [f"{facts.id}.0"]
        kinds = [delivery.kind for delivery in await line.list_deliveries()]
        assert kinds == [OperationKind.CREATE_LEAD, OperationKind.CLOSE_CALL, OperationKind.ATTACH_RECORDING]
    assert line.peer.violations == []


async def test_the_staff_page_says_whose_a_call_is(records: RecordsStore, tmp_path: Path) -> None:
    """Below what the connection itself maps (101), and as it is at that moment."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        for extension, user in (("101", "8"), ("102", "9")):
            member = StaffMember(None, f"Person {extension}", (extension,), crm_user=user)
            await records.staff.put_member(member)
        await line.sync.report_once()
        for extension in ("101", "102", "103"):
            await records.journal.record(
                [change(ended(answered(call(to=extension), by=extension)), EventKind.ENDED, at_seconds=65)]
            )
        await line.plan()
        logs = [one.operation.call for one in await line.list_deliveries() if one.kind.value == "close_call"]
        assert {log.extension: log.user_id for log in logs} == {"101": "1", "102": "9", "103": None}


async def test_a_note_follows_when_its_author_has_stopped_typing(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Once, as it stood then."""
    author = await add_account(records, "anna", Role.MANAGER, "101", name="Anna")
    async with crm_line(records, "odoo_17", tmp_path) as line:
        facts = call()
        await records.journal.record(life(facts))
        await line.plan()
        await records.notes.save(call_id=facts.id, account_id=author.id, text="Wants roses")
        await line.plan()
        await line.drain()
        assert OperationKind.ADD_NOTE not in {delivery.kind for delivery in await line.list_deliveries()}
        async with records.engine.begin() as connection:
            await connection.execute(text("UPDATE notes SET updated_at = updated_at - interval '4 min'"))
            await connection.execute(text("UPDATE crm_lanes SET created_at = created_at - interval '4 min'"))
        await line.plan()
        await line.drain()
        notes = [
            delivery for delivery in await line.list_deliveries() if delivery.kind is OperationKind.ADD_NOTE
        ]
        assert [(note.operation.text, note.state) for note in notes] == [
            ("Anna: Wants roses", DeliveryState.SENT)
        ]
    assert line.peer.violations == []


_RECORDING = text("""
    INSERT INTO recordings (id, pbx, name, call_id, state, listed_at, duration_seconds)
    VALUES (gen_random_uuid(), 'hq', :name, :id, :state, now(), :seconds)
    ON CONFLICT (pbx, name) DO UPDATE SET state = excluded.state, duration_seconds = excluded.duration_seconds,
        call_id = excluded.call_id
""")
