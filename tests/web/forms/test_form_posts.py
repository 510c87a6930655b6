"""Forms that a page sends itself: the redirect as a header, the same form once; and why somebody is at the sign-in page."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import aiohttp
import pytest

from call_records.store import RecordsStore
from call_records.types import FormAnswer
from telephony.staff import Role
from tests.web.conftest import Office, Person
from tests.web.fakes import FakeFormAnswers
from tests.web.kept import add_account, serving, signed_in
from web.auth.csrf_mask import unmask_token
from web.forms.form_posts import ANSWERS_REMEMBERED, FormPosts


async def post(person: Person, path: str, form_id: str, **form: str) -> aiohttp.ClientResponse:
    """As `form-send.js` does it."""
    data, headers = {"csrf": person.csrf, **form}, {"X-Form-Id": form_id}
    async with person.http.post(path, data=data, headers=headers, allow_redirects=False) as answer:
        await answer.read()
        return answer


async def test_what_arrives_twice_is_done_once(office: Office) -> None:
    """Two at the same time and one later: one task. Another id is another task; without an id it is a plain redirect."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("administrator")
        form_id, other = uuid4().hex, uuid4().hex
        first, second = await asyncio.gather(
            *(post(person, "/staff", form_id, name="Warehouse", extensions="555") for _ in range(2))
        )
        third = await post(person, "/staff", form_id, name="Warehouse", extensions="555")
        assert {one.status for one in (first, second, third)} == {200}
        assert len({one.headers["X-Form-Location"] for one in (first, second, third)}) == 1
        assert "Location" not in first.headers
        assert [one.name for one in await office.records.staff.members()].count("Warehouse") == 1
        await post(person, "/staff", other, name="Workshop", extensions="556")
        assert await person.send("/staff", name="Garage", extensions="557") == 303
        names = {one.name for one in await office.records.staff.members()}
        assert {"Warehouse", "Workshop", "Garage"} <= names


async def test_somebody_elses_form_of_the_same_id_is_another(office: Office) -> None:
    """The id counts for one session: nobody gets the answer that somebody else was given."""
    form_id = uuid4().hex
    locations = []
    for login in ("administrator", "manager"):
        async with office.browser() as http:
            person = Person(http)
            await person.sign_in(login)
            answer = await post(person, "/staff", form_id, name="Warehouse", extensions="555")
            locations.append((answer.status, answer.headers.get("X-Form-Location")))
    assert locations[0][0] == 200
    assert locations[1] == (403, None)


