"""The one search at the head of every page: people, companies, deals, colleagues, queues, calls, and our own pages.

Each kind has its own finder and asks for a few rows. A kind whose answer is late or whose store is away is named, the
others are shown: whoever reads "nothing found" adds the person a second time. What is typed is cut before anything
reads it. Who may not see numbers finds by whole numbers only: otherwise the digits could be found out one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import structlog

from call_records.crm.transliteration import spelled
from call_records.crm.types import Client, ClientFilter, DealFilter
from call_records.types import CallFilter
from telephony.contacts import ClientKind
from telephony.errors import SwitchhookError
from telephony.staff import Directory
from web.auth.access import Viewer
from web.clients_of_calls import names_for
from web.languages.messages import N_, _
from web.number_search import text_to_search
from web.presenters.contacts import deal_title, show_client
from web.presenters.labels import clock, day, outcome_label
from web.presenters.masking import show
from web.rendering import NAVIGATION, OFFICE_PAGES

if TYPE_CHECKING:
    from datetime import datetime

    from web.site import Site

log = structlog.get_logger(__name__)

TEXT_MOST = 100  # characters; longer than any name that somebody types
WORDS_MOST = 8
FEWEST_DIGITS = 3  # as the list of calls asks for
COLLEAGUES = "colleagues"
A_FEW = 5  # rows of a kind while somebody types
SUGGESTION_SECONDS = 2.0  # while somebody types; what answers later is named as not searched
PAGE_SECONDS = 8.0  # whoever pressed Enter waits; a statement of the database is bounded at 10 s


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found."""

    href: str
    title: str
    beside: str | None = None
    icon: str = "search"
    number: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind."""

    name: str
    title: str
    hits: tuple[Hit, ...]
    all_href: str | None = None
    """Where the rest is, when there is more."""


def read_text(typed: str) -> str:
    """What is looked for: without control characters, bounded."""
    return " ".join("".join(char if char.isprintable() else " " for char in typed[:TEXT_MOST]).split())


def digits_in(text: str) -> int:
    """How many digits were typed."""
    return sum(char.isdecimal() for char in text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and what could not be searched."""

    groups: tuple[Group, ...] = ()
    unsearched: tuple[str, ...] = ()
    """A sentence for each kind that was late or whose store is away."""

    @property
    def is_nobody_known(self) -> bool:
        """Whether what was typed may be added as a new contact: all was searched, and it is none of our own people."""
        return not self.unsearched and not any(group.name == COLLEAGUES for group in self.groups)


async def search_everything(
    site: Site,
    viewer: Viewer,
    typed: str,
    now: datetime,
    *,
    limit: int = A_FEW,
    seconds: float | None = None,
) -> Answer:
    """What was found in `seconds` (SUGGESTION_SECONDS), in the order of the finders."""
    text = read_text(typed)
    if not text:
        return Answer()
    asked = Question(site, viewer, text, text_to_search(site, viewer, text), limit, now)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                _find_in_time(finder, asked, SUGGESTION_SECONDS if seconds is None else seconds)
            )
            for finder in FINDERS
        ]
    found = [task.result() for task in running]
    return Answer(
        tuple(group for groups in found for group in groups or () if group.hits),
        tuple(_(FINDERS[finder]) for finder, groups in zip(FINDERS, found, strict=True) if groups is None),
    )


@dataclass(frozen=True, slots=True)
class Question:
    """What every finder is asked."""

    site: Site
    viewer: Viewer
    text: str
    searched: str
    """What of it people, deals and calls may be looked for by: without digits where numbers are masked."""
    limit: int
    now: datetime


Finder = Callable[[Question], Awaitable[Sequence[Group]]]


async def _find_in_time(finder: Finder, asked: Question, seconds: float) -> Sequence[Group] | None:
    """None when it could not be searched."""
    try:
        async with asyncio.timeout(seconds):
            return await finder(asked)
    except (SwitchhookError, TimeoutError, OSError) as trouble:
        log.warning("search_incomplete", finder=finder.__name__, trouble=type(trouble).__name__)
        return None


async def _find_clients(asked: Question) -> Sequence[Group]:
    if not asked.searched:
        return ()
    book = asked.site.records.book
    people = await book.page(ClientFilter(text=asked.searched), limit=asked.limit * 2)
    companies = await book.page(ClientFilter(kind=ClientKind.COMPANY, text=asked.searched), limit=asked.limit)
    persons = [one for one in people.clients if one.kind is not ClientKind.COMPANY][: asked.limit]
    every = "/people?" + urlencode({"q": asked.text, "kind": "all"})
    of_companies = "/people?" + urlencode({"q": asked.text, "kind": ClientKind.COMPANY.value})
    return (
        Group("people", _("People"), _client_hits(asked, persons), every if people.more else None),
        Group(
            "companies",
            _("Companies"),
            _client_hits(asked, companies.clients[: asked.limit]),
            of_companies if companies.more else None,
        ),
    )


