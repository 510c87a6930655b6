"""One deal: what it is, where it stands, what is next, and everything that happened with it. And its tasks, which other
pages tick off at the same addresses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.crm.types import ClientFilter, Deal, NewDeal, NewTask, Task
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.forms.date_fields import read_hour
from web.forms.field_problems import FieldProblem, FieldReader
from web.forms.recent_changes import describe_last_change, note_change
from web.languages.errors import translate_sentence
from web.languages.messages import _
from web.number_search import NO_NUMBER, text_to_search
from web.pages.accounts.sign_in import local_path
from web.pages.deals.board import after, deal_or_404, owners, read_uuid, refused, undo_of, wants_json
from web.pages.timeline import PAGE, moments
from web.presenters.contacts import Shown, say, show_client, show_clients
from web.presenters.deals import card_of, due_of, read_due, show_task, since_word
from web.presenters.money import money, read_amount
from web.settings import WebSettings
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

FITTING_MOST = 8  # people to choose from; whoever is not among them is looked for by more of the name
TAGS_MOST = 20  # of one deal; more is a note


@router.get("/deals/new")
async def new(request: Request, viewer: Anyone) -> Response:
    """An empty form; `?client=` says whose deal it will be."""
    client_id = read_uuid(request.query_params.get("client"))
    return await _new_form(request, viewer, {"client": str(client_id or "")})


@router.post("/deals/new")
async def make(request: Request, viewer: Anyone) -> Response:
    """Make it. From the head of a column only a title is asked for, and it is the viewer's own."""
    site, given = site_of(request), await fields(request)
    if given.get("q", "").strip() and not given.get("to"):
        chosen = FieldProblem("q", _("Choose who is meant, or empty the field."))
        return await _new_form(request, viewer, given, problems=[chosen])
    reader = FieldReader()
    new = _new_deal(given, viewer, reader, site.settings.region)
    if reader.problems:
        return await _new_form(request, viewer, given, problems=reader.problems)
    try:
        deal = await site.records.deals.add(new, by=viewer.account.id)
    except PeerMistake as mistake:
        return await _new_form(request, viewer, given, problem=translate_sentence(mistake))
    if wants_json(request):
        said = _("“{title}” was added.").format(title=say(deal.title, viewer.view))
        return JSONResponse(await after(request, viewer, deal, said))
    if given.get("back") == "board":
        query = {"pipeline": str(deal.pipeline_id), "stage": str(deal.stage_id)}
        return RedirectResponse("/deals?" + urlencode(query), 303)
    return RedirectResponse(f"/deals/{deal.id}", 303)


def _new_deal(given: Mapping[str, str], viewer: Viewer, reader: FieldReader, region: str | None) -> NewDeal:
    _need_title(given, reader)
    owner = viewer.account.person_id if "owner" not in given else read_uuid(given.get("owner"))
    return NewDeal(
        title=given.get("title", ""),
        contact_id=read_uuid(given.get("to") or given.get("client")),
        stage_id=read_uuid(given.get("stage")),
        amount=reader.read("amount", lambda: read_amount(given.get("amount", ""), region), None),
        owner_id=owner,
    )


def _need_title(given: Mapping[str, str], reader: FieldReader) -> None:
    if not given.get("title", "").strip():
        reader.add("title", _("Please write what the deal is about."))


