"""Rate budgets and circuit breakers, by a clock that the test turns."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crm_sync.breaker import FAILURES_TO_OPEN, BreakerBoard, BreakerState
from crm_sync.budget import Budget, Priority, Rate
from tests.crm_sync.call_builder import START

BITRIX24 = Rate(per_second=2, burst=50)


def drain(budget: Budget, priority: Priority) -> int:
    """How many requests may leave at once."""
    count = 0
    while budget.take(priority, START) == 0:
        count += 1
    return count


@pytest.mark.parametrize(
    ("priority", "count"),
    [
        (Priority.INTERACTIVE, 50),
        (Priority.CALL_LOG, 25),
        (Priority.RECORDING, 10),
        (Priority.DELTA, 7),
        (Priority.BACKFILL, 5),
    ],
)
def test_each_priority_leaves_a_reserve(priority: Priority, count: int) -> None:
    """Of a full bucket."""
    assert drain(Budget(BITRIX24), priority) == count


def test_a_popup_passes_a_backfill() -> None:
    """The backfill has used all it may; a pop-up still finds a token."""
    budget = Budget(BITRIX24)
    drain(budget, Priority.BACKFILL)
    assert budget.take(Priority.INTERACTIVE, START) == 0


def test_the_answer_says_when_to_come_back() -> None:
    """After that long a token is there, not earlier."""
    budget = Budget(BITRIX24)
    drain(budget, Priority.CALL_LOG)
    wait = budget.take(Priority.CALL_LOG, START)
    assert wait == pytest.approx(0.5)
    assert budget.take(Priority.CALL_LOG, START + timedelta(seconds=0.4)) == pytest.approx(0.1)
    assert budget.take(Priority.CALL_LOG, START + timedelta(seconds=0.5)) == 0


@pytest.mark.parametrize("burst", [1, 2, 6])
def test_a_small_bucket_serves_every_priority(burst: int) -> None:
    """Nothing waits for ever for a reserve that the bucket cannot hold."""
    for priority in Priority:
        assert Budget(Rate(7, burst)).take(priority, START) == 0


def test_a_second_never_has_more_than_burst_and_rate() -> None:
    """1,000 queued writes finish without one request too many."""
    budget, now, sent = Budget(Rate(6, 6)), START, []
    while len(sent) < 1000:
        wait = budget.take(Priority.CALL_LOG, now)
        if wait == 0:
            sent.append(now)
        now += timedelta(seconds=wait)
    first_second = [at for at in sent if at < START + timedelta(seconds=1)]
    assert len(first_second) <= 12
    assert (sent[-1] - sent[0]).total_seconds() == pytest.approx(1000 / 6, rel=0.02)


def test_a_block_holds_everything_or_one_method() -> None:
    """Retry-After for all; an operating limit for its method."""
    budget = Budget(BITRIX24)
    budget.block(START + timedelta(seconds=30), "crm.item.list")
    assert budget.take(Priority.INTERACTIVE, START, "crm.item.list") == 30
    assert budget.take(Priority.INTERACTIVE, START, "user.get") == 0
    budget.block(START + timedelta(seconds=60))
    budget.block(START + timedelta(seconds=10))
    assert budget.take(Priority.INTERACTIVE, START, "user.get") == 60
    assert budget.take(Priority.INTERACTIVE, START + timedelta(seconds=60), "crm.item.list") == 0


def fail(board: BreakerBoard, times: int, seconds: float = 0) -> None:
    """The CRM is not reached."""
    for _ in range(times):
        board.record_transport_failure(START + timedelta(seconds=seconds), "user.get", "refused")


def test_five_failures_in_a_row_open_the_breaker() -> None:
    """Four and an answer do not."""
    board = BreakerBoard()
    fail(board, FAILURES_TO_OPEN - 1)
    board.record_answer("user.get")
    fail(board, FAILURES_TO_OPEN - 1)
    assert board.begin_request(START, "user.get") is None
    fail(board, 1)
    assert board.begin_request(START, "crm.item.list") == START + timedelta(seconds=15)
    assert (board.connection.opened_at, board.connection.reason) == (START, "refused")


def test_after_the_pause_one_trial_leaves() -> None:
    """Its success closes the breaker, its failure doubles the pause."""
    board = BreakerBoard()
    fail(board, FAILURES_TO_OPEN)
    at = START + timedelta(seconds=15)
    assert board.begin_request(at, "user.get") is None
    assert board.begin_request(at, "user.get") is not None
    fail(board, 1, seconds=15)
    assert board.begin_request(at, "user.get") == at + timedelta(seconds=30)
    later = at + timedelta(seconds=30)
    assert board.begin_request(later, "user.get") is None
    board.record_answer("user.get")
    assert board.connection.state is BreakerState.CLOSED


def test_the_pause_has_a_ceiling() -> None:
    """A CRM that was away for a day is noticed within a quarter of an hour."""
    board = BreakerBoard()
    fail(board, 60)
    assert board.connection.retry_at == START + timedelta(seconds=900)


def test_a_broken_method_does_not_stop_the_others() -> None:
    """It answers 500; the CRM works."""
    board = BreakerBoard()
    for _ in range(FAILURES_TO_OPEN):
        board.record_method_failure(START, "crm.activity.add", "500")
    assert board.begin_request(START, "crm.activity.add") is not None
    assert board.begin_request(START, "user.get") is None


def test_a_trial_of_a_method_is_not_lost_with_the_connection() -> None:
    """The CRM went away during the trial, which so says nothing."""
    board = BreakerBoard()
    for _ in range(FAILURES_TO_OPEN):
        board.record_method_failure(START, "crm.activity.add", "500")
    at = START + timedelta(seconds=15)
    assert board.begin_request(at, "crm.activity.add") is None
    board.record_transport_failure(at, "crm.activity.add", "reset")
    assert board.begin_request(at, "crm.activity.add") is None


def test_a_cancelled_trial_does_not_block_for_ever() -> None:
    """Its task never reported."""
    board = BreakerBoard()
    fail(board, FAILURES_TO_OPEN)
    assert board.begin_request(START + timedelta(seconds=15), "user.get") is None
    assert board.begin_request(START + timedelta(seconds=915), "user.get") is None
