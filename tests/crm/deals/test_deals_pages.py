"""The pages of deals and pipelines over a real store, as a browser without scripts and as `board.js` ask them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from call_records.crm.types import DealFilter, NewTask
from call_records.store import RecordsStore
from call_records.types import Account
from telephony.staff import Role
from tests.crm.deals.test_deals import LOST, NEW, OFFER, SALES, TALKS, WON, client, deal
from tests.crm.emptied import records, store
from tests.web.conftest import SETTINGS, Person
from tests.web.kept import add_account, serving, signed_in
from web.pages.deals.board import CARDS
from web.settings import WebSettings

__all__ = ["records", "store"]
pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


@contextlib.asynccontextmanager
async def browsing(
    records: RecordsStore, role: Role = Role.MANAGER, settings: WebSettings = SETTINGS
) -> AsyncIterator[tuple[Person, Account]]:
    """Somebody of that role at a browser."""
    account = await add_account(records, "anna", role, "101", name="Anna Belova")
    async with serving(records, settings) as address, signed_in(address, "anna") as person:
        yield person, account


async def ask(person: Person, path: str, **form: str) -> tuple[int, dict[str, Any]]:
    """As `board.js` does."""
    headers = {"Accept": "application/json", "X-CSRF-Token": person.csrf}
    async with person.http.post(path, data=form, headers=headers) as answer:
        return answer.status, await answer.json()


def shown(page: str, stage: UUID) -> list[str]:
    """The titles in a column."""
    column = page.split(f'data-column="{stage}"')[1].split("</section>")[0]
    return re.findall(r"data-title>([^<]+)<", column)


async def test_the_board_answers_where_the_money_is(records: RecordsStore) -> None:
    """Columns with count and sum, cards with client, amount, owner, what is next and since when it is silent."""
    company = await client(records, "Imagined Bakery", "company")
    contact = await client(records, "Ines <b>Costa", company=company)
    async with browsing(records) as (anna, account):
        one = await deal(
            records, "Oven doors", contact_id=contact, amount=Decimal("1250.50"), owner_id=account.person_id
        )
        await deal(records, "Ovens", amount=Decimal(100000), owner_id=account.person_id)
        await deal(records, "Somebody else's", amount=Decimal(5))
        due = datetime.now(UTC) - timedelta(days=2)
        await records.tasks.add(NewTask("Call back", due, deal_id=one.id), by=account.id)
        mine = await anna.read("/deals")
        assert shown(mine, NEW) == ["Ovens", "Oven doors"]
        column = mine.split(f'data-column="{NEW}"')[1].split("</section>")[0]
        assert "data-count>2<" in column
        assert "data-sums>101\u202f250,50\u00a0₽<" in column
        assert "Ines &lt;b&gt;Costa" in column
        assert "Imagined Bakery" in column
        assert "Overdue since" in column
        assert "Call back" in column
        assert "Nothing planned" in column
        assert shown(await anna.read("/deals?owner=all"), NEW) == [
            "Somebody else&#39;s",
            "Ovens",
            "Oven doors",
        ]
        assert shown(await anna.read("/deals?owner=nobody"), NEW) == ["Somebody else&#39;s"]
        assert shown(await anna.read("/deals?q=bakery+ines"), NEW) == ["Oven doors"]
        assert "No deal here fits" in await anna.read("/deals?q=zeppelin")


async def test_the_list_is_sorted_and_summed(records: RecordsStore) -> None:
    """The same deals as rows: by amount upwards and downwards, with the total of all pages; closed ones when asked."""
    async with browsing(records) as (anna, _account):
        for nth in range(53):
            await deal(records, f"deal {nth:02}", amount=Decimal(nth))
        await deal(records, "won", WON, amount=Decimal(7))
        page = await anna.read("/deals?view=list&owner=all&sort=amount&down=yes")
        assert re.findall(r"<bdi>(deal \d\d)</bdi>", page)[:2] == ["deal 52", "deal 51"]
        assert "<b data-total>53</b> deals, <b>1\u202f378\u00a0₽</b>" in page
        assert 'aria-sort="descending"' in page
        second = await anna.read("/deals?view=list&owner=all&sort=amount&down=yes&page=2")
        assert re.findall(r"<bdi>(deal \d\d)</bdi>", second) == ["deal 02", "deal 01", "deal 00"]
        assert "<b data-total>54</b>" in await anna.read("/deals?view=list&owner=all&state=any")
        assert "won</bdi>" in await anna.read("/deals?view=list&owner=all&state=won")
        odd = await anna.read("/deals?view=list&owner=all&sort=drop+table&page=x&state=y&pipeline=z")
        assert "<b data-total>53</b>" in odd


async def test_a_move_comes_back_with_the_card_and_the_totals(records: RecordsStore) -> None:
    """The board asks for JSON and learns where the card is and what every column holds now, under its own filter."""
    async with browsing(records) as (anna, account):
        one = await deal(records, "Ovens", amount=Decimal(10), owner_id=account.person_id)
        await deal(records, "Nobody's", OFFER, amount=Decimal(500))
        path = f"/deals/{one.id}/move?owner=mine"
        status, told = await ask(anna, path, stage=str(OFFER), before="", expected=str(NEW))
        assert status == 200
        assert told["stage"] == str(OFFER)
        assert "Ovens" in told["card"]
        assert told["said"] == "“Ovens” is in Offer made."
        columns = {one["stage"]: (one["count"], one["sums"]) for one in told["columns"]}
        assert columns[str(NEW)] == (0, "")
        assert columns[str(OFFER)] == (1, "10\u00a0₽")


async def test_a_stale_move_says_who_was_quicker(records: RecordsStore) -> None:
    """Olga moved it meanwhile: 409, her name, and the stage where the deal really is. Nothing is changed."""
    olga = await add_account(records, "olga", Role.MANAGER, name="Olga Petrova")
    async with browsing(records) as (anna, _account):
        one = await deal(records, "Ovens")
        await records.deals.move(one.id, stage_id=OFFER, before=None, by=olga.id)
        status, told = await ask(anna, f"/deals/{one.id}/move", stage=str(TALKS), expected=str(NEW))
        assert status == 409
        assert told["stage"] == str(OFFER)
        assert told["said"].startswith("Olga Petrova moved this deal to “Offer made” meanwhile.")
        status, told = await ask(anna, f"/deals/{uuid4()}/move", stage=str(TALKS), expected=str(NEW))
        assert (status, "no such deal" in told["said"]) == (400, True)
        assert await anna.send(f"/deals/{one.id}/move", stage=str(LOST), expected=str(TALKS)) == 400


async def test_what_is_below_is_asked_for(records: RecordsStore) -> None:
    """A column of 53: fifty on the page, three more on request, and the board knows above whom the end is."""
    async with browsing(records) as (anna, _account):
        for nth in range(CARDS + 3):
            await deal(records, f"deal {nth:03}")
        page = await anna.read("/deals?owner=all")
        assert len(shown(page, NEW)) == CARDS == 50
        below = await records.deals.more_of(NEW, DealFilter(), skip=CARDS)
        assert f'data-next="{below.deals[0].id}"' in page
        assert ">3 more<" in page
        async with anna.http.get(f"/deals/column/{NEW}?owner=all&skip={CARDS}") as answer:
            told = await answer.json()
        assert re.findall(r"data-title>([^<]+)<", told["cards"]) == ["deal 002", "deal 001", "deal 000"]
        assert (told["below"], told["next"]) == (0, "")


async def test_a_deal_is_added_at_the_head_of_a_column(records: RecordsStore) -> None:
    """By the form without scripts, and by the board; it is the viewer's own. An empty title is refused in words."""
    async with browsing(records) as (anna, account):
        assert await anna.send("/deals/new", title="By hand", stage=str(TALKS), back="board") == 303
        status, told = await ask(anna, "/deals/new", title="Quick", stage=str(TALKS))
        assert status == 200
        assert told["stage"] == str(TALKS)
        assert shown(await anna.read("/deals"), TALKS) == ["Quick", "By hand"]
        made = await records.deals.one(UUID(told["deal"]))
        assert made is not None
        assert made.owner_id == account.person_id
        assert await anna.send("/deals/new", title=" ", stage=str(TALKS)) == 400
        status, after = await ask(anna, f"/deals/{told['deal']}/remove")
        assert status == 200
        assert {one["stage"]: one["count"] for one in after["columns"]}[str(TALKS)] == 1


