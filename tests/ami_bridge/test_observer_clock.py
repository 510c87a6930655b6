"""The observing link when clocks differ or are set, when it is blind, and when more comes than can be taken."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ami_bridge.observer import UNCONFIRMED, Observer
from ami_bridge.stream import ClockSet, LinkDown, LinkUp, Observed, SnapshotBegin, SnapshotEnd, StreamItem
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
    success,
)
from tests.ami_bridge.test_observer import FORGED_HANGUP, eventually, is_event, running, until

FAST = Timings(
    connect_seconds=2,
    greeting_seconds=1,
    login_seconds=2,
    booted_seconds=0.5,
    ping_after_seconds=5,
    pong_within_seconds=5,
    snapshot_seconds=5,
    confirm_seconds=0.1,
    resnapshot_seconds=0.01,
    hold_seconds=0.3,
    clock_seconds=0.05,
    compare_seconds=0.1,
    confirm_compare_seconds=0.05,
    backoff_first_seconds=0.01,
    backoff_cap_seconds=0.05,
)


def link_to(fake: FakeAmi, timings: Timings = FAST) -> PbxLink:
    return PbxLink("pbx", "127.0.0.1", fake.port, USER, SECRET, timings=timings)


class Clocks:
    """The PBX's clock: ours and so much more."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew

    def now(self) -> float:
        return time.time() + self.skew

    def pong(self, action: Action) -> bytes:
        return success(action, "Ping: Pong", f"Timestamp: {self.now():.6f}")


STALL_SECONDS = (
    2.0  # for which a busy machine may hold up both ends between two looks at a clock; uncorrected it is 3
)


def pbx_with(clocks: Clocks) -> FakeAmi:
    fake = FakeAmi()
    fake.answers["Ping"] = clocks.pong
    return fake


def hangup(number: int, stamp: float) -> bytes:
    return block(
        "Event: Hangup",
        "Privilege: call,all",
        f"Timestamp: {stamp:.6f}",
        "SystemName: pbx",
        f"Channel: PJSIP/trunk-{number:08x}",
        "ChannelState: 6",
        f"Uniqueid: pbx-1795313139.{number}",
        f"Linkedid: pbx-1795313139.{number}",
        "Cause: 16",
    )


def age(item: StreamItem) -> float:
    """How old the event is by its own time."""
    assert isinstance(item, Observed)
    return time.time() - float(item.message.get("Timestamp"))


@pytest.mark.parametrize("skew", [600.0, -600.0, 3.0])
async def test_a_clock_that_differs_is_told_and_corrected(skew: float) -> None:
    """The PBX is ten minutes ahead: the first call already bears our time, and the page says it."""
    clocks = Clocks(skew)
    fake = pbx_with(clocks)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            start = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, clocks.now()))
            [*_, call] = await until(stream, lambda item: is_event(item, "Newchannel"))
            assert abs(age(call)) < STALL_SECONDS
            problem = observer.link_state().problem or ""
            assert observer.link_state().connected
            assert ("ahead of ours" if skew > 0 else "behind ours") in problem
            assert "NTP" in problem
            assert observer.pbx_clock.skew_seconds == pytest.approx(skew, abs=STALL_SECONDS)
            assert observer.link_state().lag_seconds < STALL_SECONDS
    assert not any(isinstance(item, ClockSet) for item in start), (
        "it was so from the beginning: nobody set it"
    )


@pytest.mark.parametrize("jump", [-120.0, 300.0, -20.0, 3.0])
async def test_a_clock_that_is_set_loses_no_event(jump: float) -> None:
    """A call stands, the PBX's clock is set, the call ends: its end is told in our time, and a new snapshot is taken."""
    clocks = Clocks()
    fake = pbx_with(clocks)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, clocks.now()))
            await until(stream, lambda item: is_event(item, "Newchannel"))
            clocks.skew = jump
            fake.peers[0].write(hangup(1, clocks.now()))
            items = await until(stream, lambda item: is_event(item, "Hangup"))
            items += await until(stream, lambda item: isinstance(item, SnapshotEnd))
            assert len(fake.peers) == 1
            assert observer.quarantined == []
    [told] = [item for item in items if is_event(item, "Hangup")]
    assert abs(age(told)) < STALL_SECONDS
    [was_set] = [item for item in items if isinstance(item, ClockSet)]
    assert was_set.seconds == pytest.approx(jump, abs=STALL_SECONDS)
    assert any(isinstance(item, SnapshotBegin) for item in items)


