"""“Export this list” over a real store: what the page lists, as a file; for everybody, masked where the page is."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from call_records.crm.call_worker import Bookkeeper
from call_records.crm.steps import steps_for
from call_records.crm.types import NewDeal
from call_records.recordings.types import AuditFilter
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.contacts import ClientKind
from telephony.recordings import AuditAction
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.crm.people_office import add
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_everybody, serving, signed_in
from tests.web.office import missed, over, picked_up, ringing
from web.pages import list_exports

pytestmark = pytest.mark.postgres
MASKED = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
OLGA, STRANGER = "+79163184627", "+79165826394"


@pytest.fixture
async def everybody(records: RecordsStore) -> dict[Role, Account]:
    """One account of each role."""
    return await add_everybody(records)


@pytest.fixture
async def manager(records: RecordsStore, everybody: dict[Role, Account]) -> AsyncIterator[Person]:
    """A manager at the pages."""
    del everybody
    async with serving(records) as address, signed_in(address, "manager") as person:
        yield person


async def exported(person: Person, path: str) -> list[dict[str, str]]:
    """The rows of the file at this address."""
    async with person.http.get(path) as answer:
        assert answer.status == 200, path
        assert answer.content_type == "text/csv"
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
        text = (await answer.read()).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def exported_from(person: Person, page: str) -> list[dict[str, str]]:
    """The file that the page's own link leads to."""
    _before, _, rest = (await person.read(page)).partition('id="export-list"')
    address = rest.partition('href="')[2].partition('"')[0].replace("&amp;", "&")
    return await exported(person, address)


async def called(records: RecordsStore, at: datetime) -> None:
    """Olga was answered two days ago; a stranger, today, was not."""
    calls = [
        over(picked_up(ringing("101", number=OLGA, begin=at - timedelta(days=2), queue="sales"), "101"), 60),
        missed(ringing("101", number=STRANGER, name="=HYPERLINK(1)", begin=at)),
    ]
    await records.journal.record([change(one) for one in calls])
    keeper = Bookkeeper(records.engine, steps_for(records.home))
    while await keeper.take_some():
        pass


async def test_calls_with_their_filters_and_dates(records: RecordsStore, manager: Person) -> None:
    """A manager takes along what they see, with the names of clients; a caller's name is no formula."""
    await add(records, "Olga Sokolova", OLGA)
    await called(records, datetime.now(UTC) - timedelta(minutes=5))
    every = await exported_from(manager, "/calls")
    assert [one["Outside number"] for one in every] == [f"'{STRANGER}", f"'{OLGA}"]
    assert every[0]["Client"] == "'=HYPERLINK(1)"
    assert [every[1][name] for name in ("Client", "Queue", "Direction")] == [
        "Olga Sokolova",
        "sales",
        "Incoming",
    ]
    assert [one["Client"] for one in await exported_from(manager, "/calls?queue=sales")] == ["Olga Sokolova"]
    long_ago = "/calls?period=range&from=2001-01-01&to=2001-01-02"
    assert await exported_from(manager, long_ago) == []


