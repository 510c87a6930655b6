"""Files that came from outside are read, and imports carried out, in a process of their own.

A file may hold anything, a workbook unfolds to a hundred times its size, and two hundred thousand rows take a minute:
nothing of that may hold up the process that reads the PBX, nor stay in its memory. So a process is started for one order,
yields the processor to everything else, may not grow without bound, and gives all its memory back by ending. An order is
a line of JSON on its standard input, with the file behind it; the answer is a line of JSON (`process_child.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.crm.imports.process_child import FAILURES
from call_records.crm.imports.spreadsheets import FileForm, Sheet, SheetRow
from call_records.crm.writes import Home
from telephony.errors import OurMistake, PeerMistake, TryLater

log = structlog.get_logger(__name__)

READ_SECONDS = 120.0  # 20 MB of CSV take 3 s, a workbook of that size 20; on a busy machine more
WORK_SECONDS = 3_600.0  # 200 000 rows take about a minute
AT_ONCE = 2  # processes; imports take turns in the database anyway
ANSWER_MOST = 8 << 20  # bytes of the answer's line: fifty rows of two hundred cells
_STDERR_BYTES = 4_096
_PASSED_ON = ("HOME", "PATH", "LANG", "LC_ALL", "TZ")
_BOOT = (
    "import sys, json; sys.path += [p for p in json.loads(sys.argv.pop()) if p not in sys.path]; "
    "from call_records.crm.imports.process_child import main; main()"
)


class ImportProcesses:
    """Carries out orders about files, each in a process of its own."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def read(self, data: bytes, form: FileForm) -> Sheet:
        """The file as a table with its first rows. Raises PeerMistake for what cannot be read."""
        answer = await self._carry_out({"job": "read", "form": asdict(form)}, data, READ_SECONDS)
        told = answer["sheet"]
        rows = tuple(SheetRow(number, tuple(cells), problem) for number, cells, problem in told.pop("rows"))
        names = ("headings", "above", "sheets")
        return Sheet(**{**told, **{name: tuple(told[name]) for name in names}}, rows=rows)

    async def work(self, import_id: UUID) -> None:
        """Bring the import to its next rest. Errors as `ImportDesk.work`."""
        order = {
            "job": "work",
            "import": str(import_id),
            "url": self._engine.url.render_as_string(hide_password=False),
            "home": asdict(self._home),
        }
        await self._carry_out(order, b"", WORK_SECONDS)

    async def _carry_out(self, order: Mapping[str, Any], data: bytes, seconds: float) -> dict[str, Any]:
        async with self._turns:
            running = await _start()
            try:
                async with asyncio.timeout(seconds):
                    given = json.dumps(order).encode() + b"\n" + data
                    out, err = await running.communicate(given)
            except TimeoutError:
                raise PeerMistake(
                    "The file takes too long to read.", remedy="Save it as CSV, in parts, and import those."
                ) from None
            finally:
                await _end(running)
        return _answer(out, err, running.returncode)


async def _start() -> asyncio.subprocess.Process:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    passed |= {name: value for name, value in os.environ.items() if name.startswith(("PGSSL", "SSL_CERT"))}
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # nothing from the environment or the working directory
            "-c",
            _BOOT,
            str(os.getpid()),
            json.dumps([path for path in sys.path if path]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=passed,
            start_new_session=True,  # a terminal's Ctrl-C is for the service
        )
    except OSError as cause:
        raise TryLater(
            "The import cannot be started ({strerror}).",
            remedy="Look at the machine's memory and at its limit of processes.",
            values={"strerror": cause.strerror},
        ) from cause


async def _end(running: asyncio.subprocess.Process) -> None:
    """Gone afterwards, whatever it was doing; a piece of an import that was not committed costs nothing."""
    if running.returncode is None:
        with suppress(ProcessLookupError):
            running.kill()
        await running.wait()


def _answer(out: bytes, err: bytes, code: int | None) -> dict[str, Any]:
    try:
        if len(out) > ANSWER_MOST:
            raise ValueError("a long answer")
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        log.warning(
            "import_process_died", code=code, last_words=err[-_STDERR_BYTES:].decode(errors="replace")
        )
        raise PeerMistake(
            "The file could not be read: it took more memory than an import may take, or ended the reader.",
            remedy="Save it as CSV, in parts, and import those.",
        ) from None
    if "failed" in answer:
        kind = FAILURES.get(str(answer["failed"]), OurMistake)
        raise kind(str(answer["message"]), remedy=answer.get("remedy"))
    return answer
