"""One lane per call: order, dependencies, recovery."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from crm_sync.delivery import Delivery, DeliveryRules, HoldReason, begin_send, mark_sent, retry_delivery
from crm_sync.lanes import LaneAction, LaneDecision, build_context, decide_lane
from crm_sync.operations import OperationKind, Ref, RefKind
from crm_sync.states import DeliveryState
from tests.crm_sync.call_builder import START, make_call, make_delivery

K = OperationKind
S = DeliveryState


def decide(*lane: Delivery, seconds: float = 0.0) -> LaneDecision:
    """With ordinary rules."""
    now = START + timedelta(seconds=seconds)
    return decide_lane(lane, now, lambda _kind: DeliveryRules(), lambda: 0.5)


def test_the_first_open_delivery_goes_first() -> None:
    """Whatever order the store gave them in."""
    first, second = make_delivery(K.CLOSE_CALL), make_delivery(K.ATTACH_RECORDING)
    decision = decide(second, first)
    assert (decision.action, decision.delivery) == (LaneAction.SEND, first)


def test_what_comes_later_waits_for_a_retry() -> None:
    """The recording is due; the call is not yet."""
    due_at = START + timedelta(seconds=30)
    decision = decide(make_delivery(K.CLOSE_CALL, due_at=due_at), make_delivery(K.ATTACH_RECORDING))
    assert (decision.action, decision.due_at) == (LaneAction.WAIT, due_at)


def test_an_unknown_outcome_is_probed_and_the_rest_waits() -> None:
    """Nothing overtakes it."""
    unknown = make_delivery(K.CLOSE_CALL, state=S.UNKNOWN, sent_at=START)
    assert decide(unknown, make_delivery(K.ATTACH_RECORDING)).action is LaneAction.PROBE


def test_found_in_sending_it_becomes_unknown() -> None:
    """We hold the lease, so nobody is sending any more."""
    decision = decide(begin_send(make_delivery(), START))
    assert [delivery.state for delivery in decision.changed] == [S.UNKNOWN]
    assert decision.action is LaneAction.WAIT


def test_a_failure_holds_what_needs_it_and_lets_the_rest_pass() -> None:
    """The recording has no call to hang on; the next leg has nothing to do with it."""
    failed = make_delivery(K.CLOSE_CALL, state=S.FAILED, reason="Unknown TYPE")
    next_leg = make_delivery(K.CLOSE_CALL, call=make_call(leg=1), sequence=9)
    decision = decide(failed, make_delivery(K.ATTACH_RECORDING), next_leg)
    (held,) = decision.changed
    assert (held.kind, held.hold) == (K.ATTACH_RECORDING, HoldReason.DEPENDENCY)
    assert "Unknown TYPE" in held.reason
    assert (decision.action, decision.delivery) == (LaneAction.SEND, next_leg)


def test_holding_spreads_along_a_chain() -> None:
    """No registered call: no end of it, no recording."""
    failed = make_delivery(K.OPEN_CALL, state=S.FAILED, reason="Unsupported phone number format")
    decision = decide(failed, make_delivery(K.CLOSE_CALL), make_delivery(K.ATTACH_RECORDING))
    assert [delivery.state for delivery in decision.changed] == [S.HELD, S.HELD]
    assert decision.action is LaneAction.REST


def test_what_was_held_goes_on_when_the_failure_is_mended() -> None:
    """By a person, weeks later, with a new maximum age."""
    failed = make_delivery(K.CLOSE_CALL, state=S.FAILED, reason="no right")
    (held,) = decide(failed, make_delivery(K.ATTACH_RECORDING)).changed
    now = START + timedelta(days=20)
    again = retry_delivery(failed, now)
    assert decide(again, held, seconds=20 * 86400).delivery == again
    decision = decide(mark_sent(again_sent(again), now), held, seconds=20 * 86400)
    assert decision.action is LaneAction.SEND
    assert decision.delivery is not None
    assert decision.delivery.kind is K.ATTACH_RECORDING


def again_sent(delivery: Delivery) -> Delivery:
    """On its way."""
    return begin_send(delivery, START)


def test_a_skipped_delivery_blocks_nothing() -> None:
    """The adapter decides by what is there."""
    skipped = make_delivery(K.OPEN_CALL, state=S.SKIPPED, reason="not possible here")
    assert decide(skipped, make_delivery(K.CLOSE_CALL)).action is LaneAction.SEND


def test_a_late_popup_is_dropped_and_the_call_goes_on() -> None:
    """In the same look."""
    decision = decide(make_delivery(K.SHOW_POPUP), make_delivery(K.CLOSE_CALL), seconds=60)
    assert [delivery.state for delivery in decision.changed] == [S.SKIPPED]
    assert decision.action is LaneAction.SEND


def test_a_settled_lane_rests() -> None:
    """Nothing to look at again."""
    decision = decide(make_delivery(state=S.SENT), make_delivery(K.ATTACH_RECORDING, state=S.FAILED))
    assert (decision.action, decision.due_at, decision.changed) == (LaneAction.REST, None, ())


def test_the_context_has_what_came_before() -> None:
    """Of the leg and of the call; the newest counts."""
    opened = Ref(RefKind.CALL, "externalCall.1")
    lead = Ref(RefKind.LEAD, "5")
    other_leg = make_delivery(K.OPEN_CALL, call=make_call(leg=1), sequence=1, refs=(Ref(RefKind.CALL, "x"),))
    first = make_delivery(K.OPEN_CALL, sequence=0, refs=(opened, lead))
    close = make_delivery(K.CLOSE_CALL, sequence=2, sent_at=START)
    context = build_context([close, other_leg, first], close)
    assert context.find_ref(RefKind.CALL, same_leg=True) == opened
    assert context.find_ref(RefKind.CALL) == Ref(RefKind.CALL, "x")
    assert context.find_ref(RefKind.LEAD) == lead
    assert context.sent_at == START
    assert build_context([close], replace(close, sequence=0)).refs == ()
