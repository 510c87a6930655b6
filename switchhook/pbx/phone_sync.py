"""Who can be reached: asks each PBX for its phones, shows their states, and keeps those that were never seen before.

Asked over the link for actions, so that a slow answer delays no event. A PBX that cannot be asked leaves what was known
to grow old; the page says how old it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from ami_bridge.actions import ActionChannel
from ami_bridge.roster import read_roster
from call_records.calls.live import LiveBoard
from call_records.store import RecordsStore
from switchhook.pbx.endpoint_keeper import EndpointKeeper
from switchhook.pbx.monitor import Bridge
from telephony.errors import SwitchhookError
from telephony.presence import Phone

log = structlog.get_logger(__name__)

ASK_SECONDS = 10.0  # who talks is known from the calls themselves; this is who is there at all
KEEP_SECONDS = 600.0  # how often "last seen" is written although nothing changed


class RosterLine:
    """The phones of one PBX. `run` it until cancelled."""

    def __init__(
        self,
        actions: ActionChannel,
        bridge: Bridge,
        keeper: EndpointKeeper,
        store: RecordsStore,
        board: LiveBoard,
    ) -> None:
        self._actions = actions
        self._bridge = bridge
        self._keeper = keeper
        self._store = store
        self._board = board
        self._kept: frozenset[str] = frozenset()
        self._kept_at = datetime.fromtimestamp(0, UTC)
        self.problem: str | None = None
        """Why the phones could not be asked for last, in one sentence."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(ASK_SECONDS)

    async def ask(self) -> None:
        """Once."""
        try:
            await self._bridge.use_numbering(await self._keeper.ask(self._actions))
            roster = await read_roster(self._actions, self._keeper.numbering)
            self._board.put_phones(self._bridge.pbx, roster.phones, datetime.now(UTC))
            await self._keep({phone.extension: phone for phone in roster.phones})
            await self._keeper.keep(roster.devices)
            self.problem = None
        except SwitchhookError as trouble:
            if str(trouble) != self.problem:
                log.info("phones_not_read", pbx=self._bridge.pbx, problem=str(trouble), remedy=trouble.remedy)
            self.problem = str(trouble)

    async def _keep(self, phones: Mapping[str, Phone]) -> None:
        now = datetime.now(UTC)
        names = frozenset(phones)
        if names == self._kept and (now - self._kept_at).total_seconds() < KEEP_SECONDS:
            return
        await self._store.staff.seen(self._bridge.pbx, sorted(names), at=now)
        self._kept, self._kept_at = names, now
