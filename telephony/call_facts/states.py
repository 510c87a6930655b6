"""What the call is doing now: the table `STATES`, read from the top.

docs/explanation/call-states.svg is drawn from it (`python -m docs.explanation.draw_states`).
"""

from __future__ import annotations

from collections.abc import Callable

from telephony.call_facts import facts as f
from telephony.call_facts.scene import Scene, connects, own_channels
from telephony.endpoints import VOICEMAIL_APPS


def _is_parked(scene: Scene) -> bool:
    return any(stay.until is None for stay in scene.call.parkings)


def _talks_now(scene: Scene) -> bool:
    if not scene.conversed or scene.conversed[-1][1] < scene.now:
        return False
    return any(connects(scene, c.stay()) for c in own_channels(scene))


def _is_held(scene: Scene) -> bool:
    return any(held.until >= scene.now for held in scene.holds)


def _in_conference(scene: Scene) -> bool:
    return any(c.conferences and c.conferences[-1][1] is None for c in own_channels(scene))


def _in_queue(scene: Scene) -> bool:
    return any(visit.left_at is None for visit in scene.call.queues)


def _rings(scene: Scene) -> bool:
    """Whether a phone rings now: after a conversation that means a transfer, not the end."""
    return any(c.dial is not None and c.up_at is None and c.ended_at is None for c in own_channels(scene))


def _in_voicemail(scene: Scene) -> bool:
    return not _rings(scene) and any(
        c.app in VOICEMAIL_APPS and c.ended_at is None for c in own_channels(scene)
    )


STATES: tuple[tuple[f.State, str, Callable[[Scene], bool]], ...] = (
    (f.State.ENDED, "its last channel has ended", lambda scene: scene.call.ended_at is not None),
    (f.State.UNVERIFIED, "the link to the PBX is lost", lambda scene: scene.call.unverified),
    (f.State.PARKED, "the client is in a parking lot", _is_parked),
    (f.State.HELD, "somebody keeps the other on hold", lambda scene: _talks_now(scene) and _is_held(scene)),
    (
        f.State.TALKING,
        "the client and somebody hear each other",
        lambda s: _talks_now(s) or _in_conference(s),
    ),
    (f.State.QUEUED, "the client waits in a queue", _in_queue),
    (f.State.HELD, "the client waits while a colleague is asked", _is_held),
    (f.State.VOICEMAIL, "the caller is in a voice mailbox", _in_voicemail),
    (f.State.RINGING, "somebody is rung, or the caller is in a menu", lambda s: not s.conversed or _rings(s)),
    (f.State.TALKING, "the conversation is just over", lambda _: True),
)
"""State, its meaning in words, its condition; the first that holds is the call's state now."""


def state_of(scene: Scene) -> f.State:
    """What the call is doing now."""
    return next(state for state, _, holds in STATES if holds(scene))
