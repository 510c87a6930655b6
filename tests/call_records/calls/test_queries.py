"""The list of calls: complete, in order, and found by any spelling of a number."""

from __future__ import annotations

import random
from datetime import timedelta
from uuid import UUID

import pytest

from call_records.store import RecordsStore
from call_records.types import CallFilter
from telephony.call_facts.facts import CallFacts, Direction, Disposition
from telephony.errors import PeerMistake
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, change, ended, leg, outbound

pytestmark = pytest.mark.postgres


async def keep(records: RecordsStore, *told: CallFacts) -> None:
    await records.journal.record([change(facts) for facts in told])


async def walk(records: RecordsStore, wanted: CallFilter, size: int) -> list[UUID]:
    found: list[UUID] = []
    cursor: str | None = None
    while True:
        page = await records.calls.page(wanted, limit=size, cursor=cursor)
        found += [facts.id for facts in page.calls]
        cursor = page.older
        if cursor is None:
            return found


async def test_pages_leave_nothing_out_and_show_nothing_twice(records: RecordsStore) -> None:
    """Sixty calls, many at the same instant, while new ones arrive: walking the pages gives each old one once."""
    instants = random.Random(7)
    told = [call(started_at=MONDAY + timedelta(seconds=instants.randrange(9))) for _ in range(60)]
    await keep(records, *told)
    expected = [facts.id for facts in sorted(told, key=lambda one: (one.started_at, one.id), reverse=True)]
    assert await walk(records, CallFilter(), 7) == expected
    first = await records.calls.page(CallFilter(), limit=10)
    await keep(records, *(call(started_at=MONDAY + timedelta(hours=1)) for _ in range(5)))
    second = await records.calls.page(CallFilter(), limit=10, cursor=first.older)
    assert [facts.id for facts in (*first.calls, *second.calls)] == expected[:20]


async def test_the_last_page_says_so(records: RecordsStore) -> None:
    """Exactly as many calls as fit: there is no empty page behind them."""
    await keep(records, *(call() for _ in range(4)))
    assert (await records.calls.page(CallFilter(), limit=4)).older is None
    assert (await records.calls.page(CallFilter(), limit=3)).older is not None


@pytest.mark.parametrize(
    "cursor", ["", "nonsense", "AAAA", "MjAyNi0xMS0yMyB4", "é", "MjAyNi0xMS0yM1QwMDowMA" * 30]
)
async def test_a_cursor_we_did_not_make_is_refused(records: RecordsStore, cursor: str) -> None:
    """Somebody edits the address: a sentence, not a traceback."""
    with pytest.raises(PeerMistake):
        await records.calls.page(CallFilter(), cursor=cursor)


SPELLINGS = (
    "+79161110005",
    "79161110005",
    "89161110005",
    "8 (916) 111-00-05",
    "+7 (916) 111-00-05",
    "007 916 111 00 05",
    "8.916.111.00.05",
    "8-916-111-0005",
    "916/111-00-05",
    "9161110005",
    "tel:+7-916-111-00-05",
    "+79161110005;ext=12",
    "+7 916 111 00 05 доб. 12",
    "+7 916 111 00 05 ext 301",
    "8 916 111 00 05 wew. 4",
    "\u202a+7\u00a0916\u00a0111\u00a000\u00a005\u202c",
    "٩١٦١١١٠٠٠٥",
    "1110005",
    "111-00-05",
    "0005",
    "005",
)


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_number_is_found_however_it_is_typed(records: RecordsStore, spelling: str) -> None:
    """The client's two calls are found, in either direction; a stranger's is not."""
    client, stranger, ours = call(CLIENT), call("+79161110006"), outbound(CLIENT)
    await keep(records, client, stranger, ours)
    assert set(await walk(records, CallFilter(number=spelling), 50)) == {client.id, ours.id}


@pytest.mark.parametrize(
    ("number", "spelling"),
    [
        ("+48221234567", "22 123-45-67"),
        ("+48221234567", "0048 22 123 45 67"),
        ("+442079460958", "020 7946 0958"),
        ("+4915123456789", "01512 3456789"),
        ("+4930123456", "030 123456"),
        ("89161110005", "+79161110005"),
    ],
)
async def test_other_countries_and_raw_numbers(records: RecordsStore, number: str, spelling: str) -> None:
    """National prefixes differ; a number the PBX gave raw is found too."""
    await keep(records, call(number), call("+19999999999"))
    assert len(await walk(records, CallFilter(number=spelling), 50)) == 1


async def test_a_mobile_reached_by_transfer_is_found(records: RecordsStore) -> None:
    """The client was transferred to somebody's mobile: the call is found by that number as well."""
    facts = call()
    facts = ended(call(CLIENT, legs=(*facts.legs, leg("+79031234567"))))
    await keep(records, facts)
    assert await walk(records, CallFilter(number="8 903 123-45-67"), 50) == [facts.id]


@pytest.mark.parametrize("typed", ["7", "+7", "abc", "12 ext 345"])
async def test_fewer_than_three_digits_are_refused(records: RecordsStore, typed: str) -> None:
    """Nearly every number ends like this."""
    with pytest.raises(PeerMistake):
        await records.calls.page(CallFilter(number=typed))


async def test_filters_narrow_together(records: RecordsStore) -> None:
    """Missed inbound calls of 102 on Monday afternoon."""
    afternoon = MONDAY + timedelta(hours=5)
    wanted = ended(call(to="102", started_at=afternoon))
    await keep(
        records,
        wanted,
        ended(call(to="102")),
        ended(call(to="101", started_at=afternoon)),
        ended(answered(call(to="102", started_at=afternoon))),
        ended(outbound(CLIENT, by="102", started_at=afternoon)),
    )
    narrow = CallFilter(
        direction=Direction.INBOUND,
        disposition=Disposition.MISSED,
        party="102",
        since=afternoon,
        until=afternoon + timedelta(seconds=1),
    )
    assert await walk(records, narrow, 50) == [wanted.id]


async def test_the_last_conversation_with_a_client(records: RecordsStore) -> None:
    """The card's line: the newest ended call before this one, never one still going on, never another country's."""
    older = ended(answered(call(started_at=MONDAY - timedelta(days=2))))
    newer = ended(outbound(CLIENT, started_at=MONDAY - timedelta(days=1)))
    going_on, abroad = answered(call()), ended(call("+19161110005", started_at=MONDAY - timedelta(hours=1)))
    await keep(records, older, newer, going_on, abroad)
    assert await records.calls.last_with(CLIENT, before=MONDAY) == newer
    assert await records.calls.last_with(CLIENT, before=newer.started_at) == older
    assert await records.calls.last_with("+48221234567", before=MONDAY) is None
    assert await records.calls.last_with("anonymous", before=MONDAY) is None


async def test_several_calls_at_once_by_the_ids_that_were_asked_for(records: RecordsStore) -> None:
    """A page remembers the id of a call that became part of another one; unknown ids are left out."""
    one, other, gone = call(), call(started_at=MONDAY + timedelta(seconds=9)), call()
    await keep(records, one, gone)
    await records.journal.record([change(other, absorbed=[gone.id])])
    found = await records.calls.several([one.id, gone.id, other.id, UUID(int=0)])
    assert {asked: facts.id for asked, facts in found.items()} == {
        one.id: one.id,
        gone.id: other.id,
        other.id: other.id,
    }
    assert await records.calls.several([]) == {}
