"""What is told of a call's recordings, of consent and of the caller's rating."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ami_bridge.cel.signals import CelTranslator, row_of
from ami_bridge.interpreter import Interpreter
from ami_bridge.quarantine import ODD_VALUE, Judgement, LinkSession, judge
from ami_bridge.snapshot_reading import SnapshotAssembler
from ami_bridge.wire.message import Message, message_from_headers
from telephony.call_facts.facts import CallFacts, PartyKind, Recorded, RecordingPause, facts_from_json
from telephony.numbers.numbers import Numbering
from telephony.recordings import audio_began_at
from telephony.state import signals as s
from telephony.state.tracker import Tracker
from tests.call_facts_builder import CLIENT, MONDAY, answered, call, ended, leg

T0 = 1_795_000_000.0
TRUNK = s.Look("hq-1.0", "hq-1.0", "PJSIP/trunk-00000000", "Ring", "+79161110005", "", "74951000001")
PHONE = s.Look("hq-1.1", "hq-1.0", "PJSIP/101-00000001", "Down", "", "", "")
FILE = "/var/spool/asterisk/monitor/hq-1.0.wav"


def at(seconds: float) -> float:
    """So long after the beginning."""
    return T0 + seconds


def moment(seconds: float) -> datetime:
    """The same as a time of day."""
    return datetime.fromtimestamp(at(seconds), UTC)


def talking() -> Tracker:
    """A customer talks with 101 since second 2; recorded on their channel since second 0.1."""
    tracker = Tracker(Numbering(pbx="hq"))
    for signal in (
        s.ChannelBegan(at(0), TRUNK),
        s.RecordingStarted(at(0.1), TRUNK, FILE),
        s.ChannelBegan(at(0.2), PHONE),
        s.DialBegan(at(0.2), TRUNK, PHONE, "101"),
        s.DialEnded(at(2), TRUNK, PHONE._replace(state="Up"), "ANSWER", ""),
        s.BridgeEntered(at(2), PHONE, "b1", "basic"),
        s.BridgeEntered(at(2), TRUNK, "b1", "basic"),
    ):
        tracker.feed(signal)
    return tracker


def hang_up(tracker: Tracker, seconds: float) -> None:
    """Both leave."""
    for look in (PHONE, TRUNK):
        tracker.feed(s.ChannelEnded(at(seconds), look, 16))


def told(tracker: Tracker) -> CallFacts:
    """The newest facts of its only call."""
    (change,) = tracker.drain()
    return change.facts


def test_a_recording_says_on_whose_channel_it_runs() -> None:
    """The customer's: what they say is the file's receiving side. It ends with their channel."""
    tracker = talking()
    assert told(tracker).recorded[0].until is None
    hang_up(tracker, 10)
    facts = told(tracker)
    assert facts.recordings == (FILE,)
    assert facts.recorded == (
        Recorded(FILE, "hq-1.0", "+79161110005", PartyKind.OUTSIDE, moment(0.1), moment(10)),
    )


def test_a_pause_is_told_and_ends_with_the_channel_at_the_latest() -> None:
    """Paused twice; the second time nobody resumes."""
    tracker = talking()
    for seconds, muted in ((3, True), (3.5, True), (5, False), (6, False), (8, True)):
        tracker.feed(s.RecordingMuted(at(seconds), TRUNK, muted))
    assert told(tracker).recorded[0].pauses[1] == RecordingPause(moment(8), None)
    hang_up(tracker, 10)
    assert told(tracker).recorded[0].pauses == (
        RecordingPause(moment(3), moment(5)),
        RecordingPause(moment(8), moment(10)),
    )


def test_a_second_recording_of_the_channel_stops_first() -> None:
    """By key, beside the one that always runs: stopping without saying which stops the newest."""
    tracker = talking()
    second = FILE.replace(".wav", "-2.wav")
    tracker.feed(s.RecordingStarted(at(3), TRUNK, second))
    tracker.feed(s.RecordingStarted(at(3.5), TRUNK, second))  # told twice: a link that broke in between
    tracker.feed(s.RecordingStopped(at(5), TRUNK))
    hang_up(tracker, 10)
    assert [(one.file, one.until) for one in told(tracker).recorded] == [
        (FILE, moment(10)),
        (second, moment(5)),
    ]


def test_recordings_go_along_when_two_calls_turn_out_to_be_one() -> None:
    """What was recorded of a consultation belongs to the call it became a part of, consent and rating too."""
    tracker = talking()
    tracker.feed(s.ConsentTold(at(0.3), TRUNK, "announced"))
    other = s.Look("hq-1.5", "hq-1.5", "PJSIP/102-00000005", "Up", "102", "", "103")
    tracker.feed(s.ChannelBegan(at(4), other))
    tracker.feed(s.RecordingStarted(at(4.1), other, "/x/hq-1.5.wav"))
    tracker.feed(s.CallRated(at(4.2), other, 4))
    tracker.merge(tracker.channels["hq-1.0"].call, tracker.channels["hq-1.5"].call, at(5))
    facts = told(tracker)
    assert [(one.file, one.party, one.kind) for one in facts.recorded] == [
        (FILE, "+79161110005", PartyKind.OUTSIDE),
        ("/x/hq-1.5.wav", "102", PartyKind.EXTENSION),
    ]
    assert (facts.consent, facts.rating) == ("announced", 4)


def test_the_last_word_on_consent_counts() -> None:
    """It was announced, then they pressed the key for no."""
    tracker = talking()
    tracker.feed(s.ConsentTold(at(1), TRUNK, "refused"))
    tracker.feed(s.ConsentTold(at(0.5), TRUNK, "announced"))  # arrives late
    assert told(tracker).consent == "refused"


def test_which_channels_a_pause_silences() -> None:
    """Those that live and are recorded; none of a call that is over, which is something else than nothing to silence."""
    tracker = talking()
    call_id = told(tracker).id
    assert tracker.recorded_channels(call_id) == ["PJSIP/trunk-00000000"]
    tracker.feed(s.RecordingStopped(at(5), TRUNK))
    assert tracker.recorded_channels(call_id) == []
    hang_up(tracker, 10)
    assert tracker.recorded_channels(call_id) is None


def test_a_snapshot_tells_of_a_recording_that_began_unseen() -> None:
    """Switchhook is started in the middle of a call."""
    tracker = Tracker(Numbering(pbx="hq"))
    shown = s.SnapshotChannel(TRUNK._replace(state="Up"), at(0), "b1", "74951000001", at(2), FILE, "Dial", "")
    other = s.SnapshotChannel(PHONE._replace(state="Up"), at(0.2), "b1", "", at(2), "", "AppDial", "")
    tracker.feed(s.Snapshot(at(8), at(7.9), (shown, other), {"b1": "basic"}, (), (), None))
    tracker.feed(s.Snapshot(at(9), at(8.9), (shown, other), {"b1": "basic"}, (), (), None))
    assert [(one.file, one.kind, one.at) for one in told(tracker).recorded] == [
        (FILE, PartyKind.OUTSIDE, moment(0))
    ]


def test_the_snapshot_reads_the_file_s_name() -> None:
    """As `Status` writes it."""
    assembler = SnapshotAssembler(at(0))
    assembler.take(message("Status", Variable=f"MIXMONITOR_FILENAME={FILE}"))
    assert assembler.finish().channels[0].recording == FILE


# -- what a PBX writes -----------------------------------------------------------------------------------------------


def message(kind: str, *more: tuple[str, str], **headers: str) -> Message:
    """An event about the customer's channel, as Asterisk writes it."""
    pairs = [
        ("Event", kind),
        ("Privilege", "user,all"),
        ("Timestamp", "1795000001.000000"),
        ("SystemName", "hq"),
        ("Channel", TRUNK.name),
        ("ChannelState", "6"),
        ("ChannelStateDesc", "Up"),
        ("CallerIDNum", TRUNK.number),
        *more,
        ("CallerIDName", "<unknown>"),
        ("ConnectedLineNum", "101"),
        ("ConnectedLineName", "Anna Belova"),
        ("Language", "en"),
        ("AccountCode", ""),
        ("Context", "from-trunk"),
        ("Exten", "74951000001"),
        ("Priority", "7"),
        ("Uniqueid", TRUNK.uid),
        ("Linkedid", TRUNK.linked),
        *headers.items(),
    ]
    read = message_from_headers(pairs, at(1))
    assert read is not None
    return read


