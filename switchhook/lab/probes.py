"""Two questions that only the right Asterisk answers rightly: one over AMI, one over SIP."""

from __future__ import annotations

import asyncio
import secrets

PROBE_SECONDS = 1.0  # loopback answers in milliseconds; a silent stranger is not waited for


async def ami_accepts(host: str, port: int, user: str, secret: str) -> bool:
    """Whether the AMI at that port is up, fully booted, and knows this user."""
    writer = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            banner = await reader.readline()
            if not banner.startswith(b"Asterisk Call Manager"):
                return False
            writer.write(f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\n\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if b"Response: Success" not in answer:
                return False
            return b"FullyBooted" in await reader.readuntil(b"\r\n\r\n")
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return False
    finally:
        if writer is not None:
            writer.close()


async def sip_answers_as(address: tuple[str, int], name: str) -> bool:
    """Whether SIP over UDP at that address answers OPTIONS with this server name."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _FirstDatagram(answer), remote_addr=address)
    try:
        host, port = transport.get_extra_info("sockname")[:2]
        branch = secrets.token_hex(8)
        transport.sendto(
            (
                f"OPTIONS sip:{address[0]}:{address[1]} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{branch};rport\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:probe@{host}>;tag={branch}\r\n"
                f"To: <sip:{address[0]}>\r\nCall-ID: {branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            ).encode()
        )
        async with asyncio.timeout(PROBE_SECONDS):
            return f"Server: {name}".encode() in await answer
    except (OSError, TimeoutError):
        return False
    finally:
        transport.close()


class _FirstDatagram(asyncio.DatagramProtocol):
    """Puts the first datagram, or the error, into a future."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002 - the protocol's signature
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)
