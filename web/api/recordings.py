"""API version 1, recordings: what there is of a call, its sound, comments, links, and covering a part.

Our own player uses it too. The same rights and the same log as on the pages: `web.recordings.permissions` decides.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from call_records.recordings.types import Comment, Recording, ShareLink
from telephony.call_facts.facts import CallFacts, iso
from telephony.errors import NeedsPerson, PeerMistake, TryLater
from telephony.recordings import AuditAction, RecordingRight
from telephony.staff import TokenScope
from web.auth.access import ANYONE_SIGNED_IN, NotAllowed, Viewer, guard, new_token
from web.languages.messages import _
from web.pages.recordings.player import answer_sound, may_pause, name_of_thing, nothing_to_hear
from web.presenters.masking import show
from web.presenters.player import playable
from web.recordings.listening_audit import listening_of, take_reason
from web.recordings.permissions import Heard, heard, may_hear, note_use
from web.recordings.uncovering import EDIT_SECONDS, uncover
from web.site import Site, site_of

router = APIRouter(prefix="/api/v1", tags=["recordings"])
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.READ_RECORDINGS))]
Writing = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.WRITE_RECORDINGS))]
Steering = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN, scope=TokenScope.WRITE_CALLS))]

COMMENT_MOST = 2000  # characters; a paragraph, longer thoughts are a note on the call
SPAN_LEAST = 0.2  # s; shorter is a slip of the mouse
SPAN_SLACK = 0.5  # s a span may end after the recording: peaks and containers round differently
PBX_SECONDS = 5.0  # the phone system answers within milliseconds or not at all


class RecordingList(BaseModel):
    """The recordings of a call."""

    recordings: list[dict[str, Any]]


class NewComment(BaseModel):
    """What is said about a moment."""

    at_seconds: float = Field(ge=0, description="Seconds from the beginning of the recording.")
    text: str = Field(min_length=1, max_length=COMMENT_MOST)


class CommentText(BaseModel):
    """Its new text."""

    text: str = Field(max_length=COMMENT_MOST, description="An empty one removes the comment.")


class NewLink(BaseModel):
    """What to share and for how long."""

    from_seconds: float | None = Field(default=None, ge=0, description="Null shares the whole recording.")
    to_seconds: float | None = Field(default=None, ge=0)
    days: int = Field(ge=1, description="The policy has a maximum.")
    purpose: Literal["share", "crm"] = Field(
        default="share", description="`crm` for the link a CRM is given."
    )


class NewRedaction(BaseModel):
    """What to cover."""

    from_seconds: float = Field(ge=0)
    to_seconds: float = Field(ge=0)
    typed: str = Field(
        default="", max_length=300, description="The client's name, where the original is destroyed."
    )


class Reason(BaseModel):
    """Why somebody wants to hear a call that is not their own."""

    reason: str = Field(max_length=1000)
    listening: str | None = None


def told_recording(recording: Recording) -> dict[str, Any]:
    """A recording as programs are told of it."""
    return {
        "id": str(recording.id),
        "state": recording.state.value,
        "reason": recording.reason,
        "started_at": iso(recording.started_at) if recording.started_at else None,
        "duration_seconds": recording.duration_seconds,
        "layout": recording.layout.value if recording.layout else None,
        "people": _people(recording),
        "faults": [fault.value for fault in recording.faults],
        "audio": f"/api/v1/recordings/{recording.id}/audio" if playable(recording) else None,
    }


def _people(recording: Recording) -> list[dict[str, Any]]:
    """How much each of ours talked, where everybody has a track of their own."""
    people = recording.measures.people if recording.measures else ()
    return [{"party": one.party or None, "talk_share": round(one.talk_share, 3)} for one in people]


async def recording_list(site: Site, viewer: Viewer, facts: CallFacts) -> list[dict[str, Any]]:
    """The recordings of a call; none for who may not hear it."""
    if not may_hear(viewer.account, facts, site.hub.names.directory):
        return []
    return [told_recording(one) for one in await site.records.recordings.of_call(facts.id)]


@router.get("/recordings/{recording_id:uuid}", summary="One recording")
async def one(request: Request, recording_id: UUID, viewer: Asking) -> JSONResponse:
    """Its state, length and sides; `audio` is null until there is something to hear."""
    found = await heard(site_of(request), request, viewer, recording_id)
    call_id = str(found.call.id) if found.call else None
    return JSONResponse(told_recording(found.recording) | {"call_id": call_id})


@router.api_route(
    "/recordings/{recording_id:uuid}/audio",
    methods=["GET"],
    summary="The sound of a recording",
    response_class=Response,
    responses={
        200: {"content": {"audio/mp4": {}, "audio/mpeg": {}}, "description": "The whole sound."},
        206: {"content": {"audio/mp4": {}}, "description": "The range that was asked for."},
        410: {"description": "It was removed."},
        416: {"description": "The range lies outside of it."},
    },
)
async def sound(
    request: Request,
    recording_id: UUID,
    viewer: Asking,
    as_: Annotated[
        str | None,
        Query(
            alias="as", pattern="^(download|mp3)$", description="As a file; `mp3` for what cannot play MP4."
        ),
    ] = None,
    original: Annotated[bool, Query(description="What a redaction covered, where it was kept.")] = False,
    listening: Annotated[
        str | None, Query(max_length=64, description="Any id; one line in the log for each.")
    ] = None,
) -> Response:
    """Opus in MP4, two sides, left the outside party. `Range` is answered. `X-Reason` where the policy wants one."""
    return await answer_sound(request, viewer, recording_id, as_, original=original, listening=listening)


@router.post("/recordings/{recording_id:uuid}/reason", status_code=204, include_in_schema=False)
async def reason(request: Request, recording_id: UUID, told: Reason, viewer: Asking) -> Response:
    """Say why, before the first sound."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id)
    text = told.reason.replace("\0", "")
    await take_reason(site, request, viewer, found.recording, listening_of(told.listening), text)
    return Response(status_code=204)


