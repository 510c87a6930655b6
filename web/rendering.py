"""Pages from templates: one environment, escaping always on, and the few words every template may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from call_records.types import Account
from telephony.call_facts.facts import CallFacts, Direction, LegState, PartyKind, State, iso
from telephony.staff import PopPreference, Role
from web.auth.access import (
    ADMINISTRATORS,
    ANYONE_SIGNED_IN,
    PASSWORD_LEAST,
    PASSWORD_MOST,
    SUPERVISORS,
    Viewer,
    may_list_recordings,
)
from web.compiled_templates import BYTECODE, compile_templates
from web.forms.date_fields import Toward, date_presets, date_style
from web.http.assets import Assets
from web.languages.formats import month_name, short_date
from web.languages.messages import N_, _, current_language, ngettext, pgettext
from web.live import section_of, waiting_since
from web.presenters import contacts as people_words
from web.presenters import labels
from web.presenters import recordings as recording_words
from web.presenters.labels import Named, Names
from web.presenters.money import money
from web.settings import WebSettings

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class Door:
    """One entry of the navigation and who may see it."""

    path: str
    word: str
    icon: str
    key: str
    """Pressed after `g`."""
    roles: frozenset[Role]
    asks: Callable[[Account], bool] | None = None
    """What else an account must be allowed."""
    pages: tuple[tuple[str, str], ...] = ()
    """Where a door leads to several pages: the tabs on them, each an address and a word."""

    def opens_for(self, viewer: Viewer) -> bool:
        """Whether this viewer sees the entry."""
        allowed = self.asks is None or self.asks(viewer.account)
        return viewer.account.role in self.roles and allowed

    def is_at(self, path: str) -> bool:
        """Whether this address is behind the door."""
        return any(path.startswith(page) for page in (self.path, *(page for page, _word in self.pages)))


OFFICE_PAGES = (
    ("/staff", N_("Staff")),
    ("/accounts", N_("Accounts")),
    ("/rules", N_("Lead rules")),
    ("/pipelines", N_("Pipelines")),
    ("/sources", N_("Sources")),
    ("/hours", N_("Working hours")),
    ("/connections", N_("Connections")),
    ("/audit", N_("Audit")),
)
"""What an administrator looks after: tabs on each of these pages."""


NAVIGATION = (
    Door("/live", N_("Live"), "live", "l", ANYONE_SIGNED_IN),
    Door("/calls", N_("Calls"), "calls", "c", ANYONE_SIGNED_IN),
    Door("/missed", N_("Missed"), "missed", "m", ANYONE_SIGNED_IN),
    Door("/people", N_("People"), "people", "p", ANYONE_SIGNED_IN),
    Door("/deals", N_("Deals"), "deal", "d", ANYONE_SIGNED_IN),
    Door("/recordings", N_("Recordings"), "recordings", "r", SUPERVISORS, may_list_recordings),
    Door("/review", N_("Review"), "review", "v", SUPERVISORS),
    Door("/feedback", N_("Feedback"), "feedback", "f", frozenset({Role.MANAGER})),
    Door("/staff", N_("Office"), "office", "o", ADMINISTRATORS, pages=OFFICE_PAGES),
)
"""A manager has six; a seventh would have to earn its place against one of them."""


DOORS_OF_A_SMALL_SCREEN = 5  # beside "More", at 390 px: a label of eleven pixels still fits


def doors_of(viewer: Viewer) -> list[Door]:
    """The navigation of this viewer."""
    return [door for door in NAVIGATION if door.opens_for(viewer)]


def is_in_more(doors: list[Door], path: str) -> bool:
    """Whether the present page is one that a small screen has under "More"."""
    further = doors[DOORS_OF_A_SMALL_SCREEN:]
    return path.startswith("/settings") or any(door.is_at(path) for door in further)


def gets_cards(account: Account) -> bool:
    """Whether a card ever opens for this account: its pages keep the room free."""
    return bool(account.extensions) and account.pop is not PopPreference.NEVER


class Renderer:
    """Fills templates."""

    def __init__(self, settings: WebSettings, assets: Assets, *, can_pause: bool = False) -> None:
        self._settings = settings
        self._env = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=settings.debug,
            bytecode_cache=BYTECODE,
        )
        zone = settings.time_zone
        self._env.globals.update(
            _=_,
            ngettext=ngettext,
            pgettext=pgettext,
            month_name=month_name,
            short_date=short_date,
            asset=assets.url,
            sprite=Markup(assets.text("icons/sprite.svg")),  # noqa: S704 - our own file, nobody's input
            icon=icon,
            settings=settings,
            doors_of=doors_of,
            is_in_more=is_in_more,
            gets_cards=gets_cards,
            office_pages=OFFICE_PAGES,
            may_list_recordings=may_list_recordings,
            wording=labels,
            said_of=recording_words,
            said_of_people=people_words,
            can_pause=can_pause,
            duration=labels.duration,
            iso=iso,
            clock=lambda moment, seconds=False: labels.clock(moment, zone, seconds=seconds),
            day=lambda moment: labels.day(moment, zone, datetime.now(UTC)),
            day_in_sentence=lambda moment: labels.day_in_sentence(moment, zone, datetime.now(UTC)),
            money=lambda amount, currency: money(amount, currency, settings.region),
            told_money=lambda amount, currency: people_words.told_money(amount, currency, settings.region),
            date_hint=lambda: date_style(settings.region).hint,
            bdi=bdi,
            date_presets=lambda toward: date_presets(
                datetime.now(zone).date(), settings.region, Toward(toward)
            ),
            password_least=PASSWORD_LEAST,
            password_most=PASSWORD_MOST,
            written_day=lambda moment: date_style(settings.region).write(moment),
            number=lambda value: labels.display_number(value, settings.region),
        )

    async def compile_templates(self) -> None:
        """Before they are asked for."""
        await compile_templates(self._env)

    def row(self, facts: CallFacts, names: Names) -> str:
        """A call's row on the live page."""
        return self.part("parts/live_row.html", call=facts, row=live_row(facts, names))

    def part(self, template: str, **context: Any) -> str:
        """A piece of a page."""
        return self._env.get_template(template).render(**context)

    def page(
        self,
        request: Request,
        viewer: Viewer | None,
        template: str,
        *,
        status: int = 200,
        **context: Any,
    ) -> HTMLResponse:
        """A whole page."""
        asked = request.query_params if self._settings.debug else {}
        theme = asked.get("theme") or request.cookies.get("theme", "auto")
        language = current_language()
        html = self.part(
            template,
            request=request,
            path=request.url.path,
            viewer=viewer,
            theme=theme if theme in ("light", "dark") else "auto",
            language=language,
            direction="rtl" if asked.get("dir") == "rtl" else language.direction,
            **({"problems": ()} | context),
        )
        return HTMLResponse(html, status_code=status)


