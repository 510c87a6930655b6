"""The queue over a real PostgreSQL: picked once, by whoever, whenever; scoped; done with."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from call_records.reviews import picks
from call_records.reviews.types import Picked, PickState
from call_records.store import RecordsStore, open_records
from telephony.errors import PeerMistake
from telephony.reviews import BY_HAND, RULES, ReviewRule, ReviewRuleKind, random_chance
from telephony.staff import Role
from tests.call_facts_builder import change
from tests.reviews.office import (
    CLIENT,
    WEDNESDAY,
    answers,
    called_back,
    days,
    grade,
    handed_over,
    hire,
    keep,
    missed,
    short_form,
    silence,
    talk,
)

pytestmark = pytest.mark.postgres

FRIDAY = WEDNESDAY + days(2)
NEXT_MONDAY_NOON = (
    WEDNESDAY
    + days(
        5,
    )
    + timedelta(hours=3)
)


@pytest.fixture(autouse=True)
def _any_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' calendar is not today's."""
    monkeypatch.setattr(picks, "KEPT_OPEN", days(36_500))


async def only(records: RecordsStore, *rules: tuple[ReviewRuleKind, dict[str, int]]) -> None:
    """These rules and no others."""
    for kind, shape in RULES.items():
        chosen = next((choices for wanted, choices in rules if wanted is kind), None)
        values = {**shape.defaults(), **(chosen or {})}
        await records.reviews.rules.change(ReviewRule(kind, chosen is not None, values), by="chief")


def kinds(found: list[Picked] | tuple[Picked, ...]) -> list[list[str]]:
    return [[reason.kind for reason in one.reasons] for one in found]


async def queue(records: RecordsStore, *extensions: str) -> list[Picked]:
    return list(await records.reviews.picks.queue(frozenset(extensions) if extensions else None))


async def test_each_rule_finds_its_call(records: RecordsStore) -> None:
    """A week with one call for every rule: each is in the queue, with the reason in numbers, and no other call is."""
    await hire(records, "old", Role.MANAGER, "109", since=WEDNESDAY - days(300))
    await hire(records, "ivan", Role.MANAGER, "110", since=WEDNESDAY - days(1))
    await only(
        records,
        (ReviewRuleKind.LONG_HOLD, {}),
        (ReviewRuleKind.SILENCE, {}),
        (ReviewRuleKind.BAD_RATING, {}),
        (ReviewRuleKind.CALLED_BACK_LATE, {}),
        (ReviewRuleKind.NEW_COLLEAGUE, {"one_in": 1}),
        (ReviewRuleKind.ONE_SIDED, {}),
    )
    number = iter(f"+7916000{n:04}" for n in range(100, 200))

    def minute(n: int) -> dict[str, object]:
        return {"at": WEDNESDAY + timedelta(minutes=n), "number": next(number)}

    held, quiet, rated = talk(hold=200, **minute(1)), talk(**minute(2)), talk(**minute(3))
    new, one_sided = talk("110", **minute(4)), talk(**minute(5))
    back = called_back(at=WEDNESDAY + timedelta(hours=2))
    await keep(records, held, new, talk(**minute(6)), talk(**minute(7)))
    await keep(records, back, missed(), recorded=False)
    await keep(records, quiet, measures=silence(45, 20))
    await keep(records, rated, rating=1, recorded=False)
    await keep(records, one_sided, faults=["ours_silent"])
    assert await records.reviews.picks.pick_now(FRIDAY) == 6
    found = {one.call.id: one for one in await queue(records)}
    expected = {
        held.id: ("long_hold", {"held_seconds": 200.0}),
        quiet.id: ("silence", {"quiet_seconds": 45.0, "at_seconds": 20.0}),
        rated.id: ("bad_rating", {"rating": 1}),
        back.id: ("called_back_late", {"waited_minutes": 120}),
        new.id: ("new_colleague", {"day": 2}),
        one_sided.id: ("one_sided", {}),
    }
    assert {one: (p.reasons[0].kind, dict(p.reasons[0].because)) for one, p in found.items()} == expected
    assert found[held.id].recorded
    assert not found[rated.id].recorded


