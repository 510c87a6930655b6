"""The small forms of People: somebody new, convert, reject, merge, and where a call belongs.

Each is a page of its own, which `people.js` shows in a dialog where it was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.crm.types import Client, ClientFilter, Deal
from telephony.call_facts.facts import CallFacts, Direction
from telephony.contacts import ClientKind, LeadState
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.clients_of_calls import names_for
from web.forms.field_problems import FieldProblem
from web.languages.messages import _
from web.number_search import text_to_search
from web.pages.calls.calls import client_of, find_call
from web.pages.contacts.lookup import (
    CHOICES,
    choices,
    found_client,
    one_or_none,
    owners,
    uuid_of,
    with_numbers,
)
from web.presenters import contacts as people_words
from web.presenters.contacts import show_client, show_clients
from web.presenters.masking import show
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

_FIELDS = frozenset({"to", "with", "into"})


@router.get("/people/find")
async def find(request: Request, viewer: Asking) -> HTMLResponse:
    """The best fits for what is being typed, as choices of a form, or as names for a field."""
    site, asked = site_of(request), request.query_params
    text, kind = text_to_search(site, viewer, asked.get("q", "").strip()), asked.get("kind")
    wanted = ClientFilter(kind=ClientKind(kind) if kind in list(ClientKind) else None, text=text)
    page = await site.records.book.page(wanted, limit=CHOICES + 1) if text else None
    but = uuid_of(asked.get("but"))
    found = [client for client in page.clients if client.id != but] if page else []
    return HTMLResponse(
        site.renderer.part(
            "contacts/choices.html",
            people=show_clients(found[:CHOICES], viewer.view, site.settings.region),
            field=asked["field"] if asked.get("field") in _FIELDS else None,
            text=text,
            chosen=None,
        )
    )


@router.get("/people/same")
async def same(request: Request, viewer: Asking) -> HTMLResponse:
    """Who has one of these numbers already."""
    site = site_of(request)
    found = await with_numbers(site, request.query_params.get("phones", ""), viewer)
    return HTMLResponse(
        site.renderer.part("contacts/same.html", same=show_clients(found, viewer.view, site.settings.region))
    )


@router.get("/people/new")
async def new(request: Request, viewer: Asking) -> Response:
    """The small form for a new entry."""
    site, asked = site_of(request), request.query_params
    told = {
        "kind": asked.get("kind", ""),
        "name": asked.get("name", "")[:300],
        "phones": asked.get("phone", "")[:300],
        "company": asked.get("company", "")[:300],
        "owner": str(viewer.account.person_id or ""),
    }
    return await new_page(site, request, viewer, told)


async def new_page(
    site: Site,
    request: Request,
    viewer: Viewer,
    told: Mapping[str, str],
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    twins: Sequence[Client] = (),
    status: int = 200,
) -> Response:
    """The form with what was typed, and who has such a number already."""
    return site.renderer.page(
        request,
        viewer,
        "contacts/new.html",
        status=status,
        told=told,
        kinds=ClientKind,
        chosen=told.get("kind") if told.get("kind") in list(ClientKind) else ClientKind.CONTACT.value,
        owners=owners(site),
        problem=problem,
        problems=problems,
        same=show_clients(twins, viewer.view, site.settings.region),
    )


@router.get("/people/{client_id:uuid}/convert")
async def convert(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Who or what a lead becomes, in one step."""
    site, client = await found_client(request, client_id)
    if client.state is not LeadState.OPEN:
        return RedirectResponse(f"/people/{client.became_id or client.id}", 303)
    return await convert_page(site, request, viewer, client, {})


async def convert_page(
    site: Site,
    request: Request,
    viewer: Viewer,
    client: Client,
    told: Mapping[str, str],
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    status: int = 200,
) -> Response:
    """The form with what was typed, and contacts that have the same number."""
    twins = await site.records.book.duplicates_of(client.id)
    contacts = [one for one in twins if one.kind is ClientKind.CONTACT]
    shown = show_client(client, viewer.view, site.settings.region)
    return site.renderer.page(
        request,
        viewer,
        "contacts/convert.html",
        status=status,
        shown=shown,
        client=shown.client,
        told={"name": _worth_keeping(shown.client.name), "company": shown.client.company or "", **told},
        contacts=show_clients(contacts, viewer.view, site.settings.region),
        pipelines=await site.records.deals.pipelines(),
        problem=problem,
        problems=problems,
    )