async def test_a_lost_session_is_told_and_leads_back(office: Office) -> None:
    """An ended session is told apart from a first visit; a form leads back to the page it was on."""
    async with office.browser() as http:
        async with http.get("/people?q=x", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/sign-in?next=%2Fpeople%3Fq%3Dx"
        person = Person(http)
        await person.sign_in("manager")
        account = await office.records.accounts.by_login("manager")
        assert account is not None
        await office.records.sessions.revoke_all(account.id)
        async with http.get("/people?q=x", allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/sign-in?why=ended&next=%2Fpeople%3Fq%3Dx"
        came = {"Referer": f"{office.address}/settings?saved=card"}
        async with http.post("/settings/card", data={}, headers=came, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/sign-in?why=unsaved&next=%2Fsettings%3Fsaved%3Dcard"
        elsewhere = {"Referer": "https://elsewhere.example/settings"}
        async with http.post("/settings/card", data={}, headers=elsewhere, allow_redirects=False) as answer:
            assert answer.headers["Location"] == "/sign-in?why=unsaved"
        async with http.get("/sign-in?why=ended") as answer:
            assert "You were signed out" in await answer.text()
        again = await post(person, "/settings/card", uuid4().hex)
        assert again.headers["X-Form-Location"].startswith("/sign-in?why=unsaved")


async def test_a_script_is_told_in_its_own_language_that_it_is_signed_out(office: Office) -> None:
    """A fetch gets a problem as data: followed to the sign-in page it would take that for the answer."""
    wanted = {"Accept": "application/json"}
    async with office.browser() as http:
        for path in ("/missed/count", "/form-echo/amount?text=1", "/deals/new", "/people?q=x"):
            wanted = {"Accept": f"application/json{', */*;q=0.1' if '?' in path else ''}"}
            async with http.get(path, headers=wanted, allow_redirects=False) as answer:
                assert (path, answer.status) == (path, 401)
                assert answer.content_type == "application/problem+json"
                assert (await answer.json(content_type=None))["status"] == 401
                assert "Location" not in answer.headers
        async with http.post("/people", headers=wanted, data={}, allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == (401, "application/problem+json")
        async with http.get(
            "/missed/count", headers={"Accept": "text/html"}, allow_redirects=False
        ) as answer:
            assert answer.headers["Location"].startswith("/sign-in")


async def test_the_session_is_told_to_its_own_browser(office: Office) -> None:
    """A page that was left open asks who is signed in by now."""
    async with office.browser() as http:
        async with http.get("/api/v1/session", allow_redirects=False) as answer:
            assert answer.status == 401
        person = Person(http)
        await person.sign_in("manager")
        async with http.get("/api/v1/session") as answer:
            told = await answer.json()
        assert told["csrf"] != person.csrf  # masked anew, as in every answer
        assert unmask_token(told["csrf"]) == unmask_token(person.csrf)


@pytest.mark.parametrize("form_id", ["", "x" * 32, "A" * 32, "1" * 31, "1" * 64])
@pytest.mark.slow
async def test_any_other_id_is_none(office: Office, form_id: str) -> None:
    """Only what our pages make."""
    async with office.browser() as http:
        person = Person(http)
        await person.sign_in("manager")
        answer = await post(person, "/settings/card", form_id, pop="never")
        assert answer.status == 303


def test_what_is_remembered_is_bounded() -> None:
    """The oldest answers go."""

    async def nothing(*_: object) -> None:
        """No application."""

    posts = FormPosts(nothing, FakeFormAnswers())
    for at in range(ANSWERS_REMEMBERED + 10):
        posts._remember(at.to_bytes(4), "/")
    assert len(posts._locations) == ANSWERS_REMEMBERED


@pytest.mark.postgres
async def test_two_web_processes_carry_a_form_out_once(records: RecordsStore) -> None:
    """The same form arrives at two processes over one database: done once, and both know where it led."""
    await add_account(records, "admin", Role.ADMINISTRATOR)
    form_id = uuid4().hex
    async with serving(records) as one, serving(records) as other, signed_in(one, "admin") as admin:
        form = {"csrf": admin.csrf, "name": "Warehouse", "extensions": "555"}

        async def send(address: str, name: str) -> tuple[int, str | None]:
            headers = {"X-Form-Id": name}
            cookies = {cookie.key: cookie.value for cookie in admin.http.cookie_jar}
            async with (
                aiohttp.ClientSession(cookies=cookies, cookie_jar=aiohttp.CookieJar(unsafe=True)) as http,
                http.post(f"{address}/staff", data=form, headers=headers) as answer,
            ):
                return answer.status, answer.headers.get("X-Form-Location")

        told = await asyncio.gather(send(one, form_id), send(other, form_id))
        told.append(await send(other, form_id))
        assert set(told) == {(200, "/staff?saved=kept")}
        members = [member.name for member in await records.staff.members()]
        assert members.count("Warehouse") == 1
        form["name"] = " "  # refused: it may be corrected and sent with the same id
        assert [(await send(address, "f" * 32))[0] for address in (one, other)] == [400, 400]


@pytest.mark.postgres
async def test_a_form_whose_process_died_is_carried_out_by_the_next(records: RecordsStore) -> None:
    """It was begun and never finished: waited for while it may still run, then taken over; a finished one never is."""
    form = b"x" * 32
    assert await records.form_answers.begin(form, running_seconds=30) is None
    assert await records.form_answers.begin(form, running_seconds=30) == FormAnswer(None)
    assert await records.form_answers.begin(form, running_seconds=0) is None
    await records.form_answers.finish(form, "/staff")
    assert await records.form_answers.begin(form, running_seconds=0) == FormAnswer("/staff")


@pytest.mark.postgres
async def test_who_changed_it_is_known_to_every_web_process(records: RecordsStore) -> None:
    """The name is the one of today; a change of one's own is told as such elsewhere."""
    anna = await add_account(records, "anna", Role.MANAGER, name="Anna")
    thing = uuid4()
    assert await records.recent_changes.last(thing) is None
    await records.recent_changes.add(thing, by=anna.id)
    await records.recent_changes.add(thing, by=anna.id)
    await records.accounts.update(replace(anna, name="Anna Belova"))
    change = await records.recent_changes.last(thing)
    assert change is not None
    assert (change.account_id, change.name) == (anna.id, "Anna Belova")