def _client_hits(asked: Question, clients: Sequence[Client]) -> tuple[Hit, ...]:
    hits = []
    for client in clients:
        shown = show_client(client, asked.viewer.view, asked.site.settings.region)
        phone = shown.first_phone.text if shown.first_phone else None
        number = phone if shown.has_name else None
        beside = shown.client.company or (None if shown.has_name else phone)
        hits.append(Hit(f"/people/{client.id}", shown.name, beside, client.kind.value, number))
    return tuple(hits)


async def _find_deals(asked: Question) -> Sequence[Group]:
    if not asked.searched:
        return ()
    page = await asked.site.records.deals.page(
        None, DealFilter(text=asked.searched), state=None, limit=asked.limit
    )
    hits = tuple(
        Hit(f"/deals/{one.id}", deal_title(one, asked.viewer.view), one.stage, "deal")
        for one in page.deals[: asked.limit]
    )
    every = "/deals?" + urlencode({"view": "list", "owner": "all", "state": "all", "q": asked.text})
    return (Group("deals", _("Deals"), hits, every if page.count > len(hits) else None),)


async def _find_colleagues(asked: Question) -> Sequence[Group]:
    return (Group(COLLEAGUES, _("Colleagues"), find_colleagues(asked.site.hub.names.directory, asked.text)),)


def find_colleagues(directory: Directory, text: str, limit: int = A_FEW) -> tuple[Hit, ...]:
    """By any words of the name in either script, or by the beginning of an extension; a whole extension first."""
    words = spelled(text).split()[:WORDS_MOST]
    found = []
    for person in directory.people:
        parts = spelled(person.name).split()
        by_extension = [one for one in sorted(person.extensions) if one.startswith(text)]
        by_name = bool(words) and all(any(part.startswith(word) for part in parts) for word in words)
        if by_extension or by_name:
            extension = next(iter(by_extension or sorted(person.extensions)), None)
            found.append((text not in person.extensions, person.name.casefold(), person.name, extension))
    return tuple(
        Hit(
            "/calls?" + urlencode({"person": extension}) if extension else "/live",
            name,
            _("ext. {extension}").format(extension=extension) if extension else None,
            "people",
        )
        for _first, _key, name, extension in sorted(found)[:limit]
    )


async def _find_queues(asked: Question) -> Sequence[Group]:
    names = await asked.site.records.calls.queues()
    words = spelled(asked.text).split()[:WORDS_MOST]
    fitting = [name for name in names if words and all(word in spelled(name) for word in words)]
    hits = tuple(
        Hit("/calls?" + urlencode({"queue": name}), name, _("Calls of this queue"), "queue")
        for name in fitting[: asked.limit]
    )
    return (Group("queues", _("Queues"), hits),)


async def _find_calls(asked: Question) -> Sequence[Group]:
    if digits_in(asked.searched) < FEWEST_DIGITS or any(char.isalpha() for char in asked.searched):
        return ()
    page = await asked.site.records.calls.page(CallFilter(number=asked.searched), limit=asked.limit)
    names = await names_for(asked.site.records, asked.site.hub.names, page.calls, asked.viewer.view)
    every = "/calls?" + urlencode({"q": asked.text})
    zone = asked.site.settings.time_zone
    hits = []
    for facts in page.calls:
        seen = show(facts, asked.viewer.view)
        who = names.client(seen)
        when = f"{day(facts.started_at, zone, asked.now)} {clock(facts.started_at, zone)}"
        hits.append(
            Hit(f"/calls/{facts.id}", who.first, f"{outcome_label(seen)}, {when}", "calls", who.beside)
        )
    return (Group("calls", _("Calls"), tuple(hits), every if page.older else None),)


async def _find_pages(asked: Question) -> Sequence[Group]:
    """Our own pages, by the words of their names."""
    typed = spelled(asked.text)
    doors = [(door.path, _(door.word), door.icon) for door in NAVIGATION if door.opens_for(asked.viewer)]
    if asked.viewer.is_administrator:
        doors += [(path, _(word), "office") for path, word in OFFICE_PAGES if path != "/staff"]
    doors.append(("/settings", _("My settings"), "settings"))
    hits = tuple(
        Hit(path, _("Go to {page}").format(page=word), None, icon)
        for path, word, icon in doors
        if typed and any(part.startswith(typed) for part in (spelled(word), *spelled(word).split()))
    )
    return (Group("pages", _("Pages"), hits[: asked.limit]),)


FINDERS: Mapping[Finder, str] = {
    _find_clients: N_("People and companies could not be searched."),
    _find_deals: N_("Deals could not be searched."),
    _find_colleagues: N_("Colleagues could not be searched."),
    _find_queues: N_("Queues could not be searched."),
    _find_calls: N_("Calls could not be searched."),
    _find_pages: N_("Pages could not be searched."),
}
"""In the order of their groups; and what is said when one does not answer."""
