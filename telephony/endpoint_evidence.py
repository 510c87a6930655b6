"""What calls show of endpoints that neither the administrator nor the PBX names: phones and trunks by what they do.

| seen                                                                            | so it is                      |
|---------------------------------------------------------------------------------|-------------------------------|
| `99101` begins with the caller ID 101, an extension that its name ends with      | a phone of 101                |
| `PJSIP/alice` is rung without a number (`Dial(PJSIP/alice)`)                     | a phone, of its own caller ID |
| `PJSIP/alice` begins a call with its own name for a number                       | a phone, unnamed              |
| `PJSIP/89161234567@123456`, `SIP/123456/8916…`, `DAHDI/g1/8916…`                 | a trunk                       |
| a call of `123456` from one outside number to another, that no hint knows, rings | a trunk                       |
| a phone, joins a queue or is answered by the PBX before a number is dialled      |                               |
| the same, and it comes in where carriers do (`from-pstn`, `inbound`)             | a trunk, whoever is rung      |

What a call is begun with decides, so a call whose beginning nobody saw, or of which a part went unseen, makes no trunk:
after a lost link a phone that dials out is seen with an outside caller ID at `s` of a routine, and is answered. An endpoint
that was taken for a trunk, is named as an extension and is rung without a number, is a phone again.

The last row but one waits because an extension that dials out with an outside caller ID begins in the very same way.
"""

from __future__ import annotations

import re

from telephony.call_facts.observations import CallRecord, Channel
from telephony.endpoint_directory import Endpoint
from telephony.endpoints import ROUTINE, endpoint_of
from telephony.numbers.numbers import SHORTEST_OUTSIDE, Numbering

SAME_NUMBER = (
    7  # digits at the end of a number that are dialled as they were asked for, whatever is put before them
)

CARRIERS_ENTER = frozenset(
    (
        "carrier",
        "did",
        "dids",
        "external",
        "gateway",
        "inbound",
        "incoming",
        "itsp",
        "provider",
        "pstn",
        "trunk",
    )
)
PHONES_ENTER = frozenset(
    ("internal", "local", "office", "out", "outbound", "outgoing", "phone", "phones", "staff", "to", "users")
)
"""Words in the names of contexts. They decide nothing but this: an endpoint whose own name is of no help."""

_MAC = re.compile(r"(?:[A-Za-z]{0,8})(?:[0-9a-f]{12}|[0-9A-F]{12})|(?:[0-9A-Fa-f]{2}[-_:]){5}[0-9A-Fa-f]{2}")


def is_mac(name: str) -> bool:
    """Whether a name is a phone's hardware address, which is never a telephone number."""
    return _MAC.fullmatch(name) is not None


def learn_from_beginning(numbering: Numbering, channel: Channel) -> Numbering:
    """What the first message of a channel shows of its endpoint. The same numbering when it shows nothing new."""
    endpoint, number = endpoint_of(channel.name), channel.number
    if endpoint is None:
        return numbering
    if _came_in_from_outside(numbering, endpoint, channel):
        return numbering.with_directory(numbering.directory.with_line(endpoint, dialled=False))
    known = numbering.extension_of(endpoint.name, endpoint.tech)
    if (
        number != endpoint.name
        and len(number) >= 2
        and endpoint.name.endswith(number)
        and endpoint.name.isdigit()
        and known in (None, endpoint.name)
        and numbering.is_extension(number)
    ):
        return numbering.with_directory(numbering.directory.with_phone(endpoint, number))
    calls_itself = number == endpoint.name and (is_mac(number) or not number.lstrip("+").isdigit())
    if known is None and calls_itself and not numbering.says_trunk(endpoint):
        return numbering.with_directory(numbering.directory.with_phone(endpoint, endpoint.name))
    return numbering


