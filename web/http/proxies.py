"""Which peers are reverse proxies of ours, and whether they say for whom they ask.

A proxy is believed what it says in X-Forwarded-For; anybody else is not. One that says nothing makes everybody look like
one visitor: their sign-in limits, their addresses in the audit log. That is noticed here and shown on Connections.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from web.languages.messages import _

LOOPBACK = ("127.0.0.0/8", "::1/128")
FORWARDING = ("x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-proto", "x-forwarded-host", "via")
"""Any of these says that the request came through something."""
FAULTS_MOST = 10  # different sentences; a stranger may not fill the page
REMEMBERED_SECONDS = 3600.0  # a fault of the proxy's that was not seen for an hour is taken for corrected


@dataclass(frozen=True, slots=True)
class ProxyTrust:
    """The networks whose X-Forwarded-For is believed."""

    networks: tuple[str, ...] = LOOPBACK
    _parsed: tuple[IPv4Network | IPv6Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_parsed", tuple(ip_network(one, strict=False) for one in self.networks))

    def is_proxy(self, address: str) -> bool:
        """Whether this peer may speak for others."""
        return _is_within(address, self._parsed)


@lru_cache(maxsize=4096)
def _is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return any(mapped in network for network in networks)


def is_loopback(address: str) -> bool:
    """Whether a peer is this machine."""
    return ProxyTrust().is_proxy(address)


def came_through_proxy(headers: Headers) -> bool:
    """Whether something between the visitor and us left its mark."""
    return any(name in headers for name in FORWARDING)


class ProxyMemory:
    """What was seen wrong with the proxy lately, one sentence each."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def note(self, sentence: str) -> None:
        """It was seen just now."""
        if sentence in self._seen or len(self._seen) < FAULTS_MOST:
            self._seen[sentence] = self._clock()

    def faults(self) -> Sequence[str]:
        """Those of the last hour."""
        since = self._clock() - REMEMBERED_SECONDS
        self._seen = {sentence: at for sentence, at in self._seen.items() if at > since}
        return tuple(self._seen)


class ForwardedFor:
    """Puts the visitor in the place of a proxy that is trusted, and notes proxies that say too little (plain ASGI)."""

    def __init__(
        self, app: ASGIApp, *, trust: ProxyTrust, memory: ProxyMemory, public_url: str | None
    ) -> None:
        self._app = app
        self._trust = trust
        self._memory = memory
        name = (urlsplit(public_url).hostname or "") if public_url else ""
        self._public_name = "" if is_local_name(name) else name
        self._https = (public_url or "").startswith("https://")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            peer = scope["client"][0] if scope.get("client") else ""
            headers = Headers(scope=scope)
            scope.setdefault("state", {})["peer"] = peer
            for sentence in self._faults(peer, headers):
                self._memory.note(sentence)
            if self._trust.is_proxy(peer):
                self._believe(scope, headers)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope, headers: Headers) -> None:
        proto = headers.get("x-forwarded-proto", "").strip()
        if proto in ("http", "https"):
            scope["scheme"] = proto
        visitor = self._visitor(headers.getlist("x-forwarded-for"))
        if visitor is not None:
            scope["client"] = (visitor, 0)

    def _visitor(self, values: Sequence[str]) -> str | None:
        """From the right, where our own proxies wrote, the first address that is none of them; a visitor can write
        whatever they like to the left of it. None where a proxy of ours was told no address.
        """
        found = None
        for said in reversed([one for value in values for one in value.split(",")]):
            address = _address_in(said.strip())
            if address is None:
                return found
            found = address
            if not self._trust.is_proxy(address):
                return found
        return found

    def _faults(self, peer: str, headers: Headers) -> Iterable[str]:
        if not self._trust.is_proxy(peer):
            if "x-forwarded-for" in headers and _is_private(peer):
                yield _(
                    "Requests come from {peer} with X-Forwarded-For, which is not believed. If that is your reverse "
                    "proxy, name it in trusted_proxies under [web]."
                ).format(peer=peer)
            return
        if "x-forwarded-for" not in headers:
            if came_through_proxy(headers) or self._is_public(headers):
                yield _(
                    "The reverse proxy does not send X-Forwarded-For, so all visitors look like one and share one "
                    "sign-in limit. Set it as docs/how-to/reverse-proxy.md shows."
                )
            return
        if self._visitor(headers.getlist("x-forwarded-for")) is None:
            yield _(
                "The reverse proxy sends an X-Forwarded-For that is no list of addresses. Set it as "
                "docs/how-to/reverse-proxy.md shows."
            )
        if self._https and headers.get("x-forwarded-proto", "").strip() not in ("http", "https"):
            yield _(
                "The reverse proxy does not send X-Forwarded-Proto, http or https. Set it as "
                "docs/how-to/reverse-proxy.md shows."
            )

    def _is_public(self, headers: Headers) -> bool:
        """A browser that asked for the public name came through the proxy."""
        origin = _name_in(headers.get("origin", ""))
        return bool(self._public_name) and self._public_name in (host_name(headers.get("host", "")), origin)


def _is_private(peer: str) -> bool:
    try:
        return ip_address(peer.partition("%")[0]).is_private
    except ValueError:
        return False


def _address_in(text: str) -> str | None:
    """The address of `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1` or `[2001:db8::1]:567`."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    host = host.partition(":")[0] if host.count(":") == 1 else host
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _name_in(origin: str) -> str | None:
    try:
        return urlsplit(origin[:300]).hostname
    except ValueError:
        return None


def host_name(host: str) -> str:
    """The name in a Host header, without its port, in small letters."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def is_local_name(name: str) -> bool:
    """Whether a Host names this very machine's loopback."""
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)
