"""The CSV file that Asterisk's `cel_custom` appends to: read back from its end, and followed over rotation.

Looking back serves a reconnect: the rows of the gap, quickly, however large the file is. Following serves the sweep:
every row once. A row that Asterisk is still writing is left for the next time. `logrotate` may move the file away or
copy and truncate it; the rows not yet read are then taken from `FILE.1` (so let it compress with `delaycompress`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ami_bridge.cel.csv_dialects import decoded
from ami_bridge.cel.rows import cel_form
from ami_bridge.cel.signals import CelReader, CelRow
from telephony.errors import SwitchhookError

FIRST_LOOK_BYTES = 256 * 1024  # about 100 calls: an outage of minutes is read in 10 ms
HEAD_BYTES = 64 * 1024  # what tells how a file is written: its header, or its first rows
TAIL_BYTES = 64 * 1024 * 1024  # about 25 000 calls: more than any outage a person would leave unnoticed


@dataclass(frozen=True, slots=True)
class _Place:
    """How far the file was read."""

    inode: int
    offset: int


class CelFile:
    """One file and, where it was rotated away, its predecessor `FILE.1`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = CelReader()
        self._place: _Place | None = None

    def rows_since(self, since: float, context_since: float) -> tuple[list[CelRow], list[CelRow]]:
        """(rows from `context_since` to `since`, rows after) in Unix seconds, each in time order. Raises OSError."""
        rows = sorted(self._back_to(context_since), key=_at)
        earlier = [row for row in rows if context_since <= row.at <= since]
        return earlier, [row for row in rows if row.at > since]

    def newest(self) -> list[CelRow]:
        """The last rows, some hundreds; of `FILE.1` where the file was just rotated away. Raises OSError without one."""
        if not self._earlier.exists():
            return sorted(self._tail(self.path, float("inf")), key=_at)
        return sorted(self._back_to(float("inf")), key=_at)

    def unread(self, since: float) -> list[CelRow]:
        """Rows appended since the last time, none older than `since` (Unix seconds). Raises OSError."""
        before = self._place
        try:
            if before is None:
                self._place = self._end()
                rows = self._back_to(since)
            else:
                rows = self._after(before)
        except (OSError, SwitchhookError):
            self._place = before  # what could not be read now is read the next time
            raise
        return sorted((row for row in rows if row.at >= since), key=_at)

    def _end(self) -> _Place | None:
        if not self.path.exists():
            return None
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            tail = file.read(min(size, TAIL_BYTES))
            return _Place(self.path.stat().st_ino, size - len(tail) + tail.rfind(b"\n") + 1)

    def _after(self, place: _Place) -> list[CelRow]:
        rows: list[CelRow] = []
        offset = place.offset
        moved = not self.path.exists() or self.path.stat().st_ino != place.inode
        if moved or self.path.stat().st_size < offset:
            rows, place = self._rest_of_earlier(place, moved=moved)
            offset = 0
        if not self.path.exists():
            self._place = place  # nothing there yet: whatever comes is new
            return rows
        fresh, end = self._from(self.path, offset)
        self._place = _Place(self.path.stat().st_ino, end)
        return rows + fresh

    def _rest_of_earlier(self, place: _Place, *, moved: bool) -> tuple[list[CelRow], _Place]:
        """What was not read yet of `FILE.1`, and how far that is. It is the file we read, or a copy of it, or (rotated
        twice since) one of which nothing was read.
        """
        earlier = self._earlier
        if not earlier.exists():
            return [], _Place(0, 0)
        inode = earlier.stat().st_ino
        offset = place.offset if inode == place.inode or not moved else 0
        if earlier.stat().st_size < offset:
            return [], _Place(inode, offset)
        rows, end = self._from(earlier, offset)
        return rows, _Place(inode, end)

    def _from(self, path: Path, offset: int) -> tuple[list[CelRow], int]:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(TAIL_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        return self._rows(path, whole, offset), offset + len(whole)

    def _back_to(self, since: float) -> list[CelRow]:
        own = self._tail(self.path, since) if self.path.exists() else []
        if self._earlier.exists() and not (own and own[0].at < since):
            return [*self._tail(self._earlier, since), *own]
        return own

    def _tail(self, path: Path, since: float) -> list[CelRow]:
        """At least the rows since that moment, at most TAIL_BYTES of them."""
        length = FIRST_LOOK_BYTES
        while True:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - length))
                data = file.read(length)
            begins_at = max(0, size - length)
            if begins_at:
                cut = data.find(b"\n") + 1
                begins_at, data = begins_at + cut, data[cut:]
            rows = self._rows(path, data[: data.rfind(b"\n") + 1], begins_at)
            if size <= length or length >= TAIL_BYTES or (rows and rows[0].at < since):
                return rows
            length *= 4

    def _rows(self, path: Path, data: bytes, begins_at: int) -> list[CelRow]:
        """The rows in a part of the file; how it is written stands at the file's beginning."""
        if not data:
            return []
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        form = cel_form(decoded(head[: head.rfind(b"\n") + 1]))
        return list(self.reader.read_part(decoded(data), form, from_start=begins_at == 0))

    @property
    def _earlier(self) -> Path:
        return self.path.with_name(self.path.name + ".1")


def _at(row: CelRow) -> float:
    return row.at