@pytest.mark.parametrize("events", [5, 2])
async def test_a_pbx_that_does_not_tell_its_time(events: int) -> None:
    """A manager interface whose pong bears no time: five events that agree are believed, with what was held back. Fewer
    are put aside after a moment, and a new snapshot tells what lives.
    """
    fake = FakeAmi()
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, time.time()))
            await until(stream, lambda item: is_event(item, "Newchannel"))
            for number in range(events):
                fake.peers[0].write(hangup(number, time.time() - 120))
            items = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert sum(is_event(item, "Hangup") for item in items) == (events if events >= 5 else 0)
    assert any(isinstance(item, ClockSet) for item in items) is (events >= 5)
    assert len(observer.quarantined) == (0 if events >= 5 else events)


async def test_one_forged_time_is_put_aside() -> None:
    """A forged hang-up of an hour ago, though the PBX's clock is right: put aside, what follows is told at once."""
    clocks = Clocks()
    fake = pbx_with(clocks)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, clocks.now()))
            fake.peers[0].write(hangup(1, clocks.now() - 3_600) * 6 + newchannel(2, clocks.now()))
            items = await until(
                stream,
                lambda item: isinstance(item, Observed) and item.message.get("Uniqueid").endswith(".2"),
            )
    assert not any(is_event(item, "Hangup") for item in items)
    assert len(observer.quarantined) == 6


@pytest.mark.parametrize("jump", [-120.0, 300.0])
async def test_our_own_clock_is_set_with_the_pbx_s(jump: float) -> None:
    """NTP sets the one machine's clock while a call stands: the call goes on in its old time, a new one has the new."""
    ours = Clocks()
    fake = pbx_with(ours)
    async with serving(fake):
        observer = Observer(link_to(fake), clock=ours.now)
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, ours.now()))
            await until(stream, lambda item: is_event(item, "Newchannel"))
            ours.skew = jump
            fake.peers[0].write(hangup(1, ours.now()) + newchannel(2, ours.now()))
            items = await until(stream, lambda item: is_event(item, "Newchannel"))
            assert observer.quarantined == []
    [end] = [item for item in items if is_event(item, "Hangup")]
    assert abs(age(end)) < 2.0
    assert age(items[-1]) == pytest.approx(-jump, abs=2.0)
    assert any(isinstance(item, ClockSet) for item in items)


# -- suspicious hang-ups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [lambda action: None, lambda action: error(action, "Permission denied")])
async def test_a_hangup_that_nobody_confirms_is_left_to_a_snapshot(
    answer: Callable[[Action], bytes | None],
) -> None:
    """Beside a forged block, and the PBX does not say whether the channel lives: not believed, and asked anew."""
    fake = pbx_with(Clocks())
    status = fake.answers["Status"]
    fake.answers["Status"] = lambda action: answer(action) if "Channel" in action else status(action)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, time.time()) + FORGED_HANGUP + hangup(1, time.time()))
            items = await until(stream, lambda item: isinstance(item, SnapshotEnd))
    assert not any(is_event(item, "Hangup") for item in items)
    assert observer.quarantine.counts[UNCONFIRMED] == 1


# -- more than can be taken -------------------------------------------------------------------------------------------


