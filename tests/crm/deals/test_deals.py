"""Deals on a real PostgreSQL: places, moves, totals, pipelines."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select, update

from call_records.crm.deals.deals import insert_deal, open_deal_of
from call_records.crm.tables import deals, stages, tasks, timeline
from call_records.crm.types import Deal, DealFilter, Money, MovedMeanwhile, NewClient, NewDeal, NewTask
from call_records.crm.writes import Home, insert_client
from call_records.db.tables import people
from call_records.store import RecordsStore
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake
from telephony.staff import PopPreference, Role
from tests.crm.emptied import records, store

__all__ = ["records", "store"]
pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

HOME = Home("RU")
NEW, TALKS, OFFER, WON, LOST = (UUID(f"00000000-0000-4000-8000-00000000001{nth}") for nth in range(5))
SALES = UUID("00000000-0000-4000-8000-000000000001")
ANY = DealFilter()


async def client(
    records: RecordsStore, name: str, kind: str = "contact", company: UUID | None = None
) -> UUID:
    """An entry of the book."""
    async with records.engine.begin() as connection:
        new = NewClient(ClientKind(kind), name, company_id=company)
        return await insert_client(connection, new, home=HOME, by=None, at=datetime.now(UTC))


async def deal(records: RecordsStore, title: str, stage: UUID = NEW, **given: object) -> Deal:
    """A deal on that stage."""
    return await records.deals.add(NewDeal(title, stage_id=stage, **given), by=None)  # type: ignore[arg-type]


async def titles(records: RecordsStore, stage: UUID) -> list[str]:
    """What one sees in a column, from the top."""
    board = await records.deals.board(SALES, ANY)
    return [one.title for column in board if column.stage.id == stage for one in column.deals]


async def account(records: RecordsStore, name: str) -> UUID:
    """Somebody who may sign in."""
    made = await records.accounts.create(
        login=name,
        name=name.title(),
        role=Role.MANAGER,
        password_hash="x",
        extensions=(),
        pop=PopPreference.NEVER,
    )
    return made.id


async def person(records: RecordsStore, name: str) -> UUID:
    """Somebody of ours."""
    person_id = uuid4()
    async with records.engine.begin() as connection:
        await connection.execute(insert(people).values(id=person_id, name=name))
    return person_id


# -- places -----------------------------------------------------------------------------------------------------------


async def test_the_same_spot_never_runs_out(records: RecordsStore) -> None:
    """Somebody drops the two lower cards above each other a hundred times: the column is numbered afresh on the way."""
    third, second, _first = [await deal(records, title) for title in ("third", "second", "first")]
    for _turn in range(50):
        await records.deals.move(third.id, stage_id=NEW, before=second.id, by=None)
        await records.deals.move(second.id, stage_id=NEW, before=third.id, by=None)
    assert await titles(records, NEW) == ["first", "second", "third"]
    async with records.engine.connect() as connection:
        places = (await connection.scalars(select(deals.c.place).order_by(deals.c.place))).all()
    assert len(set(places)) == 3


async def test_two_that_came_at_once_lie_above_each_other_only_once(records: RecordsStore) -> None:
    """Two lead rules made a deal in the same instant with the same number: the next drag between them still works."""
    lower, upper, moved = [await deal(records, title) for title in ("a", "b", "c")]
    async with records.engine.begin() as connection:
        await connection.execute(update(deals).where(deals.c.id.in_([lower.id, upper.id])).values(place=5.0))
    first, second = [one for one in await titles(records, NEW) if one != "c"]
    under = lower if first == "b" else upper
    await records.deals.move(moved.id, stage_id=NEW, before=under.id, by=None)
    assert await titles(records, NEW) == [first, "c", second]


# -- moving -----------------------------------------------------------------------------------------------------------


async def test_a_move_is_told_and_closes(records: RecordsStore) -> None:
    """Anna drags a deal to Won, then back: state, closing time and timeline say so each time."""
    anna, contact = await account(records, "anna"), await client(records, "Fictional Garden")
    made = await deal(records, "Greenhouse", TALKS, contact_id=contact)
    won = await records.deals.move(made.id, stage_id=WON, before=None, by=anna)
    assert (won.state, won.stage, won.version) == ("won", "Won", made.version)
    assert won.closed_at == won.stage_since is not None
    back = await records.deals.move(made.id, stage_id=TALKS, before=None, by=anna)
    assert (back.state, back.closed_at) == ("open", None)
    async with records.engine.connect() as connection:
        told = (
            await connection.execute(
                select(timeline).where(timeline.c.kind == "stage").order_by(timeline.c.at)
            )
        ).all()
    assert [(row.deal_id, row.client_id, row.account_id) for row in told] == [(made.id, contact, anna)] * 2
    assert told[0].data == {
        "from": {"id": str(TALKS), "name": "In talks", "ends": "open"},
        "to": {"id": str(WON), "name": "Won", "ends": "won"},
    }


async def test_a_stale_move_is_told_and_not_done(records: RecordsStore) -> None:
    """Anna's board is old: Olga has moved the deal on. Anna's drag is refused and says who and where."""
    anna, olga = await account(records, "anna"), await account(records, "olga")
    made = await deal(records, "Greenhouse")
    await records.deals.move(made.id, stage_id=OFFER, before=None, by=olga, expected=NEW)
    with pytest.raises(MovedMeanwhile, match="Olga moved this deal to “Offer made”") as told:
        await records.deals.move(made.id, stage_id=TALKS, before=None, by=anna, expected=NEW)
    assert told.value.deal.stage_id == OFFER
    assert await titles(records, OFFER) == ["Greenhouse"]


async def test_two_drag_at_once(records: RecordsStore) -> None:
    """Ten people drag ten cards above the same one in the same moment: each is above it once, and none shares a place."""
    goal = await deal(records, "goal", TALKS)
    moved = [await deal(records, f"card {nth}") for nth in range(10)]
    await asyncio.gather(
        *(records.deals.move(one.id, stage_id=TALKS, before=goal.id, by=None) for one in moved)
    )
    seen = await titles(records, TALKS)
    assert seen[-1] == "goal"
    assert sorted(seen[:-1]) == sorted(one.title for one in moved)


async def test_of_two_that_drag_the_same_one_wins(records: RecordsStore) -> None:
    """Two people drag the same deal from New to different stages: one is done, the other is told."""
    made = await deal(records, "Greenhouse")
    ended = await asyncio.gather(
        *(
            records.deals.move(made.id, stage_id=stage, before=None, by=None, expected=NEW)
            for stage in (TALKS, OFFER)
        ),
        return_exceptions=True,
    )
    done = [one for one in ended if isinstance(one, Deal)]
    assert len(done) == 1
    assert sum(isinstance(one, MovedMeanwhile) for one in ended) == 1
    now = await records.deals.one(made.id)
    assert now is not None
    assert now.stage_id == done[0].stage_id


async def test_a_neighbour_that_went_away(records: RecordsStore) -> None:
    """The card above which it is dropped was moved elsewhere meanwhile: it comes to the end."""
    for title in ("b", "a"):
        await deal(records, title, TALKS)
    moved, gone = await deal(records, "c"), await deal(records, "gone", OFFER)
    await records.deals.move(moved.id, stage_id=TALKS, before=gone.id, by=None)
    assert await titles(records, TALKS) == ["a", "b", "c"]


# -- making and changing ----------------------------------------------------------------------------------------------


async def test_a_new_deal_is_on_top_with_its_contacts_company(records: RecordsStore) -> None:
    """Without a stage it is the first of the first pipeline; the currency is the country's until an office sets one."""
    company = await client(records, "Imagined Bakery", "company")
    contact = await client(records, "Ines", company=company)
    await deal(records, "older")
    made = await records.deals.add(
        NewDeal("  Oven \n doors ", contact_id=contact, amount=Decimal("10.5")), by=None
    )
    assert (made.title, made.company, made.stage, made.pipeline) == (
        "Oven doors",
        "Imagined Bakery",
        "New",
        "Sales",
    )
    assert (made.amount, made.currency) == (Decimal("10.50"), "RUB")
    assert await titles(records, NEW) == ["Oven doors", "older"]
    await records.office.put("currency", "KZT", by=None)
    assert (await deal(records, "later")).currency == "KZT"


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (NewDeal("  \n"), "title"),
        (NewDeal("x", amount=Decimal("-1")), "amount"),
        (NewDeal("x", amount=Decimal("NaN")), "amount"),
        (NewDeal("x", amount=Decimal("1e12")), "amount"),
        (NewDeal("x", stage_id=uuid4()), "stage"),
        (NewDeal("x", contact_id=uuid4()), "contact"),
    ],
)
async def test_what_no_deal_can_be(records: RecordsStore, new: NewDeal, said: str) -> None:
    """A title of spaces, a sum below nothing, a stage that is gone: refused in words, nothing is kept."""
    with pytest.raises(PeerMistake, match=said):
        await records.deals.add(new, by=None)
    assert (await records.deals.page(None, ANY)).count == 0