def _worth_keeping(name: str) -> str:
    """A lead that is called by its number is about to get a name."""
    return name if any(char.isalpha() for char in name) else ""


@router.get("/people/{client_id:uuid}/reject")
async def reject(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Why a lead is not worth going on with."""
    site, client = await found_client(request, client_id)
    shown = show_client(client, viewer.view, site.settings.region)
    return site.renderer.page(request, viewer, "contacts/reject.html", shown=shown, client=shown.client)


@router.get("/people/{client_id:uuid}/merge")
async def merge(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Two entries of one person: with whom, and which of them stays."""
    site, client = await found_client(request, client_id)
    asked, view, region = request.query_params, viewer.view, site.settings.region
    other = await one_or_none(site, asked.get("with"))
    if other is not None and (other.id == client.id or other.removed_at):
        other = None
    problem = None
    if other is not None and not (_may_stay(client, other) or _may_stay(other, client)):
        problem = _("A company and a person cannot become one.")
        other = None
    text = asked.get("q", "").strip()
    found = await choices(site, text_to_search(site, viewer, text), client.id) or list(
        await site.records.book.duplicates_of(client.id)
    )
    return site.renderer.page(
        request,
        viewer,
        "contacts/merge.html",
        shown=show_client(client, view, region),
        client=client,
        other=show_client(other, view, region) if other else None,
        stays=_who_stays(client, other).id,
        may_stay=[one.id for one, gone in _both(client, other) if _may_stay(one, gone)],
        people=show_clients(
            [one for one in found if _may_stay(one, client) or _may_stay(client, one)][:CHOICES], view, region
        ),
        text=text,
        problem=problem,
    )


def _both(client: Client, other: Client | None) -> list[tuple[Client, Client]]:
    return [(client, other), (other, client)] if other is not None else []


def _may_stay(one: Client, gone: Client) -> bool:
    """Whether the second can become part of the first: a lead may turn out to be somebody we know, not the reverse."""
    same_kind = one.kind is gone.kind
    return same_kind or (one.kind is ClientKind.CONTACT and gone.kind is ClientKind.LEAD)


def _who_stays(client: Client, other: Client | None) -> Client:
    if other is None or not _may_stay(other, client):
        return client
    return other if not _may_stay(client, other) or _is_richer(other, client) else client


def _is_richer(one: Client, other: Client) -> bool:
    """Which of two is likelier the one to keep: with deals, spoken to last, there longest."""
    return _weight(one) > _weight(other)


def _weight(client: Client) -> tuple[bool, float, float]:
    spoken = client.spoken_at.timestamp() if client.spoken_at else 0.0
    return client.open_deals > 0, spoken, -client.created_at.timestamp()


@router.get("/people/{client_id:uuid}/calls/{call_id:uuid}/move")
async def move(request: Request, client_id: UUID, call_id: UUID, viewer: Asking) -> Response:
    """A call that stands with the wrong person or deal: where it belongs."""
    site, client = await found_client(request, client_id)
    call = await find_call(site, call_id)
    if call is None:
        raise HTTPException(404, _("There is no such call."))
    seen, view = show(call, viewer.view), viewer.view
    text = request.query_params.get("q", "").strip()
    place = (await site.records.timelines.places([call.id])).get(call.id)
    return site.renderer.page(
        request,
        viewer,
        "contacts/move.html",
        shown=show_client(client, view, site.settings.region),
        client=client,
        call=seen,
        who=client_of(seen, await names_for(site.records, site.hub.names, [call], viewer.view)),
        place=place,
        deals=[(deal, people_words.deal_title(deal, view)) for deal in await _deals_there(site, client)],
        people=show_clients(
            await choices(site, text_to_search(site, viewer, text), client.id), view, site.settings.region
        ),
        text=text,
        number=outside_number(call),
    )


async def _deals_there(site: Site, client: Client) -> list[Deal]:
    return [deal for deal in await site.records.deals.of_client(client.id) if deal.state == "open"]


def outside_number(facts: CallFacts) -> str | None:
    """The number by which this call's client was found, or None when it is withheld or inside."""
    number = (
        facts.caller.number if facts.direction is Direction.INBOUND else facts.requested or facts.answered_by
    )
    return number if facts.direction is not Direction.INTERNAL else None
