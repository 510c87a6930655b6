"""Calls: what happened? A dense list with filters, and each call's own page with its story."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from call_records.types import CallFilter
from telephony.call_facts.facts import CallFacts, Direction, Disposition, PartyKind
from telephony.errors import TryLater
from web.auth.access import ANYONE_SIGNED_IN, SUPERVISORS, NotFound, Viewer, guard
from web.callers import Identity, identify, number_of
from web.clients_of_calls import ASK_SECONDS, names_for
from web.forms.date_ranges import PARAMETERS, PERIOD_WORDS, DateRange
from web.languages.formats import sort_by_name
from web.languages.messages import _
from web.number_search import NO_NUMBER, WHOLE_ONLY, number_to_search
from web.pages.recordings.player import may_pause, playable_of_calls, player_of_call
from web.pages.reviews.queue import reviewable
from web.presenters.call_diagram import draw
from web.presenters.call_story import headline, tell
from web.presenters.callers import client_name, told_identity
from web.presenters.contacts import say
from web.presenters.labels import Named, Names
from web.presenters.masking import show
from web.presenters.player import taping
from web.presenters.talk_lengths import explain_lengths
from web.recordings.permissions import may_hold, may_know_of
from web.site import Site, read_dates, site_of

router = APIRouter(include_in_schema=False)

FILTERS = frozenset({"direction", "outcome", "person", "queue", "q"}) | PARAMETERS
IDS_LENGTH = 37 * 50  # characters: as many ids as a page has rows
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
PAGE = 50  # rows; two screens, a quarter of a second on a slow line


@router.get("/calls")
async def calls(request: Request, viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]) -> Response:
    """The list, newest first."""
    site = site_of(request)
    asked = read_asked(request)
    dates = read_dates(site, asked)
    wanted, problem = read_filter(asked, dates, site, viewer)
    wanted = replace(wanted, ids=read_ids(asked.get("only")))
    page = await site.records.calls.page(wanted, limit=PAGE, cursor=asked.get("cursor"))
    filters = chosen_filters(asked)
    names = await names_for(site.records, site.hub.names, page.calls, viewer.view)
    shown = [show(facts, viewer.view) for facts in page.calls]
    heard = await playable_of_calls(site, viewer, page.calls)
    return site.renderer.page(
        request,
        viewer,
        "calls/calls.html",
        calls=[(facts, client_of(facts, names), ours_of(facts, names)) for facts in shown],
        heard=heard,
        export="/calls/export.csv?" + urlencode(filters),
        older="/calls?" + urlencode({**filters, "cursor": page.older}) if page.older else None,
        newest="/calls?" + urlencode(filters) if "cursor" in asked else None,
        filters=filters,
        dates=dates,
        periods=PERIOD_WORDS,
        problem=problem,
        directions=Direction,
        dispositions=Disposition,
        people=sort_by_name(names.directory.people, lambda person: person.name),
    )


def read_asked(request: Request) -> dict[str, str]:
    """What the address says; what is empty is left out."""
    return {name: value.strip() for name, value in request.query_params.items() if value.strip()}


def chosen_filters(asked: dict[str, str]) -> dict[str, str]:
    """Of what was asked what a link to the same list must say."""
    return {name: value for name, value in asked.items() if name in FILTERS}


def read_filter(
    asked: dict[str, str], dates: DateRange, site: Site, viewer: Viewer
) -> tuple[CallFilter, str | None]:
    """The filter a person chose; what cannot be understood is left out and said."""
    problem = None
    number = asked.get("q")
    if number and sum(char.isdigit() for char in number) < 3:
        problem, number = _("Search needs at least three digits of a number."), None
    elif number and number_to_search(site, viewer, number) is None:
        problem, number = _(WHOLE_ONLY), NO_NUMBER
    direction, outcome = asked.get("direction"), asked.get("outcome")
    return (
        CallFilter(
            direction=Direction(direction) if direction in list(Direction) else None,
            disposition=Disposition(outcome) if outcome in list(Disposition) else None,
            party=asked.get("person"),
            number=number,
            queue=asked.get("queue"),
            since=dates.since,
            until=dates.until,
        ),
        problem,
    )


def read_ids(text: str | None) -> frozenset[UUID] | None:
    """The calls a page asks for again because they changed; None asks for all, and what is no id is left out."""
    if text is None:
        return None
    return frozenset(UUID(one) for one in text[:IDS_LENGTH].split(",") if _UUID.fullmatch(one))


def client_of(facts: CallFacts, names: Names) -> Named:
    """The other side as the list names it."""
    return names.client(facts)


def ours_of(facts: CallFacts, names: Names) -> tuple[Named, ...]:
    """Who of ours: everybody who talked, else whom it rang for, else who dialled."""
    if facts.direction is not Direction.INBOUND:
        return (names.caller(facts),)
    ours = [leg for leg in facts.legs if leg.kind is PartyKind.EXTENSION]
    talked = [leg.party for leg in ours if leg.answered_at]
    chosen = list(dict.fromkeys(talked or facts.missed_by or [leg.party for leg in ours]))
    return tuple(names.party(party, facts) for party in chosen)


@router.get("/calls/{call_id:uuid}")
async def call(
    request: Request, call_id: UUID, viewer: Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]
) -> Response:
    """One call: its picture, its story, its notes. The id of a merged call leads to the call it became
    part of.
    """
    site = site_of(request)
    facts = await find_call(site, call_id)
    if facts is None:
        raise NotFound(
            _("This call was not found."), remedy=_("It may have been deleted by the retention rules.")
        )
    if facts.id != call_id:
        return RedirectResponse(f"/calls/{facts.id}", 303)
    notes = await site.records.notes.of_call(facts.id)
    mine = next((note.text for note in notes if note.account_id == viewer.account.id), "")
    seen = show(facts, viewer.view)
    identity = await _identity(site, facts)
    known = client_name(identity, viewer.view)
    names = site.hub.names.with_clients({facts.id: known} if known else {})
    now = datetime.now(UTC)
    heard = await player_of_call(site, viewer, facts, seen, now)
    return site.renderer.page(
        request,
        viewer,
        "calls/call.html",
        may_report=viewer.account.role in SUPERVISORS,
        reviewable=reviewable(site, viewer, facts),
        tags=await site.records.retention.tags_of(facts.id),
        may_tag=may_hold(viewer.account) and may_know_of(viewer.account, facts, site.hub.names.directory),
        call=seen,
        client=client_of(seen, names),
        story=tell(seen, names),
        headline=headline(seen, names),
        picture=draw(seen, names, now),
        lengths=explain_lengths(seen, heard["player"]),
        taping=taping(facts),
        may_pause=site.control is not None and taping(facts) is not None and may_pause(viewer, facts),
        **heard,
        notes=[
            replace(note, text=say(note.text, viewer.view))
            for note in notes
            if note.account_id != viewer.account.id
        ],
        mine=mine,
        names=names,
        with_whom=told_identity(facts.id, identity, viewer.view, site.settings.region) if identity else None,
    )


async def _identity(site: Site, facts: CallFacts) -> Identity | None:
    """Who the client is and why; None for a call with nobody outside, or with the store slow or away."""
    number = number_of(facts)
    if number is None:
        return None
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await identify(site.records, facts.id, number)
    except (TryLater, TimeoutError):
        return site.hub.callers.of(facts.id)


async def find_call(site: Site, call_id: UUID) -> CallFacts | None:
    """The call as it is now: from memory while it lasts, else from the journal."""
    live = next((facts for facts in site.live.calls() if facts.id == call_id), None)
    if live is not None:
        return live
    kept = await site.records.calls.one(call_id)
    if kept is None or kept.id == call_id:
        return kept
    return next((facts for facts in site.live.calls() if facts.id == kept.id), kept)


async def last_conversation(
    site: Site, facts: CallFacts, names: Names, viewer: Viewer
) -> dict[str, str] | None:
    """The card's line about the last time; None when there was none or the store is away."""
    number = (
        facts.caller.number if facts.direction is Direction.INBOUND else facts.answered_by or facts.requested
    )
    if not number or not number.startswith("+"):
        return None
    try:
        last = await site.records.calls.last_with(number, before=facts.started_at)
    except TryLater:
        return None
    if last is None:
        return None
    seen = show(last, viewer.view)
    return {"id": str(last.id), "text": headline(seen, names).plain, "at": last.started_at.isoformat()}
