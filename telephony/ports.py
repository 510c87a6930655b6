"""What the core needs of the outside, and what the outside may rely on. Protocols; wired in `switchhook.assembly`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from telephony.call_facts.facts import CallFacts
from telephony.events import CallEvent
from telephony.presence import Phone


@dataclass(frozen=True, slots=True)
class CallChange:
    """Everything that became known of one call since the last change: the unit the journal keeps atomically."""

    facts: CallFacts
    events: tuple[CallEvent, ...]
    """What happened, in order; an outbox row is owed for each kind in `telephony.events.OWED`."""
    aliases: tuple[str, ...]
    """All channel uniqueids known to belong to the call (unique per PBX)."""
    absorbed: tuple[UUID, ...] = ()
    """Ids of calls that turned out to be this one; they become redirects."""
    trace: tuple[Mapping[str, Any], ...] = ()
    """The raw messages behind this change (capture lines), so that the call can be told again from them."""


class Journal(Protocol):
    """The call journal: rows and outbox rows in one transaction."""

    async def record(self, changes: Sequence[CallChange]) -> None:
        """Keep the changes, all or none; repeating the same changes changes nothing. Raises TryLater."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link to one PBX is."""

    pbx: str
    connected: bool
    since: datetime
    lag_seconds: float
    """How late an event is when it is worked through, by its own time; 0 when idle."""
    problem: str | None
    """For the page, with what to do: why there is no connection, or what is wrong in spite of it; None when all is
    well."""


@dataclass(frozen=True, slots=True)
class PbxDetails:
    """What is known of one PBX besides its link; None where nobody has said it (yet)."""

    pbx: str
    asterisk_version: str | None = None
    system_name: str | None = None
    phones: int = 0
    """Endpoints that are known as phones."""
    has_event_log: bool = False
    """Whether a channel event log (CEL) is configured."""
    event_log_newest_at: datetime | None = None


class RecordingControl(Protocol):
    """Pausing the recording of a live call. That it is paused is told by the PBX, in the call's facts; never assumed.

    Both raise TryLater while the PBX cannot be asked or the call is no longer live, NeedsPerson when nothing of the
    call is recorded or the AMI user may not do it, each with the remedy.
    """

    async def pause(self, call_id: UUID) -> None:
        """Silence everything of this call that is recorded, on both sides, until `resume`."""

    async def resume(self, call_id: UUID) -> None:
        """Record everything again."""


class LiveCalls(Protocol):
    """The calls of this moment, from memory: pages and cards read this, never the database."""

    def calls(self) -> Sequence[CallFacts]:
        """All calls that have not ended, oldest first."""

    def links(self) -> Sequence[LinkState]:
        """One entry per configured PBX."""

    def phones(self) -> Sequence[Phone]:
        """Every phone of every PBX, as they were last told; none in a process that watches no PBX."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[CallFacts | LinkState]]:
        """Every change from the moment of entering; a slow reader is dropped (the iterator ends), never waited for."""


@dataclass(frozen=True, slots=True)
class CallerQuestion:
    """A call is coming in and no phone rings yet: who calls?"""

    pbx: str
    raw: str
    """The caller's number as the PBX has it, digits and perhaps a +; never a withheld one."""
    did: str
    """The number of ours that was called, as the PBX has it; empty when the dialplan did not say."""


@dataclass(frozen=True, slots=True)
class CallerAnswer:
    """What the phones may show of the caller, and whose customer they are. Shown only after `handset_names`."""

    name: str | None
    company: str | None
    owner_extensions: tuple[str, ...] = ()
    """Where the contact's owner can be reached, the first preferred; empty when nobody owns them."""
    owner_phones: tuple[str, ...] = ()
    """The endpoints of these extensions, as `PJSIP/alice`, where they are not called like the extensions."""


class CallerLookup(Protocol):
    """Who calls, for the displays of the phones. The caller waits meanwhile: answer from memory or one indexed query."""

    async def ask(self, question: CallerQuestion) -> CallerAnswer | None:
        """The caller, None when they are not known. Whatever it raises, and any delay, means that nothing is shown."""
