"""Reads the service's own live stream (`GET /api/v1/live`), as a program with a token does."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 25.0  # a beat comes every 10 s
WAITING_MOST = 1000  # events of a busy minute; older ones would be of no use


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One server-sent event."""

    name: str
    data: dict[str, Any]


class LiveStream:
    """An open stream. `events()` ends when the stream does."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[StreamEvent | None] = asyncio.Queue(WAITING_MOST)

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What comes, the complete snapshot first."""
        while (event := await self.waiting.get()) is not None:
            yield event

    def put(self, event: StreamEvent | None) -> None:
        """Called in the loop's own thread; a reader that is too slow loses the newest."""
        with suppress(asyncio.QueueFull):
            self.waiting.put_nowait(event)


@asynccontextmanager
async def open_stream(host: str, port: int, token: str) -> AsyncIterator[LiveStream]:
    """The stream of the account that the token belongs to. Raises OSError when the service does not answer so."""
    connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
    response = await asyncio.to_thread(_request, connection, token)
    stream, loop = LiveStream(), asyncio.get_running_loop()

    def hand_over(event: StreamEvent | None) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(stream.put, event)

    reader = threading.Thread(target=_read, args=(response, hand_over), name="live stream", daemon=True)
    sock = connection.sock
    reader.start()
    try:
        yield stream
    finally:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        await asyncio.to_thread(reader.join, CONNECT_SECONDS)
        response.close()
        connection.close()


def _request(connection: http.client.HTTPConnection, token: str) -> http.client.HTTPResponse:
    connection.request("GET", "/api/v1/live", headers={"Authorization": f"Bearer {token}"})
    connection.sock.settimeout(SILENCE_SECONDS)
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise OSError(f"the live stream answered {response.status}")
    return response


def _read(response: http.client.HTTPResponse, hand_over: Any) -> None:
    try:
        for event in _parsed(response):
            hand_over(event)
    except (OSError, ValueError, http.client.HTTPException):
        pass  # the reader sees the end
    finally:
        hand_over(None)


def _parsed(response: http.client.HTTPResponse) -> Iterator[StreamEvent]:
    name = ""
    while line := response.readline():
        field, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield StreamEvent(name, json.loads(value))
