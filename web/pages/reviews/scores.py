"""How the grades of each person go, per question, and how far two graders are apart on the same conversation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import fmean
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from call_records.reviews.types import FormVersion, Grade, GradedTwice, Picked, Scope
from telephony.reviews import Difference, Mark, Question, Step, TrendPoint, compare, points_of, trend
from web.auth.access import SUPERVISORS, Viewer, guard
from web.clients_of_calls import names_for
from web.languages.formats import sort_by_name
from web.languages.messages import _
from web.pages.reviews.queue import hears_nobody, in_scope, open_entries, scope_of
from web.presenters.labels import Named
from web.presenters.review_chart import Line, bars, change, line, steps_back
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]

QUARTER = timedelta(weeks=12)
YEAR = timedelta(days=366)
LATEST = 10  # grades, with what was replied to each
TO_SECOND = 10  # calls offered for a second opinion; nobody does more in a sitting
FAR_APART = 15.0  # points of 100: on a scale of five more than half a step, in every question


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person in the list."""

    extension: str
    named: Named
    count: int
    mean: float | None
    change: float | None
    waiting: int


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question's trend."""

    question: Question
    drawn: Line | None
    points: tuple[TrendPoint, ...]
    last: TrendPoint | None
    change: float | None


async def forms_of(site: Site, grades: Iterable[Grade]) -> dict[tuple[UUID, int], FormVersion]:
    """The versions these grades were given by; there are few."""
    found = {}
    for key in {(one.form_id, one.version) for one in grades}:
        form = await site.records.reviews.forms.one(*key)
        if form is not None:
            found[key] = form
    return found


def marks_of(grades: Iterable[Grade], forms: Mapping[tuple[UUID, int], FormVersion]) -> list[Mark]:
    """Grades as a trend needs them."""
    return [
        Mark(one.call_at, one.score, points_of(forms[one.form_id, one.version].questions, one.answers))
        for one in grades
        if (one.form_id, one.version) in forms
    ]


@router.get("/review/people")
async def people(request: Request, viewer: Supervisor) -> Response:
    """Everybody who was graded in the last half year or has calls waiting."""
    site = site_of(request)
    now = datetime.now(UTC)
    grades = await site.records.reviews.grades.since(scope_of(site, viewer), now - 2 * QUARTER)
    waiting: dict[str, int] = {}
    for entry in await open_entries(site, viewer):
        waiting[entry.picked.extension] = waiting.get(entry.picked.extension, 0) + 1
    found = {one.extension for one in grades} | set(waiting)
    rows = [_person(site, extension, grades, waiting.get(extension, 0), now) for extension in found]
    return site.renderer.page(
        request,
        viewer,
        "reviews/scores.html",
        rows=sort_by_name(rows, lambda row: row.named.first),
        hears_nobody=hears_nobody(viewer),
    )


def _person(site: Site, extension: str, grades: Sequence[Grade], waiting: int, now: datetime) -> PersonRow:
    own = [one for one in grades if one.extension == extension]
    late = [one.score for one in own if one.call_at >= now - QUARTER]
    early = [one.score for one in own if one.call_at < now - QUARTER]
    return PersonRow(
        extension,
        site.hub.names.extension(extension),
        len(late),
        fmean(late) if late else None,
        fmean(late) - fmean(early) if late and early else None,
        waiting,
    )


@router.get("/review/people/{extension}")
async def person(request: Request, extension: str, viewer: Supervisor) -> Response:
    """One person: the score over time, and each question of the form."""
    site = site_of(request)
    scope = scope_of(site, viewer)
    if not in_scope(scope, extension):
        raise HTTPException(404, _("There is nobody with this extension."))
    grades = await site.records.reviews.grades.since(frozenset({extension}), datetime.now(UTC) - YEAR)
    forms = await forms_of(site, grades)
    form = await _form_shown(site, request, grades)
    asked = request.query_params.get("step", "")
    step = Step(asked) if asked in set(Step) else Step.WEEK
    zone = site.settings.time_zone
    steps = steps_back(datetime.now(zone).date(), step)
    marks = marks_of([one for one in grades if form and one.form_id == form.form_id], forms)
    overall = _within(trend(marks, step, zone), steps)
    used = {
        one.form_id: forms[one.form_id, one.version].name
        for one in grades
        if (one.form_id, one.version) in forms
    }
    latest = list(reversed(grades))[:LATEST]
    return site.renderer.page(
        request,
        viewer,
        "reviews/person.html",
        who=site.hub.names.extension(extension),
        extension=extension,
        form=form,
        forms=sorted(used.items(), key=lambda one: one[1]),
        step=step,
        steps=Step,
        bars=bars(overall, steps),
        overall=overall,
        rows=[_row(question, marks, step, site, steps) for question in (form.questions if form else ())],
        monthly=step is Step.MONTH,
        latest=latest,
        readings=await site.records.reviews.grades.readings([one.id for one in latest]),
    )