async def _new_form(
    request: Request,
    viewer: Viewer,
    given: Mapping[str, str],
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    site = site_of(request)
    client_id = read_uuid(given.get("to") or given.get("client"))
    client = await site.records.book.one(client_id) if client_id else None
    return site.renderer.page(
        request,
        viewer,
        "deals/new.html",
        status=400 if problem or problems else 200,
        problem=problem,
        problems=problems,
        given=given,
        client=show_client(client, viewer.view, site.settings.region) if client else None,
        fitting=await _fitting(site, viewer, given.get("q", "")) if problem or problems else [],
        pipelines=await site.records.deals.pipelines(),
        people=await owners(site),
    )


async def _fitting(site: Site, viewer: Viewer, text: str) -> list[Shown]:
    """Who may be meant, where no script showed them while the name was typed."""
    if not text.strip():
        return []
    wanted = ClientFilter(text=text_to_search(site, viewer, text.strip()) or NO_NUMBER)
    page = await site.records.book.page(wanted, limit=FITTING_MOST)
    return show_clients(page.clients, viewer.view, site.settings.region)


@router.get("/deals/{deal_id:uuid}")
async def deal_page(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """Everything about it."""
    deal = await deal_or_404(site_of(request), deal_id)
    return await _page(request, viewer, deal)


@router.post("/deals/{deal_id:uuid}")
async def change(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """Title, amount, owner, tags and whose it is."""
    site, given = site_of(request), await fields(request)
    deal = await deal_or_404(site, deal_id)
    reader = FieldReader()
    wanted = _changed(deal, given, viewer, reader, site.settings.region)
    if wanted.version != deal.version:
        return await _conflict(request, viewer, deal, given)
    if reader.problems:
        return await _page(request, viewer, deal, problems=reader.problems, typed=given)
    try:
        changed = await _with_client(site, wanted, given.get("to", ""))
        await site.records.deals.change(changed, by=viewer.account.id)
    except PeerMistake as mistake:
        now = await deal_or_404(site, deal_id)
        if now.version != wanted.version:
            return await _conflict(request, viewer, now, given)
        return await _page(request, viewer, now, problem=translate_sentence(mistake), typed=given)
    await note_change(site.records.recent_changes, deal_id, viewer)
    return RedirectResponse(f"/deals/{deal_id}", 303)


async def _conflict(request: Request, viewer: Viewer, now: Deal, given: Mapping[str, str]) -> Response:
    """Somebody was quicker: who, when, and what was typed beside what it says by now."""
    site = site_of(request)
    who = await describe_last_change(site.records.recent_changes, now.id, viewer, site.settings.time_zone)
    kept = _("What you typed is kept here and not saved yet: look it over and save again.")
    said = f"{who} {kept}"
    return await _page(request, viewer, now, problem=said, typed=given, status=409)


def _changed(
    deal: Deal, given: Mapping[str, str], viewer: Viewer, reader: FieldReader, region: str | None
) -> Deal:
    """The deal as the form says. A title that was shown with a hidden number is changed only when it was typed anew."""
    _need_title(given, reader)
    title = given.get("title", "")
    tags = dict.fromkeys(tag.strip() for tag in given.get("tags", "").split(",") if tag.strip())
    version = given.get("version", "")
    return replace(
        deal,
        title=deal.title if title == say(deal.title, viewer.view) else title,
        amount=reader.read("amount", lambda: read_amount(given.get("amount", ""), region), None),
        owner_id=read_uuid(given.get("owner")),
        tags=tuple(tags)[:TAGS_MOST],
        version=int(version) if version.isascii() and version.isdecimal() and len(version) < 10 else -1,
    )


async def _with_client(site: Site, deal: Deal, chosen: str) -> Deal:
    """Whose it is now: somebody chosen, nobody, or as before."""
    if chosen == "nobody":
        return replace(deal, contact_id=None, company_id=None)
    client_id = read_uuid(chosen)
    client = await site.records.book.one(client_id) if client_id else None
    if client is None:
        return deal
    if client.kind is ClientKind.COMPANY:
        return replace(deal, contact_id=None, company_id=client.id)
    return replace(deal, contact_id=client.id, company_id=client.company_id)


@router.post("/deals/{deal_id:uuid}/move")
async def move(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """To another stage or another place in it."""
    site, given = site_of(request), await fields(request)
    try:
        moved = await _moved(site, deal_id, given, viewer)
    except PeerMistake as mistake:
        if wants_json(request):
            return await refused(request, viewer, mistake)
        said = translate_sentence(mistake)
        return await _page(request, viewer, await deal_or_404(site, deal_id), problem=said)
    if not wants_json(request):
        return RedirectResponse(f"/deals/{deal_id}", 303)
    said = _("“{title}” is in {stage}.").format(title=say(moved.title, viewer.view), stage=moved.stage)
    return JSONResponse(await after(request, viewer, moved, said))


async def _moved(site: Site, deal_id: UUID, given: Mapping[str, str], viewer: Viewer) -> Deal:
    stage_id = read_uuid(given.get("stage"))
    if stage_id is None:
        raise PeerMistake(_("No stage was named."), remedy=_("Choose one."))
    return await site.records.deals.move(
        deal_id,
        stage_id=stage_id,
        before=read_uuid(given.get("before")),
        by=viewer.account.id,
        expected=read_uuid(given.get("expected")),
    )


@router.post("/deals/{deal_id:uuid}/lost")
async def explain_loss(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """Why it was lost."""
    site = site_of(request)
    deal, given = await deal_or_404(site, deal_id), await fields(request)
    try:
        reason, now = given.get("reason", ""), await site.records.deals.loss_reason(deal.id)
        if reason == say(now, viewer.view):
            reason = now  # the numbers in it are hidden from this viewer
        await site.records.deals.set_loss_reason(deal.id, reason)
    except PeerMistake as mistake:
        said = translate_sentence(mistake)
        return await _page(request, viewer, deal, problem=said, typed=given)
    return RedirectResponse(f"/deals/{deal_id}", 303)


@router.post("/deals/{deal_id:uuid}/remove")
async def remove(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """Off every board; the line that says so brings it back."""
    site = site_of(request)
    deal = await deal_or_404(site, deal_id)
    await site.records.deals.remove(deal_id, by=viewer.account.id)
    if wants_json(request):
        return JSONResponse(await after(request, viewer, deal, _("Taken back.")))
    return RedirectResponse("/deals?" + urlencode({"removed": str(deal_id)}), 303)


@router.post("/deals/{deal_id:uuid}/restore")
async def restore(request: Request, deal_id: UUID, _viewer: Anyone) -> Response:
    """As if it had never been removed."""
    await site_of(request).records.deals.restore(deal_id)
    return RedirectResponse(f"/deals/{deal_id}", 303)


@router.post("/deals/{deal_id:uuid}/tasks")
async def add_task(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """Something to do, mine unless it says whose."""
    site, given = site_of(request), await fields(request)
    await deal_or_404(site, deal_id)
    owner = viewer.account.person_id if "owner" not in given else read_uuid(given.get("owner"))
    reader = FieldReader()
    due_at = _read_due(given, reader, site.settings)
    if not given.get("text", "").strip():
        reader.add("text", _("Please write what is to be done."))
    if reader.problems:
        deal = await deal_or_404(site, deal_id)
        return await _page(request, viewer, deal, problems=reader.problems, typed=given)
    task = NewTask(given.get("text", ""), due_at, deal_id=deal_id, owner_id=owner)
    try:
        await site.records.tasks.add(task, by=viewer.account.id)
    except PeerMistake as mistake:
        deal = await deal_or_404(site, deal_id)
        return await _page(request, viewer, deal, problem=translate_sentence(mistake), typed=given)
    return RedirectResponse(f"/deals/{deal_id}#tasks", 303)


def _read_due(given: Mapping[str, str], reader: FieldReader, settings: WebSettings) -> datetime | None:
    zone = settings.time_zone
    day, hour = given.get("due", ""), given.get("at", "")
    if hour.strip() and not day.strip():
        reader.add("due", _("Please write the day too, or empty the hour."))
    today = datetime.now(zone).date()
    on = reader.read("due", lambda: read_due(day, "", zone, settings.region, today=today), None)
    at = reader.read("at", lambda: read_hour(hour) if hour.strip() else None, None)
    return datetime.combine(on.date(), at, tzinfo=zone) if on and at else on


@router.post("/deals/{deal_id:uuid}/notes")
async def add_note(request: Request, deal_id: UUID, viewer: Anyone) -> Response:
    """A note on its timeline, and on its client's."""
    site, given = site_of(request), await fields(request)
    deal = await deal_or_404(site, deal_id)
    if given.get("text", "").strip():
        await site.records.timelines.add_note(
            client_id=deal.contact_id or deal.company_id,
            deal_id=deal_id,
            text=given["text"],
            by=viewer.account.id,
        )
    return RedirectResponse(f"/deals/{deal_id}", 303)


@router.post("/tasks/{task_id:uuid}")
async def change_task(request: Request, task_id: UUID, viewer: Anyone) -> Response:
    """Another text, date or owner; what is not sent along stays as it is."""
    site, given = site_of(request), await fields(request)
    task = await _task_or_404(site, task_id)
    text, reader = given.get("text", task.text), FieldReader()
    due_at = _read_due(given, reader, site.settings) if "due" in given else task.due_at
    if not text.strip():
        reader.add("text", _("Please write what is to be done."))
    if reader.problems and task.deal_id:
        deal = await deal_or_404(site, task.deal_id)
        return await _page(request, viewer, deal, problems=reader.problems)
    if reader.problems:
        raise PeerMistake(reader.problems[0].message)
    changed = replace(
        task,
        text=task.text if text == say(task.text, viewer.view) else text,
        due_at=due_at,
        owner_id=read_uuid(given.get("owner")) if "owner" in given else task.owner_id,
    )
    # Without a mark of what was seen, what the task was when this request came is what its author saw.
    seen = given.get("seen") or task.edit_version
    await site.records.tasks.change(changed, by=viewer.account.id, seen=seen)
    return RedirectResponse(_back(given, task), 303)


@router.post("/tasks/{task_id:uuid}/done")
async def tick(request: Request, task_id: UUID, viewer: Anyone) -> Response:
    """Done, or not done after all. The page it was ticked on says so with a way back."""
    site, given = site_of(request), await fields(request)
    await _task_or_404(site, task_id)
    done = given.get("done") != "no"
    task = await site.records.tasks.done(task_id, done=done, by=viewer.account.id)
    back = _back(given, task)
    if done:
        back += ("&" if urlsplit(back).query else "?") + urlencode({"done": str(task_id)})
    return RedirectResponse(back, 303)


def _back(given: Mapping[str, str], task: Task) -> str:
    if given.get("back"):
        return local_path(given["back"])
    return f"/deals/{task.deal_id}" if task.deal_id else "/deals"


async def _task_or_404(site: Site, task_id: UUID) -> Task:
    task = await site.records.tasks.one(task_id)
    if task is None:
        raise HTTPException(404, _("There is no such task."))
    return task


async def _loss(site: Site, viewer: Viewer, deal: Deal) -> dict[str, Any]:
    """Why it was lost, and what others were."""
    offered = [say(reason, viewer.view) for reason in await site.records.deals.loss_reasons()]
    return {
        "loss_reason": say(await site.records.deals.loss_reason(deal.id), viewer.view),
        "loss_reasons": offered,
    }


async def _page(
    request: Request,
    viewer: Viewer,
    deal: Deal,
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    typed: Mapping[str, str] | None = None,
    status: int = 400,
) -> Response:
    site, now = site_of(request), datetime.now(UTC)
    zone = site.settings.time_zone
    every = await site.records.deals.pipelines(archived=True)
    every_task = await site.records.tasks.of_deal(deal.id)
    tasks = [show_task(task, viewer.view) for task in every_task]
    cursor = request.query_params.get("cursor")
    told = await site.records.timelines.of_deal(deal.id, limit=PAGE, cursor=cursor)
    context: dict[str, Any] = {
        "card": card_of(deal, viewer.view, zone, now, site.settings.region),
        "pipeline": next(one for one in every if one.id == deal.pipeline_id),
        "others": [one for one in every if one.id != deal.pipeline_id and one.archived_at is None],
        "amount": money(deal.amount, None, site.settings.region),
        "since": since_word(deal.stage_since, zone, now),
        "people": await owners(site),
        "todo": [(task, due_of(task, zone, now)) for task in tasks if task.done_at is None],
        "finished": [(task, due_of(task, zone, now)) for task in tasks if task.done_at is not None],
        "versions": {task.id: task.edit_version for task in every_task},
        "local": lambda moment: moment.astimezone(zone),
        "moments": await moments(site, viewer, told, every_task),
        "earlier": f"/deals/{deal.id}?" + urlencode({"cursor": told.older}) if told.older else None,
        "latest": f"/deals/{deal.id}" if cursor else None,
        **(await _loss(site, viewer, deal) if deal.state == "lost" else {}),
        "undo": await undo_of(site, viewer, request.query_params),
        "typed": typed,
        "problem": problem,
        "problems": problems,
    }
    return site.renderer.page(
        request, viewer, "deals/detail.html", status=status if problem or problems else 200, **context
    )
