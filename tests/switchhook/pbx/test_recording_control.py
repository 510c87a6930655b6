"""Pausing a live call's recording from the card: asked of the PBX, told by the PBX, refused in words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ami_bridge.actions import Action, ActionChannel, Answer, ChannelGone
from ami_bridge.observer import Observer
from ami_bridge.wire.connection import PbxLink
from call_records.calls.live import LiveBoard
from call_records.calls.spool import SpoolingJournal
from call_records.store import RecordsStore
from switchhook.lab.asterisk import PrivateAsterisk
from switchhook.lab.asterisk_binary import AsteriskInstall
from switchhook.lab.phones import Carrier, Phone
from switchhook.pbx.monitor import Bridge, RecordingDesk
from telephony.call_facts.facts import CallFacts
from telephony.errors import NeedsPerson, TryLater
from telephony.numbers.numbers import Numbering
from telephony.ports import LinkState, RecordingControl
from telephony.state import signals as s
from tests.service.running_service import eventually

PATIENCE_SECONDS = 15.0
TRUNK = s.Look("hq-1.0", "hq-1.0", "PJSIP/trunk-00000000", "Up", "+79161110005", "", "74951000001")


class Feed:
    """A PBX whose link is up or not."""

    def __init__(self) -> None:
        self.connected = True

    async def run(self) -> None:
        """Nothing is observed."""

    async def items(self) -> AsyncIterator[object]:
        """Nothing comes."""
        return
        yield

    def link_state(self) -> LinkState:
        """As set."""
        return LinkState("hq", self.connected, datetime.now(UTC), 0.0, None)


class Actions:
    """Takes down what was sent; `gone` says which channels are no longer there."""

    def __init__(self) -> None:
        self.sent: list[Action] = []
        self.gone: set[str] = set()

    async def send(self, action: Action) -> Answer:
        """Asterisk says yes, or that there is no such channel."""
        self.sent.append(action)
        if dict(action.headers)["Channel"] in self.gone:
            raise ChannelGone
        return Answer("", {})


def bridge_with(*signals: s.Signal) -> tuple[Bridge, Feed, Actions]:
    """A bridge that was told these signals."""
    feed, actions = Feed(), Actions()
    bridge = Bridge(feed, Numbering(pbx="hq"), None, LiveBoard(), None, actions=actions)  # type: ignore[arg-type]
    for signal in signals:
        bridge.teller.tracker.feed(signal)
    return bridge, feed, actions


def the_call(bridge: Bridge) -> UUID:
    """Its only call."""
    found = bridge.teller.tracker.call_of(TRUNK.uid)
    assert found is not None
    return found


RECORDED = (s.ChannelBegan(1.0, TRUNK), s.RecordingStarted(1.1, TRUNK, "hq-1.0.wav"))


async def test_what_is_recorded_is_silenced_and_recorded_again() -> None:
    """Both sides of the recorded channel; that it paused is not assumed but told by the PBX."""
    bridge, _, actions = bridge_with(*RECORDED)
    control: RecordingControl = RecordingDesk({"hq": bridge})
    await control.pause(the_call(bridge))
    await control.resume(the_call(bridge))
    wanted = [(("Channel", TRUNK.name), ("Direction", "both"), ("State", state)) for state in "10"]
    assert [(one.name, one.headers) for one in actions.sent] == [("MixMonitorMute", one) for one in wanted]
    (change,) = bridge.teller.tracker.drain()
    assert change.facts.recorded[0].pauses == ()


async def test_what_cannot_be_paused_is_said_with_whose_move_it_is() -> None:
    """No such call, nothing recorded, the link lost, the call over in this moment."""
    bridge, feed, actions = bridge_with(*RECORDED)
    desk = RecordingDesk({"hq": bridge})
    with pytest.raises(TryLater):
        await desk.pause(uuid4())
    feed.connected = False
    with pytest.raises(TryLater, match="link"):
        await desk.pause(the_call(bridge))
    feed.connected = True
    actions.gone.add(TRUNK.name)
    with pytest.raises(TryLater, match="ended"):
        await desk.pause(the_call(bridge))
    silent, _, _ = bridge_with(RECORDED[0])
    with pytest.raises(NeedsPerson, match="being recorded") as refused:
        await RecordingDesk({"hq": silent}).pause(the_call(silent))
    assert refused.value.remedy


@asynccontextmanager
async def observing(
    asterisk: PrivateAsterisk, records: RecordsStore, directory: Path
) -> AsyncIterator[Bridge]:
    """A bridge at work, as in the service."""
    link = PbxLink("lab", "127.0.0.1", asterisk.ports.ami, asterisk.ami_user, asterisk.ami_secret)
    spool = SpoolingJournal(records.journal, directory)
    bridge = Bridge(
        Observer(link), Numbering(pbx="lab"), records, LiveBoard(), spool, actions=ActionChannel(link)
    )
    ready = asyncio.Event()
    ready.set()
    running = [asyncio.create_task(spool.run()), asyncio.create_task(bridge.run(ready))]
    try:
        await eventually(lambda: bridge.teller.sure, PATIENCE_SECONDS, "a snapshot was taken")
        yield bridge
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        spool.close()


@asynccontextmanager
async def recorded_talk(asterisk: PrivateAsterisk, bridge: Bridge) -> AsyncIterator[UUID]:
    """Somebody outside talks with 101; the call's id."""
    async with Phone.handset("101", asterisk) as anna, Carrier(asterisk) as city:
        calling = await city.dial("74951000001", caller="+79161110005")
        ringing = await anna.incoming()
        await ringing.answer()
        await calling.answered()
        await eventually(lambda: bool(_recorded(bridge)), PATIENCE_SECONDS, "the recording is told")
        yield _recorded(bridge)[0].id
        await calling.hang_up()


def _recorded(bridge: Bridge) -> list[CallFacts]:
    facts = [bridge.teller.tracker.facts(call) for call in bridge.teller.tracker.live()]
    return [one for one in facts if one.recorded and one.answered_at]


@pytest.mark.asterisk
async def test_a_real_recording_pauses_and_the_pbx_tells(
    asterisk_install: AsteriskInstall, records: RecordsStore, tmp_path: Path
) -> None:
    """Paused and resumed through an AMI user that has write = call: both moments are in the call's facts."""
    async with (
        PrivateAsterisk(asterisk_install, ami_write_all=True) as asterisk,
        observing(asterisk, records, tmp_path) as bridge,
        recorded_talk(asterisk, bridge) as call_id,
    ):
        desk = RecordingDesk({"lab": bridge})
        await desk.pause(call_id)
        await eventually(lambda: bool(_recorded(bridge)[0].recorded[0].pauses), PATIENCE_SECONDS, "it paused")
        assert _recorded(bridge)[0].recorded[0].pauses[0].until is None
        await desk.resume(call_id)
        await eventually(
            lambda: _recorded(bridge)[0].recorded[0].pauses[0].until is not None,
            PATIENCE_SECONDS,
            "it went on",
        )


@pytest.mark.asterisk
async def test_without_the_right_the_remedy_is_named(
    asterisk: PrivateAsterisk, records: RecordsStore, tmp_path: Path
) -> None:
    """The recommended AMI user only observes: pausing says what to add, and the call goes on."""
    async with observing(asterisk, records, tmp_path) as bridge, recorded_talk(asterisk, bridge) as call_id:
        with pytest.raises(NeedsPerson) as refused:
            await RecordingDesk({"lab": bridge}).pause(call_id)
        assert "call" in str(refused.value.remedy)
        assert "write" in str(refused.value.remedy)
