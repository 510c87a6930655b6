"""Review: which calls should I hear this week? The queue with the reason for each, and one call with its form.

A supervisor sees the people whose calls they may hear and nobody else; nobody grades themselves. What another grader thought
is shown only once one has a grade of one's own, so that two graders' judgements stay two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.reviews.types import FormVersion, Grade, Picked, PickState, Scope
from telephony.call_facts.facts import CallFacts
from telephony.errors import PeerMistake
from telephony.recordings import HearScope
from telephony.reviews import Answer, QuestionKind, agents_of
from web.auth.access import SUPERVISORS, Viewer, address_of, browser_name, guard
from web.clients_of_calls import names_for
from web.languages.errors import translate_sentence
from web.languages.formats import sort_by_name
from web.languages.messages import _
from web.pages.recordings.player import player_alone
from web.presenters.call_story import headline, tell
from web.presenters.labels import Named, Names
from web.presenters.masking import show
from web.presenters.reviews import kind_word, reason
from web.recordings.permissions import extensions_heard
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]

FIELDS_MOST = 300  # of a score form's editor: twenty questions of a few fields each
FIELD_LENGTH = 12_000  # characters
NOT_APPLICABLE = "na"
FILTERS = ("reason", "person")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the queue."""

    picked: Picked
    reasons: tuple[str, ...]
    agent: Named
    client: Named


async def told(request: Request) -> dict[str, str]:
    """A form's text fields; more of them than `web.pages.fields` allows."""
    form = await request.form(max_files=0, max_fields=FIELDS_MOST)
    return {
        name: value.replace("\0", "")[:FIELD_LENGTH]
        for name, value in form.multi_items()
        if isinstance(value, str)
    }


def scope_of(site: Site, viewer: Viewer) -> Scope:
    """The extensions whose calls this viewer may review."""
    return extensions_heard(viewer.account, site.hub.names.directory)


def in_scope(scope: Scope, extension: str) -> bool:
    """Whether that person's calls are this viewer's to review."""
    return scope is None or extension in scope


def hears_nobody(viewer: Viewer) -> bool:
    """Said instead of an empty queue, which would promise calls."""
    return viewer.account.hears is HearScope.NONE


async def open_entries(site: Site, viewer: Viewer) -> list[Entry]:
    """The queue of this viewer; their own calls are for others to grade."""
    found = await site.records.reviews.picks.queue(scope_of(site, viewer))
    own = set(viewer.account.extensions)
    names = await names_for(site.records, site.hub.names, [one.call for one in found], viewer.view)
    return [_entry(names, viewer, picked) for picked in found if picked.extension not in own]


def _entry(names: Names, viewer: Viewer, picked: Picked) -> Entry:
    seen = show(picked.call, viewer.view)
    target = (
        seen.caller.number if seen.caller.number != picked.extension else seen.answered_by or seen.requested
    )
    client = names.party(target, seen) if target else names.caller(seen)
    wanted = [one for one in picked.reasons if one.state is picked.state] or list(picked.reasons)
    return Entry(
        Picked(picked.id, seen, picked.extension, picked.reasons, picked.recorded),
        tuple(reason(one, picked.extension, names) for one in wanted),
        names.extension(picked.extension),
        client,
    )


@router.get("/review")
async def queue(request: Request, viewer: Supervisor) -> Response:
    """What is to be heard, newest call first."""
    site = site_of(request)
    entries = await open_entries(site, viewer)
    asked = {name: value for name in FILTERS if (value := request.query_params.get(name, "").strip())}
    kinds = Counter(kind for entry in entries for kind in {one.kind for one in entry.picked.reasons})
    people = Counter(entry.picked.extension for entry in entries)
    shown = [entry for entry in entries if _matches(entry, asked)]
    undo = _uuid(request.query_params.get("skipped"))
    return site.renderer.page(
        request,
        viewer,
        "reviews/queue.html",
        entries=shown,
        waiting=len(entries),
        asked=asked,
        kinds=[(kind, kind_word(kind), count) for kind, count in kinds.most_common()],
        people=sort_by_name(
            ((site.hub.names.extension(one).first, one, count) for one, count in people.items()),
            lambda row: row[0],
        ),
        hears_nobody=hears_nobody(viewer),
        said=_said(request),
        undo=undo,
    )


