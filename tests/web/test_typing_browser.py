"""Nothing typed is lost: into every form of every page, while the network, the server and the session die.

The forms are not listed here: each role walks from the first page along the links, one page of each kind, and types into
whatever it finds there. A form that is added tomorrow is tested tomorrow.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, ElementHandle, Page, Route, expect
from playwright.async_api import Error as BrowserError

from call_records.crm.types import ClientFilter
from call_records.store import RecordsStore
from call_records.types import CallFilter
from telephony.contacts import ClientKind
from tests.browser_fixtures import chromium
from tests.crm.people_office import fill
from tests.web.conftest import Office
from tests.web.every_page import Found, fill_office, walk_pages
from tests.web.kept import serving
from tests.web.office import over, picked_up, ringing

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.timeout(540)]

_NOT_TYPED = ("hidden", "radio", "checkbox", "password", "file", "search")
TYPABLE = "input" + "".join(f":not([type={kind}])" for kind in _NOT_TYPED) + ":not([readonly]), textarea"
"""What one types in. Passwords are never kept, a file cannot be put back by a page, a search changes nothing."""
_ANY = CallFilter()
PAGES_MOST = 60  # of one role; more kinds of pages than there are
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=/)\d+(?=/|$)")


@pytest.fixture
async def address(records: RecordsStore) -> AsyncIterator[str]:
    """The pages of an office with people, deals and calls."""
    await fill(records)
    async with serving(records) as address:
        yield address


async def sign_in(page: Page, login: str) -> None:
    """On the sign-in page."""
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", "correct horse")
    await page.click("button.main")
    await page.wait_for_selector("html[data-live]")


async def enter(chromium: Browser, address: str, login: str) -> Page:
    """A fresh browser, signed in."""
    page = await (await chromium.new_context(viewport={"width": 1440, "height": 900})).new_page()
    await page.goto(f"{address}/sign-in")
    await sign_in(page, login)
    return page


@dataclass
class Walk:
    """One page of each kind that links lead to."""

    page: Page
    address: str
    seen: set[str] = field(default_factory=set)
    waiting: list[str] = field(default_factory=lambda: ["/live"])

    async def next(self) -> str | None:
        """Go on to the next kind of page; its path."""
        while self.waiting and len(self.seen) < PAGES_MOST:
            path = self.waiting.pop(0)
            kind = _ID.sub("*", path)
            if kind in self.seen:
                continue
            self.seen.add(kind)
            answer = await self.page.request.get(self.address + path)
            if not answer.ok or "text/html" not in answer.headers.get("content-type", ""):
                continue
            await self.page.goto(self.address + path)
            self.waiting += await self._links()
            return path
        return None

    async def _links(self) -> list[str]:
        hrefs = await self.page.eval_on_selector_all("a[href]", "all => all.map((one) => one.href)")
        paths = []
        for href in hrefs:
            url = urlsplit(href)
            if href.startswith(self.address) and not url.path.startswith(("/static", "/recordings/export")):
                keep = "edit=" in url.query or "kind=contact" in url.query
                paths.append(url.path + (f"?{url.query}" if keep else ""))
        return paths


async def forms_of(page: Page) -> list[ElementHandle]:
    """The forms that change something and in which one types; what is folded away is opened."""
    await page.evaluate("for (const box of document.querySelectorAll('main details')) box.open = true")
    found = []
    for form in await page.query_selector_all("main form"):
        method = (await form.get_attribute("method") or "").lower()
        shown = [one for one in await form.query_selector_all(TYPABLE) if await one.is_visible()]
        if method == "post" and shown:
            found.append(form)
    return found


async def kind_of(form: ElementHandle) -> str:
    """Forms of one kind are alike but for the ids in their address and in the names of their rows."""
    action = await form.get_attribute("action") or ""
    names = await form.eval_on_selector_all(TYPABLE, "all => all.map((one) => one.name)")
    return name_kind(action, {re.sub(r"[0-9]+", "", name) for name in names})


def name_kind(action: str, names: set[str]) -> str:
    """As this form is called."""
    return f"{_ID.sub('*', urlsplit(action).path)} {' '.join(sorted(names))}"


async def type_into(form: ElementHandle) -> dict[str, str]:
    """Something new in each field; of many that are alike (the hours of seven days) in the first ones."""
    typed: dict[str, str] = {}
    alike: Counter[str] = Counter()
    for at, one in enumerate(await form.query_selector_all(TYPABLE)):
        name, kind = await one.get_attribute("name"), await one.get_attribute("type")
        if not name or alike[like := re.sub(r"[0-9]+", "", name)] >= ALIKE_MOST:
            continue
        if not await one.is_visible() or not await one.is_enabled():
            continue
        alike[like] += 1
        most = int(await one.get_attribute("maxlength") or 99)
        text = {"date": "2027-03-04", "time": "11:22", "number": "17", "url": "https://example.com"}.get(
            kind or "", f"typed {at}"
        )[:most]
        await one.fill(text)
        typed[name] = text
    return typed


READ = "(form) => Object.fromEntries([...form.elements].filter((one) => one.name).map((one) => [one.name, one.value]))"


async def holds(form: ElementHandle, typed: dict[str, str], when: str) -> None:
    """Whatever was typed stands there."""
    now = await form.evaluate(READ)
    lost = {name: (text, now.get(name)) for name, text in typed.items() if now.get(name) != text}
    assert not lost, f"{when}: {lost}"


async def send(form: ElementHandle) -> None:
    """As by its button, whatever the fields say of themselves."""
    await form.evaluate("(form) => { form.noValidate = true; form.requestSubmit(); }")


async def told(form: ElementHandle, when: str) -> None:
    """The form says that it is not saved."""
    try:
        await form.wait_for_selector(".form-sign:not([hidden])", timeout=10_000)
    except BrowserError:
        pytest.fail(f"{when}: the form says nothing")


async def same_form(page: Page, path: str, kind: str) -> ElementHandle:
    """The form of that kind on the page as it is now."""
    for form in await forms_of(page):
        if await kind_of(form) == kind:
            return form
    raise AssertionError(f"{path}: no form {kind} any more")


async def test_nothing_is_lost_in_any_form(chromium: Browser, address: str) -> None:
    """A manager's forms, all of them, found by walking along the links in the browser."""
    page = await enter(chromium, address, "manager")
    walk, done = Walk(page, address), set[str]()
    refuse = Refusals()
    await page.route("**/*", refuse.answer)
    while (path := await walk.next()) is not None:
        await lose_nothing_on(page, address, path, "manager", done, refuse)
    assert len(done) >= LEAST["manager"], sorted(done)


