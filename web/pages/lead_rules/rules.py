"""Rules: what a call makes of its caller, as a table, with a try-out; and the blocklist. For administrators.

Each change is one small form and works at once; the last one can be undone. The try-out writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from call_records.crm.lead_rules.rules import line_version
from call_records.crm.lead_rules.types import Blocked, WhatIf
from call_records.crm.types import Pipeline
from telephony.errors import PeerMistake
from telephony.lead_rules import Known, LeadRule, Making, Outcome, OwnerRule, unreachable
from telephony.recordings import AuditAction
from telephony.staff import Directory
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.errors import translate_sentence
from web.languages.messages import N_, Phrases, _
from web.presenters import lead_rules as said_of
from web.presenters.labels import clock, day
from web.presenters.lead_rules import RuleNames
from web.presenters.masking import mask
from web.recordings.permissions import note_use
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

UNREADABLE = -1  # minutes: refused with the rest of the line, so that all is said at once
NUMBER_MOST = 60  # characters of a typed number
_E = TypeVar("_E", bound=StrEnum)
Given = Mapping[str, str]


@router.get("/rules")
async def rules(request: Request, viewer: Administrator) -> Response:
    """The table, the try-out with its answer if something was asked, and the blocklist."""
    return await _page(request, viewer)


@router.post("/rules/lines")
async def put_line(request: Request, viewer: Administrator) -> Response:
    """A changed or a new line."""
    site, given = site_of(request), await fields(request)

    async def put() -> None:
        await site.records.rules.put(_line_of(given), by=viewer.account.id, seen=given.get("seen"))

    return await _changed(request, viewer, put(), given)


@router.post("/rules/lines/{line_id:uuid}")
async def change_line(request: Request, line_id: UUID, viewer: Administrator) -> Response:
    """Up, down or out: the button says which."""
    site, given = site_of(request), await fields(request)
    act = given.get("act")
    if act == "remove":
        return await _changed(request, viewer, site.records.rules.remove(line_id, by=viewer.account.id))
    move = site.records.rules.move(line_id, up=act == "up", by=viewer.account.id)
    return await _changed(request, viewer, move)


@router.post("/rules/undo")
async def undo(request: Request, viewer: Administrator) -> Response:
    """The table before the last change."""
    return await _changed(request, viewer, site_of(request).records.rules.undo(by=viewer.account.id))


@router.post("/rules/limit")
async def limit(request: Request, viewer: Administrator) -> Response:
    """How many unknown callers of one line may become entries within ten minutes."""
    site, given = site_of(request), await fields(request)
    typed = given.get("most", "").strip()

    async def put() -> None:
        most = int(typed) if typed.isdecimal() and len(typed) < 8 else 0
        await site.records.rules.limit(most, by=viewer.account.id)

    return await _changed(request, viewer, put(), saved="limit")


@router.post("/rules/blocklist")
async def block(request: Request, viewer: Administrator) -> Response:
    """Block a number, or all that begin alike; from here or from a call's page (`back`)."""
    site, given = site_of(request), await fields(request)
    try:
        pattern = await site.records.blocklist.add(
            given.get("number", "")[:NUMBER_MOST], reason=given.get("reason", ""), by=viewer.account.id
        )
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, given=given, problem=problem, problems=problems)
    await _note(request, viewer, {"blocked": pattern, "reason": given.get("reason", "")})
    back = given.get("back", "")
    if back.startswith("/calls/"):
        return RedirectResponse(quote(back, safe="/"), 303)
    return RedirectResponse("/rules?saved=block#blocklist", 303)


@router.post("/rules/blocklist/remove")
async def unblock(request: Request, viewer: Administrator) -> Response:
    """It may make leads again. Undone by blocking it again, which the page offers."""
    site, given = site_of(request), await fields(request)
    found = next(
        (one for one in await site.records.blocklist.all() if mark_of(one) == given.get("mark")), None
    )
    if found is None:
        return RedirectResponse("/rules#blocklist", 303)
    await site.records.blocklist.remove(found.pattern)
    await _note(request, viewer, {"unblocked": found.pattern})
    again = f"&number={quote(found.pattern)}&reason={quote(found.reason)}"
    shown = "" if viewer.view.numbers_masked else again
    return RedirectResponse(f"/rules?saved=unblock{shown}#blocklist", 303)


