"""Staff: everybody with a phone, with or without an account. For administrators.

The phones that the PBX has and nobody is named for stand first: giving them a name is the whole work of the first day.
What decides who hears whom (team and phones of somebody with an account) is changed with the account, on its own page.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from call_records.types import StaffMember
from telephony.errors import PeerMistake
from telephony.numbers.extension_rule import ExtensionRule, rule_of
from telephony.presence import together
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.auth.access_log import note_rules
from web.endpoint_rows import list_endpoint_rows
from web.forms.extensions import extension_rule, problem_sentence, read_extensions
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.messages import N_, Phrases, _
from web.pages.accounts.accounts import TEAM_LENGTH
from web.presenters.presence import STATE_WORDS
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

NAME_LENGTH = 200  # characters
LIST_LENGTH = 60_000  # characters of a pasted list; a thousand people with all columns
COLUMNS = ("name", "extensions", "team", "e-mail", "crm user")
"""Of the list that is pasted, in this order; a first line with these words is skipped."""

SAVED = Phrases(
    {
        "kept": N_("Saved."),
        "left": N_("Marked as gone. The phones wait for a new name."),
        "back": N_("Back again. Give them a phone."),
        "endpoint": N_("Saved. Calls say so within seconds; earlier ones after “switchhook recompute”."),
    }
)


@router.get("/staff")
async def staff(request: Request, viewer: Administrator) -> Response:
    """Phones without a name, then everybody."""
    return await _page(request, viewer, said=SAVED.get(request.query_params.get("saved", "")))


@router.post("/staff")
async def put(request: Request, viewer: Administrator) -> Response:
    """Name somebody, or change them."""
    site, told = site_of(request), await fields(request)
    phones, wrong = read_extensions(told.get("extensions", ""), await extension_rule(site))
    problems = [FieldProblem("extensions", wrong)] if wrong else []
    name = " ".join(told.get("name", "").split())[:NAME_LENGTH]
    member = StaffMember(
        id=_id_of(told.get("id")),
        name=name,
        extensions=phones,
        team=" ".join(told.get("team", "").split())[:TEAM_LENGTH] or None,
        email=told.get("email", "").strip()[:NAME_LENGTH] or None,
        crm_user=told.get("crm_user", "").strip()[:NAME_LENGTH] or None,
    )
    if not name:
        problems.append(FieldProblem("name", _("Please fill in the name.")))
    problem, before = None, await _in_words(site)
    if not problems:
        try:
            await site.records.staff.put_member(member, seen=told.get("seen"))
        except PeerMistake as mistake:
            problem, problems = refusal_of(mistake)
    if problem or problems:
        return await _page(request, viewer, problem=problem, problems=problems, told=member, status=400)
    await note_rules(request, viewer, "staff", before, await _in_words(site))
    await site.hub.refresh_names()
    return RedirectResponse("/staff?saved=kept", 303)


@router.post("/staff/list")
async def put_list(request: Request, viewer: Administrator) -> Response:
    """Several at once, from a pasted list: first shown, then kept."""
    site = site_of(request)
    form = await request.form(max_files=0, max_fields=10)
    pasted = str(form.get("list", "")).replace("\0", "")[:LIST_LENGTH]
    lines = read_list(pasted, await site.records.staff.members(), await extension_rule(site))
    if form.get("keep") != "yes" or any(line.problem for line in lines):
        return await _page(request, viewer, pasted=pasted, lines=lines)
    before = await _in_words(site)
    for line in lines:
        await site.records.staff.put_member(line.member)
    await note_rules(request, viewer, "staff", before, await _in_words(site))
    await site.hub.refresh_names()
    return RedirectResponse("/staff?saved=kept", 303)


@router.post("/staff/endpoints")
async def decide_endpoint(request: Request, viewer: Administrator) -> Response:
    """Whose phone an endpoint is, that it is a trunk, or neither any more."""
    site, told = site_of(request), await fields(request)
    pbx, endpoint = told.get("pbx", ""), told.get("endpoint", "")
    if (pbx, endpoint) not in {(row.pbx, row.endpoint) for row in await list_endpoint_rows(site)}:
        raise HTTPException(404, _("The phone system has no such phone any more."))
    match told.get("do"):
        case "forget":
            await site.records.endpoints.unsay(pbx, endpoint)
        case "trunk":
            await site.records.endpoints.say(pbx, endpoint, None)
        case _:
            extension = told.get("extension", "").strip()
            problem = (await extension_rule(site)).problem_with(extension)
            if problem is not None:
                wrong = [FieldProblem("extension", problem_sentence(problem))]
                return await _page(request, viewer, problems=wrong, status=400)
            await site.records.endpoints.say(pbx, endpoint, extension)
    return RedirectResponse("/staff?saved=endpoint", 303)


@router.get("/staff/{person_id:uuid}")
async def one(request: Request, person_id: UUID, viewer: Administrator) -> Response:
    """One person's form."""
    site = site_of(request)
    member = await _found(site, person_id)
    return site.renderer.page(request, viewer, "accounts/staff_one.html", member=member)


