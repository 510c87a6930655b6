"""Audit: who listened to what, when, for how long, from where, and why. For administrators.

The log is only ever added to; the database itself refuses anything else. Taking a copy of it out is a line in it too.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from call_records.recordings.types import AuditEntry, AuditFilter
from telephony.call_facts.facts import iso
from telephony.recordings import AuditAction
from telephony.spreadsheet_cells import safe_cell
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.forms.date_ranges import PARAMETERS, PERIOD_WORDS, DateRange
from web.languages.formats import sort_by_name
from web.languages.messages import _
from web.presenters.audit import AuditNames, details_words, ids_in
from web.presenters.recordings import ACTION_WORDS
from web.recordings.permissions import note_use
from web.site import Site, read_dates, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

PAGE = 60  # rows; two screens
FILTERS = frozenset({"who", "action", "recording", "call"}) | PARAMETERS
COLUMNS = (
    "id", "at", "who", "account_id", "action", "recording_id", "call_id", "seconds", "address", "browser",
    "reason", "details",
)  # fmt: skip
BATCH = 200  # lines written to the network at once; some 60 kB


@router.get("/audit")
async def audit(request: Request, viewer: Administrator) -> Response:
    """The log, newest first."""
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    dates = read_dates(site, asked)
    wanted, problem = read_filter(asked, dates)
    before = asked.get("before", "")
    entries = await site.records.audit.page(
        wanted, limit=PAGE + 1, before=int(before) if before.isdecimal() and len(before) < 19 else None
    )
    filters = {name: value for name, value in asked.items() if name in FILTERS}
    names = await _names(site, entries[:PAGE])
    people = sort_by_name(names.by_login.items(), lambda pair: pair[1])
    older = {**filters, "before": str(entries[PAGE - 1].id)} if len(entries) > PAGE else None
    return site.renderer.page(
        request,
        viewer,
        "recordings/audit.html",
        entries=entries[:PAGE],
        begun=await _begun(site, entries[:PAGE]),
        older="/audit?" + urlencode(older) if older else None,
        newest="/audit?" + urlencode(filters) if before else None,
        filters=filters,
        dates=dates,
        periods=PERIOD_WORDS,
        exports={kind: f"/audit/export.{kind}?" + urlencode(filters) for kind in ("csv", "jsonl")},
        actions=ACTION_WORDS,
        people=people,
        names=names,
        details_words=details_words,
        problem=problem,
    )


async def _names(site: Site, entries: Sequence[AuditEntry]) -> AuditNames:
    """Names for what these lines name by id; asked for only where there are ids."""
    accounts = await site.records.accounts.all()
    directory = site.hub.names.directory
    by_id = {str(one.id): one.name for one in accounts}
    if any(str(one) not in by_id for one in ids_in(entries)):
        by_id |= {str(one.id): one.name for one in await site.records.staff.members() if one.id}
        for pipeline in await site.records.deals.pipelines(archived=True):
            by_id |= {str(stage.id): f"{pipeline.name}: {stage.name}" for stage in pipeline.stages}
            by_id[str(pipeline.id)] = pipeline.name
        score_forms = site.records.reviews.forms
        for form in (*await score_forms.offered(), *await score_forms.retired()):
            by_id[str(form.form_id)] = form.name
    return AuditNames(
        by_id=by_id,
        by_login={one.login: one.name for one in accounts},
        by_extension={phone: one.name for phone, one in directory.by_extension.items()},
    )


async def _begun(site: Site, entries: Sequence[AuditEntry]) -> dict[UUID, datetime]:
    """When the recordings that these lines name began, where that is still known: one query for the page."""
    calls = {entry.call_id for entry in entries if entry.call_id and entry.recording_id}
    found = await site.records.recordings.of_calls(sorted(calls))
    return {one.id: one.started_at for several in found.values() for one in several if one.started_at}


def read_filter(asked: dict[str, str], dates: DateRange) -> tuple[AuditFilter, str | None]:
    """The filter a person chose; what cannot be understood is left out and said."""
    problem = None
    recording_id = call_id = None
    try:
        recording_id = UUID(asked["recording"]) if "recording" in asked else None
        call_id = UUID(asked["call"]) if "call" in asked else None
    except ValueError:
        problem = _("There is no such recording or call.")
    action = asked.get("action")
    return (
        AuditFilter(
            who=asked.get("who"),
            action=AuditAction(action) if action in list(AuditAction) else None,
            recording_id=recording_id,
            call_id=call_id,
            since=dates.since,
            until=dates.until,
        ),
        problem,
    )


@router.get("/audit/export.csv")
async def export_csv(request: Request, viewer: Administrator) -> Response:
    """The lines that match, oldest first, for a spreadsheet."""
    return await _export(request, viewer, "csv")


@router.get("/audit/export.jsonl")
async def export_jsonl(request: Request, viewer: Administrator) -> Response:
    """The lines that match, oldest first, one JSON object a line."""
    return await _export(request, viewer, "jsonl")


async def _export(request: Request, viewer: Viewer, kind: str) -> Response:
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    dates = read_dates(site, asked)
    wanted, problem = read_filter(asked, dates)
    if problem := problem or dates.problem:  # half a filter would export what was not asked for
        return Response(problem, status_code=400, media_type="text/plain")
    details = {"as": kind} | {name: value for name, value in asked.items() if name in FILTERS}
    await note_use(site, request, viewer, AuditAction.EXPORTED, None, details=details)
    entries = site.records.audit.export(wanted)
    written = _as_csv(entries) if kind == "csv" else _as_lines(entries)
    name = f"audit-{datetime.now(UTC):%Y%m%d-%H%M%S}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    media_type = "text/csv; charset=utf-8" if kind == "csv" else "application/jsonl"
    return StreamingResponse(written, media_type=media_type, headers=headers)


async def _as_csv(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[str]:
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(COLUMNS)
    count = 0
    async for entry in entries:
        told = told_entry(entry)
        told["details"] = json.dumps(told["details"], ensure_ascii=False) if told["details"] else ""
        cells = (told[name] for name in COLUMNS)
        writer.writerow([safe_cell(cell) if isinstance(cell, str) else cell for cell in cells])
        count += 1
        if count % BATCH == 0:
            yield page.getvalue()
            page.seek(0)
            page.truncate()
    yield page.getvalue()


async def _as_lines(entries: AsyncIterator[AuditEntry]) -> AsyncIterator[str]:
    lines: list[str] = []
    async for entry in entries:
        lines.append(json.dumps(told_entry(entry), ensure_ascii=False) + "\n")
        if len(lines) >= BATCH:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def told_entry(entry: AuditEntry) -> dict[str, object]:
    """A line as it is exported."""
    return {
        "id": entry.id,
        "at": iso(entry.at),
        "who": entry.who,
        "account_id": str(entry.account_id) if entry.account_id else None,
        "action": str(entry.action),
        "recording_id": str(entry.recording_id) if entry.recording_id else None,
        "call_id": str(entry.call_id) if entry.call_id else None,
        "seconds": entry.seconds,
        "address": entry.address,
        "browser": entry.browser,
        "reason": entry.reason,
        "details": dict(entry.details),
    }
