"""A shared link: one recording, or a part of it, for somebody without an account until the link expires.

The page says when it was recorded and how long the link lives; never who called whom, because a link travels. A link
that expired, was ended, never existed or leads to sound that is gone looks the same: 404. Each opening is written down
with the address it came from, the page and the sound each, before anything is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from call_records.recordings.types import AUDIO_TYPE, Recording, ShareLink
from telephony.recordings import AuditAction, RecordingState
from web.auth.access import address_of, token_hash
from web.http.audio import PIECE, NoSuchPart, Part, asked_part
from web.recordings.permissions import note_use
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)

QUIET = {
    "Referrer-Policy": "no-referrer",  # the address is the key: no page that is opened next may learn it
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Followed:
    """A link that works, and what it leads to."""

    link: ShareLink
    recording: Recording
    size: int
    clip: bytes | None
    """The cut part; None where the link is to the whole."""

    @property
    def seconds(self) -> float:
        """How long it plays."""
        whole = self.recording.duration_seconds or 0.0
        if self.link.from_seconds is None and self.link.to_seconds is None:
            return whole
        until = whole if self.link.to_seconds is None else self.link.to_seconds
        return max(0.0, until - (self.link.from_seconds or 0.0))


@router.get("/listen/{token}")
async def page(request: Request, token: str) -> Response:
    """A plain page with the sound."""
    site = site_of(request)
    followed = await _follow(site, request, token)
    if followed is None:
        return _dead(site, request)
    await _note_opening(site, request, token, followed, "page")
    answer = site.renderer.page(
        request,
        None,
        "recordings/shared_link.html",
        sound=f"/listen/{token}/audio",
        kind=AUDIO_TYPE,
        recording=followed.recording,
        link=followed.link,
        seconds=followed.seconds,
    )
    answer.headers.update(QUIET)
    return answer


@router.get("/listen/{token}/audio")
async def sound(request: Request, token: str) -> Response:
    """The sound, whole or the bytes a player asks for."""
    site = site_of(request)
    followed = await _follow(site, request, token)
    if followed is None:
        return _dead(site, request)
    await _note_opening(site, request, token, followed, "sound")
    return await _answer(request, site, followed)


async def _follow(site: Site, request: Request, token: str) -> Followed | None:
    """What the link leads to; None for every one that does not work. Raises TooManyTries for who tries too often."""
    limits, address = site.gate.link_limits, address_of(request)
    limits.check(address)
    link = await site.records.links.find(token_hash(token), counting=False)
    recording = await site.records.recordings.one(link.recording_id) if link else None
    if link and recording and recording.state is RecordingState.READY:
        followed = await _sound_of(site, link, recording)
        if followed is not None:
            return followed
    limits.unknown(address)
    return None


def _dead(site: Site, request: Request) -> Response:
    answer = site.renderer.page(request, None, "recordings/shared_link.html", status=404, recording=None)
    answer.headers.update(QUIET)
    return answer


async def _sound_of(site: Site, link: ShareLink, recording: Recording) -> Followed | None:
    if link.from_seconds is None and link.to_seconds is None:
        size = await site.records.shelf.size(recording.id)
        return Followed(link, recording, size, None) if size else None
    if _covered_since(link, recording):
        return None
    # Never the whole where only a part was shared, also when the part cannot be found.
    clip = await site.records.shelf.read_clip(link.id)
    return Followed(link, recording, len(clip), clip) if clip else None


def _covered_since(link: ShareLink, recording: Recording) -> bool:
    """Whether something within the shared part was covered after it was cut: the cut still holds it."""
    until = float("inf") if link.to_seconds is None else link.to_seconds
    return any(
        covered.at >= link.made_at
        and covered.from_seconds < until
        and covered.to_seconds > (link.from_seconds or 0.0)
        for covered in recording.redactions
    )


async def _note_opening(site: Site, request: Request, token: str, followed: Followed, part: str) -> None:
    """Write down who follows the link: the page and the sound once each in ten minutes and address; count it once."""
    limits, address, link = site.gate.link_limits, address_of(request), followed.link
    if not limits.is_new(link.id, address, part):
        return
    if limits.is_new(link.id, address, "counted"):
        await site.records.links.find(token_hash(token))
    details = {"link": str(link.id), "made by": link.made_by, "part": part}
    await note_use(site, request, None, AuditAction.LINK_OPENED, followed.recording, details=details)


async def _answer(request: Request, site: Site, followed: Followed) -> Response:
    headers = QUIET | {"Accept-Ranges": "bytes"}
    try:
        part = asked_part(request.headers.get("range"), followed.size)
    except NoSuchPart:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{followed.size}"})
    wanted = part or Part(0, followed.size - 1)
    headers["Content-Length"] = str(wanted.length)
    if part:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{followed.size}"
    pieces = _pieces(site, followed, wanted)
    begun = await anext(
        pieces, b""
    )  # before the headers: a storage that is away is a sentence, not a broken sound
    return StreamingResponse(_whole(begun, pieces), 206 if part else 200, headers, media_type=AUDIO_TYPE)


async def _pieces(site: Site, followed: Followed, part: Part) -> AsyncIterator[bytes]:
    for at in range(part.first, part.last + 1, PIECE):
        until = min(at + PIECE - 1, part.last)
        if followed.clip is not None:
            yield followed.clip[at : until + 1]
        else:
            yield await site.records.shelf.read(followed.recording.id, at, until)


async def _whole(begun: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for piece in rest:
        yield piece
