"""Whose number is it, asked from inside a transaction; and where an entry of the book has led to meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.contacts.number_matching import match_key
from call_records.crm.deals.deals import open_deal_of
from telephony.contacts import ClientKind, LeadState, Match, MatchRule


async def find(connection: AsyncConnection, key: str) -> Match:
    """Who has this number, by the policy of a ringing phone. A call must lie somewhere, so of several who fit alike it is
    with the one spoken to last until a person says (LAST_SPOKEN). A lead that was turned down, merged or converted is
    found too: nobody becomes a lead twice because their first one came to an end.
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
    if row is None:
        return None
    return Entry(
        id=row.id,
        kind=ClientKind(row.kind),
        name=row.name,
        owner_id=row.owner_id,
        state=LeadState(row.state) if row.state else None,
        deal_id=await open_deal_of(connection, row.family),
    )


_ENTRY = text("""
    WITH RECURSIVE path (id, next, steps) AS (
        SELECT c.id, coalesce(c.merged_into, c.became_id), 0 FROM clients c WHERE c.id = :id
        UNION
        SELECT c.id, coalesce(c.merged_into, c.became_id), path.steps + 1
        FROM path JOIN clients c ON c.id = path.next WHERE path.steps < 50)
    SELECT c.id, c.kind, c.name, c.owner_id, c.state, array_append(ARRAY(
            SELECT f.id FROM clients f WHERE f.merged_into = c.id
            UNION SELECT f.id FROM clients f WHERE f.became_id = c.id), c.id) AS family
    FROM path JOIN clients c ON c.id = path.id
    WHERE path.next IS NULL AND c.removed_at IS NULL
""")
"""Fifty steps: nobody merges that often; it only ends a circle that should not be there."""