def _matches(entry: Entry, asked: Mapping[str, str]) -> bool:
    kinds = {one.kind for one in entry.picked.reasons}
    return ("reason" not in asked or asked["reason"] in kinds) and (
        "person" not in asked or asked["person"] == entry.picked.extension
    )


def _said(request: Request) -> str | None:
    if "saved" in request.query_params:
        return _("The grade was saved.")
    if "skipped" in request.query_params:
        return _("The call was taken out of the queue.")
    if "found" in request.query_params:
        count = request.query_params["found"]
        none = _("Looked through the last two weeks: nothing new to hear.")
        return none if count == "0" else _("Calls added to the queue: {n}").format(n=count[:6])
    return None


@router.post("/review/look")
async def look(request: Request, _viewer: Supervisor) -> Response:
    """Pick now instead of within five minutes."""
    count = await site_of(request).records.reviews.picks.pick_now(thorough=True)
    return RedirectResponse(f"/review?found={count}", 303)


@router.post("/review/choose")
async def choose(request: Request, viewer: Supervisor) -> Response:
    """Review a call that no rule picked."""
    site = site_of(request)
    given = await told(request)
    call_id, extension = _uuid(given.get("call")), given.get("extension", "")
    if call_id is None or not in_scope(scope_of(site, viewer), extension):
        raise _nothing()
    pick_id = await site.records.reviews.picks.choose(call_id, extension, by=viewer.account.name)
    return RedirectResponse(f"/review/{pick_id}", 303)


def reviewable(site: Site, viewer: Viewer, facts: CallFacts) -> list[tuple[str, Named]]:
    """Whose part in this call the viewer may put into the queue by hand, for the call's own page."""
    if viewer.account.role not in SUPERVISORS:
        return []
    scope, own = scope_of(site, viewer), set(viewer.account.extensions)
    agents = (one for one in agents_of(facts) if in_scope(scope, one) and one not in own)
    return [(one, site.hub.names.extension(one)) for one in agents]


@router.get("/review/{pick_id:uuid}")
async def one(request: Request, pick_id: UUID, viewer: Supervisor) -> Response:
    """One call: hear it, read what happened, answer the form."""
    site = site_of(request)
    return await _page(request, site, viewer, await _found(site, viewer, pick_id))


@router.post("/review/{pick_id:uuid}")
async def grade(request: Request, pick_id: UUID, viewer: Supervisor) -> Response:
    """Keep the grade and go to the next call."""
    site = site_of(request)
    picked = await _found(site, viewer, pick_id)
    given = await told(request)
    form_id, grade_id = _uuid(given.get("form")), _uuid(given.get("grade"))
    if picked.extension in viewer.account.extensions:
        raise _nothing()
    following = await _next(site, viewer, picked)
    try:
        if form_id is None or grade_id is None:
            raise PeerMistake(_("The form did not arrive whole."), remedy=_("Save it again."))
        await site.records.reviews.grades.give(
            grade_id=grade_id,
            call_id=picked.call.id,
            extension=picked.extension,
            form_id=form_id,
            version=int(given.get("version", "0")) if given.get("version", "").isdecimal() else 0,
            answers=_answers(given),
            feedback=given.get("feedback", ""),
            grader_id=viewer.account.id,
            grader=viewer.account.name,
            login=viewer.account.login,
            address=address_of(request),
            browser=browser_name(request.headers.get("user-agent", "")),
        )
    except PeerMistake as mistake:
        return await _page(request, site, viewer, picked, given=given, problem=translate_sentence(mistake))
    done = urlencode({"saved": str(pick_id)})
    return RedirectResponse(f"/review/{following}?{done}" if following else f"/review?{done}", 303)


@router.post("/review/{pick_id:uuid}/skip")
async def skip(request: Request, pick_id: UUID, viewer: Supervisor) -> Response:
    """Take it out of the queue with a reason; can be undone."""
    site = site_of(request)
    picked = await _found(site, viewer, pick_id)
    why = (await told(request)).get("why", "")
    await site.records.reviews.picks.skip(pick_id, by=viewer.account.id, why=why)
    return RedirectResponse(f"/review?skipped={picked.id}", 303)


