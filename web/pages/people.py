"""People: contacts, companies and leads; what do we know of them? The list, and each one's facts beside its timeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.book.shapes import Client, ClientFilter, ClientPage, Deal
from call_records.shapes import CallFilter
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from telephony.facts import CallFacts, Direction
from telephony.numbers import written
from telephony.staff import Person
from web import people_words, timeline
from web.access import ANYONE_SIGNED_IN, Viewer, guard
from web.pages import Site, site_of
from web.pages.calls import client_of, find_call, ours_of
from web.pages.recordings_player import playable_of_calls
from web.people_form import TEXT_FIELDS, ClientForm, form_of
from web.people_words import say, show_client, show_clients
from web.visibility import show
from web.wording import _

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

PAGE = 50  # rows; two screens
CHOICES = 8  # in a chooser; whoever is not among them is found by another word
PEOPLE_THERE = 12  # of a company's; beside a timeline there is room for no more
FOUND = 15  # people, and calls, on the page of a search: both are seen at once
FILTERS = frozenset({"kind", "q", "owner", "tag", "state", "company"})
FEWEST_DIGITS = 3  # as the list of calls asks for

SAID = {
    "made": _("Added."),
    "changed": _("Saved."),
    "converted": _("Converted. What was known of the lead is here now."),
    "rejected": _("The lead is rejected."),
    "reopened": _("The lead is open again."),
    "restored": _("Back again."),
    "unmerged": _("Two entries again."),
    "moved": _("The call has another place now."),
    "done": _("Done."),
    "undone": _("Open again."),
    "task": _("The task is kept."),
}
"""What a page says after a change, by the word its address carries."""


# -- the list --


@router.get("/people")
async def people(request: Request, viewer: Asking) -> Response:
    """Everybody in the book, last changed first."""
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    filters = {name: value for name, value in asked.items() if name in FILTERS}
    page = await site.records.book.page(read_filter(filters), limit=PAGE, cursor=asked.get("cursor"))
    removed = await _one_or_none(site, asked.get("removed"))
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
    )


def _kept(filters: Mapping[str, str], kind: str | None) -> dict[str, str]:
    """The filters that another tab has too."""
    kept = {name: value for name, value in filters.items() if name not in ("kind", "state")}
    return {**kept, **({"kind": kind} if kind else {})}


def owners(site: Site) -> Sequence[Person]:
    """Whom an entry can belong to, by name."""
    return sorted(
        (person for person in site.hub.names.directory.people if person.id is not None),
        key=lambda person: person.name.casefold(),
    )


@router.get("/search")
async def search(request: Request, viewer: Asking) -> Response:
    """One search for people and calls, from the head of every page."""
    site = site_of(request)
    text = request.query_params.get("q", "").strip()
    found = await site.records.book.page(ClientFilter(text=text), limit=FOUND) if text else None
    calls, more = await _calls_with(site, text)
    names = site.hub.names
    seen = [show(facts, viewer.view) for facts in calls]
    return site.renderer.page(
        request,
        viewer,
        "people_search.html",
        text=text,
        people=show_clients(found.clients, viewer.view, site.settings.region) if found else [],
        more_people="/people?" + urlencode({"q": text}) if found and found.more else None,
        calls=[(facts, client_of(facts, names), ours_of(facts, names)) for facts in seen],
        more_calls="/calls?" + urlencode({"q": text}) if more else None,
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


# -- pieces for forms --

_FIELDS = frozenset({"to", "with", "into"})


@router.get("/people/find")
async def find(request: Request, viewer: Asking) -> HTMLResponse:
    """The best fits for what is being typed, as choices of a form, or as names for a field."""
    site, asked = site_of(request), request.query_params
    text, kind = asked.get("q", "").strip(), asked.get("kind")
    wanted = ClientFilter(kind=ClientKind(kind) if kind in list(ClientKind) else None, text=text)
    page = await site.records.book.page(wanted, limit=CHOICES + 1) if text else None
    but = uuid_of(asked.get("but"))
    found = [client for client in page.clients if client.id != but] if page else []
    return HTMLResponse(
        site.renderer.part(
            "people_choices.html",
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
    found = await with_numbers(site, request.query_params.get("phones", ""))
    return HTMLResponse(
        site.renderer.part("people_same.html", same=show_clients(found, viewer.view, site.settings.region))
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
    twins: Sequence[Client] = (),
    status: int = 200,
) -> Response:
    """The form with what was typed, and who has such a number already."""
    return site.renderer.page(
        request,
        viewer,
        "people_new.html",
        status=status,
        told=told,
        kinds=ClientKind,
        chosen=told.get("kind") if told.get("kind") in list(ClientKind) else ClientKind.CONTACT.value,
        owners=owners(site),
        problem=problem,
        same=show_clients(twins, viewer.view, site.settings.region),
    )


async def with_numbers(site: Site, text: str) -> list[Client]:
    """Entries that have one of the numbers in this text."""
    region = site.settings.region or "RU"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbers = [one.raw for line in lines for one in written(line, region)][:NUMBERS_MOST]
    found: dict[UUID, Client] = {}
    for number in numbers:
        if sum(char.isdecimal() for char in number) >= FEWEST_WHOLE:
            match = await site.records.matching.match(number)
            ids = [one.id for one in (match.chosen, *match.others) if one is not None]
            found |= await site.records.book.several(ids)
    return list(found.values())


FEWEST_WHOLE = 7  # digits; a shorter number is an extension or half typed
NUMBERS_MOST = 20  # looked for at once; nobody types more


# -- one of them --


@router.get("/people/{client_id}")
async def person(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """The timeline beside the facts. Who became somebody else leads there."""
    site = site_of(request)
    client = await site.records.book.one(client_id)
    if client is None:
        return _no_such(site, request, viewer)
    moved = client.became_id or client.id
    if moved != client_id:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/people/{moved}{query}", 303)
    shown = show_client(client, viewer.view, site.settings.region)
    editing = "edit" in request.query_params and client.removed_at is None
    return await person_page(request, viewer, client, form=form_of(shown) if editing else None)


def _no_such(site: Site, request: Request, viewer: Viewer) -> Response:
    return site.renderer.page(
        request,
        viewer,
        "error.html",
        status=404,
        title=_("There is nobody like that in the book."),
        remedy=_("Check the address, or search by name or number at the head of the page."),
    )


async def person_page(
    request: Request,
    viewer: Viewer,
    client: Client,
    *,
    form: ClientForm | None = None,
    changed_meanwhile: bool = False,
    problem: str | None = None,
    status: int = 200,
) -> Response:
    """The page of an entry; with its form in place of the facts while they are changed."""
    site, asked, view = site_of(request), request.query_params, viewer.view
    records, region = site.records, site.settings.region
    page = await records.timelines.of_client(client.id, limit=timeline.PAGE, cursor=asked.get("cursor"))
    tasks = await records.tasks.of_client(client.id)
    deals = await records.deals.of_client(client.id)
    company = client.kind is ClientKind.COMPANY
    there = ClientFilter(company_id=client.id)
    people_there = await records.book.page(there, limit=PEOPLE_THERE) if company else ClientPage((), None)
    twins = await records.book.duplicates_of(client.id) if client.removed_at is None else ()
    return site.renderer.page(
        request,
        viewer,
        "people_one.html",
        status=status,
        shown=show_client(client, view, region),
        client=show_client(client, view, region).client,
        form=form,
        form_words=TEXT_FIELDS,
        changed_meanwhile=changed_meanwhile,
        problem=problem,
        said=SAID.get(asked.get("said", "")),
        undo=await _undo(site, viewer, client, asked),
        removed=client.removed_at is not None,
        moments=await timeline.moments(site, viewer, page, tasks),
        company_page=client.id if company else None,
        earlier=f"/people/{client.id}?" + urlencode({"cursor": page.older}) if page.older else None,
        latest=f"/people/{client.id}" if "cursor" in asked else None,
        tasks=[(task, say(task.text, view)) for task in tasks if task.done_at is None],
        deals=[(deal, people_words.deal_title(deal, view)) for deal in deals],
        people_there=show_clients(people_there.clients, view, region),
        more_there=people_there.more is not None,
        twins=show_clients(twins[:3], view, region),
        owners=owners(site),
        kinds=ClientKind,
        states=LeadState,
        now=datetime.now(UTC),
    )


async def _undo(
    site: Site, viewer: Viewer, client: Client, asked: Mapping[str, str]
) -> dict[str, str] | None:
    """What the page offers to take back: a sentence, where to, and what is sent."""
    merged, call = uuid_of(asked.get("merged")), uuid_of(asked.get("call"))
    if merged is not None:
        return {"said": _("Merged."), "action": f"/people/{client.id}/merges/{merged}/undo", "to": ""}
    kind, _colon, back = asked.get("back", "").partition(":")
    if call is None or asked.get("said") != "moved" or kind not in ("client", "deal") or not uuid_of(back):
        return None
    place = (await site.records.timelines.places([call])).get(call)
    said = SAID["moved"]
    if place is not None:
        where = place.deal or place.name
        said = _("The call is with {name} now.").format(name=say(where, viewer.view)) if where else said
    action = f"/people/{client.id}/calls/{call}/move"
    return {"said": said, "action": action, "to": f"{kind}:{back}"}


@router.get("/people/{client_id}/convert")
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
    status: int = 200,
) -> Response:
    """The form with what was typed, and contacts that have the same number."""
    twins = await site.records.book.duplicates_of(client.id)
    contacts = [one for one in twins if one.kind is ClientKind.CONTACT]
    shown = show_client(client, viewer.view, site.settings.region)
    return site.renderer.page(
        request,
        viewer,
        "people_convert.html",
        status=status,
        shown=shown,
        client=shown.client,
        told={"name": _worth_keeping(shown.client.name), "company": shown.client.company or "", **told},
        contacts=show_clients(contacts, viewer.view, site.settings.region),
        pipelines=await site.records.deals.pipelines(),
        problem=problem,
    )


def _worth_keeping(name: str) -> str:
    """A lead that is called by its number is about to get a name."""
    return name if any(char.isalpha() for char in name) else ""


@router.get("/people/{client_id}/reject")
async def reject(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Why a lead is not worth going on with."""
    site, client = await found_client(request, client_id)
    shown = show_client(client, viewer.view, site.settings.region)
    return site.renderer.page(request, viewer, "people_reject.html", shown=shown, client=shown.client)


