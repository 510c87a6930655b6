"""Hand-overs and what became of them, judged by who talked with the client afterwards.

How one is recognised: `telephony.state.transfers`.
"""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.observations import CallRecord, SeenTransfer, moment
from telephony.call_facts.scene import END_WINDOW, Scene, other_parts
from telephony.endpoints import VOICEMAIL_APPS


def is_parking(call: CallRecord, seen: SeenTransfer) -> bool:
    """A blind transfer into the parking lot is told as parking."""
    return seen.kind is f.TransferKind.BLIND and any(
        abs(p.at - seen.at) < END_WINDOW and seen.transferee in ("", p.uid) for p in call.parkings
    )


def is_gathering(call: CallRecord, seen: SeenTransfer) -> bool:
    """Both sides sent into one conference room are still together: nobody was handed over."""
    if seen.kind is not f.TransferKind.BLIND or not call.rooms:
        return False
    return bool(_rooms_after(call, seen.by_uid, seen.at) & _rooms_after(call, seen.transferee, seen.at))


def _rooms_after(call: CallRecord, uid: str, at: float) -> set[str]:
    channel = call.channels.get(uid)
    stays = channel.stays if channel is not None else []
    return {stay.bridge for stay in stays if stay.bridge in call.rooms and stay.entered_at >= at}


def transfer_of(scene: Scene, seen: SeenTransfer) -> f.Transfer:
    """One hand-over, with what became of it."""
    return f.Transfer(
        kind=seen.kind,
        via=seen.via,
        by=seen.by,
        to=seen.to or None,
        result=_transfer_result(scene, seen),
        at=moment(seen.at),
        three_way=seen.three_way,
    )


def _transfer_result(scene: Scene, seen: SeenTransfer) -> f.TransferResult | None:
    if not seen.succeeded:
        return f.TransferResult.FAILED
    if seen.three_way:
        return f.TransferResult.COMPLETED
    later = [t.at for t in scene.call.transfers if t.at > seen.at]
    until = min(later) if later else float("inf")
    after = sorted(
        (since, part.party)
        for part in other_parts(scene)
        for since, end in part.heard
        if end > seen.at and since < until and (since >= seen.at or part.party != seen.by)
    )
    if after:
        return f.TransferResult.RETURNED if after[0][1] == seen.by else f.TransferResult.COMPLETED
    if later:
        return f.TransferResult.FAILED
    if scene.caller.app in VOICEMAIL_APPS or any(c.conferences for c in scene.client.channels):
        return f.TransferResult.COMPLETED
    return f.TransferResult.FAILED if scene.call.ended_at is not None else None