@router.post("/review/{pick_id:uuid}/undo")
async def undo(request: Request, pick_id: UUID, viewer: Supervisor) -> Response:
    """Back into the queue."""
    site = site_of(request)
    await _found(site, viewer, pick_id)
    await site.records.reviews.picks.reopen(pick_id)
    return RedirectResponse(f"/review/{pick_id}", 303)


async def _found(site: Site, viewer: Viewer, pick_id: UUID) -> Picked:
    picked = await site.records.reviews.picks.one(pick_id)
    if picked is None or not in_scope(scope_of(site, viewer), picked.extension):
        raise _nothing()
    return picked


def _nothing() -> HTTPException:
    return HTTPException(404, _("There is no such call to review."))


async def _next(site: Site, viewer: Viewer, picked: Picked) -> UUID | None:
    """The next older one of the queue, else its beginning."""
    others = [entry for entry in await open_entries(site, viewer) if entry.picked.id != picked.id]
    older = (one for one in others if one.picked.call.started_at < picked.call.started_at)
    following = next(older, others[0] if others else None)
    return following.picked.id if following else None


async def _page(
    request: Request,
    site: Site,
    viewer: Viewer,
    picked: Picked,
    *,
    given: Mapping[str, str] | None = None,
    problem: str | None = None,
) -> Response:
    reviews = site.records.reviews
    names = await names_for(site.records, site.hub.names, [picked.call], viewer.view)
    entry = _entry(names, viewer, picked)
    seen = entry.picked.call
    grades = await reviews.grades.of_part(picked.call.id, picked.extension)
    own = [one for one in grades if one.grader_id == viewer.account.id]
    forms = await reviews.forms.offered()
    form = _chosen_form(request, forms, own, given)
    mine = next((one for one in own if form and one.form_id == form.form_id), None)
    others = [one for one in grades if one.grader_id != viewer.account.id]
    return site.renderer.page(
        request,
        viewer,
        "reviews/call.html",
        status=400 if problem else 200,
        entry=entry,
        pick_id=picked.id,
        call=seen,
        headline=headline(seen, names),
        story=tell(seen, names),
        **await player_alone(site, viewer, picked.call, seen),
        names=names,
        own_call=picked.extension in viewer.account.extensions,
        forms=forms,
        form=form,
        values=given if given is not None else _values(mine),
        problem=problem,
        mine=mine,
        other_graders=len({one.grader_id for one in others}),
        others=[(one, await reviews.forms.one(one.form_id, one.version)) for one in others] if own else [],
        readings=await reviews.grades.readings([one.id for one in own]) if own else {},
        grade_id=uuid4(),
        next_id=await _next(site, viewer, picked),
        kinds=QuestionKind,
        states=PickState,
        saved=_uuid(request.query_params.get("saved")),
        said=_("The grade was saved. This is the next call.") if "saved" in request.query_params else None,
    )


def _chosen_form(
    request: Request, forms: Sequence[FormVersion], own: Sequence[Grade], given: Mapping[str, str] | None
) -> FormVersion | None:
    """The one asked for, else the one this grader used for this call, else the first."""
    by_id = {form.form_id: form for form in forms}
    asked = [_uuid((given or {}).get("form")), _uuid(request.query_params.get("form"))]
    asked += [one.form_id for one in reversed(own)]
    wanted = next((by_id[one] for one in asked if one in by_id), None)
    return wanted or (forms[0] if forms else None)


def _values(mine: Grade | None) -> dict[str, str]:
    """What the form's fields hold: what this grader said last, else nothing."""
    if mine is None:
        return {}
    values = {"feedback": mine.feedback}
    for name, answer in mine.answers.items():
        values[f"a-{name}"] = NOT_APPLICABLE if answer.value is None else str(answer.value)
        values[f"c-{name}"] = answer.comment
    return values


def _answers(given: Mapping[str, str]) -> dict[str, Answer]:
    answers = {}
    for field, value in given.items():
        if field.startswith("a-") and (value == NOT_APPLICABLE or value.isdecimal()):
            name = field.removeprefix("a-")
            number = None if value == NOT_APPLICABLE else int(value[:3])
            answers[name] = Answer(number, given.get(f"c-{name}", "").strip())
    return answers


def _uuid(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None
