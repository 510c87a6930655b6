"""How many requests one address and one account may send.

Token buckets: a burst that no person and no page of ours reaches, and a rate below what takes a core. They keep a script
that has gone wrong, or a stranger, from taking the process that reads the PBX.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from telephony.errors import SwitchhookError
from web.languages.messages import _

KEYS_MOST = 20_000  # some 4 MB; the one that was seen longest ago is forgotten


class TooManyRequests(SwitchhookError):
    """Too many requests at once. Please wait a minute and try again."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many at once, and so many a second after that."""

    burst: int
    per_second: float


PER_ACCOUNT = Allowance(
    1_200, 20.0
)  # a page is five requests; the API answers a program 20 times a second for ever
PER_ADDRESS = Allowance(
    6_000, 100.0
)  # an office of sixty behind one address that all come back after an outage


class Buckets:
    """Counts by key."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowance = allowance
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def take(self, key: Hashable) -> bool:
        """Whether one more is allowed; it is counted then."""
        now = self._clock()
        left, at = self._left.pop(key, (float(self._allowance.burst), now))
        left = min(self._allowance.burst, left + (now - at) * self._allowance.per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        while len(self._left) > KEYS_MOST:
            self._left.popitem(last=False)
        return allowed


def address_key(address: str) -> str:
    """What an address is counted by: of IPv6 the network of 64 bits, which is what one customer has."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


class RequestLimit:
    """Refuses what is too much of one address (plain ASGI)."""

    def __init__(self, app: ASGIApp, *, allowance: Allowance = PER_ADDRESS) -> None:
        self._app = app
        self._buckets = Buckets(allowance)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._buckets.take(_key_of(scope)):
            await _refusal(scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _key_of(scope: Scope) -> str:
    return address_key(scope["client"][0]) if scope.get("client") else ""


def _refusal(path: str) -> Response:
    headers = {"Retry-After": "10"}
    said = _("Too many requests from this address. Please wait a minute and try again.")
    if path.startswith("/api/"):
        body = {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": said}
        return JSONResponse(body, 429, headers, media_type="application/problem+json")
    return PlainTextResponse(said + "\n", 429, headers)
