"""Asking Asterisk to do something: a few known actions over a connection of their own, each answered or
failed in time.

The observing link never carries an action of a person, so that a slow answer delays no event. Nothing here is
tried twice: an unanswered Originate repeated would be a second phone call. What came of an action is seen in
the stream.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from panoramisk.message import Message as PanoramiskMessage

from ami_bridge.panoramisk_shell import LinkLost, ShellAction, ShellManager, ShellProtocol
from ami_bridge.wire.connection import PbxLink
from telephony.errors import NeedsPerson, OurMistake, SwitchhookError, TryLater

ANSWER_SECONDS = 5.0  # Asterisk under 150 calls/s answered in 20 ms; a person will not wait longer than this
REFUSED_PAUSE_SECONDS = 30.0  # after a refused login no new attempt for so long: fail2ban bans after a few
PING_EVERY_SECONDS = 10.0  # this link idles for hours; a person's click should not be what finds it dead
AT_ONCE = 50  # actions waiting for answers; people click seldom, more is a fault of ours


class OutcomeUnknown(NeedsPerson):
    """Asterisk did not answer; the action may or may not have been carried out."""


class ChannelGone(SwitchhookError):
    """The call or the phone is no longer there."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action: its name as Asterisk spells it and its headers. `Variable` may come several times."""

    name: str
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """Asterisk's answer to an action that succeeded; a failure raises instead."""

    text: str
    fields: Mapping[str, str]
    events: tuple[Mapping[str, str], ...] = ()
    """The list behind the answer, without its closing event."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one action may look like."""

    write_class: str
    """The class that the AMI user needs; empty when none."""
    allowed: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    changes: bool = False
    """Whether it does something to a call: unanswered, its outcome is unknown."""


def _rule(write_class: str, required: str = "", optional: str = "", *, changes: bool = False) -> Rule:
    needed = frozenset(required.split())
    return Rule(write_class, needed | frozenset(optional.split()), needed, changes)


ALLOWED: Mapping[str, Rule] = {
    "Ping": _rule(""),
    "ListCommands": _rule(""),
    "CoreStatus": _rule("reporting"),
    "CoreSettings": _rule("reporting"),
    "CoreShowChannels": _rule("reporting"),
    "Status": _rule("reporting", "", "Channel Variables AllVariables"),
    "DeviceStateList": _rule("reporting"),
    "ExtensionStateList": _rule("reporting"),
    "PJSIPShowRegistrationsOutbound": _rule("reporting"),
    "BridgeList": _rule("", "", "BridgeType"),
    "BridgeInfo": _rule("", "BridgeUniqueid"),
    "QueueStatus": _rule("", "", "Queue Member"),
    "ParkedCalls": _rule("call", "", "ParkingLot"),
    "Getvar": _rule("call", "Variable", "Channel"),
    "Redirect": _rule(
        "call",
        "Channel Context Exten Priority",
        "ExtraChannel ExtraContext ExtraExten ExtraPriority",
        changes=True,
    ),
    "BlindTransfer": _rule("call", "Channel Context Exten", changes=True),
    "Atxfer": _rule("call", "Channel Context Exten", changes=True),
    "CancelAtxfer": _rule("call", "Channel", changes=True),
    "Hangup": _rule("call", "Channel", "Cause", changes=True),
    "Park": _rule("call", "Channel", "TimeoutChannel AnnounceChannel Timeout Parkinglot", changes=True),
    "MixMonitorMute": _rule("call", "Channel Direction State", "MixMonitorID", changes=True),
    # No Application and no Data: what a click-to-call may do is dial an extension of a context.
    "Originate": _rule(
        "originate",
        "Channel Context Exten Priority Async",
        "Timeout CallerID Variable Account EarlyMedia ChannelId OtherChannelId",
        changes=True,
    ),
}
"""Everything Switchhook may ever ask of a PBX, with what each may say. No command, config, database or system
action."""

_PLAIN_VARIABLE = re.compile(r"[A-Za-z_]\w*|(?:CDR|CHANNEL|CONNECTEDLINE|CALLERID)\([\w,-]+\)", re.ASCII)
_CHANNEL_GONE = ("no such channel", "channel not existent", "channel does not exist", "not found")
_FORBIDDEN = ("permission denied", "forbidden")


