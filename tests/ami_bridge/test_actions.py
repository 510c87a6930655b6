"""The action channel: each fault of panoramisk 1.4 shown harmless, against a scripted manager interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ami_bridge.actions import ALLOWED, Action, ActionChannel, ChannelGone, OutcomeUnknown, checked
from ami_bridge.panoramisk_shell import ShellManager
from ami_bridge.wire.action_bytes import action_bytes
from ami_bridge.wire.connection import PbxLink, Timings
from telephony.errors import NeedsPerson, OurMistake, TryLater
from tests.ami_bridge.fake_ami import SECRET, USER, FakeAmi, Peer, block, error, listing, serving, success

PING = Action("Ping")
ORIGINATE = Action(
    "Originate", (("Channel", "PJSIP/101"), ("Context", "click"), ("Exten", "89161234567"), ("Priority", "1"))
)


@asynccontextmanager
async def channel_to(
    fake: FakeAmi, *, secret: str = SECRET, answer_seconds: float = 2, ping_seconds: float = 60
) -> AsyncIterator[ActionChannel]:
    """A channel to the fake; the whole test bounded in time."""
    link = PbxLink("pbx", "127.0.0.1", fake.port, USER, secret, timings=Timings(connect_seconds=2))
    async with (
        asyncio.timeout(15),
        ActionChannel(link, answer_seconds=answer_seconds, ping_seconds=ping_seconds) as channel,
    ):
        yield channel


async def test_an_action_is_answered() -> None:
    """The plain case; and over plain TCP the secret itself is not sent."""
    fake = FakeAmi()
    async with serving(fake), channel_to(fake) as channel:
        answer = await channel.send(PING)
        assert channel.connected
    assert answer.fields["Ping"] == "Pong"
    assert not any("Secret" in action for action in fake.actions)
    login = next(action for action in fake.actions if action["Action"] == "Login")
    assert login["Events"] == "off"


async def test_a_list_is_answered_whole() -> None:
    """Two channels live: the answer is both, without the closing event."""
    fake = FakeAmi()
    fake.answers["Status"] = lambda action: listing(
        action, [("Event: Status", "Uniqueid: 1.1"), ("Event: Status", "Uniqueid: 1.2")], "StatusComplete"
    )
    async with serving(fake), channel_to(fake) as channel:
        answer = await channel.send(Action("Status"))
    assert [event["Uniqueid"] for event in answer.events] == ["1.1", "1.2"]


async def test_letters_split_between_segments_stay_whole() -> None:
    """A Cyrillic name arrives in two TCP segments, cut inside a letter."""
    name = "Анна Ж"
    fake = FakeAmi()

    async def trickle(peer: Peer, answer: bytes) -> None:
        for byte in answer:
            peer.write(bytes([byte]))
            await peer.writer.drain()

    tasks: list[asyncio.Task[None]] = []

    def slowly(action: dict[str, str]) -> None:
        tasks.append(asyncio.create_task(trickle(fake.peers[0], success(action, f"Value: {name}"))))

    fake.answers["Getvar"] = slowly
    async with serving(fake), channel_to(fake) as channel:
        answer = await channel.send(Action("Getvar", (("Variable", "NAME"),)))
        await asyncio.gather(*tasks)
    assert answer.fields["Value"] == name


async def test_events_and_their_handlers_cannot_hurt_the_link() -> None:
    """Events come though they are switched off, and somebody registered a handler that raises: it is never
    called."""
    called: list[object] = []

    def explode(*arguments: object) -> None:
        called.append(arguments)
        raise RuntimeError

    fake = FakeAmi()
    fake.answers["Ping"] = lambda action: (
        block("Event: Newchannel", "Privilege: call,all") * 50 + success(action)
    )
    async with serving(fake), channel_to(fake) as channel:
        await channel.send(PING)
        manager = channel._manager
        assert isinstance(manager, ShellManager)
        manager.register_event("*", explode)
        for _ in range(3):
            await channel.send(PING)
        assert manager.unclaimed >= 200
        assert channel.connected
    assert called == []
    assert not hasattr(manager, "calls_queues"), "nothing keeps the events"


async def test_an_unanswered_action_ends_in_time() -> None:
    """Asterisk never answers: the waiting is over after the time given, and nothing is remembered of it."""
    fake = FakeAmi()
    fake.answers["CoreStatus"] = lambda action: None
    async with serving(fake), channel_to(fake, answer_seconds=0.1) as channel:
        with pytest.raises(TryLater, match="did not answer CoreStatus"):
            await channel.send(Action("CoreStatus"))
        manager = channel._manager
        assert manager is not None
        assert manager.protocol.responses == {}
        assert (await channel.send(PING)).fields["Ping"] == "Pong"


async def test_an_unanswered_originate_makes_no_second_call() -> None:
    """The link breaks while a click-to-call waits; after the reconnect nobody is called again."""
    fake = FakeAmi()

    def die(action: dict[str, str]) -> None:
        fake.peers[-1].writer.transport.abort()

    fake.answers["Originate"] = die
    async with serving(fake), channel_to(fake) as channel:
        with pytest.raises(OutcomeUnknown, match="may have been carried out") as caught:
            await channel.send(ORIGINATE)
        assert caught.value.remedy == "Look at the live call before trying again."
        await channel.send(PING)
        await channel.send(PING)
        assert len(fake.peers) == 2
    assert fake.names().count("Originate") == 1


async def test_an_originate_is_sent_async_and_answered_at_once() -> None:
    """panoramisk raised on an Originate without Async; here the header is always there."""
    fake = FakeAmi()
    fake.answers["Originate"] = lambda action: success(action, "Message: Originate successfully queued")
    async with serving(fake), channel_to(fake) as channel:
        answer = await channel.send(ORIGINATE)
    assert answer.text == "Originate successfully queued"
    assert next(action for action in fake.actions if action["Action"] == "Originate")["Async"] == "true"


async def test_an_answer_whose_words_promise_more_ends_all_the_same() -> None:
    """`Added … to queue` made panoramisk wait for ever for events that Asterisk 22 does not send."""
    fake = FakeAmi()
    fake.answers["Park"] = lambda action: success(action, "Message: Added interface to queue")
    async with serving(fake), channel_to(fake) as channel:
        answer = await channel.send(Action("Park", (("Channel", "PJSIP/trunk-00000001"),)))
    assert answer.text == "Added interface to queue"


@pytest.mark.parametrize("mark", ["\r", "\n", "\0", "\r\n"])
async def test_a_line_break_in_a_value_injects_nothing(mark: str) -> None:
    """A dialled number with a line break would be a second action: refused before a byte is written."""
    fake = FakeAmi()
    number = f"101{mark}{mark}Action: Hangup{mark}Channel: /.*/"
    async with serving(fake), channel_to(fake) as channel:
        await channel.send(PING)
        written = len(fake.actions)
        with pytest.raises(OurMistake):
            await channel.send(
                Action("BlindTransfer", (("Channel", "PJSIP/1"), ("Context", "c"), ("Exten", number)))
            )
        await channel.send(PING)
    assert [action["Action"] for action in fake.actions[written:]][:1] == ["Ping"]
    assert "Hangup" not in fake.names()


@pytest.mark.parametrize(
    "headers", [(("A\r\nB", "x"),), (("A: b", "x"),), (("", "x"),), (("A", "x" * 1000),)]
)
def test_what_would_break_a_line_is_never_written(headers: tuple[tuple[str, str], ...]) -> None:
    """Names are checked as values are, and a line stays under what Asterisk accepts."""
    with pytest.raises(OurMistake):
        action_bytes(headers)


async def test_a_half_open_peer_is_noticed_and_replaced() -> None:
    """The PBX goes silent: the unanswered ping drops the link, and the next click gets a new one."""
    fake = FakeAmi()
    async with serving(fake), channel_to(fake, answer_seconds=0.1, ping_seconds=0.05) as channel:
        await channel.send(PING)
        fake.deaf = True
        while channel.connected:
            await asyncio.sleep(0.005)
        fake.deaf = False
        await channel.send(PING)
    assert len(fake.peers) >= 2


async def test_a_wrong_secret_is_tried_once_and_told() -> None:
    """Five clicks with a wrong secret: one login, five times the same sentence."""
    fake = FakeAmi(secret="something else")
    async with serving(fake), channel_to(fake) as channel:
        for _ in range(5):
            with pytest.raises(NeedsPerson, match="refused the AMI user") as caught:
                await channel.send(PING)
            assert "manager.conf" in (caught.value.remedy or "")
    assert fake.names().count("Login") == 1


async def test_a_closed_port_is_told() -> None:
    """The PBX is down: the click fails at once, and nothing keeps knocking."""
    fake = FakeAmi()
    async with serving(fake):
        pass
    async with channel_to(fake) as channel:
        with pytest.raises(TryLater, match="cannot be reached for actions"):
            await channel.send(PING)


async def test_a_peer_that_closes_before_its_greeting_is_told() -> None:
    """An ACL of the PBX closes the door at once."""

    async def slam(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    fake = FakeAmi(port=server.sockets[0].getsockname()[1])
    try:
        async with channel_to(fake) as channel:
            with pytest.raises(TryLater):
                await channel.send(PING)
    finally:
        server.close()
        await server.wait_closed()


async def test_closing_is_for_good() -> None:
    """Closed while the PBX is away: no later reconnect, no task left, no second life by another send."""
    fake = FakeAmi()
    async with serving(fake):
        async with channel_to(fake, ping_seconds=0.02) as channel:
            await channel.send(PING)
            fake.peers[0].writer.transport.abort()
        async with asyncio.timeout(5):
            with pytest.raises(OurMistake, match="closed"):
                await channel.send(PING)
        await asyncio.sleep(0.1)  # room for a reconnect that must not come
        assert len(fake.peers) == 1


async def test_a_channel_that_is_gone_is_told_as_such() -> None:
    """The caller hung up the moment somebody clicked transfer."""
    fake = FakeAmi()
    fake.answers["Hangup"] = lambda action: error(action, "No such channel")
    async with serving(fake), channel_to(fake) as channel:
        with pytest.raises(ChannelGone):
            await channel.send(Action("Hangup", (("Channel", "PJSIP/101-00000001"),)))


async def test_a_missing_right_names_the_class() -> None:
    """The AMI user was made for observing only."""
    fake = FakeAmi()
    fake.answers["Hangup"] = lambda action: error(action, "Permission denied")
    async with serving(fake), channel_to(fake) as channel:
        with pytest.raises(NeedsPerson) as caught:
            await channel.send(Action("Hangup", (("Channel", "PJSIP/101-00000001"),)))
    assert "Add call to its write line" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    "action",
    [
        Action("Command", (("Command", "core stop now"),)),
        Action("UserEvent"),
        Action("Originate", (*ORIGINATE.headers, ("Application", "System"), ("Data", "id"))),
        Action("Getvar", (("Variable", "SHELL(id)"),)),
        Action("Hangup"),
        Action("Hangup", (("Channel", "a"), ("Channel", "b"))),
    ],
)
def test_what_is_not_in_the_table_is_not_sent(action: Action) -> None:
    """No program, no console, no half action leaves Switchhook."""
    with pytest.raises(OurMistake):
        checked(action)


def test_no_action_of_the_table_needs_a_forbidden_class() -> None:
    """The AMI user needs neither command nor config nor system."""
    assert {rule.write_class for rule in ALLOWED.values()} == {"", "reporting", "call", "originate"}
