"""`switchhook capture`: write what a PBX says to a file that `replay` reads, until told to stop.

Numbers and names are replaced, each always by the same, unless the raw ones are asked for. The file is readable by its
owner only; what was written stays when the command is interrupted.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from ami_bridge.capture.capture import CaptureWriter
from ami_bridge.capture.redaction import Redactor
from ami_bridge.snapshot import Snapshot
from ami_bridge.wire.connection import AmiConnection
from switchhook.doctor.doctor import link_to
from switchhook.settings.settings import Settings
from switchhook.settings.tables import PbxSettings
from telephony.errors import NeedsPerson, SwitchhookError


async def main(
    settings: Settings, file: Path, pbx: str | None, seconds: float | None, *, raw_numbers: bool = False
) -> int:
    """Capture for so many seconds, or until Ctrl-C. Raises NeedsPerson and what connecting raises."""
    chosen = _choose(settings, pbx)
    if await asyncio.to_thread(file.exists):
        raise NeedsPerson(
            f"{file} exists already.", remedy="Choose another name; a capture is never overwritten."
        )
    redactor = None if raw_numbers else Redactor()
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    connection = await AmiConnection.open(link_to(chosen))
    messages = 0
    try:
        with CaptureWriter(file) as writer:
            reading = asyncio.create_task(_read(connection, writer, redactor), name="capture")
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({reading, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            lost = reading.exception() if reading.done() and not reading.cancelled() else None
            for task in (reading, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError, SwitchhookError):
                    await task
            messages = writer.written
    finally:
        await connection.close()
    print(f"{messages} messages in {file}", file=sys.stderr)
    if lost is not None:
        raise lost
    return 0


async def _read(connection: AmiConnection, writer: CaptureWriter, redactor: Redactor | None) -> None:
    """The snapshot first, as the service asks for it, then what comes."""
    snapshot = Snapshot(connection.mark)
    for question in snapshot.questions():
        connection.send(*question)
    while True:
        for message in await connection.receive():
            further = snapshot.hear(message)
            if further is not None:
                connection.send(*further)
            writer.write(redactor.message(message) if redactor is not None else message)


def _choose(settings: Settings, wanted: str | None) -> PbxSettings:
    if wanted is None and len(settings.pbx) == 1:
        return settings.pbx[0]
    for pbx in settings.pbx:
        if pbx.id == wanted:
            return pbx
    names = ", ".join(pbx.id for pbx in settings.pbx)
    if wanted is None:
        raise NeedsPerson("Several PBXes are configured.", remedy=f"Choose one with --pbx: {names}.")
    raise NeedsPerson(f"No PBX is called {wanted}.", remedy=f"Choose one of: {names}.")
