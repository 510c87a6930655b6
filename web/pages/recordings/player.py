"""The player: its piece of the call page, its drawer for lists, and the sound itself.

Who may hear is decided in `web.recordings.permissions`; what is heard is written down in
`web.recordings.listening_audit` before the first byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from call_records.recordings.types import Recording
from telephony.call_facts.facts import CallFacts, PartyKind
from telephony.errors import PeerMistake, TryLater
from telephony.recordings import AuditAction, RecordingRight, RecordingState
from telephony.staff import Role
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.clients_of_calls import names_for
from web.http import audio
from web.languages.messages import _
from web.presenters.call_diagram import span_seconds
from web.presenters.labels import Named, Names
from web.presenters.masking import show, show_name
from web.presenters.player import Material, own_axis, playable, show_player
from web.presenters.waveform import Axis
from web.recordings.listening_audit import begin, listening_of, reason_wanted
from web.recordings.permissions import Heard, heard, may_hear, note_use
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

STORAGE_SECONDS = (
    15.0  # for the first bytes; an S3 far away answers within 1 s, a browser gives up after a minute
)
CONVERT_SECONDS = 120.0  # an hour's call to MP3 takes some 20 s in a worker that may be busy with another
HEARD_MOST = 24 * 3600.0  # s in one report; more is a clock gone wrong
SPEEDS = (0.75, 1, 1.25, 1.5, 1.75, 2)
LINK_DAYS = (1, 3, 7, 14, 30, 90)


# -- for pages --


async def player_of_call(
    site: Site, viewer: Viewer, facts: CallFacts, seen: CallFacts, now: datetime
) -> dict[str, Any]:
    """What the call page shows under its picture. `seen` is the call as this viewer may see it."""
    recordings = await site.records.recordings.of_call(facts.id)
    if recordings and not may_hear(viewer.account, facts, site.hub.names.directory):
        return {"player": None, "not_heard": True}
    axis = Axis(facts.started_at, span_seconds(facts, now))
    return await _context(site, viewer, facts, seen, recordings, axis) | {
        "not_heard": False,
        "refresh": f"/calls/{facts.id}",
    }


async def player_alone(site: Site, viewer: Viewer, facts: CallFacts, seen: CallFacts) -> dict[str, Any]:
    """The player of a call on a page without the call's picture; the caller has seen to it that they may hear it."""
    recordings = await site.records.recordings.of_call(facts.id)
    ready = [one for one in recordings if playable(one)]
    axis = own_axis(ready, seen) if ready else Axis(facts.started_at, 1.0)
    refresh = f"/recordings/{ready[0].id}/player" if ready else ""
    return await _context(site, viewer, facts, seen, recordings, axis) | {"refresh": refresh}


async def playable_of_calls(
    site: Site, viewer: Viewer, calls: Sequence[CallFacts]
) -> Mapping[UUID, Recording | None]:
    """For a list: of each call the recording its play button plays; None where recordings are still on their way.

    One query for the page; calls that this viewer may not hear are left out.
    """
    directory = site.hub.names.directory
    mine = [facts.id for facts in calls if may_hear(viewer.account, facts, directory)]
    if not mine:
        return {}
    found = await site.records.recordings.of_calls(mine)
    return {
        call_id: next((one for one in recordings if playable(one)), None)
        for call_id, recordings in found.items()
        if any(playable(one) or one.state in _ON_ITS_WAY for one in recordings)
    }


_ON_ITS_WAY = frozenset({RecordingState.EXPECTED, RecordingState.ARRIVED})


