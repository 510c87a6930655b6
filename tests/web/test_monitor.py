"""The small port of a process without pages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from tests.web.conftest import SETTINGS
from web.http.server import serve
from web.monitor import create_monitor

TOKEN = "0123456789abcdef0123456789abcdef"


async def test_a_process_without_pages_can_be_watched() -> None:
    """Alive, ready or why not, and what it counts: with the token where a proxy stands in front."""
    registry = CollectorRegistry()
    Gauge("switchhook_ami_connected", "1 while the link is up", registry=registry).set(1)
    reasons = ["phone system hq: not connected"]

    async def not_ready() -> Sequence[str]:
        return reasons

    settings = replace(SETTINGS, public_url="https://calls.example.com", metrics_token=TOKEN)
    app = create_monitor(settings, registry, not_ready)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=bound.set_result))
    async with asyncio.timeout(20), aiohttp.ClientSession(f"http://127.0.0.1:{await bound}") as http:
        async with http.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with http.get("/readyz") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (503, reasons)
        reasons.clear()
        async with http.get("/readyz") as answer:
            assert answer.status == 200
        async with http.get("/metrics") as answer:
            assert answer.status == 403
        async with http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert "switchhook_ami_connected 1.0" in await answer.text()
        async with http.get("/live") as answer:
            assert answer.status == 404
    stop.set()
    async with asyncio.timeout(20):
        await task
