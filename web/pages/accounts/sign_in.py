"""Signing in and out, and the very first account."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from call_records.types import Account
from telephony.errors import ChangedMeanwhile, TryLater
from telephony.recordings import AuditAction
from web.auth.access import ANYONE_SIGNED_IN, NotAllowed, Viewer, address_of, guard, password_problem
from web.auth.access_log import log_sign_in
from web.auth.sign_in_limits import TooManyTries
from web.forms.field_problems import FieldProblem
from web.languages.errors import translate_error, translate_sentence
from web.languages.messages import N_, Phrases, _
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
JUST_SIGNED_IN = "switchhook-just-signed-in"
"""A cookie that plain http keeps too, for the sign-in page alone."""
JUST_SECONDS = 20  # from the right password to the page that follows, or to this one again

REASONS = Phrases(
    {
        "ended": N_(
            "You were signed out: the session ended, here or on another device. Sign in to go on; what you typed is kept."
        ),
        "unsaved": N_("You were signed out before the form arrived, so it was not saved. Sign in to go on."),
    }
)
"""Why somebody sees this page who was signed in a moment ago."""

Leaving = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, new_password_later=True))]
_log = structlog.get_logger(__name__)


@router.get("/")
async def start(_viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]) -> Response:
    """The first page is the live one."""
    return RedirectResponse("/live", 303)


@router.get("/sign-in")
async def form(request: Request) -> Response:
    """The sign-in form; before anybody can sign in, the welcome page."""
    site = site_of(request)
    if await site.gate.needs_first_account():
        return RedirectResponse("/welcome", 303)
    return _form(request, site, problem=_cookie_problem(request, site))


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Check the password and open a session."""
    site = site_of(request)
    site.gate.check_origin(request)
    told = await fields(request)
    login, password = told.get("login", "").strip()[:200], told.get("password", "")
    try:
        account = await site.gate.sign_in(login, password, address_of(request))
    except TooManyTries as error:
        site.metrics.sign_ins.labels("limited").inc()
        return _form(request, site, status=429, problem=translate_error(error), login=login)
    except TryLater as busy:
        return _form(request, site, status=503, problem=translate_sentence(busy), login=login)
    if account is None:
        site.metrics.sign_ins.labels("refused").inc()
        named = await site.records.accounts.by_login(login)
        await log_sign_in(site, request, named, AuditAction.SIGN_IN_REFUSED)
        _log.warning("sign-in refused", address=address_of(request))
        problem = _(
            "The name or the password is not right. Check capitals, or ask an administrator for a new one."
        )
        return _form(request, site, status=401, problem=problem, login=login)
    try:
        response = await _let_in(request, site, account, password, local_path(told.get("next", "")))
    except ChangedMeanwhile as changed:
        return _form(request, site, status=401, problem=translate_sentence(changed), login=login)
    site.metrics.sign_ins.labels("ok").inc()
    if site.settings.https:
        response.set_cookie(
            JUST_SIGNED_IN, "1", max_age=JUST_SECONDS, path="/sign-in", httponly=True, samesite="lax"
        )
    return response


async def _let_in(request: Request, site: Site, account: Account, password: str, wanted: str) -> Response:
    """Open the session and say so in the log; a password that an administrator made is changed first."""
    if site.gate.passwords.outdated(account.password_hash):
        account = await _hash_anew(site, account, password)
    response = RedirectResponse("/new-password" if account.password_temporary else wanted, 303)
    await site.gate.open_session(account, request, response)
    await log_sign_in(site, request, account, AuditAction.SIGNED_IN)
    return response


async def _hash_anew(site: Site, account: Account, password: str) -> Account:
    """The same password with today's parameters. Only in place of the hash that was proven."""
    renewed = await site.gate.passwords.hash(password)
    return await site.records.accounts.set_password(
        account.id, renewed, instead_of=account.password_hash, temporary=account.password_temporary
    )


@router.post("/sign-out")
async def sign_out(request: Request, viewer: Leaving) -> Response:
    """End this session, its live streams with it."""
    site = site_of(request)
    if viewer.session:
        await site.records.sessions.revoke(viewer.session.id)
        site.hub.end_session(viewer.session.id)
        await log_sign_in(site, request, viewer.account, AuditAction.SIGNED_OUT)
    response = RedirectResponse("/sign-in", 303)
    site.gate.forget(response)
    response.delete_cookie(JUST_SIGNED_IN, path="/sign-in")
    return response


@router.get("/welcome")
async def welcome(request: Request) -> Response:
    """The first administrator; only while there is no account at all."""
    site = site_of(request)
    if not await site.gate.needs_first_account():
        return RedirectResponse("/sign-in", 303)
    return site.renderer.page(request, None, "accounts/welcome.html", problem=None, told={})


@router.post("/welcome")
async def make_first(request: Request) -> Response:
    """Make the first administrator and sign them in."""
    site = site_of(request)
    site.gate.check_origin(request)
    if not await site.gate.needs_first_account():
        raise NotAllowed(_("There is an administrator already."), remedy=_("Sign in, or ask for an account."))
    told = await fields(request)
    login, name = told.get("login", "").strip()[:200], told.get("name", "").strip()[:200]
    problems, problem = await _first_problems(request, site, told, login, name), None
    if not problems:
        hashed = await site.gate.passwords.hash(told["password"])
        account = await site.records.accounts.create_first(login=login, name=name, password_hash=hashed)
        if account is not None:
            response = RedirectResponse("/connections", 303)
            await site.gate.open_session(account, request, response)
            await log_sign_in(site, request, account, AuditAction.SIGNED_IN, first=True)
            return response
        problem = _("Somebody else was quicker: there is an administrator now.")
    shown = {"login": login, "name": name}
    return site.renderer.page(
        request, None, "accounts/welcome.html", status=400, problem=problem, problems=problems, told=shown
    )


async def _first_problems(
    request: Request, site: Site, told: dict[str, str], login: str, name: str
) -> list[FieldProblem]:
    """All that is wrong; a wrong setup code counts as a try."""
    tries = await site.gate.limits.take("", address_of(request))
    right_code = site.gate.right_setup_code(told.get("setup_code", ""))
    if right_code:
        await site.gate.limits.give_back(tries)
    found = {
        "setup_code": None
        if right_code
        else _(
            "The setup code is not right. It was printed in the terminal and the log when Switchhook started."
        ),
        "name": None if name else _("Please fill in your name."),
        "login": None if login else _("Please fill in a sign-in name."),
        "password": password_problem(told.get("password", ""), login),
    }
    return [FieldProblem(field, said) for field, said in found.items() if said]


def _cookie_problem(request: Request, site: Site) -> str | None:
    """Whoever comes here again right after the password was right has a browser that did not keep the sign-in: over
    plain http none keeps a cookie that is for https only.
    """
    lost = JUST_SIGNED_IN in request.cookies and site.gate.cookie_name not in request.cookies
    if not (lost and site.settings.https):
        return None
    return _(
        "The password was right, but your browser did not keep the sign-in, because this page was not opened over https. "
        "Open {address} instead."
    ).format(address=site.settings.public_url)


def local_path(wanted: str) -> str:
    """Where to go after signing in: only a path of ours, never another site."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain and "\\" not in wanted else "/live"


def _form(
    request: Request, site: Site, *, status: int = 200, problem: str | None = None, login: str = ""
) -> Response:
    wanted = request.query_params.get("next", "")
    return site.renderer.page(
        request,
        None,
        "accounts/sign_in.html",
        status=status,
        problem=problem,
        login=login,
        next=local_path(wanted),
        reason=REASONS.get(request.query_params.get("why", "")),
    )
