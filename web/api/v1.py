"""API version 1: calls, one call, the live stream, notes. Our own pages use it too.

A program sends a personal token (`Authorization: Bearer …`, made under My settings); our pages send their
cookie, and with every change the CSRF token. Every call is told as call facts, version 1.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from ami_bridge.capture.kept_lines import as_capture
from ami_bridge.capture.redaction import Redactor
from call_records.types import CallFilter
from telephony.call_facts.facts import Direction, Disposition, iso
from telephony.staff import TokenScope
from web.api.recordings import recording_list
from web.auth.access import ANYONE_SIGNED_IN, SUPERVISORS, Viewer, guard
from web.clients_of_calls import names_for
from web.forms.date_bounds import Moment
from web.languages.messages import _
from web.live import Flavour
from web.number_search import WHOLE_ONLY, number_to_search
from web.pages.calls.calls import find_call, last_conversation
from web.presenters.call_story import tell
from web.presenters.masking import show
from web.site import site_of

NOTE_MOST = 10_000  # characters; about three pages

router = APIRouter(prefix="/api/v1", tags=["calls"])
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.READ_CALLS))]
Writing = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.WRITE_CALLS))]


class CallList(BaseModel):
    """One page of calls, newest first."""

    calls: list[dict[str, Any]] = Field(description="Call facts, version 1.")
    older: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class NoteText(BaseModel):
    """A note to store."""

    text: str = Field(max_length=NOTE_MOST, description="The whole note; an empty one removes it.")


class StoredNote(BaseModel):
    """A note as it is kept."""

    call_id: UUID
    author: str
    text: str
    updated_at: datetime


@router.get("/openapi.json", include_in_schema=False)
async def description(request: Request, _viewer: Asking) -> JSONResponse:
    """What the API can do, for programs that make programs. Not for strangers: it lists what there is to try."""
    return JSONResponse(request.app.openapi())


@router.get("/calls", summary="List calls, newest first", response_model=CallList)
async def calls(
    request: Request,
    viewer: Asking,
    direction: Annotated[Direction | None, Query(description="Only this direction.")] = None,
    disposition: Annotated[Disposition | None, Query(description="Only this outcome.")] = None,
    party: Annotated[
        str | None, Query(max_length=32, description="An extension of ours that took part.")
    ] = None,
    number: Annotated[
        str | None, Query(max_length=64, description="Any spelling of an outside number, or its last digits.")
    ] = None,
    since: Annotated[Moment | None, Query(description="Started at or after; ISO 8601 with offset.")] = None,
    until: Annotated[Moment | None, Query(description="Started before; ISO 8601 with offset.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Calls per page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`older` of the previous page.")] = None,
) -> CallList:
    """Ended and live calls with the given filters."""
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise HTTPException(422, _("since and until need an offset, for example 2026-11-22T09:00:00Z."))
    if number and number_to_search(site_of(request), viewer, number) is None:
        raise HTTPException(422, _(WHOLE_ONLY))
    wanted = CallFilter(direction, disposition, party, number, since, until)
    page = await site_of(request).records.calls.page(wanted, limit=limit, cursor=cursor)
    return CallList(calls=[show(facts, viewer.view).as_json() for facts in page.calls], older=page.older)


@router.get("/calls/{call_id:uuid}", summary="One call")
async def call(request: Request, call_id: UUID, viewer: Asking) -> JSONResponse:
    """Call facts, version 1, and `story`: the same in sentences, as the call's page tells them (`at`, `text`).
    `recording_list` has its recordings, for who may hear them.

    The id of a merged call gives the call it became part of: compare `id`.
    """
    site = site_of(request)
    facts = await find_call(site, call_id)
    if facts is None:
        raise HTTPException(404, _("There is no call with this id."))
    shown = show(facts, viewer.view)
    names = await names_for(site.records, site.hub.names, [facts], viewer.view)
    story = [{"at": iso(sentence.at), "text": sentence.plain} for sentence in tell(shown, names)]
    more = {"story": story, "recording_list": await recording_list(site, viewer, facts)}
    return JSONResponse(shown.as_json() | more)


@router.put("/calls/{call_id:uuid}/note", summary="Write my note on a call", response_model=StoredNote)
async def write_note(request: Request, call_id: UUID, note: NoteText, viewer: Writing) -> StoredNote:
    """Store the note of the token's owner. One note per call and author; repeating it changes nothing."""
    site = site_of(request)
    if await find_call(site, call_id) is None:
        raise HTTPException(404, _("There is no call with this id."))
    text = note.text.replace("\0", "")
    kept = await site.records.notes.save(call_id=call_id, account_id=viewer.account.id, text=text)
    return StoredNote(call_id=kept.call_id, author=kept.author, text=kept.text, updated_at=kept.updated_at)


@router.get(
    "/calls/{call_id:uuid}/capture",
    dependencies=[Depends(guard(SUPERVISORS, scope=TokenScope.READ_CALLS))],
    summary="What the PBX said of a call, to go with a report",
    response_class=Response,
    responses={
        200: {"content": {"application/jsonl": {}}, "description": "A capture for `switchhook replay`."}
    },
)
async def capture(request: Request, call_id: UUID) -> Response:
    """The messages kept behind the call and its consultations, numbers and names replaced, as JSON lines."""
    site = site_of(request)
    if await find_call(site, call_id) is None:
        raise HTTPException(404, _("There is no call with this id."))
    family = await site.records.traces.family(call_id)
    lines = [line for member in family for line in await site.records.traces.trace_of(member)]
    if not lines:
        raise HTTPException(404, _("The messages behind this call are no longer kept."))
    headers = {
        "Content-Disposition": f'attachment; filename="call-{call_id}.jsonl"',
        "Cache-Control": "no-store",
    }
    text = "".join(as_capture(lines, Redactor()))
    return Response(text, media_type="application/jsonl", headers=headers)


@router.get("/calls/{call_id:uuid}/card", include_in_schema=False)
async def card(request: Request, call_id: UUID, viewer: Asking) -> dict[str, Any]:
    """What a card fills in after it opened: the last conversation and my note. Ours; may change any time."""
    site = site_of(request)
    facts = await find_call(site, call_id)
    if facts is None:
        return {"last": None, "note": ""}
    notes = await site.records.notes.of_call(call_id)
    mine = next((note.text for note in notes if note.account_id == viewer.account.id), "")
    return {"last": await last_conversation(site, facts, site.hub.names, viewer), "note": mine}


@router.get(
    "/live",
    summary="The calls of this moment, as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "A stream that stays open."}},
)
async def live(
    request: Request,
    viewer: Asking,
    view: Annotated[
        Flavour, Query(description="`facts` for programs; `page` is for our own pages.")
    ] = Flavour.FACTS,
) -> StreamingResponse:
    """First `snapshot` with everything; then `call`, `gone`, `card`, `card_closed`, `link`, `beat`.

    `bye` announces the end: `signed_out`, `slow` (connect again), `changed` (connect again), `too_many` (another 20
    streams of this account are open) or `restart`.
    """
    site = site_of(request)

    async def still_allowed() -> object:
        now = await site.gate.by_bearer(request) or await site.gate.by_cookie(request)
        return None if now is None or now.must_change_password else now

    async def stream() -> AsyncIterator[bytes]:
        async for chunk in site.hub.chunks(viewer, view, still_allowed):
            yield chunk

    site.hub.check_room(viewer)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)