def mark_of(blocked: Blocked) -> str:
    """What a line of the blocklist is called in a form; no number, so that it can stand in a page that masks them."""
    return hashlib.sha256(blocked.pattern.encode()).hexdigest()[:24]


SAVED_WORDS = Phrases(
    {
        "table": N_("Saved. It holds from the next call on."),
        "limit": N_("Saved."),
        "block": N_("Blocked from now on."),
        "unblock": N_("No longer blocked."),
    }
)


async def _changed(
    request: Request,
    viewer: Viewer,
    doing: Awaitable[None],
    given: Given | None = None,
    *,
    saved: str = "table",
) -> Response:
    site = site_of(request)
    before = await _in_words(site)
    try:
        await doing
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, given=given, problem=problem, problems=problems)
    after = await _in_words(site)
    if after != before:
        await _note(request, viewer, {"lead rules before": before, "after": after})
    return RedirectResponse(f"/rules?saved={saved}", 303)


async def _note(request: Request, viewer: Viewer, details: Mapping[str, Any]) -> None:
    await note_use(site_of(request), request, viewer, AuditAction.RULES_CHANGED, None, details=details)


# -- the form --


def _line_of(given: Given) -> LeadRule:
    """The line as it was filled in."""
    minutes = given.get("minutes", "").strip()
    readable = minutes.isdecimal() and len(minutes) < 7
    return LeadRule(
        id=_uuid(given.get("id")) or uuid4(),
        place=0,
        did=given.get("did", "").strip()[:NUMBER_MOST] or None,
        outcome=_one_of(Outcome, given.get("outcome")),
        known=_one_of(Known, given.get("known")),
        making=_one_of(Making, given.get("making")) or Making.NOTHING,
        stage_id=_uuid(given.get("stage")),
        owner=_one_of(OwnerRule, given.get("owner")) or OwnerRule.NOBODY,
        owner_id=_uuid(given.get("person")),
        team=given.get("team", "").strip() or None,
        task=given.get("task", "").strip() or None,
        task_minutes=(int(minutes) if readable else UNREADABLE) if minutes else None,
    )


def _one_of(kind: type[_E], told: str | None) -> _E | None:
    return kind(told) if told in list(kind) else None


def _uuid(told: str | None) -> UUID | None:
    try:
        return UUID(told) if told else None
    except ValueError:
        return None


