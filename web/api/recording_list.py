"""API version 1: the list of recordings, for programs that follow what was recorded.

Only recordings that the token's owner may hear are in it; the same query as the page's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, Field

from call_records.recordings.types import Listed, RecordingFilter, RecordingPage
from telephony.call_facts.facts import Direction
from telephony.recordings import HealthFault, RecordingState
from telephony.staff import TokenScope
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.forms.date_bounds import Moment
from web.languages.messages import _
from web.number_search import WHOLE_ONLY, number_to_search
from web.presenters.masking import View, show_name
from web.recordings.permissions import extensions_heard, may_hear, took_part, within
from web.site import site_of

router = APIRouter(prefix="/api/v1", tags=["recordings"])
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.READ_RECORDINGS))]


class Removed(BaseModel):
    """What is left of a recording that was removed."""

    by: str
    at: datetime
    why: str


class ListedRecording(BaseModel):
    """One recording. Times are null until they are known."""

    id: UUID
    call_id: UUID | None = Field(description="Null: belongs to no call that is known.")
    pbx: str
    name: str = Field(description="With the recommended dialplan the Uniqueid of the recorded channel.")
    state: RecordingState
    started_at: datetime | None = Field(description="The moment of the first sample.")
    duration_seconds: float | None
    direction: Direction | None
    extensions: list[str] = Field(description="Those of ours that talked in the call.")
    faults: list[HealthFault] = Field(description="What is wrong with the sound; usually empty.")
    tags: list[str]
    on_hold: bool = Field(description="Under a legal hold: nothing removes it.")
    keep_until: datetime | None = Field(description="When the retention rules remove it; null is never.")
    removed: Removed | None


class RecordingList(BaseModel):
    """One page of recordings, newest first."""

    recordings: list[ListedRecording]
    older: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


@router.get("/recordings", summary="List recordings, newest first", response_model=RecordingList)
async def recordings(
    request: Request,
    viewer: Asking,
    state: Annotated[RecordingState | None, Query(description="Only in this state.")] = None,
    direction: Annotated[Direction | None, Query(description="Only of calls in this direction.")] = None,
    extension: Annotated[
        str | None, Query(max_length=32, description="An extension of ours that talked.")
    ] = None,
    number: Annotated[
        str | None,
        Query(
            min_length=3, max_length=64, description="Any spelling of an outside number, or its last digits."
        ),
    ] = None,
    fault: Annotated[HealthFault | None, Query(description="Only with this fault.")] = None,
    tag: Annotated[str | None, Query(max_length=64, description="Only of calls with this tag.")] = None,
    at_least_seconds: Annotated[float | None, Query(ge=0, description="Only as long or longer.")] = None,
    since: Annotated[Moment | None, Query(description="Recorded at or after; ISO 8601 with offset.")] = None,
    until: Annotated[Moment | None, Query(description="Recorded before; ISO 8601 with offset.")] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Recordings per page.")] = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="`older` of the previous page.")] = None,
) -> RecordingList:
    """Recordings that you may hear, tombstones of removed ones included."""
    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise HTTPException(422, _("since and until need an offset, for example 2026-11-22T09:00:00Z."))
    site = site_of(request)
    if number and number_to_search(site, viewer, number) is None:
        raise HTTPException(422, _(WHOLE_ONLY))
    allowed = extensions_heard(viewer.account, site.hub.names.directory)
    parties = allowed if extension is None else within(frozenset({extension}), allowed)
    wanted = RecordingFilter(
        states=frozenset({state}) if state else None,
        since=since,
        until=until,
        direction=direction,
        parties=parties,
        number=number,
        fault=fault,
        at_least_seconds=at_least_seconds,
        tag=tag,
    )
    page = RecordingPage((), None)
    if parties is None or parties:
        page = await site.records.recordings.page(wanted, limit=limit, cursor=cursor)
    heard = [one for one in page.listed if may_hear(viewer.account, one.call, site.hub.names.directory)]
    tags = await site.records.retention.tags_of_calls([one.call.id for one in heard if one.call])
    return RecordingList(
        recordings=[_told(one, viewer.view, tags.get(one.call.id, ()) if one.call else ()) for one in heard],
        older=page.older,
    )


def _told(listed: Listed, view: View, tags: Sequence[str]) -> ListedRecording:
    recording, call = listed.recording, listed.call
    removal = recording.removal
    return ListedRecording(
        id=recording.id,
        call_id=call.id if call else recording.call_id,
        pbx=recording.pbx,
        name=show_name(recording.name, view),
        state=recording.state,
        started_at=recording.started_at,
        duration_seconds=recording.duration_seconds,
        direction=call.direction if call else None,
        extensions=sorted(took_part(call)) if call else [],
        faults=list(recording.faults),
        tags=list(tags),
        on_hold=recording.hold is not None,
        keep_until=recording.keep_until,
        removed=Removed(by=removal.by, at=removal.at, why=removal.why) if removal else None,
    )
