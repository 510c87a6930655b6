"""How a transfer is recognised.

| seen                                                                  | kind     | via          |
|-----------------------------------------------------------------------|----------|--------------|
| BlindTransfer, not external                                           | blind    | feature code |
| BlindTransfer, external, and the handset's REFER was seen             | blind    | sip          |
| the same, where this PBX never tells us of REFERs                     | blind    | sip          |
| BlindTransfer, external, no REFER although we are told of them        | blind    | ami          |
| BlindTransfer of which nothing but the event log tells                | blind    | unknown      |
| BlindTransfer, external, right after a gap in what we were told       | blind    | unknown      |
| the client leaves first and dials anew, and no transfer was told      | blind    | ami          |
| AttendedTransfer, both transferer channels are one                    | attended | feature code |
| AttendedTransfer, two channels                                        | attended | sip          |
| AttendedTransfer before the target answered (to Dial, Queue, ringing) | blonde   | as above     |

Whether a transfer completed, failed or came back is decided in `telephony.call_facts.transfers`, from who talked afterwards.
"""

from __future__ import annotations

from telephony.call_facts.facts import TransferKind, TransferVia
from telephony.call_facts.observations import SAME_MOMENT, CallRecord, Channel, SeenTransfer
from telephony.endpoints import ROUTINE, Kind
from telephony.events import EventKind
from telephony.state import signals as s
from telephony.state.grouping import Grouping

REFER_WINDOW = 2.0  # s between the REFER's variable and its BlindTransfer; measured 0.1 ms
REDIRECT_WINDOW = 10.0  # s; a Redirect dials anew within ms, unless the dialplan plays something first
KEYING_WINDOW = (
    0.5  # s from the end of keying (the client is taken off hold) to the transfer; 0.1 ms idle, 20 ms loaded
)
UNANSWERED_APPS = frozenset({"Dial", "Queue", "FollowMe", "AppDial", "AppQueue"})


def blind_transferred(tracker: Grouping, signal: s.BlindTransferred) -> None:
    """The transferer sends the other side away without asking the target."""
    transferer = tracker.see(signal.at, signal.transferer)
    if transferer is None:
        return
    transferee = tracker.see(signal.at, signal.transferee) if signal.transferee else None
    via = _blind_via(tracker, signal, transferer, transferee)
    seen = SeenTransfer(
        TransferKind.BLIND,
        via,
        _party_of(transferer),
        transferer.uid,
        tracker.numbering.party(signal.exten, dialled_here=True),
        signal.at,
    )
    seen.succeeded = signal.succeeded
    seen.transferee = transferee.uid if transferee else ""
    if via is TransferVia.FEATURE_CODE and transferer.holds:
        last = transferer.holds[-1]
        if last.until is None or signal.at - last.until < KEYING_WINDOW:
            last.machinery = True  # keying the number put the client on hold: part of the transfer
    _record(tracker, transferer.call, seen)


def _blind_via(
    tracker: Grouping, signal: s.BlindTransferred, transferer: Channel, transferee: Channel | None
) -> TransferVia | None:
    if signal.external is False:
        return TransferVia.FEATURE_CODE
    if signal.external and not tracker.knows_refers:
        return TransferVia.SIP
    for channel in (transferee, transferer):
        at, _ = tracker.refers.get(channel.uid, (float("-inf"), False)) if channel else (float("-inf"), False)
        if abs(signal.at - at) <= REFER_WINDOW:
            return TransferVia.SIP
    if signal.external and not _may_have_missed_refer(transferer.call, signal.at):
        return TransferVia.AMI
    return None


def _may_have_missed_refer(call: CallRecord, at: float) -> bool:
    """Whether AMI went unheard shortly before, as far as it is known when it was heard again."""
    return call.talked_unseen and (not call.blind_until or at - REFER_WINDOW < call.blind_until)


def refer_seen(tracker: Grouping, signal: s.ReferSeen) -> None:
    """The handset's REFER, or that this PBX tells of REFERs at all; the transfer itself may have come just before."""
    tracker.knows_refers = True
    channel = tracker.see(signal.at, signal.look)
    if channel is None or not signal.by_handset:
        return
    tracker.refers[channel.uid] = (signal.at, True)
    for seen in channel.call.transfers:
        if (
            seen.kind is TransferKind.BLIND
            and seen.via is TransferVia.AMI
            and channel.uid in (seen.by_uid, seen.transferee)
            and abs(seen.at - signal.at) <= SAME_MOMENT
        ):
            seen.via = TransferVia.SIP
            tracker.touch(channel.call)


