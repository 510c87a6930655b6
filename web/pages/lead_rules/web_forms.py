"""Web forms: made, tried out and switched off beside the campaigns. For administrators.

The token is shown once, in the snippet to paste; the store keeps only its hash.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from call_records.crm.web_forms.forms import WebForm
from telephony.errors import PeerMistake
from web.api.forms import HONEYPOT, THANKS
from web.auth.access import ADMINISTRATORS, Viewer, guard, new_token
from web.auth.access_log import note_rules
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.messages import N_, Phrases, _
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

OURS = Phrases({"name": N_("Name"), "phone": N_("Phone"), "email": N_("E-mail"), "message": N_("Message")})
COUNT_WORDS: Phrases[str] = Phrases(
    {
        "taken": N_("taken"),
        "repeated": N_("sent twice"),
        "honeypot": N_("robots"),
        "origin": N_("from another site"),
        "signature": N_("wrongly signed"),
        "too_old": N_("signed too long ago"),
        "too_many": N_("too many at once"),
        "too_large": N_("too large"),
        "unreadable": N_("not readable"),
        "nobody": N_("without number and e-mail"),
        "off": N_("while it was off"),
        "rules_blocked": N_("from blocked numbers"),
        "rules_flood": N_("beyond the flood limit"),
        "rules_several": N_("whose number several have"),
        "rules_no_line": N_("no lead rule is for them"),
        "rules_none": N_("a lead rule makes nothing of them"),
        "rules_short": N_("no lead rule is for them"),
    }
)
SAID = Phrases(
    {"yes": N_("Saved."), "off": N_("Switched off: nothing is taken any more."), "on": N_("Switched on.")}
)


def counted(form: WebForm) -> list[tuple[str, int]]:
    """What came by it and what was refused, in words."""
    known = [(word, form.counts[what]) for what, word in COUNT_WORDS.items() if form.counts.get(what)]
    return known or [(COUNT_WORDS["taken"], 0)]


@router.post("/sources/forms")
async def add(request: Request, viewer: Administrator) -> Response:
    """A new form; its token and its secret are shown now and never again."""
    site, told = site_of(request), await fields(request)
    token, hashed = new_token()
    signed = told.get("signed") == "yes"
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() if signed else None
    try:
        form_id = await site.records.forms.add(token_hash=hashed, secret=secret, **_told(told))
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, None, problem=problem, problems=problems, status=400, typed=told)
    form = await _found(site, form_id)
    return await _page(request, viewer, form, token=token)


@router.get("/sources/forms/new")
async def new(request: Request, viewer: Administrator) -> Response:
    """The fields of a new form."""
    return await _page(request, viewer, None)


@router.get("/sources/forms/{form_id:uuid}")
async def one(request: Request, form_id: UUID, viewer: Administrator) -> Response:
    """A form: what came by it, how it is sent, what can be changed."""
    said = SAID.get(request.query_params.get("saved", ""))
    return await _page(request, viewer, await _found(site_of(request), form_id), said=said)


@router.post("/sources/forms/{form_id:uuid}")
async def change(request: Request, form_id: UUID, viewer: Administrator) -> Response:
    """Another name, other sites, other fields, another campaign."""
    site, told = site_of(request), await fields(request)
    form = await _found(site, form_id)
    changed = _told(told)
    try:
        await site.records.forms.change(form, **changed, seen=told.get("seen"))
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, form, problem=problem, problems=problems, status=400, typed=told)
    before = {name: getattr(form, name) for name in ("name", "origins", "mapping", "campaign_id")}
    await note_rules(request, viewer, f"form {form.name}", _in_words(before), _in_words(changed))
    return RedirectResponse(f"/sources/forms/{form_id}?saved=yes", 303)


def _in_words(form: Mapping[str, Any]) -> dict[str, object]:
    """As the audit log keeps it: readable in ten years."""
    return {
        "name": form["name"],
        "sites": list(form["origins"]),
        "fields": dict(form["mapping"]),
        "campaign": str(form["campaign_id"]) if form["campaign_id"] else None,
    }


@router.post("/sources/forms/{form_id:uuid}/active")
async def switch(request: Request, form_id: UUID, viewer: Administrator) -> Response:
    """Off, or on again."""
    site, told = site_of(request), await fields(request)
    active = told.get("active") == "yes"
    form = await _found(site, form_id)
    await site.records.forms.switch(form_id, active=active)
    before, after = {"active": form.active}, {"active": active}
    await note_rules(request, viewer, f"form {form.name}", before, after)
    return RedirectResponse(f"/sources/forms/{form_id}?saved={'on' if active else 'off'}", 303)


async def _found(site: Site, form_id: UUID) -> WebForm:
    form = await site.records.forms.one(form_id)
    if form is None:
        raise HTTPException(404, _("There is no such form."))
    return form


def _told(told: Mapping[str, str]) -> dict[str, Any]:
    try:
        campaign = UUID(told.get("campaign", ""))
    except ValueError:
        campaign = None
    named = {told.get(f"field_{ours}", "").strip()[:100]: ours for ours in OURS}
    return {
        "name": told.get("name", ""),
        "origins": told.get("origins", "").split(),
        "mapping": {theirs: ours for theirs, ours in named.items() if theirs},
        "campaign_id": campaign,
    }


async def _page(
    request: Request,
    viewer: Viewer,
    form: WebForm | None,
    *,
    token: str | None = None,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    status: int = 200,
    typed: Mapping[str, str] | None = None,
) -> Response:
    site = site_of(request)
    theirs = {ours: name for name, ours in form.mapping.items()} if form else {}
    values = {
        "name": form.name if form else "",
        "origins": "\n".join(form.origins) if form else "",
        "campaign": str(form.campaign_id or "") if form else "",
        **{f"field_{ours}": theirs.get(ours, "") for ours in OURS},
        **(typed or {}),
    }
    base = (site.settings.public_url or str(request.base_url)).rstrip("/")
    names = {ours: theirs.get(ours, ours) for ours in OURS}
    return site.renderer.page(
        request,
        viewer,
        "lead_rules/web_form.html",
        status=status,
        form=form,
        token=token,
        values=values,
        ours=OURS,
        counted=counted(form) if form else [],
        campaigns=[one for one in await site.records.campaigns.all() if one.ended_at is None],
        address=f"{base}/api/v1/forms/{token or 'TOKEN'}",
        snippet=_snippet(f"{base}/api/v1/forms/{token or 'TOKEN'}", names, form),
        said=said,
        problem=problem,
        problems=problems,
    )


def _snippet(address: str, names: Mapping[str, str], form: WebForm | None) -> str:
    """What is pasted into the site's page. The template escapes it, as everything."""
    thanks = f"{form.origins[0]}/thank-you" if form and form.origins else "https://example.com/thank-you"
    quoted = {ours: name.replace("&", "&amp;").replace('"', "&quot;") for ours, name in names.items()}
    return "\n".join(
        (
            f'<form action="{address}" method="post" accept-charset="utf-8">',
            f'  <label>Name <input name="{quoted["name"]}" autocomplete="name"></label>',
            f'  <label>Phone <input name="{quoted["phone"]}" type="tel" autocomplete="tel"></label>',
            f'  <label>E-mail <input name="{quoted["email"]}" type="email" autocomplete="email"></label>',
            f'  <label>Message <textarea name="{quoted["message"]}"></textarea></label>',
            f'  <input type="hidden" name="{THANKS}" value="{thanks}">',
            f'  <input name="{HONEYPOT}" class="not-for-people" tabindex="-1" autocomplete="off" aria-hidden="true">',
            "  <button>Send</button>",
            "</form>",
            "<style>.not-for-people { position: absolute; left: -9999px }</style>",
        )
    )