async def test_a_new_deal_of_a_client(records: RecordsStore) -> None:
    """From a client's page the deal is theirs; otherwise whoever is meant is chosen among those who fit."""
    contact = await client(records, "Ines Costa")
    async with browsing(records) as (anna, _account):
        assert "Ines Costa" in await anna.read(f"/deals/new?client={contact}")
        assert await anna.send("/deals/new", title="Floor", client=str(contact), amount="12 000,50") == 303
        assert await anna.send("/deals/new", title="Walls", q="ines", to=str(contact)) == 303
        found = await records.deals.of_client(contact)
        assert {(one.title, one.amount) for one in found} == {("Floor", Decimal("12000.50")), ("Walls", None)}
        unclear = {"title": "Roof", "q": "ines", "csrf": anna.csrf}
        async with anna.http.post("/deals/new", data=unclear) as answer:
            assert answer.status == 400
            page = await answer.text()
        assert "Choose who is meant" in page
        assert f'value="{contact}"' in page
        assert 'value="Roof"' in page
        assert await anna.send("/deals/new", title="x", amount="a lot") == 400


async def test_one_deal_and_what_is_next(records: RecordsStore) -> None:
    """Its page has the steps, tasks to add and tick, notes, and the story; ticking offers the way back."""
    contact = await client(records, "Ines Costa")
    async with browsing(records) as (anna, account):
        one = await deal(records, "Floor", contact_id=contact, amount=Decimal(5000))
        path = f"/deals/{one.id}"
        page = await anna.read(path)
        assert 'aria-current="step"' in page
        assert f'href="/people/{contact}"' in page
        assert await anna.send(f"{path}/tasks", text="Measure", due="2030-01-02", at="10:30") == 303
        task = (await records.tasks.of_deal(one.id))[0]
        assert (task.owner_id, task.due_at) == (account.person_id, datetime(2030, 1, 2, 10, 30, tzinfo=UTC))
        assert await anna.send(f"{path}/tasks", text="", due="") == 400
        assert await anna.send(f"{path}/tasks", text="x", due="soon") == 400
        assert await anna.send(f"/tasks/{task.id}", text="Measure it") == 303  # what is not sent stays
        alone = await records.tasks.one(task.id)
        assert alone is not None
        assert (alone.text, alone.owner_id, alone.due_at) == ("Measure it", task.owner_id, task.due_at)
        stale = {"text": "Measure late", "seen": task.edit_version}
        assert await anna.send(f"/tasks/{task.id}", **stale) == 409  # somebody changed it since
        assert await anna.send(f"/tasks/{task.id}", text="Measure twice", due="2030-01-03", owner="") == 303
        changed = await records.tasks.one(task.id)
        assert changed is not None
        assert (changed.text, changed.owner_id) == ("Measure twice", None)
        assert changed.due_at == datetime(2030, 1, 3, 23, 59, tzinfo=UTC)
        async with anna.http.post(
            f"/tasks/{task.id}/done", data={"csrf": anna.csrf, "done": "yes", "back": path}
        ) as answer:
            page = await answer.text()
        assert "Done: Measure twice" in page
        assert f'action="/tasks/{task.id}/done"' in page
        assert await anna.send(f"/tasks/{task.id}/done", done="no", back=path) == 303
        assert await anna.send(f"{path}/notes", text="Wants it before the frost") == 303
        assert await anna.send(f"{path}/move", stage=str(WON), expected=str(NEW)) == 303
        page = await anna.read(path)
        assert "Wants it before the frost" in page
        assert "<strong><bdi>Won</bdi></strong>" in page


