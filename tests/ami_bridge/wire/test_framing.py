"""Bytes to messages, and which of them may be believed: properties, and what real callers sent to 16 and
22."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_bridge.capture.capture import read_capture
from ami_bridge.quarantine import (
    CLAIMED,
    JOINED,
    SMUGGLED,
    Judgement,
    LinkSession,
    Quarantine,
    Verdict,
    judge,
)
from ami_bridge.wire.framing import FRAGMENT, MESSAGE_CAP_BYTES, Framer
from ami_bridge.wire.message import Message

CAPTURES = Path(__file__).parents[2] / "captures"
BANNER = b"Asterisk Call Manager/11.0.0\r\n"
T = 1_795_313_139.0


def event(kind: str, number: int, *more: str, caller: str = "+79160000009") -> bytes:
    """An event of a channel as Asterisk writes it; `caller` goes in raw, as it does there."""
    lines = [
        f"Event: {kind}",
        "Privilege: call,all",
        f"Timestamp: {T + number / 1000:.6f}",
        "SystemName: pbx",
        f"Channel: PJSIP/trunk-{number:08x}",
        "ChannelState: 4",
        f"CallerIDNum: {caller}",
        "CallerIDName: somebody",
        "Context: from-trunk",
        "Exten: 74951000005",
        f"Uniqueid: pbx-1795313139.{number}",
        f"Linkedid: pbx-1795313139.{number}",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def judged(data: bytes) -> list[Verdict]:
    session = LinkSession()
    return [judge(message, session) for message in Framer().feed(data, T)]


def in_pieces(data: bytes, cuts: list[int]) -> list[Message]:
    framer = Framer()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [message for start, end in pairwise(edges) for message in framer.feed(data[start:end], T)]


BREAKS = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\n\n", b"\0"]
TEXTS = [b"Event: Hangup", b"Response: Success", b": ", b"A: b", b"\xd0", b"\x96", BANNER, b"x" * 30_000]
PIECES = st.sampled_from([*BREAKS, *TEXTS, event("Newchannel", 1)]) | st.binary(max_size=20)
WIRE = st.lists(PIECES, max_size=30).map(b"".join)


@given(WIRE, st.lists(st.integers(0, 200_000), max_size=12))
def test_pieces_never_matter(data: bytes, cuts: list[int]) -> None:
    """Whatever the bytes and wherever TCP cuts them, the messages are the same, and nothing raises."""
    assert in_pieces(data, cuts) == in_pieces(data, [])


@given(WIRE)
def test_any_bytes_are_judged(data: bytes) -> None:
    """No bytes can make the judgement raise, and what it lets pass has a kind."""
    session = LinkSession()
    quarantine = Quarantine()
    for message in Framer().feed(data, T):
        verdict = judge(message, session)
        quarantine.keep(verdict)
        assert not verdict.usable or verdict.message.kind != FRAGMENT


@given(
    st.lists(st.sampled_from(["CallerIDNum", "Channel", "Event", "Context"]), max_size=5), st.integers(1, 50)
)
def test_appended_repeats_change_nothing(names: list[str], number: int) -> None:
    """A caller repeats headers behind Asterisk's own: the first ones hold, the message is flagged."""
    plain = Framer().feed(event("Newchannel", number), T)[0]
    verdict = judged(event("Newchannel", number, *(f"{name}: forged" for name in names)))[0]
    assert verdict.message.fields == plain.fields
    assert verdict.judgement is (Judgement.FLAG if names else Judgement.ACCEPT)


def test_letters_cut_in_two_stay_whole() -> None:
    """Every byte of a Cyrillic name arrives alone."""
    data = "Event: X\r\nPrivilege: call,all\r\nCallerIDName: Анна\r\n\r\n".encode()
    [message] = in_pieces(data, list(range(len(data))))
    assert message.get("CallerIDName") == "Анна"


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n\n", b"\r\n\r\n\r\n\r\n", b"\r\n\n\r\n"])
def test_each_way_to_end_a_message_is_known(end: bytes) -> None:
    """Extra CR LF between messages, and lists that end in CR LF LF, lose nothing."""
    one = event("Newchannel", 1)[:-4] + end
    two = event("Newchannel", 2)[:-4] + end
    messages = Framer().feed(BANNER + one + two, T)
    assert [message.get("Uniqueid") for message in messages] == ["pbx-1795313139.1", "pbx-1795313139.2"]


@pytest.mark.parametrize("piece", [1_000, 10_000_000])
def test_an_endless_message_is_skipped(piece: int) -> None:
    """Something without an end comes, then a call: the memory stays small and the call is seen."""
    data = b"Event: Flood\r\nX: " + b"x" * (3 * MESSAGE_CAP_BYTES) + b"\r\n\r\n" + event("Newchannel", 1)
    framer = Framer()
    messages: list[Message] = []
    for start in range(0, len(data), piece):
        messages += framer.feed(data[start : start + piece], T)
        assert len(framer.pending()) <= MESSAGE_CAP_BYTES + 4
    assert [message.kind for message in messages] == ["Newchannel"]
    assert framer.counters.oversize == 1


def test_unwanted_events_are_dropped_undecoded() -> None:
    """Only names on the list cost a decode; answers always pass."""
    framer = Framer(frozenset({b"Hangup"}))
    data = event("Newchannel", 1) + event("Hangup", 1) + b"Response: Success\r\nActionID: 1\r\n\r\n"
    assert [message.kind for message in framer.feed(data, T)] == ["Hangup", "Response"]
    assert framer.counters.unwanted == 1


