"""Numbers and names in a capture replaced, so that it can be given away and still tells the same call.

The same number becomes the same other number everywhere in one capture: as a caller, inside a channel's name,
a dial string, a file name. The key is random and forgotten, so nobody can try numbers against the result.
Extensions (2–6 digits) stay, for they are needed to understand a call. Ids, times and states stay as they
are.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from ami_bridge.wire.message import Message

_NAMES = (
    "Alder",
    "Birch",
    "Cedar",
    "Elm",
    "Fir",
    "Hazel",
    "Juniper",
    "Larch",
    "Maple",
    "Oak",
    "Pine",
    "Rowan",
    "Yew",
)

_KEPT_HEADER = re.compile(
    r"(?:Event|Response|Privilege|Timestamp|SystemName|ActionID|Message|EventList|ListItems|Uptime|LastReload"
    r"|Cause|Cause-txt|TechCause|(?:Bridge|Call|Session)ID|\w*(?:[Uu]nique[Ii][Dd]\d?|[Ll]inked[Ii][Dd])"
    r"|(?:Dest)?ChannelState(?:Desc)?|(?:Event|Session)TV|\w*(?:Time|Date|Seconds|Duration|NTP))"
)
"""Headers whose digits are ids, times or states, never a person's."""

_NAME_HEADER = re.compile(r"(?:CallerIDName|ConnectedLineName|CallerIDname|MemberName|CallerName)$")
_ADDRESS_HEADER = re.compile(r"(?:LocalAddress|RemoteAddress)$")
_NO_NAME = frozenset({"", "<unknown>", "anonymous", "Anonymous", "unknown"})
# 2–6 digits are extensions, feature codes and short services: a number has seven or more.
# An id of Asterisk (1795313139.21, 1795313139.5) is not a number although it has ten digits.
_ID_OR_NUMBER = re.compile(r"(?P<id>\b\d{9,11}\.\d+\b)|(?P<number>\+?\d{7,})")
_ID_OR_SHORT_NUMBER = re.compile(
    r"(?P<id>\b\d{9,11}\.\d+\b)|(?<![0-9A-Za-z])(?P<number>\+?\d{2,})(?![0-9A-Za-z])"
)
_QUOTED_NAME = re.compile(r'"([^"<>]*)"(\s*<)')
_ADDRESS = re.compile(r"\b(?!127\.)\d{1,3}(?:\.\d{1,3}){3}\b")
_HEXADECIMAL = re.compile(r"-[0-9a-f]{8}(?=[;/,&|]|$)")  # the running number at the end of a channel's name


class Redactor:
    """Replaces numbers and names, each always by the same. One redactor per capture."""

    def __init__(self, key: bytes | None = None, *, keep_extensions: bool = True) -> None:
        self._key = key if key is not None else secrets.token_bytes(32)
        self._pattern = _ID_OR_NUMBER if keep_extensions else _ID_OR_SHORT_NUMBER
        self._names: set[str] = set()

    def message(self, message: Message) -> Message:
        """The message without anybody's number or name."""
        return Message(
            message.kind,
            {name: self._value(name, value) for name, value in message.fields.items()},
            message.arrived_at,
            tuple((name, self._value(name, value)) for name, value in message.repeated),
        )

    def number(self, number: str) -> str:
        """Another number of the same length, with the same plus and the same first digit."""
        plus = "+" if number.startswith("+") else ""
        digits = number.removeprefix("+")
        # By the last ten digits, so that +7916… and 8916… stay the same subscriber.
        significant = digits[-10:]
        replaced = self._digits(significant)
        head = digits[: len(digits) - len(significant)]
        return plus + head + replaced

    def name(self, name: str) -> str:
        """A plausible name of nobody."""
        if name in _NO_NAME:
            return name
        digest = self._digest("name", name)
        first = _NAMES[digest[0] % len(_NAMES)]
        return f"{first} {int.from_bytes(digest[1:3]):05d}"

    def _value(self, name: str, value: str) -> str:
        if _KEPT_HEADER.fullmatch(name):
            return value
        if _NAME_HEADER.search(name):
            return self._remembered_name(value)
        return self._text(value)

    def _remembered_name(self, value: str) -> str:
        if value not in _NO_NAME and not value.isdigit() and len(self._names) < 10_000:
            self._names.add(value)
        if value.removeprefix("+").isdigit():
            return self._text(value)
        return self.name(value)

    def _text(self, value: str) -> str:
        if value in self._names:
            return self.name(value)
        value = _QUOTED_NAME.sub(lambda found: f'"{self.name(found[1])}"{found[2]}', value)
        value = _ADDRESS.sub("192.0.2.1", value)
        pieces: list[str] = []
        at = 0
        for running in _HEXADECIMAL.finditer(value):
            pieces += [self._numbers(value[at : running.start()]), running[0]]
            at = running.end()
        return "".join([*pieces, self._numbers(value[at:])])

    def _numbers(self, text: str) -> str:
        return self._pattern.sub(lambda found: found["id"] or self.number(found["number"]), text)

    def _digits(self, digits: str) -> str:
        digest = int.from_bytes(self._digest("number", digits))
        return digits[0] + str(digest % 10 ** (len(digits) - 1)).zfill(len(digits) - 1)

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self._key, f"{kind}:{text}".encode(), hashlib.sha256)
