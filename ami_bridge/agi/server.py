"""Who calls? Asterisk asks before the phones ring, and waits for the answer. So the answer is there at once, or never.

    server = FastAgiServer({"hq": lookup}, port=4573)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.keep_serving())

Nothing here may hold up a call: a question has a deadline, a connection has one, there is a bound on questions at once, and
whoever does not fit is sent away unanswered, which the dialplan takes for "not known". That the call goes on when this whole
process is stopped is not our doing but that of the dialplan's own clock and of the script's: docs/decisions/0009. What we
owe to both: a command is written whole or not at all, because Asterisk waits without end for the rest of a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import stat
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import structlog

from ami_bridge.agi.protocol import (
    ASKING,
    LINE_BYTES,
    LINES,
    fastagi_commands,
    fastagi_question,
    script_answer,
    script_question,
    succeeded,
)
from telephony.errors import NeedsPerson, PeerMistake, SwitchhookError
from telephony.handset_names import HandsetDisplay, handset_display
from telephony.ports import CallerLookup, CallerQuestion

log = structlog.get_logger(__name__)

LOOKUP_SECONDS = 0.1  # the contact book needs 5 ms; the script gives up after 0.16 s, Asterisk after 0.22 s
CONVERSATION_SECONDS = 0.2  # after that Asterisk has gone; on loopback a conversation takes 3 ms
AT_ONCE = 64  # questions; more than the calls that begin within a quarter of a second at any office
BACKLOG = 1024  # connections that Asterisk gave up while we were stopped lie in it until we go on
RETRY_SECONDS = 5.0  # a Switchhook that is being replaced stops within that
COMPLAINT_PAUSE = 60.0  # s
GROUP_ONLY, EVERYONE = 0o660, 0o666  # whoever may write to the socket may ask for names
LOOPBACK = ("127.0.0.0/8", "::1/128")
NOTHING = HandsetDisplay("", "", ())


class FastAgiServer:
    """Answers on a TCP port, on a unix socket, or on both; FastAGI and the script's question on either."""

    def __init__(
        self,
        lookups: Mapping[str, CallerLookup],
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        unix_socket: Path | None = None,
        socket_mode: int = GROUP_ONLY,
        permit: Sequence[str] = LOOPBACK,
        lookup_seconds: float = LOOKUP_SECONDS,
        conversation_seconds: float = CONVERSATION_SECONDS,
        at_once: int = AT_ONCE,
    ) -> None:
        """`lookups` by the id of the PBX. `port` 0 takes any free one, None opens none. `permit`: networks that may ask.

        `socket_mode`: GROUP_ONLY or EVERYONE.
        """
        self._lookups = lookups
        self._host, self._wanted_port, self._unix_socket = host, port, unix_socket
        self._permit = [ipaddress.ip_network(each) for each in permit]
        self._socket_mode = socket_mode
        self._lookup_seconds = lookup_seconds
        self._conversation_seconds = conversation_seconds
        self._at_once = at_once
        self._complained: dict[str, float] = {}
        self._open: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()
        """What became of the questions: answered, unknown, late, failed, crowded, refused, malformed, broken_off."""
        self.port: int | None = None
        """The port that is listened on, once `listening` is set."""
        self.listening = asyncio.Event()
        self.problem: str | None = None
        """Why nobody is answered, and what to do, in a sentence or two; None while all is well."""

    async def keep_serving(self, *, retry_seconds: float = RETRY_SECONDS) -> None:
        """Answer until cancelled. A port that is taken is told once and tried again: calls are told without it."""
        while True:
            try:
                await self.run()
            except NeedsPerson as mistake:
                if self.problem is None:
                    log.error("handsets_not_served", problem=str(mistake), remedy=mistake.remedy)
                self.problem = mistake.sentence
            await asyncio.sleep(retry_seconds)

    async def run(self) -> None:
        """Answer until cancelled. Raises NeedsPerson when the port or the socket cannot be had."""
        async with contextlib.AsyncExitStack() as room:
            if self._wanted_port is not None:
                server = await self._listen_on_port(self._wanted_port)
                room.push_async_callback(self._close, server)
                self.port = server.sockets[0].getsockname()[1]
            if self._unix_socket is not None:
                server = await self._listen_on_socket(self._unix_socket)
                room.callback(self._unix_socket.unlink, missing_ok=True)
                room.push_async_callback(self._close, server)
            self.problem = None
            self.listening.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.listening.clear()

    async def _listen_on_port(self, port: int) -> asyncio.Server:
        try:
            return await asyncio.start_server(
                self._serve, self._host, port, limit=LINE_BYTES, backlog=BACKLOG
            )
        except OSError as mistake:
            raise NeedsPerson(
                f"Handsets cannot be served on {self._host}:{port}: {mistake.strerror}.",
                remedy="Set [handsets] host and port to an address of this machine and a free port.",
            ) from mistake

    async def _listen_on_socket(self, path: Path) -> asyncio.Server:
        try:
            _remove_left_over(path)
            server = await asyncio.start_unix_server(self._serve, path, limit=LINE_BYTES, backlog=BACKLOG)
            path.chmod(self._socket_mode)  # noqa: ASYNC240 - a local file system, once at the start
        except OSError as mistake:
            raise NeedsPerson(
                # A path longer than the system's 107 bytes is told without a number, so without a `strerror`.
                f"Handsets cannot be served on the socket {path}: {mistake.strerror or mistake}.",
                remedy="Set [handsets] socket to a path in a directory that this user may write.",
            ) from mistake
        return server

    async def _close(self, server: asyncio.Server) -> None:
        """Nobody new, and those within get their answer: their own deadline ends them."""
        server.close()
        await asyncio.gather(*self._open, return_exceptions=True)

    # One connection

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or not self._may_ask(writer) or len(self._open) >= self._at_once:
            self.counts["refused" if not self._may_ask(writer) else "crowded"] += 1
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            async with asyncio.timeout(self._conversation_seconds):
                await self._converse(reader, writer)
        except TimeoutError:
            self.counts["broken_off"] += 1
        except PeerMistake as mistake:
            self.counts["malformed"] += 1
            self._complain("handset_question_malformed", problem=str(mistake))
        except (OSError, EOFError, asyncio.LimitOverrunError, ValueError):
            self.counts["malformed"] += 1
        finally:
            self._open.discard(task)
            # Nothing is flushed: what is not sent by now comes too late, and a peer that does not read must not hold us.
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def _may_ask(self, writer: asyncio.StreamWriter) -> bool:
        peer = writer.get_extra_info("peername")
        if not isinstance(peer, tuple):
            return True  # the unix socket: the directory and the file's mode have let them in
        address = ipaddress.ip_address(str(peer[0]).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._permit)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readuntil(b"\n")
        if first.startswith(ASKING):
            display = await self._display(script_question(first))
            if display is not None:
                writer.write(script_answer(display))
                await writer.drain()
            return
        if not first.startswith(b"agi_"):
            raise PeerMistake("What was sent is neither FastAGI nor a question.")
        lines = [first]
        async for line in _until_empty(reader):
            lines.append(line)
        display = await self._display(fastagi_question(lines))
        if display is None:
            return
        for command in fastagi_commands(display):
            writer.write(command)
            if not succeeded(await reader.readuntil(b"\n")):
                return

    def _complain(self, event: str, **details: object) -> None:
        """Once a minute of each kind: whoever can reach the port could fill the log otherwise."""
        now = asyncio.get_running_loop().time()
        if now - self._complained.get(event, -COMPLAINT_PAUSE) >= COMPLAINT_PAUSE:
            self._complained[event] = now
            log.warning(event, **details)

    async def _display(self, question: CallerQuestion) -> HandsetDisplay | None:
        """What the phones show; None when that was not to be found out in time."""
        lookup = self._lookups.get(question.pbx)
        if lookup is None:
            self.counts["refused"] += 1
            self._complain("handset_question_of_unknown_pbx", pbx=question.pbx)
            return None
        try:
            async with asyncio.timeout(self._lookup_seconds):
                answer = await lookup.ask(question)
            display = NOTHING if answer is None else handset_display(answer)
        except TimeoutError:
            self.counts["late"] += 1
            return None
        except SwitchhookError as trouble:  # the database is away: known, and no fault of ours
            self.counts["failed"] += 1
            self._complain(
                "handset_lookup_failed", pbx=question.pbx, problem=str(trouble), remedy=trouble.remedy
            )
            return None
        except Exception:  # whatever the contact book stumbles over is no reason to hold up a call
            self.counts["failed"] += 1
            self._complain("handset_lookup_failed", pbx=question.pbx, exc_info=True)
            return None
        self.counts["unknown" if display == NOTHING else "answered"] += 1
        return display


async def _until_empty(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    for _ in range(LINES):
        line = await reader.readuntil(b"\n")
        if not line.strip():
            return
        yield line
    raise PeerMistake("More lines came than Asterisk sends.")


def _remove_left_over(path: Path) -> None:
    """A socket that a killed process left behind is in the way; one that somebody listens on is not ours to remove."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise NeedsPerson(
        f"Somebody already listens on {path}.", remedy="Stop the other Switchhook, or choose another socket."
    )
