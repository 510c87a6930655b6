"""The observing link, against a manager interface that does what a real one does on a bad day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from ami_bridge.observer import Observer
from ami_bridge.stream import LinkDown, LinkUp, Observed, SnapshotEnd, StreamItem
from ami_bridge.wire.connection import PbxLink, Timings
from tests.ami_bridge.fake_ami import (
    SECRET,
    USER,
    Action,
    FakeAmi,
    Peer,
    block,
    error,
    listing,
    newchannel,
    serving,
)

FAST = Timings(
    connect_seconds=2,
    greeting_seconds=0.3,
    login_seconds=2,
    booted_seconds=0.05,
    ping_after_seconds=0.1,
    pong_within_seconds=0.2,
    snapshot_seconds=1,
    backoff_first_seconds=0.01,
    backoff_cap_seconds=0.05,
    person_backoff_seconds=0.1,
)


def link_to(fake: FakeAmi, *, secret: str = SECRET, timings: Timings = FAST) -> PbxLink:
    return PbxLink("pbx", "127.0.0.1", fake.port, USER, secret, timings=timings)


@asynccontextmanager
async def running(observer: Observer) -> AsyncIterator[AsyncIterator[StreamItem]]:
    """Runs the observer; yields its stream."""
    task = asyncio.create_task(observer.run())
    try:
        async with asyncio.timeout(15):
            yield observer.items()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(stream: AsyncIterator[StreamItem], holds: Callable[[StreamItem], bool]) -> list[StreamItem]:
    """The items up to and including the first for which `holds`."""
    items = []
    async for item in stream:
        items.append(item)
        if holds(item):
            return items
    raise AssertionError(f"the stream ended before it came: {items}")


def is_event(item: StreamItem, kind: str) -> bool:
    return isinstance(item, Observed) and item.message.kind == kind


async def eventually(holds: Callable[[], bool]) -> None:
    """Waits for a state that no message announces; bounded by the caller's timeout."""
    while not holds():
        await asyncio.sleep(0.005)


async def test_a_link_begins_with_the_snapshot_and_goes_on_with_events() -> None:
    """Login, snapshot, then a call comes in: told in the order of the wire."""
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            start = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1))
            [*_, call] = await until(stream, lambda item: is_event(item, "Newchannel"))
            assert observer.link_state().connected
            assert observer.link_state().problem is None
    assert isinstance(start[0], LinkUp)
    assert start[0].uptime_seconds == 77
    assert isinstance(start[-1], SnapshotEnd)
    assert start[-1].complete
    assert start[-1].refused == ("ParkedCalls",)
    assert isinstance(call, Observed)
    assert call.message.get("Uniqueid") == "pbx-1795313139.1"
    status = next(action for action in fake.actions if action["Action"] == "Status")
    assert status["ActionID"].startswith("snap-")


async def test_each_bridge_of_the_list_is_asked_for() -> None:
    """Two parties talk while we connect: the bridge's members are part of the snapshot."""
    fake = FakeAmi()
    fake.answers["BridgeList"] = lambda action: listing(
        action, [("Event: BridgeListItem", "BridgeUniqueid: b-1")], "BridgeListComplete"
    )
    fake.answers["BridgeInfo"] = lambda action: listing(
        action, [("Event: BridgeInfoChannel", "Uniqueid: pbx-1.1")], "BridgeInfoComplete"
    )
    async with serving(fake), running(Observer(link_to(fake))) as stream:
        items = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert any(is_event(item, "BridgeInfoChannel") for item in items)


async def test_a_lost_link_is_told_and_taken_up_again_with_a_snapshot() -> None:
    """Asterisk is killed under us and comes back."""
    fake = FakeAmi()
    async with serving(fake), running(Observer(link_to(fake))) as stream:
        await until(stream, lambda item: isinstance(item, SnapshotEnd))
        fake.peers[0].writer.transport.abort()
        [*_, down] = await until(stream, lambda item: isinstance(item, LinkDown))
        again = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert isinstance(down, LinkDown)
    assert "reconnects by itself" in down.problem
    assert isinstance(again[0], LinkUp)


async def test_a_wrong_secret_is_told_and_healed_without_a_restart() -> None:
    """The secret is wrong; the page says so; then somebody corrects it on the PBX."""
    fake = FakeAmi(secret="something else")
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await fake.until(lambda: fake.names().count("Login") >= 2)
            state = observer.link_state()
            assert not state.connected
            assert state.problem is not None
            assert "refused the AMI user switchhook" in state.problem
            assert "manager.conf" in state.problem
            fake.secret = SECRET
            [first, *_] = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            assert isinstance(first, LinkUp)
    assert not any("Secret" in action for action in fake.actions), "in the clear over plain TCP"