async def test_an_overload_drops_the_link_once_until_all_is_taken() -> None:
    """The PBX sends more than is taken, again at each login: no new login before the queue is empty, and then longer and
    longer pauses.
    """
    waits: list[float] = []

    def jitter(_: float, high: float) -> float:
        waits.append(high)
        return 0.0

    async def burst(peer: Peer) -> None:
        if len(fake.peers) <= 3:
            peer.write(b"".join(newchannel(number, time.time()) for number in range(500)))

    fake = FakeAmi(after_login=burst)
    fake.answers["Ping"] = Clocks().pong
    async with serving(fake):
        observer = Observer(link_to(fake), queue_items=100, jitter=jitter)
        async with running(observer) as stream:
            for overflow in (1, 2, 3):
                await eventually(lambda: observer.counters.overflows == overflow)  # noqa: B023 - waited for here
                taken = 0
                async for item in stream:
                    assert fake.names().count("Login") == overflow
                    taken += 1
                    if isinstance(item, LinkDown):
                        break
                assert taken == 101
            [again, *_] = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            assert isinstance(again, LinkUp)
            assert observer.counters.overflows == 3
    assert waits == [0.01, 0.02, 0.04]


async def test_a_slow_consumer_is_told_as_lag() -> None:
    """What waits in the queue is late, though it was read at once."""
    now = [1_795_313_200.0]
    fake = FakeAmi()
    fake.answers["Ping"] = lambda action: success(action, f"Timestamp: {now[0]:.6f}")
    async with serving(fake):
        observer = Observer(link_to(fake), clock=lambda: now[0])
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, now[0]) + newchannel(2, now[0]))
            await eventually(lambda: observer.queued == 2)
            assert observer.link_state().lag_seconds == 0
            now[0] += 0.9
            assert observer.link_state().lag_seconds == pytest.approx(0.9)
            await until(stream, lambda item: is_event(item, "Newchannel"))
            assert observer.link_state().lag_seconds == pytest.approx(0.9)


# -- blind ------------------------------------------------------------------------------------------------------------


def standing(*uids: int, seconds: int = 3) -> Callable[[Action], bytes]:
    """Channels as CoreShowChannels lists them."""
    return lambda action: listing(
        action,
        [
            (
                "Event: CoreShowChannel",
                f"Channel: PJSIP/trunk-{uid:08x}",
                "ChannelState: 4",
                f"Uniqueid: pbx-1795313139.{uid}",
                "Application: Queue",
                "BridgeId: ",
                f"Duration: 00:00:{seconds:02}",
            )
            for uid in uids
        ],
        "CoreShowChannelsComplete",
    )


async def test_a_user_without_the_class_call_is_told() -> None:
    """A call stands on the PBX, and not a word of it came: after two lists the page says which class is missing."""
    fake = pbx_with(Clocks())
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.answers["CoreShowChannels"] = standing(1)
            await eventually(lambda: observer.link_state().problem is not None)
            state = observer.link_state()
    assert state.connected
    assert "Add call to the read line of the AMI user switchhook in manager.conf" in (state.problem or "")


async def test_calls_that_are_seen_raise_no_alarm() -> None:
    """The same list, but its channel was told; and one that was there before we came: ten comparisons say nothing."""
    fake = pbx_with(Clocks())
    fake.answers["CoreShowChannels"] = standing(9, seconds=59)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.answers["CoreShowChannels"] = standing(1, 9)
            fake.peers[0].write(newchannel(1, time.time()))
            await eventually(lambda: fake.names().count("CoreShowChannels") >= 10)
            assert observer.link_state().problem is None


async def test_a_lost_filter_line_is_named() -> None:
    """Hang-ups are filtered out: the channel is gone from two lists, and nobody told us of its end."""
    fake = pbx_with(Clocks())
    fake.answers["CoreShowChannels"] = standing(1)
    async with serving(fake):
        observer = Observer(link_to(fake))
        async with running(observer) as stream:
            await until(stream, lambda item: isinstance(item, SnapshotEnd))
            fake.peers[0].write(newchannel(1, time.time()))
            await until(stream, lambda item: is_event(item, "Newchannel"))
            fake.answers["CoreShowChannels"] = standing()
            items = await until(stream, lambda item: isinstance(item, SnapshotEnd))
            problem = observer.link_state().problem or ""
    assert "'eventfilter = Event: Hangup'" in problem
    assert isinstance(items[0], SnapshotBegin), "what ended unseen is found by a new snapshot"
