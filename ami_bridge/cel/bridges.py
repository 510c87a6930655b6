"""Which bridge a row of the channel event log speaks of, also where `extra`, which names it, was not kept.

Without it the rows say enough: who comes into a bridge where others are has them as `peer`. Where not even that was
kept, the second of two that come in under one linked id has joined the first, unless both were called; and who leaves
one bridge and comes into another at the moment that somebody leaves the second has changed places with them: that is how
an attended transfer ends.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from ami_bridge.cel.rows import CelRow

CALLED = ("AppDial", "AppQueue")
SWAP_SECONDS = 0.05  # measured 3 ms from the first leaving to the entering, Asterisk 16 and 22
RECENT = 64  # exits; those of 0.05 s are wanted
REMEMBERED = 10_000  # channels; a log that never says where one ended does not fill the memory


class BridgeGuess:
    """Follows who is where. Rows in time order."""

    def __init__(self) -> None:
        self._place: OrderedDict[str, str] = OrderedDict()
        """Channel name → bridge, of channels that are in one that no row named."""
        self._members: dict[str, dict[str, CelRow]] = {}
        self._exits: deque[tuple[float, str, str]] = deque(maxlen=RECENT)
        """(when, who, which bridge) of the last exits."""
        self._taken: OrderedDict[str, str] = OrderedDict()
        self._peers_known = False
        self._made = 0

    def entered(self, row: CelRow) -> str:
        """The bridge that the row's channel came into."""
        if named := str(row.extra.get("bridge_id", "")):
            return named
        bridge = self._of_peers(row) or self._of_a_swap(row) or self._of_one_who_waits(row) or self._new(row)
        self._take_out(row.look.name)
        self._place[row.look.name] = bridge
        self._members.setdefault(bridge, {})[row.look.name] = row
        while len(self._place) > REMEMBERED:
            self._take_out(next(iter(self._place)))
        return bridge

    def left(self, row: CelRow) -> str:
        """The bridge that the row's channel left; empty when nobody saw it come."""
        if named := str(row.extra.get("bridge_id", "")):
            return named
        bridge = self._take_out(row.look.name)
        if bridge and row.kind == "BRIDGE_EXIT":
            self._exits.append((row.at, row.look.name, bridge))
        return bridge

    def picked_up(self, taker_linked: str, linked: str) -> None:
        """Whoever takes a call over comes into its bridge under the linked id of their own attempt."""
        self._taken[taker_linked] = linked
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)

    def _call_of(self, row: CelRow) -> str:
        return self._taken.get(row.look.linked, row.look.linked)

    def _of_peers(self, row: CelRow) -> str:
        peers = [name for name in row.cells.get("peer", "").split(",") if name]
        self._peers_known = self._peers_known or bool(peers)
        return next((self._place[name] for name in peers if name in self._place), "")

    def _of_one_who_waits(self, row: CelRow) -> str:
        for bridge, members in reversed(self._members.items()):
            other = next(iter(members.values()))
            alone = len(members) == 1 and other.look.uid != row.look.uid
            if (
                alone
                and self._call_of(other) == self._call_of(row)
                and not self._peers_known
                and not (row.app in CALLED and other.app in CALLED)
            ):
                return bridge
        return ""

    def _of_a_swap(self, row: CelRow) -> str:
        """The bridge in which one member waits because somebody else left it just now, as this channel left its own."""
        just_now = [(who, bridge) for at, who, bridge in self._exits if 0 <= row.at - at <= SWAP_SECONDS]
        own = [bridge for who, bridge in just_now if who == row.look.name]
        if self._peers_known or not own:
            return ""
        others = (bridge for who, bridge in reversed(just_now) if who != row.look.name and bridge not in own)
        return next((bridge for bridge in others if len(self._members.get(bridge, ())) == 1), "")

    def _new(self, row: CelRow) -> str:
        self._made += 1
        return f"unnamed {row.look.linked} {self._made}"

    def _take_out(self, name: str) -> str:
        bridge = self._place.pop(name, "")
        members = self._members.get(bridge, {})
        members.pop(name, None)
        if bridge and not members:
            del self._members[bridge]
        return bridge
