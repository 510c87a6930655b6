"""Files of recordings as PBXes name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from call_records.recordings.catalogue.file_names import parts_of
from call_records.recordings.ingest.spool_watch import SpoolWatch


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("1795311120.5.wav16", "1795311120.5"),
        ("1795311120.5.WAV", "1795311120.5"),
        ("1795311120.5-in.sln16", "1795311120.5"),
        ("1795311120.5.g729", "1795311120.5"),
        ("1795311120.5.m4a", "1795311120.5"),
        ("q-8001 10:15:00-1795311120.5.wav", "q-8001 10:15:00-1795311120.5"),
        ("notes.txt", None),
        (".hidden.wav16", None),
    ],
)
def test_what_is_a_recording_by_its_name(name: str, recording: str | None) -> None:
    """Whether it can be read is decided by what is in it."""
    parts = parts_of(name)
    assert (parts.recording if parts else None) == recording


@pytest.mark.parametrize("ending", [".wav", ".WAV", ".wav16", ".mp3"])
def test_a_file_left_alone_is_looked_at_again_for_its_call(tmp_path: Path, ending: str) -> None:
    """Old files are left alone unless a call expects them, however their ending is spelled."""
    (tmp_path / f"B{ending}").write_bytes(b"RIFF")
    watch = SpoolWatch(tmp_path, since_ns=2**62)
    watch.look()
    assert watch.left_alone == 1
    watch.look_again(["B"])
    assert watch.has("B")
    assert [one.path.suffix for one in watch.look()] == [ending]
