"""“Export this list”: the calls, people, deals or missed calls that a page lists, as a CSV file.

The filters and dates are those of the page, and so is what may be seen: everybody who may open a list may take it along,
and who sees numbers masked gets them masked. Each export is written down before it goes out. A list goes out in pieces,
each a short query of its own, so that no size of it is too large and a slow reader holds nothing up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse

from call_records.crm.exports.exports import (
    CLIENT_COLUMNS,
    KINDS,
    Rows,
    as_csv,
    cell_text,
    client_row,
    facts_of,
    phone_texts,
)
from call_records.crm.missed_calls.types import MissedEntry
from call_records.crm.types import Client, ClientFilter, Deal
from call_records.types import CallFilter
from telephony.call_facts.facts import CallFacts
from telephony.recordings import AuditAction
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.callers import number_of
from web.clients_of_calls import known_names
from web.pages.calls import calls
from web.pages.contacts import list as people
from web.pages.deals import board as deals
from web.pages.exports import download_headers
from web.pages.missed_calls import missed_calls
from web.presenters.contacts import show_client
from web.presenters.deals import show_deal
from web.presenters.labels import DIRECTION_WORDS, Names, outcome_label
from web.presenters.masking import View, mask, show
from web.recordings.permissions import note_use
from web.site import Site, read_dates, site_of

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

AT_ONCE = 100  # rows of one piece; a few milliseconds of work between two queries
FILTER_MOST = 200  # characters of a filter in the audit log
CSV = "text/csv; charset=utf-8"

CALL_COLUMNS = (
    "Started", "Direction", "Outcome", "Client", "Outside number", "Our number", "Queue", "Our people", "Waited (s)",
    "Talked (s)", "Ended", "Rating", "Call",
)  # fmt: skip
DEAL_COLUMNS = (
    "Title", "Contact", "Company", "Pipeline", "Stage", "State", "Amount", "Currency", "Owner", "Tags", "Next task",
    "Due", "Last heard", "Added", "Closed",
)  # fmt: skip
MISSED_COLUMNS = (
    "Caller", "Number", "What happened", "Times", "First", "Last", "Our number", "Assigned to", "Why", "Callback due",
    "Tried", "Settled", "How", "Comment", "Last call",
)  # fmt: skip


@router.get("/calls/export.csv")
async def export_calls(request: Request, viewer: Anyone) -> Response:
    """The list of calls, newest first."""
    site, asked = site_of(request), calls.read_asked(request)
    wanted, _problem = calls.read_filter(asked, read_dates(site, asked), site, viewer)
    filters = calls.chosen_filters(asked)
    return await _answer(request, viewer, "calls", filters, CALL_COLUMNS, _call_rows(site, viewer, wanted))


@router.get("/people/export.csv")
async def export_people(request: Request, viewer: Anyone) -> Response:
    """The list of people, by name: an order that does not change while the file is made."""
    site = site_of(request)
    filters = {name: one for name in people.FILTERS if (one := request.query_params.get(name, "").strip())}
    wanted = replace(people.wanted_of(site, viewer, filters), by_name=True)
    columns = await _people_columns(site, wanted)
    rows = _people_rows(site, viewer, wanted, facts_of(columns))
    return await _answer(request, viewer, "people", filters, columns, rows)


@router.get("/deals/export.csv")
async def export_deals(request: Request, viewer: Anyone) -> Response:
    """The list of deals in its order, or those on the board by stage."""
    site = site_of(request)
    asked = await deals.asked_of(site, viewer, request.query_params)
    filters = dict(request.query_params) | {"owner": asked.owner}
    return await _answer(request, viewer, "deals", filters, DEAL_COLUMNS, _deal_rows(site, viewer, asked))


@router.get("/missed/export.csv")
async def export_missed(request: Request, viewer: Anyone) -> Response:
    """The list of missed calls, owed or settled."""
    asked = missed_calls.read_asked(request)
    rows = _missed_rows(site_of(request), viewer, asked)
    return await _answer(request, viewer, "missed", asked, MISSED_COLUMNS, rows)


async def _answer(
    request: Request,
    viewer: Viewer,
    what: str,
    filters: Mapping[str, str],
    columns: Sequence[str],
    rows: Rows,
) -> Response:
    """Written down first. What fails before the first row is an error page, not a file that breaks off."""
    first = await _first_piece(rows)
    chosen = {name: value[:FILTER_MOST] for name, value in filters.items() if value}
    details = {"what": what, "list": what, "as": "csv", "filters": chosen}
    await note_use(site_of(request), request, viewer, AuditAction.EXPORTED, None, details=details)
    content = as_csv(columns, _following(first, rows))
    return StreamingResponse(content, media_type=CSV, headers=download_headers(what, "csv"))


async def _first_piece(rows: Rows) -> Sequence[tuple[str, ...]]:
    async for piece in rows:
        return piece
    return ()


async def _following(first: Sequence[tuple[str, ...]], rest: Rows) -> Rows:
    if first:
        yield first
    async for piece in rest:
        yield piece


# -- calls --


async def _call_rows(site: Site, viewer: Viewer, wanted: CallFilter) -> Rows:
    cursor: str | None = None
    while True:
        page = await site.records.calls.page(wanted, limit=AT_ONCE, cursor=cursor)
        names = await known_names(site.records, site.hub.names, page.calls, viewer.view)
        yield [_call_row(facts, names, viewer.view, site) for facts in page.calls]
        if page.older is None:
            return
        cursor = page.older


def _call_row(facts: CallFacts, names: Names, view: View, site: Site) -> tuple[str, ...]:
    seen = show(facts, view)
    queue = seen.queue.name if seen.queue else None
    waited = None if seen.wait_seconds is None else round(seen.wait_seconds)
    values = (
        seen.started_at,
        DIRECTION_WORDS[seen.direction],
        outcome_label(seen),
        calls.client_of(seen, names).name,
        number_of(seen),
        seen.did,
        queue,
        [str(one) for one in calls.ours_of(seen, names)],
        waited,
        round(seen.talk_seconds),
        seen.ended_at,
        seen.rating,
        seen.id,
    )
    return _cells(values, site.settings.time_zone)


# -- people --


async def _people_columns(site: Site, wanted: ClientFilter) -> tuple[str, ...]:
    """Ours and those of the own facts that the listed kinds have."""
    kinds = [what for what, kind in KINDS.items() if wanted.kind in (None, kind)]
    every = [await site.records.exports.columns(what) for what in kinds]
    own = dict.fromkeys(name for columns in every for name in columns[len(CLIENT_COLUMNS) :])
    return (*CLIENT_COLUMNS, *own)


async def _people_rows(site: Site, viewer: Viewer, wanted: ClientFilter, facts: Sequence[str]) -> Rows:
    cursor: str | None = None
    while True:
        page = await site.records.book.page(wanted, limit=AT_ONCE, cursor=cursor)
        yield [_people_row(one, facts, viewer.view, site) for one in page.clients]
        if page.more is None:
            return
        cursor = page.more


def _people_row(one: Client, facts: Sequence[str], view: View, site: Site) -> tuple[str, ...]:
    shown = show_client(one, view, site.settings.region)
    phones = [phone.text for phone in shown.phones] if view.numbers_masked else phone_texts(one)
    return client_row(shown.client, facts, site.settings.time_zone, phones)


# -- deals --


async def _deal_rows(site: Site, viewer: Viewer, asked: deals.Asked) -> Rows:
    if asked.pipeline is None:
        return
    wanted, pipeline_id = asked.wanted(site, viewer), asked.pipeline.id
    if asked.as_list:
        state = None if asked.state == "any" else asked.state
        ids = await site.records.deals.list_ids(
            pipeline_id, wanted, state=state, sort=asked.sort, down=asked.down
        )
    else:
        ids = await site.records.deals.list_ids(pipeline_id, wanted, state=None, sort="stage", of_board=True)
    for piece in _pieces(ids):
        found = await site.records.deals.several(piece)
        yield [_deal_row(show_deal(one, viewer.view), site) for one in found]


def _deal_row(deal: Deal, site: Site) -> tuple[str, ...]:
    task = deal.next_task
    values = (
        deal.title,
        deal.contact,
        deal.company,
        deal.pipeline,
        deal.stage,
        deals.STATES.get(deal.state, deal.state),
        deal.amount,
        deal.currency,
        deal.owner,
        list(deal.tags),
        task.text if task else None,
        task.due_at if task else None,
        deal.silent_since,
        deal.created_at,
        deal.closed_at,
    )
    return _cells(values, site.settings.time_zone)


# -- missed calls --


async def _missed_rows(site: Site, viewer: Viewer, asked: dict[str, str]) -> Rows:
    now, hours = datetime.now(UTC), await site.records.missed.hours()
    wanted, _period = missed_calls.wanted_of(asked, hours, now)
    ids = await site.records.missed.list_ids(wanted, missed_calls.asker_of(viewer))
    zone = ZoneInfo(hours.zone)
    for piece in _pieces(ids):
        entries = await site.records.missed.several(piece)
        lines = [missed_calls.line_of(site, viewer, one, hours, now) for one in entries]
        yield [_missed_row(line, viewer.view, zone) for line in lines]


def _missed_row(line: missed_calls.Line, view: View, zone: tzinfo) -> tuple[str, ...]:
    entry = line.entry
    values = (
        line.who.name,
        _missed_number(entry, view),
        line.waited,
        entry.times,
        entry.first_at,
        entry.last_at,
        entry.did,
        line.whose,
        line.why,
        entry.due_at if line.due else None,
        line.tried,
        entry.closed_at,
        line.settled,
        entry.reason_text,
        entry.last_call_id,
    )
    return _cells(values, zone)


def _missed_number(entry: MissedEntry, view: View) -> str | None:
    return mask(entry.number) if entry.number and view.numbers_masked else entry.number


# -- what all have --


def _pieces(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))


def _cells(values: Sequence[Any], zone: tzinfo) -> tuple[str, ...]:
    return tuple(cell_text(value, zone) for value in values)
