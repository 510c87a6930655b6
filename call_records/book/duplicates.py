"""Who may be the same as an entry: found by the indexes of numbers, e-mails and names, never by reading the book."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST = 50  # a number with more than fifty entries is a switchboard; nobody compares further

_ALIKE = text("""
    WITH family AS (
        SELECT id FROM clients WHERE id = :id UNION ALL SELECT id FROM clients WHERE merged_into = :id
    ), own AS (SELECT * FROM clients WHERE id = :id), alike AS (
        (SELECT other.client_id AS id, 4 AS weight
        FROM client_phones mine JOIN client_phones other ON other.key = mine.key
        WHERE mine.client_id IN (SELECT id FROM family) AND mine.key LIKE '+%' LIMIT 500)
        UNION ALL
        (SELECT c.id, 3 FROM own JOIN clients c ON c.emails && own.emails WHERE own.emails <> '{}' LIMIT 500)
        UNION ALL
        (SELECT c.id, 2 FROM own JOIN clients c ON c.kind = own.kind AND lower(c.name) = lower(own.name)
        WHERE c.merged_into IS NULL AND c.removed_at IS NULL LIMIT 500)
    )
    SELECT c.id
    FROM (SELECT id, weight FROM alike GROUP BY id, weight) AS found
    JOIN clients hit ON hit.id = found.id
    JOIN clients c ON c.id = coalesce(hit.merged_into, hit.id)
    CROSS JOIN own
    WHERE c.id <> :id AND c.removed_at IS NULL AND c.state IS DISTINCT FROM 'converted'
        AND (c.kind = own.kind OR (c.kind IN ('contact', 'lead') AND own.kind IN ('contact', 'lead')))
    GROUP BY c.id
    ORDER BY sum(found.weight) + (c.kind = (SELECT kind FROM own))::int DESC, c.updated_at DESC, c.id
    LIMIT :most
""").bindparams(bindparam("id", type_=Uuid), bindparam("most", MOST, literal_execute=True))


async def alike(connection: AsyncConnection, client_id: UUID) -> Sequence[UUID]:
    """Ids of living entries, likeliest first."""
    return (await connection.scalars(_ALIKE, {"id": client_id})).all()
