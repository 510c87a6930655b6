"""Whether the phones could show who calls: the service answers in time, and the PBX has the lines that ask it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ami_bridge.agi.protocol import ASKING, LINE_BYTES
from ami_bridge.agi.server import LOOKUP_SECONDS
from ami_bridge.doctor.doctor import ANSWER_SECONDS, Finding, Level
from ami_bridge.wire.connection import AmiConnection, PbxLink
from ami_bridge.wire.message import Message
from telephony.errors import SwitchhookError

CONTEXT = "switchhook-names"
PATIENCE_SECONDS = 1.0  # for the doctor; the phones wait a quarter of it at most
NOBODY = "0"  # a number that no contact has
NOT_RUNNING = "All is well if Switchhook is not running now; otherwise look for handset lines in its log."


async def examine_service(
    pbx_ids: tuple[str, ...], *, host: str, port: int | None, unix_socket: Path | None
) -> list[Finding]:
    """Asks the running service as Asterisk would, at each place where it should answer. Raises nothing of its own."""
    places: list[tuple[str, Path | tuple[str, int]]] = []
    if unix_socket is not None:
        places.append((str(unix_socket), unix_socket))
    if port:  # 0 is any free one, which only the service itself knows
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not bound
        places.append((f"{shown}:{port}", (shown, port)))
    return [await _ask(pbx_id, name, place) for name, place in places for pbx_id in pbx_ids[:1]]


async def _ask(pbx_id: str, name: str, place: Path | tuple[str, int]) -> Finding:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await _answer(pbx_id, place)
    except TimeoutError:
        return Finding(
            Level.WARN,
            f"Nobody answers at {name} within {PATIENCE_SECONDS:g} s.",
            "Restart Switchhook: it hangs.",
        )
    except OSError as mistake:
        return Finding(Level.WARN, f"Nobody answers at {name}: {mistake.strerror or mistake}.", NOT_RUNNING)
    taken = loop.time() - begun
    if not answer.startswith(b"{"):
        return Finding(
            Level.WARN,
            f"What answers at {name} does not say who calls.",
            "Set [handsets] permit to let this machine ask, and look whether another program has the port.",
        )
    if taken > LOOKUP_SECONDS:
        return Finding(
            Level.WARN,
            f"{name} answers after {taken * 1000:.0f} ms, too late for the phones.",
            "Look at the load of this machine and of the database.",
        )
    return Finding(Level.OK, f"{name} says who calls, after {taken * 1000:.0f} ms.")


async def _answer(pbx_id: str, place: Path | tuple[str, int]) -> bytes:
    opening = (
        asyncio.open_unix_connection(place, limit=LINE_BYTES)
        if isinstance(place, Path)
        else asyncio.open_connection(*place, limit=LINE_BYTES)
    )
    reader, writer = await opening
    try:
        writer.write(ASKING + f"{pbx_id} {NOBODY}\n".encode())
        return await reader.read(LINE_BYTES)
    finally:
        writer.transport.abort()


async def examine_dialplan(link: PbxLink, *, answer_seconds: float = ANSWER_SECONDS) -> Finding:
    """Whether this PBX has the context that asks. The right `reporting` is enough. Raises nothing of its own."""
    try:
        connection = await AmiConnection.open(link, events=False)
        try:
            async with asyncio.timeout(answer_seconds):
                response = await _show(connection)
        finally:
            await connection.close()
    except (SwitchhookError, TimeoutError):
        # What is wrong with the link itself is told by the examination of the PBX.
        return Finding(
            Level.WARN, "Whether its dialplan asks who calls could not be looked at.", "See the others."
        )
    if response.get("Response") != "Error":
        return Finding(Level.OK, f"Its dialplan has the context {CONTEXT}.")
    if "ermission" in response.get("Message"):
        return Finding(
            Level.WARN,
            "The AMI user may not look at the dialplan.",
            "Add write = reporting to the user in manager.conf and run 'manager reload'.",
        )
    return Finding(
        Level.WARN,
        f"Its dialplan has no context {CONTEXT}: phones show no names.",
        "Include extensions_switchhook_names.conf; docs/how-to/names-on-handsets.md.",
    )


async def _show(connection: AmiConnection) -> Message:
    mark = f"doctor-{connection.mark}-dialplan"
    connection.send(("Action", "ShowDialPlan"), ("ActionID", mark), ("Context", CONTEXT), ("Extension", "T"))
    while True:
        for message in await connection.receive():
            if message.kind == "Response" and message.get("ActionID") == mark:
                return message
