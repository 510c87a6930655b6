"""Which calls the channel event log knows: rows sorted into groups that have nothing to do with each other.

A group is what must be told together: channels under one linked id, under ids that became one, and those that a
transfer names. Usually that is one call; a call and a consultation about it are one group too. Whether a group is
missing from the journal is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ami_bridge.cel.signals import OUTGOING, CelRow

SETTLE_SECONDS = 20.0  # rows come within 0.1 s of what they tell, on a loaded PBX within some seconds
WINDOW_SECONDS = 24 * 3600.0  # how far back a sweep looks
_NAMES_OTHERS = (
    "transferee_channel_uniqueid",
    "transfer_target_channel_uniqueid",
    "channel2_uniqueid",
)


@dataclass(frozen=True, slots=True)
class CelGroup:
    """Rows of calls that belong together, in time order."""

    rows: tuple[CelRow, ...]

    @property
    def uids(self) -> frozenset[str]:
        """Its channels."""
        return frozenset(row.look.uid for row in self.rows)

    @property
    def last_at(self) -> float:
        """Time of its newest row, Unix seconds."""
        return self.rows[-1].at

    @property
    def whole(self) -> bool:
        """Whether it shows the beginning: a group cut off at the edge of the window cannot be told from CEL."""
        return self.rows[0].kind == "CHAN_START"


def tells_no_bridges(rows: Iterable[CelRow]) -> bool:
    """Whether somebody was reached and no row says who talked with whom: `events` of cel.conf lacks BRIDGE_ENTER."""
    kinds = {row.kind for row in rows if row.kind != "ANSWER" or row.app in OUTGOING}
    return "ANSWER" in kinds and "BRIDGE_ENTER" not in kinds


def groups_of(rows: Iterable[CelRow]) -> list[CelGroup]:
    """The groups, in order of their first rows. Rows in time order."""
    ordered = list(rows)
    kin = _Kin()
    for row in ordered:
        for other in _others(row):
            kin.join(row.look.uid, other)
    found: dict[str, list[CelRow]] = {}
    for row in ordered:
        found.setdefault(kin.head(row.look.uid), []).append(row)
    return [CelGroup(tuple(group)) for group in found.values()]


def _others(row: CelRow) -> Iterator[str]:
    if row.look.linked:
        yield row.look.linked
    for name in _NAMES_OTHERS:
        other = row.extra.get(name)
        if isinstance(other, str) and other:
            yield other


class _Kin:
    """Union-find over channel and linked ids."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def head(self, uid: str) -> str:
        parent = self._parent
        while (above := parent.get(uid, uid)) != uid:
            parent[uid] = parent.get(above, above)
            uid = above
        return uid

    def join(self, one: str, other: str) -> None:
        self._parent[self.head(other)] = self.head(one)


class Sweep:
    """Rows as they come, handed out group by group once nothing more is to be expected of them."""

    def __init__(self) -> None:
        self._held: list[CelRow] = []
        self.unsettled = False
        """Whether more may still come of a group that nothing living belongs to: look again in `SETTLE_SECONDS`."""

    def settled(self, rows: Iterable[CelRow], now: float, is_live: Callable[[str], bool]) -> list[CelGroup]:
        """Groups without a live channel whose last row is some time ago (`now` is the PBX's, Unix seconds)."""
        ready: list[CelGroup] = []
        held: list[CelRow] = []
        self.unsettled = False
        for group in groups_of(sorted([*self._held, *rows], key=lambda row: row.at)):
            lives = any(map(is_live, group.uids))
            if group.last_at < now - SETTLE_SECONDS and not lives:
                ready.append(group)
            elif group.last_at > now - WINDOW_SECONDS:
                held += group.rows
                self.unsettled |= not lives
        self._held = sorted(held, key=lambda row: row.at)
        return ready

    def put_back(self, groups: Iterable[CelGroup]) -> None:
        """These could not be looked at now: hand them out again the next time."""
        self._held = sorted(
            [*self._held, *(row for group in groups for row in group.rows)], key=lambda row: row.at
        )
