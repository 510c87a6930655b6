"""People: contacts, companies and leads. The list, and the one search for people and calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response

from call_records.crm.types import ClientFilter
from telephony.contacts import ClientKind, LeadState
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.global_search import FEWEST_DIGITS, PAGE_SECONDS, digits_in, read_text, search_everything
from web.number_search import NO_NUMBER, text_to_search
from web.pages.contacts.lookup import one_or_none, owners, uuid_of
from web.presenters.contacts import show_client, show_clients
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

PAGE = 50  # rows; two screens
FOUND = 15  # rows of each kind on the page of a search
EVERY_KIND = "all"
FILTERS = frozenset({"kind", "q", "owner", "tag", "state", "company", "order"})


@router.get("/people")
async def people(request: Request, viewer: Asking) -> Response:
    """Everybody in the book, last changed first, or by name."""
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    filters = {name: value for name, value in asked.items() if name in FILTERS}
    kind = kind_of(filters)
    wanted = wanted_of(site, viewer, filters)
    page = await site.records.book.page(wanted, limit=PAGE, cursor=asked.get("cursor"))
    removed = await one_or_none(site, asked.get("removed"))
    return site.renderer.page(
        request,
        viewer,
        "contacts/list.html",
        people=show_clients(page.clients, viewer.view, site.settings.region),
        export="/people/export.csv?" + urlencode(filters),
        more="/people?" + urlencode({**filters, "cursor": page.more}) if page.more else None,
        first="/people?" + urlencode(filters) if "cursor" in asked else None,
        filters={name: value for name, value in filters.items() if name != "kind"},
        kind=kind,
        every_kind=EVERY_KIND,
        kinds=ClientKind,
        states=LeadState,
        owners=owners(site),
        tags=await site.records.book.tags(),
        tab=lambda kind: "/people" + (f"?{urlencode(_kept(filters, kind))}" if _kept(filters, kind) else ""),
        removed=show_client(removed, viewer.view, site.settings.region)
        if removed and removed.removed_at
        else None,
    )


def wanted_of(site: Site, viewer: Viewer, filters: Mapping[str, str]) -> ClientFilter:
    """What is listed for this viewer: who sees numbers masked finds nobody by a part of one."""
    wanted = read_filter(filters)
    if wanted.text:
        return replace(wanted, text=text_to_search(site, viewer, wanted.text) or NO_NUMBER)
    return wanted


def read_filter(filters: Mapping[str, str]) -> ClientFilter:
    """What a person chose; what cannot be understood is left out."""
    kind, state = kind_of(filters), filters.get("state")
    return ClientFilter(
        kind=None if kind == EVERY_KIND else ClientKind(kind),
        text=filters.get("q"),
        owner_id=uuid_of(filters.get("owner")),
        tag=filters.get("tag"),
        state=LeadState(state) if state in list(LeadState) else None,
        company_id=uuid_of(filters.get("company")),
        by_name=filters.get("order") == "name",
    )


def kind_of(filters: Mapping[str, str]) -> str:
    """The tab: contacts until somebody chooses, because leads of unknown callers are many; of a company everybody."""
    kind = filters.get("kind", "")
    if kind in [*ClientKind, EVERY_KIND]:
        return kind
    return EVERY_KIND if "company" in filters else ClientKind.CONTACT.value


def _kept(filters: Mapping[str, str], kind: str) -> dict[str, str]:
    """The filters that another tab has too; contacts need not be said."""
    kept = {name: value for name, value in filters.items() if name not in ("kind", "state")}
    return {**kept, **({"kind": kind} if kind != ClientKind.CONTACT else {})}


@router.get("/search")
async def search(request: Request, viewer: Asking) -> Response:
    """One search for everything, from the head of every page: the whole answer."""
    site = site_of(request)
    text = read_text(request.query_params.get("q", ""))
    answer = await search_everything(site, viewer, text, datetime.now(UTC), limit=FOUND, seconds=PAGE_SECONDS)
    return site.renderer.page(
        request,
        viewer,
        "contacts/search.html",
        text=text,
        answer=answer,
        total=sum(len(group.hits) for group in answer.groups),
        by_number=digits_in(text) >= FEWEST_DIGITS and not any(char.isalpha() for char in text),
        may_add=bool(text) and answer.is_nobody_known,
    )


@router.get("/search/suggestions")
async def suggestions(request: Request, viewer: Asking) -> Response:
    """The same while somebody types: a few of each kind."""
    site = site_of(request)
    text = read_text(request.query_params.get("q", ""))
    answer = await search_everything(site, viewer, text, datetime.now(UTC))
    return HTMLResponse(site.renderer.part("parts/search_suggestions.html", text=text, answer=answer))
