"""My settings: when a card opens, how pages look, the password, where I am signed in, and tokens for
programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from telephony.staff import PopPreference, RingAlert
from web.access import ANYONE_SIGNED_IN, Viewer, address_of, guard, new_token, password_problem
from web.field_problems import FieldProblem
from web.pages import fields, site_of
from web.wording import _

router = APIRouter(include_in_schema=False)
SignedIn = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

SAVED = {
    "card": _("Saved. It counts from the next call on."),
    "alerts": _("Saved for all your browsers."),
    "theme": _("Saved."),
    "password": _("Your password was changed. All other sign-ins of yours were ended."),
    "session": _("That sign-in was ended."),
    "token": _("That token was removed. Programs that used it can no longer sign in."),
}
TOKENS_MOST = 20  # per person; more is a sign of one being made per run


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
        account = await site.records.accounts.update(replace(viewer.account, pop=PopPreference(chosen)))
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


@router.post("/settings/password")
async def password(request: Request, viewer: SignedIn) -> Response:
    """A new password; ends every other session of this account."""
    site = site_of(request)
    told = await fields(request)
    new = told.get("new", "")
    limits, address = site.gate.limits, address_of(request)
    limits.check(viewer.account.login, address)
    if not await site.gate.passwords.matches(told.get("old", ""), viewer.account.password_hash):
        limits.failed(viewer.account.login, address)
        wrong = FieldProblem("old", _("The current password is not right."))
        return await _page(request, viewer, problems=[wrong], status=400)
    problem = password_problem(new, viewer.account.login)
    if problem:
        return await _page(request, viewer, problems=[FieldProblem("new", problem)], status=400)
    hashed = await site.gate.passwords.hash(new)
    await site.records.accounts.update(replace(viewer.account, password_hash=hashed))
    keep = viewer.session.id if viewer.session else None
    await site.records.sessions.revoke_all(viewer.account.id, keep=keep)
    site.hub.end_account(viewer.account.id, keep=keep)
    return RedirectResponse("/settings?saved=password", 303)


@router.post("/settings/sessions/{session_id}/end")
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
    site = site_of(request)
    name = (await fields(request)).get("name", "").strip()[:100] or _("Unnamed")
    if len(await site.records.tokens.of_account(viewer.account.id)) >= TOKENS_MOST:
        problem = _("There are twenty tokens already. Remove one that is no longer used.")
        return await _page(request, viewer, problem=problem, status=400)
    token, hashed = new_token()
    await site.records.tokens.create(account_id=viewer.account.id, name=name, token_hash=hashed)
    return await _page(request, viewer, new=(name, token))


@router.post("/settings/tokens/{token_id}/remove")
async def remove_token(request: Request, token_id: UUID, viewer: SignedIn) -> Response:
    """Remove one of my tokens."""
    await site_of(request).records.tokens.revoke(token_id, account_id=viewer.account.id)
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
        "settings.html",
        status=status,
        said=said,
        problem=problem,
        problems=problems,
        new_token=new,
        sessions=sorted(sessions, key=lambda session: session.seen_at, reverse=True),
        tokens=await site.records.tokens.of_account(viewer.account.id),
        preferences=PopPreference,
        alerts=RingAlert,
    )
