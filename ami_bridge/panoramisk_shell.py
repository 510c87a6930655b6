"""panoramisk 1.4 as a channel for actions only, with the faults that matter for it closed.

| fault of panoramisk 1.4 | closed here by |
|---|---|
| UTF-8 split over TCP segments loses letters | our framing cuts bytes into messages before they are decoded |
| an exception in a handler closes the link | no handlers are called: events are the observer's affair |
| async handlers run out of order, without limit | the same |
| CallManager keeps every event for ever | it is not used, and events are switched off at the login |
| a half-open peer is never noticed | `ami_bridge.actions` pings and wants the pong |
| an action has no timeout | `ami_bridge.actions` waits so long and no longer, then forgets the action |
| an unanswered Originate is sent again after a reconnect | what is unanswered when the link is lost fails,
once | | CR LF in a value makes another action | `ami_bridge.wire.action_bytes` refuses it before a byte is written | |
QueueAdd never ends, Originate without Async raises | whether more will follow is read from `EventList` | | a
wrong secret is tried for ever | no reconnecting here; `ami_bridge.actions` connects when somebody asks | |
`close()` while waiting reconnects anyway | the same |
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any

from panoramisk.actions import Action as PanoramiskAction
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message as PanoramiskMessage

from ami_bridge.wire.action_bytes import action_bytes
from ami_bridge.wire.framing import Framer
from telephony.errors import TryLater

# events in one answer; the longest real list has one per channel, 1,800 at the measured peak
LIST_CAP = 10_000

_quiet = logging.getLogger("ami_bridge.panoramisk")
_quiet.setLevel(logging.CRITICAL)  # it would log whole actions, secrets and numbers included
_quiet.propagate = False


class LinkLost(TryLater):
    """The link to Asterisk was lost before the answer came."""


class ShellAction(PanoramiskAction):  # type: ignore[misc]
    """An action whose end is told by its answer's own headers, not by the wording of its text."""

    def __init__(self, headers: Iterable[tuple[str, str]]) -> None:
        self.wire_headers = tuple(headers)
        super().__init__(dict(self.wire_headers))

    def add_message(self, message: PanoramiskMessage) -> bool:
        """Takes one message of the answer; True when the answer is whole."""
        self.responses.append(message)
        if not self._whole(message) or self.future.done():
            return False
        self.future.set_result(self.responses)
        return True

    def _whole(self, message: PanoramiskMessage) -> bool:
        if len(self.responses) >= LIST_CAP:
            return True
        if "event" in message:
            ends = message.eventlist == "Complete" or message.event.endswith("Complete")
            return bool(ends and "response" in self.responses[0])
        return bool(message.response == "Error" or message.eventlist.lower() != "start")


class ShellProtocol(AMIProtocol):  # type: ignore[misc]
    """Reads through our framing and writes through our escaping."""

    def __init__(self, manager: ShellManager) -> None:
        self._manager = manager
        self.framer = Framer()
        self.greeted: asyncio.Future[str] = manager.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Attaches the manager at once: data may come before `create_connection` returns."""
        super().connection_made(transport)
        self.closed: bool = False
        self.factory = self._manager
        self.log = _quiet

    def send(self, data: ShellAction, as_list: bool | None = None) -> asyncio.Future[list[PanoramiskMessage]]:
        """Writes the action. Raises OurMistake when a value would break out of its line."""
        wire = action_bytes((*data.wire_headers, ("ActionID", data.id)))
        data.as_list = as_list
        self.responses[data.id] = data
        self.transport.write(wire)
        future: asyncio.Future[list[PanoramiskMessage]] = data.future
        return future

    def forget(self, action_id: str) -> None:
        """Nobody waits for this answer any more."""
        self.responses.pop(action_id, None)

    def data_received(self, data: bytes) -> None:
        """Bytes from Asterisk. Nothing in them can raise or close the link."""
        messages = self.framer.feed(data, time.time())
        if not self.greeted.done() and self.framer.take_banner():
            self.greeted.set_result(self.framer.banner)
        for message in messages:
            if message.kind:
                self.handle_message(PanoramiskMessage(message.fields))

    def handle_message(self, message: PanoramiskMessage) -> None:
        """An answer goes to its action; an event to nobody."""
        action = self.responses.get(message.id)
        if action is None:
            self._manager.unclaimed += 1
        elif action.add_message(message):
            self.responses.pop(action.id, None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails what is unanswered. It is never sent again."""
        self.close()
        if not self.greeted.done():
            self.greeted.set_exception(LinkLost())
            self.greeted.exception()  # seen: nobody may be waiting for the greeting any more
        self._manager.connection_lost(exc)

    def close(self) -> None:
        """Closes the link and fails what is unanswered; harmless when repeated."""
        unanswered = list(self.responses.values())
        self.responses.clear()
        for action in unanswered:
            if not action.future.done():
                action.future.set_exception(LinkLost())
        if not self.closed:
            self.closed = True
            self.transport.close()


class ShellManager(Manager):  # type: ignore[misc]
    """One connection, made once: no reconnecting, no replaying, no event handlers."""

    def __init__(self, host: str, port: int, ssl: Any) -> None:
        super().__init__(host=host, port=port, ssl=ssl, log=_quiet, loop=asyncio.get_running_loop())
        self.unclaimed = 0
        """Messages that answered nothing we asked; counted and dropped."""

    async def open(self) -> ShellProtocol:
        """Connects. Raises OSError as asyncio does."""
        config = self.config
        _, protocol = await self.loop.create_connection(
            lambda: ShellProtocol(self), config["host"], config["port"], ssl=config["ssl"] or None
        )
        self.protocol = protocol
        self._connected = True
        shell: ShellProtocol = protocol
        return shell

    @property
    def alive(self) -> bool:
        """Whether the link stands, as far as the socket knows."""
        return bool(self._connected and self.protocol is not None and not self.protocol.closed)

    def dispatch(self, _event: PanoramiskMessage) -> list[str]:
        """Calls nobody."""
        self.unclaimed += 1
        return []

    def connection_lost(self, _exc: Exception | None) -> None:
        """Notes the loss. Whoever asks next connects anew."""
        self._connected = False
