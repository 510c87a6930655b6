"""Which call's CDR a recording belongs to that was made on the line by which the call went out.

The CDR of an outbound call bears the Uniqueid of the phone that dialled; the line's own is in no column. The line began
while the phone's call went on, and was made after it. Where several calls fit, the number in the recording's name
decides; where it does not, nothing is claimed.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ami_bridge.cel.cdr_file import CdrRow, endpoint_of
from telephony.ids import uid_order
from telephony.numbers.numbers import Numbering

BEFORE_SECONDS = 2.0  # a Uniqueid has whole seconds, and so has a CDR
SAME_NUMBER_DIGITS = 7  # a number is written with or without its country and area: its end is the same
LONGEST_CALL = timedelta(hours=12)


class DialledLines:
    """The outbound rows of a CDR, by time."""

    def __init__(self, rows: Sequence[CdrRow]) -> None:
        self._rows = sorted((row for row in rows if row.peer_channel), key=lambda row: row.began_at)
        self._begun = [row.began_at for row in self._rows]

    def row_of(self, uniqueid: str, name: str, numbering: Numbering) -> CdrRow | None:
        """The row of the call whose line has this Uniqueid; None when none fits, or more than one."""
        began_at, counter, _ = uid_order(uniqueid)
        if not began_at:
            return None
        moment = datetime.fromtimestamp(began_at, UTC)
        slack = timedelta(seconds=BEFORE_SECONDS)
        first = bisect_left(self._begun, moment - LONGEST_CALL)
        last = bisect_right(self._begun, moment + slack)
        fitting = [
            row
            for row in self._rows[first:last]
            if moment <= row.ended_at + slack
            and uid_order(row.uniqueid)[1] < counter
            and _went_out(row, numbering)
        ]
        calls = {row.group: row for row in fitting}
        if len(calls) > 1:
            calls = {group: row for group, row in calls.items() if _named(row, name)}
        return next(iter(calls.values())) if len(calls) == 1 else None


def _went_out(row: CdrRow, numbering: Numbering) -> bool:
    return numbering.is_extension(endpoint_of(row.channel)) and not numbering.is_extension(
        endpoint_of(row.peer_channel)
    )


def _named(row: CdrRow, name: str) -> bool:
    digits = re.sub(r"\D", "", row.destination)[-SAME_NUMBER_DIGITS:]
    return len(digits) == SAME_NUMBER_DIGITS and digits in re.sub(r"\D", "", name)
