"""Ports that are free now, held until the moment they are needed."""

from __future__ import annotations

import socket
from dataclasses import dataclass

LOCALHOST = "127.0.0.1"
CARRIER_HOST = "127.0.0.2"
"""The address the office's carrier calls from: Asterisk recognises it by that alone."""


@dataclass(frozen=True, slots=True)
class LabPorts:
    """The ports of one private Asterisk. They stay the same over its restarts."""

    ami: int
    ami_tls: int
    sip: int
    carrier: int
    """UDP at CARRIER_HOST; bound by the carrier's phone, not by Asterisk."""


class HeldPorts:
    """Free ports, bound so that nobody else takes them; `release` just before Asterisk binds them itself."""

    def __init__(self, wanted: LabPorts | None = None) -> None:
        """Hold any free ports, or exactly the wanted ones. Raises OSError when one of those is taken."""
        self._sockets: list[socket.socket] = []
        try:
            self.ports = LabPorts(
                ami=self._hold(socket.SOCK_STREAM, LOCALHOST, wanted.ami if wanted else 0),
                ami_tls=self._hold(socket.SOCK_STREAM, LOCALHOST, wanted.ami_tls if wanted else 0),
                sip=self._hold(socket.SOCK_DGRAM, LOCALHOST, wanted.sip if wanted else 0),
                carrier=wanted.carrier if wanted else self._hold(socket.SOCK_DGRAM, CARRIER_HOST, 0),
            )
        except OSError:
            self.release()
            raise

    def _hold(self, kind: socket.SocketKind, host: str, port: int) -> int:
        held = socket.socket(socket.AF_INET, kind)
        self._sockets.append(held)
        if kind is socket.SOCK_STREAM:
            # As Asterisk does: a port whose old connections still linger is free, one with a listener is not.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        if kind is socket.SOCK_STREAM:
            held.listen(1)
        bound: int = held.getsockname()[1]
        return bound

    def release(self) -> None:
        """Let the ports go."""
        for held in self._sockets:
            held.close()
        self._sockets.clear()
