"""Music on hold after which recordings lose our side is named before anybody records."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchhook.commands.init import Answers, write
from switchhook.doctor import hold_music
from switchhook.doctor.findings import Level
from switchhook.doctor.hold_music import examine_hold_music


def _asterisk(tmp_path: Path, **classes: str) -> Path:
    """An Asterisk's configuration with a class per argument, each with one file of that name."""
    lines = ["; classes", "#include musiconhold_custom.conf"]
    for name, file in classes.items():
        directory = tmp_path / "moh" / name
        directory.mkdir(parents=True)
        (directory / file).write_bytes(b"")
        lines += [f"[{name}]", "mode = files", f"directory = {directory} ; here"]
    (tmp_path / "musiconhold.conf").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("file", ["a.gsm", "b.alaw", "c.ULAW", "d.g722"])
def test_a_companded_class_is_named_with_the_remedy(tmp_path: Path, file: str) -> None:
    """Whatever Asterisk has to decode."""
    (found,) = examine_hold_music(_asterisk(tmp_path, default="x.wav", sales=file))
    assert (found.level, "class sales)" in found.what) == (Level.NOTICE, True)
    assert found.remedy
    assert ".wav" in found.remedy


@pytest.mark.parametrize("file", ["a.wav", "b.sln", "c.sln16", "d.mp3"])
def test_linear_music_is_well(tmp_path: Path, file: str) -> None:
    """Nothing is said against it."""
    assert [one.level for one in examine_hold_music(_asterisk(tmp_path, default=file))] == [Level.FINE]


def test_nothing_is_said_of_a_pbx_elsewhere(tmp_path: Path) -> None:
    """No configuration, one that is no text, a class without a folder: nothing is known."""
    assert list(examine_hold_music(tmp_path / "nowhere")) == []
    (tmp_path / "musiconhold.conf").write_bytes(b"\xff\xfe[[\n")
    assert list(examine_hold_music(tmp_path)) == []


def test_init_says_so_before_anybody_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the PBX's own machine."""
    monkeypatch.setattr(hold_music, "ASTERISK_CONFIG", _asterisk(tmp_path, default="x.gsm"))
    write(tmp_path / "s.toml", Answers(), variant="plain", ask=False, force=False, test=False)
    assert "Before you record: Music on hold is companded (class default)" in capsys.readouterr().out
