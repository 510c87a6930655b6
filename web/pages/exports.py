"""Export: everything out, in formats that others read. For supervisors and administrators who see whole numbers.

Who sees numbers masked gets no export at all: a file of dots serves nobody, and one with numbers would be the way around
the mask. The archive with sound is the administrator's; of sound it holds what they may hear and download, and each file
is written down before it goes out, as any download is.
"""

from __future__ import annotations

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from starlette.background import BackgroundTask

from call_records.crm.exports.exports import KINDS, TABLES, WHOLE, Rows, as_csv, write_xlsx
from call_records.db import json_text
from call_records.recordings.types import Recording, RecordingFilter
from telephony.errors import TryLater
from telephony.recordings import AuditAction, RecordingRight, RecordingState
from web.auth.access import ADMINISTRATORS, SUPERVISORS, NotAllowed, Viewer, guard
from web.http.audio import PIECE, PIECE_SECONDS
from web.languages.messages import N_, Phrases, _
from web.pages.recordings.player import file_name
from web.presenters.player import playable
from web.recordings.listening_audit import REASON_LEAST
from web.recordings.permissions import may_hear, note_use, reason_needed
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

WHAT_WORDS = Phrases(
    {
        "contacts": N_("Contacts"),
        "companies": N_("Companies"),
        "leads": N_("Leads"),
        "deals": N_("Deals"),
        "calls": N_("Calls"),
        "tasks": N_("Tasks"),
        "timeline": N_("Timelines: notes, calls, changes"),
    }
)
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CARDS = {"3": "3.0", "4": "4.0"}
RECORDINGS_AT_ONCE = 100


@router.get("/people/export")
async def page(request: Request, viewer: Supervisor) -> Response:
    """What can be had, and how."""
    site = site_of(request)
    policy = await site.records.retention.policy()
    return site.renderer.page(
        request,
        viewer,
        "imports/export.html",
        what_words=WHAT_WORDS,
        masked=viewer.view.numbers_masked,
        reason_needed=policy.reason_required,
        with_sound=RecordingRight.DOWNLOAD in viewer.account.recording_rights,
    )


@router.get("/people/export/contacts-{version}.vcf")
async def cards(request: Request, version: str, viewer: Supervisor) -> Response:
    """Contacts and companies as cards of version 3 or 4."""
    if version not in CARDS:
        raise HTTPException(404)
    site = await _allowed(request, viewer, "cards", f"vcf {CARDS[version]}")
    return StreamingResponse(
        site.records.exports.cards(CARDS[version]),
        media_type="text/vcard; charset=utf-8",
        headers=download_headers("contacts", "vcf"),
    )


@router.get("/people/export/{what}.csv")
async def csv_table(request: Request, what: str, viewer: Supervisor) -> Response:
    """One table as CSV."""
    columns, rows = await _table(request, viewer, what, "csv")
    return StreamingResponse(
        as_csv(columns, rows),
        media_type="text/csv; charset=utf-8",
        headers=download_headers(what, "csv"),
    )


@router.get("/people/export/{what}.xlsx")
async def xlsx_table(request: Request, what: str, viewer: Supervisor) -> Response:
    """One table as a spreadsheet."""
    return await _spreadsheet(what, *await _table(request, viewer, what, "xlsx"))


async def _table(request: Request, viewer: Viewer, what: str, kind: str) -> tuple[Sequence[str], Rows]:
    if what not in {*KINDS, *TABLES}:
        raise HTTPException(404)
    site = await _allowed(request, viewer, what, kind)
    exports = site.records.exports
    columns = await exports.columns(what)
    return columns, exports.rows(what, columns, site.settings.time_zone)


async def _spreadsheet(what: str, columns: Sequence[str], rows: Rows) -> Response:
    folder = tempfile.TemporaryDirectory(prefix="switchhook-export-")
    path = Path(folder.name) / f"{what}.xlsx"
    try:
        await write_xlsx(path, what, columns, rows)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path,
        media_type=XLSX,
        headers=download_headers(what, "xlsx"),
        background=BackgroundTask(folder.cleanup),
    )


async def _allowed(request: Request, viewer: Viewer, what: str, kind: str) -> Site:
    """Raises NotAllowed for who sees numbers masked; both are written down."""
    site = site_of(request)
    details = {"what": what, "as": kind}
    if viewer.view.numbers_masked:
        await note_use(site, request, viewer, AuditAction.REFUSED, None, details={**details, "why": "masked"})
        raise NotAllowed(_("Your account sees numbers masked and may not export them."))
    await note_use(site, request, viewer, AuditAction.EXPORTED, None, details=details)
    return site


def download_headers(name: str, ending: str) -> dict[str, str]:
    """Of a file that is saved, with the moment in its name, and kept by nobody on the way."""
    at = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return {
        "Content-Disposition": f'attachment; filename="{name}-{at}.{ending}"',
        "Cache-Control": "no-store",
    }


