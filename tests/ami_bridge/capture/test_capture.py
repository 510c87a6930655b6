"""Captures: read however broken, written to last, and given away without anybody's number or name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami_bridge.capture.capture import CaptureCounters, CaptureWriter, read_capture
from ami_bridge.capture.redaction import Redactor
from ami_bridge.quarantine import LinkSession, judge
from ami_bridge.wire.message import Message, message_from_headers

CAPTURES = Path(__file__).parents[2] / "captures"
LINE = (
    json.dumps({"t": 1.5, "h": [["Event", "Hangup"], ["Privilege", "call,all"], ["Uniqueid", "1.1"]]}) + "\n"
)


def message(*headers: tuple[str, str]) -> Message:
    made = message_from_headers([("Event", "Test"), *headers], 1.0)
    assert made is not None
    return made


def test_broken_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    """A bug report whose file was edited by hand: what is readable is read."""
    path = tmp_path / "broken.jsonl"
    path.write_text(
        LINE + 'not json\n{"t": 1}\n[]\n{"t": "x", "h": []}\n\n' + LINE + LINE[:20], encoding="utf-8"
    )
    counters = CaptureCounters()
    assert [found.kind for found in read_capture(path, counters)] == ["Hangup", "Hangup"]
    assert (counters.messages, counters.broken) == (2, 5)


def test_a_compressed_file_cut_in_the_middle_gives_what_it_holds(tmp_path: Path) -> None:
    """The upload broke off."""
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress("".join(LINE.replace("1.1", f"1.{n}") for n in range(5_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    counters = CaptureCounters()
    assert len(list(read_capture(path, counters))) > 100
    assert counters.broken == 1


def test_raw_bytes_are_read(tmp_path: Path) -> None:
    """Somebody recorded the socket with netcat: the events' own times serve."""
    path = tmp_path / "ami.raw"
    path.write_bytes(
        b"Asterisk Call Manager/11.0.0\r\nEvent: Hangup\r\nPrivilege: call,all\r\nTimestamp: 12.5\r\n\r\n"
    )
    [found] = read_capture(path)
    assert (found.kind, found.arrived_at) == ("Hangup", 12.5)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    """Two sittings append to one file; letters, repeats and order survive; only the owner may read it."""
    path = tmp_path / "new.jsonl"
    told = list(read_capture(CAPTURES / "22/nasty_callerid/ami.jsonl.gz"))
    for part in (told[:100], told[100:]):
        with CaptureWriter(path) as writer:
            for one in part:
                writer.write(one)
    assert list(read_capture(path)) == told
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("version", ["16", "22"])
@pytest.mark.parametrize("scenario", ["in_answered", "nasty_callerid"])
def test_a_redacted_capture_tells_the_same_call(version: str, scenario: str) -> None:
    """No outside number is left; kinds, ids, times and judgements are what they were."""
    told = list(read_capture(CAPTURES / version / scenario / "ami.jsonl.gz"))
    redactor = Redactor()
    redacted = [redactor.message(one) for one in told]
    text = "\n".join(json.dumps(one.as_capture(), ensure_ascii=False) for one in redacted)
    for number in ("9161234567", "79160000009", "74951000001", "74951000005"):
        assert number not in text
    before, after = LinkSession(), LinkSession()
    for one, other in zip(told, redacted, strict=True):
        assert (one.kind, list(one.fields)) == (other.kind, list(other.fields))
        for name in ("Uniqueid", "Linkedid", "DestUniqueid", "BridgeUniqueid", "Timestamp", "Channel"):
            assert one.get(name) == other.get(name)
        assert judge(one, before).judgement is judge(other, after).judgement


def test_one_number_is_one_number_everywhere() -> None:
    """As a caller, in a dial string, in a channel's name, in a file's name: the same replacement."""
    redactor = Redactor(b"k" * 32)
    told = message(
        ("CallerIDNum", "+79161234567"),
        ("DialString", "trunk/sip:89161234567@192.0.2.7"),
        ("Channel", "Local/89161234567@out-00000001;1"),
        ("Value", "/rec/2026-11-22/89161234567-101.wav"),
    )
    found = redactor.message(told).fields
    subscriber = found["CallerIDNum"][-10:]
    assert subscriber != "9161234567"
    assert found["CallerIDNum"].startswith("+7")
    assert found["DialString"] == f"trunk/sip:8{subscriber}@192.0.2.1"
    assert found["Channel"] == f"Local/8{subscriber}@out-00000001;1"
    assert found["Value"] == f"/rec/2026-11-22/8{subscriber}-101.wav"


def test_names_become_nobodys_and_extensions_stay() -> None:
    """A name is replaced wherever it stands; 101 is still 101; withheld stays withheld."""
    found = (
        Redactor(b"k" * 32)
        .message(
            message(
                ("CallerIDName", "Anna Petrova"),
                ("ConnectedLineName", "<unknown>"),
                ("CallerID", '"Anna Petrova" <101>'),
                ("Exten", "101"),
            )
        )
        .fields
    )
    assert "Anna" not in found["CallerIDName"] + found["CallerID"]
    assert found["CallerID"] == f'"{found["CallerIDName"]}" <101>'
    assert (found["ConnectedLineName"], found["Exten"]) == ("<unknown>", "101")


def test_two_captures_cannot_be_compared() -> None:
    """The key is new each time: the same number is another one in the next capture."""
    assert Redactor().number("+79161234567") != Redactor().number("+79161234567")


@given(st.from_regex(r"\+?[0-9]{7,15}", fullmatch=True))
def test_a_number_keeps_its_shape(number: str) -> None:
    """Same length, same plus."""
    replaced = Redactor(b"k" * 32).number(number)
    assert len(replaced) == len(number)
    assert replaced.startswith("+") == number.startswith("+")
    assert replaced.removeprefix("+").isdigit()
