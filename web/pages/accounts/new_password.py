"""A new password in place of one that an administrator made: nothing else opens before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from telephony.recordings import AuditAction
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard, password_problem
from web.auth.access_log import log_access
from web.forms.field_problems import FieldProblem
from web.languages.messages import _
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
SignedIn = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, new_password_later=True))]


@router.get("/new-password")
async def form(request: Request, viewer: SignedIn) -> Response:
    """The form, for who needs it."""
    if not viewer.account.password_temporary:
        return RedirectResponse("/settings", 303)
    return _form(request, viewer)


@router.post("/new-password")
async def choose(request: Request, viewer: SignedIn) -> Response:
    """Keep it; what was opened with the old one elsewhere ends."""
    site = site_of(request)
    if not viewer.account.password_temporary:
        return RedirectResponse("/settings", 303)
    new = (await fields(request)).get("new", "")
    problem = await _problem(site, viewer, new)
    if problem is not None:
        return _form(request, viewer, problems=[FieldProblem("new", problem)], status=400)
    hashed = await site.gate.passwords.hash(new)
    # Only in place of the one that was used here: another reset in between wins.
    await site.records.accounts.set_password(
        viewer.account.id, hashed, instead_of=viewer.account.password_hash
    )
    keep = viewer.session.id if viewer.session else None
    await site.records.sessions.revoke_all(viewer.account.id, keep=keep)
    site.hub.end_account(viewer.account.id, keep=keep)
    await log_access(site, request, viewer, AuditAction.PASSWORD_CHANGED)
    return RedirectResponse("/live", 303)


async def _problem(site: Site, viewer: Viewer, new: str) -> str | None:
    problem = password_problem(new, viewer.account.login)
    if problem is None and await site.gate.passwords.matches(new, viewer.account.password_hash):
        return _("This is the password you were given. Please choose another one, that only you know.")
    return problem


def _form(
    request: Request, viewer: Viewer, *, problems: Sequence[FieldProblem] = (), status: int = 200
) -> Response:
    site = site_of(request)
    return site.renderer.page(
        request, None, "accounts/new_password.html", status=status, problems=problems, owner=viewer
    )
