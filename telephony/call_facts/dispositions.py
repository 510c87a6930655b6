"""How a call, and each party's part in it, came out: the tables.

Decided at the end, from what the phones did (dial status and Q.850 cause), never from a CDR.
Asterisk's own status misleads in two places, both measured on 16 and 22: a SIP 404 gives DIALSTATUS NOANSWER with
cause 1, and a caller who cancels gives cause 127.
"""

from __future__ import annotations

from collections.abc import Sequence

from telephony.call_facts.facts import Direction, Disposition, LegOutcome

ANSWERED_ELSEWHERE_CAUSE = 26
BUSY_CAUSES = frozenset({17})
DECLINED_CAUSES = frozenset({21})
UNREACHABLE_CAUSES = frozenset(
    {1, 2, 3, 20, 22, 27, 28, 29, 34, 38, 41, 42, 44, 47, 50, 57, 58, 65, 66, 79, 88, 102}
)
"""No route, unassigned, unregistered (20), out of order, congestion, refused media, timer expiry."""

_BY_STATUS = {
    "BUSY": LegOutcome.BUSY,
    "CHANUNAVAIL": LegOutcome.UNREACHABLE,
    "CONGESTION": LegOutcome.UNREACHABLE,
    "NOANSWER": LegOutcome.NO_ANSWER,
    "CANCEL": LegOutcome.CANCELLED,
    "ABORT": LegOutcome.CANCELLED,
    "DONTCALL": LegOutcome.DECLINED,
    "TORTURE": LegOutcome.DECLINED,
}


def rung_outcome(
    status: str, cause: int | None, *, taken_elsewhere: bool, forwarded: bool
) -> LegOutcome | None:
    """How it came out for a phone that was rung and talked to nobody; None where nothing tells.

    Without a `status` the end of the attempt was not seen: it may have been answered, unless the cause says otherwise.
    """
    if cause == ANSWERED_ELSEWHERE_CAUSE or forwarded:
        return LegOutcome.ANSWERED_ELSEWHERE
    if cause in DECLINED_CAUSES:
        return LegOutcome.DECLINED
    if cause in BUSY_CAUSES:
        return LegOutcome.BUSY
    if status in ("NOANSWER", "CHANUNAVAIL", "CONGESTION", "") and cause in UNREACHABLE_CAUSES:
        return LegOutcome.UNREACHABLE
    if taken_elsewhere and status in ("CANCEL", "NOANSWER", "ANSWER", ""):
        return LegOutcome.ANSWERED_ELSEWHERE
    return _BY_STATUS.get(status, LegOutcome.CANCELLED) if status else None


_NOT_TAKEN = (LegOutcome.NO_ANSWER, LegOutcome.CANCELLED, LegOutcome.ANSWERED, LegOutcome.ANSWERED_ELSEWHERE)


def inbound_disposition(
    rung: Sequence[LegOutcome | None], *, voicemail: bool, left_waiting: bool, caller_was_up: bool
) -> Disposition | None:
    """An inbound or internal call that no person answered. `left_waiting`: it ended in a queue or a parking lot.

    None where it hangs on a phone of which nothing tells how it went (an event log without causes): it may have rung in
    vain, been busy, or declined.
    """
    if voicemail:
        return Disposition.VOICEMAIL
    if left_waiting:
        return Disposition.ABANDONED
    if any(outcome in _NOT_TAKEN for outcome in rung):
        return Disposition.MISSED
    if None in rung:
        return None
    for outcome, disposition in (
        (LegOutcome.BUSY, Disposition.BUSY),
        (LegOutcome.DECLINED, Disposition.DECLINED),
    ):
        if outcome in rung:
            return disposition
    if rung:
        return Disposition.FAILED
    return Disposition.ABANDONED if caller_was_up else Disposition.FAILED


def outbound_disposition(rung: Sequence[LegOutcome | None]) -> Disposition | None:
    """An outbound call that nobody outside answered; the last attempt decides. None where nothing tells how it went."""
    table = {
        LegOutcome.BUSY: Disposition.BUSY,
        LegOutcome.DECLINED: Disposition.DECLINED,
        LegOutcome.UNREACHABLE: Disposition.FAILED,
    }
    if not rung:
        return Disposition.FAILED
    last = rung[-1]
    return None if last is None else table.get(last, Disposition.NO_ANSWER)


MISSED_OUTCOMES = frozenset(
    {LegOutcome.NO_ANSWER, LegOutcome.CANCELLED, LegOutcome.BUSY, LegOutcome.DECLINED}
)
"""A phone of ours with one of these missed the call, when nobody took it."""


def counts_missed(direction: Direction, disposition: Disposition | None) -> bool:
    """Whether such a call, which is over, can have been missed by somebody of ours."""
    return direction is not Direction.OUTBOUND and disposition is not Disposition.ANSWERED
