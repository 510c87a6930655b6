"""The transport: one aiohttp session per connection. Says of every failure whether the CRM may have the request."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from crm_sync.address_guard import AddressRefused, check_resolved, check_url
from crm_sync.exchange import LARGEST_ANSWER_BYTES, Request, Response, TransportFailure, encode_json
from telephony.errors import NeedsPerson

CONNECT_SECONDS = 10.0  # a CRM that does not answer a SYN in ten seconds is down
CONNECTIONS = 8  # at most, to one CRM: budgets allow no more
CHUNK_BYTES = 64 * 1024


class GuardedResolver(AbstractResolver):
    """Resolves names, and refuses those that lead where the connection may not."""

    def __init__(self, inner: AbstractResolver, *, allow_private: bool) -> None:
        self._inner = inner
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses, when every one of them is allowed."""
        found = await self._inner.resolve(host, port, family)
        for result in found:
            check_resolved(host, result["host"], allow_private=self._allow_private)
        return found

    async def close(self) -> None:
        """No longer needed."""
        await self._inner.close()


class HttpTransport:
    """Sends the requests of one connection."""

    def __init__(self, *, allow_private: bool = False, resolver: AbstractResolver | None = None) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send_request(self, request: Request) -> Response:
        """Any response, whatever its status; redirects are not followed. Raises TransportFailure."""
        try:
            check_url(request.url, allow_private=self._allow_private)
        except NeedsPerson as refused:
            raise TransportFailure(str(refused), may_be_executed=False, needs_person=True) from refused
        progress = SimpleNamespace(is_sent=False)
        try:
            async with asyncio.timeout(request.timeout_seconds):
                return await self._exchange(request, progress)
        except TimeoutError as error:
            detail = f"No answer within {request.timeout_seconds:g} s"
            raise TransportFailure(detail, may_be_executed=progress.is_sent) from error
        except (aiohttp.ClientError, OSError) as error:
            refusal = find_refusal(error)
            if refusal is not None:
                raise TransportFailure(str(refusal), may_be_executed=False, needs_person=True) from error
            detail = str(error) or type(error).__name__
            raise TransportFailure(detail, may_be_executed=progress.is_sent) from error

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _exchange(self, request: Request, progress: SimpleNamespace) -> Response:
        session = self._open_session()
        body = None if request.json is None else encode_json(request.json)
        headers = {"Accept": "application/json", "User-Agent": "switchhook"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with session.request(
            request.verb,
            URL(request.url).extend_query(request.query),
            data=body,
            headers={**headers, **dict(request.headers)},
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            content = await read_limited(response)
            return Response(response.status, {k.lower(): v for k, v in response.headers.items()}, content)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            inner = self._resolver or aiohttp.ThreadedResolver()
            connector = aiohttp.TCPConnector(
                limit=CONNECTIONS, resolver=GuardedResolver(inner, allow_private=self._allow_private)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                trace_configs=[build_progress_trace()],
                trust_env=False,  # a proxy in the environment would go round the guard
            )
        return self._session


async def read_limited(response: aiohttp.ClientResponse) -> bytes:
    """The body, unpacked. Raises TransportFailure when it is too large: its outcome is then unknown."""
    content = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            detail = f"An answer of more than {LARGEST_ANSWER_BYTES // 1024 // 1024} MB"
            raise TransportFailure(detail, may_be_executed=True)
    return bytes(content)


def build_progress_trace() -> aiohttp.TraceConfig:
    """Marks the moment from which the CRM may have the request: when its header is written."""
    trace = aiohttp.TraceConfig()

    async def mark_sent(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        progress = getattr(context, "trace_request_ctx", None)
        if progress is not None:
            progress.is_sent = True

    trace.on_request_headers_sent.append(mark_sent)
    return trace


def find_refusal(error: BaseException | None) -> AddressRefused | None:
    """The guard's refusal behind an error of aiohttp."""
    while error is not None:
        if isinstance(error, AddressRefused):
            return error
        error = error.__cause__
    return None
