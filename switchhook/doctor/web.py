"""Whether the pages can be served: the address is ours, the port is free, or it is Switchhook itself that has it."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

from switchhook.doctor.findings import Finding, Level
from switchhook.settings.tables import WebSettings

ASK_SECONDS = 3.0  # for /healthz on this machine; it takes milliseconds
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not bound

REFUSALS = {
    errno.EACCES: (
        "needs rights that this user does not have",
        "Take a port above 1023 in [web] port and let a proxy have 80 and 443.",
    ),
    errno.EADDRNOTAVAIL: (
        "is not an address of this machine",
        "Set [web] host to one of its own addresses, or to 0.0.0.0 for all of them.",
    ),
}
"""What the system says of an address that cannot be listened on → why, and the remedy."""


def examine_web(web: WebSettings) -> Iterator[Finding]:
    """Tries to listen where the service will."""
    place = f"{web.host}:{web.port}"
    try:
        _listen_once(web)
    except socket.gaierror:
        yield _fault(
            f"{place} cannot be listened on: there is no such name.", REFUSALS[errno.EADDRNOTAVAIL][1]
        )
    except OSError as mistake:
        yield from _explain(place, web, mistake)
    else:
        yield Finding(Level.FINE, "web", f"{place} is free.")


def _listen_once(web: WebSettings) -> None:
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((web.host, web.port))


def _explain(place: str, web: WebSettings, mistake: OSError) -> Iterator[Finding]:
    if mistake.errno in REFUSALS:
        why, remedy = REFUSALS[mistake.errno]
        yield _fault(f"{place} {why}.", remedy)
    elif mistake.errno != errno.EADDRINUSE:
        yield _fault(f"{place} cannot be listened on: {mistake.strerror}.", "Set [web] host or port.")
    elif answers_as_switchhook(EVERYWHERE.get(web.host, web.host), web.port):
        yield Finding(Level.FINE, "web", f"Switchhook is running and answers at {place}.")
    else:
        yield _fault(
            f"Another program has {place}.",
            f"Stop it (ss -ltnp 'sport = :{web.port}' names it), or set [web] port to another one.",
        )


def answers_as_switchhook(host: str, port: int) -> bool:
    """Whether a Switchhook serves there: it alone answers `/readyz` so."""
    try:
        with closing(http.client.HTTPConnection(host, port, timeout=ASK_SECONDS)) as connection:
            connection.request("GET", "/healthz")
            alive = connection.getresponse()
            if alive.status != 200 or alive.read(16) != b"ok\n":
                return False
            connection.request("GET", "/readyz")
            return b'"ready"' in connection.getresponse().read(4096)
    except (OSError, http.client.HTTPException):
        return False


def _fault(what: str, remedy: str) -> Finding:
    return Finding(Level.FAULT, "web", what, remedy)
