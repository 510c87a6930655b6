"""The doctor in front of PBXes with one thing wrong each."""

from __future__ import annotations

import time

import pytest

from ami_bridge.doctor.doctor import Finding, Level, examine
from ami_bridge.wire.connection import PbxLink, Timings
from tests.ami_bridge.fake_ami import SECRET, USER, FakeAmi, Peer, block, error, newchannel, serving, success


async def examined(fake: FakeAmi, *, secret: str = SECRET) -> list[Finding]:
    """What the doctor finds at this fake; a call comes in meanwhile unless the fake says otherwise."""
    if fake.after_login is None:
        fake.after_login = a_call
    async with serving(fake):
        link = PbxLink("pbx", "127.0.0.1", fake.port, USER, secret, timings=Timings(booted_seconds=0.05))
        return await examine(link, listen_seconds=0.2, answer_seconds=0.3)


async def a_call(peer: Peer) -> None:
    peer.write(newchannel(1))


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level is not Level.OK]


def the(findings: list[Finding], text: str) -> Finding:
    """The one finding that says `text`, with its remedy."""
    [found] = [finding for finding in findings if text in finding.what]
    assert found.remedy, "a fault without a remedy helps nobody"
    return found


async def test_a_sound_pbx_has_no_faults() -> None:
    """All is as asterisk-config says; only what a short listening cannot see is left open."""
    findings = await examined(FakeAmi())
    assert not [finding for finding in findings if finding.level is Level.FAULT]
    assert any("22.10.1" in finding.what for finding in findings)
    assert any("systemname is set" in finding.what for finding in findings)


async def test_a_wrong_secret_is_the_one_finding() -> None:
    """Nothing else can be looked at."""
    [finding] = await examined(FakeAmi(), secret="wrong")
    assert finding.level is Level.FAULT
    assert "manager.conf" in finding.remedy


async def test_a_closed_port_is_the_one_finding() -> None:
    """Asterisk is not running."""
    fake = FakeAmi()
    async with serving(fake):
        pass
    [finding] = await examine(PbxLink("pbx", "127.0.0.1", fake.port, USER, SECRET))
    assert "Nothing listens" in finding.what


async def test_a_user_that_may_not_ask_is_a_fault() -> None:
    """write = reporting was forgotten."""
    fake = FakeAmi()
    for name in ("CoreStatus", "CoreSettings", "CoreShowChannels", "Status"):
        fake.answers[name] = lambda action: error(action, "Permission denied")
    found = the(await examined(fake), "may not ask for the state")
    assert (found.level, "write = reporting" in found.remedy) == (Level.FAULT, True)


async def test_events_without_time_are_a_fault() -> None:
    """timestampevents is off, and systemname not set."""

    async def unstamped(peer: Peer) -> None:
        peer.write(block("Event: Newchannel", "Privilege: call,all", "Uniqueid: 1.1"))

    fake = FakeAmi(after_login=unstamped)
    fake.answers["CoreSettings"] = lambda action: success(action, "AsteriskVersion: 16.28.0", "SystemName: ")
    findings = await examined(fake)
    assert the(findings, "no time of their own").level is Level.FAULT
    assert the(findings, "systemname is not set").level is Level.WARN


async def test_a_missing_system_class_is_a_fault() -> None:
    """FullyBooted never comes to a user that may not read `system`."""
    findings = await examined(FakeAmi(fully_booted=False))
    assert the(findings, "No event of class system").level is Level.FAULT


async def test_too_much_power_is_a_warning() -> None:
    """The administrator gave write = all."""
    fake = FakeAmi()
    fake.answers["ListCommands"] = lambda action: success(
        action,
        "Command: Execute Asterisk CLI Command. (Priv: command,all)",
        "GetConfig: x (Priv: config,all)",
    )
    findings = await examined(fake)
    assert the(findings, "write = command").level is Level.WARN
    assert the(findings, "write = config").level is Level.WARN


async def test_a_missing_filter_is_a_warning() -> None:
    """RTCP reports of every call come through."""

    async def chatter(peer: Peer) -> None:
        stamps = ("Timestamp: 1795313139.500000", "SystemName: pbx")
        peer.write(newchannel(1) + block("Event: RTCPSent", "Privilege: reporting,all", *stamps))

    assert "eventfilter" in the(await examined(FakeAmi(after_login=chatter)), "nobody needs").remedy


async def test_a_snapshot_that_never_ends_is_a_fault() -> None:
    """writetimeout is FreePBX's 100 ms and the list broke off."""
    fake = FakeAmi()
    fake.answers["Status"] = lambda action: None
    assert "writetimeout" in the(await examined(fake), "did not finish").remedy
    assert bad(await examined(fake))


async def test_an_asterisk_before_12_is_refused_in_words() -> None:
    """Issabel 4 brings Asterisk 11: its greeting is enough, and nothing of its calls is guessed."""
    [finding] = await examined(FakeAmi(banner=b"Asterisk Call Manager/1.3\r\n"))
    assert (finding.level, "older than Asterisk 12" in finding.what) == (Level.FAULT, True)
    assert "Update Asterisk" in finding.remedy


@pytest.mark.parametrize("version", ["11.25.3", "certified/11.6-cert18"])
async def test_an_old_version_behind_a_new_greeting_is_refused_too(version: str) -> None:
    """A proxy in front of the manager interface greets by its own name."""
    fake = FakeAmi()
    fake.answers["CoreSettings"] = lambda action: success(
        action, f"AsteriskVersion: {version}", "SystemName: pbx"
    )
    assert the(await examined(fake), "older than Asterisk 12").level is Level.FAULT


@pytest.mark.parametrize(
    ("ahead", "told"), [(600.0, "10 min ahead of"), (-5400.0, "90 min behind"), (3.0, "3 s ahead")]
)
async def test_a_clock_that_differs_is_told(ahead: float, told: str) -> None:
    """The PBX says its time with the answer to a Ping."""
    fake = FakeAmi()
    fake.answers["Ping"] = lambda action: success(
        action, "Ping: Pong", f"Timestamp: {time.time() + ahead:.6f}"
    )
    finding = the(await examined(fake), told)
    assert (finding.level, "NTP" in finding.remedy) == (Level.WARN, True)


async def test_clocks_that_agree_are_well() -> None:
    """A second is what nobody sees."""
    fake = FakeAmi()
    fake.answers["Ping"] = lambda action: success(action, "Ping: Pong", f"Timestamp: {time.time() + 0.4:.6f}")
    assert any("agrees with ours" in finding.what for finding in await examined(fake))
