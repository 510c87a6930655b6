"""Writing an action as bytes, safely: what a value says can never become another header or another action."""

from __future__ import annotations

from collections.abc import Iterable

from telephony.errors import OurMistake

LINE_CAP_BYTES = 1_000  # Asterisk refuses a line of 5,000 ("line too long"); its own buffer is 1,024 on 16
_FORBIDDEN = ("\r", "\n", "\0")


def action_bytes(headers: Iterable[tuple[str, str]]) -> bytes:
    """The headers as one AMI message. Raises OurMistake for CR, LF or NUL anywhere, or a line over 1,000
    bytes."""
    return b"".join([_line(name, value) for name, value in headers]) + b"\r\n"


def _line(name: str, value: str) -> bytes:
    if not name or ":" in name or any(mark in name or mark in value for mark in _FORBIDDEN):
        raise OurMistake(f"A line break or NUL in the header {name[:40]!r} of an AMI action was refused.")
    line = f"{name}: {value}".encode()
    if len(line) > LINE_CAP_BYTES:
        raise OurMistake(f"The header {name[:40]!r} of an AMI action is longer than {LINE_CAP_BYTES} bytes.")
    return line + b"\r\n"