# Their pages are many times a manager's, so they are found without the browser, and it opens only those with forms that
# no lower role has. What is left is shared out, because one walk takes longer than a test may.
@pytest.mark.parametrize(
    ("login", "half"),
    [("supervisor", 0), ("boss", 0), ("boss", 1)],
    ids=["supervisor", "administrator-1", "administrator-2"],
)
async def test_nothing_is_lost_in_the_forms_of_the_office(
    chromium: Browser, records: RecordsStore, login: str, half: int
) -> None:
    """A supervisor's and an administrator's forms, as a manager's."""
    begin = await fill_office(records)
    async with serving(records) as address:
        lower = ("manager",) if login == "supervisor" else ("manager", "supervisor")
        known: set[str] = set()
        for role in lower:
            for page in (await walk_pages(address, role, begin, states=True)).values():
                known |= kinds_in(page.html)
        paths = pages_with_forms(await walk_pages(address, login, begin, states=True), known)
        assert len(paths) >= LEAST[login], paths
        page = await enter(chromium, address, login)
        refuse, done = Refusals(), set(known)
        await page.route("**/*", refuse.answer)
        for path in paths[half :: 2 if login == "boss" else 1]:
            await page.goto(address + path)
            await lose_nothing_on(page, address, path, login, done, refuse)
        assert len(done) > len(known)


