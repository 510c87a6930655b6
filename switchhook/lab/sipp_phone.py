"""Phones that are not ours: SIPp plays the scenarios in `sipp/`, each one call of one phone.

    async with SippCall(sipp, asterisk, "transfers", phone="101", ...) as anna:
        await anna.is_up()
        anna.press()
        await anna.over()

What a scenario has to say it writes into files; where it waits for a person it waits for a MESSAGE in its call, the
`press` of a button. A call that goes otherwise than its scenario says is a PeerMistake with SIPp's own words.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from switchhook.lab.phones import Pbx
from switchhook.lab.ports import CARRIER_HOST, LOCALHOST
from telephony.errors import PeerMistake, TryLater

SCENARIOS = Path(__file__).parent / "sipp"
PLAY_SECONDS = 40  # for one call; a busy test machine stalls for seconds
LOOK_SECONDS = 0.02  # SIPp tells nobody when it has written a file
WORDS = 2000  # characters of SIPp's own report

_PRESS = (
    "MESSAGE sip:phone@{host}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKbutton\r\n"
    "From: <sip:button@127.0.0.1>;tag=button\r\nTo: <sip:phone@{host}:{port}>\r\nCall-ID: {call_id}\r\n"
    "CSeq: 9 MESSAGE\r\nContent-Length: 0\r\n\r\n"
)


class SippCall:
    """One scenario being played."""

    def __init__(
        self,
        program: Path,
        pbx: Pbx,
        scenario: str,
        *,
        phone: str,
        target: str = "",
        refer_to: Path | None = None,
        outside: bool = False,
    ) -> None:
        """`phone` is the number of who plays it; `outside`: the carrier's side, with any number, instead of a handset's.

        `refer_to` is the file that says where to: read by `transfers`, written by `asks`.
        """
        self._program, self._pbx, self._scenario = program, pbx, scenario
        self._phone, self._target, self._outside = phone, target, outside
        self._folder = tempfile.TemporaryDirectory(prefix="switchhook-sipp-")
        self._place = Path(self._folder.name)
        self._refer_to = refer_to or self._place / "refer_to"
        self._host = CARRIER_HOST if outside else LOCALHOST
        self._port = pbx.ports.carrier if outside else free_port(self._host)
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        try:
            if not self._outside and not self._target:  # it is to be called
                await self._finish(await self._start("register", free_port(self._host)))
            self._process = await self._start(self._scenario, self._port)
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        finally:
            self._folder.cleanup()

    async def is_up(self) -> None:
        """Until the scenario has come to its button: it rings, or talks."""
        await self._until(self._told)

    async def is_answered(self) -> None:
        """Until a phone that was called has picked up, and the PBX has taken notice."""
        await self._until(self._told.with_suffix(".up"))

    async def has_asked(self) -> None:
        """Until the file of `asks` is there: the colleague's phone rings."""
        await self._until(self._refer_to)

    def press(self) -> None:
        """The button."""
        call_id = self._told.read_text(encoding="utf-8").strip()
        text = _PRESS.format(host=self._host, port=self._port, call_id=call_id)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(text.encode(), (self._host, self._port))

    async def over(self) -> None:
        """Until the scenario has been played to its end. Raises PeerMistake when the PBX did something else."""
        if self._process is None:
            raise TryLater("The call has not begun.")
        await self._finish(self._process)

    @property
    def _told(self) -> Path:
        return self._place / "told"

    async def _until(self, file: Path) -> None:
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                while not file.exists():  # noqa: ASYNC240 - one system call
                    if self._process is not None and self._process.returncode is not None:
                        raise PeerMistake(f"{self._scenario} of {self._phone} ended early. {self.report()}")
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TryLater(
                f"{self._scenario} of {self._phone} did not come to {file.name}. {self.report()}"
            ) from None

    async def _start(self, scenario: str, port: int) -> asyncio.subprocess.Process:
        host, sip = self._pbx.sip_address
        keys = {
            "phone": self._phone,
            "target": self._target,
            "phone_port": str(self._port),
            "told": str(self._told),
            "refer_to": str(self._refer_to),
        }
        return await asyncio.create_subprocess_exec(
            self._program,
            f"{host}:{sip}",
            *("-sf", SCENARIOS / f"{scenario}.xml", "-m", "1", "-nostdin", "-aa"),
            *("-i", self._host, "-p", str(port), "-mi", self._host, "-mp", str(free_port(self._host))),
            *("-au", self._phone, "-ap", self._pbx.password_of(self._phone)),
            *("-timeout", str(PLAY_SECONDS), "-timeout_error", "-trace_msg", "-message_file", "messages"),
            *("-trace_err", "-error_file", "errors"),
            *(part for name, value in keys.items() for part in ("-key", name, value)),
            cwd=self._place,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def _finish(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(PLAY_SECONDS):
                code = await process.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if code != 0:
            raise PeerMistake(f"{self._scenario} of {self._phone} went otherwise ({code}). {self.report()}")

    def report(self) -> str:
        """The end of what went over the wire, and of what SIPp says of it."""
        said = ""
        for name in ("messages", "errors"):
            with contextlib.suppress(OSError):
                said += (self._place / name).read_text(encoding="utf-8", errors="replace")[-WORDS:]
        return said


def free_port(host: str) -> int:
    """A UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind((host, 0))
        port: int = found.getsockname()[1]
        return port
