"""The CSV file that Asterisk's `cel_custom` appends to: read from the end backwards, over one rotation."""

from __future__ import annotations

from pathlib import Path

from ami_bridge.cel import CelReader, CelRow

TAIL_BYTES = 64 * 1024 * 1024  # about 25 000 calls: more than any outage a person would leave unnoticed
CONTEXT_SECONDS = 4 * 3600.0  # rows before the gap that are read for the names of channels still alive in it


class CelFile:
    """One file; `path.1` is looked at too, because logrotate may have run during the outage."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = CelReader()

    def rows_since(self, since: float) -> tuple[list[CelRow], list[CelRow]]:
        """(rows shortly before, rows after) that moment (Unix seconds), each in time order. Raises OSError."""
        rows: list[CelRow] = []
        for path in (self.path.with_name(self.path.name + ".1"), self.path):
            if path.exists():
                rows += self._tail(path)
        rows.sort(key=lambda row: row.at)
        earlier = [row for row in rows if since - CONTEXT_SECONDS <= row.at <= since]
        return earlier, [row for row in rows if row.at > since]

    def _tail(self, path: Path) -> list[CelRow]:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            if size > TAIL_BYTES:
                file.readline()
            text = file.read().decode("utf-8", "replace")
        return list(self.reader.read(text.splitlines(keepends=True)))
