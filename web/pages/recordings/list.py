"""Recordings: what was recorded, is anything wrong with it, and what is to be done. A dense list with filters, the
exceptions with what helps, and each recording's own page where it is held, moved, or deleted for good.

The list's scope is part of its query: a recording that somebody may not hear is not counted, paged over or shown.
Administrators see that every recording exists, because they look after them; they hear only what their scope allows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.recordings.types import AuditFilter, Listed, RecordingFilter, RecordingPage
from call_records.types import CallFilter
from telephony.call_facts.facts import CallFacts, Direction
from telephony.errors import PeerMistake
from telephony.recordings import (
    SOMEBODY_SHOULD_LOOK,
    AuditAction,
    HealthFault,
    RecordingRight,
    RecordingState,
)
from web.auth.access import (
    ANYONE_SIGNED_IN,
    SUPERVISORS,
    NotAllowed,
    NotFound,
    Viewer,
    guard,
    may_list_recordings,
)
from web.clients_of_calls import names_for
from web.forms.date_fields import read_date
from web.forms.date_ranges import PARAMETERS, PERIOD_WORDS, DateRange
from web.languages.errors import translate_error, translate_sentence
from web.languages.formats import sort_key
from web.languages.messages import N_, Phrases, _
from web.number_search import NO_NUMBER, WHOLE_ONLY, number_to_search
from web.pages.calls.calls import client_of, ours_of, read_ids
from web.presenters.labels import Named, Names
from web.presenters.masking import show, show_name
from web.presenters.recordings import Attention, attention, may_try_again
from web.recordings.permissions import (
    Heard,
    extensions_listed,
    known,
    looks_after,
    may_hear,
    may_hold,
    may_know_of,
    may_refile,
    note_use,
    within,
)
from web.recordings.uncovering import can_be_uncovered, may_uncover, uncover
from web.site import Site, fields, read_dates, site_of

router = APIRouter(include_in_schema=False)
Asking = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]
Supervising = Annotated[Viewer, Depends(guard(SUPERVISORS))]

PAGE = 50  # rows; two screens
EXCEPTIONS = 200  # rows; more than anybody works through in a day
HISTORY = 12  # lines of the log on a recording's own page; the rest is one click away
WHY_LEAST = 3  # characters of a reason
WHY_MOST = 1000  # characters; what the log keeps
NEAR = timedelta(minutes=15)  # around a recording's own time: the calls it may belong to
NEAR_CALLS = 25  # of those; more are found by number
TAG_LENGTH = 40  # characters
TAGS_MOST = 12  # on one call
FILTERS = frozenset({"person", "direction", "number", "fault", "length", "state", "tag"}) | PARAMETERS
LENGTHS = Phrases(
    {
        "10": N_("10 seconds or more"),
        "60": N_("1 minute or more"),
        "300": N_("5 minutes or more"),
        "900": N_("15 minutes or more"),
        "3600": N_("1 hour or more"),
    }
)
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)

SAID = Phrases(
    {
        "held": N_("The legal hold is placed. Nothing removes this recording until it is lifted."),
        "lifted": N_("The legal hold is lifted; the retention rules apply again."),
        "deleted": N_("The sound was destroyed. What is left says who did it, when and why."),
        "again": N_("It will be tried again in a moment."),
        "refiled": N_("The recording now belongs to this call."),
        "ended": N_("The link is ended."),
        "uncovered": N_("What was covered is heard again."),
        "hidden": N_("Hidden. It comes back if something else is wrong with it."),
        "shown": N_("Shown again."),
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """A recording as a list shows it; `call` as this viewer may see it."""

    listed: Listed
    call: CallFacts | None
    client: Named
    ours: tuple[Named, ...]
    at: datetime
    tags: Sequence[str]
    may_play: bool
    attention: Attention | None

    @property
    def href(self) -> str:
        """Where the row leads: the call's page, where it is played; without a call its own."""
        return f"/calls/{self.call.id}" if self.call else f"/recordings/{self.listed.recording.id}"


# -- the list --


