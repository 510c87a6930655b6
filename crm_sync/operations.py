"""What can be delivered to a CRM: one operation of one leg of one call.

An operation writes at most one thing, so that its idempotency key identifies what it wrote. Calls are delivered leg by
leg (a Bitrix24 call holds one recording): the first talking leg is leg 0, every leg after a transfer the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from telephony.call_facts.facts import Direction, Disposition

TAIL_DIGITS = 10  # compared by amoCRM and MikoPBX where a number has no country code


class OperationKind(StrEnum):
    """What to do, in the order in which a call needs it."""

    OPEN_CALL = "open_call"
    SHOW_POPUP = "show_popup"
    CREATE_LEAD = "create_lead"
    HIDE_POPUP = "hide_popup"
    CLOSE_CALL = "close_call"
    """The call log entry."""
    ATTACH_RECORDING = "attach_recording"
    ADD_NOTE = "add_note"


_K = OperationKind
DEPENDS_ON: Mapping[OperationKind, frozenset[OperationKind]] = MappingProxyType(
    {
        _K.HIDE_POPUP: frozenset({_K.OPEN_CALL}),
        _K.CLOSE_CALL: frozenset({_K.OPEN_CALL, _K.CREATE_LEAD}),
        _K.ATTACH_RECORDING: frozenset({_K.CLOSE_CALL}),
        _K.ADD_NOTE: frozenset({_K.CLOSE_CALL}),
    }
)
"""Operations of the same call without which this one has nothing to write on, where they are owed too."""
EPHEMERAL = frozenset({_K.SHOW_POPUP, _K.HIDE_POPUP})
"""Only worth something at the moment: never late, never twice."""


class RefKind(StrEnum):
    """What a reference points at."""

    CONTACT = "contact"
    COMPANY = "company"
    LEAD = "lead"
    DEAL = "deal"
    CALL = "call"
    NOTE = "note"
    FILE = "file"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Ref:
    """One object in a CRM."""

    kind: RefKind
    id: str
    url: str | None = None
    """Where a person sees it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording of a leg: a file to upload, or a link to show, as the CRM can."""

    filename: str
    content: bytes = field(default=b"", repr=False)
    link: str | None = None
    """Signed and expiring, or behind our login."""


@dataclass(frozen=True, slots=True)
class CallLog:
    """One leg of a call as a CRM logs it."""

    call_id: UUID
    direction: Direction
    phone: str | None
    """Of the outside party, E.164; None when withheld."""
    started_at: datetime
    leg: int = 0
    did: str | None = None
    """The number of ours, for the CRM's source."""
    extension: str | None = None
    """Who talked, or who should have."""
    user_id: str | None = None
    """Their user in the CRM, or the documented fallback where they have none."""
    answered_at: datetime | None = None
    duration_seconds: int = 0
    disposition: Disposition | None = None
    summary: str = ""
    """What the CRM's own fields cannot say: transfers, people without a CRM user."""
    is_backfill: bool = False
    """Told later: no pop-up, no chat message."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing to write."""

    kind: OperationKind
    call: CallLog
    recording: Recording | None = None
    text: str = ""
    """Of a note, or the title of a lead."""
    popup_user_ids: tuple[str, ...] = ()

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt, different for every other operation; stored in the CRM where it can."""
        return f"{self.call.call_id}.{self.call.leg}.{self.kind}"

    @property
    def call_key(self) -> str:
        """Of the leg: what a CRM stores as the PBX's id of the call."""
        return f"{self.call.call_id}.{self.call.leg}"


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What earlier deliveries of the same call left in the CRM."""

    refs: tuple[Ref, ...] = ()
    """Of the whole call, oldest first."""
    leg_refs: tuple[Ref, ...] = ()
    """Of the same leg."""
    sent_at: datetime | None = None
    """When this operation was sent last, for a probe that must not search the whole CRM."""

    def find_ref(self, *kinds: RefKind, same_leg: bool = False) -> Ref | None:
        """The newest reference of one of these kinds."""
        refs = self.leg_refs if same_leg else self.refs
        return next((ref for ref in reversed(refs) if ref.kind in kinds), None)


def get_phone_tail(phone: str) -> str:
    """The last ten digits, by which numbers are compared that may or may not have a country code."""
    return "".join(character for character in phone if character.isascii() and character.isdigit())[
        -TAIL_DIGITS:
    ]