async def test_two_change_the_same_deal(records: RecordsStore) -> None:
    """Both opened it; the second to save is told. A move in between is no change to the form."""
    made = await deal(records, "Greenhouse")
    await records.deals.move(made.id, stage_id=TALKS, before=None, by=None)
    changed = await records.deals.change(replace(made, title="Two greenhouses", amount=Decimal(7)), by=None)
    assert (changed.title, changed.stage, changed.amount) == ("Two greenhouses", "In talks", Decimal("7.00"))
    with pytest.raises(PeerMistake, match="Somebody else changed this deal"):
        await records.deals.change(replace(made, title="Three"), by=None)


async def test_a_new_owner_is_told(records: RecordsStore) -> None:
    """The deal is handed from Anna to nobody: the timeline names her."""
    anna = await person(records, "Anna Belova")
    made = await deal(records, "Greenhouse", owner_id=anna)
    assert made.owner == "Anna Belova"
    await records.deals.change(replace(made, owner_id=None), by=None)
    async with records.engine.connect() as connection:
        data = await connection.scalar(select(timeline.c.data).where(timeline.c.kind == "owner"))
    assert data == {"from": {"id": str(anna), "name": "Anna Belova"}, "to": None}


async def test_a_new_amount_is_told(records: RecordsStore) -> None:
    """The sum is agreed on: the timeline says what it was and what it is; saving the same again says nothing."""
    made = await deal(records, "Greenhouse")
    made = await records.deals.change(replace(made, amount=Decimal("1200.5")), by=None)
    await records.deals.change(made, by=None)
    async with records.engine.connect() as connection:
        told = (await connection.scalars(select(timeline.c.data).where(timeline.c.kind == "changed"))).all()
    assert told == [{"what": "amount", "from": None, "to": 1200.5, "currency": "RUB"}]