async def test_a_wrong_secret_is_tried_slowly() -> None:
    """A refused login waits at least half a minute, so that no fail2ban locks the address out."""
    waits: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        waits.append((low, high))
        return 0.01

    fake = FakeAmi(secret="something else")
    async with serving(fake), running(Observer(link_to(fake, timings=Timings()), jitter=jitter)):
        await fake.until(lambda: fake.names().count("Login") >= 2)
    assert waits[0] == (30.0, 60.0)


async def test_a_closed_port_is_told_with_its_remedy() -> None:
    """Nothing listens: the page says what to look at, and knocking goes on with growing pauses up to the
    cap."""
    fake = FakeAmi()
    async with serving(fake):
        pass  # the port is free again, and nobody listens on it
    waits: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        waits.append((low, high))
        return 0.001

    observer = Observer(link_to(fake, timings=Timings()), jitter=jitter)
    async with running(observer):
        await eventually(lambda: len(waits) >= 9)
        problem = observer.link_state().problem
    assert problem is not None
    assert "Nothing listens" in problem
    assert [high for _, high in waits[:8]] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert all(low == 0 for low, _ in waits)


async def test_a_half_open_peer_is_noticed() -> None:
    """The PBX's machine lost power: no FIN ever comes, only silence."""
    fake = FakeAmi()
    async with serving(fake), running(Observer(link_to(fake))) as stream:
        await until(stream, lambda item: isinstance(item, SnapshotEnd))
        fake.deaf = True
        [*_, down] = await until(stream, lambda item: isinstance(item, LinkDown))
    assert isinstance(down, LinkDown)
    assert "gone silent" in down.problem


async def test_pings_are_kept_from_the_stream() -> None:
    """An idle PBX is pinged; the reader hears nothing of it."""
    fake = FakeAmi()
    async with serving(fake), running(Observer(link_to(fake))) as stream:
        await until(stream, lambda item: isinstance(item, SnapshotEnd))
        await fake.until(lambda: fake.names().count("Ping") >= 3)
        fake.peers[0].write(newchannel(1))
        items = await until(stream, lambda item: isinstance(item, Observed))
    assert [type(item) for item in items] == [Observed]
    assert len(fake.peers) == 1


async def test_a_slow_consumer_costs_the_link_but_no_memory() -> None:
    """The reader of the stream sleeps while a burst arrives: the link is dropped, told, and taken up
    afresh."""

    async def burst(peer: Peer) -> None:
        if len(fake.peers) == 1:
            peer.write(b"".join(newchannel(number) for number in range(500)))

    fake = FakeAmi(after_login=burst)
    async with serving(fake):
        observer = Observer(link_to(fake), queue_items=100)
        async with running(observer) as stream:
            await eventually(lambda: observer.counters.overflows == 1)
            items = await until(stream, lambda item: isinstance(item, LinkDown))
            again = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert len(items) == 101
    assert isinstance(again[0], LinkUp)
    assert observer.counters.overflows == 1


async def test_a_user_without_reporting_is_told_what_it_lacks() -> None:
    """The AMI user may read but not ask: events flow, the page names the missing class."""
    fake = FakeAmi()
    for name in ("CoreStatus", "CoreShowChannels", "Status", "BridgeList", "QueueStatus"):
        fake.answers[name] = lambda action: error(action, "Permission denied")
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            [*_, end] = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            problem = observer.link_state().problem
            assert observer.link_state().connected
    assert isinstance(end, SnapshotEnd)
    assert "CoreStatus" in end.refused
    assert problem is not None
    assert "write = reporting" in problem


async def test_an_unanswered_snapshot_ends_incomplete() -> None:
    """One question stays open: the reader is told that absence proves nothing, instead of waiting for
    ever."""
    fake = FakeAmi()
    fake.answers["QueueStatus"] = lambda action: None
    async with serving(fake), running(Observer(link_to(fake))) as stream:
        [*_, end] = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert isinstance(end, SnapshotEnd)
    assert not end.complete


FORGED_HANGUP = block("Event: Hangup", "Privilege: call,all", "Uniqueid: pbx-1795313139.1", "Cause: 16")


