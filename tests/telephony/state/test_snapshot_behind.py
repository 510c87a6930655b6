"""CEL knows more than the snapshot: the words of one PBX do not keep step, on a loaded box by up to 0.04 s.

The captures here are those in which AMI told of an event 6 ms and more after it happened: a snapshot that knows only what
AMI had told then misses channels and moves that CEL has told already.
"""

from __future__ import annotations

from functools import cache

import pytest

from telephony.call_facts.facts import CallFacts, State
from telephony.numbers.numbers import Numbering
from telephony.state import signals as s
from telephony.state.tracker import Tracker
from tests.telephony.captured import captured, differences, replayed
from tests.telephony.state.test_invariants import outline, stream_of
from tests.telephony.streams import Pbx

BEHIND = (
    "16/in_answered",
    "22/ami_blindtransfer",
    "22/att_feature",
    "22/att_refer_aborted",
    "22/blind_feature",
    "22/click_to_call",
    "22/forward_302",
    "22/park_retrieve",
    "22/pickup",
)
T0 = 1_795_000_000.0
TRUNK = s.Look("hq-1.0", "hq-1.0", "PJSIP/trunk-00000000", "Ring", "+79161110005", "", "74951000001")
ANNA = s.Look("hq-1.1", "hq-1.0", "PJSIP/101-00000001", "Down", "", "", "")


@cache
def truth(name: str) -> list[CallFacts]:
    """What is told when nothing was missed."""
    return replayed(stream_of(name))


@pytest.mark.parametrize("seen_before", [True, False], ids=["the link broke", "just started"])
@pytest.mark.parametrize("name", BEHIND)
@pytest.mark.slow
def test_cel_tells_the_rest_although_the_snapshot_was_behind(name: str, seen_before: bool) -> None:
    """The stream ends before any message, a snapshot of what it told closes the gap, CEL alone tells what followed."""
    link = stream_of(name)
    wrong = {}
    for cut in range(1, len(link)):
        snapshot = Pbx.after(link[:cut]).snapshot(link[cut].arrived_at)
        links = (link[:cut], snapshot) if seen_before else (snapshot,)
        told = replayed(*links, cel=captured(name).cel)
        found = differences(outline(truth(name)), outline(told), ignore=["certainty"])
        if found:
            wrong[cut] = found
    assert wrong == {}


def snapshot_without_anna(at: float) -> s.Snapshot:
    """Only the client's line is shown, in no bridge."""
    shown = s.SnapshotChannel(TRUNK, T0, "", "", None, "", "Dial", "")
    return s.Snapshot(at, at, (shown,), {}, (), (), None)


def rung_and_missing() -> Tracker:
    """A customer rings 101; the link breaks after a second, and the snapshot at second 3 does not show 101's phone."""
    tracker = Tracker(Numbering(pbx="hq"))
    for signal in (
        s.ChannelBegan(T0, TRUNK),
        s.ChannelBegan(T0 + 0.2, ANNA),
        s.DialBegan(T0 + 0.2, TRUNK, ANNA, "101"),
        s.LinkLost(T0 + 1),
        snapshot_without_anna(T0 + 3),
    ):
        tracker.feed(signal)
    assert tracker.channels[ANNA.uid].ended_at == T0 + 1
    return tracker


def the_call(tracker: Tracker) -> CallFacts:
    """The one call there is."""
    (change,) = tracker.drain()
    return change.facts


def test_a_missing_phone_that_is_then_answered_lives_on() -> None:
    """Its answer and its conversation are told, and its own hang-up is its end."""
    tracker = rung_and_missing()
    tracker.feed(s.ChannelChanged(T0 + 4, ANNA._replace(state="Up")))
    tracker.feed(s.BridgeEntered(T0 + 4, ANNA, "b1", "basic"))
    tracker.feed(s.BridgeEntered(T0 + 4, TRUNK, "b1", "basic"))
    tracker.feed(s.ChannelEnded(T0 + 9, ANNA, 16))
    tracker.feed(s.ChannelEnded(T0 + 9, TRUNK, 16))
    facts = the_call(tracker)
    assert (facts.answered_by, facts.talk_seconds) == ("101", 5.0)


def test_a_late_word_about_its_hang_up_does_not_bring_a_phone_back() -> None:
    """CEL names who hung up long ago as the source of another's end: nobody is shown as ringing for ever."""
    tracker = rung_and_missing()
    tracker.feed(s.HangupAsked(T0 + 4, ANNA))
    assert tracker.channels[ANNA.uid].ended_at == T0 + 1
    tracker.feed(s.ChannelEnded(T0 + 5, TRUNK, 16))
    assert the_call(tracker).state is State.ENDED


def test_a_call_that_was_told_as_ended_stays_ended() -> None:
    """A call ends once: a word about one of its phones does not open it again."""
    tracker = rung_and_missing()
    tracker.feed(s.ChannelEnded(T0 + 3.5, TRUNK, 16))
    tracker.feed(s.ChannelChanged(T0 + 4, ANNA._replace(state="Up")))
    assert the_call(tracker).state is State.ENDED