async def test_a_deal_is_changed_and_two_at_once_are_told(records: RecordsStore) -> None:
    """Title, amount, owner, tags and whose it is; an old form is refused with what was typed still in it."""
    contact = await client(records, "Ines Costa")
    async with browsing(records) as (anna, account):
        one = await deal(records, "Floor")
        path, owner = f"/deals/{one.id}", str(account.person_id)
        form = {
            "title": "Floors",
            "amount": "7.000",
            "owner": owner,
            "tags": "oak, , big,oak",
            "version": "1",
        }
        assert await anna.send(path, **form, to=str(contact)) == 303
        now = await records.deals.one(one.id)
        assert now is not None
        assert (now.title, now.amount, now.owner, now.tags) == (
            "Floors",
            Decimal(7000),
            "Anna Belova",
            ("oak", "big"),
        )
        assert now.contact == "Ines Costa"
        assert '<strong><bdi dir="ltr">7\u202f000\u00a0₽</bdi></strong>' in await anna.read(path)
        async with anna.http.post(path, data={**form, "title": "Too late", "csrf": anna.csrf}) as answer:
            assert answer.status == 409
            page = await answer.text()
        assert re.search(r"You changed this in another tab at \d\d:\d\d\.", page)
        assert 'value="Too late"' in page
        assert await anna.send(path, **{**form, "version": "2"}, to="nobody") == 303
        now = await records.deals.one(one.id)
        assert now is not None
        assert now.contact is None


async def test_removed_with_a_way_back(records: RecordsStore) -> None:
    """The board says what was removed and brings it back; its page is gone meanwhile."""
    async with browsing(records) as (anna, _account):
        one = await deal(records, "Floor")
        async with anna.http.post(f"/deals/{one.id}/remove", data={"csrf": anna.csrf}) as answer:
            page = await answer.text()
        assert "Removed: Floor" in page
        assert f'action="/deals/{one.id}/restore"' in page
        async with anna.http.get(f"/deals/{one.id}") as answer:
            assert answer.status == 404
        assert await anna.send(f"/deals/{one.id}/restore") == 303
        assert "Removed: Floor" not in await anna.read(f"/deals?removed={one.id}")
        assert "Floor" in await anna.read(f"/deals/{one.id}")


