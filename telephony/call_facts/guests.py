"""Who takes part in a call with a channel that belongs to another.

A guest is in the call only while with its own channels: the colleague who asks by feature code, from the beginning of the
consultation to its end, whatever that phone did before and does afterwards; somebody who dialled into the conference room to
which the call was sent, while the call is there. What is told of a guest is a picture of the channel cut to that time.
"""

from __future__ import annotations

from copy import copy

from telephony.call_facts.observations import CallRecord, Channel, HoldSpan, Stay
from telephony.call_facts.scene import END_WINDOW, MOVE_WINDOW
from telephony.call_facts.waits import is_machinery


def present_channels(call: CallRecord) -> list[Channel]:
    """The call's own channels and, cut to their time in it, its guests."""
    own = list(call.channels.values())
    if not call.guests:
        return own
    open_from, open_until = _open_times(own)
    guests = (_cut(guest, call, open_from, open_until) for guest in call.guests.values())
    return own + [guest for guest in guests if guest is not None]


def _open_times(own: list[Channel]) -> tuple[dict[str, float], dict[str, float]]:
    """From when to when one of the call's own channels was in each bridge."""
    since: dict[str, float] = {}
    until: dict[str, float] = {}
    for stay in (stay for channel in own for stay in channel.stays):
        left_at = stay.left_at if stay.left_at is not None else float("inf")
        since[stay.bridge] = min(stay.entered_at, since.get(stay.bridge, stay.entered_at))
        until[stay.bridge] = max(left_at, until.get(stay.bridge, left_at))
    return since, until


def _cut(
    guest: Channel, call: CallRecord, open_from: dict[str, float], open_until: dict[str, float]
) -> Channel | None:
    stays = [
        cut
        for stay in guest.stays
        if stay.bridge in open_from
        and (cut := _cut_stay(stay, open_from[stay.bridge], open_until[stay.bridge])) is not None
    ]
    if not stays:
        return None
    since, until = stays[0].entered_at, stays[-1].left_at
    over = until is not None and (
        call.ended_at is not None or guest.ended_at is not None or stays[-1].kind == "conference"
    )
    seen = copy(guest)
    seen.stays = stays
    seen.began_at = seen.up_at = since
    seen.ended_at = until if over else None
    seen.dial = seen.ringing_at = None
    seen.conferences = []
    seen.counts_from = 0.0
    if until is None or guest.ended_at is None or guest.ended_at > until + MOVE_WINDOW:
        seen.cause = None  # left the call without hanging up
    seen.app = ""
    seen.holds = _cut_holds(guest, since, until)
    if seen.asked_at is not None and not since <= seen.asked_at <= _later(until, END_WINDOW):
        seen.asked_at = None
    return seen


def _cut_stay(stay: Stay, since: float, until: float) -> Stay | None:
    cut = Stay(stay.bridge, stay.kind, max(stay.entered_at, since))
    cut.guessed = stay.guessed
    left_at = min(stay.left_at if stay.left_at is not None else float("inf"), until)
    cut.left_at = left_at if left_at != float("inf") else None
    return cut if cut.left_at is None or cut.left_at >= cut.entered_at else None


def _cut_holds(guest: Channel, since: float, until: float | None) -> list[HoldSpan]:
    """What the guest put on hold while in this call. Going over to a consultation is a hold of the other call."""
    holds = []
    for hold in guest.holds:
        if since <= hold.at <= _later(until, 0.0) and not is_machinery(guest, hold):
            cut = HoldSpan(hold.at)
            ends = [end for end in (hold.until, until) if end is not None]
            cut.until = min(ends, default=None)
            holds.append(cut)
    return holds


def _later(moment: float | None, seconds: float) -> float:
    return moment + seconds if moment is not None else float("inf")
