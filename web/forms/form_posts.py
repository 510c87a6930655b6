"""Forms that a page of ours sends itself, so that nothing typed is lost when an answer does not arrive.

Such a form carries an id (`X-Form-Id`, an idempotency key). Its redirect is answered as `X-Form-Location`: the page decides
when to go on, and the target is not loaded twice. An answer that was lost on its way is given again when the form is sent
again with the same id, so what arrived twice is done once, in whichever web process. Plain ASGI, like the shield.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections import OrderedDict

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from call_records.types import FormAnswers
from telephony.errors import TryLater

ANSWERS_REMEMBERED = (
    4096  # about 400 bytes each; a form is sent again within seconds, hours only after a long outage
)
STORE_SECONDS = 2.0  # a database that is slow keeps nobody's form waiting
ASK_AGAIN_SECONDS = 0.2
SAME_FORM_SECONDS = 30.0  # as long as the same form, still being answered, is waited for
_ID = re.compile(r"[0-9a-f]{32}")


class FormPosts:
    """Answers redirects as a header, and the same form once."""

    def __init__(self, app: ASGIApp, answers: FormAnswers) -> None:
        self._app = app
        self._answers = answers
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
        done = self._running[key] = asyncio.Event()
        try:
            location = await self._elsewhere(key)
            if location is None:
                await self._run(key, scope, receive, send)
            else:
                self._remember(key, location)
                await _answer_with(location, send)
        finally:
            done.set()
            self._running.pop(key, None)

    async def _elsewhere(self, key: bytes) -> str | None:
        """Where the form led in another process; None when it is ours to carry out, or the store cannot say."""
        try:
            while True:
                async with asyncio.timeout(STORE_SECONDS):
                    known = await self._answers.begin(key, running_seconds=SAME_FORM_SECONDS)
                if known is None or known.location is not None:
                    return known.location if known else None
                # At most SAME_FORM_SECONDS: then it counts as given up.
                await asyncio.sleep(ASK_AGAIN_SECONDS)
        except (TimeoutError, TryLater):
            return None

    async def _run(self, key: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        led: str | None = None

        async def translated(message: Message) -> None:
            nonlocal led
            if message["type"] == "http.response.start" and message["status"] == 303:
                headers = MutableHeaders(scope=message)
                location = headers["location"]
                if not location.startswith("/sign-in"):
                    led = location
                    self._remember(key, location)
                    await self._finish(key, location)  # before the answer: it may be lost on its way
                del headers["location"]
                headers["x-form-location"] = location
                message["status"] = 200
            await send(message)

        try:
            await self._app(scope, receive, translated)
        finally:
            if led is None:
                await self._finish(key, None)

    async def _finish(self, key: bytes, location: str | None) -> None:
        with contextlib.suppress(TryLater, TimeoutError):
            async with asyncio.timeout(STORE_SECONDS):
                await self._answers.finish(key, location)

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
