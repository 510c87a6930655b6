"""Feeds the framing and the judgement with bytes that nobody should send, for as long as told.

`python -m tests.fuzz.framing --minutes 5`. With atheris installed the search follows the code's branches;
without it Hypothesis makes the bytes. Three claims are checked on each input: nothing raises, the cuts of TCP
change nothing, and memory stays bounded. A failing input is printed and kept; docs/reference/fuzzing.md says
what to do with it.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ami_bridge.quarantine import LinkSession, Quarantine, judge
from ami_bridge.wire.framing import FRAGMENT, MESSAGE_CAP_BYTES, Framer

ROUND_EXAMPLES = 2_000  # the clock is looked at between rounds; a round takes some seconds
SEEDS = (
    b"Asterisk Call Manager/11.0.0\r\n",
    b"Event: Newchannel\r\nPrivilege: call,all\r\nTimestamp: 1795313139.500000\r\nSystemName: pbx\r\n",
    b"Channel: PJSIP/1-00000001\r\nChannelState: 4\r\nCallerIDNum: ",
    b"Uniqueid: pbx-1795313139.1\r\nLinkedid: pbx-1795313139.1\r\n",
    b"Event: Hangup\r\nPrivilege: call,all\r\nUniqueid: pbx-1795313139.1\r\nCause: 16",
    b"Response: Success\r\nActionID: a-1\r\n",
    b"\r\n\r\n",
    b"\r\n\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xd0",
    b": ",
    b"x" * 40_000,
)


def check(data: bytes, piece: int) -> None:
    """The three claims, on one input cut into pieces of `piece` bytes."""
    whole = Framer().feed(data, 0.0)
    framer = Framer()
    cut = []
    for start in range(0, len(data), piece):
        cut += framer.feed(data[start : start + piece], 0.0)
        if len(framer.pending()) > MESSAGE_CAP_BYTES + 4:
            raise AssertionError("the buffer grew over its bound")
    if cut != whole:
        raise AssertionError(f"pieces of {piece} bytes change the messages")
    session = LinkSession()
    quarantine = Quarantine()
    for message in whole:
        verdict = judge(message, session)
        quarantine.keep(verdict)
        if verdict.usable and verdict.message.kind == FRAGMENT:
            raise AssertionError("a fragment was believed")


def by_hypothesis(seconds: float) -> int:
    """Rounds of fresh examples until the time is over; returns how many inputs were tried."""
    tried = 0

    @settings(
        max_examples=ROUND_EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.target, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.sampled_from(SEEDS) | st.binary(max_size=40), max_size=40).map(b"".join),
        st.integers(1, 70_000),
    )
    def one(data: bytes, piece: int) -> None:
        nonlocal tried
        tried += 1
        # A tiny piece of a huge input would only spend the time on copying.
        check(data, max(piece, len(data) // 2_000))

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        one()
    return tried


def by_atheris(atheris: Any, seconds: float) -> None:
    """libFuzzer's search, guided by coverage; does not return."""
    atheris.instrument_all()

    def one(data: bytes) -> None:
        check(data[2:], 1 + int.from_bytes(data[:2]))

    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}", "-max_len=70000"], one)
    atheris.Fuzz()


def main() -> None:
    """Runs the fuzzer for the minutes given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    seconds = parser.parse_args().minutes * 60
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        tried = by_hypothesis(seconds)
        print(f"{tried} inputs tried, no fault found (by Hypothesis: atheris is not installed)")
    else:
        by_atheris(atheris, seconds)


if __name__ == "__main__":
    main()
