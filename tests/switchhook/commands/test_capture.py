"""`switchhook capture` at a manager interface: what is written is private, redacted, and replays."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ami_bridge.capture.capture import read_capture
from switchhook.commands import capture
from switchhook.commands.replay import replay
from switchhook.settings.settings import Settings
from switchhook.settings.tables import PbxSettings
from telephony.errors import NeedsPerson
from tests.ami_bridge.fake_ami import SECRET, USER, FakeAmi, Peer, block, serving

CLIENT, NAME = "79161110005", "Pyotr Ilyich"


def event(name: str, *lines: str) -> bytes:
    """One event of the call of a client."""
    about = ("Channel: PJSIP/trunk-00000001", "Uniqueid: pbx-1795313139.1", "Linkedid: pbx-1795313139.1")
    who = (f"CallerIDNum: {CLIENT}", f"CallerIDName: {NAME}", "Context: office", "Exten: 101")
    stamp = ("Privilege: call,all", "Timestamp: 1795313139.500000", "SystemName: pbx")
    return block(f"Event: {name}", *stamp, *about, *who, *lines)


async def a_client_calls(peer: Peer) -> None:
    """They hear nothing and hang up."""
    peer.write(event("Newchannel", "ChannelState: 4", "ChannelStateDesc: Ring"))
    peer.write(event("Hangup", "ChannelState: 4", "Cause: 16"))


def at(fake: FakeAmi) -> Settings:
    """A configuration with this PBX alone."""
    return Settings(pbx=(PbxSettings(id="hq", port=fake.port, username=USER, secret=SECRET),))  # type: ignore[arg-type]


@pytest.mark.parametrize("raw", [False, True], ids=["redacted", "raw"])
async def test_a_capture_is_private_and_replays(tmp_path: Path, raw: bool) -> None:
    """A call is captured: only the owner can read the file, the number is in it only when asked for, the call is told."""
    file = tmp_path / "evening.jsonl"
    async with serving(FakeAmi(after_login=a_client_calls)) as fake:
        assert await capture.main(at(fake), file, None, 0.5, raw_numbers=raw) == 0
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    text = file.read_text(encoding="utf-8")
    assert (CLIENT in text, NAME in text, SECRET in text) == (raw, raw, False)
    assert {"Newchannel", "Hangup"} <= {message.kind for message in read_capture(file)}
    (call,) = replay([file])
    assert call.ended


async def test_a_capture_is_never_overwritten(tmp_path: Path) -> None:
    """The file is there already: nothing is asked of the PBX, and the file stays as it is."""
    file = tmp_path / "evening.jsonl"
    file.write_text("kept", encoding="utf-8")
    async with serving(FakeAmi()) as fake:
        with pytest.raises(NeedsPerson, match="exists already"):
            await capture.main(at(fake), file, None, 0.5)
        assert fake.peers == []
    assert file.read_text(encoding="utf-8") == "kept"


async def test_what_was_written_stays_when_the_link_is_lost(tmp_path: Path) -> None:
    """The PBX goes away in the middle: the loss is told, the file holds what came before."""

    async def then_leave(peer: Peer) -> None:
        await a_client_calls(peer)
        peer.writer.close()

    file = tmp_path / "evening.jsonl"
    async with serving(FakeAmi(after_login=then_leave)) as fake:
        with pytest.raises(Exception, match=r"."):
            await capture.main(at(fake), file, None, 5.0)
    assert "Hangup" in {message.kind for message in read_capture(file)}
