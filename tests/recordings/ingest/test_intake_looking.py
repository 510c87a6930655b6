"""What a file looks like, and which files are looked at: no database, no waiting."""

from __future__ import annotations

import os
import struct
from itertools import product
from pathlib import Path

import pytest

from call_records.recordings.catalogue.file_names import bare, channel_in, parts_of, recording_of
from call_records.recordings.ingest.decisions import LATE_SECONDS, QUIET_SECONDS, CallIs, Piece, fate_of
from call_records.recordings.ingest.spool_watch import LOOK_BACK_EVERY_SECONDS, SpoolWatch
from call_records.recordings.ingest.wav_header import Look, examine
from call_records.recordings.types import SourceRole
from telephony.recordings import RecordingState
from tests.recordings.sound_files import HEADER, converted, leave, wav


def chunk(name: bytes, content: bytes) -> bytes:
    """A RIFF chunk with its padding."""
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


RIFF = b"RIFF\0\0\0\0WAVE"
FORM = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16))


@pytest.mark.parametrize(
    ("content", "look"),
    [
        (wav(1), Look.SOUND),
        (HEADER, Look.HEADER_ONLY),
        (HEADER[:43], Look.HEADER_ONLY),
        (b"", Look.HEADER_ONLY),
        (wav(1, told=0), Look.UNFINISHED),
        (wav(1, told=15_000), Look.UNFINISHED),
        (wav(1, told=17_000), Look.UNFINISHED),
        (RIFF + FORM + chunk(b"data", b"12345"), Look.SOUND),
        (RIFF + FORM + chunk(b"data", b"1234") + chunk(b"LIST", b"a title"), Look.SOUND),
        (RIFF + chunk(b"LIST", b"before") + FORM + chunk(b"data", b"1234"), Look.SOUND),
        (RIFF + chunk(b"data", b"1234" * 20) + FORM, Look.ALIEN),
        (RIFF + chunk(b"junk", b"x") * 100 + FORM + chunk(b"data", b"1234"), Look.ALIEN),
        (b"RIFF\0\0\0\0AVI " + bytes(100), Look.ALIEN),
        (b"x" * 100, Look.ALIEN),
        (converted("mp3"), Look.ENDLESS),
        (b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + converted("mp3"), Look.ENDLESS),
        (b"ID3\x03 some music", Look.UNFINISHED),
        (b"ID3\x03\0\0\0\0\0\0" + b"words" * 100, Look.ALIEN),
        (converted("adts"), Look.ENDLESS),
        (converted("flac"), Look.ENDLESS),
        (converted("ogg"), Look.SOUND),
        (converted("ogg", 5)[:-100], Look.UNFINISHED),
        (converted("mp4"), Look.SOUND),
        (converted("mp4")[:-1], Look.UNFINISHED),
        (b"\xff\xfe" + "Notes".encode("utf-16-le"), Look.ALIEN),
    ],
)
def test_what_a_file_looks_like(tmp_path: Path, content: bytes, look: Look) -> None:
    """Finished, unfinished, without sound, no sound at all; chunks before and after the sound are common."""
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert examine(path).look is look


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    """A link put in the place of a file between two looks, and a pipe that would make us wait."""
    target = leave(tmp_path, "target")
    (tmp_path / "link.wav").symlink_to(target)
    os.mkfifo(tmp_path / "pipe.wav")
    for name in ("link.wav", "pipe.wav"):
        with pytest.raises(OSError, match=r"."):
            examine(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "recording", "role"),
    [
        ("/a/b/1795311120.5.wav", "1795311120.5", SourceRole.MIX),
        ("a22-1795311120.5-in.wav", "a22-1795311120.5", SourceRole.IN),
        ("in-101-2.1-out.WAV", "in-101-2.1", SourceRole.OUT),
        ("-in.wav", "-in", SourceRole.MIX),
        ("x.mp3", "x", SourceRole.MIX),
    ],
)
def test_what_a_name_tells(path: str, recording: str, role: SourceRole) -> None:
    """Sides stand at the end; FreePBX's own `in-` and `out-` at the beginning mean nothing here."""
    parts = parts_of(path)
    assert parts is not None
    assert (parts.recording, parts.role) == (recording, role)


@pytest.mark.parametrize("path", ["notes.txt", ".hidden.wav", ".wav", "wav", "", "a.wav.part"])
def test_what_is_no_recording(path: str) -> None:
    """Anything else in the directory is left alone."""
    assert parts_of(path) is None


def test_which_channel_a_name_carries() -> None:
    """The longest that fits, at the border of a word: the system's name belongs to it, a counter's end does not."""
    assert channel_in("out-101-a22-1795311120.5", ["1795311120.5", "a22-1795311120.5"]) == "a22-1795311120.5"
    assert channel_in("x-11795311120.5", ["1795311120.5"]) is None
    assert bare("out-101-a22-1795311120.5") == "1795311120.5"
    assert bare("monday") is None
    assert recording_of("/no/ending") == "ending"