async def test_removed_and_brought_back(records: RecordsStore) -> None:
    """A deal is removed by mistake and brought back: it is where it was, and nothing tells of it."""
    made = await deal(records, "Greenhouse", amount=Decimal(5))
    await records.deals.remove(made.id, by=None)
    board = await records.deals.board(SALES, ANY)
    assert sum(column.count for column in board) == 0
    with pytest.raises(PeerMistake, match="no such deal"):
        await records.deals.move(made.id, stage_id=TALKS, before=None, by=None)
    await records.deals.restore(made.id)
    assert await titles(records, NEW) == ["Greenhouse"]
    async with records.engine.connect() as connection:
        kinds = (await connection.scalars(select(timeline.c.kind).where(timeline.c.deal_id == made.id))).all()
    assert kinds == ["made"]


# -- reading ----------------------------------------------------------------------------------------------------------


async def test_totals_count_what_is_not_shown_too(records: RecordsStore) -> None:
    """150 deals in a column: 100 are shown, all are counted and summed, by currency; more comes where it stopped."""
    anna = await person(records, "Anna")
    for nth in range(150):
        await deal(records, f"deal {nth:03}", amount=Decimal(nth), owner_id=anna if nth % 3 == 0 else None)
    await records.office.put("currency", "EUR", by=None)
    await deal(records, "in euro", amount=Decimal("0.10"))
    column = (await records.deals.board(SALES, ANY))[0]
    assert (column.count, len(column.deals)) == (151, 100)
    assert set(column.sums) == {Money(Decimal("11175.00"), "RUB"), Money(Decimal("0.10"), "EUR")}
    rest = await records.deals.more_of(NEW, ANY, skip=100)
    assert [one.title for one in rest.deals] == [f"deal {nth:03}" for nth in reversed(range(51))]
    hers = (await records.deals.board(SALES, DealFilter(owner_id=anna)))[0]
    assert (hers.count, hers.sums) == (50, (Money(Decimal(sum(range(0, 150, 3))), "RUB"),))
    nobodys = await records.deals.page(SALES, DealFilter(unowned=True, text="deal"), sort="amount", down=True)
    assert (nobodys.count, nobodys.deals[0].title) == (100, "deal 149")


