"""Missed calls, without a database: what calls and people's acts make of a number's entries, in any order of news."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.call_facts.facts import CallFacts, Direction, Disposition, LegRole, Parking, QueueVisit
from telephony.missed_calls import (
    GaveUpReason,
    Kind,
    MissedRules,
    MissedState,
    Moment,
    Where,
    episodes,
    is_owed,
    last_rung,
    moment_of,
    rules_as_json,
    rules_from_json,
    shared_team,
    wait_of,
    who_talked,
)
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, ended, leg, outbound


def at(minutes: float) -> datetime:
    """So long after nine."""
    return MONDAY + timedelta(minutes=minutes)


def moment(kind: Kind, minutes: float, **different: object) -> Moment:
    """Something that happened so long after nine; its id is told by kind and time."""
    number = list(Kind).index(kind) * 100_000 + int(minutes * 10)
    return replace(Moment(kind, at(minutes), UUID(int=number)), **different)


def said(*moments: Moment) -> list[tuple[MissedState, int, int]]:
    """Each entry's state, missed calls and tries."""
    return [(one.state, len(one.missed), len(one.tries)) for one in episodes(moments)]


NEW, CLAIMED, BACK, GAVE_UP = MissedState

MISSED, TRIED, TALKED, CLAIM = Kind.MISSED, Kind.TRIED, Kind.TALKED, Kind.CLAIMED

STORIES = {
    "one missed call": ([(MISSED, 0)], [(NEW, 1, 0)]),
    "three are one entry": ([(MISSED, 0), (MISSED, 1), (MISSED, 2)], [(NEW, 3, 0)]),
    "a conversation settles it": ([(MISSED, 0), (TALKED, 5)], [(BACK, 1, 0)]),
    "a try does not": ([(MISSED, 0), (TRIED, 5)], [(NEW, 1, 1)]),
    "tries before the first missed call are none": ([(TRIED, 0), (MISSED, 1)], [(NEW, 1, 0)]),
    "missed again afterwards": ([(MISSED, 0), (TALKED, 5), (MISSED, 9)], [(BACK, 1, 0), (NEW, 1, 0)]),
    "talked before": ([(TALKED, 0), (MISSED, 5)], [(NEW, 1, 0)]),
    "only talked": ([(TALKED, 0), (TALKED, 9)], []),
    "claimed, and it stays claimed when he tries again": (
        [(MISSED, 0), (CLAIM, 1), (MISSED, 2)],
        [(CLAIMED, 2, 0)],
    ),
    "claimed and released": ([(MISSED, 0), (CLAIM, 1), (Kind.RELEASED, 2)], [(NEW, 1, 0)]),
    "claimed when it was settled already": ([(MISSED, 0), (TALKED, 1), (CLAIM, 2)], [(BACK, 1, 0)]),
    "given up": ([(MISSED, 0), (Kind.GAVE_UP, 5)], [(GAVE_UP, 1, 0)]),
    "given up, then he calls again": (
        [(MISSED, 0), (Kind.GAVE_UP, 5), (MISSED, 9)],
        [(GAVE_UP, 1, 0), (NEW, 1, 0)],
    ),
    "owed again": ([(MISSED, 0), (TALKED, 5), (Kind.REOPENED, 9)], [(NEW, 1, 0)]),
    "owed again and settled again": (
        [(MISSED, 0), (TALKED, 5), (Kind.REOPENED, 9), (MISSED, 10), (TALKED, 12)],
        [(BACK, 2, 0)],
    ),
    "given away takes the claim": ([(MISSED, 0), (CLAIM, 1), (Kind.GIVEN, 2)], [(NEW, 1, 0)]),
}


@pytest.mark.parametrize("name", STORIES)
def test_stories(name: str) -> None:
    """What a number's moments make of its entries."""
    told, expected = STORIES[name]
    assert said(*(moment(kind, minutes) for kind, minutes in told)) == expected


