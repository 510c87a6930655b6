"""Every page there is, found from the routes: an office with something on each, and a walk over all links of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import aiohttp

from call_records.database import RecordsStore
from telephony.staff import Role
from tests.book import people_office
from tests.reviews.office import answers, grade, keep, short_form, talk
from tests.web.conftest import SETTINGS, Person
from tests.web.fakes import FakeLive, FakeRecords, cheap_passwords
from tests.web.kept import add_account, signed_in
from web.app import create_app

NO_PAGES = re.compile(
    r"^/$|^/(api/|static/|healthz|readyz|metrics|listen/|sign-in|welcome|deals/column/)"
    r"|/(audio|player|count|find|same|links|preview)$|\.\{kind\}$"
)
"""Read by programs and by scripts of a page, or open to strangers."""
PARAMETER = re.compile(r"\{[^}]*\}")
LINK = re.compile(r'(?:href|data-more)="(/[^"#]*)"')
LINKS_MOST = 400  # of one walk; the office has far fewer, a circle would not end


async def fill_office(records: RecordsStore) -> None:
    """Contacts, deals, calls with recordings, missed calls, something to review and something reviewed."""
    await people_office.fill(records)
    anna = await records.accounts.by_login("manager")
    jan = await records.accounts.by_login("supervisor")
    assert anna is not None
    assert jan is not None
    now = datetime.now(UTC)
    first, second = (talk("101", at=now - timedelta(hours=hours)) for hours in (2, 3))
    await keep(records, first, second)
    await records.reviews.picks.choose(first.id, "101", by=jan.name)
    await grade(records, second, await short_form(records), jan, answers(), extension="101", feedback="Good.")
    await add_account(records, "boss", Role.ADMINISTRATOR, "104", name="Ines Costa")


def page_routes() -> set[str]:
    """The address patterns of all pages."""
    app = create_app(FakeRecords(), FakeLive(), SETTINGS, passwords=cheap_passwords())
    found: set[str] = set()

    def walk(routes: list[object]) -> None:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner.routes)
            elif "GET" in (getattr(route, "methods", None) or ()):
                found.add(str(getattr(route, "path", "")))

    walk(list(app.routes))
    return {path for path in found if path and not NO_PAGES.search(path)}


async def walk_pages(address: str, login: str) -> dict[str, str]:
    """An example address of every page that this person reaches, by its pattern; those of others they cannot open."""
    routes = {route: re.compile("^" + PARAMETER.sub("[^/]+", route) + "$") for route in page_routes()}
    found: dict[str, str] = {}
    waiting, seen = [route for route in routes if "{" not in route], set[str]()
    async with signed_in(address, login) as person:
        while waiting and len(seen) < LINKS_MOST:
            path = waiting.pop(0)
            if path in seen:
                continue
            seen.add(path)
            html = await _read_page(person, path)
            if html is None:
                continue
            found.setdefault(_route_of(path, routes) or path, path)
            waiting += _new_links(html, routes, found)
    return found


async def _read_page(person: Person, path: str) -> str | None:
    """A page's own answer; None for a redirect, a refusal and what is no page."""
    async with person.http.get(path, allow_redirects=False) as answer:
        return await answer.text() if _is_page(answer) else None


def _is_page(answer: aiohttp.ClientResponse) -> bool:
    return answer.status == 200 and answer.content_type == "text/html"


def _new_links(html: str, routes: dict[str, re.Pattern[str]], found: dict[str, str]) -> list[str]:
    """Links to kinds of pages that were not seen yet. A named path comes before a pattern that would take it for an id."""
    links = (link.split("?")[0] for link in LINK.findall(html))
    return [link for link in links if (route := _route_of(link, routes)) and route not in found]


def _route_of(path: str, routes: dict[str, re.Pattern[str]]) -> str | None:
    if path in routes:
        return path
    return next((route for route, pattern in routes.items() if pattern.match(path)), None)