async def test_a_list_goes_out_whole(
    records: RecordsStore, manager: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pieces it takes, each row once and in order."""
    monkeypatch.setattr(list_exports, "AT_ONCE", 2)
    names = [f"Client {place}" for place in range(5)]
    begin = datetime.now(UTC) - timedelta(hours=1)
    for place, name in enumerate(names):
        one = await add(records, name, f"+7916000001{place}")
        await records.deals.add(NewDeal(f"Deal {place}", one.id), by=None)
        lost = missed(ringing("101", number=f"+7916000001{place}", begin=begin + timedelta(minutes=place)))
        await records.journal.record([change(lost)])
    keeper = Bookkeeper(records.engine, steps_for(records.home))
    while await keeper.take_some():
        pass
    assert [one["Name"] for one in await exported(manager, "/people/export.csv")] == names
    calls = await exported(manager, "/calls/export.csv")
    assert [one["Client"] for one in calls] == names[::-1]
    by_title = await exported(manager, "/deals/export.csv?view=list&owner=all&sort=title&down=yes")
    assert [one["Title"] for one in by_title] == [f"Deal {place}" for place in (4, 3, 2, 1, 0)]
    owed = await exported(manager, "/missed/export.csv?whose=all&period=all")
    assert [one["Caller"] for one in owed] == names
    latest = await exported(manager, "/missed/export.csv?whose=all&period=all&sort=latest")
    assert [one["Caller"] for one in latest] == names[::-1]


async def test_people_with_their_filters(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """Kind, tag, owner and what is typed; the columns are those that an import reads."""
    own = everybody[Role.MANAGER].person_id
    await add(records, "Anna Elm", "8 (916) 000-00-12", owner=own, tags=("vip",), emails=("a@x.example",))
    await add(records, "Boris Oak", "+79160000013")
    await add(records, "Oak & Sons", kind=ClientKind.COMPANY)
    (anna,) = await exported_from(manager, "/people?tag=vip")
    assert (anna["Name"], anna["Phones"], anna["E-mails"]) == ("Anna Elm", "'+79160000012", "a@x.example")
    assert [one["Name"] for one in await exported_from(manager, f"/people?owner={own}")] == ["Anna Elm"]
    assert [one["Name"] for one in await exported_from(manager, "/people?kind=company")] == ["Oak & Sons"]
    both = await exported_from(manager, "/people?kind=all&q=" + quote("Oak"))
    assert [one["Name"] for one in both] == ["Boris Oak", "Oak & Sons"]


async def test_deals_of_the_list_and_of_the_board(
    records: RecordsStore, everybody: dict[Role, Account], manager: Person
) -> None:
    """My deals at first, as the page lists them; on the board what it shows, in the list what state was chosen."""
    own = everybody[Role.MANAGER].person_id
    mine = await records.deals.add(NewDeal("Roses", owner_id=own), by=None)
    await records.deals.add(NewDeal("Hedge"), by=None)
    won = next(stage.id for stage in (await records.deals.pipelines())[0].stages if stage.ends == "won")
    await records.deals.move(mine.id, stage_id=won, before=None, by=None)
    everybodys = "owner=mine" if own else "owner=all"
    assert [one["Title"] for one in await exported_from(manager, "/deals?owner=all")] == ["Hedge", "Roses"]
    assert [one["Title"] for one in await exported_from(manager, "/deals?view=list&owner=all")] == ["Hedge"]
    (roses,) = await exported_from(manager, f"/deals?view=list&state=won&{everybodys}")
    assert (roses["Title"], roses["State"]) == ("Roses", "Won")


async def test_missed_calls_owed_and_settled(records: RecordsStore, manager: Person) -> None:
    """Whose number it was, what happened, and nothing under what is settled."""
    await called(records, datetime.now(UTC) - timedelta(minutes=5))
    (owed,) = await exported_from(manager, "/missed?whose=all&period=all")
    assert (owed["Number"], owed["Times"], owed["Settled"]) == (f"'{STRANGER}", "1", "")
    assert owed["What happened"]
    assert await exported_from(manager, "/missed?settled=yes&period=all") == []


async def test_masked_where_the_page_is_masked(records: RecordsStore, everybody: dict[Role, Account]) -> None:
    """Who sees dots exports dots, also of what a lead is called by."""
    del everybody
    await add(records, "Olga Sokolova", OLGA)
    await add(records, STRANGER, STRANGER, kind=ClientKind.LEAD)
    await called(records, datetime.now(UTC) - timedelta(minutes=5))
    async with serving(records, MASKED) as address, signed_in(address, "manager") as person:
        for path, rows in (
            ("/calls/export.csv", 2),
            ("/people/export.csv?kind=all", 2),
            ("/missed/export.csv?period=all&whose=all", 1),
        ):
            told = await exported(person, path)
            assert len(told) == rows, path
            assert "•" in str(told), path
            assert not [number for number in (OLGA, STRANGER) if number[-7:] in str(told)], path


async def test_each_export_is_written_down(records: RecordsStore, manager: Person) -> None:
    """With the filters, before it goes out."""
    await exported(manager, "/calls/export.csv?direction=inbound&period=today&cursor=")
    await exported(manager, "/missed/export.csv?whose=all")
    lines = await records.audit.page(AuditFilter(action=AuditAction.EXPORTED), limit=50)
    assert [(line.who, line.details["what"], line.details["filters"]) for line in lines] == [
        ("manager", "missed", {"whose": "all"}),
        ("manager", "calls", {"direction": "inbound", "period": "today"}),
    ]


async def test_a_manager_is_told_who_imports(records: RecordsStore, manager: Person) -> None:
    """Where the button is for a supervisor there is a word for a manager."""
    async with serving(records) as address, signed_in(address, "supervisor") as supervisor:
        for person, told in ((manager, True), (supervisor, False)):
            page = await person.read("/people")
            assert ("Import is for supervisors" in page) is told
            assert ('href="/people/import"' in page) is not told
