"""Feedback: what colleagues said about my calls. Everybody sees what concerns their own extensions and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.reviews.types import Grade, Told
from telephony.errors import PeerMistake
from telephony.reviews import QuestionKind, Step, trend
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.clients_of_calls import names_for
from web.languages.errors import translate_error
from web.languages.messages import _
from web.pages.recordings.player import player_of_call
from web.pages.reviews.scores import forms_of, marks_of
from web.presenters.call_story import headline, tell
from web.presenters.labels import Named, Names
from web.presenters.masking import show
from web.presenters.review_chart import bars, steps_back
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
REPLY_MOST = 2000  # characters: a paragraph, as a comment on a recording
SignedIn = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]


@router.get("/feedback")
async def feedback(request: Request, viewer: SignedIn) -> Response:
    """My grades, newest call first, what I have not opened marked; and how they go."""
    site = site_of(request)
    grades = site.records.reviews.grades
    own = frozenset(viewer.account.extensions)
    found = await grades.told(own, viewer.account.id) if own else []
    zone = site.settings.time_zone
    steps = steps_back(datetime.now(zone).date(), Step.MONTH)
    since = await grades.since(own, datetime.now(UTC) - timedelta(days=366)) if own else []
    marks = marks_of(since, await forms_of(site, since))
    calls = [one.call for one in found if one.call]
    names = await names_for(site.records, site.hub.names, calls, viewer.view)
    return site.renderer.page(
        request,
        viewer,
        "reviews/feedback.html",
        told=[(one, _client(names, viewer, one)) for one in found],
        unread=sum(one.read_at is None for one in found),
        bars=bars(trend(marks, Step.MONTH, zone), steps) if marks else [],
        monthly=True,
        has_phone=bool(own),
    )


@router.get("/feedback/count")
async def count(request: Request, viewer: SignedIn) -> Response:
    """What this viewer has not read yet: the number beside the door."""
    own = frozenset(viewer.account.extensions)
    unread = await site_of(request).records.reviews.grades.unread(own, viewer.account.id) if own else 0
    text = _("New feedback: {n}").format(n=unread) if unread else ""
    return JSONResponse({"unread": unread, "text": text})


def _client(names: Names, viewer: Viewer, told: Told) -> Named | None:
    if told.call is None:
        return None
    seen = show(told.call, viewer.view)
    target = seen.caller.number
    if target == told.grade.extension:
        target = seen.answered_by or seen.requested
    return names.party(target, seen) if target else names.caller(seen)


@router.get("/feedback/{grade_id:uuid}")
async def one(request: Request, grade_id: UUID, viewer: SignedIn) -> Response:
    """One grade with its questions. Opening it is reading it."""
    grade = await _own_grade(request, viewer, grade_id)
    newest = await _newest(site_of(request), grade)
    if newest.id != grade.id:
        return RedirectResponse(f"/feedback/{newest.id}", 303)
    await site_of(request).records.reviews.grades.mark_read(grade.id, viewer.account.id)
    return await _one(request, viewer, grade)


@router.post("/feedback/{grade_id:uuid}")
async def acknowledge(request: Request, grade_id: UUID, viewer: SignedIn) -> Response:
    """I have read it and understood; a reply goes to whoever graded, once."""
    grade = await _own_grade(request, viewer, grade_id)
    reply = (await fields(request)).get("reply", "").strip()
    try:
        if len(reply) > REPLY_MOST:
            raise PeerMistake(_("A reply may have {most} characters.").format(most=REPLY_MOST))
        await site_of(request).records.reviews.grades.acknowledge(grade.id, viewer.account.id, reply=reply)
    except PeerMistake as mistake:
        return await _one(request, viewer, grade, problem=translate_error(mistake), reply=reply, status=400)
    return RedirectResponse(f"/feedback/{grade.id}", 303)


async def _own_grade(request: Request, viewer: Viewer, grade_id: UUID) -> Grade:
    """A grade of this viewer's. Raises 404, also for one of somebody else."""
    grade = await site_of(request).records.reviews.grades.one(grade_id)
    if grade is None or grade.extension not in viewer.account.extensions:
        raise HTTPException(404, _("There is no such feedback."))
    return grade


async def _one(
    request: Request,
    viewer: Viewer,
    grade: Grade,
    *,
    problem: str | None = None,
    reply: str = "",
    status: int = 200,
) -> Response:
    site, reviews = site_of(request), site_of(request).records.reviews
    readings = (await reviews.grades.readings([grade.id])).get(grade.id, ())
    call = await site.records.calls.one(grade.call_id)
    seen = show(call, viewer.view) if call else None
    names = await names_for(site.records, site.hub.names, [call] if call else [], viewer.view)
    form = await reviews.forms.one(grade.form_id, grade.version)
    none: dict[str, Any] = {"player": None, "not_heard": False}
    sound = await player_of_call(site, viewer, call, seen, datetime.now(UTC)) if call and seen else none
    return site.renderer.page(
        request,
        viewer,
        "reviews/feedback_one.html",
        status=status,
        **sound,
        grade=grade,
        mine=next((one for one in readings if one.account_id == viewer.account.id), None),
        reply=reply,
        reply_most=REPLY_MOST,
        problem=problem,
        form=form,
        kinds=QuestionKind,
        call=seen,
        headline=headline(seen, names) if seen else None,
        story=tell(seen, names) if seen else (),
        client=_client(names, viewer, Told(grade, form, call, None)) if form else None,
    )


async def _newest(site: Site, grade: Grade) -> Grade:
    """What counts now of what this grader said by this form."""
    found = await site.records.reviews.grades.of_part(grade.call_id, grade.extension)
    same = [one for one in found if (one.grader_id, one.form_id) == (grade.grader_id, grade.form_id)]
    return same[-1] if same and grade.id not in {one.id for one in same} else grade
