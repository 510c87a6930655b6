"""What the process for files does: one order, one answer. It imports what the order needs and no more.

See `process.py`, which starts it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from typing import Any

from telephony.errors import NeedsPerson, OurMistake, PeerMistake, SwitchhookError, TryLater

SHOWN_ROWS = 50  # of a file, for choosing its columns
NICENESS = 5  # the observer, pages and the database first
SWITCH_SECONDS = (
    0.0005  # the thread that reads rows gives way to the database's answers ten times sooner than by default
)
ADDRESS_SPACE = 3 << 30  # bytes; 20 MB of text with everything made of it stay below one
_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
FAILURES: Mapping[str, type[SwitchhookError]] = {
    kind.__name__: kind for kind in (PeerMistake, TryLater, NeedsPerson, OurMistake)
}


def main() -> None:
    """Carry out the one order."""
    _bound(int(sys.argv[-1]))
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever is printed goes into the log of whoever asked
    order = json.loads(sys.stdin.buffer.readline())
    try:
        answer = _JOBS[order["job"]](order)
    except SwitchhookError as mistake:
        kind = next((name for name, kind in FAILURES.items() if isinstance(mistake, kind)), "OurMistake")
        answer = {"failed": kind, "message": str(mistake), "remedy": mistake.remedy}
    with os.fdopen(answers, "wb") as out:
        out.write(json.dumps(answer).encode())
    sys.stdout.flush()


def _bound(parent: int) -> None:
    """No process of ours outlives the service, takes its place at the processor, or grows without end."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask to die with it
        sys.exit(1)
    os.nice(NICENESS)
    sys.setswitchinterval(SWITCH_SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def _read(order: Mapping[str, Any]) -> dict[str, Any]:
    from call_records.crm.imports.contact_files import read_file
    from call_records.crm.imports.spreadsheets import FileForm, Sheet

    sheet = read_file(sys.stdin.buffer.read(), FileForm(**order["form"]))
    shown = [[row.number, list(row.cells), row.problem] for row in sheet.rows[:SHOWN_ROWS]]
    told = {name: getattr(sheet, name) for name in Sheet.__dataclass_fields__ if name != "rows"}
    return {"sheet": {**told, "rows": shown, "total": len(sheet.rows)}}


def _work(order: Mapping[str, Any]) -> dict[str, Any]:
    import asyncio
    from uuid import UUID

    from sqlalchemy.engine import make_url

    from call_records.crm.imports.jobs import ImportDesk
    from call_records.crm.writes import Home
    from call_records.db.engine import open_engine

    async def work() -> None:
        engine = open_engine(make_url(order["url"]))
        try:
            await ImportDesk(engine, Home(**order["home"])).work(UUID(order["import"]))
        finally:
            await engine.dispose()

    asyncio.run(work())
    return {"done": True}


_JOBS = {"read": _read, "work": _work}