async def listed(records: RecordsStore, sort: str, *, down: bool = False) -> list[str]:
    """The titles of the list in that order."""
    page = await records.deals.page(SALES, ANY, sort=sort, down=down)
    return [one.title for one in page.deals]


async def test_the_order_by_client_follows_whoever_is_renamed(records: RecordsStore) -> None:
    """A contact goes before its company, small letters before nothing; deals without a client come last, either way."""
    firm = await client(records, "Nowhere Travel", "company")
    anna = await client(records, "anna", company=firm)
    await deal(records, "Anna's", contact_id=anna, company_id=firm)
    await deal(records, "the firm's", company_id=firm)
    await deal(records, "nobody's")
    assert await listed(records, "client") == ["Anna's", "the firm's", "nobody's"]
    assert await listed(records, "client", down=True) == ["the firm's", "Anna's", "nobody's"]
    found = await records.book.one(anna)
    assert found is not None
    await records.book.change(replace(found, name="Zoë"), by=None)
    assert await listed(records, "client") == ["the firm's", "Anna's", "nobody's"]


async def test_the_order_by_task_follows_what_is_done_and_moved(records: RecordsStore) -> None:
    """The next open task counts; a deal without one comes last, either way."""
    anna = await account(records, "anna")
    first, second = await deal(records, "first"), await deal(records, "second")
    await deal(records, "idle")
    now = datetime.now(UTC)
    urgent = await records.tasks.add(NewTask("call", now, deal_id=first.id), by=anna)
    await records.tasks.add(NewTask("later", now + timedelta(days=9), deal_id=first.id), by=anna)
    soon = await records.tasks.add(NewTask("send", now + timedelta(days=1), deal_id=second.id), by=anna)
    assert await listed(records, "task") == ["first", "second", "idle"]
    await records.tasks.done(urgent.id, done=True, by=anna)
    assert await listed(records, "task") == ["second", "first", "idle"]
    assert await listed(records, "task", down=True) == ["first", "second", "idle"]
    await records.tasks.change(replace(soon, due_at=now + timedelta(days=20)), by=anna)
    assert await listed(records, "task") == ["first", "second", "idle"]
    await records.tasks.done(urgent.id, done=False, by=anna)
    async with records.engine.begin() as connection:
        await connection.execute(delete(tasks).where(tasks.c.id == soon.id))
    assert (await listed(records, "task", down=True))[0] == "first"


async def test_words_are_found_in_title_contact_and_company(records: RecordsStore) -> None:
    """Typed words may stand anywhere, a percent sign is a percent sign."""
    company = await client(records, "Nowhere Travel", "company")
    contact = await client(records, "Илья Рощин", company=company)
    await deal(records, "Tickets 50% off", contact_id=contact)
    await deal(records, "Other")
    for asked in ("рощин tickets", "NOWHERE", "50%", "  off  "):
        page = await records.deals.page(None, DealFilter(text=asked))
        assert [one.title for one in page.deals] == ["Tickets 50% off"], asked
    assert (await records.deals.page(None, DealFilter(text="5_%"))).count == 0


