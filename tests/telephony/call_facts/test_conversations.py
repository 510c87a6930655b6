"""Consultations by feature code, and calls that go on in a conference room: what is told while they last and afterwards.

The captures were played by phones (`tests.scenarios.consultations`); that whole calls are told right is judged in
`tests.scenarios.test_captured`. Here: what a person at the desk sees meanwhile, and what must hold however the events come.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ami_bridge.capture.capture import read_capture
from ami_bridge.interpreter import Interpreter
from ami_bridge.wire.message import Message
from telephony.call_facts.facts import CallFacts, Direction, LegState, PartyKind, State
from telephony.call_facts.observations import Channel, HoldSpan
from telephony.call_facts.waits import is_machinery
from telephony.cards import CardState, card_for
from telephony.endpoints import Kind
from telephony.staff import PopPreference
from telephony.state import signals as s
from telephony.state.tracker import Tracker
from tests.examples import examples
from tests.telephony.captured import CAPTURES, NUMBERING, Link, allowed, differences, player_of, replayed
from tests.telephony.state.test_invariants import MS, each_channel_once, sane, swapped

CONSULTED = [
    f"{v}/{name}" for v in ("16", "22") for name in ("consult_aborted", "consult_colleague_hangs_up")
]
PLAYED = sorted(
    str(path.parent.relative_to(CAPTURES))
    for pattern in ("consult_*", "room_*", "attended_code_*", "attended_swapped", "three_way")
    for path in CAPTURES.glob(f"*/{pattern}/expected.json")
)
seeds = st.integers(min_value=0, max_value=2**32)


def stream(name: str) -> Link:
    """What the recommended user is told."""
    return allowed(read_capture(CAPTURES / name / "ami.jsonl.gz"))


def moments(messages: Link) -> Iterator[tuple[Message, list[CallFacts]]]:
    """Every message with the calls as they stand after it."""
    tracker, interpreter = Tracker(NUMBERING), Interpreter()
    for message in messages:
        for signal in interpreter.message(message):
            tracker.feed(signal)
        tracker.drain()
        yield message, [tracker.facts(call) for call in tracker.live()]


def seconds_of(leg_party: str, facts: CallFacts, doing: str) -> float:
    """How long a party did something."""
    leg = facts.leg_of(leg_party)
    assert leg is not None
    spans = [i for i in leg.intervals if i.doing == doing]
    return sum((i.until - i.since).total_seconds() for i in spans if i.until is not None)


# -- a consultation by feature code --


@pytest.mark.parametrize("name", CONSULTED)
def test_both_talk_and_nobody_is_told_as_held(name: str) -> None:
    """The two of a consultation talk as long as the consultation does, and nobody in it is on hold."""
    call, asked = replayed(stream(name))
    assert asked.consultation_of == call.id
    assert [leg.talk_seconds for leg in asked.legs] == [asked.talk_seconds] * 2
    assert asked.talk_seconds > 0.5
    assert [seconds_of(leg.party, asked, "held") for leg in asked.legs] == [0.0, 0.0]
    assert (asked.holds, asked.hold_seconds) == ((), 0.0)


@pytest.mark.parametrize("name", CONSULTED)
def test_the_asker_s_leg_is_as_long_as_the_consultation(name: str) -> None:
    """It begins with the consultation, not with the asker's other call, and is closed when that ends."""
    call, asked = replayed(stream(name))
    leg = asked.leg_of(asked.caller.number or "")
    assert leg is not None
    assert leg.state is LegState.ENDED
    assert leg.intervals[0].since >= asked.started_at
    assert leg.ended_at is not None
    assert asked.ended_at is not None
    assert call.ended_at is not None
    assert leg.ended_at <= asked.ended_at < call.ended_at


@pytest.mark.parametrize("name", CONSULTED)
def test_the_customer_s_wait_is_a_hold(name: str) -> None:
    """From the key until the colleague is back: in `holds`, in `hold_seconds`, and in the picture of both."""
    call, asked = replayed(stream(name))
    (hold,) = call.holds
    assert hold.by == asked.caller.number
    assert hold.seconds == pytest.approx(call.hold_seconds)
    assert hold.seconds > asked.talk_seconds
    for party in (call.caller.number or "", hold.by):
        assert seconds_of(party, call, "held") == pytest.approx(hold.seconds, abs=0.01)
    client = call.leg_of(call.caller.number or "")
    assert client is not None
    assert client.talk_seconds + hold.seconds == pytest.approx(call.talk_seconds, abs=0.05)


