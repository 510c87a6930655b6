"""How fast AMI bytes become call facts, and what a live call costs: `python -m bench intake [--copies N]`.

The stream is the captures of `tests/captures` (read = all: every event a PBX sends), one after another with renamed
ids, so that all calls are distinct; without nasty_callerid, whose forged events end panoramisk's parser. In the same
run, on the same bytes and one core: the whole line of Switchhook, panoramisk's own event path with one handler for
everything, and cacofonisk behind panoramisk as its own runner wires it. Best of three runs each.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.metadata
import logging
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cacofonisk.handlers import EventHandler
from cacofonisk.reporters import BaseReporter
from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from ami_bridge.interpreter import WANTED, WANTED_ONLY_WITH, Interpreter
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.wire.framing import Framer
from ami_bridge.wire.message import Message
from telephony.numbers.numbers import Numbering
from telephony.state.tracker import Tracker
from tests.telephony.captured import captured, names
from tests.telephony.streams import is_call_event, raw, renamed, shifted

PIECE_BYTES = 16_384  # what one read of a busy socket brings
RUNS = 3
ID_STEP = 100_000  # between the ids of two copies; a capture uses a few hundred
LIVE_CALLS = (1, 100, 1_000, 5_000)

Pieces = list[tuple[bytes, float]]


def stream(copies: int) -> tuple[Pieces, int]:
    """The stream in pieces with their time of arrival, and how many events are in it."""
    pieces: Pieces = []
    count, at = 0, 1_795_400_000.0
    for copy in range(copies):
        for index, name in enumerate(n for n in names() if "nasty" not in n):
            link = [
                m
                for link in captured(name).links
                for m in link
                if m.kind != "Response" and "Timestamp" in m.fields
            ]
            moved = shifted(link, at - link[0].arrived_at)
            step = ID_STEP * (copy * 100 + index + 1)
            data = raw(renamed(moved, step, prefix="pbx-"), banner=b"")
            at = moved[-1].arrived_at + 5.0
            count += len(link)
            pieces += [(data[i : i + PIECE_BYTES], at - 5.0) for i in range(0, len(data), PIECE_BYTES)]
    return pieces, count


def correlated(pieces: Pieces) -> int:
    """As `switchhook`, without telling the changed calls: what the peers' trackers do."""
    return switchhook(pieces, tell=False)


def switchhook(pieces: Pieces, *, tell: bool = True) -> int:
    """Bytes → messages → judgement → signals → calls → what changed. Returns the calls that ended."""
    framer, session, interpreter = Framer(WANTED, WANTED_ONLY_WITH), LinkSession(), Interpreter()
    tracker = Tracker(Numbering())
    ended = 0
    for data, at in pieces:
        for message in framer.feed(data, at):
            verdict = judge(message, session)
            if verdict.usable:
                for signal in interpreter.message(verdict.message):
                    tracker.feed(signal)
        if tell:
            ended += sum(change.facts.ended for change in tracker.drain())
        else:
            tracker._dirty.clear()  # so that ended calls are forgotten as after a drain
    return ended


def panoramisk(pieces: Pieces, handler: Callable[[Any, Any], None] | None = None) -> int:
    """panoramisk's protocol fed the same bytes; `handler` gets every event."""
    seen = 0

    def count(_manager: Any, _event: Any) -> None:
        nonlocal seen
        seen += 1

    manager = Manager(loop=asyncio.new_event_loop(), log=logging.getLogger("quiet"))
    manager.register_event("*", handler or count)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory, protocol.encoding, protocol.log = manager, "utf8", logging.getLogger("quiet")
    for data, _ in pieces:
        protocol.data_received(data)
    manager.loop.close()
    return seen


def cacofonisk(pieces: Pieces) -> int:
    """cacofonisk's tracker behind panoramisk, as its AmiRunner wires it."""
    tracker = EventHandler(BaseReporter(), logger=logging.getLogger("quiet"))
    wanted = frozenset(tracker.event_handlers())

    def handle(_manager: Any, event: Any) -> None:
        if event.event in wanted:
            tracker.on_event(event)

    return panoramisk(pieces, handle)


def best_rate(work: Callable[[], object], events: int) -> float:
    """Events a second, the best of some runs: the rest of the machine only ever slows down."""
    best = float("inf")
    for _ in range(RUNS):
        gc.collect()
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return events / best


def live_calls(count: int, first: int = 0) -> list[Message]:
    """`count` answered calls of two channels, talking; their ends are not in it."""
    link = [m for m in captured("22/in_answered").links[0] if is_call_event(m)]
    up_to = next(i for i, m in enumerate(link) if m.kind in ("HangupRequest", "BridgeLeave"))
    messages: list[Message] = []
    for number in range(first, first + count):
        messages += renamed(link[:up_to], ID_STEP + number * 10)
    return messages


def filled(count: int) -> tuple[Tracker, Interpreter]:
    """A tracker with so many calls going on."""
    tracker, interpreter = Tracker(Numbering()), Interpreter()
    for number in range(count):
        for message in live_calls(1, number):
            for signal in interpreter.message(message):
                tracker.feed(signal)
        tracker.drain()
    return tracker, interpreter


def bytes_per_call(count: int) -> float:
    """Memory that `count` live calls hold, by tracemalloc."""
    filled(2)  # caches and compiled code are not the calls' own
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = filled(count)
    gc.collect()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(kept[0].live()) == count
    return used / count


def cost_beside(count: int) -> float:
    """Median µs an event of further calls, each told at once, while `count` are going on."""
    tracker, interpreter = filled(count)
    link = [m for m in captured("22/in_answered").links[0] if is_call_event(m)]
    batch = [message for n in range(60) for message in renamed(link, ID_STEP * 900 + n * 10)]
    took = []
    for message in batch:
        begun = time.perf_counter()
        for signal in interpreter.message(message):
            tracker.feed(signal)
        tracker.drain()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1e6


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench intake", description=__doc__)
    parser.add_argument("--copies", type=int, default=4, help="how often all captures are in the stream")
    copies = parser.parse_args().copies
    logging.getLogger("quiet").setLevel(logging.CRITICAL)
    pieces, events = stream(copies)
    size = sum(len(data) for data, _ in pieces)
    print(f"machine    {processor()}, Python {platform.python_version()}, one core")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("panoramisk", "cacofonisk")]
    print(f"peers      {', '.join(versions)}")
    print(
        f"stream     {events:,} events (read = all), {size / 1e6:.1f} MB, {switchhook(pieces):,} calls end in it\n"
    )
    rows: list[tuple[str, Callable[[Pieces], object]]] = [
        ("Switchhook: parse, judge, correlate", correlated),
        ("Switchhook: parse, judge, correlate, tell", switchhook),
        ("panoramisk: parse, one * handler", panoramisk),
        ("panoramisk + cacofonisk: parse, correlate", cacofonisk),
    ]
    for title, work in rows:
        print(f"{title:45} {best_rate(lambda work=work: work(pieces), events):>10,.0f} events/s")  # type: ignore[misc]
    print()
    for count in LIVE_CALLS[2:]:
        print(f"{count:>6,} live calls: {bytes_per_call(count):>7,.0f} bytes a call")
    for count in LIVE_CALLS:
        print(f"{count:>6,} live calls: {cost_beside(count):>7.1f} µs an event of further calls")


if __name__ == "__main__":
    main()