@router.get("/recordings")
async def recordings(request: Request, viewer: Asking) -> Response:
    """The list, newest first."""
    if not may_list_recordings(viewer.account):
        raise NotAllowed(_("Your account hears no recordings."))
    site = site_of(request)
    asked = {name: value.strip() for name, value in request.query_params.items() if value.strip()}
    dates = read_dates(site, asked)
    wanted, problem = read_filter(asked, dates, site, viewer)
    wanted = replace(wanted, call_ids=read_ids(asked.get("only")))
    page = await _page(site, wanted, asked.get("cursor"))
    filters = {name: value for name, value in asked.items() if name in FILTERS}
    return site.renderer.page(
        request,
        viewer,
        "recordings/list.html",
        tab="all",
        lines=await _lines(site, viewer, page.listed),
        older="/recordings?" + urlencode({**filters, "cursor": page.older}) if page.older else None,
        newest="/recordings?" + urlencode(filters) if "cursor" in asked else None,
        filters=filters,
        dates=dates,
        periods=PERIOD_WORDS,
        more=bool(filters.keys() & {"fault", "length", "state", "tag"}),
        problem=problem,
        only_looks_after=looks_after(viewer.account) and viewer.account.hears == "none",
        directions=Direction,
        faults=HealthFault,
        states=RecordingState,
        lengths=LENGTHS,
        people=_people(site, viewer),
    )


async def _page(site: Site, wanted: RecordingFilter, cursor: str | None) -> RecordingPage:
    if wanted.parties is not None and not wanted.parties:
        return RecordingPage((), None)
    return await site.records.recordings.page(wanted, limit=PAGE, cursor=cursor)


def read_filter(
    asked: dict[str, str], dates: DateRange, site: Site, viewer: Viewer
) -> tuple[RecordingFilter, str | None]:
    """The filter a person chose, within their scope; what cannot be understood is left out and said."""
    problem = None
    number = asked.get("number")
    if number and sum(char.isdigit() for char in number) < 3:
        problem, number = _("Search needs at least three digits of a number."), None
    elif number and number_to_search(site, viewer, number) is None:
        problem, number = _(WHOLE_ONLY), NO_NUMBER
    allowed = extensions_listed(viewer.account, site.hub.names.directory)
    chosen = asked.get("person")
    direction, fault, state = asked.get("direction"), asked.get("fault"), asked.get("state")
    length = asked.get("length")
    return (
        RecordingFilter(
            states=frozenset({RecordingState(state)}) if state in list(RecordingState) else None,
            since=dates.since,
            until=dates.until,
            direction=Direction(direction) if direction in list(Direction) else None,
            parties=within(frozenset({chosen}), allowed) if chosen else allowed,
            number=number,
            fault=HealthFault(fault) if fault in list(HealthFault) else None,
            at_least_seconds=float(length) if length and length in LENGTHS else None,
            tag=asked.get("tag"),
        ),
        problem,
    )


def _people(site: Site, viewer: Viewer) -> list[tuple[str, str]]:
    """(name, extension) of those whose recordings may be in the list."""
    directory = site.hub.names.directory
    allowed = extensions_listed(viewer.account, directory)
    everybody = [
        (p.name, e) for p in directory.people for e in p.extensions if allowed is None or e in allowed
    ]
    return sorted(everybody, key=lambda one: (sort_key(one[0]), one[1]))


async def _lines(
    site: Site, viewer: Viewer, found: Sequence[Listed], *, exceptions: bool = False
) -> list[Line]:
    """What this viewer may know of among these, each as they may see it."""
    directory = site.hub.names.directory
    open_to = [one for one in found if may_know_of(viewer.account, one.call, directory)]
    calls = [one.call for one in open_to if one.call]
    tags = await site.records.retention.tags_of_calls([call.id for call in calls])
    names = await names_for(site.records, site.hub.names, calls, viewer.view)
    return [
        _line(viewer, names, one, tags.get(one.call.id, ()) if one.call else (), exceptions=exceptions)
        for one in open_to
    ]


