"""What every answer carries and every request must keep to: security headers, and a bound on what is sent
to us.

Plain ASGI, so that a live stream passes through without being collected.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.languages.messages import _

BODY_MOST = 64 * 1024  # bytes; our longest form is a note of 10 000 characters, four bytes each at worst

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "object-src 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with it browsers send `Origin: null` on our own forms, and the Origin check would
    # refuse them.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
}


class Shield:
    """Adds the headers, bounds the bodies."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        https: bool,
        bounded_elsewhere: str | None = None,
        bounds: Mapping[str, int] | None = None,
    ) -> None:
        """Under the path `bounded_elsewhere` the receiver itself bounds what it takes, and writes it to disk. `bounds`
        are those of single addresses that take a file.
        """
        self._app = app
        self._bounds = dict(bounds or {})
        self._bounded_elsewhere = bounded_elsewhere
        self._headers = dict(HEADERS)
        if https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = _without_nul(scope)
        taken = 0
        most = self._bounds.get(scope["path"], BODY_MOST)
        own_bound = self._bounded_elsewhere is not None and scope["path"].startswith(self._bounded_elsewhere)

        async def bounded() -> Message:
            nonlocal taken
            if _told_length(scope) > most:  # before a file is opened for it
                raise HTTPException(413, _("That is more than this page takes."))
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise HTTPException(413, _("That is more than this page takes."))
            return message

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive if own_bound else bounded, headed)


def _without_nul(scope: Scope) -> Scope:
    """NUL in an address is never meant and no database keeps it: gone once, for every page, as `fields` does.

    Out of what is asked it is taken. In a path, which names a thing, it becomes a character that no name of ours has:
    without it the path would name another thing.
    """
    query = bytes(scope.get("query_string", b""))
    if b"%00" not in query and b"\0" not in query and "\0" not in scope["path"]:
        return scope
    while b"%00" in query:  # `%0%000` is one only after the first is gone
        query = query.replace(b"%00", b"")
    return {**scope, "path": scope["path"].replace("\0", "\ufffd"), "query_string": query.replace(b"\0", b"")}


def _told_length(scope: Scope) -> int:
    told = Headers(scope=scope).get("content-length", "")
    return int(told) if told.isascii() and told.isdecimal() else 0