def test_no_file_is_taken_while_it_may_still_grow() -> None:
    """Whatever it looks like: within a second of a change nothing is decided, and of a live call nothing unfinished."""
    for look, call, quiet in product(Look, CallIs, (0.0, 0.9, 1.0, 14.0, 60.0, LATE_SECONDS + 1)):
        fate = fate_of([Piece(SourceRole.MIX, look, "why")], call, quiet)
        if quiet < QUIET_SECONDS:
            assert fate.state is None
        if call is CallIs.LIVE and look in (Look.UNFINISHED, Look.HEADER_ONLY):
            assert fate.state is None


def test_every_file_has_a_fate_in_the_end() -> None:
    """Once its call is over nothing waits for longer than the page of exceptions may."""
    for look, call in product(Look, set(CallIs) - {CallIs.LIVE}):
        for roles in ({SourceRole.MIX}, {SourceRole.MIX, SourceRole.IN}, set(SourceRole)):
            pieces = [Piece(role, look, "why") for role in roles]
            assert fate_of(pieces, call, LATE_SECONDS).state is not None
    assert LATE_SECONDS < 300


def test_a_silent_side_does_not_keep_the_rest() -> None:
    """Nobody spoke on one side: the others are the recording."""
    pieces = [
        Piece(SourceRole.MIX, Look.SOUND, None),
        Piece(SourceRole.IN, Look.SOUND, None),
        Piece(SourceRole.OUT, Look.HEADER_ONLY, "The file holds no sound."),
    ]
    fate = fate_of(pieces, CallIs.ANSWERED, 3)
    assert (fate.state, fate.roles) == (RecordingState.ARRIVED, {SourceRole.MIX, SourceRole.IN})


class Clocked:
    """A watch under a clock of ours; listings are counted."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.listed: list[str] = []
        self.wall = 2e9
        self.watch = SpoolWatch(directory, clock=lambda: self.now, wall=lambda: self.wall + self.now)
        whole = os.listdir

        def listing(path: Path) -> list[str]:
            self.listed.append(Path(path).name)
            return whole(path)

        monkeypatch.setattr("call_records.recordings.ingest.spool_watch.os.listdir", listing)


def test_folders_without_a_change_are_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand looks at years of folders: each is listed when it changed, and only then."""
    for day in range(5):
        leave(tmp_path / "2026" / f"{day:02}", f"16000000{day:02}.1")
    clocked = Clocked(tmp_path, monkeypatch)
    assert len(clocked.watch.look()) == 5
    clocked.listed.clear()
    for _ in range(200):
        clocked.now += 1
        clocked.watch.look()
    assert clocked.listed == []
    leave(tmp_path / "2026" / "04", "1600000099.1")
    clocked.now += 61
    assert [one.name.recording for one in clocked.watch.look()] == ["1600000099.1"]
    assert clocked.listed == ["04"]


def test_a_change_in_the_moment_of_listing_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files in one tick of the file system's clock, our look between them: the folder's time is the same."""
    clocked = Clocked(tmp_path, monkeypatch)
    clocked.wall = 0.0
    os.utime(tmp_path, (100, 100))
    clocked.now = 100.5
    assert clocked.watch.look() == []
    leave(tmp_path, "1600000099.1")
    os.utime(tmp_path, (100, 100))
    clocked.now = 101.5
    assert len(clocked.watch.look()) == 1


def test_a_file_that_changes_after_it_was_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an hour it is compared now and then; what disappears is forgotten."""
    path = leave(tmp_path, "1600000099.1")
    clocked = Clocked(tmp_path, monkeypatch)
    clocked.watch.look()
    clocked.watch.settle([path], compare=True)
    assert clocked.watch.waiting == 0
    path.write_bytes(wav(3))
    clocked.now += LOOK_BACK_EVERY_SECONDS
    assert len(clocked.watch.look()) == 1
    path.unlink()
    assert clocked.watch.resting() == []


@pytest.mark.parametrize(
    ("call", "state"),
    [
        (CallIs.LIVE, None),
        (CallIs.ANSWERED, RecordingState.JOINED),
        (CallIs.UNANSWERED, RecordingState.JOINED),
    ],
)
def test_a_track_of_a_phone_that_only_rang_is_nobodys_concern(
    call: CallIs, state: RecordingState | None
) -> None:
    """A group of six leaves five of them in every answered call: neither lost nor empty in the lists."""
    header_only = [Piece(SourceRole.TRACK, Look.HEADER_ONLY, "why")]
    assert fate_of(header_only, call, 90).state is state
    assert (
        fate_of([Piece(SourceRole.TRACK, Look.SOUND, None)], CallIs.ANSWERED, 3).state
        is RecordingState.ARRIVED
    )
