"""A flood of one kind of line is written so often and then counted."""

from __future__ import annotations

import logging

from switchhook.process.log_limit import INFOS_MOST, WARNINGS_MOST, LogLimit


class Log:
    """A handler's filter, a clock, and what came out."""

    def __init__(self) -> None:
        self.now = 0.0
        self.summaries: list[tuple[str, int]] = []
        self.limit = LogLimit(
            lambda kind, _level, count: self.summaries.append((kind, count)), lambda: self.now
        )

    def say(self, message: object, level: int = logging.ERROR) -> bool:
        return self.limit.filter(logging.LogRecord("asyncio", level, "", 0, message, (), None))


def test_the_rest_of_a_flood_is_counted() -> None:
    """300,000 lines about connections that cannot be taken are thirty, and one that says how many more."""
    log = Log()
    assert sum(log.say("socket.accept() out of system resource") for _ in range(1_233)) == WARNINGS_MOST
    assert log.say("something else")
    assert log.summaries == []
    log.now = 61.0
    assert log.say("something else")
    assert log.summaries == [("socket.accept() out of system resource", 1_203)]
    assert log.say("socket.accept() out of system resource")


def test_kinds_are_told_apart_by_words_not_numbers() -> None:
    """Structured lines by their event; numbers in a text make no kinds of their own."""
    log = Log()
    assert sum(log.say({"event": "refused", "address": str(each)}) for each in range(100)) == WARNINGS_MOST
    assert sum(log.say(f"port {each} is gone") for each in range(100)) < 100
    assert log.say({"event": "another"})


def test_what_happens_is_said() -> None:
    """A line per thing that happened has more room, and debug lines pass."""
    log = Log()
    assert all(log.say({"event": "call_told"}, logging.INFO) for _ in range(INFOS_MOST))
    assert not log.say({"event": "call_told"}, logging.INFO)
    assert all(log.say({"event": "message"}, logging.DEBUG) for _ in range(5_000))
