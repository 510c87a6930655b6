"""One AMI connection: opened, greeted, logged in, and closed within a bounded time, whatever the other side
does.

Every fault on the way is told in one sentence with what to do about it. `NeedsPerson` means that nothing will
change until somebody changes a setting; `TryLater` that the same attempt may succeed by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ami_bridge.wire.action_bytes import action_bytes
from ami_bridge.wire.asterisk_version import refuse_old_banner
from ami_bridge.wire.framing import Framer
from ami_bridge.wire.message import Message
from ami_bridge.wire.pbx_clock import HOLD_SECONDS
from telephony.errors import NeedsPerson, PeerMistake, SwitchhookError, TryLater

READ_BYTES = (
    256 * 1024
)  # one read takes what a busy second brings (7 MB/s at the measured peak) in few wake-ups


@dataclass(frozen=True, slots=True)
class Timings:
    """How long to wait for what. The defaults are for the field; tests shorten them."""

    connect_seconds: float = (
        10.0  # a SYN is repeated after 1, 3 and 7 s; later answers are not worth waiting for
    )
    greeting_seconds: float = (
        5.0  # Asterisk sends its banner at once; a plain connection to a TLS port never does
    )
    login_seconds: float = 10.0  # a PBX under load answered within 0.2 s; ten is a dead one
    booted_seconds: float = 0.5  # FullyBooted follows the login's answer in the same segment on 16 and 22
    ping_after_seconds: float = 5.0  # silence after which we ask; an idle PBX sends nothing for minutes
    pong_within_seconds: float = 5.0  # with the above a half-open peer is noticed after 10 s
    snapshot_seconds: float = 15.0  # without any further answer; 1,800 channels took under 2 s
    confirm_seconds: float = (
        5.0  # for the Status that confirms a suspicious hang-up; then a new snapshot tells
    )
    resnapshot_seconds: float = (
        10.0  # between two snapshots within one link: an attacker must not order them at will
    )
    clock_seconds: float = (
        30.0  # between two questions for the PBX's time: a clock that was set is noticed within it
    )
    hold_seconds: float = HOLD_SECONDS  # for events of an odd time, until the PBX has told its own
    compare_seconds: float = 60.0  # between two comparisons of the PBX's channels with what we were told
    confirm_compare_seconds: float = (
        15.0  # a second list, when the first did not agree with what we were told
    )
    healthy_seconds: float = (
        30.0  # a link that lasted so long was well: the next loss begins with short pauses again
    )
    blind_seconds: float = (
        300.0  # a link that sees no call is taken up anew: only a login reads the user's classes
    )
    backoff_first_seconds: float = 0.5  # a restarted Asterisk is back after about a second
    backoff_cap_seconds: float = 30.0  # a silent board is noticed after about a minute
    person_backoff_seconds: float = 60.0  # a wrong secret: slow, so that no fail2ban locks us out meanwhile
    close_seconds: float = 0.5  # for the farewell; then the socket is cut


FIELD_TIMINGS = Timings()


@dataclass(frozen=True, slots=True)
class PbxLink:
    """Where one PBX is and how to log in. Values come from the settings."""

    pbx_id: str
    """Our own short name of this PBX; part of every key."""
    host: str
    port: int
    username: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | None = None
    """None means plain TCP with an MD5 challenge, so that the secret itself never crosses the network."""
    timings: Timings = FIELD_TIMINGS

    @property
    def address(self) -> str:
        """`host:port`, for sentences."""
        return f"{self.host}:{self.port}"


class AmiConnection:
    """A connection that is logged in. `mark` is random and part of every ActionID sent here."""

    def __init__(
        self,
        link: PbxLink,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        framer: Framer,
        clock: Callable[[], float],
    ) -> None:
        self.link = link
        self.framer = framer
        self.mark = secrets.token_hex(6)
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._early: list[Message] = []

    @classmethod
    async def open(
        cls,
        link: PbxLink,
        *,
        wanted: frozenset[bytes] | None = None,
        only_with: Mapping[bytes, re.Pattern[bytes]] | None = None,
        events: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> AmiConnection:
        """Connects and logs in. Raises NeedsPerson, PeerMistake or TryLater, each with a remedy."""
        reader, writer = await _connect(link)
        connection = cls(link, reader, writer, Framer(wanted, only_with), clock)
        try:
            await connection._greet()
            await connection._log_in(events)
        except BaseException:
            writer.transport.abort()
            raise
        return connection

    def send(self, *headers: tuple[str, str]) -> None:
        """Writes one action; the answer comes among the messages."""
        self._writer.write(action_bytes(headers))

    async def receive(self) -> list[Message]:
        """The next messages; empty when bytes came that complete none. Raises TryLater when the link is
        gone."""
        if self._early:
            early, self._early = self._early, []
            return early
        try:
            data = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise _lost(self.link, error) from error
        if not data:
            raise _lost(self.link, None)
        return self.framer.feed(data, self._clock())

    def put_back(self, messages: list[Message]) -> None:
        """Gives messages back; the next `receive` returns them first."""
        self._early = messages + self._early

    async def close(self) -> None:
        """Says goodbye and closes, within half a second."""
        try:
            async with asyncio.timeout(self.link.timings.close_seconds):
                self.send(("Action", "Logoff"), ("ActionID", f"bye-{self.mark}"))
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            self._writer.transport.abort()

    def abort(self) -> None:
        """Cuts the connection at once."""
        self._writer.transport.abort()

    async def _greet(self) -> None:
        """Waits for the banner, so that a wrong port is told as such."""
        try:
            async with asyncio.timeout(self.link.timings.greeting_seconds):
                while not self.framer.take_banner():
                    data = await self._reader.read(READ_BYTES)
                    if not data:
                        raise _no_greeting(self.link, "closed the connection without a greeting")
                    self._early += self.framer.feed(data, self._clock())
                    if b"\n" in self.framer.pending() and not self.framer.take_banner():
                        raise _not_ami(self.link)
        except TimeoutError as error:
            raise _no_greeting(self.link, "accepts connections but sends no AMI greeting") from error
        except OSError as error:
            raise _no_greeting(self.link, "closed the connection without a greeting") from error
        refuse_old_banner(self.framer.banner, self.link.address)

    async def _log_in(self, events: bool) -> None:
        try:
            async with asyncio.timeout(self.link.timings.login_seconds):
                answer = await self._ask(
                    ("Action", "Login"),
                    ("Username", self.link.username),
                    *await self._credentials(),
                    ("Events", "on" if events else "off"),
                )
        except TimeoutError as error:
            raise TryLater(
                f"Asterisk at {self.link.address} did not answer the login in time.",
                remedy="Look whether the PBX is overloaded or still starting; Switchhook keeps trying.",
            ) from error
        if answer.get("Response") != "Success":
            raise _login_refused(self.link)

    async def _credentials(self) -> tuple[tuple[str, str], ...]:
        if self.link.tls is not None:
            return (("Secret", self.link.secret),)
        answer = await self._ask(("Action", "Challenge"), ("AuthType", "MD5"))
        challenge = answer.get("Challenge")
        if not challenge:
            raise _login_refused(self.link)
        key = hashlib.md5((challenge + self.link.secret).encode(), usedforsecurity=False).hexdigest()
        return ("AuthType", "MD5"), ("Key", key)

    async def _ask(self, *headers: tuple[str, str]) -> Message:
        """One action and its answer during login; whatever else comes is kept in order for `receive`."""
        action_id = f"login-{self.mark}-{headers[0][1].lower()}"
        self.send(headers[0], ("ActionID", action_id), *headers[1:])
        kept: list[Message] = []
        while True:
            messages = await self.receive()
            for index, message in enumerate(messages):
                if message.kind == "Response" and message.get("ActionID") == action_id:
                    self.put_back(kept + messages[index + 1 :])
                    return message
                kept.append(message)


async def _connect(link: PbxLink) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(link.timings.connect_seconds):
            return await asyncio.open_connection(
                link.host,
                link.port,
                ssl=link.tls,
                limit=READ_BYTES,
                server_hostname=link.host if link.tls else None,
            )
    except ssl.SSLCertVerificationError as error:
        raise NeedsPerson(
            f"The certificate of the PBX at {link.address} is not trusted: {error.verify_message}.",
            remedy="Give Switchhook the certificate's CA file, or use the host name that the certificate bears.",
        ) from error
    except ssl.SSLError as error:
        raise NeedsPerson(
            f"No TLS could be set up with {link.address}.",
            remedy="Use the port of tlsbindaddr in manager.conf (5039 by default), or turn TLS off for the plain port.",
        ) from error
    except TimeoutError as error:
        raise TryLater(
            f"{link.address} does not answer.",
            remedy="Check the address, that the machine is up, and that no firewall drops the connection.",
        ) from error
    except ConnectionRefusedError as error:
        raise TryLater(
            f"Nothing listens on {link.address}.",
            remedy="Check that Asterisk runs and that manager.conf has enabled = yes, this port and this bindaddr.",
        ) from error
    except socket.gaierror as error:
        raise NeedsPerson(
            f"The host name {link.host} is not known.", remedy="Correct the PBX's host name or the DNS."
        ) from error
    except OSError as error:
        raise _unreachable(link, error) from error


def _unreachable(link: PbxLink, error: OSError) -> SwitchhookError:
    if link.tls is not None and isinstance(error, ConnectionResetError):
        return NeedsPerson(
            f"{link.address} broke off while TLS was set up.",
            remedy="Use the port of tlsbindaddr in manager.conf (5039 by default), or turn TLS off.",
        )
    return TryLater(
        f"{link.address} cannot be reached: {error.strerror or error}.",
        remedy="Check the address and the network between Switchhook and the PBX.",
    )


def _no_greeting(link: PbxLink, what: str) -> SwitchhookError:
    if link.tls is None:
        remedy = (
            "Check the port: 5038 is plain AMI, 5039 wants TLS; an ACL (deny/permit) may also close at once."
        )
    else:
        remedy = "Check the port, and the deny/permit lines of the AMI user in manager.conf."
    return TryLater(f"{link.address} {what}.", remedy=remedy)


def _not_ami(link: PbxLink) -> SwitchhookError:
    return PeerMistake(
        f"What listens on {link.address} is not Asterisk's manager interface.",
        remedy="Use the port of manager.conf: 5038 unless changed.",
    )


def _login_refused(link: PbxLink) -> SwitchhookError:
    return NeedsPerson(
        f"Asterisk at {link.address} refused the AMI user {link.username}.",
        remedy="Make user name and secret equal to manager.conf, allow our address there (permit), "
        "and run 'manager reload'.",
    )


def _lost(link: PbxLink, error: OSError | None) -> TryLater:
    why = "closed the link" if error is None else f"broke the link: {error.strerror or error}"
    return TryLater(
        f"Asterisk at {link.address} {why}.",
        remedy="Look whether Asterisk restarted; Switchhook reconnects by itself.",
    )
