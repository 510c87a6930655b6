"""A capture's time goes back because the clock was set, or because its lines are out of place: which is it?"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ami_bridge.capture.order import REMEMBERED, CaptureOrder
from ami_bridge.wire.message import Message


def event(at: float, name: str = "") -> Message:
    fields = {"Event": "Newstate", "Timestamp": f"{at:.6f}", "Uniqueid": name or f"{at}"}
    return Message("Newstate", fields, at)


def answer(at: float) -> Message:
    return Message("Response", {"Response": "Success", "ActionID": "1"}, at)


def told(messages: Sequence[Message]) -> tuple[list[float], list[Message]]:
    """By how much the clock was set, each time, and what went on in which order."""
    order = CaptureOrder()
    steps: list[float] = []
    passed: list[Message] = []
    for message in messages:
        for set_by, group in order.take(message):
            steps += [set_by] if set_by else []
            passed += group
    for set_by, group in order.flush():
        steps += [set_by] if set_by else []
        passed += group
    return steps, passed


FORWARD = [event(at) for at in (100.0, 130.0, 160.0, 190.0)]


@pytest.mark.parametrize("count", [2, 4, 5, 9])
@pytest.mark.parametrize("after", [[], [event(300.0)], [event(191.0)]])
def test_several_events_in_order_are_a_clock_that_was_set(count: int, after: list[Message]) -> None:
    """Back by 90 s, be it the capture's end or not, and whether its time goes on soon or late."""
    back = [event(100.5 + at) for at in range(count)]
    steps, passed = told([*FORWARD, *back, *after])
    assert steps == [pytest.approx(-89.5)]
    assert passed == [*FORWARD, *back, *after]


def test_one_line_out_of_place_is_no_clock() -> None:
    """The line keeps the place at which it stands, and nobody set anything."""
    lines = [*FORWARD, event(101.0), event(191.0)]
    assert told(lines) == ([], lines)


def test_lines_out_of_order_are_no_clock() -> None:
    """Each is earlier than the one before it: that is no time of any clock."""
    lines = [*FORWARD, event(170.0), event(150.0), event(120.0), event(105.0), event(200.0)]
    assert told(lines) == ([], lines)


@pytest.mark.parametrize("again", [FORWARD, FORWARD[1:3], FORWARD[:1]])
def test_what_is_told_twice_is_no_clock(again: list[Message]) -> None:
    """Part of the capture, or all of it, a second time."""
    lines = [*FORWARD, *again, event(191.0)]
    assert told(lines) == ([], lines)


def test_a_repeat_after_the_clock_was_set_is_a_repeat() -> None:
    """Both at once: set back, and then the new lines a second time."""
    back = [event(100.5 + at) for at in range(6)]
    steps, passed = told([*FORWARD, *back, *back])
    assert (len(steps), passed) == (1, [*FORWARD, *back, *back])


def test_answers_keep_their_place_and_prove_nothing() -> None:
    """An answer among the events that are held back stays among them; alone it is no clock."""
    lines = [*FORWARD, event(101.0), answer(101.1), event(101.2)]
    steps, passed = told(lines)
    assert steps == [pytest.approx(-89.0)]
    assert passed == lines
    lines = [*FORWARD, answer(101.1), answer(101.2), event(191.0)]
    assert told(lines) == ([], lines)


def test_what_is_remembered_is_bounded() -> None:
    """A capture of days does not fill the memory."""
    order = CaptureOrder()
    for number in range(REMEMBERED + 500):
        for _ in order.take(event(100.0 + number)):
            pass
    assert sum(map(len, order._seen.values())) == len(order._seen_order) == REMEMBERED
