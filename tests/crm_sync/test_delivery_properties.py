"""Random call lives and random faults: delivered exactly once, or a visible exception; never twice, never out of order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from crm_sync.delivery import (
    Delivery,
    DeliveryKey,
    DeliveryRules,
    Verification,
    apply_probe_result,
    apply_write_result,
    begin_send,
)
from crm_sync.lanes import LaneAction, decide_lane
from crm_sync.operations import OperationKind
from crm_sync.outcomes import Outcome, Presence, ProbeResult, WriteResult
from crm_sync.states import EXCEPTIONS, DeliveryState
from tests.crm_sync.call_builder import START, make_call, make_delivery

K = OperationKind
SETTLE_SECONDS = 60.0
VERIFICATION = {
    K.OPEN_CALL: Verification.IDEMPOTENT,
    K.CREATE_LEAD: Verification.PROBE,
    K.CLOSE_CALL: Verification.PROBE,
    K.ATTACH_RECORDING: Verification.IDEMPOTENT,
    K.ADD_NOTE: Verification.NONE,
}


class Fault(Enum):
    """What can go wrong with a request, or with us."""

    NONE = auto()
    DROPPED_BEFORE = auto()
    LOST_BEFORE = auto()  # not executed, but we cannot know
    LOST_AFTER = auto()  # executed, answer lost: 500 after commit, truncated JSON, 502
    COMMITTED_LATE = auto()  # executed when we no longer listen
    THROTTLED = auto()
    REJECTED = auto()
    NO_RIGHT = auto()
    KILLED_BEFORE = auto()  # our process, after it saved "sending"
    KILLED_AFTER = auto()


@dataclass
class Peer:
    """A CRM that executes writes and is searched with a delay."""

    now: datetime = START
    executed: list[tuple[datetime, DeliveryKey]] = field(default_factory=list)
    late: list[tuple[datetime, DeliveryKey]] = field(default_factory=list)
    index_lag_seconds: float = 0.0

    def execute(self, key: DeliveryKey) -> None:
        """Idempotent kinds leave one thing, however often."""
        is_idempotent = VERIFICATION.get(key.kind) is Verification.IDEMPOTENT
        if not (is_idempotent and any(key == other for _, other in self.executed)):
            self.executed.append((self.now, key))

    def advance(self, now: datetime) -> None:
        """Time passes; what was still under way is done."""
        self.now = now
        due = [entry for entry in self.late if entry[0] <= now]
        self.late = [entry for entry in self.late if entry[0] > now]
        for _, key in due:
            self.execute(key)

    def is_found(self, key: DeliveryKey) -> bool:
        """By a search, which does not see the newest."""
        horizon = self.now - timedelta(seconds=self.index_lag_seconds)
        return any(key == other and at <= horizon for at, other in self.executed)


def rules_of(kind: OperationKind) -> DeliveryRules:
    """As a CRM with all three kinds of verification."""
    return DeliveryRules(
        verification=VERIFICATION.get(kind, Verification.NONE), settle_seconds=SETTLE_SECONDS
    )


@dataclass
class Worker:
    """The dispatcher's rules without its tasks: looks at the lane that is due next until all rest."""

    lanes: dict[UUID, list[Delivery]]
    peer: Peer
    faults: list[Fault]

    def run(self, steps: int = 2000) -> None:
        """Until nothing is due any more."""
        due: dict[UUID, datetime] = dict.fromkeys(self.lanes, START)
        for _ in range(steps):
            if not due:
                return
            call_id, at = min(due.items(), key=lambda entry: (entry[1], entry[0]))
            self.peer.advance(max(self.peer.now, at))
            next_at = self.work(call_id)
            if next_at is None:
                del due[call_id]
            else:
                due[call_id] = next_at
        raise AssertionError("the lanes never rest")

    def work(self, call_id: UUID) -> datetime | None:
        """One look at one lane."""
        now = self.peer.now
        decision = decide_lane(self.lanes[call_id], now, rules_of, lambda: 0.5)
        for delivery in decision.changed:
            self.save(delivery)
        if decision.action is LaneAction.SEND and decision.delivery is not None:
            self.send(decision.delivery)
            return now
        if decision.action is LaneAction.PROBE and decision.delivery is not None:
            self.probe(decision.delivery)
            return now
        return decision.due_at

    def send(self, delivery: Delivery) -> None:
        """One request, with the next fault."""
        now, key, fault = self.peer.now, delivery.key, self.take_fault()
        sending = begin_send(delivery, now)
        self.save(sending)
        if fault in (Fault.NONE, Fault.LOST_AFTER, Fault.KILLED_AFTER):
            self.peer.execute(key)
        if fault is Fault.COMMITTED_LATE:
            self.peer.late.append((now + timedelta(seconds=SETTLE_SECONDS / 2), key))
        if fault in (Fault.KILLED_BEFORE, Fault.KILLED_AFTER):
            return
        result = WriteResult(OUTCOMES.get(fault, Outcome.UNKNOWN))
        self.save(apply_write_result(sending, result, now, rules_of(delivery.kind), lambda: 0.5))

    def probe(self, delivery: Delivery) -> None:
        """One search; it can fail too."""
        fault = self.take_fault()
        presence = Presence.FOUND if self.peer.is_found(delivery.key) else Presence.ABSENT
        if fault is not Fault.NONE:
            presence = Presence.UNCLEAR
        result = ProbeResult(presence)
        self.save(apply_probe_result(delivery, result, self.peer.now, rules_of(delivery.kind), lambda: 0.5))

    def save(self, delivery: Delivery) -> None:
        """As the store does."""
        lane = self.lanes[delivery.operation.call.call_id]
        lane[:] = [delivery if other.key == delivery.key else other for other in lane]

    def take_fault(self) -> Fault:
        """The next one; none when they are used up."""
        return self.faults.pop(0) if self.faults else Fault.NONE


