"""Sources: which campaign a number of ours stands for, and the forms of the web site. For administrators."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from telephony.errors import PeerMistake
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.auth.access_log import note_rules
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.messages import N_, Phrases
from web.pages.lead_rules.web_forms import counted
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

SAVED_WORDS = Phrases(
    {
        "yes": N_("Saved. It holds from the next call on."),
        "ended": N_("Ended: its numbers stand for it no longer."),
        "again": N_("It runs again."),
    }
)


@router.get("/sources")
async def sources(request: Request, viewer: Administrator) -> Response:
    """Campaigns, and our numbers that could stand for one."""
    return await _page(request, viewer)


@router.post("/sources/campaigns")
async def add(request: Request, viewer: Administrator) -> Response:
    """A new campaign that runs from now on."""
    name, dids = await _told(request)
    return await _after(request, viewer, site_of(request).records.campaigns.add(name=name, dids=dids))


@router.post("/sources/campaigns/{campaign_id:uuid}")
async def change(request: Request, campaign_id: UUID, viewer: Administrator) -> Response:
    """Another name or other numbers."""
    name, dids = await _told(request)
    seen = (await fields(request)).get("seen")
    changing = site_of(request).records.campaigns.change(campaign_id, name=name, dids=dids, seen=seen)
    return await _after(request, viewer, changing)


@router.post("/sources/campaigns/{campaign_id:uuid}/end")
async def end(request: Request, campaign_id: UUID, viewer: Administrator) -> Response:
    """It is over, or runs again; what came by it stays with it."""
    ended = (await fields(request)).get("ended") == "yes"
    ending = site_of(request).records.campaigns.end(campaign_id, ended=ended)
    return await _after(request, viewer, ending, saved="ended" if ended else "again")


async def _told(request: Request) -> tuple[str, list[str]]:
    """The name and the numbers: those that were ticked, and those that were written, one in each line."""
    form = await request.form(max_files=0, max_fields=100)
    told = {
        name: [one for one in form.getlist(name) if isinstance(one, str)] for name in ("name", "did", "dids")
    }
    written = [line for text in told["dids"] for line in text[:4000].replace("\0", "").splitlines()]
    return " ".join(told["name"]).replace("\0", ""), [
        *(one.replace("\0", "") for one in told["did"]),
        *written,
    ]


async def _after(
    request: Request, viewer: Viewer, doing: Awaitable[object], *, saved: str = "yes"
) -> Response:
    site = site_of(request)
    before = await _in_words(site)
    try:
        await doing
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, problem=problem, problems=problems)
    await note_rules(request, viewer, "campaigns", before, await _in_words(site))
    return RedirectResponse(f"/sources?saved={saved}", 303)


async def _in_words(site: Site) -> dict[str, list[str]]:
    """As the audit log keeps it: readable in ten years."""
    return {
        one.name: ["ended"] if one.ended_at else list(one.dids) for one in await site.records.campaigns.all()
    }


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    site = site_of(request)
    campaigns = await site.records.campaigns.all()
    given = {"name": "", "dids": ""}
    if problem or problems:
        name, dids = await _told(request)
        given = {"name": name, "dids": "\n".join(dids)}
    taken = {did for one in campaigns if one.ended_at is None for did in one.dids}
    return site.renderer.page(
        request,
        viewer,
        "lead_rules/sources.html",
        status=400 if problem or problems else 200,
        campaigns=campaigns,
        free=[one for one in await site.records.campaigns.lines() if one.did not in taken],
        given=given,
        forms=[(one, counted(one)) for one in await site.records.forms.all()],
        said=SAVED_WORDS.get(request.query_params.get("saved", "")),
        problem=problem,
        problems=problems,
    )