async def test_several_processes_pick_the_same_calls_once(records: RecordsStore, database_url: str) -> None:
    """Four processes begin a round at once, again and again: every pick is there once, and they agree on which."""
    await only(records, (ReviewRuleKind.RANDOM_SHARE, {"one_in": 3}), (ReviewRuleKind.LONG_HOLD, {}))
    told = [
        talk(str(101 + n % 3), at=WEDNESDAY + timedelta(minutes=n), hold=130 * (n % 7 == 0))
        for n in range(60)
    ]
    await keep(records, *told)
    async with (
        open_records(database_url, migrate=False) as second,
        open_records(database_url, migrate=False) as third,
    ):
        rounds = [store.reviews.picks.pick_now(FRIDAY) for store in (records, second, third, second)]
        picked = await asyncio.gather(*rounds)
    drawn = {one.id for one in told if random_chance(one, one.answered_by or "") * 3 < 1}
    held = {one.id for one in told if one.hold_seconds}
    assert sorted(picked) == [0, 0, 0, len(drawn) + len(held)]
    found = await queue(records)
    assert {one.call.id for one in found} == drawn | held
    assert await records.reviews.picks.pick_now(FRIDAY, thorough=True) == 0


async def test_at_least_one_a_week_for_everybody(records: RecordsStore) -> None:
    """One in a thousand of three conversations each is nothing; on Monday everybody who can be heard gets the one with
    the best chance, once; who was never recorded or only talked shortly gets none.
    """
    await only(records, (ReviewRuleKind.RANDOM_SHARE, {"one_in": 1000}))
    told = {
        party: [talk(party, at=WEDNESDAY + timedelta(minutes=n)) for n in range(3)]
        for party in ("101", "102")
    }
    await keep(records, *told["101"], *told["102"], talk("103", seconds=10))
    await keep(records, talk("104"), recorded=False)
    await records.reviews.picks.pick_now(FRIDAY)
    assert await queue(records) == []
    assert await records.reviews.picks.pick_now(NEXT_MONDAY_NOON) == 2
    assert await records.reviews.picks.pick_now(NEXT_MONDAY_NOON) == 0
    found = {one.extension: one.call.id for one in await queue(records)}
    assert found == {
        party: min(calls, key=lambda call: random_chance(call, party)).id for party, calls in told.items()
    }


async def test_late_news_is_found_by_the_round_of_the_next_day(records: RecordsStore) -> None:
    """The recording of Wednesday's call arrives on Friday from a remote PBX: Saturday's first round hears of it."""
    await only(records, (ReviewRuleKind.SILENCE, {}))
    call = talk()
    await keep(records, call, recorded=False)
    assert await records.reviews.picks.pick_now(WEDNESDAY + timedelta(hours=1)) == 0
    assert await records.reviews.picks.pick_now(FRIDAY - timedelta(hours=8)) == 0  # the day's first
    await keep(records, call, measures=silence(50, 10))
    assert await records.reviews.picks.pick_now(FRIDAY) == 0
    assert await records.reviews.picks.pick_now(FRIDAY + timedelta(hours=20)) == 1


async def test_who_was_on_holiday_misses_nothing(records: RecordsStore) -> None:
    """Nobody picked for eight days: the next round begins where the last one ended."""
    await only(records, (ReviewRuleKind.LONG_HOLD, {}))
    await records.reviews.picks.pick_now(WEDNESDAY)
    call = talk(hold=130, at=WEDNESDAY + days(1))
    await keep(records, call)
    assert await records.reviews.picks.pick_now(WEDNESDAY + days(9)) == 1