async def lose_nothing_on(
    page: Page, address: str, path: str, login: str, done: set[str], refuse: Refusals
) -> None:
    """In each form of this page that was not met before: the network or the server dies while it is sent, the page is left
    and loaded again, then the session ends while one of the page's forms is sent. Every word is there each time, and
    whoever was signed out reads why.
    """
    typed = await type_into_all(page, done)
    if not typed:
        return
    for nth, (kind, words) in enumerate(typed.items()):
        refuse.posts = OUTAGES[nth % len(OUTAGES)]
        form = await same_form(page, path, kind)
        await send(form)
        await told(form, f"{path} {kind}: {refuse.posts}")
        await holds(form, words, f"{path} {kind}: {refuse.posts}")
    assert page.url == address + path
    await page.goto(address + path)
    await hold_all(page, path, typed, "loaded again")
    await page.context.clear_cookies()
    refuse.posts = None
    await send_signed_out(page, path, next(iter(typed)))
    await expect(page.locator(".door .said")).to_contain_text("You were signed out")
    refuse.posts = "network"  # what waits is not sent behind our back
    await sign_in(page, login)
    await page.goto(address + path)
    await hold_all(page, path, typed, "signed in again")
    await page.evaluate("localStorage.clear()")
    await page.goto("about:blank")
    refuse.posts = None


