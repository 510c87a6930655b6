"""Who kept whom waiting with music: a hold by a person's key, or a colleague who went over to a consultation.

| seen                                                       | told as a hold | counts as talk of a leg |
|------------------------------------------------------------|----------------|-------------------------|
| Hold and Unhold on a phone that stays in its bridge        | yes            | no                      |
| by feature code: from the key until the colleague is back, | yes            | no                      |
| has let go, or the one who waits leaves                    |                |                         |
| while a number is keyed for a blind transfer               | no             | no                      |

By feature code nobody tells when the waiting ends: the PBX's own hold may be taken back before, after, or never. But the
colleague leaves the conversation for another bridge, and later leaves that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from telephony.call_facts import facts as f
from telephony.call_facts.conversations import total
from telephony.call_facts.observations import Channel, Stay, moment
from telephony.call_facts.scene import MOVE_WINDOW, Held, Scene, Span, own_channels
from telephony.call_facts.waits import is_machinery

KEYING_WINDOW = 1.0  # s; the PBX may take its own hold back this long before the colleague goes over


class Absence(NamedTuple):
    """`mover` left `kept` alone from `gone_at` on; the music began at `since` and ended at `until`."""

    mover: Channel
    kept: Channel
    since: float
    gone_at: float
    until: float


def find_holds(scene: Scene) -> list[Held]:
    """Every hold of the call, those that the PBX made for itself included, in order."""
    channels = own_channels(scene)
    if not any(channel.holds or len(channel.stays) > 1 for channel in channels):
        return []  # most calls at most moments
    absences = list(_absences(scene))
    found = [
        Held(scene.part_of[a.mover.uid].party, a.since, a.until, told=True, kept=a.kept) for a in absences
    ]
    for channel in channels:
        away = [(a.gone_at, a.until) for a in absences if a.mover is channel]
        begun = {a.since for a in absences if a.mover is channel}
        for hold in channel.holds:
            if hold.at in begun or any(gone < hold.at < back for gone, back in away):
                continue
            own = is_machinery(channel, hold)
            until = hold.until if hold.until is not None else scene.now
            if own:
                until = min(until, _left_after(channel, hold.at, scene.now))
            until = max(until, hold.at)  # an end told before its beginning: it took no time that is known
            found.append(Held(scene.part_of[channel.uid].party, hold.at, until, told=not own))
    return sorted(found, key=lambda held: (held.since, held.by))


def holds_of(scene: Scene) -> tuple[f.Hold, ...]:
    """The holds as they are told."""
    return tuple(
        f.Hold(by=held.by, seconds=held.until - held.since, at=moment(held.since))
        for held in scene.holds
        if held.told
    )


def hold_seconds(scene: Scene) -> float:
    """How long all of them were."""
    return total((held.since, held.until) for held in scene.holds if held.told)


def _left_after(channel: Channel, at: float, now: float) -> float:
    """When the channel left the bridge it was in at that moment: no hold of the PBX's outlives that."""
    for stay in channel.stays:
        left_at = stay.left_at if stay.left_at is not None else now
        if stay.entered_at <= at <= left_at:
            return max(at, left_at)
    return now


def _absences(scene: Scene) -> Iterator[Absence]:
    for mover in own_channels(scene):
        for left, entered in pairwise(mover.stays):
            if left.left_at is None or not _went_over(left, entered):
                continue
            since = _hold_began(mover, left.left_at)
            back = entered.entered_at if left.bridge == entered.bridge else entered.left_at
            for kept, gone in _left_behind(scene, mover, left.left_at):
                until = min(back if back is not None else scene.now, gone)
                # From the key on, not from the going: who is asked may be busy at once.
                if until - since > MOVE_WINDOW:
                    yield Absence(mover, kept, min(since, until), left.left_at, until)


def _went_over(left: Stay, entered: Stay) -> bool:
    """From one conversation into the next at once; or away from a consultation and back to it."""
    if left.kind != "basic" or entered.kind != "basic" or left.left_at is None:
        return False
    return left.bridge == entered.bridge or entered.entered_at - left.left_at <= MOVE_WINDOW


def _hold_began(mover: Channel, gone_at: float) -> float:
    for hold in reversed(mover.holds):
        if hold.at <= gone_at + MOVE_WINDOW:
            near = hold.until is None or gone_at - hold.until <= KEYING_WINDOW
            return hold.at if near else gone_at
    return gone_at


def _left_behind(scene: Scene, mover: Channel, gone_at: float) -> Iterator[tuple[Channel, float]]:
    """Who was in the conversation that the mover left and is now alone, and until when."""
    by_uid = {channel.uid: channel for channel in own_channels(scene)}
    client, party = scene.client, scene.part_of[mover.uid]
    for span in scene.together:
        if mover.uid not in span.uids or span.until != gone_at:
            continue
        for kept in (by_uid[uid] for uid in span.uids if uid in by_uid):
            other = scene.part_of[kept.uid]
            if (
                other is party
                or client not in (other, party)
                or gone_at < max(mover.counts_from, kept.counts_from)
            ):
                continue
            stay = next(
                (
                    s
                    for s in kept.stays
                    if s.entered_at <= gone_at and (s.left_at is None or s.left_at >= gone_at)
                ),
                None,
            )
            if stay is None:
                continue
            again = [s.since for s in scene.together if kept.uid in s.uids and s.since >= gone_at]
            ends = [*again, stay.left_at if stay.left_at is not None else scene.now]
            yield kept, min(ends)


def waiting_for(scene: Scene) -> list[tuple[str, Span]]:
    """Both sides of every consultation's hold: who waited, and who had gone to ask."""
    return [
        (party, (held.since, held.until))
        for held in scene.holds
        if held.kept is not None
        for party in (held.by, scene.part_of[held.kept.uid].party)
    ]


def held_spans(scene: Scene) -> list[Span]:
    """Times in which the client and the other side did not hear each other."""
    return [(held.since, held.until) for held in scene.holds]