async def test_my_tasks_of_today(records: RecordsStore) -> None:
    """Overdue ones and today's stand at the head of the board; tomorrow's and others' do not."""
    async with browsing(records) as (anna, account):
        now = datetime.now(UTC)
        for said, due, owner in (
            ("long ago", now - timedelta(days=3), account.person_id),
            ("much later", now + timedelta(days=3), account.person_id),
            ("not mine", now - timedelta(days=3), None),
        ):
            await records.tasks.add(NewTask(said, due, owner_id=owner), by=account.id)
        page = await anna.read("/deals")
        assert "long ago" in page
        assert "1 overdue" in page
        assert "much later" not in page
        assert "not mine" not in page


async def test_hidden_numbers_are_hidden_in_titles_too(records: RecordsStore) -> None:
    """A rule called the deal after the caller; who may not see numbers sees it nowhere, and saving the form keeps it."""
    masked = replace(SETTINGS, mask_numbers_for=frozenset({Role.MANAGER}))
    contact = await client(records, "+7 916 000-00-12")
    async with browsing(records, settings=masked) as (anna, account):
        one = await deal(
            records, "Call from +7 916 000-00-12", contact_id=contact, owner_id=account.person_id
        )
        task = NewTask(
            "Call +79160000012 back", datetime.now(UTC), deal_id=one.id, owner_id=account.person_id
        )
        await records.tasks.add(task, by=account.id)
        _status, told = await ask(anna, f"/deals/{one.id}/move", stage=str(TALKS), expected=str(NEW))
        pages = [await anna.read(path) for path in ("/deals", "/deals?view=list", f"/deals/{one.id}")]
        pages += [await anna.read(f"/deals/new?client={contact}"), str(told)]
        await records.deals.change(replace(one, amount=Decimal(12345678)), by=account.id)
        page = await anna.read(f"/deals/{one.id}")
        assert '<strong><bdi dir="ltr">12\u202f345\u202f678\u00a0₽</bdi></strong>' in page
        for page in pages:
            assert "000-00-12" not in page
            assert "79160000012" not in page
        shown_title = re.findall(r'name="title" value="([^"]+)"', pages[2])[0]
        form = {"title": shown_title, "amount": "", "owner": "", "tags": "", "version": "2"}
        assert await anna.send(f"/deals/{one.id}", **form) == 303
        now = await records.deals.one(one.id)
        assert now is not None
        assert now.title == "Call from +7 916 000-00-12"


async def test_pipelines_are_looked_after(records: RecordsStore) -> None:
    """An administrator adds, names, orders and removes; what cannot be is refused with what to do."""
    async with browsing(records, Role.ADMINISTRATOR) as (admin, _account):
        await deal(records, "x", TALKS)

        async def names() -> list[str]:
            return [stage.name for stage in (await records.deals.pipelines())[0].stages]

        assert await admin.send(f"/pipelines/{SALES}", act="stage", name="Signing", ends="open") == 303
        assert await names() == ["New", "In talks", "Offer made", "Signing", "Won", "Lost"]
        assert await admin.send(f"/pipelines/stages/{OFFER}", act="earlier") == 303
        assert await admin.send(f"/pipelines/stages/{NEW}", act="later") == 303
        assert (await names())[:3] == ["Offer made", "New", "In talks"]
        assert await admin.send(f"/pipelines/stages/{NEW}", act="save", name="Fresh", ends="open") == 303
        assert await admin.send(f"/pipelines/stages/{TALKS}", act="drop", into="") == 400
        assert await admin.send(f"/pipelines/stages/{TALKS}", act="drop", into=str(NEW)) == 303
        assert await names() == ["Offer made", "Fresh", "Signing", "Won", "Lost"]
        assert await admin.send("/pipelines", name="Repairs") == 303
        repairs = next(one for one in await records.deals.pipelines() if one.name == "Repairs")
        assert await admin.send(f"/pipelines/{repairs.id}", act="rename", name="Repair shop") == 303
        assert await admin.send(f"/pipelines/{repairs.id}", act="first") == 303
        assert (await records.deals.pipelines())[0].name == "Repair shop"
        assert await admin.send(f"/pipelines/{SALES}", act="archive") == 400
        assert await admin.send(f"/pipelines/{repairs.id}", act="archive") == 303
        assert "Repair shop" in await admin.read("/pipelines")
        assert await admin.send(f"/pipelines/{repairs.id}", act="use") == 303
        assert await admin.send("/pipelines/currency", currency="kzt") == 303
        assert await admin.send("/pipelines/currency", currency="€") == 400
        assert (await deal(records, "y", NEW)).currency == "KZT"
        assert await admin.send(f"/pipelines/{SALES}", act="explode") == 400
        assert await admin.send(f"/pipelines/stages/{uuid4()}", act="save", name="x") == 404
