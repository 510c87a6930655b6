"""What a channel's name says: technology, endpoint, and which half of a Local channel it is."""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from telephony.endpoint_directory import TECHNOLOGIES, Endpoint
from telephony.numbers.numbers import Numbering


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


_HEX_SUFFIX = re.compile(r"-[0-9a-fA-F]{6,10}(?:;[12])?$")
_SUFFIXES = {
    # chan_iax2 numbers its calls in decimals, 1 to 32767; chan_dahdi the subchannels of a line, `DAHDI/31-1`.
    "IAX2": re.compile(r"-[0-9]{1,5}$"),
    "DAHDI": re.compile(r"-[0-9a-fA-F]{1,5}$"),
    "MGCP": re.compile(r"-[0-9]{1,5}$"),
}
"""What channel drivers put behind the endpoint; the others put eight hexadecimal digits (`PJSIP/101-0000003a`)."""
_SPAN = re.compile(r"(i[0-9]{1,3})/.*", re.DOTALL)
"""An ISDN channel names the number as well, `DAHDI/i1/89161234567-a`: the span is the endpoint."""


NAMES_REMEMBERED = 8_192  # of channels; several messages follow each other about the same one


@lru_cache(maxsize=NAMES_REMEMBERED)
def parse_name(name: str) -> Name:
    """Take a channel name such as `PJSIP/101-0000003a` or `Local/105@ctx-0000000a;2` apart. Never raises."""
    tech, _, rest = name.partition("/")
    if tech == "Local":
        return Name(tech, rest.partition("@")[0], name.rpartition(";")[0] or name)
    endpoint = _SUFFIXES.get(tech, _HEX_SUFFIX).sub("", rest)
    if tech == "DAHDI" and (span := _SPAN.fullmatch(endpoint)):
        endpoint = span[1]
    return Name(tech, endpoint, "")


@lru_cache(maxsize=NAMES_REMEMBERED)
def endpoint_of(channel_name: str) -> Endpoint | None:
    """The endpoint behind a channel of that name; None for the PBX's own channels and Local ones. Never raises."""
    name = parse_name(channel_name)
    if name.tech not in TECHNOLOGIES or not name.endpoint:
        return None
    return Endpoint(name.tech, name.endpoint)


def kind_and_extension(name: Name, numbering: Numbering) -> tuple[Kind, str]:
    """What stands behind a channel of that name, and of a phone its extension (else empty)."""
    if name.tech == "Local":
        return Kind.LOCAL, ""
    if name.tech in MACHINERY or not name.endpoint:
        return Kind.MACHINERY, ""
    extension = numbering.extension_of(name.endpoint, name.tech)
    return (Kind.TRUNK, "") if extension is None else (Kind.EXTENSION, extension)


def kind_of(name: Name, numbering: Numbering) -> Kind:
    """What stands behind a channel of that name."""
    return kind_and_extension(name, numbering)[0]


def dialled_number(dial_string: str, endpoint: str = "") -> str:
    """The number in a dial string that goes to a trunk; empty when there is none.

    `+79161234567@trunk`, `PJSIP/89161234567@trunk`, `trunk/sip:8916…@host`, `DAHDI/g1/8916…` are all met in the field.
    The name of the `endpoint` that is rung is no number, even one of digits: `001122334455/sip:001122334455@10.0.0.7`.
    """
    for part in dial_string.split("/"):
        candidate = part.removeprefix("sip:").partition("@")[0]
        if candidate == endpoint:
            continue
        digits = candidate.lstrip("+")
        if len(digits) >= 3 and digits.isdigit():
            return candidate
    return ""
