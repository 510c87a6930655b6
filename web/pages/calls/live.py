"""Live: what is happening on our phones right now? Waiting callers, then conversations, then who is free and who
cannot be reached, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from telephony.call_facts.facts import PartyKind
from telephony.presence import PhoneState, together
from telephony.staff import Person
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.languages.formats import sort_by_name
from web.live import section_of, waiting_since
from web.presenters.masking import show
from web.presenters.presence import STATE_WORDS
from web.site import Site, site_of

NOT_AVAILABLE = frozenset({PhoneState.DO_NOT_DISTURB, PhoneState.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether somebody can be reached."""

    person: Person
    busy: bool
    """In a call that is shown above."""
    reachable: bool
    word: str
    """What their phones do, as the phone system says it."""


router = APIRouter(include_in_schema=False)


@router.get("/live")
async def live(request: Request, viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]) -> Response:
    """The page as it stands; the live stream keeps it so. With `part=people` only who can be reached."""
    site = site_of(request)
    calls = sorted((show(facts, viewer.view) for facts in site.live.calls()), key=waiting_since)
    busy = {
        leg.party
        for facts in calls
        for leg in facts.legs
        if leg.kind is PartyKind.EXTENSION and leg.ended_at is None
    }
    people = _people(site, busy)
    if request.query_params.get("part") == "people":
        return HTMLResponse(site.renderer.part("parts/live_people.html", people=people))
    rows = [(facts, site.renderer.row(facts, site.hub.names_in(facts, viewer.view))) for facts in calls]
    return site.renderer.page(
        request,
        viewer,
        "calls/live.html",
        waiting=[row for row in rows if section_of(row[0]) == "waiting"],
        voicemail=[row for row in rows if section_of(row[0]) == "voicemail"],
        talking=[row for row in rows if section_of(row[0]) == "talking"],
        people=people,
    )


def _people(site: Site, busy: set[str]) -> list[Presence]:
    """Everybody with a phone, by name."""
    states = {phone.extension: phone.state for phone in site.live.phones()}
    named = sort_by_name(site.hub.names.directory.people, lambda person: person.name)
    return [
        Presence(person, bool(person.extensions & busy), state not in NOT_AVAILABLE, STATE_WORDS[state])
        for person in named
        if person.extensions
        for state in [together(states.get(one, PhoneState.UNKNOWN) for one in person.extensions)]
    ]
