"""Every page there is, found from the routes: an office with something on each, and a walk over all links of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape

import aiohttp

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.writes import Home
from call_records.store import RecordsStore
from telephony.staff import Role
from tests.crm import people_office
from tests.reviews.office import answers, grade, keep, missed, short_form, talk
from tests.web.conftest import Person
from tests.web.kept import add_account, signed_in
from tests.web.routes import list_routes, make_app
from web.auth.access import new_token

EXTENSIONS = {"manager": "101", "supervisor": "103", "boss": "104"}
"""Who walks, and the phone that rings on their desk."""
NO_PAGES = re.compile(
    r"^/$|^/(api/|static/|healthz|readyz|metrics|listen/|sign-in|welcome|new-password|deals/column/|form-echo/)"
    r"|/(audio|player|count|find|same|links|preview|suggestions)$|\.(\{kind\}|csv|xlsx|jsonl|vcf)$"
)
"""Read by programs and by scripts of a page, or open to strangers."""
PARAMETER = re.compile(r"\{[^}]*\}")
LINK = re.compile(r'(?:href|data-more)="(/[^"#]*)"')
STATE = re.compile(r"\bedit=|\bkind=contact")
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/|$)")
LINKS_MOST = 400  # of one walk; the office has far fewer, a circle would not end
LIST = b"Name;Phone;E-mail\nAda;8 916 000-00-22;ada@x.example\nNobody;abc;\n"


async def fill_office(records: RecordsStore) -> list[str]:
    """Contacts, deals, calls with recordings, missed calls, something to review and something reviewed. Gives the
    addresses to which only the page of a certain entry leads.
    """
    ids = await people_office.fill(records)
    jan = await records.accounts.by_login("supervisor")
    assert jan is not None
    now = datetime.now(UTC)
    first, second = (talk("101", at=now - timedelta(hours=hours)) for hours in (2, 3))
    await keep(records, first, second)
    await records.reviews.picks.choose(first.id, "101", by=jan.name)
    await grade(records, second, await short_form(records), jan, answers(), extension="101", feedback="Good.")
    await add_account(records, "boss", Role.ADMINISTRATOR, EXTENSIONS["boss"], name="Ines Costa")
    owed = [missed(at=now - timedelta(minutes=20 * nth), number=f"+791600002{nth}0") for nth in range(1, 4)]
    await keep(records, *owed, recorded=False)
    keeper = Bookkeeper(records.engine, steps_for(Home("RU")))
    while await keeper.take_some():
        pass
    _token, hashed = new_token()
    form = await records.forms.add(
        name="Contact page",
        token_hash=hashed,
        secret=None,
        origins=["https://garden.example"],
        mapping={},
        campaign_id=None,
    )
    lead = ids["lead"]
    return [f"/people/{lead}/convert", f"/people/{lead}/reject", f"/sources/forms/{form}"]


async def upload_list(person: Person) -> None:
    """A list of contacts, half way into the office."""
    form = aiohttp.FormData([("csrf", person.csrf)])
    form.add_field("file", LIST, filename="fair.csv")
    async with person.http.post("/people/import/file", data=form, allow_redirects=False) as answer:
        assert answer.status == 303


def page_routes() -> set[str]:
    """The address patterns of all pages."""
    return {path for method, path in list_routes(make_app()) if method == "GET" and not NO_PAGES.search(path)}


@dataclass(frozen=True)
class Found:
    """A page that somebody reaches by links."""

    path: str
    html: str


async def walk_pages(
    address: str, login: str, begin: Iterable[str], *, states: bool = False
) -> dict[str, Found]:
    """A page of every kind that this person reaches, by its address pattern. With `states` also those that a link opens
    for editing, which have the same address and a query.
    """
    routes = {route: re.compile("^" + PARAMETER.sub("[^/]+", route) + "$") for route in page_routes()}
    found: dict[str, Found] = {}
    waiting, seen = [*(route for route in routes if "{" not in route), *begin], set[str]()
    async with signed_in(address, login) as person:
        if login != "manager":
            await upload_list(person)
        while waiting and len(seen) < LINKS_MOST:
            path = waiting.pop(0)
            kind = _kind_of(path, routes)
            if kind is None or kind in found or path in seen:
                continue
            seen.add(path)
            if html := await _read_page(person, path):
                found[kind] = Found(path, html)
                waiting += _links(html, states=states)
    return found


async def _read_page(person: Person, path: str) -> str:
    """A page's own answer; nothing for a redirect, a refusal and what is no page."""
    async with person.http.get(path, allow_redirects=False) as answer:
        is_page = answer.status == 200 and answer.content_type == "text/html"
        return await answer.text() if is_page else ""


def _links(html: str, *, states: bool) -> Iterator[str]:
    for link in LINK.findall(html):
        path, _mark, query = unescape(link).partition("?")
        yield f"{path}?{query}" if states and STATE.search(query) else path


def _kind_of(path: str, routes: dict[str, re.Pattern[str]]) -> str | None:
    """A named path comes before a pattern that would take it for an id."""
    path, mark, query = path.partition("?")
    route = path if path in routes else next((one for one, of in routes.items() if of.match(path)), None)
    return route and route + mark + ID.sub("*", query)
