"""Bytes in, whole AMI messages out. No socket, no clock: feed it the same bytes in any pieces, get the same
messages.

Asterisk ends a message by an empty line. Some versions send an extra CR LF between messages, and some list
answers (`CoreShowChannelMap`) end in CR LF LF; strict framing lost 80 of 28,481 events to these two. The
banner is one line with no empty line behind it. All three are tolerated here, and nothing that arrives can
raise.

A block that starts with neither `Event` nor `Response` comes out as a fragment (kind `""`): it is the tail of
a message that a caller cut in two by line breaks in their number, and `ami_bridge.quarantine` needs to see it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ami_bridge.wire.legacy_text import text_of
from ami_bridge.wire.message import Message, message_from_headers

MESSAGE_CAP_BYTES = (
    64 * 1024
)  # the largest real message seen is 3 kB; a Status with many variables may reach 20 kB
NAME_CAP_CHARACTERS = 300  # real header names stay under 40; a longer one is no header
SHAPES_CAP = 4_096  # distinct header sequences remembered as sound; a whole lab run shows fewer than 200
FRAGMENT = ""
"""The `kind` of a block that starts with neither `Event` nor `Response`."""
NOT_A_HEADER = ""
"""The name under which a line that is no header is kept in `Message.repeated`."""

_END = b"\r\n\r\n"
_SHORT_END = b"\r\n\n"
_BANNER = b"Asterisk Call Manager"
_HEADER_NAME = re.compile(r"[A-Za-z][\w.()-]*", re.ASCII)


@dataclass(slots=True)
class FramerCounters:
    """What went through a framer since it was made."""

    received_bytes: int = 0
    messages: int = 0
    """Messages handed out, fragments included."""
    unwanted: int = 0
    """Events dropped undecoded because nobody asked for their name."""
    fragments: int = 0
    """Blocks that start with neither `Event` nor `Response`."""
    oversize: int = 0
    """Messages over 64 kB, skipped to the next empty line."""


def headers_of(text: str) -> Iterable[tuple[str, str]]:
    """The header pairs of one block in wire order; a line that is no header comes under the name
    `NOT_A_HEADER`."""
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon and len(name) <= NAME_CAP_CHARACTERS and _HEADER_NAME.fullmatch(name):
            yield name, value.removeprefix(" ")
        elif line:
            yield NOT_A_HEADER, line


def message_or_fragment(headers: Iterable[tuple[str, str]], arrived_at: float) -> Message | None:
    """A message from header pairs, or a fragment when it has no proper beginning; None when there is nothing
    in it.

    Lines that are no headers go to `repeated`, where `ami_bridge.quarantine` finds them.
    """
    pairs = list(headers)
    if not pairs:
        return None
    named = [pair for pair in pairs if pair[0] != NOT_A_HEADER]
    junk = tuple(pair for pair in pairs if pair[0] == NOT_A_HEADER)
    starts_well = pairs[0][0] != NOT_A_HEADER
    message = message_from_headers(named, arrived_at) if starts_well else None
    if message is None:
        message = _fragment(named, arrived_at)
    return message._replace(repeated=message.repeated + junk) if junk else message


def _fragment(named: list[tuple[str, str]], arrived_at: float) -> Message:
    fields: dict[str, str] = {}
    repeated: list[tuple[str, str]] = []
    for name, value in named:
        if name in fields:
            repeated.append((name, value))
        else:
            fields[name] = value
    return Message(FRAGMENT, fields, arrived_at, tuple(repeated))


class Framer:
    """Cuts one link's bytes into messages. One framer per connection.

    `wanted` are the event names (bytes) worth decoding; None means all. Answers and fragments always come
    through.
    """

    __slots__ = ("_buffer", "_shapes", "_skipping", "banner", "counters", "only_with", "wanted")

    def __init__(
        self,
        wanted: frozenset[bytes] | None = None,
        only_with: Mapping[bytes, re.Pattern[bytes]] | None = None,
    ) -> None:
        """`only_with`: for an event name, what its bytes must hold besides to be wanted."""
        self.wanted = wanted
        self.only_with = only_with or {}
        self.banner = ""
        """`Asterisk Call Manager/11.0.0` once it has been read; empty when the peer sent none."""
        self.counters = FramerCounters()
        self._buffer = bytearray()
        self._skipping = False
        self._shapes: set[tuple[str, ...]] = set()

    def feed(self, data: bytes, arrived_at: float) -> list[Message]:
        """The messages that `data` completes, in wire order, stamped with `arrived_at` (Unix seconds)."""
        buffer = self._buffer
        self.counters.received_bytes += len(data)
        # An end may straddle two pieces: look again at the three bytes before the new ones.
        search_from = max(0, len(buffer) - len(_END) + 1)
        buffer += data
        end = max(
            self._after_last(_END, search_from),
            self._after_last(_SHORT_END, search_from),
        )
        messages: list[Message] = []
        if end:
            blocks = self._split(bytes(memoryview(buffer)[:end]))
            del buffer[:end]
            if self._skipping:
                self._skipping = False
                blocks = blocks[1:]
            for block in blocks:
                message = self._decode(block, arrived_at)
                if message is not None:
                    messages.append(message)
        self._trim()
        self.counters.messages += len(messages)
        return messages

    def take_banner(self) -> str:
        """The banner if it is already complete in the buffer; it is taken out. Used before the first
        message."""
        self._strip_leading_breaks()
        line, found, _ = bytes(self._buffer).partition(b"\r\n")
        if found and line.startswith(_BANNER):
            self.banner = line.decode(errors="replace")
            del self._buffer[: len(line) + 2]
        return self.banner

    def pending(self) -> bytes:
        """Bytes read but not yet complete (for telling what a peer that is no AMI sent)."""
        return bytes(self._buffer)

    def _after_last(self, mark: bytes, search_from: int) -> int:
        at = self._buffer.rfind(mark, search_from)
        return at + len(mark) if at >= 0 else 0

    @staticmethod
    def _split(data: bytes) -> list[bytes]:
        blocks = data.split(_END)
        if _SHORT_END in data:
            blocks = [piece for block in blocks for piece in block.split(_SHORT_END)]
        return blocks

    def _trim(self) -> None:
        """Keeps the buffer small whatever the peer sends."""
        if not self._skipping:
            self._strip_leading_breaks()
            if len(self._buffer) > MESSAGE_CAP_BYTES + len(_END):
                self.counters.oversize += 1
                self._skipping = True
        if self._skipping:
            del self._buffer[: -(len(_END) - 1)]

    def _strip_leading_breaks(self) -> None:
        if self._buffer.startswith((b"\r", b"\n")):
            self._buffer[:] = self._buffer.lstrip(b"\r\n")

    def _decode(self, block: bytes, arrived_at: float) -> Message | None:
        if block[:7] != b"Event: ":
            block = block.lstrip(b"\r\n")
            if not self.banner and block.startswith(_BANNER):
                line, _, block = block.partition(b"\r\n")
                self.banner = line.decode(errors="replace")
            if not block:
                return None
        if self.wanted is not None and block[:7] == b"Event: ":
            end = block.find(b"\r\n", 7)
            name = block[7 : end if end >= 0 else None]
            if name not in self.wanted or (
                name in self.only_with and self.only_with[name].search(block, end) is None
            ):
                self.counters.unwanted += 1
                return None
        if len(block) > MESSAGE_CAP_BYTES:
            self.counters.oversize += 1
            return None
        return self._message(text_of(block), arrived_at)

    def _message(self, text: str, arrived_at: float) -> Message | None:
        lines = text.split("\r\n")
        try:
            fields: dict[str, str] = dict([line.split(": ", 1) for line in lines])
        except ValueError:
            fields = {}
        if len(fields) == len(lines):
            shape = tuple(fields)
            if shape in self._shapes or self._learn(shape):
                kind = fields["Event"] if shape[0] == "Event" else "Response"
                return Message(kind, fields, arrived_at)
        message = message_or_fragment(headers_of(text), arrived_at)
        if message is not None and message.kind == FRAGMENT:
            self.counters.fragments += 1
        return message

    def _learn(self, shape: tuple[str, ...]) -> bool:
        """Whether this sequence of header names is sound; remembered, so that the next such message costs one
        lookup."""
        sound = shape[0] in ("Event", "Response") and all(
            len(name) <= NAME_CAP_CHARACTERS and _HEADER_NAME.fullmatch(name) for name in shape
        )
        if sound and len(self._shapes) < SHAPES_CAP:
            self._shapes.add(shape)
        return sound