def stamped_hangup(number: int) -> bytes:
    return block(
        "Event: Hangup",
        "Privilege: call,all",
        "Timestamp: 1795313139.600000",
        "SystemName: pbx",
        f"Channel: PJSIP/trunk-{number:08x}",
        "ChannelState: 6",
        f"Uniqueid: pbx-1795313139.{number}",
        "Cause: 16",
    )


def status_of(lives: bool) -> Callable[[Action], bytes]:
    def answer(action: Action) -> bytes:
        if "Channel" in action and not lives:
            return error(action, "No such channel")
        channel = ("Event: Status", "Privilege: Call", "Channel: PJSIP/trunk-00000001")
        return listing(action, [(*channel, "Uniqueid: pbx-1795313139.1")], "StatusComplete")

    return answer


async def test_a_forged_hangup_is_put_aside() -> None:
    """A caller wrote a hang-up of somebody else's call into their number: it never reaches the stream."""
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1) + FORGED_HANGUP + newchannel(2))
            items = await until(
                stream,
                lambda item: isinstance(item, Observed) and item.message.get("Uniqueid").endswith(".2"),
            )
    assert not any(is_event(item, "Hangup") for item in items)
    assert [put_aside.message.kind for put_aside in observer.quarantined] == ["Hangup"]


@pytest.mark.parametrize("lives", [True, False])
async def test_a_hangup_beside_a_malformed_block_is_confirmed(lives: bool) -> None:
    """Right behind a forged block comes a hang-up that looks real: believed only if the channel is gone."""
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.answers["Status"] = status_of(lives)
            fake.peers[0].write(newchannel(1) + FORGED_HANGUP + stamped_hangup(1))
            await fake.until(lambda: any("Channel" in action for action in fake.actions))
            fake.peers[0].write(newchannel(3))
            items = await until(
                stream,
                lambda item: isinstance(item, Observed) and item.message.get("Uniqueid").endswith(".3"),
            )
    assert any(is_event(item, "Hangup") for item in items) is not lives


async def test_a_name_that_cannot_be_asked_for_costs_no_link() -> None:
    """Beside a forged block, a hang-up whose channel's name holds a line break: denied, and the stream goes
    on."""
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            odd = stamped_hangup(7).replace(b"PJSIP/", b"PJSIP\r/")
            fake.peers[0].write(newchannel(1) + FORGED_HANGUP + odd + newchannel(2))
            items = await until(
                stream,
                lambda item: isinstance(item, Observed) and item.message.get("Uniqueid").endswith(".2"),
            )
    assert not any(is_event(item, "Hangup") for item in items)
    assert len(fake.peers) == 1


async def test_lag_is_told_from_the_events_own_time() -> None:
    """An event arrives two seconds after it happened: the page shows it; once idle it shows none."""
    now = [1_795_313_200.0]
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake), clock=lambda: now[0])
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, stamp=now[0] - 2))
            await until(stream, lambda item: is_event(item, "Newchannel"))
            assert observer.link_state().lag_seconds == pytest.approx(2)
            now[0] += 60
            assert observer.link_state().lag_seconds == 0


async def test_stopping_is_quick_and_ends_the_stream() -> None:
    """Ctrl-C with a peer that answers nothing any more: gone all the same, and the reader ends."""
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake, timings=Timings()))
        task = asyncio.create_task(observer.run())
        stream = observer.items()
        await until(stream, lambda item: isinstance(item, SnapshotEnd))
        fake.deaf = True
        task.cancel()
        async with asyncio.timeout(5):
            with suppress(asyncio.CancelledError):
                await task
            assert [item async for item in stream] == []


async def test_a_port_that_is_no_ami_is_told() -> None:
    """Somebody gave the SSH port."""
    fake = FakeAmi(banner=b"SSH-2.0-OpenSSH_9.2\r\n")
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer):
            await eventually(lambda: "not Asterisk's manager" in (observer.link_state().problem or ""))


async def test_a_silent_port_is_told() -> None:
    """Plain TCP to the TLS port: it accepts and waits for us to speak TLS."""
    fake = FakeAmi(banner=b"")
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer):
            await eventually(lambda: "5039 wants TLS" in (observer.link_state().problem or ""))


def test_a_secret_is_not_in_the_links_text() -> None:
    """A link that lands in a log shows no secret."""
    assert "hunter2" not in repr(PbxLink("pbx", "127.0.0.1", 5038, USER, "hunter2"))