# -- everything --


@router.post("/people/export/everything")
async def everything(request: Request, viewer: Administrator) -> Response:
    """One archive: every table as JSON lines, and the sound that this account may have."""
    told = await fields(request)
    with_sound = told.get("sound") == "yes"
    reason = told.get("reason", "").strip() or None
    if with_sound and RecordingRight.DOWNLOAD not in viewer.account.recording_rights:
        raise NotAllowed(_("Your account may not do this with recordings."))
    site = await _allowed(request, viewer, "everything", "zip with sound" if with_sound else "zip")
    if with_sound and len(reason or "") < REASON_LEAST:
        policy = await site.records.retention.policy()
        if policy.reason_required:
            raise NotAllowed(_("Please say in a few words why you take the recordings with you."))
    packed = _packed(site, request, viewer, with_sound=with_sound, reason=reason)
    return StreamingResponse(
        packed, media_type="application/zip", headers=download_headers("switchhook", "zip")
    )


class _Outlet:
    """Where the archive is written to: bytes wait here until they are sent."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._at = 0

    def write(self, data: bytes) -> int:
        """Take some more."""
        self._waiting.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """How much was written in all."""
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What waits."""
        waiting, self._waiting = b"".join(self._waiting), []
        return waiting


async def _packed(
    site: Site, request: Request, viewer: Viewer, *, with_sound: bool, reason: str | None
) -> AsyncIterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:  # type: ignore[call-overload]
        for name in WHOLE:
            with archive.open(f"{name}.jsonl", "w", force_zip64=True) as entry:
                async for lines in site.records.exports.json_lines(name):
                    await asyncio.to_thread(entry.write, lines)
                    yield outlet.take()
        told: list[dict[str, Any]] = []
        if with_sound:
            async for recording in _hearable(site, viewer, reason):
                held = await _sound_kept(site, recording)
                if not held:
                    continue
                name = f"recordings/{file_name(recording)}.m4a"
                await _note_download(site, request, viewer, recording, reason)
                told.append({"file": name, **_told(recording)})
                packing = zipfile.ZipInfo(name, date_time=_moment(recording))
                with archive.open(packing, "w", force_zip64=True) as entry:
                    at = 0
                    while at < held:
                        async with asyncio.timeout(PIECE_SECONDS):
                            piece = await site.records.shelf.read(recording.id, at, min(at + PIECE, held) - 1)
                        if not piece:
                            break
                        entry.write(piece)
                        at += len(piece)
                        yield outlet.take()
        archive.writestr("recordings.jsonl", "".join(f"{json_text.dumps(one)}\n" for one in told))
    yield outlet.take()


async def _sound_kept(site: Site, recording: Recording) -> int:
    """Its size; 0 when the storage does not have it: one that is lost keeps no other from being taken."""
    try:
        async with asyncio.timeout(PIECE_SECONDS):
            return await site.records.shelf.size(recording.id) or 0
    except (TryLater, TimeoutError):
        return 0


async def _hearable(site: Site, viewer: Viewer, reason: str | None) -> AsyncIterator[Recording]:
    """Every recording with sound that this account may hear; where a reason is wanted, it was given."""
    policy = await site.records.retention.policy()
    wanted = RecordingFilter(states=frozenset({RecordingState.READY}))
    cursor: str | None = None
    while True:
        page = await site.records.recordings.page(wanted, limit=RECORDINGS_AT_ONCE, cursor=cursor)
        for listed in page.listed:
            recording, call = listed.recording, listed.call
            if not playable(recording) or not may_hear(viewer.account, call, site.hub.names.directory):
                continue
            if reason_needed(policy, viewer, call) and not reason:
                continue
            yield recording
        if page.older is None:
            return
        cursor = page.older


async def _note_download(
    site: Site, request: Request, viewer: Viewer, recording: Recording, reason: str | None
) -> None:
    details = {"as": "m4a", "original": False, "in": "archive"}
    await note_use(site, request, viewer, AuditAction.DOWNLOADED, recording, reason=reason, details=details)


def _told(recording: Recording) -> dict[str, Any]:
    return {
        "id": str(recording.id),
        "call_id": str(recording.call_id) if recording.call_id else None,
        "pbx": recording.pbx,
        "started_at": recording.started_at.isoformat() if recording.started_at else None,
        "duration_seconds": recording.duration_seconds,
    }


def _moment(recording: Recording) -> tuple[int, int, int, int, int, int]:
    at = max(
        recording.started_at or datetime.now(UTC), datetime(1980, 1, 1, tzinfo=UTC)
    )  # ZIP knows none before
    return (at.year, at.month, at.day, at.hour, at.minute, at.second)
