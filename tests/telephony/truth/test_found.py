"""What fuzzing and the properties found, each as its smallest story."""

from __future__ import annotations

from telephony.state import signals as s
from telephony.state.tracker import Tracker
from tests.telephony.captured import NUMBERING


def look(uid: str, linked: str, endpoint: str = "trunk") -> s.Look:
    """A channel that calls."""
    return s.Look(uid, linked, f"PJSIP/{endpoint}-0000000{uid[-1]}", "Ring", "+79161234567", "", "101")


def test_a_linked_id_of_a_call_that_was_merged_leads_to_the_one_kept() -> None:
    """Two linked ids led to a call; it merged into an older one; a third call then takes up one of them.

    The second of them still led to the call that was gone: its channels were counted twice, and the call never ended.
    """
    tracker = Tracker(NUMBERING)
    tracker.feed(s.ChannelBegan(1.0, look("u.1", "l.1")))
    tracker.feed(s.ChannelBegan(2.0, look("u.2", "l.2", "101")))
    tracker.feed(s.ChannelChanged(3.0, look("u.2", "l.3", "101")))
    for uid, linked, endpoint in (("u.1", "l.1", "trunk"), ("u.2", "l.3", "101")):
        tracker.feed(s.BridgeEntered(4.0, look(uid, linked, endpoint), "bridge", "basic"))
    tracker.feed(s.ChannelBegan(5.0, look("u.4", "l.4", "102")))
    tracker.feed(s.ChannelChanged(6.0, look("u.4", "l.3", "102")))
    for uid, linked, endpoint in (("u.1", "l.1", "trunk"), ("u.2", "l.3", "101"), ("u.4", "l.3", "102")):
        tracker.feed(s.ChannelEnded(7.0, look(uid, linked, endpoint), 16))
    (change,) = tracker.drain()
    assert change.facts.ended
    assert set(change.aliases) == {"u.1", "u.2", "u.4"}


def test_an_old_dial_told_again_is_no_redirect() -> None:
    """A window of the stream comes twice: the dial that led to the conversation is told again after it."""
    tracker = Tracker(NUMBERING)
    told = []
    caller, callee = look("u.1", "u.1"), look("u.2", "u.1", "101")._replace(state="Down")
    for _ in range(2):
        tracker.feed(s.ChannelBegan(1.0, caller))
        tracker.feed(s.ChannelBegan(1.1, callee))
        tracker.feed(s.DialBegan(1.2, caller, callee, "101"))
        for channel in (caller, callee):
            tracker.feed(s.BridgeEntered(2.0, channel, "bridge", "basic"))
        for channel in (caller, callee):
            tracker.feed(s.BridgeLeft(3.0, channel, "bridge", "basic"))
        told += tracker.drain()
    assert told[-1].facts.transfers == ()
    assert told[-1].facts.talk_seconds == 1.0


def test_a_late_local_half_does_not_keep_an_ended_call_alive() -> None:
    """A Local half is first heard of just after its call ended, and belongs to another call by its other half.

    It opened the ended call again, moved on, and left a live call without a channel. Found by fuzzing.
    """
    tracker = Tracker(NUMBERING)
    caller = look("u.1", "u.1")
    one = look("l.1", "x.9")._replace(name="Local/105@office-00000001;1", state="Down")
    other = look("l.2", "u.1")._replace(name="Local/105@office-00000001;2", state="Up")
    tracker.feed(s.ChannelBegan(1.0, caller))
    tracker.feed(s.ChannelBegan(1.0, one))
    tracker.feed(s.ChannelEnded(7.0, caller, 16))
    tracker.drain()
    tracker.feed(s.BridgeLeft(7.003, other, "bridge", "basic"))
    told = tracker.drain()
    assert all(change.facts.ended for change in told if "u.1" in change.aliases)
    assert tracker.live() == []
