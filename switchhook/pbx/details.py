"""What an administrator looks for on Connections besides the link: which Asterisk it is, its name, its phones, its log.

Asked once a minute over the link for actions; a PBX that refuses leaves what was known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ami_bridge.actions import Action, ActionChannel
from ami_bridge.wire.asterisk_version import OLDEST_ASTERISK, REMEDY, major_of
from telephony.errors import SwitchhookError
from telephony.ports import PbxDetails

log = structlog.get_logger(__name__)

ASK_SECONDS = 60.0  # nobody changes the version while looking at the page


class PbxInquiry:
    """One PBX. `run` it until cancelled; `details` is what is known now."""

    def __init__(
        self,
        pbx: str,
        actions: ActionChannel,
        *,
        count_phones: Callable[[], int],
        newest_cel_at: Callable[[], float | None],
        has_cel: bool,
    ) -> None:
        self._pbx = pbx
        self._actions = actions
        self._count_phones = count_phones
        self._newest_cel_at = newest_cel_at
        self._has_cel = has_cel
        self._version: str | None = None
        self._system_name: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.ask()
            await asyncio.sleep(ASK_SECONDS)

    async def ask(self) -> None:
        """Once."""
        try:
            answer = await self._actions.send(Action("CoreSettings"))
        except SwitchhookError as trouble:
            log.debug("pbx_not_asked", pbx=self._pbx, problem=str(trouble))
            return
        version = answer.fields.get("AsteriskVersion") or None
        if version != self._version:
            log.info("pbx_version", pbx=self._pbx, asterisk=version)
        self._version = version
        self._system_name = answer.fields.get("SystemName") or None

    def details(self) -> PbxDetails:
        """What is known now."""
        newest = self._newest_cel_at()
        return PbxDetails(
            pbx=self._pbx,
            asterisk_version=self._version,
            system_name=self._system_name,
            phones=self._count_phones(),
            has_event_log=self._has_cel,
            event_log_newest_at=None if newest is None else datetime.fromtimestamp(newest, UTC),
        )

    def problem(self) -> str | None:
        """What keeps this PBX from being told right, one sentence with its remedy."""
        major = major_of(self._version or "")
        if major is None or major >= OLDEST_ASTERISK:
            return None
        return f"{self._pbx} is an Asterisk {self._version}, whose calls cannot be told right. {REMEDY}"