class FormReader(HTMLParser):
    """The forms in a page's source that change something and in which one types, as `kind_of` names them."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds: set[str] = set()
        self._main = False
        self._action: str | None = None
        self._names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "main":
            self._main = True
        elif tag == "form":
            self._action = told.get("action") if self._main and told.get("method") == "post" else None
            self._names = set()
        elif "readonly" not in told and (
            tag == "textarea" or (tag == "input" and told.get("type") not in _NOT_TYPED)
        ):
            self._names.add(re.sub(r"[0-9]+", "", told.get("name") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "main":
            self._main = False
        elif tag == "form" and self._action and self._names:
            self.kinds.add(name_kind(self._action, self._names))


def kinds_in(html: str) -> set[str]:
    """The kinds of forms of a page."""
    reader = FormReader()
    reader.feed(html)
    return reader.kinds


def pages_with_forms(found: Mapping[str, Found], known: set[str]) -> list[str]:
    """One page for each kind of form that is not known yet."""
    met, paths = set(known), list[str]()
    for page in found.values():
        fresh = kinds_in(page.html) - met
        if fresh:
            met |= fresh
            paths.append(page.path)
    return paths


async def send_signed_out(page: Page, path: str, kind: str) -> None:
    """Sent without a session: it leads to the sign-in page."""
    await send(await same_form(page, path, kind))
    try:
        await page.wait_for_url("**/sign-in?*", timeout=15_000)
    except BrowserError:
        said = await page.locator("main").inner_text()
        pytest.fail(f"{path} {kind}: no way to the sign-in page from {page.url}: {said[:2000]}")


async def type_into_all(page: Page, done: set[str]) -> dict[str, dict[str, str]]:
    """Into the forms of a page that were not met before; what was typed by the kind of form."""
    typed = {}
    for form in await forms_of(page):
        kind = await kind_of(form)
        if kind in done:
            continue
        done.add(kind)
        words = await type_into(form)
        if words:
            typed[kind] = words
    return typed


async def hold_all(page: Page, path: str, typed: dict[str, dict[str, str]], when: str) -> None:
    """Whatever was typed stands in its form."""
    for kind, words in typed.items():
        await holds(await same_form(page, path, kind), words, f"{path} {kind}: {when}")


LEAST = {"manager": 8, "supervisor": 5, "boss": 10}
"""Kinds of forms, for the others pages with such, that each role has at least: a walk that finds nothing would pass."""
ALIKE_MOST = 2  # fields of one name into which something is typed
OUTAGES = ("network", "server")


class Refusals:
    """The network or the server, which loses what is sent while it is told to."""

    def __init__(self) -> None:
        self.posts: str | None = None

    async def answer(self, route: Route) -> None:
        """Sign-in is never lost."""
        request = route.request
        if not self.posts or request.method not in ("POST", "PUT") or request.url.endswith("/sign-in"):
            await route.continue_()
        elif self.posts == "server":  # what a proxy says for it
            await route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")
        else:
            await route.abort("connectionreset")


async def test_a_draft_is_its_accounts_own(chromium: Browser, address: str, records: RecordsStore) -> None:
    """Anna types a note and a contact while Switchhook cannot be reached, and her session ends. Boris signs in on the same
    computer: they see nothing of it and nothing is saved under their name. Anna comes back: the note is saved from whatever
    page she opens, the form is there, and when she signs out nothing stays behind.
    """
    page = await enter(chromium, address, "manager")
    (call, *_) = (await records.calls.page(_ANY, limit=1)).calls
    await page.goto(f"{address}/calls/{call.id}")
    await page.wait_for_selector("html[data-live=yes]")
    refuse = Refusals()
    await page.route("**/*", refuse.answer)
    refuse.posts = "network"
    await page.locator("#my-note").fill("Anna's own words")
    await expect(page.locator("#unsaved")).to_contain_text("1 note not saved yet")
    await page.goto(f"{address}/people/new")
    await page.fill("main [name=name]", "Anna's contact")
    await page.context.clear_cookies()
    refuse.posts = None
    await page.goto(f"{address}/sign-in")
    await sign_in(page, "supervisor")
    await page.goto(f"{address}/people/new")
    await expect(page.locator("main [name=name]")).to_have_value("")
    await page.goto(f"{address}/calls/{call.id}")
    await expect(page.locator("#my-note")).not_to_have_value("Anna's own words")
    await expect(page.locator("#unsaved")).to_be_hidden()
    await page.context.clear_cookies()
    await page.goto(f"{address}/sign-in")
    await sign_in(page, "manager")
    await expect(page.locator("#unsaved")).to_be_hidden()
    await page.wait_for_function("!Object.keys(localStorage).some((key) => key.includes(' note '))")
    notes = {note.account_id: note.text for note in await records.notes.of_call(call.id)}
    anna, boris = [await records.accounts.by_login(login) for login in ("manager", "supervisor")]
    assert anna is not None
    assert boris is not None
    assert notes[anna.id] == "Anna's own words"
    assert notes.get(boris.id) != "Anna's own words"
    await page.goto(f"{address}/people/new")
    await expect(page.locator("main [name=name]")).to_have_value("Anna's contact")
    await page.locator("form.me button").click()
    await page.wait_for_url("**/sign-in")
    assert (
        await page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('switchhook draft'))")
        == []
    )


async def test_a_hung_server_is_told_and_the_form_arrives_once(
    chromium: Browser, address: str, records: RecordsStore
) -> None:
    """The server takes the form but its answer is lost: the page says so, sends it again, and there is one contact."""
    page = await enter(chromium, address, "manager")
    await page.goto(f"{address}/people/new")
    lost = 0

    async def lose_answer(route: Route) -> None:
        nonlocal lost
        lost += 1
        await route.fetch(max_redirects=0)
        await route.abort("connectionreset")

    await page.route("**/people", lose_answer)
    await page.fill("main [name=name]", "Once and only once")
    await page.click("main button.main")
    await expect(page.locator("main form .form-sign")).to_contain_text("kept in this browser")
    await expect(page.locator("#unsaved")).to_contain_text("1 form not saved yet")
    await page.unroute("**/people")
    await expect(page.locator("#unsaved")).to_be_hidden(timeout=15_000)
    assert lost >= 1
    found = await records.book.page(ClientFilter(text="Once and only once"), limit=5)
    assert len(found.clients) == 1


async def test_every_problem_stands_at_its_field(
    chromium: Browser, address: str, records: RecordsStore
) -> None:
    """An amount, a name and an address that are none: all said at once, at their fields, the focus on the first; the
    amount is echoed while it is typed.
    """
    page = await enter(chromium, address, "manager")
    await page.goto(f"{address}/deals/new")
    amount = page.locator("main [name=amount]")
    await amount.fill("12 000,50")
    await expect(page.locator("main .field-echo")).to_have_text("= 12\u202f000,50")
    await amount.fill("12k")
    await expect(page.locator("main .field-echo")).to_contain_text("“12k” is not an amount.")
    await page.locator("main [name=title]").fill("Roses")
    await page.click("main button.main")
    await expect(amount).to_have_attribute("aria-invalid", "true")
    await expect(amount).to_be_focused()
    await expect(page.locator("main .field-problem")).to_contain_text("“12k” is not an amount.")
    described = await amount.get_attribute("aria-describedby")
    assert described == await page.locator("main .field-problem").get_attribute("id")
    await page.goto(f"{address}/people/new")
    await page.evaluate("localStorage.clear()")
    await page.goto(f"{address}/people/new")
    await page.fill("main [name=phones]", "abc\n12")
    await page.fill("main [name=emails]", "nobody")
    await page.fill("main [name=name]", "Somebody")
    await page.click("main button.main")
    await expect(page.locator("main .field-problem")).to_have_count(2)
    await expect(page.locator("main [name=phones]")).to_be_focused()
    await page.goto(f"{address}/deals/new")
    await page.evaluate("localStorage.clear()")
    await page.goto(f"{address}/deals/new")
    await page.click("main button.main")
    await expect(page.locator("main .field-problem")).to_have_text("Please fill this in.")
    assert (await records.book.page(ClientFilter(text="Somebody"), limit=5)).clients == ()


async def test_a_conflict_says_who_and_when(chromium: Browser, address: str) -> None:
    """Two people edit one contact: the slower one reads who it was and when, and keeps their words; in another tab of
    one's own it says so.
    """
    anna, jan = [await enter(chromium, address, login) for login in ("manager", "supervisor")]
    await anna.goto(f"{address}/people?q=Irina")
    href = await anna.locator(".person-row[data-nav] a").first.get_attribute("href")
    for page in (anna, jan):
        await page.goto(f"{address}{href}?edit=yes")
    await jan.fill(".facts-panel [name=name]", "Irina S.")
    await jan.click(".facts-panel button.main")
    await jan.wait_for_url("**said=changed*")
    await anna.fill(".facts-panel [name=name]", "Irina of the garden")
    await anna.click(".facts-panel button.main")
    said = anna.locator(".facts-panel .problem")
    await expect(said).to_contain_text(re.compile(r"Jan Kowalski changed this at \d\d:\d\d\."))
    await expect(said).to_contain_text("Irina S.")
    await expect(anna.locator(".facts-panel [name=name]")).to_have_value("Irina of the garden")
    await anna.click(".facts-panel button.main")
    await expect(anna.locator("h1")).to_contain_text("Irina of the garden")
    await jan.goto(f"{address}{href}?edit=yes")
    other = await jan.context.new_page()
    await other.goto(f"{address}{href}?edit=yes")
    await other.fill(".facts-panel [name=position]", "Buyer")
    await other.click(".facts-panel button.main")
    await other.wait_for_url("**said=changed*")
    await jan.fill(".facts-panel [name=position]", "Owner")
    await jan.click(".facts-panel button.main")
    await expect(jan.locator(".facts-panel .problem")).to_contain_text("You changed this in another tab")


async def test_a_card_one_writes_in_goes_along(chromium: Browser, office: Office) -> None:
    """The call has ended, the note is half written: the card is on the next page and after a reload, until it is closed."""
    page = await enter(chromium, office.address, "manager")
    call = picked_up(ringing("101", name="Garden"), "101")
    office.live.publish(call)
    note = page.locator(".card textarea")
    await note.fill("Wants roses")
    office.live.publish(over(call, 60))
    await expect(page.locator(".card [data-slot=word]")).to_have_text("Ended")
    for path in ("/calls", "/settings"):
        await page.goto(office.address + path)
        await expect(note).to_have_value("Wants roses")
        await expect(page.locator(".card h2")).to_have_text("Garden")
    await page.reload()
    await expect(note).to_have_value("Wants roses")
    await page.locator('.card [data-act="close"]').click()
    await page.reload()
    await page.wait_for_selector("html[data-live=yes]")
    await expect(page.locator(".card")).to_have_count(0)


async def test_who_has_gone_on_is_not_called_back(
    chromium: Browser, address: str, records: RecordsStore
) -> None:
    """A contact is saved, the server takes its time, and a click leads on to the calls. The answer comes while that page is
    still on its way: the contact is there, and nobody is carried off to it.
    """
    page = await enter(chromium, address, "manager")
    await page.goto(f"{address}/people/new")
    asked, left, answer, said, arrive = (asyncio.Event() for _ in range(5))

    async def late(route: Route) -> None:
        told = await route.fetch(max_redirects=0)
        asked.set()
        await answer.wait()
        await route.fulfill(response=told)

    async def next_page(route: Route) -> None:
        left.set()
        await arrive.wait()
        await route.continue_()

    await page.route("**/people", late)
    await page.route("**/calls", next_page)
    await page.expose_function("told", said.set)  # expectations wait until a page that was asked for is there
    await page.evaluate("""new MutationObserver(() => {
      if (document.querySelector("main form .form-sign")?.textContent === "Saved.") told();
    }).observe(document.querySelector("main form"), { childList: true, subtree: true, characterData: true })""")
    await page.fill("main [name=name]", "Saved and left")
    await page.click("main button.main")
    async with asyncio.timeout(10):
        await asked.wait()
        await page.evaluate("""document.querySelector('.bar a[data-go="c"]').click()""")
        await left.wait()
        answer.set()
        await said.wait()
    arrive.set()
    await page.wait_for_url(f"{address}/calls")
    await page.wait_for_selector("html[data-live=yes]")
    assert page.url == f"{address}/calls"
    found = await records.book.page(ClientFilter(text="Saved and left"), limit=5)
    assert len(found.clients) == 1


async def test_forms_in_dialogs_lose_nothing(chromium: Browser, address: str, records: RecordsStore) -> None:
    """A lead is converted, rejected, merged in a dialog over its page: the network dies while it is sent, the page is loaded
    again and the dialog opened again. It says that it is not saved, and every word is there.
    """
    page = await enter(chromium, address, "manager")
    (lead, *_) = (await records.book.page(ClientFilter(kind=ClientKind.LEAD), limit=1)).clients
    refuse = Refusals()
    await page.route("**/*", refuse.answer)
    await page.goto(f"{address}/people/{lead.id}")
    hrefs = await page.eval_on_selector_all(
        "main a[data-dialog]", "all => all.map((one) => one.getAttribute('href'))"
    )
    met = set[str]()
    for href in dict.fromkeys(hrefs):
        dialog = await open_dialog(page, address, lead.id, href)
        forms = await dialog.query_selector_all("form[method=post]")
        for nth, form in enumerate(forms):
            kind = await kind_of(form)
            words = await type_into(form)
            if not words:
                continue
            met.add(kind)
            refuse.posts = "network"
            await send(form)
            await told(form, f"{href} {kind}")
            await holds(form, words, f"{href} {kind}")
            again = await open_dialog(page, address, lead.id, href)
            await holds((await again.query_selector_all("form[method=post]"))[nth], words, f"{href} again")
            refuse.posts = None
            await page.evaluate("localStorage.clear()")
    assert any("/convert" in kind for kind in met), met
    assert any("/reject" in kind for kind in met), met


async def open_dialog(page: Page, address: str, client_id: object, href: str) -> ElementHandle:
    """The page anew, and on it what this link opens."""
    await page.goto(f"{address}/people/{client_id}")
    await page.wait_for_selector("html[data-live=yes]")
    await page.evaluate("for (const box of document.querySelectorAll('main details')) box.open = true")
    await page.locator(f'main a[data-dialog][href="{href}"]').first.click()
    found = await page.wait_for_selector("dialog[open]")
    assert found is not None
    return found
