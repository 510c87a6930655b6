"""Call ids: UUIDs of version 7 that are a function of the call, not of who looked at it.

A call's id is made from the PBX's name and the linked id under which the call was first seen. So two bridges that watch
one PBX, a bridge that was killed before it could write, the recomputation of an old call and the back-fill from CEL all
arrive at the same id without asking anybody (docs/decisions/0005-call-ids-from-linked-ids.md).
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from uuid import UUID

REMEMBERED = 4_000  # channels: those of a thousand live calls
DAY_SECONDS = 86_400.0
_EPOCH = re.compile(r"(?:^|-)(\d{9,10})\.(\d+)$")


def call_id(pbx: str, linked: str, first_seen_at: float) -> UUID:
    """UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 bits derived from (pbx, linked id).

    The time is the one inside the linked id (`[systemname-]epoch.counter`, Asterisk's uniqueid). An id of another shape,
    as Originate's ChannelId makes, has only the day of `first_seen_at` (Unix seconds): AMI, CEL and a snapshot see the
    same channel begin up to a second apart, and must arrive at the same id.
    """
    match = _EPOCH.search(linked)
    seconds = float(match[1]) if match else first_seen_at // DAY_SECONDS * DAY_SECONDS
    milliseconds = max(0, int(seconds * 1000)) & (1 << 48) - 1
    if match:
        milliseconds += int(match[2]) % 1000  # calls of one second keep their order
    digest = int.from_bytes(hashlib.blake2b(f"{pbx}\0{linked}".encode(), digest_size=10).digest(), "big")
    value = milliseconds << 80 | 7 << 76 | (digest >> 62 & 0xFFF) << 64 | 0b10 << 62 | digest & (1 << 62) - 1
    return UUID(int=value)


@lru_cache(maxsize=REMEMBERED)  # every telling of a call puts its channels in order
def uid_order(uid: str) -> tuple[float, int, str]:
    """Sort key that puts channels in the order in which the PBX made them."""
    match = _EPOCH.search(uid)
    return (float(match[1]), int(match[2]), uid) if match else (0.0, 0, uid)
