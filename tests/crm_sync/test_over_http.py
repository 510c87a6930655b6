"""Every adapter through the real transport: the fake CRM behind a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web

from crm_sync.adapters import ADAPTERS
from crm_sync.exchange import Effect, Request
from crm_sync.http import HttpTransport
from tests.crm_sync.call_builder import CLIENT, make_call
from tests.crm_sync.conformance import Bench, call_key, make_bench
from tests.crm_sync.peers import PEERS


@asynccontextmanager
async def serving(bench: Bench, *, cut_answers: int = 0) -> AsyncIterator[str]:
    """The peer's address; the first answers to writes are cut off after they were executed."""
    remaining = [cut_answers]

    async def handle(incoming: web.Request) -> web.StreamResponse:
        body = await incoming.read()
        request = Request(
            method="",
            effect=Effect.READ,
            url=incoming.path,
            verb=incoming.method,
            query=tuple(incoming.query.items()),
            headers=tuple(incoming.headers.items()),
            json=json.loads(body) if body else None,
        )
        before = bench.peer.writes
        response = bench.peer.handle(request)
        if remaining[0] and bench.peer.writes > before:
            remaining[0] -= 1
            assert incoming.transport is not None
            incoming.transport.abort()
        return web.Response(status=response.status, headers=dict(response.headers), body=response.body)

    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("cut_answers", [0, 2])
@pytest.mark.parametrize("name", PEERS)
async def test_a_call_over_real_http(name: str, cut_answers: int) -> None:
    """Once, also when the connection breaks after the write."""
    bench = make_bench(name)
    bench.peer.add_contact(CLIENT)
    async with serving(bench, cut_answers=cut_answers) as url:
        settings = replace(bench.peer.settings, base_url=url)
        bench.adapter = ADAPTERS[settings.kind](settings)
        transport = HttpTransport(allow_private=True)
        bench.client.transport, bench.client.adapter = transport, bench.adapter
        await bench.add_call(make_call())
        async with asyncio.timeout(60):
            await bench.drain()
        await transport.close()
    assert bench.list_unsent() == []
    assert [key for key, _ in bench.peer.list_logged_calls()] == [call_key(make_call())]
    assert bench.peer.violations == []
