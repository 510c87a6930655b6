"""Calls to the PBX itself: a colleague's own mailbox, a feature code. Nobody was called, so nobody can have missed them."""

from __future__ import annotations

from telephony.call_facts import facts as f
from telephony.call_facts.scene import Scene
from telephony.endpoints import Kind

MAILBOX_APP = "VoiceMailMain"  # listening to messages; leaving one is VoiceMail
CODE_STARTS = ("*", "#")


def service_of(scene: Scene) -> f.Service | None:
    """What of the PBX took the call; None where somebody was called, and where the PBX took nothing."""
    call = scene.call
    if len(scene.parts) > 1 or call.queues or call.parkings or scene.caller.up_at is None:
        return None
    apps = {channel.app for channel in call.channels.values() if channel.app}
    if apps:
        return f.Service.MAILBOX if apps == {MAILBOX_APP} else None
    dialled = call.requested or scene.caller.exten
    ours = scene.caller.kind is Kind.EXTENSION
    return f.Service.FEATURE_CODE if ours and dialled.startswith(CODE_STARTS) else None
