"""Tasks on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from call_records.crm.tables import timeline
from call_records.crm.types import NewTask
from call_records.store import RecordsStore
from telephony.errors import PeerMistake
from tests.crm.deals.test_deals import account, client, deal, person
from tests.crm.emptied import records, store

__all__ = ["records", "store"]
pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]
NOW = datetime.now(UTC)


async def told(records: RecordsStore, task_id: UUID) -> list[dict[str, object]]:
    """What the timeline says of a task."""
    async with records.engine.connect() as connection:
        wanted = select(timeline.c.data).where(timeline.c.task_id == task_id).order_by(timeline.c.at)
        return list((await connection.scalars(wanted)).all())


async def test_done_and_taken_up_again(records: RecordsStore) -> None:
    """Anna ticks a task off, twice, and takes it back: the timeline says done once, then nothing of it."""
    anna = await account(records, "anna")
    made = await records.tasks.add(NewTask(" Call back "), by=anna)
    assert (made.text, made.done_at) == ("Call back", None)
    for _twice in range(2):
        done = await records.tasks.done(made.id, done=True, by=anna)
        assert done.done_at is not None
    assert [one.get("act") for one in await told(records, made.id)] == [None, "done"]
    again = await records.tasks.done(made.id, done=False, by=anna)
    assert again.done_at is None
    assert [one.get("act") for one in await told(records, made.id)] == [None]


async def test_a_task_of_a_deal_is_its_contacts(records: RecordsStore) -> None:
    """It stands on the contact's page too, and on the page of whom the contact was merged into."""
    anna, contact, survivor = (
        await account(records, "anna"),
        await client(records, "Ines"),
        await client(records, "Ines Costa"),
    )
    of = await deal(records, "Floor", contact_id=contact)
    made = await records.tasks.add(NewTask("Measure", deal_id=of.id), by=anna)
    assert (made.client_id, made.client, made.deal) == (contact, "Ines", "Floor")
    await records.book.merge(survivor, contact, by=None)
    assert [one.id for one in await records.tasks.of_client(survivor)] == [made.id]
    assert [one.id for one in await records.tasks.of_deal(of.id)] == [made.id]


async def test_what_a_person_has_to_do(records: RecordsStore) -> None:
    """Overdue first, without a date last; what is done, another's, or of a removed deal is not there."""
    by, anna, olga = await account(records, "a"), await person(records, "Anna"), await person(records, "Olga")
    gone = await deal(records, "gone")
    await records.deals.remove(gone.id, by=by)
    for said, hours, owner, of in (
        ("later", 48, anna, None),
        ("overdue", -5, anna, None),
        ("undated", None, anna, None),
        ("Olga's", 1, olga, None),
        ("of a removed deal", 1, anna, gone.id),
    ):
        due = NOW + timedelta(hours=hours) if hours is not None else None
        await records.tasks.add(NewTask(said, due, deal_id=of, owner_id=owner), by=by)
    ticked = await records.tasks.add(NewTask("ticked", NOW, owner_id=anna), by=by)
    await records.tasks.done(ticked.id, done=True, by=by)
    assert [one.text for one in await records.tasks.open_of(anna)] == ["overdue", "later", "undated"]
    today = await records.tasks.open_of(anna, until=NOW + timedelta(hours=24))
    assert [one.text for one in today] == ["overdue"]
    assert [one.text for one in await records.tasks.open_of(anna, limit=1)] == ["overdue"]


async def test_put_off_and_handed_over(records: RecordsStore) -> None:
    """A new date and a new owner are told; a typo put right is not."""
    by, olga = await account(records, "a"), await person(records, "Olga")
    made = await records.tasks.add(NewTask("Cal back", NOW), by=by)
    made = await records.tasks.change(replace(made, text="Call back"), by=by)
    assert len(await told(records, made.id)) == 1
    later = NOW + timedelta(days=1)
    changed = await records.tasks.change(replace(made, due_at=later, owner_id=olga), by=by)
    assert (changed.text, changed.due_at, changed.owner) == ("Call back", later, "Olga")
    said = (await told(records, made.id))[1]
    assert said == {
        "act": "changed",
        "due": {"from": NOW.isoformat(), "to": later.isoformat()},
        "owner": {"from": None, "to": "Olga"},
    }


async def test_what_no_task_can_be(records: RecordsStore) -> None:
    """Without words, of a deal that is not there, or gone: refused in words."""
    by = await account(records, "a")
    for new in (NewTask("  "), NewTask("x", deal_id=uuid4())):
        with pytest.raises(PeerMistake):
            await records.tasks.add(new, by=by)
    with pytest.raises(PeerMistake, match="no such task"):
        await records.tasks.done(uuid4(), done=True, by=by)
    assert await records.tasks.one(uuid4()) is None


async def test_an_unowned_task_on_my_deal_is_mine(records: RecordsStore) -> None:
    """Nobody was named for it, and the deal is Anna's: it stands in her day. Boris's and nobody's deals do not."""
    by = await account(records, "chief")
    anna, boris = await person(records, "Anna"), await person(records, "Boris")
    hers = await deal(records, "Fence", owner_id=anna)
    his = await deal(records, "Roof", owner_id=boris)
    nobodys = await deal(records, "Well")
    for text, of, owner in (
        ("hers", hers.id, None), ("his", his.id, None), ("nobody's", nobodys.id, None), ("given away", hers.id, boris),
        ("own", None, anna),
    ):  # fmt: skip
        await records.tasks.add(NewTask(text, deal_id=of, owner_id=owner), by=by)
    assert sorted(one.text for one in await records.tasks.open_of(anna)) == ["hers", "own"]
    assert sorted(one.text for one in await records.tasks.open_of(boris)) == ["given away", "his"]
    done = next(one for one in await records.tasks.open_of(anna) if one.text == "hers")
    await records.tasks.done(done.id, done=True, by=by)
    assert [one.text for one in await records.tasks.open_of(anna)] == ["own"]
