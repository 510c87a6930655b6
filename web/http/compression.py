"""Pages and JSON leave compressed (gzip). Live streams, files and sound pass as they are.

Only whole answers are compressed: what comes in pieces, such as an export, goes on in pieces. Secrets in a page are
masked anew each time (`csrf_mask`), so its compressed length tells nothing about them.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEAST = 1_024  # bytes; below, the header alone costs more than is won
IN_THREAD = (
    32_768  # bytes; compressing so much takes half a millisecond, more of it would hold up the observers
)
LEVEL = 5  # 9 is 1 % smaller and takes twice as long on our pages
KINDS = (
    "text/html",
    "application/json",
    "application/problem+json",
    "text/css",
    "text/javascript",
    "image/svg+xml",
)


def takes_gzip(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that it reads gzip."""
    for offered in headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = offered.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


class Compression:
    """Compresses what is worth it (plain ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] != "HEAD" and takes_gzip(Headers(scope=scope)):
            send = _Sender(send).send
        await self._app(scope, receive, send)


class _Sender:
    """Holds the head of an answer back until its first piece shows whether it is a whole one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_worth_it(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            start, self._start = self._start, None
            await self._begin(start, message)

    async def _begin(self, start: Message, message: Message) -> None:
        whole = message["type"] == "http.response.body" and not message.get("more_body", False)
        MutableHeaders(scope=start).add_vary_header("Accept-Encoding")
        if whole and len(message.get("body", b"")) >= LEAST:
            message = await _compressed(start, message)
        await self._send(start)
        await self._send(message)


async def _compressed(start: Message, message: Message) -> Message:
    body = message["body"]
    packed = await asyncio.to_thread(compress, body) if len(body) > IN_THREAD else compress(body)
    headers = MutableHeaders(scope=start)
    headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(packed))
    return {**message, "body": packed}


def compress(body: bytes) -> bytes:
    """The same bytes each time: no date in it."""
    return gzip.compress(body, LEVEL, mtime=0)


def _is_worth_it(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return kind in KINDS and "content-encoding" not in headers and start["status"] not in (204, 206, 304)
