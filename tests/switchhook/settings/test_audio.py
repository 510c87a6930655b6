"""What an administrator writes about recordings, and what they are told when it cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchhook.settings.audio import audio_settings, keys_in
from switchhook.settings.mistakes import BadSettings
from switchhook.settings.settings import load

OLD, NEW = "ab" * 32, "cd" * 32


def configured(tmp_path: Path, text: str) -> Path:
    """A configuration file with this text."""
    file = tmp_path / "switchhook.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_word_audio_lies_unencrypted_below_the_state(tmp_path: Path) -> None:
    """Nothing is configured: a local directory, no keys."""
    file = configured(tmp_path, f'[database]\nstate_dir = "{tmp_path / "state"}"\n')
    audio = audio_settings(load(file))
    assert audio.directory == tmp_path / "state" / "recordings"
    assert audio.s3 is None
    assert audio.keys == ()


def test_a_bucket_with_its_secret_in_a_file(tmp_path: Path) -> None:
    """The secret of the bucket is read from a file and never shown."""
    (tmp_path / "s3").write_text("very-secret\n", encoding="utf-8")
    file = configured(
        tmp_path,
        '[recordings]\ns3_bucket = "calls"\ns3_endpoint = "https://s3.example.com"\ns3_secret_key_file = "s3"\n',
    )
    bucket = audio_settings(load(file)).s3
    assert bucket is not None
    assert bucket.secret_key == "very-secret"
    assert "very-secret" not in repr(bucket)


def test_the_first_key_encrypts_and_the_others_still_open(tmp_path: Path) -> None:
    """A key file after a rotation; comments and empty lines are nothing."""
    file = tmp_path / "keys"
    file.write_text(f"# rotated in November\n2026-2 {NEW}\n\n2026-1 {OLD}\n", encoding="utf-8")
    new, old = keys_in(file)
    assert (new.id, old.id) == ("2026-2", "2026-1")
    assert new.secret == bytes.fromhex(NEW)
    assert "cd" * 5 not in repr(new)


@pytest.mark.parametrize(
    "text", ["", "2026-1 short\n", f"2026-1 {OLD}\n2026-1 {NEW}\n", "ключ\n", f"{OLD}\n", f"a b {OLD}\n"]
)
def test_a_key_file_that_cannot_be_used_is_told_without_its_secret(tmp_path: Path, text: str) -> None:
    """A wrong line is named by its number; no part of a key gets into the message."""
    file = tmp_path / "keys"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSettings, match="line") as told:
        keys_in(file)
    assert OLD not in str(told.value)
    assert NEW not in str(told.value)


def test_a_short_upload_token_is_refused(tmp_path: Path) -> None:
    """What could be guessed over the network is not taken."""
    file = configured(tmp_path, '[[pbx]]\nid = "hq"\nsecret = "x"\nupload_token = "secret"\n')
    with pytest.raises(BadSettings, match="too short"):
        load(file)
