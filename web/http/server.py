"""Serving: binds the port itself, so that a taken one is a sentence, and stops within two seconds with
streams open.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from telephony.errors import NeedsPerson
from web.http.connections import ConnectionLimits, ConnectionTable
from web.http.proxies import ProxyTrust
from web.live import Hub

STOP_SECONDS = 1  # s for requests under way; live streams are ended first and need none of it
BACKLOG = 256  # browsers that reconnect at the same moment after a restart


class _Server(uvicorn.Server):
    """Leaves the signals alone: the process belongs to whoever started us."""

    def install_signal_handlers(self) -> None:
        """Nothing: `stop` is how we are told."""


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    bound: Callable[[int], None] | None = None,
    trust: ProxyTrust | None = None,
    limits: ConnectionLimits | None = None,
) -> None:
    """Serve until `stop` is set. Port 0 takes a free one; `bound` is told which, once requests are answered.
    `trust` says which peers speak for others, so that theirs is no bound of one address.

    Raises NeedsPerson when the address cannot be had, and whatever ended the live hub, should it ever fail.
    """
    listener = listen(host, port)
    table = ConnectionTable(limits or ConnectionLimits(), trust or ProxyTrust())
    config = uvicorn.Config(
        app,
        http=cast(Any, table.protocol_factory()),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=30,
        proxy_headers=False,  # web.http.proxies does it, and notices a proxy that says too little
    )
    server = _Server(config)
    try:
        serving = asyncio.create_task(server._serve([listener]), name="web server")
        stopping = asyncio.create_task(stop.wait(), name="web server: stop")
        await _until_started(server, serving)
        if bound is not None and not serving.done():
            bound(listener.getsockname()[1])
        hub_task: asyncio.Task[None] | None = getattr(app.state, "hub_task", None)
        watched = {serving, stopping, *({hub_task} if hub_task else set())}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        failure = hub_task.exception() if hub_task and hub_task.done() and not hub_task.cancelled() else None
    finally:
        hub = getattr(app.state, "hub", None)
        if isinstance(hub, Hub):
            hub.close()
        server.should_exit = True
        stopping.cancel()
        await asyncio.wait([serving])
        listener.close()
    if failure is not None:
        raise failure
    serving.result()


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """uvicorn has no event for it; starting takes some ten milliseconds."""
    while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn sets a flag, no event
        await asyncio.sleep(0.005)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises NeedsPerson with what to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named although 0 means the same: asyncio turns Nagle's delay off only where it reads TCP, and an
    # answer in two pieces then waits 40 ms for the browser's acknowledgement of the first (measured on loopback).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise NeedsPerson(_why(host, port, error), remedy=_remedy(error)) from error
    listener.setblocking(False)
    return listener


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program."
    if error.errno == errno.EACCES:
        return f"Port {port} may only be opened by the administrator of this machine."
    return f"The address {host}, port {port}, cannot be opened: {error.strerror or error}."


def _remedy(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            "Stop that program, or choose another port in the configuration (web.port; 0 takes a free one)."
        )
    if error.errno == errno.EACCES:
        return "Choose a port above 1023, and let a proxy answer on port 80 or 443."
    return (
        "Choose an address of this machine in the configuration (web.host), for example 127.0.0.1 or 0.0.0.0."
    )