# -- comments --


def _told_comment(comment: Comment) -> dict[str, Any]:
    return {
        "id": str(comment.id),
        "author": comment.author,
        "at_seconds": round(comment.at_seconds, 2),
        "text": comment.text,
        "written_at": iso(comment.written_at),
    }


@router.get("/recordings/{recording_id:uuid}/comments", summary="What was said about a recording")
async def comments(request: Request, recording_id: UUID, viewer: Asking) -> JSONResponse:
    """In order of the moments they belong to."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id)
    kept = await site.records.comments.of_recording(found.recording.id)
    return JSONResponse({"comments": [_told_comment(comment) for comment in kept]})


@router.post(
    "/recordings/{recording_id:uuid}/comments", summary="Say something about a moment", status_code=201
)
async def comment(request: Request, recording_id: UUID, new: NewComment, viewer: Writing) -> JSONResponse:
    """Everybody who may hear the recording may read it."""
    site = site_of(request)
    found = await _ready(site, request, viewer, recording_id)
    at = min(new.at_seconds, found.recording.duration_seconds or 0.0)
    text = new.text.replace("\0", "").strip()
    if not text:
        raise PeerMistake(_("A comment needs a word or two."))
    await note_use(
        site, request, viewer, AuditAction.COMMENTED, found.recording, details={"at_seconds": round(at, 1)}
    )
    kept = await site.records.comments.add(
        recording_id=found.recording.id, account_id=viewer.account.id, at_seconds=at, text=text
    )
    return JSONResponse(_told_comment(kept), 201)


@router.put("/recordings/{recording_id:uuid}/comments/{comment_id:uuid}", summary="Change what I said")
async def change_comment(
    request: Request, recording_id: UUID, comment_id: UUID, new: CommentText, viewer: Writing
) -> JSONResponse:
    """Only its author can; an empty text removes it."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id)
    if all(kept.id != comment_id for kept in await site.records.comments.of_recording(found.recording.id)):
        raise HTTPException(404, _("There is no such comment."))
    text = new.text.replace("\0", "").strip()
    details = {"comment": str(comment_id), "removed": not text}
    await note_use(site, request, viewer, AuditAction.COMMENTED, found.recording, details=details)
    kept = await site.records.comments.change(comment_id, account_id=viewer.account.id, text=text)
    if kept is None:
        raise NotAllowed(_("Only who wrote a comment can change it."))
    return JSONResponse(_told_comment(kept))


# -- links --


def _told_link(link: ShareLink) -> dict[str, Any]:
    return {
        "id": str(link.id),
        "from_seconds": link.from_seconds,
        "to_seconds": link.to_seconds,
        "purpose": link.purpose,
        "made_by": link.made_by,
        "made_at": iso(link.made_at),
        "expires_at": iso(link.expires_at),
        "revoked_at": iso(link.revoked_at) if link.revoked_at else None,
        "opened": link.opened,
    }


