"""Missed calls: whom do we owe a call? Oldest debt first, whose it is, until when, and what was tried.

Everybody sees all of them: a caller who waits is the office's matter. What one does is taken back with one click.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from call_records.crm.missed_calls.types import Asker, MissedEntry, MissedFilter, MissedPage, Sort, Whose
from telephony.errors import PeerMistake
from telephony.hours import WorkingHours, since_last_close, stretch_at
from telephony.missed_calls import GaveUpReason, MissedState, wait_of
from web.auth.access import ANYONE_SIGNED_IN, SUPERVISORS, NotAllowed, Viewer, guard
from web.languages.errors import translate_sentence
from web.languages.messages import N_, Phrases, _, ngettext
from web.pages.contacts.lookup import uuid_of
from web.presenters import missed_calls
from web.presenters.contacts import say
from web.presenters.labels import Named, clock, display_number
from web.presenters.masking import mask, show
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

ON_A_PAGE = 75  # a screen holds fifteen; with three hundred colleagues the page stays below 300 kB
MORNING = timedelta(hours=3)  # so long after opening the night and the weekend are what one looks for first
SAME_DIGITS = 7  # at the end of two spellings of one number, whatever stands before them
SOON = timedelta(minutes=15)  # a deadline that near is shown in the colour of waiting
PERIODS = ("close", "today", "week", "all")
CHOICES = ("whose", "period", "sort", "settled", "skip")


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the list, as this viewer may see it."""

    entry: MissedEntry
    who: Named
    address: str
    """Of the client's page, else of the last call."""
    waited: str
    calls: str | None
    """Where their calls are listed; None where the number may not be seen."""
    tel: str | None
    """The number to dial; None where there is none, or it may not be seen."""
    whose: str | None
    why: str
    mine: bool
    claimed_by_me: bool
    first: str
    last: str
    ago: str
    claimed: str | None
    due: str | None
    late: str
    urgency: str
    """late, soon, later or none: a word, a shape and a colour each."""
    tried: str | None
    settled: str | None
    settled_at: str | None


@router.get("/missed")
async def missed(request: Request, viewer: Anyone) -> Response:
    """The list."""
    return await _page(request, viewer)


@router.get("/missed/count")
async def count(request: Request, viewer: Anyone) -> Response:
    """What waits for this viewer: the number beside the door."""
    found = await site_of(request).records.missed.counts(asker_of(viewer))
    text = ngettext("One missed call waits for you", "{n} missed calls wait for you", found.waiting).format(
        n=found.waiting
    )
    if found.overdue:
        text = _("{waiting}, {overdue}").format(waiting=text, overdue=_overdue(found.overdue))
    return JSONResponse(
        {
            "waiting": found.waiting,
            "overdue": found.overdue,
            "soon": found.soon,
            "text": text if found.waiting else "",
        }
    )


@router.post("/missed/{entry_id:uuid}/claim")
async def claim(request: Request, entry_id: UUID, viewer: Anyone) -> Response:
    """I will call; also what happens when somebody clicks the number."""
    given = await fields(request)
    over = given.get("over") == "yes"
    book = site_of(request).records.missed
    doing = book.claim(entry_id, by=viewer.account.id, person_id=viewer.account.person_id, over=over)
    return await _done(request, viewer, given, doing, "claimed", entry_id)


@router.post("/missed/{entry_id:uuid}/release")
async def release(request: Request, entry_id: UUID, viewer: Anyone) -> Response:
    """I will not, after all. A supervisor may say so for somebody else."""
    given = await fields(request)
    book = site_of(request).records.missed
    entry = await book.one(entry_id)
    if entry is not None and entry.claimed_account_id not in (None, viewer.account.id):
        _only_supervisors(viewer)
    return await _done(
        request, viewer, given, book.release(entry_id, by=viewer.account.id), "released", entry_id
    )


@router.post("/missed/{entry_id:uuid}/give")
async def give(
    request: Request, entry_id: UUID, viewer: Annotated[Viewer, Depends(guard(SUPERVISORS))]
) -> Response:
    """It is that person's."""
    given = await fields(request)
    doing = _give(site_of(request), entry_id, given.get("person", ""), viewer)
    return await _done(request, viewer, given, doing, "given", entry_id)