@router.post("/staff/{person_id:uuid}/left")
async def left(request: Request, person_id: UUID, viewer: Administrator) -> Response:
    """They work here no more, or again."""
    site, told = site_of(request), await fields(request)
    await _found(site, person_id)
    back, before = told.get("back") == "yes", await _in_words(site)
    await site.records.staff.leave(person_id, at=None if back else datetime.now(UTC))
    await note_rules(request, viewer, "staff", before, await _in_words(site))
    await site.hub.refresh_names()
    return RedirectResponse("/staff?saved=" + ("back" if back else "left"), 303)


@dataclass(frozen=True, slots=True)
class Line:
    """What a line of a pasted list means."""

    member: StaffMember
    known: StaffMember | None
    """Who is changed by it; None: somebody new."""
    problem: str | None = None


ANY_RULE = rule_of(())
"""Where no PBX is known: two to eight digits."""


def read_list(pasted: str, members: Sequence[StaffMember], rule: ExtensionRule = ANY_RULE) -> list[Line]:
    """The people in a list of comma-, semicolon- or tab-separated columns. Who has one of the extensions is changed."""
    if not pasted.strip():
        return []
    by_phone = {phone: member for member in members for phone in member.extensions}
    seen: set[str] = set()
    lines = []
    for cells in csv.reader(io.StringIO(pasted), delimiter=_separator(pasted)):
        told = [cell.strip() for cell in cells] + [""] * len(COLUMNS)
        if not any(told) or told[0].casefold() in ("name", "имя", "фио"):
            continue
        lines.append(_line(told, by_phone, seen, rule))
    return lines


def _separator(pasted: str) -> str:
    first = pasted.strip().splitlines()[0]
    return max("\t;,", key=first.count)


def _line(told: list[str], by_phone: Mapping[str, StaffMember], seen: set[str], rule: ExtensionRule) -> Line:
    phones, problem = read_extensions(re.sub(r"[/|+]", " ", told[1]), rule)
    known = {by_phone[phone].id: by_phone[phone] for phone in phones if phone in by_phone}
    member = StaffMember(
        id=None,
        name=told[0][:NAME_LENGTH],
        extensions=phones,
        team=told[2][:TEAM_LENGTH] or None,
        email=told[3][:NAME_LENGTH] or None,
        crm_user=told[4][:NAME_LENGTH] or None,
    )
    if len(known) == 1:
        (before,) = known.values()
        kept = tuple(dict.fromkeys((*before.extensions, *phones)))
        member = replace(
            member,
            id=before.id,
            extensions=kept,
            team=member.team or before.team,
            email=member.email or before.email,
            crm_user=member.crm_user or before.crm_user,
        )
    if not member.name:
        problem = problem or _("There is no name.")
    if len(known) > 1:
        problem = problem or _("These extensions belong to several people.")
    if seen & set(phones):
        problem = problem or _("This extension stands in the list twice.")
    seen |= set(phones)
    return Line(member, next(iter(known.values()), None) if len(known) == 1 else None, problem)


async def _in_words(site: Site) -> dict[str, str]:
    """As the audit log keeps it: readable in ten years. Only what differs is shown there."""
    return {
        one.name: ", ".join(filter(None, (*one.extensions, one.team, _("left") if one.left_at else None)))
        for one in await site.records.staff.members()
    }


def _id_of(told: str | None) -> UUID | None:
    try:
        return UUID(told) if told else None
    except ValueError:
        raise HTTPException(404, _("There is no such person.")) from None


async def _found(site: Site, person_id: UUID) -> StaffMember:
    for member in await site.records.staff.members():
        if member.id == person_id:
            return member
    raise HTTPException(404, _("There is no such person."))


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    said: str | None = None,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
    told: StaffMember | None = None,
    pasted: str = "",
    lines: Sequence[Line] = (),
    status: int = 200,
) -> Response:
    site = site_of(request)
    members = await site.records.staff.members()
    known = await site.records.staff.phones()
    now = {phone.extension: phone.state for phone in site.live.phones()}
    return site.renderer.page(
        request,
        viewer,
        "accounts/staff.html",
        status=status,
        nameless=[phone for phone in known if phone.person_id is None and phone.gone_at is None],
        gone={phone.extension for phone in known if phone.gone_at is not None},
        here=[
            (member, together(now[phone] for phone in member.extensions if phone in now))
            for member in members
            if member.left_at is None
        ],
        left=[member for member in members if member.left_at is not None],
        teams=sorted({member.team for member in members if member.team}),
        state_words=STATE_WORDS,
        endpoints=await list_endpoint_rows(site),
        said=said,
        problem=problem,
        problems=problems,
        told=told,
        pasted=pasted,
        lines=lines,
    )
