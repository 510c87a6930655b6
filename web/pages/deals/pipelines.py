"""Pipelines: which stages deals go through. For administrators; every change is one small form and works at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from call_records.crm.deals.currency import CURRENCIES, CURRENCY_KEY, OTHERWISE
from call_records.crm.types import Pipeline, Stage
from telephony.errors import PeerMistake
from web.auth.access import ADMINISTRATORS, Viewer, guard
from web.auth.access_log import note_rules
from web.forms.field_problems import FieldProblem, refusal_of
from web.languages.messages import N_, Phrases, _
from web.pages.deals.board import read_uuid
from web.site import Site, fields, site_of

router = APIRouter(include_in_schema=False)
Administrator = Annotated[Viewer, Depends(guard(ADMINISTRATORS))]

ENDS_WORDS = Phrases({"open": N_("Open"), "won": N_("Won"), "lost": N_("Lost")})


@router.get("/pipelines")
async def pipelines(request: Request, viewer: Administrator) -> Response:
    """All of them with their stages."""
    return await _page(request, viewer)


@router.post("/pipelines")
async def add(request: Request, viewer: Administrator) -> Response:
    """Another one, with the stages every one needs."""
    site, given = site_of(request), await fields(request)
    return await _after(request, viewer, site.records.pipelines.add(given.get("name", "")))


@router.post("/pipelines/currency")
async def currency(request: Request, viewer: Administrator) -> Response:
    """What new deals are counted in; deals that are there keep theirs."""
    site, given = site_of(request), await fields(request)
    chosen = given.get("currency", "").strip().upper()

    async def put() -> None:
        if not re.fullmatch("[A-Z]{3}", chosen):
            raise PeerMistake(
                _("This is no currency."), remedy=_("Write its three letters, like EUR."), field="currency"
            )
        await site.records.office.put(CURRENCY_KEY, chosen, by=viewer.account.id)

    return await _after(request, viewer, put())


@router.post("/pipelines/{pipeline_id:uuid}")
async def change(request: Request, pipeline_id: UUID, viewer: Administrator) -> Response:
    """Another name, another place in the order, out of use, or a further stage: the button says which."""
    site, given = site_of(request), await fields(request)
    pipeline = await _found(site, pipeline_id)
    act = PIPELINE_ACTS.get(given.get("act", ""))
    if act is None:
        raise HTTPException(400, _("Nothing was asked for."))
    return await _after(request, viewer, act(site, viewer, pipeline, given))


@router.post("/pipelines/stages/{stage_id:uuid}")
async def change_stage(request: Request, stage_id: UUID, viewer: Administrator) -> Response:
    """Another name or meaning, another place, or away: the button says which."""
    site, given = site_of(request), await fields(request)
    every = await site.records.deals.pipelines(archived=True)
    pipeline = next((one for one in every if any(stage.id == stage_id for stage in one.stages)), None)
    act = STAGE_ACTS.get(given.get("act", ""))
    if pipeline is None or act is None:
        raise HTTPException(404, _("There is no such stage."))
    stage = next(one for one in pipeline.stages if one.id == stage_id)
    return await _after(request, viewer, act(site, viewer, pipeline, stage, given))


Given = Mapping[str, str]


async def _rename(site: Site, _viewer: Viewer, pipeline: Pipeline, given: Given) -> None:
    await site.records.pipelines.rename(pipeline.id, given.get("name", ""), instead_of=given.get("was"))


async def _first(site: Site, _viewer: Viewer, pipeline: Pipeline, _given: Given) -> None:
    await site.records.pipelines.order([pipeline.id])


async def _archive(site: Site, _viewer: Viewer, pipeline: Pipeline, _given: Given) -> None:
    await site.records.pipelines.archive(pipeline.id, archived=True)


async def _use(site: Site, _viewer: Viewer, pipeline: Pipeline, _given: Given) -> None:
    await site.records.pipelines.archive(pipeline.id, archived=False)


async def _add_stage(site: Site, _viewer: Viewer, pipeline: Pipeline, given: Given) -> None:
    await site.records.pipelines.add_stage(pipeline.id, given.get("name", ""), ends=given.get("ends", "open"))


PIPELINE_ACTS: dict[str, Callable[[Site, Viewer, Pipeline, Given], Awaitable[object]]] = {
    "rename": _rename,
    "first": _first,
    "archive": _archive,
    "use": _use,
    "stage": _add_stage,
}
"""What the buttons of a pipeline do."""


async def _save(site: Site, _viewer: Viewer, _pipeline: Pipeline, stage: Stage, given: Given) -> None:
    name, ends = given.get("name", ""), given.get("ends", stage.ends)
    await site.records.pipelines.change_stage(stage.id, name=name, ends=ends, seen=given.get("seen"))


async def _shift(site: Site, pipeline: Pipeline, stage: Stage, by: int) -> None:
    ids = [one.id for one in pipeline.stages]
    at = ids.index(stage.id)
    ids.insert(max(0, at + by), ids.pop(at))
    await site.records.pipelines.order_stages(pipeline.id, ids)


async def _earlier(site: Site, _viewer: Viewer, pipeline: Pipeline, stage: Stage, _given: Given) -> None:
    await _shift(site, pipeline, stage, -1)


async def _later(site: Site, _viewer: Viewer, pipeline: Pipeline, stage: Stage, _given: Given) -> None:
    await _shift(site, pipeline, stage, 1)


async def _drop(site: Site, viewer: Viewer, _pipeline: Pipeline, stage: Stage, given: Given) -> None:
    into = read_uuid(given.get("into"))
    await site.records.pipelines.remove_stage(stage.id, into=into, by=viewer.account.id)


STAGE_ACTS: dict[str, Callable[[Site, Viewer, Pipeline, Stage, Given], Awaitable[object]]] = {
    "save": _save,
    "earlier": _earlier,
    "later": _later,
    "drop": _drop,
}
"""What the buttons of a stage do."""


async def _found(site: Site, pipeline_id: UUID) -> Pipeline:
    every = await site.records.deals.pipelines(archived=True)
    found = next((one for one in every if one.id == pipeline_id), None)
    if found is None:
        raise HTTPException(404, _("There is no such pipeline."))
    return found


async def _after(request: Request, viewer: Viewer, doing: Awaitable[object]) -> Response:
    site = site_of(request)
    before = await _in_words(site)
    try:
        await doing
    except PeerMistake as mistake:
        problem, problems = refusal_of(mistake)
        return await _page(request, viewer, problem=problem, problems=problems)
    await note_rules(request, viewer, "pipelines", before, await _in_words(site))
    return RedirectResponse("/pipelines?saved=yes", 303)


async def _in_words(site: Site) -> dict[str, object]:
    """As the audit log keeps it: readable in ten years."""
    told: dict[str, object] = {
        ("not in use: " if one.archived_at else "") + one.name: [f"{s.name} ({s.ends})" for s in one.stages]
        for one in await site.records.deals.pipelines(archived=True)
    }
    return told | {"currency": await site.records.office.get(CURRENCY_KEY)}


async def _page(
    request: Request,
    viewer: Viewer,
    *,
    problem: str | None = None,
    problems: Sequence[FieldProblem] = (),
) -> Response:
    site = site_of(request)
    every = await site.records.deals.pipelines(archived=True)
    chosen = await site.records.office.get(CURRENCY_KEY)
    return site.renderer.page(
        request,
        viewer,
        "deals/pipelines.html",
        status=400 if problem or problems else 200,
        used=[one for one in every if one.archived_at is None],
        archived=[one for one in every if one.archived_at is not None],
        counts=await site.records.pipelines.counts(),
        currency=chosen or CURRENCIES.get(site.settings.region or "", OTHERWISE),
        currencies=sorted({*CURRENCIES.values()}),
        ends_words=ENDS_WORDS,
        problem=problem,
        problems=problems,
        said=_("Saved.") if "saved" in request.query_params else None,
    )
