"""The life of one delivery: outcome by outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_sync.delivery import (
    Delivery,
    DeliveryRules,
    HoldReason,
    Verification,
    apply_probe_result,
    apply_write_result,
    begin_send,
    expire_delivery,
    hold_delivery,
    recover_interrupted,
    release_delivery,
    resend_delivery,
    retry_delivery,
    skip_delivery,
)
from crm_sync.operations import OperationKind, Ref, RefKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from crm_sync.states import TRANSITIONS, DeliveryState
from telephony.errors import OurMistake
from tests.crm_sync.call_builder import START, make_delivery

RULES = DeliveryRules(settle_seconds=60)
LATER = START + timedelta(seconds=1)


def half() -> float:
    """A random number that is none."""
    return 0.5


def send(delivery: Delivery, result: WriteResult, rules: DeliveryRules = RULES) -> Delivery:
    """One attempt."""
    return apply_write_result(begin_send(delivery, START), result, LATER, rules, half)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.DONE, DeliveryState.SENT),
        (Outcome.DUPLICATE, DeliveryState.SENT),
        (Outcome.SKIPPED, DeliveryState.SKIPPED),
        (Outcome.REJECTED, DeliveryState.FAILED),
        (Outcome.NEEDS_ADMIN, DeliveryState.QUEUED),
        (Outcome.THROTTLED, DeliveryState.QUEUED),
        (Outcome.NOT_SENT, DeliveryState.QUEUED),
        (Outcome.UNKNOWN, DeliveryState.UNKNOWN),
    ],
)
def test_each_outcome_leads_to_its_state(outcome: Outcome, state: DeliveryState) -> None:
    """And whatever is not sent says why."""
    after = send(make_delivery(), WriteResult(outcome))
    assert after.state is state
    assert after.reason or state is DeliveryState.SENT
    assert (after.sent_at is not None) == (outcome in (Outcome.DONE, Outcome.DUPLICATE, Outcome.UNKNOWN))


def test_what_was_created_is_remembered() -> None:
    """Later operations of the call refer to it."""
    ref = Ref(RefKind.CALL, "externalCall.1")
    assert send(make_delivery(), WriteResult(Outcome.DONE, refs=(ref,))).refs == (ref,)


def test_a_limit_counts_as_no_attempt_and_is_waited_for() -> None:
    """The CRM named the moment."""
    reset = START + timedelta(minutes=7)
    after = send(make_delivery(), WriteResult(Outcome.THROTTLED, retry_at=reset))
    assert (after.attempts, after.due_at) == (0, reset)


def test_retries_back_off_up_to_a_quarter_of_an_hour() -> None:
    """Full jitter below a ceiling that doubles."""
    delivery, delays = make_delivery(), []
    for _ in range(14):
        delivery = send(delivery, WriteResult(Outcome.NOT_SENT))
        delays.append((delivery.due_at - LATER).total_seconds())
    assert delays[:5] == [1.0, 1.0, 2.0, 4.0, 8.0]
    assert delays[-1] == 450.0
    assert delivery.attempts == 14


def test_absence_counts_only_after_the_crm_had_time_to_finish() -> None:
    """A probe before that says nothing: the write may still be executed."""
    unknown = send(make_delivery(), WriteResult(Outcome.UNKNOWN))
    absent = ProbeResult(Presence.ABSENT)
    early = apply_probe_result(unknown, absent, LATER + timedelta(seconds=59), RULES, half)
    assert (early.state, early.probes) == (DeliveryState.UNKNOWN, 1)
    final = apply_probe_result(early, absent, LATER + timedelta(seconds=60), RULES, half)
    assert (final.state, final.sent_at) == (DeliveryState.QUEUED, None)


def test_the_settle_time_runs_from_the_end_of_the_attempt() -> None:
    """An operation may wait for its budget and read for minutes before it writes."""
    ended_at = START + timedelta(minutes=4)
    sending = begin_send(make_delivery(), START)
    unknown = apply_write_result(sending, WriteResult(Outcome.UNKNOWN), ended_at, RULES, half)
    probed = apply_probe_result(
        unknown, ProbeResult(Presence.ABSENT), ended_at + timedelta(seconds=2), RULES, half
    )
    assert probed.state is DeliveryState.UNKNOWN


def test_what_is_found_is_sent() -> None:
    """With what it is in the CRM."""
    unknown = send(make_delivery(), WriteResult(Outcome.UNKNOWN))
    ref = Ref(RefKind.CALL, "7")
    found = apply_probe_result(unknown, ProbeResult(Presence.FOUND, refs=(ref,)), LATER, RULES, half)
    assert (found.state, found.refs) == (DeliveryState.SENT, (ref,))


def test_a_probe_without_answer_is_repeated_ever_more_slowly() -> None:
    """2, 10, 60 seconds, then a minute and more."""
    delivery, delays = send(make_delivery(), WriteResult(Outcome.UNKNOWN)), []
    for _ in range(5):
        delivery = apply_probe_result(delivery, ProbeResult(Presence.UNCLEAR), LATER, RULES, half)
        delays.append((delivery.due_at - LATER).total_seconds())
    assert delays == [10.0, 60.0, 60.0, 60.0, 60.0]
    assert delivery.state is DeliveryState.UNKNOWN


def test_an_idempotent_write_is_sent_again_without_a_probe() -> None:
    """The CRM makes one thing of both."""
    rules = replace(RULES, verification=Verification.IDEMPOTENT)
    after = send(make_delivery(), WriteResult(Outcome.UNKNOWN), rules)
    assert after.state is DeliveryState.QUEUED


def test_what_cannot_be_verified_is_left_to_a_person() -> None:
    """Nobody guesses, and the reason says what to do."""
    rules = replace(RULES, verification=Verification.NONE)
    after = send(make_delivery(), WriteResult(Outcome.UNKNOWN, "502 Bad Gateway"), rules)
    assert after.state is DeliveryState.FAILED
    assert "look there" in after.reason


def test_interrupted_sending_is_unknown() -> None:
    """The process that sent it is gone; the CRM may have it."""
    after = recover_interrupted(begin_send(make_delivery(), START), LATER, RULES, half)
    assert after.state is DeliveryState.UNKNOWN


@pytest.mark.parametrize("kind", [OperationKind.SHOW_POPUP, OperationKind.HIDE_POPUP])
def test_a_popup_is_never_late_and_never_twice(kind: OperationKind) -> None:
    """Dropped after 20 seconds, and when it may have been shown."""
    popup = make_delivery(kind)
    assert expire_delivery(popup, START + timedelta(seconds=20), RULES).state is DeliveryState.QUEUED
    assert expire_delivery(popup, START + timedelta(seconds=21), RULES).state is DeliveryState.SKIPPED
    assert send(popup, WriteResult(Outcome.UNKNOWN)).state is DeliveryState.SKIPPED


@pytest.mark.parametrize("outcome", [Outcome.NOT_SENT, Outcome.UNKNOWN])
def test_after_two_weeks_a_person_decides(outcome: Outcome) -> None:
    """And is told when it may be there after all."""
    old = expire_delivery(send(make_delivery(), WriteResult(outcome)), START + timedelta(days=15), RULES)
    assert old.state is DeliveryState.FAILED
    assert ("not certain" in old.reason) == (outcome is Outcome.UNKNOWN)


def test_a_retry_by_a_person_probes_what_may_be_there() -> None:
    """And gives a new maximum age."""
    now = START + timedelta(days=15)
    rejected = send(make_delivery(), WriteResult(Outcome.REJECTED, "Unknown TYPE"))
    assert retry_delivery(rejected, now).state is DeliveryState.QUEUED
    unsure = expire_delivery(send(make_delivery(), WriteResult(Outcome.UNKNOWN)), now, RULES)
    again = retry_delivery(unsure, now)
    assert (again.state, expire_delivery(again, now, RULES)) == (DeliveryState.UNKNOWN, again)
    assert resend_delivery(unsure, now).state is DeliveryState.QUEUED


def test_hold_release_and_skip() -> None:
    """Held is not lost."""
    held = hold_delivery(make_delivery(), HoldReason.PAUSED, "The connection is paused")
    assert held.state is DeliveryState.HELD
    freed = release_delivery(held, LATER)
    assert (freed.state, freed.hold, freed.due_at) == (DeliveryState.QUEUED, None, LATER)
    assert skip_delivery(held, LATER, "Not wanted").state is DeliveryState.SKIPPED


def test_sent_is_final() -> None:
    """Nothing sends it again."""
    sent = send(make_delivery(), WriteResult(Outcome.DONE))
    assert TRANSITIONS[DeliveryState.SENT] == frozenset()
    with pytest.raises(OurMistake):
        retry_delivery(sent, LATER)
    with pytest.raises(OurMistake):
        begin_send(sent, LATER)


def test_a_page_as_reason_is_cut() -> None:
    """A CRM may answer with a page."""
    assert len(send(make_delivery(), WriteResult(Outcome.REJECTED, "x" * 9000)).reason) == 500