FORGED = "Event: Hangup\r\nPrivilege: call,all\r\nUniqueid: pbx-1795313139.1\r\nCause: 16"


def test_a_forged_block_is_put_aside_and_the_real_call_is_kept() -> None:
    """A caller cuts their own Newchannel in two with a hang-up of call 1: the hang-up is not believed, their call
    is."""
    data = event("Newchannel", 1) + event("Newchannel", 2, caller=f"+79\r\n\r\n{FORGED}\r\n\r\n")
    verdicts = judged(data)
    usable = [verdict for verdict in verdicts if verdict.usable]
    assert [verdict.message.kind for verdict in usable] == ["Newchannel", "Newchannel"]
    assert usable[1].message.get("Uniqueid") == "pbx-1795313139.2"
    assert usable[1].message.get("Context") == "from-trunk"
    assert usable[1].reason == JOINED
    assert any(verdict.message.kind == "Hangup" and not verdict.usable for verdict in verdicts)


def test_a_stolen_uniqueid_is_not_taken_over() -> None:
    """They write the uniqueid of a live call before their own: their message keeps their own, since call 1's is
    known."""
    data = event("Newchannel", 1) + event("Hangup", 2, caller="+79\r\nUniqueid: pbx-1795313139.1")
    verdict = judged(data)[1]
    assert verdict.judgement is Judgement.FLAG
    assert verdict.reason == SMUGGLED
    assert verdict.message.get("Uniqueid") == "pbx-1795313139.2"


def test_a_uniqueid_that_is_only_others_is_refused() -> None:
    """Both candidates belong to other live channels: nothing is acted upon."""
    claim = event("Hangup", 2, caller="+79\r\nUniqueid: pbx-1795313139.1").replace(
        b"trunk-00000002", b"trunk-0000000f"
    )
    verdict = judged(event("Newchannel", 1) + event("Newchannel", 2) + claim)[2]
    assert (verdict.judgement, verdict.reason) == (Judgement.QUARANTINE, CLAIMED)


def test_a_forgery_from_another_time_is_put_aside() -> None:
    """They guessed the headers but not the time."""
    data = event("Newchannel", 1) + event("Hangup", 1).replace(
        f"{T + 0.001:.6f}".encode(), b"1695313139.000000"
    )
    assert not judged(data)[1].usable


def test_a_clock_that_was_set_is_believed_after_a_few_events() -> None:
    """The administrator sets the PBX's clock an hour back: the link recovers by itself."""
    late = [
        event("Newchannel", n).replace(b"Timestamp: 1795313139", b"Timestamp: 1795309539") for n in range(9)
    ]
    usable = [verdict.usable for verdict in judged(event("Newchannel", 1) + b"".join(late))]
    assert usable[1:5] == [False] * 4
    assert all(usable[5:])


def test_a_real_hangup_beside_a_forgery_asks_for_confirmation() -> None:
    """Right behind a forged block even a proper hang-up is checked, by the name of the channel we know."""
    data = event("Newchannel", 1) + FORGED.encode() + b"\r\n\r\n" + event("Hangup", 1)
    assert [verdict.confirm_channel for verdict in judged(data)] == ["", "", "PJSIP/trunk-00000001"]


@pytest.mark.parametrize("version", ["16", "22"])
def test_an_ordinary_call_raises_no_suspicion(version: str) -> None:
    """A real answered call, all classes on: every message is accepted."""
    session = LinkSession()
    verdicts = [
        judge(message, session) for message in read_capture(CAPTURES / version / "in_answered/ami.jsonl.gz")
    ]
    assert len(verdicts) > 100
    assert Counter(verdict.judgement for verdict in verdicts).keys() == {Judgement.ACCEPT}


@pytest.mark.parametrize("version", ["16", "22"])
def test_hostile_callers_are_flagged_and_their_calls_kept(version: str) -> None:
    """Twenty strange callers: only those with line breaks are flagged, each under their own uniqueid, none
    forged."""
    session = LinkSession()
    messages = list(read_capture(CAPTURES / version / "nasty_callerid/ami.jsonl.gz"))
    verdicts = [judge(message, session) for message in messages]
    flagged = [verdict for verdict in verdicts if verdict.judgement is Judgement.FLAG]
    assert len(flagged) >= 60
    assert all(verdict.usable for verdict in verdicts)
    assert {verdict.reason for verdict in flagged} == {SMUGGLED}
    assert all(("Event", "Hangup") in verdict.message.repeated for verdict in flagged)
    assert Counter(v.message.kind for v in verdicts) == Counter(message.kind for message in messages)


@pytest.mark.parametrize("version", ["16", "22"])
def test_a_capture_told_again_over_the_wire_is_the_same(version: str) -> None:
    """The captured headers written as bytes and framed again give the captured messages."""
    told = list(read_capture(CAPTURES / version / "nasty_callerid/ami.jsonl.gz"))
    wire = b"".join(
        "".join(f"{name}: {value}\r\n" for name, value in message.fields.items()).encode() + b"\r\n"
        for message in told
    )
    again = Framer().feed(BANNER + wire, T)
    assert [message.fields for message in again] == [message.fields for message in told]
