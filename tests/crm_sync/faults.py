"""A fault proxy before a fake CRM: what networks, proxies and servers do to a request, and a process that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from crm_sync.exchange import Effect, Request, Response, TransportFailure
from tests.crm_sync.memory import VirtualClock
from tests.crm_sync.peers.base import FakePeer

PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>"
NONSENSE = b'{"jsonrpc": "2.0", "result": "nonsense", "_embedded": "nonsense"}'
REQUEST_SECONDS = 70


class Fault(Enum):
    """One thing that goes wrong."""

    NONE = auto()
    DROPPED_BEFORE_SENDING = auto()
    LOST_ON_THE_WAY = auto()
    DROPPED_AFTER_SENDING = auto()
    ERROR_AFTER_COMMIT = auto()
    PAGE_BEFORE_COMMIT = auto()
    PAGE_AFTER_COMMIT = auto()
    TRUNCATED_JSON = auto()
    TOO_MANY_REQUESTS = auto()
    UNAVAILABLE = auto()
    TIMED_OUT = auto()
    COMMITTED_LATE = auto()
    EXPIRED_IN_THE_MIDDLE = auto()
    NONSENSE_BEFORE_COMMIT = auto()
    NONSENSE_AFTER_COMMIT = auto()
    KILLED_BEFORE = auto()
    KILLED_AFTER = auto()


class Killed(BaseException):
    """Our process is gone: nothing catches it."""


FAULTS = [fault for fault in Fault if fault is not Fault.NONE]
KILLS = (Fault.KILLED_BEFORE, Fault.KILLED_AFTER)


def lose(may_be_executed: bool = True) -> TransportFailure:
    """The connection breaks."""
    return TransportFailure("Connection reset by peer", may_be_executed=may_be_executed)


@dataclass
class FaultyTransport:
    """Passes requests on to the peer, unless the next fault says otherwise."""

    peer: FakePeer
    clock: VirtualClock
    next_fault: Callable[[Request], Fault] = lambda _request: Fault.NONE
    is_down: bool = False
    requests: int = 0
    when_killed: Callable[[], None] = lambda: None
    late: list[tuple[float, Request]] = field(default_factory=list)

    async def send_request(self, request: Request) -> Response:
        """See the port."""
        self.requests += 1
        await asyncio.sleep(0)  # others may send meanwhile
        self.execute_late()
        if self.is_down:
            raise lose(may_be_executed=False)
        if request.method.startswith("oauth"):
            return self.renew(request)
        return self.apply(self.next_fault(request), request)

    def apply(self, fault: Fault, request: Request) -> Response:
        """What comes back of this request."""
        match fault:
            case Fault.DROPPED_BEFORE_SENDING:
                raise lose(may_be_executed=False)
            case Fault.LOST_ON_THE_WAY:
                raise lose()
            case Fault.PAGE_BEFORE_COMMIT:
                return Response(502, {}, PAGE)
            case Fault.TOO_MANY_REQUESTS:
                return Response(429, {"retry-after": "3"}, b"Too Many Requests")
            case Fault.UNAVAILABLE:
                return Response(503, {"retry-after": "5"}, PAGE)
            case Fault.KILLED_BEFORE:
                self.when_killed()
                raise Killed
            case Fault.NONSENSE_BEFORE_COMMIT:
                return Response(200, {}, NONSENSE)
            case Fault.COMMITTED_LATE:
                self.late.append((self.clock.now().timestamp() + REQUEST_SECONDS / 2, request))
                raise lose()
            case Fault.EXPIRED_IN_THE_MIDDLE:
                self.peer.expire_token()
        response = self.peer.handle(request)
        match fault:
            case Fault.DROPPED_AFTER_SENDING:
                raise lose()
            case Fault.TIMED_OUT:
                self.clock.moment += timedelta(seconds=REQUEST_SECONDS)
                raise lose()
            case Fault.KILLED_AFTER:
                self.when_killed()
                raise Killed
            case Fault.NONSENSE_AFTER_COMMIT:
                return Response(200, {}, NONSENSE)
            case Fault.ERROR_AFTER_COMMIT:
                return Response(500, {}, b'{"message": "Internal Server Error"}')
            case Fault.PAGE_AFTER_COMMIT:
                return Response(502, {}, PAGE)
            case Fault.TRUNCATED_JSON if response.body:
                return Response(response.status, response.headers, response.body[:-1])
        return response

    def renew(self, request: Request) -> Response:
        """A renewal; its answer may be lost."""
        response = self.peer.handle(request)
        if self.peer.lost_renewals:
            self.peer.lost_renewals -= 1
            raise lose()
        return response

    def finish_late(self) -> None:
        """Wait until nothing is under way any more."""
        for at, _ in self.late:
            self.clock.advance_to(datetime.fromtimestamp(at, UTC))
        self.execute_late()

    def execute_late(self) -> None:
        """What was under way when its connection broke."""
        now = self.clock.now().timestamp()
        due = [request for at, request in self.late if at <= now]
        self.late = [(at, request) for at, request in self.late if at > now]
        for request in due:
            self.peer.handle(request)


def fail_first_write(fault: Fault) -> Callable[[Request], Fault]:
    """Once."""
    faults = [fault]

    def next_fault(request: Request) -> Fault:
        return faults.pop() if faults and request.effect is Effect.WRITE else Fault.NONE

    return next_fault


def fail_every_method_once(fault: Fault) -> Callable[[Request], Fault]:
    """The first request of each method, reads and writes."""
    seen: set[str] = set()

    def next_fault(request: Request) -> Fault:
        if request.method in seen:
            return Fault.NONE
        seen.add(request.method)
        return fault

    return next_fault