async def _give(site: Site, entry_id: UUID, person: str, viewer: Viewer) -> None:
    known = {str(one.id): one.id for one in site.hub.names.directory.people if one.id is not None}
    if person not in known:
        raise PeerMistake(_("Nobody was chosen."), remedy=_("Choose a person from the list."))
    await site.records.missed.give(entry_id, person_id=known[person], by=viewer.account.id)


@router.post("/missed/{entry_id:uuid}/give-up")
async def give_up(request: Request, entry_id: UUID, viewer: Anyone) -> Response:
    """No call is owed, and why."""
    given = await fields(request)
    doing = _give_up(site_of(request), entry_id, given, viewer)
    return await _done(request, viewer, given, doing, "gave_up", entry_id)


async def _give_up(site: Site, entry_id: UUID, given: dict[str, str], viewer: Viewer) -> None:
    if given.get("reason") not in list(GaveUpReason):
        raise PeerMistake(_("The reason is missing."), remedy=_("Choose why no call is owed."))
    reason = GaveUpReason(given["reason"])
    await site.records.missed.give_up(
        entry_id, reason=reason, text=given.get("text", ""), by=viewer.account.id
    )


@router.post("/missed/{entry_id:uuid}/reopen")
async def reopen(request: Request, entry_id: UUID, viewer: Anyone) -> Response:
    """A call is owed all the same; also what takes a giving-up back."""
    given = await fields(request)
    doing = site_of(request).records.missed.reopen(entry_id, by=viewer.account.id)
    return await _done(request, viewer, given, doing, "reopened", entry_id)


async def _done(
    request: Request, viewer: Viewer, given: dict[str, str], doing: Awaitable[None], what: str, entry_id: UUID
) -> Response:
    """Back to the list as it was, with what was done and how to take it back; or with what kept it from being done."""
    asked = {name: value for name, value in parse_qsl(given.get("back", "")) if name in CHOICES}
    try:
        await doing
    except PeerMistake as mistake:
        problem = translate_sentence(mistake)
        return await _page(request, viewer, asked=asked, problem=problem)
    return RedirectResponse(f"/missed?{urlencode({**asked, 'done': what, 'entry': str(entry_id)})}", 303)


def _only_supervisors(viewer: Viewer) -> None:
    if viewer.account.role not in SUPERVISORS:
        raise NotAllowed(_("Somebody else said that they will call."))


def asker_of(viewer: Viewer) -> Asker:
    """Whose entries are this viewer's."""
    own = viewer.account
    return Asker(own.id, own.person_id, own.team, supervises=own.role in SUPERVISORS)


async def _page(
    request: Request, viewer: Viewer, *, asked: dict[str, str] | None = None, problem: str | None = None
) -> Response:
    site = site_of(request)
    if asked is None:
        asked = read_asked(request)
    now, hours = datetime.now(UTC), await site.records.missed.hours()
    wanted, period = wanted_of(asked, hours, now)
    skip = int(asked["skip"]) if asked.get("skip", "").isdecimal() and len(asked["skip"]) < 7 else 0
    found = await site.records.missed.page(wanted, asker_of(viewer), limit=ON_A_PAGE, skip=skip)
    in_office = await _count_in_office(site, viewer, wanted, found)
    lines = [line_of(site, viewer, entry, hours, now) for entry in found.entries]
    return site.renderer.page(
        request,
        viewer,
        "missed_calls/missed_calls.html",
        status=409 if problem else 200,
        lines=lines,
        found=found,
        wanted=wanted,
        period=period,
        in_office=in_office,
        whole_office=urlencode({**asked, "whose": Whose.ALL.value, "skip": ""}),
        headline=_headline(found, lines, wanted),
        office=missed_calls.office_now(hours, ZoneInfo(hours.zone), now),
        since=missed_calls.moment(wanted.since, ZoneInfo(hours.zone), now) if wanted.since else None,
        reasons=missed_calls.REASON_WORDS,
        people=[one for one in site.hub.names.directory.people if one.id is not None],
        may_give=viewer.account.role in SUPERVISORS,
        whoses={
            one: word for one, word in _WHOSE_WORDS.items() if viewer.account.team or one is not Whose.TEAM
        },
        periods=_PERIOD_WORDS,
        sorts=_SORT_WORDS,
        back=urlencode(asked),
        opened_id=uuid_of(request.query_params.get("open")),
        export="/missed/export.csv?" + urlencode({**asked, "period": period, "skip": ""}),
        everything=urlencode({**asked, "period": "all"}),
        more=urlencode({**asked, "skip": skip + ON_A_PAGE}) if found.total > skip + ON_A_PAGE else None,
        others="/missed" if wanted.closed else "/missed?settled=yes",
        done=await _what_was_done(request, site, viewer),
        problem=problem,
        states=MissedState,
    )