def user_event(name: str, **headers: str) -> Message:
    """What the dialplan's UserEvent sends."""
    return message("UserEvent", UserEvent=name, **headers)


@pytest.mark.parametrize(
    ("sent", "signal"),
    [
        (message("MixMonitorMute", Direction="both", State="1"), s.RecordingMuted),
        (message("MixMonitorMute", Direction="read", State="1"), None),
        (message("MixMonitorMute", Direction="both", State="?"), None),
        (message("MixMonitorStop"), s.RecordingStopped),
        (user_event("SwitchhookConsent", Consent="Given"), s.ConsentTold),
        (user_event("SwitchhookConsent", Consent="maybe"), None),
        (user_event("SwitchhookConsent", Rating="5"), None),
        (user_event("SwitchhookRating", Rating="5"), s.CallRated),
        (user_event("SwitchhookRating", Rating="6"), None),
        (user_event("SwitchhookRating", Rating="05"), None),
        (user_event("SwitchhookRating", Rating="٥"), None),
        (user_event("SomebodyElses", Rating="5"), None),
    ],
)
def test_what_is_understood_of_an_event(sent: Message, signal: type[object] | None) -> None:
    """A half mute is no pause, a value that our dialplan cannot send says nothing, and other names are not ours."""
    assert [type(one) for one in Interpreter().message(sent)] == ([signal] if signal else [])


def test_another_program_s_event_without_a_channel_rates_nothing() -> None:
    """Any AMI user may send a UserEvent; Asterisk writes no channel into it."""
    headers = [
        ("Event", "UserEvent"),
        ("Privilege", "user,all"),
        ("UserEvent", "SwitchhookRating"),
        ("Rating", "1"),
    ]
    sent = message_from_headers(headers, at(1))
    assert sent is not None
    assert list(Interpreter().message(sent)) == []


