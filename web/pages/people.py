"""People: contacts, companies and leads. The list, and the one search for people and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from call_records.book.shapes import ClientFilter
from call_records.shapes import CallFilter
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from telephony.facts import CallFacts
from web.access import ANYONE_SIGNED_IN, Viewer, guard
from web.number_search import NO_NUMBER, text_to_search
from web.pages import Site, site_of
from web.pages.calls import client_of, ours_of
from web.pages.people_finding import one_or_none, owners, uuid_of
from web.pages.recordings_player import playable_of_calls
from web.people_words import show_client, show_clients
from web.visibility import show

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

PAGE = 50  # rows; two screens
FOUND = 15  # people, and calls, on the page of a search: both are seen at once
FILTERS = frozenset({"kind", "q", "owner", "tag", "state", "company", "order"})
FEWEST_DIGITS = 3  # as the list of calls asks for


@router.get("/people")
async def people(request: Request, viewer: Asking) -> Response:
    """Everybody in the book, last changed first, or by name."""
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    filters = {name: value for name, value in asked.items() if name in FILTERS}
    wanted = read_filter(filters)
    if wanted.text:
        wanted = replace(wanted, text=text_to_search(site, viewer, wanted.text) or NO_NUMBER)
    page = await site.records.book.page(wanted, limit=PAGE, cursor=asked.get("cursor"))
    removed = await one_or_none(site, asked.get("removed"))
    return site.renderer.page(
        request,
        viewer,
        "people.html",
        people=show_clients(page.clients, viewer.view, site.settings.region),
        more="/people?" + urlencode({**filters, "cursor": page.more}) if page.more else None,
        first="/people?" + urlencode(filters) if "cursor" in asked else None,
        filters=filters,
        kinds=ClientKind,
        states=LeadState,
        owners=owners(site),
        tags=await site.records.book.tags(),
        tab=lambda kind: "/people" + (f"?{urlencode(_kept(filters, kind))}" if _kept(filters, kind) else ""),
        removed=show_client(removed, viewer.view, site.settings.region)
        if removed and removed.removed_at
        else None,
    )


def read_filter(filters: Mapping[str, str]) -> ClientFilter:
    """What a person chose; what cannot be understood is left out."""
    kind, state = filters.get("kind"), filters.get("state")
    return ClientFilter(
        kind=ClientKind(kind) if kind in list(ClientKind) else None,
        text=filters.get("q"),
        owner_id=uuid_of(filters.get("owner")),
        tag=filters.get("tag"),
        state=LeadState(state) if state in list(LeadState) else None,
        company_id=uuid_of(filters.get("company")),
        by_name=filters.get("order") == "name",
    )


def _kept(filters: Mapping[str, str], kind: str | None) -> dict[str, str]:
    """The filters that another tab has too."""
    kept = {name: value for name, value in filters.items() if name not in ("kind", "state")}
    return {**kept, **({"kind": kind} if kind else {})}


@router.get("/search")
async def search(request: Request, viewer: Asking) -> Response:
    """One search for people and calls, from the head of every page."""
    site = site_of(request)
    typed = request.query_params.get("q", "").strip()
    text = text_to_search(site, viewer, typed)
    found = await site.records.book.page(ClientFilter(text=text), limit=FOUND) if text else None
    calls, more = await _calls_with(site, text)
    names = site.hub.names
    seen = [show(facts, viewer.view) for facts in calls]
    return site.renderer.page(
        request,
        viewer,
        "people_search.html",
        text=typed,
        people=show_clients(found.clients, viewer.view, site.settings.region) if found else [],
        more_people="/people?" + urlencode({"q": typed}) if found and found.more else None,
        calls=[(facts, client_of(facts, names), ours_of(facts, names)) for facts in seen],
        more_calls="/calls?" + urlencode({"q": typed}) if more else None,
        heard=await playable_of_calls(site, viewer, calls),
        by_number=sum(char.isdecimal() for char in text) >= FEWEST_DIGITS,
    )


async def _calls_with(site: Site, text: str) -> tuple[Sequence[CallFacts], bool]:
    if sum(char.isdecimal() for char in text) < FEWEST_DIGITS:
        return (), False
    try:
        page = await site.records.calls.page(CallFilter(number=text), limit=FOUND)
    except PeerMistake:  # digits enough, but most of them their own extension
        return (), False
    return page.calls, page.older is not None
