"""What a channel's name says: technology, endpoint, and which half of a Local channel it is."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from telephony.numbers import Numbering


class Kind(Enum):
    """What stands behind a channel."""

    EXTENSION = "extension"
    TRUNK = "trunk"
    LOCAL = "local"
    MACHINERY = "machinery"
    """The PBX's own helpers (recorders, announcers, spies' halves): nobody's leg."""


MACHINERY = frozenset(
    {
        "Announcer",
        "AsyncGoto",
        "Bridge",
        "CBAnn",
        "CBRec",
        "ConfBridgeRecorder",
        "Message",
        "MulticastRTP",
        "OutgoingSpoolFailed",
        "Recorder",
        "Snoop",
        "Surrogate",
        "UnicastRTP",
    }
)


ROUTINE = frozenset({"", "s", "i", "t", "h"})
"""Extens that are the dialplan's own (start, invalid, timeout, hang-up): nobody dialled them."""


VOICEMAIL_APPS = frozenset({"VoiceMail", "VoiceMailMain", "MinivmRecord", "Voicemail"})
"""Services in which the caller speaks with a mailbox."""


class Name(NamedTuple):
    """A parsed channel name."""

    tech: str
    endpoint: str
    half: str
    """For Local channels what both halves share (`Local/105@from-staff-0000000a`); empty otherwise."""


_SUFFIX = re.compile(r"-[0-9a-fA-F]{6,8}(?:;[12])?$")


@lru_cache(maxsize=8_192)
def parse_name(name: str) -> Name:
    """Take a channel name such as `PJSIP/101-0000003a` or `Local/105@ctx-0000000a;2` apart. Never raises."""
    tech, _, rest = name.partition("/")
    if tech == "Local":
        return Name(tech, rest.partition("@")[0], name.rpartition(";")[0] or name)
    return Name(tech, _SUFFIX.sub("", rest), "")


def kind_of(name: Name, numbering: Numbering) -> Kind:
    """What stands behind a channel of that name."""
    if name.tech == "Local":
        return Kind.LOCAL
    if name.tech in MACHINERY or not name.endpoint:
        return Kind.MACHINERY
    return Kind.EXTENSION if numbering.is_extension(name.endpoint) else Kind.TRUNK


def dialled_number(dial_string: str) -> str:
    """The number in a dial string that goes to a trunk; empty when there is none.

    `+79161234567@trunk`, `PJSIP/89161234567@trunk`, `trunk/sip:8916…@host`, `DAHDI/g1/8916…` are all met in the field.
    """
    for part in dial_string.split("/"):
        candidate = part.removeprefix("sip:").partition("@")[0]
        digits = candidate.lstrip("+")
        if len(digits) >= 3 and digits.isdigit():
            return candidate
    return ""
