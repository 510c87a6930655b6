"""The lines that a person is told to put into their PBX."""

from __future__ import annotations

import pytest

from switchhook.pbx.config import CONFIG_FILES, fill, render_manager_conf
from telephony.errors import OurMistake, PeerMistake


def test_the_ami_user_has_no_place_holder_left() -> None:
    """What is printed can be pasted as it is."""
    text = render_manager_conf("s3cret-word", "10.0.0.5/255.255.255.255")
    assert "@" not in text
    assert "\nsecret = s3cret-word\n" in text
    assert "\npermit = 10.0.0.5/255.255.255.255\n" in text
    assert "\nwrite = reporting\n" in text


def test_rights_for_transfers_only_when_asked() -> None:
    """Observing needs no right to act."""
    assert "\nwrite = reporting,call,originate\n" in render_manager_conf("s3cret-word", transfers=True)


@pytest.mark.parametrize("secret", ["", "two\nlines", "semi;colon", "[section]"])
def test_a_secret_that_would_break_out_is_refused(secret: str) -> None:
    """A line break or a semicolon in the secret would change what the file means."""
    with pytest.raises(PeerMistake, match="secret"):
        render_manager_conf(secret)


def test_a_missing_value_is_noticed() -> None:
    """A template and its code that drifted apart fail loudly, not in a customer's PBX."""
    with pytest.raises(OurMistake, match="@PORT@"):
        fill("port = @PORT@", {})


def test_dialplan_patterns_have_no_open_end() -> None:
    """`.` and `!` let a caller dial line breaks: no pattern of ours has them."""
    for path in sorted(CONFIG_FILES.rglob("extensions*.conf")):
        for line in path.read_text(encoding="utf-8").splitlines():
            pattern = line.partition("=")[2].lstrip("> ").partition(",")[0].strip()
            if line.startswith("exten") and pattern.startswith("_"):
                assert not set(pattern) & set(".!"), f"{path.name}: {line}"
