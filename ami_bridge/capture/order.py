"""Whether a capture's lines go back in time because the clock was set that wrote them, or because lines are out of place.

A capture is written as messages arrive, so its own time goes back only when somebody set the clock of the machine that
wrote it, or when the file was put together by hand:

| lines that are earlier than those before them               | taken as                             |
|-------------------------------------------------------------|--------------------------------------|
| the very same message was there not long before             | told twice: no clock                 |
| several in order, none of the old time between them         | the clock was set before the first   |
| one alone, or several out of order                          | out of place: no clock               |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from ami_bridge.wire.message import Message

BACK_SECONDS = 1.0  # less is the time between reading and writing
SURE_EVENTS = 5  # so many in order are sure, whatever follows
LIKELY_EVENTS = 2  # enough when the capture ends, or its time goes on, before there are more
REMEMBERED = 10_000  # messages a repeat is looked for in: a quarter of an hour of a busy office


class InOrder(NamedTuple):
    """Messages that may go on, after the clock was set by so many seconds; 0 when nobody set it."""

    set_by_seconds: float
    messages: list[Message]


class CaptureOrder:
    """One capture's messages on their way in."""

    def __init__(self) -> None:
        self._newest = 0.0
        self._held: list[Message] = []
        self._seen: dict[float, list[Message]] = {}
        self._seen_order: deque[float] = deque()

    def take(self, message: Message) -> Iterator[InOrder]:
        """What may go on now; nothing while it is uncertain whether the clock was set."""
        if not self._is_earlier(message):
            yield from self._go_on(message)
        elif self._is_repeat(message):
            yield from self.flush()
            yield InOrder(0.0, [message])
        elif not _is_event(message):
            yield from self._pass_unordered(message)
        else:
            yield from self._hold(message)

    def flush(self) -> Iterator[InOrder]:
        """No more will come that decides: what is held goes on."""
        held, self._held = self._held, []
        if not held:
            return
        set_by = 0.0
        if len(held) >= LIKELY_EVENTS:
            set_by = held[0].arrived_at - self._newest
            self._newest = 0.0
        for message in held:
            self._note(message)
        yield InOrder(set_by, held)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _is_earlier(self, message: Message) -> bool:
        return message.arrived_at < self._newest - BACK_SECONDS

    def _is_repeat(self, message: Message) -> bool:
        return message in self._seen.get(message.arrived_at, ())

    def _go_on(self, message: Message) -> Iterator[InOrder]:
        yield from self.flush()
        self._note(message)
        yield InOrder(0.0, [message])

    def _pass_unordered(self, message: Message) -> Iterator[InOrder]:
        """An answer says nothing of a clock; it keeps its place among those that do."""
        if self._held:
            self._held.append(message)
        else:
            yield InOrder(0.0, [message])

    def _hold(self, message: Message) -> Iterator[InOrder]:
        if self._held and message.arrived_at < self._held[-1].arrived_at - BACK_SECONDS:
            out_of_place, self._held = self._held, []
            yield InOrder(0.0, out_of_place)
        self._held.append(message)
        if sum(map(_is_event, self._held)) >= SURE_EVENTS:
            yield from self.flush()

    def _note(self, message: Message) -> None:
        at = message.arrived_at
        self._newest = max(self._newest, at)
        self._seen.setdefault(at, []).append(message)
        self._seen_order.append(at)
        if len(self._seen_order) > REMEMBERED:
            oldest = self._seen_order.popleft()
            same = self._seen[oldest]
            del same[0]
            if not same:
                del self._seen[oldest]


def _is_event(message: Message) -> bool:
    return "Timestamp" in message.fields and message.kind != "Response"
