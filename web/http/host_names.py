"""By which names we may be asked for. A page elsewhere whose name suddenly points at this machine (DNS rebinding) asks
for its own name and gets nothing.

Allowed are the public address, this machine's own names, and addresses in numbers, which cannot be pointed elsewhere.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from web.http.proxies import host_name, is_local_name
from web.languages.messages import _

ALWAYS = frozenset({"/healthz"})
"""A balancer asks with whatever name it likes, and learns nothing but that we run."""


def own_names() -> frozenset[str]:
    """What this machine calls itself; no name server is asked."""
    name = socket.gethostname().lower().rstrip(".")
    return frozenset({name, name.partition(".")[0], f"{name.partition('.')[0]}.local"} - {""})


class HostNames:
    """Refuses requests for names that are not ours (plain ASGI)."""

    def __init__(self, app: ASGIApp, *, public_url: str | None) -> None:
        self._app = app
        public = urlsplit(public_url).hostname if public_url else None
        self._names = own_names() | ({public.lower().rstrip(".")} if public else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in ALWAYS:
            asked = Headers(scope=scope).getlist("host")
            if not self.is_ours(host_name(asked[0]) if asked else ""):
                await self._refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def is_ours(self, name: str) -> bool:
        """Whether we answer to this name. HTTP/1.0 sends none."""
        if not name or name in self._names or is_local_name(name):
            return True
        try:
            ip_address(name.partition("%")[0])
        except ValueError:
            return False
        return True

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        said = _(
            "This is not the address of this Switchhook. If it should be, an administrator sets it as public_url "
            "under [web] in the configuration."
        )
        await PlainTextResponse(said + "\n", 421)(scope, receive, send)
