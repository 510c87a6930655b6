"""A lead becomes a contact, and where they are named a company and a deal: in one step, all or nothing, once.

The lead stays as it is, with a pointer to what it became: its timeline is read on the contact's page. What is still to
be done (open tasks, deals, a missed caller) is turned to the contact, where somebody looks for it.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.book.rows import (
    Home,
)
from call_records.book.shapes import Conversion, Converted
from telephony.contacts import LeadState

__all__ = ["convert", "set_state"]


async def convert(
    connection: AsyncConnection, lead_id: UUID, into: Conversion, *, home: Home, by: UUID | None
) -> Converted:
    """Raises PeerMistake when it is no open lead, or not any more."""
    del home
    raise NotImplementedError


async def set_state(
    connection: AsyncConnection, lead_id: UUID, state: LeadState, *, reason: str | None, by: UUID | None
) -> None:
    """Raises PeerMistake when it is no lead, or converted."""
    raise NotImplementedError
