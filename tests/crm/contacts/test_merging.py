"""Two entries are one person, and sometimes not after all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from call_records.crm.tables import clients, deals, tasks
from call_records.crm.types import NewDeal
from call_records.store import RecordsStore
from telephony.contacts import MatchRule
from telephony.errors import PeerMistake
from tests.crm.conftest import Somebody
from tests.crm.people import calls_with, company, contact, happened, lead, names, task_of, told, whole

pytestmark = [pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]


async def test_a_merged_entry_is_one_for_everybody(store: RecordsStore, petrova: Somebody) -> None:
    """Numbers, e-mails, tags, deals and history of both stand on one page; either number rings for it."""
    kept = await store.book.add(contact("Olga Belova", "+79165551001", tags=("vip",)), by=None)
    gone = await store.book.add(
        contact(
            "O. Belova", "8 916 555-10-02", emails=("olga@example.org",), tags=("VIP", "new"), position="CEO"
        ),
        by=None,
    )
    deal = await store.deals.add(NewDeal("Shelves", contact_id=gone.id), by=None)
    await happened(store, gone.id, "on the absorbed one")
    await store.book.merge(kept.id, gone.id, by=petrova.account)
    one = await store.book.one(gone.id)
    assert one is not None
    assert (one.id, one.name, one.position) == (kept.id, "Olga Belova", "CEO")
    assert [phone.raw for phone in one.phones] == ["+79165551001", "8 916 555-10-02"]
    assert (one.emails, one.tags, one.open_deals) == (("olga@example.org",), ("vip", "new"), 1)
    assert [each.id for each in await store.deals.of_client(kept.id)] == [deal.id]
    texts = [entry.text for entry in (await store.timelines.of_client(kept.id)).entries]
    assert "on the absorbed one" in texts
    assert await names(store, "o belova 1002") == await names(store, "olga vip new") == ["Olga Belova"]
    match = await store.matching.match("+79165551002")
    assert match.chosen is not None
    assert (match.chosen.id, match.rule) == (kept.id, MatchRule.ONLY)


async def test_undoing_brings_both_back_exactly(store: RecordsStore, petrova: Somebody) -> None:
    """The wrong Belova: after undoing, both entries, their deals and tasks are what they were."""
    first = await store.book.add(
        contact("Anna", "+79165551011", tags=("a",), fields={"city": "Perm"}), by=None
    )
    other = await store.book.add(
        contact("Vera", "+79165551012", tags=("b",), fields={"city": "Omsk", "shoe": "38"}), by=None
    )
    await calls_with(store, "+79165551012", 1, 2)
    deal = await store.deals.add(NewDeal("Tiles", contact_id=other.id), by=None)
    task = await task_of(store, other.id)
    before = [await whole(store, first.id), await whole(store, other.id)]
    merge = await store.book.merge(first.id, other.id, by=petrova.account)
    assert (await whole(store, first.id))["fields"] == {"city": "Perm", "shoe": "38"}
    await store.book.undo_merge(merge, by=petrova.account)
    assert [await whole(store, first.id), await whole(store, other.id)] == before
    async with store.engine.connect() as connection:
        assert await connection.scalar(select(deals.c.contact_id).where(deals.c.id == deal.id)) == other.id
        assert await connection.scalar(select(tasks.c.client_id).where(tasks.c.id == task)) == other.id
    with pytest.raises(PeerMistake):
        await store.book.undo_merge(merge, by=petrova.account)
    merged = [one for one in (await store.timelines.of_client(first.id)).entries if one.kind == "merged"]
    assert [one.data["undone"] for one in merged] == [True]


async def test_what_was_done_after_the_merge_stays_with_the_survivor(store: RecordsStore) -> None:
    """A tag and a number typed on the merged page are the survivor's; what was struck out there is struck out."""
    first = await store.book.add(contact("Egor", "+79165551021", tags=("a",)), by=None)
    other = await store.book.add(contact("Igor", "+79165551022", tags=("b", "c")), by=None)
    merge = await store.book.merge(first.id, other.id, by=None)
    one = await store.book.one(first.id)
    assert one is not None
    typed = replace(one.phones[0], raw="8 (916) 555-10-23", key=None)
    await store.book.change(replace(one, tags=("a", "b", "d"), phones=(*one.phones, typed)), by=None)
    await store.book.undo_merge(merge, by=None)
    mine, theirs = await whole(store, first.id), await whole(store, other.id)
    assert (mine["tags"], theirs["tags"]) == (("a", "d"), ("b",))
    assert [each["key"] for each in mine["phones"]] == ["+79165551021", "+79165551023"]
    assert [each["key"] for each in theirs["phones"]] == ["+79165551022"]


