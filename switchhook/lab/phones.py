"""SIP phones for tests and the demo: ordinary handsets that register, and a carrier with any number of callers.

    async with Phone.handset("101", asterisk) as anna, Carrier(asterisk) as city:
        call = await city.dial("74951000001", caller="+79161110005")
        ringing = await anna.incoming()
        await ringing.answer()
        await call.answered()

One phone is one UDP socket on loopback with any number of calls. Silent unless given a `voice`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self

from switchhook.lab.call_progress import CallState
from switchhook.lab.phone_call import ANSWER_SECONDS, RESEND_SECONDS, Call
from switchhook.lab.phone_media import Frames
from switchhook.lab.ports import CARRIER_HOST, LOCALHOST, LabPorts
from switchhook.lab.sip_message import (
    Headers,
    SipMessage,
    digest_answer,
    encoded_user,
    new_token,
    parse_sip,
    quoted_name,
    tag_of,
    uri_of,
    write_reply,
    write_sip,
)
from telephony.errors import PeerMistake, TryLater

INCOMING_LIMIT = 100  # calls nobody has looked at: the oldest is forgotten, and the phone goes on ringing
CALLS_KEPT = 200  # ended ones too; more than any test makes, and an office may play for days
REGISTERED_SECONDS = 3600
REFRESH_SHARE = 0.5  # of that time, as handsets do; a refusal is tried again after REFRESH_PAUSE
REFRESH_PAUSE = 10.0
LEAVE_SECONDS = 1.0  # for the last words of a phone that is put away; the PBX may be gone already

Policy = Callable[[Call], Awaitable[None]]
"""What a phone does by itself with an incoming call."""


class Pbx(Protocol):
    """What a phone needs to know of a PBX; `PrivateAsterisk` is one."""

    @property
    def sip_address(self) -> tuple[str, int]: ...
    @property
    def ports(self) -> LabPorts: ...
    @staticmethod
    def password_of(extension: str) -> str: ...


async def let_it_ring(call: Call) -> None:
    """Ring until somebody does something about it. The default."""
    call.ring()


def answers(after: float = 0.0) -> Policy:
    """Rings, and picks up after so many seconds unless the caller gave up."""

    async def policy(call: Call) -> None:
        call.ring()
        await asyncio.sleep(after)
        if call.state is CallState.RINGING:
            await call.answer()

    return policy


def refuses(code: int = 486) -> Policy:
    """Turns every call down: 486 busy, 603 declined, 404 no such number."""

    async def policy(call: Call) -> None:
        call.refuse(code)

    return policy


def forwards(target: str) -> Policy:
    """Sends every caller on (302)."""

    async def policy(call: Call) -> None:
        call.forward(target)

    return policy


class PbxSilent(TryLater):
    """A phone asked and got no answer."""


class Phone(asyncio.DatagramProtocol):
    """A SIP user agent. Use as an async context manager; a handset registers on entering."""

    def __init__(
        self, number: str, pbx: tuple[str, int], *, host: str = LOCALHOST, port: int = 0, password: str = ""
    ) -> None:
        """`pbx` is its SIP address. With a password it registers; without one the PBX knows it by its address."""
        self.number, self.pbx, self.host, self.port, self.password = number, pbx, host, port, password
        self.policy: Policy = let_it_ring
        self.voice: Callable[[], Frames | None] = lambda: None
        """What is said in each call; None is silence."""
        self.first_sequence: Callable[[], int | None] = lambda: None
        """The RTP sequence number that the audio of each call begins with; None: in the order in which phones begin."""
        self.calls: list[Call] = []
        """The last calls of this phone, ended ones too, oldest first."""
        self._by_id: dict[str, Call] = {}
        self._incoming: deque[Call] = deque(maxlen=INCOMING_LIMIT)
        self._came_in = asyncio.Event()
        self._answers: dict[tuple[str, str], Callable[[SipMessage], None]] = {}
        self._unanswered: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults: list[Exception] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._registration = new_token(24)
        self._register_sequence = 0
        self._registered = False

    @classmethod
    def handset(cls, extension: str, pbx: Pbx) -> Phone:
        """The desk phone of an extension of the office."""
        return cls(extension, pbx.sip_address, password=pbx.password_of(extension))

    @property
    def contact(self) -> str:
        """Where the PBX reaches this phone."""
        return f"<sip:{encoded_user(self.number)}@{self.host}:{self.port}>"

    async def __aenter__(self) -> Self:
        await self.open()
        if self.password:
            try:
                await self.register()
            except BaseException:
                await self.close()
                raise
            self.background(self._stay_registered())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
        if self._faults and error is None:
            raise ExceptionGroup(f"What phone {self.number} did by itself failed.", self._faults)

    async def open(self) -> None:
        """Take a port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.host, self.port)
        )
        self.port = self._transport.get_extra_info("sockname")[1]

    async def close(self) -> None:
        """Hang up everything and give the port back. Waits at most two seconds for a PBX that is gone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        live = [call for call in self.calls if call.state is not CallState.ENDED]
        if live:
            await asyncio.wait(
                [asyncio.create_task(_hang_up_quietly(c)) for c in live], timeout=LEAVE_SECONDS
            )
        if self._registered:
            with contextlib.suppress(TryLater, PeerMistake, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.register(expires=0)
        for call in self.calls:
            call.audio.close()
        for timer in self._unanswered.values():
            timer.cancel()
        if self._transport:
            self._transport.close()
            self._transport = None

    async def register(self, *, expires: int = REGISTERED_SECONDS) -> None:
        """Tell the PBX where this phone is, for `expires` seconds (0: no longer here). Raises PeerMistake."""
        response = await self._register(expires, ())
        if response.code == 401:
            proof = digest_answer(
                response, method="REGISTER", uri=self._registrar, user=self.number, password=self.password
            )
            response = await self._register(expires, [proof])
        if response.code != 200:
            raise PeerMistake(f"The PBX refused to register {self.number} with {response.code}.")
        self._registered = expires > 0

    async def dial(
        self, target: str, *, caller: str | None = None, name: str | None = None, headers: Headers = ()
    ) -> Call:
        """Call a number. Returns at once; `answered`, `ringing` and `ended` of the call wait.

        `caller` and `name` are what the called side is told (default: this phone's number). `caller` may hold
        percent-encoded bytes on purpose: forged numbers are part of what must be survived.
        """
        shown = f"{quoted_name(name)} " if name else ""
        user = encoded_user(caller if caller is not None else self.number)
        call = Call(
            self,
            outgoing=True,
            call_id=new_token(24),
            local=f"{shown}<sip:{user}@{self.host}>",
            remote=f"<sip:{encoded_user(target)}@{self.pbx[0]}:{self.pbx[1]}>",
        )
        self._keep(call)
        await call.begin(headers)
        return call

    async def dial_withheld(self, target: str, *, real: str | None = None) -> Call:
        """Call with the number withheld; `real` is what only the carrier and the PBX are told."""
        headers = [("Privacy", "id")]
        if real:
            headers.append(("P-Asserted-Identity", f"<sip:{encoded_user(real)}@{self.host}>"))
        return await self.dial(target, caller="anonymous", name="Anonymous", headers=headers)

    async def incoming(self, timeout: float = 8) -> Call:  # noqa: ASYNC109
        """The next incoming call nobody asked for yet. Raises TryLater when none comes."""
        try:
            async with asyncio.timeout(timeout):
                while not self._incoming:
                    self._came_in.clear()
                    await self._came_in.wait()
                return self._incoming.popleft()
        except TimeoutError:
            raise TryLater(f"Phone {self.number} was not called within {timeout:g} s.") from None

    # For its calls

    def send(self, message: bytes) -> None:
        """Send a datagram to the PBX."""
        if self._transport:
            self._transport.sendto(message, self.pbx)

    def send_repeatedly(
        self, message: bytes, branch: str, method: str, on_response: Callable[[SipMessage], None]
    ) -> None:
        """Send a request, again until the first answer; every answer goes to `on_response`."""
        key = (branch, method)
        self._answers[key] = on_response
        self.send(message)
        self._again(key, message, RESEND_SECONDS)

    async def transact(self, message: bytes, branch: str, method: str) -> SipMessage:
        """Send a request and wait for its final answer. Raises PbxSilent when none comes."""
        answer: asyncio.Future[SipMessage] = asyncio.get_running_loop().create_future()

        def on_response(response: SipMessage) -> None:
            if response.code >= 200 and not answer.done():
                answer.set_result(response)

        self.send_repeatedly(message, branch, method, on_response)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            raise PbxSilent(f"Phone {self.number}: the PBX did not answer a {method}.") from None
        finally:
            self._forget((branch, method))

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; a failure is raised when the phone is put away."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    # What arrives

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the protocol's signature
        message = parse_sip(data)
        if message is None:
            return
        if message.code:
            self._on_response(message)
            return
        call = self._by_id.get(message.get("call-id"))
        new_call = message.method == "INVITE" and not tag_of(message.get("to"))
        if call and new_call:
            call.on_invite_again()
        elif call:
            call.on_request(message)
        elif new_call:
            self._on_invite(message)
        elif message.method != "ACK":
            known = message.method in ("OPTIONS", "NOTIFY")
            self.send(write_reply(message, 200 if known else 481, tag=new_token()))

    def _on_response(self, response: SipMessage) -> None:
        key = (response.branch, response.method)
        timer = self._unanswered.pop(key, None)
        if timer:
            timer.cancel()
        handler = self._answers.get(key)
        if handler:
            handler(response)

    def _on_invite(self, invite: SipMessage) -> None:
        call = Call(
            self,
            outgoing=False,
            call_id=invite.get("call-id"),
            local=f"<{uri_of(invite.get('to'))}>",
            remote=invite.get("from").partition(";tag=")[0],
        )
        self._keep(call)
        self.background(self._receive(call, invite))

    async def _receive(self, call: Call, invite: SipMessage) -> None:
        await call.accept(invite)
        self._incoming.append(call)
        self._came_in.set()
        await self.policy(call)

    async def _stay_registered(self, seconds: float | None = None) -> None:
        """A registration ends by itself; an office that plays for hours still has to be called."""
        seconds = REGISTERED_SECONDS * REFRESH_SHARE if seconds is None else seconds
        pause = seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await self.register()
                pause = seconds
            except (TryLater, PeerMistake):  # the PBX may be starting again
                pause = min(REFRESH_PAUSE, seconds)

    def _keep(self, call: Call) -> None:
        self.calls.append(call)
        self._by_id[call.id] = call
        while len(self.calls) > CALLS_KEPT and self.calls[0].state is CallState.ENDED:
            self._drop(self.calls.pop(0))

    def _drop(self, call: Call) -> None:
        """Nothing more will be asked of it; what answers its INVITE repeats nothing after so many calls."""
        self._by_id.pop(call.id, None)
        for branch in call.branches:
            self._forget((branch, "INVITE"))

    def _again(self, key: tuple[str, str], message: bytes, pauses: tuple[float, ...]) -> None:
        if not pauses:
            self._unanswered.pop(key, None)
            return

        def resend() -> None:
            self.send(message)
            self._again(key, message, pauses[1:])

        self._unanswered[key] = asyncio.get_running_loop().call_later(pauses[0], resend)

    def _forget(self, key: tuple[str, str]) -> None:
        self._answers.pop(key, None)
        timer = self._unanswered.pop(key, None)
        if timer:
            timer.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(fault := task.exception(), Exception):
            self._faults.append(fault)

    @property
    def _registrar(self) -> str:
        return f"sip:{self.pbx[0]}:{self.pbx[1]}"

    async def _register(self, expires: int, headers: Headers) -> SipMessage:
        self._register_sequence += 1
        branch = f"z9hG4bK{new_token()}"
        address = f"<sip:{self.number}@{self.pbx[0]}>"
        message = write_sip(
            f"REGISTER {self._registrar} SIP/2.0",
            [
                ("Via", f"SIP/2.0/UDP {self.host}:{self.port};branch={branch};rport"),
                ("Max-Forwards", "70"),
                ("From", f"{address};tag={new_token()}"),
                ("To", address),
                ("Call-ID", self._registration),
                ("CSeq", f"{self._register_sequence} REGISTER"),
                ("Contact", self.contact),
                ("Expires", str(expires)),
                *headers,
            ],
        )
        return await self.transact(message, branch, "REGISTER")


class Carrier(Phone):
    """The telephone network outside: calls from any number to the office's numbers, and takes what it calls.

    A real carrier's address is known to the PBX; so is this one's (127.0.0.2), there is no password.
    """

    def __init__(self, pbx: Pbx) -> None:
        super().__init__("carrier", pbx.sip_address, host=CARRIER_HOST, port=pbx.ports.carrier)


async def _hang_up_quietly(call: Call) -> None:
    try:
        await call.hang_up()
    except (TryLater, PeerMistake):
        return  # the phone is being put away; the PBX may be gone