minutes = st.integers(0, 30)
moments = st.builds(moment, st.sampled_from(list(Kind)), minutes)


@given(st.lists(moments, max_size=12), st.randoms(use_true_random=False), st.data())
def test_the_order_of_news_does_not_matter(told: list[Moment], luck: object, data: st.DataObject) -> None:
    """Any moments, in any order, some of them told twice, make the same entries."""
    del luck
    shuffled = data.draw(st.permutations(told)) if told else []
    repeated = [*shuffled, *data.draw(st.lists(st.sampled_from(told), max_size=4))] if told else []
    assert [vars_of(one) for one in episodes(repeated)] == [vars_of(one) for one in episodes(told)]


def vars_of(one: object) -> list[object]:
    """An entry's fields."""
    return [getattr(one, name) for name in type(one).__dataclass_fields__]  # type: ignore[attr-defined]


@given(st.lists(moments, max_size=14))
def test_what_always_holds(told: list[Moment]) -> None:
    """Every missed call is in exactly one entry; only the last entry can be open; none is without a missed call."""
    entries = episodes(told)
    counted = [one for entry in entries for one in entry.missed]
    assert sorted(counted, key=lambda one: one.id) == sorted(
        {one for one in told if one.kind is MISSED}, key=lambda one: one.id
    )
    assert all(entry.missed for entry in entries)
    assert all(entry.closing is not None for entry in entries[:-1])
    for entry in entries:
        if entry.closing is not None:
            assert entry.closing.at >= entry.missed[-1].at


@given(
    st.lists(st.builds(moment, st.sampled_from((MISSED, TRIED, TALKED)), minutes), min_size=1, max_size=10)
)
def test_an_older_call_never_reopens(told: list[Moment]) -> None:
    """Whatever was missed before the last conversation, learned of whenever, leaves nothing owed."""
    last = moment(TALKED, 31)
    assert all(one.state is BACK for one in episodes([*told, last]))


# -- what one call is --


def rung(facts: CallFacts, *phones: tuple[str, float]) -> CallFacts:
    """With these phones rung, each so many seconds after the start."""
    legs = [leg(phone, rang_at=facts.started_at + timedelta(seconds=after)) for phone, after in phones]
    return replace(facts, legs=(facts.legs[0], *legs))


LOST = ended(rung(call(), ("101", 2)), after_seconds=30)
QUEUED = replace(
    LOST, disposition=Disposition.ABANDONED, queue=QueueVisit("support", 28.0, ("101",), None, MONDAY)
)
MENU = replace(LOST, disposition=Disposition.ABANDONED, legs=LOST.legs[:1])

