"""An Asterisk manager interface in a few lines: real TCP on loopback, answers from a table, and every fault
on demand."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
CHALLENGE = "123456789"
USER = "switchhook"
SECRET = "correct horse"

Action = dict[str, str]


def block(*lines: str) -> bytes:
    """One AMI message."""
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def success(action: Action, *lines: str) -> bytes:
    """A positive answer to `action`."""
    return block("Response: Success", f"ActionID: {action['ActionID']}", *lines)


def error(action: Action, text: str) -> bytes:
    """A refusal of `action`."""
    return block("Response: Error", f"ActionID: {action['ActionID']}", f"Message: {text}")


def listing(action: Action, events: list[tuple[str, ...]], complete: str) -> bytes:
    """A list answer: its start, its events, its end."""
    mark = f"ActionID: {action['ActionID']}"
    start = block("Response: Success", mark, "EventList: start", "Message: will follow")
    body = b"".join(block(event[0], mark, *event[1:]) for event in events)
    return (
        start + body + block(f"Event: {complete}", mark, "EventList: Complete", f"ListItems: {len(events)}")
    )


def newchannel(number: int, stamp: float = 1_795_313_139.5) -> bytes:
    """A live event."""
    return block(
        "Event: Newchannel",
        "Privilege: call,all",
        f"Timestamp: {stamp:.6f}",
        "SystemName: pbx",
        f"Channel: PJSIP/trunk-{number:08x}",
        "ChannelState: 4",
        f"Uniqueid: pbx-1795313139.{number}",
        f"Linkedid: pbx-1795313139.{number}",
    )


Answerer = Callable[[Action], bytes | None]

ANSWERS: dict[str, Answerer] = {
    "Ping": lambda action: success(action, "Ping: Pong"),
    "ExtensionStateList": lambda action: listing(action, [], "ExtensionStateListComplete"),
    "PJSIPShowRegistrationsOutbound": lambda action: listing(
        action, [], "OutboundRegistrationDetailComplete"
    ),
    "CoreStatus": lambda action: success(action, "CoreStartupDate: 2026-11-22", "CoreCurrentCalls: 0"),
    "CoreShowChannels": lambda action: listing(action, [], "CoreShowChannelsComplete"),
    "Status": lambda action: listing(action, [], "StatusComplete"),
    "BridgeList": lambda action: listing(action, [], "BridgeListComplete"),
    "QueueStatus": lambda action: listing(action, [], "QueueStatusComplete"),
    "ParkedCalls": lambda action: error(action, "Permission denied"),
    "CoreSettings": lambda action: success(action, "AsteriskVersion: 22.10.1", "SystemName: pbx"),
    "ListCommands": lambda action: success(action, "Status: List channel status (Priv: reporting,all)"),
}


@dataclass
class Peer:
    """One client connection, as the server sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    actions: list[Action] = field(default_factory=list)

    async def action(self) -> Action | None:
        """The client's next action; None when it closed."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        action = dict(line.split(": ", 1) for line in raw.decode().strip().split("\r\n"))
        self.actions.append(action)
        return action

    def write(self, data: bytes) -> None:
        """Bytes to the client, as they are."""
        self.writer.write(data)


@dataclass
class FakeAmi:
    """A scripted manager interface. Change `answers` and the switches before or while it runs."""

    answers: dict[str, Answerer] = field(default_factory=lambda: dict(ANSWERS))
    secret: str = SECRET
    banner: bytes = BANNER
    fully_booted: bool = True
    after_login: Callable[[Peer], Awaitable[None]] | None = None
    deaf: bool = False
    """Reads actions but answers none: a half-open peer."""
    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def actions(self) -> list[Action]:
        """All actions of all connections, in order of connecting."""
        return [action for peer in self.peers for action in peer.actions]

    def names(self) -> list[str]:
        """The names of these actions."""
        return [action["Action"] for action in self.actions]

    async def until(self, holds: Callable[[], bool], seconds: float = 10) -> None:
        """Waits until something holds; looks after every action."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(holds)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        peer = Peer(reader, writer)
        self.peers.append(peer)
        try:
            peer.write(self.banner)
            while (action := await peer.action()) is not None:
                await self._respond(peer, action)
                async with self.changed:
                    self.changed.notify_all()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _respond(self, peer: Peer, action: Action) -> None:
        if self.deaf and action["Action"] not in ("Login", "Challenge"):
            return
        match action["Action"]:
            case "Challenge":
                peer.write(success(action, f"Challenge: {CHALLENGE}"))
            case "Login":
                await self._log_in(peer, action)
            case "Logoff":
                peer.writer.close()
            case name:
                answerer = self.answers.get(name)
                answer = error(action, "Invalid/unknown command") if answerer is None else answerer(action)
                if answer is not None:
                    peer.write(answer)

    async def _log_in(self, peer: Peer, action: Action) -> None:
        key = hashlib.md5((CHALLENGE + self.secret).encode()).hexdigest()
        if action["Username"] != USER or (action.get("Key") != key and action.get("Secret") != self.secret):
            peer.write(error(action, "Authentication failed"))
            return
        peer.write(success(action, "Message: Authentication accepted"))
        if self.fully_booted:
            peer.write(
                block("Event: FullyBooted", "Privilege: system,all", "Uptime: 77", "Status: Fully Booted")
            )
        if self.after_login is not None:
            await self.after_login(peer)


@asynccontextmanager
async def serving(fake: FakeAmi, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeAmi]:
    """Serves `fake` on a free loopback port."""
    server = await asyncio.start_server(fake.handle, "127.0.0.1", fake.port or 0, ssl=tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for peer in fake.peers:
            peer.writer.transport.abort()
        async with asyncio.timeout(5):
            await server.wait_closed()