def read_asked(request: Request) -> dict[str, str]:
    """The choices in the address."""
    return {name: value for name in CHOICES if (value := request.query_params.get(name, "").strip())}


async def _count_in_office(site: Site, viewer: Viewer, wanted: MissedFilter, found: MissedPage) -> int | None:
    """How many callbacks are due in the whole office, where the list shows fewer; None where it shows them all."""
    if wanted.closed or wanted.whose is Whose.ALL:
        return None
    everybody = await site.records.missed.page(replace(wanted, whose=Whose.ALL), asker_of(viewer), limit=1)
    total = everybody.total + everybody.older
    return total if total > found.total + found.older else None


_WHOSE_WORDS = Phrases(
    {
        Whose.OWN: N_("Mine and unassigned"),
        Whose.ALL: N_("Whole office"),
        Whose.MINE: N_("Mine"),
        Whose.TEAM: N_("My team’s"),
        Whose.UNOWNED: N_("Unassigned"),
    }
)
_PERIOD_WORDS = Phrases(
    {
        "close": N_("Since we last closed"),
        "today": N_("Today"),
        "week": N_("Last seven days"),
        "all": N_("Any time"),
    }
)
_SORT_WORDS = Phrases(
    {
        Sort.OLDEST: N_("Oldest first"),
        Sort.LATEST: N_("Latest first"),
        Sort.TIMES: N_("Most tries first"),
        Sort.DEADLINE: N_("Nearest deadline first"),
    }
)


def wanted_of(asked: dict[str, str], hours: WorkingHours, now: datetime) -> tuple[MissedFilter, str]:
    """What to list. In the morning, unless somebody asks otherwise: what came since we last closed."""
    closed = asked.get("settled") == "yes"
    period = asked.get("period", "")
    if period not in PERIODS:
        period = "week" if closed else "close" if _is_morning(hours, now) else "all"
    zone = ZoneInfo(hours.zone)
    midnight = datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)
    since = {
        "close": since_last_close(hours, now) or now - timedelta(days=1),
        "today": midnight,
        "week": midnight - timedelta(days=6),
        "all": None,
    }[period]
    whose = asked.get("whose", "")
    sort = asked.get("sort", "")
    return (
        MissedFilter(
            whose=Whose(whose) if whose in list(Whose) else Whose.ALL if closed else Whose.OWN,
            closed=closed,
            since=since,
            sort=Sort(sort) if sort in list(Sort) else Sort.OLDEST,
        ),
        period,
    )


def _is_morning(hours: WorkingHours, now: datetime) -> bool:
    """Within the first hours of a working day that followed a close."""
    present = stretch_at(hours, now)
    return present is not None and now - present.opens <= MORNING


def _headline(found: MissedPage, lines: list[Line], wanted: MissedFilter) -> str:
    if wanted.closed:
        return ngettext("{n} settled", "{n} settled", found.total).format(n=found.total)
    if not found.total:
        return _("Nobody waits for a call.") if not found.older else _("Nobody new waits for a call.")
    late = sum(line.urgency == "late" for line in lines)
    text = ngettext("We owe one call", "We owe {n} calls", found.total).format(n=found.total)
    if not late:
        return _("{owed}.").format(owed=text)
    return _("{owed}, {overdue}.").format(owed=text, overdue=_overdue(late))


def _overdue(late: int) -> str:
    return ngettext("one is overdue", "{n} are overdue", late).format(n=late)


