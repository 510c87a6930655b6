"""The lines kept behind a call, written out as a capture that can be given away and still tells the same call.

Besides AMI messages (`h`) such a capture may hold CEL rows (`cel`) and marks (`mark`); `switchhook replay` reads all
three (docs/reference/captures.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ami_bridge.capture.redaction import Redactor
from ami_bridge.wire.message import Message

Line = Mapping[str, Any]
_NAMED = {"cidname": "CallerIDName"}
"""CEL columns that hold a person's name → the header that the redactor knows for one."""
_KEPT_CELLS = frozenset({"eventtype", "eventtime", "uniqueid", "linkedid", "amaflags"})


def in_order(lines: Iterable[Line]) -> list[Line]:
    """Each line once, by time; lines of one moment keep the order in which they were kept."""
    once: dict[str, Line] = {}
    for line in lines:
        once.setdefault(json.dumps(line, sort_keys=True, ensure_ascii=False), line)
    return sorted(once.values(), key=lambda line: float(line["t"]))


def as_capture(lines: Iterable[Line], redactor: Redactor | None) -> Iterator[str]:
    """JSON lines, newline included. Without a redactor they hold everybody's numbers and names."""
    for line in in_order(lines):
        told = line if redactor is None else _redacted(line, redactor)
        yield json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n"


def _redacted(line: Line, redactor: Redactor) -> Line:
    if "h" in line:
        pairs = [(str(name), str(value)) for name, value in line["h"]]
        return {**line, "h": [list(pair) for pair in _redacted_pairs(pairs, redactor)]}
    if "cel" in line:
        cells = {str(name): str(value) for name, value in line["cel"].items()}
        return {**line, "cel": {name: _cell(name, value, redactor) for name, value in cells.items()}}
    return line


def _cell(name: str, value: str, redactor: Redactor) -> str:
    if name in _KEPT_CELLS:
        return value
    return _redacted_pairs([(_NAMED.get(name, name), value)], redactor)[0][1]


def _redacted_pairs(pairs: list[tuple[str, str]], redactor: Redactor) -> list[tuple[str, str]]:
    redacted: list[tuple[str, str]] = []
    for name, value in pairs:
        message = redactor.message(Message("", {name: value}, 0.0))
        redacted.append((name, message.fields[name]))
    return redacted
