"""Which deliveries a call becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from crm_sync.adapters import ADAPTERS
from crm_sync.operations import OperationKind
from crm_sync.planner import PlanningRules, plan_call, plan_note, plan_recording
from telephony.call_facts.facts import (
    CallFacts,
    Direction,
    Disposition,
    State,
    Transfer,
    TransferKind,
    TransferResult,
)
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, ended, leg, outbound
from tests.crm_sync.memory import VirtualClock
from tests.crm_sync.peers import PEERS

LATER = MONDAY + timedelta(minutes=2)
ADDRESS = "https://calls.example.com"
CREATE, OPEN, CLOSE = OperationKind.CREATE_LEAD, OperationKind.OPEN_CALL, OperationKind.CLOSE_CALL


def make_rules(peer: str = "odoo_17", **different: object) -> PlanningRules:
    """A connection that has been there for a day."""
    settings = PEERS[peer](VirtualClock()).settings
    capabilities = ADAPTERS[settings.kind](settings).capabilities
    rules = PlanningRules("crm", capabilities, MONDAY - timedelta(days=1))
    return replace(rules, **different)  # type: ignore[arg-type]


def kinds(facts: CallFacts, rules: PlanningRules) -> list[OperationKind]:
    """In order."""
    planned = plan_call(facts, rules, LATER)
    return [delivery.kind for delivery in sorted(planned, key=lambda delivery: delivery.sequence)]


TALKED = replace(ended(answered(call())), talk_seconds=59.6)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("bitrix24", [OPEN, CREATE, CLOSE]),
        ("bitrix24_webhook", [CREATE, CLOSE]),
        ("amocrm", [CLOSE]),  # its incoming lead holds the call
        ("odoo_17", [CREATE, CLOSE]),
        ("webhook", [CLOSE]),
    ],
)
def test_what_an_answered_call_becomes(peer: str, expected: list[OperationKind]) -> None:
    """By what each CRM can do."""
    assert kinds(TALKED, make_rules(peer)) == expected


def test_an_outbound_call_creates_nobody() -> None:
    """Whom we call, we know, or do not want as a lead."""
    assert kinds(ended(answered(outbound(CLIENT))), make_rules()) == [CLOSE]
    assert kinds(TALKED, make_rules(creates_leads=False)) == [CLOSE]
    assert kinds(ended(call("0611")), make_rules()) == [CLOSE]
    assert kinds(ended(call("+7" + "1" * 70)), make_rules()) == [CLOSE]


@pytest.mark.parametrize(
    "facts",
    [
        answered(call()),
        ended(call(direction=Direction.INTERNAL)),
        ended(call(consultation_of=uuid4())),
        ended(call(None)),
        ended(call(started_at=MONDAY - timedelta(days=2))),
        replace(TALKED, state=State.UNVERIFIED),
    ],
    ids=("live", "internal", "consultation", "withheld", "before it was connected", "unverified"),
)
def test_what_is_not_delivered(facts: CallFacts) -> None:
    """Nobody is asked about it either."""
    assert plan_call(facts, make_rules(), LATER) == ()


def test_a_receiver_of_everything_gets_withheld_numbers_too() -> None:
    """It decides by itself."""
    (delivery,) = plan_call(ended(call(None)), make_rules("webhook"), LATER)
    assert delivery.operation.call.phone is None


def test_the_final_party_and_the_whole_talk_after_a_transfer() -> None:
    """Anna takes it and passes it on to Boris: one entry, Boris's, with both in words."""
    transfer = Transfer(
        TransferKind.BLIND, None, "101", "102", TransferResult.COMPLETED, MONDAY + timedelta(seconds=20)
    )
    legs = (
        *TALKED.legs[:1],
        leg("101", name="Anna", answered_at=MONDAY, talk_seconds=15.0),
        leg("102", name="Boris", answered_at=MONDAY + timedelta(seconds=25), talk_seconds=40.0),
    )
    facts = replace(TALKED, legs=legs, transfers=(transfer,), final_party="102")
    rules = make_rules(user_ids={"101": "7", "102": "8"})
    log = plan_call(facts, rules, LATER)[-1].operation.call
    assert (log.extension, log.user_id, log.duration_seconds) == ("102", "8", 60)
    assert log.summary == (
        "Answered by Anna (101). Anna (101) transferred to Boris (102). Ended with Boris (102)."
    )


