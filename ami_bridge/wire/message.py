"""One AMI message after framing: a kind and its headers, first header wins.

Why first wins: a SIP caller can smuggle CR LF into their number, and Asterisk writes it raw into `CallerIDNum`
(measured on 16.28 and 22.10). What they add comes after the headers Asterisk wrote itself, so the first of a
name is Asterisk's own. The repeats are kept for captures and for judging whether a message is suspicious.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Message(NamedTuple):
    """`kind` is the value of `Event`, or `"Response"` for an answer to an action."""

    kind: str
    fields: dict[str, str]
    """Header name as spelled by Asterisk → value; the first of each name; in the order of the wire."""
    arrived_at: float
    """Unix seconds (UTC) at which the last byte was read. Only a fallback: `Timestamp` is the event's own
    time."""
    repeated: tuple[tuple[str, str], ...] = ()
    """Further headers of a name already seen, in order (`ChanVariable` and `Variable` do so legitimately)."""

    def get(self, name: str, default: str = "") -> str:
        """The header's value, or `default`."""
        return self.fields.get(name, default)

    def as_capture(self) -> dict[str, Any]:
        """One line of a capture file: `t` and `h`, as docs/reference/captures.md describes."""
        pairs = [[name, value] for name, value in self.fields.items()]
        return {"t": self.arrived_at, "h": pairs + [list(pair) for pair in self.repeated]}


def message_from_headers(headers: Iterable[tuple[str, str]], arrived_at: float) -> Message | None:
    """A message from header pairs in wire order; None when it is neither an event nor a response."""
    fields: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for name, value in headers:
        if name in fields:
            repeated.append((name, value))
        else:
            fields[name] = value
    first = next(iter(fields), None)
    if first == "Event":
        kind = fields["Event"]
    elif first == "Response":
        kind = "Response"
    else:
        return None
    return Message(kind, fields, arrived_at, tuple(repeated))
