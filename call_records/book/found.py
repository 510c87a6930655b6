"""Whose number is it, asked from inside a transaction: the entries with exactly this number, and what became of others.

A lead that was turned down, merged or converted still has its number. Whoever calls again is found by it: nobody becomes
a lead twice because his first one came to an end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.book.matching import match_key
from telephony.contacts import ClientKind, LeadState, Match, MatchRule


async def find(connection: AsyncConnection, key: str) -> Match:
    """Who has this number, by the policy of a ringing phone. A call must lie somewhere, so of several who fit alike it is
    with the one spoken to last until a person says (LAST_SPOKEN). Raises nothing of its own.
    """
    match = await match_key(connection, key)
    last = match.others[0] if match.others else None
    if match.chosen is not None or last is None or last.spoken_at is None:
        return match
    return Match(key, last, MatchRule.LAST_SPOKEN, match.others[1:])


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the book as rules see it, wherever merging and converting have led to."""

    id: UUID
    kind: ClientKind
    name: str
    owner_id: UUID | None
    state: LeadState | None
    deal_id: UUID | None
    """The open deal its calls belong to."""

    @property
    def is_lead(self) -> bool:
        """Whether nobody has made a contact of it yet."""
        return self.kind is ClientKind.LEAD


async def entry(connection: AsyncConnection, client_id: UUID) -> Entry | None:
    """The entry, or the one it was merged or converted into; None when that was removed."""
    row = (await connection.execute(_ENTRY, {"id": client_id})).one_or_none()
    return _entry(row) if row else None


async def formerly(connection: AsyncConnection, key: str) -> Entry | None:
    """Who had this number under an entry that is no longer matched: a lead turned down, merged or converted. Of several
    the one that is not turned down, then the newest.
    """
    row = (await connection.execute(_FORMERLY, {"key": key})).first()
    return _entry(row) if row else None


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        row.id, ClientKind(row.kind), row.name, row.owner_id,
        LeadState(row.state) if row.state else None, row.deal_id,
    )  # fmt: skip


_LED_TO = """
    WITH RECURSIVE path (id, next, steps) AS (
        SELECT c.id, coalesce(c.merged_into, c.became_id), 0 FROM {start}
        UNION
        SELECT c.id, coalesce(c.merged_into, c.became_id), path.steps + 1
        FROM path JOIN clients c ON c.id = path.next WHERE path.steps < 50)
    SELECT c.id, c.kind, c.name, c.owner_id, c.state,
        (SELECT d.id FROM deals d
         WHERE d.state = 'open' AND d.removed_at IS NULL
             AND (d.contact_id IN (SELECT f.id FROM clients f
                                   WHERE c.id IN (f.id, f.merged_into, f.became_id))
                  OR d.company_id = c.id OR (d.company_id = c.company_id AND d.contact_id IS NULL))
         ORDER BY (d.contact_id IS NULL), d.spoken_at DESC NULLS LAST, d.updated_at DESC, d.id LIMIT 1) AS deal_id
    FROM path JOIN clients c ON c.id = path.id
    WHERE path.next IS NULL AND c.removed_at IS NULL
    ORDER BY (c.state IS NOT DISTINCT FROM 'rejected'), c.created_at DESC, c.id
"""
"""Fifty steps: nobody merges that often; it only ends a circle that should not be there."""

_ENTRY = text(_LED_TO.format(start="clients c WHERE c.id = :id"))
_FORMERLY = text(
    _LED_TO.format(start="client_phones p JOIN clients c ON c.id = p.client_id WHERE p.key = :key")
)