async def test_closed_columns_show_the_last_month(records: RecordsStore) -> None:
    """The board shows what was won lately, the last first; the list has everything."""
    old, first, second = [await deal(records, title, WON) for title in ("old", "first", "second")]
    async with records.engine.begin() as connection:
        for made, days in ((old, 31), (second, 3), (first, 1)):
            at = datetime.now(UTC) - timedelta(days=days)
            await connection.execute(update(deals).where(deals.c.id == made.id).values(closed_at=at))
    assert await titles(records, WON) == ["first", "second"]
    assert (await records.deals.page(SALES, ANY, state="won")).count == 3
    assert (await records.deals.page(SALES, ANY)).count == 0


async def test_what_is_next_and_since_when_it_is_silent(records: RecordsStore) -> None:
    """The card shows the open task that is due first, and the last thing that happened with the deal."""
    made = await deal(records, "Greenhouse")
    by = await account(records, "anna")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await records.tasks.add(NewTask("no date", deal_id=made.id), by=by)
    sooner = await records.tasks.add(NewTask("send offer", tomorrow, deal_id=made.id), by=by)
    seen = await records.deals.one(made.id)
    assert seen is not None
    assert seen.next_task is not None
    assert (seen.next_task.text, seen.next_task.due_at) == ("send offer", tomorrow)
    assert seen.silent_since is not None
    assert seen.silent_since > made.created_at
    await records.tasks.done(sooner.id, done=True, by=by)
    seen = await records.deals.one(made.id)
    assert seen is not None
    assert seen.next_task is not None
    assert seen.next_task.text == "no date"


async def test_deals_of_a_client(records: RecordsStore) -> None:
    """A company has its contacts' deals, a contact those of whom was merged into it; both under the survivor's name."""
    company = await client(records, "Dream Tiles", "company")
    contact, double = await client(records, "Ines", company=company), await client(records, "Ines C.")
    open_one = await deal(records, "floor", contact_id=double)
    await deal(records, "walls", WON, contact_id=contact)
    await records.book.merge(contact, double, by=None)
    for asked in (company, contact):
        assert [one.title for one in await records.deals.of_client(asked)] == ["floor", "walls"], asked
    seen = await records.deals.one(open_one.id)
    assert seen is not None
    assert (seen.contact, seen.contact_id) == ("Ines", contact)
    from_an_old_page = await deal(records, "roof", contact_id=double)
    assert (from_an_old_page.contact_id, from_an_old_page.company_id) == (contact, company)


async def test_which_open_deal_a_call_belongs_to(records: RecordsStore) -> None:
    """Their own, the one talked about last; else the company's: the only one, or the newest that names nobody."""
    company = await client(records, "Dream Tiles", "company")
    ines, omar = (
        await client(records, "Ines", company=company),
        await client(records, "Omar", company=company),
    )

    async def asked(*who: UUID) -> UUID | None:
        async with records.engine.connect() as connection:
            return await open_deal_of(connection, who)

    assert await asked(ines) is None
    omars = await deal(records, "Omar's", contact_id=omar)
    assert await asked(ines) == omars.id
    await deal(records, "Omar's other", contact_id=omar)
    assert await asked(ines) is None
    shared = await deal(records, "the company's", company_id=company)
    assert await asked(ines) == shared.id
    older, newer = (
        await deal(records, "older", contact_id=ines),
        await deal(records, "newer", contact_id=ines),
    )
    assert await asked(ines) == newer.id
    async with records.engine.begin() as connection:
        spoken = datetime.now(UTC) + timedelta(seconds=1)
        await connection.execute(update(deals).where(deals.c.id == older.id).values(spoken_at=spoken))
    assert await asked(ines) == older.id
    for one in (older, newer):
        await records.deals.move(one.id, stage_id=LOST, before=None, by=None)
    assert await asked(ines) == shared.id


