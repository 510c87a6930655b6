"""What is changed on the People pages: made, edited, merged, converted, noted, moved. Each answers with a page to see it on.

Nothing is asked "Are you sure?": what can be undone says so where it leads to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.crm.types import Client, ClientFilter, Conversion, NewClient, NewTask
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.forms.date_fields import Toward, read_date
from web.forms.field_problems import FieldReader
from web.forms.recent_changes import describe_last_change, note_change
from web.languages.errors import translate_error
from web.languages.messages import _
from web.pages.calls.calls import find_call
from web.pages.contacts.detail import person_page
from web.pages.contacts.dialogs import convert_page, new_page, outside_number
from web.pages.contacts.form import (
    Typed,
    after_conflict,
    again,
    changed_client,
    field_problems,
    new_client,
    read_form,
)
from web.pages.contacts.lookup import found_client, uuid_of, with_numbers
from web.presenters.contacts import Shown, show_client
from web.presenters.money import read_amount
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

REASON_LENGTH = 300  # characters
TASK_LENGTH = 500  # characters


def _to(client_id: UUID, **query: str) -> RedirectResponse:
    """To the page of an entry, saying what was done."""
    return RedirectResponse(f"/people/{client_id}" + (f"?{urlencode(query)}" if query else ""), 303)


_HERE = re.compile(r"/(?:people|deals)/[0-9a-f-]{36}")


def _back(told: Mapping[str, str], client_id: UUID) -> RedirectResponse:
    """To the page on which it was done: the company's or the deal's, where entries of several stand together."""
    here = told.get("here", "")
    return RedirectResponse(here, 303) if _HERE.fullmatch(here) else _to(client_id)


# -- an entry --


@router.post("/people")
async def create(request: Request, viewer: Asking) -> Response:
    """A new entry. Where somebody has such a number already, that is said first."""
    site = site_of(request)
    told = await fields(request)
    typed = read_form(told)
    kind = ClientKind(told["kind"]) if told.get("kind") in list(ClientKind) else ClientKind.CONTACT
    phones = told.get("phones", "").strip()
    if not typed.values["name"] and phones:
        typed = replace(typed, values={**typed.values, "name": phones.splitlines()[0].strip()})
    problem, problems = None, field_problems(typed, site.settings.region)
    if not problems and told.get("sure") != "yes":
        twins = await with_numbers(site, phones, viewer)
        if twins:
            return await new_page(site, request, viewer, told, twins=twins, status=409)
    if not problems:
        try:
            company = None if kind is ClientKind.COMPANY else await _company(site, viewer, typed)
            made = await site.records.book.add(new_client(typed, kind, company), by=viewer.account.id)
        except PeerMistake as error:
            problem = translate_error(error)
        else:
            return _to(made.id, said="made")
    return await new_page(site, request, viewer, told, problem=problem, problems=problems, status=400)


async def _company(site: Site, viewer: Viewer, typed: Typed) -> UUID | None:
    """The company of that name; a new one when there is none."""
    name = typed.values["company"]
    if not name:
        return None
    page = await site.records.book.page(ClientFilter(kind=ClientKind.COMPANY, text=name), limit=20)
    known = next((one for one in page.clients if one.name.casefold() == name.casefold()), None)
    if known is None:
        known = await site.records.book.add(
            NewClient(ClientKind.COMPANY, name, owner_id=viewer.account.person_id), by=viewer.account.id
        )
    return known.id


@router.post("/people/{client_id:uuid}")
async def change(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Store the form. Who was slower than somebody else sees what changed and keeps what they typed."""
    site, client = await found_client(request, client_id)
    typed = read_form(await fields(request))
    shown = show_client(client, viewer.view, site.settings.region)
    problem, problems = None, field_problems(typed, site.settings.region)
    if client.version != typed.version:
        return await _conflict(request, viewer, client, typed, shown)
    if not problems:
        try:
            company = await _company_of(site, viewer, typed, client, shown)
            changed = changed_client(typed, client, shown, company)
            await site.records.book.change(changed, by=viewer.account.id)
        except PeerMistake as error:
            now = await site.records.book.one(client.id)
            if now is not None and now.version != typed.version:
                shown = show_client(now, viewer.view, site.settings.region)
                return await _conflict(request, viewer, now, typed, shown)
            problem = translate_error(error)
        else:
            await note_change(site.records.recent_changes, client.id, viewer)
            return _to(client.id, said="changed")
    form = again(typed, shown)
    return await person_page(
        request, viewer, client, form=form, problem=problem, problems=problems, status=400
    )


