"""The application on a free port of this machine, for as long as a test needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from call_records.recordings.ingest.uploads import UploadDesk
from telephony.ports import RecordingControl
from tests.web.fakes import FakeLive, FakeRecords
from web.app import create_app
from web.auth.access import Passwords
from web.crm_desk import CrmDesk
from web.http.server import serve
from web.settings import WebSettings


@contextlib.asynccontextmanager
async def running(
    records: FakeRecords,
    live: FakeLive,
    settings: WebSettings,
    passwords: Passwords,
    control: RecordingControl | None = None,
    uploads: UploadDesk | None = None,
    crm: CrmDesk | None = None,
) -> AsyncIterator[str]:
    """Serve until the block is left; gives the address."""
    app = create_app(records, live, settings, passwords=passwords, control=control, uploads=uploads, crm=crm)
    stop = asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, bound=port.set_result))
    try:
        async with asyncio.timeout(10):
            address = f"http://127.0.0.1:{await port}"
        yield address
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task