def checked(action: Action) -> tuple[tuple[str, str], ...]:
    """The action's headers, complete and within its rule. Raises OurMistake."""
    rule = ALLOWED.get(action.name)
    if rule is None:
        raise OurMistake(f"Switchhook never sends the AMI action {action.name[:40]!r}.")
    headers = action.headers
    if action.name == "Originate" and not any(name == "Async" for name, _ in headers):
        # otherwise Asterisk answers nothing until the phone is picked up
        headers = (*headers, ("Async", "true"))
    names = [name for name, _ in headers]
    for name, value in headers:
        if name not in rule.allowed:
            raise OurMistake(f"The AMI action {action.name} has no header {name[:40]!r} here.")
        if action.name == "Getvar" and name == "Variable" and not _PLAIN_VARIABLE.fullmatch(value):
            raise OurMistake("Getvar reads plain variables only: functions can run programs on the PBX.")
    missing = rule.required.difference(names)
    if missing:
        raise OurMistake(f"The AMI action {action.name} lacks {', '.join(sorted(missing))}.")
    repeated = {name for name in names if names.count(name) > 1} - {"Variable"}
    if repeated:
        raise OurMistake(f"The AMI action {action.name} repeats {', '.join(sorted(repeated))}.")
    return (("Action", action.name), *headers)


