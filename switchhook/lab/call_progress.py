"""How far a call has come: states that only move forward, when each was reached, and waiting for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from switchhook.lab.phone_media import Audio
from telephony.errors import PeerMistake, TryLater


class CallState(StrEnum):
    """Where the call is, as the phone sees it."""

    DIALLING = "dialling"
    RINGING = "ringing"
    UP = "up"
    ENDED = "ended"


class CallProgress:
    """What can be seen of a call, and waited for. `Call` adds what can be done."""

    def __init__(self, owner: str, sequence: int | None = None) -> None:
        """`owner` is the phone's number, for messages; `sequence` that of its audio's first packet, if not the next."""
        self.state = CallState.DIALLING
        self.code = 0
        """The last final SIP code of the INVITE: 200 when it was answered, 486 when busy ..."""
        self.reason = ""
        """The Reason header with which the other side ended it, if any."""
        self.rang_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.ended_by_us = False
        self.transfer_codes: list[int] = []
        """What the PBX told of our transfer: 100, 180, 200 ... in order."""
        self.audio = Audio(sequence)
        self._owner = owner
        self._changed = asyncio.Event()

    @property
    def answered_elsewhere(self) -> bool:
        """Whether it stopped ringing because somebody else took it."""
        return "cause=200" in self.reason or "cause=26" in self.reason

    @property
    def talk_seconds(self) -> float:
        """How long it was up, so far."""
        if self.answered_at is None:
            return 0.0
        return ((self.ended_at or datetime.now(UTC)) - self.answered_at).total_seconds()

    async def until(self, wanted: Callable[[], bool], timeout: float, what: str) -> None:  # noqa: ASYNC109
        """Wait for something to become true of this call. Raises TryLater, naming `what`, after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not wanted():
                    changed = self._changed
                    await changed.wait()
        except TimeoutError:
            raise TryLater(
                f"{self._owner}: {what} did not happen within {timeout:g} s (state {self.state}, code {self.code})."
            ) from None

    async def ringing(self, timeout: float = 5) -> None:  # noqa: ASYNC109
        """Wait until the other side rings (or has answered already)."""
        await self.until(lambda: self.rang_at is not None or self.state is CallState.UP, timeout, "ringing")

    async def answered(self, timeout: float = 5) -> None:  # noqa: ASYNC109
        """Wait until the call is up. Raises PeerMistake when it ends unanswered."""
        await self.until(lambda: self.state in (CallState.UP, CallState.ENDED), timeout, "an answer")
        if self.answered_at is None:
            raise PeerMistake(f"{self._owner}: the call ended unanswered with {self.code}.")

    async def ended(self, timeout: float = 5) -> int:  # noqa: ASYNC109
        """Wait until the call is over; returns the final code of its INVITE."""
        await self.until(lambda: self.state is CallState.ENDED, timeout, "the end")
        return self.code

    async def transferred(self, timeout: float = 5) -> int:  # noqa: ASYNC109
        """Wait for the PBX's last word on our transfer; 200 when it worked."""
        await self.until(
            lambda: any(code >= 200 for code in self.transfer_codes), timeout, "the transfer's result"
        )
        return self.transfer_codes[-1]

    async def hears(self, hz: float, timeout: float = 3) -> None:  # noqa: ASYNC109
        """Wait until this tone arrives in new audio. Raises TryLater when it does not."""
        self.audio.forget_heard()
        try:
            async with asyncio.timeout(timeout):
                while not self.audio.hears(hz):
                    await self.audio.more()
        except TimeoutError:
            raise TryLater(f"{self._owner} does not hear {hz:g} Hz.") from None

    def _move(self, state: CallState, code: int = 0) -> None:
        now = datetime.now(UTC)
        self.state = state
        self.code = code or self.code
        if state is CallState.RINGING:
            self.rang_at = self.rang_at or now
        elif state is CallState.UP:
            self.answered_at = self.answered_at or now
        elif state is CallState.ENDED:
            self.ended_at = self.ended_at or now
            self.audio.close()
        self._announce()

    def _end(self, code: int, *, by_us: bool = False) -> None:
        if self.state is not CallState.ENDED:
            self.ended_by_us = by_us
            self._move(CallState.ENDED, code)

    def _announce(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