@router.get("/recordings/{recording_id:uuid}/links", summary="The links that lead to a recording")
async def links(request: Request, recording_id: UUID, viewer: Asking) -> JSONResponse:
    """Also those that have expired or were ended."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id, RecordingRight.SHARE)
    kept = await site.records.links.of_recording(found.recording.id)
    return JSONResponse({"links": [_told_link(link) for link in kept]})


@router.post(
    "/recordings/{recording_id:uuid}/links", summary="Share a recording or a part of it", status_code=201
)
async def share(request: Request, recording_id: UUID, new: NewLink, viewer: Writing) -> JSONResponse:
    """An address that whoever has it can listen at until it expires. It is told once: only its hash is kept."""
    site = site_of(request)
    found = await _ready(site, request, viewer, recording_id, RecordingRight.SHARE)
    since, until = _span(new.from_seconds, new.to_seconds, found.recording)
    most = (await site.records.retention.policy()).link_days_most
    if new.days > most:
        raise PeerMistake(_("A link may live for {days} days at most.").format(days=most))
    expires_at = datetime.now(UTC) + timedelta(days=new.days)
    details = {"from": since, "to": until, "until": iso(expires_at)}
    await note_use(site, request, viewer, AuditAction.SHARED, found.recording, details=details)
    token, hashed = new_token()
    link = await site.records.links.make(
        recording_id=found.recording.id,
        token_hash=hashed,
        from_seconds=since,
        to_seconds=until,
        made_by=viewer.account.id,
        expires_at=expires_at,
        purpose=new.purpose,
    )
    if since is not None and until is not None:
        await _cut(site, link, since, until)
    home = site.settings.public_url or str(request.base_url)
    return JSONResponse(_told_link(link) | {"address": f"{home.rstrip('/')}/listen/{token}"}, 201)


async def _cut(site: Site, link: ShareLink, since: float, until: float) -> None:
    """Make the clip; a link without one must not stay."""
    try:
        async with asyncio.timeout(EDIT_SECONDS):
            await site.records.editor.clip(link.recording_id, since, until, link.id)
    except BaseException as trouble:
        await site.records.links.revoke(link.id)
        if isinstance(trouble, TimeoutError):
            raise _too_long() from trouble
        raise


def _too_long() -> TryLater:
    return TryLater(
        _("The sound is not cut yet; the machine is busy."), remedy=_("Try again in a few minutes.")
    )


@router.delete("/recordings/{recording_id:uuid}/links/{link_id:uuid}", summary="End a link", status_code=204)
async def revoke(request: Request, recording_id: UUID, link_id: UUID, viewer: Writing) -> Response:
    """From now on it leads nowhere."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id, RecordingRight.SHARE)
    if all(link.id != link_id for link in await site.records.links.of_recording(found.recording.id)):
        raise HTTPException(404, _("There is no such link."))
    details = {"link": str(link_id)}
    await note_use(site, request, viewer, AuditAction.LINK_REVOKED, found.recording, details=details)
    await site.records.links.revoke(link_id)
    return Response(status_code=204)


# -- covering --


@router.post(
    "/recordings/{recording_id:uuid}/redactions", summary="Cover a part with a tone", status_code=201
)
async def redact(request: Request, recording_id: UUID, new: NewRedaction, viewer: Writing) -> JSONResponse:
    """Both sides: the policy says whether the original is kept for those with the right or destroyed for good.

    Where it is destroyed, `typed` has to be the client's name as the call's page shows it.
    """
    site = site_of(request)
    found = await _ready(site, request, viewer, recording_id, RecordingRight.REDACT)
    since, until = _span(new.from_seconds, new.to_seconds, found.recording)
    if since is None or until is None:
        raise PeerMistake(_("Say from when to when."))
    destroys = (await site.records.retention.policy()).destroy_redacted_original
    if destroys:
        await _require_typed(site, viewer, found, new.typed)
    details = {"from": since, "to": until, "original": "destroyed" if destroys else "kept"}
    await note_use(site, request, viewer, AuditAction.REDACTED, found.recording, details=details)
    try:
        async with asyncio.timeout(EDIT_SECONDS):
            await site.records.editor.redact(
                found.recording.id, since, until, by=viewer.account.name, by_account=viewer.account.id
            )
    except TimeoutError as late:
        raise _too_long() from late
    made = await _newest_redaction(site, viewer, found.recording.id, since, until)
    told = {"from_seconds": since, "to_seconds": until, "original": details["original"]}
    return JSONResponse(told | {"id": str(made) if made else None}, 201)


