"""Whose endpoints these are, for everything of one PBX that has to know: the live calls, the roster, the handsets' names.

What is known is in the tracker's numbering, where calls and the PBX's own lists add to it; here it is read from the
database at the start, asked for again every minute, and kept, so that nothing is forgotten by a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from ami_bridge.actions import ActionChannel
from ami_bridge.roster import read_endpoint_lists
from call_records.types import Endpoints
from telephony.endpoint_directory import Endpoint, EndpointSource, KnownEndpoint, directory_of
from telephony.numbers.numbers import Numbering

log = structlog.get_logger(__name__)

LIST_SECONDS = 60.0  # how often the PBX is asked for its hints again; the snapshot of a new link asks as well
LEARNED = (
    EndpointSource.HINT,
    EndpointSource.REGISTRATION,
    EndpointSource.CALLS,
    EndpointSource.NUMBERS,
)
"""What is kept of what the PBX and its calls tell; what administrators say is written by the pages."""


class EndpointKeeper:
    """The directory of one PBX's endpoints over time."""

    def __init__(self, numbering: Numbering, phones: Mapping[str, str], store: Endpoints) -> None:
        """`phones`: what the configuration says, endpoint → extension."""
        self._phones = dict(phones)
        self._store = store
        self._current: Callable[[], Numbering] = lambda: numbering
        self._kept: frozenset[KnownEndpoint] | None = None
        self._listed_at = float("-inf")
        self._undecided: frozenset[Endpoint] | None = None

    @property
    def numbering(self) -> Numbering:
        """How the PBX numbers its phones and lines, as it is known now."""
        return self._current()

    def current_numbering(self) -> Numbering:
        """The same, for whoever asks again and again."""
        return self.numbering

    def follow(self, current: Callable[[], Numbering]) -> None:
        """From now on the numbering is there: it learns."""
        self._current = current

    async def read(self) -> Numbering:
        """The numbering with everything that was kept. Raises SwitchhookError while the database is away."""
        rows = await self._store.list_known(self.numbering.pbx)
        self._kept = frozenset(row for row in rows if row.source in LEARNED)
        return self.numbering.with_directory(directory_of(rows, self._phones))

    async def ask(self, actions: ActionChannel) -> Numbering:
        """The numbering with what administrators have said meanwhile and, once a minute, what the PBX lists."""
        rows = await self._store.list_known(self.numbering.pbx)
        said = directory_of((row for row in rows if row.source is EndpointSource.STAFF), self._phones)
        directory = self.numbering.directory
        if time.monotonic() - self._listed_at > LIST_SECONDS:
            listing = await read_endpoint_lists(actions)
            directory = self.numbering.directory.with_listing(listing)
            self._listed_at = time.monotonic()
        return self.numbering.with_directory(directory.with_said(said.phones, said.lines))

    async def keep(self, devices: Sequence[Endpoint]) -> None:
        """Store what was learned and which of these devices nobody can place, where that is other than before."""
        pbx = self.numbering.pbx
        learned = frozenset(self.numbering.directory.rows())
        if learned != self._kept:
            await self._store.replace_known(pbx, LEARNED, learned)
            self._kept = learned
        undecided = frozenset(self.numbering.undecided(devices))
        if undecided != self._undecided:
            await self._store.replace_known(pbx, (EndpointSource.UNDECIDED,), _undecided_rows(undecided))
            if undecided:
                log.info("endpoints_undecided", pbx=pbx, endpoints=len(undecided))
            self._undecided = undecided


def _undecided_rows(endpoints: Collection[Endpoint]) -> Iterable[KnownEndpoint]:
    return (KnownEndpoint(str(one), EndpointSource.UNDECIDED, None) for one in endpoints)