async def _single_line(site: Site, viewer: Viewer, listed: Listed, tags: Sequence[str] = ()) -> Line:
    calls = [listed.call] if listed.call else []
    names = await names_for(site.records, site.hub.names, calls, viewer.view)
    return _line(viewer, names, listed, tags, exceptions=False)


def _line(viewer: Viewer, names: Names, listed: Listed, tags: Sequence[str], *, exceptions: bool) -> Line:
    recording = listed.recording
    call = show(listed.call, viewer.view) if listed.call else None
    told = recording.started_at or recording.arrived_at or recording.expected_at or recording.ready_at
    if told is None:
        told = listed.call.started_at if listed.call else datetime.now(UTC)
    hears = may_hear(viewer.account, listed.call, names.directory)
    return Line(
        listed=listed,
        call=call,
        client=client_of(call, names)
        if call
        else Named(_("Belongs to no call"), show_name(recording.name, viewer.view)),
        ours=ours_of(call, names) if call else (),
        at=told,
        tags=tags,
        may_play=hears and recording.state is RecordingState.READY,
        attention=attention(listed) if exceptions else None,
    )


# -- the exceptions --


@router.get("/recordings/exceptions")
async def exceptions(request: Request, viewer: Supervising) -> Response:
    """What somebody should look at, the newest first, what may be lost before what is only odd."""
    if not may_list_recordings(viewer.account):
        raise NotAllowed(_("Your account hears no recordings."))
    site = site_of(request)
    hidden = request.query_params.get("hidden") == "yes"
    found = await site.records.recordings.exceptions(limit=EXCEPTIONS, dismissed=hidden)
    lines = await _lines(site, viewer, found, exceptions=True)
    lines.sort(key=lambda line: not (line.attention and line.attention.urgent))
    return site.renderer.page(
        request,
        viewer,
        "recordings/exceptions.html",
        tab="exceptions",
        lines=lines,
        cut=len(found) >= EXCEPTIONS,
        may_refile=may_refile(viewer.account),
        may_delete=RecordingRight.DELETE in viewer.account.recording_rights,
        may_try_again=may_try_again,
        hidden=hidden,
        undo=undoable_ids(request.query_params.get("undo")),
        said=SAID.get(request.query_params.get("said", "")),
    )


@router.post("/recordings/exceptions/{act}")
async def dismiss(request: Request, act: str, viewer: Supervising) -> Response:
    """Known, hide; or show again. One of them, or all that are marked; each is a line in the log."""
    if act not in ("hide", "show") or not may_list_recordings(viewer.account):
        raise NotFound
    site, form = site_of(request), await request.form(max_files=0, max_fields=EXCEPTIONS + 10)
    marked = undoable_ids(",".join(str(value) for value in form.getlist("recording")))
    open_to = [await known(site, request, viewer, one) for one in marked]
    ids = [one.recording.id for one in open_to]
    catalogue, hides = site.records.recordings, act == "hide"
    if hides:
        await catalogue.dismiss_exceptions(ids, by=viewer.account.name)
    else:
        await catalogue.restore_exceptions(ids)
    action = AuditAction.DISMISSED if hides else AuditAction.RESTORED
    for one in open_to:
        await note_use(site, request, viewer, action, one.recording)
    back = {"said": "hidden" if hides else "shown", **({"undo": ",".join(map(str, ids))} if hides else {})}
    return RedirectResponse("/recordings/exceptions?" + urlencode(back), 303)


def undoable_ids(text: str | None) -> list[UUID]:
    """The recordings named in an address or a form, as many as the page has rows."""
    return [UUID(one) for one in (text or "").split(",")[:EXCEPTIONS] if _ID.fullmatch(one)]


# -- one recording --


@router.get("/recordings/{recording_id:uuid}")
async def recording(request: Request, recording_id: UUID, viewer: Asking) -> Response:
    """What is known of it, and what can be done besides hearing it."""
    found = await known(site_of(request), request, viewer, recording_id)
    return await _one(request, viewer, found, said=SAID.get(request.query_params.get("said", "")))