CALLS = {
    "nobody answered": (LOST, MISSED, Where.RANG, ("101",)),
    "lost in the queue": (QUEUED, MISSED, Where.QUEUE, ("support",)),
    "lost in the menu": (MENU, MISSED, Where.MENU, ()),
    "voicemail": (replace(LOST, disposition=Disposition.VOICEMAIL), MISSED, Where.VOICEMAIL, ("101",)),
    "busy": (replace(LOST, disposition=Disposition.BUSY), MISSED, Where.BUSY, ("101",)),
    "declined": (replace(LOST, disposition=Disposition.DECLINED), MISSED, Where.RANG, ("101",)),
    "nothing tells why": (replace(LOST, disposition=None), MISSED, Where.RANG, ("101",)),
    "nothing tells anything": (replace(MENU, disposition=None), None, Where.NOWHERE, ()),
    "phone unplugged": (
        ended(replace(call(), disposition=Disposition.FAILED, legs=(leg(CLIENT), leg("101", rang_at=None)))),
        MISSED,
        Where.NOWHERE,
        (),
    ),
    "a line that leads nowhere": (replace(MENU, disposition=Disposition.FAILED), None, Where.NOWHERE, ()),
    "lost in the car park": (
        replace(MENU, parked=(Parking("101", "701", 20.0, None, True, MONDAY),)),
        MISSED,
        Where.PARKED,
        ("701",),
    ),
    "still ringing": (rung(call(), ("101", 2)), None, Where.RANG, ("101",)),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_a_call_is(name: str) -> None:
    """Whether it is owed, and where the caller was lost."""
    facts, kind, where, place = CALLS[name]
    found = moment_of(facts)
    assert (found.kind if found else None) is kind
    assert (wait_of(facts).where, wait_of(facts).at) == (where, place)


def test_colleagues_owe_each_other_nothing() -> None:
    """An internal call is nobody's debt."""
    assert moment_of(replace(LOST, direction=Direction.INTERNAL)) is None


def test_who_had_the_conversation() -> None:
    """Who called back, though another talked longer after a transfer; who took the call; else who talked longest."""

    def spoke(phone: str, seconds: float, role: LegRole = LegRole.CALLEE) -> object:
        return leg(phone, role=role, answered_at=MONDAY, talk_seconds=seconds)

    back = answered(outbound(CLIENT, by="101"), by=CLIENT)
    back = replace(
        back, legs=(spoke("101", 5, LegRole.CALLER), leg(CLIENT), spoke("555", 300)), talk_seconds=300.0
    )
    assert who_talked(back) == "101"
    taken = answered(call(), by="102")
    taken = replace(taken, legs=(leg(CLIENT), spoke("102", 9), spoke("555", 60)))
    assert who_talked(taken) == "102"
    assert who_talked(replace(taken, answered_by=None)) == "555"


def test_a_receiver_lifted_by_mistake_is_no_conversation() -> None:
    """Outbound it is a try; inbound it is neither owed nor settled."""
    short = ended(answered(outbound(CLIENT), by=CLIENT), after_seconds=5.4)
    found = moment_of(replace(short, talk_seconds=0.4))
    assert found is not None
    assert (found.kind, found.extension) == (TRIED, "101")
    inbound = ended(answered(call()), after_seconds=5.4)
    assert moment_of(replace(inbound, talk_seconds=0.4)) is None
    assert not is_owed(inbound)


def test_a_conversation_counts_while_it_lasts() -> None:
    """As soon as they talk nobody else needs to call."""
    found = moment_of(answered(call()))
    assert found is not None
    assert (found.kind, found.at, found.extension) == (TALKED, at(5 / 60), "101")


def test_missed_while_a_colleague_of_his_talks_with_us() -> None:
    """A company's number: one of them talks since ten to nine, another is missed at nine. They are owed a call.

    But who gets through on a second line while their first call still rings is owed nothing.
    """
    before = replace(moment(TALKED, -10))
    assert said(before, moment(MISSED, 0)) == [(NEW, 1, 0)]
    assert said(moment(MISSED, 0), moment(TALKED, 0.1)) == [(BACK, 1, 0)]


def test_whose_phone_rang_last() -> None:
    """The last attempt: one phone after another, or a group of which nobody is the last."""
    assert last_rung(rung(call(), ("101", 1), ("102", 15))) == ("102",)
    assert last_rung(rung(call(), ("101", 1), ("102", 1.2), ("103", 1.3))) == ("101", "102", "103")
    assert last_rung(MENU) == ()
    assert shared_team(["Sales", None, "Support", "Support"]) == "Support"
    assert shared_team(["b", "a"]) == "a"
    assert shared_team([None]) is None


def test_rules_are_kept_and_read() -> None:
    """What is written is read; what cannot be read is the default."""
    rules = MissedRules(30, 5, 10, escalates=False, team="Sales")
    assert rules_from_json(rules_as_json(rules)) == rules
    assert rules_from_json(None) == MissedRules()
    assert rules_from_json({"deadline_minutes": -1, "remind_minutes": True, "team": 5}) == MissedRules()
    assert GaveUpReason("spam") is GaveUpReason.SPAM
