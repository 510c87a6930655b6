"""`switchhook replay` as a person types it: files in, calls out, and a sentence when a file is no capture."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from switchhook.cli import run_command
from tests.telephony.captured import CAPTURES, captured
from tests.telephony.streams import raw

REFER = CAPTURES / "22" / "att_refer"
CUT = CAPTURES / "22" / "ami_drop_reconnect"


def test_one_json_object_a_line_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    """The transfer's consultation has joined the client's call: one line."""
    assert run_command(["replay", str(REFER / "ami.jsonl.gz")]) == 0
    (call,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (call["version"], call["answered_by"], call["final_party"]) == (1, "101", "102")


def test_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """One line a call under its titles."""
    assert run_command(["replay", str(REFER / "ami.jsonl.gz"), "--format", "table"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("started")
    assert "attended 101→102 completed" in out[1]


def test_two_files_are_a_reconnect_and_cel_closes_the_gap(capsys: pytest.CaptureFixture[str]) -> None:
    """Three calls. Of one nobody saw anything; of one that talked across the gap nobody tells whether it was held then."""
    files = [str(CUT / "ami.jsonl.gz"), str(CUT / "ami2.jsonl.gz")]
    assert run_command(["replay", *files, "--cel", str(CUT / "cel.csv.gz")]) == 0
    calls = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [call["certainty"] for call in calls] == ["reconstructed", "observed", "reconstructed"]


def test_cel_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any capture; an uncompressed file."""
    plain = tmp_path / "cel.csv"
    plain.write_bytes(gzip.decompress((REFER / "cel.csv.gz").read_bytes()))
    assert run_command(["replay", "--cel", str(plain)]) == 0
    assert json.loads(capsys.readouterr().out)["certainty"] == "reconstructed"


def rewritten_log(path: Path, keep: Callable[[int, str], bool]) -> Path:
    """That call's log with some of its lines."""
    lines = gzip.decompress((REFER / "cel.csv.gz").read_bytes()).decode().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(lines) if keep(number, line)), newline="")
    return path


def test_a_log_without_bridges_tells_nothing_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its `events` leave them out: the answered call was told as missed. Beside AMI it does no harm."""
    log = str(rewritten_log(tmp_path / "cel.csv", lambda _number, line: '"BRIDGE_' not in line))
    assert run_command(["replay", "--cel", log]) == 3
    told = capsys.readouterr()
    assert (told.out, "no rows of bridges" in told.err) == ("", True)
    assert run_command(["replay", str(REFER / "ami.jsonl.gz"), "--cel", log]) == 0
    assert json.loads(capsys.readouterr().out)["answered_by"] == "101"


@pytest.mark.parametrize("left_out", [1, 4, 9])
def test_a_log_that_begins_within_a_call_does_not_tell_that_call(
    left_out: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was rotated in the middle of it: what is left was told as an internal call that nobody answered."""
    log = rewritten_log(tmp_path / "cel.csv", lambda number, _line: number >= left_out)
    assert run_command(["replay", "--cel", str(log)]) == 0
    told = capsys.readouterr()
    assert (told.out, "does not hold their beginning: 1" in told.err) == ("", True)


def test_raw_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As they came from the socket, banner and all: the same call."""
    file = tmp_path / "link.raw"
    file.write_bytes(raw(captured("22/att_refer").links[0]))
    assert run_command(["replay", str(file)]) == 0
    from_raw = json.loads(capsys.readouterr().out)
    assert run_command(["replay", str(REFER / "ami.jsonl.gz")]) == 0
    assert json.loads(capsys.readouterr().out) == from_raw


def test_other_endpoints(capsys: pytest.CaptureFixture[str]) -> None:
    """102 is a line here: the call is internal no more."""
    file = str(CAPTURES / "22" / "internal" / "ami.jsonl.gz")
    assert run_command(["replay", file, "--trunks", "^102$"]) == 0
    assert json.loads(capsys.readouterr().out)["direction"] == "outbound"


@pytest.mark.parametrize("source", ["ami", "cel"])
def test_endpoints_that_nothing_places_are_named(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever replays a stranger's capture learns why its calls look wrong, and what to write."""
    folder = CAPTURES / "22" / "internal"
    name = {"ami": "ami.jsonl", "cel": "cel.csv"}[source]
    text = gzip.decompress((folder / f"{name}.gz").read_bytes()).decode()
    strangers = tmp_path / name
    strangers.write_text(re.sub(r"PJSIP/(10[12])-", r"PJSIP/desk\1-", text))
    arguments = ["replay", str(strangers)] if source == "ami" else ["replay", "--cel", str(strangers)]

    assert run_command(arguments) == 0
    told = capsys.readouterr().err
    assert "Counted as trunks" in told
    assert "desk101" in told
    assert "--phones desk101=101" in told

    assert run_command([*arguments, "--phones", "desk101=101,desk102=102"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nowhere.jsonl"], 3, "Cannot read nowhere.jsonl"),
        ([__file__], 3, "is not a capture"),
        (["--cel", __file__], 3, "is not a channel event log"),
        ([str(REFER / "ami.jsonl.gz"), "--trunks", "["], 2, "no regular expression"),
        ([], 2, "name at least one capture"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    arguments: list[str], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback; the exit code says whose move it is."""
    assert run_command(["replay", *arguments]) == code
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.out == ""


def test_a_capture_cut_off_in_the_middle_is_told_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk was full: what is there is told, and that a line was broken."""
    whole = gzip.decompress((REFER / "ami.jsonl.gz").read_bytes())
    file = tmp_path / "cut.jsonl"
    file.write_bytes(whole[: len(whole) // 2])
    assert run_command(["replay", str(file)]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out.splitlines()[0])["state"] != "ended"
    assert "1 broken line" in told.err


OLD_DIAL = (
    ("Event", "Dial"),
    ("Privilege", "call,all"),
    ("SubEvent", "Begin"),
    ("Channel", "SIP/trunk-00000001"),
    ("Destination", "SIP/101-00000002"),
)
OLD_BRIDGE = (
    ("Event", "Bridge"),
    ("Privilege", "call,all"),
    ("Bridgestate", "Link"),
    ("Uniqueid1", "1795900000.1"),
)


@pytest.mark.parametrize("event", [OLD_DIAL, OLD_BRIDGE], ids=["dial", "bridge"])
def test_a_capture_of_an_old_asterisk_is_refused_in_words(
    event: tuple[tuple[str, str], ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asterisk 11 says other things of a call: half of it told would be told wrong."""
    file = tmp_path / "old.jsonl"
    ring = [
        ["Event", "Newchannel"],
        ["Privilege", "call,all"],
        ["Channel", "SIP/trunk-00000001"],
        ["Uniqueid", "1.1"],
    ]
    file.write_text(
        "".join(json.dumps({"t": 1795900000.0, "h": h}) + "\n" for h in (ring, [*map(list, event)]))
    )
    assert run_command(["replay", str(file)]) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert "older than Asterisk 12" in told.err