@pytest.mark.parametrize("name", CONSULTED)
def test_while_it_lasts_the_customer_is_held_and_the_two_talk(name: str) -> None:
    """The cards of that moment: the colleague who was asked talks; the customer's card of the asker says on hold."""
    both = [told for _, told in moments(stream(name)) if len(told) == 2 and told[1].state is State.TALKING]
    assert both
    call, asked = both[0]
    colleague, asker = asked.final_party or "", asked.caller.number or ""
    assert call.state is State.HELD
    states = [
        card.state if (card := card_for(facts, phone, PopPreference.ON_RING)) else None
        for facts, phone in ((asked, colleague), (asked, asker), (call, asker))
    ]
    assert states == [CardState.TALKING, CardState.TALKING, CardState.HELD]


@pytest.mark.parametrize("version", ["16", "22"])
def test_each_consultation_of_a_call_is_a_hold(version: str) -> None:
    """Two colleagues are asked one after the other: two consultations, two holds, and talk between."""
    call, *asked = replayed(stream(f"{version}/consult_two_in_one_call"))
    assert [facts.consultation_of for facts in asked] == [call.id, call.id]
    assert len(call.holds) == 2
    assert call.hold_seconds == pytest.approx(sum(hold.seconds for hold in call.holds))
    assert asked[1].legs[0].intervals[0].since > (asked[0].ended_at or asked[0].started_at)


@pytest.mark.parametrize("version", ["16", "22"])
def test_all_three_talk_after_the_three_way_key(version: str) -> None:
    """The PBX never takes its own hold back there; nobody is on hold all the same."""
    (call,) = replayed(stream(f"{version}/three_way"))
    (hold,) = call.holds
    transfer = call.transfers[0]
    assert hold.at.timestamp() + hold.seconds == pytest.approx(transfer.at.timestamp(), abs=0.05)
    asker = call.leg_of(hold.by)
    assert asker is not None
    assert asker.intervals[-1].doing == "talking"
    assert asker.intervals[-1].since >= transfer.at.replace(microsecond=0)


def test_a_hold_of_the_pbx_s_own_is_told_apart_by_the_bridge() -> None:
    """A person's hold leaves them in their bridge; the PBX's begins or ends as they go over to another."""
    tracker = Tracker(NUMBERING)
    look = s.Look("1.1", "1.1", "PJSIP/101-00000001", "Up", "101", "", "s", False)
    tracker.feed(s.ChannelBegan(1.0, look))
    for at, bridge in ((2.0, "a"), (8.0, "b")):
        tracker.feed(s.BridgeEntered(at, look, bridge, "basic"))
    channel: Channel = tracker.channels["1.1"]
    assert channel.kind is Kind.EXTENSION
    person, pbx = HoldSpan(3.0), HoldSpan(5.0)
    person.until, pbx.until = 4.0, None
    assert [is_machinery(channel, hold) for hold in (person, pbx)] == [False, True]


# -- a conference room --


@pytest.mark.parametrize("version", ["16", "22"])
def test_everybody_in_the_room_is_a_party(version: str) -> None:
    """Sent there with the customer, or dialled in: all are parties, and the customer's talk goes on to the end."""
    call, own = replayed(stream(f"{version}/room_three_customer_first"))
    assert call.direction is Direction.INBOUND
    assert [leg.kind for leg in call.legs].count(PartyKind.EXTENSION) == 2
    assert all(leg.talk_seconds > 0.5 and leg.ended_at is not None for leg in call.legs)
    client = call.leg_of(call.caller.number or "")
    assert client is not None
    assert client.talk_seconds == pytest.approx(call.talk_seconds, abs=0.05)
    assert (call.transfers, call.ended_by) == ((), "caller")
    assert (own.direction, own.caller.number) == (Direction.INTERNAL, call.final_party)


@pytest.mark.parametrize("version", ["16", "22"])
def test_who_dialled_in_leaves_the_call_with_the_customer(version: str) -> None:
    """What colleagues say in the room after the customer left is theirs, and no talk of the customer's call."""
    call, own = replayed(stream(f"{version}/room_three_customer_first"))
    guest = call.leg_of(own.caller.number or "")
    client = call.leg_of(call.caller.number or "")
    assert guest is not None
    assert client is not None
    assert guest.intervals[-1].until == client.intervals[-1].since or guest.talk_seconds < client.talk_seconds
    assert call.answered_at is not None
    assert client.ended_at is not None
    assert call.talk_seconds <= (client.ended_at - call.answered_at).total_seconds() + 0.01