async def test_the_middle_of_a_chain_is_undone(store: RecordsStore) -> None:
    """A was merged into B and B into C; A was somebody else. A is as before, B and C stay one."""
    a, b, c = [await store.book.add(contact(f"Chain {one}", f"+7916555103{place}", tags=(one,)), by=None)
               for place, one in enumerate("abc")]  # fmt: skip
    deal = await store.deals.add(NewDeal("of A", contact_id=a.id), by=None)
    before = await whole(store, a.id)
    first = await store.book.merge(b.id, a.id, by=None)
    second = await store.book.merge(c.id, b.id, by=None)
    assert (await whole(store, a.id))["id"] == c.id
    assert (await whole(store, c.id))["tags"] == ("c", "b", "a")
    await store.book.undo_merge(first, by=None)
    assert await whole(store, a.id) == before
    assert [one.id for one in await store.deals.of_client(a.id)] == [deal.id]
    assert (await whole(store, b.id))["tags"] == ("c", "b")
    await store.book.undo_merge(second, by=None)
    assert (await whole(store, b.id))["tags"] == ("b",)
    assert (await whole(store, c.id))["tags"] == ("c",)


async def test_a_company_is_merged_with_all_its_people(store: RecordsStore) -> None:
    """Acme Ltd is Acme: her people are theirs, and found by their name; undone, they are hers again."""
    acme = await store.book.add(company("Acme"), by=None)
    limited = await store.book.add(company("Zephyr Limited"), by=None)
    worker = await store.book.add(contact("Worker Wendy", company_id=limited.id), by=None)
    merge = await store.book.merge(acme.id, limited.id, by=None)
    assert (await whole(store, worker.id))["company"] == "Acme"
    assert await names(store, "wendy acme") == ["Worker Wendy"]
    assert await names(store, "wendy zephyr") == []
    await store.book.undo_merge(merge, by=None)
    assert (await whole(store, worker.id))["company"] == "Zephyr Limited"
    assert await names(store, "wendy zephyr") == ["Worker Wendy"]


@pytest.mark.parametrize(
    ("first", "second"), [("contact", "company"), ("company", "contact"), ("lead", "contact")]
)
async def test_a_person_is_never_a_company(store: RecordsStore, first: str, second: str) -> None:
    """What cannot be one is refused, and nothing changes."""
    kinds = {"contact": contact, "company": company, "lead": lead}
    one = await store.book.add(kinds[first]("One"), by=None)
    other = await store.book.add(kinds[second]("Other"), by=None)
    with pytest.raises(PeerMistake):
        await store.book.merge(one.id, other.id, by=None)
    assert (await whole(store, other.id))["id"] == other.id


async def test_two_people_merge_at_once(store: RecordsStore) -> None:
    """A into B and B into C in one moment, many times: always one family in the end, or a refusal that says so."""
    for _ in range(5):
        a, b, c = [await store.book.add(contact(f"Race {one}"), by=None) for one in "abc"]
        done = await asyncio.gather(
            store.book.merge(b.id, a.id, by=None),
            store.book.merge(c.id, b.id, by=None),
            return_exceptions=True,
        )
        assert all(isinstance(one, UUID | PeerMistake) for one in done), done
        ways = {(await whole(store, one.id))["id"] for one in (a, b, c)}
        assert ways == {c.id}


async def test_two_people_merge_the_same_two_the_other_way_round(store: RecordsStore) -> None:
    """Petrova merges A into B, Sidorov B into A: one of them is told that they are one already."""
    a, b = [await store.book.add(contact(f"Cross {one}"), by=None) for one in "ab"]
    done = await asyncio.gather(
        store.book.merge(b.id, a.id, by=None), store.book.merge(a.id, b.id, by=None), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in done) == ["PeerMistake", "UUID"]


