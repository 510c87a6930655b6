"""The service itself: a configured CRM gets the calls of the journal, the pages and metrics tell of it, and it stops."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from call_records.store import RecordsStore
from switchhook.assembly import Service, serve_until
from switchhook.settings.settings import Settings
from switchhook.settings.tables import CrmSettings, DatabaseSettings, WebSettings
from telephony.staff import Role
from tests.call_facts_builder import CLIENT, call, life
from tests.crm_sync.conformance import make_bench
from tests.crm_sync.test_over_http import serving
from tests.switchhook.crm.crm_line import configure
from tests.web.kept import add_account, signed_in

pytestmark = pytest.mark.postgres

STOP_SECONDS = 60.0  # only a bound: that five are enough is measured in tests/service


async def test_a_call_reaches_the_configured_crm(
    records: RecordsStore, database_url: str, tmp_path: Path
) -> None:
    """Without a PBX: what was told elsewhere over the same database is delivered here."""
    bench = make_bench("odoo_17")
    bench.peer.add_contact(CLIENT)
    await add_account(records, "boss", Role.ADMINISTRATOR)
    async with serving(bench) as url:
        configured = configure(bench.peer.settings, bench.peer.credentials.access_token)
        settings = Settings(
            database=DatabaseSettings(url=SecretStr(database_url), state_dir=tmp_path),
            web=WebSettings(port=0),
            crm=CrmSettings(connections=(configured.model_copy(update={"url": url}),)),
        )
        stop = asyncio.Event()
        started: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(serve_until(stop, settings, started=started.set_result))
        try:
            async with asyncio.timeout(180):
                service = await started
                while not await records.deliveries.connections.list_connections():
                    await asyncio.sleep(0.05)
                facts = call(started_at=datetime.now(UTC))
                await records.journal.record(life(facts))
                while not bench.peer.list_logged_calls():
                    await asyncio.sleep(0.05)
                address = f"http://127.0.0.1:{service.web_port}"
                async with signed_in(address, "boss") as person:
                    while "last delivery" not in (page := await person.read("/connections")):
                        await asyncio.sleep(0.05)
                    assert "Calls are delivered." in page
                async with aiohttp.ClientSession() as http:
                    while 'switchhook_crm_working{connection="crm"} 1.0' not in await read(http, address):
                        await asyncio.sleep(0.05)
        finally:
            stop.set()
            async with asyncio.timeout(STOP_SECONDS):
                await running
    assert [key for key, _ in bench.peer.list_logged_calls()] == [f"{facts.id}.0"]
    assert (tmp_path / "crm-credentials.key").exists()


async def read(http: aiohttp.ClientSession, address: str) -> str:
    """The metrics."""
    async with http.get(f"{address}/metrics") as answer:
        return await answer.text()