def attended_transferred(tracker: Grouping, signal: s.AttendedTransferred) -> None:
    """The transferer asked (or rang) the target first, then connected the two."""
    first = tracker.see(signal.at, signal.first)
    second = tracker.see(signal.at, signal.second)
    if first is None or second is None:
        return
    transferee = tracker.see(signal.at, signal.transferee) if signal.transferee else None
    target = tracker.see(signal.at, signal.target) if signal.target else None
    by_code = first is second
    if (
        target is None and by_code
    ):  # now and then the PBX leaves the target out (seen when it swaps bridges at once)
        target = _asked_half(first)
    kind = TransferKind.BLONDE if _unanswered(tracker, signal, target) else TransferKind.ATTENDED
    seen = SeenTransfer(
        kind,
        TransferVia.FEATURE_CODE if by_code else TransferVia.SIP,
        _party_of(first),
        first.uid,
        _target_party(tracker, first, second, target),
        signal.at,
    )
    seen.succeeded = signal.succeeded and signal.dest != "fail"
    seen.three_way = signal.dest == "threeway"
    seen.transferee = transferee.uid if transferee else ""
    call = first.call
    if seen.succeeded:
        for channel in (second, transferee, target):
            if channel is not None:
                call = tracker.merge(call, channel.call, signal.at)
        call = tracker.channels[first.uid].call
        _absorb_consultation(tracker, call, first, second, signal.at)
    _record(tracker, call, seen)


def _asked_half(first: Channel) -> Channel | None:
    """The Local half through which a feature-code consultation was held: the newest that the transferer met."""
    bridges = {stay.bridge for stay in first.stays}
    met = [
        c
        for c in first.call.everyone()
        if c.kind is Kind.LOCAL and any(stay.bridge in bridges for stay in c.stays)
    ]
    return max(met, key=lambda c: c.began_at, default=None)


def _absorb_consultation(
    tracker: Grouping, call: CallRecord, first: Channel, second: Channel, at: float
) -> None:
    """The second channel of the transferer was in the consultation: what it talked before is not the client's talk."""
    for channel in (first, second):
        if channel is second and first is not second and channel.counts_from == 0.0:
            channel.counts_from = at
    call.guests.pop(first.uid, None)
    tracker.touch(call)


def _unanswered(tracker: Grouping, signal: s.AttendedTransferred, target: Channel | None) -> bool:
    if signal.dest == "app":
        return signal.app in UNANSWERED_APPS
    if target is None:
        return False
    if target.kind is Kind.LOCAL:
        peer = tracker.peer_half(target)
        reached = _dialled_by(target.call, peer)
        return (
            not any(c.up_at is not None and c.ended_at is None for c in reached)
            if reached
            else target.up_at is None
        )
    return target.up_at is None


def _dialled_by(call: CallRecord, source: Channel | None) -> list[Channel]:
    if source is None:
        return []
    return [
        c for c in call.channels.values() if c.real and c.dial is not None and c.dial.source == source.uid
    ]


def _target_party(tracker: Grouping, first: Channel, second: Channel, target: Channel | None) -> str:
    """The target as dialled: what the transferer asked for, else who was reached."""
    if second is not first and second.dial is None and second.exten and second.exten != "s":
        return tracker.numbering.party(second.exten, dialled_here=True)
    if target is not None and target.kind is Kind.LOCAL:
        return tracker.numbering.party(target.exten if target.exten not in ("", "s") else target.endpoint)
    return _party_of(target) if target is not None else ""


def _party_of(channel: Channel) -> str:
    return channel.party or channel.number


def _record(tracker: Grouping, call: CallRecord, seen: SeenTransfer) -> None:
    for known in list(call.transfers):
        if known.by_uid != seen.by_uid:
            continue
        if known.inferred and not seen.inferred and abs(known.at - seen.at) < REFER_WINDOW:
            call.transfers.remove(known)  # the PBX tells of it after all
        elif abs(known.at - seen.at) < SAME_MOMENT:
            return  # told again
    call.transfers.append(seen)
    call.transfers.sort(key=lambda transfer: transfer.at)
    tracker.say(call, EventKind.TRANSFERRED, seen.at, seen.to)


def note_redirect(tracker: Grouping, source: Channel, exten: str, at: float, dialled: str = "") -> None:
    """AMI Redirect tells nothing: the client leaves first, their colleague after them, then the client dials anew.

    `dialled` stands in where the dialplan hides the number behind an `s`.
    """
    if not source.stays or not source.real:
        return
    last = source.stays[-1]
    if last.kind != "basic" or last.left_at is None:
        return
    if not -SAME_MOMENT <= at - last.left_at <= REDIRECT_WINDOW:
        return  # also an old dial that is told again after the conversation it led to
    call = source.call
    if any(abs(t.at - last.left_at) < REFER_WINDOW or t.at > last.left_at for t in call.transfers):
        return
    if any(p.uid == source.uid and p.at >= last.left_at - SAME_MOMENT for p in call.parkings):
        return
    for other in call.everyone():
        if other is source or not other.real:
            continue
        for stay in other.stays:
            if stay.bridge == last.bridge and stay.left_at is not None and stay.left_at >= last.left_at:
                if other.asked_at is not None and other.asked_at <= last.left_at + SAME_MOMENT:
                    return
                asked_for = dialled if exten in ROUTINE and dialled else exten
                to = tracker.numbering.party(asked_for, dialled_here=True)
                seen = SeenTransfer(
                    TransferKind.BLIND, TransferVia.AMI, _party_of(other), other.uid, to, last.left_at
                )
                seen.transferee = source.uid
                seen.inferred = True
                _record(tracker, call, seen)
                return
