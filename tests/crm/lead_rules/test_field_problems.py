"""What is wrong with an administrator's form is said at its fields, all of it at once, and what was typed stays."""

from __future__ import annotations

import re

import pytest

from call_records.store import RecordsStore
from tests.crm.lead_rules.test_pages import admin, form_of
from tests.web.conftest import Person

__all__ = ["admin"]
pytestmark = pytest.mark.postgres

FORMS: list[tuple[str, dict[str, str], set[str], str]] = [
    ("/accounts", {}, {"name", "login", "password"}, "Please fill in the sign-in name."),
    (
        "/accounts",
        {"name": "Kira", "login": "admin", "password": "a long enough one", "extensions": "1x"},
        {"extensions"},
        "1x",
    ),
    (
        "/accounts",
        {"name": "Kira", "login": "admin", "password": "a long enough one"},
        {"login"},
        "is taken",
    ),
    ("/staff", {"extensions": "one, two"}, {"extensions", "name"}, "Please fill in the name."),
    ("/sources/campaigns", {"dids": "leaflet"}, {"name", "dids"}, "“leaflet” is not a number."),
    ("/sources/campaigns", {"name": "Leaflet"}, {"dids"}, "A campaign needs a number."),
    ("/sources/forms", {"origins": "ftp://example.com"}, {"name", "origins"}, "is not the address of a site"),
    ("/pipelines", {"name": "  "}, {"name"}, "It needs a name."),
    ("/pipelines/currency", {"currency": "rouble"}, {"currency"}, "Write its three letters"),
    (
        "/rules/lines",
        form_of(did="ours", owner="named", task="Call", minutes="soon"),
        {"did", "person", "minutes"},
        "60 is an hour.",
    ),
    (
        "/rules/lines",
        form_of(owner="team_rota", making="deal", stage="5c0fe000-0000-4000-8000-000000000001"),
        {"team", "stage"},
        "There is no such open stage.",
    ),
    ("/rules/limit", {"most": "many"}, {"most"}, "The limit is a number"),
    ("/rules/blocklist", {"number": "12*", "reason": "robots"}, {"number"}, "far too many numbers"),
]


def problems_in(page: str) -> set[str]:
    """The fields that a page's list of problems names."""
    return set(re.findall(r'<li data-field="([^"]+)">', page))


async def test_all_that_is_wrong_is_said_at_its_fields(records: RecordsStore, admin: Person) -> None:
    """Status 400, one line for each wrong field, nothing besides above the form, nothing kept."""
    for path, form, fields, said in FORMS:
        async with admin.http.post(path, data={"csrf": admin.csrf, **form}) as answer:
            page = await answer.text()
        assert (path, answer.status) == (path, 400)
        assert (path, problems_in(page)) == (path, fields)
        assert said in page
        assert '<p class="problem"' not in page, path
    assert [one.login for one in await records.accounts.all()] == ["admin"]
    assert not await records.campaigns.all()
    assert not await records.forms.all()


async def test_an_account_keeps_what_was_typed(records: RecordsStore, admin: Person) -> None:
    """An emptied name is a mistake, not the name of before; the only administrator stays one."""
    (me,) = await records.accounts.all()
    form = {
        "csrf": admin.csrf,
        "version": str(me.version),
        "name": " ",
        "login": "mira",
        "role": "manager",
        "active": "yes",
        "extensions": "1-2",
    }
    async with admin.http.post(f"/accounts/{me.id}", data=form) as answer:
        page = await answer.text()
        assert answer.status == 400
    assert problems_in(page) == {"extensions", "name", "role"}
    assert 'value="mira"' in page
    assert 'value="1-2"' in page
    assert (await records.accounts.all())[0].login == "admin"