async def test_reasons_of_one_conversation_stand_together(records: RecordsStore) -> None:
    """Held long and rated badly: one entry with two reasons; each of two agents has an entry of their own."""
    await only(records, (ReviewRuleKind.LONG_HOLD, {}), (ReviewRuleKind.BAD_RATING, {}))
    await keep(records, talk(hold=150), rating=2)
    await records.reviews.picks.pick_now(FRIDAY)
    (one,) = await queue(records)
    assert kinds([one]) == [["bad_rating", "long_hold"]]
    call = handed_over(at=WEDNESDAY + timedelta(hours=1))
    await keep(records, call)
    for extension in ("101", "102"):
        await records.reviews.picks.choose(call.id, extension, by="Jan")
    assert [one.extension for one in await queue(records)] == ["101", "102", "101"]


async def test_a_scope_shows_only_its_people(records: RecordsStore) -> None:
    """A supervisor of the team 102 and 103 sees their calls; who may hear nobody sees nothing."""
    await only(records, (ReviewRuleKind.LONG_HOLD, {}))
    await keep(records, *(talk(party, hold=130) for party in ("101", "102", "103")))
    await records.reviews.picks.pick_now(FRIDAY)
    assert sorted(one.extension for one in await queue(records, "102", "103")) == ["102", "103"]
    assert await records.reviews.picks.queue(frozenset()) == []


async def test_skipped_with_a_reason_and_taken_back(records: RecordsStore) -> None:
    """A wrong number is not worth hearing: out of the queue with the reason, and back by undo."""
    chief = await hire(records, "chief", Role.SUPERVISOR, name="Jan")
    await only(records, (ReviewRuleKind.LONG_HOLD, {}), (ReviewRuleKind.BAD_RATING, {}))
    await keep(records, talk(hold=150), rating=2)
    await records.reviews.picks.pick_now(FRIDAY)
    (one,) = await queue(records)
    await records.reviews.picks.skip(one.id, by=chief.id, why=" A wrong number ")
    assert await queue(records) == []
    kept = await records.reviews.picks.one(one.id)
    assert kept
    assert kept.state is PickState.SKIPPED
    assert {(reason.why, reason.done_by) for reason in kept.reasons} == {("A wrong number", "Jan")}
    await records.reviews.picks.reopen(one.id)
    assert len(await queue(records)) == 1
    assert await records.reviews.picks.one(uuid4()) is None


async def test_a_call_chosen_by_hand(records: RecordsStore) -> None:
    """A supervisor puts a call into the queue; somebody who did not talk in it cannot be chosen."""
    call = talk()
    await keep(records, call)
    chosen = await records.reviews.picks.choose(call.id, "101", by="Jan")
    assert await records.reviews.picks.choose(call.id, "101", by="Olga") == chosen
    (one,) = await queue(records)
    assert [(reason.kind, reason.picked_by) for reason in one.reasons] == [(BY_HAND, "Jan")]
    for call_id, extension in ((call.id, "102"), (uuid4(), "101")):
        with pytest.raises(PeerMistake):
            await records.reviews.picks.choose(call_id, extension, by="Jan")


async def test_a_graded_call_is_not_picked_again(records: RecordsStore) -> None:
    """Graded on the day, badly rated as it turns out the day after: it was heard."""
    await only(records, (ReviewRuleKind.BAD_RATING, {}), (ReviewRuleKind.LONG_HOLD, {}))
    chief = await hire(records, "chief", Role.SUPERVISOR)
    call = talk(hold=130)
    await keep(records, call)
    await records.reviews.picks.pick_now(WEDNESDAY + timedelta(hours=1))
    await grade(records, call, await short_form(records), chief, answers())
    assert await queue(records) == []
    await keep(records, call, rating=1, recorded=False)
    assert await records.reviews.picks.pick_now(FRIDAY) == 0
    (done,) = await records.reviews.picks.graded(None)
    assert done.call.id == call.id


async def test_the_preview_says_what_a_rule_would_pick(records: RecordsStore) -> None:
    """Ten conversations last week, four with a hold of two minutes or more; nothing is picked by asking."""
    await keep(records, *(talk(hold=100 + 5 * n, at=WEDNESDAY + timedelta(minutes=n)) for n in range(10)))
    await keep(records, talk(at=WEDNESDAY - days(20), hold=500))
    kind = ReviewRuleKind.LONG_HOLD
    seen = await records.reviews.picks.would_pick(ReviewRule(kind, False, {"hold_seconds": 130}), FRIDAY)
    assert (seen.picked, seen.conversations) == (4, 10)
    draw = ReviewRule(ReviewRuleKind.RANDOM_SHARE, True, {"one_in": 1000, "at_least_seconds": 0})
    assert (await records.reviews.picks.would_pick(draw, FRIDAY)).picked == 1
    assert await queue(records) == []