async def test_what_came_by_hand_or_by_another_merge_is_not_turned_back(store: RecordsStore) -> None:
    """A deal of the absorbed one was given to somebody else meanwhile: undoing leaves it there."""
    kept, gone, third = [await store.book.add(contact(f"Deal {one}"), by=None) for one in "kgt"]
    deal = await store.deals.add(NewDeal("Wandering", contact_id=gone.id), by=None)
    merge = await store.book.merge(kept.id, gone.id, by=None)
    moved = (await store.deals.of_client(kept.id))[0]
    await store.deals.change(replace(moved, contact_id=third.id), by=None)
    again = await store.book.merge(kept.id, third.id, by=None)
    await store.book.undo_merge(merge, by=None)
    assert [one.id for one in await store.deals.of_client(kept.id)] == [deal.id]
    await store.book.undo_merge(again, by=None)
    assert [one.id for one in await store.deals.of_client(third.id)] == [deal.id]


async def test_a_rule_that_writes_the_owner_is_not_lost_by_undoing(
    store: RecordsStore, petrova: Somebody
) -> None:
    """Whatever wrote the column meanwhile meant the survivor."""
    kept, gone = [await store.book.add(contact(f"Owner {one}"), by=None) for one in "kg"]
    merge = await store.book.merge(kept.id, gone.id, by=None)
    async with store.engine.begin() as connection:
        await connection.execute(
            clients.update().where(clients.c.id == kept.id).values(owner_id=petrova.person)
        )
    await store.book.undo_merge(merge, by=None)
    assert (await whole(store, kept.id))["owner"] == "Petrova"
    assert (await whole(store, gone.id))["owner"] is None


PEOPLE = 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), st.integers(0, PEOPLE - 1), st.integers(0, PEOPLE - 1)),
        st.tuples(st.just("undo"), st.integers(0, 7), st.just(0)),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.asyncio(loop_scope="module")
@settings(
    max_examples=15,  # 0.2 s each
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shorten what fails takes minutes
)
@given(steps=STEPS, order=st.permutations(range(8)))
async def test_whatever_was_merged_and_in_whatever_order_it_is_undone_nothing_is_left_of_it(
    store: RecordsStore, steps: list[tuple[str, int, int]], order: list[int]
) -> None:
    """Merges and undoings in any order, then the rest undone in any order: everybody is as at the beginning."""
    everybody = await _four(store)
    before = [await whole(store, one) for one in everybody]
    open_merges: list[UUID] = []
    for what, first, second in steps:
        if what == "undo" and open_merges:
            await store.book.undo_merge(open_merges.pop(first % len(open_merges)), by=None)
        elif what == "merge":
            now = [(await whole(store, everybody[one]))["id"] for one in (first, second)]
            if now[0] != now[1]:
                open_merges.append(await store.book.merge(now[0], now[1], by=None))
                shown = await whole(store, everybody[second])
                assert shown["id"] == now[0]
                assert {tag for one in (first, second) for tag in before[one]["tags"]} <= set(shown["tags"])
    for place in order:
        if open_merges:
            await store.book.undo_merge(open_merges.pop(place % len(open_merges)), by=None)
    assert [await whole(store, one) for one in everybody] == before


async def _four(store: RecordsStore) -> list[UUID]:
    """Four people who differ in everything, each with a deal and a task."""
    made: list[UUID] = []
    for place in range(PEOPLE):
        number = f"+7{uuid4().int % 10**10:010}"
        different: dict[str, Any] = {"position": f"p{place}"} if place % 2 else {}
        new = contact(
            f"P{place}", number, "+79165550000", emails=(f"e{place}@example.org", "all@example.org"),
            tags=(f"t{place}", "all"), fields={f"f{place}": "x", "same": str(place)}, **different,
        )  # fmt: skip
        one = await store.book.add(new, by=None)
        await store.deals.add(NewDeal(f"D{place}", contact_id=one.id), by=None)
        await task_of(store, one.id)
        made.append(one.id)
    assert told((await store.book.several(made))[made[0]])["open_deals"] == 1
    return made
