"""Deals: where is the money and what is next? The board of stages, and the list.

The board works without scripts for reading, adding and filtering; dragging, the keyboard and "more" are `js/board.js`,
which asks the same addresses for JSON. A move carries the stage it began from: when somebody else was quicker, the answer
says who, and the card goes to where the deal is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from call_records.crm.deals.queries import CLOSED_DAYS, SORTS
from call_records.crm.types import Column, Deal, DealFilter, MovedMeanwhile, Pipeline, Task
from telephony.errors import PeerMistake
from telephony.staff import Person, Role
from web.auth.access import ANYONE_SIGNED_IN, Viewer, guard
from web.languages.errors import translate_sentence
from web.languages.formats import sort_by_name
from web.languages.messages import N_, Phrases, _
from web.number_search import NO_NUMBER, text_to_search
from web.presenters.contacts import say
from web.presenters.deals import Card, Due, card_of, cards_of, due_of, show_task
from web.presenters.money import sums
from web.site import Site, site_of

router = APIRouter(include_in_schema=False)
Anyone = Annotated[Viewer, Depends(guard(ANYONE_SIGNED_IN))]

CARDS = 50  # of a column at first; what is below is asked for
CLOSED_CARDS = 5  # of a closed column: a glance at what was won lately
LIST_ROWS = 50
TODAY_TASKS = 50  # of one person; more nobody does in a day
TODAY_SHOWN = 8  # two lines of four at 1440 px; the rest is folded

MINE, ALL, NOBODY = "mine", "all", "nobody"
STATES = Phrases({"open": N_("Open"), "won": N_("Won"), "lost": N_("Lost"), "any": N_("Open and closed")})
HEADS = (
    ("title", N_("Deal")),
    ("client", N_("Client")),
    ("stage", N_("Stage")),
    ("amount", N_("Amount")),
    ("owner", N_("Owner")),
    ("task", N_("Next")),
    ("silent", N_("Last heard")),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    pipeline: Pipeline | None
    owner: str
    text: str
    as_list: bool
    state: str
    sort: str
    down: bool
    page: int
    stage: str
    """Which column a narrow screen shows."""
    usual_owner: str
    """What needs not be said in an address."""

    def wanted(self, site: Site, viewer: Viewer) -> DealFilter:
        """The filter, for who asks."""
        text = self.text and (text_to_search(site, viewer, self.text) or NO_NUMBER)
        if self.owner == MINE:
            return DealFilter(owner_id=viewer.account.person_id, text=text)
        if self.owner in (ALL, NOBODY):
            return DealFilter(unowned=self.owner == NOBODY, text=text)
        return DealFilter(owner_id=UUID(self.owner), text=text)

    def query(self, **changed: Any) -> str:
        """The address of the same with something changed, without what goes without saying."""
        said = {
            "pipeline": str(self.pipeline.id) if self.pipeline else "",
            "view": "list" if self.as_list else "",
            "owner": self.owner if self.owner != self.usual_owner else "",
            "q": self.text,
            "state": self.state if self.state != "open" else "",
            "sort": self.sort if self.sort != "silent" else "",
            "down": "yes" if self.down else "",
            "page": str(self.page) if self.page > 1 else "",
        }
        said |= {name: "" if value is None else str(value) for name, value in changed.items()}
        return urlencode({name: value for name, value in said.items() if value})

    @property
    def export(self) -> str:
        """The address of the list, or of the board's deals, as a file."""
        return f"/deals/export.csv?{self.query(page='')}"

    def link(self, **changed: Any) -> str:
        """The page itself with something changed."""
        query = self.query(**changed)
        return f"/deals?{query}" if query else "/deals"


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column of the board in words."""

    column: Column
    cards: list[Card]
    sums: str
    below: int
    """How many more there are than are shown."""
    below_id: UUID | None
    """The first of those: what is dropped at the end goes above it."""


@dataclass(frozen=True, slots=True)
class TodayTask:
    """A task of mine that is due."""

    task: Task
    due: Due


@router.get("/deals")
async def deals(request: Request, viewer: Anyone) -> Response:
    """The board, or the list."""
    site = site_of(request)
    asked = await asked_of(site, viewer, request.query_params)
    context: dict[str, Any] = {
        "asked": asked,
        "pipelines": await site.records.deals.pipelines(),
        "people": await owners(site),
        "today": await today_of(site, viewer),
        "today_shown": TODAY_SHOWN,
        "overdue": 0,
        "undo": await undo_of(site, viewer, request.query_params),
        "has_person": viewer.account.person_id is not None,
    }
    context["overdue"] = sum(one.due.state == "overdue" for one in context["today"])
    if asked.as_list:
        return await _list(request, viewer, asked, context)
    columns = await columns_of(site, viewer, asked) if asked.pipeline else []
    return site.renderer.page(
        request,
        viewer,
        "deals/board.html",
        **context,
        columns=[one for one in columns if one.column.stage.ends == "open"],
        closed=[one for one in columns if one.column.stage.ends != "open"],
        shown_stage=_shown_stage(columns, asked.stage),
        closed_days=CLOSED_DAYS,
        nothing=not any(one.column.count for one in columns),
        filtered=bool(asked.text or asked.owner != ALL),
    )


def _shown_stage(columns: Sequence[ShownColumn], told: str) -> UUID | None:
    """Which column a narrow screen begins with: the one asked for, else the first that holds something."""
    stages = [one.column.stage.id for one in columns]
    chosen = next((one for one in stages if str(one) == told), None)
    filled = next((one.column.stage.id for one in columns if one.column.count), None)
    return chosen or filled or (stages[0] if stages else None)


async def _list(request: Request, viewer: Viewer, asked: Asked, context: Mapping[str, Any]) -> Response:
    site = site_of(request)
    page = await site.records.deals.page(
        asked.pipeline.id if asked.pipeline else None,
        asked.wanted(site, viewer),
        state=None if asked.state == "any" else asked.state,
        sort=asked.sort,
        down=asked.down,
        skip=(asked.page - 1) * LIST_ROWS,
        limit=LIST_ROWS,
    )
    now = datetime.now(UTC)
    return site.renderer.page(
        request,
        viewer,
        "deals/list.html",
        **context,
        cards=cards_of(page.deals, viewer.view, site.settings.time_zone, now, site.settings.region),
        count=page.count,
        summed=sums(page.sums, site.settings.region),
        more=asked.page * LIST_ROWS < page.count,
        heads=HEADS,
        states=STATES,
    )


@router.get("/deals/column/{stage_id:uuid}")
async def more(request: Request, stage_id: UUID, viewer: Anyone) -> Response:
    """What lies below the cards that are shown, for `board.js`."""
    site = site_of(request)
    asked = await asked_of(site, viewer, request.query_params)
    skip = _whole(request.query_params.get("skip", ""), 0)
    wanted = asked.wanted(site, viewer)
    column = await site.records.deals.more_of(stage_id, wanted, skip=skip, limit=CARDS + 1)
    shown = _shown(site, viewer, column, skip=skip)
    return JSONResponse(
        {
            "cards": "".join(_card(site, viewer, card) for card in shown.cards),
            "below": shown.below,
            "next": str(shown.below_id or ""),
        }
    )


def wants_json(request: Request) -> bool:
    """Whether `board.js` asks, and not a form."""
    return "application/json" in request.headers.get("accept", "")


async def refused(request: Request, viewer: Viewer, mistake: PeerMistake) -> Response:
    """The answer to the board when a move was not done; where the deal is by now."""
    said = translate_sentence(mistake)
    if isinstance(mistake, MovedMeanwhile):
        return JSONResponse(await after(request, viewer, mistake.deal, said), 409)
    return JSONResponse({"said": said}, 400)


async def after(request: Request, viewer: Viewer, deal: Deal, said: str) -> dict[str, Any]:
    """What the board must know after a change: the card, where it is, and every column's totals."""
    site = site_of(request)
    asked = await asked_of(site, viewer, request.query_params)
    columns = await site.records.deals.board(deal.pipeline_id, asked.wanted(site, viewer), limit=0)
    region = site.settings.region
    card = card_of(deal, viewer.view, site.settings.time_zone, datetime.now(UTC), region)
    return {
        "said": said,
        "deal": str(deal.id),
        "stage": str(deal.stage_id),
        "card": _card(site, viewer, card),
        "columns": [
            {"stage": str(one.stage.id), "count": one.count, "sums": sums(one.sums, region)}
            for one in columns
        ],
    }