async def test_the_preview_counts_conversations_of_conversations(records: RecordsStore) -> None:
    """Two conversations were handed over: each is one of three, though both colleagues' parts are to be heard."""
    both = [handed_over(at=WEDNESDAY + timedelta(hours=n)) for n in range(2)]
    await keep(records, talk(at=WEDNESDAY + timedelta(hours=5)), *both)
    every = ReviewRule(ReviewRuleKind.RANDOM_SHARE, True, {"one_in": 1, "at_least_seconds": 0})
    seen = await records.reviews.picks.would_pick(every, FRIDAY)
    assert (seen.picked, seen.conversations, seen.parts) == (3, 3, 5)


async def test_a_merge_brings_the_pick_and_the_grade_along(records: RecordsStore) -> None:
    """Two calls turn out to be one: what was picked and graded of the absorbed one is the survivor's."""
    chief = await hire(records, "chief", Role.SUPERVISOR)
    old, survivor = talk(), talk(at=WEDNESDAY + timedelta(minutes=1))
    await keep(records, old, survivor, recorded=False)
    for call in (old, survivor):
        await records.reviews.picks.choose(call.id, "101", by="Jan")
    given = await grade(records, old, await short_form(records), chief, answers())
    await records.journal.record([change(survivor, absorbed=[old.id])])
    assert [one.id for one in await records.reviews.grades.of_part(survivor.id, "101")] == [given.id]
    assert [one.id for one in await records.reviews.grades.of_part(old.id, "101")] == [given.id]
    assert [one.call.id for one in await queue(records)] == [survivor.id]


async def test_a_choice_out_of_bounds_is_refused(records: RecordsStore) -> None:
    """One in nothing: the rule stays as it was; a stored choice no release allows is the usual one."""
    rule = ReviewRule(ReviewRuleKind.RANDOM_SHARE, True, {"one_in": 0})
    with pytest.raises(PeerMistake):
        await records.reviews.rules.change(rule, by="chief")
    with pytest.raises(PeerMistake):
        await records.reviews.picks.would_pick(rule)
    async with records.engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO review_rules VALUES ('random_share', '{\"one_in\": -4}', false, 'somebody')")
        )
    found = {one.kind: one for one in await records.reviews.rules.all()}
    assert list(found) == list(RULES)
    assert found[ReviewRuleKind.RANDOM_SHARE].choices["one_in"] == 20
    assert not found[ReviewRuleKind.RANDOM_SHARE].active


async def test_the_loop_picks_and_goes_on(records: RecordsStore) -> None:
    """The service runs: a call with a long hold is in the queue without anybody asking."""
    await only(records, (ReviewRuleKind.LONG_HOLD, {}))
    async with records.engine.connect() as connection:
        now = await connection.scalar(text("SELECT now()"))
    assert now is not None
    await keep(records, talk(hold=200, at=now - timedelta(minutes=10), number=CLIENT))
    running = asyncio.create_task(records.reviews.picks.run())
    async with asyncio.timeout(10):
        while not await records.reviews.picks.queue(None):
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    assert await records.reviews.picks.pick_now(now) == 0


async def test_what_nobody_heard_for_four_weeks_leaves_the_queue(
    records: RecordsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is about these weeks, not a heap of last summer."""
    monkeypatch.setattr(picks, "KEPT_OPEN", timedelta(0))
    call = talk(at=WEDNESDAY - days(3650))
    await keep(records, call)
    chosen = await records.reviews.picks.choose(call.id, "101", by="Jan")
    assert await queue(records) == []
    assert await records.reviews.picks.one(chosen)
