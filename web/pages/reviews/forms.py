"""Score forms: what is asked. A changed form is a new version, looked at before it is saved; old grades keep theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.reviews.types import FormVersion
from telephony.errors import PeerMistake
from telephony.reviews import QUESTIONS_MOST, Question, QuestionKind, check_questions
from web.auth.access import SUPERVISORS, Viewer, guard
from web.languages.errors import translate_sentence
from web.languages.messages import N_, Phrases, _
from web.pages.reviews.queue import told
from web.site import site_of

router = APIRouter(include_in_schema=False)
Supervisor = Annotated[Viewer, Depends(guard(SUPERVISORS))]

BLANK = Question("", "", QuestionKind.SCALE)
KIND_WORDS = Phrases({QuestionKind.SCALE: N_("1 to 5"), QuestionKind.YES_NO: N_("Yes or no")})


@dataclass(frozen=True, slots=True)
class Draft:
    """A form as it stands in the editor."""

    name: str
    questions: tuple[Question, ...]
    after: int
    """The version it was made from; 0 for a new form."""


@router.get("/review/forms")
async def forms(request: Request, viewer: Supervisor) -> Response:
    """Those in use, and those that are not."""
    site = site_of(request)
    book = site.records.reviews.forms
    return site.renderer.page(
        request,
        viewer,
        "reviews/forms.html",
        forms=await book.offered(),
        retired=await book.retired(),
        said=_("Saved.") if "saved" in request.query_params else None,
    )


@router.get("/review/forms/new")
async def new(request: Request, viewer: Supervisor) -> Response:
    """An empty form."""
    return _editor(request, viewer, None, Draft("", (BLANK, BLANK, BLANK), 0))


@router.post("/review/forms/new")
async def make(request: Request, viewer: Supervisor) -> Response:
    """Look at it, or keep it."""
    return await _handle(request, viewer, None)


@router.get("/review/forms/{form_id:uuid}")
async def edit(request: Request, form_id: UUID, viewer: Supervisor) -> Response:
    """The newest version in the editor."""
    present = await _found(request, form_id)
    return _editor(request, viewer, present, Draft(present.name, present.questions, present.version))


@router.post("/review/forms/{form_id:uuid}")
async def change(request: Request, form_id: UUID, viewer: Supervisor) -> Response:
    """Look at the new version, or keep it."""
    return await _handle(request, viewer, await _found(request, form_id))


@router.post("/review/forms/{form_id:uuid}/retire")
async def retire(request: Request, form_id: UUID, _viewer: Supervisor) -> Response:
    """No longer offer it, or offer it again; its grades stay either way."""
    retired = (await told(request)).get("retired") == "yes"
    await site_of(request).records.reviews.forms.retire(form_id, retired=retired)
    return RedirectResponse("/review/forms?saved=yes", 303)


async def _found(request: Request, form_id: UUID) -> FormVersion:
    found = await site_of(request).records.reviews.forms.one(form_id)
    if found is None:
        raise HTTPException(404, _("There is no such form."))
    return found


async def _handle(request: Request, viewer: Viewer, present: FormVersion | None) -> Response:
    given = await told(request)
    draft = read_draft(given)
    try:
        check_questions(draft.questions)
        if given.get("act") != "save":
            return _editor(request, viewer, present, draft, preview=True)
        form_id = present.form_id if present else None
        await site_of(request).records.reviews.forms.save(
            form_id, draft.name, draft.questions, after=draft.after, by=viewer.account.name
        )
    except PeerMistake as mistake:
        problem = translate_sentence(mistake)
        return _editor(request, viewer, present, draft, problem=problem)
    return RedirectResponse("/review/forms?saved=yes", 303)


def read_draft(given: Mapping[str, str]) -> Draft:
    """The editor's fields as a form. A question whose text was emptied is left out; one without a mark gets a new one."""
    rows = []
    for row in range(2 * QUESTIONS_MOST):
        text = given.get(f"q{row}-text", "").strip()
        if text:
            place = _number(given.get(f"q{row}-place", ""), row)
            rows.append((place, row, _question(given, row, text)))
    return Draft(
        given.get("name", "").strip(),
        tuple(one for *_place, one in sorted(rows, key=_order)),
        _number(given.get("after", ""), 0),
    )


def _order(row: tuple[int, int, Question]) -> tuple[int, int]:
    return row[0], row[1]


def _question(given: Mapping[str, str], row: int, text: str) -> Question:
    kind = given.get(f"q{row}-kind", "")
    return Question(
        id=given.get(f"q{row}-id", "")[:40] or uuid4().hex[:8],
        text=text,
        kind=QuestionKind(kind) if kind in set(QuestionKind) else QuestionKind.SCALE,
        weight=_number(given.get(f"q{row}-weight", ""), 0),
        may_skip=given.get(f"q{row}-skip") == "yes",
        help=given.get(f"q{row}-help", "").strip(),
    )


def _number(text: str, otherwise: int) -> int:
    return int(text[:6]) if text.isdecimal() else otherwise


def changes(before: Sequence[Question], after: Sequence[Question]) -> list[str]:
    """What the new version changes, in words."""
    old, new = {one.id: one for one in before}, {one.id: one for one in after}
    said = [_("New: {text}").format(text=one.text) for one in after if one.id not in old]
    said += [_("Gone: {text}").format(text=one.text) for one in before if one.id not in new]
    for one in after:
        was = old.get(one.id)
        if was is None or was == one:
            continue
        if was.text != one.text:
            said.append(_("Reworded: {text}").format(text=one.text))
        if was.weight != one.weight:
            said.append(
                _("Weight {old} → {new}: {text}").format(old=was.weight, new=one.weight, text=one.text)
            )
        if (was.kind, was.may_skip, was.help) != (one.kind, one.may_skip, one.help):
            said.append(_("Answered otherwise: {text}").format(text=one.text))
    kept = [one.id for one in before if one.id in new]
    if kept != [one.id for one in after if one.id in old]:
        said.append(_("In another order"))
    return said


def _editor(
    request: Request,
    viewer: Viewer,
    present: FormVersion | None,
    draft: Draft,
    *,
    preview: bool = False,
    problem: str | None = None,
) -> Response:
    rows = [*draft.questions, *[BLANK] * (1 if draft.questions and draft.questions[-1].text else 0)]
    return site_of(request).renderer.page(
        request,
        viewer,
        "reviews/form.html",
        status=400 if problem else 200,
        present=present,
        draft=draft,
        rows=rows[:QUESTIONS_MOST],
        preview=preview,
        changes=changes(present.questions, draft.questions) if present else [],
        problem=problem,
        kinds=QuestionKind,
        kind_words=KIND_WORDS,
        blank=BLANK,
        most=QUESTIONS_MOST,
    )
