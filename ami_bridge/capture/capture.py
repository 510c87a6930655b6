"""Captures: what a PBX said, kept in a file so that it can be told again.

A capture is JSON Lines, one message a line: `t` is the time of arrival in Unix seconds, `h` the header pairs
in wire order, repeats included. It may be compressed (`.gz`). Raw AMI bytes (`.raw`) are read too. A broken
line is counted and passed over: a capture is a bug report, often cut off in the middle.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from ami_bridge.wire.framing import Framer, message_or_fragment
from ami_bridge.wire.message import Message

RAW_READ_BYTES = 64 * 1024  # a raw capture has no times; the file is read in pieces like a socket
# a 64 kB message grows at most sixfold by JSON's escapes; longer is no capture
LINE_CAP_CHARACTERS = 1_000_000


@dataclass(slots=True)
class CaptureCounters:
    """How a reading went."""

    messages: int = 0
    broken: int = 0
    """Lines that are no capture line, and a compressed file that ends in the middle."""


def read_capture(path: Path, counters: CaptureCounters | None = None) -> Iterator[Message]:
    """The messages of a capture file, in order. Raises OSError when the file cannot be opened.

    Messages of a raw file bear their event's `Timestamp` as time of arrival, 0 where there is none.
    """
    counters = counters if counters is not None else CaptureCounters()
    messages = (
        _raw_messages(path, counters) if _plain_suffix(path) == ".raw" else _json_messages(path, counters)
    )
    for message in messages:
        counters.messages += 1
        yield message


def _plain_suffix(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _json_messages(path: Path, counters: CaptureCounters) -> Iterator[Message]:
    with _open(path) as file:
        while True:
            try:
                line = file.readline(LINE_CAP_CHARACTERS)
            except (EOFError, OSError, zlib.error):
                counters.broken += 1
                return
            if not line:
                return
            message = _message_of(line) if line.strip() else None
            if message is not None:
                yield message
            elif line.strip():
                counters.broken += 1


def _message_of(line: bytes) -> Message | None:
    try:
        entry: Any = json.loads(line)
        pairs = [(str(name), str(value)) for name, value in entry["h"]]
        arrived_at = float(entry["t"])
        if (
            not 0.0 <= arrived_at < 4e9
        ):  # no time of this century, or no number at all: no calendar could hold it
            return None
        return message_or_fragment(pairs, arrived_at)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def _raw_messages(path: Path, counters: CaptureCounters) -> Iterator[Message]:
    framer = Framer()
    bare: bool | None = None
    with _open(path) as file:
        while True:
            try:
                data = file.read(RAW_READ_BYTES)
            except (EOFError, OSError, zlib.error):
                counters.broken += 1
                return
            if not data:
                return
            if bare is None:
                bare = b"\r\n" not in data
            if bare:  # saved by an editor, or copied through one: a wire always has CR LF
                data = data.replace(b"\n", b"\r\n")
            for message in framer.feed(data, 0.0):
                yield message._replace(arrived_at=_own_time(message))


def _own_time(message: Message) -> float:
    try:
        at = float(message.get("Timestamp", "0"))
    except ValueError:
        return 0.0
    return at if 0.0 <= at < 4e9 else 0.0


class CaptureWriter:
    """Appends messages to a capture file; what was written is on the disk when it closes. Not compressed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        """Messages so far."""
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Opens for appending, readable by the owner only: a capture holds numbers."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "a", encoding="utf-8", newline="\n")
        return self

    def write(self, message: Message) -> None:
        """One line. Raises OSError when the disk is full."""
        if self._file is None:
            raise ValueError("the capture is not open")
        json.dump(message.as_capture(), self._file, ensure_ascii=False, separators=(",", ":"))
        self._file.write("\n")
        self.written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes, with the bytes on the disk."""
        if self._file is None:
            return
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._file = None
