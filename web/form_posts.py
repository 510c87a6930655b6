"""Forms that a page of ours sends itself, so that nothing typed is lost when an answer does not arrive.

Such a form carries an id (`X-Form-Id`, an idempotency key). Its redirect is answered as `X-Form-Location`: the page decides
when to go on, and the target is not loaded twice. An answer that was lost on its way is given again when the form is sent
again with the same id, so what arrived twice is done once. Plain ASGI, like the shield.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANSWERS_REMEMBERED = (
    4096  # about 400 bytes each; a form is sent again within seconds, hours only after a long outage
)
SAME_FORM_SECONDS = 30.0  # as long as the same form, still being answered, is waited for
_ID = re.compile(r"[0-9a-f]{32}")


class FormPosts:
    """Answers redirects as a header, and the same form once."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._locations: OrderedDict[bytes, str] = OrderedDict()
        self._running: dict[bytes, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything through that is not such a form."""
        key = _key_of(scope)
        if key is None:
            await self._app(scope, receive, send)
            return
        running = self._running.get(key)
        if running is not None:
            async with asyncio.timeout(SAME_FORM_SECONDS):
                await running.wait()
        location = self._locations.get(key)
        if location is not None:
            await _answer_with(location, send)
            return
        await self._run(key, scope, receive, send)

    async def _run(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        done = self._running[key] = asyncio.Event()

        async def translated(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 303:
                headers = MutableHeaders(scope=message)
                location = headers["location"]
                if not location.startswith("/sign-in"):
                    self._remember(key, location)
                del headers["location"]
                headers["x-form-location"] = location
                message["status"] = 200
            await send(message)

        try:
            await self._app(scope, receive, translated)
        finally:
            done.set()
            self._running.pop(key, None)

    def _remember(self, key: bytes, location: str) -> None:
        self._locations[key] = location
        while len(self._locations) > ANSWERS_REMEMBERED:
            self._locations.popitem(last=False)


def _key_of(scope: Scope) -> bytes | None:
    """Whose form it is, where it goes and which one it is; None for anything else."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    headers = Headers(scope=scope)
    form_id = headers.get("x-form-id", "")
    if not _ID.fullmatch(form_id):
        return None
    return hashlib.sha256(
        "\0".join((form_id, scope["path"], headers.get("cookie", ""))).encode("utf-8", "surrogateescape")
    ).digest()


async def _answer_with(location: str, send: Send) -> None:
    headers = [(b"x-form-location", location.encode("latin-1")), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
