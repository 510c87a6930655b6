"""My settings: when a card opens, how pages look, the password, where I am signed in, and tokens for
programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from telephony.recordings import AuditAction
from telephony.staff import PopPreference, RingAlert, TokenScope
from web.auth.access import ANYONE_SIGNED_IN, Viewer, address_of, guard, new_token, password_problem
from web.auth.access_log import log_access
from web.forms.field_problems import FieldProblem
from web.languages.messages import N_, Phrases, _
from web.languages.requests import remember_language
from web.presenters.tokens import SCOPE_WORDS, scopes_of
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
SignedIn = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

SAVED = Phrases(
    {
        "card": N_("Saved. It counts from the next call on."),
        "alerts": N_("Saved for all your browsers."),
        "theme": N_("Saved."),
        "language": N_("Saved for all your browsers."),
        "password": N_("Your password was changed. All other sign-ins of yours were ended."),
        "session": N_("That sign-in was ended."),
        "token": N_("That token was removed. Programs that used it can no longer sign in."),
    }
)
TOKENS_MOST = 20  # per person; more is a sign of one being made per run
TOKEN_DAYS = Phrases({90: N_("90 days"), 365: N_("a year"), 30: N_("30 days"), 0: N_("until it is removed")})
"""How long a token may last, the usual first."""


@router.get("/settings")
async def settings(request: Request, viewer: SignedIn) -> Response:
    """The page."""
    return await _page(request, viewer, said=SAVED.get(request.query_params.get("saved", "")))


@router.post("/settings/card")
async def card(request: Request, viewer: SignedIn) -> Response:
    """When a card opens."""
    site = site_of(request)
    chosen = (await fields(request)).get("pop", "")
    if chosen in list(PopPreference):
        account = await site.records.accounts.set_pop(viewer.account.id, PopPreference(chosen))
        await site.hub.account_changed(account)
    return RedirectResponse("/settings?saved=card", 303)


@router.post("/settings/alerts")
async def set_alerts(request: Request, viewer: SignedIn) -> Response:
    """How a person is told that their phone rings, beside the card."""
    told = await fields(request)
    chosen = [alert for alert in RingAlert if told.get(alert.value) == "yes"]
    await site_of(request).records.accounts.set_alerts(viewer.account.id, chosen)
    return RedirectResponse("/settings?saved=alerts", 303)


@router.post("/settings/theme")
async def theme(request: Request, _viewer: SignedIn) -> Response:
    """Light, dark, or as the computer is set. Kept in this browser."""
    chosen = (await fields(request)).get("theme", "auto")
    response = RedirectResponse("/settings?saved=theme", 303)
    if chosen in ("light", "dark"):
        year = 365 * 24 * 3600
        response.set_cookie(
            "theme", chosen, max_age=year, samesite="lax", secure=site_of(request).settings.https
        )
    else:
        response.delete_cookie("theme")
    return response


@router.post("/settings/language")
async def set_language(request: Request, viewer: SignedIn) -> Response:
    """What this account reads the pages in; whatever else is sent leaves it to the browser."""
    site = site_of(request)
    chosen = site.gate.languages.get((await fields(request)).get("language"))
    account = await site.records.accounts.set_language(viewer.account.id, chosen.tag if chosen else None)
    response = RedirectResponse("/settings?saved=language", 303)
    remember_language(response, chosen, https=site.settings.https)
    await site.hub.account_changed(account)
    return response


@router.post("/settings/password")
async def password(request: Request, viewer: SignedIn) -> Response:
    """A new password; ends every other session of this account."""
    site, told = site_of(request), await fields(request)
    new = told.get("new", "")
    found = {
        "old": await _wrong_password(request, site, viewer, told.get("old", "")),
        "new": password_problem(new, viewer.account.login),
    }
    problems = [FieldProblem(field, said) for field, said in found.items() if said]
    if problems:
        return await _page(request, viewer, problems=problems, status=400)
    hashed = await site.gate.passwords.hash(new)
    await site.records.accounts.set_password(
        viewer.account.id, hashed, instead_of=viewer.account.password_hash
    )
    keep = viewer.session.id if viewer.session else None
    await site.records.sessions.revoke_all(viewer.account.id, keep=keep)
    ended = await site.records.tokens.revoke_all(viewer.account.id) if told.get("tokens") == "end" else 0
    site.hub.end_account(viewer.account.id, keep=keep)
    await log_access(site, request, viewer, AuditAction.PASSWORD_CHANGED, details={"tokens ended": ended})
    return RedirectResponse("/settings?saved=password", 303)


async def _wrong_password(request: Request, site: Site, viewer: Viewer, told: str) -> str | None:
    """Guessing the present password is bound like signing in."""
    tries = await site.gate.limits.take(viewer.account.login, address_of(request))
    if not await site.gate.passwords.matches(told, viewer.account.password_hash):
        return _("The present password is not right.")
    await site.gate.limits.give_back(tries)
    return None


@router.post("/settings/sessions/{session_id:uuid}/end")
async def end_session(request: Request, session_id: UUID, viewer: SignedIn) -> Response:
    """Sign one of my browsers out."""
    site = site_of(request)
    mine = {session.id for session in await site.records.sessions.of_account(viewer.account.id)}
    if session_id in mine:
        await site.records.sessions.revoke(session_id)
        site.hub.end_session(session_id)
    return RedirectResponse("/settings?saved=session", 303)


@router.post("/settings/tokens")
async def make_token(request: Request, viewer: SignedIn) -> Response:
    """A personal token for a program; shown this one time."""
    site, told = site_of(request), await fields(request)
    name = told.get("name", "").strip()[:100] or _("Unnamed")
    scopes = frozenset(scope for scope in TokenScope if told.get(f"scope_{scope.name.lower()}") == "yes")
    days = _days_of(told.get("days", ""))
    problem = await _token_problem(site, viewer, scopes, days)
    if problem is not None or days is None:
        return await _page(request, viewer, problem=problem, status=400)
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    token, hashed = new_token()
    details = {
        "name": name,
        "may": sorted(scopes),
        "until": expires_at.date().isoformat()
        if expires_at
        else "for ever",  # in the log, which is in one language
    }
    await log_access(site, request, viewer, AuditAction.TOKEN_MADE, details=details)
    await site.records.tokens.create(
        account_id=viewer.account.id,
        name=name,
        token_hash=hashed,
        scopes=scopes,
        expires_at=expires_at,
        password_hash=viewer.account.password_hash,
    )
    return await _page(request, viewer, new=(name, token))


async def _token_problem(
    site: Site, viewer: Viewer, scopes: frozenset[TokenScope], days: int | None
) -> str | None:
    if not scopes:
        return _("Say what the program may do: tick at least one.")
    if days is None:
        return _("Choose how long the token lasts.")
    if len(await site.records.tokens.of_account(viewer.account.id)) >= TOKENS_MOST:
        return _("There are twenty tokens already. Remove one that is no longer used.")
    return None


def _days_of(told: str) -> int | None:
    """How long a token lasts, 0 for ever; None for what the form does not offer."""
    return next((days for days in TOKEN_DAYS if told == str(days)), None)


@router.post("/settings/tokens/{token_id:uuid}/remove")
async def remove_token(request: Request, token_id: UUID, viewer: SignedIn) -> Response:
    """Remove one of my tokens."""
    site = site_of(request)
    mine = {token.id: token for token in await site.records.tokens.of_account(viewer.account.id)}
    if token_id in mine:
        details = {"name": mine[token_id].name}
        await log_access(site, request, viewer, AuditAction.TOKEN_REMOVED, details=details)
        await site.records.tokens.revoke(token_id, account_id=viewer.account.id)
    return RedirectResponse("/settings?saved=token", 303)


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    new: tuple[str, str] | None = None,
    status: int = 200,
) -> Response:
    site = site_of(request)
    sessions = await site.records.sessions.of_account(viewer.account.id)
    return site.renderer.page(
        request,
        viewer,
        "accounts/my_settings.html",
        status=status,
        said=said,
        problem=problem,
        problems=problems,
        new_token=new,
        sessions=sorted(sessions, key=lambda session: session.seen_at, reverse=True),
        tokens=await site.records.tokens.of_account(viewer.account.id),
        preferences=PopPreference,
        alerts=RingAlert,
        scopes=SCOPE_WORDS,
        scopes_of=scopes_of,
        token_days=TOKEN_DAYS,
        languages=site.gate.languages.offered,
    )