def _card(site: Site, viewer: Viewer, card: Card) -> str:
    return site.renderer.part("deals/card.html", card=card, viewer=viewer)


# -- what the pages of deals share ------------------------------------------------------------------------------------


async def asked_of(site: Site, viewer: Viewer, told: Mapping[str, str]) -> Asked:
    """The address, with what it leaves out: a manager looks at their own deals first, others at all."""
    every = await site.records.deals.pipelines()
    chosen = next((one for one in every if str(one.id) == told.get("pipeline")), every[0] if every else None)
    own = viewer.account.person_id is not None
    usual = MINE if own and viewer.account.role is Role.MANAGER else ALL
    owner = told.get("owner", "")
    if owner not in (MINE, ALL, NOBODY) and read_uuid(owner) is None:
        owner = usual
    if owner == MINE and not own:
        owner = ALL
    sort = told.get("sort", "")
    return Asked(
        pipeline=chosen,
        owner=owner,
        text=" ".join(told.get("q", "").replace("\0", "").split())[:100],
        as_list=told.get("view") == "list",
        state=told.get("state", "") if told.get("state", "") in STATES else "open",
        sort=sort if sort in SORTS else "silent",
        down=told.get("down") == "yes",
        page=max(1, _whole(told.get("page", ""), 1)),
        stage=told.get("stage", ""),
        usual_owner=usual,
    )