async def _one(
    request: Request,
    viewer: Viewer,
    found: Heard,
    *,
    said: str | None = None,
    problem: str | None = None,
    told: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    site, account = site_of(request), viewer.account
    record = found.recording
    tags = await site.records.retention.tags_of(found.call.id) if found.call else ()
    line = await _single_line(site, viewer, Listed(record, found.call), tags)
    wrong = record.state in SOMEBODY_SHOULD_LOOK or found.call is None or record.faults
    hears = may_hear(account, found.call, site.hub.names.directory)
    shares = RecordingRight.SHARE in account.recording_rights and hears
    history = AuditFilter(recording_id=record.id)
    return site.renderer.page(
        request,
        viewer,
        "recordings/detail.html",
        status=status,
        line=line,
        recording=record,
        name=show_name(record.name, viewer.view),
        attention=attention(Listed(record, found.call)) if wrong else None,
        can_try_again=may_try_again(record) and account.role in SUPERVISORS,
        may_refile=may_refile(account) and record.state is not RecordingState.REMOVED,
        may_hold=may_hold(account) and record.state is not RecordingState.REMOVED,
        may_delete=RecordingRight.DELETE in account.recording_rights
        and record.state is not RecordingState.REMOVED,
        uncoverable=_uncoverable(viewer, found, hears=hears),
        links=await site.records.links.of_recording(record.id) if shares or looks_after(account) else (),
        now=datetime.now(UTC),
        looks_after=looks_after(account),
        history=await site.records.audit.page(history, limit=HISTORY) if looks_after(account) else (),
        said=said,
        problem=problem,
        told=told or {},
    )


def _uncoverable(viewer: Viewer, found: Heard, *, hears: bool) -> frozenset[UUID]:
    """The covered parts of it that this viewer may uncover."""
    if not hears or found.recording.state is not RecordingState.READY:
        return frozenset()
    now = datetime.now(UTC)
    return frozenset(
        one.id
        for one in found.recording.redactions
        if can_be_uncovered(found.recording, one) and may_uncover(viewer.account, one, now)
    )


def _why(told: dict[str, str]) -> str:
    """The reason somebody typed. Raises PeerMistake without one."""
    why = told.get("why", "").strip()[:WHY_MOST]
    if len(why) < WHY_LEAST:
        raise PeerMistake(_("Please say why; it is kept with the recording."))
    return why


def _done(recording_id: UUID, said: str, told: dict[str, str]) -> RedirectResponse:
    """Back to where the button was."""
    if told.get("back") == "exceptions":
        return RedirectResponse(f"/recordings/exceptions?said={said}", 303)
    return RedirectResponse(f"/recordings/{recording_id}?said={said}", 303)


@router.post("/recordings/{recording_id:uuid}/hold")
async def hold(request: Request, recording_id: UUID, viewer: Supervising) -> Response:
    """Place a legal hold."""
    site, told = site_of(request), await fields(request)
    found = await known(site, request, viewer, recording_id)
    try:
        why = _why(told)
        _require_sound(found)
        await note_use(site, request, viewer, AuditAction.HOLD_PLACED, found.recording, reason=why)
        await site.records.retention.place_hold(recording_id, by=viewer.account.name, why=why)
    except PeerMistake as mistake:
        return await _one(request, viewer, found, problem=translate_error(mistake), told=told, status=400)
    return _done(recording_id, "held", told)


@router.post("/recordings/{recording_id:uuid}/lift")
async def lift(request: Request, recording_id: UUID, viewer: Supervising) -> Response:
    """Lift the legal hold."""
    site, told = site_of(request), await fields(request)
    found = await known(site, request, viewer, recording_id)
    try:
        why = _why(told)
        await note_use(site, request, viewer, AuditAction.HOLD_LIFTED, found.recording, reason=why)
        await site.records.retention.lift_hold(recording_id, by=viewer.account.name, why=why)
    except PeerMistake as mistake:
        return await _one(request, viewer, found, problem=translate_error(mistake), told=told, status=400)
    return _done(recording_id, "lifted", told)


@router.post("/recordings/{recording_id:uuid}/delete")
async def delete(request: Request, recording_id: UUID, viewer: Asking) -> Response:
    """Destroy the sound for good; its name was typed to say so."""
    site, told = site_of(request), await fields(request)
    found = await known(site, request, viewer, recording_id, RecordingRight.DELETE)
    try:
        why = _why(told)
        _require_sound(found)
        if found.recording.hold is not None:
            raise PeerMistake(_("A legal hold stands on this recording. It has to be lifted first."))
        if told.get("name", "").strip() != show_name(found.recording.name, viewer.view):
            raise PeerMistake(_("Please type the recording’s name as it is written, to delete it for good."))
        await note_use(site, request, viewer, AuditAction.REMOVED, found.recording, reason=why)
        await site.records.retention.remove(recording_id, by=viewer.account.name, why=why)
    except PeerMistake as mistake:
        return await _one(request, viewer, found, problem=translate_error(mistake), told=told, status=400)
    return _done(recording_id, "deleted", told)


def _require_sound(found: Heard) -> None:
    if found.recording.state is RecordingState.REMOVED:
        raise PeerMistake(_("This recording was removed already."))


@router.post("/recordings/{recording_id:uuid}/redactions/{redaction_id:uuid}/lift")
async def uncover_part(request: Request, recording_id: UUID, redaction_id: UUID, viewer: Asking) -> Response:
    """What was covered there is heard again."""
    site = site_of(request)
    found = await known(site, request, viewer, recording_id)
    try:
        await uncover(site, request, viewer, recording_id, redaction_id)
    except PeerMistake as mistake:
        return await _one(request, viewer, found, problem=translate_error(mistake), status=400)
    return _done(recording_id, "uncovered", await fields(request))


@router.post("/recordings/{recording_id:uuid}/again")
async def again(request: Request, recording_id: UUID, viewer: Supervising) -> Response:
    """Process a failed one again, or wait again for a lost one."""
    site, told = site_of(request), await fields(request)
    found = await known(site, request, viewer, recording_id)
    if not may_try_again(found.recording):
        problem = _("There is nothing to try again: it is not among those that failed.")
        return await _one(request, viewer, found, problem=problem, status=400)
    await site.records.recordings.try_again(recording_id)
    return _done(recording_id, "again", told)


# -- to another call --


@router.get("/recordings/{recording_id:uuid}/refile")
async def refile_form(request: Request, recording_id: UUID, viewer: Supervising) -> Response:
    """The calls it may belong to: those around its own time, or found by number and day."""
    return await _refile_page(request, viewer, await _refilable(request, viewer, recording_id))


@router.post("/recordings/{recording_id:uuid}/refile")
async def refile(request: Request, recording_id: UUID, viewer: Supervising) -> Response:
    """Give it to the chosen call, or to the one whose address was pasted."""
    site, told = site_of(request), await fields(request)
    found = await _refilable(request, viewer, recording_id)
    pasted = _ID.search(told.get("address", "") or told.get("call", ""))
    call = await site.records.calls.one(UUID(pasted[0])) if pasted else None
    if call is None:
        problem = _("There is no such call. Choose one of the list, or paste the address of its page.")
        return await _refile_page(request, viewer, found, problem=problem, status=400)
    details = {"from": str(found.recording.call_id or ""), "to": str(call.id)}
    await note_use(site, request, viewer, AuditAction.REFILED, found.recording, details=details)
    await site.records.recordings.refile(recording_id, call.id)
    return _done(recording_id, "refiled", told)


async def _refilable(request: Request, viewer: Viewer, recording_id: UUID) -> Heard:
    site = site_of(request)
    found = await known(site, request, viewer, recording_id)
    if not may_refile(viewer.account):
        await note_use(site, request, viewer, AuditAction.REFUSED, found.recording, details={"why": "refile"})
        raise NotAllowed(_("Who moves a recording decides who hears it: that needs the right to hear all."))
    return found


def _whole_day(site: Site, typed: str) -> tuple[datetime, datetime]:
    """From midnight to midnight on the office's clock. Raises PeerMistake."""
    zone = site.settings.time_zone
    day = read_date(typed, site.settings.region, today=datetime.now(zone).date())
    since, until = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return since.astimezone(UTC), until.astimezone(UTC)


async def _refile_page(
    request: Request, viewer: Viewer, found: Heard, *, problem: str | None = None, status: int = 200
) -> Response:
    site = site_of(request)
    asked = {name: request.query_params.get(name, "").strip() for name in ("number", "day")}
    line = await _single_line(site, viewer, Listed(found.recording, found.call))
    since, until, number = line.at - NEAR, line.at + NEAR, asked["number"]
    day_wrong = False
    if asked["day"]:
        try:
            since, until = _whole_day(site, asked["day"])
        except PeerMistake as mistake:
            problem, day_wrong = translate_sentence(mistake), True
    if number and sum(char.isdigit() for char in number) < 3:
        problem, number = _("Search needs at least three digits of a number."), ""
    elif number and number_to_search(site, viewer, number) is None:
        problem, number = _(WHOLE_ONLY), ""
    wanted = CallFilter(since=since, until=until, number=number or None)
    near = (await site.records.calls.page(wanted, limit=NEAR_CALLS)).calls
    shown = [
        show(facts, viewer.view) for facts in near if facts.id != (found.call.id if found.call else None)
    ]
    names = await names_for(site.records, site.hub.names, near, viewer.view)
    shown.sort(key=lambda facts: abs((facts.started_at - line.at).total_seconds()))
    return site.renderer.page(
        request,
        viewer,
        "recordings/refile.html",
        status=status,
        line=line,
        recording=found.recording,
        calls=[(facts, client_of(facts, names), ours_of(facts, names)) for facts in shown],
        asked=asked,
        day_wrong=day_wrong,
        problem=problem,
    )


# -- links and tags --


@router.post("/recordings/{recording_id:uuid}/links/{link_id:uuid}/end")
async def end_link(request: Request, recording_id: UUID, link_id: UUID, viewer: Asking) -> Response:
    """From now on the link leads nowhere. An administrator may end every link, also without hearing."""
    site, told = site_of(request), await fields(request)
    if looks_after(viewer.account):
        found = await known(site, request, viewer, recording_id)
    else:
        found = await known(site, request, viewer, recording_id, RecordingRight.SHARE)
    if any(link.id == link_id for link in await site.records.links.of_recording(recording_id)):
        details = {"link": str(link_id)}
        await note_use(site, request, viewer, AuditAction.LINK_REVOKED, found.recording, details=details)
        await site.records.links.revoke(link_id)
    return _done(recording_id, "ended", told)


def read_tags(text: str) -> list[str]:
    """`complaint, vip` as tags: lower case, each once. Raises PeerMistake for too many or too long ones."""
    tags = list(dict.fromkeys(" ".join(part.split()).casefold() for part in text.split(",") if part.strip()))
    if len(tags) > TAGS_MOST or any(len(tag) > TAG_LENGTH for tag in tags):
        raise PeerMistake(_("A call has up to twelve tags of up to forty letters each, parted by commas."))
    return tags


@router.post("/calls/{call_id:uuid}/tags")
async def tag(request: Request, call_id: UUID, viewer: Supervising) -> Response:
    """Change a call's tags. For supervisors: a tag can decide how long the recordings are kept, so it is logged."""
    site, told = site_of(request), await fields(request)
    call = await site.records.calls.one(call_id)
    if call is None or not may_know_of(viewer.account, call, site.hub.names.directory):
        raise HTTPException(404, _("There is no such call, or it is not among those you hear."))
    tags = read_tags(told.get("tags", ""))
    before = sorted(await site.records.retention.tags_of(call.id))
    if sorted(tags) != before:
        details: dict[str, Any] = {"before": {"tags": before}, "after": {"tags": sorted(tags)}}
        await note_use(
            site, request, viewer, AuditAction.RULES_CHANGED, None, call_id=call.id, details=details
        )
        await site.records.retention.set_tags(call.id, tags)
    return RedirectResponse(f"/calls/{call.id}#tags", 303)
