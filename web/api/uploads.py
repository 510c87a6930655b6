"""Recordings of a remote PBX: `HEAD` asks how much of a file is here, `PUT` sends the rest of it.

The sender is a script at the PBX (`asterisk-config/switchhook-upload`), not a person: it shows the token of its PBX,
names the file and its SHA-256, and believes a file delivered only when the answer repeats the checksum. Everything may
be repeated any number of times.

| header | in | meaning |
|---|---|---|
| `Authorization: Bearer TOKEN` | request | the PBX's upload token |
| `X-Checksum-SHA256` | both | of the whole file; in an answer: all of it is here and was compared |
| `X-Total-Bytes` | HEAD | how large the file is |
| `Content-Range: bytes FIRST-LAST/TOTAL` | PUT | which part is sent; without it the whole file |
| `X-Modified-At` | PUT | when the file last changed, Unix seconds |
| `Upload-Offset` | answer | the next byte that is wanted |
| `Upload-Stored: yes` | answer | the audio is in the storage, verified: the PBX may forget its file |
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from call_records.recordings.ingest.uploads import (
    Announced,
    BadChecksum,
    BadName,
    Held,
    InUse,
    NoRoom,
    NotNext,
    TooLarge,
    UploadDesk,
)
from telephony.errors import SwitchhookError, TryLater
from web.languages.errors import translate_error, translate_remedy
from web.languages.messages import _
from web.problems import problem

PREFIX = "/api/v1/recordings/uploads/"
STATUS: dict[type[SwitchhookError], int] = {
    BadName: 422,
    BadChecksum: 422,
    TooLarge: 413,
    NotNext: 409,
    InUse: 409,
    NoRoom: 507,
    TryLater: 503,
}
"""First match wins; the script tries again after 409, 503 and 507, and later after the others."""
RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")
BEARER = "Bearer "

router = APIRouter(prefix="/api/v1/recordings/uploads", tags=["uploads"])
Name = Annotated[str, Path(max_length=210)]
Sum = Annotated[str, Header(alias="X-Checksum-SHA256", max_length=64)]


@router.head("/{pbx}/{name}", summary="How much of a recording's file is here")
async def held(
    request: Request,
    pbx: str,
    name: Name,
    checksum: Sum,
    total: Annotated[int, Header(alias="X-Total-Bytes", ge=0)],
) -> Response:
    """Answered with `Upload-Offset`, and the checksum when all of it is here."""
    desk = _desk(request, pbx)
    if desk is None:
        return _not_admitted()
    file = Announced(pbx, name, checksum.lower(), total)
    try:
        return Response(headers=_headers(file, await desk.held(file)))
    except SwitchhookError as trouble:
        return _problem(trouble)


@router.put("/{pbx}/{name}", summary="Send a recording's file, or the rest of it")
async def receive(
    request: Request,
    pbx: str,
    name: Name,
    checksum: Sum,
    content_range: Annotated[str | None, Header(max_length=64)] = None,
    modified_at: Annotated[float | None, Header(alias="X-Modified-At", ge=0, le=1e11)] = None,
) -> Response:
    """201 when all of it is here and the checksum is right, 200 when it was before, 202 when more is to come."""
    desk = _desk(request, pbx)
    if desk is None:
        return _not_admitted()
    span = _span(content_range, request.headers.get("content-length"))
    if span is None:
        return problem(
            400, _("It is not said which part this is."), remedy=_("Send Content-Length or Content-Range.")
        )
    first, total = span
    file = Announced(pbx, name, checksum.lower(), total, modified_at)
    try:
        before = await desk.held(file)
        after = before if before.complete else await desk.receive(file, first, _body(request))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it; what came is kept
    except SwitchhookError as trouble:
        return _problem(trouble)
    status = 200 if before.complete else 201 if after.complete else 202
    told = {"name": name, "bytes": after.offset, "complete": after.complete, "sha256": file.sha256}
    return JSONResponse(told, status, headers=_headers(file, after))


def _desk(request: Request, pbx: str) -> UploadDesk | None:
    """The desk, if this request shows the token of that PBX."""
    desk = request.app.state.uploads
    shown = request.headers.get("authorization", "")
    if not isinstance(desk, UploadDesk) or not shown.startswith(BEARER):
        return None
    return desk if desk.admits(pbx, shown.removeprefix(BEARER).strip()) else None


def _not_admitted() -> Response:
    return problem(
        401,
        _("This PBX and token do not belong together."),
        remedy=_("Put the token that stands under [[pbx]] upload_token into the script's token file."),
    )


def _span(content_range: str | None, length: str | None) -> tuple[int, int] | None:
    """The first byte and how many the whole file has."""
    if content_range is None:
        return (0, int(length)) if length is not None and length.isdecimal() else None
    told = RANGE.fullmatch(content_range.strip())
    if told is None:
        return None
    first, last, total = (int(part) for part in told.groups())
    return (first, total) if first <= last < total else None


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece


def _headers(file: Announced, held: Held) -> dict[str, str]:
    headers = {"Upload-Offset": str(held.offset)}
    if held.complete:
        headers["X-Checksum-SHA256"] = file.sha256
    if held.stored:
        headers["Upload-Stored"] = "yes"
    return headers


def _problem(trouble: SwitchhookError) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(trouble, kind)), 500)
    answer = problem(status, translate_error(trouble), remedy=translate_remedy(trouble))
    if isinstance(trouble, NotNext):
        answer.headers["Upload-Offset"] = str(trouble.offset)
    return answer