def test_an_odd_value_is_counted_as_other_bad_input_is() -> None:
    """It is flagged with a reason of its own, and the messages after it are not doubted."""
    session = LinkSession(stamped=True, system_name="hq")
    odd = judge(user_event("SwitchhookRating", Rating="11"), session)
    good = judge(user_event("SwitchhookRating", Rating="1"), session)
    assert (odd.judgement, odd.reason) == (Judgement.FLAG, ODD_VALUE)
    assert good.judgement is Judgement.ACCEPT
    assert session.unsettled == 0


@pytest.mark.parametrize("smuggled", [("Rating", "1"), ("UserEvent", "SwitchhookConsent")])
def test_a_caller_cannot_rate_by_his_number(smuggled: tuple[str, str]) -> None:
    """Line breaks in their number put a header before Asterisk's own: Asterisk's own counts."""
    session = LinkSession(stamped=True, system_name="hq")
    sent = message("UserEvent", smuggled, UserEvent="SwitchhookRating", Rating="5")
    verdict = judge(sent, session)
    assert verdict.judgement is Judgement.FLAG
    (rated,) = Interpreter().message(verdict.message)
    assert isinstance(rated, s.CallRated)
    assert rated.rating == 5


@pytest.mark.parametrize(
    "cells",
    [
        {"eventtype": "SwitchhookRating"},  # as cel_custom writes it, 16 and 22
        {"eventtype": "USER_DEFINED", "userdeftype": "SwitchhookRating"},  # as tables have it
    ],
)
def test_the_event_log_tells_a_rating(cells: dict[str, str]) -> None:
    """CELGenUserEvent's name is the row's type, its text an extra."""
    row = row_of(
        {
            "eventtime": "1795000001.5",
            "uniqueid": "hq-1.0",
            "channame": TRUNK.name,
            "eventextra": '{"extra":"3"}',
        }
        | cells
    )
    assert row is not None
    (rated,) = CelTranslator().translate(row)
    assert isinstance(rated, s.CallRated)
    assert rated.rating == 3


# -- kept facts ------------------------------------------------------------------------------------------------------


def test_facts_that_an_older_release_kept_are_read() -> None:
    """They lack what is told since."""
    kept = ended(answered(call())).as_json()
    for name in ("recorded", "consent", "rating"):
        del kept[name]
    facts = facts_from_json(kept)
    assert (facts.recorded, facts.consent, facts.rating) == ((), None, None)


def test_kept_facts_are_read_as_they_were() -> None:
    """With a pause that ended and one that goes on."""
    pauses = (RecordingPause(MONDAY, MONDAY + timedelta(seconds=2)), RecordingPause(MONDAY, None))
    one = Recorded(FILE, "hq-1.0", CLIENT, PartyKind.OUTSIDE, MONDAY, None, pauses)
    facts = replace(call(), recordings=(FILE,), recorded=(one,), consent="given", rating=5)
    assert facts_from_json(facts.as_json()) == facts


# -- where the audio begins ------------------------------------------------------------------------------------------


def recorded_call(at_seconds: float, until_seconds: float) -> CallFacts:
    """Answered after 5 s, over after 65 s; recorded on the client's channel between two moments."""
    since, until = (MONDAY + timedelta(seconds=seconds) for seconds in (at_seconds, until_seconds))
    one = Recorded(FILE, "hq-1.0", CLIENT, PartyKind.OUTSIDE, since, until)
    facts = ended(answered(call()))
    client = leg(CLIENT, kind=PartyKind.OUTSIDE, answered_at=facts.answered_at)
    return replace(facts, legs=(client, *facts.legs[1:]), recorded=(one,))


@pytest.mark.parametrize(
    ("recorded", "duration", "began"),
    [
        ((0, 65), 60.0, 5.0),  # from the answer on
        ((0, 65), 64.9, 0.1),  # a queue answers before anybody does
        ((0, 65), 40.0, 5.0),  # nobody sent for 20 s: that time is missing in the file
        ((30, 50), 19.9, 30.0),  # by a key: from there on, never from the answer
        ((0, 65), 70.0, 0.0),  # longer than it can be: not before it began
    ],
)
def test_where_a_recording_s_audio_begins(
    recorded: tuple[float, float], duration: float, began: float
) -> None:
    """Counted from its end, never before recording began, never later than it and the answer."""
    late = MONDAY + timedelta(hours=1)  # the file was copied since
    facts = recorded_call(*recorded)
    for file in (FILE, "incoming/hq-1.0-in.wav", "hq-1.0-out.wav"):
        seconds = (audio_began_at(facts, file, duration, late) - MONDAY).total_seconds()
        assert seconds == pytest.approx(began, abs=0.11)


def test_without_a_call_the_file_s_own_time_tells() -> None:
    """The PBX writes to it until the channel ends."""
    assert audio_began_at(None, FILE, 60.0, MONDAY) == MONDAY - timedelta(seconds=60)
    assert audio_began_at(call(), "another.wav", 60.0, MONDAY) == MONDAY - timedelta(seconds=60)
