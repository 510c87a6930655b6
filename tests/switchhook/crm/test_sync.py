"""What runs in the service: over real HTTP, several connections, until it is cancelled; what the page and metrics see."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from call_records.store import RecordsStore
from crm_sync.delivery import Delivery
from crm_sync.states import DeliveryState
from switchhook.assembly import prune_once
from switchhook.crm.meters import CrmMeters
from switchhook.crm.stores import StoredDeliveries
from switchhook.crm.sync import NEEDS_ADMINISTRATOR, UNREACHABLE, WORKING, CrmSync
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmSettings, KeepSettings
from tests.call_facts_builder import CLIENT, call, life
from tests.crm_sync.call_builder import make_call, make_delivery
from tests.crm_sync.conformance import make_bench
from tests.crm_sync.test_over_http import serving
from tests.switchhook.crm.crm_line import configure, crm_line

pytestmark = pytest.mark.postgres

FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


async def test_two_crms_over_http_while_a_third_is_away(records: RecordsStore, tmp_path: Path) -> None:
    """A call that ends reaches both by itself; the third delays nobody, and its state is saved. Cancelled, all ends."""
    benches = [make_bench("odoo_17"), make_bench("bitrix24_webhook")]
    for bench in benches:
        bench.peer.add_contact(CLIENT)
    names = ("odoo", "bitrix")
    async with serving(benches[0]) as first, serving(benches[1]) as second:
        tables = [
            configure(bench.peer.settings, bench.peer.credentials.access_token).model_copy(
                update={"name": name, "url": url}
            )
            for name, bench, url in zip(names, benches, (first, second), strict=True)
        ]
        away = tables[0].model_copy(update={"name": "away", "url": "http://127.0.0.1:9"})
        settings = Settings(crm=CrmSettings(connections=(*tables, away)))
        sync = CrmSync(settings, records, tmp_path)
        running = asyncio.create_task(sync.run())
        try:
            async with asyncio.timeout(120):
                while len(await records.deliveries.connections.list_connections()) < 3:
                    await asyncio.sleep(0.05)
                facts = call(started_at=datetime.now(UTC))
                await records.journal.record(life(facts))
                while not all(bench.peer.list_logged_calls() for bench in benches):
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            async with asyncio.timeout(60):
                await asyncio.gather(running, return_exceptions=True)
    for bench in benches:
        assert [key for key, _ in bench.peer.list_logged_calls()] == [f"{facts.id}.0"]
        assert bench.peer.violations == []
    lane = await records.deliveries.lanes.list_lane("away", facts.id)
    assert {row.state for row in lane} <= {"queued", "sending"}  # cancelled while it was tried


async def test_a_key_file_that_cannot_be_used_stops_nothing_else(
    records: RecordsStore, tmp_path: Path
) -> None:
    """The service goes on; Connections says what to do."""
    (tmp_path / "crm-credentials.key").write_text("no key")
    bench = make_bench("odoo_17")
    configured = configure(bench.peer.settings, "x")
    sync = CrmSync(Settings(crm=CrmSettings(connections=(configured,))), records, tmp_path)
    running = asyncio.create_task(sync.run())
    async with asyncio.timeout(60):
        while sync.problem is None:
            await asyncio.sleep(0)
    assert not running.done()
    assert "crm-credentials.key" in sync.problem
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_states_of_a_connection_and_a_person_who_wants_it_tried(
    records: RecordsStore, tmp_path: Path
) -> None:
    """Away, refused, and at once when somebody says so."""
    async with crm_line(records, "odoo_17", tmp_path) as line:
        await line.record("in_answered")
        line.transport.is_down = True
        await line.drain(until=line.clock.now() + timedelta(minutes=30))
        states = []

        async def report() -> None:
            await line.sync.report_once()
            (status,) = await records.deliveries.connections.list_connections()
            states.append(status.state)

        await report()
        line.transport.is_down = False
        line.peer.expire_token()
        await line.drain(until=line.clock.now() + timedelta(hours=1))
        await report()
        assert states == [UNREACHABLE, NEEDS_ADMINISTRATOR]
        line.peer.key = "odoo-api-key-1"  # type: ignore[attr-defined]
        assert not await line.connection.dispatcher.work_once()
        await records.deliveries.connections.ask_retry("crm")
        await report()
        assert line.connection.client.breakers.connection.is_passable(line.clock.now())
        await line.drain()
        await report()
        assert states[-1] == WORKING
        registry = CollectorRegistry()
        registry.register(CrmMeters(line.sync))
        metrics = generate_latest(registry).decode()
        assert 'switchhook_crm_working{connection="crm"} 1.0' in metrics
        assert 'switchhook_crm_waiting{connection="crm"} 0.0' in metrics


async def test_old_lanes_are_forgotten_unless_somebody_must_decide(records: RecordsStore) -> None:
    """Long after nobody tells of the call again."""
    store = StoredDeliveries(records.deliveries.lanes)
    sent, failed = make_delivery(call=make_call(1)), make_delivery(call=make_call(2))
    settled = [settle(sent, DeliveryState.SENT), settle(failed, DeliveryState.FAILED)]
    await store.add_deliveries(settled)
    now = datetime.now(UTC)
    while (claim := await store.claim_lane("crm", now, FUTURE)) is not None:
        await store.release_lane(claim, None)
    await prune_once(records, KeepSettings(), now)
    assert len(await records.deliveries.lanes.list_lane("crm", sent.key.call_id)) == 1
    await prune_once(records, KeepSettings(), FUTURE)
    assert not await records.deliveries.lanes.list_lane("crm", sent.key.call_id)
    assert len(await records.deliveries.lanes.list_lane("crm", failed.key.call_id)) == 1


def settle(delivery: Delivery, state: DeliveryState) -> Delivery:
    """As it ended."""
    return replace(delivery, state=state, settled_at=delivery.due_at)