async def _context(
    site: Site,
    viewer: Viewer,
    facts: CallFacts | None,
    seen: CallFacts | None,
    recordings: Sequence[Recording],
    axis: Axis,
) -> dict[str, Any]:
    """What the templates of the player need."""
    records, rights = site.records, viewer.account.recording_rights
    ready = [one for one in recordings if playable(one)]
    peaks = {one.id: await records.recordings.peaks(one.id) for one in ready}
    material = Material(
        recordings,
        {one: found for one, found in peaks.items() if found},
        {one.id: await records.comments.of_recording(one.id) for one in ready},
    )
    policy = await records.retention.policy()
    names = await names_for(records, site.hub.names, [facts] if facts else [], viewer.view)
    return {
        "player": show_player(material, seen, names, axis),
        "wants_reason": {one.id for one in ready if await reason_wanted(site, viewer, one, facts)},
        "may": {right.value: right in rights for right in RecordingRight},
        "me": viewer.account.id,
        "link_days": [days for days in LINK_DAYS if days < policy.link_days_most] + [policy.link_days_most],
        "destroys": policy.destroy_redacted_original,
        "thing": _thing(names, viewer, seen, ready),
        "speeds": SPEEDS,
    }


async def name_of_thing(
    site: Site, viewer: Viewer, seen: CallFacts | None, recordings: Sequence[Recording]
) -> str:
    """What is typed before something of a recording is destroyed for good: the client's name as the page shows it."""
    names = await names_for(site.records, site.hub.names, [seen] if seen else [], viewer.view)
    return _thing(names, viewer, seen, recordings)


def _thing(names: Names, viewer: Viewer, seen: CallFacts | None, recordings: Sequence[Recording]) -> str:
    if seen is not None:
        return names.client(seen).first
    return show_name(recordings[0].name, viewer.view) if recordings else ""


def may_pause(viewer: Viewer, facts: CallFacts) -> bool:
    """Whether they may pause what is recorded of this live call: who is in it, and supervisors."""
    in_it = any(
        leg.kind is PartyKind.EXTENSION and leg.ended_at is None and leg.party in viewer.account.extensions
        for leg in facts.legs
    )
    return in_it or viewer.account.role is Role.SUPERVISOR


# -- the drawer --


@router.get("/recordings/{recording_id:uuid}/player")
async def drawer(request: Request, recording_id: UUID, viewer: Asking) -> HTMLResponse:
    """The player of a recording and the others of its call, to be put into a list's page."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id)
    if not playable(found.recording):
        raise nothing_to_hear(found.recording)
    facts = found.call
    seen = show(facts, viewer.view) if facts else None
    recordings = await site.records.recordings.of_call(facts.id) if facts else [found.recording]
    context = await _context(site, viewer, facts, seen, recordings, own_axis(recordings, seen))
    names = await names_for(site.records, site.hub.names, [facts] if facts else [], viewer.view)
    client = names.client(seen) if seen else Named(show_name(found.recording.name, viewer.view), None)
    html = site.renderer.part(
        "parts/player_drawer.html",
        call=seen,
        client=client,
        first=found.recording.id,
        refresh=f"/recordings/{recording_id}/player",
        **context,
    )
    return HTMLResponse(html)


@router.get("/recordings/{recording_id:uuid}/links")
async def links(request: Request, recording_id: UUID, viewer: Asking) -> HTMLResponse:
    """The links that lead to a recording, each with a way to end it."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id, RecordingRight.SHARE)
    kept = await site.records.links.of_recording(found.recording.id)
    return HTMLResponse(
        site.renderer.part(
            "parts/player_links.html", links=kept, recording=found.recording, now=datetime.now(UTC)
        )
    )


# -- the sound --


@router.api_route("/recordings/{recording_id:uuid}/audio", methods=["GET", "HEAD"])
async def sound(
    request: Request,
    recording_id: UUID,
    viewer: Asking,
    as_: Annotated[str | None, Query(alias="as", pattern="^(download|mp3)$")] = None,
    original: bool = False,
    listening: str | None = None,
) -> Response:
    """The sound of a recording."""
    return await answer_sound(request, viewer, recording_id, as_, original=original, listening=listening)