class ActionChannel:
    """The connection for actions to one PBX. It connects when first needed, and again when asked after a
    loss."""

    def __init__(
        self,
        link: PbxLink,
        *,
        answer_seconds: float = ANSWER_SECONDS,
        ping_seconds: float = PING_EVERY_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.link = link
        self._answer_seconds = answer_seconds
        self._ping_seconds = ping_seconds
        self._monotonic = monotonic
        self._manager: ShellManager | None = None
        self._opening = asyncio.Lock()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._pinger: asyncio.Task[None] | None = None
        self._refused: NeedsPerson | None = None
        self._refused_at = 0.0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Does not connect yet: a PBX that is down must not keep Switchhook from starting."""
        self._pinger = asyncio.create_task(self._keep_awake(), name=f"ami-ping-{self.link.pbx_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes for good; what is unanswered fails."""
        self._closed = True
        if self._pinger is not None:
            self._pinger.cancel()
            await asyncio.wait([self._pinger], timeout=1)
        self._drop()

    @property
    def connected(self) -> bool:
        """Whether the link stands at this moment."""
        return self._manager is not None and self._manager.alive

    async def send(self, action: Action) -> Answer:
        """Sends once and waits for the whole answer.

        Raises OurMistake for an action outside the table, NeedsPerson when the AMI user may not do it,
        ChannelGone when the call is over, OutcomeUnknown when an action that changes something was not
        answered, else TryLater.
        """
        headers = checked(action)
        rule = ALLOWED[action.name]
        protocol = await self._protocol()
        async with self._slots:
            messages = await self._exchange(protocol, headers, rule)
        return _answer(action, rule, messages, self.link)

    async def _exchange(
        self, protocol: ShellProtocol, headers: tuple[tuple[str, str], ...], rule: Rule
    ) -> list[PanoramiskMessage]:
        shell_action = ShellAction(headers)
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await protocol.send(shell_action)
        except (TimeoutError, LinkLost) as error:
            raise _unanswered(self.link, headers[0][1], rule) from error
        finally:
            protocol.forget(shell_action.id)

    async def _protocol(self) -> ShellProtocol:
        async with self._opening:
            if self._closed:
                raise OurMistake("This action channel is closed.")
            if self._manager is not None and self._manager.alive:
                protocol: ShellProtocol = self._manager.protocol
                return protocol
            if self._refused is not None and self._monotonic() - self._refused_at < REFUSED_PAUSE_SECONDS:
                raise self._refused
            return await self._open()

    async def _open(self) -> ShellProtocol:
        self._drop()
        manager = ShellManager(self.link.host, self.link.port, self.link.tls)
        self._manager = manager
        try:
            async with asyncio.timeout(self.link.timings.connect_seconds):
                protocol = await manager.open()
                await protocol.greeted
                await self._log_in(protocol)
        except NeedsPerson as error:
            self._refused, self._refused_at = error, self._monotonic()
            self._drop()
            raise
        except ssl.SSLError as error:
            self._drop()
            raise NeedsPerson(
                f"No TLS could be set up with {self.link.address}.",
                remedy="Check the port (tlsbindaddr, 5039 by default) and the CA file.",
            ) from error
        except (OSError, TimeoutError, LinkLost) as error:
            self._drop()
            raise _unreachable(self.link) from error
        except asyncio.CancelledError:
            self._drop()
            raise
        self._refused = None
        return protocol

    async def _log_in(self, protocol: ShellProtocol) -> None:
        user = ("Username", self.link.username)
        if self.link.tls is not None:
            credentials: tuple[tuple[str, str], ...] = (("Secret", self.link.secret),)
        else:
            asked = await protocol.send(ShellAction((("Action", "Challenge"), ("AuthType", "MD5"))))
            text = str(asked[0].challenge) + self.link.secret
            digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            credentials = (("AuthType", "MD5"), ("Key", digest))
        login = ShellAction((("Action", "Login"), user, *credentials, ("Events", "off")))
        answer = await protocol.send(login)
        if answer[0].response != "Success":
            raise NeedsPerson(
                f"Asterisk at {self.link.address} refused the AMI user {self.link.username}.",
                remedy="Make user name and secret equal to manager.conf and allow our address there (permit).",
            )

    async def _keep_awake(self) -> None:
        """Pings an open link; without a pong in time it is dropped, so that the next action connects anew."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            manager = self._manager
            if manager is None or not manager.alive:
                continue
            try:
                await self._exchange(manager.protocol, (("Action", "Ping"),), ALLOWED["Ping"])
            except SwitchhookError:
                if manager is self._manager:
                    self._drop()

    def _drop(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None and manager.protocol is not None:
            manager.protocol.close()
            manager.protocol.transport.abort()


def _unanswered(link: PbxLink, name: str, rule: Rule) -> SwitchhookError:
    if rule.changes:
        return OutcomeUnknown(
            f"Asterisk at {link.address} did not answer {name}; it may have been carried out.",
            remedy="Look at the live call before trying again.",
        )
    return TryLater(
        f"Asterisk at {link.address} did not answer {name} in time.", remedy="Try again in a moment."
    )


def _unreachable(link: PbxLink) -> TryLater:
    return TryLater(
        f"Asterisk at {link.address} cannot be reached for actions.",
        remedy="Look at the PBX's line on the page; calls on the phones are not affected.",
    )


def _answer(action: Action, rule: Rule, messages: list[PanoramiskMessage], link: PbxLink) -> Answer:
    first = messages[0]
    text = str(first.message)
    if first.response == "Error":
        raise _refusal(action, rule, text, link)
    events = tuple(_fields(message) for message in messages[1:])
    if events and str(events[-1].get("Event", "")).endswith("Complete"):
        events = events[:-1]
    return Answer(text, _fields(first), events)


def _fields(message: PanoramiskMessage) -> dict[str, str]:
    """Asterisk's headers, without the `content` that panoramisk adds."""
    return {name: value for name, value in message.items() if name != "content"}


def _refusal(action: Action, rule: Rule, text: str, link: PbxLink) -> SwitchhookError:
    lowered = text.lower()
    if any(word in lowered for word in _FORBIDDEN):
        return NeedsPerson(
            f"The AMI user {link.username} may not do {action.name}.",
            remedy=f"Add {rule.write_class or 'the class it needs'} to its write line in manager.conf and reload.",
        )
    if any(word in lowered for word in _CHANNEL_GONE):
        return ChannelGone(remedy="Nothing is left to do: the call is over or was taken elsewhere.")
    return NeedsPerson(
        f"Asterisk refused {action.name}: {text[:200] or 'no reason given'}.",
        remedy="Check the extension and the context that the PBX was asked for.",
    )