async def columns_of(site: Site, viewer: Viewer, asked: Asked) -> list[ShownColumn]:
    """The board in words."""
    if asked.pipeline is None:
        return []
    wanted = asked.wanted(site, viewer)
    columns = await site.records.deals.board(asked.pipeline.id, wanted, limit=CARDS + 1)
    return [_shown(site, viewer, column) for column in columns]


def _shown(site: Site, viewer: Viewer, column: Column, *, skip: int = 0) -> ShownColumn:
    most = CARDS if column.stage.ends == "open" else CLOSED_CARDS
    visible = column.deals[:most]
    below = column.deals[most : most + 1]
    return ShownColumn(
        column=replace(column, deals=visible),
        cards=cards_of(
            visible, viewer.view, site.settings.time_zone, datetime.now(UTC), site.settings.region
        ),
        sums=sums(column.sums, site.settings.region),
        below=max(0, column.count - skip - len(visible)),
        below_id=below[0].id if below else None,
    )


async def owners(site: Site) -> list[Person]:
    """Everybody of ours who can own something."""
    directory = await site.records.staff.directory()
    return sort_by_name((one for one in directory.people if one.id), lambda one: one.name)


async def today_of(site: Site, viewer: Viewer) -> list[TodayTask]:
    """What this viewer has to do today, with what was to be done before."""
    if viewer.account.person_id is None:
        return []
    zone, now = site.settings.time_zone, datetime.now(UTC)
    midnight = datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(), tzinfo=zone)
    found = await site.records.tasks.open_of(viewer.account.person_id, until=midnight, limit=TODAY_TASKS)
    shown = [show_task(task, viewer.view) for task in found]
    return [TodayTask(task, due_of(task, zone, now)) for task in shown]


@dataclass(frozen=True, slots=True)
class Undo:
    """A line that says what was done, and the form that takes it back."""

    said: str
    action: str
    fields: tuple[tuple[str, str], ...] = ()


async def undo_of(site: Site, viewer: Viewer, told: Mapping[str, str]) -> Undo | None:
    """What the address says was just done; only if it still is so."""
    task_id, deal_id = read_uuid(told.get("done")), read_uuid(told.get("removed"))
    if task_id is not None:
        task = await site.records.tasks.one(task_id)
        if task is not None and task.done_at is not None:
            said = _("Done: {text}").format(text=say(task.text, viewer.view))
            return Undo(said, f"/tasks/{task_id}/done", (("done", "no"),))
    if deal_id is not None:
        deal = await site.records.deals.one(deal_id)
        if deal is not None and deal.removed_at is not None:
            said = _("Removed: {title}").format(title=say(deal.title, viewer.view))
            return Undo(said, f"/deals/{deal_id}/restore")
    return None


async def deal_or_404(site: Site, deal_id: UUID) -> Deal:
    """The deal; removed ones have no page."""
    deal = await site.records.deals.one(deal_id)
    if deal is None or deal.removed_at is not None:
        raise HTTPException(404, _("There is no such deal."))
    return deal


def read_uuid(text: str | None) -> UUID | None:
    """The id in a field or an address; None when it holds none."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _whole(text: str, otherwise: int) -> int:
    return int(text[:6]) if text.isascii() and text.isdecimal() else otherwise