def test_a_call_passed_on_outside_stays_with_who_talked_last() -> None:
    """The mobile has no user in the CRM."""
    legs = (*TALKED.legs[:1], leg("101", answered_at=MONDAY, talk_seconds=15.0), leg("+79160000009"))
    facts = replace(TALKED, legs=legs, final_party="+79160000009")
    log = plan_call(facts, make_rules(user_ids={"101": "7"}), LATER)[-1].operation.call
    assert (log.extension, log.user_id) == ("101", "7")


def test_a_call_that_a_colleague_took_over_says_so() -> None:
    """From a parking slot there is no transfer; an outbound call's first is who called."""
    parked = replace(TALKED, final_party="103", legs=(*TALKED.legs, leg("103")))
    assert (
        plan_call(parked, make_rules(), LATER)[-1].operation.call.summary
        == "Answered by 101. Ended with 103."
    )
    ours = replace(ended(answered(outbound(CLIENT), by=CLIENT)), final_party="101")
    assert plan_call(ours, make_rules(), LATER)[-1].operation.call.summary == "Answered. Called by 101."


def test_a_missed_call_belongs_to_who_should_have_taken_it() -> None:
    """Without a user in the CRM, to the fallback."""
    facts = replace(ended(call()), missed_by=("105", "106"))
    log = plan_call(facts, make_rules(fallback_user_id="1"), LATER)[-1].operation.call
    assert (log.extension, log.user_id, log.disposition) == ("105", "1", Disposition.MISSED)
    assert log.summary == "Missed. Rang 105, 106."


def test_own_numbers_choose_the_calls() -> None:
    """Two companies share a phone system. Outbound calls count by who called."""
    rules = make_rules(own_numbers=frozenset({"4951000001"}), user_ids={"101": "7"})
    assert kinds(TALKED, rules)
    assert not kinds(replace(TALKED, did="+74951000002"), rules)
    assert kinds(ended(answered(outbound(CLIENT))), rules)
    assert not kinds(ended(answered(outbound(CLIENT, by="102"))), rules)


def test_planned_again_it_is_the_same() -> None:
    """By the keys under which it is stored and found in the CRM, whatever is told of it later."""
    rules = make_rules()
    again = replace(TALKED, talk_seconds=61.0, rating=5)
    first, second = (plan_call(facts, rules, LATER) for facts in (TALKED, again))
    assert [delivery.key for delivery in first] == [delivery.key for delivery in second]


def test_a_recording_link() -> None:
    """amoCRM takes it with the entry only; Odoo and webhooks when it can be heard; nobody without an address."""
    facts = replace(TALKED, recordings=("a.wav",))
    page = f"{ADDRESS}/calls/{facts.id}"
    (note,) = plan_call(facts, make_rules("amocrm", public_url=ADDRESS), LATER)
    assert note.operation.recording is not None
    assert note.operation.recording.link == page
    assert plan_recording(facts, make_rules("amocrm", public_url=ADDRESS), LATER) == ()
    for peer in ("odoo_17", "webhook"):
        (attached,) = plan_recording(facts, make_rules(peer, public_url=ADDRESS), LATER)
        assert attached.operation.recording is not None
        assert attached.operation.recording.link == page
        assert attached.sequence > plan_call(facts, make_rules(peer), LATER)[-1].sequence
    assert plan_recording(facts, make_rules(), LATER) == ()
    assert plan_recording(TALKED, make_rules(public_url=ADDRESS), LATER) == ()


def test_a_note_for_those_that_can_take_one() -> None:
    """Below the call, in the lane after it."""
    (note,) = plan_note(TALKED, make_rules(), "Anna: Wants roses", LATER)
    assert (note.kind, note.operation.text) == (OperationKind.ADD_NOTE, "Anna: Wants roses")
    assert note.sequence > plan_call(TALKED, make_rules(), LATER)[-1].sequence
    assert plan_note(TALKED, make_rules("amocrm"), "Anna: Wants roses", LATER) == ()


def test_a_late_call_is_history() -> None:
    """No chat message for it, and calls of now go first."""
    (_, close) = plan_call(TALKED, make_rules(), MONDAY + timedelta(hours=1))
    assert close.operation.call.is_backfill
    assert not plan_call(TALKED, make_rules(), LATER)[-1].operation.call.is_backfill
