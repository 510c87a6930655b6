"""One person, company or lead: the timeline beside the facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from call_records.crm.types import Client, ClientFilter, ClientPage
from telephony.contacts import ClientKind, LeadState
from web.auth.access import ANYONE_SIGNED_IN, NotFound, Viewer, guard
from web.forms.field_problems import FieldProblem
from web.languages.messages import N_, Phrases, _
from web.pages import timeline
from web.pages.contacts.form import TEXT_FIELDS, ClientForm, form_of
from web.pages.contacts.lookup import owners, uuid_of
from web.presenters import contacts as people_words
from web.presenters.contacts import say, show_client, show_clients
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

BESIDE_SHOWN = (
    30  # tasks and deals of a page; a company of thousands has thousands, and nobody reads those in a margin
)
BESIDE_MOST = 500  # when all are asked for
PEOPLE_THERE = 12  # of a company's; beside a timeline there is room for no more

SAID = Phrases(
    {
        "made": N_("Added."),
        "changed": N_("Saved."),
        "converted": N_("Converted. What was known of the lead is here now."),
        "rejected": N_("The lead is rejected."),
        "reopened": N_("The lead is open again."),
        "restored": N_("Back again."),
        "unmerged": N_("Two entries again."),
        "moved": N_("The call has another place now."),
        "done": N_("Done."),
        "undone": N_("Open again."),
        "task": N_("The task is kept."),
    }
)
"""What a page says after a change, by the word its address carries."""


@router.get("/people/{client_id:uuid}")
async def person(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """The timeline beside the facts. Who became somebody else leads there."""
    site = site_of(request)
    client = await site.records.book.one(client_id)
    if client is None:
        raise NotFound(
            _("This person or company was not found."),
            remedy=_("Check the address, or search by name or number at the top of the page."),
        )
    moved = client.became_id or client.id
    if moved != client_id:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/people/{moved}{query}", 303)
    shown = show_client(client, viewer.view, site.settings.region)
    editing = "edit" in request.query_params and client.removed_at is None
    return await person_page(request, viewer, client, form=form_of(shown) if editing else None)


async def person_page(
    request: Request,
    viewer: Viewer,
    client: Client,
    *,
    form: ClientForm | None = None,
    changed_meanwhile: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    status: int = 200,
) -> Response:
    """The page of an entry; with its form in place of the facts while they are changed."""
    site, asked, view = site_of(request), request.query_params, viewer.view
    records, region = site.records, site.settings.region
    page = await records.timelines.of_client(client.id, limit=timeline.PAGE, cursor=asked.get("cursor"))
    most = BESIDE_MOST if asked.get("beside") == "all" else BESIDE_SHOWN
    tasks = await records.tasks.of_client(client.id, limit=most + 1)
    deals = await records.deals.of_client(client.id, limit=most + 1)
    todo = [task for task in tasks if task.done_at is None]
    company = client.kind is ClientKind.COMPANY
    there = ClientFilter(company_id=client.id)
    people_there = await records.book.page(there, limit=PEOPLE_THERE) if company else ClientPage((), None)
    twins = await records.book.duplicates_of(client.id) if client.removed_at is None else ()
    return site.renderer.page(
        request,
        viewer,
        "contacts/detail.html",
        status=status,
        shown=show_client(client, view, region),
        client=show_client(client, view, region).client,
        form=form,
        form_words=TEXT_FIELDS,
        changed_meanwhile=changed_meanwhile,
        problem=problem,
        problems=problems,
        said=SAID.get(asked.get("said", "")),
        undo=await _undo(site, viewer, client, asked),
        removed=client.removed_at is not None,
        moments=await timeline.moments(site, viewer, page, tasks),
        company_page=client.id if company else None,
        earlier=f"/people/{client.id}?" + urlencode({"cursor": page.older}) if page.older else None,
        latest=f"/people/{client.id}" if "cursor" in asked else None,
        tasks=[(task, say(task.text, view)) for task in todo[:most]],
        deals=[(deal, people_words.deal_title(deal, view)) for deal in deals[:most]],
        more_tasks=len(todo) > most,
        more_deals=len(deals) > most,
        all_beside=f"/people/{client.id}?beside=all" if most < BESIDE_MOST else None,
        people_there=show_clients(people_there.clients, view, region),
        more_there=people_there.more is not None,
        twins=show_clients(twins[:3], view, region),
        owners=owners(site),
        kinds=ClientKind,
        states=LeadState,
        now=datetime.now(UTC),
    )


async def _undo_apart(site: Site, viewer: Viewer, client: Client, other_id: UUID) -> dict[str, str] | None:
    other = await site.records.book.one(other_id)
    if other is None:
        return None
    name = show_client(other, viewer.view, site.settings.region).name
    said = _("Not the same as {name}.").format(name=name)
    return {"said": said, "action": f"/people/{client.id}/apart/{other.id}/undo", "to": ""}


async def _undo(
    site: Site, viewer: Viewer, client: Client, asked: Mapping[str, str]
) -> dict[str, str] | None:
    """What the page offers to take back: a sentence, where to, and what is sent."""
    merged, call = uuid_of(asked.get("merged")), uuid_of(asked.get("call"))
    if merged is not None:
        return {"said": _("Merged."), "action": f"/people/{client.id}/merges/{merged}/undo", "to": ""}
    apart = uuid_of(asked.get("apart"))
    if apart is not None:
        return await _undo_apart(site, viewer, client, apart)
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