def _row(
    question: Question, marks: Sequence[Mark], step: Step, site: Site, steps: Sequence[date]
) -> QuestionRow:
    points = _within(trend(marks, step, site.settings.time_zone, question.id), steps)
    return QuestionRow(question, line(points, steps), points, points[-1] if points else None, change(points))


def _within(points: Iterable[TrendPoint], steps: Sequence[date]) -> tuple[TrendPoint, ...]:
    return tuple(point for point in points if point.since in set(steps))


async def _form_shown(site: Site, request: Request, grades: Sequence[Grade]) -> FormVersion | None:
    """The one asked for, else that of the newest grade; its newest version names the questions."""
    used = {str(one.form_id): one.form_id for one in grades}
    wanted = used.get(request.query_params.get("form", ""), grades[-1].form_id if grades else None)
    return await site.records.reviews.forms.one(wanted) if wanted else None


@dataclass(frozen=True, slots=True)
class SharedCall:
    """One conversation two people graded."""

    pair: GradedTwice
    apart: Difference


@dataclass(frozen=True, slots=True)
class QuestionApart:
    """How two graders differ on one question, over all they share."""

    question: Question
    mean: float | None
    """Signed: the second grader minus the first."""
    distance: float | None
    """How far apart, whoever gave more."""


@dataclass(frozen=True, slots=True)
class GraderPair:
    """Two graders and one version of a form."""

    first: str
    second: str
    form: FormVersion
    calls: tuple[SharedCall, ...]
    overall: float
    distance: float
    questions: tuple[QuestionApart, ...]


@router.get("/review/calibration")
async def calibration(request: Request, viewer: Supervisor) -> Response:
    """Whether the same conversation gets the same grade from everybody."""
    site = site_of(request)
    scope = scope_of(site, viewer)
    since = datetime.now(UTC) - 2 * QUARTER
    found = await site.records.reviews.grades.twice(scope, since)
    to_second = await _to_second(site, viewer, scope)
    calls = [*(one.call for one in found if one.call), *(one.call for one in to_second)]
    return site.renderer.page(
        request,
        viewer,
        "reviews/calibration.html",
        pairs=grader_pairs(found),
        far=FAR_APART,
        names=await names_for(site.records, site.hub.names, calls, viewer.view),
        to_second=to_second,
        hears_nobody=hears_nobody(viewer),
    )


def grader_pairs(found: Sequence[GradedTwice]) -> list[GraderPair]:
    """By pair and version of the form, the pair that shares most first. Names in order, whoever graded first."""
    kept: dict[tuple[str, str, UUID, int], list[SharedCall]] = {}
    for one in found:
        pair = one
        if (one.first.grader, one.first.grader_id) > (one.second.grader, one.second.grader_id):
            pair = GradedTwice(one.form, one.call, one.second, one.first)
        key = (pair.first.grader, pair.second.grader, pair.form.form_id, pair.form.version)
        apart = compare(pair.form.questions, pair.first.answers, pair.second.answers)
        kept.setdefault(key, []).append(SharedCall(pair, apart))
    pairs = [_pair(first, second, calls) for (first, second, _form, _version), calls in kept.items()]
    return sorted(pairs, key=lambda pair: -len(pair.calls))


def _pair(first: str, second: str, calls: Sequence[SharedCall]) -> GraderPair:
    form = calls[0].pair.form
    return GraderPair(
        first,
        second,
        form,
        tuple(calls),
        fmean(call.apart.overall for call in calls),
        fmean(abs(call.apart.overall) for call in calls),
        tuple(_question_apart(question, calls) for question in form.questions),
    )


def _question_apart(question: Question, calls: Sequence[SharedCall]) -> QuestionApart:
    told = [value for call in calls if (value := call.apart.by_question.get(question.id)) is not None]
    if not told:
        return QuestionApart(question, None, None)
    return QuestionApart(question, fmean(told), fmean(abs(value) for value in told))


async def _to_second(site: Site, viewer: Viewer, scope: Scope) -> list[Picked]:
    """What colleagues graded and this viewer did not: a second opinion makes a pair."""
    reviews = site.records.reviews
    own = set(viewer.account.extensions)
    offered: list[Picked] = []
    for picked in await reviews.picks.graded(scope):
        if picked.extension in own or len(offered) == TO_SECOND:
            continue
        graders = {one.grader_id for one in await reviews.grades.of_part(picked.call.id, picked.extension)}
        if graders and viewer.account.id not in graders:
            offered.append(picked)
    return offered
