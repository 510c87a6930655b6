"""Which caller names are names of people.

What a PBX writes into the name of a caller is at times its own note. None of these is anybody's name:

| name                             | what it is                                                              |
|----------------------------------|-------------------------------------------------------------------------|
| `79161110001`, `+7 916 111-00-01`| the number, which FreePBX writes where the carrier sent no name         |
| `CID:74951000000`                | our own outgoing number, which FreePBX shows on the phone that dials    |
| `SALES:79161110001`              | a group's prefix before such a number                                   |
| the name beside another number  | our outgoing caller id, which FreePBX puts on the caller's own channel  |
| any name of a line that we dial  | what our own dialplan wrote: a CRM's note, the owner of a forwarded phone |
"""

from __future__ import annotations

import re
from functools import lru_cache

from telephony.call_facts.observations import Channel
from telephony.endpoints import Kind

_OWN_NUMBER_NOTE = re.compile(r"CID:\s*[+\d]", re.IGNORECASE)
_NUMBER = re.compile(r"[+\d][\d\s().\-/]*")
_PREFIXED_NUMBER = re.compile(r".*?([+\d][\d\s().\-]*)")
SHORTEST_NUMBER = 3  # digits; a name that ends in fewer ("Studio 54") is still a name

LOCAL_DIGITS = 7  # digits at the end that every way of writing an outside number has in common


@lru_cache(maxsize=8_192)
def name_of_person(name: str, number: str) -> str:
    """The caller's name, or empty where what stands there is no name. `number` is the caller's as it was shown."""
    if _NUMBER.fullmatch(name) or _OWN_NUMBER_NOTE.match(name):
        return ""
    prefixed = _PREFIXED_NUMBER.fullmatch(name)
    digits = _digits(number)
    if prefixed and len(digits) >= SHORTEST_NUMBER and _digits(prefixed[1]) == digits:
        return ""
    return name


def is_same_number(one: str, other: str) -> bool:
    """Whether two ways of showing a number mean the same: a dialplan adds or takes away what is in front."""
    if one == other:
        return True
    mine, theirs = _digits(one)[-LOCAL_DIGITS:], _digits(other)[-LOCAL_DIGITS:]
    return len(mine) == LOCAL_DIGITS and mine == theirs


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def name_of_party(channels: list[Channel]) -> str | None:
    """What a party is called; a line that we dialled has no name of its own."""
    return next((c.caller_name for c in channels if c.caller_name and not is_dialled_line(c)), None)


def is_dialled_line(channel: Channel) -> bool:
    """Whether our side dialled this line."""
    return channel.kind is Kind.TRUNK and channel.dial is not None