def line_of(site: Site, viewer: Viewer, entry: MissedEntry, hours: WorkingHours, now: datetime) -> Line:
    """The entry as this viewer may see it."""
    zone, names = ZoneInfo(hours.zone), site.hub.names
    masked, open_ = viewer.view.numbers_masked, entry.closed_at is None
    own = viewer.account
    claimed_by_me = entry.claimed_account_id == own.id
    deadline = entry.due_at if open_ else None
    return Line(
        entry=entry,
        who=_who(site, viewer, entry),
        address=f"/people/{entry.client_id}" if entry.client_id else f"/calls/{entry.last_call_id}",
        waited=missed_calls.waited(wait_of(entry.last_call), names) if entry.last_call else "",
        calls=None if masked or not entry.number else "/calls?" + urlencode({"q": entry.number}),
        tel=None if masked or entry.withheld or not entry.number else entry.number,
        whose=entry.claimed_by if entry.claimed_account_id and not entry.owner else entry.owner or entry.team,
        why=missed_calls.WHY_WORDS[entry.owner_why] if entry.owner_why else "",
        mine=claimed_by_me or (own.person_id is not None and entry.owner_id == own.person_id),
        claimed_by_me=claimed_by_me,
        first=missed_calls.moment(entry.first_at, zone, now),
        last=_last(entry, zone, now),
        ago=missed_calls.until_now(entry.first_at, now),
        claimed=missed_calls.moment(entry.claimed_at, zone, now) if entry.claimed_at else None,
        due=missed_calls.moment(deadline, zone, now) if deadline else None,
        late=missed_calls.until_now(deadline, now) if deadline else "",
        urgency=_urgency(entry, deadline, now),
        tried=_tried(site, entry, zone, now),
        settled=missed_calls.settled(entry, names, viewer.view) if not open_ else None,
        settled_at=missed_calls.moment(entry.closed_at, zone, now) if entry.closed_at else None,
    )


def _last(entry: MissedEntry, zone: ZoneInfo, now: datetime) -> str:
    """Beside the first: of the same day only the clock."""
    same_day = entry.first_at.astimezone(zone).date() == entry.last_at.astimezone(zone).date()
    return clock(entry.last_at, zone) if same_day else missed_calls.moment(entry.last_at, zone, now)


def _who(site: Site, viewer: Viewer, entry: MissedEntry) -> Named:
    """The client, else what the network said, and the number as it is written here."""
    masked = viewer.view.numbers_masked
    number = None if entry.number is None else display_number(entry.number, site.settings.region)
    shown = mask(number) if number and masked else number
    if entry.client and not _only_the_number(entry.client, entry.number):
        name, company = say(entry.client, viewer.view), say(entry.company or "", viewer.view)
        return Named(name, " · ".join(filter(None, (company, shown))) or None)
    if entry.last_call is None:
        return Named(None, shown)
    told = site.hub.names.caller(show(entry.last_call, viewer.view))
    return Named(told.name, shown or told.number)


def _only_the_number(name: str, number: str | None) -> bool:
    """A lead that a call made is named after its number until somebody knows better."""
    if number is None or any(char.isalpha() for char in name):
        return False
    return re.sub(r"\D", "", name)[-SAME_DIGITS:] == re.sub(r"\D", "", number)[-SAME_DIGITS:]


def _urgency(entry: MissedEntry, deadline: datetime | None, now: datetime) -> str:
    if deadline is None:
        return "none"
    if deadline <= now:
        return "late"
    return "soon" if entry.reminded_at is not None or deadline - now <= SOON else "later"


def _tried(site: Site, entry: MissedEntry, zone: ZoneInfo, now: datetime) -> str | None:
    if not entry.tried or entry.tried_at is None:
        return None
    who = site.hub.names.extension(entry.tried_extension).first if entry.tried_extension else _("somebody")
    when = missed_calls.moment(entry.tried_at, zone, now)
    return ngettext(
        "{who} tried at {time}, no answer", "tried {n} times, last {who} at {time}", entry.tried
    ).format(n=entry.tried, who=who, time=when)


async def _what_was_done(request: Request, site: Site, viewer: Viewer) -> dict[str, Any] | None:
    """The line above the list after a change, with the way back."""
    what = request.query_params.get("done", "")
    if what not in _DONE or request.method != "GET":
        return None
    try:
        entry = await site.records.missed.one(UUID(request.query_params.get("entry", "")))
    except ValueError:
        entry = None
    if entry is None:
        return None
    said, back, still = _DONE[what]
    who = _who(site, viewer, entry)
    return {
        "said": _(said),
        "who": who,
        "undo": f"/missed/{entry.id}/{back}" if back and entry.state in still else None,
    }


_DONE: dict[str, tuple[str, str | None, tuple[MissedState, ...]]] = {
    "claimed": (N_("You said that you will call"), "release", (MissedState.CLAIMED,)),
    "released": (N_("Free again"), None, ()),
    "given": (N_("Given away"), None, ()),
    "gave_up": (N_("No call is owed to"), "reopen", (MissedState.GAVE_UP,)),
    "reopened": (N_("Owed again"), None, ()),
}
"""What is said, what takes it back, and in which state that is still possible."""