def bdi(text: object, *, ltr: bool = False) -> Markup:
    """A name that somebody gave, in whatever direction it is written, or a number; for a place in a sentence."""
    if ltr:
        return Markup('<bdi dir="ltr">{}</bdi>').format(text)
    return Markup("<bdi>{}</bdi>").format(text)


def icon(name: str) -> Markup:
    """One of our icons; decoration only, the word stands beside it."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


@dataclass(frozen=True, slots=True)
class LiveRow:
    """What a row of the live page says."""

    section: str
    client: Named
    ours: tuple[Named, ...]
    ours_word: str
    state_word: str
    state_icon: str
    via: str | None
    since: datetime


_STATE_ICONS = {
    State.RINGING: "ring",
    State.QUEUED: "queue",
    State.TALKING: "talk",
    State.HELD: "hold",
    State.PARKED: "park",
    State.VOICEMAIL: "voicemail",
    State.ENDED: "end",
    State.UNVERIFIED: "unsure",
}


def live_row(facts: CallFacts, names: Names) -> LiveRow:
    """Who talks to whom: the one who called first, then who is in it now, else whose phones ring."""
    callees = [
        leg for leg in facts.legs if leg.party != facts.caller.number and leg.kind is not PartyKind.SERVICE
    ]
    in_it = [leg for leg in callees if leg.state in (LegState.TALKING, LegState.HELD)]
    ringing = [leg for leg in callees if leg.state is LegState.RINGING]
    parties = list(dict.fromkeys(leg.party for leg in in_it or ringing))
    via = [facts.queue.name] if facts.queue else []
    if facts.direction is Direction.INBOUND and facts.did:
        via.append(labels.display_number(facts.did, names.region))
    if facts.state is State.PARKED and facts.parked:
        via.append(_("slot {slot}").format(slot=facts.parked[-1].slot))
    return LiveRow(
        section=section_of(facts),
        client=names.caller(facts),
        ours=tuple(names.party(party, facts) for party in parties),
        ours_word=_("with") if in_it else _("rings"),
        state_word=labels.STATE_WORDS[facts.state],
        state_icon=_STATE_ICONS[facts.state],
        via=" · ".join(via) or None,
        since=waiting_since(facts),
    )
