"""What a call says to the lead rules, and which line of a table decides; tables of cases, no book."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from telephony.call_facts.facts import CallFacts, Direction, Disposition, LegRole, PartyKind
from telephony.lead_rules import (
    Known,
    LeadRule,
    Making,
    Outcome,
    can_be_called_back,
    decided_at,
    deciding,
    first_rung,
    first_talker,
    makes_of,
    next_in_turn,
    outcome_of,
    unreachable,
)
from tests.call_facts_builder import MONDAY, answered, call, ended, leg, outbound

LINE, OTHER_LINE = "+74951000001", "+74951000002"


def rule(making: Making = Making.LEAD, **different: Any) -> LeadRule:
    """A line for everything."""
    return replace(LeadRule(uuid4(), 0, None, None, None, making), **different)


def over(disposition: Disposition | None, **different: Any) -> CallFacts:
    """An inbound call that nobody answered."""
    return replace(ended(call(**different)), disposition=disposition)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (call(), None),
        (answered(call()), Outcome.INBOUND_ANSWERED),
        (ended(answered(call())), Outcome.INBOUND_ANSWERED),
        (over(Disposition.MISSED), Outcome.MISSED),
        (over(Disposition.BUSY), Outcome.MISSED),
        (over(Disposition.DECLINED), Outcome.MISSED),
        (over(Disposition.ABANDONED), Outcome.ABANDONED),
        (over(Disposition.VOICEMAIL), Outcome.ABANDONED),
        (over(Disposition.FAILED), Outcome.MISSED),
        (over(Disposition.FAILED, legs=call().legs[:1]), None),
        (over(None), Outcome.MISSED),
        (over(None, legs=call().legs[:1]), None),
        (call(disposition=Disposition.MISSED), None),
        (outbound("+79161110005"), None),
        (answered(outbound("+79161110005"), by="+79161110005"), Outcome.OUTBOUND_ANSWERED),
        (ended(outbound("+79161110005", disposition=Disposition.BUSY)), Outcome.OUTBOUND_UNANSWERED),
        (ended(outbound("+79161110005", disposition=Disposition.FAILED)), Outcome.OUTBOUND_UNANSWERED),
        (ended(answered(call(direction=Direction.INTERNAL))), None),
    ],
)
def test_the_outcome_is_known_when_the_facts_say_so(facts: CallFacts, outcome: Outcome | None) -> None:
    """An answer counts at once, everything else at the end; an internal call has no outcome that rules know."""
    assert outcome_of(facts) is outcome


def test_the_moment_of_the_outcome() -> None:
    """Deadlines count from the answer, or from the end when nobody answered."""
    talked = ended(answered(call(), after_seconds=7))
    assert decided_at(talked, Outcome.INBOUND_ANSWERED) == MONDAY + timedelta(seconds=7)
    assert decided_at(over(Disposition.MISSED), Outcome.MISSED) == MONDAY + timedelta(seconds=65)


def test_who_talked_and_who_rang_first() -> None:
    """103 rang first, 101 took it: each is found; a service that took the call is nobody of ours."""
    rung = (
        leg("+79161110005", role=LegRole.CALLER, kind=PartyKind.OUTSIDE),
        leg("101", rang_at=MONDAY + timedelta(seconds=4)),
        leg("103", rang_at=MONDAY + timedelta(seconds=2)),
        leg("105", rang_at=None),
    )
    facts = answered(call(legs=rung), by="101")
    assert (first_talker(facts), first_rung(facts)) == ("101", "103")
    assert first_talker(answered(call(), by="conference")) is None
    assert first_rung(call(legs=rung[:1])) is None
    ours = answered(outbound("+79161110005", by="104"), by="+79161110005")
    assert (first_talker(ours), first_rung(ours)) == ("104", "104")


@pytest.mark.parametrize(
    ("number", "can"),
    [
        ("+79161110005", True),
        ("4951234", True),
        ("112", False),
        ("900", False),
        ("*72", False),
        ("*7289161110005", False),
        ("", False),
        ("anonymous", False),
    ],
)
def test_short_numbers_and_codes_make_nothing(number: str, can: bool) -> None:
    """A bank's 900 or a feature code is no client."""
    assert can_be_called_back(number) is can


ANY_MISSED = rule(outcome=Outcome.MISSED)
HERE = rule(did=LINE)
STRANGERS = rule(known=Known.UNKNOWN)
KNOWN = rule(known=Known.KNOWN)
WITHOUT = rule(known=Known.KNOWN_WITHOUT_OPEN_DEAL)


