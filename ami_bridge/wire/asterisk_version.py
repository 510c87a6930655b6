"""Which Asterisk speaks. Before 12 it says other things of a call (Dial, Bridge) and leaves out what calls are told from.

The greeting bears the version of the manager interface, 2.0 and later since Asterisk 12; the version of Asterisk itself
only `CoreSettings` tells. A capture has neither: there the old events give it away.
"""

from __future__ import annotations

import re

from ami_bridge.wire.message import Message
from telephony.errors import NeedsPerson

OLDEST_ASTERISK = (
    12  # DialBegin, BridgeEnter and bridges with ids appeared in it; 16 and later are what is tried
)
OLDEST_INTERFACE = 2  # "Asterisk Call Manager/2.0" of Asterisk 12; 1.3 was that of 11
REMEDY = "Update Asterisk (Issabel, FreePBX) to a version that is still maintained; 16 and later are tried."

_BANNER = re.compile(r"Asterisk Call Manager/(\d+)")
_VERSION = re.compile(r"^(?:Asterisk )?(?:certified[/-])?(\d+)\.", re.IGNORECASE)
OLD_EVENTS = {"Dial": "SubEvent", "Bridge": "Bridgestate", "Link": "Uniqueid1", "Unlink": "Uniqueid1"}
"""Event that no Asterisk since 12 sends → a header that it bears."""


class AsteriskTooOld(NeedsPerson):
    """An Asterisk whose calls cannot be told."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is older than Asterisk {OLDEST_ASTERISK}, which says too little of a call to tell it right.",
            remedy=REMEDY,
        )


def refuse_old_banner(banner: str, address: str) -> None:
    """Raise AsteriskTooOld for the greeting of a manager interface before Asterisk 12."""
    told = _BANNER.match(banner)
    if told is not None and int(told[1]) < OLDEST_INTERFACE:
        raise AsteriskTooOld(f"The PBX at {address} ({banner.strip()})")


def major_of(version: str) -> int | None:
    """`22.10.1` → 22, `certified/18.9-cert4` → 18; None for what has no number (a build from a repository)."""
    told = _VERSION.match(version)
    return int(told[1]) if told else None


def refuse_old_event(message: Message, place: str) -> None:
    """Raise AsteriskTooOld for an event that only an old Asterisk sends."""
    header = OLD_EVENTS.get(message.kind)
    if header is not None and "Privilege" in message.fields and header in message.fields:
        raise AsteriskTooOld(f"The PBX that {place} was captured at")
