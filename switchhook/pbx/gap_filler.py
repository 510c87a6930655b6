"""Tells from the channel event log what AMI did not tell: live after a gap, and in a replay.

A row is news as far as AMI did not tell the same (`event_log_gaps.py`), and of a call that AMI did not see whole.
It is taken up in its place in time; every other row only teaches names and who dialled whom.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ami_bridge.cel.signals import CelRow, CelTranslator
from switchhook.pbx.event_log_gaps import ObservedEvents, is_moment_of
from telephony.state import signals as s
from telephony.state.tracker import Tracker

BEFORE_ANY = float("-inf")
AFTER_ALL = float("inf")
OVERLAP_SECONDS = 1.0
"""The log of so long before a cut belongs to the gap: AMI's last words are later than the log's of the same moment, and may
have been lost with the link, or may come with the next."""


class GapFiller:
    """Feed it the log's rows in time order, and what AMI told to `observed`."""

    def __init__(self, tracker: Tracker) -> None:
        self._told: list[s.Signal] | None = None
        self.observed = ObservedEvents()
        self._tracker = tracker
        self._translator = CelTranslator()
        self.lost_at = BEFORE_ANY
        """When AMI said its last word before the newest gap, Unix seconds."""
        self._row_told_at = BEFORE_ANY
        """When the newest row happened that AMI told too: what the log writes after it is no earlier."""

    def lose_sight(self, at: float) -> None:
        """AMI said no more from that moment on (Unix seconds): the calls of it are seen only in part."""
        self.lost_at = at
        for call in self._tracker.open_calls():
            call.seen_in_part = True

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The log is read again from an earlier row on. What is told of it now is no news the next time."""
        self._row_told_at = BEFORE_ANY
        self.observed.begin_reading()
        told: list[s.Signal] = []
        self._told = told
        try:
            yield
        finally:
            self._told = None
            self.observed.add(told)

    def place(self, rows: Sequence[CelRow], index: int) -> CelRow:
        """That row at the moment it may have happened, where the log writes whole seconds only."""
        row = rows[index]
        return row.not_before(self._earliest(row, itertools.islice(rows, index + 1, None)))

    def tell(self, row: CelRow, news_from: float = BEFORE_ANY) -> list[int]:
        """Take up what is news of this row; which of its signals those are. None is of before `news_from`."""
        told: list[int] = []
        for index, signal in self.unheard(row):
            if row.at + row.slack < news_from or not self._is_news(signal, row):
                continue
            self._tracker.reconstructing = True
            try:
                self._tracker.feed(signal)
            finally:
                self._tracker.reconstructing = False
            self._mark_seen_in_part(row)
            if self._told is not None:
                self._told.append(signal)
            told.append(index)
        return told

    def unheard(self, row: CelRow) -> list[tuple[int, s.Signal]]:
        """The signals of a row that AMI did not tell, with their places in it."""
        found: list[tuple[int, s.Signal]] = []
        for index, signal in enumerate(self.signals_of(row)):
            observed_at = self.observed.find(signal, row.slack)
            if observed_at is None:
                found.append((index, signal))
            elif is_moment_of(observed_at, row.at, row.slack):
                self._row_told_at = max(self._row_told_at, observed_at)
        return found

    def signals_of(self, row: CelRow) -> Iterator[s.Signal]:
        """Everything that a row says."""
        for signal in self._translator.translate(row):
            yield signal
            if isinstance(signal, s.ChannelBegan) and signal.look.state == "Ring":
                yield s.ChannelChanged(signal.at, signal.look)  # chan_sip says so later

    def _earliest(self, row: CelRow, following: Iterator[CelRow]) -> float:
        """What is written before a row of which AMI told happened before the link was lost, too."""
        if row.at <= self.lost_at < row.at + row.slack:
            of_second = itertools.takewhile(lambda other: other.at < row.at + row.slack, following)
            if not any(self.observed.knows(other, before=self.lost_at) for other in of_second):
                return max(self.lost_at, self._row_told_at)
        return self._row_told_at

    def _is_news(self, signal: s.Signal, row: CelRow) -> bool:
        """Whether what only the log tells is to be believed: of a call that AMI did not see whole."""
        call = self._tracker.call_with(row.look.uid, row.look.linked)
        if call is None:
            return True
        return call.seen_in_part or not call.begun or self.observed.would_tell(signal)

    def _mark_seen_in_part(self, row: CelRow) -> None:
        call = self._tracker.call_with(row.look.uid, row.look.linked)
        if call is not None:
            call.seen_in_part = True