async def _company_of(site: Site, viewer: Viewer, typed: Typed, client: Client, shown: Shown) -> UUID | None:
    if client.kind is ClientKind.COMPANY or typed.values["company"] == (shown.client.company or ""):
        return client.company_id
    return await _company(site, viewer, typed)


async def _conflict(request: Request, viewer: Viewer, now: Client, typed: Typed, shown: Shown) -> Response:
    site = site_of(request)
    return await person_page(
        request,
        viewer,
        now,
        form=after_conflict(typed, shown),
        changed_meanwhile=await describe_last_change(
            site.records.recent_changes, now.id, viewer, site.settings.time_zone
        ),
        status=409,
    )


@router.post("/people/{client_id:uuid}/remove")
async def remove(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Out of the book, until somebody says undo."""
    site, client = await found_client(request, client_id)
    await site.records.book.remove(client.id, by=viewer.account.id)
    return RedirectResponse(f"/people?removed={client.id}", 303)


@router.post("/people/{client_id:uuid}/restore")
async def restore(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """In the book again."""
    site, client = await found_client(request, client_id)
    await site.records.book.restore(client.id, by=viewer.account.id)
    return _to(client.id, said="restored")


# -- two that are one --


@router.post("/people/{client_id:uuid}/merge")
async def merge(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Two entries become one; `stays` is which of them."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    other_id, stays = uuid_of(told.get("with")), uuid_of(told.get("stays"))
    if other_id is None or stays not in (client.id, other_id) or other_id == client.id:
        raise PeerMistake(
            _("Nobody was chosen."), remedy=_("Go back and choose who it is to be merged with.")
        )
    absorbed = other_id if stays == client.id else client.id
    merged = await site.records.book.merge(stays, absorbed, by=viewer.account.id)
    return _to(stays, merged=str(merged))


@router.post("/people/{client_id:uuid}/merges/{merge_id:uuid}/undo")
async def undo_merge(request: Request, client_id: UUID, merge_id: UUID, viewer: Asking) -> Response:
    """Two entries again."""
    site, client = await found_client(request, client_id)
    await site.records.book.undo_merge(merge_id, by=viewer.account.id)
    return _to(client.id, said="unmerged")


@router.post("/people/{client_id:uuid}/apart/{other_id:uuid}")
async def keep_apart(request: Request, client_id: UUID, other_id: UUID, viewer: Asking) -> Response:
    """They are two, and not suggested as one again."""
    site, client = await found_client(request, client_id)
    await site.records.book.keep_apart(client.id, other_id, by=viewer.account.id)
    return _to(client.id, apart=str(other_id))


@router.post("/people/{client_id:uuid}/apart/{other_id:uuid}/undo")
async def allow_again(request: Request, client_id: UUID, other_id: UUID, viewer: Asking) -> Response:  # noqa: ARG001
    """They may be one after all."""
    site, client = await found_client(request, client_id)
    await site.records.book.allow_again(client.id, other_id)
    return _to(client.id)


# -- a lead --


@router.post("/people/{client_id:uuid}/convert")
async def convert(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """A contact, and a company and a deal where they are named, in one step."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    shown = show_client(client, viewer.view, site.settings.region)
    name = told.get("name", "").strip()[:300]
    into, deal = uuid_of(told.get("into")), told.get("deal", "").strip()[:300]
    reader = FieldReader()
    amount = reader.read("amount", lambda: read_amount(told.get("amount", ""), site.settings.region), None)
    if reader.problems:
        return await convert_page(site, request, viewer, client, told, problems=reader.problems, status=400)
    try:
        converted = await site.records.book.convert(
            client.id,
            Conversion(
                name=client.name if name in ("", shown.client.name) else name,
                company=told.get("company", "").strip()[:300] or None,
                deal=deal or None,
                stage_id=uuid_of(told.get("stage")) if deal else None,
                amount=amount if deal else None,
                into=into,
            ),
            by=viewer.account.id,
        )
    except PeerMistake as error:
        now = await site.records.book.one(client.id)
        if now is not None and now.became_id is not None:
            return _to(now.became_id)  # a colleague was quicker; what they made is to be gone on with
        return await convert_page(
            site, request, viewer, client, told, problem=translate_error(error), status=400
        )
    return _to(converted.contact_id, said="converted")


@router.post("/people/{client_id:uuid}/reject")
async def reject(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Not worth going on with, and why."""
    site, client = await found_client(request, client_id)
    reason = (await fields(request)).get("reason", "").strip()[:REASON_LENGTH]
    await site.records.book.reject(client.id, reason=reason, by=viewer.account.id)
    return _to(client.id, said="rejected")


@router.post("/people/{client_id:uuid}/reopen")
async def reopen(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Worth it after all."""
    site, client = await found_client(request, client_id)
    await site.records.book.reopen(client.id, by=viewer.account.id)
    return _to(client.id, said="reopened")


# -- what is written and done --


@router.post("/people/{client_id:uuid}/notes")
async def note(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """A note on the timeline."""
    site, client = await found_client(request, client_id)
    text = (await fields(request)).get("text", "").strip()
    if text:
        await site.records.timelines.add_note(
            client_id=client.id, deal_id=None, text=text, by=viewer.account.id
        )
    return _to(client.id)


@router.post("/people/{client_id:uuid}/notes/{entry_id:uuid}")
async def change_note(request: Request, client_id: UUID, entry_id: UUID, viewer: Asking) -> Response:
    """One's own note, in other words; an empty one goes."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    text = told.get("text", "").strip()
    await site.records.timelines.change_note(entry_id, text=text, by=viewer.account.id)
    return _back(told, client.id)


@router.post("/people/{client_id:uuid}/tasks")
async def task(request: Request, client_id: UUID, viewer: Asking) -> Response:
    """Something to do about them."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    text = told.get("text", "").strip()[:TASK_LENGTH]
    reader = FieldReader()
    if not text:
        reader.add("text", _("Please write what is to be done."))
    due_at = reader.read("due", lambda: read_due(site, told.get("due", "")), None)
    if reader.problems:
        return await person_page(request, viewer, client, problems=reader.problems, status=400)
    new = NewTask(
        text,
        due_at=due_at,
        client_id=client.id,
        owner_id=uuid_of(told.get("owner")) or viewer.account.person_id,
    )
    await site.records.tasks.add(new, by=viewer.account.id)
    return _to(client.id, said="task")


DAY_ENDS_AT = 18  # o'clock: a task "for Friday" is late when people go home


def read_due(site: Site, text: str) -> datetime | None:
    """A day on the office's clock; None when nothing was chosen. Raises PeerMistake."""
    if not text.strip():
        return None
    zone = site.settings.time_zone
    today = datetime.now(zone).date()
    day = read_date(text, site.settings.region, today=today, toward=Toward.AHEAD)
    return datetime.combine(day, time(DAY_ENDS_AT), zone).astimezone(UTC)


@router.post("/people/{client_id:uuid}/tasks/{task_id:uuid}")
async def tick(request: Request, client_id: UUID, task_id: UUID, viewer: Asking) -> Response:
    """Done, or open again."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    await site.records.tasks.done(task_id, done=told.get("done") == "yes", by=viewer.account.id)
    return _back(told, client.id)


# -- a call that stands with the wrong one --


@router.post("/people/{client_id:uuid}/calls/{call_id:uuid}/move")
async def move(request: Request, client_id: UUID, call_id: UUID, viewer: Asking) -> Response:
    """To another person, to one of their deals, or to nobody. What it teaches about the number is remembered."""
    site, client = await found_client(request, client_id)
    told = await fields(request)
    call = await find_call(site, call_id)
    if call is None:
        raise HTTPException(404, _("There is no such call."))
    before = (await site.records.timelines.places([call.id])).get(call.id)
    target, deal = await _target(site, client, told.get("to", ""))
    await site.records.timelines.move_call(call.id, client_id=target, deal_id=deal, by=viewer.account.id)
    number = outside_number(call)
    was = before.client_id if before else None
    if told.get("remember") == "yes" and number and target != was:
        await _teach(site, viewer, number, was=was, now=target)
    back = f"deal:{before.deal_id}" if before and before.deal_id else f"client:{was or ''}"
    return _to(client.id, said="moved", call=str(call.id), back=back)


async def _target(site: Site, client: Client, to: str) -> tuple[UUID | None, UUID | None]:
    """The client and the deal that were chosen. Raises PeerMistake when nothing was."""
    kind, _colon, text = to.partition(":")
    chosen = uuid_of(text or to)
    match kind:
        case "nobody":
            return None, None
        case "here":
            return client.id, None
        case "deal" if chosen is not None:
            deal = await site.records.deals.one(chosen)
            if deal is not None:
                return (deal.contact_id or deal.company_id or client.id), deal.id
        case _ if chosen is not None:
            found = await site.records.book.one(chosen)
            if found is not None:
                return found.id, None
    raise PeerMistake(_("Nothing was chosen."), remedy=_("Go back and choose where the call belongs."))


async def _teach(site: Site, viewer: Viewer, number: str, *, was: UUID | None, now: UUID | None) -> None:
    by = viewer.account.id
    if was is not None:
        await site.records.matching.teach(number, client_id=was, right=False, by=by)
    if now is not None:
        await site.records.matching.teach(number, client_id=now, right=True, by=by)