async def answer_sound(
    request: Request,
    viewer: Viewer,
    recording_id: UUID,
    as_: str | None,
    *,
    original: bool,
    listening: str | None,
) -> Response:
    """The sound, for pages and programs alike: rights, then the reason, then the line in the log, then bytes."""
    site = site_of(request)
    if as_ == "mp3" and original:
        raise PeerMistake(
            _("The original cannot be had as MP3."), remedy=_("Take it as it is: leave out as=mp3.")
        )
    rights = [RecordingRight.DOWNLOAD] if as_ else []
    rights += [RecordingRight.HEAR_ORIGINAL] if original else []
    found = await heard(site, request, viewer, recording_id, *rights)
    recording = found.recording
    if not playable(recording):
        raise nothing_to_hear(recording)
    use_original = original and recording.has_original
    async with _patience(STORAGE_SECONDS):
        size = await site.records.shelf.size(recording.id, original=use_original)
    if not size:
        raise HTTPException(404, _("The sound of this recording is not in the storage."))
    if request.method != "HEAD":
        await _write_down(site, request, viewer, found, as_, listening_of(listening), original=use_original)
    if as_ == "mp3":
        return await _mp3(site, request, recording)
    kind = "attachment" if as_ else "inline"
    disposition = f'{kind}; filename="{file_name(recording)}.m4a"'
    async with _patience(STORAGE_SECONDS):
        return await audio.answer(
            request, site.records.shelf, recording, size, original=use_original, disposition=disposition
        )


async def _write_down(
    site: Site,
    request: Request,
    viewer: Viewer,
    found: Heard,
    as_: str | None,
    listening: str,
    *,
    original: bool,
) -> None:
    await begin(site, request, viewer, found, listening + (" original" if original else ""))
    if as_:
        details = {"as": "mp3" if as_ == "mp3" else "m4a", "original": original}
        await note_use(site, request, viewer, AuditAction.DOWNLOADED, found.recording, details=details)


async def _mp3(site: Site, request: Request, recording: Recording) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name(recording)}.mp3"',
        "Cache-Control": audio.KEPT_NOWHERE,
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type="audio/mpeg")
    async with _patience(CONVERT_SECONDS):
        content = await site.records.editor.as_mp3(recording.id)
    return Response(content, headers=headers, media_type="audio/mpeg")


@contextlib.asynccontextmanager
async def _patience(seconds: float) -> AsyncIterator[None]:
    """Wait so long for the storage or the audio worker, then say so."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as late:
        raise TryLater(
            _("The sound does not come from the storage just now."), remedy=_("Try again in a minute.")
        ) from late


def nothing_to_hear(recording: Recording) -> HTTPException:
    """A recording they may know of, without sound: 410 when it was removed, 404 when it is not ready."""
    if recording.state is RecordingState.REMOVED:
        return HTTPException(410, _("This recording was removed."))
    return HTTPException(404, _("This recording cannot be heard yet."))


def file_name(recording: Recording) -> str:
    """What a saved file is called: the moment, never a number or a name, which would travel with it."""
    at = recording.started_at or recording.ready_at
    moment = at.strftime("%Y%m%d-%H%M%S") if at else "unknown"
    return f"recording-{moment}-{str(recording.id)[-6:]}"


# -- what was heard --


@router.post("/recordings/{recording_id:uuid}/heard")
async def was_heard(request: Request, recording_id: UUID, viewer: Asking) -> Response:
    """So many seconds were played; sent by the player, by a page that is closing too."""
    site = site_of(request)
    found = await heard(site, request, viewer, recording_id)
    told = await fields(request)
    try:
        seconds = float(told.get("seconds", ""))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= HEARD_MOST:
        raise HTTPException(422, _("The seconds that were heard are a number above 0."))
    details = {"original": True} if told.get("original") else {}
    await note_use(
        site, request, viewer, AuditAction.HEARD, found.recording, seconds=round(seconds, 1), details=details
    )
    return Response(status_code=204)
