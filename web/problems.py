"""What people and programs are told when something cannot be done: a sentence and what to do next.

Programs get RFC 9457 problem details, people a page. Which of the two is decided by the path.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from telephony.errors import ChangedMeanwhile, NeedsPerson, PeerMistake, SwitchhookError, TryLater
from web.auth.access import FormExpired, NewPasswordNeeded, NotAllowed, NotFound, NotSignedIn, Viewer, gate_of
from web.auth.sign_in_limits import TooManyTries
from web.error_remedies import find_way_on
from web.http.request_limits import TooManyRequests
from web.languages.errors import translate_error, translate_remedy
from web.languages.messages import N_, Phrases, _
from web.live import TooManyStreams
from web.rendering import Renderer

API = "/api/"
VIEWER_SECONDS = 2.0  # an error page comes without its navigation rather than late
_log = structlog.get_logger(__name__)

STATUS: dict[type[SwitchhookError], int] = {
    NotSignedIn: 401,
    NotAllowed: 403,
    NotFound: 404,
    NewPasswordNeeded: 403,
    FormExpired: 403,
    TooManyTries: 429,
    TooManyRequests: 429,
    TooManyStreams: 429,
    ChangedMeanwhile: 409,
    PeerMistake: 400,
    TryLater: 503,
    NeedsPerson: 503,
}

_REMEDIES = Phrases(
    {
        401: N_("Sign in, or send a personal token as “Authorization: Bearer …”."),
        403: N_("Ask an administrator if you need it."),
        404: N_("Check the address."),
        405: N_("This address takes other methods; see the list of what the API can do."),
        413: N_("Send less at once."),
        422: N_("Correct the values named here."),
        429: N_("Wait five minutes, then try again."),
        503: N_("Try again in a moment. If it stays, an administrator finds the reason under Connections."),
    }
)

_PAGE_REMEDIES = Phrases(
    {
        400: N_("Go back, correct what is named here, and try again."),
        401: N_("Sign in, then try again."),
        404: N_("Check the address. It may have been deleted, or merged into another."),
        405: N_("Go back and use the buttons of the page."),
    }
)
"""What a person at a browser can do, where that differs from what a program can."""


def problem(
    status: int, detail: str, *, remedy: str | None = None, errors: list[dict[str, str]] | None = None
) -> JSONResponse:
    """An answer in `application/problem+json`."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    remedy = remedy or _REMEDIES.get(status)
    if remedy:
        body["remedy"] = remedy
    if errors:
        body["errors"] = errors
    headers = {"WWW-Authenticate": 'Bearer realm="switchhook"'} if status == 401 else {}
    if status in (429, 503):
        headers["Retry-After"] = "300" if status == 429 else "5"
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def answer_problems(app: FastAPI, renderer: Renderer) -> None:
    """Register the answers to everything that goes wrong."""

    async def tell(
        request: Request,
        status: int,
        detail: str,
        remedy: str | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> Response:
        if request.url.path.startswith(API):
            return problem(status, detail, remedy=remedy, errors=errors)
        viewer = await find_viewer(request)
        return renderer.page(
            request,
            viewer,
            "error.html",
            status=status,
            title=detail,
            remedy=remedy or _page_remedy(status, viewer),
            way_on=find_way_on(request.url.path, viewer),
        )

    async def own(request: Request, error: Exception) -> Response:
        if not isinstance(error, SwitchhookError):
            raise error
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        page = not request.url.path.startswith(API)
        if isinstance(error, NotSignedIn) and page:
            if _is_script(request):  # it leads to the sign-in page itself; a redirect is no answer to it
                return problem(status, translate_error(error), remedy=translate_remedy(error))
            return await _to_sign_in(request)
        if isinstance(error, NewPasswordNeeded) and page:
            return RedirectResponse("/new-password", 303)
        return await tell(request, status, translate_error(error), translate_remedy(error))

    async def http(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        detail = error.detail if isinstance(error, HTTPException) else ""
        if status == 404 and detail in ("", "Not Found"):
            detail = (
                _("Page not found.") if not request.url.path.startswith(API) else _("There is nothing here.")
            )
        if status == 405:  # Starlette says it in English
            detail = _("This address cannot be used like that.")
        return await tell(request, status, detail)

    async def invalid(request: Request, error: Exception) -> Response:
        found = error.errors() if isinstance(error, RequestValidationError) else []
        errors = [
            {"where": ".".join(str(step) for step in item["loc"]), "what": str(item["msg"])} for item in found
        ]
        if found and all(item["loc"][:1] == ("path",) for item in found):
            return await http(request, HTTPException(404))  # an address with no such thing in it
        first = f"{errors[0]['where']}: {errors[0]['what']}" if errors else ""
        return await tell(
            request, 422, _("Some of the values cannot be used. {first}").format(first=first), errors=errors
        )

    async def ours(request: Request, error: Exception) -> Response:
        _log.error("a page failed", path=_to_log(request.url.path), exc_info=error)
        detail = _("Something went wrong on our side. The calls themselves are not affected.")
        return await tell(
            request, 500, detail, _("Try again; if it stays, tell your administrator the time it happened.")
        )

    app.add_exception_handler(SwitchhookError, own)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, ours)


async def find_viewer(request: Request) -> Viewer | None:
    """Who looks at the error page, so that navigation and live cards stay; None when that cannot be told in time."""
    try:
        async with asyncio.timeout(VIEWER_SECONDS):
            return await gate_of(request).by_cookie(request)
    except (SwitchhookError, TimeoutError, OSError):
        return None


def _page_remedy(status: int, viewer: Viewer | None) -> str:
    """What to do next, for somebody at a browser."""
    if status == 503 and viewer is not None and not viewer.is_administrator:
        return _("Try again in a moment. If it stays, tell your administrator.")
    return _PAGE_REMEDIES.get(status) or _REMEDIES.get(status, "")


def _is_script(request: Request) -> bool:
    """Whether a script of a page asked, which reads data only."""
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def _to_log(path: str) -> str:
    """The path without what opens something by itself: the token of a shared link."""
    return "/listen/…" if path.startswith("/listen/") else path


async def _to_sign_in(request: Request) -> Response:
    if await gate_of(request).needs_first_account():
        return RedirectResponse("/welcome", 303)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        wanted = _page_it_came_from(request)
    had_session = gate_of(request).cookie_name in request.cookies
    asked = {"why": "ended" if request.method == "GET" else "unsaved"} if had_session else {}
    if wanted != "/":
        asked["next"] = wanted
    return RedirectResponse("/sign-in" + (f"?{urlencode(asked, quote_via=quote)}" if asked else ""), 303)


def _page_it_came_from(request: Request) -> str:
    """The page of ours that a form was on; `/` where the browser does not say."""
    came = urlsplit(request.headers.get("referer", ""))
    if came.netloc != request.headers.get("host") or not came.path.startswith("/"):
        return "/"
    return came.path + (f"?{came.query}" if came.query else "")
