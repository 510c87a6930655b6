"""One call as a phone has it: a SIP dialog with verbs a person would use.

Every verb that asks something of the PBX waits for its
answer; every wait has an end.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from switchhook.lab.call_progress import CallProgress, CallState
from switchhook.lab.sip_message import (
    Headers,
    SipMessage,
    audio_address,
    digest_answer,
    name_of,
    new_token,
    session_description,
    tag_of,
    uri_of,
    user_of,
    write_reply,
    write_sip,
)
from telephony.errors import PeerMistake

if TYPE_CHECKING:
    from switchhook.lab.phones import Phone

ANSWER_SECONDS = 4.0  # loopback answers in milliseconds; a busy test machine may stall for a second or two
RESEND_SECONDS = (0.5, 1.0, 2.0)  # SIP's own T1, doubled each time
GLARE_PAUSE = 0.3  # s; both sides changed the session at once (491), the phone tries again
JOIN_SECONDS = (
    4.0  # from the answer until the PBX has surely joined both sides; a few ms when it has nothing else to do
)
JOIN_PAUSE = 0.1
NOT_JOINED = frozenset({400, 500})  # what Asterisk says to a transfer in those milliseconds


class Call(CallProgress):
    """A call placed or received by a Phone. Made by `Phone.dial` and `Phone.incoming`, not by hand."""

    def __init__(self, phone: Phone, *, outgoing: bool, call_id: str, local: str, remote: str) -> None:
        """`local` and `remote` are SIP addresses with angle brackets, `local` perhaps with a display name."""
        super().__init__(phone.number, phone.first_sequence())
        self.phone = phone
        self.outgoing = outgoing
        self.id = call_id
        self.on_hold = False
        """Whether we hold the other side."""
        self.local, self.remote = local, remote
        self.local_tag, self.remote_tag = new_token(), ""
        self.target = uri_of(remote)
        self._sequence = 1
        self._audio_port = 0
        self._description_version = 0
        self._invite: SipMessage | None = None
        self._invite_uri = self.target
        self._invite_branch = ""
        self.branches: list[str] = []
        """Of the INVITEs that began it; for the phone, which forgets their answers with the call."""
        self._refer_to = ""
        self._invite_headers: Headers = ()
        self._authorized = False
        self._last_reply = b""
        self._acknowledged = asyncio.Event()
        self._cancelled = False

    # What can be seen

    @property
    def other_number(self) -> str:
        """The other side's number, as the phone's display shows it."""
        return user_of(self.remote)

    @property
    def other_name(self) -> str:
        """The other side's name, as the phone's display shows it."""
        return name_of(self.remote)

    @property
    def dialled(self) -> str:
        """The number that was dialled to get here: on an incoming call at the carrier, the customer's number."""
        return user_of(self._invite.start.split()[1]) if self._invite else user_of(f"<{self._invite_uri}>")

    # What a person does

    async def answer(self) -> None:
        """Pick up."""
        self._reply_to_invite(200, body=self._describe())
        self._came_up(200)
        self.phone.background(self._repeat_until_acknowledged())

    def ring(self) -> None:
        """Let it ring."""
        self._reply_to_invite(180)
        self._move(CallState.RINGING)

    def refuse(self, code: int = 486, headers: Headers = ()) -> None:
        """Turn it down: 486 busy, 603 declined, 480 not here."""
        self._reply_to_invite(code, headers)
        self._end(code, by_us=True)
        self.phone.background(self._repeat_until_acknowledged())

    def forward(self, target: str) -> None:
        """Send the caller on to another number (302), as a handset with call forwarding does."""
        host, port = self.phone.pbx
        self.refuse(302, [("Contact", f"<sip:{target}@{host}:{port}>")])

    async def hang_up(self) -> None:
        """End it, whatever state it is in: hang up, give up dialling, or decline."""
        if self.state is CallState.UP:
            self._end(self.code, by_us=True)
            await self._ask("BYE")
        elif self.state is not CallState.ENDED and not self.outgoing:
            self.refuse(603)
        elif self.state is not CallState.ENDED:
            await self._give_up_dialling()

    async def _give_up_dialling(self) -> None:
        self._cancelled = True
        # A CANCEL before the PBX's first word could overtake its INVITE.
        await self.until(lambda: self.state is not CallState.DIALLING, ANSWER_SECONDS, "the PBX's first word")
        if self.state is CallState.RINGING:
            await self.phone.transact(self._cancel(), self._invite_branch, "CANCEL")
            await self.ended(ANSWER_SECONDS)

    async def hold(self) -> None:
        """Put the other side on hold."""
        self.on_hold = True
        await self._change_session()

    async def resume(self) -> None:
        """Take the other side back from hold."""
        self.on_hold = False
        await self._change_session()

    async def transfer(self, target: str) -> None:
        """Blind transfer with the handset's own key (REFER). `transferred` tells how it went."""
        host, port = self.phone.pbx
        await self._refer(f"<sip:{target}@{host}:{port}>")

    async def transfer_to(self, consultation: Call) -> None:
        """Hand the other side to whom we asked; before they answered, it is a blonde transfer."""
        other = consultation
        replaces = f"{other.id}%3Bto-tag%3D{other.remote_tag}%3Bfrom-tag%3D{other.local_tag}"
        await self._refer(f"<{uri_of(other.remote)}?Replaces={replaces}>")

    async def press(self, keys: str) -> None:
        """Press keys during the call."""
        await self.audio.press(keys)

    # Signalling

    async def begin(self, headers: Headers) -> None:
        """Send the INVITE. Its answers arrive later."""
        await self._open_audio()
        self._invite_headers = headers
        self._send_invite()

    async def accept(self, invite: SipMessage) -> None:
        """Take in the INVITE of an incoming call."""
        self._invite = invite
        self.remote_tag = tag_of(invite.get("from"))
        self.target = uri_of(invite.get("contact"))
        await self._open_audio()
        self._hear_description(invite)

    def on_invite_again(self) -> None:
        """Our answer to the INVITE was lost, or is not there yet: repeat what was said."""
        if self._last_reply:
            self.phone.send(self._last_reply)

    def on_request(self, request: SipMessage) -> None:
        """A request inside the call."""
        if request.method == "ACK":
            self._acknowledged.set()
            return
        if request.method == "INVITE":
            self.target = uri_of(request.get("contact")) or self.target
            self._hear_description(request)
            self.remote = _without_tag(request.get("from"))
            self._last_reply = self._reply(request, 200, body=self._describe())
            return
        self._reply(
            request, 200, body=self._describe() if request.method == "UPDATE" and request.body else ""
        )
        if request.method == "BYE":
            self.reason = request.get("reason")
            self._end(self.code)
        elif request.method == "CANCEL" and self.state in (CallState.DIALLING, CallState.RINGING):
            self.reason = request.get("reason")
            self._reply_to_invite(487)
            self._end(487)
        elif request.method == "NOTIFY":
            told = re.match(r"SIP/2.0 (\d+)", request.body)
            if told:
                self._on_transfer_progress(int(told.group(1)))

    def on_invite_response(self, response: SipMessage) -> None:
        """The PBX's word on our INVITE: it rings, it is answered, or it is refused."""
        if response.code < 200:
            if response.code > 100 and self.state is CallState.DIALLING:
                self.remote_tag = tag_of(response.get("to"))
                self._hear_description(response)
                self._move(CallState.RINGING)
            return
        if response.code < 300:
            self._on_answered(response)
            return
        self._acknowledge_refusal(response)
        if response.code in (401, 407) and not self._authorized and self.phone.password:
            self._authorized = True
            proof = digest_answer(
                response,
                method="INVITE",
                uri=self._invite_uri,
                user=self.phone.number,
                password=self.phone.password,
            )
            self._sequence += 1
            self._invite_headers = [*self._invite_headers, proof]
            self._send_invite()
        elif self.state in (CallState.DIALLING, CallState.RINGING):
            self.reason = response.get("reason")
            self._end(response.code)

    def _on_transfer_progress(self, code: int) -> None:
        if code in NOT_JOINED and self.state is CallState.UP and self.talk_seconds < JOIN_SECONDS:
            # Answered is not yet joined. A person who reaches for the key has heard the other side; a test has not.
            self.phone.background(self._refer_again())
            return
        self.transfer_codes.append(code)
        self._announce()
        if 200 <= code < 300 and self.state is CallState.UP:
            # Desk phones leave the call once they hear that it went over; Asterisk waits for that.
            self.phone.background(self.hang_up())

    def _on_answered(self, response: SipMessage) -> None:
        self.remote_tag = tag_of(response.get("to"))
        self.target = uri_of(response.get("contact")) or self.target
        self._hear_description(response)
        self.phone.send(self._compose("ACK", sequence=response.sequence))
        if self.state in (CallState.DIALLING, CallState.RINGING):
            self._came_up(response.code)
            if self._cancelled:  # the answer crossed our giving up
                self.phone.background(self.hang_up())

    def _send_invite(self) -> None:
        self._invite_branch = f"z9hG4bK{new_token()}"
        self.branches.append(self._invite_branch)
        message = self._compose(
            "INVITE",
            headers=self._invite_headers,
            body=self._describe(),
            uri=self._invite_uri,
            branch=self._invite_branch,
            sequence=self._sequence,
        )
        self.phone.send_repeatedly(message, self._invite_branch, "INVITE", self.on_invite_response)

    def _cancel(self) -> bytes:
        return self._compose(
            "CANCEL",
            uri=self._invite_uri,
            branch=self._invite_branch,
            sequence=self._sequence,
            to=self.remote,
        )

    def _acknowledge_refusal(self, response: SipMessage) -> None:
        self.phone.send(
            self._compose(
                "ACK",
                uri=self._invite_uri,
                branch=self._invite_branch,
                sequence=response.sequence,
                to=response.get("to"),
            )
        )

    async def _ask(self, method: str, *, headers: Headers = (), body: str = "") -> SipMessage:
        """Send a request inside the call and wait for its final answer."""
        self._sequence += 1
        branch = f"z9hG4bK{new_token()}"
        message = self._compose(method, headers=headers, body=body, branch=branch, sequence=self._sequence)
        response = await self.phone.transact(message, branch, method)
        if method == "INVITE":
            if response.code < 300:
                self._hear_description(response)
                self.phone.send(self._compose("ACK", sequence=response.sequence))
            else:
                self._invite_branch, self._invite_uri = branch, self.target
                self._acknowledge_refusal(response)
        return response

    async def _change_session(self) -> None:
        response = await self._ask("INVITE", body=self._describe())
        if response.code == 491:
            await asyncio.sleep(GLARE_PAUSE)
            response = await self._ask("INVITE", body=self._describe())
        if response.code >= 300:
            raise PeerMistake(
                f"{self.phone.number}: the PBX refused to change the call with {response.code}."
            )
        self.audio.muted = self.on_hold

    async def _refer_again(self) -> None:
        await asyncio.sleep(JOIN_PAUSE)
        if self.state is CallState.UP:
            await self._refer(self._refer_to)

    async def _refer(self, refer_to: str) -> None:
        self._refer_to = refer_to
        self.transfer_codes.clear()
        response = await self._ask("REFER", headers=[("Refer-To", refer_to), ("Referred-By", self.local)])
        if response.code >= 300:
            self.transfer_codes.append(response.code)
            self._announce()

    async def _repeat_until_acknowledged(self) -> None:
        for pause in (*RESEND_SECONDS, ANSWER_SECONDS):
            try:
                async with asyncio.timeout(pause):
                    await self._acknowledged.wait()
            except TimeoutError:
                self.phone.send(self._last_reply)
            else:
                return

    def _compose(
        self,
        method: str,
        *,
        headers: Headers = (),
        body: str = "",
        uri: str = "",
        branch: str = "",
        sequence: int,
        to: str = "",
    ) -> bytes:
        phone = self.phone
        whole_to = to or self.remote + (f";tag={self.remote_tag}" if self.remote_tag else "")
        return write_sip(
            f"{method} {uri or self.target} SIP/2.0",
            [
                (
                    "Via",
                    f"SIP/2.0/UDP {phone.host}:{phone.port};branch={branch or 'z9hG4bK' + new_token()};rport",
                ),
                ("Max-Forwards", "70"),
                ("From", f"{self.local};tag={self.local_tag}"),
                ("To", whole_to),
                ("Call-ID", self.id),
                ("CSeq", f"{sequence} {method}"),
                ("Contact", phone.contact),
                ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REFER, NOTIFY, INFO, UPDATE"),
                ("Supported", "replaces"),
                *headers,
                *([("Content-Type", "application/sdp")] if body else []),
            ],
            body,
        )

    def _reply(self, request: SipMessage, code: int, headers: Headers = (), body: str = "") -> bytes:
        # A 302 names its own Contact: where to go on.
        extra = [
            *([] if any(name == "Contact" for name, _ in headers) else [("Contact", self.phone.contact)]),
            *headers,
        ]
        if body:
            extra.append(("Content-Type", "application/sdp"))
        message = write_reply(request, code, tag=self.local_tag, headers=extra, body=body)
        self.phone.send(message)
        return message

    def _reply_to_invite(self, code: int, headers: Headers = (), body: str = "") -> None:
        if self._invite is None:
            raise PeerMistake("Only an incoming call can be answered.")
        self._last_reply = self._reply(self._invite, code, headers, body)

    async def _open_audio(self) -> None:
        self._audio_port = await self.audio.open(self.phone.host)

    def _describe(self) -> str:
        self._description_version += 1
        direction = "sendonly" if self.on_hold else "sendrecv"
        return session_description(
            self.phone.host, self._audio_port, version=self._description_version, direction=direction
        )

    def _hear_description(self, message: SipMessage) -> None:
        self.audio.to = audio_address(message.body) or self.audio.to

    def _came_up(self, code: int) -> None:
        self._move(CallState.UP, code)
        frames = self.phone.voice()
        if frames is not None:
            self.audio.speak(frames)


def _without_tag(address: str) -> str:
    return re.sub(r";tag=[^;>\s]+", "", address)