async def test_a_rule_makes_a_deal_in_its_own_transaction(records: RecordsStore) -> None:
    """The rule's transaction fails afterwards: there is no deal."""
    async with records.engine.begin() as connection:
        await insert_deal(connection, NewDeal("call"), by=None, at=datetime.now(UTC))
        await connection.rollback()
    assert (await records.deals.page(None, ANY)).count == 0


# -- pipelines --------------------------------------------------------------------------------------------------------


async def test_a_stage_with_deals_asks_where_they_go(records: RecordsStore) -> None:
    """Removing it needs another stage; its deals go to that one's end in their order, removed ones too, and are told."""
    for title, stage in (("kept", OFFER), ("second", TALKS), ("first", TALKS)):
        await deal(records, title, stage)
    hidden = await deal(records, "hidden", TALKS)
    await records.deals.remove(hidden.id, by=None)
    assert await records.pipelines.counts() == {TALKS: 2, OFFER: 1}
    with pytest.raises(PeerMistake, match="2 deals stand in this stage"):
        await records.pipelines.remove_stage(TALKS, into=None, by=None)
    await records.pipelines.remove_stage(TALKS, into=OFFER, by=None)
    assert await titles(records, OFFER) == ["kept", "first", "second"]
    await records.deals.restore(hidden.id)
    assert (await records.deals.one(hidden.id)) is not None
    assert TALKS not in [stage.id for one in await records.deals.pipelines() for stage in one.stages]


async def test_one_open_stage_stays(records: RecordsStore) -> None:
    """The last open stage can neither be removed nor be made a closed one."""
    pipeline = await records.pipelines.add("Repairs")
    stage = next(one for one in await records.deals.pipelines() if one.id == pipeline).stages[0]
    with pytest.raises(PeerMistake, match="only open stage"):
        await records.pipelines.remove_stage(stage.id, into=WON, by=None)
    with pytest.raises(PeerMistake, match="only open stage"):
        await records.pipelines.change_stage(stage.id, name="x", ends="won")


async def test_stages_are_added_named_and_ordered(records: RecordsStore) -> None:
    """A new open stage comes before won and lost; the order is what was said."""
    added = await records.pipelines.add_stage(SALES, " Signing ")

    async def names() -> list[str]:
        return [one.name for one in (await records.deals.pipelines())[0].stages]

    assert await names() == ["New", "In talks", "Offer made", "Signing", "Won", "Lost"]
    await records.pipelines.order_stages(SALES, [added, NEW])
    assert (await names())[:3] == ["Signing", "New", "In talks"]
    made = await deal(records, "x", added)
    await records.pipelines.change_stage(added, name="Signed", ends="won")
    seen = await records.deals.one(made.id)
    assert seen is not None
    assert (seen.stage, seen.state) == ("Signed", "won")
    assert seen.closed_at is not None


async def test_a_pipeline_with_open_deals_is_not_archived(records: RecordsStore) -> None:
    """Nor is the only one; archived ones are not offered and can be brought back."""
    with pytest.raises(PeerMistake, match="only pipeline"):
        await records.pipelines.archive(SALES, archived=True)
    other = await records.pipelines.add("Repairs")
    made = await deal(records, "x")
    with pytest.raises(PeerMistake, match="1 deals are open"):
        await records.pipelines.archive(SALES, archived=True)
    await records.deals.move(made.id, stage_id=LOST, before=None, by=None)
    await records.pipelines.archive(SALES, archived=True)
    assert [one.id for one in await records.deals.pipelines()] == [other]
    assert [one.id for one in await records.deals.pipelines(archived=True)] == [other, SALES]
    await records.pipelines.archive(SALES, archived=False)
    await records.pipelines.order([other])
    assert [one.id for one in await records.deals.pipelines()] == [other, SALES]
    await records.pipelines.rename(other, "Repair  shop")
    assert (await records.deals.pipelines())[0].name == "Repair shop"
    async with records.engine.connect() as connection:
        assert await connection.scalar(select(stages.c.id).where(stages.c.pipeline_id == other).limit(1))
