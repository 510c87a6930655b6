"""Live: what is happening on our phones right now? Waiting callers, then conversations, then free people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from telephony.facts import PartyKind
from web.access import ANYONE_SIGNED_IN, Viewer, guard
from web.live import section_of, waiting_since
from web.pages import site_of
from web.visibility import show

router = APIRouter(include_in_schema=False)


@router.get("/live")
async def live(request: Request, viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]) -> Response:
    """The page as it stands; the live stream keeps it so."""
    site = site_of(request)
    calls = sorted((show(facts, viewer.view) for facts in site.live.calls()), key=waiting_since)
    busy = {
        leg.party
        for facts in calls
        for leg in facts.legs
        if leg.kind is PartyKind.EXTENSION and leg.ended_at is None
    }
    people = sorted(site.hub.names.directory.people, key=lambda person: person.name.casefold())
    rows = [(facts, site.renderer.row(facts, site.hub.names_in(facts, viewer.view))) for facts in calls]
    return site.renderer.page(
        request,
        viewer,
        "live.html",
        waiting=[row for row in rows if section_of(row[0]) == "waiting"],
        voicemail=[row for row in rows if section_of(row[0]) == "voicemail"],
        talking=[row for row in rows if section_of(row[0]) == "talking"],
        people=[(person, bool(person.extensions & busy)) for person in people if person.extensions],
    )