def learn_from_dial(numbering: Numbering, dest: Channel, dial_string: str) -> Numbering:
    """What the way in which an endpoint is rung shows of it."""
    endpoint = endpoint_of(dest.name)
    if endpoint is None or not dial_string:
        return numbering
    number = _number_through(dial_string, endpoint)
    if number is None:
        return numbering
    known = numbering.extension_of(endpoint.name, endpoint.tech)
    directory = numbering.directory
    if number:
        if directory.is_said(endpoint) or numbering.says_trunk(endpoint):
            return numbering
        return numbering.with_directory(directory.with_line(endpoint, dialled=True))
    if directory.was_line(endpoint) and numbering.looks_like_extension(endpoint.name):
        # Nobody rings a trunk by its name alone: what was supposed of it, by an older release too, was wrong.
        return numbering.with_directory(directory.without_seen_line(endpoint))
    if (known is None and numbering.says_trunk(endpoint)) or known not in (None, endpoint.name):
        return numbering
    own = dest.number if dest.number and numbering.is_extension(dest.number) else endpoint.name
    if known == own or numbering.looks_like_extension(endpoint.name):
        return numbering
    return numbering.with_directory(directory.with_phone(endpoint, own))


def learn_from_service(numbering: Numbering, call: CallRecord) -> Numbering:
    """The call rings a phone, joins a queue or is answered by the PBX: whoever began it did not dial out."""
    first = call.channels.get(call.linked)
    if first is None or not first.real or not _like_a_carrier(first):
        return numbering
    if not first.begun or call.unconfirmed:
        # Seen first in the middle of a call, a phone that dials out wears the outside number that the dialplan gave it
        # and stands at `s` of a routine; what was dialled may be among what nobody saw.
        return numbering
    endpoint = endpoint_of(first.name)
    if endpoint is None or not _only_by_name(numbering, endpoint) or numbering.is_known_line(endpoint):
        return numbering
    if _dialled_out(call, first):
        return numbering
    return numbering.with_directory(numbering.directory.with_line(endpoint, dialled=False))


def _number_through(dial_string: str, endpoint: Endpoint) -> str | None:
    """The number that is dialled through the endpoint, empty when it is rung by its name alone, None when unclear.

    A phone's registered address is no number: `101/sip:71823645@10.0.0.5:5060`.
    """
    for text in dial_string.split(",", 1)[0].split("&"):
        text = text.strip().removeprefix(f"{endpoint.tech}/")
        name, _, rest = text.partition("/")
        if name == endpoint.name:
            return "" if not rest or rest.lower().startswith(("sip:", "sips:")) else _digits(rest)
        number, at, host = text.rpartition("@")
        if at and host == endpoint.name and "/" not in number:
            return _digits(number)
    return None


def _digits(text: str) -> str | None:
    digits = text.lstrip("+")
    return text if len(digits) >= SHORTEST_OUTSIDE and digits.isdigit() else None


def _only_by_name(numbering: Numbering, endpoint: Endpoint) -> bool:
    """Whether nothing but its name makes it an extension."""
    directory = numbering.directory
    if directory.is_hinted(endpoint) or directory.is_said(endpoint):
        return False
    return numbering.extension_of(endpoint.name, endpoint.tech) in (None, endpoint.name)


def _came_in_from_outside(numbering: Numbering, endpoint: Endpoint, channel: Channel) -> bool:
    """An endpoint that only its name makes a phone begins a call as a carrier does, where carriers come in."""
    return (
        channel.begun
        and _like_a_carrier(channel)
        and _is_for_carriers(channel.context)
        and _only_by_name(numbering, endpoint)
        and not numbering.is_known_line(endpoint)
    )


def _is_for_carriers(context: str) -> bool:
    words = set(re.split(r"[^a-z]+", context.lower()))
    return bool(words & CARRIERS_ENTER) and not words & PHONES_ENTER


def _like_a_carrier(channel: Channel) -> bool:
    """Whether a call began as one from outside does: two outside numbers, or one and no particular extension."""
    if channel.dial is not None or channel.rung:
        return False
    caller, asked = channel.number.lstrip("+"), channel.exten.lstrip("+")
    return _is_outside(caller) and (_is_outside(asked) or channel.exten in ROUTINE - {""})


def _is_outside(digits: str) -> bool:
    return digits.isdigit() and len(digits) >= SHORTEST_OUTSIDE


def _dialled_out(call: CallRecord, first: Channel) -> bool:
    """Whether the number that was asked for was dialled on: then the caller is one of ours."""
    wanted = first.exten[-SAME_NUMBER:]
    return any(
        channel.dial is not None and wanted in channel.dial.dial_string
        for channel in call.channels.values()
        if channel is not first
    )