# -- the page --


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table as it is read."""

    rule: LeadRule
    then: str
    never: int | None
    """The earlier line that takes all its calls, counted from one."""


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    given: Given | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    site, asked = site_of(request), request.query_params
    table = list(await site.records.rules.all())
    pipelines = await site.records.deals.pipelines()
    directory = await site.records.staff.directory()
    names = _names(pipelines, directory)
    masked = viewer.view.numbers_masked
    blocklist = await site.records.blocklist.all()
    told, answer, trouble = await _tried(request, viewer, table)
    return site.renderer.page(
        request,
        viewer,
        "lead_rules/rules.html",
        status=400 if problem or problems else 200,
        rows=_rows(table, names),
        versions={one.id: line_version(one) for one in table},
        editing=_editing(asked.get("edit"), table, given),
        said_of=said_of,
        outcomes=[None, *Outcome],
        knowns=[None, *Known],
        makings=Making,
        owners=OwnerRule,
        calls_only=[one for one in Outcome if one is not Outcome.FORM],
        pipelines=pipelines,
        people=[one for one in directory.people if one.id],
        teams=sorted({one.team for one in directory.people if one.team}),
        lines=await site.records.campaigns.lines(),
        floods=await site.records.rules.floods(),
        most=await site.records.rules.flood_most(),
        can_undo=await site.records.rules.can_undo(),
        blocklist=[(one, mask(one.pattern) if masked else one.pattern, mark_of(one)) for one in blocklist],
        asked=asked,
        given=given or {},
        told=told,
        answer=answer,
        trouble=trouble,
        saved=asked.get("saved"),
        said=SAVED_WORDS.get(asked.get("saved", "")),
        problem=problem,
        problems=problems,
    )


def _names(pipelines: list[Pipeline] | Any, directory: Directory) -> RuleNames:
    return RuleNames(
        people={one.id: one.name for one in directory.people if one.id},
        stages={s.id: f"{p.name}: {s.name}" for p in pipelines for s in p.stages},
        pipelines={p.id: p.name for p in pipelines},
    )


async def _in_words(site: Site) -> list[str]:
    """The table as the audit log keeps it: readable in ten years."""
    pipelines, directory = await site.records.deals.pipelines(), await site.records.staff.directory()
    names = _names(pipelines, directory)
    return [
        f"{said_of.OUTCOME_WORDS[one.outcome]}; {said_of.KNOWN_WORDS[one.known]}; {one.did or _('any number')}: "
        + said_of.then_words(one, names)
        for one in await site.records.rules.all()
    ]


def _rows(table: list[LeadRule], names: RuleNames) -> list[Row]:
    above = unreachable(table)
    ids = [one.id for one in table]
    return [
        Row(one, said_of.then_words(one, names), ids.index(above[one.id].id) + 1 if one.id in above else None)
        for one in table
    ]


def _editing(wanted: str | None, table: list[LeadRule], given: Given | None) -> LeadRule | None:
    """The line whose form is open; what was typed into it, where that could not be kept."""
    if given is not None and "making" in given:
        told = {**given, "minutes": given.get("minutes", "") if given.get("minutes", "").isdecimal() else ""}
        return _line_of(told)
    if wanted == "new":
        return LeadRule(uuid4(), len(table), None, Outcome.MISSED, Known.UNKNOWN, Making.LEAD)
    return next((one for one in table if str(one.id) == wanted), None)


async def _tried(
    request: Request, viewer: Viewer, table: list[LeadRule]
) -> tuple[WhatIf | None, list[str], str | None]:
    """The answer to what was asked, in sentences; and what is wrong with the question."""
    site, asked = site_of(request), request.query_params
    outcome = _one_of(Outcome, asked.get("outcome"))
    if "what" not in asked or outcome is None:
        return None, [], None
    now = datetime.now(UTC)
    try:
        told = await site.records.rules.what_if(
            asked.get("what", "")[:NUMBER_MOST],
            did=asked.get("line") or None,
            outcome=outcome,
            at=now,
            phone=asked.get("phone") or None,
        )
    except PeerMistake as mistake:
        return None, [], translate_sentence(mistake)
    due_at, zone = told.verdict.due_at, site.settings.time_zone
    due = f"{day(due_at, zone, now)} {clock(due_at, zone)}" if due_at else None
    return told, _sentences(told, viewer, table, due), None


def _sentences(told: WhatIf, viewer: Viewer, table: list[LeadRule], due: str | None) -> list[str]:
    verdict, view = told.verdict, viewer.view
    said = [said_of.who_words(told, view)] if told.key else []
    number = said_of.line_number(told, table)
    if number is not None:
        said.append(_("Line {n} of the table decides.").format(n=number))
    if verdict.refusal is not None:
        said.append(said_of.REFUSAL_WORDS[verdict.refusal])
    if told.blocked_because:
        said.append(_("Reason: {reason}").format(reason=told.blocked_because))
    said.append(said_of.made_words(told, view))
    task = said_of.task_words(told, due)
    said += [task] if task else []
    if told.campaign:
        said.append(_("It would count for the campaign “{name}”.").format(name=told.campaign))
    said.append(said_of.place_words(told, view))
    return said
