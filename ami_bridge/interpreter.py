"""One PBX's stream of messages, over all its links, as one stream of signals.

Live observation and `switchhook replay` both go through here, so that a capture tells what the live service told.
A new login means that a link was lost before it; a start of the PBX after the last message means that it was restarted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ami_bridge.endpoint_listing import LISTED_ENDPOINTS, EndpointLists
from ami_bridge.snapshot_reading import LISTED, SnapshotAssembler
from ami_bridge.translate import SERVICE_APPS, TRANSLATIONS, USER_EVENTS, VARIABLES, moment_of, translate
from ami_bridge.wire.message import Message
from telephony.state import signals as s

SNAPSHOT_REST = 0.5  # s of silence after the lists: a capture has no mark that says the snapshot is complete
RESTART_SLACK = 2.0  # s; Uptime is whole seconds and the clocks of two hosts differ

WANTED = frozenset(
    name.encode() for name in (*TRANSLATIONS, *LISTED, *LISTED_ENDPOINTS, "FullyBooted", "OriginateResponse")
)
"""Names of the events worth decoding; a `Framer` leaves all others as bytes."""

WANTED_ONLY_WITH = {
    b"ExtensionStatus": re.compile(rb"\r\nActionID: "),
    b"VarSet": re.compile(rb"\r\nVariable: _*(?:%s)\r\n" % "|".join(VARIABLES).encode()),
    b"UserEvent": re.compile(rb"\r\nUserEvent: (?:%s)\r\n" % "|".join(USER_EVENTS).encode()),
    b"Newexten": re.compile(rb"\r\nApplication: (?:%s)\r\n" % "|".join(sorted(SERVICE_APPS)).encode()),
}
"""The dialplan's own events are half of what a PBX sends to `read = all`, and all but a few say nothing of calls."""


class Interpreter:
    """Feed it every message in wire order."""

    def __init__(self) -> None:
        self.last_at = 0.0
        """Time of the newest event understood, Unix seconds."""
        self._assembler: SnapshotAssembler | None = None
        self._logins = 0
        self._endpoints = EndpointLists()
        self._listed = False
        self._stop: s.PbxStopped | None = None
        """A restart that the uptime told of, until a snapshot has said what lives."""

    def message(self, message: Message) -> Iterator[s.Signal]:
        """The signals one message gives rise to."""
        if message.kind in TRANSLATIONS and "Privilege" in message.fields:
            yield from self._news(message)
        elif message.kind == "Response":
            if message.get("Message") == "Authentication accepted":
                yield from self.link_up(message.arrived_at)
        elif message.kind == "FullyBooted":
            self._booted(message)
        elif message.kind in LISTED_ENDPOINTS:
            yield from self._endpoint(message)
        elif message.kind in LISTED or (message.kind == "ParkedCall" and "Privilege" not in message.fields):
            if self._assembler is None:
                self._assembler = SnapshotAssembler(message.arrived_at)
            self._assembler.take(message)
            self._listed = True
        elif message.kind in TRANSLATIONS:
            yield from self._news(message)

    def _endpoint(self, message: Message) -> Iterator[s.Signal]:
        if "Privilege" in message.fields:
            return  # a lamp has changed
        listing = self._endpoints.take(message.kind, message.fields)
        if listing is not None:
            yield s.EndpointsListed(self.last_at, listing)

    def link_up(self, at: float) -> Iterator[s.Signal]:
        """A login succeeded; what was known before is no longer certain."""
        self._logins += 1
        if self._logins > 1 and self.last_at:
            yield from self.link_down(self.last_at)
        self._assembler = SnapshotAssembler(at)
        self._listed = False

    def link_down(self, at: float) -> Iterator[s.Signal]:
        """The link broke."""
        self._assembler = None
        yield s.LinkLost(min(at, self.last_at) if self.last_at else at)

    def snapshot_done(self, began_at: float | None = None, at: float | None = None) -> Iterator[s.Signal]:
        """All list answers are in (or will not come). The times are given when kept lines are told again."""
        assembler, self._assembler = self._assembler, None
        if began_at is not None:
            assembler = assembler or SnapshotAssembler(began_at)
            assembler.complete = True
            assembler.began_at = began_at
            assembler.last_at = at if at is not None else began_at
        stop, self._stop = self._stop, None
        if assembler is not None and assembler.complete:
            yield assembler.finish()  # better than the uptime: what it does not list has ended
        elif stop is not None:
            yield stop

    def begin_snapshot(self, at: float) -> None:
        """The PBX is asked what lives on it, in the middle of a link."""
        self._assembler = SnapshotAssembler(at)

    def drop_snapshot(self) -> None:
        """The lists stayed incomplete: nothing may be concluded from them."""
        self._assembler = None

    def _news(self, message: Message) -> Iterator[s.Signal]:
        assembler = self._assembler
        if (
            assembler is not None
            and assembler.complete
            and message.arrived_at > assembler.last_at + SNAPSHOT_REST
        ):
            yield from self.snapshot_done()
        if (
            self._stop is not None
            and not self._listed
            and message.arrived_at > self._stop.began_before + SNAPSHOT_REST
        ):
            stop, self._stop = self._stop, None
            yield stop  # nobody asked what lives
        at = moment_of(message)
        if at > self.last_at:
            self.last_at = at
        yield from translate(message, at)

    def _booted(self, message: Message) -> None:
        uptime = message.get("Uptime")
        if (
            self.last_at
            and uptime.isdigit()
            and message.arrived_at - float(uptime) > self.last_at + RESTART_SLACK
        ):
            self._stop = s.PbxStopped(self.last_at, message.arrived_at)