@router.get("/people/{client_id}/merge")
async def merge(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Two entries of one person: with whom, and which of them stays."""
    site, client = await found_client(request, client_id)
    asked, view, region = request.query_params, viewer.view, site.settings.region
    other = await _one_or_none(site, asked.get("with"))
    if other is not None and (other.id == client.id or other.removed_at):
        other = None
    problem = None
    if other is not None and not (_may_stay(client, other) or _may_stay(other, client)):
        problem = _("A company and a person cannot become one.")
        other = None
    text = asked.get("q", "").strip()
    found = await _choices(site, text, client.id) or list(await site.records.book.duplicates_of(client.id))
    return site.renderer.page(
        request,
        viewer,
        "people_merge.html",
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


@router.get("/people/{client_id}/calls/{call_id}/move")
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
        "people_move.html",
        shown=show_client(client, view, site.settings.region),
        client=client,
        call=seen,
        who=client_of(seen, site.hub.names),
        place=place,
        deals=[(deal, people_words.deal_title(deal, view)) for deal in await _deals_there(site, client)],
        people=show_clients(await _choices(site, text, client.id), view, site.settings.region),
        text=text,
        number=outside_number(call),
    )


async def _deals_there(site: Site, client: Client) -> list[Deal]:
    return [deal for deal in await site.records.deals.of_client(client.id) if deal.state == "open"]


async def _choices(site: Site, text: str, but: UUID) -> list[Client]:
    if not text:
        return []
    page = await site.records.book.page(ClientFilter(text=text), limit=CHOICES + 1)
    return [client for client in page.clients if client.id != but][:CHOICES]


def outside_number(facts: CallFacts) -> str | None:
    """The number by which this call's client was found, or None when it is withheld or inside."""
    number = (
        facts.caller.number if facts.direction is Direction.INBOUND else facts.requested or facts.answered_by
    )
    return number if facts.direction is not Direction.INTERNAL else None


async def found_client(request: Request, client_id: UUID) -> tuple[Site, Client]:
    """The entry, or the one it was merged into. Raises 404."""
    site = site_of(request)
    client = await site.records.book.one(client_id)
    if client is None:
        raise HTTPException(404, _("There is nobody like that in the book."))
    return site, client


async def _one_or_none(site: Site, text: str | None) -> Client | None:
    client_id = uuid_of(text)
    return await site.records.book.one(client_id) if client_id else None


def uuid_of(text: str | None) -> UUID | None:
    """The id in it, or None."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
