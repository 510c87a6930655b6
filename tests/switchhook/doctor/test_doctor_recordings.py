"""What the doctor says about recordings: where they come from and whether they can be kept."""

from __future__ import annotations

from pathlib import Path

from switchhook.doctor.doctor import Finding, Level, examine


async def findings(tmp_path: Path, pbx: str = "", recordings: str = "") -> list[Finding]:
    """What is said about recordings under this configuration."""
    file = tmp_path / "switchhook.toml"
    file.write_text(
        f'[database]\nstate_dir = "{tmp_path / "state"}"\n[recordings]\n{recordings}\n'
        f'[[pbx]]\nid = "hq"\nport = 1\nsecret = "x"\n{pbx}\n',
        encoding="utf-8",
    )
    return [one for one in await examine(file) if one.area == "recordings"]


async def test_a_pbx_whose_recordings_are_not_fetched_is_named(tmp_path: Path) -> None:
    """Neither a directory nor a token: nothing would ever arrive."""
    first, *_ = await findings(tmp_path)
    assert first.level is Level.NOTICE
    assert '"hq"' in first.what
    assert first.remedy
    assert "recordings_dir" in first.remedy


async def test_a_directory_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """A mistyped path."""
    told = await findings(tmp_path, f'recordings_dir = "{tmp_path / "nowhere"}"')
    assert [one.level for one in told if "nowhere" in one.what] == [Level.FAULT]


async def test_a_directory_and_room_are_well(tmp_path: Path) -> None:
    """All is well but the encryption, which is a choice."""
    told = await findings(tmp_path, f'recordings_dir = "{tmp_path}"')
    assert not [one for one in told if one.level is Level.FAULT]
    assert any("hours of conversation" in one.what for one in told)
    assert any("not encrypted" in one.what for one in told)


async def test_with_a_key_nothing_is_said_about_encryption(tmp_path: Path) -> None:
    """A key file is configured."""
    (tmp_path / "keys").write_text(f"first {'ab' * 32}\n", encoding="utf-8")
    told = await findings(tmp_path, f'recordings_dir = "{tmp_path}"', 'key_file = "keys"')
    assert not [one for one in told if "encrypted" in one.what]


async def test_a_key_file_of_nonsense_is_a_fault(tmp_path: Path) -> None:
    """The wrong file was named."""
    (tmp_path / "keys").write_text("hello\n", encoding="utf-8")
    told = await findings(tmp_path, f'recordings_dir = "{tmp_path}"', 'key_file = "keys"')
    assert any(one.level is Level.FAULT and "line 1" in one.what for one in told)


async def test_a_bucket_that_does_not_answer_is_named(tmp_path: Path) -> None:
    """Nobody listens where the bucket should be."""
    told = await findings(
        tmp_path,
        f'recordings_dir = "{tmp_path}"',
        's3_bucket = "calls"\ns3_endpoint = "http://127.0.0.1:9"\ns3_access_key = "a"\ns3_secret_key = "b"',
    )
    (fault,) = [one for one in told if one.level is Level.FAULT]
    assert fault.remedy
