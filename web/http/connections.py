"""How many connections the web server holds, and how long one may take for what it sends.

uvicorn bounds neither: a connection that sends nothing, half a header or a body that never comes stays open until the
process has no descriptor left for the PBX and the database. Here the number is bounded well below that. Where it is
reached, the connection that has waited longest without a request makes room, so that people are still served while
somebody holds hundreds of idle ones. A connection that is being answered is never taken away.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.http.proxies import ProxyTrust

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0  # how exactly the times below are kept


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one server holds. The defaults are for a process with 1,024 descriptors."""

    most: int = 768
    """Connections at once."""
    most_per_address: int = 192
    """Of one visitor's address; a browser opens six, an office behind one address some six for each person."""
    header_seconds: float = 15.0
    """From the connection, or the first byte of another request, to the end of its header."""
    body_silence_seconds: float = 20.0
    """Without a byte of the body that was announced."""
    body_bytes_per_second: int = 256
    """What a body brings on average at least; the slowest mobile network brings ten times as much."""
    write_stall_seconds: float = 300.0
    """A reader that takes nothing of its answer; a paused player stops reading for minutes."""


class Phase(Enum):
    """What a connection is doing."""

    HEADER = "waits for a header"
    BODY = "waits for a body"
    ANSWER = "is being answered"
    IDLE = "is kept for another request"


class ConnectionTable:
    """All connections of one server."""

    def __init__(self, limits: ConnectionLimits, trust: ProxyTrust) -> None:
        self.limits = limits
        self._trust = trust
        self._waiting: dict[BoundedProtocol, None] = {}  # the one that has waited longest first
        self._open: set[BoundedProtocol] = set()
        self._by_address: Counter[str] = Counter()
        self._sweep: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def protocol_factory(self) -> Callable[..., asyncio.Protocol]:
        """What uvicorn makes for each connection."""
        return partial(BoundedProtocol, table=self)

    def admit(self, protocol: BoundedProtocol) -> bool:
        """Take a new connection in, where need be in the place of one that waits. False: there is no room."""
        address = protocol.address
        proxied = self._trust.is_proxy(address)  # it speaks for everybody
        if not proxied and self._by_address[address] >= self.limits.most_per_address:
            log.warning(
                "connections_of_one_address_bounded", address=address, most=self.limits.most_per_address
            )
            if not self._make_room(address):
                return False
        if len(self._open) >= self.limits.most:
            log.warning("connections_bounded", most=self.limits.most, newest_from=address)
            if not self._make_room(None):
                return False
        self._open.add(protocol)
        self._by_address[address] += 1
        self.wait(protocol)
        self._keep_sweeping()
        return True

    def wait(self, protocol: BoundedProtocol) -> None:
        """This one has no request under way: the last to be closed, among those that wait."""
        if protocol in self._open:
            self._waiting.pop(protocol, None)
            self._waiting[protocol] = None

    def work(self, protocol: BoundedProtocol) -> None:
        """This one has a request under way."""
        self._waiting.pop(protocol, None)

    def release(self, protocol: BoundedProtocol) -> None:
        """It is closed."""
        self._waiting.pop(protocol, None)
        if protocol not in self._open:
            return
        self._open.discard(protocol)
        self._by_address[protocol.address] -= 1
        if self._by_address[protocol.address] <= 0:
            del self._by_address[protocol.address]
        if not self._open and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _make_room(self, address: str | None) -> bool:
        """Close the connection that has waited longest, of this address where one is named."""
        found = next((one for one in self._waiting if address in (None, one.address)), None)
        if found is None:
            return False
        found.transport.abort()
        self.release(found)  # now, not when the loop comes to it: more may arrive in the same turn
        return True

    def _keep_sweeping(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._close_overdue)

    def _close_overdue(self) -> None:
        self._sweep = None
        now = asyncio.get_running_loop().time()
        for protocol in [one for one in self._open if one.is_overdue(now)]:
            protocol.transport.abort()
            self.release(protocol)
        if self._open:
            self._keep_sweeping()


class BoundedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a place in the table and a time for everything that it waits for."""

    def __init__(self, *args: Any, table: ConnectionTable, **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = table
        self.address = ""
        self.phase = Phase.HEADER
        self._since = 0.0
        self._body_at = 0.0
        self._body_bytes = 0
        self._paused_at: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new connection."""
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        self._since = self.loop.time()
        if not self._table.admit(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._table.release(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a header or a body."""
        super().data_received(data)
        if self.phase is Phase.BODY:
            self._body_at = self.loop.time()
            self._body_bytes += len(data)
        self._look()

    def on_response_complete(self) -> None:
        """The answer is out."""
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        """The reader is behind."""
        self._paused_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader reads again."""
        self._paused_at = None
        super().resume_writing()

    def is_overdue(self, now: float) -> bool:
        """Whether it has taken longer than it may."""
        limits = self._table.limits
        if self._paused_at is not None and now - self._paused_at > limits.write_stall_seconds:
            return True
        if self.phase is Phase.HEADER:
            return now - self._since > limits.header_seconds
        return self.phase is Phase.BODY and self._body_is_late(now)

    def _body_is_late(self, now: float) -> bool:
        limits = self._table.limits
        if self.flow.read_paused:  # it is we who do not read
            self._body_at = now
            return False
        if now - self._body_at > limits.body_silence_seconds:
            return True
        grown = now - self._since - limits.body_silence_seconds
        return self._body_bytes < grown * limits.body_bytes_per_second

    def _look(self) -> None:
        phase = self._current_phase()
        if phase is self.phase:
            return
        self.phase, now = phase, self.loop.time()
        self._since = self._body_at = now
        self._body_bytes = 0
        if phase in (Phase.HEADER, Phase.IDLE):
            self._table.wait(self)
        else:
            self._table.work(self)

    def _current_phase(self) -> Phase:
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY
        if self.cycle is not None and not self.cycle.response_complete:
            return Phase.ANSWER
        begun = self.cycle is None or bool(self.conn.trailing_data[0])
        return Phase.HEADER if begun else Phase.IDLE
