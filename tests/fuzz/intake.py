"""The whole intake as one function of bytes: what the fuzzer drives, and what its findings are told to in a test.

Raw bytes → framer → judge → interpreter → tracker → call facts → JSON and back, checked on the way.
"""

from __future__ import annotations

import json

from ami_bridge.cel.signals import CelReader, CelTranslator
from ami_bridge.interpreter import Interpreter
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.wire.framing import Framer
from telephony.call_facts.facts import CallFacts, facts_from_json
from telephony.numbers.numbers import Numbering
from telephony.state.tracker import Tracker

ARRIVED_AT = 1_795_313_512.0  # the time of the captures, so that their stamps are plausible


def take_in(data: bytes) -> list[CallFacts]:
    """Everything that is told of these bytes. Raises only when a promise is broken."""
    framer, session, interpreter = Framer(), LinkSession(), Interpreter()
    tracker = Tracker(Numbering(pbx="hq"))
    told: list[CallFacts] = []
    for start in range(0, len(data), 1_000):
        for message in framer.feed(data[start : start + 1_000], ARRIVED_AT + start / 1_000):
            verdict = judge(message, session)
            for signal in interpreter.message(verdict.message) if verdict.usable else ():
                tracker.feed(signal)
        told += _told(tracker)
    for signal in interpreter.snapshot_done():
        tracker.feed(signal)
    told += _told(tracker)
    tracker.advance(tracker.now + 60)
    _check_tracker(tracker)
    return told


def take_in_cel(text: str) -> list[CallFacts]:
    """The same for a CEL file."""
    translator, tracker = CelTranslator(), Tracker(Numbering(pbx="hq"))
    for row in CelReader().read(text.splitlines(keepends=True)):
        for signal in translator.translate(row):
            tracker.feed(signal)
    told = _told(tracker)
    _check_tracker(tracker)
    return told


def _told(tracker: Tracker) -> list[CallFacts]:
    facts = [change.facts for change in tracker.drain()]
    for one in facts:
        line = json.dumps(one.as_json(), allow_nan=False)
        assert facts_from_json(json.loads(line)).as_json() == one.as_json(), "what is told can be read back"
        assert one.talk_seconds >= 0
        assert all(leg.talk_seconds >= 0 for leg in one.legs)
        assert one.ended_at is None or one.ended_at >= one.started_at
    return facts


def _check_tracker(tracker: Tracker) -> None:
    for uid, channel in tracker.channels.items():
        assert channel.call.channels.get(uid) is channel, "a channel is in the call it points to"
    for call in tracker.live():
        assert any(channel.ended_at is None for channel in call.channels.values()), (
            "a live call has a live channel"
        )
        assert call.live == sum(channel.ended_at is None for channel in call.channels.values())
