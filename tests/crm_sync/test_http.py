"""The transport against real sockets on loopback: what it says of each failure."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from crm_sync.exchange import LARGEST_ANSWER_BYTES, Effect, Request, Response, TransportFailure
from crm_sync.http import HttpTransport

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def running(serve: Serve) -> AsyncIterator[str]:
    """A server that does exactly that; its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    """That may reach loopback."""
    made = HttpTransport(allow_private=True)
    yield made
    await made.close()


def respond(head: str, body: bytes = b"", *, length: int | None = None) -> Serve:
    """One response, whatever was asked; the length may be a lie."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = len(body) if length is None else length
        writer.write(
            f"HTTP/1.1 {head}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()

    return serve


async def send(transport: HttpTransport, url: str, **different: object) -> Response:
    """One write."""
    request = Request("calls", Effect.WRITE, url + "/api", query=(("a", "ä b"),), json={"name": "Ä"})
    return await transport.send_request(Request(**{**_fields(request), **different}))  # type: ignore[arg-type]


def _fields(request: Request) -> dict[str, object]:
    return {name: getattr(request, name) for name in Request.__dataclass_fields__}


async def fail(transport: HttpTransport, url: str, **different: object) -> TransportFailure:
    """How it fails."""
    with pytest.raises(TransportFailure) as failure:
        await send(transport, url, **different)
    return failure.value


async def test_what_is_sent_and_what_comes_back(transport: HttpTransport) -> None:
    """JSON in UTF-8, the query escaped, headers in small letters."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        received.append(await reader.readexactly(len('{"name": "Ä"}'.encode())))
        writer.write(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with running(serve) as url:
        response = await send(transport, url, headers=(("X-Key", "k"),))
    assert (response.status, response.headers["retry-after"], response.body) == (429, "7", b"{}")
    assert received[0].startswith(b"POST /api?a=%C3%A4+b HTTP/1.1")
    assert b"X-Key: k" in received[0]
    assert received[1] == '{"name": "Ä"}'.encode()


async def test_refused_is_not_sent(transport: HttpTransport) -> None:
    """Nobody listens there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert (await fail(transport, url)).may_be_executed is False


async def test_closed_after_the_request_may_be_executed(transport: HttpTransport) -> None:
    """It was read, and no answer came."""

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with running(serve) as url:
        assert (await fail(transport, url)).may_be_executed is True


async def test_a_body_cut_off_may_be_executed(transport: HttpTransport) -> None:
    """200, and then nothing more."""
    async with running(respond("200 OK", b'{"result": ', length=500)) as url:
        assert (await fail(transport, url)).may_be_executed is True


async def test_silence_may_be_executed(transport: HttpTransport) -> None:
    """The request was sent; the time is over."""
    never = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await never.wait()

    async with running(serve) as url:
        failure = await fail(transport, url, timeout_seconds=2.0)
        never.set()
    assert failure.may_be_executed is True
    assert "2 s" in str(failure)


async def test_an_answer_without_end_is_cut(transport: HttpTransport) -> None:
    """More than anybody needs."""
    body = b"x" * (LARGEST_ANSWER_BYTES + 1)
    async with running(respond("200 OK", body)) as url:
        failure = await fail(transport, url)
    assert "8 MB" in str(failure)
    assert failure.may_be_executed is True


async def test_a_redirect_is_not_followed(transport: HttpTransport) -> None:
    """It could lead into our own network, with the key in its header."""
    async with running(respond("302 Found\r\nLocation: http://127.0.0.1:1/")) as url:
        assert (await send(transport, url)).status == 302


async def test_no_http_at_all_may_be_executed(transport: HttpTransport) -> None:
    """Something else listens there."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.net ESMTP\r\n")
        await writer.drain()

    async with running(serve) as url:
        assert (await fail(transport, url)).may_be_executed is True


class OneAddress(AbstractResolver):
    """Every name leads there."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """That address."""
        return [
            ResolveResult(
                hostname=host, host=self.address, port=port, family=socket.AF_INET, proto=0, flags=0
            )
        ]

    async def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "192.168.1.1"])
async def test_a_name_that_leads_into_our_network_is_refused(address: str) -> None:
    """Before a connection is made; a person must allow it."""
    transport = HttpTransport(resolver=OneAddress(address))
    failure = await fail(transport, "https://crm.example.com")
    await transport.close()
    assert (failure.needs_person, failure.may_be_executed) == (True, False)
    assert address in str(failure)


async def test_metadata_is_refused_even_where_private_networks_are_allowed() -> None:
    """Nobody's CRM is there."""
    transport = HttpTransport(allow_private=True, resolver=OneAddress("169.254.169.254"))
    failure = await fail(transport, "https://crm.example.com")
    await transport.close()
    assert failure.needs_person is True


async def test_without_tls_only_in_ones_own_network() -> None:
    """The key would travel readable."""
    transport = HttpTransport()
    assert (await fail(transport, "http://crm.example.com")).needs_person is True
    await transport.close()