@pytest.mark.parametrize("version", ["16", "22"])
def test_strangers_in_a_room_stay_apart(version: str) -> None:
    """Each dialled it: three calls with one party each, however long they were together."""
    calls = replayed(stream(f"{version}/room_strangers"))
    assert [len(facts.legs) for facts in calls] == [1, 1, 1]
    assert {facts.talk_seconds for facts in calls} == {0.0}


@pytest.mark.parametrize("version", ["16", "22"])
def test_no_call_forgets_a_room(version: str) -> None:
    """When all have left nothing of the room is kept."""
    player, _ = player_of(stream(f"{version}/room_three_customer_first"))
    player.tracker.advance(player.tracker.now + 60)
    assert player.tracker.idle
    assert player.tracker.hosting() == []


def test_a_room_of_the_older_application_is_one_as_well() -> None:
    """MeetMe mixes outside of the bridges: joining and leaving are all that is told."""
    confbridge = stream("22/room_three_customer_first")
    told = [part for message in confbridge for part in _as_meetme(message)]
    assert sum(message.kind == "MeetmeJoin" for message in told) == 3
    assert differences(replayed(confbridge), replayed(told), seconds=0.02, ignore=("intervals",)) == []


def _as_meetme(message: Message) -> list[Message]:
    """The event as Asterisk's MeetMe would have told it."""
    if message.kind in ("BridgeEnter", "BridgeLeave") and message.get("BridgeType") == "base":
        return []
    if message.kind not in ("ConfbridgeJoin", "ConfbridgeLeave"):
        return [message]
    other = ("Event", "Bridge", "Conference")
    kept = {name: value for name, value in message.fields.items() if not name.startswith(other)}
    kind = message.kind.replace("Confbridge", "Meetme")
    fields = {"Event": kind} | kept | {"Meetme": message.get("Conference")}
    return [message._replace(kind=kind, fields=fields)]


# -- a mailbox --


@pytest.mark.parametrize("version", ["16", "22"])
def test_a_caller_in_a_mailbox_does_not_ring(version: str) -> None:
    """As soon as the phone has stopped and the mailbox speaks, the call is in voicemail; its end is what it was."""
    states = [told[0].state for _, told in moments(stream(f"{version}/voicemail")) if told]
    assert list(dict.fromkeys(states)) == [State.RINGING, State.VOICEMAIL]
    (call,) = replayed(stream(f"{version}/voicemail"))
    caller = call.legs[0]
    assert caller.intervals[-1].doing == "voicemail"
    assert caller.intervals[-1].until == caller.ended_at


def test_a_mailbox_found_by_a_snapshot_is_one() -> None:
    """After a restart the snapshot names the application of a channel that nobody saw enter it."""
    tracker = Tracker(NUMBERING)
    look = s.Look("9.1", "9.1", "PJSIP/trunk-00000001", "Up", "+79160000001", "", "s", False)
    shown = s.SnapshotChannel(look, 100.0, "", "74950000001", 101.0, "", "VoiceMail", "")
    tracker.feed(s.Snapshot(130.0, 130.0, (shown,), {}, (), (), None))
    tracker.drain()
    (call,) = tracker.live()
    assert tracker.facts(call).state is State.VOICEMAIL


# -- whatever the order --


@pytest.mark.parametrize("name", PLAYED)
@pytest.mark.slow
def test_every_telling_is_sane_at_every_moment(name: str) -> None:
    """Times in order and nothing negative, after each single event; and each channel in one call."""
    for _, told in moments(stream(name)):
        sane(told)
    player, calls = player_of(stream(name))
    sane(calls)
    each_channel_once(player.tracker)
    for facts in calls:
        assert all(
            leg.ended_at is not None and leg.intervals[-1].until is not None
            for leg in facts.legs
            if leg.intervals
        )
        assert all(facts.started_at <= i.since for leg in facts.legs for i in leg.intervals)
        assert facts.hold_seconds <= facts.talk_seconds + MS


@settings(max_examples=examples(80))
@given(st.sampled_from(PLAYED), seeds)
def test_neighbours_of_one_moment_may_change_places(name: str, seed: int) -> None:
    """Two events at most 5 ms apart, swapped, tell the same calls."""
    told = replayed(swapped(stream(name), seed))
    assert differences(replayed(stream(name)), told, seconds=MS, ignore=("intervals",)) == []


@pytest.mark.parametrize("name", PLAYED)
@pytest.mark.slow
def test_the_whole_stream_twice_is_the_same_calls(name: str) -> None:
    """Nothing is told or counted a second time."""
    once = stream(name)
    assert differences(replayed(once), replayed((*once, *once))) == []