@pytest.mark.parametrize(
    ("rules", "did", "outcome", "known", "line"),
    [
        ((ANY_MISSED, HERE), LINE, Outcome.MISSED, Known.UNKNOWN, ANY_MISSED),
        ((HERE, ANY_MISSED), LINE, Outcome.MISSED, Known.UNKNOWN, HERE),
        ((HERE, ANY_MISSED), OTHER_LINE, Outcome.MISSED, Known.UNKNOWN, ANY_MISSED),
        ((HERE,), None, Outcome.MISSED, Known.UNKNOWN, None),
        ((STRANGERS,), LINE, Outcome.ABANDONED, Known.UNKNOWN, STRANGERS),
        ((STRANGERS,), LINE, Outcome.ABANDONED, Known.KNOWN, None),
        ((KNOWN,), LINE, Outcome.ABANDONED, Known.KNOWN_WITHOUT_OPEN_DEAL, KNOWN),
        ((WITHOUT, KNOWN), LINE, Outcome.ABANDONED, Known.KNOWN, KNOWN),
        ((WITHOUT, KNOWN), LINE, Outcome.ABANDONED, Known.KNOWN_WITHOUT_OPEN_DEAL, WITHOUT),
        ((), LINE, Outcome.MISSED, Known.UNKNOWN, None),
    ],
)
def test_the_first_line_that_fits_decides(
    rules: tuple[LeadRule, ...], did: str | None, outcome: Outcome, known: Known, line: LeadRule | None
) -> None:
    """Line by line from the top; "known" is everybody known, whether or not they have an open deal."""
    placed = [replace(one, place=place) for place, one in enumerate(rules)]
    found = deciding(list(reversed(placed)), did=did, outcome=outcome, known=known)
    assert (found and found.id) == (line and line.id)


def test_the_order_of_a_table_is_its_places() -> None:
    """However the lines come from the database."""
    first, second = replace(HERE, place=1), replace(ANY_MISSED, place=0)
    assert deciding([first, second], did=LINE, outcome=Outcome.MISSED, known=Known.UNKNOWN) is second


@pytest.mark.parametrize(
    ("making", "known", "lead", "made"),
    [
        (Making.LEAD, Known.UNKNOWN, False, Making.LEAD),
        (Making.CONTACT, Known.UNKNOWN, False, Making.CONTACT),
        (Making.DEAL, Known.UNKNOWN, False, Making.DEAL),
        (Making.LEAD, Known.KNOWN, False, Making.NOTHING),
        (Making.CONTACT, Known.KNOWN_WITHOUT_OPEN_DEAL, True, Making.NOTHING),
        (Making.DEAL, Known.KNOWN_WITHOUT_OPEN_DEAL, False, Making.DEAL),
        (Making.DEAL, Known.KNOWN_WITHOUT_OPEN_DEAL, True, Making.NOTHING),
        (Making.DEAL, Known.KNOWN, False, Making.NOTHING),
    ],
)
def test_nobody_is_entered_twice(making: Making, known: Known, lead: bool, made: Making) -> None:
    """Only strangers are entered; a deal is opened where none is open; an open lead is left to people."""
    assert makes_of(rule(making), known, lead=lead) is made


def test_lines_that_never_decide_are_found() -> None:
    """Below a line for everybody nothing is ever reached; a narrower line above is no obstacle."""
    table = [
        replace(one, place=place) for place, one in enumerate((ANY_MISSED, HERE, STRANGERS, rule(), KNOWN))
    ]
    assert unreachable(table) == {table[4].id: table[3]}
    narrow = [
        replace(rule(outcome=Outcome.MISSED, known=Known.KNOWN), place=0),
        replace(rule(did=LINE, outcome=Outcome.MISSED, known=Known.KNOWN_WITHOUT_OPEN_DEAL), place=1),
        replace(rule(outcome=Outcome.MISSED), place=2),
    ]
    assert unreachable(narrow) == {narrow[1].id: narrow[0]}


def test_a_team_takes_turns() -> None:
    """One after the other, from the beginning again, and from the first when the last one has left."""
    anna, boris, vera = (uuid4() for _ in range(3))
    team = [anna, boris, vera]
    assert next_in_turn(team, None) == anna
    assert next_in_turn(team, anna) == boris
    assert next_in_turn(team, vera) == anna
    assert next_in_turn(team, uuid4()) == anna
    assert next_in_turn([], anna) is None
