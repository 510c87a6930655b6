"""Which language a request is answered in: the account's, else what this browser used last, else what it asks for."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from web.languages.catalogues import Language, Languages
from web.languages.messages import use_language

COOKIE = "language"
"""Holds the language of whoever was signed in last, for the sign-in page."""
COOKIE_SECONDS = 365 * 24 * 3600


def language_for(languages: Languages, request: HTTPConnection, account: str | None = None) -> Language:
    """The language for this browser, and this account where one is signed in."""
    cookie = request.cookies.get(COOKIE)
    return languages.choose(
        account=account, cookie=cookie, accepted=request.headers.get("accept-language", "")
    )


def remember_language(response: Response, language: Language | None, *, https: bool) -> None:
    """For the pages of this browser that nobody is signed in on; None leaves it to the browser again."""
    if language is None:
        response.delete_cookie(COOKIE)
    else:
        response.set_cookie(
            COOKIE, language.tag, max_age=COOKIE_SECONDS, samesite="lax", secure=https, httponly=True
        )


class RequestLanguage:
    """Before anybody knows who asks (plain ASGI); the gate looks again once it knows the account."""

    def __init__(self, app: ASGIApp, languages: Languages) -> None:
        self._app = app
        self._languages = languages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            use_language(language_for(self._languages, HTTPConnection(scope)))
        await self._app(scope, receive, send)
