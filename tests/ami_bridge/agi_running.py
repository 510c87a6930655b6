"""A FastAGI service that runs for as long as a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ami_bridge.agi.server import FastAgiServer


@asynccontextmanager
async def running(server: FastAgiServer) -> AsyncIterator[FastAgiServer]:
    """It listens. Raises at once why it cannot: whoever only waited for it would wait for ever."""
    task = asyncio.create_task(server.run())
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    listening.cancel()
    if task.done():
        task.result()
    try:
        yield server
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