OUTCOMES = {
    Fault.NONE: Outcome.DONE,
    Fault.DROPPED_BEFORE: Outcome.NOT_SENT,
    Fault.THROTTLED: Outcome.THROTTLED,
    Fault.REJECTED: Outcome.REJECTED,
    Fault.NO_RIGHT: Outcome.NEEDS_ADMIN,
}

KINDS = st.lists(st.sampled_from(list(K)), min_size=1, max_size=7, unique=True)
LIVES = st.lists(st.tuples(KINDS, st.booleans()), min_size=1, max_size=4)


def build_lanes(lives: list[tuple[list[OperationKind], bool]]) -> dict[UUID, list[Delivery]]:
    """One lane per call; a transferred call has a second leg."""
    lanes: dict[UUID, list[Delivery]] = {}
    for number, (kinds, transferred) in enumerate(lives, start=1):
        ordered = sorted(kinds, key=list(K).index)
        lane = [make_delivery(kind, call=make_call(number), sequence=i) for i, kind in enumerate(ordered)]
        if transferred:
            second = make_call(number, leg=1)
            lane += [make_delivery(kind, call=second, sequence=20 + i) for i, kind in enumerate(ordered)]
        lanes[UUID(int=number)] = lane
    return lanes


@settings(max_examples=120)
@given(
    lives=LIVES, faults=st.lists(st.sampled_from(Fault), max_size=30), lag=st.sampled_from([0.0, 5.0, 25.0])
)
def test_exactly_once_or_a_visible_exception(
    lives: list[tuple[list[OperationKind], bool]], faults: list[Fault], lag: float
) -> None:
    """Counted at the peer."""
    peer = Peer(index_lag_seconds=lag)
    worker = Worker(build_lanes(lives), peer, list(faults))
    worker.run()
    counts = Counter(key for _, key in peer.executed)
    for delivery in (delivery for lane in worker.lanes.values() for delivery in lane):
        count = counts[delivery.key]
        if delivery.state is DeliveryState.SENT:
            assert count == 1, delivery
        else:
            assert delivery.state in EXCEPTIONS, delivery
            assert delivery.reason, delivery
            assert count <= 1, delivery


@settings(max_examples=60)
@given(lives=LIVES, faults=st.lists(st.sampled_from(Fault), max_size=30))
def test_order_is_kept_within_a_leg(
    lives: list[tuple[list[OperationKind], bool]], faults: list[Fault]
) -> None:
    """What depends on another was executed after it."""
    peer = Peer()
    Worker(build_lanes(lives), peer, list(faults)).run()
    order = {(key.call_id, key.leg, key.kind): position for position, (_, key) in enumerate(peer.executed)}
    for (call_id, leg, kind), position in order.items():
        for earlier in (K.OPEN_CALL, K.CLOSE_CALL):
            before = order.get((call_id, leg, earlier))
            if before is not None and list(K).index(kind) > list(K).index(earlier):
                assert before < position


def test_without_faults_everything_arrives() -> None:
    """A whole office of calls."""
    lanes = build_lanes([(list(K), True)] * 50)
    peer = Peer()
    worker = Worker(lanes, peer, [])
    worker.run(5000)
    assert all(d.state is DeliveryState.SENT for lane in worker.lanes.values() for d in lane)
    assert len(peer.executed) == 50 * 2 * len(K)


def test_the_property_would_notice_a_blind_resend() -> None:
    """The same worker with rules that call everything idempotent doubles a call: the test can fail."""
    lanes = build_lanes([([K.CLOSE_CALL], False)])
    (delivery,) = lanes[UUID(int=1)]
    peer = Peer()
    sending = begin_send(delivery, START)
    peer.execute(delivery.key)
    blind = replace(rules_of(K.CLOSE_CALL), verification=Verification.IDEMPOTENT)
    again = apply_write_result(sending, WriteResult(Outcome.UNKNOWN), START, blind, lambda: 0.5)
    assert again.state is DeliveryState.QUEUED
    peer.execute(again.key)
    assert len(peer.executed) == 2