async def _newest_redaction(
    site: Site, viewer: Viewer, recording_id: UUID, since: float, until: float
) -> UUID | None:
    """The one this viewer just made; None when somebody uncovered it meanwhile."""
    now = await site.records.recordings.one(recording_id)
    mine = [
        one
        for one in (now.redactions if now else ())
        if one.by_account == viewer.account.id and one.from_seconds <= since and until <= one.to_seconds
    ]
    return max(mine, key=lambda one: one.at).id if mine else None


@router.delete(
    "/recordings/{recording_id:uuid}/redactions/{redaction_id:uuid}",
    summary="Uncover a part",
    status_code=204,
)
async def lift_redaction(
    request: Request, recording_id: UUID, redaction_id: UUID, viewer: Writing
) -> Response:
    """What was said there is heard again. Where the policy had it destroyed, it is refused."""
    await uncover(site_of(request), request, viewer, recording_id, redaction_id)
    return Response(status_code=204)


async def _require_typed(site: Site, viewer: Viewer, found: Heard, typed: str) -> None:
    seen = show(found.call, viewer.view) if found.call else None
    thing = await name_of_thing(site, viewer, seen, [found.recording])
    if " ".join(typed.split()).casefold() != " ".join(thing.split()).casefold():
        raise PeerMistake(
            _("The original is destroyed for good, so “{thing}” has to be typed first.").format(thing=thing)
        )


# -- while the call lasts --


@router.post("/calls/{call_id:uuid}/recording/pause", summary="Stop recording for a moment", status_code=204)
async def pause(request: Request, call_id: UUID, viewer: Steering) -> Response:
    """For card data: exact silence in the recording until it goes on. For those in the call, and supervisors."""
    return await _steer(request, call_id, viewer, AuditAction.PAUSED)


@router.post("/calls/{call_id:uuid}/recording/resume", summary="Go on recording", status_code=204)
async def resume(request: Request, call_id: UUID, viewer: Steering) -> Response:
    """The end of a pause."""
    return await _steer(request, call_id, viewer, AuditAction.RESUMED)


async def _steer(request: Request, call_id: UUID, viewer: Viewer, action: AuditAction) -> Response:
    site = site_of(request)
    facts = next((facts for facts in site.live.calls() if facts.id == call_id), None)
    if facts is None or not may_pause(viewer, facts):
        raise HTTPException(404, _("There is no such call going on, or you are not in it."))
    control = site.control
    if control is None:
        raise NeedsPerson(
            _("Recordings cannot be paused from here."),
            remedy=_("An administrator can allow it for the phone system under Connections."),
        )
    await note_use(site, request, viewer, action, None, call_id=call_id)
    try:
        async with asyncio.timeout(PBX_SECONDS):
            if action is AuditAction.PAUSED:
                await control.pause(call_id)
            else:
                await control.resume(call_id)
    except TimeoutError as late:
        raise TryLater(
            _("The phone system does not answer; it is not certain whether it still records.")
        ) from late
    return Response(status_code=204)


# -- common --


async def _ready(
    site: Site, request: Request, viewer: Viewer, recording_id: UUID, *rights: RecordingRight
) -> Heard:
    found = await heard(site, request, viewer, recording_id, *rights)
    if not playable(found.recording):
        raise nothing_to_hear(found.recording)
    return found


def _span(
    since: float | None, until: float | None, recording: Recording
) -> tuple[float, float] | tuple[None, None]:
    """The span, ended with the recording; (None, None) for the whole. Raises PeerMistake for one that is none."""
    if since is None and until is None:
        return None, None
    length = recording.duration_seconds or 0.0
    begin = since if since is not None else 0.0
    end = until if until is not None else length
    if end > length + SPAN_SLACK or min(end, length) - begin < SPAN_LEAST:
        raise PeerMistake(_("The part has to begin before it ends, and to lie within the recording."))
    return round(begin, 2), round(min(end, length), 2)
